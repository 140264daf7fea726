// What a JobManager answers, of Flink 1.20 and 2.x alike, as far as it is used. Each schema is named after the page it reads.

import * as z from 'zod';
import type {
  CheckpointConfig as CheckpointConfigView,
  Checkpoints as CheckpointsView,
  ClusterOverview,
  Disposal as DisposalView,
  JobFailures,
  JobSummary,
  Job as JobView,
  ResourceRequirements as ResourceRequirementsView,
  Savepoint as SavepointView,
  TaskManager,
} from '../deployment/types.ts';
import { rootCause } from './stack-trace.ts';

const Count = z.number();

/** How Flink refuses: what went wrong, and perhaps the stack trace of it. */
export const Refusal = z.object({ errors: z.array(z.string()) });

/** /overview */
export const Overview = z
  .object({ taskmanagers: Count, 'slots-total': Count, 'slots-available': Count, 'flink-version': z.string() })
  .transform(
    (overview): ClusterOverview => ({
      taskManagers: overview.taskmanagers,
      slotsTotal: overview['slots-total'],
      slotsAvailable: overview['slots-available'],
      flinkVersion: overview['flink-version'],
    }),
  );

/** "pekko.tcp://flink@10.0.0.7:6122/user/rpc/taskmanager_0"; the host of a version 6 address stands in brackets. */
const RPC_HOST = /@(?:\[([^\]]+)\]|([^:/]+))/;

/** /taskmanagers; timeSinceLastHeartbeat is a point in time, despite its name. */
export const TaskManagers = z
  .object({
    taskmanagers: z.array(
      z.object({
        id: z.string(),
        path: z.string(),
        slotsNumber: Count,
        freeSlots: Count,
        timeSinceLastHeartbeat: Count,
      }),
    ),
  })
  .transform(({ taskmanagers }): TaskManager[] =>
    taskmanagers.map(({ id, path, slotsNumber, freeSlots, timeSinceLastHeartbeat }) => {
      const [, bracketed, plain = ''] = RPC_HOST.exec(path) ?? [];
      const lastHeartbeatTime = timeSinceLastHeartbeat;
      return { id, host: bracketed ?? plain, slots: slotsNumber, freeSlots, lastHeartbeatTime };
    }),
  );

/** /config, and from it web.refresh-interval in milliseconds: for so long the pages about a job are kept. */
export const RefreshInterval = z
  .object({ 'refresh-interval': Count })
  .transform((config) => config['refresh-interval']);

/** /jobs */
export const Jobs = z
  .object({ jobs: z.array(z.object({ id: z.string(), status: z.string() })) })
  .transform(({ jobs }): JobSummary[] => jobs.map(({ id, status }) => ({ id, state: status })));

/** /jobs/:id */
export const Job = z
  .object({
    jid: z.string(),
    state: z.string(),
    // Older versions say it in the plan alone, which is empty while a job has no vertices.
    'job-type': z.string().nullish(),
    plan: z.object({ type: z.string().nullish() }).nullish(),
    'start-time': Count,
    vertices: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        parallelism: Count,
        maxParallelism: Count.default(-1),
        status: z.string(),
        tasks: z.record(z.string(), Count),
      }),
    ),
  })
  .transform(
    ({ jid, state, vertices, plan, ...job }): JobView => ({
      id: jid,
      state,
      isBatch: (job['job-type'] ?? plan?.type) === 'BATCH',
      startTime: job['start-time'],
      vertices,
    }),
  );

/** Kept in the JobManager's memory, a checkpoint has no path but these words; nobody can restore from it. */
const NOT_ADDRESSABLE = /^</;
const ExternalPath = z
  .string()
  .nullish()
  .transform((path) => (path && !NOT_ADDRESSABLE.test(path) ? path : undefined));

const Completed = z
  .object({
    external_path: ExternalPath,
    latest_ack_timestamp: Count,
    discarded: z.boolean().default(false),
    checkpoint_type: z.string().default(''),
  })
  .nullish()
  .transform((completed) => {
    if (!completed) return undefined;
    const { external_path: path, latest_ack_timestamp: time, discarded, checkpoint_type } = completed;
    return { path, time, isDiscarded: discarded, isOfStop: checkpoint_type === STOP_SAVEPOINT };
  });

/** The type of a savepoint after which the job ends. */
const STOP_SAVEPOINT = 'SYNC_SAVEPOINT';

const Restored = z
  .object({ external_path: ExternalPath, restore_timestamp: Count, is_savepoint: z.boolean() })
  .nullish()
  .transform((restored): CheckpointsView['latestRestored'] => {
    if (!restored || restored.external_path === undefined) return undefined;
    return { path: restored.external_path, time: restored.restore_timestamp, isSavepoint: restored.is_savepoint };
  });

/** /jobs/:id/checkpoints, and whether the latest one was deleted since the page was made. */
export const Checkpoints = z
  .object({
    counts: z.object({ completed: Count, failed: Count }),
    latest: z.object({ completed: Completed, savepoint: Completed, restored: Restored }),
  })
  .transform(({ counts: { completed, failed }, latest }) => {
    const { completed: checkpoint, savepoint } = latest;
    const isFinal = savepoint?.isOfStop === true && (checkpoint === undefined || checkpoint.time <= savepoint.time);
    const checkpoints: CheckpointsView = {
      completed,
      failed,
      ...(checkpoint?.path !== undefined && { latestCompleted: { path: checkpoint.path, time: checkpoint.time } }),
      ...(savepoint?.path !== undefined && {
        latestSavepoint: { path: savepoint.path, time: savepoint.time, ...(isFinal && { isFinal }) },
      }),
      ...(latest.restored && { latestRestored: latest.restored }),
    };
    return { checkpoints, isLatestDiscarded: checkpoint?.isDiscarded === true };
  });

/** /jobs/:id of a job that has ended, and for how many milliseconds; 0 while the page still says that it runs. */
export const TimeSinceEnd = z
  .object({ 'end-time': Count, now: Count })
  .transform(({ now, ...job }) => (job['end-time'] > 0 ? now - job['end-time'] : 0));

/** /jobs/:id/checkpoints/config; an interval without end, 2^63 − 1 ms, says that there are no checkpoints. */
export const CheckpointConfig = z
  .object({
    interval: Count,
    externalization: z.object({ enabled: z.boolean(), delete_on_cancellation: z.boolean() }),
  })
  .transform(
    ({ interval, externalization: { enabled, delete_on_cancellation } }): CheckpointConfigView => ({
      intervalMilliseconds: interval > 0 && interval < Number.MAX_SAFE_INTEGER ? interval : undefined,
      isRetainedOnCancellation: enabled && !delete_on_cancellation,
      isRetainedOnFailure: enabled,
    }),
  );

/** /jobs/:id/exceptions, the newest first. Flink 2.x has only the history, which the adaptive scheduler of 1.20 leaves empty at times. */
export const Exceptions = z
  .object({
    'root-exception': z.string().nullish(),
    timestamp: Count.nullish(),
    exceptionHistory: z.object({ entries: z.array(z.object({ stacktrace: z.string(), timestamp: Count })) }).optional(),
  })
  .refine((page) => 'exceptionHistory' in page || 'root-exception' in page, { error: 'must have exceptionHistory' })
  .transform(({ exceptionHistory, ...older }): JobFailures => {
    const entries = exceptionHistory?.entries ?? [];
    const [newest] = entries;
    if (newest !== undefined)
      return { cause: rootCause(newest.stacktrace), times: entries.map(({ timestamp }) => timestamp) };
    const { timestamp } = older;
    return { cause: rootCause(older['root-exception'] ?? ''), times: timestamp == null ? [] : [timestamp] };
  });

/** /jobs/:id/metrics?get=numRestarts; empty until the JobManager has collected its metrics for the first time. */
export const Restarts = z
  .array(z.object({ id: z.string(), value: z.string() }))
  .transform((metrics) => metrics.find(({ id }) => id === 'numRestarts')?.value)
  .transform((value) => (value === undefined || !/^\d+$/.test(value) ? undefined : Number(value)));

/** /jobs/:id/savepoints/:triggerId; one that failed is COMPLETED too. */
export const Savepoint = z
  .object({
    status: z.object({ id: z.enum(['IN_PROGRESS', 'COMPLETED']) }),
    operation: z
      .object({
        location: z.string().nullish(),
        'failure-cause': z.object({ class: z.string(), 'stack-trace': z.string() }).nullish(),
      })
      .nullish(),
  })
  .transform(({ status, operation }): SavepointView => {
    if (status.id === 'IN_PROGRESS') return { state: 'InProgress' };
    const failure = operation?.['failure-cause'];
    if (failure) return { state: 'Failed', cause: rootCause(failure['stack-trace']) || failure.class };
    if (operation?.location) return { state: 'Completed', location: operation.location };
    return { state: 'Failed', cause: 'the savepoint has no location' };
  });

/** /savepoint-disposal/:triggerId; one that failed is COMPLETED too. */
export const Disposal = z
  .object({
    status: z.object({ id: z.enum(['IN_PROGRESS', 'COMPLETED']) }),
    operation: z
      .object({ 'failure-cause': z.object({ class: z.string(), 'stack-trace': z.string() }).nullish() })
      .nullish(),
  })
  .transform(({ status, operation }): DisposalView => {
    if (status.id === 'IN_PROGRESS') return { state: 'InProgress' };
    const failure = operation?.['failure-cause'];
    return failure
      ? { state: 'Failed', cause: rootCause(failure['stack-trace']) || failure.class }
      : { state: 'Completed' };
  });

/** POST /jobs/:id/savepoints, POST /savepoint-disposal */
export const Triggered = z.object({ 'request-id': z.string().min(1) });

/** POST /jars/:jar/run */
export const Submitted = z.object({ jobid: z.string().min(1) });

/** POST /jars/:jar/plan */
export const JarPlan = z
  .object({ plan: z.object({ nodes: z.array(z.object({ id: z.string(), parallelism: Count })) }) })
  .transform(({ plan }) => ({ vertices: plan.nodes }));

/** /jobs/:id/resource-requirements */
export const ResourceRequirements = z
  .record(z.string(), z.object({ parallelism: z.object({ lowerBound: Count, upperBound: Count }) }))
  .transform(
    (vertices): ResourceRequirementsView =>
      Object.fromEntries(Object.entries(vertices).map(([id, { parallelism }]) => [id, parallelism])),
  );
