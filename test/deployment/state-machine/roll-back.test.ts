import { describe, expect, it } from 'vitest';
import type { JobView } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  aRevision,
  aService,
  aSilentJobManager,
  aStatus,
  aStoppedCluster,
  atRest,
  CHECKPOINT,
  completed,
  effectsOf,
  inSeconds,
  kindsOf,
  midway,
  NAME,
  NEW,
  NEW_JOB,
  NEW_REVISION,
  NOW,
  newJob,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  oldJob,
  ROLLBACK_JOB,
  reasonsOf,
  SAVEPOINT,
  type SceneParts,
  secondsAgo,
} from '../scenes.ts';

const FAILURE = { reason: 'JobMonitoringFailed', message: 'Job b is FAILED' };

/** The old job was stopped with a savepoint; the new one has failed. */
function rollingBack({ status, rollout, ...parts }: SceneParts = {}) {
  return midway('RollingBackJob', {
    old: oldJob({ state: 'CANCELED' }),
    next: newJob({ state: 'FAILED' }),
    status: { savepointPath: SAVEPOINT, ...status },
    rollout: { jobId: NEW_JOB, isSubmitted: true, failure: FAILURE, ...rollout },
    ...parts,
  });
}

const ANNOUNCED = { rollbackJobId: ROLLBACK_JOB };
const LAST_TRY = { ...ANNOUNCED, rollbacks: 4 };
const REFUSED = { appError: 'refused', isFailFast: true };

function oldCluster(state: string, slots = 4) {
  const jobs = { [OLD_JOB]: aJob({ state: 'CANCELED' }), [ROLLBACK_JOB]: aJob({ state }) };
  return { jobManager: aJobManager({ slots, jobs }) };
}

describe('RollingBackJob', () => {
  it('points the generic service back at the old cluster', () => {
    const next = rollingBack({ seen: { services: [aService(NAME, 'jm1b1b1b')] } });

    expect(effectsOf(next, 'PointService')).toEqual([
      { kind: 'PointService', name: NAME, resourceVersion: '1', podSelector: 'jm0a0a0a' },
    ]);
  });

  it('writes an id down before the old job is submitted again', () => {
    const next = rollingBack();

    expect(next.status.rollout?.rollbackJobId).toMatch(/^[0-9a-f]{32}$/);
    expect(next.status.rollout?.rollbackJobId).not.toBe(OLD_JOB);
    expect(next.effects).toEqual([]);
  });

  it('submits the old job as it was recorded, on its own cluster, from the savepoint', () => {
    const next = rollingBack({ rollout: ANNOUNCED, old: oldCluster('LOST') });

    expect(next.effects).toEqual([
      {
        kind: 'SubmitJob',
        hash: OLD,
        submission: {
          jobId: ROLLBACK_JOB,
          jarName: 'orders.jar',
          entryClass: 'com.example.Orders',
          programArgs: '--old',
          parallelism: 4,
          allowNonRestoredState: false,
          savepointPath: SAVEPOINT,
        },
      },
    ]);
  });

  it('submits the list of arguments that was recorded, and keeps it on record', () => {
    const programArgsList = ['--old', 'a "b"', ''];
    const { programArgs: _, ...jobStatus } = { ...aStatus().jobStatus, programArgsList };

    const next = rollingBack({ status: { jobStatus }, rollout: ANNOUNCED, old: oldCluster('LOST') });
    const done = rollingBack({ status: { jobStatus }, rollout: ANNOUNCED, old: oldCluster('RUNNING') });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission).toMatchObject({ programArgsList });
    expect(done.status).toMatchObject({ phase: 'DeployFailed', jobStatus: { programArgsList } });
  });

  it('leaves a job alone that somebody submitted to the old cluster, and takes it for nothing of its own', () => {
    const foreign = 'f'.repeat(32);
    const jobs = { [OLD_JOB]: aJob({ state: 'CANCELED' }), [foreign]: aJob() };

    const next = rollingBack({ old: { jobManager: aJobManager({ jobs }) } });

    expect(next.status.rollout?.rollbackJobId).toMatch(/^[0-9a-f]{32}$/);
    expect(next.status.rollout?.rollbackJobId).not.toBe(foreign);
    expect(next.effects).toEqual([]);
    expect(next.events).toMatchObject([{ type: 'Warning', reason: 'UnexpectedJob' }]);
  });

  it('ends an earlier attempt of this deploy on the old cluster first', () => {
    const announced = rollingBack().status.rollout;
    const earlier = announced?.rollbackJobId ?? '';
    const jobs = { [OLD_JOB]: aJob({ state: 'CANCELED' }), [earlier]: aJob() };

    const next = rollingBack({
      rollout: { attempts: announced?.attempts ?? 0 },
      old: { jobManager: aJobManager({ jobs }) },
    });

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: OLD, jobId: earlier }]);
    expect(next.status.rollout).not.toHaveProperty('rollbackJobId');
  });

  it('brings an old job back that its high availability has resumed when its stopped cluster was started again', () => {
    const rollbackTime = secondsAgo(40);
    const resumed = (startTime: number) =>
      rollingBack({ rollout: { rollbackTime }, old: oldJob({ startTime }), next: { cluster: aStoppedCluster(NEW) } });

    expect(resumed(NOW - 3600_000).status.phase).toBe('RollingBackJob');
    expect(resumed(NOW - 20_000).status).toMatchObject({ phase: 'DeployFailed', jobStatus: { jobID: OLD_JOB } });
  });

  it('notes that the JobManager has the old job again: from then on the id is used up', () => {
    const next = rollingBack({ rollout: ANNOUNCED, old: oldCluster('CREATED') });

    expect(next).toMatchObject({ status: { rollout: { ...ANNOUNCED, isRollbackSubmitted: true } }, effects: [] });
  });

  it('submits an old job that its JobManager had and lost under another id', () => {
    const rollout = { ...ANNOUNCED, isRollbackSubmitted: true };

    const next = rollingBack({ rollout, old: oldCluster('LOST') });

    expect(next.effects).toEqual([]);
    expect(next.status.rollout).toMatchObject({ rollbacks: 1 });
    expect(next.status.rollout?.rollbackJobId).not.toBe(ROLLBACK_JOB);
    expect(next.status.rollout).not.toHaveProperty('isRollbackSubmitted');
  });

  it('gives an id up that may have been used on a JobManager which was started again', () => {
    const rollout = { ...ANNOUNCED, jobManagerProcess: 'jm/0' };
    const { jobManager } = oldCluster('LOST');

    const next = rollingBack({
      rollout,
      old: { jobManager: { ...jobManager, process: 'jm/1' } },
    });

    expect(next.effects).toEqual([]);
    expect(next.status.rollout).toMatchObject({ jobManagerProcess: 'jm/1' });
    expect(next.status.rollout?.rollbackJobId).not.toBe(ROLLBACK_JOB);
    expect(next.status.rollout?.rollbacks).toBeUndefined();
  });

  it('ends in DeployFailed with the old job under its new id, and the failed revision remembered (I1b)', () => {
    const next = rollingBack({ rollout: ANNOUNCED, old: oldCluster('RUNNING') });

    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      deployHash: OLD,
      currentRevision: OLD_REVISION.name,
      rollbackHash: OLD,
      failedDeployHash: NEW,
      jobStatus: { jobID: ROLLBACK_JOB, parallelism: 4 },
      failedDeploy: {
        revision: NEW_REVISION.name,
        reason: 'JobMonitoringFailed',
        attempts: 1,
      },
    });
    for (const field of ['rollout', 'savepointPath', 'savepointTriggerId'])
      expect(next.status[field as 'rollout']).toBeUndefined();
    expect(reasonsOf(next)).toEqual(['DeployFailed', 'RollbackSucceeded']);
  });

  it('is over at once when the old job was never stopped', () => {
    const next = rollingBack({
      status: { savepointPath: '' },
      old: oldJob({}),
      rollout: { jobId: undefined } as object,
    });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', jobStatus: { jobID: OLD_JOB } });
    expect(next.effects).toEqual([]);
  });

  it('gives up no job that a savepoint is about to end, however late it is', () => {
    const next = rollingBack({
      status: { savepointPath: '', savepointTriggerId: 'd'.repeat(32) },
      old: oldJob({ savepoint: { state: 'InProgress' } }),
      rollout: { deadline: secondsAgo(1) },
    });

    expect(next).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
  });

  it('waits until no call of another round that would end the old job can be under way', () => {
    const begun = (seconds: number) =>
      rollingBack({
        status: { savepointPath: '', savepointTriggerId: 'd'.repeat(32) },
        old: oldJob({}),
        rollout: { jobId: undefined, rollbackTime: secondsAgo(seconds) } as object,
      });

    expect(begun(29)).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
    expect(begun(30)).toMatchObject({ status: { phase: 'DeployFailed', jobStatus: { jobID: OLD_JOB } } });
  });

  it.each`
    savepoint                                      | spoken
    ${{ state: 'InProgress' }}                     | ${'being taken'}
    ${{ state: 'Completed', location: SAVEPOINT }} | ${'complete, and the job about to go'}
  `('waits while the savepoint that cancels the old job is $spoken', ({ savepoint }) => {
    const next = rollingBack({
      status: { savepointPath: '', savepointTriggerId: 'd'.repeat(32) },
      old: oldJob({ savepoint }),
    });

    expect(next).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
  });

  it('submits without state where the job is run without state (I8)', () => {
    const next = rollingBack({
      spec: { savepointDisabled: true },
      status: { savepointPath: '' },
      rollout: ANNOUNCED,
      old: oldCluster('LOST'),
    });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission).not.toHaveProperty('savepointPath');
  });

  it('submits from the latest checkpoint when there is no savepoint', () => {
    const jobs = {
      [OLD_JOB]: aJob({ state: 'CANCELED', checkpoints: { latestCompleted: completed(CHECKPOINT, 60) } }),
      [ROLLBACK_JOB]: aJob({ state: 'LOST' }),
    };

    const next = rollingBack({
      status: { savepointPath: '' },
      rollout: ANNOUNCED,
      old: { jobManager: aJobManager({ jobs }) },
    });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission.savepointPath).toBe(CHECKPOINT);
  });

  it('begins the old job from the savepoint that ended it during the rollback, though a page of checkpoints is older', () => {
    const next = rollingBack({
      status: { savepointPath: '', savepointTriggerId: 'd'.repeat(32) },
      old: oldJob({
        state: 'CANCELED',
        savepoint: { state: 'Completed', location: SAVEPOINT },
        checkpoints: { latestCompleted: completed(CHECKPOINT, 1) },
      }),
    });

    expect(next.status).toMatchObject({ savepointPath: SAVEPOINT, rollout: { rollbackJobId: expect.any(String) } });
  });

  it('never begins the old job from nothing, and says so', () => {
    const next = rollingBack({ status: { savepointPath: '' } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'RollbackFailed' } });
    expect(next.status.failedDeploy?.message).toContain('there is no completed checkpoint');
    expect(kindsOf(next)).toEqual([]);
  });

  it.each`
    parts                                                                       | why
    ${{ rollout: { ...ANNOUNCED, deadline: secondsAgo(1) } }}                   | ${'its time is over'}
    ${{ rollout: LAST_TRY, old: oldCluster('FAILED') }}                         | ${'the old job fails again and again'}
    ${{ rollout: LAST_TRY, status: { lastSeenError: REFUSED, retryCount: 1 } }} | ${'it is refused again and again'}
  `('gives up when $why, and says where the state is', ({ parts }) => {
    const next = rollingBack(parts);

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'RollbackFailed' } });
    expect(next.status.failedDeploy?.message).toContain(SAVEPOINT);
    expect(reasonsOf(next)).toContain('RollbackFailed');
  });

  it.each`
    parts                                                                        | why
    ${{ rollout: ANNOUNCED, old: oldCluster('FAILED') }}                         | ${'has failed'}
    ${{ rollout: ANNOUNCED, status: { lastSeenError: REFUSED, retryCount: 1 } }} | ${'was refused'}
  `('tries once more, with another id and after a while, when the old job $why', ({ parts }) => {
    const next = rollingBack(parts);

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', retryCount: 7, rollout: { rollbacks: 1 } });
    expect(next.status.rollout?.rollbackJobId).not.toBe(ANNOUNCED.rollbackJobId);
  });

  it('is over when the first stage of an old batch job runs, and the later ones wait for it', () => {
    const vertices = [{ id: 'first' }, { id: 'second', status: 'CREATED' }];
    const jobs = { [OLD_JOB]: aJob({ state: 'CANCELED' }), [ROLLBACK_JOB]: aJob({ isBatch: true, vertices }) };

    const next = rollingBack({ rollout: ANNOUNCED, old: { jobManager: aJobManager({ jobs }) } });

    expect(reasonsOf(next)).toContain('RollbackSucceeded');
  });

  it('looks before it gives up: a job that is up in time is not given up because it is looked at late', () => {
    const late = { ...ANNOUNCED, deadline: secondsAgo(1) };

    expect(reasonsOf(rollingBack({ rollout: late, old: oldCluster('RUNNING') }))).toContain('RollbackSucceeded');
  });

  it('begins an old batch job from the start, which has no state', () => {
    const next = rollingBack({ status: { savepointPath: '' }, old: oldJob({ state: 'FAILED', isBatch: true }) });

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', savepointPath: '' });
    expect(next.status.rollout?.rollbackJobId).toBeDefined();
  });

  it('leaves a job alone that has finished meanwhile', () => {
    const next = rollingBack({ status: { savepointPath: '' }, old: oldJob({ state: 'FINISHED' }) });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', jobStatus: { jobID: OLD_JOB } });
    expect(kindsOf(next)).toEqual([]);
  });
});

describe('F2: a rollback needs only the slots of the recorded parallelism', () => {
  const scaledUp = aRevision({ image: 'orders:1', taskManagerConfig: { replicas: 4 } });

  it('submits the old job to the 4 slots it had, though the failed size was 8', () => {
    const next = rollingBack({
      spec: { image: 'orders:1', taskManagerConfig: { replicas: 4 } },
      rollout: { ...ANNOUNCED, revision: scaledUp.name },
      old: oldCluster('LOST', 4),
      seen: { revisions: [OLD_REVISION, scaledUp] },
    });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission.parallelism).toBe(4);
  });

  it('waits for those slots', () => {
    const next = rollingBack({ rollout: ANNOUNCED, old: oldCluster('LOST', 3) });

    expect(next.effects).toEqual([]);
    expect(next.status.phase).toBe('RollingBackJob');
  });

  it('gives a cluster that was stopped its recorded size back first', () => {
    const next = rollingBack({ old: { cluster: aStoppedCluster(OLD), jobManager: aSilentJobManager() } });

    expect(effectsOf(next, 'ScaleDeployment').map(({ name, replicas }) => [name, replicas])).toEqual([
      [`orders-${OLD}-jm`, 1],
      [`orders-${OLD}-tm`, 2],
    ]);
    expect(kindsOf(next)).not.toContain('SubmitJob');
  });
});

describe('F3: a revision that failed once is never tried again', () => {
  const failedBefore = (revision: string, attempts: number) => ({
    revision,
    hash: NEW,
    parallelism: 4,
    taskManagers: 2,
    reason: 'JobMonitoringFailed',
    message: '',
    time: secondsAgo(9),
    attempts,
  });

  it.each`
    attempts | seconds
    ${0}     | ${300}
    ${1}     | ${600}
    ${2}     | ${1200}
    ${3}     | ${2400}
    ${4}     | ${3600}
    ${9}     | ${3600}
  `(
    'is tried again $seconds s after a failure that left the job alone, with $attempts before',
    ({ attempts, seconds }) => {
      const next = midway('ClusterStarting', {
        rollout: { deadline: secondsAgo(0) },
        next: { jobManager: aSilentJobManager() },
        status: { failedDeploy: failedBefore(NEW_REVISION.name, attempts) },
      });

      expect(next.status.failedDeploy).toMatchObject({ attempts: attempts + 1, retryTime: inSeconds(seconds) });
    },
  );

  it.each`
    attempts | seconds
    ${0}     | ${1800}
    ${1}     | ${3600}
    ${5}     | ${21600}
  `(
    'is tried again $seconds s after a size that had to be rolled back, with $attempts before',
    ({ attempts, seconds }) => {
      const larger = aRevision({ image: 'orders:1', taskManagerConfig: { replicas: 4 } });

      const next = rollingBack({
        spec: { image: 'orders:1', taskManagerConfig: { replicas: 4 } },
        seen: { revisions: [OLD_REVISION, larger] },
        rollout: { ...ANNOUNCED, revision: larger.name },
        old: oldCluster('RUNNING'),
        status: { failedDeploy: failedBefore(larger.name, attempts) },
      });

      expect(next.status.failedDeploy).toMatchObject({ attempts: attempts + 1, retryTime: inSeconds(seconds) });
    },
  );

  it('is not risked again by itself when the job had to be brought back', () => {
    const next = rollingBack({ rollout: ANNOUNCED, old: oldCluster('RUNNING') });

    expect(next.status.failedDeploy).not.toHaveProperty('retryTime');
  });

  it('counts another revision from the start', () => {
    const next = rollingBack({
      rollout: ANNOUNCED,
      old: oldCluster('RUNNING'),
      status: { failedDeploy: failedBefore('orders-0000000000', 5) },
    });

    expect(next.status.failedDeploy?.attempts).toBe(1);
  });
});

describe('F6: two jobs run at once', () => {
  it('begins no job beside an old one that its high availability finds when the rollback has been given up', () => {
    const elected = aRevision({ image: 'orders:1', flinkConfig: { 'high-availability.type': 'kubernetes' } });
    const seen = { revisions: [elected, NEW_REVISION] };
    const given = rollingBack({
      status: { currentRevision: elected.name },
      rollout: { deadline: secondsAgo(1) },
      old: { jobManager: aSilentJobManager() },
      seen,
    });
    const found = (jobs: Record<string, JobView>) =>
      atRest({
        spec: { ...elected.revision.spec, restartPolicy: 'FromLatestCheckpoint' },
        status: { ...given.status },
        old: { jobManager: aJobManager({ jobs }) },
        seen,
      });
    const { jobID = '' } = given.status.jobStatus ?? {};

    const alive = found({ [jobID]: aJob({ state: 'LOST' }), [OLD_JOB]: aJob() });
    const lost = found({ [jobID]: aJob({ state: 'LOST' }) });

    expect(given.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'RollbackFailed' } });
    expect(alive.status.rollout).toBeUndefined();
    expect(alive.status.jobStatus).toMatchObject({ jobID: OLD_JOB, state: 'RUNNING' });
    expect(lost.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: SAVEPOINT });
  });

  it.each`
    state           | kinds
    ${'RUNNING'}    | ${['CancelJob']}
    ${'RESTARTING'} | ${['CancelJob']}
    ${'CANCELLING'} | ${[]}
    ${'SILENT'}     | ${['ScaleDeployment', 'ScaleDeployment']}
  `('ends the new job, which is $state, before the old one is submitted', ({ state, kinds }) => {
    const next = rollingBack({ rollout: ANNOUNCED, old: oldCluster('LOST'), next: newJob({ state }) });

    expect(kindsOf(next)).toEqual(kinds);
    for (const effect of next.effects)
      expect(JSON.stringify(effect)).toContain(effect.kind === 'CancelJob' ? NEW_JOB : NEW);
  });

  it('stops the new cluster of a submission that was never answered: its job may come up later', () => {
    const next = rollingBack({
      rollout: { ...ANNOUNCED, isSubmitted: false },
      old: oldCluster('LOST'),
      next: newJob({ state: 'LOST' }),
    });

    expect(effectsOf(next, 'ScaleDeployment').map(({ replicas }) => replicas)).toEqual([0, 0]);
    expect(kindsOf(next)).not.toContain('SubmitJob');
  });

  it('waits, where both jobs share a cluster, until the new one cannot be submitted any more by another round', () => {
    const jobs = {
      [OLD_JOB]: aJob({ state: 'CANCELED' }),
      [NEW_JOB]: aJob({ state: 'LOST' }),
    };
    const begun = (seconds: number) =>
      rollingBack({
        rollout: {
          kind: 'InPlaceWithSavepoint',
          hash: OLD,
          isSubmitted: false,
          rollbackTime: secondsAgo(seconds),
        },
        old: { jobManager: aJobManager({ jobs }) },
      });

    expect(begun(29).status.rollout).not.toHaveProperty('rollbackJobId');
    expect(begun(30).status.rollout).toHaveProperty('rollbackJobId');
  });

  it('goes on when no pod of the new cluster is left', () => {
    const next = rollingBack({
      rollout: { ...ANNOUNCED, isSubmitted: false },
      old: oldCluster('LOST'),
      next: { cluster: aStoppedCluster(NEW), jobManager: undefined },
    });

    expect(kindsOf(next)).toEqual(['SubmitJob']);
  });

  it('ends jobs on the new cluster that nobody here submitted', () => {
    const jobs = { ['e'.repeat(32)]: aJob(), ['f'.repeat(32)]: aJob({ state: 'CANCELLING' }) };

    const next = rollingBack({ rollout: { jobId: undefined } as object, next: { jobManager: aJobManager({ jobs }) } });

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: NEW, jobId: 'e'.repeat(32) }]);
  });

  it('stops a new cluster whose jobs are not known: one may run that nobody here submitted', () => {
    const next = rollingBack({
      rollout: { ...ANNOUNCED, jobId: undefined } as object,
      old: oldCluster('LOST'),
      next: { jobManager: aSilentJobManager() },
    });

    expect(effectsOf(next, 'ScaleDeployment').map(({ name, replicas }) => [name, replicas])).toEqual([
      [`orders-${NEW}-jm`, 0],
      [`orders-${NEW}-tm`, 0],
    ]);
    expect(kindsOf(next)).not.toContain('SubmitJob');
  });
});

describe('F18: a rollback after a rescale leaves the larger size behind', () => {
  const larger = aRevision({ image: 'orders:1', taskManagerConfig: { replicas: 4 } });
  const inPlace = (parts: SceneParts) =>
    midway('RollingBackJob', {
      spec: { image: 'orders:1', taskManagerConfig: { replicas: 4 }, scaleMode: 'InPlace' },
      seen: { revisions: [OLD_REVISION, larger], services: [] },
      ...parts,
      rollout: { kind: 'InPlace', hash: OLD, revision: larger.name, failure: FAILURE, ...parts.rollout },
      status: { savepointPath: '', ...parts.status },
      old: { cluster: aCluster(OLD, { taskManagers: 4, available: 3 }), ...parts.old },
    });

  it('takes back what the adaptive scheduler was told', () => {
    const next = inPlace({ old: oldJob({ requirements: { source: { lowerBound: 1, upperBound: 8 } } }) });

    expect(next.effects).toEqual([
      {
        kind: 'SetResourceRequirements',
        hash: OLD,
        jobId: OLD_JOB,
        requirements: { source: { lowerBound: 1, upperBound: 4 } },
      },
    ]);
  });

  it('keeps the job that ran all the time', () => {
    const next = inPlace({ old: oldJob({ requirements: { source: { lowerBound: 1, upperBound: 4 } } }) });

    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      jobStatus: { jobID: OLD_JOB, parallelism: 4 },
      failedDeploy: { parallelism: 8, taskManagers: 4 },
    });
  });
});
