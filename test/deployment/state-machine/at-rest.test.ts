import { describe, expect, it } from 'vitest';
import { step } from '../../../shared/deployment/state-machine.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  anApplication,
  anObservation,
  aRevision,
  aRollout,
  aService,
  aSilentJobManager,
  aStatus,
  atRest,
  CHECKPOINT,
  completed,
  conditionOf,
  effectsOf,
  inSeconds,
  kindsOf,
  midway,
  NAME,
  NEW,
  NEW_REVISION,
  NOW,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  OLD_SPEC,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  secondsAgo,
  TRIGGER,
  without,
} from '../scenes.ts';

const WANTS_NEW = { image: 'orders:2' };

function failed(revision: string, changes: object = {}) {
  return {
    phase: 'DeployFailed',
    failedDeployHash: NEW,
    rollbackHash: OLD,
    failedDeploy: {
      revision,
      hash: NEW,
      parallelism: 4,
      taskManagers: 2,
      reason: 'ClusterStartTimedOut',
      message: 'no pods',
      time: secondsAgo(60),
      attempts: 1,
      retryTime: inSeconds(240),
      ...changes,
    },
  };
}

describe('Running', () => {
  it('stays as it is while the spec is what runs', () => {
    const next = atRest();

    expect(next).toMatchObject({ status: { phase: 'Running', deployHash: OLD }, effects: [], events: [] });
    expect(next.isInTransition).toBe(false);
  });

  it('begins to deploy a spec that has changed', () => {
    const next = atRest({ spec: WANTS_NEW });

    expect(next.status).toMatchObject({
      phase: 'Updating',
      deployHash: OLD,
      rollout: { kind: 'NewCluster', revision: NEW_REVISION.name, oldJobId: OLD_JOB, deadline: inSeconds(300) },
    });
    expect(next.isInTransition).toBe(true);
  });

  it('deploys the same spec again with another restartNonce', () => {
    expect(atRest({ spec: { restartNonce: '2' } }).status.phase).toBe('Updating');
  });

  it.each`
    option
    ${{ deleteMode: 'None' }}
    ${{ savepointDisabled: true }}
    ${{ allowNonRestoredState: true }}
    ${{ maxCheckpointRestoreAgeSeconds: 60 }}
    ${{ fallbackWithoutState: true }}
    ${{ savepointPath: 's3://elsewhere' }}
    ${{ timeouts: { savepointSeconds: 900 } }}
    ${{ scaleMode: 'InPlace' }}
    ${{ suspend: false }}
    ${{ savepointHistory: { maxCount: 3 } }}
    ${{ rollbackWindowSeconds: 3600 }}
    ${{ periodicSavepoints: { intervalSeconds: 7200 } }}
  `('deploys nothing for $option, which says only how to deploy', ({ option }) => {
    expect(atRest({ spec: option })).toMatchObject({ status: { phase: 'Running' }, effects: [] });
  });

  it.each`
    from           | to
    ${'Dual'}      | ${'BlueGreen'}
    ${'BlueGreen'} | ${'Dual'}
  `('refuses to change deploymentMode from $from to $to, once', ({ from, to }) => {
    const parts = { spec: { ...WANTS_NEW, deploymentMode: to }, status: { deploymentMode: from } };

    const next = atRest(parts);
    const again = atRest({ ...parts, status: { ...next.status } });

    expect(next.status.phase).toBe('DeployFailed');
    expect(reasonsOf(next)).toEqual(['UnsupportedChange']);
    expect(conditionOf(next, 'Deployed')?.message).toContain(`cannot become ${to}`);
    expect(reasonsOf(again)).toEqual([]);
    expect(again.status.rollout).toBeUndefined();
  });

  it('deploys nothing while forceRollback is set, and goes on when it is not', () => {
    const held = atRest({ spec: { ...WANTS_NEW, forceRollback: true } });
    const freed = atRest({ spec: WANTS_NEW, status: held.status });

    expect(held.status.phase).toBe('DeployFailed');
    expect(held.status.rollout).toBeUndefined();
    expect(freed.status.phase).toBe('Updating');
  });

  it('is Running again when a refused change is put back', () => {
    const held = atRest({ spec: { ...WANTS_NEW, forceRollback: true } });

    expect(atRest({ spec: {}, status: held.status }).status.phase).toBe('Running');
  });

  it('keeps the error and the count of retries as they are', () => {
    const lastSeenError = { appError: 'old', isRetryable: true, maxRetries: 3 };

    const next = atRest({ status: { lastSeenError, retryCount: 2 }, old: { jobManager: aSilentJobManager() } });

    expect(next.status).toMatchObject({ lastSeenError, retryCount: 2 });
  });
});

describe('repair', () => {
  it.each(['jobManager', 'taskManager', 'service'] as const)(
    'makes a %s again that somebody deleted, without a deploy',
    (part) => {
      const { [part]: _, ...rest } = aCluster(OLD);

      const next = atRest({ old: { cluster: rest } });

      expect(next.status.phase).toBe('Running');
      expect(effectsOf(next, 'CreateCluster')[0]?.target).toMatchObject({ hash: OLD, revision: OLD_REVISION.revision });
    },
  );

  it('makes the generic service again', () => {
    expect(kindsOf(atRest({ seen: { services: [] } }))).toEqual(['CreateCluster']);
  });

  it('gives the Deployments the size they were deployed with', () => {
    const next = atRest({ old: { cluster: aCluster(OLD, { jobManagers: 0, taskManagers: 5 }) } });

    expect(effectsOf(next, 'ScaleDeployment').map(({ name, replicas }) => [name, replicas])).toEqual([
      [`orders-${OLD}-jm`, 1],
      [`orders-${OLD}-tm`, 2],
    ]);
  });

  it('keeps the size that runs while another one has failed', () => {
    const larger = aRevision({ image: 'orders:1', taskManagerConfig: { replicas: 4 } });

    const next = atRest({
      spec: { taskManagerConfig: { replicas: 4 } },
      status: failed(larger.name),
      old: { cluster: aCluster(OLD, { taskManagers: 4 }) },
      seen: { revisions: [OLD_REVISION, larger] },
    });

    expect(effectsOf(next, 'ScaleDeployment').map(({ replicas }) => replicas)).toEqual([2]);
  });

  it('points the generic service at what is deployed', () => {
    expect(kindsOf(atRest({ seen: { services: [aService(NAME, 'jm1b1b1b')] } }))).toEqual(['PointService']);
  });
});

describe('clean-up', () => {
  it('takes every cluster away that is not deployed, and only those', () => {
    const next = atRest({ seen: { clusters: [aCluster(OLD), aCluster(NEW), aCluster('2c2c2c2c')] } });

    expect(effectsOf(next, 'DeleteCluster')).toEqual([
      {
        kind: 'DeleteCluster',
        hash: NEW,
        deployments: [`orders-${NEW}-jm`, `orders-${NEW}-tm`],
        services: [`orders-${NEW}`],
      },
      expect.objectContaining({ hash: '2c2c2c2c' }),
    ]);
    expect(reasonsOf(next)).toEqual(['ToreDownCluster', 'ToreDownCluster']);
  });

  it('takes the generic service of its colour along in BlueGreen, even when the Deployments are gone', () => {
    const { jobManager, taskManager, ...rest } = aCluster(NEW, { colour: 'blue' });

    const next = atRest({
      spec: { deploymentMode: 'BlueGreen' },
      status: { deploymentMode: 'BlueGreen', deployVersion: 'green' },
      seen: { clusters: [aCluster(OLD, { colour: 'green' }), rest], services: [aService('orders-green', 'jm0a0a0a')] },
    });

    expect([jobManager, taskManager]).not.toContain(undefined);
    expect(effectsOf(next, 'DeleteCluster')[0]?.services).toEqual(['orders-blue', `orders-${NEW}`]);
  });

  it('is done before the next deploy begins: on a leftover a job may still run', () => {
    const next = atRest({ spec: WANTS_NEW, seen: { clusters: [aCluster(OLD), aCluster('2c2c2c2c')] } });

    expect(kindsOf(next)).toEqual(['DeleteCluster']);
    expect(next.status.rollout).toBeUndefined();
  });

  it('keeps ten revisions beside those in use', () => {
    const unused = Array.from({ length: 12 }, (_, index) => ({ ...aRevision(), name: `orders-${index}` }));
    const revisions = [...unused.slice(0, 6), OLD_REVISION, NEW_REVISION, ...unused.slice(6)];

    const next = atRest({ spec: WANTS_NEW, status: failed(NEW_REVISION.name), seen: { revisions } });

    expect(effectsOf(next, 'DeleteRevision').map(({ name }) => name)).toEqual(['orders-0', 'orders-1']);
  });
});

describe('F3: a revision that failed once is never tried again', () => {
  it('waits for the end of its back-off', () => {
    const next = atRest({ spec: WANTS_NEW, status: failed(NEW_REVISION.name) });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { revision: NEW_REVISION.name } });
    expect(next.status.rollout).toBeUndefined();
  });

  it('is tried again afterwards', () => {
    const next = atRest({ spec: WANTS_NEW, status: failed(NEW_REVISION.name, { retryTime: inSeconds(0) }) });

    expect(next.status).toMatchObject({ phase: 'Updating', failedDeploy: { attempts: 1 } });
  });

  it('is tried again at once when anything else in the spec has changed, be it only an option', () => {
    const known = atRest({
      spec: { ...WANTS_NEW, forceRollback: true },
      status: { phase: 'Updating', rollout: aRollout() },
    });
    const held = { spec: WANTS_NEW, status: { ...known.status } };

    expect(known.status.failedDeploy).toMatchObject({ reason: 'ForcedRollback', revision: NEW_REVISION.name });
    expect(atRest({ ...held, spec: { ...WANTS_NEW, allowNonRestoredState: true } }).status.phase).toBe('Updating');
    expect(atRest({ ...held, spec: { ...WANTS_NEW, forceRollback: true } }).status.rollout).toBeUndefined();
    // To take the order back is not to ask for the deploy again.
    expect(atRest(held).status.phase).toBe('DeployFailed');
  });

  it('deploys any other spec at once', () => {
    expect(atRest({ spec: { image: 'orders:3' }, status: failed(NEW_REVISION.name) }).status.phase).toBe('Updating');
  });

  it('is Running again, and nothing else, when the spec is put back', () => {
    const next = atRest({ status: failed(NEW_REVISION.name) });

    expect(next.status.phase).toBe('Running');
    for (const field of ['failedDeploy', 'failedDeployHash', 'rollbackHash'])
      expect(next.status).not.toHaveProperty(field);
    expect(next.effects).toEqual([]);
  });
});

describe('F4: the next deploy asks for the savepoint of the last one', () => {
  it('begins without the ids and paths of another', () => {
    const next = atRest({ spec: WANTS_NEW, status: { savepointTriggerId: TRIGGER, savepointPath: SAVEPOINT } });

    expect(next.status).not.toHaveProperty('savepointTriggerId');
    expect(next.status).not.toHaveProperty('savepointPath');
  });
});

describe('F12: a job that is lost or has failed is neither said nor brought back', () => {
  it.each`
    state         | reason           | event
    ${'LOST'}     | ${'JobLost'}     | ${'JobLost'}
    ${'FAILED'}   | ${'JobFailed'}   | ${'JobFailed'}
    ${'CANCELED'} | ${'JobCanceled'} | ${'JobCanceled'}
  `('says once, loudly, that it is $state', ({ state, reason, event }) => {
    const next = atRest({ old: oldJob({ state }) });
    const again = atRest({ status: next.status, old: oldJob({ state }) });

    expect(next.status).toMatchObject({ phase: 'Running', jobStatus: { state, health: 'Red' } });
    expect(conditionOf(next, 'JobRunning')).toMatchObject({ status: 'False', reason });
    expect(reasonsOf(next)).toEqual([event]);
    expect(reasonsOf(again)).toEqual([]);
  });

  it('tells once that a job has finished, which is no fault', () => {
    const old = oldJob({ state: 'FINISHED' });
    const next = atRest({ old });
    const again = atRest({ status: next.status, old });

    expect(next.events).toEqual([{ type: 'Normal', reason: 'JobFinished', message: `Job ${OLD_JOB} has finished` }]);
    expect(reasonsOf(again)).toEqual([]);
  });

  it('goes on cleaning up and counting while the JobManager does not answer', () => {
    const next = atRest({
      old: { jobManager: aSilentJobManager() },
      seen: { clusters: [aCluster(OLD), aCluster(NEW)] },
    });

    expect(kindsOf(next)).toEqual(['DeleteCluster']);
    expect(next.status.clusterStatus).toMatchObject({ numberOfTaskManagers: 2, health: 'Red' });
  });

  it('does nothing more with restartPolicy Never', () => {
    expect(atRest({ old: oldJob({ state: 'LOST' }) })).toMatchObject({ effects: [], isInTransition: false });
  });

  const RESTARTS = { restartPolicy: 'FromLatestCheckpoint' as const };
  const RECORDED = { jobID: OLD_JOB, lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(30), parallelism: 4 };

  it('begins a lost job again from the checkpoint that was recorded', () => {
    const next = atRest({ spec: RESTARTS, status: { jobStatus: RECORDED }, old: oldJob({ state: 'LOST' }) });

    expect(next.status).toMatchObject({
      phase: 'SubmittingJob',
      savepointPath: CHECKPOINT,
      rollout: { kind: 'Restart', hash: OLD, revision: OLD_REVISION.name, oldJobId: OLD_JOB },
    });
    expect(reasonsOf(next)).toContain('RestartingJob');
  });

  it('begins a failed job again from its latest checkpoint', () => {
    const next = atRest({
      spec: RESTARTS,
      old: oldJob({ state: 'FAILED', checkpoints: { latestCompleted: completed(CHECKPOINT, 5) } }),
    });

    expect(next.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: CHECKPOINT });
  });

  it.each`
    situation                              | state         | parts
    ${'somebody cancelled it'}             | ${'CANCELED'} | ${{}}
    ${'it has finished'}                   | ${'FINISHED'} | ${{}}
    ${'its JobManager is silent'}          | ${'SILENT'}   | ${{}}
    ${'there is no checkpoint'}            | ${'FAILED'}   | ${{}}
    ${'its checkpoints went with the job'} | ${'FAILED'}   | ${{ checkpoints: { latestCompleted: completed(CHECKPOINT, 5) }, config: { isRetainedOnFailure: false } }}
    ${'its checkpoint is too old'}         | ${'FAILED'}   | ${{ checkpoints: { latestCompleted: completed(CHECKPOINT, 4000) } }}
  `('does not begin it again when $situation', ({ state, parts }) => {
    const next = atRest({ spec: RESTARTS, old: oldJob({ state, ...parts }) });

    expect(next.status.phase).toBe('Running');
    expect(next.status.rollout).toBeUndefined();
  });

  it('waits between attempts', () => {
    const parts = { spec: RESTARTS, old: oldJob({ state: 'LOST' }) };
    const status = { ...failed(OLD_REVISION.name), jobStatus: RECORDED };

    const waiting = atRest({ ...parts, status });
    const over = atRest({ ...parts, status: { ...status, ...failed(OLD_REVISION.name, { retryTime: inSeconds(0) }) } });

    expect(waiting.status.phase).toBe('DeployFailed');
    expect(over.status.phase).toBe('SubmittingJob');
  });

  it('repairs the cluster before the job', () => {
    const { jobManager, ...rest } = aCluster(OLD);

    const next = atRest({
      spec: RESTARTS,
      status: { jobStatus: RECORDED },
      old: { cluster: rest, ...oldJob({ state: 'LOST' }) },
    });

    expect(jobManager).toBeDefined();
    expect(kindsOf(next)).toEqual(['CreateCluster']);
    expect(next.status.rollout).toBeUndefined();
  });
});

describe('F16: annotations of tools deploy the job anew', () => {
  it.each([
    { 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    { 'argocd.argoproj.io/tracking-id': 'x' },
    { 'kustomize.toolkit.fluxcd.io/checksum': 'x' },
    { 'meta.helm.sh/release-name': 'x' },
  ])('deploys nothing for %o', (annotations) => {
    expect(atRest({ application: { annotations } })).toMatchObject({ status: { phase: 'Running' }, effects: [] });
  });

  it('deploys what the user annotates, for the pods bear it', () => {
    expect(atRest({ application: { annotations: { team: 'shop' } } }).status.phase).toBe('Updating');
  });
});

describe('F22: fields of others are overwritten', () => {
  it('keeps every field of the status that it does not know', () => {
    const status = { scaleBasis: { parallelism: 4, taskSlots: 2 }, foreign: { kept: true } } as object;

    expect(atRest({ status }).status).toMatchObject(status);
    expect(atRest({ status, spec: WANTS_NEW }).status).toMatchObject(status);
  });
});

describe('F28: a finished job counts as active', () => {
  it('is Green and at rest, and not restarted', () => {
    const jobs = { [OLD_JOB]: aJob({ state: 'FINISHED', vertices: [{ status: 'FINISHED' }] }) };

    const next = atRest({
      spec: { restartPolicy: 'FromLatestCheckpoint' },
      old: { jobManager: aJobManager({ jobs }) },
    });

    expect(next.status).toMatchObject({ phase: 'Running', jobStatus: { state: 'FINISHED', health: 'Green' } });
    expect(next.effects).toEqual([]);
  });
});

describe('a phase that nobody knows', () => {
  it('is an error', () => {
    expect(() => atRest({ status: { phase: 'Single' } })).toThrow(RangeError);
  });
});

describe('retries', () => {
  it.each`
    retryCount | elapsed | waits
    ${1}       | ${0.1}  | ${true}
    ${1}       | ${0.2}  | ${false}
    ${5}       | ${3.1}  | ${true}
    ${5}       | ${3.2}  | ${false}
    ${20}      | ${29.9} | ${true}
    ${20}      | ${30}   | ${false}
  `('F1: wait $waits after error $retryCount when it was $elapsed s ago', ({ retryCount, elapsed, waits }) => {
    const lastSeenError = {
      appError: '503',
      isRetryable: true,
      maxRetries: 20,
      lastErrorUpdateTime: new Date(Date.parse(inSeconds(0)) - elapsed * 1000).toISOString(),
    };

    const next = atRest({ spec: WANTS_NEW, status: { lastSeenError, retryCount } });

    expect(next.status.phase).toBe(waits ? 'Running' : 'Updating');
  });

  it('F1: an error without a time, as Lyft’s CRD leaves it, holds nothing up', () => {
    const lastSeenError = { appError: '503', isRetryable: true, maxRetries: 20, lastErrorUpdateTime: null };

    expect(atRest({ spec: WANTS_NEW, status: { lastSeenError, retryCount: 3 } }).status.phase).toBe('Updating');
  });

  it('F15: a deploy begins with all its retries', () => {
    const next = atRest({
      spec: WANTS_NEW,
      status: { lastSeenError: { appError: 'x', maxRetries: 3 }, retryCount: 9 },
    });

    expect(next.status).not.toHaveProperty('retryCount');
    expect(next.status).not.toHaveProperty('lastSeenError');
  });
});

describe('an application whose only deploy has failed', () => {
  it('is not taken for one that another operator deployed', () => {
    const next = atRest({
      spec: WANTS_NEW,
      status: without(['deployHash', 'currentRevision', 'jobStatus', 'selector'], failed(NEW_REVISION.name)),
      seen: { clusters: [], services: [] },
    });

    expect(next.status.phase).toBe('DeployFailed');
    expect(conditionOf(next, 'Owned')).toBeUndefined();
  });
});

describe('a finalizer that somebody took away', () => {
  const bare = { application: { finalizers: [] } };

  it.each`
    phase
    ${'ClusterStarting'}
    ${'Savepointing'}
    ${'Cancelling'}
    ${'Recovering'}
    ${'SubmittingJob'}
    ${'RollingBackJob'}
  `('is restored in $phase before anything else is done', ({ phase }) => {
    expect(kindsOf(midway(phase, bare))[0]).toBe('AddFinalizer');
  });

  it.each`
    phase
    ${'Running'}
    ${'DeployFailed'}
  `('is restored in $phase, once', ({ phase }) => {
    expect(kindsOf(atRest({ ...bare, status: { phase } }))).toEqual(['AddFinalizer']);
    expect(kindsOf(atRest({ status: { phase } }))).toEqual([]);
  });

  it('is restored while the spec is invalid, since something runs', () => {
    expect(kindsOf(atRest({ ...bare, spec: { jarName: '' } }))).toEqual(['AddFinalizer']);
  });

  it('is asked for once where a deploy begins', () => {
    expect(effectsOf(atRest({ ...bare, spec: WANTS_NEW }), 'AddFinalizer')).toHaveLength(1);
  });

  it('is left as it is while another operator is at work', () => {
    const other = { reason: 'AnotherOperatorActive', message: 'flinkoperator writes to the status' };
    const application = anApplication({ spec: OLD_SPEC, status: aStatus(), finalizers: [] });

    const next = step({ application, observation: anObservation(), now: NOW }, other);

    expect(next.effects).toEqual([]);
  });
});
