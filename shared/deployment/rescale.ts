// Rescaling: only the number of TaskManagers changes, and the cluster stays. With the adaptive scheduler the job stays too: it is
// told its new parallelism, and restarts from its own latest checkpoint by itself.

import { preparations } from './begin.ts';
import { FORCED, lostRevision, tooParallel } from './cluster-start.ts';
import { scaleTo } from './clusters.ts';
import { failDeploy, rollBack } from './failures.ts';
import { replaceUpperBound } from './roll-back.ts';
import {
  clusterOf,
  currentRevision,
  enter,
  exhaustion,
  forgetErrors,
  hasEnded,
  isPast,
  jobOf,
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
  const { desired, options } = scene;
  const rollout = rolloutOf(scene);
  const target = targetRevision(scene);
  const current = currentRevision(scene);
  if (options.isRollbackForced) return abandon(scene, FORCED);
  if (target === undefined) {
    const isStillWanted = 'name' in desired && desired.name === rollout.revision;
    return isStillWanted ? stay(scene, preparations(scene, desired)) : lostRevision(scene);
  }
  if (current === undefined) return lostRevision(scene);
  const failure = exhaustion(scene) ?? timedOut(scene);
  if (failure !== undefined) return abandon(scene, failure);
  const sizes = { target, current };
  return rollout.kind === 'InPlace' ? rescaleJob(scene, sizes) : enlargeCluster(scene, sizes);
}

interface Sizes {
  readonly target: Revision;
  readonly current: Revision;
}

function timedOut(scene: Scene): Failure | undefined {
  if (!isPast(rolloutOf(scene).deadline, scene.now)) return undefined;
  const { availableReplicas = 0, replicas = 0 } = clusterOf(scene, scene.status.deployHash)?.taskManager ?? {};
  const hindrances = scene.observation.troubles.length > 0 ? `: ${scene.observation.troubles.join('; ')}` : '';
  const message = `The rescale did not end in time, with ${availableReplicas} of ${replicas} TaskManagers available${hindrances}`;
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
  const scaling = scaleTo(taskManagerOf(scene), target.taskManagers);
  if (scaling.length > 0) return stay(scene, scaling, [scaleUpEvent(target)]);
  if (!areTaskManagersReady(scene, target)) return stay(scene);
  return enter(scene, isSavepointDisabled ? 'Cancelling' : 'Savepointing', timeouts.savepointSeconds);
}

function scaleUpEvent({ taskManagers }: Revision) {
  return normal('ClusterScaleUp', `Scaling the cluster to ${taskManagers} TaskManagers in place`);
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
  const scaling = scaleTo(taskManagerOf(scene), target.taskManagers);
  if (scaling.length > 0) return stay(scene, scaling, [scaleUpEvent(target)]);
  if (!areTaskManagersReady(scene, target)) return stay(scene);
  const setting = setParallelism(scene, sizes, job, requirements);
  if (setting.length > 0) return stay(scene, setting);
  return isAtParallelism(job, requirements) ? succeed(scene, target) : stay(scene);
}

/** The job first, so that the TaskManagers that go hold no slot of it. */
function shrink(scene: Scene, sizes: Sizes, job: Job, requirements: ResourceRequirements): Transition {
  const { target } = sizes;
  const deployment = taskManagerOf(scene);
  const setting = setParallelism(scene, sizes, job, requirements);
  if (setting.length > 0) return stay(scene, setting);
  if (!isAtParallelism(job, requirements)) return stay(scene);
  const scaling = scaleTo(deployment, target.taskManagers);
  if (scaling.length > 0) return stay(scene, [...preferIdle(scene), ...scaling]);
  const isShrunk = deployment?.isObserved === true && deployment.statusReplicas === target.taskManagers;
  return isShrunk ? succeed(scene, target) : stay(scene);
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
  const { deployHash, jobStatus } = scene.status;
  const vertices = jobOf(jobViewOf(scene, deployHash, jobStatus?.jobID))?.vertices ?? [];
  const vertex = vertices.find(
    ({ parallelism, maxParallelism }) =>
      parallelism === current.parallelism && maxParallelism > 0 && target.parallelism > maxParallelism,
  );
  if (vertex === undefined) return undefined;
  return tooParallel({ ...vertex, parallelism: target.parallelism, wanted: target.parallelism });
}

/** TaskManagers of which every slot is free. */
function preferIdle(scene: Scene): readonly Effect[] {
  const { deployHash = '', selector = '' } = scene.status;
  const taskManagers = known(scene.observation.jobManagers.get(deployHash)?.taskManagers) ?? [];
  const isIdle = ({ slots, freeSlots }: TaskManager) => slots === freeSlots;
  const podIps = taskManagers.filter(isIdle).map(({ host }) => host);
  return podIps.length === 0 ? [] : [{ kind: 'PreferDeletion', podIps, selector }];
}

function succeed(scene: Scene, { parallelism, taskManagers }: Revision): Transition {
  const { rollout, failedDeploy, failedDeployHash, rollbackHash, ...kept } = scene.status;
  const status = {
    ...forgetErrors(kept),
    phase: 'Running',
    currentRevision: rolloutOf(scene).revision,
    jobStatus: { ...kept.jobStatus, parallelism },
  };
  const event = normal('Rescaled', `The job runs with parallelism ${parallelism} on ${taskManagers} TaskManagers`);
  return { status, effects: [], events: [event] };
}
