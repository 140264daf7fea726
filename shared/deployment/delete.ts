// Deleting: the job ends as spec.deleteMode says, then the finalizer goes, and Kubernetes takes the rest by its owner references.
// Waiting has an end: an application that cannot be saved does not hang in its namespace for ever, and it is said what was lost.

import { JOB_FINALIZER } from './begin.ts';
import { isStopped } from './clusters.ts';
import { endWithSavepoint } from './end-with-savepoint.ts';
import { noteFailedAttempt } from './failures.ts';
import { deriveId } from './ids.ts';
import { clearHighAvailability } from './remove-cluster.ts';
import {
  after,
  classify,
  clusterOf,
  hasEnded,
  isBlueGreen,
  isPast,
  type JobState,
  jobOf,
  jobStateOf,
  jobViewOf,
  known,
  LOST,
  lastKnownStateAt,
  normal,
  note,
  type Scene,
  stay,
  type Transition,
  telling,
  warning,
} from './scene.ts';
import { clauses } from './sentences.ts';
import { isUnsettled } from './stop-old-job.ts';
import type { Cluster, Deletion, Event, JobView } from './types.ts';

/** A savepoint that failed so often is not tried again. */
const MAX_SAVEPOINTS = 3;

/** Before the second try 6.4 s, before the third twice that. */
const FIRST_WAIT_EXPONENT = 6;

/** A second one would make the first fail, and the first ends the job, if it comes late too. */
const SAVING_PHASES = ['Savepointing', 'Recovering', 'RollingBackJob', 'Deleting'];

export function beginDeleting(scene: Scene): Transition {
  const { savepointSeconds } = scene.options.timeouts;
  const { savepointTriggerId, lastSeenError, retryCount, ...status } = scene.status;
  // A savepoint that is being taken would cancel the job as well: it is waited for, not doubled.
  const isSaving = SAVING_PHASES.includes(status.phase ?? '');
  const underway = isSaving && savepointTriggerId ? { savepointTriggerId } : {};
  const deletion = { deadline: after(scene.now, MAX_SAVEPOINTS * savepointSeconds), attempts: 0 };
  const { savepointPath: suspendedAt } = status.suspension ?? {};
  const kept = suspendedAt && normal('SavepointKept', `The application was suspended: its state is in ${suspendedAt}`);
  return { status: { ...status, ...underway, phase: 'Deleting', deletion }, effects: [], events: kept ? [kept] : [] };
}

export function deleteApplication(scene: Scene): Transition {
  const { application, options, status, now } = scene;
  if (!application.finalizers.includes(JOB_FINALIZER)) return stay(scene);
  if (options.deleteMode === 'None') return release(scene);
  const jobs = jobsOf(scene);
  const saved = jobs.flatMap((job) => untoldSavepoint(scene, job))[0];
  if (saved !== undefined) return noteSavepoint(scene, saved.id, saved.location);
  const job = jobs.find((candidate) => !hasEnded(candidate.state) || mayBeSaved(candidate));
  const deletion = status.deletion ?? { deadline: after(now, 0), attempts: 0 };
  if (job === undefined) return clearClusters(scene, deletion) ?? releaseWithLosses(scene);
  if (isPast(deletion.deadline, now))
    return giveUp(scene, job, status.lastSeenError?.appError ?? 'it did not end in time');
  if (job.state === 'Unreadable' || job.state === 'Cancelling' || hasEnded(job.state)) return stay(scene);
  if (options.deleteMode === 'ForceCancel') return stay(scene, [{ kind: 'CancelJob', hash: job.hash, jobId: job.id }]);
  return saveAndEnd(scene, job, deletion);
}

/** What high availability keeps outlives the application's own objects, so it goes first. */
function clearClusters(scene: Scene, { deadline }: Deletion): Transition | undefined {
  if (isPast(deadline, scene.now)) return undefined;
  const clearing = [...scene.observation.clusters.values()].flatMap((cluster) => {
    const effects = clearHighAvailability(cluster);
    return effects === undefined ? [] : [effects];
  });
  return clearing.length === 0 ? undefined : stay(scene, clearing.flat());
}

function release(scene: Scene): Transition {
  return stay(scene, [{ kind: 'RemoveFinalizer' }]);
}

/** A job whose pods somebody else has deleted took its state with it, up to its latest checkpoint. */
function releaseWithLosses(scene: Scene): Transition {
  const lost = findLostJob(scene);
  if (lost === undefined) return release(scene);
  return telling(
    release(scene),
    deletedWithoutSavepoint(scene, lost.id, `the pods of its cluster ${lost.hash} were gone before`),
  );
}

/** The job that was to be saved and ran when it was last seen, where nothing is left that could still save it. */
function findLostJob({
  status,
  options,
  observation,
}: Scene): { readonly hash: string; readonly id: string } | undefined {
  const { deployHash, jobStatus, rollout, savepointPath } = status;
  const isNew = rollout?.isSubmitted === true && rollout.jobId !== undefined;
  const id = isNew ? rollout.jobId : (rollout?.oldJobId ?? jobStatus?.jobID);
  const hash = isNew ? rollout.hash : deployHash;
  if (options.deleteMode !== 'Savepoint' || !id || !hash) return undefined;
  // What Headrace itself has stopped is still there, without pods; and an old job may have ended with the savepoint of a deploy.
  const isThere = observation.clusters.get(hash)?.jobManager !== undefined;
  if (isThere || (savepointPath && !isNew)) return undefined;
  const isKnownToHaveEnded = jobStatus?.jobID === id && hasEnded(classify(jobStatus.state ?? ''));
  return isKnownToHaveEnded || jobStatus?.state === LOST ? undefined : { hash, id };
}

interface DoomedJob {
  readonly hash: string;
  readonly id: string;
  readonly view: JobView | undefined;
  readonly state: JobState;
}

/** The deployed job, and the one that was on its way, in this order. */
function jobsOf(scene: Scene): readonly DoomedJob[] {
  const { deployHash, jobStatus, rollout } = scene.status;
  const jobs = [
    [deployHash, rollout?.oldJobId ?? jobStatus?.jobID],
    [deployHash, rollout?.rollbackJobId],
    [rollout?.hash ?? deployHash, rollout?.jobId],
  ] as const;
  return jobs
    .flatMap(([hash, id]) => (hash && id ? [{ hash, id, view: jobViewOf(scene, hash, id) }] : []))
    .filter(({ hash }) => !isStopping(clusterOf(scene, hash)))
    .map((job) => ({ ...job, state: stateOf(scene, job) }));
}

/** What a savepoint that was asked for has come to is only known to the JobManager. */
function stateOf(scene: Scene, { hash, id, view }: Omit<DoomedJob, 'state'>): JobState {
  return scene.status.savepointTriggerId ? jobStateOf(view) : lastKnownStateAt(scene, hash, id);
}

/** Without a JobManager there is no job; one that is about to go says no more of it. */
function isStopping(cluster: Cluster | undefined): boolean {
  return isStopped(cluster) || cluster?.jobManager?.replicas === 0;
}

/** A job ends with its savepoint, so it is often gone when the savepoint is seen to be complete. */
function untoldSavepoint({ status }: Scene, { id, view }: DoomedJob): { id: string; location: string }[] {
  const location = locationOf(view, status.savepointPath);
  return location === undefined || location === status.savepointPath ? [] : [{ id, location }];
}

/**
 * A job that fails while it stops leaves a savepoint that is complete, though the stop has failed. What became of a stop is forgotten
 * after some minutes, and which savepoint ended a job is not.
 */
function locationOf(view: JobView | undefined, told: string | undefined): string | undefined {
  const savepoint = known(view?.savepoint);
  if (savepoint?.state === 'Completed') return savepoint.location;
  const latest = known(view?.checkpoints)?.latestSavepoint;
  const state = jobStateOf(view);
  const hasFailedToStop = savepoint?.state === 'Failed' && state === 'Failed';
  // Of two jobs, the one that was ended first is not asked about any more.
  const isForgotten = !told && savepoint?.state === 'Unknown' && state === 'Stopped';
  return latest?.isFinal === true && (hasFailedToStop || isForgotten) ? latest.path : undefined;
}

/** A job that has ended, and of which it is not known yet whether that left a savepoint. */
function mayBeSaved({ state, view }: DoomedJob): boolean {
  const savepoint = known(view?.savepoint)?.state;
  const mayHaveFailedToStop = state === 'Failed' && savepoint === 'Failed' && isUnsettled(view);
  return state === 'FinishedOrStopped' || savepoint === 'InProgress' || mayHaveFailedToStop;
}

function saveAndEnd(scene: Scene, job: DoomedJob, deletion: Deletion): Transition {
  const { status } = scene;
  const { hash, id: jobId, view } = job;
  if (jobOf(view)?.isBatch) return giveUp(scene, job, 'Flink takes none of a job in BATCH mode');
  const triggerId = savepointId(scene, job, deletion.attempts);
  // Not every job that can be cancelled can be stopped.
  const cancels = deletion.attempts > 0;
  const isAwaited = status.savepointTriggerId === triggerId || (!cancels && isUnderway(scene, view));
  if (!isAwaited) {
    const event = normal('CancellingJob', `${cancels ? 'Cancelling' : 'Stopping'} job ${jobId} with a savepoint`);
    return note(scene, { savepointTriggerId: triggerId }, [event]);
  }
  const savepoint = known(view?.savepoint);
  switch (savepoint?.state) {
    case 'Unknown': {
      const order = { hash, jobId, triggerId: status.savepointTriggerId ?? triggerId, cancels };
      return stay(scene, [endWithSavepoint(scene, order)]);
    }
    case 'Failed':
      return retrySavepoint(scene, job, deletion, savepoint.cause);
    default:
      return isOverdue(scene, deletion) ? retrySavepoint(scene, job, deletion, 'it did not end in time') : stay(scene);
  }
}

/** Of the time that is left, each savepoint that may still be tried has its share; the last one has all. */
function isOverdue({ now, options }: Scene, { deadline, attempts }: Deletion): boolean {
  const left = MAX_SAVEPOINTS - 1 - attempts;
  return left > 0 && now >= Date.parse(deadline) - left * options.timeouts.savepointSeconds * 1000;
}

/** The id differs with the job and the attempt, so that one savepoint is never taken for another. */
function savepointId({ application }: Scene, { id }: DoomedJob, attempts: number): string {
  return deriveId(application.uid, 'delete', id, attempts);
}

/** A savepoint that was triggered before the deletion; outside BlueGreen it cancels the job when it is complete. */
function isUnderway(scene: Scene, view: JobView | undefined): boolean {
  if (!scene.status.savepointTriggerId) return false;
  const state = known(view?.savepoint)?.state;
  return state === 'InProgress' || (state === 'Completed' && !isBlueGreen(scene));
}

/** The path is told in an Event, which outlives the application for an hour. */
function noteSavepoint(scene: Scene, jobId: string, location: string): Transition {
  const event = normal('CanceledJob', `Ended job ${jobId} with savepoint ${location}`);
  return note(scene, { savepointPath: location }, [event]);
}

function retrySavepoint(scene: Scene, job: DoomedJob, deletion: Deletion, cause: string): Transition {
  const attempts = deletion.attempts + 1;
  if (attempts >= MAX_SAVEPOINTS)
    return giveUp(scene, job, `${attempts} savepoints failed, the last one with: ${cause}`);
  // Flink restarts a job whose savepoint has failed, and takes none of it meanwhile.
  const exponent = FIRST_WAIT_EXPONENT + attempts - 1;
  const message = `Savepoint failed: ${cause}`;
  const status = { ...scene.status, deletion: { ...deletion, attempts } };
  const noted = noteFailedAttempt(status, message, { exponent, now: scene.now });
  return { status: noted, effects: [], events: [warning('SavepointFailed', message)] };
}

/** The user wants the application gone: it goes, and says from where it could be begun again. */
function giveUp(scene: Scene, { id }: DoomedJob, cause: string): Transition {
  return telling(release(scene), deletedWithoutSavepoint(scene, id, cause));
}

function deletedWithoutSavepoint({ status }: Scene, id: string, cause: string): Event {
  const { lastCheckpoint } = status.jobStatus ?? {};
  const from = lastCheckpoint ? `its latest known checkpoint is ${lastCheckpoint}` : 'no checkpoint of it is known';
  return warning('DeletedWithoutSavepoint', clauses(`Job ${id} was deleted without a savepoint: ${cause}`, from));
}
