import { once } from 'node:events';
import { main } from './main.ts';

const interrupted = new AbortController();
/** What hangs when somebody wants to end it is left behind: every write is safe to be killed in. */
const GRACE_MILLISECONDS = 2000;
const KILLED_STATUS = 130;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    interrupted.abort();
    setTimeout(() => process.exit(KILLED_STATUS), GRACE_MILLISECONDS).unref();
  });
// A reader that has seen enough, such as head, closes the pipe: nothing is left to be said.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  interrupted.abort();
});

process.exitCode = await main(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  drained: async () => {
    if (process.stdout.writableNeedDrain)
      await once(process.stdout, 'drain', { signal: interrupted.signal }).catch(() => {});
  },
  interrupted: interrupted.signal,
});
