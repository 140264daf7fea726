import { describe, expect, it } from 'vitest';
import type { Savepoint } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  aSilentJobManager,
  aStoppedCluster,
  CHECKPOINT,
  completed,
  effectsOf,
  firstDeploy,
  inSeconds,
  kindsOf,
  midway,
  NOW,
  OLD,
  OLD_JOB,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  secondsAgo,
  TRIGGER,
} from '../scenes.ts';

const SAVED = { savepointTriggerId: TRIGGER };
const BLUE_GREEN = { spec: { deploymentMode: 'BlueGreen' }, status: { deploymentMode: 'BlueGreen' } };
const KEPT = { latestCompleted: completed(CHECKPOINT, 30) };

describe('Savepointing', () => {
  it.each`
    spec                                                                           | path
    ${{}}                                                                          | ${''}
    ${{ savepointPath: 's3://a' }}                                                 | ${'s3://a'}
    ${{ savepointInfo: { savepointLocation: 's3://b' } }}                          | ${'s3://b'}
    ${{ savepointPath: 's3://a', savepointInfo: { savepointLocation: 's3://b' } }} | ${'s3://a'}
  `('has nothing to save in a first deploy, which restores from "$path"', ({ spec, path }) => {
    const next = firstDeploy('Savepointing', { spec });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: path });
  });

  it('writes an id down before anything is triggered', () => {
    const next = midway('Savepointing');

    expect(next.status.savepointTriggerId).toMatch(/^[0-9a-f]{32}$/);
    expect(next.status.rollout?.attempts).toBe(1);
    expect(next.effects).toEqual([]);
    expect(reasonsOf(next)).toEqual(['CancellingJob']);
  });

  it('stops the old job with the savepoint that was written down, on its cluster', () => {
    const next = midway('Savepointing', { status: SAVED });

    expect(next.effects).toEqual([{ kind: 'StopJob', hash: OLD, jobId: OLD_JOB, triggerId: TRIGGER, drain: false }]);
  });

  it('leaves the job running in BlueGreen', () => {
    const announced = midway('Savepointing', BLUE_GREEN);
    const triggered = midway('Savepointing', { ...BLUE_GREEN, status: { ...BLUE_GREEN.status, ...SAVED } });

    expect(reasonsOf(announced)).toEqual(['SavepointingJob']);
    expect(effectsOf(triggered, 'TriggerSavepoint')[0]?.cancelJob).toBe(false);
  });

  it('keeps the path of a savepoint that is complete', () => {
    const next = midway('Savepointing', {
      status: SAVED,
      old: oldJob({ savepoint: { state: 'Completed', location: SAVEPOINT } }),
    });

    expect(next.status).toMatchObject({ phase: 'Savepointing', savepointPath: SAVEPOINT });
    expect(reasonsOf(next)).toEqual(['CanceledJob']);
  });

  it.each(['CANCELED', 'FINISHED', 'FAILED', 'LOST'])('goes on when the saved job is %s', (state) => {
    const next = midway('Savepointing', { status: { ...SAVED, savepointPath: SAVEPOINT }, old: oldJob({ state }) });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: SAVEPOINT });
  });

  it('goes on in BlueGreen while the saved job runs', () => {
    const next = midway('Savepointing', { ...BLUE_GREEN, status: { ...BLUE_GREEN.status, savepointPath: SAVEPOINT } });

    expect(next.status.phase).toBe('SubmittingJob');
  });

  it('looks for a checkpoint when the savepoint fails, and never asks for the failed one again', () => {
    const next = midway('Savepointing', {
      status: SAVED,
      old: oldJob({ savepoint: { state: 'Failed', cause: 'full' } }),
    });

    expect(next.status.phase).toBe('Recovering');
    expect(reasonsOf(next)).toEqual(['SavepointFailed']);
    expect(next.effects).toEqual([]);
  });

  it.each`
    call                        | maxRetries
    ${'CancelJobWithSavepoint'} | ${5}
    ${'CheckSavepointStatus'}   | ${3}
  `('looks for a checkpoint when $call has failed more than $maxRetries times', ({ call: method, maxRetries }) => {
    const lastSeenError = { appError: '503', method, isRetryable: true, maxRetries };
    const statusAfter = (retryCount: number) =>
      midway('Savepointing', { status: { lastSeenError, retryCount } }).status;

    expect(statusAfter(maxRetries).phase).toBe('Savepointing');
    expect(statusAfter(maxRetries + 1)).toMatchObject({ phase: 'Recovering' });
    expect(statusAfter(maxRetries + 1).retryCount).toBeUndefined();
    expect(statusAfter(maxRetries + 1).lastSeenError).toBeUndefined();
  });

  it('leaves the job alone when no savepoint can ever be taken of it: no directory is configured', () => {
    const lastSeenError = { appError: 'savepoint-dir is not set', isRetryable: false, isFailFast: false };

    const next = midway('Savepointing', { status: { ...SAVED, lastSeenError, retryCount: 1 } });

    expect(next.status).toMatchObject({
      phase: 'RollingBackJob',
      rollout: { failure: { reason: 'SavepointRefused' } },
    });
    expect(next.status.rollout?.failure?.message).toContain('savepoint-dir is not set');
    expect(next.effects).toEqual([]);
  });

  it('rolls back when forceRollback is set', () => {
    const next = midway('Savepointing', { spec: { forceRollback: true } });

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', rollout: { failure: { reason: 'ForcedRollback' } } });
  });

  it('waits for a JobManager that is silent, until the deadline', () => {
    const silent = { old: { jobManager: aSilentJobManager() } };

    expect(midway('Savepointing', silent)).toMatchObject({ status: { phase: 'Savepointing' }, effects: [] });
    expect(midway('Savepointing', { ...silent, rollout: { deadline: inSeconds(0) } }).status.phase).toBe('Recovering');
  });
});

describe('a job whose JobManager is started again when its savepoint is complete, with high availability', () => {
  const COMPLETE = { ...SAVED, savepointPath: SAVEPOINT };
  /** The deploy began a minute ago. */
  const back = (secondsAgo: number, savepoint: Savepoint = { state: 'Unknown' }) =>
    oldJob({ startTime: NOW - secondsAgo * 1000, savepoint });

  it('is stopped with another savepoint: it goes on from a checkpoint, and may commit what the next job would do again', () => {
    const next = midway('Savepointing', { status: COMPLETE, old: back(20) });

    expect(next.status).toMatchObject({ phase: 'Savepointing', rollout: { deadline: inSeconds(300) } });
    for (const field of ['savepointPath', 'savepointTriggerId']) expect(next.status).not.toHaveProperty(field);
  });

  it.each([
    ['is about to end', back(20, { state: 'Completed', location: SAVEPOINT })],
    ['was there before the deploy', back(90)],
  ])('is not one that %s', (_, old) => {
    const next = midway('Savepointing', { status: COMPLETE, old });

    expect(next).toMatchObject({ status: { phase: 'Savepointing', savepointPath: SAVEPOINT }, effects: [] });
  });

  it('loses its pods where it does not end in time', () => {
    const next = midway('Savepointing', { status: COMPLETE, old: back(20), rollout: { deadline: inSeconds(0) } });

    expect(effectsOf(next, 'ScaleDeployment')).toHaveLength(2);
  });

  it('is the old job that runs, when it is not to be suspended after all', () => {
    const next = midway('RollingBackJob', {
      status: COMPLETE,
      rollout: {
        kind: 'Suspend',
        hash: OLD,
        failure: { reason: 'SuspendWithdrawn', message: 'spec.suspend is no longer set' },
        rollbackTime: secondsAgo(31),
        startTime: secondsAgo(90),
      },
      old: back(60),
    });

    expect(next.status).toMatchObject({ phase: 'Running', jobStatus: { jobID: OLD_JOB } });
    expect(reasonsOf(next)).toEqual(['SuspendWithdrawn']);
  });
});

describe('Cancelling', () => {
  const DISABLED = { spec: { savepointDisabled: true } };

  it('cancels the old job on the old cluster, once it is seen to run', () => {
    const next = midway('Cancelling', DISABLED);

    expect(next.status.phase).toBe('Cancelling');
    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: OLD, jobId: OLD_JOB }]);
  });

  it.each(['CANCELED', 'FAILED', 'FINISHED', 'LOST'])('goes on without state when the old job is %s (I7)', (state) => {
    const next = midway('Cancelling', { ...DISABLED, old: oldJob({ state }) });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: '' });
    expect(next.effects).toEqual([]);
  });

  it('stops the cluster of a job that cannot be cancelled', () => {
    const next = midway('Cancelling', { ...DISABLED, rollout: { deadline: inSeconds(0) } });

    expect(next.status.phase).toBe('Cancelling');
    expect(effectsOf(next, 'ScaleDeployment').map(({ replicas }) => replicas)).toEqual([0, 0]);
  });

  it('goes on when no pod of the old cluster is left', () => {
    const next = midway('Cancelling', { ...DISABLED, old: { cluster: aStoppedCluster(OLD), jobManager: undefined } });

    expect(next.status.phase).toBe('SubmittingJob');
  });

  it('falls through in a first deploy', () => {
    expect(firstDeploy('Cancelling', DISABLED).status.phase).toBe('SubmittingJob');
  });

  it('rolls back when forceRollback is set', () => {
    const next = midway('Cancelling', { spec: { savepointDisabled: true, forceRollback: true } });

    expect(next.status.phase).toBe('RollingBackJob');
    expect(next.effects).toEqual([]);
  });
});

describe('Recovering', () => {
  it('cancels a job whose checkpoint will be kept', () => {
    const next = midway('Recovering', { old: oldJob({ checkpoints: KEPT }) });

    expect(next.status.phase).toBe('Recovering');
    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: OLD, jobId: OLD_JOB }]);
  });

  it('restores from the latest checkpoint once the job has ended (I2)', () => {
    const next = midway('Recovering', { old: oldJob({ state: 'CANCELED', checkpoints: KEPT }) });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: CHECKPOINT });
    expect(reasonsOf(next)).toEqual(['RestoringExternalizedCheckpoint']);
  });

  it.each`
    problem                              | parts
    ${'no checkpoint (I3, I4)'}          | ${{}}
    ${'checkpoints it would take along'} | ${{ checkpoints: KEPT, config: { isRetainedOnCancellation: false } }}
    ${'too old a checkpoint'}            | ${{ checkpoints: { latestCompleted: completed(CHECKPOINT, 3601) } }}
  `('leaves a job running that has $problem', ({ parts }) => {
    const next = midway('Recovering', { old: oldJob(parts) });

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', rollout: { failure: { reason: 'RecoveryFailed' } } });
    expect(next.effects).toEqual([]);
    expect(reasonsOf(next)).toContain('RecoveryFailed');
  });

  it('leaves a job running while it is not known whether its checkpoints would be kept', () => {
    const job = aJob({ checkpoints: KEPT });
    const unknown = { ...job, checkpointConfig: { unreadable: '503' } };
    const old = { jobManager: aJobManager({ jobs: { [OLD_JOB]: unknown } }) };

    const waiting = midway('Recovering', { old });
    const late = midway('Recovering', { old, rollout: { deadline: inSeconds(0) } });

    expect(waiting).toMatchObject({ status: { phase: 'Recovering' }, effects: [] });
    expect(late).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
  });

  it('begins without state where the spec allows it (I5)', () => {
    const running = midway('Recovering', { spec: { fallbackWithoutState: true } });
    const ended = midway('Recovering', { spec: { fallbackWithoutState: true }, old: oldJob({ state: 'CANCELED' }) });

    expect(kindsOf(running)).toEqual(['CancelJob']);
    expect(ended.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: '' });
    expect(reasonsOf(ended)).toEqual(['RestoringWithoutExternalizedCheckpoint']);
  });

  it('uses the checkpoint that was recorded when the JobManager has lost the job', () => {
    const next = midway('Recovering', {
      status: { jobStatus: { jobID: OLD_JOB, lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(20) } },
      old: oldJob({ state: 'LOST' }),
    });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: CHECKPOINT });
  });

  it('does not stop a silent cluster for a checkpoint on record, which its job may have deleted since', () => {
    const late = { rollout: { deadline: inSeconds(0) }, old: { jobManager: aSilentJobManager() } };
    const recorded = { jobID: OLD_JOB, lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(20) };

    const careful = midway('Recovering', { ...late, status: { jobStatus: recorded } });
    const stateless = midway('Recovering', { ...late, spec: { fallbackWithoutState: true } });

    expect(careful).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
    expect(kindsOf(stateless)).toEqual(['ScaleDeployment', 'ScaleDeployment']);
  });

  it('stops the cluster of a job that does not let itself be cancelled', () => {
    const next = midway('Recovering', { rollout: { deadline: inSeconds(0) }, old: oldJob({ checkpoints: KEPT }) });

    expect(kindsOf(next)).toEqual(['ScaleDeployment', 'ScaleDeployment']);
  });

  it('restores from the savepoint that ended the job, even if it is older than this deploy', () => {
    const next = midway('Recovering', {
      old: oldJob({
        state: 'CANCELED',
        checkpoints: { latestSavepoint: completed(SAVEPOINT, 600), latestCompleted: completed(CHECKPOINT, 900) },
      }),
    });

    expect(next.status.savepointPath).toBe(SAVEPOINT);
  });

  it('prefers a checkpoint to a savepoint that somebody took before it', () => {
    const next = midway('Recovering', {
      old: oldJob({
        state: 'CANCELED',
        checkpoints: { latestSavepoint: completed(SAVEPOINT, 900), latestCompleted: completed(CHECKPOINT, 30) },
      }),
    });

    expect(next.status.savepointPath).toBe(CHECKPOINT);
  });

  it('never cancels the deployed job in BlueGreen', () => {
    const next = midway('Recovering', { ...BLUE_GREEN, old: oldJob({ checkpoints: KEPT }) });

    expect(next.effects).toEqual([]);
    expect(next.status.savepointPath).toBe(CHECKPOINT);
  });

  it('rolls back when forceRollback is set', () => {
    const next = midway('Recovering', { spec: { forceRollback: true }, old: oldJob({ checkpoints: KEPT }) });

    expect(next.status.phase).toBe('RollingBackJob');
    expect(next.effects).toEqual([]);
  });
});

describe('F4: the next deploy asks for the savepoint that failed in the last one', () => {
  it('forgets id and path when a deploy fails', () => {
    const next = midway('RollingBackJob', {
      status: { savepointTriggerId: TRIGGER },
      old: oldJob({ savepoint: { state: 'Failed', cause: 'full' } }),
    });

    expect(next.status.phase).toBe('DeployFailed');
    expect(next.status.savepointTriggerId).toBeUndefined();
    expect(next.status.savepointPath).toBeUndefined();
  });

  it('gives every deploy of the same revision an id of its own', () => {
    const idOf = (startTime: string) => midway('Savepointing', { rollout: { startTime } }).status.savepointTriggerId;

    expect(idOf(secondsAgo(60))).toBe(idOf(secondsAgo(60)));
    expect(idOf(secondsAgo(60))).not.toBe(idOf(secondsAgo(61)));
  });
});

describe('F5: a savepoint that takes long is taken for a failure, and the job is lost with it', () => {
  const slow = { status: SAVED, old: oldJob({ savepoint: { state: 'InProgress' } }) };

  it('waits as long as the spec allows, not five minutes', () => {
    const next = midway('Savepointing', { ...slow, rollout: { startTime: secondsAgo(3000) } });

    expect(next).toMatchObject({ status: { phase: 'Savepointing' }, effects: [] });
  });

  it.each`
    state         | phase
    ${'RUNNING'}  | ${'Savepointing'}
    ${'CANCELED'} | ${'SubmittingJob'}
  `('takes the savepoint that comes after its deadline, with the job $state', ({ state, phase }) => {
    const next = midway('Recovering', {
      status: SAVED,
      old: oldJob({ state, savepoint: { state: 'Completed', location: SAVEPOINT }, checkpoints: KEPT }),
    });

    expect(next.status).toMatchObject({ phase, savepointPath: SAVEPOINT });
  });

  it('takes a savepoint that nobody remembers the id of, if it was taken in this deploy', () => {
    const recovering = (age: number) =>
      midway('Recovering', {
        old: oldJob({ state: 'CANCELED', checkpoints: { ...KEPT, latestSavepoint: completed(SAVEPOINT, age) } }),
      });

    expect(recovering(5).status.savepointPath).toBe(SAVEPOINT);
    expect(recovering(40).status.savepointPath).toBe(CHECKPOINT);
  });

  it('does not give the job up for running while the savepoint that would cancel it is being taken', () => {
    const next = midway('RollingBackJob', slow);

    expect(next).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
  });
});

describe('F6: two jobs run at once', () => {
  it.each(['RUNNING', 'RESTARTING', 'FAILING', 'CANCELLING', 'SILENT'])(
    'does not submit after the savepoint while the old job is %s',
    (state) => {
      const next = midway('Savepointing', { status: { savepointPath: SAVEPOINT }, old: oldJob({ state }) });

      expect(next).toMatchObject({ status: { phase: 'Savepointing' }, effects: [] });
    },
  );

  it.each(['RUNNING', 'RESTARTING', 'CANCELLING', 'SILENT'])(
    'does not submit after a plain cancel while the old job is %s',
    (state) => {
      const next = midway('Cancelling', { spec: { savepointDisabled: true }, old: oldJob({ state }) });

      expect(next.status.phase).toBe('Cancelling');
    },
  );

  it.each(['RUNNING', 'CANCELLING', 'SILENT'])('does not submit from a checkpoint while the old job is %s', (state) => {
    const next = midway('Recovering', { old: oldJob({ state, checkpoints: KEPT }) });

    expect(next.status.phase).toBe('Recovering');
  });

  it('stops the cluster of a saved job whose JobManager stays silent', () => {
    const next = midway('Savepointing', {
      status: { savepointPath: SAVEPOINT },
      rollout: { deadline: inSeconds(0) },
      old: { jobManager: aSilentJobManager() },
    });

    expect(effectsOf(next, 'ScaleDeployment')).toHaveLength(2);
    expect(next.status.phase).toBe('Savepointing');
  });

  it('waits until the last pod of a stopped cluster is gone', () => {
    const leaving = aCluster(OLD, { jobManagers: 0, taskManagers: 0, pods: 1 });

    const next = midway('Savepointing', {
      status: { savepointPath: SAVEPOINT },
      old: { cluster: leaving, jobManager: undefined },
    });

    expect(next.status.phase).toBe('Savepointing');
  });

  it.each(['RUNNING', 'RESTARTING'])('does not submit in SubmittingJob while the old job is seen %s', (state) => {
    const next = midway('SubmittingJob', { rollout: { jobId: 'e'.repeat(32) }, old: oldJob({ state }) });

    expect(kindsOf(next)).toEqual(['CancelJob']);
  });
});

describe('F10: a checkpoint from the JobManager is never too old', () => {
  it.each`
    ageSeconds | maxCheckpointRestoreAgeSeconds | phase
    ${3600}    | ${undefined}                   | ${'SubmittingJob'}
    ${3601}    | ${undefined}                   | ${'RollingBackJob'}
    ${61}      | ${60}                          | ${'RollingBackJob'}
    ${60}      | ${60}                          | ${'SubmittingJob'}
  `(
    'counts in seconds: $ageSeconds s old and $maxCheckpointRestoreAgeSeconds allowed leads to $phase',
    ({ ageSeconds, maxCheckpointRestoreAgeSeconds: age, phase }) => {
      const next = midway('Recovering', {
        spec: age === undefined ? {} : { maxCheckpointRestoreAgeSeconds: age },
        old: oldJob({ state: 'CANCELED', checkpoints: { latestCompleted: completed(CHECKPOINT, ageSeconds) } }),
      });

      expect(next.status.phase).toBe(phase);
    },
  );

  it('holds for the checkpoint that was recorded too', () => {
    const next = midway('Recovering', {
      status: { jobStatus: { jobID: OLD_JOB, lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(4000) } },
      old: oldJob({ state: 'LOST' }),
      now: NOW,
    });

    expect(next.status.phase).toBe('RollingBackJob');
  });
});

describe('F12: an update of a job that its JobManager has lost fails for ever', () => {
  it('restores it from the recorded checkpoint instead of asking for a savepoint', () => {
    const next = midway('Savepointing', { old: oldJob({ state: 'LOST' }) });

    expect(next.status.phase).toBe('Recovering');
    expect(next.effects).toEqual([]);
  });
});

describe('F28: a job that has finished counts as active, and is cancelled', () => {
  it.each(['Savepointing', 'Cancelling'])('goes on from %s with nothing to save or cancel', (phase) => {
    const next = midway(phase, {
      spec: { savepointDisabled: phase === 'Cancelling' },
      old: oldJob({ state: 'FINISHED' }),
    });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: '' });
    expect(next.effects).toEqual([]);
  });
});

describe('a batch job, of which Flink takes no savepoint', () => {
  const batch = (state: string) => oldJob({ state, isBatch: true });
  const BLOCKED =
    /^Job a+ runs in BATCH mode, of which Flink takes no savepoint\. With savepointDisabled: true it is cancelled/;

  it('is left running where it may not be cancelled without a savepoint, and is not asked for one', () => {
    const next = midway('Savepointing', { old: batch('RUNNING') });

    expect(next.status).toMatchObject({
      phase: 'RollingBackJob',
      rollout: { failure: { reason: 'SavepointRefused' } },
    });
    expect(next.status.rollout?.failure?.message).toMatch(BLOCKED);
    expect(next.status).not.toHaveProperty('savepointTriggerId');
    expect(next.effects).toEqual([]);
  });

  it('is cancelled where its state does not matter', () => {
    const saving = midway('Savepointing', { spec: { fallbackWithoutState: true }, old: batch('RUNNING') });
    const recovering = midway('Recovering', { spec: { fallbackWithoutState: true }, old: batch('RUNNING') });

    expect(saving.status.phase).toBe('Recovering');
    expect(recovering.effects).toEqual([{ kind: 'CancelJob', hash: OLD, jobId: OLD_JOB }]);
  });

  it('is not waited for in Recovering either', () => {
    const next = midway('Recovering', { old: batch('RUNNING') });

    expect(next.status.rollout?.failure).toMatchObject({
      reason: 'RecoveryFailed',
      message: expect.stringMatching(BLOCKED),
    });
  });

  it.each(['FAILED', 'CANCELED'])('gives way to the next one when it is %s: there is no state to lose', (state) => {
    expect(midway('Savepointing', { old: batch(state) }).status.phase).toBe('Recovering');
    expect(midway('Recovering', { old: batch(state) }).status).toMatchObject({
      phase: 'SubmittingJob',
      savepointPath: '',
    });
  });
});

describe('F22: fields of others are overwritten', () => {
  it.each(['Savepointing', 'Cancelling', 'Recovering', 'SubmittingJob', 'RollingBackJob'])(
    'keeps them in %s',
    (phase) => {
      const kept = { scaleBasis: { parallelism: 4, taskSlots: 2 }, foreign: { kept: true } } as object;

      expect(midway(phase, { status: kept }).status).toMatchObject(kept);
    },
  );
});
