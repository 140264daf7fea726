import { describe, expect, it } from 'vitest';
import { limitSize, stabilize } from '../../shared/scaling/limit.ts';
import type { Recommendation, ScaleEvent, ScalingPolicy, ScalingRules } from '../../shared/scaling/types.ts';
import { anAutoscalerSpec, NOW, seconds } from '../support/builders.ts';

describe('limitSize', () => {
  it.each`
    replicas | current | min  | max    | expected | reason
    ${3}     | ${2}    | ${1} | ${10}  | ${3}     | ${'DesiredWithinRange'}
    ${1}     | ${3}    | ${2} | ${10}  | ${2}     | ${'TooFewReplicas'}
    ${0}     | ${3}    | ${1} | ${10}  | ${1}     | ${'TooFewReplicas'}
    ${12}    | ${8}    | ${1} | ${10}  | ${10}    | ${'TooManyReplicas'}
    ${9}     | ${1}    | ${1} | ${10}  | ${4}     | ${'ScaleUpLimit'}
    ${9}     | ${2}    | ${1} | ${10}  | ${4}     | ${'ScaleUpLimit'}
    ${9}     | ${3}    | ${1} | ${10}  | ${6}     | ${'ScaleUpLimit'}
    ${4}     | ${1}    | ${1} | ${10}  | ${4}     | ${'DesiredWithinRange'}
    ${100}   | ${5}    | ${1} | ${10}  | ${10}    | ${'TooManyReplicas'}
    ${100}   | ${50}   | ${1} | ${100} | ${100}   | ${'DesiredWithinRange'}
    ${10}    | ${10}   | ${1} | ${10}  | ${10}    | ${'DesiredWithinRange'}
    ${1}     | ${10}   | ${1} | ${10}  | ${1}     | ${'DesiredWithinRange'}
  `(
    'bounds $replicas, from $current, by $min to $max: $expected, $reason',
    ({ replicas, current, min, max, expected, reason }) => {
      const spec = anAutoscalerSpec({ minReplicas: min, maxReplicas: max });

      const limit = limitSize({ spec, replicas, currentReplicas: current, scaleEvents: [], now: NOW });

      expect(limit).toMatchObject({ replicas: expected, reason });
    },
  );
});

describe('limitSize by policies', () => {
  const pods = (value: number, periodSeconds = 60): ScalingPolicy => ({ type: 'Pods', value, periodSeconds });
  const percent = (value: number, periodSeconds = 60): ScalingPolicy => ({ type: 'Percent', value, periodSeconds });

  interface Row {
    readonly name: string;
    readonly policies: readonly ScalingPolicy[];
    readonly selectPolicy?: ScalingRules['selectPolicy'];
    readonly scaleEvents?: readonly ScaleEvent[];
    readonly current: number;
    readonly replicas: number;
    readonly expected: number;
    readonly reason: string;
  }

  const changed = (change: number, age: number) => [{ change, time: NOW - age }];
  const rows: Row[] = [
    { name: 'pods up', policies: [pods(4)], current: 10, replicas: 50, expected: 14, reason: 'ScaleUpLimit' },
    {
      name: 'exactly so many',
      policies: [pods(4)],
      current: 10,
      replicas: 14,
      expected: 14,
      reason: 'DesiredWithinRange',
    },
    {
      name: 'percent up, rounded up',
      policies: [percent(15)],
      current: 10,
      replicas: 50,
      expected: 12,
      reason: 'ScaleUpLimit',
    },
    { name: 'pods down', policies: [pods(4)], current: 10, replicas: 2, expected: 6, reason: 'ScaleDownLimit' },
    {
      name: 'percent down, truncated',
      policies: [percent(15)],
      current: 10,
      replicas: 2,
      expected: 8,
      reason: 'ScaleDownLimit',
    },
    {
      name: 'more than everything down',
      policies: [percent(200)],
      current: 10,
      replicas: 0,
      expected: 1,
      reason: 'TooFewReplicas',
    },
    {
      name: 'the most up by default',
      policies: [pods(1), percent(50)],
      current: 10,
      replicas: 50,
      expected: 15,
      reason: 'ScaleUpLimit',
    },
    {
      name: 'the least up',
      policies: [pods(1), percent(50)],
      selectPolicy: 'Min',
      current: 10,
      replicas: 50,
      expected: 11,
      reason: 'ScaleUpLimit',
    },
    {
      name: 'the most down by default',
      policies: [pods(1), percent(50)],
      current: 10,
      replicas: 2,
      expected: 5,
      reason: 'ScaleDownLimit',
    },
    {
      name: 'the least down',
      policies: [pods(1), percent(50)],
      selectPolicy: 'Min',
      current: 10,
      replicas: 2,
      expected: 9,
      reason: 'ScaleDownLimit',
    },
    {
      name: 'nothing up',
      policies: [pods(1)],
      selectPolicy: 'Disabled',
      current: 10,
      replicas: 50,
      expected: 10,
      reason: 'ScaleUpLimit',
    },
    {
      name: 'nothing down',
      policies: [pods(1)],
      selectPolicy: 'Disabled',
      current: 10,
      replicas: 2,
      expected: 10,
      reason: 'ScaleDownLimit',
    },
    {
      name: 'what the period has left',
      policies: [pods(4)],
      scaleEvents: changed(3, 59_999),
      current: 10,
      replicas: 50,
      expected: 11,
      reason: 'ScaleUpLimit',
    },
    {
      name: 'all of it when the period is over',
      policies: [pods(4)],
      scaleEvents: changed(3, 60_000),
      current: 10,
      replicas: 50,
      expected: 14,
      reason: 'ScaleUpLimit',
    },
    {
      name: 'no step back when too much was added',
      policies: [pods(4)],
      scaleEvents: changed(7, 0),
      current: 10,
      replicas: 50,
      expected: 10,
      reason: 'ScaleUpLimit',
    },
    {
      name: 'what is left downwards',
      policies: [pods(4)],
      scaleEvents: changed(-3, 0),
      current: 10,
      replicas: 2,
      expected: 9,
      reason: 'ScaleDownLimit',
    },
    {
      name: 'no step back when too much was removed',
      policies: [pods(4)],
      scaleEvents: changed(-7, 0),
      current: 10,
      replicas: 2,
      expected: 10,
      reason: 'ScaleDownLimit',
    },
    {
      name: 'no more than the maximum',
      policies: [pods(40)],
      current: 90,
      replicas: 200,
      expected: 100,
      reason: 'TooManyReplicas',
    },
    {
      name: 'the current size',
      policies: [pods(1)],
      current: 10,
      replicas: 10,
      expected: 10,
      reason: 'DesiredWithinRange',
    },
  ];

  it.each(rows)('allows $name', ({ policies, selectPolicy = 'Max', scaleEvents = [], current, replicas, ...row }) => {
    const rules = { policies, selectPolicy };
    const spec = anAutoscalerSpec({ maxReplicas: 100, behavior: { scaleUp: rules, scaleDown: rules } });

    const limit = limitSize({ spec, currentReplicas: current, replicas, scaleEvents, now: NOW });

    expect(limit).toMatchObject({ replicas: row.expected, reason: row.reason });
  });
});

describe('stabilize', () => {
  const spec = anAutoscalerSpec({ settings: { downscaleStabilizationSeconds: 300, syncPeriodSeconds: 15 } });
  const stabilized = (proposedReplicas: number, recommendations: readonly Recommendation[]) =>
    stabilize({ spec, currentReplicas: 4, proposedReplicas, recommendations, now: NOW }).replicas;
  const ended = (replicas: number, ageSeconds: number) => ({
    replicas,
    from: NOW - seconds(900),
    until: NOW - seconds(ageSeconds),
  });

  it('takes the proposal when nothing was ever recommended', () => {
    expect(stabilized(2, [])).toBe(2);
  });

  it('holds the largest size that was recommended within the window', () => {
    expect(stabilized(2, [ended(5, 120), ended(7, 60), ended(3, 15)])).toBe(7);
  });

  it('counts a recommendation that ended exactly a window ago', () => {
    expect(stabilized(2, [ended(5, 300)])).toBe(5);
  });

  it('forgets a recommendation that ended before the window', () => {
    expect(stabilized(2, [ended(5, 301)])).toBe(2);
  });

  it('counts a recommendation that still holds, however long ago it began', () => {
    expect(stabilized(2, [{ replicas: 5, from: NOW - seconds(86_400) }])).toBe(5);
  });

  it('never holds growth back', () => {
    expect(stabilized(9, [ended(5, 60)])).toBe(9);
  });
});

describe('stabilize with behavior', () => {
  const rules = { selectPolicy: 'Max', policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }] } as const;
  const stabilized = (
    proposedReplicas: number,
    recommendations: readonly Recommendation[],
    windows: { readonly up?: number; readonly down?: number } = {},
  ) => {
    const { up, down } = windows;
    const behavior = {
      scaleUp: { ...rules, ...(up !== undefined && { stabilizationWindowSeconds: up }) },
      scaleDown: { ...rules, ...(down !== undefined && { stabilizationWindowSeconds: down }) },
    };
    const spec = anAutoscalerSpec({ behavior, settings: { downscaleStabilizationSeconds: 300 } });
    return stabilize({ spec, currentReplicas: 4, proposedReplicas, recommendations, now: NOW });
  };
  const at = (replicas: number, age: number) => ({ replicas, from: NOW - age, until: NOW - age });

  it('grows no further than the smallest size that was recommended within its window', () => {
    expect(stabilized(9, [at(6, seconds(30)), at(7, seconds(15))], { up: 60 })).toMatchObject({
      replicas: 6,
      reason: 'ScaleUpStabilized',
      message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
    });
  });

  it('keeps the size where less was recommended', () => {
    expect(stabilized(9, [at(2, seconds(30))], { up: 60 }).replicas).toBe(4);
  });

  it('shrinks no further than the largest size that was recommended within its window', () => {
    expect(stabilized(1, [at(2, seconds(30)), at(3, seconds(15))], { down: 60 })).toMatchObject({
      replicas: 3,
      reason: 'ScaleDownStabilized',
      message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
    });
  });

  it('grows at once without a window of its own', () => {
    expect(stabilized(9, [at(4, 1)])).toMatchObject({ replicas: 9, reason: 'ReadyForNewScale' });
  });

  it('shrinks by the window of the settings without one of its own', () => {
    expect(stabilized(1, [at(3, seconds(299))]).replicas).toBe(3);
    expect(stabilized(1, [at(3, seconds(299))], { down: 0 }).replicas).toBe(1);
  });

  it('forgets a recommendation that ended exactly a window ago', () => {
    expect(stabilized(1, [at(3, seconds(60))], { down: 60 }).replicas).toBe(1);
    expect(stabilized(1, [at(3, seconds(60) - 1)], { down: 60 }).replicas).toBe(3);
  });
});
