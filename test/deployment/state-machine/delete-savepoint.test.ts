// A job ends in the same moment in which its last savepoint is complete: the savepoint is told all the same, since it is all that is left.
import { expect, it } from 'vitest';
import { atRest, effectsOf, inSeconds, OLD_JOB, oldJob, reasonsOf, SAVEPOINT, TRIGGER } from '../scenes.ts';

const deleting = {
  application: { isDeleting: true },
  status: { phase: 'Deleting', savepointTriggerId: TRIGGER, deletion: { deadline: inSeconds(900), attempts: 0 } },
};

it('tells the savepoint of a job that has ended with it, before the application goes', () => {
  const old = oldJob({ state: 'CANCELED', savepoint: { state: 'Completed', location: SAVEPOINT } });

  const told = atRest({ ...deleting, old });
  const gone = atRest({ ...deleting, status: { ...deleting.status, savepointPath: SAVEPOINT }, old });

  expect(told.status.savepointPath).toBe(SAVEPOINT);
  expect(told.effects).toEqual([]);
  expect(told.events).toMatchObject([
    { reason: 'CanceledJob', message: `Ended job ${OLD_JOB} with savepoint ${SAVEPOINT}` },
  ]);
  expect(gone.effects).toEqual([{ kind: 'RemoveFinalizer' }]);
  expect(reasonsOf(gone)).toEqual([]);
});

it('waits for the word on a savepoint whose job has ended', () => {
  const next = atRest({ ...deleting, old: oldJob({ state: 'CANCELED', savepoint: { state: 'InProgress' } }) });

  expect(next).toMatchObject({ status: { phase: 'Deleting' }, effects: [] });
});

it('does not try to save a batch job, of which Flink takes no savepoint, and says so', () => {
  const next = atRest({ ...deleting, old: oldJob({ isBatch: true }) });

  expect(next.effects).toEqual([{ kind: 'RemoveFinalizer' }]);
  expect(next.events).toMatchObject([
    {
      reason: 'DeletedWithoutSavepoint',
      message: `Job ${OLD_JOB} was deleted without a savepoint: Flink takes none of a job in BATCH mode; no checkpoint of it is known`,
    },
  ]);
});

it('lets an application go whose job ended by itself', () => {
  const next = atRest({ ...deleting, old: oldJob({ state: 'FINISHED' }) });

  expect(effectsOf(next, 'RemoveFinalizer')).toHaveLength(1);
  expect(next.status.savepointPath).toBeUndefined();
});
