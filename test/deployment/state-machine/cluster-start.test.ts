import { describe, expect, it } from 'vitest';
import { clusterHashOf } from '../../../shared/deployment/identity.ts';
import { derivePodSelectors } from '../../../shared/deployment/templates.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  aRevision,
  aRollout,
  aSilentJobManager,
  atRest,
  conditionOf,
  effectsOf,
  firstDeploy,
  inSeconds,
  kindsOf,
  midway,
  NAME,
  NEW,
  NEW_REVISION,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  OLD_SPEC,
  oldJob,
  reasonsOf,
  secondsAgo,
  selectorOf,
  without,
} from '../scenes.ts';

const NEW_HASH_OF_LYFT = clusterHashOf({ namespace: 'shop', name: NAME, ...NEW_REVISION.revision }, 0);

describe('New', () => {
  const anew = (parts: Parameters<typeof firstDeploy>[1] = {}) =>
    firstDeploy('', {
      status: without(['rollout', 'deployHash', 'currentRevision', 'jobStatus', 'selector', 'deploymentMode']),
      seen: { clusters: [], services: [], revisions: [] },
      ...parts,
    });

  it('pins the target before anything is made', () => {
    const next = anew({ application: { finalizers: [] } });

    expect(next.status).toMatchObject({
      phase: 'Updating',
      rollout: { kind: 'NewCluster', revision: NEW_REVISION.name, hash: NEW_HASH_OF_LYFT, startTime: inSeconds(0) },
    });
    expect(next.effects).toEqual([{ kind: 'AddFinalizer' }, { kind: 'CreateRevision', ...NEW_REVISION }]);
    expect(next.isInTransition).toBe(true);
  });

  it('takes another hash while a cluster has the name already', () => {
    const next = anew({ seen: { clusters: [aCluster(NEW_HASH_OF_LYFT)], services: [], revisions: [] } });

    expect(next.status.rollout?.hash).toBe(
      clusterHashOf({ namespace: 'shop', name: NAME, ...NEW_REVISION.revision }, 1),
    );
  });

  it('deploys nothing while the spec has faults, and names all of them', () => {
    const next = anew({ spec: { parallelism: 0, image: '' } });

    expect(next.status.rollout).toBeUndefined();
    expect(next.effects).toEqual([]);
    expect(next.isInTransition).toBe(false);
    expect(conditionOf(next, 'SpecValid')).toMatchObject({ status: 'False', reason: 'InvalidSpec' });
    expect(conditionOf(next, 'SpecValid')?.message).toMatch(/spec\.image.*spec\.parallelism/);
  });

  it('deploys nothing while forceRollback is set', () => {
    const next = anew({ spec: { forceRollback: true } });

    expect(next.status.rollout).toBeUndefined();
    expect(next.isInTransition).toBe(false);
  });
});

describe('Updating', () => {
  it('waits until finalizer and target are there', () => {
    const next = midway('Updating', {
      application: { finalizers: [] },
      seen: { clusters: [aCluster(OLD)], revisions: [OLD_REVISION] },
    });

    expect(next.status.phase).toBe('Updating');
    expect(kindsOf(next)).toEqual(['AddFinalizer', 'CreateRevision']);
  });

  it('goes on to ClusterStarting, which has a deadline of its own', () => {
    const next = midway('Updating', { spec: { timeouts: { clusterStartSeconds: 90 } } });

    expect(next.status).toMatchObject({ phase: 'ClusterStarting', rollout: { deadline: inSeconds(90) } });
    expect(reasonsOf(next)).toEqual(['CreatingCluster']);
  });

  it('sets the selector of a first deploy, and leaves that of an update with the old cluster', () => {
    const { taskManager } = derivePodSelectors({ uid: 'uid-1', hash: NEW });

    const first = firstDeploy('Updating', { status: without(['selector', 'deployHash', 'currentRevision']) });
    const update = midway('Updating');

    expect(first.status.selector).toBe(
      `flink-app=orders,flink-deployment-type=taskmanager,pod-deployment-selector=${taskManager}`,
    );
    expect(update.status.selector).toBe(selectorOf(OLD));
  });

  it('pins another target when the spec changes before the first one was stored', () => {
    const other = aRevision({ image: 'orders:3' });

    const next = midway('Updating', {
      spec: { image: 'orders:3' },
      seen: { clusters: [aCluster(OLD)], revisions: [OLD_REVISION] },
    });

    expect(next.status).toMatchObject({ phase: 'Updating', rollout: { revision: other.name } });
    expect(next.effects).toEqual([{ kind: 'CreateRevision', ...other }]);
  });

  it('goes on with a target that is pinned when the spec has become invalid', () => {
    const next = midway('Updating', { spec: { parallelism: 0 } });

    expect(next.status.phase).toBe('ClusterStarting');
    expect(conditionOf(next, 'SpecValid')?.status).toBe('False');
  });

  it('fails at once when forceRollback is set', () => {
    const next = midway('Updating', { spec: { forceRollback: true } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'ForcedRollback' } });
  });
});

describe('ClusterStarting', () => {
  it.each`
    situation                         | spec                                                        | status                             | phase
    ${'an update'}                    | ${{}}                                                       | ${{}}                              | ${'Savepointing'}
    ${'savepointDisabled'}            | ${{ savepointDisabled: true }}                              | ${{}}                              | ${'Cancelling'}
    ${'BlueGreen'}                    | ${{ deploymentMode: 'BlueGreen' }}                          | ${{ deploymentMode: 'BlueGreen' }} | ${'Savepointing'}
    ${'BlueGreen without savepoints'} | ${{ deploymentMode: 'BlueGreen', savepointDisabled: true }} | ${{ deploymentMode: 'BlueGreen' }} | ${'SubmittingJob'}
  `('goes on to $phase in the case of $situation when the cluster is ready', ({ spec, status, phase }) => {
    const next = midway('ClusterStarting', { spec, status });

    expect(next.status.phase).toBe(phase);
    expect(next.effects).toEqual([]);
  });

  it('goes on to Savepointing in a first deploy, where there is nothing to save', () => {
    expect(firstDeploy('ClusterStarting').status.phase).toBe('Savepointing');
  });

  it.each`
    missing                      | next
    ${'a TaskManager'}           | ${{ cluster: aCluster(NEW, { available: 1 }) }}
    ${'the JobManager'}          | ${{ cluster: aCluster(NEW, { jobManagers: 0 }) }}
    ${'a slot'}                  | ${{ jobManager: aJobManager({ slots: 3 }) }}
    ${"the JobManager's answer"} | ${{ jobManager: aSilentJobManager() }}
    ${'the plan'}                | ${{ jobManager: { ...aJobManager(), plan: { unreadable: 'timed out' } } }}
  `('waits for $missing and touches nothing', ({ next: cluster }) => {
    const next = midway('ClusterStarting', { next: cluster });

    expect(next.status).toMatchObject({ phase: 'ClusterStarting', rollout: aRollout() });
    expect(next.effects).toEqual([]);
    expect(next.isInTransition).toBe(true);
  });

  it('goes on without a plan after its deadline, when everything else is there, and says so', () => {
    const next = midway('ClusterStarting', {
      rollout: { deadline: inSeconds(0) },
      next: { jobManager: { ...aJobManager(), plan: { unreadable: 'timed out' } } },
    });

    expect(next.status.phase).toBe('Savepointing');
    expect(reasonsOf(next)).toEqual(['NotRehearsed']);
  });

  it('makes what is missing of the cluster, of the pinned revision', () => {
    const next = midway('ClusterStarting', { next: { cluster: undefined, jobManager: undefined } });

    const [creation] = effectsOf(next, 'CreateCluster');
    expect(kindsOf(next)).toEqual(['CreateCluster']);
    expect(creation?.target).toMatchObject({
      application: NAME,
      hash: NEW,
      revision: NEW_REVISION.revision,
      podSelectors: derivePodSelectors({ uid: 'uid-1', hash: NEW }),
    });
  });

  it('keeps the pod selector of a Deployment that is there already', () => {
    const { taskManager, ...rest } = aCluster(NEW);

    const next = midway('ClusterStarting', { next: { cluster: rest } });

    expect(effectsOf(next, 'CreateCluster')[0]?.target.podSelectors).toEqual({
      jobManager: 'jm1b1b1b',
      taskManager: derivePodSelectors({ uid: 'uid-1', hash: NEW }).taskManager,
    });
  });

  it('fails after its deadline, names what is missing, and leaves the job alone', () => {
    const next = midway('ClusterStarting', {
      rollout: { deadline: inSeconds(0) },
      next: { cluster: aCluster(NEW, { available: 0 }) },
      seen: {
        troubles: ['orders-1b1b1b1b-tm-x: ImagePullBackOff'],
        clusters: [aCluster(OLD), aCluster(NEW, { available: 0 })],
      },
    });

    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      deployHash: OLD,
      jobStatus: { jobID: OLD_JOB },
      failedDeploy: { reason: 'ClusterStartTimedOut', revision: NEW_REVISION.name },
      failedDeployHash: NEW,
      rollbackHash: OLD,
    });
    expect(next.status.failedDeploy?.message).toMatch(/0 of 2 TaskManagers.*ImagePullBackOff/);
    expect(next.status.rollout).toBeUndefined();
    expect(next.effects).toEqual([]);
  });

  it('leaves the old job untouched when forceRollback is set (I1c)', () => {
    const next = midway('ClusterStarting', { spec: { forceRollback: true } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', deployHash: OLD, jobStatus: { jobID: OLD_JOB } });
    expect(next.effects).toEqual([]);
  });

  it('fails with the cause when the API server refuses the cluster', () => {
    const lastSeenError = { appError: 'Deployment is invalid', method: 'CreateCluster', isRetryable: false };

    const next = midway('ClusterStarting', { status: { lastSeenError, retryCount: 1 } });

    expect(next.status.failedDeploy).toMatchObject({ reason: 'CreateCluster', message: 'Deployment is invalid' });
  });

  it('fails when its pinned target was deleted', () => {
    const next = midway('ClusterStarting', { seen: { revisions: [OLD_REVISION] } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'RevisionMissing' } });
  });
});

describe('what would fail after the old job has stopped is found out before', () => {
  it('refuses a jar that is not there, or does not run', () => {
    const next = midway('ClusterStarting', { next: { jobManager: aJobManager({ plan: { fault: 'no such jar' } }) } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'JobNotRunnable' } });
    expect(next.status.failedDeploy?.message).toContain('no such jar');
  });

  it.each`
    maxParallelism | planned | phase
    ${3}           | ${4}    | ${'DeployFailed'}
    ${4}           | ${4}    | ${'Savepointing'}
    ${-1}          | ${4}    | ${'Savepointing'}
  `(
    'holds the plan against what the running job allows: $planned of $maxParallelism leads to $phase',
    ({ maxParallelism, planned, phase }) => {
      const next = midway('ClusterStarting', {
        old: oldJob({ vertices: [{ id: 'source', maxParallelism }] }),
        next: { jobManager: aJobManager({ plan: { vertices: [{ id: 'source', parallelism: planned }] } }) },
      });

      expect(next.status.phase).toBe(phase);
    },
  );

  it.each([
    ['a batch job', { isBatch: true, state: 'FAILED' }],
    ['a job that has finished', { state: 'FINISHED' }],
  ])('allows any parallelism after %s, which leaves no state to the next one', (_, job) => {
    const next = midway('ClusterStarting', {
      old: oldJob({ ...job, vertices: [{ id: 'source', maxParallelism: 1 }] }),
    });

    expect(next.status.phase).toBe('Savepointing');
  });

  it.each(['Dual', 'BlueGreen'] as const)('of a batch job Flink takes no savepoint: %s waits for its end', (mode) => {
    const deploymentMode = { deploymentMode: mode };
    const next = midway('ClusterStarting', {
      spec: deploymentMode,
      status: deploymentMode,
      old: oldJob({ isBatch: true }),
      next: { cluster: undefined },
    });

    expect(next.effects).toEqual([]);
    expect(next.status).toMatchObject({
      phase: 'DeployFailed',
      failedDeploy: { reason: 'SavepointRefused', retryTime: inSeconds(300) },
    });
    expect(next.status.failedDeploy?.message).toMatch(/runs in BATCH mode, of which Flink takes no savepoint/);
  });

  it('is said of a batch job before the creation of a cluster is', () => {
    const next = midway('Updating', { old: oldJob({ isBatch: true }), next: { cluster: undefined } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'SavepointRefused' } });
    expect(reasonsOf(next)).toEqual(['DeployFailed']);
  });

  it.each([{ savepointDisabled: true }, { fallbackWithoutState: true }])(
    'a batch job is no obstacle with %o',
    (spec) => {
      expect(midway('ClusterStarting', { spec, old: oldJob({ isBatch: true }) }).status.phase).not.toBe('DeployFailed');
    },
  );

  it('allows any parallelism to a job that begins without state', () => {
    const next = midway('ClusterStarting', {
      spec: { savepointDisabled: true },
      old: oldJob({ vertices: [{ id: 'source', maxParallelism: 1 }] }),
    });

    expect(next.status.phase).toBe('Cancelling');
  });
});

describe('F8: a first deploy never times out, tries a broken jar for ever, and ignores edits', () => {
  it('fails after its deadline', () => {
    const next = firstDeploy('ClusterStarting', {
      rollout: { deadline: inSeconds(0) },
      next: { jobManager: aSilentJobManager() },
    });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'ClusterStartTimedOut' } });
  });

  it('fails with a jar that does not run', () => {
    const next = firstDeploy('ClusterStarting', { next: { jobManager: aJobManager({ plan: { fault: 'no main' } }) } });

    expect(next.status.failedDeploy?.reason).toBe('JobNotRunnable');
  });

  const failed = {
    revision: OLD_REVISION.name,
    hash: NEW,
    parallelism: 4,
    taskManagers: 2,
    reason: 'JobNotRunnable',
    message: 'no main',
    time: secondsAgo(10),
    attempts: 1,
    retryTime: inSeconds(290),
  };
  const afterFailing = { phase: 'DeployFailed', failedDeploy: failed };

  it('deploys an edit at once', () => {
    const next = atRest({
      spec: { image: 'orders:2' },
      status: without(['deployHash', 'currentRevision', 'jobStatus'], afterFailing),
      seen: { clusters: [] },
    });

    expect(next.status).toMatchObject({ phase: 'Updating', rollout: { revision: NEW_REVISION.name } });
  });

  it('first takes away the cluster on which the failed job may still run', () => {
    const next = atRest({
      spec: { image: 'orders:2' },
      status: without(['deployHash', 'currentRevision', 'jobStatus'], afterFailing),
      seen: { clusters: [aCluster(NEW)] },
    });

    expect(next.status.phase).toBe('DeployFailed');
    expect(next.effects).toEqual([
      {
        kind: 'DeleteCluster',
        hash: NEW,
        deployments: [`orders-${NEW}-jm`, `orders-${NEW}-tm`],
        services: [`orders-${NEW}`],
      },
    ]);
  });
});

describe('F9: a change of the spec in mid-deploy makes the target vanish', () => {
  it('finishes the deploy of the pinned size when another size arrives', () => {
    const next = midway('ClusterStarting', { spec: { taskManagerConfig: { replicas: 4 } } });

    expect(next.status).toMatchObject({ phase: 'Savepointing', rollout: { revision: NEW_REVISION.name, hash: NEW } });
  });

  it('pays no attention to an annotation that a tool writes', () => {
    const next = midway('ClusterStarting', {
      application: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"changed":true}' } },
    });

    expect(next.status).toMatchObject({ phase: 'Savepointing', rollout: { revision: NEW_REVISION.name } });
  });

  it('deploys what is wanted instead while nothing has been stopped', () => {
    const next = midway('ClusterStarting', { spec: { image: 'orders:3' } });

    expect(next.status).toMatchObject({
      phase: 'Updating',
      rollout: { revision: aRevision({ image: 'orders:3' }).name, oldJobId: OLD_JOB },
    });
    expect(reasonsOf(next)).toEqual(['DeploySuperseded']);
  });

  it('gives the deploy up when the spec is put back to what runs', () => {
    const next = midway('ClusterStarting', { spec: OLD_SPEC });

    expect(next.status).toMatchObject({ phase: 'Running', deployHash: OLD, jobStatus: { jobID: OLD_JOB } });
    expect(next.status.rollout).toBeUndefined();
    expect(reasonsOf(next)).toEqual(['DeployWithdrawn']);
  });

  it.each(['Savepointing', 'Cancelling', 'Recovering', 'SubmittingJob'])('keeps its target in %s', (phase) => {
    const next = midway(phase, { spec: { image: 'orders:3' } });

    expect(next.status.rollout).toMatchObject({ revision: NEW_REVISION.name, hash: NEW });
  });
});

describe('F20: what cannot be rendered is deployed without its configuration', () => {
  it.each`
    fault                 | spec
    ${'no slots'}         | ${{ taskManagerConfig: { taskSlots: 0 } }}
    ${'no memory'}        | ${{ taskManagerConfig: { resources: { requests: { memory: 'lots' } } } }}
    ${'a wrong fraction'} | ${{ flinkVersion: '2.0', jobManagerConfig: { systemMemoryFraction: 2 } }}
    ${'an unknown mode'}  | ${{ deploymentMode: 'Single' }}
  `('refuses $fault with a condition, and the running job goes on', ({ spec }) => {
    const next = atRest({ spec });

    expect(next.status.phase).toBe('Running');
    expect(next.effects).toEqual([]);
    expect(conditionOf(next, 'SpecValid')?.status).toBe('False');
    expect(conditionOf(next, 'Deployed')?.status).toBe('False');
  });

  it('refuses a spec that cannot even be read', () => {
    const next = atRest({ application: { unreadable: 'spec.parallelism: expected number' } });

    expect(next.effects).toEqual([]);
    expect(conditionOf(next, 'SpecValid')?.message).toBe('spec.parallelism: expected number');
  });
});

describe('F27: a hash that another cluster bears is taken for the same cluster', () => {
  it('deploys the same content anew under a hash of its own after a change and back', () => {
    const taken = clusterHashOf({ namespace: 'shop', name: NAME, ...NEW_REVISION.revision }, 0);

    const next = atRest({
      spec: { image: 'orders:2' },
      status: { deployHash: taken },
      seen: { clusters: [aCluster(taken)] },
    });

    expect(next.status.rollout?.hash).not.toBe(taken);
    expect(next.status.deployHash).toBe(taken);
  });
});

describe('the finalizer', () => {
  it('is there before the cluster is', () => {
    const begun = atRest({ spec: { image: 'orders:2' }, application: { finalizers: [] } });

    expect(kindsOf(begun)).toEqual(['AddFinalizer', 'CreateRevision']);
  });
});

describe('the old job while the new cluster starts', () => {
  it('is still the one that status speaks of', () => {
    const next = midway('ClusterStarting', {
      old: { jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob({ checkpoints: { completed: 9 } }) } }) },
    });

    expect(next.status.jobStatus).toMatchObject({ jobID: OLD_JOB, state: 'RUNNING', completedCheckpointCount: 9 });
    expect(next.status.clusterStatus?.numberOfTaskManagers).toBe(2);
  });
});
