// A FlinkApplication's life, PURE: (spec, status, observation, now) → (status, effects). Each phase is a function of the same
// scene; this file is the frame around them.

import { keepAtRest } from './at-rest.ts';
import { addFinalizer } from './begin.ts';
import { prepare, startCluster } from './cluster-start.ts';
import { keepObjects } from './clusters.ts';
import { describeConditions, tellOfUnknownFields } from './conditions.ts';
import { beginDeleting, deleteApplication } from './delete.ts';
import { runBoth } from './dual-running.ts';
import { mustWait } from './failures.ts';
import { isForeign } from './foreign-status.ts';
import { describeCluster, describeEnd, describeJob, NO_CLUSTER } from './health.ts';
import { tellOfJobs } from './job-events.ts';
import { hasEndingJobs, leftoverHashes } from './remove-cluster.ts';
import { rescale } from './rescale.ts';
import { rollBackJob } from './roll-back.ts';
import { recordSavepoints } from './savepoints.ts';
import {
  clusterOf,
  createScene,
  isAtRest,
  isBlueGreen,
  isTearingDown,
  jobViewOf,
  type Scene,
  type StepInput,
  settledMode,
  stay,
  type Transition,
  telling,
} from './scene.ts';
import { cancelOldJob, recoverFromCheckpoint, takeSavepoint } from './stop-old-job.ts';
import { submitJob } from './submit.ts';
import { keepSuspended } from './suspended.ts';
import { adopt, planAdoption, prepareAdoption } from './take-over.ts';
import type { ApplicationStatus, Effect, Failure, VersionStatus } from './types.ts';

export interface Step extends Transition {
  /** Whether the application is on its way somewhere: it is looked at again in a few seconds, not in a minute. */
  readonly isInTransition: boolean;
  /**
   * Why Headrace does not act on the application (Owned is False). Then `status` is the one that was read but for its conditions,
   * and there are neither effects nor events.
   */
  readonly standsAside?: Failure;
}

/**
 * Decides what one application should do next.
 *
 * @param standsAside another controller that is at work on it; nothing is done then, and it is said why
 * @throws RangeError for a phase that neither Lyft's operator nor Headrace knows
 */
export function step(input: StepInput, standsAside?: Failure): Step {
  const scene = createScene(input);
  if (standsAside !== undefined) return standAside(scene, standsAside);
  const { application, status } = scene;
  if (application.isDeleting && status.deletion === undefined) return finish(scene, beginDeleting(scene));
  if (isForeign(application) && !application.isDeleting) return takeOver(scene);
  return finish(scene, mustWait(scene) ? stay(scene) : advance(scene));
}

function advance(scene: Scene): Transition {
  const { phase = '' } = scene.status;
  switch (phase) {
    case '':
    case 'Updating':
      return prepare(scene);
    case 'ClusterStarting':
      return startCluster(scene);
    case 'Rescaling':
      return rescale(scene);
    case 'Savepointing':
      return takeSavepoint(scene);
    case 'Cancelling':
      return cancelOldJob(scene);
    case 'Recovering':
      return recoverFromCheckpoint(scene);
    case 'SubmittingJob':
      return submitJob(scene);
    case 'RollingBackJob':
      return rollBackJob(scene);
    case 'Running':
    case 'DeployFailed':
      return keepAtRest(scene);
    case 'Suspended':
      return keepSuspended(scene);
    case 'DualRunning':
      return runBoth(scene);
    case 'Deleting':
      return deleteApplication(scene);
    default:
      throw new RangeError(`status.phase is ${phase}, which is none that a FlinkApplication can be in`);
  }
}

/** Until an application is adopted its status stays as the other operator left it. */
function takeOver(scene: Scene): Step {
  const adoption = planAdoption(scene);
  if ('reason' in adoption) return standAside(scene, adoption);
  const effects = prepareAdoption(scene, adoption);
  if (effects.length > 0) return { status: scene.application.status, effects, events: [], isInTransition: false };
  return finish(scene, adopt(scene, adoption));
}

/**
 * Whoever deployed the application keeps its status; Headrace adds why it does nothing, and what it sees. The status is the one that
 * was read, not the scene's: that one is read in Headrace's terms.
 */
function standAside(scene: Scene, reason: Failure): Step {
  const { status } = scene.application;
  const conditions = describeConditions(scene, reason);
  return { status: { ...status, conditions }, effects: [], events: [], isInTransition: false, standsAside: reason };
}

/** Adds to a transition what is seen in every phase: counts, health, conditions. */
function finish(scene: Scene, transition: Transition): Step {
  const recorded = recordSavepoints(scene, recordMode(scene, recordReplicas(scene, transition.status)));
  const seen = observeStatus(scene, recorded.status);
  const told = telling({ ...transition, status: seen }, ...recorded.events, ...tellOfJobs(scene, seen));
  const conditions = describeConditions({ ...scene, status: seen });
  const status = { ...seen, observedGeneration: scene.application.generation, conditions };
  const effects = protect(scene, told.effects);
  const unknown = tellOfUnknownFields(scene, conditions);
  return { ...telling(told, ...unknown), status, effects, isInTransition: isInTransition(scene, transition) };
}

/**
 * What has to hold whenever the application may be deleted. First the finalizer: whoever replaces the object (kubectl replace,
 * clients that create or replace) removes it with everything else that is not in their manifest. It is restored before anything
 * else is done: without it a deletion takes no savepoint. Then a keeper for objects that were made without one, by Lyft's operator
 * or by an older Headrace. Before the first deploy there is nothing to lose, and once the object is being deleted no finalizer can
 * be added.
 */
function protect(scene: Scene, effects: readonly Effect[]): readonly Effect[] {
  const { application, status } = scene;
  if (application.isDeleting || !status.phase) return effects;
  const others = effects.filter(({ kind }) => kind !== 'AddFinalizer');
  return [...addFinalizer(application), ...others, ...keepObjects(scene)];
}

/** A size that cannot be deployed is none to come back to. */
function recordReplicas({ application: { spec } }: Scene, status: ApplicationStatus): ApplicationStatus {
  const replicas = 'value' in spec ? (spec.value.taskManagerConfig?.replicas ?? 0) : 0;
  return replicas < 1 ? status : { ...status, lastReplicas: replicas };
}

/**
 * Notes the settled mode in the words of the spec, as Lyft's operator does: it takes "Dual" and nothing for two modes, and refuses
 * every change where spec and status differ. A mode that the spec cannot change to is left as it was settled.
 */
function recordMode(scene: Scene, status: ApplicationStatus): ApplicationStatus {
  const { application, options } = scene;
  if (!status.phase || 'unreadable' in application.spec || options.deploymentMode !== settledMode(scene)) return status;
  const { deploymentMode, ...rest } = status;
  const written = application.spec.value.deploymentMode || undefined;
  if ((deploymentMode || undefined) === written) return status;
  return written === undefined ? rest : { ...rest, deploymentMode: written };
}

function observeStatus(scene: Scene, status: ApplicationStatus): ApplicationStatus {
  const { observation, now } = scene;
  const hash = status.deployHash || status.rollout?.hash;
  if (!hash) return withoutCluster(scene, status);
  const isNew = status.rollout?.jobId !== undefined && status.jobStatus?.jobID === status.rollout.jobId;
  const jobHash = isNew && status.phase !== 'DualRunning' ? status.rollout?.hash : status.deployHash;
  const clusterStatus = describeCluster(
    status.clusterStatus,
    clusterOf(scene, hash),
    observation.jobManagers.get(hash),
    now,
  );
  const jobStatus = describeJob(status.jobStatus, jobViewOf(scene, jobHash, status.jobStatus?.jobID), now);
  const seen = { ...status, clusterStatus, ...(Object.keys(jobStatus).length > 0 && { jobStatus }) };
  return isBlueGreen(scene) ? { ...seen, versionStatuses: describeVersions(scene, seen) } : seen;
}

/** After a first deploy that failed nothing runs, and the status describes neither its cluster nor its job as if they did. */
function withoutCluster(scene: Scene, status: ApplicationStatus): ApplicationStatus {
  if (status.failedDeploy === undefined) return status;
  const { clusterStatus, jobStatus } = status;
  const view = jobViewOf(scene, scene.status.rollout?.hash, jobStatus?.jobID);
  return {
    ...status,
    ...(clusterStatus && { clusterStatus: NO_CLUSTER }),
    ...(jobStatus && { jobStatus: describeEnd(describeJob(jobStatus, view, scene.now)) }),
  };
}

/** Index 0 is what is deployed, 1 what is on its way. */
function describeVersions(scene: Scene, status: ApplicationStatus): readonly VersionStatus[] {
  const { observation, now } = scene;
  const { deployHash, deployVersion, updatingHash, updatingVersion, rollout, clusterStatus, jobStatus } = status;
  const deployed = deployHash
    ? {
        versionHash: deployHash,
        ...(deployVersion && { appVersion: deployVersion }),
        ...(clusterStatus && { clusterStatus }),
        ...(jobStatus && { jobStatus }),
      }
    : {};
  if (!updatingHash || !deployHash || rollout === undefined) return [deployed, {}];
  const before = status.versionStatuses?.[1];
  const job = describeJob(before?.jobStatus, jobViewOf(scene, updatingHash, rollout.jobId), now);
  const updating = {
    versionHash: updatingHash,
    ...(updatingVersion && { appVersion: updatingVersion }),
    clusterStatus: describeCluster(
      before?.clusterStatus,
      clusterOf(scene, updatingHash),
      observation.jobManagers.get(updatingHash),
      now,
    ),
    jobStatus: { ...job, ...(rollout.jobId && { jobID: rollout.jobId }) },
  };
  return [deployed, updating];
}

function isInTransition(scene: Scene, { status }: Transition): boolean {
  const { phase = '' } = status;
  if (phase === '') return 'name' in scene.desired && !scene.options.isRollbackForced;
  if (phase === 'DualRunning') return isTearingDown(scene);
  if (phase === 'Suspended') return leftoverHashes({ ...scene, status }).length > 0;
  if (isAtRest(status)) return hasEndingJobs(scene);
  return true;
}
