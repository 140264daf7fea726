import { describe, expect, it } from 'vitest';
import type { SceneParts } from '../scenes.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  aRollout,
  aStoppedCluster,
  atRest,
  CHECKPOINT,
  completed,
  conditionOf,
  effectsOf,
  firstDeploy,
  inSeconds,
  kindsOf,
  midway,
  NEW,
  NEW_REVISION,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  secondsAgo,
  TRIGGER,
  without,
} from '../scenes.ts';

const SUSPEND = { suspend: true };

const FAILED_DEPLOY = {
  revision: NEW_REVISION.name,
  hash: NEW,
  parallelism: 4,
  taskManagers: 2,
  reason: 'JobNotRunnable',
  message: 'no jar',
  time: secondsAgo(60),
  attempts: 1,
};

/** While the job is being ended because spec.suspend is set. */
function suspending(phase: string, { status, rollout = {}, spec = SUSPEND, ...parts }: SceneParts = {}) {
  const { oldJobId, ...others } = aRollout({ kind: 'Suspend', revision: OLD_REVISION.name, hash: OLD, ...rollout });
  return atRest({ ...parts, spec, status: { phase, rollout: { ...others, oldJobId: OLD_JOB }, ...status } });
}

/** Ended, with what is left of its cluster and of its job. */
function suspended({ status, ...parts }: SceneParts = {}) {
  const suspension = {
    time: secondsAgo(7200),
    revision: OLD_REVISION.name,
    jobId: OLD_JOB,
    savepointPath: SAVEPOINT,
    savepointTime: secondsAgo(7200),
  };
  return atRest({
    spec: SUSPEND,
    old: { cluster: undefined, jobManager: undefined },
    ...parts,
    status: without(['deployHash', 'currentRevision', 'jobStatus'], { phase: 'Suspended', suspension, ...status }),
  });
}

describe('a job that its JobManager loses while it is stopped with a savepoint', () => {
  const lost = { jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob({ state: 'LOST' }) } }) };
  const status = {
    savepointTriggerId: TRIGGER,
    jobStatus: { jobID: OLD_JOB, state: 'RUNNING', lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(30) },
  };

  it('is not suspended at a checkpoint that may have been deleted: it is started again, and where its savepoint may be is said', () => {
    const next = suspending('Savepointing', { status, old: lost });

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', rollout: { failure: { reason: 'SavepointFailed' } } });
    expect(next.status).not.toHaveProperty('suspension');
    expect(next.events).toMatchObject([
      { reason: 'SavepointFailed', message: expect.stringContaining(`savepoint-${OLD_JOB.slice(0, 6)}-…`) },
    ]);
  });

  it('is recovered from its latest checkpoint in a deploy, and where its savepoint may be is said', () => {
    const next = midway('Savepointing', { status, old: lost });

    expect(next.status.phase).toBe('Recovering');
    expect(next.events).toMatchObject([
      { reason: 'SavepointFailed', message: expect.stringContaining(`savepoint-${OLD_JOB.slice(0, 6)}-…`) },
    ]);
  });
});

describe('an application that runs', () => {
  it('begins to end its job with a savepoint when spec.suspend is set', () => {
    const next = atRest({ spec: SUSPEND });

    expect(next.status).toMatchObject({
      phase: 'Savepointing',
      deployHash: OLD,
      rollout: { kind: 'Suspend', revision: OLD_REVISION.name, hash: OLD, oldJobId: OLD_JOB, deadline: inSeconds(300) },
    });
    expect(next).toMatchObject({ effects: [], isInTransition: true });
    expect(reasonsOf(next)).toEqual(['Suspending']);
  });

  it('begins to end it without one where savepointDisabled is set', () => {
    expect(atRest({ spec: { ...SUSPEND, savepointDisabled: true } }).status.phase).toBe('Cancelling');
  });

  it('deploys no change of the spec, nor of the size, that comes with it', () => {
    const next = atRest({ spec: { ...SUSPEND, image: 'orders:2', taskManagerConfig: { replicas: 4 } } });

    expect(next.status.rollout).toMatchObject({ kind: 'Suspend', revision: OLD_REVISION.name });
  });

  it('first takes away what is left of the last deploy', () => {
    const next = atRest({ spec: SUSPEND, seen: { clusters: [aCluster(OLD), aCluster(NEW)] } });

    expect(next.status).toMatchObject({ phase: 'Running' });
    expect(next.status.rollout).toBeUndefined();
    expect(effectsOf(next, 'DeleteCluster')).toMatchObject([{ hash: NEW }]);
  });

  it('is not touched while its spec cannot be deployed', () => {
    const next = atRest({ spec: { ...SUSPEND, image: '' } });

    expect(next).toMatchObject({ status: { phase: 'Running' }, effects: [] });
    expect(next.status.rollout).toBeUndefined();
  });

  it.each(['spec', 'status'])('is not suspended in BlueGreen, and it is said why (%s)', (where) => {
    const next = atRest({
      spec: { ...SUSPEND, ...(where === 'spec' && { deploymentMode: 'BlueGreen' }) },
      status: { deploymentMode: 'BlueGreen' },
    });

    expect(next).toMatchObject({ status: { phase: 'Running' }, effects: [] });
    expect(next.status.rollout).toBeUndefined();
    if (where === 'spec') expect(conditionOf(next, 'SpecValid')?.message).toContain('spec.deploymentMode BlueGreen');
  });

  it('means the same with suspend: false as without', () => {
    expect(atRest({ spec: { suspend: false } })).toMatchObject({ status: { phase: 'Running' }, effects: [] });
  });
});

describe('ending the job', () => {
  it('writes the id of the savepoint down before it is used, and says what goes on', () => {
    const noted = suspending('Savepointing');
    const triggered = suspending('Savepointing', { status: { savepointTriggerId: TRIGGER } });

    expect(noted.effects).toEqual([]);
    expect(noted.status.savepointTriggerId).toMatch(/^[0-9a-f]{32}$/);
    expect(effectsOf(triggered, 'StopJob')).toMatchObject([
      { hash: OLD, jobId: OLD_JOB, triggerId: TRIGGER, drain: false },
    ]);
    expect(conditionOf(triggered, 'Deployed')).toMatchObject({ status: 'Unknown', reason: 'Suspending' });
  });

  it('waits for the end of a job whose savepoint is complete', () => {
    const next = suspending('Savepointing', { status: { savepointTriggerId: TRIGGER, savepointPath: SAVEPOINT } });

    expect(next).toMatchObject({ status: { phase: 'Savepointing' }, effects: [] });
  });

  it('is suspended when it has ended: what was deployed is gone, and where it resumes from is kept', () => {
    const next = suspending('Savepointing', {
      status: {
        savepointTriggerId: TRIGGER,
        savepointPath: SAVEPOINT,
        failedDeploy: FAILED_DEPLOY,
      },
      old: oldJob({ state: 'CANCELED' }),
    });

    expect(next.status).toMatchObject({
      phase: 'Suspended',
      suspension: {
        time: inSeconds(0),
        revision: OLD_REVISION.name,
        jobId: OLD_JOB,
        savepointPath: SAVEPOINT,
        savepointTime: inSeconds(0),
      },
      clusterStatus: { numberOfTaskManagers: 0 },
    });
    for (const field of ['rollout', 'deployHash', 'currentRevision', 'jobStatus', 'failedDeploy', 'savepointPath'])
      expect(next.status).not.toHaveProperty(field);
    expect(next.isInTransition).toBe(true);
    expect(next.events).toMatchObject([{ reason: 'Suspended', message: expect.stringContaining(SAVEPOINT) }]);
  });

  it('is suspended without state where savepointDisabled is set', () => {
    const next = suspending('Cancelling', {
      spec: { ...SUSPEND, savepointDisabled: true },
      old: oldJob({ state: 'CANCELED' }),
    });

    expect(next.status.phase).toBe('Suspended');
    expect(next.status.suspension).not.toHaveProperty('savepointPath');
  });

  it('is suspended without state when the job has finished', () => {
    const next = suspending('Savepointing', { old: oldJob({ state: 'FINISHED' }) });

    expect(next.status.phase).toBe('Suspended');
    expect(next.status.suspension).not.toHaveProperty('savepointPath');
  });

  it.each`
    state         | checkpoints                                       | path
    ${'FAILED'}   | ${{ latestCompleted: completed(CHECKPOINT, 50) }} | ${CHECKPOINT}
    ${'CANCELED'} | ${{ latestCompleted: completed(CHECKPOINT, 50) }} | ${CHECKPOINT}
    ${'CANCELED'} | ${{ latestSavepoint: completed(SAVEPOINT, 50) }}  | ${SAVEPOINT}
  `('resumes a job that was $state before from $path', ({ state, checkpoints, path }) => {
    const old = oldJob({ state, checkpoints: { completed: 1, ...checkpoints } });

    const recovering = suspending('Savepointing', { old });
    const next = suspending('Recovering', { old });

    expect(recovering.status.phase).toBe('Recovering');
    expect(next.status).toMatchObject({
      phase: 'Suspended',
      suspension: { savepointPath: path, savepointTime: secondsAgo(50) },
    });
  });

  it('leaves a failed job that could resume from nothing, says why, and waits', () => {
    const old = oldJob({ state: 'FAILED', config: { isRetainedOnFailure: false } });

    const next = suspending('Recovering', { old });
    const waiting = atRest({ spec: SUSPEND, status: { ...next.status }, old });

    expect(next.status).toMatchObject({
      phase: 'Running',
      deployHash: OLD,
      failedSuspension: { reason: 'RecoveryFailed', attempts: 1, retryTime: inSeconds(300) },
    });
    expect(reasonsOf(next)).toContain('SuspendFailed');
    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'SuspendFailed' });
    expect(waiting.status.rollout).toBeUndefined();
  });

  it('saves a job after all that its JobManager has found again', () => {
    const next = suspending('Recovering', { status: { savepointTriggerId: TRIGGER } });

    expect(next.status).toMatchObject({ phase: 'Savepointing', rollout: { deadline: inSeconds(300) } });
    expect(next.status).not.toHaveProperty('savepointTriggerId');
  });

  it('is not given up for forceRollback', () => {
    const next = suspending('Savepointing', {
      spec: { ...SUSPEND, forceRollback: true },
      status: { savepointTriggerId: TRIGGER },
    });

    expect(next.status.phase).toBe('Savepointing');
  });

  it('does not take a job for lost whose id nobody knows', () => {
    const parts = {
      spec: { ...SUSPEND, savepointDisabled: true },
      status: { phase: 'Cancelling', jobStatus: {}, rollout: { ...aRollout({ kind: 'Suspend', hash: OLD }), ...noId } },
    };

    const next = atRest({ ...parts, old: { jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob() } }) } });

    expect(effectsOf(next, 'CancelJob')).toMatchObject([{ jobId: OLD_JOB }]);
  });

  const noId = { oldJobId: undefined as unknown as string };
});

describe('a job that cannot be saved', () => {
  it.each`
    what                             | parts
    ${'a savepoint that failed'}     | ${{ status: { savepointTriggerId: TRIGGER }, old: oldJob({ savepoint: { state: 'Failed', cause: 'no space' } }) }}
    ${'none within the time'}        | ${{ status: { savepointTriggerId: TRIGGER }, rollout: { deadline: secondsAgo(1) } }}
    ${'a savepoint that is refused'} | ${{ status: { savepointTriggerId: TRIGGER, lastSeenError: { appError: 'no directory', isRetryable: false, lastErrorUpdateTime: secondsAgo(40) } } }}
  `('runs on: $what', ({ parts }) => {
    const back = suspending('Savepointing', parts);
    const next = suspending('RollingBackJob', {
      status: { savepointTriggerId: TRIGGER },
      rollout: { failure: back.status.rollout?.failure as never, rollbackTime: secondsAgo(31) },
    });

    expect(back.status).toMatchObject({ phase: 'RollingBackJob', deployHash: OLD });
    expect(kindsOf(back)).toEqual([]);
    expect(next.status).toMatchObject({ phase: 'Running', deployHash: OLD, failedSuspension: { attempts: 1 } });
    expect(next.status.rollout).toBeUndefined();
    expect(next.status.failedDeploy).toBeUndefined();
    expect(reasonsOf(next)).toEqual(['SuspendFailed']);
  });

  it('is still waited for after the time when its savepoint is under way: that would end it later', () => {
    const next = suspending('Savepointing', {
      status: { savepointTriggerId: TRIGGER },
      rollout: { deadline: secondsAgo(100) },
      old: oldJob({ savepoint: { state: 'InProgress' } }),
    });

    expect(next).toMatchObject({ status: { phase: 'Savepointing' }, effects: [] });
  });

  const failedSuspension = (changes: object = {}) => ({
    reason: 'SavepointFailed',
    message: 'Savepoint failed: no space',
    time: secondsAgo(100),
    attempts: 2,
    retryTime: inSeconds(500),
    ...changes,
  });

  it('is reported with one full stop behind the cause, whoever wrote it', () => {
    const failure = { reason: 'SavepointFailed', message: 'Savepoint failed: No space left.' };

    const next = suspending('RollingBackJob', { rollout: { failure, rollbackTime: secondsAgo(31) } });

    const retryTime = inSeconds(300);
    expect(next.events.map(({ message }) => message)).toEqual([
      `Savepoint failed: No space left. It is tried again at ${retryTime}`,
    ]);
    expect(conditionOf(next, 'Deployed')?.message).toBe(
      `Savepoint failed: No space left; suspending is tried again at ${retryTime}`,
    );
  });

  it('is tried again after a while, which doubles', () => {
    const early = atRest({ spec: SUSPEND, status: suspending('Recovering', failing).status });
    const retryTime = secondsAgo(1);
    const next = atRest({ spec: SUSPEND, status: { failedSuspension: failedSuspension({ retryTime }) } });
    const again = suspending('Recovering', { ...failing, status: { failedSuspension: failedSuspension() } });

    expect(early.status.rollout).toBeUndefined();
    expect(next.status.rollout).toMatchObject({ kind: 'Suspend' });
    expect(again.status.failedSuspension).toMatchObject({ attempts: 3, retryTime: inSeconds(1200) });
  });

  const failing = { old: oldJob({ state: 'FAILED' }) };

  it('is tried again at once when anything else in the spec changes', () => {
    const failed = suspending('Recovering', failing);

    const next = atRest({ spec: { ...SUSPEND, savepointDisabled: true }, status: { ...failed.status } });

    expect(next.status).toMatchObject({ phase: 'Cancelling', rollout: { kind: 'Suspend' } });
  });

  it('is forgotten when spec.suspend is taken back', () => {
    const next = atRest({ status: { failedSuspension: failedSuspension() } });

    expect(next.status).not.toHaveProperty('failedSuspension');
    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'True' });
  });
});

describe('spec.suspend taken back while the job is being ended', () => {
  it.each(['Savepointing', 'Cancelling'])('in %s keeps the job, or brings it back', (phase) => {
    const next = suspending(phase, { spec: {} });

    expect(next.status).toMatchObject({
      phase: 'RollingBackJob',
      rollout: { kind: 'Suspend', failure: { reason: 'SuspendWithdrawn' } },
    });
  });

  const withdrawn = { failure: { reason: 'SuspendWithdrawn', message: 'spec.suspend is no longer set' } };

  it('says nothing of a failure when the job has run on', () => {
    const rollout = { ...withdrawn, rollbackTime: secondsAgo(31) };

    const next = suspending('RollingBackJob', { spec: {}, rollout });

    expect(next.status.phase).toBe('Running');
    expect(next.status).not.toHaveProperty('failedSuspension');
    expect(reasonsOf(next)).toEqual(['SuspendWithdrawn']);
  });

  it('submits the job again from its savepoint when that has ended it', () => {
    const next = suspending('RollingBackJob', {
      spec: {},
      status: { savepointPath: SAVEPOINT },
      rollout: { ...withdrawn, rollbackTime: secondsAgo(31), rollbackJobId: 'c'.repeat(32) },
      old: {
        jobManager: aJobManager({
          jobs: { [OLD_JOB]: aJob({ state: 'CANCELED' }), ['c'.repeat(32)]: aJob({ state: 'LOST' }) },
        }),
      },
    });

    expect(effectsOf(next, 'SubmitJob')).toMatchObject([{ hash: OLD, submission: { savepointPath: SAVEPOINT } }]);
  });
});

describe('Suspended', () => {
  it('deletes every cluster there is, and is then at rest', () => {
    const leaving = suspended({ old: { cluster: aStoppedCluster(OLD), jobManager: undefined } });
    const gone = suspended();

    expect(effectsOf(leaving, 'DeleteCluster')).toMatchObject([{ hash: OLD }]);
    expect(leaving.isInTransition).toBe(true);
    expect(gone).toMatchObject({ status: { phase: 'Suspended' }, effects: [], events: [], isInTransition: false });
  });

  it('says in its conditions from where and what it resumes', () => {
    const next = suspended({ spec: { ...SUSPEND, image: 'orders:2' } });

    const message = `${NEW_REVISION.name} resumes from ${SAVEPOINT}, saved at ${secondsAgo(7200)} when spec.suspend is false`;
    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'Suspended', message });
    expect(conditionOf(next, 'JobRunning')).toMatchObject({ status: 'False', reason: 'Suspended', message });
  });

  it('resumes what the spec says by then, however old the savepoint is', () => {
    const next = suspended({
      spec: { image: 'orders:2', taskManagerConfig: { replicas: 3 }, maxCheckpointRestoreAgeSeconds: 1 },
    });

    expect(next.status).toMatchObject({ phase: 'Updating', rollout: { kind: 'NewCluster' } });
    expect(effectsOf(next, 'CreateRevision')).toMatchObject([
      { revision: { parallelism: 6, taskManagers: 3, spec: { image: 'orders:2' } } },
    ]);
    expect(reasonsOf(next)).toEqual(['Resuming']);
  });

  it('waits until its clusters are gone before it resumes', () => {
    const next = suspended({ spec: {}, old: { cluster: aCluster(OLD), jobManager: undefined } });

    expect(next.status.phase).toBe('Suspended');
  });

  it.each([{ forceRollback: true }, { image: '' }, { deploymentMode: 'BlueGreen' }])(
    'does not resume with %o, and says why',
    (spec) => {
      const next = suspended({ spec });

      expect(next).toMatchObject({ status: { phase: 'Suspended' }, effects: [] });
      expect(conditionOf(next, 'Deployed')?.message).toContain(', but ');
    },
  );

  it('is nobody else’s application', () => {
    const next = suspended({ status: { suspension: { time: secondsAgo(60) } } });

    expect(conditionOf(next, 'Owned')).toBeUndefined();
  });

  it('goes at once when it is deleted, and tells where its state is', () => {
    const begun = suspended({ application: { isDeleting: true } });
    const next = suspended({ application: { isDeleting: true }, status: { ...begun.status } });

    expect(begun.events).toMatchObject([
      { type: 'Normal', reason: 'SavepointKept', message: expect.stringContaining(SAVEPOINT) },
    ]);
    expect(next).toMatchObject({ effects: [{ kind: 'RemoveFinalizer' }], events: [] });
  });
});

describe('a deploy under way when spec.suspend is set', () => {
  it.each(['Updating', 'ClusterStarting'])('in %s is withdrawn', (phase) => {
    const next = midway(phase, { spec: SUSPEND });

    expect(next.status).toMatchObject({ phase: 'Running', deployHash: OLD });
    expect(next.status.rollout).toBeUndefined();
    expect(reasonsOf(next)).toEqual(['DeployWithdrawn']);
  });

  it.each(['Savepointing', 'SubmittingJob'])('in %s ends first', (phase) => {
    const next = midway(phase, { spec: SUSPEND });

    expect(next.status).toMatchObject({ phase, rollout: { kind: 'NewCluster' } });
  });
});

describe('a first deploy', () => {
  it('is not begun while spec.suspend is set', () => {
    const next = firstDeploy('', {
      spec: SUSPEND,
      next: { cluster: undefined, jobManager: undefined },
      status: without(['rollout']),
    });

    expect(next).toMatchObject({
      status: { phase: 'Suspended', suspension: { time: inSeconds(0) } },
      effects: [],
      isInTransition: false,
    });
    expect(reasonsOf(next)).toEqual(['Suspended']);
  });

  it.each(['Updating', 'ClusterStarting'])('in %s is given up', (phase) => {
    const next = firstDeploy(phase, { spec: SUSPEND });

    expect(next.status).toMatchObject({ phase: 'Suspended' });
    expect(next.status).not.toHaveProperty('rollout');
  });

  it('that failed is not tried again', () => {
    const next = atRest({
      spec: SUSPEND,
      old: { cluster: undefined, jobManager: undefined },
      status: without(['deployHash', 'currentRevision', 'jobStatus'], {
        phase: 'DeployFailed',
        failedDeploy: FAILED_DEPLOY,
      }),
    });

    expect(next.status.phase).toBe('Suspended');
  });

  it.each`
    what                              | suspension                                                      | spec                             | path
    ${'a suspended application'}      | ${{ time: '', revision: 'orders-1', savepointPath: SAVEPOINT }} | ${{}}                            | ${SAVEPOINT}
    ${'one of another operator'}      | ${{ time: '', jobId: OLD_JOB, savepointPath: SAVEPOINT }}       | ${{}}                            | ${SAVEPOINT}
    ${'one suspended without state'}  | ${{ time: '', revision: 'orders-1' }}                           | ${{ savepointPath: 's3://own' }} | ${''}
    ${'one that was never deployed'}  | ${{ time: '' }}                                                 | ${{ savepointPath: 's3://own' }} | ${'s3://own'}
    ${'one that was never suspended'} | ${undefined}                                                    | ${{ savepointPath: 's3://own' }} | ${'s3://own'}
  `('of $what begins from "$path"', ({ suspension, spec, path }) => {
    const next = firstDeploy('Savepointing', { spec, status: { suspension } });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: path });
  });

  it('of an application that another operator had deployed begins where that one’s job was ended', () => {
    const ended = suspending('Savepointing', {
      status: without(['currentRevision'], { savepointPath: SAVEPOINT }),
      rollout: { revision: '' },
      old: oldJob({ state: 'FINISHED', savepoint: { state: 'Completed', location: SAVEPOINT } }),
    });
    const { suspension = { time: '' } } = ended.status;
    const next = suspended({ spec: {}, status: { suspension } });

    expect(conditionOf(ended, 'Deployed')?.message).toContain(`resumes from ${SAVEPOINT}`);
    expect(next.events).toMatchObject([{ reason: 'Resuming', message: expect.stringContaining(SAVEPOINT) }]);
  });

  it('of a suspended application begins without state where savepointDisabled is set by then', () => {
    const suspension = { time: '', revision: 'orders-1', savepointPath: SAVEPOINT };

    const next = firstDeploy('Cancelling', { spec: { savepointDisabled: true }, status: { suspension } });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: '' });
  });
});
