// `npm run test:peers [-- ARGUMENTS OF VITEST]`: whole matrices on the bench of the real tests, too long for every change. Each suite is
// a file here; it writes what it ran on and what came of it to docs/measured/.
import { runRealTests } from '../real/bench/run-vitest.ts';

await runRealTests({
  command: 'npm run test:peers',
  config: 'vitest.peers.config.ts',
  vitestArguments: process.argv.slice(2),
});
