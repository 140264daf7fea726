// Savepointing, Cancelling and Recovering: the old job ends, with its state safe, before another may begin. Two jobs never run
// at once (BlueGreen apart, where that is the point): the end of the old one is seen, not assumed.

import { batchJobFailure, FORCED } from './cluster-start.ts';
import { isStopped, stopCluster } from './clusters.ts';
import { endWithSavepoint } from './end-with-savepoint.ts';
import { endMeanwhile, hasFinishedItself, withdrawSize } from './ended-jobs.ts';
import { failDeploy, nextId, noteFailedAttempt, rollBack } from './failures.ts';
import {
  clusterOf,
  enter,
  exhaustion,
  hasEnded,
  isBlueGreen,
  isFirstDeploy,
  isPast,
  type JobState,
  jobOf,
  jobStateAt,
  jobStateOf,
  jobViewOf,
  known,
  livingJobsOn,
  normal,
  note,
  rolloutOf,
  type Scene,
  savepointOf,
  stay,
  type Transition,
  telling,
  warning,
} from './scene.ts';
import { clauses } from './sentences.ts';
import { beginningPath, completeSuspension, isSuspending, isSuspensionWithdrawn, WITHDRAWN } from './suspension.ts';
import type { Checkpoints, Effect, Failure, JobView, Savepoint } from './types.ts';

const SILENT = 'its JobManager does not answer';
const FINISHED: Failure = { reason: 'JobFinished', message: 'its job has finished by now' };

interface OldJob {
  readonly hash: string;
  readonly id: string;
  readonly view: JobView | undefined;
  readonly state: JobState;
}

/** The job that has to end; one that was never there, or whose whole cluster is stopped, has ended. */
export function oldJobOf(scene: Scene): OldJob {
  const hash = scene.status.deployHash ?? '';
  const { oldJobId } = rolloutOf(scene);
  const { id, state } = oldJobId === undefined ? unrecordedJobOn(scene, hash) : { id: oldJobId, state: undefined };
  const view = jobViewOf(scene, hash, id);
  const isOver = hash === '' || isStopped(clusterOf(scene, hash));
  return { hash, id, view, state: isOver ? 'Lost' : (state ?? jobStateAt(scene, hash, id)) };
}

/** Lyft's operator forgets the id of the old job before that has ended: in a deploy that was taken over it may still run. */
function unrecordedJobOn(scene: Scene, hash: string): { readonly id: string; readonly state: JobState } {
  if (hash === rolloutOf(scene).hash && !isSuspending(scene)) return { id: '', state: 'Lost' };
  const living = livingJobsOn(scene, hash);
  if (living === undefined) return { id: '', state: 'Unreadable' };
  return living[0] ?? { id: '', state: 'Lost' };
}

/** Savepointing: the old job is ended with a savepoint; in BlueGreen it is saved, and goes on. */
export function takeSavepoint(scene: Scene): Transition {
  const { status, options, now } = scene;
  if (isFirstDeploy(scene)) return goOnFrom(scene, beginningPath(scene));
  const { state, view, hash, id } = oldJobOf(scene);
  if (isSuspensionWithdrawn(scene)) return rollBack(scene, WITHDRAWN);
  if (status.savepointPath) return leaveSavepointing(scene, view, state);
  if (isRollbackForced(scene)) return rollBack(scene, FORCED);
  const savepoint = savepointOf(scene, view);
  if (savepoint?.state === 'Completed') return completeSavepoint(scene, savepoint.location);
  if (state === 'FinishedOrStopped' && !isPast(status.rollout?.deadline, now)) return stay(scene);
  if (hasFinishedItself(scene, state, view)) return leaveFinished(scene, id);
  if (state === 'Stopped') return leaveStopped(scene, view, id);
  if (savepoint?.state === 'Failed') return cancelInstead(scene, savepoint) ?? failSavepoint(scene, savepoint);
  if (hasEnded(state)) return leaveEnded(scene, id, state);
  // A savepoint under way ends the job when it is complete: one that is to be suspended is not kept from that.
  const mayTakeLonger = isSuspending(scene) && savepoint?.state === 'InProgress';
  if (isPast(status.rollout?.deadline, now) && !mayTakeLonger)
    return recover(scene, `No savepoint within ${options.timeouts.savepointSeconds} s`);
  const refusal = exhaustion(scene);
  if (refusal !== undefined) return refuseSavepoint(scene, refusal);
  if (state === 'Unreadable') return stay(scene);
  if (jobOf(view)?.isBatch) return leaveBatchJob(scene, id);
  if (!status.savepointTriggerId) return announceSavepoint(scene, id);
  return stay(scene, isUntriggered(savepoint) && maySave(scene, view) ? [trigger(scene, hash, id)] : []);
}

/** A job that Flink restarts, after a stop that failed, is saved when it runs again. */
function maySave(scene: Scene, view: JobView | undefined): boolean {
  const { cancelAttempts = 0 } = rolloutOf(scene);
  return cancelAttempts === 0 || jobOf(view)?.vertices.every(({ status }) => status === 'RUNNING') === true;
}

/**
 * It was stopped with a savepoint: by this deploy, whose savepoint its JobManager has forgotten since, or by somebody before, and
 * then that is as old as any other.
 */
function leaveStopped(scene: Scene, view: JobView | undefined, id: string): Transition {
  if (scene.status.savepointTriggerId) {
    const { startTime } = rolloutOf(scene);
    const saved = known(view?.checkpoints)?.latestSavepoint;
    if (saved !== undefined && saved.time >= Date.parse(startTime)) return completeSavepoint(scene, saved.path);
    return recover(scene, `The savepoint with which job ${id} was stopped is not known`);
  }
  const withdrawn = withdrawSize(scene, 'Stopped');
  return withdrawn ?? enter(noteEnd(scene, 'Stopped'), 'Recovering', scene.options.timeouts.clusterStartSeconds);
}

type FailedSavepoint = Extract<Savepoint, { readonly state: 'Failed' }>;

function failSavepoint(scene: Scene, { cause }: FailedSavepoint): Transition {
  return recover(scene, `Savepoint failed: ${cause}`);
}

/** After a stop that hangs, the first savepoint is declined, and Flink restarts the job; the second finds it as it was. */
const MAX_CANCEL_ATTEMPTS = 2;
/** Before each of them 6.4 s. */
const WAIT_EXPONENT = 6;
const NOT_READY = /tasks not ready/;
const EXPIRED = /expired before completing/;

/**
 * Tries to cancel with a savepoint a job that could not be stopped: where it was to drain, since an operator may fail at that, and
 * where the stop hung, since a source may not end when it is told to.
 *
 * @returns undefined where that would not help
 */
function cancelInstead(scene: Scene, { cause }: FailedSavepoint): Transition | undefined {
  const { cancelAttempts = 0 } = rolloutOf(scene);
  if (isBlueGreen(scene) || oldJobOf(scene).state !== 'Active') return undefined;
  const mayBeCancelled = scene.options.drainsOnStop || EXPIRED.test(cause);
  if (cancelAttempts === 0 ? !mayBeCancelled : !NOT_READY.test(cause)) return undefined;
  return announceCancel(scene, `Savepoint failed: ${cause}`);
}

/** @returns undefined when it was tried often enough */
function announceCancel(scene: Scene, message: string): Transition | undefined {
  const { cancelAttempts = 0 } = rolloutOf(scene);
  if (cancelAttempts >= MAX_CANCEL_ATTEMPTS) return undefined;
  const { id, attempts } = nextId(scene, 'savepoint');
  const rollout = { attempts, cancelAttempts: cancelAttempts + 1 };
  const changes = { savepointTriggerId: id, rollout };
  const entered = enter(scene, 'Savepointing', scene.options.timeouts.savepointSeconds, changes);
  // Flink may be restarting the job, and its page may be of a moment before.
  const noted = noteFailedAttempt(entered.status, message, { exponent: WAIT_EXPONENT, now: scene.now });
  const event = warning('SavepointFailed', clauses(message, 'the job is cancelled with a savepoint instead'));
  return { ...entered, status: noted, events: [event] };
}

/** A job that came to its end by itself leaves no state; a size alone does not start it again. */
function leaveFinished(scene: Scene, id: string): Transition {
  const event = normal('JobFinished', `Job ${id} has finished: there is no state to take over`);
  return withdrawSize(scene, 'Finished') ?? telling(goOnFrom(noteEnd(scene, 'Finished'), ''), event);
}

/** A job of which no savepoint can be taken any more; before one was asked for, its end was none of the deploy's doing. */
function leaveEnded(scene: Scene, id: string, state: JobState): Transition {
  if (scene.status.savepointTriggerId && state === 'Lost') return leaveLostWhileSaved(scene, id);
  const message = `Job ${id} does not run (${state}): no savepoint can be taken`;
  if (scene.status.savepointTriggerId) return recover(scene, message);
  return withdrawSize(scene, state) ?? recover(noteEnd(scene, state), message);
}

/**
 * Its JobManager was restarted before it was seen what became of the savepoint. If that was completed, the job has ended in good order,
 * and Flink has deleted the checkpoints that would serve otherwise: nothing may be called saved that was not seen to be.
 */
function leaveLostWhileSaved(scene: Scene, id: string): Transition {
  const where = `if its savepoint was completed, it is in the cluster's savepoint directory as savepoint-${id.slice(0, 6)}-…`;
  const message = `The JobManager lost job ${id} while it was stopped with a savepoint; ${where}`;
  return isSuspending(scene) ? keepRunning(scene, message) : recover(scene, message);
}

function noteEnd(scene: Scene, state: JobState): Scene {
  const rollout = rolloutOf(scene);
  const { oldJobEnd } = endMeanwhile(state);
  if (oldJobEnd === undefined || rollout.oldJobEnd !== undefined) return scene;
  return { ...scene, status: { ...scene.status, rollout: { ...rollout, oldJobEnd } } };
}

/** forceRollback gives deploys up; a job that is being suspended is not deployed. */
function isRollbackForced(scene: Scene): boolean {
  return scene.options.isRollbackForced && !isSuspending(scene);
}

function isUntriggered(savepoint: Savepoint | undefined): boolean {
  return savepoint?.state === 'Unknown';
}

/** A savepoint that is refused as a request (no directory is configured) is no sign of trouble: the job is left alone. */
function refuseSavepoint(scene: Scene, refusal: Failure): Transition {
  if (scene.status.lastSeenError?.isRetryable !== false) return recover(scene, refusal.message);
  const message = `No savepoint can be taken: ${refusal.message}`;
  return telling(rollBack(scene, { reason: 'SavepointRefused', message }), warning('SavepointFailed', message));
}

function leaveBatchJob(scene: Scene, jobId: string): Transition {
  const { reason, message } = batchJobFailure(jobId);
  if (scene.options.fallsBackWithoutState) return recover(scene, message);
  return telling(rollBack(scene, { reason, message }), warning('SavepointFailed', message));
}

/** The id is written down before the savepoint is triggered with it: whoever comes next asks for this one. */
function announceSavepoint(scene: Scene, jobId: string): Transition {
  const { id, attempts } = nextId(scene, 'savepoint');
  const event = isBlueGreen(scene)
    ? normal('SavepointingJob', `Taking a savepoint of job ${jobId}`)
    : normal('CancellingJob', `Stopping job ${jobId} with a savepoint`);
  return note(scene, { savepointTriggerId: id, rollout: { ...rolloutOf(scene), attempts } }, [event]);
}

function trigger(scene: Scene, hash: string, jobId: string): Effect {
  const triggerId = scene.status.savepointTriggerId ?? '';
  if (isBlueGreen(scene)) return { kind: 'TriggerSavepoint', hash, jobId, triggerId, cancelJob: false };
  const cancels = (rolloutOf(scene).cancelAttempts ?? 0) > 0;
  return endWithSavepoint(scene, { hash, jobId, triggerId, cancels });
}

function completeSavepoint(scene: Scene, location: string): Transition {
  const { id } = oldJobOf(scene);
  const event = isBlueGreen(scene)
    ? normal('SavepointCompleted', `Savepoint of job ${id} is at ${location}`)
    : normal('CanceledJob', `Ended job ${id} with savepoint ${location}`);
  return note(scene, { savepointPath: location }, [event]);
}

/** Right after its last savepoint the job still runs for a moment. */
function leaveSavepointing(scene: Scene, view: JobView | undefined, state: JobState): Transition {
  if (isBlueGreen(scene) || hasEnded(state)) return goOnFrom(scene, scene.status.savepointPath ?? '');
  const isLate = isPast(rolloutOf(scene).deadline, scene.now);
  if (!isLate && state === 'Active' && hasReturned(scene, view)) return saveAgain(scene);
  return waitForEnd(scene, state);
}

/**
 * Whether a job runs that had not ended yet when its savepoint was complete: its JobManager was started again, with high availability,
 * and knows the job and not that savepoint.
 */
export function hasReturned(scene: Scene, view: JobView | undefined): boolean {
  const { startTime } = rolloutOf(scene);
  return savepointOf(scene, view)?.state === 'Unknown' && (jobOf(view)?.startTime ?? 0) > Date.parse(startTime);
}

/** The job has ended, and this is where the next begins, if there is to be one. */
function goOnFrom(scene: Scene, savepointPath: string): Transition {
  if (isSuspending(scene)) return completeSuspension(scene, savepointPath);
  return enter(scene, 'SubmittingJob', scene.options.timeouts.submitSeconds, { savepointPath });
}

/** A job that runs is not suspended for less than a savepoint. */
function recover(scene: Scene, message: string): Transition {
  const { clusterStartSeconds } = scene.options.timeouts;
  if (isSuspending(scene) && !hasEnded(oldJobOf(scene).state)) return keepRunning(scene, message);
  return telling(enter(scene, 'Recovering', clusterStartSeconds), warning('SavepointFailed', message));
}

/** A job that was not suspended runs on, or is started again. */
function keepRunning(scene: Scene, message: string): Transition {
  return telling(rollBack(scene, { reason: 'SavepointFailed', message }), warning('SavepointFailed', message));
}

/** Cancelling: the old job is ended without its state, as spec.savepointDisabled says, or since its version is taken back. */
export function cancelOldJob(scene: Scene): Transition {
  if (isFirstDeploy(scene)) return goOnFrom(scene, beginningPath(scene));
  const { state, id } = oldJobOf(scene);
  if (isSuspensionWithdrawn(scene)) return rollBack(scene, WITHDRAWN);
  if (state === 'FinishedOrStopped' && !isPast(rolloutOf(scene).deadline, scene.now)) return stay(scene);
  if (state === 'Finished')
    return rolloutOf(scene).rollsBackTo ? failDeploy(scene, FINISHED) : leaveFinished(scene, id);
  if (hasEnded(state)) return goOnFrom(scene, rolloutOf(scene).rollsBackTo?.savepointPath ?? '');
  if (isRollbackForced(scene)) return rollBack(scene, FORCED);
  return waitForEnd(scene, state);
}

/** A job that does not end by itself is cancelled; one whose JobManager is silent ends when its cluster is stopped. */
function waitForEnd(scene: Scene, state: JobState): Transition {
  const { hash, id } = oldJobOf(scene);
  const isLate = isPast(rolloutOf(scene).deadline, scene.now);
  const hasSavepoint = Boolean(scene.status.savepointPath);
  if (state === 'Unreadable' || isLate) return stay(scene, isLate ? stopCluster(clusterOf(scene, hash)) : []);
  const mayEndByItself = state === 'Cancelling' || hasSavepoint;
  return stay(scene, mayEndByItself ? [] : [{ kind: 'CancelJob', hash, jobId: id }]);
}

/** Beyond the deadline: a job may end just before it, and its last checkpoint is known some seconds after its end. */
const UNSETTLED_SECONDS = 60;

/**
 * Recovering: there is no savepoint, so the latest checkpoint has to serve. It is looked for before the old job is touched; a
 * job whose checkpoints would be deleted with it, or that has none, is left running.
 */
export function recoverFromCheckpoint(scene: Scene): Transition {
  const { options } = scene;
  const { state, view, id } = oldJobOf(scene);
  if (isSuspensionWithdrawn(scene)) return endSuspending(scene, WITHDRAWN);
  if (isRollbackForced(scene) && !hasEnded(state)) return rollBack(scene, FORCED);
  if (state === 'Unreadable') return waitForJobManager(scene);
  const savepoint = savepointOf(scene, view);
  // A savepoint that took longer than it was given is better than any checkpoint.
  if (savepoint?.state === 'Completed') return finishRecovering(scene, savepoint.location, state);
  if (hasFinishedItself(scene, state, view)) return leaveFinished(scene, id);
  if (hasEnded(state) || isBlueGreen(scene)) {
    if (isUnsettled(view) && !isPast(rolloutOf(scene).deadline, scene.now, UNSETTLED_SECONDS)) return stay(scene);
    const path = findRestorePath(scene, view, state);
    if ('path' in path) return finishRecovering(scene, path.path, state);
    if (options.fallsBackWithoutState || jobOf(view)?.isBatch) return goOnWithoutState(scene);
    return giveUpRecovering(scene, path.fault);
  }
  if (state === 'Cancelling') return waitForEnd(scene, state);
  return isSuspending(scene) ? saveAgain(scene) : endForCheckpoint(scene, view);
}

/** A job that was taken to have ended, or to be about to, runs again: its JobManager, with high availability, has found it. */
function saveAgain(scene: Scene): Transition {
  const { savepointTriggerId, savepointPath, ...status } = scene.status;
  return enter({ ...scene, status }, 'Savepointing', scene.options.timeouts.savepointSeconds);
}

/** The job runs: it is ended if it can begin again from what it leaves behind. */
function endForCheckpoint(scene: Scene, view: JobView | undefined): Transition {
  const job = jobOf(view);
  if (scene.options.fallsBackWithoutState) return waitForEnd(scene, 'Active');
  if (job?.isBatch) return giveUpRecovering(scene, batchJobFailure(job.id).message);
  const isLate = isPast(rolloutOf(scene).deadline, scene.now);
  if (known(view?.checkpointConfig) === undefined) return isLate ? giveUpRecovering(scene, SILENT) : stay(scene);
  const path = findRestorePath(scene, view, 'Canceled');
  if ('path' in path) return waitForEnd(scene, 'Active');
  // Without a checkpoint that it could be restored from, a job that cannot be stopped has to be saved in the other way.
  const isHanging = savepointOf(scene, view)?.state === 'InProgress' && !isBlueGreen(scene);
  const cancelling = isHanging ? announceCancel(scene, 'The job did not stop in time') : undefined;
  return cancelling ?? giveUpRecovering(scene, path.fault);
}

/**
 * The job of a silent JobManager may run well, and take checkpoints that delete the one on record: its cluster is stopped only
 * where the job may begin without state.
 */
function waitForJobManager(scene: Scene): Transition {
  if (!isPast(rolloutOf(scene).deadline, scene.now)) return stay(scene);
  const mayBegin = scene.options.fallsBackWithoutState && !isBlueGreen(scene);
  return mayBegin ? waitForEnd(scene, 'Unreadable') : giveUpRecovering(scene, SILENT);
}

function finishRecovering(scene: Scene, path: string, state: JobState): Transition {
  if (!hasEnded(state) && !isBlueGreen(scene)) return note(scene, { phase: 'Savepointing', savepointPath: path });
  if (isSuspending(scene)) return completeSuspension(scene, path);
  const event = normal('RestoringExternalizedCheckpoint', `Restoring from ${path}`);
  return telling(goOnFrom(scene, path), event);
}

function goOnWithoutState(scene: Scene): Transition {
  const event = warning(
    'RestoringWithoutExternalizedCheckpoint',
    'There is no checkpoint: the job begins without state',
  );
  return telling(goOnFrom(scene, ''), event);
}

function giveUpRecovering(scene: Scene, fault: string): Transition {
  if (isSuspending(scene)) return endSuspending(scene, { reason: 'RecoveryFailed', message: fault });
  return telling(rollBack(scene, { reason: 'RecoveryFailed', message: fault }), warning('RecoveryFailed', fault));
}

/** A job that had ended before it was to be suspended is not brought back; one that a savepoint may have ended is. */
function endSuspending(scene: Scene, failure: Failure): Transition {
  return scene.status.savepointTriggerId ? rollBack(scene, failure) : failDeploy(scene, failure);
}

/**
 * Whether a JobManager knows a job, but does not say yet which checkpoint was its last. What was recorded of the job while it
 * ran is an earlier one, which may have been deleted when the last was made.
 */
export function isUnsettled(view: JobView | undefined): boolean {
  return jobOf(view) !== undefined && view?.checkpoints !== undefined && 'unreadable' in view.checkpoints;
}

/**
 * Finds where a job that ended like this can be restored from.
 *
 * @returns the path of a savepoint or checkpoint, or why there is none
 */
export function findRestorePath(
  scene: Scene,
  view: JobView | undefined,
  end: JobState,
): { readonly path: string } | { readonly fault: string } {
  const { status, now, options } = scene;
  const maxAge = options.maxCheckpointRestoreAgeSeconds;
  const latestSavepoint = known(view?.checkpoints)?.latestSavepoint ?? recordedSavepoint(scene);
  const startTime = status.rollout === undefined ? now : Date.parse(status.rollout.startTime);
  const kept = findKeptCheckpoint(scene, view, end);
  const isNewest = latestSavepoint !== undefined && ('fault' in kept || latestSavepoint.time >= kept.time);
  // A job that runs is not ended for a savepoint from before this deploy alone, which may be old; beside a checkpoint that is kept
  // and older it serves. A job that is over may have been ended by it.
  const isOfNow = isNewest && latestSavepoint.time >= startTime;
  const mayServe = hasEnded(jobStateOf(view)) || 'path' in kept || (isOfNow && isBlueGreen(scene));
  const latest = isNewest && mayServe ? latestSavepoint : kept;
  if ('fault' in latest) return latest;
  if (isOfNow && mayServe) return { path: latest.path };
  const ageSeconds = Math.round((now - latest.time) / 1000);
  if (ageSeconds > maxAge)
    return {
      fault: `the latest checkpoint ${latest.path} is ${ageSeconds} s old, and maxCheckpointRestoreAgeSeconds is ${maxAge}`,
    };
  return { path: latest.path };
}

/** The newest that Headrace has taken of the job that is deployed: a JobManager that was restarted does not know it. */
function recordedSavepoint({ status }: Scene): { readonly path: string; readonly time: number } | undefined {
  const record = status.savepoints?.findLast(({ jobId }) => jobId === status.jobStatus?.jobID);
  return record && { path: record.path, time: Date.parse(record.time) };
}

function findKeptCheckpoint(
  scene: Scene,
  view: JobView | undefined,
  end: JobState,
): { readonly path: string; readonly time: number } | { readonly fault: string } {
  const config = known(view?.checkpointConfig);
  const checkpoints = known(view?.checkpoints);
  // What it was begun from is not deleted with a job, but one that runs may still make its first.
  const hasOwn = !hasEnded(jobStateOf(view)) || checkpoints === undefined || hasMadeOne(checkpoints, jobOf(view)?.id);
  if (hasOwn && end === 'Canceled' && config?.isRetainedOnCancellation === false)
    return { fault: `its checkpoints are deleted when a job is cancelled; ${RETAIN}` };
  if (hasOwn && end === 'Failed' && config?.isRetainedOnFailure === false)
    return { fault: `its checkpoints are deleted when a job fails; ${RETAIN}` };
  // A JobManager that knows the job knows its checkpoints: one that was recorded earlier has been deleted since.
  const isForgotten = end === 'Lost' || checkpoints === undefined;
  const latest = isForgotten
    ? recordedCheckpoint(scene)
    : (checkpoints.latestCompleted ?? beginningOf(scene, checkpoints));
  return latest ?? { fault: 'there is no completed checkpoint' };
}

/** A JobManager that has found its job again, with high availability, counts anew: then the job was restored from its own. */
function hasMadeOne({ completed, latestCompleted, latestRestored }: Checkpoints, jobId = ''): boolean {
  return completed > 0 || latestCompleted !== undefined || latestRestored?.path.includes(`/${jobId}/`) === true;
}

const RETAIN = 'execution.checkpointing.externalized-checkpoint-retention: RETAIN_ON_CANCELLATION keeps them';

/** Before its first checkpoint a job goes on from where it was begun, as Flink itself does when it restarts one. */
function beginningOf(
  scene: Scene,
  { completed, latestRestored }: Checkpoints,
): { path: string; time: number } | undefined {
  if (completed > 0) return undefined;
  // The record knows when the state was saved, the JobManager only when it was restored, if it came to that.
  const recorded = recordedCheckpoint(scene);
  return latestRestored === undefined || latestRestored.path === recorded?.path ? recorded : latestRestored;
}

/** What was last seen while the JobManager still knew the job: a checkpoint of its own, else where it had begun. */
function recordedCheckpoint({ status: { jobStatus } }: Scene): { path: string; time: number } | undefined {
  const { lastCheckpoint, lastCheckpointTime, restorePath, restoreTime } = jobStatus ?? {};
  const [path, time] = lastCheckpoint ? [lastCheckpoint, lastCheckpointTime] : [restorePath, restoreTime];
  return path && time ? { path, time: Date.parse(time) } : undefined;
}
