import { describe, expect, it } from 'vitest';
import {
  aCluster,
  aJob,
  aJobManager,
  aRevision,
  aRollout,
  aService,
  aSilentJobManager,
  aStatus,
  aStoppedCluster,
  aVertex,
  CHECKPOINT,
  completed,
  conditionOf,
  effectsOf,
  firstDeploy,
  inSeconds,
  kindsOf,
  midway,
  NAME,
  NEW,
  NEW_JOB,
  NEW_REVISION,
  newJob,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  type SceneParts,
  secondsAgo,
  selectorOf,
  TRIGGER,
} from '../scenes.ts';

/** The old job has been saved and has ended. */
function submitting({ status, rollout, ...parts }: SceneParts = {}) {
  return midway('SubmittingJob', {
    old: oldJob({ state: 'CANCELED' }),
    status: { savepointPath: SAVEPOINT, savepointTriggerId: TRIGGER, ...status },
    rollout: { ...rollout },
    ...parts,
  });
}

const ANNOUNCED = { jobId: NEW_JOB };
const SUBMITTED = { jobId: NEW_JOB, isSubmitted: true };

describe('SubmittingJob', () => {
  it('points the generic service at the new cluster before anything else', () => {
    const next = submitting({ seen: { services: [aService(NAME, 'jm0a0a0a')] } });

    expect(next.effects).toEqual([{ kind: 'PointService', name: NAME, resourceVersion: '1', podSelector: 'jm1b1b1b' }]);
    expect(next.status.rollout?.jobId).toBeUndefined();
  });

  it("takes Lyft's older selector by hash away from the generic service", () => {
    const service = aService(NAME, 'jm1b1b1b');
    const older = { ...service, selector: { ...service.selector, 'flink-app-hash': NEW } };

    expect(kindsOf(submitting({ seen: { services: [older] } }))).toEqual(['PointService']);
  });

  it('writes the id of the job down before it is submitted', () => {
    const next = submitting();

    expect(next.status.rollout?.jobId).toMatch(/^[0-9a-f]{32}$/);
    expect(next.effects).toEqual([]);
  });

  it('submits the pinned job with the id that was written down, from the savepoint', () => {
    const next = submitting({ rollout: ANNOUNCED, next: newJob({ state: 'LOST' }), spec: { image: 'orders:3' } });

    expect(next.effects).toEqual([
      {
        kind: 'SubmitJob',
        hash: NEW,
        submission: {
          jobId: NEW_JOB,
          jarName: 'orders.jar',
          entryClass: 'com.example.Orders',
          programArgs: '',
          parallelism: 4,
          allowNonRestoredState: false,
          savepointPath: SAVEPOINT,
        },
      },
    ]);
  });

  it('submits a list of arguments as it was written, and records it for a rollback', () => {
    const programArgsList = ['--name', ' "a b" ', ''];
    const pinned = aRevision({ programArgsList });
    const seen = { revisions: [pinned] };
    const rollout = { ...ANNOUNCED, revision: pinned.name };

    const next = submitting({ rollout, seen, next: newJob({ state: 'LOST' }) });
    const done = submitting({ rollout: { ...rollout, isSubmitted: true }, seen, next: newJob({}) });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission).toMatchObject({ programArgs: '', programArgsList });
    expect(done.status).toMatchObject({ phase: 'Running', jobStatus: { programArgs: '', programArgsList } });
  });

  it('forgets the list of arguments that the job before it had', () => {
    const { jobStatus } = aStatus();
    const status = { jobStatus: { ...jobStatus, programArgsList: ['--old'] } };

    const next = submitting({ rollout: { ...ANNOUNCED, isSubmitted: true }, status, next: newJob({}) });

    expect(next.status.phase).toBe('Running');
    expect(next.status.jobStatus).not.toHaveProperty('programArgsList');
  });

  it('submits without a path where there is none', () => {
    const next = submitting({
      rollout: ANNOUNCED,
      next: newJob({ state: 'LOST' }),
      status: { savepointPath: '' },
    });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission).not.toHaveProperty('savepointPath');
  });

  it('says nothing to a JobManager that does not answer', () => {
    const next = submitting({ rollout: ANNOUNCED, next: newJob({ state: 'SILENT' }) });

    expect(next).toMatchObject({ status: { phase: 'SubmittingJob' }, effects: [] });
  });

  it('notes the job that is there, and gives its vertices a time of their own', () => {
    const next = submitting({ rollout: ANNOUNCED, next: newJob({ state: 'CREATED' }) });

    expect(next.status).toMatchObject({
      rollout: { isSubmitted: true, deadline: inSeconds(180) },
      jobStatus: { jobID: NEW_JOB },
    });
    expect(reasonsOf(next)).toEqual(['JobSubmitted']);
    expect(next.effects).toEqual([]);
  });

  describe('on a new cluster on which a job runs that Headrace did not submit', () => {
    const FOREIGN = 'f'.repeat(32);
    const foreign = (state: string) => ({ jobManager: aJobManager({ jobs: { [FOREIGN]: aJob({ state }) } }) });

    it('cancels that job, names it, and announces no other before it has ended', () => {
      const next = submitting({ next: foreign('RUNNING') });

      expect(next.effects).toEqual([{ kind: 'CancelJob', hash: NEW, jobId: FOREIGN }]);
      expect(next.events).toEqual([
        {
          type: 'Warning',
          reason: 'UnexpectedJob',
          message: `Job ${FOREIGN} runs on cluster ${NEW} and is not the application's: it is cancelled`,
        },
      ]);
      expect(next.status.rollout).not.toHaveProperty('jobId');
    });

    it('waits while it is being cancelled, without another Event', () => {
      const next = submitting({ next: foreign('CANCELLING') });

      expect(next).toMatchObject({ status: { phase: 'SubmittingJob' }, effects: [], events: [] });
      expect(next.status.rollout).not.toHaveProperty('jobId');
    });

    it('announces its own job when that one has ended', () => {
      const next = submitting({ next: foreign('CANCELED') });

      expect(next.status.rollout?.jobId).toMatch(/^[0-9a-f]{32}$/);
      expect(next.status.rollout?.jobId).not.toBe(FOREIGN);
    });

    it('rolls back, and names it, when it does not end in time', () => {
      const next = submitting({ next: foreign('CANCELLING'), rollout: { deadline: secondsAgo(1) } });

      expect(next.status).toMatchObject({
        phase: 'RollingBackJob',
        rollout: { failure: { reason: 'UnexpectedJob', message: expect.stringContaining(FOREIGN) } },
      });
    });

    it("adopts it in a deploy of Lyft's operator that was taken over, and does not say that it was submitted now", () => {
      const next = submitting({ next: foreign('RUNNING'), rollout: { isTakenOver: true } });

      expect(next.status.rollout?.jobId).toBe(FOREIGN);
      expect(reasonsOf(next)).toEqual(['JobAdopted']);

      const noted = submitting({ next: foreign('RUNNING'), rollout: { isTakenOver: true, jobId: FOREIGN } });

      expect(noted.status.rollout?.isSubmitted).toBe(true);
      expect(reasonsOf(noted)).toEqual([]);
    });

    it('rolls back such a deploy when more than one job runs there', () => {
      const jobs = { ['e'.repeat(32)]: aJob(), [FOREIGN]: aJob() };

      const next = submitting({ next: { jobManager: aJobManager({ jobs }) }, rollout: { isTakenOver: true } });

      expect(next.status).toMatchObject({ phase: 'RollingBackJob', rollout: { failure: { reason: 'TooManyJobs' } } });
    });
  });

  it('gives the deployed cluster the id of the new one, and takes it away where that has none', () => {
    const before = { clusterId: 'orders-0a0a0a0a-aaaaaa' };
    const clusterId = 'orders-1b1b1b1b-bbbbbb';

    const withId = submitting({ rollout: { ...SUBMITTED, clusterId }, next: newJob({}), status: before });
    const without = submitting({ rollout: SUBMITTED, next: newJob({}), status: before });

    expect(withId.status.clusterId).toBe(clusterId);
    expect(without.status).not.toHaveProperty('clusterId');
  });

  it('leaves a job alone that somebody submitted to the deployed cluster, when the job is restarted there', () => {
    const foreign = 'f'.repeat(32);
    const jobs = { [OLD_JOB]: aJob({ state: 'FAILED' }), [foreign]: aJob() };

    const next = submitting({
      rollout: { kind: 'Restart', hash: OLD, revision: OLD_REVISION.name },
      old: { jobManager: aJobManager({ jobs }) },
    });

    expect(next.effects).toEqual([]);
    expect(next.status.rollout?.jobId).toMatch(/^[0-9a-f]{32}$/);
    expect(next.status.rollout?.jobId).not.toBe(foreign);
    expect(next.events).toMatchObject([{ type: 'Warning', reason: 'UnexpectedJob' }]);
  });

  it('is Running when every vertex runs: what is deployed, its selector and its job change together', () => {
    const next = submitting({ rollout: SUBMITTED, next: newJob({}) });

    expect(next.status).toMatchObject({
      phase: 'Running',
      deployHash: NEW,
      currentRevision: NEW_REVISION.name,
      selector: selectorOf(NEW),
      jobStatus: { jobID: NEW_JOB, state: 'RUNNING', parallelism: 4, programArgs: '', jarName: 'orders.jar' },
    });
    for (const field of ['rollout', 'savepointPath', 'savepointTriggerId'])
      expect(next.status).not.toHaveProperty(field);
    expect(next.isInTransition).toBe(false);
  });

  it('records the parallelism that runs, not the one that is written', () => {
    const scaled = aRevision({ taskManagerConfig: { replicas: 4 } });

    const next = submitting({
      rollout: { ...SUBMITTED, revision: scaled.name },
      next: newJob({}),
      seen: { revisions: [OLD_REVISION, scaled] },
    });

    expect(next.status.jobStatus?.parallelism).toBe(8);
  });

  it.each(['CREATED', 'SCHEDULED', 'DEPLOYING'])('waits while a vertex is %s', (status) => {
    const vertices = [aVertex({ id: 'a' }), aVertex({ id: 'b', status })];

    const next = submitting({ rollout: SUBMITTED, next: newJob({ vertices }) });

    expect(next).toMatchObject({ status: { phase: 'SubmittingJob', deployHash: OLD }, effects: [] });
  });

  it.each(['FAILED', 'CANCELED'])('rolls back with the cause when the new job is %s', (state) => {
    const next = submitting({ rollout: SUBMITTED, next: newJob({ state, cause: 'ClassNotFound' }) });

    expect(next.status).toMatchObject({
      phase: 'RollingBackJob',
      rollout: { failure: { reason: 'JobMonitoringFailed' } },
    });
    expect(next.status.rollout?.failure?.message).toContain('ClassNotFound');
    expect(reasonsOf(next)).toEqual(['DeployFailed', 'JobMonitoringFailed']);
  });

  it('waits for the cause of a failure that its JobManager does not know yet', () => {
    const next = submitting({ rollout: SUBMITTED, next: newJob({ state: 'FAILED', cause: undefined }) });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', rollout: SUBMITTED });
    expect(next).toMatchObject({ effects: [], isInTransition: true });
  });

  it.each`
    secondsAfter | phase
    ${29}        | ${'SubmittingJob'}
    ${30}        | ${'RollingBackJob'}
  `('does not wait for it for ever: $phase $secondsAfter s after the deadline', ({ secondsAfter, phase }) => {
    const rollout = { ...SUBMITTED, deadline: inSeconds(-secondsAfter) };

    const next = submitting({ rollout, next: newJob({ state: 'FAILED', cause: undefined }) });

    expect(next.status.phase).toBe(phase);
  });

  it('does not wait for the cause of a failure of which Flink says nothing', () => {
    const next = submitting({ rollout: SUBMITTED, next: newJob({ state: 'FAILED', cause: '' }) });

    expect(next.status.rollout?.failure?.message).toBe(`Job ${NEW_JOB} is FAILED`);
  });

  it('rolls back when a vertex does not come up in time, and names it', () => {
    const next = submitting({
      rollout: { ...SUBMITTED, deadline: inSeconds(0) },
      next: newJob({ vertices: [{ id: 'sink', status: 'SCHEDULED' }] }),
    });

    expect(next.status.phase).toBe('RollingBackJob');
    expect(next.status.rollout?.failure?.message).toContain('sink is SCHEDULED');
  });

  it('rolls back when the JobManager has not taken the job in time', () => {
    const next = submitting({ rollout: { ...ANNOUNCED, deadline: inSeconds(0) }, next: newJob({ state: 'LOST' }) });

    expect(next.status).toMatchObject({
      phase: 'RollingBackJob',
      rollout: { failure: { reason: 'JobSubmissionTimedOut' } },
    });
    expect(next.effects).toEqual([]);
  });

  it('rolls back at once when the submission is refused for good', () => {
    const lastSeenError = { appError: 'ProgramInvocationException', method: 'SubmitJob', isFailFast: true };

    const next = submitting({
      rollout: ANNOUNCED,
      next: newJob({ state: 'LOST' }),
      status: { lastSeenError, retryCount: 1 },
    });

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', rollout: { failure: { reason: 'SubmitJob' } } });
    expect(next.status).not.toHaveProperty('lastSeenError');
    expect(next.status).not.toHaveProperty('retryCount');
  });

  it('rolls back when forceRollback is set', () => {
    const next = submitting({ spec: { forceRollback: true } });

    expect(next.status.phase).toBe('RollingBackJob');
  });

  it('does not crash when the new cluster is gone', () => {
    const next = submitting({ next: { cluster: undefined, jobManager: undefined } });

    expect(next).toMatchObject({ status: { phase: 'SubmittingJob' }, effects: [] });
  });

  it('stores its pinned target again while the spec still asks for it', () => {
    const next = submitting({ seen: { revisions: [OLD_REVISION] } });

    expect(next.effects).toEqual([{ kind: 'CreateRevision', ...NEW_REVISION }]);
  });

  it('brings the old job back when its pinned target was deleted and is not wanted any more', () => {
    const next = submitting({ spec: { image: 'orders:3' }, seen: { revisions: [OLD_REVISION] } });

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', rollout: { failure: { reason: 'RevisionMissing' } } });
  });
});

describe('a JobManager that was started again', () => {
  const PROCESS = 'orders-1b1b1b1b-jm-x2k9p/0';
  const RESTARTED = 'orders-1b1b1b1b-jm-x2k9p/1';
  const KNOWN = { ...ANNOUNCED, jobManagerProcess: PROCESS };
  const lost = (process: string, slots = 4) => ({
    jobManager: { ...aJobManager({ slots, jobs: { [NEW_JOB]: aJob({ state: 'LOST' }) } }), process },
  });

  it('is told by the process that is written down with the id of the job', () => {
    const next = submitting({ next: { jobManager: { ...aJobManager(), process: PROCESS } } });

    expect(next.status.rollout?.jobManagerProcess).toBe(PROCESS);
  });

  it('is submitted to under the same id as long as it is the same process', () => {
    const next = submitting({ rollout: KNOWN, next: lost(PROCESS) });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission.jobId).toBe(NEW_JOB);
  });

  it('is given the job under an id of its own, which is written down before', () => {
    const next = submitting({ rollout: KNOWN, next: lost(RESTARTED) });

    expect(next.effects).toEqual([]);
    expect(next.status.rollout).toMatchObject({ jobManagerProcess: RESTARTED, idReplacedTime: inSeconds(0) });
    expect(next.status.rollout?.jobId).toMatch(/^[0-9a-f]{32}$/);
    expect(next.status.rollout?.jobId).not.toBe(NEW_JOB);
    expect(next.status.rollout).not.toHaveProperty('lostJobs');
  });

  it('is given a job that it had and lost under another id, from the same state, with the time of a new submission', () => {
    const next = submitting({ rollout: { ...SUBMITTED, deadline: inSeconds(1) }, next: lost(RESTARTED) });

    const { jobId, ...rollout } = next.status.rollout ?? {};
    expect(rollout).toMatchObject({ lostJobs: 1, deadline: inSeconds(300) });
    expect(rollout).not.toHaveProperty('isSubmitted');
    expect(jobId).not.toBe(NEW_JOB);
    expect(next.status).toMatchObject({
      savepointPath: SAVEPOINT,
      jobStatus: { jobID: jobId, restorePath: SAVEPOINT },
    });
    expect(reasonsOf(next)).toEqual(['JobLost']);
  });

  it('is not given the fifth job that it has lost', () => {
    const next = submitting({ rollout: { ...SUBMITTED, lostJobs: 4 }, next: lost(RESTARTED) });

    expect(next.status).toMatchObject({
      phase: 'RollingBackJob',
      rollout: { failure: { reason: 'JobMonitoringFailed' } },
    });
  });

  it.each`
    what                                                      | replaced | slots | effects
    ${'waits until no call with the old id can be under way'} | ${29}    | ${4}  | ${[]}
    ${'waits until its TaskManagers are back'}                | ${30}    | ${2}  | ${[]}
    ${'is given the job when neither has to be waited for'}   | ${30}    | ${4}  | ${['SubmitJob']}
  `('$what', ({ replaced, slots, effects }) => {
    const rollout = { ...KNOWN, idReplacedTime: secondsAgo(replaced) };

    expect(kindsOf(submitting({ rollout, next: lost(PROCESS, slots) }))).toEqual(effects);
  });

  it('ends a job that came up late under the old id before the new one is submitted', () => {
    const late = 'f'.repeat(32);
    const jobs = { [NEW_JOB]: aJob({ state: 'LOST' }), [late]: aJob() };
    const rollout = { ...KNOWN, idReplacedTime: secondsAgo(30) };

    const next = submitting({ rollout, next: { jobManager: { ...aJobManager({ jobs }), process: PROCESS } } });

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: NEW, jobId: late }]);
  });

  it('is not asked to tell where nobody has written its process down: a deploy under way goes on as it began', () => {
    const next = submitting({ rollout: ANNOUNCED, next: lost(PROCESS) });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission.jobId).toBe(NEW_JOB);
  });
});

describe('a first deploy', () => {
  it('restores from the path that the spec names', () => {
    const next = firstDeploy('SubmittingJob', {
      status: { savepointPath: 's3://import' },
      rollout: ANNOUNCED,
      next: newJob({ state: 'LOST' }),
    });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission.savepointPath).toBe('s3://import');
  });

  it('is Running with its first selector and hash', () => {
    const next = firstDeploy('SubmittingJob', { rollout: SUBMITTED, next: newJob({}) });

    expect(next.status).toMatchObject({ phase: 'Running', deployHash: NEW, selector: selectorOf(NEW) });
  });

  it('F8: fails with the cause when its job fails, for there is nothing to go back to', () => {
    const next = firstDeploy('SubmittingJob', { rollout: SUBMITTED, next: newJob({ state: 'FAILED', cause: 'boom' }) });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'JobMonitoringFailed' } });
    expect(next.status.failedDeploy?.message).toContain('boom');
    expect(next.status.failedDeploy?.retryTime).toBe(inSeconds(300));
  });

  it('says afterwards that nothing runs, and why', () => {
    const jobStatus = { jobID: NEW_JOB, state: 'RUNNING', health: 'Green', runningTasks: 4 } as const;
    const failed = firstDeploy('SubmittingJob', {
      rollout: SUBMITTED,
      status: { jobStatus, clusterStatus: { numberOfTaskManagers: 2, health: 'Green' } },
      next: newJob({ state: 'FAILED', cause: 'boom.' }),
    });

    expect(failed.status.jobStatus).toMatchObject({ jobID: NEW_JOB, state: 'FAILED', health: 'Red', runningTasks: 0 });
    expect(failed.status.clusterStatus).toEqual({ numberOfTaskManagers: 0, healthyTaskManagers: 0 });
    expect(conditionOf(failed, 'JobRunning')).toMatchObject({
      status: 'False',
      reason: 'JobFailed',
      message: `Job ${NEW_JOB} is FAILED: boom. Nothing runs`,
    });
    expect(failed.events[0]?.message).toMatch(/: boom\. It is tried again at /);
  });

  it('says of a job whose cluster goes before it has ended that it is lost', () => {
    const jobStatus = { jobID: NEW_JOB, state: 'RUNNING', health: 'Green' } as const;
    const failed = firstDeploy('SubmittingJob', {
      rollout: { ...SUBMITTED, deadline: inSeconds(0) },
      status: { jobStatus },
      next: newJob({ vertices: [{ status: 'SCHEDULED' }] }),
    });

    expect(failed.status.jobStatus).toMatchObject({ state: 'LOST', health: 'Red' });
    expect(conditionOf(failed, 'JobRunning')).toMatchObject({ status: 'False', reason: 'NoJob' });
  });

  it('says so until the next attempt has a job of its own', () => {
    const jobStatus = { jobID: OLD_JOB, state: 'FAILED', health: 'Red' } as const;
    const failedDeploy = { revision: 'r', hash: NEW, parallelism: 4, taskManagers: 2, reason: 'x', message: 'boom' };
    const status = { jobStatus, failedDeploy: { ...failedDeploy, time: secondsAgo(300), attempts: 1 } };

    const next = firstDeploy('ClusterStarting', { status });

    expect(conditionOf(next, 'JobRunning')).toMatchObject({ reason: 'JobFailed', message: 'boom. Nothing runs' });
  });
});

describe('F6: two jobs run at once', () => {
  it('stops the old cluster rather than trust a JobManager that says nothing', () => {
    const next = submitting({
      rollout: ANNOUNCED,
      old: { jobManager: aSilentJobManager() },
      next: newJob({ state: 'LOST' }),
    });

    expect(kindsOf(next)).toEqual(['ScaleDeployment', 'ScaleDeployment']);
    expect(effectsOf(next, 'ScaleDeployment').map(({ name }) => name)).toEqual([
      `orders-${OLD}-jm`,
      `orders-${OLD}-tm`,
    ]);
  });

  it('submits when no pod of the silent cluster is left', () => {
    const next = submitting({
      rollout: ANNOUNCED,
      old: { cluster: aStoppedCluster(OLD), jobManager: aSilentJobManager() },
      next: newJob({ state: 'LOST' }),
    });

    expect(kindsOf(next)).toEqual(['SubmitJob']);
  });

  it('ends the old job that Lyft’s operator left running and forgot', () => {
    const { oldJobId: _, ...rollout } = aRollout({ jobId: NEW_JOB });

    const next = midway('SubmittingJob', { status: { rollout }, next: newJob({ state: 'LOST' }) });

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: OLD, jobId: OLD_JOB }]);
  });
});

describe('F9: the target of a deploy follows the spec while it is under way', () => {
  it('submits the pinned jar and arguments', () => {
    const next = submitting({
      rollout: ANNOUNCED,
      next: newJob({ state: 'LOST' }),
      spec: { jarName: 'other.jar', programArgs: '--other', entryClass: 'Other', parallelism: 9 },
    });

    expect(effectsOf(next, 'SubmitJob')[0]?.submission).toMatchObject({
      jarName: 'orders.jar',
      programArgs: '',
      entryClass: 'com.example.Orders',
      parallelism: 4,
    });
  });
});

describe('F15: retries of one deploy are counted against the next', () => {
  it('forgets errors when the job is there', () => {
    const next = submitting({
      rollout: ANNOUNCED,
      next: newJob({}),
      status: { lastSeenError: { appError: '503', maxRetries: 20, isRetryable: true }, retryCount: 19 },
    });

    expect(next.status).not.toHaveProperty('retryCount');
    expect(next.status).not.toHaveProperty('lastSeenError');
  });
});

describe('F17: a healthy job is failed because it is looked at late', () => {
  it('is up, however long ago its time was over', () => {
    const next = submitting({
      rollout: { ...SUBMITTED, deadline: secondsAgo(3600) },
      next: newJob({ startTime: Date.parse(secondsAgo(3780)) }),
    });

    expect(next.status.phase).toBe('Running');
  });

  it.each`
    overdue | phase
    ${1}    | ${'SubmittingJob'}
    ${1619} | ${'SubmittingJob'}
    ${1620} | ${'RollingBackJob'}
  `('lets a vertex restore its state ten times as long: $overdue s overdue is $phase', ({ overdue, phase }) => {
    const next = submitting({
      rollout: { ...SUBMITTED, deadline: secondsAgo(overdue) },
      next: newJob({ vertices: [{ status: 'INITIALIZING' }] }),
    });

    expect(next.status.phase).toBe(phase);
  });
});

describe('F28: a batch job that finishes before it is looked at never leaves SubmittingJob', () => {
  it('is deployed, and it is said once that it has finished', () => {
    const next = submitting({
      rollout: SUBMITTED,
      next: newJob({ state: 'FINISHED', vertices: [{ status: 'FINISHED' }] }),
    });

    expect(next.status).toMatchObject({ phase: 'Running', deployHash: NEW, jobStatus: { state: 'FINISHED' } });
    expect(reasonsOf(next)).toEqual(['JobFinished']);
  });

  it('counts a finished vertex as up', () => {
    const vertices = [{ id: 'a', status: 'FINISHED' }, { id: 'b' }];

    expect(submitting({ rollout: SUBMITTED, next: newJob({ vertices }) }).status.phase).toBe('Running');
  });

  it('does not adopt a finished job of an earlier attempt', () => {
    const earlier = 'f'.repeat(32);

    const next = submitting({
      next: { jobManager: aJobManager({ jobs: { [earlier]: aJob({ state: 'FINISHED' }) } }) },
    });

    expect(next.status.rollout?.jobId).not.toBe(earlier);
  });
});

it.each(['FAILED', 'CANCELED'])(
  'a first deploy whose job is seen %s says so once, as the failure of the deploy',
  (state) => {
    const next = firstDeploy('SubmittingJob', {
      status: { jobStatus: { jobID: NEW_JOB, state: 'RUNNING' } },
      rollout: SUBMITTED,
      next: newJob({ state }),
    });

    expect(reasonsOf(next)).toEqual(['DeployFailed', 'JobMonitoringFailed']);
  },
);

describe('a batch job, which runs stage by stage', () => {
  const FIRST = { id: 'first' };
  const NOT_BEGUN = { id: 'second', status: 'CREATED', tasks: { CREATED: 4 } };
  const SHORT_OF_SLOTS = { id: 'second', status: 'CREATED', tasks: { SCHEDULED: 4 } };
  /** Until its earlier stages have ended, Flink 1.20 lists a stage without tasks, and 2.x does not list it. */
  const UNDECIDED = { id: 'second', status: 'CREATED', parallelism: -1, tasks: {} };
  const late = (parts: Parameters<typeof newJob>[0], overdue = 1) =>
    submitting({ rollout: { ...SUBMITTED, deadline: secondsAgo(overdue) }, next: newJob({ isBatch: true, ...parts }) });

  it.each`
    vertices                                                                        | seen
    ${[FIRST, NOT_BEGUN]}                                                           | ${'the first stage runs and the second waits for it'}
    ${[FIRST, UNDECIDED]}                                                           | ${'the first stage runs and Flink has not divided the second yet'}
    ${[FIRST]}                                                                      | ${'the first stage runs and Flink does not list the second yet'}
    ${[FIRST, SHORT_OF_SLOTS]}                                                      | ${'two stages begin and one waits for slots of the other'}
    ${[{ ...FIRST, tasks: { RUNNING: 2, SCHEDULED: 2 } }]}                          | ${'half of the first stage waits for slots of the other half'}
    ${[{ ...FIRST, status: 'FINISHED' }, NOT_BEGUN]}                                | ${'the first stage has finished, and the second begins'}
    ${[{ ...FIRST, status: 'FINISHED' }, { id: 'second', status: 'INITIALIZING' }]} | ${'the second stage begins'}
  `('is up when $seen, in time and late', ({ vertices }) => {
    expect(late({ vertices }).status.phase).toBe('Running');
    expect(late({ vertices }, -100).status.phase).toBe('Running');
  });

  it.each`
    vertices                                           | seen
    ${[{ ...SHORT_OF_SLOTS, id: 'first' }, NOT_BEGUN]} | ${'no stage has begun'}
    ${[{ ...FIRST, status: 'DEPLOYING' }, NOT_BEGUN]}  | ${'its first tasks are being deployed'}
    ${[]}                                              | ${'Flink lists no stage'}
  `('is not up while $seen, and fails when its time is over', ({ vertices }) => {
    expect(late({ vertices }, -100).status.phase).toBe('SubmittingJob');
    expect(late({ vertices }).status.rollout?.failure).toMatchObject({ reason: 'JobMonitoringFailed' });
  });

  it('is not up while it restarts', () => {
    expect(late({ state: 'RESTARTING', vertices: [FIRST, NOT_BEGUN] }, -100).status.phase).toBe('SubmittingJob');
  });

  it.each([NOT_BEGUN, SHORT_OF_SLOTS])('unlike a streaming job, of which every vertex runs at once', (vertex) => {
    const next = late({ isBatch: false, vertices: [FIRST, vertex] });

    expect(next.status.rollout?.failure?.message).toMatch(/did not run within 180 s: it is RUNNING, second is CREATED/);
  });
});

describe('BlueGreen', () => {
  const blueGreen = (parts: SceneParts = {}) =>
    midway('SubmittingJob', {
      spec: { deploymentMode: 'BlueGreen' },
      ...parts,
      status: {
        deploymentMode: 'BlueGreen',
        deployVersion: 'green',
        updatingVersion: 'blue',
        updatingHash: NEW,
        savepointPath: SAVEPOINT,
        ...parts.status,
      },
      old: { cluster: aCluster(OLD, { colour: 'green' }), ...parts.old },
    });

  it('submits beside the old job, which goes on', () => {
    const next = blueGreen({ rollout: ANNOUNCED, next: newJob({ state: 'LOST' }) });

    expect(kindsOf(next)).toEqual(['SubmitJob']);
  });

  it('F21: keeps the old job in the status, with its own numbers, while the new one comes up', () => {
    const next = blueGreen({
      rollout: ANNOUNCED,
      old: oldJob({ checkpoints: { latestCompleted: completed(CHECKPOINT, 9) } }),
      next: newJob({ state: 'CREATED' }),
    });

    expect(next.status.rollout?.isSubmitted).toBe(true);
    expect(next.status.jobStatus).toMatchObject({ jobID: OLD_JOB, state: 'RUNNING', lastCheckpoint: CHECKPOINT });
    expect(next.status.versionStatuses).toMatchObject([
      { appVersion: 'green', versionHash: OLD, jobStatus: { jobID: OLD_JOB } },
      { appVersion: 'blue', versionHash: NEW, jobStatus: { jobID: NEW_JOB, state: 'CREATED' } },
    ]);
  });

  it('runs both when the new job is up: what is deployed stays the old one', () => {
    const next = blueGreen({ rollout: SUBMITTED, next: newJob({}) });

    expect(next.status).toMatchObject({
      phase: 'DualRunning',
      deployHash: OLD,
      deployVersion: 'green',
      updatingHash: NEW,
      updatingVersion: 'blue',
      selector: selectorOf(OLD),
      jobStatus: { jobID: OLD_JOB },
      rollout: { jobId: NEW_JOB },
    });
  });

  it('fails without touching the old job, whose id is kept', () => {
    const next = blueGreen({ rollout: SUBMITTED, next: newJob({ state: 'FAILED' }) });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', jobStatus: { jobID: OLD_JOB }, deployVersion: 'green' });
    expect(next.status).not.toHaveProperty('updatingHash');
    expect(next.status.versionStatuses).toMatchObject([{ versionHash: OLD, jobStatus: { jobID: OLD_JOB } }, {}]);
    expect(next.effects).toEqual([]);
  });
});

it('F6: submits a lost job again no sooner than the old JobManager says, or has no pods, that nothing runs there', () => {
  const next = submitting({
    rollout: { ...ANNOUNCED, isSubmitted: true },
    old: { jobManager: aSilentJobManager() },
    next: newJob({ state: 'LOST' }),
  });

  expect(effectsOf(next, 'SubmitJob')).toEqual([]);
});

describe('a restart', () => {
  const restarting = (parts: SceneParts) =>
    midway('SubmittingJob', {
      ...parts,
      rollout: { kind: 'Restart', hash: OLD, revision: OLD_REVISION.name, ...parts.rollout },
    });

  it('is not made when the JobManager knows its job again', () => {
    const next = restarting({ status: { savepointPath: CHECKPOINT } });

    expect(next.status).toMatchObject({ phase: 'Running', jobStatus: { jobID: OLD_JOB } });
    expect(next.status.rollout).toBeUndefined();
    expect(reasonsOf(next)).toEqual(['JobReappeared']);
  });

  it('goes on from the checkpoint under another id', () => {
    const old = {
      jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob({ state: 'LOST' }), [NEW_JOB]: aJob({ state: 'LOST' }) } }),
    };

    const next = restarting({ status: { savepointPath: CHECKPOINT }, rollout: ANNOUNCED, old });

    expect(effectsOf(next, 'SubmitJob')[0]).toMatchObject({
      hash: OLD,
      submission: { jobId: NEW_JOB, savepointPath: CHECKPOINT },
    });
  });

  it('forgets no other revision that has failed', () => {
    const old = {
      jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob({ state: 'LOST' }), [NEW_JOB]: aJob() } }),
    };
    const failedDeploy = {
      ...{ revision: NEW_REVISION.name, hash: NEW, parallelism: 4, taskManagers: 2 },
      ...{ reason: 'JobMonitoringFailed', message: '', time: secondsAgo(900), attempts: 1 },
    };

    const next = restarting({ status: { failedDeploy }, rollout: { ...ANNOUNCED, isSubmitted: true }, old });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy, currentRevision: OLD_REVISION.name });
    expect(next.status.rollout).toBeUndefined();
  });

  it('that fails leaves the cluster as it is, and is tried again later', () => {
    const old = {
      jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob({ state: 'LOST' }), [NEW_JOB]: aJob({ state: 'FAILED' }) } }),
    };

    const next = restarting({ rollout: SUBMITTED, old });

    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      deployHash: OLD,
      failedDeploy: { revision: OLD_REVISION.name, retryTime: inSeconds(300) },
    });
  });
});
