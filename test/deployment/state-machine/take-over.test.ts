import { describe, expect, it } from 'vitest';
import { hashOf } from '../../../shared/deployment/identity.ts';
import { step } from '../../../shared/deployment/state-machine.ts';
import { findCompany } from '../../../shared/deployment/take-over.ts';
import type { ApplicationStatus, JobManagerView } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  anApplication,
  anObservation,
  aRevision,
  aService,
  atRest,
  conditionOf,
  kindsOf,
  NAME,
  NEW_JOB,
  NOW,
  OLD_JOB,
  OLD_REVISION,
  OLD_SPEC,
  reasonsOf,
  SAVEPOINT,
  type SceneParts,
  secondsAgo,
} from '../scenes.ts';

const lyftsHash = (spec: object, annotations: Record<string, string> = {}) =>
  hashOf({ namespace: 'shop', name: NAME, ...aRevision(spec).revision, annotations });

const HASH = lyftsHash(OLD_SPEC);
const NEXT = lyftsHash({ image: 'orders:2' });

/** As Lyft's operator leaves it: nothing of Headrace's in the status. */
const LYFTS: ApplicationStatus = {
  phase: 'Running',
  deployHash: HASH,
  jobStatus: { jobID: OLD_JOB, state: 'RUNNING', health: 'Green' },
  retryCount: 0,
};

interface Parts {
  readonly spec?: SceneParts['spec'];
  readonly status?: Partial<ApplicationStatus>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly clusters?: readonly ReturnType<typeof aCluster>[];
  readonly revisions?: readonly ReturnType<typeof aRevision>[];
  readonly jobManagers?: Readonly<Record<string, JobManagerView>>;
}

function met({ spec = {}, status = {}, annotations = {}, ...seen }: Parts = {}) {
  return step({
    application: anApplication({ spec: { ...OLD_SPEC, ...spec }, status: { ...LYFTS, ...status }, annotations }),
    observation: anObservation({
      clusters: seen.clusters ?? [aCluster(HASH)],
      services: [aService(NAME, `jm${HASH.slice(2)}`)],
      revisions: seen.revisions ?? [OLD_REVISION],
      jobManagers: seen.jobManagers ?? { [HASH]: aJobManager({ jobs: { [OLD_JOB]: aJob() } }) },
    }),
    now: NOW,
  });
}

describe('an application at rest', () => {
  it('has its revision stored first', () => {
    const next = met({ revisions: [] });

    expect(next.effects).toEqual([{ kind: 'CreateRevision', ...OLD_REVISION }]);
    expect(next.status.currentRevision).toBeUndefined();
  });

  it.each(['Running', 'DeployFailed'])('is adopted in %s as it runs: nothing is made or changed', (phase) => {
    const next = met({ status: { phase } });

    expect(next.status).toMatchObject({
      phase: 'Running',
      deployHash: HASH,
      currentRevision: OLD_REVISION.name,
      selector: `flink-app=orders,flink-deployment-type=taskmanager,pod-deployment-selector=tm${HASH.slice(2)}`,
      jobStatus: { jobID: OLD_JOB, jarName: 'orders.jar', parallelism: 4 },
    });
    expect(next.effects).toEqual([]);
    expect(reasonsOf(next)).toEqual(['Adopted']);
  });

  it('stays at rest afterwards', () => {
    const { status } = met();

    const next = met({ status });

    expect(next).toMatchObject({ status: { phase: 'Running' }, effects: [], events: [], isInTransition: false });
  });

  it('can be scaled afterwards', () => {
    const { status } = met();

    const next = met({ status, spec: { taskManagerConfig: { replicas: 4 } } });

    expect(next.status).toMatchObject({
      phase: 'Updating',
      rollout: { revision: aRevision({ ...OLD_SPEC, taskManagerConfig: { replicas: 4 } }).name },
    });
  });

  it('takes the job of the deployed version in BlueGreen, where the top of the status knows another', () => {
    const green = hashOf({ namespace: 'shop', name: NAME, ...OLD_REVISION.revision, version: 'green' });

    const next = met({
      spec: { deploymentMode: 'BlueGreen' },
      status: {
        deploymentMode: 'BlueGreen',
        deployVersion: 'green',
        deployHash: green,
        jobStatus: { jobID: NEW_JOB },
        versionStatuses: [{ appVersion: 'green', versionHash: green, jobStatus: { jobID: OLD_JOB } }, {}],
      },
      clusters: [aCluster(green, { colour: 'green' })],
      jobManagers: { [green]: aJobManager({ jobs: { [OLD_JOB]: aJob() } }) },
    });

    expect(next.status).toMatchObject({ phase: 'Running', jobStatus: { jobID: OLD_JOB } });
  });
});

describe('F16: an annotation that was added since makes the hash another', () => {
  it('is recognised by what the live Deployment was made with', () => {
    const cluster = aCluster(HASH);

    const next = met({
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
      clusters: [cluster],
    });

    expect(cluster.jobManager?.annotations).toEqual({});
    expect(next.status.currentRevision).toBe(OLD_REVISION.name);
  });

  it('is not deployed anew when something else differs: the user is asked', () => {
    const next = met({ spec: { image: 'orders:9' } });

    expect(next.effects).toEqual([]);
    expect(next.status).toMatchObject({ phase: 'Running', deployHash: HASH });
    expect(next.status.currentRevision).toBeUndefined();
    expect(conditionOf(next, 'Owned')).toMatchObject({ status: 'False', reason: 'HashMismatch' });
    expect(conditionOf(next, 'Owned')?.message).toContain('headrace.dev/take-over');
    expect(next.isInTransition).toBe(false);
  });

  it.each`
    say           | phase
    ${'adopt'}    | ${'Running'}
    ${'redeploy'} | ${'Updating'}
  `('does what the user says: $say', ({ say, phase }) => {
    const spec = { image: 'orders:9' };

    const next = met({ spec, annotations: { 'headrace.dev/take-over': say }, revisions: [aRevision(spec)] });

    expect(next.status.phase).toBe(phase);
    expect(next.status.currentRevision ?? next.status.rollout?.revision).toBe(aRevision(spec).name);
  });
});

describe('a deploy that was begun for another spec', () => {
  it.each(['Updating', 'ClusterStarting'])('is begun anew for this one while its job is untouched: %s', (phase) => {
    const next = met({ status: { phase } });

    expect(next.status).toMatchObject({ phase: 'Updating', deployHash: HASH, rollout: { kind: 'NewCluster' } });
  });

  it('is not, whatever the user says, once its job may have been stopped', () => {
    const next = met({ status: { phase: 'SubmittingJob' }, annotations: { 'headrace.dev/take-over': 'redeploy' } });

    expect(next.effects).toEqual([]);
    expect(conditionOf(next, 'Owned')).toMatchObject({ status: 'False', reason: 'DeployInProgress' });
  });
});

describe('what cannot be adopted', () => {
  it.each`
    what                             | parts                                      | reason
    ${'a spec with faults'}          | ${{ spec: { parallelism: 0 } }}            | ${'InvalidSpec'}
    ${'a cluster that is not there'} | ${{ clusters: [] }}                        | ${'ClusterMissing'}
    ${'a rollback'}                  | ${{ status: { phase: 'RollingBackJob' } }} | ${'DeployInProgress'}
    ${'a rescale'}                   | ${{ status: { phase: 'Rescaling' } }}      | ${'DeployInProgress'}
    ${'a job that is being stopped'} | ${{ status: { phase: 'Savepointing' } }}   | ${'DeployInProgress'}
  `('$what is left alone, and it is said why', ({ parts, reason }) => {
    const next = met(parts);

    expect(next.effects).toEqual([]);
    expect(conditionOf(next, 'Owned')).toMatchObject({ status: 'False', reason });
  });
});

describe('a deploy that Lyft’s operator has begun', () => {
  const begun = (status: Partial<ApplicationStatus>, jobs: Parameters<typeof aJobManager>[0] = {}) =>
    met({
      spec: { image: 'orders:2' },
      status,
      clusters: [aCluster(HASH), aCluster(NEXT)],
      revisions: [aRevision({ image: 'orders:2' })],
      jobManagers: { [HASH]: aJobManager({ jobs: { [OLD_JOB]: aJob() } }), [NEXT]: aJobManager(jobs) },
    });

  it.each(['ClusterStarting', 'Savepointing', 'Recovering'])('is gone on with in %s', (phase) => {
    const next = begun({ phase });

    expect(next.status).toMatchObject({
      phase,
      deployHash: HASH,
      rollout: { kind: 'NewCluster', hash: NEXT, oldJobId: OLD_JOB },
    });
    expect(next.effects).toEqual([]);
    expect(reasonsOf(next)).toEqual(['Adopted']);
  });

  it('keeps the savepoint that is being taken', () => {
    const next = begun({ phase: 'Savepointing', savepointTriggerId: 'flinks-own-id' });

    expect(next.status.savepointTriggerId).toBe('flinks-own-id');
  });

  it('F6: knows the job that was submitted already for the new one, and submits no other', () => {
    const status = begun({ phase: 'SubmittingJob', jobStatus: { jobID: NEW_JOB }, savepointPath: SAVEPOINT }).status;
    const next = begun(status, { jobs: { [NEW_JOB]: aJob() } });

    expect(status.rollout).toMatchObject({ jobId: NEW_JOB, isSubmitted: true });
    expect(status.rollout).not.toHaveProperty('oldJobId');
    expect(kindsOf(next)).not.toContain('SubmitJob');
  });

  it('F6: ends the old job that was forgotten before another is submitted', () => {
    const status = begun({ phase: 'SubmittingJob', jobStatus: { jobID: '' }, savepointPath: SAVEPOINT }).status;
    const pointed = { ...status, rollout: { ...(status.rollout as NonNullable<typeof status.rollout>) } };

    const next = step({
      application: anApplication({ status: pointed }),
      observation: anObservation({
        clusters: [aCluster(HASH), aCluster(NEXT)],
        services: [aService(NAME, `jm${NEXT.slice(2)}`)],
        revisions: [aRevision({ image: 'orders:2' })],
        jobManagers: { [HASH]: aJobManager({ jobs: { [OLD_JOB]: aJob() } }), [NEXT]: aJobManager() },
      }),
      now: NOW,
    });

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: HASH, jobId: OLD_JOB }]);
  });
});

describe('F32: two operators act on one application', () => {
  const seenTwice = (writtenSecondsAgo: number, firstSeenSecondsAgo: number) => {
    const time = secondsAgo(writtenSecondsAgo);
    const memory = {
      manager: 'flinkoperator',
      lastWriteTime: Date.parse(time),
      firstSeenTime: NOW - firstSeenSecondsAgo * 1000,
    };
    return findCompany(anApplication({ otherStatusWriters: [{ manager: 'flinkoperator', time }] }), memory, NOW);
  };

  it('is alone where nobody else ever wrote', () => {
    expect(findCompany(anApplication(), undefined, NOW)).toEqual({ kind: 'Alone' });
  });

  it.each`
    firstSeen | kind
    ${89}     | ${'Accompanied'}
    ${90}     | ${'Alone'}
  `('is $kind when the last write of another has been known for $firstSeen s', ({ firstSeen, kind }) => {
    expect(seenTwice(3600, firstSeen).kind).toBe(kind);
  });

  it('waits anew whenever the other writes', () => {
    const application = anApplication({ otherStatusWriters: [{ manager: 'flinkoperator', time: secondsAgo(5) }] });
    const memory = { manager: 'flinkoperator', lastWriteTime: NOW - 60_000, firstSeenTime: NOW - 3600_000 };

    const company = findCompany(application, memory, NOW);

    expect(company).toEqual({
      kind: 'Accompanied',
      memory: { manager: 'flinkoperator', lastWriteTime: NOW - 5000, firstSeenTime: NOW },
    });
  });

  it('does nothing meanwhile but say so', () => {
    const application = anApplication({ status: { ...LYFTS, phase: 'Savepointing' } });
    const stands = { reason: 'AnotherOperatorActive', message: 'flinkoperator wrote a moment ago' };

    const next = step({ application, observation: anObservation(), now: NOW }, stands);

    expect(next).toMatchObject({ effects: [], events: [], isInTransition: false });
    expect(conditionOf(next, 'Owned')).toMatchObject({ status: 'False', ...stands });
    expect({ ...next.status, conditions: undefined }).toEqual({ ...LYFTS, phase: 'Savepointing' });
  });

  it('says that it owns the application once it does', () => {
    const doubtful = {
      conditions: [{ type: 'Owned', status: 'False', reason: 'x', message: '', lastTransitionTime: secondsAgo(9) }],
    };

    expect(conditionOf(atRest({ status: doubtful as ApplicationStatus }), 'Owned')?.status).toBe('True');
  });
});
