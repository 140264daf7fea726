import { describe, expect, it } from 'vitest';
import { limitSize, stabilize } from '../../shared/scaling/limit.ts';
import type { Recommendation } from '../../shared/scaling/types.ts';
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
