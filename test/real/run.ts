// `npm run test:real [-- ARGUMENTS OF VITEST]`: the tests that need a real kube-apiserver, etcd and kube-controller-manager.
import { runRealTests } from './bench/run-vitest.ts';

await runRealTests({
  command: 'npm run test:real',
  config: 'vitest.real.config.ts',
  vitestArguments: process.argv.slice(2),
});
