// New, Updating and ClusterStarting: a second cluster comes up while the job runs on undisturbed. Whatever would fail once the
// job has been stopped is found out here, where a failure costs nothing.

import { beginNewCluster, preparations, supersede, withdrawToSuspend } from './begin.ts';
import { creation, isComplete } from './clusters.ts';
import { endMeanwhile, withdrawSize } from './ended-jobs.ts';
import { failDeploy } from './failures.ts';
import { areSameButForSize } from './identity.ts';
import {
  because,
  blockersOf,
  clusterOf,
  deployedJobView,
  enter,
  exhaustion,
  isBlueGreen,
  isFirstDeploy,
  isPast,
  jobOf,
  jobStateOf,
  known,
  lastKnownState,
  normal,
  rolloutOf,
  type Scene,
  stay,
  type Transition,
  targetRevision,
  telling,
  updatingColour,
  warning,
} from './scene.ts';
import { beginningPath, isSuspensionWanted } from './suspension.ts';
import { derivePodSelectors, taskManagerSelector } from './templates.ts';
import type { Effect, Failure, Plan, Revision, Vertex } from './types.ts';

/** New and Updating: pins the target, and waits until it is there. */
export function prepare(scene: Scene): Transition {
  const { desired, status, options } = scene;
  if (isSuspensionWanted(scene)) return withdrawToSuspend(scene);
  if (options.isRollbackForced) return status.rollout === undefined ? stay(scene) : failDeploy(scene, FORCED);
  if ('faults' in desired) return targetRevision(scene) === undefined ? stay(scene) : enterClusterStarting(scene);
  if (status.rollout === undefined) return beginNewCluster(scene, desired);
  const refusal = exhaustion(scene);
  if (refusal !== undefined) return failDeploy(scene, refusal);
  if (status.rollout.rollsBackTo !== undefined)
    return targetRevision(scene) === undefined ? lostRevision(scene) : enterClusterStarting(scene);
  if (desired.name !== status.rollout.revision && targetRevision(scene) === undefined) return supersede(scene, desired);
  const missing = desired.name === status.rollout.revision ? preparations(scene, desired) : [];
  return missing.length > 0 ? stay(scene, missing) : enterClusterStarting(scene);
}

function enterClusterStarting(scene: Scene): Transition {
  const { options } = scene;
  const blocker = findBatchJob(scene);
  if (blocker !== undefined) return failDeploy(scene, blocker);
  const selector = isFirstDeploy(scene) ? { selector: newSelector(scene) } : {};
  const entered = enter(scene, 'ClusterStarting', options.timeouts.clusterStartSeconds, selector);
  return telling(entered, normal('CreatingCluster', `Creating Flink cluster ${rolloutOf(scene).hash}`));
}

export const FORCED: Failure = { reason: 'ForcedRollback', message: 'spec.forceRollback is set' };

function newSelector(scene: Scene): string {
  const { uid, name } = scene.application;
  return taskManagerSelector(name, derivePodSelectors({ uid, hash: rolloutOf(scene).hash }).taskManager);
}

/** ClusterStarting: waits for pods and slots, then asks whether the job could run there. */
export function startCluster(scene: Scene): Transition {
  const { options, now } = scene;
  const { hash, deadline } = rolloutOf(scene);
  const revision = targetRevision(scene);
  if (isSuspensionWanted(scene)) return withdrawToSuspend(scene);
  if (options.isRollbackForced) return failDeploy(scene, FORCED);
  if (revision === undefined) return lostRevision(scene);
  const withdrawn = withdrawSize(scene, lastKnownState(scene));
  if (withdrawn !== undefined) return withdrawn;
  if (isSuperseded(scene, revision) && 'name' in scene.desired) return supersede(scene, scene.desired);
  const refusal = exhaustion(scene) ?? findBatchJob(scene);
  if (refusal !== undefined) return failDeploy(scene, refusal);

  const creation = createMissing(scene, revision);
  const readiness = judgeCluster(scene, revision);
  if (readiness === 'Ready') {
    const verdict = rehearse(scene, revision);
    if (verdict === 'Passed') return leaveClusterStarting(scene);
    if (verdict !== 'Unknown') return failDeploy(scene, verdict);
  }
  if (!isPast(deadline, now)) return stay(scene, creation);
  if (readiness === 'Ready') return goOnUnrehearsed(scene);
  return failDeploy(scene, {
    reason: 'ClusterStartTimedOut',
    message: `Flink cluster ${hash} did not come up within ${options.timeouts.clusterStartSeconds} s: ${readiness}${because(blockersOf(scene))}`,
  });
}

/** A batch job that may not be cancelled runs on to its end; the deploy is tried again until then. */
function findBatchJob(scene: Scene): Failure | undefined {
  const { isSavepointDisabled, fallsBackWithoutState } = scene.options;
  const view = deployedJobView(scene);
  const job = jobOf(view);
  if (job?.isBatch !== true || jobStateOf(view) !== 'Active') return undefined;
  return isSavepointDisabled || fallsBackWithoutState ? undefined : batchJobFailure(job.id);
}

export function batchJobFailure(jobId: string): Failure {
  const message = `Job ${jobId} runs in BATCH mode, of which Flink takes no savepoint. With savepointDisabled: true it is cancelled and the next one begins from the start; else that waits until it has ended`;
  return { reason: 'SavepointRefused', message };
}

/** A main method that takes longer than a call may last cannot be tried ahead; its job can be submitted all the same. */
function goOnUnrehearsed(scene: Scene): Transition {
  const message = 'The JobManager did not say in time whether the job can be run: it is submitted without that';
  return telling(leaveClusterStarting(scene), warning('NotRehearsed', message));
}

/** Somebody deleted the pinned target: it cannot be deployed, and what runs goes on. */
export function lostRevision(scene: Scene): Transition {
  return failDeploy(scene, revisionMissing(scene));
}

export function revisionMissing(scene: Scene): Failure {
  const { revision } = rolloutOf(scene);
  return { reason: 'RevisionMissing', message: `ControllerRevision ${revision} is not there any more` };
}

// A size that arrives now becomes the next deploy; any other change makes this one pointless.
function isSuperseded({ desired, options, status, observation }: Scene, revision: Revision): boolean {
  if (!('name' in desired)) return false;
  const isLike = (other: Revision | undefined) =>
    other !== undefined && areSameButForSize(desired.revision, other, options.excludedMetadata);
  // The version that is being taken back stands in the spec still, or a change of it that has failed.
  const { failedDeploy, rollout } = status;
  const failed = rollout?.rollsBackTo && observation.revisions.get(failedDeploy?.revision ?? '');
  const hasFailed = rollout?.rollsBackTo !== undefined && failedDeploy?.earlier?.revision === desired.name;
  return !isLike(revision) && !isLike(failed) && !hasFailed;
}

function createMissing(scene: Scene, revision: Revision): readonly Effect[] {
  const { hash } = rolloutOf(scene);
  if (isComplete(clusterOf(scene, hash))) return [];
  return [creation(scene, { hash, revision, version: updatingColour(scene) })];
}

/** @returns 'Ready', or what is missing */
function judgeCluster(scene: Scene, revision: Revision): string {
  const { hash } = rolloutOf(scene);
  const { jobManager, taskManager } = clusterOf(scene, hash) ?? {};
  if (jobManager === undefined || taskManager === undefined) return 'its Deployments are not there';
  if (jobManager.availableReplicas === 0) return 'its JobManager is not available';
  const { availableReplicas, replicas, isObserved } = taskManager;
  if (!isObserved || availableReplicas < replicas)
    return `${availableReplicas} of ${replicas} TaskManagers are available`;
  const overview = scene.observation.jobManagers.get(hash)?.overview;
  if (overview === undefined || 'unreadable' in overview)
    return `its JobManager does not answer${overview === undefined ? '' : ` (${overview.unreadable})`}`;
  const { slotsTotal } = overview.value;
  return slotsTotal < revision.parallelism ? `${slotsTotal} of ${revision.parallelism} slots are registered` : 'Ready';
}

/** Lets the new JobManager plan the job, and holds the plan against the one that runs: nothing is stopped for a job that cannot start. */
function rehearse(scene: Scene, revision: Revision): 'Passed' | 'Unknown' | Failure {
  const { hash } = rolloutOf(scene);
  const plan = known(scene.observation.jobManagers.get(hash)?.plan);
  if (plan === undefined) return 'Unknown';
  if ('fault' in plan) return { reason: 'JobNotRunnable', message: `The job cannot be run: ${plan.fault}` };
  if (scene.options.isSavepointDisabled) return 'Passed';
  return findTooParallel(verticesWithState(scene), plan, revision) ?? 'Passed';
}

/** Of the job that is deployed. From a batch job, or one that has finished, the next one takes over no state. */
export function verticesWithState(scene: Scene): readonly Vertex[] {
  const job = jobOf(deployedJobView(scene));
  return job === undefined || job.isBatch || job.state === 'FINISHED' ? [] : job.vertices;
}

/** Keyed state was cut into maxParallelism parts when it was first written: it cannot be spread over more subtasks. */
function findTooParallel(
  vertices: readonly Vertex[],
  plan: Exclude<Plan, { fault: string }>,
  { parallelism }: Revision,
): Failure | undefined {
  for (const { id, name, maxParallelism } of vertices) {
    const planned = plan.vertices.find((vertex) => vertex.id === id);
    if (planned === undefined || maxParallelism < 1 || planned.parallelism <= maxParallelism) continue;
    return tooParallel({ name, maxParallelism, parallelism: planned.parallelism, wanted: parallelism });
  }
  return undefined;
}

export function tooParallel(vertex: {
  name: string;
  maxParallelism: number;
  parallelism: number;
  wanted: number;
}): Failure {
  const { name, maxParallelism, parallelism, wanted } = vertex;
  return {
    reason: 'MaxParallelismExceeded',
    message: `Parallelism ${wanted} is too high: vertex "${name}" would run with ${parallelism}, but its state allows ${maxParallelism} at most`,
  };
}

/** Lyft's order of phases: a first deploy falls through Savepointing, where there is nothing to save. */
function leaveClusterStarting(scene: Scene): Transition {
  const { timeouts, isSavepointDisabled } = scene.options;
  const rollout = endMeanwhile(lastKnownState(scene));
  // Its state would be that of the version that is taken back.
  if (rolloutOf(scene).rollsBackTo !== undefined)
    return enter(scene, 'Cancelling', timeouts.savepointSeconds, { rollout });
  if (isSavepointDisabled && isBlueGreen(scene)) {
    const savepointPath = isFirstDeploy(scene) ? beginningPath(scene) : '';
    return enter(scene, 'SubmittingJob', timeouts.submitSeconds, { savepointPath });
  }
  return enter(scene, isSavepointDisabled ? 'Cancelling' : 'Savepointing', timeouts.savepointSeconds, { rollout });
}
