// Applications and what is seen of them, in words. The usual scene is an update: image orders:1 is deployed and its job runs;
// image orders:2 is on its way. A test says only where its scene differs from that.

import { revisionName, revisionOf } from '../../shared/deployment/identity.ts';
import { type Step, step } from '../../shared/deployment/state-machine.ts';
import type {
  Application,
  ApplicationSpec,
  ApplicationStatus,
  CheckpointConfig,
  Checkpoints,
  Cluster,
  DeploymentView,
  Effect,
  Job,
  JobManagerView,
  JobView,
  Observation,
  Plan,
  ResourceRequirements,
  Revision,
  Rollout,
  Savepoint,
  ServiceView,
  TaskManager,
  Vertex,
} from '../../shared/deployment/types.ts';
import { formatTime } from '../../shared/units.ts';

export const NAME = 'orders';
export const OLD = '0a0a0a0a';
export const NEW = '1b1b1b1b';
export const OLD_JOB = 'a'.repeat(32);
export const NEW_JOB = 'b'.repeat(32);
export const ROLLBACK_JOB = 'c'.repeat(32);
export const TRIGGER = 'd'.repeat(32);
export const SAVEPOINT = 's3://savepoints/savepoint-1';
export const CHECKPOINT = 's3://checkpoints/chk-7';
export const NOW = Date.parse('2026-03-01T12:00:00Z');
export const FINALIZER = 'job.finalizers.flink.k8s.io';

/** An instant as many seconds from now, as a status writes it. */
export const inSeconds = (seconds: number): string => formatTime(NOW + seconds * 1000);
export const secondsAgo = (seconds: number): string => inSeconds(-seconds);

/** Parallelism 4 on 2 TaskManagers with 2 slots each. */
function aSpec({ taskManagerConfig, ...spec }: Partial<ApplicationSpec> = {}): ApplicationSpec {
  return {
    image: 'orders:2',
    jarName: 'orders.jar',
    entryClass: 'com.example.Orders',
    parallelism: 4,
    taskManagerConfig: { taskSlots: 2, ...taskManagerConfig },
    ...spec,
  };
}

export const OLD_SPEC = aSpec({ image: 'orders:1' });

/** The name of a spec's revision, and the revision. */
export function aRevision(spec: Partial<ApplicationSpec> = {}): { readonly name: string; readonly revision: Revision } {
  const revision = revisionOf({ labels: {}, annotations: {}, spec: aSpec(spec) });
  return { name: revisionName(NAME, revision), revision };
}

export const OLD_REVISION = aRevision(OLD_SPEC);
export const NEW_REVISION = aRevision();

interface ApplicationParts extends Partial<Omit<Application, 'spec'>> {
  readonly spec?: Partial<ApplicationSpec>;
  /** Why the spec cannot be read. */
  readonly unreadable?: string;
}

export function anApplication({ spec, unreadable, ...parts }: ApplicationParts = {}): Application {
  return {
    namespace: 'shop',
    name: NAME,
    uid: 'uid-1',
    resourceVersion: '7',
    generation: 2,
    isDeleting: false,
    finalizers: [FINALIZER],
    labels: {},
    annotations: {},
    otherStatusWriters: [],
    spec: unreadable === undefined ? { value: aSpec(spec) } : { unreadable },
    unknownFields: [],
    status: {},
    ...parts,
  };
}

/** Of an application at rest: orders:1 is deployed, with one job. */
export function aStatus(changes: Partial<ApplicationStatus> = {}): ApplicationStatus {
  return {
    phase: 'Running',
    deploymentMode: 'Dual',
    deployHash: OLD,
    currentRevision: OLD_REVISION.name,
    selector: selectorOf(OLD),
    jobStatus: {
      jobID: OLD_JOB,
      state: 'RUNNING',
      jarName: 'orders.jar',
      entryClass: 'com.example.Orders',
      programArgs: '--old',
      parallelism: 4,
      allowNonRestoredState: false,
    },
    ...changes,
  };
}

export function selectorOf(hash: string): string {
  return `flink-app=${NAME},flink-deployment-type=taskmanager,pod-deployment-selector=tm${hash.slice(2)}`;
}

/** Of a deploy of orders:2 on a new cluster. */
export function aRollout(changes: Partial<Rollout> = {}): Rollout {
  return {
    kind: 'NewCluster',
    revision: NEW_REVISION.name,
    hash: NEW,
    startTime: secondsAgo(60),
    deadline: inSeconds(240),
    oldJobId: OLD_JOB,
    ...changes,
  };
}

interface ClusterParts {
  readonly jobManagers?: number;
  readonly taskManagers?: number;
  /** Default: all of them. */
  readonly available?: number;
  /** Pods that are there. Default: as many as are wanted. */
  readonly pods?: number;
  readonly colour?: string;
}

/** A cluster whose pods are all there. */
export function aCluster(hash: string, { jobManagers = 1, taskManagers = 2, ...parts }: ClusterParts = {}): Cluster {
  const { available = taskManagers, pods = taskManagers, colour } = parts;
  const labels: Record<string, string> =
    colour === undefined ? { 'flink-app-hash': hash } : { 'flink-app-hash': hash, 'flink-application-version': colour };
  const stem = [NAME, hash, ...(colour === undefined ? [] : [colour])].join('-');
  return {
    hash,
    jobManager: aDeployment({
      name: `${stem}-jm`,
      replicas: jobManagers,
      statusReplicas: jobManagers,
      availableReplicas: jobManagers,
      podSelector: `jm${hash.slice(2)}`,
      labels,
    }),
    taskManager: aDeployment({
      name: `${stem}-tm`,
      replicas: taskManagers,
      statusReplicas: pods,
      availableReplicas: available,
      podSelector: `tm${hash.slice(2)}`,
      labels,
    }),
    service: aService(`${NAME}-${hash}`, `jm${hash.slice(2)}`, labels),
    ...(jobManagers === 0 && { podCount: pods }),
  };
}

/** A cluster without a single pod. */
export function aStoppedCluster(hash: string): Cluster {
  return aCluster(hash, { jobManagers: 0, taskManagers: 0 });
}

export function aDeployment(parts: Partial<DeploymentView>): DeploymentView {
  return {
    name: `${NAME}-tm`,
    uid: `uid-of-${parts.name}`,
    resourceVersion: '1',
    isDeleting: false,
    isKept: true,
    replicas: 1,
    statusReplicas: 1,
    availableReplicas: 1,
    isObserved: true,
    podSelector: 'selector',
    labels: {},
    annotations: {},
    containerName: 'jobmanager',
    schedulerName: 'default-scheduler',
    ...parts,
  };
}

export function aService(name: string, podSelector: string, labels: Record<string, string> = {}): ServiceView {
  return {
    name,
    resourceVersion: '1',
    isDeleting: false,
    isKept: true,
    labels,
    selector: { 'flink-app': NAME, 'pod-deployment-selector': podSelector },
  };
}

interface JobParts {
  /** Flink's word; 'LOST': the JobManager does not know the job; 'SILENT': it did not answer. Default RUNNING. */
  readonly state?: string;
  readonly vertices?: readonly Partial<Vertex>[];
  readonly isBatch?: boolean;
  readonly startTime?: number;
  readonly checkpoints?: Partial<Checkpoints>;
  readonly config?: Partial<CheckpointConfig>;
  readonly savepoint?: Savepoint;
  readonly requirements?: ResourceRequirements;
  /** Why it failed last; undefined: its JobManager does not know yet. Default: it never did. */
  readonly cause?: string | undefined;
  /** How many seconds ago each of its failures was, the newest first. */
  readonly failedSecondsAgo?: readonly number[];
  readonly restarts?: number;
}

/** What a JobManager says of a job: checkpoints are taken and kept, none is complete yet, no savepoint is known. */
export function aJob({ state = 'RUNNING', savepoint = { state: 'Unknown' }, ...parts }: JobParts = {}): JobView {
  if (state === 'SILENT') return { job: { unreadable: 'connect ECONNREFUSED' } };
  const { vertices = [{}], isBatch = false, startTime = NOW - 3600_000, checkpoints, config, requirements } = parts;
  const { cause = '', failedSecondsAgo = [], restarts } = parts;
  const isCauseKnown = !('cause' in parts && parts.cause === undefined);
  const job: Job | undefined =
    state === 'LOST'
      ? undefined
      : { id: '', state, isBatch, startTime, vertices: vertices.map((vertex) => aVertex(vertex)) };
  return {
    job: { value: job },
    checkpoints: { value: state === 'LOST' ? undefined : { completed: 0, failed: 0, ...checkpoints } },
    checkpointConfig: {
      value:
        state === 'LOST'
          ? undefined
          : { intervalMilliseconds: 10_000, isRetainedOnCancellation: true, isRetainedOnFailure: true, ...config },
    },
    savepoint: { value: savepoint },
    resourceRequirements: { value: requirements },
    failures: isCauseKnown
      ? { value: { cause, times: failedSecondsAgo.map((age) => NOW - age * 1000) } }
      : { unreadable: 'older than its failure' },
    restarts: { value: restarts },
  };
}

export function aVertex({ id = 'source', parallelism = 4, status = 'RUNNING', ...vertex }: Partial<Vertex>): Vertex {
  return { id, name: id, parallelism, maxParallelism: 128, status, tasks: { [status]: parallelism }, ...vertex };
}

/** A checkpoint or savepoint that was completed so many seconds ago. */
export function completed(path: string, ageSeconds: number): { readonly path: string; readonly time: number } {
  return { path, time: NOW - ageSeconds * 1000 };
}

interface JobManagerParts {
  readonly slots?: number;
  readonly jobs?: Readonly<Record<string, JobView>>;
  readonly plan?: Plan;
  readonly taskManagers?: readonly Partial<TaskManager>[];
}

/** A JobManager that answers: with 4 slots on 2 TaskManagers, and a plan of one vertex. */
export function aJobManager({ slots = 4, jobs = {}, ...parts }: JobManagerParts = {}): JobManagerView {
  const { plan = { vertices: [{ id: 'source', parallelism: 4 }] }, taskManagers = [{}, {}] } = parts;
  const details = new Map(Object.entries(jobs).map(([id, view]) => [id, withId(view, id)]));
  return {
    overview: {
      value: { taskManagers: taskManagers.length, slotsTotal: slots, slotsAvailable: 0, flinkVersion: '2.3.0' },
    },
    taskManagers: { value: taskManagers.map((taskManager) => aTaskManager(taskManager)) },
    jobs: { value: [...details].flatMap(([id, { job }]) => listed(id, job)) },
    plan: { value: plan },
    details,
  };
}

function aTaskManager(parts: Partial<TaskManager> = {}): TaskManager {
  return { id: 'tm-1', host: '10.0.0.1', slots: 2, freeSlots: 0, lastHeartbeatTime: NOW - 5_000, ...parts };
}

function withId(view: JobView, id: string): JobView {
  return 'value' in view.job && view.job.value !== undefined
    ? { ...view, job: { value: { ...view.job.value, id } } }
    : view;
}

function listed(id: string, job: JobView['job']): { readonly id: string; readonly state: string }[] {
  return 'value' in job && job.value !== undefined ? [{ id, state: job.value.state }] : [];
}

/** A JobManager that was asked and did not answer. */
export function aSilentJobManager(): JobManagerView {
  const unreadable = 'connect ECONNREFUSED';
  return { overview: { unreadable }, taskManagers: { unreadable }, jobs: { unreadable }, details: new Map() };
}

interface ObservationParts {
  readonly clusters?: readonly Cluster[];
  readonly jobManagers?: Readonly<Record<string, JobManagerView>>;
  readonly revisions?: readonly { readonly name: string; readonly revision: Revision }[];
  readonly services?: readonly ServiceView[];
  readonly troubles?: readonly string[];
}

export function anObservation(parts: ObservationParts = {}): Observation {
  const { clusters = [], jobManagers = {}, revisions = [], services = [], troubles = [] } = parts;
  return {
    clusters: new Map(clusters.map((cluster) => [cluster.hash, cluster])),
    services: new Map(services.map((service) => [service.name, service])),
    revisions: new Map(revisions.map(({ name, revision }) => [name, revision])),
    jobManagers: new Map(Object.entries(jobManagers)),
    troubles,
  };
}

export interface SceneParts {
  readonly spec?: Partial<ApplicationSpec>;
  readonly application?: Omit<ApplicationParts, 'spec' | 'status'>;
  readonly status?: Partial<ApplicationStatus>;
  readonly rollout?: Partial<Rollout>;
  readonly old?: Partial<ClusterScene>;
  readonly next?: Partial<ClusterScene>;
  readonly seen?: Partial<ObservationParts>;
  readonly now?: number;
}

interface ClusterScene {
  readonly cluster: Cluster | undefined;
  readonly jobManager: JobManagerView | undefined;
}

/** At rest: both what is wanted and what runs is orders:1, unless the spec says otherwise. */
export function atRest(parts: SceneParts = {}): Step {
  const { spec = {}, application = {}, status = {}, old = {}, seen = {}, now = NOW } = parts;
  const { cluster, jobManager } = { ...oldCluster(), ...old };
  return step({
    application: anApplication({ spec: { ...OLD_SPEC, ...spec }, status: aStatus(status), ...application }),
    observation: anObservation({
      clusters: present(cluster),
      services: [aService(NAME, `jm${OLD.slice(2)}`)],
      revisions: [OLD_REVISION],
      ...(jobManager && { jobManagers: { [OLD]: jobManager } }),
      ...seen,
    }),
    now,
  });
}

/** In the middle of the update to orders:2; both clusters are up, the old job runs. */
export function midway(phase: string, parts: SceneParts = {}): Step {
  const { spec, application = {}, status = {}, rollout = {}, old = {}, next = {}, seen = {}, now = NOW } = parts;
  const before = { ...oldCluster(), ...old };
  const after = { ...newCluster(), ...next };
  const hash = rollout.hash ?? NEW;
  return step({
    application: anApplication({
      spec: spec ?? {},
      status: aStatus({ phase, rollout: aRollout(rollout), ...status }),
      ...application,
    }),
    observation: anObservation({
      clusters: [...present(before.cluster), ...(hash === NEW ? present(after.cluster) : [])],
      services: [aService(NAME, `jm${(phase === 'SubmittingJob' ? hash : OLD).slice(2)}`)],
      revisions: [OLD_REVISION, NEW_REVISION],
      jobManagers: {
        ...(before.jobManager && { [OLD]: before.jobManager }),
        ...(hash === NEW && after.jobManager && { [NEW]: after.jobManager }),
      },
      ...seen,
    }),
    now,
  });
}

/** The first deploy of all: there is nothing but what is on its way. */
export function firstDeploy(phase: string, { status, rollout = {}, ...parts }: SceneParts = {}): Step {
  const { oldJobId, ...first } = aRollout(rollout);
  return midway(phase, {
    ...parts,
    old: { cluster: undefined, jobManager: undefined },
    status: without(['deployHash', 'currentRevision', 'jobStatus'], { rollout: first, ...status }),
  });
}

/** Changes that take fields away: a status spreads them over what it had. */
export function without(
  fields: readonly (keyof ApplicationStatus)[],
  changes: Partial<ApplicationStatus> = {},
): Partial<ApplicationStatus> {
  return { ...Object.fromEntries(fields.map((field) => [field, undefined])), ...changes };
}

/** The old cluster, on which the old job is like this. */
export function oldJob(parts: JobParts): Partial<ClusterScene> {
  return { jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob(parts) } }) };
}

/** The new cluster, on which the new job is like this. */
export function newJob(parts: JobParts): Partial<ClusterScene> {
  return { jobManager: aJobManager({ jobs: { [NEW_JOB]: aJob(parts) } }) };
}

function oldCluster(): ClusterScene {
  return { cluster: aCluster(OLD), jobManager: aJobManager({ jobs: { [OLD_JOB]: aJob() } }) };
}

function newCluster(): ClusterScene {
  return { cluster: aCluster(NEW), jobManager: aJobManager() };
}

function present(cluster: Cluster | undefined): readonly Cluster[] {
  return cluster === undefined ? [] : [cluster];
}

/** The effects of one kind. */
export function effectsOf<K extends Effect['kind']>(
  { effects }: Pick<Step, 'effects'>,
  kind: K,
): Extract<Effect, { kind: K }>[] {
  return effects.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind);
}

export function kindsOf({ effects }: Pick<Step, 'effects'>): string[] {
  return effects.map(({ kind }) => kind);
}

export function reasonsOf({ events }: Pick<Step, 'events'>): string[] {
  return events.map(({ reason }) => reason);
}

export function conditionOf({ status }: Pick<Step, 'status'>, type: string) {
  return status.conditions?.find((condition) => condition.type === type);
}
