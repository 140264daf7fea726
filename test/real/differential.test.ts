// The same autoscalers before kube-controller-manager and before Headrace, on one API server, tick by tick: sizes, conditions and readings are
// the same, but for what docs/differences-from-hpa.md names.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { type Side, sidesOf } from './differential/compare.ts';
import { type KnownDifference, knownDifferences, sharers } from './differential/known.ts';
import { type Case, planWave, tickSeconds, ticksPerCase } from './differential/plan.ts';
import { type Outcome, type Stage, setStage } from './differential/stage.ts';
import { Tally } from './differential/tally.ts';

const seed = Number(process.env.HEADRACE_DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31);

/** So many at once are decided well within a tick's time on two cores. */
const casesPerWave = 175;
const casesToFollow = 500;
/** On a machine that is busy with other things, some cases cannot be followed to the end, and others take their place. */
const mostWaves = 6;

let stage: Stage;

/** Decided in the first wave beside the others, and looked at in the end alone. */
const special = [...knownDifferences.map(({ planned }) => planned), ...sharers];

/** What both have made of the first wave in the end. */
let lastOutcome: Outcome;

beforeAll(async () => {
  stage = await setStage(await sharedControlPlane());
});

afterAll(() => stage?.close());

it('decides as the HPA controller does', { timeout: 600_000 }, async () => {
  const tally = new Tally();

  lastOutcome = await play([...planWave(seed, 0, casesPerWave), ...special], tally);
  for (let wave = 1; wave < mostWaves && tally.followed < casesToFollow; wave += 1)
    await play(planWave(seed, wave, casesPerWave), tally);

  console.log(`HEADRACE_DIFFERENTIAL_SEED=${seed}\n${tally.describe()}`);
  expect(tally.differences).toEqual([]);
  expect(tally.followed).toBeGreaterThanOrEqual(casesToFollow);
});

it.each(knownDifferences)('differs on purpose: $entry', ({ planned, sight, hpa, headrace }) => {
  const sides = sidesOf(planned.name, lastOutcome);

  expect({ hpa: look(sides.hpa, sight), headrace: look(sides.headrace, sight) }).toEqual({ hpa, headrace });
});

it.each(sharers)('stands still as the HPA controller does: $name pods', ({ name }) => {
  const { hpa, headrace } = sidesOf(name, lastOutcome);

  expect([hpa, headrace].map((side) => look(side, 'ScalingActive'))).toEqual(Array(2).fill('False/AmbiguousSelector'));
});

function look({ size, metrics, conditions }: Side, sight: KnownDifference['sight']): string | number | undefined {
  if (sight === 'size') return size;
  if (sight === 'reading') return /"averageValue":"(.*?)"/.exec(metrics[0] ?? '')?.[1];
  return conditions.find((condition) => condition.startsWith(sight))?.split('=')[1];
}

/** Lets both decide, tick after tick, and returns what they have made of it in the end. */
async function play(cases: readonly Case[], tally: Tally): Promise<Outcome> {
  await stage.put(cases);
  const startTime = Date.now();
  for (let tick = 0; ; tick += 1) {
    await delay(Math.max(0, startTime + tick * tickSeconds * 1000 - Date.now()));
    const outcome = await stage.tick(tick);
    for (const planned of cases) if (!special.includes(planned)) tally.add(planned, tick, outcome);
    if (tick === ticksPerCase - 1) return outcome;
  }
}
