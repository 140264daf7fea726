import { describe, expect, it } from 'vitest';
import { loadAt } from '../../../infra/sandbox/load.ts';
import {
  effectiveParallelism,
  type JobInput,
  type JobSettings,
  nextChangeTime,
  operatorStatus,
  phaseOf,
  startJob,
  stepJob,
} from '../../../infra/sandbox/simulate.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => start + seconds * 1000;
const longAgo = start - 3_600_000;
const settings: JobSettings = {
  load: [{ time: start, loadMilli: 1600 }],
  startSeconds: 10,
  podNamePrefix: 'orders-tm',
};
const two: JobInput = { parallelism: 4, taskSlots: 2, replicas: undefined };
const four: JobInput = { ...two, replicas: 4 };

describe('the simulated job', () => {
  it('has as many TaskManagers as its parallelism needs while nobody says replicas', () => {
    const odd = startJob(settings, { parallelism: 5, taskSlots: 2, replicas: undefined }, longAgo, start);

    expect(odd.taskManagers).toHaveLength(3);
  });

  it('shares its load evenly among the TaskManagers that are ready', () => {
    const { taskManagers, sample } = startJob(settings, two, longAgo, start);

    expect(sample.time).toBe(start);
    expect(taskManagers.map(({ podName }) => sample.usageNano[podName])).toEqual([800_000_000, 800_000_000]);
  });

  it('uses no more than its limit', () => {
    const { sample } = startJob({ ...settings, cpuLimitMilli: 500 }, two, longAgo, start);

    expect(Object.values(sample.usageNano)).toEqual([500_000_000, 500_000_000]);
  });

  it('grows by TaskManagers that take their time to start', () => {
    const grown = stepJob(startJob(settings, two, longAgo, start), four, at(1));
    const phases = [1, 6, 11].map((second) => grown.taskManagers.map((one) => phaseOf(one, settings, at(second))));

    expect(phases).toEqual([
      ['Ready', 'Ready', 'Pending', 'Pending'],
      ['Ready', 'Ready', 'Starting', 'Starting'],
      ['Ready', 'Ready', 'Ready', 'Ready'],
    ]);
    expect(nextChangeTime(grown, at(1))).toBe(at(6));
  });

  it('is measured every 15 s, with the TaskManagers there were then', () => {
    const before = startJob(settings, two, longAgo, start);
    const grown = stepJob(before, four, at(8));
    const measured = stepJob(grown, four, at(16));

    expect(grown.sample).toBe(before.sample);
    expect(measured.sample.time).toBe(at(15));
    // Created at 8 s: running since 13 s, ready from 18 s on. The load is still on the first two.
    expect(Object.values(measured.sample.usageNano)).toEqual([800_000_000, 800_000_000, 20_000_000, 20_000_000]);
    expect(Object.values(stepJob(measured, four, at(30)).sample.usageNano)).toEqual(Array(4).fill(400_000_000));
  });

  it('shrinks by its youngest TaskManagers, and never uses a name twice', () => {
    const grown = stepJob(startJob(settings, two, longAgo, start), four, at(1));
    const shrunk = stepJob(grown, two, at(2));
    const again = stepJob(shrunk, four, at(3));

    expect(shrunk.taskManagers).toEqual(grown.taskManagers.slice(0, 2));
    expect(new Set([...grown.taskManagers, ...again.taskManagers].map(({ podName }) => podName)).size).toBe(6);
  });

  it('is the same for the same inputs', () => {
    const run = () => stepJob(startJob(settings, two, longAgo, start), four, at(20));

    expect(run()).toEqual(run());
  });

  it.each([
    [4, 2, undefined, 4],
    [5, 2, 3, 5],
    [4, 2, 4, 8],
    [4, 2, 0, 0],
  ])('with parallelism %i, %i slots and %s replicas runs at %i', (parallelism, taskSlots, replicas, expected) => {
    expect(effectiveParallelism({ parallelism, taskSlots, replicas })).toBe(expected);
  });

  it('counts in its status only TaskManagers that are ready', () => {
    const grown = stepJob(startJob(settings, two, longAgo, start), four, at(1));

    expect(operatorStatus(grown, four, at(1))).toMatchObject({
      clusterStatus: { numberOfTaskManagers: 2, health: 'Yellow' },
      jobStatus: { parallelism: 8 },
    });
  });
});

describe('the load', () => {
  const points = [
    { time: at(0), loadMilli: 800 },
    { time: at(60), loadMilli: 1600 },
    { time: at(60), loadMilli: 400 },
  ];

  it.each([
    [-5, 800],
    [0, 800],
    [30, 1200],
    [60, 400],
    [90, 400],
  ])('at %i s is %i milli-cores', (second, expected) => {
    expect(loadAt(points, at(second))).toBe(expected);
  });
});
