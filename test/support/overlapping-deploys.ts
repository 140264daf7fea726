// Two processes that reconcile the same application at once, one request at a time in an order that chance gives; either may be
// killed on its way. Lambda delivers twice, a slow round runs on into the next, and somebody runs `headrace run` beside it all.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { expectNothingLost, outcomeOf } from './deploy-outcome.ts';
import type { Scenario } from './deploy-scenarios.ts';
import { type Deployments, STEP_SECONDS } from './deployments.ts';
import { type Fate, Interleaving } from './interleaving.ts';

/** Whose turn it is, for how many requests, and what then happens. */
interface Turn {
  readonly process: number;
  readonly requests: number;
  /** Killed at the last of them: then a fresh process takes its place. */
  readonly fate: Fate;
  /** How long it is until the next turn. */
  readonly seconds: number;
}

const turns: fc.Arbitrary<readonly Turn[]> = fc.array(
  fc.record({
    process: fc.nat(1),
    requests: fc.constantFrom(1, 2, 3, 5, 8, 13, 40),
    fate: fc.constantFrom<Fate>('answered', 'answered', 'answered', 'answered', 'killed before', 'killed after'),
    seconds: fc.constantFrom(0, 0, 0, 0, 1, STEP_SECONDS, STEP_SECONDS, 20),
  }),
  { minLength: 20, maxLength: 60 },
);

const LONGEST_SECONDS = 400;

/** Plays a scenario in so many orders; whatever the order, it must come to the same end. */
export function itComesToTheSameEnd(scenario: Scenario, numRuns: number): void {
  it(`comes to the same end in ${numRuns} orders: two processes, of which each ${scenario.name}`, async () => {
    await fc.assert(
      fc.asyncProperty(turns, async (course) => {
        const deployments = await scenario.prepare();

        await play(deployments, course);
        await deployments.roundsUntil(scenario.isOver, { seconds: LONGEST_SECONDS });
        const outcome = outcomeOf(deployments);
        await expectNothingLost(deployments, scenario);
        await deployments.close();

        expect(outcome).toMatchObject(scenario.outcome);
      }),
      { numRuns, endOnFailure: true },
    );
  }, 600_000);
}

/** Each process runs one round after the other; at the end both finish the round they are in. */
async function play(deployments: Deployments, course: readonly Turn[]): Promise<void> {
  const rounds = new Interleaving({ sandbox: deployments.sandbox, tick: (options) => deployments.round(options) });
  const names = ['', ''];
  let started = 0;
  const step = async (process: number, fate: Fate) => {
    const name = names[process] ?? '';
    if (name !== '' && (await rounds.step(name, fate)) !== undefined) return;
    started += 1;
    names[process] = `round ${started}`;
    rounds.start(`round ${started}`);
  };
  for (const { process, requests, fate, seconds } of course) {
    for (let count = 1; count < requests; count += 1) await step(process, 'answered');
    await step(process, fate);
    deployments.sandbox.clock.advance(seconds);
  }
  for (const name of names) if (name !== '') await rounds.finish(name);
}
