import { describe, expect, it } from 'vitest';
import {
  aJob,
  aJobManager,
  aRevision,
  aRollout,
  aService,
  aSilentJobManager,
  aStatus,
  atRest,
  CHECKPOINT,
  conditionOf,
  firstDeploy,
  kindsOf,
  midway,
  NAME,
  NEW as NEW_HASH,
  NEW_JOB,
  newJob,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  OLD_SPEC,
  oldJob,
  reasonsOf,
  type SceneParts,
  secondsAgo,
  TRIGGER,
} from '../scenes.ts';

const LARGER = { taskManagerConfig: { ...OLD_SPEC.taskManagerConfig, taskSlots: 2, replicas: 4 } };
const LARGER_REVISION = aRevision({ ...OLD_SPEC, ...LARGER });
const RESTARTS = { restartPolicy: 'FromLatestCheckpoint' } as const;
const RECORD = { lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(60) };

/** The spec asks for four TaskManagers where two are deployed, and for nothing else. */
function resized({ spec, ...parts }: SceneParts = {}) {
  return atRest({ spec: { ...LARGER, ...spec }, seen: { revisions: [OLD_REVISION, LARGER_REVISION] }, ...parts });
}

describe('another size of a job that has ended', () => {
  it.each`
    state           | scaleMode       | words
    ${'FINISHED'}   | ${'NewCluster'} | ${'has finished'}
    ${'CANCELED'}   | ${'NewCluster'} | ${'was cancelled'}
    ${'CANCELLING'} | ${'NewCluster'} | ${'is being cancelled'}
    ${'FAILED'}     | ${'NewCluster'} | ${'has failed'}
    ${'LOST'}       | ${'NewCluster'} | ${'was lost'}
    ${'FINISHED'}   | ${'InPlace'}    | ${'has finished'}
    ${'CANCELED'}   | ${'InPlace'}    | ${'was cancelled'}
    ${'FAILED'}     | ${'InPlace'}    | ${'has failed'}
    ${'LOST'}       | ${'InPlace'}    | ${'was lost'}
  `('is recorded and deploys nothing: $state, $scaleMode', ({ state, scaleMode, words }) => {
    const next = resized({ spec: { scaleMode }, old: oldJob({ state }) });

    expect(next).toMatchObject({ status: { phase: 'Running' }, effects: [], isInTransition: false });
    expect(next.status.rollout).toBeUndefined();
    expect(conditionOf(next, 'Deployed')).toMatchObject({
      status: 'False',
      reason: 'SizeRecorded',
      message: `4 TaskManagers (parallelism 8) are recorded, 2 (4) are deployed: job ${OLD_JOB} ${words}, and replicas alone do not start it again; they are deployed with the next change of the spec, or with another restartNonce`,
    });
  });

  it('is told once, and again when it is another', () => {
    const first = resized({ old: oldJob({ state: 'FINISHED' }) });
    const again = resized({ status: { ...first.status }, old: oldJob({ state: 'FINISHED' }) });
    const other = resized({
      spec: { taskManagerConfig: { taskSlots: 2, replicas: 5 } },
      status: { ...first.status },
      old: oldJob({ state: 'FINISHED' }),
    });

    expect([first, again, other].map((step) => reasonsOf(step).filter((reason) => reason === 'SizeRecorded'))).toEqual([
      ['SizeRecorded'],
      [],
      ['SizeRecorded'],
    ]);
  });

  it.each(['FINISHED', 'CANCELED', 'FAILED'])(
    'is recorded also while the JobManager of a job seen %s is silent',
    (state) => {
      const status = { jobStatus: { ...aStatus().jobStatus, state } };

      const next = resized({ status, old: { jobManager: aSilentJobManager() } });

      expect(next.status.rollout).toBeUndefined();
      expect(conditionOf(next, 'Deployed')?.reason).toBe('SizeRecorded');
    },
  );

  it.each(['restartNonce', 'image'])('is deployed together with another %s', (field) => {
    const next = resized({ spec: { [field]: 'another' }, old: oldJob({ state: 'FINISHED' }) });

    expect(next.status).toMatchObject({ phase: 'Updating', rollout: { kind: 'NewCluster', oldJobEnd: 'FINISHED' } });
  });

  it.each(['FAILED', 'LOST'])('waits for a %s job that its policy starts again', (state) => {
    const status = { jobStatus: { ...aStatus().jobStatus, ...RECORD } };

    const next = resized({
      spec: RESTARTS,
      status,
      old: oldJob({
        state,
        checkpoints: { completed: 1, latestCompleted: { path: CHECKPOINT, time: Date.parse(secondsAgo(60)) } },
      }),
    });

    expect(next.status.rollout).toMatchObject({ kind: 'Restart', revision: OLD_REVISION.name });
    expect(reasonsOf(next)).toContain('RestartingJob');
  });

  it('is tried again where a deploy had ended the job and could not bring it back', () => {
    const failedDeploy = {
      revision: LARGER_REVISION.name,
      hash: NEW_HASH,
      parallelism: 8,
      taskManagers: 4,
      reason: 'RollbackFailed',
      message: '',
      time: secondsAgo(1800),
      attempts: 1,
      retryTime: secondsAgo(0),
    };

    const next = resized({ status: { phase: 'DeployFailed', failedDeploy }, old: oldJob({ state: 'LOST' }) });
    const starting = midway('ClusterStarting', {
      spec: { ...OLD_SPEC, ...LARGER },
      rollout: { revision: LARGER_REVISION.name },
      status: { failedDeploy },
      old: oldJob({ state: 'LOST' }),
      seen: { revisions: [OLD_REVISION, LARGER_REVISION] },
    });

    expect(next.status.phase).toBe('Updating');
    expect(next.status.rollout).not.toHaveProperty('oldJobEnd');
    expect(starting.status.phase).toBe('ClusterStarting');
  });

  it.each(['RUNNING', 'RESTARTING', 'SILENT'])('begins as ever when the job is %s', (state) => {
    expect(resized({ old: oldJob({ state }) }).status.phase).toBe('Updating');
  });
});

describe('a job that ends by itself while only its size is being changed', () => {
  const rollout = { revision: LARGER_REVISION.name };
  const resizing = (phase: string, { spec, ...parts }: SceneParts) =>
    midway(phase, {
      spec: { ...OLD_SPEC, ...LARGER, ...spec },
      seen: { revisions: [OLD_REVISION, LARGER_REVISION] },
      ...parts,
      rollout: { ...rollout, ...parts.rollout },
    });

  it.each`
    phase                | state
    ${'ClusterStarting'} | ${'FINISHED'}
    ${'ClusterStarting'} | ${'CANCELED'}
    ${'ClusterStarting'} | ${'FAILED'}
    ${'ClusterStarting'} | ${'LOST'}
    ${'Savepointing'}    | ${'FINISHED'}
    ${'Savepointing'}    | ${'CANCELED'}
    ${'Savepointing'}    | ${'FAILED'}
    ${'Savepointing'}    | ${'LOST'}
    ${'Cancelling'}      | ${'FINISHED'}
    ${'Recovering'}      | ${'FINISHED'}
  `('is not begun again: $state in $phase', ({ phase, state }) => {
    const next = resizing(phase, { old: oldJob({ state }) });

    expect(next.status).toMatchObject({ phase: 'Running', deployHash: OLD });
    expect(next.status.rollout).toBeUndefined();
    expect(next.effects).toEqual([]);
    expect(reasonsOf(next)[0]).toBe('DeployWithdrawn');
  });

  it.each`
    kind                      | state         | phase
    ${'InPlace'}              | ${'FINISHED'} | ${'Running'}
    ${'InPlace'}              | ${'CANCELED'} | ${'Running'}
    ${'InPlace'}              | ${'FAILED'}   | ${'RollingBackJob'}
    ${'InPlaceWithSavepoint'} | ${'FINISHED'} | ${'Running'}
    ${'InPlaceWithSavepoint'} | ${'CANCELED'} | ${'Running'}
    ${'InPlaceWithSavepoint'} | ${'LOST'}     | ${'Running'}
  `('$kind is left for $phase when it is $state', ({ kind, state, phase }) => {
    const next = resizing('Rescaling', { rollout: { kind, hash: OLD }, old: oldJob({ state }) });

    expect(next.status.phase).toBe(phase);
  });

  it('is waited for as ever once a savepoint was asked for: it may have ended it', () => {
    const next = resizing('Savepointing', {
      status: { savepointTriggerId: TRIGGER },
      old: oldJob({ state: 'CANCELED' }),
    });

    expect(next.status.phase).toBe('Recovering');
  });

  it('has finished by itself though a savepoint of it was asked for and failed', () => {
    const failed = { state: 'Failed', cause: 'the job has finished' } as const;

    const next = resizing('Savepointing', {
      status: { savepointTriggerId: TRIGGER },
      old: oldJob({ state: 'FINISHED', savepoint: failed }),
    });

    expect(next.status.phase).toBe('Running');
  });
});

describe('a JobManager that was restarted and knows nothing', () => {
  it.each`
    state         | reason           | health
    ${'FINISHED'} | ${'JobFinished'} | ${'Green'}
    ${'CANCELED'} | ${'JobCanceled'} | ${'Red'}
    ${'FAILED'}   | ${'JobFailed'}   | ${'Red'}
    ${'RUNNING'}  | ${'JobLost'}     | ${'Red'}
  `('does not change that a job was seen $state', ({ state, reason, health }) => {
    const seen = atRest({ old: oldJob({ state }) });

    const next = atRest({ status: { ...seen.status }, old: oldJob({ state: 'LOST' }) });

    expect(next.status.jobStatus).toMatchObject({ state: state === 'RUNNING' ? 'LOST' : state, health });
    expect(conditionOf(next, 'JobRunning')).toMatchObject({ status: 'False', reason });
    expect(reasonsOf(next)).toEqual(state === 'RUNNING' ? ['JobLost'] : []);
  });

  it.each`
    state         | phase
    ${'FINISHED'} | ${'Running'}
    ${'CANCELED'} | ${'Running'}
    ${'FAILED'}   | ${'SubmittingJob'}
    ${'RUNNING'}  | ${'SubmittingJob'}
  `('is no reason to start a job again that was seen $state: $phase', ({ state, phase }) => {
    const status = { jobStatus: { ...aStatus().jobStatus, ...RECORD, state } };

    expect(atRest({ spec: RESTARTS, status, old: oldJob({ state: 'LOST' }) }).status.phase).toBe(phase);
  });

  it('says of a job that it knows by that id again what it says', () => {
    const status = { jobStatus: { ...aStatus().jobStatus, state: 'CANCELED' } };

    expect(conditionOf(atRest({ status }), 'JobRunning')?.status).toBe('True');
  });

  it('tells the end of a job also while it does not respond', () => {
    const status = { jobStatus: { ...aStatus().jobStatus, state: 'FINISHED' } };

    const next = atRest({ status, old: { jobManager: aSilentJobManager() } });

    expect(conditionOf(next, 'JobRunning')?.reason).toBe('JobFinished');
  });

  it('lets a finished job begin anew with the next version, and not at its last checkpoint', () => {
    const status = { jobStatus: { ...aStatus().jobStatus, ...RECORD, state: 'FINISHED' } };

    const next = midway('Savepointing', { status, old: oldJob({ state: 'LOST' }) });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: '' });
  });
});

it('is not sure of a job that finished after a savepoint was asked for, once its JobManager has forgotten both', () => {
  const status = { savepointTriggerId: TRIGGER, jobStatus: { ...aStatus().jobStatus, ...RECORD, state: 'FINISHED' } };

  const next = midway('Savepointing', { status, old: oldJob({ state: 'LOST' }) });

  expect(next.status.phase).toBe('Recovering');
});

describe('a deploy that fails', () => {
  const failure = { reason: 'JobMonitoringFailed', message: 'no such topic' };
  const rollingBack = (oldJobEnd: string, parts: SceneParts = {}) =>
    midway('RollingBackJob', {
      old: oldJob({ state: 'LOST' }),
      next: newJob({ state: 'FAILED' }),
      status: { jobStatus: { ...aStatus().jobStatus, jobID: NEW_JOB, state: 'FAILED' } },
      ...parts,
      rollout: { jobId: NEW_JOB, isSubmitted: true, failure, oldJobEnd, ...parts.rollout },
    });

  it.each(['FINISHED', 'CANCELED', 'FAILED', 'LOST'])('does not bring a job back that was %s before', (end) => {
    const next = rollingBack(end);

    expect(next.effects).toEqual([]);
    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      deployHash: OLD,
      jobStatus: { jobID: OLD_JOB, state: end, parallelism: 4, programArgs: '--old' },
      failedDeploy: { reason: 'JobMonitoringFailed' },
    });
    expect(reasonsOf(next)).not.toContain('RollbackSucceeded');
  });

  it('ends the new job first', () => {
    expect(kindsOf(rollingBack('FINISHED', { next: newJob({}) }))).toEqual(['CancelJob']);
  });

  it('points the service back first', () => {
    expect(kindsOf(rollingBack('FINISHED', { seen: { services: [aService(NAME, 'jm1b1b1b')] } }))).toEqual([
      'PointService',
    ]);
  });

  it.each`
    state         | policy                    | end
    ${'FINISHED'} | ${'Never'}                | ${'FINISHED'}
    ${'CANCELED'} | ${'FromLatestCheckpoint'} | ${'CANCELED'}
    ${'FAILED'}   | ${'Never'}                | ${'FAILED'}
    ${'LOST'}     | ${'Never'}                | ${'LOST'}
    ${'FAILED'}   | ${'FromLatestCheckpoint'} | ${undefined}
    ${'RUNNING'}  | ${'Never'}                | ${undefined}
  `('knows how it began: $state with restartPolicy $policy is noted as $end', ({ state, policy, end }) => {
    const next = atRest({ spec: { image: 'orders:2', restartPolicy: policy }, old: oldJob({ state }) });

    expect(next.status.phase).toBe('Updating');
    expect(next.status.rollout?.oldJobEnd).toBe(end);
  });

  it.each(['FINISHED', 'CANCELED'])('knows of a job that was %s while its cluster was starting', (state) => {
    const next = midway('ClusterStarting', { old: oldJob({ state }) });

    expect(next.status).toMatchObject({ phase: 'Savepointing', rollout: { oldJobEnd: state } });
  });

  it('takes no lost job for ended where high availability may find it again', () => {
    const flinkConfig = { 'high-availability.type': 'kubernetes', 'high-availability.storageDir': 's3://ha' };
    const revision = aRevision({ ...OLD_SPEC, flinkConfig });

    const next = atRest({
      spec: { ...OLD_SPEC, flinkConfig, image: 'orders:2' },
      status: { currentRevision: revision.name },
      seen: { revisions: [revision] },
      old: oldJob({ state: 'LOST' }),
    });

    expect(next.status.phase).toBe('Updating');
    expect(next.status.rollout).not.toHaveProperty('oldJobEnd');
  });

  it('has nothing to keep on a first deploy', () => {
    const next = firstDeploy('SubmittingJob', {
      rollout: { jobId: NEW_JOB, isSubmitted: true },
      next: newJob({ state: 'FAILED' }),
    });

    expect(next.status.phase).toBe('DeployFailed');
  });
});

describe('what is recorded of one job', () => {
  it('is no end of another: the job of a rollback that was given up is lost, and not cancelled', () => {
    const next = midway('RollingBackJob', {
      old: { jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob({ state: 'CANCELED' }) } }) },
      next: newJob({ state: 'FAILED' }),
      status: { savepointPath: '', jobStatus: { ...aStatus().jobStatus, state: 'CANCELED' } },
      rollout: aRollout({
        jobId: NEW_JOB,
        isSubmitted: true,
        rollbackJobId: 'c'.repeat(32),
        failure: { reason: 'JobMonitoringFailed', message: '' },
        rollbacks: 4,
        deadline: secondsAgo(1),
      }),
      spec: { savepointDisabled: true },
    });

    expect(next.status.phase).toBe('DeployFailed');
    expect(next.status.jobStatus).toMatchObject({ jobID: 'c'.repeat(32) });
    expect(next.status.jobStatus?.state).not.toBe('CANCELED');
  });
});
