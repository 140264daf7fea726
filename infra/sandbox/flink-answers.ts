// What a JobManager says of its jobs and TaskManagers over REST, field for field as Flink 1.20.3 and 2.3.0 were recorded. PURE.
import {
  type Checkpoint,
  type Failure,
  type FlinkJob,
  isBatch,
  isEnded,
  type JobVertex,
  type SavepointOperation,
  slotsOf,
  statusOf,
} from './flink-job.ts';

/** 2.x says some things that 1.x does not, and leaves others out. */
export type Flavour = '1.20.3' | '2.3.0';

export interface TaskManagerView {
  readonly id: string;
  readonly ip: string;
  readonly slots: number;
  readonly freeSlots: number;
  /** How many tasks run there. */
  readonly tasks: number;
  /** Epoch milliseconds. */
  readonly lastHeartbeatTime: number;
}

const commits: Readonly<Record<Flavour, string>> = { '1.20.3': '01e3a6d', '2.3.0': 'c0f8d1a' };
const slotSharingGroup = 'c85a6d8339b8b61afa53aca406f96ca2';
const taskStates = [
  'CREATED',
  'SCHEDULED',
  'DEPLOYING',
  'INITIALIZING',
  'RUNNING',
  'FINISHED',
  'CANCELING',
  'CANCELED',
  'FAILED',
  'RECONCILING',
] as const;
type TaskState = (typeof taskStates)[number];
const jobStates = [
  'INITIALIZING',
  'CREATED',
  'RUNNING',
  'FAILING',
  'FAILED',
  'CANCELLING',
  'CANCELED',
  'FINISHED',
  'RESTARTING',
  'SUSPENDED',
  'RECONCILING',
] as const;

export function dashboardConfiguration(flavour: Flavour, refreshMs: number) {
  return {
    'refresh-interval': refreshMs,
    'timezone-name': 'Coordinated Universal Time',
    'timezone-offset': 0,
    'flink-version': flavour,
    'flink-revision': commits[flavour],
    features: { 'web-submit': true, 'web-cancel': true, 'web-rescale': false, 'web-history': false },
  };
}

export function overview(flavour: Flavour, jobs: readonly FlinkJob[], taskManagers: readonly TaskManagerView[]) {
  const isIn = (status: string) => jobs.filter((job) => statusOf(job) === status).length;
  return {
    taskmanagers: taskManagers.length,
    'slots-total': sum(taskManagers, ({ slots }) => slots),
    // A job that waits for slots holds on to those there are.
    'slots-available': jobs.some(isShortOfSlots) ? 0 : sum(taskManagers, ({ freeSlots }) => freeSlots),
    'jobs-running': jobs.filter((job) => !isEnded(job)).length,
    'jobs-finished': isIn('FINISHED'),
    'jobs-cancelled': isIn('CANCELED'),
    'jobs-failed': isIn('FAILED'),
    'flink-version': flavour,
    'flink-commit': commits[flavour],
  };
}

function isShortOfSlots({ stage, failures }: FlinkJob): boolean {
  const isWaiting = stage.kind === 'Scheduled' || stage.kind === 'Restarting' || stage.kind === 'Waiting';
  return isWaiting && failures[0]?.trace.includes('NoResourceAvailableException') === true;
}

export function taskManagerList(flavour: Flavour, taskManagers: readonly TaskManagerView[]) {
  return { taskmanagers: taskManagers.map((taskManager) => taskManagerOf(flavour, taskManager)) };
}

function taskManagerOf(flavour: Flavour, { id, ip, slots, freeSlots, tasks, lastHeartbeatTime }: TaskManagerView) {
  const resource = {
    cpuCores: 2,
    taskHeapMemory: 64,
    taskOffHeapMemory: 0,
    managedMemory: 8,
    networkMemory: 16,
    extendedResources: {},
  };
  return {
    id,
    path: `pekko.tcp://flink@${ip}:6122/user/rpc/taskmanager_0`,
    dataPort: 45_329,
    jmxPort: -1,
    // Despite its name the time of the last one.
    timeSinceLastHeartbeat: lastHeartbeatTime,
    slotsNumber: slots,
    freeSlots,
    ...(flavour === '2.3.0' && { assignedTasks: tasks }),
    totalResource: resource,
    freeResource: resource,
    hardware: { cpuCores: 2, physicalMemory: 25_276_514_304, freeMemory: 129_761_280, managedMemory: 8_388_608 },
    memoryConfiguration: {
      frameworkHeap: 67_108_864,
      taskHeap: 67_108_864,
      frameworkOffHeap: 67_108_864,
      taskOffHeap: 0,
      networkMemory: 16_777_216,
      managedMemory: 8_388_608,
      jvmMetaspace: 134_217_728,
      jvmOverhead: 67_108_864,
      totalFlinkMemory: 226_492_416,
      totalProcessMemory: 427_819_008,
    },
  };
}

export function jobList(jobs: readonly FlinkJob[]) {
  return { jobs: jobs.map((job) => ({ id: job.settings.id, status: statusOf(job) })) };
}

export function jobsOverview(flavour: Flavour, jobs: readonly FlinkJob[], now: number) {
  return { jobs: jobs.map((job) => overviewOf(flavour, job, now)) };
}

function overviewOf(flavour: Flavour, job: FlinkJob, now: number) {
  const tasks = sumOfTasks(verticesOf(flavour, job).map((vertex) => tasksOf(job, vertex)));
  const counts = Object.entries(tasks).map(([state, count]) => [state.toLowerCase(), count]);
  return {
    jid: job.settings.id,
    name: job.settings.name,
    ...(flavour === '2.3.0' && { jobType: typeOf(job), schedulerType: schedulerOf(job) }),
    ...timesOf(job, now),
    state: statusOf(job),
    'last-modification': Math.max(...Object.values(job.timestamps)),
    tasks: { ...Object.fromEntries(counts), total: sum(Object.values(tasks), (count) => count) },
    ...(flavour === '2.3.0' && { 'pending-operators': unlistedOf(job).length }),
  };
}

export function jobDetails(flavour: Flavour, job: FlinkJob, now: number) {
  const { id, name } = job.settings;
  const is2 = flavour === '2.3.0';
  const vertices = verticesOf(flavour, job);
  const isSparse = vertices.length === 0;
  return {
    jid: id,
    ...(is2 && { 'application-id': isSparse ? null : id }),
    name,
    isStoppable: false,
    state: statusOf(job),
    'job-type': typeOf(job),
    ...(is2 && { schedulerType: isSparse ? null : schedulerOf(job) }),
    ...timesOf(job, now),
    maxParallelism: -1,
    now,
    timestamps: Object.fromEntries(
      jobStates.map((state) => [state, (job.timestamps as Record<string, number>)[state] ?? 0]),
    ),
    vertices: vertices.map((vertex) => vertexOf(job, vertex, now)),
    'status-counts': statusCounts(vertices.map((vertex) => vertexStatus(job, vertex))),
    plan: isSparse
      ? noPlans[flavour]
      : {
          jid: id,
          name,
          type: typeOf(job),
          nodes: planNodes(
            vertices.map((vertex) => plannedOf(job, vertex)),
            isBatch(job),
          ),
        },
    ...(is2 && isBatch(job) && { 'stream-graph': { nodes: streamNodes(job) } }),
    ...(is2 && { 'pending-operators': isSparse ? 0 : unlistedOf(job).length }),
  };
}

/** Of a job without vertices. */
const noPlans: Readonly<Record<Flavour, object>> = {
  '1.20.3': {},
  '2.3.0': { jid: '', name: '', type: '', nodes: [] },
};

function timesOf({ timestamps, stage }: FlinkJob, now: number) {
  const start = timestamps.INITIALIZING ?? 0;
  const end = stage.kind === 'Ended' ? (timestamps[stage.status] ?? -1) : -1;
  return { 'start-time': start, 'end-time': end, duration: (end === -1 ? now : end) - start };
}

/** While its JobMaster starts, and when that failed, a job has no vertices. 2.x makes those of a batch job stage by stage. */
function verticesOf(flavour: Flavour, job: FlinkJob): readonly JobVertex[] {
  const { stage, settings, parallelism } = job;
  if (stage.kind === 'Initializing' || Object.keys(parallelism).length === 0) return [];
  return flavour === '2.3.0' && isBatch(job) ? settings.vertices.slice(0, job.stagesBegun) : settings.vertices;
}

/** The stages of a batch job that have not begun; until then it is open with which parallelism they will. */
function unlistedOf(job: FlinkJob): readonly JobVertex[] {
  return isBatch(job) ? job.settings.vertices.slice(job.stagesBegun) : [];
}

function typeOf(job: FlinkJob): JobType {
  return isBatch(job) ? 'BATCH' : 'STREAMING';
}

type JobType = 'BATCH' | 'STREAMING';

function parallelismOf(job: FlinkJob, vertex: JobVertex): number {
  return unlistedOf(job).includes(vertex) ? UNDECIDED : (job.parallelism[vertex.id] ?? vertex.parallelism);
}

const UNDECIDED = -1;

function plannedOf(job: FlinkJob, vertex: JobVertex): PlannedVertex {
  return { ...vertex, parallelism: parallelismOf(job, vertex) };
}

type PlannedVertex = Pick<JobVertex, 'id' | 'name' | 'parallelism'>;

function vertexOf(job: FlinkJob, vertex: JobVertex, now: number) {
  const { tasksStartTime, tasksEndTime: end } = job;
  const start = unlistedOf(job).includes(vertex) ? -1 : (tasksStartTime ?? -1);
  const isCounted = job.stage.kind === 'Running';
  const records = Math.floor(job.count);
  return {
    id: vertex.id,
    slotSharingGroupId: slotSharingGroup,
    name: vertex.name,
    maxParallelism: vertex.maxParallelism,
    parallelism: parallelismOf(job, vertex),
    status: vertexStatus(job, vertex),
    'start-time': start,
    'end-time': end ?? -1,
    duration: start === -1 ? -1 : (end ?? now) - start,
    tasks: tasksOf(job, vertex),
    metrics: {
      'read-bytes': 0,
      'read-bytes-complete': isCounted,
      'write-bytes': 0,
      'write-bytes-complete': isCounted,
      'read-records': records,
      'read-records-complete': isCounted,
      'write-records': records,
      'write-records-complete': isCounted,
      'accumulated-backpressured-time': 0,
      'accumulated-idle-time': 0,
      'accumulated-busy-time': 0,
    },
  };
}

/** Of all tasks of a vertex. Flink's own summary calls those that wait for slots CREATED. */
function vertexStatus(job: FlinkJob, vertex: JobVertex): TaskState {
  const state = taskState(job, vertex);
  return state === 'SCHEDULED' ? 'CREATED' : state;
}

function tasksOf(job: FlinkJob, vertex: JobVertex): Record<TaskState, number> {
  const count = parallelismOf(job, vertex);
  if (count === UNDECIDED) return zeroes();
  const state = taskState(job, vertex);
  const slots = slotsOf(job);
  if (isBatch(job) && state === 'RUNNING' && slots < count)
    return { ...zeroes(), RUNNING: slots, SCHEDULED: count - slots };
  // One task fails, and the others are cancelled because of it.
  const tasks = state === 'FAILED' ? { FAILED: 1, CANCELED: count - 1 } : { [state]: count };
  return { ...zeroes(), ...tasks };
}

function taskState(job: FlinkJob, vertex: JobVertex): TaskState {
  const { stage, failures, stagesBegun, settings } = job;
  if (unlistedOf(job).includes(vertex)) return 'CREATED';
  if (isBatch(job) && settings.vertices.indexOf(vertex) < stagesBegun - 1) return 'FINISHED';
  const failedName = failures[0]?.task?.name.replace(/ \(\d+\/\d+\)$/, '');
  const afterFailure = failedName === vertex.name ? 'FAILED' : 'CANCELED';
  switch (stage.kind) {
    case 'Initializing':
    case 'Waiting':
      return 'CREATED';
    case 'Scheduled':
      return 'SCHEDULED';
    case 'Deploying':
      return 'DEPLOYING';
    case 'Restoring':
      return 'INITIALIZING';
    case 'Running':
      return 'RUNNING';
    case 'Restarting':
      return job.rescale ? 'CANCELED' : afterFailure;
    case 'Cancelling':
      return 'CANCELING';
    case 'Ended':
      return stage.status === 'FAILED' ? afterFailure : stage.status;
    default:
      return stage satisfies never;
  }
}

function zeroes(): Record<TaskState, number> {
  return Object.fromEntries(taskStates.map((state) => [state, 0])) as Record<TaskState, number>;
}

function sumOfTasks(all: readonly Record<TaskState, number>[]): Record<TaskState, number> {
  const entries = taskStates.map((state) => [state, sum(all, (tasks) => tasks[state])]);
  return Object.fromEntries(entries) as Record<TaskState, number>;
}

function statusCounts(states: readonly TaskState[]): Record<TaskState, number> {
  return sumOfTasks(states.map((state) => ({ ...zeroes(), [state]: 1 })));
}

/** What the jar would run. */
export function planAnswer({ id, name, vertices, isBatch }: PlannedJob) {
  const planned = vertices.map((vertex) => (isBatch ? { ...vertex, parallelism: UNDECIDED } : vertex));
  const type: JobType = isBatch ? 'BATCH' : 'STREAMING';
  return { plan: { jid: id, name, type, nodes: planNodes(planned, isBatch) } };
}

interface PlannedJob {
  readonly id: string;
  readonly name: string;
  readonly vertices: readonly JobVertex[];
  readonly isBatch: boolean;
}

/** A chain, the last vertex first. */
function planNodes(vertices: readonly PlannedVertex[], isBatch: boolean) {
  const exchange = isBatch ? 'blocking' : 'pipelined_bounded';
  return vertices
    .map(({ id, name, parallelism }, index) => {
      const source = vertices[index - 1];
      const input = { num: 0, id: source?.id, ship_strategy: 'HASH', exchange };
      return {
        id,
        parallelism,
        operator: '',
        operator_strategy: '',
        description: `${name}<br/>`,
        ...(source && { inputs: [input] }),
        optimizer_properties: {},
      };
    })
    .toReversed();
}

/** The operators from which 2.x makes the vertices of a batch job; here each vertex has one. */
function streamNodes(job: FlinkJob) {
  const { vertices } = job.settings;
  return vertices.map((vertex, index) => ({
    id: `${index + 1}`,
    parallelism: parallelismOf(job, vertex),
    operator: vertex.name,
    description: vertex.name,
    ...(!unlistedOf(job).includes(vertex) && { job_vertex_id: vertex.id }),
    inputs: index === 0 ? [] : [{ num: 0, id: `${index}`, ship_strategy: 'HASH', exchange: 'UNDEFINED' }],
  }));
}

export function checkpointsOf({ checkpoints }: FlinkJob) {
  const { completed, failed, restored, history, latestCompleted, latestSavepoint, latestFailed, latestRestored } =
    checkpoints;
  return {
    counts: { restored, total: completed + failed, in_progress: 0, completed, failed },
    summary: Object.fromEntries(
      summaries.map(([name, value]) => [name, summaryOf(value, completed > 0 || name === 'alignment_buffered')]),
    ),
    latest: {
      completed: latestCompleted ? checkpointOf(latestCompleted) : null,
      savepoint: latestSavepoint ? checkpointOf(latestSavepoint) : null,
      failed: latestFailed ? checkpointOf(latestFailed) : null,
      restored: latestRestored
        ? {
            id: latestRestored.snapshot.id,
            restore_timestamp: latestRestored.time,
            is_savepoint: latestRestored.snapshot.isSavepoint,
            external_path: latestRestored.snapshot.path,
          }
        : null,
    },
    history: history.map(checkpointOf),
  };
}

const stateBytes = 17_324;
/** What is summed up of completed checkpoints, and the value that all of them have. */
const summaries = [
  ['checkpointed_size', stateBytes],
  ['state_size', stateBytes],
  ['end_to_end_duration', 0],
  ['alignment_buffered', 0],
  ['processed_data', 0],
  ['persisted_data', 0],
] as const;

function summaryOf(value: number, hasAny: boolean) {
  const size = hasAny ? value : 0;
  const share = hasAny ? value : 'NaN';
  return { min: size, max: size, avg: size, p50: share, p90: share, p95: share, p99: share, p999: share };
}

function checkpointOf(checkpoint: Checkpoint) {
  const { id, status, isSavepoint, isSynchronous, triggerTime, endTime, subtasks, path, isDiscarded, failure } =
    checkpoint;
  const savepointType = isSynchronous ? 'SYNC_SAVEPOINT' : 'SAVEPOINT';
  const isCompleted = status === 'COMPLETED';
  const size = isCompleted ? stateBytes : 0;
  return {
    className: isCompleted ? 'completed' : 'failed',
    id,
    status,
    is_savepoint: isSavepoint,
    savepointFormat: isSavepoint ? 'CANONICAL' : null,
    trigger_timestamp: triggerTime,
    latest_ack_timestamp: isCompleted ? endTime : -1,
    checkpointed_size: size,
    state_size: size,
    end_to_end_duration: endTime - triggerTime,
    alignment_buffered: 0,
    processed_data: 0,
    persisted_data: 0,
    num_subtasks: subtasks,
    num_acknowledged_subtasks: isCompleted ? subtasks : 0,
    checkpoint_type: isSavepoint ? savepointType : 'CHECKPOINT',
    tasks: {},
    ...(isCompleted
      ? { external_path: path, discarded: isDiscarded }
      : { failure_timestamp: endTime, failure_message: failure }),
  };
}

const neverMs = 2 ** 63;

export function checkpointConfig({ settings, stage }: FlinkJob) {
  const { checkpointIntervalMs = neverMs, retention, checkpointDirectory } = settings;
  const storage = checkpointDirectory === undefined ? 'JobManagerCheckpointStorage' : 'FileSystemCheckpointStorage';
  const isUnknown = stage.kind === 'Initializing';
  return {
    mode: checkpointIntervalMs === neverMs ? 'at_least_once' : 'exactly_once',
    interval: checkpointIntervalMs,
    timeout: 600_000,
    min_pause: 0,
    max_concurrent: 1,
    externalization: {
      enabled: retention !== 'NO_EXTERNALIZED_CHECKPOINTS',
      delete_on_cancellation: retention !== 'RETAIN_ON_CANCELLATION',
    },
    state_backend: isUnknown ? 'Unknown' : 'HashMapStateBackend',
    checkpoint_storage: isUnknown ? 'Unknown' : storage,
    unaligned_checkpoints: false,
    tolerable_failed_checkpoints: 0,
    aligned_checkpoint_timeout: 0,
    checkpoints_after_tasks_finish: true,
    state_changelog_enabled: false,
    changelog_periodic_materialization_interval: 600_000,
    changelog_storage: isUnknown ? 'Unknown' : 'memory',
  };
}

/** The newest `most` failures. The adaptive scheduler keeps no history of a job whose state it could not load. */
export function exceptionsOf(flavour: Flavour, job: FlinkJob, most: number) {
  const hasHistory = Object.keys(job.parallelism).length > 0 || !job.settings.isAdaptive;
  const entries = hasHistory ? job.failures.slice(0, most).map((failure) => historyEntry(flavour, failure)) : [];
  const exceptionHistory = { entries, truncated: hasHistory && job.failures.length > most };
  if (flavour === '2.3.0') return { exceptionHistory };
  const [newest] = job.failures;
  return {
    'root-exception': newest?.trace ?? null,
    timestamp: newest?.time ?? null,
    // Those of the present attempt.
    'all-exceptions': newest?.task && hasFailedTasks(job) ? [taskException(newest, newest.task)] : [],
    truncated: false,
    exceptionHistory,
  };
}

function hasFailedTasks({ stage }: FlinkJob): boolean {
  return stage.kind === 'Restarting' || stage.kind === 'Ended';
}

function historyEntry(flavour: Flavour, { trace, time, task, attempt }: Failure) {
  const place = task?.taskManager && { endpoint: `${task.taskManager}:45329`, taskManagerId: task.taskManager };
  return {
    exceptionName: trace.split(':')[0],
    stacktrace: trace,
    timestamp: time,
    failureLabels: {},
    ...(task && { taskName: `${task.name} - execution #${attempt}` }),
    ...(place && flavour === '1.20.3' && { location: place.endpoint }),
    ...place,
    concurrentExceptions: [],
  };
}

function taskException({ trace, time }: Failure, { name, taskManager }: NonNullable<Failure['task']>) {
  const place = taskManager === undefined ? '(unassigned)' : `${taskManager}:45329`;
  return {
    exception: trace,
    task: name,
    location: place,
    endpoint: place,
    timestamp: time,
    taskManagerId: taskManager ?? '(unassigned)',
  };
}

export function jobConfig(flavour: Flavour, { settings, parallelism }: FlinkJob) {
  return {
    jid: settings.id,
    name: settings.name,
    'execution-config': {
      ...(flavour === '1.20.3' && { 'execution-mode': 'PIPELINED' }),
      'restart-strategy': 'Cluster level default restart strategy',
      'job-parallelism': Math.max(0, ...Object.values(parallelism)),
      'object-reuse-mode': false,
      'user-config': {},
    },
  };
}

export function savepointStatus({ endTime, location, failure }: SavepointOperation) {
  if (endTime === undefined) return { status: { id: 'IN_PROGRESS' }, operation: null };
  return { status: { id: 'COMPLETED' }, operation: failure === undefined ? { location } : failureCause(failure) };
}

/** A failure is a completed operation too. */
export function failureCause(trace: string) {
  return {
    'failure-cause': { class: trace.split(':')[0], 'stack-trace': trace, 'serialized-throwable': 'rO0ABXNyACk=' },
  };
}

export function resourceRequirements({ bounds }: FlinkJob) {
  return Object.fromEntries(Object.entries(bounds).map(([id, parallelism]) => [id, { parallelism }]));
}

function schedulerOf(job: FlinkJob): string {
  if (isBatch(job)) return 'AdaptiveBatch';
  return job.settings.isAdaptive ? 'Adaptive' : 'Default';
}

function sum<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((total, item) => total + numberOf(item), 0);
}

/** How many tasks of a job run on one TaskManager, if they are spread evenly over its slots. */
export function tasksOn(job: FlinkJob, taskManager: string): number {
  const slots = job.placement.find((placement) => placement.taskManager === taskManager)?.slots ?? 0;
  const tasks = sum(Object.values(job.parallelism), (parallelism) => parallelism);
  return slotsOf(job) === 0 ? 0 : Math.round((tasks * slots) / slotsOf(job));
}
