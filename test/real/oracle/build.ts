// The real controller's package is compiled as a part of this module: an overlay shows its files, which stay where Go keeps modules,
// beside ours in podautoscaler/. Nothing of it is copied here.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { askGo, buildGoProgram, moduleFolder, readKubernetesVersion } from '../bench/go-build.ts';

const folder = import.meta.dirname;
const realPackage = 'pkg/controller/podautoscaler';

/**
 * Returns the path of the oracle's binary, and builds it first when this machine has none made of the same sources.
 * Throws when Go is missing or the build fails, with the end of what Go said.
 */
export async function buildOracle(say: (line: string) => void): Promise<string> {
  const version = await readKubernetesVersion();
  const program = {
    name: 'oracle',
    title: 'the oracle, which is the real HorizontalPodAutoscaler controller',
    patience: '2–4 minutes on two cores, seconds where the control plane has been built',
    folder,
    sources: [
      ...['go.mod', 'go.sum'].map((file) => join(moduleFolder, file)),
      ...['main.go', 'controller.go', 'snapshot.go', 'world.go', 'podautoscaler/oracle.go', 'build.ts'].map((file) =>
        join(folder, file),
      ),
    ],
    binary: 'oracle',
    flags: [
      '-trimpath',
      '-buildvcs=false',
      '-ldflags',
      `-s -w -X k8s.io/component-base/version.gitVersion=v${version}`,
    ],
    overlay,
  };
  return await buildGoProgram(program, say);
}

/** Our folder, with `go.mod` as the control plane has it, and with the real package's files beside our one. */
async function overlay(): Promise<Record<string, string>> {
  const { Dir: kubernetes } = JSON.parse(await askGo('mod', 'download', '-json', 'k8s.io/kubernetes'));
  const real = join(kubernetes, realPackage);
  const realFiles = (await readdir(real)).filter((file) => file.endsWith('.go') && !file.endsWith('_test.go'));
  return Object.fromEntries([
    ...['go.mod', 'go.sum'].map((file) => [join(folder, file), join(moduleFolder, file)]),
    ...realFiles.map((file) => [join(folder, 'podautoscaler', file), join(real, file)]),
  ]);
}
