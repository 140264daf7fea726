import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectiveParallelism, planSeed, taskManagersFor } from '../../shared/deployment/parallelism.ts';

describe('taskManagersFor', () => {
  it.each`
    parallelism | taskSlots | expected
    ${1}        | ${16}     | ${1}
    ${3}        | ${2}      | ${2}
    ${4}        | ${2}      | ${2}
    ${5}        | ${2}      | ${3}
    ${0}        | ${2}      | ${0}
  `(
    'needs $expected for parallelism $parallelism with $taskSlots slots each',
    ({ parallelism, taskSlots, expected }) => {
      expect(taskManagersFor({ parallelism, taskSlots })).toBe(expected);
    },
  );
});

describe('effectiveParallelism', () => {
  it('is as written while nobody has set a size', () => {
    expect(effectiveParallelism({ parallelism: 3, taskSlots: 2 })).toBe(3);
  });

  it('is as written while the size is what was derived from it', () => {
    expect(effectiveParallelism({ parallelism: 3, taskSlots: 2, replicas: 2 })).toBe(3);
  });

  it.each`
    replicas | expected
    ${1}     | ${2}
    ${4}     | ${8}
    ${0}     | ${0}
  `('uses every slot of $replicas TaskManagers once somebody has scaled: $expected', ({ replicas, expected }) => {
    expect(effectiveParallelism({ parallelism: 3, taskSlots: 2, replicas })).toBe(expected);
  });

  it('never needs more slots than the TaskManagers have', () => {
    const count = fc.integer({ min: 1, max: 1000 });
    fc.assert(
      fc.property(count, count, count, (parallelism, taskSlots, replicas) => {
        expect(effectiveParallelism({ parallelism, taskSlots, replicas })).toBeLessThanOrEqual(replicas * taskSlots);
      }),
    );
  });
});

describe('planSeed', () => {
  const basis = { parallelism: 3, taskSlots: 2 };

  it('derives a size where nobody has set one', () => {
    expect(planSeed(basis, undefined)).toEqual({ kind: 'first', replicas: 2 });
  });

  it('derives the size again where it is lost before any was recorded, though its basis is known', () => {
    expect(planSeed(basis, basis)).toEqual({ kind: 'first', replicas: 2 });
  });

  it('restores the last size where somebody took it away', () => {
    expect(planSeed(basis, basis, 7)).toEqual({ kind: 'restored', replicas: 7 });
  });

  it('derives the size anew where an edit comes with a manifest that has none', () => {
    expect(planSeed({ parallelism: 8, taskSlots: 2 }, basis, 7)).toEqual({ kind: 'edited', replicas: 4 });
  });

  it('has nothing to do while the basis is what the user wrote', () => {
    expect(planSeed({ ...basis, replicas: 2 }, basis)).toBeUndefined();
    expect(planSeed({ ...basis, replicas: 7 }, basis)).toBeUndefined();
  });

  it.each([
    ['parallelism', { parallelism: 8, taskSlots: 2 }, 4],
    ['taskSlots', { parallelism: 3, taskSlots: 1 }, 3],
  ])('derives the size anew when the user edits %s', (_, edited, replicas) => {
    expect(planSeed({ ...edited, replicas: 5 }, basis)).toEqual({ kind: 'edited', replicas });
  });

  it('adopts a size of unknown origin as it is', () => {
    expect(planSeed({ ...basis, replicas: 7 }, undefined)).toEqual({ kind: 'adopted' });
  });
});
