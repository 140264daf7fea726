// A file of any size is read in bounded memory: 200 MB pass through a process that may hold 96.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { aSnapshot, type WireSnapshot } from '../support/snapshots.ts';

/** What headrace replay does between its input and its output. */
const PROGRAM = `
  import { createReplay } from '${new URL('../../shared/replay/replay.ts', import.meta.url)}';
  import { JsonSplitter } from '${new URL('../../shared/replay/split.ts', import.meta.url)}';
  const replay = createReplay({ carry: true });
  const splitter = new JsonSplitter();
  let judged = 0;
  const judgeAll = (values) => {
    for (const value of values) if (replay(value).rescale) judged += 1;
  };
  for await (const chunk of process.stdin) judgeAll(splitter.push(chunk));
  judgeAll(splitter.end());
  console.log(judged);
`;
const INPUT_BYTES = 200e6;
const HEAP_MEGABYTES = 96;
const SNAPSHOTS_PER_BATCH = 5;

it('judges an array of 200 MB with a heap of 96 MB', { timeout: 20_000 }, async () => {
  const snapshot = JSON.stringify(asKubectlPrints(aSnapshot({ replicas: 50, cpuPercent: 50 })));
  const batch = Buffer.from(`${Array.from({ length: SNAPSHOTS_PER_BATCH }, () => snapshot).join(',\n')},\n`);
  const batches = Math.ceil(INPUT_BYTES / batch.length);
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MEGABYTES}`, '--input-type=module', '--eval', PROGRAM],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close');
  const answer = text(child.stdout);

  child.stdin.write('[');
  for (let index = 0; index < batches; index += 1) if (!child.stdin.write(batch)) await once(child.stdin, 'drain');
  child.stdin.end(`${snapshot}]`);
  const [status] = await ended;

  expect(status).toBe(0);
  expect(Number(await answer)).toBe(batches * SNAPSHOTS_PER_BATCH + 1);
});

/** A pod of kubectl has about 5 kB, most of it nothing to a decision. */
function asKubectlPrints({ pods, ...snapshot }: WireSnapshot): object {
  const managedFields = Array.from({ length: 8 }, (_, index) => ({
    manager: `manager-${index}`,
    fieldsV1: { 'f:spec': { 'f:containers': { [`k:{"name":"main-${index}"}`]: 'f:env '.repeat(80) } } },
  }));
  return {
    ...snapshot,
    pods: (pods as { metadata: object }[]).map((pod) => ({ ...pod, metadata: { ...pod.metadata, managedFields } })),
  };
}
