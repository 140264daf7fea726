// Running and DeployFailed: is the spec what runs? If it is, the cluster is kept as it was deployed, what is left of others is
// taken away, and a job that is gone is said to be gone, or brought back where the spec asks for it.

import { beginInPlace, beginNewCluster } from './begin.ts';
import { FORCED } from './cluster-start.ts';
import { creation, isComplete, isStopped, scaleTo } from './clusters.ts';
import { findRecordedSize, tellRecordedSize } from './ended-jobs.ts';
import { failureOf, finalFailureLike, forgetFailure } from './failures.ts';
import { jobManagersOf } from './flink-config.ts';
import { areSameButForSize } from './identity.ts';
import { leftoverHashes, removal } from './remove-cluster.ts';
import { rollBackVersion } from './rollback-window.ts';
import { tendSavepoints } from './savepoints.ts';
import {
  after,
  clusterOf,
  currentRevision,
  deployedColour,
  deployedJobView,
  forgetErrors,
  isBlueGreen,
  isFirstDeploy,
  isPast,
  jobOf,
  jobStateAt,
  jobStateOf,
  known,
  normal,
  note,
  type Scene,
  settledMode,
  stay,
  type Transition,
  telling,
  type WantedRevision,
  warning,
} from './scene.ts';
import { findRestorePath, isUnsettled } from './stop-old-job.ts';
import { pointService } from './submit.ts';
import { beginSuspending, isSuspensionWanted, mustWaitToSuspend, suspendNothing } from './suspension.ts';
import { genericServiceName } from './templates.ts';
import type { ApplicationStatus, Effect, Event, Failure, JobView, OneFailedDeploy } from './types.ts';

/** So many revisions are kept beside those in use: what was deployed can be looked up, and deployed again. */
const REVISION_HISTORY_LIMIT = 10;

export function keepAtRest(seen: Scene): Transition {
  if (isSuspensionWanted(seen)) return suspend(seen);
  const scene = forgetSuspending(seen);
  const { desired } = scene;
  const change = 'faults' in desired ? 'None' : findChange(scene, desired);
  if (change === 'Begin' && 'name' in desired && isCleared(scene)) return beginDeploy(scene, desired);
  const settled = change === 'Same' ? settle(rename(scene)) : scene;
  const refused = change === 'Refused' ? refuse(settled) : undefined;
  if (refused !== undefined) return refused;
  const next = hasUpkeep(settled)
    ? undefined
    : (rollBackVersion(settled) ?? restart(settled) ?? tendSavepoints(settled));
  const kept = next ?? keepUp(settled);
  return change === 'Recorded' ? tellRecordedSize(scene, kept) : kept;
}

/** The job is ended once no other is left of a deploy before; one that could not be saved a short while ago runs on meanwhile. */
function suspend(scene: Scene): Transition {
  if (!isCleared(scene)) return keepUp(scene);
  if (isFirstDeploy(scene)) return suspendNothing(scene);
  return mustWaitToSuspend(scene) ? keepUp(scene) : beginSuspending(scene);
}

/** On what is left of the last deploy a job may still run: it goes, or stops, before anything else begins. */
function isCleared(scene: Scene): boolean {
  return leftoverHashes(scene).every((hash) => isStopped(clusterOf(scene, hash)));
}

/** A job that could not be suspended is not to be suspended any more. */
function forgetSuspending(scene: Scene): Scene {
  const { failedSuspension, ...status } = scene.status;
  return failedSuspension === undefined ? scene : { ...scene, status };
}

function hasUpkeep(scene: Scene): boolean {
  return repair(scene).length + removeLeftovers(scene).length > 0;
}

/** Keeps what is deployed as it was deployed, and takes away what is left of anything else. */
function keepUp(scene: Scene): Transition {
  const upkeep = [...pinAnew(scene), ...repair(scene), ...removeLeftovers(scene)];
  return telling(stay(scene, [...upkeep, ...prune(scene)]), ...tornDown(upkeep));
}

type Change =
  /** The spec is what runs. */
  | 'Same'
  /** It is not, and is deployed now. */
  | 'Begin'
  /** It failed a short while ago, or for good. */
  | 'Waits'
  /** It differs in its size alone, and the job does not run: that starts no job again. */
  | 'Recorded'
  /** It is not, and no change is deployed. */
  | 'Refused';

function findChange(scene: Scene, { name, revision, specDigest }: WantedRevision): Change {
  const { status, now } = scene;
  if (name === status.currentRevision) return 'Same';
  if (findRefusal(scene) !== undefined) return 'Refused';
  if (findRecordedSize(scene) !== undefined) return 'Recorded';
  const failed = failureOf(status, name) ?? finalFailureLike(scene, revision);
  const isKnownToFail = failed !== undefined && (failed.specDigest ?? specDigest) === specDigest;
  return isKnownToFail && !mayRetry(failed, now) ? 'Waits' : 'Begin';
}

function mayRetry({ retryTime }: OneFailedDeploy, now: number): boolean {
  return isPast(retryTime, now);
}

/** What is wanted runs: a failure before it is history, unless it is the job itself that fails to come back. */
function settle(scene: Scene): Scene {
  const { status } = scene;
  if (status.phase === 'Running' && status.failedDeploy === undefined) return scene;
  if (status.failedDeploy?.revision === status.currentRevision && !isJobActive(scene)) return scene;
  return { ...scene, status: forgetErrors({ ...forgetFailure(status), phase: 'Running' }) };
}

/**
 * Where fewer labels and annotations count than when it was deployed, what is deployed is pinned once more under the name that it
 * would be given now: as long as the names differ, the revisions have to be read at every look.
 */
function pinAnew(scene: Scene): readonly Effect[] {
  const { desired, status, observation } = scene;
  const revision = currentRevision(scene);
  if (!('name' in desired) || desired.name !== status.currentRevision || revision === undefined) return [];
  const { name, ownName } = desired;
  return name === ownName || observation.revisions.has(ownName)
    ? []
    : [{ kind: 'CreateRevision', name: ownName, revision }];
}

/** The failure of a restart names the revision too, and is about to pass. */
function rename(scene: Scene): Scene {
  const { desired, status, observation } = scene;
  if (!('name' in desired) || !observation.revisions.has(desired.ownName) || status.failedDeploy) return scene;
  const { ownName } = desired;
  return { ...scene, status: { ...status, currentRevision: ownName }, desired: { ...desired, name: ownName } };
}

function isJobActive(scene: Scene): boolean {
  const state = jobStateAt(scene, scene.status.deployHash, scene.status.jobStatus?.jobID);
  return state === 'Active' || state === 'Finished' || state === 'FinishedOrStopped';
}

function refuse(scene: Scene): Transition | undefined {
  const refusal = findRefusal(scene);
  if (refusal === undefined || scene.status.phase === 'DeployFailed') return undefined;
  return note(scene, { phase: 'DeployFailed' }, [warning(refusal.reason, refusal.message)]);
}

/** Why no change at all is deployed. */
export function findRefusal(scene: Scene): Failure | undefined {
  const { options } = scene;
  const mode = settledMode(scene);
  if (mode !== options.deploymentMode)
    return {
      reason: 'UnsupportedChange',
      message: `deploymentMode is ${mode} and cannot become ${options.deploymentMode}`,
    };
  if (options.isRollbackForced)
    return { reason: 'DeployFailed', message: `${FORCED.message}: the change is not deployed` };
  return undefined;
}

/** A change of size alone may leave the cluster where it is. */
function beginDeploy(scene: Scene, wanted: WantedRevision): Transition {
  const { options } = scene;
  const current = currentRevision(scene);
  if (
    !options.scalesInPlace ||
    current === undefined ||
    !areSameButForSize(current, wanted.revision, options.excludedMetadata)
  )
    return beginNewCluster(scene, wanted);
  if (isBlueGreen(scene))
    return telling(beginNewCluster(scene, wanted), warning('NotScalingInPlace', 'BlueGreen does not scale in place'));
  const view = deployedJobView(scene);
  const state = jobStateOf(view);
  // Of a job that does not run a JobManager says no more than that.
  const mayRun = state === 'Active' || state === 'Unreadable';
  if (mayRun && isHalfRead(scene, view)) return stay(scene);
  // A batch job cannot be given another size without being cancelled: that is said where it costs nothing.
  if (state !== 'Active' || jobOf(view)?.isBatch) return beginNewCluster(scene, wanted);
  const isAdaptive = known(view?.resourceRequirements) !== undefined;
  const hasCheckpoints = known(view?.checkpointConfig)?.intervalMilliseconds !== undefined;
  // With parallelism 1 a vertex that has a parallelism of its own looks like one that follows the job's.
  if (isAdaptive && hasCheckpoints && current.parallelism > 1) return beginInPlace(scene, wanted, 'InPlace');
  const grows =
    wanted.revision.taskManagers > current.taskManagers && wanted.revision.parallelism > current.parallelism;
  return grows ? beginInPlace(scene, wanted, 'InPlaceWithSavepoint') : beginNewCluster(scene, wanted);
}

/** One answer that failed to come must not cost the job its cluster; a JobManager that is silent for long is another matter. */
function isHalfRead({ status, now, options }: Scene, view: JobView | undefined): boolean {
  const unread = [view?.job, view?.resourceRequirements, view?.checkpointConfig];
  if (unread.every((reading) => reading !== undefined && 'value' in reading)) return false;
  const condition = status.conditions?.find(({ type }) => type === 'JobRunning');
  const silentSince = condition?.status === 'Unknown' ? Date.parse(condition.lastTransitionTime) : now;
  return now - silentSince < options.timeouts.clusterStartSeconds * 1000;
}

/** What somebody deleted or resized by hand is made as it was deployed. */
function repair(scene: Scene): readonly Effect[] {
  const { application, status, desired } = scene;
  const { deployHash: hash } = status;
  const isSame = 'name' in desired && desired.name === status.currentRevision;
  const revision = isSame ? desired.revision : currentRevision(scene);
  // A cluster that Lyft's operator has scaled in place bears two hashes: it is left as it is.
  if (hash === undefined || revision === undefined || status.inPlaceUpdatedFromHash) return [];
  const cluster = clusterOf(scene, hash);
  const version = deployedColour(scene);
  const generic = scene.observation.services.get(genericServiceName(application.name, version));
  if (!isComplete(cluster) || generic === undefined) return [creation(scene, { hash, revision, version })];
  const pointing = isBlueGreen(scene) ? [] : pointService(scene, hash);
  return [
    ...scaleTo(cluster?.jobManager, jobManagersOf(revision.spec)),
    ...scaleTo(cluster?.taskManager, revision.taskManagers),
    ...pointing,
  ];
}

function removeLeftovers(scene: Scene): readonly Effect[] {
  return leftoverHashes(scene).flatMap((hash) => removal(scene, hash));
}

/** What is done to clusters that are left over. */
export function tornDown(effects: readonly Effect[]): readonly Event[] {
  return effects.flatMap((effect) =>
    effect.kind === 'DeleteCluster'
      ? [normal('ToreDownCluster', `Tore down Flink cluster ${effect.hash}`)]
      : effect.kind === 'CancelJob'
        ? [normal('ForceCanceling', `Cancelling job ${effect.jobId}, which is left on cluster ${effect.hash}`)]
        : [],
  );
}

function prune({ observation, status, desired }: Scene): readonly Effect[] {
  const { failedDeploy, currentRevision: current, previousDeploy } = status;
  const failed = [failedDeploy?.revision, failedDeploy?.earlier?.revision];
  const used = [current, 'name' in desired ? desired.name : undefined, previousDeploy?.revision, ...failed];
  const unused = [...observation.revisions.keys()].filter((name) => !used.includes(name));
  return unused
    .slice(0, Math.max(0, unused.length - REVISION_HISTORY_LIMIT))
    .map((name) => ({ kind: 'DeleteRevision', name }));
}

/** With restartPolicy FromLatestCheckpoint, a job that has failed or was lost begins again where its latest checkpoint was. */
function restart(scene: Scene): Transition | undefined {
  const { status, options, now } = scene;
  const { deployHash, currentRevision: revision } = status;
  if (!options.restartsFromCheckpoint || !deployHash || !revision || isBlueGreen(scene)) return undefined;
  const view = deployedJobView(scene);
  const state = jobStateAt(scene, deployHash, status.jobStatus?.jobID);
  if (state !== 'Lost' && state !== 'Failed') return undefined;
  const failed = failureOf(status, revision);
  if (failed !== undefined && !mayRetry(failed, now)) return undefined;
  if (isUnsettled(view)) return undefined;
  const origin = findRestorePath(scene, view, state);
  if ('fault' in origin && !options.fallsBackWithoutState) return undefined;
  const savepointPath = 'path' in origin ? origin.path : '';
  return beginRestart(scene, { deployHash, revision, savepointPath });
}

interface Restart {
  readonly deployHash: string;
  readonly revision: string;
  readonly savepointPath: string;
}

function beginRestart(scene: Scene, { deployHash, revision, savepointPath }: Restart): Transition {
  const { status, now, options } = scene;
  const oldJobId = status.jobStatus?.jobID;
  const rollout = {
    kind: 'Restart' as const,
    revision,
    hash: deployHash,
    startTime: after(now, 0),
    deadline: after(now, options.timeouts.submitSeconds + options.timeouts.clusterStartSeconds),
    ...(oldJobId && { oldJobId }),
  };
  const { savepointTriggerId, ...rest } = forgetErrors(status);
  const next: ApplicationStatus = { ...rest, phase: 'SubmittingJob', savepointPath, rollout };
  const from = savepointPath === '' ? 'without state' : `from ${savepointPath}`;
  const events: Event[] = [warning('RestartingJob', `Job ${oldJobId} is gone: it is started again ${from}`)];
  return { status: next, effects: [], events };
}
