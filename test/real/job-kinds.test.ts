// What docs/job-kinds.md says of Flink's kinds of job is what happens: all of them on one version, and on the other the one that differs
// most between the two. `npm run test:peers` runs all on both.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { useFlinkWorld } from './bench/flink-world.ts';
import { linesIn, linesOf } from './job-kinds/table.ts';
import { type JobKind, jobKinds, type Row, walkKind } from './job-kinds/walks.ts';

const world = useFlinkWorld();
const documented = linesIn(readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'job-kinds.md'), 'utf8'));

const walks = [
  ...(Object.keys(jobKinds) as JobKind[]).map((kind) => [kind, '2.3.0'] as const),
  ['bounded, BATCH', '1.20.3'] as const,
];
const outcomes = new Map<string, PromiseSettledResult<readonly Row[]>>();

// All at once: most of a deploy is waiting.
beforeAll(async () => {
  const settled = await Promise.allSettled(walks.map(([kind, version]) => walkKind(world, kind, version)));
  for (const [index, walk] of walks.entries()) outcomes.set(walk.join(), settled[index] as (typeof settled)[number]);
}, 900_000);

it.each(walks)('a job of the kind "%s" on Flink %s is dealt with as documented', (kind, version) => {
  const outcome = outcomes.get([kind, version].join());
  if (outcome?.status !== 'fulfilled') throw outcome?.reason;

  expect(linesOf(outcome.value)).toEqual(documented.filter((line) => line.startsWith(`${kind} | `)));
});
