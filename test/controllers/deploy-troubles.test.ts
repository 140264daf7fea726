// Chance plays the user, the cluster and the network while an application is deployed: never two jobs at once, never a job that
// begins from anything but the newest state there is, never one stopped for nothing, and in the end what is wanted runs or it is
// said why it does not.
//
// Every run plays the same courses. Others: TROUBLED_SEED (default 1) and TROUBLED_RUNS (how many, default 50) in the environment.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { courses } from '../support/troubled-courses.ts';
import { complaintsOf } from '../support/troubled-deploys.ts';

const seed = Number(process.env.TROUBLED_SEED ?? 1);
const numRuns = Number(process.env.TROUBLED_RUNS ?? 50);

/** Real time, for one course: more than that, and it hangs. */
const LONGEST_MILLISECONDS = 60_000;

it(
  `comes through ${numRuns} courses of troubles`,
  async () => {
    await fc.assert(
      fc.asyncProperty(courses, async (course) => {
        const lines: string[] = [];

        const complaints = await complaintsOf(course, (line) => lines.push(line));

        expect(complaints, lines.join('\n')).toEqual([]);
      }),
      { seed, numRuns, timeout: LONGEST_MILLISECONDS, endOnFailure: true },
    );
  },
  numRuns * LONGEST_MILLISECONDS,
);
