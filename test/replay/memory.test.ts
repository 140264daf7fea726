// A file of any size is read in bounded memory: 200 MB pass through a process that may hold 96.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { aSnapshot } from '../support/snapshots.ts';

const BIN = fileURLToPath(new URL('../../shared/cli/bin.ts', import.meta.url));
const INPUT_BYTES = 200e6;
const HEAP_MEGABYTES = 96;

it('judges an array of 200 MB with a heap of 96 MB', { timeout: 120_000 }, async () => {
  const snapshot = JSON.stringify(aSnapshot({ replicas: 100, cpuPercent: 50 }));
  const batch = Buffer.from(`${Array.from({ length: 20 }, () => snapshot).join(',\n')},\n`);
  const batches = Math.ceil(INPUT_BYTES / batch.length);
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MEGABYTES}`, BIN, 'replay', '--carry', '-'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');

  const answers = countLines(child.stdout);
  child.stdin.write('[');
  for (let index = 0; index < batches; index += 1) if (!child.stdin.write(batch)) await once(child.stdin, 'drain');
  child.stdin.end(`${snapshot}]`);
  const [status] = await ended;

  expect(status).toBe(0);
  expect(await answers).toBe(batches * 20 + 1);
});

async function countLines(stream: AsyncIterable<Buffer>): Promise<number> {
  let lines = 0;
  for await (const chunk of stream) for (const byte of chunk) if (byte === 0x0a) lines += 1;
  return lines;
}
