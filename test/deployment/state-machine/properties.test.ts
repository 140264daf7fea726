// What holds for every step, whatever the status says and whatever is seen.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { revisionName } from '../../../shared/deployment/identity.ts';
import type { StepInput } from '../../../shared/deployment/scene.ts';
import { type Step, step } from '../../../shared/deployment/state-machine.ts';
import type {
  ApplicationSpec,
  ApplicationStatus,
  Cluster,
  Effect,
  JobManagerView,
  JobView,
  Observation,
  Rollout,
  Savepoint,
} from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aDeployment,
  aJob,
  aJobManager,
  anApplication,
  anObservation,
  aRevision,
  aRollout,
  aService,
  aSilentJobManager,
  aStatus,
  aStoppedCluster,
  CHECKPOINT,
  completed,
  FINALIZER,
  inSeconds,
  NAME,
  NEW,
  NEW_JOB,
  NEW_REVISION,
  NOW,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  ROLLBACK_JOB,
  SAVEPOINT,
  secondsAgo,
  selectorOf,
  TRIGGER,
} from '../scenes.ts';

const OTHER = '2c2c2c2c';
const LARGER = aRevision({ image: 'orders:1', taskManagerConfig: { replicas: 4 } });
const REVISIONS = [OLD_REVISION, NEW_REVISION, LARGER];
const AT_REST = ['Running', 'DeployFailed'];
const DEPLOYING = [
  'Updating',
  'ClusterStarting',
  'Rescaling',
  'Savepointing',
  'Cancelling',
  'Recovering',
  'SubmittingJob',
  'RollingBackJob',
  'DualRunning',
];
const STATES = [
  'RUNNING',
  'RUNNING',
  'CREATED',
  'RESTARTING',
  'FAILING',
  'CANCELLING',
  'CANCELED',
  'FAILED',
  'FINISHED',
  'LOST',
  'SILENT',
];

const maybe = <T>(value: T) => fc.constantFrom(value, undefined);
/** Once in a while only: what ends a deploy early would hide what comes later. */
const seldom = <T>(value: T) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(value) });
const mostly = <T>(usual: T, ...others: readonly T[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const flag = fc.constantFrom(true, false, undefined);

/** Fields without a value are left out, as JSON does. */
function present<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

const spec: fc.Arbitrary<Partial<ApplicationSpec>> = fc
  .record({
    image: mostly('orders:2', 'orders:1', 'orders:from-spec', ''),
    programArgs: maybe('--from-spec'),
    taskManagerConfig: fc.constantFrom({}, { replicas: 1 }, { replicas: 2 }, { replicas: 4 }),
    savepointDisabled: flag,
    fallbackWithoutState: flag,
    forceRollback: seldom(true),
    suspend: seldom(true),
    rollbackWindowSeconds: maybe(3600),
    scaleMode: maybe('InPlace' as const),
    restartPolicy: maybe('FromLatestCheckpoint' as const),
    deleteMode: fc.constantFrom('Savepoint' as const, 'None' as const, 'ForceCancel' as const, undefined),
    tearDownVersionHash: fc.constantFrom(OLD, NEW, undefined),
  })
  .map((fields) => present(fields) as Partial<ApplicationSpec>);

const rollout: fc.Arbitrary<Rollout> = fc
  .record({
    kind: mostly<Rollout['kind']>('NewCluster', 'InPlace', 'InPlaceWithSavepoint', 'Restart', 'Suspend'),
    revision: fc.constantFrom(...REVISIONS.map(({ name }) => name)),
    startTime: fc.constantFrom(secondsAgo(60), secondsAgo(5000)),
    deadline: mostly(inSeconds(200), secondsAgo(1), secondsAgo(4000)),
    oldJobId: mostly<string | undefined>(OLD_JOB, undefined),
    jobId: mostly<string | undefined>(NEW_JOB, undefined),
    isSubmitted: flag,
    rollbackJobId: mostly<string | undefined>(ROLLBACK_JOB, undefined),
    attempts: maybe(2),
    rollsBackTo: seldom({ savepointPath: SAVEPOINT }),
    failure: maybe({ reason: 'JobMonitoringFailed', message: 'boom' }),
  })
  .map((fields) =>
    aRollout(present({ ...fields, hash: fields.kind === 'NewCluster' ? NEW : OLD }) as Partial<Rollout>),
  );

const status: fc.Arbitrary<ApplicationStatus> = fc
  .record({
    isFirst: mostly(false, true),
    phase: fc.constantFrom(...AT_REST, ...DEPLOYING, 'SubmittingJob', 'RollingBackJob', 'Suspended', 'Deleting', ''),
    rollout,
    deploymentMode: fc.constantFrom('Dual', 'Dual', 'BlueGreen'),
    savepointTriggerId: maybe(TRIGGER),
    savepointPath: fc.constantFrom(SAVEPOINT, '', undefined),
    retryCount: fc.constantFrom(undefined, 1, 21),
    lastSeenError: mostly<ApplicationStatus['lastSeenError']>(
      undefined,
      { appError: '503', isRetryable: true, maxRetries: 20, lastErrorUpdateTime: secondsAgo(40) },
      { appError: 'refused', isRetryable: false, isFailFast: true, lastErrorUpdateTime: secondsAgo(40) },
    ),
    failedDeploy: maybe({
      revision: NEW_REVISION.name,
      hash: NEW,
      parallelism: 4,
      taskManagers: 2,
      reason: 'JobMonitoringFailed',
      message: 'boom',
      time: secondsAgo(400),
      attempts: 1,
      retryTime: secondsAgo(100),
    }),
    previousDeploy: maybe({ revision: NEW_REVISION.name, time: secondsAgo(600), savepointPath: SAVEPOINT }),
    inPlaceUpdatedFromHash: fc.constantFrom(undefined, undefined, OTHER),
    selector: fc.constantFrom(selectorOf(OLD), selectorOf(OLD), undefined),
    jobId: fc.constantFrom(OLD_JOB, OLD_JOB, NEW_JOB, ''),
    checkpointAge: fc.constantFrom(undefined, 20, 4000),
    deletion: fc.constantFrom({ deadline: inSeconds(500), attempts: 0 }, { deadline: secondsAgo(1), attempts: 2 }),
  })
  .map(({ isFirst, jobId, checkpointAge, ...fields }) => {
    const isDeploying = DEPLOYING.includes(fields.phase);
    const isSuspended = fields.phase === 'Suspended';
    const recorded =
      checkpointAge === undefined ? {} : { lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(checkpointAge) };
    const isFresh =
      isFirst && !['DualRunning', 'Rescaling'].includes(fields.phase) && fields.rollout.kind === 'NewCluster';
    const base = aStatus({ jobStatus: { ...aStatus().jobStatus, jobID: jobId, ...recorded } });
    return present({
      ...base,
      ...fields,
      deployVersion: fields.deploymentMode === 'BlueGreen' ? 'green' : undefined,
      updatingVersion: fields.deploymentMode === 'BlueGreen' && isDeploying ? 'blue' : undefined,
      updatingHash: fields.deploymentMode === 'BlueGreen' && isDeploying ? NEW : undefined,
      rollout: isDeploying ? fields.rollout : undefined,
      deletion: fields.phase === 'Deleting' ? fields.deletion : undefined,
      suspension: isSuspended
        ? { time: secondsAgo(7200), revision: OLD_REVISION.name, savepointPath: SAVEPOINT }
        : undefined,
      ...((isFresh || isSuspended || fields.phase === '') && { deployHash: undefined, currentRevision: undefined }),
    }) as ApplicationStatus;
  });

const savepoint = fc.constantFrom<Savepoint>(
  { state: 'Unknown' },
  { state: 'InProgress' },
  { state: 'Completed', location: SAVEPOINT },
  { state: 'Failed', cause: 'full' },
);

const jobIn = (...states: readonly string[]): fc.Arbitrary<JobView> =>
  fc
    .record({
      state: fc.constantFrom(...states),
      savepoint,
      isRetained: fc.boolean(),
      checkpoint: fc.constantFrom(undefined, 30, 5000),
      parallelism: fc.constantFrom(2, 4, 8),
      upperBound: fc.constantFrom(undefined, 4, 8),
      vertex: fc.constantFrom('RUNNING', 'INITIALIZING', 'SCHEDULED', 'FINISHED'),
    })
    .map(({ isRetained, checkpoint, parallelism, upperBound, vertex, ...parts }) =>
      aJob({
        ...parts,
        vertices: [{ parallelism, status: vertex }],
        config: { isRetainedOnCancellation: isRetained, isRetainedOnFailure: isRetained },
        ...(upperBound !== undefined && { requirements: { source: { lowerBound: 1, upperBound } } }),
        ...(checkpoint !== undefined && { checkpoints: { latestCompleted: completed(CHECKPOINT, checkpoint) } }),
      }),
    );

const job = jobIn(...STATES);
const ended = jobIn('LOST', 'LOST', 'CANCELED', 'FAILED', 'FINISHED');

const jobManager: fc.Arbitrary<JobManagerView | undefined> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(undefined, aSilentJobManager()) },
  {
    weight: 4,
    arbitrary: fc
      .record({
        slots: fc.constantFrom(0, 4, 8),
        jobs: fc.oneof(
          fc.record(
            { [OLD_JOB]: job, [NEW_JOB]: job, [ROLLBACK_JOB]: job, ['e'.repeat(32)]: job },
            { requiredKeys: [] },
          ),
          fc.record({ [OLD_JOB]: ended, [NEW_JOB]: ended, [ROLLBACK_JOB]: ended }),
        ),
        fault: maybe('no such jar'),
      })
      .map(({ slots, jobs, fault }) =>
        aJobManager({ slots, jobs: present(jobs ?? {}) as Record<string, JobView>, ...(fault && { plan: { fault } }) }),
      ),
  },
);

const cluster = (hash: string): fc.Arbitrary<Cluster | undefined> =>
  mostly<Cluster | undefined>(
    aCluster(hash),
    undefined,
    aCluster(hash, { taskManagers: 4 }),
    aCluster(hash, { taskManagers: 4, available: 1 }),
    aCluster(hash, { colour: 'blue' }),
    aStoppedCluster(hash),
    aCluster(hash, { jobManagers: 0, taskManagers: 0, pods: 1 }),
    { hash, taskManager: aDeployment({ name: `${NAME}-${hash}-tm` }) },
    { hash, service: aService(`${NAME}-${hash}`, 'x') },
  );

const observation: fc.Arbitrary<Observation> = fc
  .record({
    clusters: fc.tuple(cluster(OLD), cluster(NEW), mostly<Cluster | undefined>(undefined, aCluster(OTHER))),
    old: jobManager,
    next: jobManager,
    revisions: fc.oneof(
      { weight: 4, arbitrary: fc.constant(REVISIONS) },
      { weight: 1, arbitrary: fc.subarray(REVISIONS) },
    ),
    services: fc.subarray([
      aService(NAME, 'jm0a0a0a'),
      aService(NAME, 'jm1b1b1b'),
      aService('orders-blue', 'jm1b1b1b'),
    ]),
  })
  .map(({ clusters, old, next, ...parts }) =>
    anObservation({
      ...parts,
      clusters: clusters.filter((each) => each !== undefined),
      jobManagers: { ...(old && { [OLD]: old }), ...(next && { [NEW]: next }) },
    }),
  );

const input: fc.Arbitrary<StepInput> = fc
  .record({
    spec,
    status,
    observation,
    isDeleting: seldom(true),
    finalizers: mostly([FINALIZER], []),
  })
  .map(({ spec: wanted, status: before, observation: seen, isDeleting, finalizers }) => ({
    application: anApplication({
      spec: { deploymentMode: before.deploymentMode ?? 'Dual', ...wanted },
      status: before,
      isDeleting: isDeleting === true || before.phase === 'Deleting',
      finalizers,
    }),
    observation: seen,
    now: NOW,
  }));

/** The moments that matter most: an id is written down, nothing hinders, and a job is about to be submitted. */
const aboutToSubmit: fc.Arbitrary<StepInput> = fc
  .record({ scene: input, phase: fc.constantFrom('SubmittingJob', 'RollingBackJob'), deploy: rollout })
  .map(({ scene, phase, deploy }) => {
    const { lastSeenError, retryCount, ...before } = scene.application.status;
    const hash = phase === 'SubmittingJob' ? deploy.hash : OLD;
    return {
      ...scene,
      application: {
        ...scene.application,
        isDeleting: false,
        status: { ...before, phase, rollout: deploy, deployHash: OLD, currentRevision: OLD_REVISION.name },
      },
      observation: {
        ...scene.observation,
        revisions: new Map(REVISIONS.map(({ name, revision }) => [name, revision])),
        services: new Map([[NAME, aService(NAME, `jm${hash.slice(2)}`)]]),
      },
    };
  });

const RUNS = { numRuns: Number(process.env.STEP_RUNS ?? 600) };
const always = (check: (scene: StepInput, next: Step) => void) =>
  fc.assert(
    fc.property(fc.oneof(input, aboutToSubmit), (scene) => check(scene, step(scene))),
    RUNS,
  );

function of<K extends Effect['kind']>(next: Step, kind: K): Extract<Effect, { kind: K }>[] {
  return next.effects.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind);
}

describe('every step', () => {
  it('has an answer, and always the same', () => {
    always((scene, next) => {
      expect(JSON.stringify(step(scene))).toBe(JSON.stringify(next));
    });
  });

  it('leaves what it was given as it was', () => {
    fc.assert(
      fc.property(input, (scene) => {
        const before = JSON.stringify(scene.application);
        step(scene);
        expect(JSON.stringify(scene.application)).toBe(before);
      }),
    );
  });

  it('F6: submits no job while another of the application may run on another cluster', () => {
    always((scene, next) => {
      if (scene.application.status.deploymentMode === 'BlueGreen') return;
      for (const { hash } of of(next, 'SubmitJob')) expect(jobsThatMayRunBeside(hash, scene)).toEqual([]);
    });
  });

  it('uses only ids that were written down before', () => {
    always(({ application }, next) => {
      const { rollout: before, savepointTriggerId } = application.status;
      for (const { submission } of of(next, 'SubmitJob'))
        expect([before?.jobId, before?.rollbackJobId]).toContain(submission.jobId);
      for (const { triggerId } of of(next, 'TriggerSavepoint')) expect(triggerId).toBe(savepointTriggerId);
    });
  });

  it('F9: makes only pinned revisions real, never what the spec says by now', () => {
    always((_, next) => {
      const pinned = next.status.rollout?.revision ?? next.status.currentRevision;
      for (const effect of next.effects) {
        if (effect.kind === 'CreateRevision') expect(effect.name).toBe(pinned);
        else if (effect.kind === 'CreateCluster') expect(revisionName(NAME, effect.target.revision)).toBe(pinned);
        else expect(JSON.stringify(effect)).not.toContain('from-spec');
      }
    });
  });

  it('F7: deletes no cluster that is deployed or being deployed, unless the user names it', () => {
    always(({ application }, next) => {
      const { deployHash, rollout: before, inPlaceUpdatedFromHash, phase } = application.status;
      const wanted = 'value' in application.spec ? application.spec.value.tearDownVersionHash : undefined;
      for (const { hash } of of(next, 'DeleteCluster')) {
        if (phase === 'DualRunning') expect(hash).toBe(wanted);
        else expect([deployHash, before?.hash, inPlaceUpdatedFromHash]).not.toContain(hash);
      }
    });
  });

  it('never empties the selector', () => {
    always(({ application }, next) => {
      if (application.status.selector) expect(next.status.selector).toBeTruthy();
    });
  });

  it('ends no job in Recovering that could not go on from a checkpoint', () => {
    always(({ application, observation: seen }, next) => {
      const { status: before } = application;
      const { fallbackWithoutState } = 'value' in application.spec ? application.spec.value : {};
      if (before.phase !== 'Recovering' || application.isDeleting || before.savepointPath || fallbackWithoutState)
        return;
      const ends = of(next, 'CancelJob').filter(({ hash }) => hash === OLD);
      const stops = of(next, 'ScaleDeployment').filter(({ name, replicas }) => name.includes(OLD) && replicas === 0);
      if (ends.length + stops.length === 0) return;
      const view = seen.jobManagers.get(OLD)?.details.get(OLD_JOB);
      const seenCheckpoint = known(view?.checkpoints)?.latestCompleted?.path;
      expect(seenCheckpoint ?? before.jobStatus?.lastCheckpoint).toBe(CHECKPOINT);
      if (ends.length > 0) expect(known(view?.checkpointConfig)?.isRetainedOnCancellation).toBe(true);
    });
  });

  it('comes to rest within 16 steps while nothing changes outside', () => {
    fc.assert(
      fc.property(input, (scene) => {
        let { application } = scene;
        let before = '';
        for (let count = 0; count <= 16; count += 1) {
          const next = step({ ...scene, application });
          const after = JSON.stringify([next.status, next.effects]);
          if (after === before) return;
          before = after;
          application = { ...application, status: next.status };
        }
        expect.fail(`no rest: ${before}`);
      }),
      RUNS,
    );
  });
});

/** As another operator leaves it: nothing of Headrace's, and in BlueGreen each version's job with its version. */
const foreign: fc.Arbitrary<StepInput> = fc
  .record({
    scene: input,
    versions: fc.constantFrom([OLD, NEW], [OLD], [NEW, OLD], []),
    top: fc.constantFrom(OLD_JOB, NEW_JOB, ''),
    say: fc.constantFrom(undefined, undefined, 'adopt', 'redeploy'),
  })
  .map(({ scene, versions, top, say }) => {
    const { currentRevision, rollout: _, failedDeploy, deletion, selector, ...left } = scene.application.status;
    const versionStatuses = versions.map((versionHash) => ({
      versionHash,
      jobStatus: { jobID: versionHash === OLD ? OLD_JOB : NEW_JOB },
    }));
    const jobStatus = { ...left.jobStatus, jobID: top };
    const before = { ...left, jobStatus, ...(left.deploymentMode === 'BlueGreen' && { versionStatuses }) };
    const annotations = say === undefined ? {} : { 'headrace.dev/take-over': say };
    return {
      ...scene,
      application: {
        ...scene.application,
        isDeleting: false,
        status: { ...before, phase: before.phase || 'Running' },
        annotations,
      },
    };
  });

const STANDS_ASIDE = { reason: 'AnotherOperatorActive', message: 'flinkoperator writes to the status' };

describe('an application that Headrace does not own', () => {
  const expectUntouched = ({ application }: StepInput, next: Step) => {
    const { conditions, ...after } = next.status;
    const { conditions: _, ...before } = application.status;
    expect(after).toEqual(before);
    expect(conditions?.find(({ type }) => type === 'Owned')?.status).toBe('False');
    expect([next.effects, next.events, next.isInTransition]).toEqual([[], [], false]);
  };

  it('keeps every other byte of its status while another operator is at work, whatever is seen', () => {
    fc.assert(
      fc.property(fc.oneof(foreign, input), (scene) => expectUntouched(scene, step(scene, STANDS_ASIDE))),
      RUNS,
    );
  });

  it('keeps it where it has to wait for the user, and until what runs is stored', () => {
    fc.assert(
      fc.property(foreign, (scene) => {
        const next = step(scene);
        if (next.standsAside !== undefined) expectUntouched(scene, next);
        else if (next.effects.some(({ kind }) => kind === 'CreateRevision') && next.status.rollout === undefined)
          expect(next.status).toEqual(scene.application.status);
      }),
      // Each tries some twenty hashes.
      { numRuns: RUNS.numRuns / 6 },
    );
  });

  it('is never said to have lost a job that runs, whichever job the top of its status names', () => {
    fc.assert(
      fc.property(foreign, (scene) => {
        const { application, observation: seen } = scene;
        const jobs = { [OLD_JOB]: aJob(), [NEW_JOB]: aJob() };
        const versions = application.status.versionStatuses?.map(({ versionHash }) => versionHash) ?? [];
        if (application.status.deploymentMode !== 'BlueGreen' || !versions.includes(application.status.deployHash))
          return;
        const jobManagers = new Map(
          [OLD, NEW].map((hash) => [
            hash,
            aJobManager({ jobs: { [hash === OLD ? OLD_JOB : NEW_JOB]: jobs[OLD_JOB] as JobView } }),
          ]),
        );
        const next = step({ ...scene, observation: { ...seen, jobManagers } }, STANDS_ASIDE);
        expect(next.status.conditions?.find(({ type }) => type === 'JobRunning')?.reason).not.toBe('JobLost');
      }),
      RUNS,
    );
  });
});

function known<T>(reading: { readonly value: T } | { readonly unreadable: string } | undefined): T | undefined {
  return reading !== undefined && 'value' in reading ? reading.value : undefined;
}

const ENDED = ['CANCELED', 'FAILED', 'FINISHED'];

/** Jobs on the other cluster of a deploy that are not seen to have ended, by a reading of the observation that is not the machine's. */
function jobsThatMayRunBeside(hash: string, { application, observation: seen }: StepInput): string[] {
  const { deployHash, rollout: before } = application.status;
  if (before === undefined || deployHash === undefined || deployHash === before.hash) return [];
  const isForward = hash === before.hash;
  const other = isForward ? deployHash : before.hash;
  if (isWithoutPods(seen.clusters.get(other))) return [];
  const jobId = isForward ? before.oldJobId : before.jobId;
  const view = seen.jobManagers.get(other);
  const jobs = known(view?.jobs);
  if (jobId === undefined) {
    if (jobs === undefined) return isForward ? ['unknown'] : [];
    return jobs.filter(({ state }) => !ENDED.includes(state)).map(({ id }) => id);
  }
  const reading = view?.details.get(jobId)?.job;
  if (reading === undefined || 'unreadable' in reading) return [jobId];
  // A job that was never seen on the new cluster may still come up there.
  if (reading.value === undefined) return isForward || before.isSubmitted === true ? [] : [jobId];
  return ENDED.includes(reading.value.state) ? [] : [jobId];
}

function isWithoutPods(cluster: Cluster | undefined): boolean {
  return [cluster?.jobManager, cluster?.taskManager].every(
    (deployment) => deployment === undefined || (deployment.replicas === 0 && deployment.statusReplicas === 0),
  );
}
