// A sample of snapshots with the real controller's answers, kept so that `npm test` can compare without it.

import { gunzipSync, gzipSync } from 'node:zlib';
import type { OracleVersion } from '../real/oracle/oracle.ts';
import type { Snapshot } from './build.ts';
import type { Essence } from './compare.ts';

export const FIXTURE_FILE = new URL('../cases/parity-sample.ndjson.gz', import.meta.url);

/** What answered, and what makes the sample again. */
export interface FixtureOrigin {
  readonly oracle: OracleVersion;
  readonly seed: number;
  readonly count: number;
}

export interface FixtureCase {
  readonly snapshot: Snapshot;
  readonly answer: Essence;
}

export interface Fixture {
  readonly origin: FixtureOrigin;
  readonly cases: readonly FixtureCase[];
}

/** The origin on the first line, a case on each other one; the same bytes for the same fixture. */
export function packFixture({ origin, cases }: Fixture): Buffer {
  return gzipSync([origin, ...cases].map((line) => `${JSON.stringify(line)}\n`).join(''), { level: 9 });
}

export function unpackFixture(packed: Uint8Array): Fixture {
  const [origin, ...cases] = gunzipSync(packed)
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { origin, cases };
}
