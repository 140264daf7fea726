// Which JobManagers have to be asked, and what: each phase asks for what it decides by, and no more.

import { legacyClusterId } from './cluster-id.ts';
import { clusterIdOf } from './clusters.ts';
import { hashesWithEndingJobs, leftoverHashes } from './remove-cluster.ts';
import { isWithinWindow } from './rollback-window.ts';
import { clusterOf, ENDS, isAtRest, jobRequestOf, type Scene, targetRevision } from './scene.ts';
import { isSuspensionWanted } from './suspension.ts';
import type { ApplicationStatus, JobRequest } from './types.ts';

/** What to ask one JobManager, beside its overview, its TaskManagers and its list of jobs. */
export interface Questions {
  readonly hash: string;
  /** Whether to wait for a first answer before anything else is asked. */
  readonly asksJobsFirst: boolean;
  /** Whether this job could be run. */
  readonly plan?: JobRequest;
  /** What became of the disposal of a savepoint. */
  readonly disposalTriggerId?: string;
  readonly of: readonly JobQuestions[];
}

export interface JobQuestions {
  readonly jobId: string;
  readonly checkpoints: boolean;
  readonly checkpointConfig: boolean;
  readonly resourceRequirements: boolean;
  readonly savepointTriggerId?: string;
  readonly periodicTriggerId?: string;
}

export function askFor(scene: Scene): readonly Questions[] {
  const { status } = scene;
  const { deployHash = '', rollout } = status;
  const hashes = new Set([deployHash, rollout?.hash ?? '']);
  const isUp = (hash: string) => hash !== '' && clusterOf(scene, hash)?.jobManager !== undefined;
  const leftovers = isAtRest(status) ? hashesWithEndingJobs(scene).filter(isUp) : [];
  return [...[...hashes].filter(isUp).map((hash) => questionsOf(scene, hash)), ...leftovers.map(askForJobs)];
}

/** Of a cluster that is to go it only matters whether a job still runs on it. */
function askForJobs(hash: string): Questions {
  return { hash, asksJobsFirst: true, of: [] };
}

function questionsOf(scene: Scene, hash: string): Questions {
  const plan = planOf(scene, hash);
  const { savepointDisposal: disposal } = scene.status;
  return {
    hash,
    asksJobsFirst: wasSilent(scene.status),
    of: jobIdsOn(scene, hash).map((jobId) => questionsOfJob(scene, jobId)),
    ...(plan && { plan }),
    ...(disposal?.triggerId && hash === scene.status.deployHash && { disposalTriggerId: disposal.triggerId }),
  };
}

/** Whether the JobManager of an application's job did not answer when it was last asked. */
export function wasSilent({ conditions = [], clusterStatus, jobStatus }: ApplicationStatus): boolean {
  // Of a job that has ended, JobRunning tells that and not whether its JobManager responds.
  if (ENDS.includes(jobStatus?.state ?? '') && clusterStatus?.health === 'Red') return true;
  return conditions.some(({ type, status }) => type === 'JobRunning' && status === 'Unknown');
}

function jobIdsOn({ status }: Scene, hash: string): readonly string[] {
  const { deployHash, rollout, jobStatus } = status;
  const ids = new Set<string | undefined>();
  if (hash === deployHash) {
    if (jobStatus?.jobID !== rollout?.jobId || rollout?.hash === deployHash) ids.add(jobStatus?.jobID);
    ids.add(rollout?.oldJobId);
    ids.add(rollout?.rollbackJobId);
  }
  if (hash === rollout?.hash) ids.add(rollout.jobId);
  return [...ids].filter((id) => id !== undefined && id !== '') as string[];
}

function questionsOfJob({ status, options }: Scene, jobId: string): JobQuestions {
  const { phase, rollout, savepointTriggerId, jobStatus, periodicSavepoint: periodic } = status;
  const isOld = jobId === (rollout?.oldJobId ?? jobStatus?.jobID);
  const isEnding = phase === 'Savepointing' || phase === 'Recovering' || phase === 'RollingBackJob';
  const isAtRest = rollout === undefined;
  const mayBeSaved = (isOld && isEnding) || phase === 'Deleting';
  return {
    jobId,
    checkpoints: true,
    checkpointConfig: isOld && (isEnding || (isAtRest && (options.scalesInPlace || options.restartsFromCheckpoint))),
    resourceRequirements: isOld && (isAtRest ? options.scalesInPlace : rollout.kind === 'InPlace'),
    ...(mayBeSaved && savepointTriggerId && { savepointTriggerId }),
    ...(periodic?.triggerId && periodic.jobId === jobId && { periodicTriggerId: periodic.triggerId }),
  };
}

/** The plan is asked for when every pod is ready, and not before: it runs the job's main method. */
function planOf(scene: Scene, hash: string): JobRequest | undefined {
  const { status } = scene;
  if (status.phase !== 'ClusterStarting' || hash !== status.rollout?.hash) return undefined;
  const { jobManager, taskManager } = clusterOf(scene, hash) ?? {};
  const revision = targetRevision(scene);
  if (jobManager === undefined || taskManager === undefined || revision === undefined) return undefined;
  const isReady = jobManager.availableReplicas > 0 && taskManager.availableReplicas >= taskManager.replicas;
  return isReady ? jobRequestOf(revision) : undefined;
}

/** A cluster of which it has to be read what its high availability keeps, and the id under which it does. */
export interface ClusterToClear {
  readonly hash: string;
  readonly clusterId: string;
}

/** The clusters that are to go, or go with their application. */
export function clustersToClear(scene: Scene): readonly ClusterToClear[] {
  const { application, status, options, observation } = scene;
  const { tearDownVersionHash: tornDown } = options;
  const isTornDown = status.phase === 'DualRunning' && observation.clusters.has(tornDown);
  const isDeleting = status.phase === 'Deleting' && options.deleteMode !== 'None';
  const atRest = isAtRest(status) ? leftoverHashes(scene) : isTornDown ? [tornDown] : [];
  const hashes = isDeleting ? [...observation.clusters.keys()] : atRest;
  return hashes.map((hash) => ({
    hash,
    clusterId: clusterIdOf(scene, hash) ?? legacyClusterId(application.name, hash),
  }));
}

/** Whether the ControllerRevisions have to be read: not while the spec is what runs. */
export function needsRevisions(scene: Scene): boolean {
  const { desired, status } = scene;
  if (status.phase === 'Suspended' && isSuspensionWanted(scene)) return false;
  if (isWithinWindow(scene)) return true;
  return status.rollout !== undefined || !('name' in desired) || desired.name !== status.currentRevision;
}

/**
 * The cluster of which it has to be known whether its JobManager is still the process that it was: where a job is submitted.
 * One of several is no other when another of them is started again: with high availability no job is forgotten.
 */
export function hashOfSubmission(scene: Scene): string | undefined {
  const { phase, rollout, deployHash } = scene.status;
  const isSubmitting = phase === 'SubmittingJob' || phase === 'RollingBackJob';
  const hash = phase === 'SubmittingJob' ? rollout?.hash : deployHash;
  return isSubmitting && clusterOf(scene, hash)?.jobManager?.replicas === 1 ? hash : undefined;
}

/** Whether the pods have to be looked at for what hinders them. */
export function needsTroubles({ status }: Scene): boolean {
  return status.phase === 'ClusterStarting' || status.phase === 'Rescaling';
}
