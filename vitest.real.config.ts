// The tests against a real Kubernetes control plane; `npm run test:real` starts them in namespaces of their own.
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** One file deletes the kinds and makes them anew, which takes controllers half a minute to get over: it comes last. */
class InstallLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isInstall = ({ moduleId }: TestSpecification) => moduleId.endsWith('install.test.ts');
    return [...sorted.filter((file) => !isInstall(file)), ...sorted.filter(isInstall)];
  }
}

export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    globalSetup: ['test/real/bench/global-setup.ts'],
    // One control plane serves all files, on two cores: a file at a time.
    fileParallelism: false,
    sequence: { sequencer: InstallLast },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
