// SQS delivers at least once, and a slow tick may still run when the next one begins. Whatever the order of their requests, a
// step is made once, is remembered once, and whoever else wrote in between has won.

import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { SandboxRequest } from '../../infra/sandbox/exchange.ts';
import type { TickReport } from '../../shared/controllers/scale.ts';
import { type Fate, Interleaving } from '../support/interleaving.ts';
import { aShard, type Shard, TICK_SECONDS } from '../support/sandbox.ts';

let shard: Shard;
afterEach(() => shard.close());

const outcomes = ({ autoscalers }: TickReport) => autoscalers.map(({ outcome }) => outcome);

/** Does something in the middle of the tick named first, just before its request of that number (from 0) takes effect. */
function interrupt(number: number, interruption: () => Promise<unknown> | unknown): { wasReached: boolean } {
  const progress = { wasReached: false };
  let count = 0;
  shard.sandbox.hooks.before(async ({ headers }: SandboxRequest) => {
    if (headers['x-tick'] !== 'first') return;
    count += 1;
    if (count !== number + 1) return;
    progress.wasReached = true;
    await interruption();
  });
  return progress;
}

/** What our own rescales have added up to, one whose event is still to be written included. */
function rescaledBy(): number {
  const { scaleEvents = [], pendingRescale } = shard.status();
  const size = shard.size() ?? 0;
  const pending = pendingRescale === undefined ? 0 : size - pendingRescale.from;
  return scaleEvents.reduce((sum, { change }) => sum + change, 0) + pending;
}

const LISTS = 5;
/** The lists, the status, the scale, the Event. */
const REQUESTS_OF_A_RESCALE = LISTS + 3;
const boundaries = Array.from({ length: REQUESTS_OF_A_RESCALE }, (_, index) => index);

describe('two overlapping ticks', () => {
  it('are interleaved at every request', async () => {
    shard = await aShard();

    await shard.tick();

    expect(shard.sandbox.requests).toHaveLength(REQUESTS_OF_A_RESCALE);
  });

  it.each(boundaries)('grow once: the same tick again before request %i', async (boundary) => {
    shard = await aShard();
    const sizes = shard.watchSize();
    const progress = interrupt(boundary, () => shard.tick({ id: 'second' }));

    const report = await shard.tick({ id: 'first' });
    shard.passPeriod();
    await shard.ticks(3);

    expect(progress.wasReached).toBe(true);
    expect(report.autoscalers[0]?.outcome).toMatch(/^(unchanged|recorded|rescaled|conflict)$/);
    expect(sizes).toEqual([2, 4]);
    expect(shard.status().scaleEvents).toMatchObject([{ change: 2 }]);
    expect(shard.status().pendingRescale).toBeUndefined();
    expect(shard.events()).toEqual(['Normal SuccessfulRescale']);
  });

  it.each(boundaries)('grow once: the next tick, with a lower load, before request %i', async (boundary) => {
    shard = await aShard();
    const sizes = shard.watchSize();
    const progress = interrupt(boundary, async () => {
      shard.setLoad(60);
      shard.passPeriod();
      await shard.tick({ id: 'second' });
    });

    await shard.tick({ id: 'first' });
    shard.passPeriod();
    await shard.ticks(3);

    expect(progress.wasReached).toBe(true);
    expect([
      [2, 4],
      [2, 3],
    ]).toContainEqual(sizes);
    expect(rescaledBy()).toBe((shard.size() ?? 0) - 2);
    expect(shard.status().scaleEvents).toHaveLength(1);
  });

  it.each(boundaries)('shrink once: the same tick again before request %i', async (boundary) => {
    shard = await aShard({
      taskManagers: 4,
      usagePercent: 20,
      spec: { controller: { downscaleStabilizationSeconds: 0 } },
    });
    const sizes = shard.watchSize();
    const progress = interrupt(boundary, () => shard.tick({ id: 'second' }));

    await shard.tick({ id: 'first' });
    shard.passPeriod();
    await shard.ticks(3);

    expect(progress.wasReached).toBe(true);
    expect(sizes).toEqual([4, 2]);
    expect(shard.status().scaleEvents).toMatchObject([{ change: -2 }]);
  });

  it.each(boundaries)(
    'grow no faster than one tick may: ten times the load, the same tick again before request %i',
    async (boundary) => {
      shard = await aShard({ usagePercent: 400 });
      const progress = interrupt(boundary, () => shard.tick({ id: 'second' }));

      await shard.tick({ id: 'first' });

      expect(progress.wasReached).toBe(true);
      expect(shard.size()).toBe(4);
    },
  );

  it.each(boundaries)(
    'give an application its first size once: the same tick again before request %i',
    async (boundary) => {
      shard = await aShard({ isSeeded: false, usagePercent: 40 });
      const sizes = shard.watchSize();
      const progress = interrupt(boundary, () => shard.tick({ id: 'second' }));

      await shard.tick({ id: 'first' });
      shard.passPeriod();
      await shard.ticks(2);

      expect(progress.wasReached).toBe(true);
      expect(sizes).toEqual([undefined, 2]);
      expect(shard.get('FlinkApplication', 'orders').status?.scaleBasis).toEqual({ parallelism: 4, taskSlots: 2 });
    },
  );

  it('end in a conflict for the one that wrote second', async () => {
    shard = await aShard();
    const ticks = new Interleaving(shard);
    ticks.start('first');
    ticks.start('second');
    for (let list = 0; list < LISTS; list += 1) await ticks.step('second');
    while (!(await ticks.step('first'))?.startsWith('PATCH'));

    const second = await ticks.finish('second');
    const first = await ticks.finish('first');

    expect(outcomes(second as TickReport)).toEqual(['conflict']);
    expect(outcomes(first as TickReport)).toEqual(['rescaled']);
  });

  // Were it the other way round, a tick could hold an old size against a memory in which the step from it is done already, and
  // would write the same step down again.
  it('never know less of a target than of what was done to it: autoscalers are read before everything else', async () => {
    shard = await aShard();
    const { hooks, requests } = shard.sandbox;
    const answeredBefore: number[] = [];
    hooks.before(async ({ path }) => {
      answeredBefore.push(requests.length);
      // Long enough for whatever is asked at the same time to arrive.
      if (path.includes('flinkautoscalers')) for (let turn = 0; turn < 50; turn += 1) await setImmediate();
    });

    await shard.tick();

    expect(requests[0]?.path).toContain('flinkautoscalers');
    expect(Math.min(...answeredBefore.slice(1))).toBe(1);
  });
});

describe('somebody else who writes between our reading and our writing', () => {
  const beforeTheScaleIsWritten = 6;

  it('has won: kubectl scale', async () => {
    shard = await aShard();
    const sizes = shard.watchSize();
    interrupt(beforeTheScaleIsWritten, () => resize(7));

    const report = await shard.tick({ id: 'first' });

    expect(outcomes(report)).toEqual(['conflict']);
    expect(sizes).toEqual([2, 7]);
  });

  it('has won: an edit of the application, which the next tick follows', async () => {
    shard = await aShard();
    const sizes = shard.watchSize();
    interrupt(beforeTheScaleIsWritten, () =>
      shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism: 10 } })),
    );

    const report = await shard.tick({ id: 'first' });
    const sizesThen = [...sizes];
    shard.passPeriod();
    await shard.tick();

    expect(outcomes(report)).toEqual(['conflict']);
    expect(sizesThen).toEqual([2]);
    expect(sizes.slice(0, 2)).toEqual([2, 5]);
    expect(shard.get('FlinkApplication', 'orders').spec?.parallelism).toBe(10);
  });

  it('has won: an edit of the autoscaler, by which nothing is scaled any more', async () => {
    shard = await aShard();
    const beforeTheStatusIsWritten = 5;
    interrupt(beforeTheStatusIsWritten, () =>
      shard.change('FlinkAutoscaler', 'orders', ({ spec }) => ({ spec: { ...spec, mode: 'Off' } })),
    );

    const report = await shard.tick({ id: 'first' });

    expect(outcomes(report)).toEqual(['conflict']);
    expect(shard.scaleWrites).toEqual([]);
  });

  it('has won: a second edit of parallelism, while the first is being followed', async () => {
    shard = await aShard({ usagePercent: 40 });
    const edit = (parallelism: number) =>
      shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism } }));
    edit(6);
    const beforeTheBasisIsWritten = 6;
    interrupt(beforeTheBasisIsWritten, () => edit(8));

    const report = await shard.tick({ id: 'first' });
    shard.passPeriod();
    await shard.tick();

    expect(outcomes(report)).toEqual(['conflict']);
    expect(shard.size()).toBe(4);
    expect(shard.get('FlinkApplication', 'orders').status?.scaleBasis).toEqual({ parallelism: 8, taskSlots: 2 });
  });
});

function resize(replicas: number): void {
  shard.change('FlinkApplication', 'orders', ({ spec }) => ({
    spec: { ...spec, taskManagerConfig: { ...(spec?.taskManagerConfig as object), replicas } },
  }));
}

/** Some ticks, each with its load, in an order of single requests; each may be killed at one of them. */
interface Course {
  readonly ticks: readonly {
    readonly usagePercent: number;
    readonly kill: { readonly request: number; readonly fate: Fate } | undefined;
  }[];
  readonly order: readonly number[];
}

const courses: fc.Arbitrary<Course> = fc.record({
  ticks: fc.array(
    fc.record({
      usagePercent: fc.constantFrom(20, 40, 60, 80, 120, 400),
      kill: fc.option(
        fc.record({
          request: fc.nat(REQUESTS_OF_A_RESCALE - 1),
          fate: fc.constantFrom<Fate>('killed before', 'killed after'),
        }),
        { nil: undefined },
      ),
    }),
    { minLength: 2, maxLength: 3 },
  ),
  order: fc.array(fc.nat(2), { maxLength: 40 }),
});

/** Plays a course: a tick begins with its first turn, and the clock and the load are the newest tick's; at the end all are finished. */
async function play({ ticks, order }: Course): Promise<void> {
  const interleaving = new Interleaving(shard);
  const counts = new Map<number, number>();
  const turn = async (index: number): Promise<boolean> => {
    const { usagePercent, kill } = ticks[index] as Course['ticks'][number];
    const count = counts.get(index) ?? 0;
    if (count === 0) {
      if (counts.size > 0) shard.sandbox.clock.advance(TICK_SECONDS / 2);
      shard.setLoad(usagePercent);
      interleaving.start(String(index));
    }
    counts.set(index, count + 1);
    const fate = kill?.request === count ? kill.fate : 'answered';
    return (await interleaving.step(String(index), fate)) !== undefined;
  };
  for (const choice of order) await turn(choice % ticks.length);
  for (const index of ticks.keys()) while (await turn(index));
}

it('adds up: whatever the order of overlapping ticks and wherever they are killed, events are what was done', async () => {
  await fc.assert(
    fc.asyncProperty(courses, fc.boolean(), async (course, isSeeded) => {
      shard = await aShard({ isSeeded, spec: { controller: { downscaleStabilizationSeconds: 0 } } });
      const sizes = shard.watchSize();

      await play(course);
      const reports = await shard.ticks(4);
      const steps = sizes.map((size = 2, index) => [sizes[index - 1] ?? 2, size] as const);

      await shard.close();
      expect(reports.flatMap(outcomes)).not.toContain('failed');
      expect(rescaledBy()).toBe((shard.size() ?? 0) - 2);
      for (const [from, to] of steps) expect(to).toBeLessThanOrEqual(Math.max(2 * from, 4));
    }),
    { numRuns: 40 },
  );
}, 60_000);
