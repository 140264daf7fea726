import { describe, expect, it } from 'vitest';
import { setCondition } from '../../shared/scaling/conditions.ts';
import { aCondition, NOW, seconds } from '../support/builders.ts';

describe('setCondition', () => {
  const earlier = NOW - seconds(600);
  const update = { type: 'ScalingActive', status: 'False', reason: 'InvalidSelector', message: 'no selector' } as const;

  it('appends a condition that was not there, changed now', () => {
    const before = [aCondition({ type: 'AbleToScale' })];

    const after = setCondition(before, update, NOW);

    expect(after).toEqual([...before, { ...update, lastTransitionTime: NOW }]);
  });

  it('moves lastTransitionTime when the status changes', () => {
    const before = [aCondition({ type: 'ScalingActive', status: 'True', lastTransitionTime: earlier })];

    const [condition] = setCondition(before, update, NOW);

    expect(condition).toEqual({ ...update, lastTransitionTime: NOW });
  });

  it('keeps lastTransitionTime when reason and message alone change', () => {
    const before = [
      aCondition({ type: 'ScalingActive', status: 'False', reason: 'ScalingDisabled', lastTransitionTime: earlier }),
    ];

    const [condition] = setCondition(before, update, NOW);

    expect(condition).toEqual({ ...update, lastTransitionTime: earlier });
  });

  it('keeps the order of first insertion', () => {
    const before = [
      aCondition({ type: 'AbleToScale' }),
      aCondition({ type: 'ScalingActive' }),
      aCondition({ type: 'X' }),
    ];

    const after = setCondition(before, update, NOW);

    expect(after.map(({ type }) => type)).toEqual(['AbleToScale', 'ScalingActive', 'X']);
  });

  it('leaves the given list as it was', () => {
    const before = Object.freeze([Object.freeze(aCondition({ type: 'ScalingActive' }))]);

    setCondition(before, update, NOW);

    expect(before).toEqual([aCondition({ type: 'ScalingActive' })]);
  });
});
