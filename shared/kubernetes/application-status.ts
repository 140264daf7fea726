// A FlinkApplication's status as it is on the wire. Others wrote it too, and in other versions: a field that is not what it
// must be counts as absent, and everything beside it still counts.

import * as z from 'zod';
import type {
  ApplicationStatus as ApplicationFields,
  ClusterStatus as ClusterFields,
  Condition as ConditionFields,
  Deletion as DeletionFields,
  FailedSuspension as FailedSuspensionFields,
  JobStatus as JobFields,
  LastSeenError as LastSeenErrorFields,
  OneFailedDeploy as OneFailedDeployFields,
  PeriodicSavepoint as PeriodicSavepointFields,
  PreviousDeploy as PreviousDeployFields,
  Rollout as RolloutFields,
  SavepointDisposal as SavepointDisposalFields,
  SavepointRecord as SavepointRecordFields,
  Suspension as SuspensionFields,
  VersionStatus as VersionFields,
} from '../deployment/types.ts';
import type { SchemasOf } from './answers.ts';

// Lyft's operator, in Go, writes a time that was never set as null.
const Time = z.string().nullable();
const Count = z.int();

const ClusterStatus = lenient<ClusterFields>({
  clusterOverviewURL: z.string(),
  numberOfTaskManagers: Count,
  healthyTaskManagers: Count,
  numberOfTaskSlots: Count,
  availableTaskSlots: Count,
  health: z.enum(['Green', 'Yellow', 'Red']),
});

const JobStatus = lenient<JobFields>({
  jobOverviewURL: z.string(),
  jobID: z.string(),
  health: z.enum(['Green', 'Yellow', 'Red']),
  state: z.string(),
  jarName: z.string(),
  parallelism: Count,
  entryClass: z.string(),
  programArgs: z.string(),
  programArgsList: z.array(z.string()),
  allowNonRestoredState: z.boolean(),
  startTime: Time,
  jobRestartCount: Count,
  completedCheckpointCount: Count,
  failedCheckpointCount: Count,
  restorePath: z.string(),
  restoreTime: Time,
  lastFailingTime: Time,
  restartLoopTime: z.string(),
  lastCheckpoint: z.string(),
  lastCheckpointTime: Time,
  runningTasks: Count,
  totalTasks: Count,
});

const VersionStatus = lenient<VersionFields>({
  appVersion: z.string(),
  versionHash: z.string(),
  clusterStatus: ClusterStatus,
  jobStatus: JobStatus,
});

const LastSeenError = lenient<LastSeenErrorFields>({
  appError: z.string(),
  method: z.string(),
  errorCode: z.string(),
  isRetryable: z.boolean(),
  isFailFast: z.boolean(),
  maxRetries: Count,
  lastErrorUpdateTime: Time,
});

// What follows is Headrace's own and stands or falls as a whole: half a rollout would be acted upon as if it were one.

const Rollout = z.object({
  kind: z.enum(['NewCluster', 'InPlace', 'InPlaceWithSavepoint', 'Restart', 'Suspend']),
  revision: z.string(),
  hash: z.string(),
  clusterId: z.string().exactOptional(),
  isTakenOver: z.boolean().exactOptional(),
  startTime: z.string(),
  deadline: z.string(),
  rollsBackTo: z.object({ savepointPath: z.string().exactOptional() }).exactOptional(),
  oldJobId: z.string().exactOptional(),
  oldJobEnd: z.string().exactOptional(),
  jobId: z.string().exactOptional(),
  isSubmitted: z.boolean().exactOptional(),
  rollbackJobId: z.string().exactOptional(),
  isRollbackSubmitted: z.boolean().exactOptional(),
  jobManagerProcess: z.string().exactOptional(),
  lostJobs: Count.exactOptional(),
  idReplacedTime: z.string().exactOptional(),
  rollbacks: Count.exactOptional(),
  attempts: Count.exactOptional(),
  failure: z.object({ reason: z.string(), message: z.string() }).exactOptional(),
  cancelAttempts: Count.exactOptional(),
  rollbackTime: z.string().exactOptional(),
} satisfies SchemasOf<RolloutFields>);

const OneFailedDeploy = z.object({
  revision: z.string(),
  hash: z.string(),
  parallelism: Count,
  taskManagers: Count,
  reason: z.string(),
  message: z.string(),
  time: z.string(),
  specDigest: z.string().exactOptional(),
  attempts: Count,
  retryTime: z.string().exactOptional(),
} satisfies SchemasOf<OneFailedDeployFields>);

const FailedDeploy = OneFailedDeploy.extend({ earlier: OneFailedDeploy.exactOptional() });

const PreviousDeploy = z.object({
  revision: z.string(),
  time: z.string(),
  savepointPath: z.string().exactOptional(),
} satisfies SchemasOf<PreviousDeployFields>);

const SavepointRecord = z.object({
  path: z.string(),
  time: z.string(),
  reason: z.enum(['Deploy', 'Suspend', 'Periodic']),
  jobId: z.string(),
  restoredJobId: z.string().exactOptional(),
  isClaimed: z.boolean().exactOptional(),
} satisfies SchemasOf<SavepointRecordFields>);

const failuresInARow = {
  failures: Count.exactOptional(),
  message: z.string().exactOptional(),
  retryTime: z.string().exactOptional(),
};

const PeriodicSavepoint = z.object({
  triggerId: z.string().exactOptional(),
  jobId: z.string().exactOptional(),
  startTime: z.string().exactOptional(),
  ...failuresInARow,
} satisfies SchemasOf<PeriodicSavepointFields>);

const SavepointDisposal = z.object({
  path: z.string(),
  triggerId: z.string().exactOptional(),
  ...failuresInARow,
} satisfies SchemasOf<SavepointDisposalFields>);

const Suspension = z.object({
  time: z.string(),
  revision: z.string().exactOptional(),
  jobId: z.string().exactOptional(),
  savepointPath: z.string().exactOptional(),
  savepointTime: z.string().exactOptional(),
} satisfies SchemasOf<SuspensionFields>);

const FailedSuspension = z.object({
  reason: z.string(),
  message: z.string(),
  time: z.string(),
  attempts: Count,
  retryTime: z.string(),
  specDigest: z.string().exactOptional(),
} satisfies SchemasOf<FailedSuspensionFields>);

const Deletion = z.object({
  deadline: z.string(),
  attempts: Count,
} satisfies SchemasOf<DeletionFields>);

const Condition = z.object({
  type: z.enum(['SpecValid', 'FieldsKnown', 'Deployed', 'JobRunning', 'Owned']),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string(),
} satisfies SchemasOf<ConditionFields>);

/** status; whatever it is, it can be read. */
export const ApplicationStatus = lenient<ApplicationFields>({
  phase: z.string(),
  reason: z.string(),
  lastUpdatedAt: Time,
  deploymentMode: z.string(),
  deployHash: z.string(),
  clusterId: z.string(),
  updatingHash: z.string(),
  updatingVersion: z.string(),
  deployVersion: z.string(),
  teardownHash: z.string(),
  failedDeployHash: z.string(),
  rollbackHash: z.string(),
  inPlaceUpdatedFromHash: z.string(),
  savepointTriggerId: z.string(),
  savepointPath: z.string(),
  retryCount: Count,
  lastSeenError: LastSeenError,
  clusterStatus: ClusterStatus,
  jobStatus: JobStatus,
  versionStatuses: z.array(VersionStatus),
  observedGeneration: Count,
  selector: z.string(),
  scaleBasis: z.object({ parallelism: z.int().min(1), taskSlots: z.int().min(1) }),
  lastReplicas: z.int().min(1),
  currentRevision: z.string(),
  rollout: Rollout,
  failedDeploy: FailedDeploy,
  previousDeploy: PreviousDeploy,
  savepoints: z.array(SavepointRecord),
  periodicSavepoint: PeriodicSavepoint,
  savepointDisposal: SavepointDisposal,
  suspension: Suspension,
  failedSuspension: FailedSuspension,
  deletion: Deletion,
  conditions: z
    .array(Condition.optional().catch(undefined))
    .transform((conditions) => conditions.filter((condition) => condition !== undefined)),
}).catch({});

/** An object of which the fields that are not what they must be are left out. */
function lenient<T extends object>(fields: SchemasOf<T>): z.ZodType<T> {
  const shape = Object.fromEntries(
    Object.entries<z.ZodType>(fields).map(([name, field]) => [name, field.optional().catch(undefined)]),
  );
  const present = (read: object) => Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined));
  return z.object(shape).transform((read) => present(read) as T);
}
