// Whole matrices on the bench of the real tests; `npm run test:peers` starts them in namespaces of their own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/peers/**/*.test.ts'],
    globalSetup: ['test/real/bench/global-setup.ts'],
    // One control plane serves all files, on two cores: a file at a time.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
