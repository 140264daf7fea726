// Rescaling: only the number of TaskManagers changes, and the cluster stays. With the adaptive scheduler the job stays too: it is
// told its new parallelism, and restarts from its own latest checkpoint by itself.

import { pinAgain } from './begin.ts';
import { FORCED, lostRevision, tooParallel, verticesWithState } from './cluster-start.ts';
import { scaleTo } from './clusters.ts';
import { withdrawSize } from './ended-jobs.ts';
import { failDeploy, forgetFailure, rollBack } from './failures.ts';
import { replaceUpperBound } from './roll-back.ts';
import {
  because,
  blockersOf,
  clusterOf,
  currentRevision,
  enter,
  exhaustion,
  forgetDeploy,
  forgetErrors,
  hasEnded,
  isPast,
  jobOf,
  jobStateAt,
  jobStateOf,
  jobViewOf,
  known,
  normal,
  rolloutOf,
  type Scene,
  stay,
  type Transition,
  targetRevision,
  telling,
  warning,
} from './scene.ts';
import type { Effect, Failure, Job, ResourceRequirements, Revision, TaskManager } from './types.ts';

export function rescale(scene: Scene): Transition {
  const target = targetRevision(scene);
  const current = currentRevision(scene);
  if (scene.options.isRollbackForced) return abandon(scene, FORCED);
  if (target === undefined) return pinAgain(scene) ?? lostRevision(scene);
  if (current === undefined) return lostRevision(scene);
  const end = jobStateAt(scene, scene.status.deployHash, rolloutOf(scene).oldJobId);
  // A job that fails in a rescale in place may have failed of it.
  const isOwnEnd = rolloutOf(scene).kind === 'InPlace' && (end === 'Failed' || end === 'Lost');
  const withdrawn = isOwnEnd ? undefined : withdrawSize(scene, end);
  if (withdrawn !== undefined) return withdrawn;
  const failure = exhaustion(scene) ?? timedOut(scene);
  if (failure !== undefined) return abandon(scene, failure);
  const sizes = { target, current };
  return rolloutOf(scene).kind === 'InPlace' ? rescaleJob(scene, sizes) : enlargeCluster(scene, sizes);
}

interface Sizes {
  readonly target: Revision;
  readonly current: Revision;
}

function timedOut(scene: Scene): Failure | undefined {
  if (!isPast(rolloutOf(scene).deadline, scene.now)) return undefined;
  const { availableReplicas = 0, replicas = 0 } = taskManagerOf(scene) ?? {};
  const blockers = because(blockersOf(scene));
  const message = `The rescale did not end in time, with ${availableReplicas} of ${replicas} TaskManagers available${blockers}`;
  return { reason: 'RescaleTimedOut', message };
}

/** What was begun is taken back; a job that was not touched needs nothing else. */
function abandon(scene: Scene, failure: Failure): Transition {
  const told = warning('ClusterScaleUpFailed', failure.message);
  const isUntouched = rolloutOf(scene).kind === 'InPlaceWithSavepoint';
  return telling(isUntouched ? failDeploy(scene, failure) : rollBack(scene, failure), told);
}

/** With the default scheduler, as Lyft does: first the TaskManagers, then the job is moved by a savepoint within its cluster. */
function enlargeCluster(scene: Scene, { target, current }: Sizes): Transition {
  const { isSavepointDisabled, timeouts } = scene.options;
  const tooHigh = isSavepointDisabled ? undefined : findTooParallel(scene, { target, current });
  if (tooHigh !== undefined) return failDeploy(scene, tooHigh);
  const adding = addTaskManagers(scene, target);
  if (adding !== undefined) return adding;
  return enter(scene, isSavepointDisabled ? 'Cancelling' : 'Savepointing', timeouts.savepointSeconds);
}

/** @returns undefined when they are there, with their slots */
function addTaskManagers(scene: Scene, target: Revision): Transition | undefined {
  const scaling = scaleTo(taskManagerOf(scene), target.taskManagers);
  const event = normal('ClusterScaleUp', `Scaling the cluster to ${target.taskManagers} TaskManagers in place`);
  if (scaling.length > 0) return stay(scene, scaling, [event]);
  return areTaskManagersReady(scene, target) ? undefined : stay(scene);
}

function taskManagerOf(scene: Scene) {
  return clusterOf(scene, scene.status.deployHash)?.taskManager;
}

function areTaskManagersReady(scene: Scene, { taskManagers, parallelism }: Revision): boolean {
  const deployment = taskManagerOf(scene);
  if (deployment === undefined || !deployment.isObserved || deployment.availableReplicas < taskManagers) return false;
  const overview = known(scene.observation.jobManagers.get(scene.status.deployHash ?? '')?.overview);
  return overview !== undefined && overview.slotsTotal >= parallelism;
}

function rescaleJob(scene: Scene, sizes: Sizes): Transition {
  const { deployHash = '' } = scene.status;
  const { oldJobId = '' } = rolloutOf(scene);
  const view = jobViewOf(scene, deployHash, oldJobId);
  const state = jobStateOf(view);
  if (hasEnded(state))
    return abandon(scene, { reason: 'JobEnded', message: `Job ${oldJobId} ended while it was rescaled (${state})` });
  const job = jobOf(view);
  const requirements = known(view?.resourceRequirements);
  if (job === undefined || requirements === undefined) return stay(scene);
  const { target, current } = sizes;
  return target.taskManagers >= current.taskManagers
    ? grow(scene, sizes, job, requirements)
    : shrink(scene, sizes, job, requirements);
}

/** TaskManagers first, so that the job restarts once and not with each of them. */
function grow(scene: Scene, sizes: Sizes, job: Job, requirements: ResourceRequirements): Transition {
  const { target } = sizes;
  const tooHigh = findTooParallel(scene, sizes);
  if (tooHigh !== undefined) return failDeploy(scene, tooHigh);
  const adding = addTaskManagers(scene, target);
  if (adding !== undefined) return adding;
  const setting = setParallelism(scene, sizes, job, requirements);
  if (setting.length > 0) return stay(scene, setting);
  return isAtParallelism(job, requirements) ? succeed(scene, target) : stay(scene);
}

/** The job first, so that the TaskManagers that go hold no slot of it. */
function shrink(scene: Scene, sizes: Sizes, job: Job, requirements: ResourceRequirements): Transition {
  const { target } = sizes;
  const setting = setParallelism(scene, sizes, job, requirements);
  if (setting.length > 0) return stay(scene, setting);
  if (!isAtParallelism(job, requirements)) return stay(scene);
  const scaling = scaleTo(taskManagerOf(scene), target.taskManagers);
  if (scaling.length > 0) return removeTaskManagers(scene, target, job, scaling);
  return isShrunk(scene, target, job) ? succeed(scene, target) : stay(scene);
}

/** Those that hold no slot. When these will not become enough, others go with them, and the job restarts once more. */
function removeTaskManagers(scene: Scene, target: Revision, job: Job, scaling: readonly Effect[]): Transition {
  const taskManagers = taskManagersOf(scene);
  const idle = taskManagers?.filter(isIdle) ?? [];
  const leaving = (taskManagerOf(scene)?.replicas ?? 0) - target.taskManagers;
  const removing = [...preferDeletion(scene, idle), ...scaling];
  if (taskManagers !== undefined && idle.length >= leaving) return stay(scene, removing);
  const mayWait = taskManagers === undefined || heldSlots(taskManagers) !== neededSlots(job);
  if (mayWait && !isPatienceOver(scene)) return stay(scene);
  const busy = taskManagers === undefined ? undefined : leaving - idle.length;
  return stay(scene, removing, [shrinkingBusyEvent(leaving, busy)]);
}

/**
 * How long TaskManagers without a slot are waited for, from the beginning of the rescale. Flink gives a slot back that the job
 * has not used for slot.idle.timeout, 50 s unless told otherwise, and looks for such slots once in as long: up to 100 s after
 * the job restarted with its lower parallelism, for which there are 50 s here. No longer, since the slots that it uses may be
 * spread over all TaskManagers: in a session cluster Flink takes any of them. A job that is seen to have none to give back is
 * not waited for.
 */
const PATIENCE_SECONDS = 150;

/** At most half of the time, so that the job can restart in the other half. */
function isPatienceOver(scene: Scene): boolean {
  const { startTime, deadline } = rolloutOf(scene);
  const [start, end] = [Date.parse(startTime), Date.parse(deadline)];
  return scene.now >= start + Math.min(PATIENCE_SECONDS * 1000, (end - start) / 2);
}

/** @param busy undefined: not known */
function shrinkingBusyEvent(leaving: number, busy: number | undefined) {
  const what =
    busy === undefined
      ? `It is not known whether the ${leaving} TaskManagers that go still hold slots: if so,`
      : `${busy} of the ${leaving} TaskManagers that go still hold slots:`;
  return normal('ShrinkingBusyTaskManagers', `${what} the job restarts once from its latest checkpoint`);
}

/**
 * Whether no TaskManager more than wanted is left to the JobManager: a job that runs was not on one of the others, or runs again.
 * (A Deployment does not count pods that are about to go.) Flink's word for a job may be some seconds old, so its slots have to
 * be there as well.
 */
function isShrunk(scene: Scene, target: Revision, job: Job): boolean {
  const deployment = taskManagerOf(scene);
  const taskManagers = taskManagersOf(scene);
  if (deployment?.isObserved !== true || deployment.statusReplicas !== target.taskManagers) return false;
  if (taskManagers === undefined || taskManagers.length > target.taskManagers) return false;
  return heldSlots(taskManagers) >= neededSlots(job);
}

/** @returns undefined when they cannot be read, or one of them has not told of its slots yet */
function taskManagersOf({ observation, status }: Scene): readonly TaskManager[] | undefined {
  const taskManagers = known(observation.jobManagers.get(status.deployHash ?? '')?.taskManagers);
  return taskManagers?.every(({ slots }) => slots > 0) ? taskManagers : undefined;
}

function isIdle({ slots, freeSlots }: TaskManager): boolean {
  return slots === freeSlots;
}

/** A job keeps slots for a while that it does not use any more; they are not free. */
function heldSlots(taskManagers: readonly TaskManager[]): number {
  return taskManagers.reduce((sum, { slots, freeSlots }) => sum + slots - freeSlots, 0);
}

/** So many slots a job needs, or more: vertices that share none need their own. */
function neededSlots({ vertices }: Job): number {
  return Math.max(0, ...vertices.map(({ tasks }) => tasks.RUNNING ?? 0));
}

function preferDeletion({ status }: Scene, taskManagers: readonly TaskManager[]): readonly Effect[] {
  const { selector = '' } = status;
  const podIps = taskManagers.map(({ host }) => host);
  return podIps.length === 0 ? [] : [{ kind: 'PreferDeletion', podIps, selector }];
}

/** A vertex whose parallelism is its own, not the job's, keeps it. */
function setParallelism(
  scene: Scene,
  { target, current }: Sizes,
  { id }: Job,
  requirements: ResourceRequirements,
): readonly Effect[] {
  const wanted = replaceUpperBound(requirements, current.parallelism, target.parallelism);
  if (wanted === undefined) return [];
  return [{ kind: 'SetResourceRequirements', hash: scene.status.deployHash ?? '', jobId: id, requirements: wanted }];
}

function isAtParallelism({ state, vertices }: Job, requirements: ResourceRequirements): boolean {
  return (
    state === 'RUNNING' &&
    vertices.every(
      ({ id, parallelism, status }) =>
        (status === 'RUNNING' || status === 'FINISHED') &&
        parallelism === (requirements[id]?.upperBound ?? parallelism),
    )
  );
}

function findTooParallel(scene: Scene, { target, current }: Sizes): Failure | undefined {
  const vertex = verticesWithState(scene).find(
    ({ parallelism, maxParallelism }) =>
      parallelism === current.parallelism && maxParallelism > 0 && target.parallelism > maxParallelism,
  );
  if (vertex === undefined) return undefined;
  return tooParallel({ ...vertex, parallelism: target.parallelism, wanted: target.parallelism });
}

function succeed(scene: Scene, { parallelism, taskManagers }: Revision): Transition {
  const kept = forgetFailure(forgetDeploy(scene.status));
  const status = {
    ...forgetErrors(kept),
    phase: 'Running',
    currentRevision: rolloutOf(scene).revision,
    jobStatus: { ...kept.jobStatus, parallelism },
  };
  const event = normal('Rescaled', `The job runs with parallelism ${parallelism} on ${taskManagers} TaskManagers`);
  return { status, effects: [], events: [event] };
}
