// A sample of generated snapshots, answered by the real controller once: our answers are the same, without Go.
// `npm run test:parity` makes it again, and compares many more.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { judgeSnapshot } from '../../shared/replay/judge.ts';
import { differences, essenceOf, isBeyondReference } from './compare.ts';
import { FIXTURE_FILE, unpackFixture } from './fixture.ts';

const { origin, cases } = unpackFixture(readFileSync(FIXTURE_FILE));

it(`answers ${cases.length} snapshots as Kubernetes ${origin.oracle.kubernetes} does`, () => {
  const different = cases.flatMap(({ snapshot, answer }, index) => {
    const judged = judgeSnapshot(snapshot);
    const ours = essenceOf(judged);
    const fields = isBeyondReference(judged) ? [] : differences(ours, answer);
    return fields.length === 0 ? [] : [{ index, fields, ours, real: answer, snapshot: JSON.stringify(snapshot) }];
  });

  // The first few say enough.
  expect(different.slice(0, 3)).toEqual([]);
});
