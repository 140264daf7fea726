import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/real/**', 'test/peers/**', '**/node_modules/**'],
    // Only what hangs takes longer, on a busy machine too.
    testTimeout: 60_000,
  },
});
