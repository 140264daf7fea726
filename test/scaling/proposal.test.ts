import { describe, expect, it } from 'vitest';
import { describeTolerance, isWithin, toReplicas } from '../../shared/scaling/proposal.ts';

describe('isWithin', () => {
  it.each`
    ratio     | scaleDown | scaleUp | expected
    ${1}      | ${0}      | ${0}    | ${true}
    ${0.9}    | ${0.1}    | ${0}    | ${true}
    ${0.8999} | ${0.1}    | ${0}    | ${false}
    ${1.1}    | ${0}      | ${0.1}  | ${true}
    ${1.1001} | ${0}      | ${0.1}  | ${false}
    ${0.9999} | ${0}      | ${0.1}  | ${false}
    ${1.0001} | ${0.1}    | ${0}    | ${false}
    ${0}      | ${1}      | ${0}    | ${true}
  `('says $expected of $ratio, $scaleDown down and $scaleUp up', ({ ratio, scaleDown, scaleUp, expected }) => {
    expect(isWithin({ scaleUp, scaleDown }, ratio)).toBe(expected);
  });
});

describe('describeTolerance', () => {
  it.each`
    scaleUp      | scaleDown    | expected
    ${0.1}       | ${0.1}       | ${'within the tolerance of 10 %'}
    ${0}         | ${0}         | ${'within the tolerance of 0 %'}
    ${0.07}      | ${0.07}      | ${'within the tolerance of 7 %'}
    ${0.1}       | ${0.05}      | ${'within the tolerances of 10 % up and 5 % down'}
    ${0.1234567} | ${0.1234567} | ${'within the tolerance of 12.3457 %'}
  `('says "$expected"', ({ scaleUp, scaleDown, expected }) => {
    expect(describeTolerance({ scaleUp, scaleDown })).toBe(expected);
  });
});

describe('toReplicas', () => {
  it.each([
    [0, 0],
    [2, 2],
    [2.000_001, 3],
    [-1.5, -1],
    [2_147_483_646.5, 2_147_483_647],
    [2_147_483_648, 2_147_483_647],
    [Number.POSITIVE_INFINITY, 2_147_483_647],
  ])('makes %d replicas %d', (exact, replicas) => {
    expect(toReplicas(exact)).toBe(replicas);
  });
});
