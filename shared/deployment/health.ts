// What clusterStatus and jobStatus say: the print columns of kubectl, the counts that an HPA reads, the health a person trusts.

import { formatTime } from '../units.ts';
import { classify, ENDS, hasEnded, type JobState, jobStateOf, known, LOST, STOPPED } from './scene.ts';
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

/** Where no cluster is there. Its health is nobody's. */
export const NO_CLUSTER: ClusterStatus = { numberOfTaskManagers: 0, healthyTaskManagers: 0 };

/** One that has registered but not yet sent a heartbeat reports 0. */
function isAlive({ lastHeartbeatTime }: TaskManager, now: number): boolean {
  return lastHeartbeatTime === 0 || now - lastHeartbeatTime <= HEARTBEAT_SECONDS * 1000;
}

/** What a job is like. While its JobManager does not answer, the last that was known stands. */
export function describeJob(before: JobStatus = {}, view: JobView | undefined, now: number): JobStatus {
  if (view === undefined || 'unreadable' in view.job) return before;
  const job = view.job.value;
  const { restartLoopTime: _, ...past } = before;
  if (job === undefined) return ENDS.includes(before.state ?? '') ? before : { ...past, state: LOST, health: 'Red' };
  const checkpoints = describeCheckpoints(known(view.checkpoints));
  const counts = countTasks(job.vertices);
  const restarts = known(view.restarts);
  const status: JobStatus = {
    ...past,
    ...checkpoints,
    ...counts,
    ...(restarts !== undefined && { jobRestartCount: restarts }),
    ...describeFailures(before, job, view, now),
    state: stateWord(before, job, view),
    startTime: formatTime(job.startTime),
  };
  return { ...status, health: isGone(jobStateOf(view)) ? 'Red' : judgeJob(status, job, now) };
}

/** Flink's word, but for a job that was stopped; and how one has ended that is FINISHED is not said before it is known. */
function stateWord({ state = 'RUNNING' }: JobStatus, job: Job, view: JobView): string {
  const seen = jobStateOf(view);
  if (seen === 'FinishedOrStopped') return state;
  return seen === 'Stopped' ? STOPPED : job.state;
}

/** A job that has failed so often within so long is in a loop, until it has not failed for as long. */
export const LOOP_FAILURES = 3;
export const LOOP_SECONDS = 600;

/** When it failed last, and since when again and again. A failure after which Flink restarted it is seen in the next look too. */
function describeFailures(
  { lastFailingTime, restartLoopTime }: JobStatus,
  { state }: Job,
  { failures }: JobView,
  now: number,
): Partial<JobStatus> {
  if (state === 'FAILING') return { lastFailingTime: formatTime(now), ...(restartLoopTime && { restartLoopTime }) };
  const times = known(failures)?.times;
  // Whether it has failed since is not known: what was known stands.
  if (times === undefined) return restartLoopTime === undefined ? {} : { restartLoopTime };
  const [latest] = times;
  if (latest === undefined) return {};
  const last = { lastFailingTime: latestTime(lastFailingTime, latest) };
  if (hasEnded(classify(state)) || !isWithin(last.lastFailingTime, LOOP_SECONDS, now)) return last;
  const first = times[LOOP_FAILURES - 1];
  const isLoop = first !== undefined && latest - first <= LOOP_SECONDS * 1000;
  const since = restartLoopTime ?? (isLoop ? formatTime(first) : undefined);
  return since === undefined ? last : { ...last, restartLoopTime: since };
}

/** A history begins anew with its JobManager. */
function latestTime(before: string | null | undefined, time: number): string {
  return before && Date.parse(before) > time ? before : formatTime(time);
}

/** A job whose cluster has been deleted: it has ended as it did, or else with its JobManager. */
export function describeEnd(job: JobStatus): JobStatus {
  const { restartLoopTime: _, ...past } = job;
  const hasItself = job.state === LOST || hasEnded(classify(job.state ?? ''));
  return { ...past, state: hasItself ? (job.state ?? LOST) : LOST, health: 'Red', runningTasks: 0 };
}

function describeCheckpoints(checkpoints: Checkpoints | undefined): Partial<JobStatus> {
  if (checkpoints === undefined) return {};
  const { completed, failed, latestCompleted, latestSavepoint, latestRestored } = checkpoints;
  // A job that was stopped begins again from there: its checkpoints are deleted when it ends.
  const newest = latestSavepoint?.isFinal ? latestSavepoint : latestCompleted;
  return {
    completedCheckpointCount: completed,
    failedCheckpointCount: failed,
    ...(newest && { lastCheckpoint: newest.path, lastCheckpointTime: formatTime(newest.time) }),
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
  if (status.restartLoopTime !== undefined) return 'Red';
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

/** Whether the job is gone, and not because it was through. */
export function isGone(state: JobState): boolean {
  return hasEnded(state) && state !== 'Finished' && state !== 'FinishedOrStopped';
}
