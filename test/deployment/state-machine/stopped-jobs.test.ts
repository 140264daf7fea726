// A job that was stopped with a savepoint is FINISHED to Flink, as one that ended by itself is. The one has state that the next job
// needs, the other has none left: every phase has to tell them apart.

import { describe, expect, it } from 'vitest';
import type { JobView, Savepoint } from '../../../shared/deployment/types.ts';
import {
  aJob,
  aJobManager,
  aRevision,
  atRest,
  CHECKPOINT,
  completed,
  conditionOf,
  effectsOf,
  midway,
  NOW,
  newJob,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  type SceneParts,
  secondsAgo,
  TRIGGER,
} from '../scenes.ts';

const STOPPED = { state: 'FINISHED', checkpoints: { completed: 4, latestSavepoint: stopSavepoint(2) } };
/** Somebody took a savepoint of it before it ended by itself. */
const FINISHED = { state: 'FINISHED', checkpoints: { completed: 4, latestSavepoint: completed(SAVEPOINT, 20) } };

function stopSavepoint(ageSeconds: number) {
  return { ...completed(SAVEPOINT, ageSeconds), isFinal: true };
}

/** Its JobManager does not say yet what its last savepoint was. */
function unsettled(savepoint: Savepoint = { state: 'Unknown' }) {
  const view: JobView = { ...aJob({ state: 'FINISHED', savepoint }), checkpoints: { unreadable: 'it has just ended' } };
  return { jobManager: aJobManager({ jobs: { [OLD_JOB]: view } }) };
}

function saving({ status, ...parts }: SceneParts = {}) {
  return midway('Savepointing', { status: { savepointTriggerId: TRIGGER, ...status }, ...parts });
}

describe('ending the old job', () => {
  it.each([
    [{}, false],
    [{ drainOnStop: true }, true],
  ])('stops it with a savepoint: %o', (spec, drain) => {
    expect(saving({ spec }).effects).toEqual([
      { kind: 'StopJob', hash: OLD, jobId: OLD_JOB, triggerId: TRIGGER, drain },
    ]);
  });

  it.each([
    ['1.14.6', 'TriggerSavepoint'],
    ['1.15.0', 'StopJob'],
    ['2.3.0', 'StopJob'],
    ['unknown', 'StopJob'],
  ])('on Flink %s it is a %s', (flinkVersion, kind) => {
    const jobManager = aJobManager({ jobs: { [OLD_JOB]: aJob() } });
    const overview = { value: { taskManagers: 2, slotsTotal: 4, slotsAvailable: 0, flinkVersion } };

    const next = saving({ old: { jobManager: { ...jobManager, overview } } });

    expect(next.effects).toMatchObject([{ kind, triggerId: TRIGGER }]);
  });

  it('saves it and lets it run in BlueGreen', () => {
    const next = saving({ spec: { deploymentMode: 'BlueGreen' }, status: { deploymentMode: 'BlueGreen' } });

    expect(next.effects).toMatchObject([{ kind: 'TriggerSavepoint', cancelJob: false }]);
  });
});

describe('Savepointing', () => {
  it('goes on from the savepoint of a stop that its JobManager has forgotten', () => {
    const next = saving({ old: oldJob(STOPPED) });

    expect(next.status).toMatchObject({ phase: 'Savepointing', savepointPath: SAVEPOINT });
    expect(reasonsOf(next)).toEqual(['CanceledJob']);
  });

  it('goes on at once when the savepoint is known, though its job has just ended', () => {
    const next = midway('Savepointing', {
      status: { savepointTriggerId: TRIGGER, savepointPath: SAVEPOINT },
      old: unsettled({ state: 'Completed', location: SAVEPOINT }),
    });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: SAVEPOINT });
  });

  it.each<Savepoint>([{ state: 'InProgress' }, { state: 'Unknown' }, { state: 'Failed', cause: 'it has ended' }])(
    'waits for the word on a job that has just ended, with its savepoint %o',
    (savepoint) => {
      const next = saving({ old: unsettled(savepoint) });

      expect(next).toMatchObject({ status: { phase: 'Savepointing' }, effects: [], events: [] });
    },
  );

  it.each<Savepoint>([{ state: 'Unknown' }, { state: 'Failed', cause: 'it has ended' }])(
    'begins without state after a job that ended by itself, with its savepoint %o',
    (savepoint) => {
      const next = saving({ old: oldJob({ ...FINISHED, savepoint }) });

      expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: '' });
      expect(reasonsOf(next)).toEqual(['JobFinished']);
    },
  );

  it('looks for the savepoint of a job that somebody stopped before this deploy, however old', () => {
    const old = oldJob({ state: 'FINISHED', checkpoints: { completed: 4, latestSavepoint: stopSavepoint(600) } });

    const next = midway('Savepointing', { old });
    const then = midway('Recovering', { old });

    expect(next.status.phase).toBe('Recovering');
    expect(reasonsOf(next)).toEqual([]);
    expect(then.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: SAVEPOINT });
  });

  it('recovers from the savepoint of a job that failed while it stopped', () => {
    const failed = {
      state: 'FAILED',
      checkpoints: STOPPED.checkpoints,
      savepoint: { state: 'Failed', cause: 'x' },
    } as const;

    const next = saving({ old: oldJob(failed) });
    const then = midway('Recovering', { status: { savepointTriggerId: TRIGGER }, old: oldJob(failed) });

    expect(next.status.phase).toBe('Recovering');
    expect(then.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: SAVEPOINT });
  });
});

describe('Cancelling', () => {
  it('waits for the word on a job that has just ended: replicas alone start no finished job again', () => {
    const bigger = aRevision({ image: 'orders:1', taskManagerConfig: { replicas: 4 } });
    const cancelling = (parts: SceneParts) =>
      midway('Cancelling', {
        spec: { image: 'orders:1', savepointDisabled: true },
        rollout: { revision: bigger.name },
        seen: { revisions: [OLD_REVISION, bigger] },
        ...parts,
      });

    expect(cancelling({ old: unsettled() })).toMatchObject({ status: { phase: 'Cancelling' }, effects: [] });
    expect(reasonsOf(cancelling({ old: oldJob(FINISHED) }))).toContain('DeployWithdrawn');
  });
});

describe('a job that cannot be stopped', () => {
  const failed = (cause: string) => oldJob({ savepoint: { state: 'Failed', cause } });

  it.each([
    ['an operator fails when it is drained', { drainOnStop: true }, 'told to throw in finish'],
    ['a stop that hung has expired', {}, 'Checkpoint expired before completing.'],
  ])('is cancelled with a savepoint under another id: %s', (_, spec, cause) => {
    const next = saving({ spec, old: failed(cause) });
    const { savepointTriggerId = '', rollout } = next.status;
    const then = saving({ spec, status: { savepointTriggerId, ...(rollout && { rollout }) } });
    const waiting = saving({ spec, status: next.status });

    expect(next.status).toMatchObject({ phase: 'Savepointing', rollout: { cancelAttempts: 1 } });
    expect(savepointTriggerId).not.toBe(TRIGGER);
    expect(reasonsOf(next)).toEqual(['SavepointFailed']);
    expect(waiting.effects).toEqual([]);
    expect(then.effects).toEqual([
      { kind: 'TriggerSavepoint', hash: OLD, jobId: OLD_JOB, triggerId: savepointTriggerId, cancelJob: true },
    ]);
  });

  it('is not cancelled before Flink has restarted it', () => {
    const restarting = oldJob({ state: 'RESTARTING', vertices: [{ status: 'CANCELED' }] });

    expect(saving({ rollout: { cancelAttempts: 1 }, old: restarting }).effects).toEqual([]);
  });

  it('is cancelled once more where Flink declined that since the stop hung', () => {
    const next = saving({ rollout: { cancelAttempts: 1 }, old: failed('Checkpoint was declined (tasks not ready)') });
    const last = saving({ rollout: { cancelAttempts: 2 }, old: failed('Checkpoint was declined (tasks not ready)') });

    expect(next.status.rollout?.cancelAttempts).toBe(2);
    expect(last.status.phase).toBe('Recovering');
  });

  it.each([{}, { drainOnStop: true }])('recovers when a savepoint fails for another reason: %o', (spec) => {
    const rollout = spec.drainOnStop ? { cancelAttempts: 1 } : {};

    expect(saving({ spec, rollout, old: failed('the disk is full') }).status.phase).toBe('Recovering');
  });

  const hanging = {
    savepoint: { state: 'InProgress' },
    checkpoints: { completed: 3, latestCompleted: completed(CHECKPOINT, 30) },
  } as const;
  const recovering = (config: object) =>
    midway('Recovering', { status: { savepointTriggerId: TRIGGER }, old: oldJob({ ...hanging, config }) });

  it('is cancelled for its checkpoint where that stays', () => {
    expect(recovering({}).effects).toEqual([{ kind: 'CancelJob', hash: OLD, jobId: OLD_JOB }]);
  });

  it('is cancelled with a savepoint where its checkpoints would be deleted', () => {
    const next = recovering({ isRetainedOnCancellation: false });

    expect(next.status).toMatchObject({ phase: 'Savepointing', rollout: { cancelAttempts: 1 } });
  });
});

describe('RollingBackJob', () => {
  function rollingBack({ status, rollout, ...parts }: SceneParts = {}) {
    return midway('RollingBackJob', {
      next: newJob({ state: 'FAILED' }),
      status: { savepointTriggerId: TRIGGER, ...status },
      rollout: { jobId: 'b'.repeat(32), isSubmitted: true, failure: { reason: 'x', message: 'y' }, ...rollout },
      ...parts,
    });
  }

  it.each([
    ['that is recorded', { savepointPath: SAVEPOINT }, unsettled()],
    ['that its JobManager knows', {}, oldJob({ ...STOPPED, savepoint: { state: 'Completed', location: SAVEPOINT } })],
    ['that its JobManager knows as the last one', {}, oldJob(STOPPED)],
  ])('brings a stopped job back from the savepoint %s', (_, status, old) => {
    const next = rollingBack({ status, old });

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', savepointPath: SAVEPOINT });
    expect(next.status.rollout?.rollbackJobId).toMatch(/^[0-9a-f]{32}$/);
  });

  it('leaves a job that ended by itself as it is', () => {
    const next = rollingBack({ old: oldJob(FINISHED) });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', jobStatus: { jobID: OLD_JOB } });
  });

  it('waits for the word on a job that has just ended', () => {
    const next = rollingBack({ old: unsettled() });

    expect(next).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
    expect(next.status.rollout?.rollbackJobId).toBeUndefined();
  });
});

describe('Deleting', () => {
  function deleting(parts: SceneParts = {}) {
    const deletion = { deadline: secondsAgo(-900), attempts: 0 };
    const { status, ...others } = parts;
    return atRest({
      application: { isDeleting: true },
      status: { phase: 'Deleting', savepointTriggerId: TRIGGER, deletion, ...status },
      ...others,
    });
  }

  it('waits for the word on a job that has just ended: its savepoint is told before the application goes', () => {
    expect(deleting({ old: unsettled() })).toMatchObject({ status: { phase: 'Deleting' }, effects: [] });
  });

  it('tells the savepoint of a stop that its JobManager has forgotten', () => {
    const told = deleting({ old: oldJob(STOPPED) });
    const gone = deleting({ old: oldJob(STOPPED), status: { savepointPath: SAVEPOINT } });

    expect(told.events).toMatchObject([{ reason: 'CanceledJob', message: expect.stringContaining(SAVEPOINT) }]);
    expect(told.effects).toEqual([]);
    expect(effectsOf(gone, 'RemoveFinalizer')).toHaveLength(1);
  });

  it('tells the savepoint of a stopped job once, also when that of another has been told since', () => {
    const next = deleting({ old: oldJob(STOPPED), status: { savepointPath: 's3://savepoints/other' } });

    expect(effectsOf(next, 'RemoveFinalizer')).toHaveLength(1);
  });

  it('tells the savepoint of a job that failed while it stopped', () => {
    const old = oldJob({
      state: 'FAILED',
      checkpoints: STOPPED.checkpoints,
      savepoint: { state: 'Failed', cause: 'x' },
    });

    const told = deleting({ old });
    const gone = deleting({ old, status: { savepointPath: SAVEPOINT } });

    expect(told.events).toMatchObject([{ reason: 'CanceledJob', message: expect.stringContaining(SAVEPOINT) }]);
    expect(effectsOf(gone, 'RemoveFinalizer')).toHaveLength(1);
  });

  it('cancels with a savepoint a job that did not stop in its time', () => {
    const old = oldJob({ savepoint: { state: 'InProgress' } });
    const late = { deletion: { deadline: new Date(NOW + 600_000).toISOString(), attempts: 0 } };

    const overdue = deleting({ status: late, old });
    const next = deleting({ status: { ...overdue.status, savepointTriggerId: TRIGGER }, old, now: NOW + 10_000 });

    expect(overdue.status.deletion?.attempts).toBe(1);
    expect(next.status.savepointTriggerId).not.toBe(TRIGGER);
    expect(next.events).toMatchObject([{ reason: 'CancellingJob', message: expect.stringMatching(/^Cancelling/) }]);
  });
});

describe('at rest', () => {
  it('a job that somebody stopped is said to be stopped, and from where the next deploy restores it', () => {
    const next = atRest({ spec: { restartPolicy: 'FromLatestCheckpoint' }, old: oldJob(STOPPED) });

    expect(conditionOf(next, 'JobRunning')).toMatchObject({
      status: 'False',
      reason: 'JobStopped',
      message: expect.stringContaining(SAVEPOINT),
    });
    expect(next.status).toMatchObject({
      phase: 'Running',
      jobStatus: { health: 'Red', state: 'STOPPED', lastCheckpoint: SAVEPOINT },
    });
    expect(next.effects).toEqual([]);
  });

  it('a job that ended by itself is through', () => {
    const next = atRest({ old: oldJob(FINISHED) });

    expect(conditionOf(next, 'JobRunning')).toMatchObject({ reason: 'JobFinished' });
    expect(next.status.jobStatus?.health).toBe('Green');
  });

  it('a batch job is through, whatever its JobManager says of checkpoints', () => {
    const view: JobView = { ...aJob({ state: 'FINISHED', isBatch: true }), checkpoints: { unreadable: 'none' } };
    const old = { jobManager: aJobManager({ jobs: { [OLD_JOB]: view } }) };

    expect(conditionOf(atRest({ old }), 'JobRunning')).toMatchObject({ message: `Job ${OLD_JOB} has finished` });
  });
});
