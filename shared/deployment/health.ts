// What clusterStatus and jobStatus say: the print columns of kubectl, the counts that an HPA reads, the health a person trusts.

import { formatTime } from '../units.ts';
import { hasEnded, jobStateOf, known } from './scene.ts';
import type {
  Checkpoints,
  Cluster,
  ClusterStatus,
  Health,
  Job,
  JobManagerView,
  JobStatus,
  JobView,
  TaskManager,
  Vertex,
} from './types.ts';
import { findOverdueVertices } from './vertices.ts';

/** A TaskManager that was silent for longer is not healthy. */
const HEARTBEAT_SECONDS = 120;
/** A job that was failing so recently is not healthy yet. */
const FAILING_SECONDS = 60;
/** A job that takes checkpoints, but has completed none for so long, is not healthy. */
const CHECKPOINT_SECONDS = 600;

/** What a cluster is like. A JobManager that was asked and did not answer turns it Red. */
export function describeCluster(
  before: ClusterStatus = {},
  cluster: Cluster | undefined,
  view: JobManagerView | undefined,
  now: number,
): ClusterStatus {
  const numberOfTaskManagers = cluster?.taskManager?.statusReplicas ?? 0;
  const counted = { ...before, numberOfTaskManagers };
  if (view?.overview === undefined) return counted;
  const overview = known(view.overview);
  const taskManagers = known(view.taskManagers);
  if (overview === undefined || taskManagers === undefined) return { ...counted, health: 'Red' };
  const healthyTaskManagers = taskManagers.filter((taskManager) => isAlive(taskManager, now)).length;
  return {
    ...counted,
    healthyTaskManagers,
    numberOfTaskSlots: overview.slotsTotal,
    availableTaskSlots: overview.slotsAvailable,
    health: healthyTaskManagers === numberOfTaskManagers ? 'Green' : 'Yellow',
  };
}

/** One that has registered but not yet sent a heartbeat reports 0. */
function isAlive({ lastHeartbeatTime }: TaskManager, now: number): boolean {
  return lastHeartbeatTime === 0 || now - lastHeartbeatTime <= HEARTBEAT_SECONDS * 1000;
}

/** What a job is like. While its JobManager does not answer, the last that was known stands. */
export function describeJob(before: JobStatus = {}, view: JobView | undefined, now: number): JobStatus {
  if (view === undefined || 'unreadable' in view.job) return before;
  const job = view.job.value;
  if (job === undefined) return { ...before, state: LOST, health: 'Red' };
  const checkpoints = describeCheckpoints(known(view.checkpoints));
  const counts = countTasks(job.vertices);
  const failing = job.state === 'FAILING' ? { lastFailingTime: formatTime(now) } : {};
  const status: JobStatus = {
    ...before,
    ...checkpoints,
    ...counts,
    ...failing,
    state: job.state,
    startTime: formatTime(job.startTime),
  };
  return { ...status, health: judgeJob(status, job, now) };
}

/** Not a word of Flink: its JobManager does not know the job any more. */
const LOST = 'LOST';

function describeCheckpoints(checkpoints: Checkpoints | undefined): Partial<JobStatus> {
  if (checkpoints === undefined) return {};
  const { completed, failed, restored, latestCompleted, latestRestored } = checkpoints;
  return {
    completedCheckpointCount: completed,
    failedCheckpointCount: failed,
    jobRestartCount: restored,
    ...(latestCompleted && {
      lastCheckpoint: latestCompleted.path,
      lastCheckpointTime: formatTime(latestCompleted.time),
    }),
    ...(latestRestored && { restorePath: latestRestored.path, restoreTime: formatTime(latestRestored.time) }),
  };
}

function countTasks(vertices: readonly Vertex[]): { totalTasks: number; runningTasks: number } {
  const sum = (count: (vertex: Vertex) => number) => vertices.reduce((total, vertex) => total + count(vertex), 0);
  return {
    totalTasks: sum(({ tasks }) => Object.values(tasks).reduce((total, count) => total + count, 0)),
    runningTasks: sum(({ tasks }) => (tasks.RUNNING ?? 0) + (tasks.FINISHED ?? 0)),
  };
}

const RED_STATES = ['FAILING', 'FAILED', 'RESTARTING', 'SUSPENDED', 'CANCELLING', 'CANCELED'];

function judgeJob(status: JobStatus, job: Job, now: number): Health {
  const { state, isBatch } = job;
  if (RED_STATES.includes(state)) return 'Red';
  if (state === 'FINISHED') return 'Green';
  const overdue = findOverdueVertices(job);
  if (isWithin(status.lastFailingTime, FAILING_SECONDS, now) || overdue.some(({ status: word }) => word === 'CREATED'))
    return 'Red';
  const lacksTasks = !isBatch && (status.runningTasks ?? 0) < (status.totalTasks ?? 0);
  if (state !== 'RUNNING' || overdue.length > 0 || lacksTasks) return 'Yellow';
  const hasStalled = status.lastCheckpointTime && !isWithin(status.lastCheckpointTime, CHECKPOINT_SECONDS, now);
  return hasStalled ? 'Yellow' : 'Green';
}

function isWithin(time: string | null | undefined, seconds: number, now: number): boolean {
  return Boolean(time) && now - Date.parse(time ?? '') <= seconds * 1000;
}

/** Whether the job is gone though nobody wanted it to. */
export function isGone(view: JobView | undefined): boolean {
  const state = jobStateOf(view);
  return hasEnded(state) && state !== 'Finished';
}
