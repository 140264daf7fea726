import { describe, expect, it } from 'vitest';
import { specDigest } from '../../../shared/deployment/identity.ts';
import type { SceneParts } from '../scenes.ts';
import {
  aCluster,
  aRevision,
  atRest,
  CHECKPOINT,
  completed,
  conditionOf,
  effectsOf,
  firstDeploy,
  inSeconds,
  midway,
  NEW,
  NEW_JOB,
  NEW_REVISION,
  newJob,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  OLD_SPEC,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  secondsAgo,
} from '../scenes.ts';

const HOUR = { rollbackWindowSeconds: 3600 };

/** orders:1 was deployed ten minutes ago, and orders:2 before it. */
function deployed(parts: SceneParts = {}) {
  return atRest({
    ...parts,
    spec: { ...HOUR, ...parts.spec },
    status: {
      previousDeploy: { revision: NEW_REVISION.name, time: secondsAgo(600), savepointPath: SAVEPOINT },
      ...parts.status,
    },
    seen: { revisions: [OLD_REVISION, NEW_REVISION], ...parts.seen },
  });
}

const jobStatus = { jobID: OLD_JOB, state: 'RUNNING' };
const LOOPS = { status: { jobStatus: { ...jobStatus, restartLoopTime: secondsAgo(120) } }, old: recentlyFailed() };

/** Three times in the last two minutes. */
function recentlyFailed() {
  return oldJob({ cause: 'no such topic', failedSecondsAgo: [5, 60, 120] });
}

/** orders:1 is taken back, orders:2 is on its way again. */
function rollingBack(phase: string, { spec, status, rollout, ...parts }: SceneParts = {}) {
  return midway(phase, {
    ...parts,
    spec: { ...OLD_SPEC, ...HOUR, ...spec },
    status: { failedDeploy: FAILED, ...status },
    rollout: { rollsBackTo: { savepointPath: SAVEPOINT }, ...rollout },
  });
}

const FAILED = {
  revision: OLD_REVISION.name,
  hash: OLD,
  parallelism: 4,
  taskManagers: 2,
  reason: 'JobRestartLoop',
  message: 'it fails again and again',
  time: secondsAgo(60),
  attempts: 1,
};

describe('a version that fails again and again soon after its deploy', () => {
  it('is rolled back: the one before begins where this one began', () => {
    const next = deployed(LOOPS);

    expect(next.status).toMatchObject({
      phase: 'Updating',
      deployHash: OLD,
      rollout: {
        kind: 'NewCluster',
        revision: NEW_REVISION.name,
        rollsBackTo: { savepointPath: SAVEPOINT },
        oldJobId: OLD_JOB,
      },
      failedDeploy: { revision: OLD_REVISION.name, hash: OLD, reason: 'JobRestartLoop', attempts: 1 },
    });
    expect(next.status.failedDeploy).not.toHaveProperty('retryTime');
    expect(next.status).not.toHaveProperty('previousDeploy');
    expect(next.events).toContainEqual({
      type: 'Warning',
      reason: 'DeployFailed',
      message: expect.stringMatching(/no such topic; rolling back to orders-\w+ from s3:/),
    });
    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'RollingBack' });
  });

  it('is rolled back when its job has FAILED, and not begun again', () => {
    const next = deployed({
      spec: { restartPolicy: 'FromLatestCheckpoint' },
      old: oldJob({ state: 'FAILED', checkpoints: { latestCompleted: completed(CHECKPOINT, 9) } }),
    });

    expect(next.status).toMatchObject({ phase: 'Updating', failedDeploy: { reason: 'JobFailed' } });
  });

  it.each`
    what                                      | parts
    ${'without the field'}                    | ${{ ...LOOPS, spec: { rollbackWindowSeconds: undefined } }}
    ${'after the window'}                     | ${{ ...LOOPS, spec: { rollbackWindowSeconds: 599 } }}
    ${'while it runs'}                        | ${{}}
    ${'while forceRollback is set'}           | ${{ ...LOOPS, spec: { forceRollback: true } }}
    ${'when its JobManager has lost it'}      | ${{ old: oldJob({ state: 'LOST' }) }}
    ${'when its JobManager is silent'}        | ${{ ...LOOPS, old: oldJob({ state: 'SILENT' }) }}
    ${'when nothing was there before'}        | ${{ ...LOOPS, status: { ...LOOPS.status, previousDeploy: undefined } }}
    ${'when the revision before is not kept'} | ${{ ...LOOPS, seen: { revisions: [OLD_REVISION] } }}
  `('is left alone $what', ({ parts }) => {
    const next = deployed(parts);

    expect(next.status.phase).toBe('Running');
    expect(next.status.rollout).toBeUndefined();
  });

  it('gives way to a change of the spec', () => {
    const next = deployed({ ...LOOPS, spec: { image: 'orders:3' } });

    expect(next.status.rollout).not.toHaveProperty('rollsBackTo');
  });

  it('waits until nothing is left of the deploy', () => {
    const next = deployed({ ...LOOPS, seen: { clusters: [aCluster(OLD), aCluster(NEW)] } });

    expect(next.status.phase).toBe('Running');
    expect(effectsOf(next, 'DeleteCluster')).toMatchObject([{ hash: NEW }]);
  });
});

describe('a version that loops while a later change, which has failed, is in the spec', () => {
  const later = aRevision({ image: 'orders:3' });
  const CHANGE = { ...FAILED, revision: later.name, hash: '2c2c2c2c', reason: 'JobMonitoringFailed' };
  const seen = { revisions: [OLD_REVISION, NEW_REVISION, later] };
  const spec = { image: 'orders:3' };
  const status = { failedDeploy: { ...FAILED, earlier: CHANGE } };

  it('is rolled back, and the failure of the change is not forgotten', () => {
    const begun = deployed({
      ...LOOPS,
      spec,
      status: { ...LOOPS.status, phase: 'DeployFailed', failedDeploy: CHANGE },
      seen,
    });
    const going = rollingBack('ClusterStarting', { spec, status, seen, next: { jobManager: undefined } });

    expect(begun.status).toMatchObject({
      rollout: { revision: NEW_REVISION.name, rollsBackTo: { savepointPath: SAVEPOINT } },
      failedDeploy: { revision: OLD_REVISION.name, earlier: CHANGE },
    });
    expect(going.status).toMatchObject({ phase: 'ClusterStarting', rollout: { revision: NEW_REVISION.name } });
  });

  it('is remembered beside the change when it was rolled back: neither is deployed again at once', () => {
    const back = rollingBack('SubmittingJob', {
      spec,
      status: { ...status, savepointPath: SAVEPOINT },
      rollout: { jobId: NEW_JOB, isSubmitted: true },
      old: oldJob({ state: 'CANCELED' }),
      next: newJob({}),
      seen,
    });

    expect(back.status).toMatchObject({ phase: 'DeployFailed', currentRevision: NEW_REVISION.name, ...status });
  });

  it.each`
    what                                    | parts
    ${'it cannot be rolled back'}           | ${{ rollout: { deadline: secondsAgo(1) }, next: { jobManager: undefined } }}
    ${'the application is to be suspended'} | ${{ spec: { ...spec, suspend: true } }}
  `('stays, and so does the failure of the change, when $what', ({ parts }) => {
    const next = rollingBack('ClusterStarting', { spec, status, seen, ...parts });

    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      currentRevision: OLD_REVISION.name,
      failedDeploy: CHANGE,
    });
    expect(next.status.failedDeploy).not.toHaveProperty('earlier');
  });
});

describe('a version that was rolled back', () => {
  /** orders:1 has looped, and is in the spec; orders:2 runs. */
  const back = (spec: SceneParts['spec'] = {}, specDigest = digest) =>
    atRest({
      spec: { ...HOUR, ...spec },
      status: { phase: 'DeployFailed', currentRevision: NEW_REVISION.name, failedDeploy: { ...FAILED, specDigest } },
      seen: { revisions: [OLD_REVISION, NEW_REVISION] },
    });
  const digest = specDigest({ ...OLD_SPEC, ...HOUR });

  it.each([{}, { taskManagerConfig: { replicas: 4 } }, { taskManagerConfig: { replicas: 1 } }])(
    'is not deployed again for other replicas, which an autoscaler may set: %o',
    (size) => {
      const next = back(size);

      expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'JobRestartLoop' } });
      expect(next.status.rollout).toBeUndefined();
    },
  );

  it('is when anything else changes', () => {
    expect(back({ parallelism: 8 }).status.rollout).toMatchObject({ kind: 'NewCluster' });
    expect(back({ restartNonce: '2' }).status.rollout).toMatchObject({ kind: 'NewCluster' });
    expect(back({ timeouts: { submitSeconds: 400 } }).status.rollout).toMatchObject({ kind: 'NewCluster' });
  });

  it('keeps no other version from other replicas', () => {
    const next = back({ image: 'orders:2', taskManagerConfig: { replicas: 4 } });

    expect(next.status.rollout).toMatchObject({ kind: 'NewCluster' });
  });
});

describe('what can be rolled back to', () => {
  const up: SceneParts = {
    status: { savepointPath: SAVEPOINT },
    rollout: { jobId: NEW_JOB, isSubmitted: true },
    old: oldJob({ state: 'CANCELED' }),
    next: newJob({}),
  };

  it('is written down when a deploy succeeds', () => {
    const next = midway('SubmittingJob', { ...up, spec: HOUR });

    expect(next.status).toMatchObject({
      phase: 'Running',
      previousDeploy: { revision: OLD_REVISION.name, time: inSeconds(0), savepointPath: SAVEPOINT },
    });
  });

  it('is not, where nobody wants it, or there is nothing before it', () => {
    const unwanted = midway('SubmittingJob', up);
    const first = firstDeploy('SubmittingJob', { ...up, spec: HOUR });

    expect(unwanted.status).toMatchObject({ phase: 'Running' });
    expect(unwanted.status).not.toHaveProperty('previousDeploy');
    expect(first.status).toMatchObject({ phase: 'Running' });
    expect(first.status).not.toHaveProperty('previousDeploy');
  });

  it.each(['FINISHED', 'STOPPED', 'CANCELED', 'FAILED', 'LOST'])(
    'is not a job that was %s before the deploy: what has ended stays ended',
    (oldJobEnd) => {
      const next = midway('SubmittingJob', { ...up, spec: HOUR, rollout: { ...up.rollout, oldJobEnd } });

      expect(next.status).toMatchObject({ phase: 'Running', currentRevision: NEW_REVISION.name });
      expect(next.status).not.toHaveProperty('previousDeploy');
    },
  );
});

describe('rolling a version back', () => {
  it('goes on though the spec still asks for it', () => {
    expect(rollingBack('Updating').status).toMatchObject({ phase: 'ClusterStarting' });
    expect(rollingBack('ClusterStarting', { next: { jobManager: undefined } }).status).toMatchObject({
      phase: 'ClusterStarting',
      rollout: { revision: NEW_REVISION.name },
    });
  });

  it('goes on though only its size differs, and its job has ended', () => {
    const smaller = aRevision({ image: 'orders:1', taskManagerConfig: { replicas: 1 } });

    const next = rollingBack('ClusterStarting', {
      rollout: { revision: smaller.name },
      seen: { revisions: [OLD_REVISION, smaller] },
      old: oldJob({ state: 'FAILED' }),
      next: { cluster: aCluster(NEW, { taskManagers: 1 }) },
    });

    expect(next.status).toMatchObject({ phase: 'Cancelling', rollout: { revision: smaller.name } });
  });

  it('is withdrawn when the application is to be suspended, and remembers no failure', () => {
    const next = rollingBack('ClusterStarting', { spec: { suspend: true } });

    expect(next.status).toMatchObject({ phase: 'Running', currentRevision: OLD_REVISION.name });
    expect(next.status).not.toHaveProperty('failedDeploy');
  });

  it('gives way to another spec', () => {
    const next = rollingBack('ClusterStarting', { spec: { image: 'orders:3' } });

    expect(reasonsOf(next)).toContain('DeploySuperseded');
    expect(next.status.rollout).not.toHaveProperty('rollsBackTo');
  });

  it('ends the job without saving it, and begins where it began', () => {
    const cancelling = rollingBack('ClusterStarting');
    const cancelled = rollingBack('Cancelling');
    const next = rollingBack('Cancelling', { old: oldJob({ state: 'CANCELED' }) });

    expect(cancelling.status.phase).toBe('Cancelling');
    expect(effectsOf(cancelled, 'CancelJob')).toMatchObject([{ jobId: OLD_JOB }]);
    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: SAVEPOINT });
  });

  it('remembers what failed, which is not deployed again before the spec changes', () => {
    const next = rollingBack('SubmittingJob', {
      status: { savepointPath: SAVEPOINT },
      rollout: { jobId: NEW_JOB, isSubmitted: true },
      old: oldJob({ state: 'CANCELED' }),
      next: newJob({}),
    });

    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      deployHash: NEW,
      currentRevision: NEW_REVISION.name,
      failedDeploy: FAILED,
    });
    expect(next.status).not.toHaveProperty('previousDeploy');
    expect(reasonsOf(next)).toEqual(['RollbackSucceeded']);
    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'JobRestartLoop' });
  });

  it.each`
    what                                | phase                | parts
    ${'the cluster does not come up'}   | ${'ClusterStarting'} | ${{ rollout: { deadline: secondsAgo(1) }, next: { jobManager: undefined } }}
    ${'forceRollback is set'}           | ${'ClusterStarting'} | ${{ spec: { forceRollback: true } }}
    ${'the revision is gone'}           | ${'Updating'}        | ${{ seen: { revisions: [OLD_REVISION] } }}
    ${'the job has finished by itself'} | ${'Cancelling'}      | ${{ old: oldJob({ state: 'FINISHED' }) }}
  `('leaves things as they are, for good, when $what', ({ phase, parts }) => {
    const next = rollingBack(phase, parts);

    expect(next.status).toMatchObject({ phase: 'Running', deployHash: OLD, currentRevision: OLD_REVISION.name });
    for (const field of ['rollout', 'failedDeploy', 'previousDeploy']) expect(next.status).not.toHaveProperty(field);
    expect(reasonsOf(next)).toContain('RollbackFailed');
  });

  it.each`
    what                              | checkpoints                                                    | path
    ${'what it has reached'}          | ${{ completed: 3, latestCompleted: completed(CHECKPOINT, 9) }} | ${CHECKPOINT}
    ${'where it was begun, at least'} | ${{ completed: 0 }}                                            | ${SAVEPOINT}
  `('brings the version back from $what when the one before does not run either', ({ checkpoints, path }) => {
    const next = rollingBack('RollingBackJob', {
      status: { savepointPath: SAVEPOINT },
      rollout: {
        jobId: NEW_JOB,
        failure: { reason: 'JobMonitoringFailed', message: 'boom' },
        rollbackTime: secondsAgo(40),
      },
      old: oldJob({ state: 'CANCELED', checkpoints }),
      next: newJob({ state: 'CANCELED' }),
    });

    expect(next.status).toMatchObject({ savepointPath: path, rollout: { rollbackJobId: expect.any(String) } });
  });

  it('keeps the revision that may be rolled back to', () => {
    const others = Array.from({ length: 12 }, (_, index) => aRevision({ image: `orders:${index + 10}` }));

    const next = deployed({ seen: { revisions: [NEW_REVISION, ...others, OLD_REVISION] } });

    const deleted = effectsOf(next, 'DeleteRevision').map(({ name }) => name);
    expect(deleted).toHaveLength(2);
    expect(deleted).not.toContain(NEW_REVISION.name);
  });
});
