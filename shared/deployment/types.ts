// The words of a deployment. A status is kept as it is on the wire (Lyft's field names, times as RFC 3339), so that an
// application can be taken over, and handed back, by reading and writing the same fields.

import type { Reading, ScaleBasis } from '../scaling/types.ts';

export type { Reading };

/** A FlinkApplication, whole, as its deployment needs it. */
export interface Application {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly isDeleting: boolean;
  readonly finalizers: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Who else has written to the status and when last (metadata.managedFields), Headrace itself left out. */
  readonly otherStatusWriters: readonly StatusWriter[];
  /** What the user wrote; unreadable where a field is not what it must be. */
  readonly spec: Reading<ApplicationSpec>;
  /** What the user wrote into the spec that nobody reads; it is left as it is. */
  readonly unknownFields: readonly UnknownField[];
  readonly status: ApplicationStatus;
}

/** "spec.restartPolcy", nearest "spec.restartPolicy". */
export interface UnknownField {
  readonly field: string;
  /** A field of nearly the same name, where there is one. */
  readonly nearest?: string;
}

export interface StatusWriter {
  readonly manager: string;
  /** RFC 3339; managedFields count in whole seconds. */
  readonly time: string;
}

/** spec, with no default filled in. Core/v1 parts are plain JSON. */
export interface ApplicationSpec extends DeployedSpec {
  readonly savepointPath?: string;
  /** The older form of savepointPath. */
  readonly savepointInfo?: { readonly savepointLocation?: string };
  readonly savepointDisabled?: boolean;
  readonly deploymentMode?: string;
  readonly deleteMode?: 'Savepoint' | 'None' | 'ForceCancel' | '';
  readonly scaleMode?: 'NewCluster' | 'InPlace' | '';
  readonly forceRollback?: boolean;
  /** Default 3600. */
  readonly maxCheckpointRestoreAgeSeconds?: number;
  readonly tearDownVersionHash?: string;
  readonly fallbackWithoutState?: boolean;
  /** Labels and annotations that do not count as a change: keys, and "domain/*" for every key of a domain. Part of no revision. */
  readonly excludedMetadata?: readonly string[];
  /** Whether a job that is stopped with a savepoint first emits its last watermark. Default false. */
  readonly drainOnStop?: boolean;
  /** Sent with the next submission; alone it deploys nothing. */
  readonly allowNonRestoredState?: boolean;
  /** The job is ended with a savepoint, its pods go, and it resumes from there when this is no longer true. */
  readonly suspend?: boolean;
  /** For so long after a deploy a version that fails again and again is taken back; absent: never. At least 60. */
  readonly rollbackWindowSeconds?: number;
  /** Which of the savepoints that Headrace has taken are kept; absent: all of them. */
  readonly savepointHistory?: SavepointHistory;
  /** Savepoints of the job while it runs; absent: none. */
  readonly periodicSavepoints?: PeriodicSavepoints;
  readonly timeouts?: Partial<Timeouts>;
}

/** One of them at least; what is beyond either is disposed of, unless it is needed. */
export interface SavepointHistory {
  /** 1 to 50. */
  readonly maxCount?: number;
  readonly maxAgeSeconds?: number;
}

export interface PeriodicSavepoints {
  /** At least 60. */
  readonly intervalSeconds: number;
}

/** How long each part of a deploy may take, seconds, each at least 1. */
export interface Timeouts {
  /** Until every pod is ready and the slots are there. Default 300. */
  readonly clusterStartSeconds: number;
  /** Until a savepoint is complete. Default 300. */
  readonly savepointSeconds: number;
  /** Until the JobManager has taken the job. Default 300. */
  readonly submitSeconds: number;
  /** Until every vertex runs. Default 180. */
  readonly verticesSeconds: number;
}

/** The part of spec that a deploy makes real: a change of it is a new revision. (`replicas` is counted by its effect.) */
export interface DeployedSpec {
  readonly image: string;
  readonly imagePullPolicy?: string;
  readonly imagePullSecrets?: readonly object[];
  readonly serviceAccountName?: string;
  readonly securityContext?: object;
  /** Strings, numbers or booleans. */
  readonly flinkConfig?: Readonly<Record<string, unknown>>;
  readonly flinkVersion?: string;
  readonly taskManagerConfig?: TaskManagerConfig;
  readonly jobManagerConfig?: JobManagerConfig;
  readonly jarName: string;
  readonly parallelism: number;
  readonly entryClass: string;
  /** In one string, split as Flink 1.x does. */
  readonly programArgs?: string;
  /** Each argument exactly as the program gets it; excludes programArgs. */
  readonly programArgsList?: readonly string[];
  readonly rpcPort?: number;
  readonly blobPort?: number;
  readonly queryPort?: number;
  readonly metricsQueryPort?: number;
  readonly uiPort?: number;
  readonly volumes?: readonly object[];
  readonly volumeMounts?: readonly object[];
  readonly restartNonce?: string;
  /**
   * Default Never. It decides how many checkpoints a new cluster keeps; alone it deploys nothing, so it is no part of a
   * revision's fingerprint.
   */
  readonly restartPolicy?: 'Never' | 'FromLatestCheckpoint';
}

interface PodConfig {
  readonly resources?: { readonly requests?: Quantities; readonly limits?: Quantities };
  readonly envConfig?: { readonly env?: readonly object[]; readonly envFrom?: readonly object[] };
  /** 0 to 1, Flink before 1.11. */
  readonly offHeapMemoryFraction?: number;
  /** 0 to 1, Flink from 1.11. */
  readonly systemMemoryFraction?: number;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly object[];
  readonly affinity?: object;
  /** Run to their end, in this order, before the Flink container starts; core/v1 Container. */
  readonly initContainers?: readonly ContainerFields[];
  /** Further containers of each pod; core/v1 Container. */
  readonly sidecars?: readonly ContainerFields[];
}

/** A core/v1 Container as the user wrote it; only what Headrace looks at is named. */
export interface ContainerFields {
  readonly name: string;
  readonly image: string;
  readonly ports?: readonly { readonly containerPort?: number }[];
  readonly volumeMounts?: readonly { readonly name?: string }[];
}

type Quantities = Readonly<Record<string, string | number>>;

export interface JobManagerConfig extends PodConfig {
  /** Default 1. */
  readonly replicas?: number;
}

export interface TaskManagerConfig extends PodConfig {
  /** The scale subresource. */
  readonly replicas?: number;
  /** Default 16. */
  readonly taskSlots?: number;
}

/** Everything that one revision makes real; the data of its ControllerRevision, never changed once written. */
export interface Revision {
  /** Of the FlinkApplication, without those that are true of it alone (handedToPods). */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: DeployedSpec;
  /** With which the job runs: the effective parallelism. */
  readonly parallelism: number;
  readonly taskManagers: number;
  /** What Lyft's operator had set cluster-wide, read from a cluster that was taken over. */
  readonly settings?: { readonly containerNameFormat?: string; readonly schedulerName?: string };
}

/** One cluster to be rendered: which revision, under which hash. */
export interface ClusterTarget {
  readonly namespace: string;
  readonly application: string;
  readonly uid: string;
  readonly revision: Revision;
  /** Eight hex digits; in every name, and the label flink-app-hash. */
  readonly hash: string;
  /** BlueGreen only. */
  readonly version?: Colour;
  /** Values of the label pod-deployment-selector. */
  readonly podSelectors: PodSelectors;
  /** Under which JobManagers with high availability keep their jobs; absent: <application>-<hash>. */
  readonly clusterId?: string;
}

export interface PodSelectors {
  readonly jobManager: string;
  readonly taskManager: string;
}

export type Colour = 'blue' | 'green';

export type Phase =
  | ''
  | 'Updating'
  | 'Rescaling'
  | 'ClusterStarting'
  | 'Savepointing'
  | 'Cancelling'
  | 'Recovering'
  | 'SubmittingJob'
  | 'RollingBackJob'
  | 'Running'
  | 'DeployFailed'
  | 'DualRunning'
  | 'Suspended'
  | 'Deleting';

/** status, as it is on the wire; every field may be absent. Times are RFC 3339. */
export interface ApplicationStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly lastUpdatedAt?: string | null;
  readonly deploymentMode?: string;
  /** Of the cluster that is deployed. It stays while the cluster does: a rescale in place keeps it. */
  readonly deployHash?: string;
  /**
   * Of the cluster that is deployed, with high availability: the id under which its JobManagers elect a leader and keep their
   * jobs. Absent: <application>-<hash>, as clusters had it that were made before there were such ids.
   */
  readonly clusterId?: string;
  readonly updatingHash?: string;
  readonly updatingVersion?: string;
  readonly deployVersion?: string;
  readonly teardownHash?: string;
  readonly failedDeployHash?: string;
  readonly rollbackHash?: string;
  /** Left by Lyft's operator after it scaled in place: pods still find their JobManager under this hash. */
  readonly inPlaceUpdatedFromHash?: string;
  readonly savepointTriggerId?: string;
  readonly savepointPath?: string;
  readonly retryCount?: number;
  readonly lastSeenError?: LastSeenError;
  readonly clusterStatus?: ClusterStatus;
  readonly jobStatus?: JobStatus;
  readonly versionStatuses?: readonly VersionStatus[];

  // From here on: Headrace's own.
  readonly observedGeneration?: number;
  /** Selects the TaskManagers of the deployed cluster, as text. */
  readonly selector?: string;
  readonly scaleBasis?: ScaleBasis;
  /** spec.taskManagerConfig.replicas as it was seen last, at least 1: what is restored where somebody takes it away. */
  readonly lastReplicas?: number;
  /** Name of the ControllerRevision that is deployed. */
  readonly currentRevision?: string;
  /** The deploy in progress; absent at rest. */
  readonly rollout?: Rollout;
  /** The last deploy, if it failed and nothing else has been deployed since. */
  readonly failedDeploy?: FailedDeploy;
  /** What was deployed before what is deployed now, as long as that may be rolled back to. */
  readonly previousDeploy?: PreviousDeploy;
  /** Savepoints that Headrace has taken and not disposed of, the oldest first. */
  readonly savepoints?: readonly SavepointRecord[];
  /** The periodic savepoint that is being taken, or the last ones that failed. */
  readonly periodicSavepoint?: PeriodicSavepoint;
  /** The savepoint that is being disposed of. */
  readonly savepointDisposal?: SavepointDisposal;
  /** Where the job resumes from; from its end until a job runs again. */
  readonly suspension?: Suspension;
  /** The last attempt to suspend the job, if it failed and spec.suspend is still true. */
  readonly failedSuspension?: FailedSuspension;
  /** While it is being deleted. */
  readonly deletion?: Deletion;
  readonly conditions?: readonly Condition[];
}

export interface Suspension {
  /** Since when. */
  readonly time: string;
  /** Name of the ControllerRevision that ran; absent: nothing had been deployed, or by another operator. */
  readonly revision?: string;
  /** Of the job that was ended. */
  readonly jobId?: string;
  /** The savepoint or checkpoint that the job resumes from; absent: it begins without state. */
  readonly savepointPath?: string;
  /** When that state was saved. */
  readonly savepointTime?: string;
}

export interface PreviousDeploy {
  /** Name of its ControllerRevision. */
  readonly revision: string;
  /** When it was replaced. */
  readonly time: string;
  /** Where the job that replaced it was begun from; absent: without state. */
  readonly savepointPath?: string;
}

export interface SavepointRecord {
  readonly path: string;
  /** When its state was saved. */
  readonly time: string;
  readonly reason: 'Deploy' | 'Suspend' | 'Periodic';
  /** Of the job whose state it is. */
  readonly jobId: string;
  /** The last job that was begun from it. */
  readonly restoredJobId?: string;
  /** That job owns it (Flink's claim mode CLAIM): it is Flink's to delete. */
  readonly isClaimed?: boolean;
}

/** What failed so often in a row, and when it is tried again. */
interface FailuresInARow {
  readonly failures?: number;
  readonly message?: string;
  readonly retryTime?: string;
}

export interface PeriodicSavepoint extends FailuresInARow {
  /** While one is being taken, with the two that follow. */
  readonly triggerId?: string;
  readonly jobId?: string;
  readonly startTime?: string;
}

export interface SavepointDisposal extends FailuresInARow {
  readonly path: string;
  /** Flink's id of the disposal, once it has been ordered. */
  readonly triggerId?: string;
}

export interface FailedSuspension extends Failure {
  readonly time: string;
  /** How often it has failed in a row. */
  readonly attempts: number;
  /** When it is tried again, unless the spec changes before. */
  readonly retryTime: string;
  readonly specDigest?: string;
}

export interface Deletion {
  /** When waiting for the job's end is given up. */
  readonly deadline: string;
  /** Savepoints that were written down so far. */
  readonly attempts: number;
}

export interface LastSeenError {
  readonly appError?: string;
  readonly method?: string;
  readonly errorCode?: string;
  readonly isRetryable?: boolean;
  readonly isFailFast?: boolean;
  readonly maxRetries?: number;
  readonly lastErrorUpdateTime?: string | null;
}

export interface Rollout {
  readonly kind: RolloutKind;
  /** Name of the ControllerRevision that is being deployed: the pinned target. */
  readonly revision: string;
  /** Of the cluster it is deployed on; deployHash when the cluster stays. */
  readonly hash: string;
  /** As status.clusterId, of a new cluster. */
  readonly clusterId?: string;
  /** Lyft's operator began it: a job that runs on the new cluster already may be the one that it submitted. */
  readonly isTakenOver?: boolean;
  readonly startTime: string;
  /** When the present phase has failed. */
  readonly deadline: string;
  /** It takes a version back that has failed again and again: the job begins here, and not where the one before has got to. */
  readonly rollsBackTo?: RestorePoint;
  /** Of the job that has to end before another may begin. */
  readonly oldJobId?: string;
  /** Flink's word, or LOST: how that job had ended before anything was done to it. Nothing but a deploy that succeeds replaces it. */
  readonly oldJobEnd?: string;
  /** With which the new job is submitted, written down before it is; 32 hex digits. */
  readonly jobId?: string;
  /** The JobManager has the new job. */
  readonly isSubmitted?: boolean;
  /** With which the old job is submitted again when the new one did not come up. */
  readonly rollbackJobId?: string;
  /** The JobManager has the old job under that id. */
  readonly isRollbackSubmitted?: boolean;
  /** The process of the JobManager that was there when `jobId`, or in a rollback `rollbackJobId`, was written down. */
  readonly jobManagerProcess?: string;
  /** How often the JobManager has lost the new job after it had it. */
  readonly lostJobs?: number;
  /** When an id was last given up because its JobManager had been started again. */
  readonly idReplacedTime?: string;
  /** How often bringing the old job back has failed. */
  readonly rollbacks?: number;
  /** Savepoints and submissions that were written down so far: each has an id of its own. */
  readonly attempts?: number;
  /**
   * How many savepoints that cancel the job were written down after a stop that failed or did not end: Flink cannot stop every job
   * that it can cancel.
   */
  readonly cancelAttempts?: number;
  /** Why it is being rolled back. */
  readonly failure?: Failure;
  /** Since when. */
  readonly rollbackTime?: string;
}

export interface RestorePoint {
  /** Absent: without state. */
  readonly savepointPath?: string;
}

export interface Failure {
  readonly reason: string;
  readonly message: string;
}

export type RolloutKind =
  /** A new cluster beside the old one. */
  | 'NewCluster'
  /** The same cluster and the same job: the adaptive scheduler follows its TaskManagers. */
  | 'InPlace'
  /** The same cluster, more TaskManagers, the job restarted from a savepoint: the default scheduler cannot do better. */
  | 'InPlaceWithSavepoint'
  /** The same revision on the same cluster, from the latest checkpoint: its job was lost or has failed. */
  | 'Restart'
  /** No deploy: the job is ended, and not begun again. */
  | 'Suspend';

export interface FailedDeploy extends OneFailedDeploy {
  /** Of a restart that has failed, or a version that was rolled back: how another revision failed before, which still holds. */
  readonly earlier?: OneFailedDeploy;
}

export interface OneFailedDeploy {
  readonly revision: string;
  readonly hash: string;
  readonly parallelism: number;
  readonly taskManagers: number;
  readonly reason: string;
  readonly message: string;
  readonly time: string;
  /** Digest of the whole spec but its size: when anything else in it changes, the revision is tried again at once. */
  readonly specDigest?: string;
  /** How often this revision has failed in a row. */
  readonly attempts: number;
  /** From when on the same revision is tried again; absent: not before the spec changes. */
  readonly retryTime?: string;
}

export interface ClusterStatus {
  readonly clusterOverviewURL?: string;
  /** What status.selector selects. */
  readonly numberOfTaskManagers?: number;
  readonly healthyTaskManagers?: number;
  readonly numberOfTaskSlots?: number;
  readonly availableTaskSlots?: number;
  readonly health?: Health;
}

export type Health = 'Green' | 'Yellow' | 'Red';

export interface JobStatus {
  readonly jobOverviewURL?: string;
  readonly jobID?: string;
  readonly health?: Health;
  /** Flink's word: RUNNING, FAILED, … */
  readonly state?: string;
  readonly jarName?: string;
  readonly parallelism?: number;
  readonly entryClass?: string;
  readonly programArgs?: string;
  readonly programArgsList?: readonly string[];
  readonly allowNonRestoredState?: boolean;
  readonly startTime?: string | null;
  /** Flink's numRestarts. */
  readonly jobRestartCount?: number;
  readonly completedCheckpointCount?: number;
  readonly failedCheckpointCount?: number;
  readonly restorePath?: string;
  readonly restoreTime?: string | null;
  readonly lastFailingTime?: string | null;
  /** Since when the job fails again and again; absent while it does not. */
  readonly restartLoopTime?: string;
  readonly lastCheckpoint?: string;
  readonly lastCheckpointTime?: string | null;
  readonly runningTasks?: number;
  readonly totalTasks?: number;
}

export interface VersionStatus {
  readonly appVersion?: string;
  readonly versionHash?: string;
  readonly clusterStatus?: ClusterStatus;
  readonly jobStatus?: JobStatus;
}

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

export type ConditionType =
  /** Whether the spec can be deployed at all. */
  | 'SpecValid'
  /** Whether every field of the spec is one that is read; absent as long as none was unknown. */
  | 'FieldsKnown'
  /** Whether the application does what its spec says; False while a deploy has failed, Unknown while it is under way. */
  | 'Deployed'
  /** Whether the job runs. */
  | 'JobRunning'
  /** Whether Headrace may act on it: not while Lyft's operator does, nor before a cluster of its was recognised. */
  | 'Owned';

/** What was seen of one application at one moment. */
export interface Observation {
  /** Every cluster that has a Deployment or a versioned Service, by hash. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** Named as the application, or as application and colour. */
  readonly services: ReadonlyMap<string, ServiceView>;
  /** The application's ControllerRevisions by name, the oldest first; not read at rest, when nothing has changed. */
  readonly revisions: ReadonlyMap<string, Revision>;
  /** What the JobManagers said that were asked, by hash of their cluster. */
  readonly jobManagers: ReadonlyMap<string, JobManagerView>;
  /** Pods that do not come up, with what hinders them: "orders-5e7c7283-tm-x2k9p: ImagePullBackOff: …". */
  readonly troubles: readonly string[];
}

export interface Cluster {
  readonly hash: string;
  readonly jobManager?: DeploymentView;
  readonly taskManager?: DeploymentView;
  /** <application>-<hash> */
  readonly service?: ServiceView;
  /** Pods there are, terminating ones too; counted once a Deployment of it is to have none. */
  readonly podCount?: number;
  /** What its JobManagers' high availability keeps in ConfigMaps; read when the cluster is to go. */
  readonly highAvailability?: Reading<readonly ConfigMapView[]>;
}

export interface ConfigMapView {
  readonly name: string;
  readonly uid: string;
}

export interface DeploymentView {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isDeleting: boolean;
  /** Whether it stays when the application is deleted in the foreground (kubernetes/keeper.ts). */
  readonly isKept: boolean;
  /** spec.replicas */
  readonly replicas: number;
  /** Pods there are now, terminating ones left out. */
  readonly statusReplicas: number;
  readonly availableReplicas: number;
  /** Whether status speaks of the spec that is. */
  readonly isObserved: boolean;
  /** Why the API server lets no more of its pods be made: "FailedCreate: pods … is forbidden: exceeded quota: …". */
  readonly replicaFailure?: string;
  /** Its value of the label pod-deployment-selector. */
  readonly podSelector: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly containerName: string;
  readonly schedulerName: string;
}

export interface ServiceView {
  readonly name: string;
  readonly resourceVersion: string;
  readonly isDeleting: boolean;
  readonly isKept: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
}

/** What one JobManager said; a field that was not asked for is absent. */
export interface JobManagerView {
  /** Tells the process from one before it; absent where it was not asked for, and where a JobManager has others to stand in. */
  readonly process?: string;
  readonly overview?: Reading<ClusterOverview>;
  readonly taskManagers?: Reading<readonly TaskManager[]>;
  readonly jobs?: Reading<readonly JobSummary[]>;
  readonly plan?: Reading<Plan>;
  /** The one that status.savepointDisposal names. */
  readonly disposal?: Reading<Disposal>;
  /** By id; the jobs that were asked for. */
  readonly details: ReadonlyMap<string, JobView>;
}

/** What a JobManager said of one job; undefined where it does not know the job. */
export interface JobView {
  readonly job: Reading<Job | undefined>;
  readonly checkpoints?: Reading<Checkpoints | undefined>;
  readonly checkpointConfig?: Reading<CheckpointConfig | undefined>;
  /** The one that status.savepointTriggerId names. */
  readonly savepoint?: Reading<Savepoint>;
  /** The one that status.periodicSavepoint names. */
  readonly periodicSavepoint?: Reading<Savepoint>;
  /** undefined: the scheduler is not the adaptive one. */
  readonly resourceRequirements?: Reading<ResourceRequirements | undefined>;
  /** Unreadable too while the JobManager says less of a job that has failed than it will in a moment. */
  readonly failures?: Reading<JobFailures>;
  /** Flink's numRestarts, since its JobManager began; undefined while the JobManager has not collected it yet. */
  readonly restarts?: Reading<number | undefined>;
}

/** The latest failures of a job, those after which Flink restarted it too. */
export interface JobFailures {
  /** Root cause of the newest one; empty when there was none, or Flink does not say. */
  readonly cause: string;
  /** When they were, epoch milliseconds of the JobManager's clock, the newest first; at most three. */
  readonly times: readonly number[];
}

export interface ClusterOverview {
  readonly taskManagers: number;
  readonly slotsTotal: number;
  readonly slotsAvailable: number;
  readonly flinkVersion: string;
}

export interface TaskManager {
  readonly id: string;
  /** The host of its RPC address: the pod's IP. */
  readonly host: string;
  readonly slots: number;
  readonly freeSlots: number;
  /** Epoch milliseconds; 0 before the first one. */
  readonly lastHeartbeatTime: number;
}

export interface JobSummary {
  readonly id: string;
  readonly state: string;
}

export interface Job extends JobSummary {
  /** It runs stage by stage: a vertex begins when those before it have ended. Else all vertices run at once. */
  readonly isBatch: boolean;
  /** Epoch milliseconds. */
  readonly startTime: number;
  readonly vertices: readonly Vertex[];
}

export interface Vertex {
  readonly id: string;
  readonly name: string;
  readonly parallelism: number;
  /** -1 where Flink does not say. */
  readonly maxParallelism: number;
  readonly status: string;
  /** How many subtasks are in each state. */
  readonly tasks: Readonly<Record<string, number>>;
}

export interface Checkpoints {
  readonly completed: number;
  readonly failed: number;
  readonly latestCompleted?: { readonly path: string; readonly time: number };
  readonly latestSavepoint?: LatestSavepoint;
  readonly latestRestored?: { readonly path: string; readonly time: number; readonly isSavepoint: boolean };
}

export interface LatestSavepoint {
  readonly path: string;
  readonly time: number;
  /** It was taken to stop the job (stop-with-savepoint), and no checkpoint was completed after it. */
  readonly isFinal?: boolean;
}

export interface CheckpointConfig {
  /** Milliseconds; 0 or Flink's "never" (2^63 − 1, rounded) as undefined: checkpoints are off. */
  readonly intervalMilliseconds: number | undefined;
  /** Whether a checkpoint outlives a job that is cancelled. */
  readonly isRetainedOnCancellation: boolean;
  /** Whether it outlives one that fails. */
  readonly isRetainedOnFailure: boolean;
}

export type Savepoint =
  | { readonly state: 'InProgress' }
  | { readonly state: 'Completed'; readonly location: string }
  | { readonly state: 'Failed'; readonly cause: string }
  /** The JobManager knows no such savepoint: it was never triggered, or was forgotten in a restart. */
  | { readonly state: 'Unknown' };

/** What became of the disposal of a savepoint; Unknown: it was forgotten. */
export type Disposal =
  | { readonly state: 'InProgress' | 'Completed' | 'Unknown' }
  | { readonly state: 'Failed'; readonly cause: string };

/** What the jar would run, or why it cannot. */
export type Plan =
  | { readonly vertices: readonly { readonly id: string; readonly parallelism: number }[] }
  | { readonly fault: string };

/** By vertex. */
export type ResourceRequirements = Readonly<
  Record<string, { readonly lowerBound: number; readonly upperBound: number }>
>;

/** How a job is begun. */
export interface JobRequest {
  readonly jarName: string;
  readonly entryClass: string;
  readonly programArgs: string;
  /** Instead of programArgs, where it is given. */
  readonly programArgsList?: readonly string[];
  readonly parallelism: number;
}

export interface JobSubmission extends JobRequest {
  readonly jobId: string;
  readonly savepointPath?: string;
  readonly allowNonRestoredState: boolean;
}

/** Something to be done. Each is safe to do twice, and comes again until it is seen to have been done. */
export type Effect =
  | { readonly kind: 'CreateRevision'; readonly name: string; readonly revision: Revision }
  | { readonly kind: 'DeleteRevision'; readonly name: string }
  | { readonly kind: 'AddFinalizer' }
  /** And with it the keeper: what belongs to the application is deleted by Kubernetes. */
  | { readonly kind: 'RemoveFinalizer' }
  /** Gives Deployments and Services a keeper that were made without one. */
  | { readonly kind: 'KeepObjects'; readonly deployments: readonly string[]; readonly services: readonly string[] }
  /** Makes whatever is missing of a cluster's two Deployments and two Services. */
  | { readonly kind: 'CreateCluster'; readonly target: ClusterTarget }
  /** Deletes Deployments and Services of one cluster. */
  | {
      readonly kind: 'DeleteCluster';
      readonly hash: string;
      readonly deployments: readonly string[];
      readonly services: readonly string[];
    }
  /** Deletes what the high availability of a cluster has left behind. */
  | { readonly kind: 'DeleteConfigMaps'; readonly hash: string; readonly configMaps: readonly ConfigMapView[] }
  | {
      readonly kind: 'ScaleDeployment';
      readonly name: string;
      readonly resourceVersion: string;
      readonly replicas: number;
    }
  /** Lets a Deployment that shrinks take these pods first (controller.kubernetes.io/pod-deletion-cost). */
  | { readonly kind: 'PreferDeletion'; readonly podIps: readonly string[]; readonly selector: string }
  | {
      readonly kind: 'PointService';
      readonly name: string;
      readonly resourceVersion: string;
      readonly podSelector: string;
    }
  | {
      readonly kind: 'TriggerSavepoint';
      readonly hash: string;
      readonly jobId: string;
      readonly triggerId: string;
      readonly cancelJob: boolean;
    }
  /** Deletes a savepoint, by way of a JobManager. */
  | { readonly kind: 'DisposeSavepoint'; readonly hash: string; readonly path: string }
  /** Stops a job with a savepoint; its state is FINISHED afterwards. */
  | {
      readonly kind: 'StopJob';
      readonly hash: string;
      readonly jobId: string;
      readonly triggerId: string;
      readonly drain: boolean;
    }
  | { readonly kind: 'CancelJob'; readonly hash: string; readonly jobId: string }
  | { readonly kind: 'SubmitJob'; readonly hash: string; readonly submission: JobSubmission }
  | {
      readonly kind: 'SetResourceRequirements';
      readonly hash: string;
      readonly jobId: string;
      readonly requirements: ResourceRequirements;
    };

export interface Event {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}
