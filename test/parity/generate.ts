// Snapshots by the hundred thousand: the same ones for the same seed.

import fc from 'fast-check';
import { buildSnapshot, type Snapshot } from './build.ts';
import { plans } from './plan.ts';

export const snapshots: fc.Arbitrary<Snapshot> = plans.map(buildSnapshot);

/** How many snapshots come from one seed: the next as many come from the next seed. */
export const BATCH_SIZE = 1000;

/** Gives `count` snapshots; the one at `index` is number `index % BATCH_SIZE` of seed `seed + floor(index / BATCH_SIZE)`. */
export function* generateSnapshots({ count, seed }: { readonly count: number; readonly seed: number }) {
  for (let first = 0; first < count; first += BATCH_SIZE) {
    const numRuns = Math.min(BATCH_SIZE, count - first);
    yield* fc.sample(snapshots, { seed: seed + first / BATCH_SIZE, numRuns });
  }
}
