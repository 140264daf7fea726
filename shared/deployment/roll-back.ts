// RollingBackJob: the new job did not come up, so the old one is brought back as it was recorded: its jar, its arguments and its
// parallelism, on its own cluster at its own size, from the savepoint that was taken of it.

import { isStopped, scaleTo, stopCluster } from './clusters.ts';
import { hasFinishedItself } from './ended-jobs.ts';
import { failDeploy, nextId, noteFailedAttempt, ROLLBACK_FAILED } from './failures.ts';
import { hasHighAvailability, jobManagersOf } from './flink-config.ts';
import {
  after,
  asJob,
  because,
  clusterOf,
  currentRevision,
  deployedJobView,
  exhaustion,
  hasEnded,
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
  replicaFailuresOf,
  rolloutOf,
  type Scene,
  savepointOf,
  stay,
  type Transition,
  targetRevision,
  telling,
  warning,
} from './scene.ts';
import { clauses, sentences } from './sentences.ts';
import { findRestorePath, hasReturned, isUnsettled } from './stop-old-job.ts';
import {
  isAnotherProcess,
  judgeStart,
  LONGEST_CALL_SECONDS,
  mayComeUnderOldId,
  newJobStatus,
  pointService,
  processOf,
  selectorOf,
} from './submit.ts';
import type { Effect, Failure, JobStatus, JobSubmission, JobView, ResourceRequirements, Rollout } from './types.ts';
import { blockingJobsOf, cancelJobs, unexpectedJobEvents, unexpectedJobsOn } from './unexpected-jobs.ts';

export function rollBackJob(scene: Scene): Transition {
  const failure = rolloutOf(scene).failure ?? { reason: 'DeployFailed', message: 'The deploy failed' };
  // First a look, then the clock: a job that is up is not given up because it is looked at late.
  const wait = (effects: readonly Effect[]) =>
    isPast(rolloutOf(scene).deadline, scene.now) ? giveUp(scene, failure) : stay(scene, effects);
  if (!hasNewJobEnded(scene)) return wait(endNewJob(scene));

  const restoring = [...restoreSize(scene), ...pointService(scene, scene.status.deployHash ?? '')];
  const old = oldJob(scene);
  if (restoring.length === 0 && rolloutOf(scene).oldJobEnd !== undefined && !mayComeUpLate(scene))
    return bringBack(scene, failure, endedJob(scene));
  if (restoring.length > 0 || old.state === 'Unreadable') return wait(restoring);
  // A savepoint ends by itself, and then the job with it: to give up before would be to leave it to that.
  if (old.isSaving) return stay(scene);
  if (old.isLeaving) return wait([]);
  if (old.state === 'FinishedOrStopped' && !old.isSaved) return wait([]);
  if (mayBeOvertaken(scene, old.state)) return stay(scene);
  if (old.state === 'Active') return bringBack(scene, failure, asJob(scene.status.jobStatus ?? {}, old.id));
  if (old.hasFinished) return bringBack(scene, failure, endedJob(scene, 'FINISHED'));
  return resubmit(scene, { failure, wait });
}

/**
 * Whether a call from before the rollback may still be under way, by a round that had not seen it: one that ends the old job,
 * which runs, or one that submits the new job to the cluster that is the old one's too.
 */
function mayBeOvertaken(scene: Scene, old: JobState): boolean {
  return mayBeUnderWay(scene) && (old === 'Active' || mayComeUpLate(scene));
}

function mayBeUnderWay(scene: Scene): boolean {
  const { rollbackJobId, rollbackTime } = rolloutOf(scene);
  if (rollbackTime === undefined || rollbackJobId !== undefined) return false;
  return !isPast(rollbackTime, scene.now, LONGEST_CALL_SECONDS);
}

function mayComeUpLate(scene: Scene): boolean {
  const { kind, hash, jobId, isSubmitted } = rolloutOf(scene);
  const isSubmitting = kind !== 'NewCluster' && jobId !== undefined && isSubmitted !== true;
  return mayBeUnderWay(scene) && isSubmitting && jobStateOf(jobViewOf(scene, hash, jobId)) === 'Lost';
}

/** A job that had ended before the deploy stays as it was: only the record of where it could begin again is kept. */
function endedJob(scene: Scene, end = rolloutOf(scene).oldJobEnd): JobStatus {
  const { jobStatus = {}, savepointPath } = scene.status;
  const { oldJobId = '' } = rolloutOf(scene);
  const kept = jobStatus.jobID === oldJobId ? jobStatus : newJobStatus(scene, oldJobId, savepointPath);
  return { ...kept, ...(end && { state: end }) };
}

/** Says what must be done by hand: nothing runs now. */
function giveUp(scene: Scene, failure: Failure, cause?: string): Transition {
  const { savepointPath } = scene.status;
  const from = savepointPath ? `its state is in ${savepointPath}` : '';
  const missingPods = because(replicaFailuresOf(clusterOf(scene, scene.status.deployHash)));
  const reason = cause ?? scene.status.lastSeenError?.appError ?? `it did not come back in time${missingPods}`;
  const message = clauses(`The old job could not be brought back: ${reason}`, from);
  const failed = failDeploy(
    scene,
    { reason: ROLLBACK_FAILED, message: sentences(failure.message, message) },
    { jobStatus: abandonedJob(scene) },
  );
  return telling(failed, warning('RollbackFailed', message));
}

/** Whatever brings the job back later begins where it was saved, not at an older checkpoint: as a job that was lost. */
function abandonedJob(scene: Scene): JobStatus {
  const { savepointPath, jobStatus } = scene.status;
  const { rollbackJobId, oldJobId = '' } = rolloutOf(scene);
  if (!savepointPath) return asJob(jobStatus ?? {}, rollbackJobId ?? oldJobId);
  const id = rollbackJobId ?? (mayReturn(scene) ? oldJobId : nextId(scene, 'rollback').id);
  return newJobStatus(scene, id, savepointPath);
}

/**
 * Whether the old job may run on: with high availability a JobManager that is started late may find it again, and no other is to be
 * begun beside it.
 */
function mayReturn(scene: Scene): boolean {
  const { state } = oldJob(scene);
  const revision = currentRevision(scene);
  const mayBeFound = revision === undefined || hasHighAvailability(revision.spec);
  return state === 'Active' || (state === 'Unreadable' && mayBeFound);
}

/** In place, the new job is the old one. */
function hasNewJobEnded(scene: Scene): boolean {
  const { kind, hash, jobId, isSubmitted } = rolloutOf(scene);
  if (kind === 'InPlace' || isStopped(clusterOf(scene, hash))) return true;
  if (jobId === undefined) return !mayHaveUnexpectedJobs(scene);
  const state = jobStateOf(jobViewOf(scene, hash, jobId));
  // A submission that was not answered may still run the program's main method, and bring the job up later.
  const isInDoubt = kind === 'NewCluster' && state === 'Lost' && isSubmitted !== true;
  return hasEnded(state) && !isInDoubt;
}

/** Whether jobs may run on the new cluster that were not submitted by us: of one that does not respond that is not known. */
function mayHaveUnexpectedJobs(scene: Scene): boolean {
  const { kind, hash } = rolloutOf(scene);
  if (kind !== 'NewCluster') return false;
  const living = livingJobsOn(scene, hash);
  return living === undefined || living.length > 0;
}

function endNewJob(scene: Scene): readonly Effect[] {
  const { kind, hash, jobId } = rolloutOf(scene);
  const living = livingJobsOn(scene, hash);
  if (jobId === undefined && living !== undefined) return cancelJobs(living, hash);
  const state = jobStateOf(jobViewOf(scene, hash, jobId));
  if (state === 'Active' && jobId !== undefined) return [{ kind: 'CancelJob', hash, jobId }];
  // A JobManager that is silent cannot be asked to stop its job; without pods there is no job.
  return state !== 'Cancelling' && kind === 'NewCluster' ? stopCluster(clusterOf(scene, hash)) : [];
}

/** The recorded size, which is what the old job needs: not the one that failed. */
function restoreSize(scene: Scene): readonly Effect[] {
  const { jobManager, taskManager } = clusterOf(scene, scene.status.deployHash) ?? {};
  const current = currentRevision(scene);
  const requirements = restoreRequirements(scene);
  if (requirements.length > 0) return requirements;
  // Lyft's operator kept no revision: its Deployment still has the size that was deployed.
  if (current === undefined) return [];
  const isShrinkingBack = (taskManager?.replicas ?? 0) > current.taskManagers;
  const job = jobOf(deployedJobView(scene));
  // TaskManagers that are too many go when the job runs without them: the next look at rest takes them.
  const taskManagers = isShrinkingBack && job !== undefined ? [] : scaleTo(taskManager, current.taskManagers);
  return [...scaleTo(jobManager, jobManagersOf(current.spec)), ...taskManagers];
}

/** What the adaptive scheduler was told is taken back. */
function restoreRequirements(scene: Scene): readonly Effect[] {
  const { kind, hash, oldJobId = '' } = rolloutOf(scene);
  const view = jobViewOf(scene, hash, oldJobId);
  const requirements = known(view?.resourceRequirements);
  const current = currentRevision(scene);
  const target = targetRevision(scene);
  if (kind !== 'InPlace' || requirements === undefined || current === undefined || target === undefined) return [];
  const before = replaceUpperBound(requirements, target.parallelism, current.parallelism);
  if (before === undefined) return [];
  return [{ kind: 'SetResourceRequirements', hash, jobId: oldJobId, requirements: before }];
}

/** Lets the vertices that run with one parallelism run with another. @returns undefined when there are none */
export function replaceUpperBound(
  requirements: ResourceRequirements,
  from: number,
  to: number,
): ResourceRequirements | undefined {
  if (from === to || !Object.values(requirements).some(({ upperBound }) => upperBound === from)) return undefined;
  return Object.fromEntries(
    Object.entries(requirements).map(([vertex, bounds]) => {
      const upperBound = bounds.upperBound === from ? to : bounds.upperBound;
      return [vertex, { lowerBound: Math.min(bounds.lowerBound, upperBound), upperBound }];
    }),
  );
}

interface OldJob {
  readonly id: string;
  readonly state: JobState;
  /** A savepoint that ends it is being taken. */
  readonly isSaving: boolean;
  /** It is known where it begins again. */
  readonly isSaved: boolean;
  /** One has just been taken, or it is being cancelled. */
  readonly isLeaving: boolean;
  /** It came to its end by itself. */
  readonly hasFinished: boolean;
}

function oldJob(scene: Scene): OldJob {
  const { status } = scene;
  const id = rolloutOf(scene).oldJobId ?? '';
  const view = jobViewOf(scene, status.deployHash, id);
  const state = id === '' ? 'Lost' : jobStateAt(scene, status.deployHash, id);
  const savepoint = savepointOf(scene, view)?.state;
  const isSaving = state === 'Active' && savepoint === 'InProgress';
  const isSaved = savepoint === 'Completed' || Boolean(status.savepointPath);
  const isEnding = state === 'Active' && isSaved && !isResumed(scene, view);
  return {
    id,
    state,
    isSaving,
    isSaved,
    isLeaving: state === 'Cancelling' || isEnding,
    hasFinished: hasFinishedItself(scene, state, view),
  };
}

/** With high availability, a job whose cluster was stopped before it had ended is there again with its JobManager, and stays. */
function isResumed(scene: Scene, view: JobView | undefined): boolean {
  const { rollbackTime } = rolloutOf(scene);
  const isStarted = rollbackTime !== undefined && (jobOf(view)?.startTime ?? 0) > Date.parse(rollbackTime);
  return isStarted || hasReturned(scene, view);
}

/** The old job runs: it was never stopped, or runs again. */
function bringBack(scene: Scene, failure: Failure, jobStatus: JobStatus): Transition {
  return failDeploy(scene, failure, { jobStatus, ...selectorOf(scene, scene.status.deployHash ?? '') });
}

interface Rollback {
  readonly failure: Failure;
  /** Waits while there is time. */
  wait(effects: readonly Effect[]): Transition;
}

/** The old job is begun again; what hinders it may pass, so it is tried several times. */
const MAX_ROLLBACKS = 5;
/** Before the second try 12.8 s, before each further one twice as long. */
const FIRST_WAIT_EXPONENT = 7;

function resubmit(scene: Scene, { failure, wait }: Rollback): Transition {
  const { status, observation } = scene;
  const rollout = rolloutOf(scene);
  const hash = status.deployHash ?? '';
  const { parallelism = 1 } = status.jobStatus ?? {};
  const origin = findOrigin(scene);
  if (origin === undefined) return wait([]);
  if ('fault' in origin) return giveUp(scene, failure, origin.fault);
  if (rollout.rollbackJobId === undefined) return announceRollback(scene, origin.path) ?? wait([]);

  const view = jobViewOf(scene, hash, rollout.rollbackJobId);
  const job = jobOf(view);
  if (job !== undefined) {
    const verdict = judgeStart(scene, job, view);
    if (verdict === 'Waiting') return rollout.isRollbackSubmitted === true ? stay(scene) : noteResubmitted(scene);
    if (verdict !== 'Up' && isUnsettled(view)) return wait([]);
    if (verdict !== 'Up') return tryAgain(withProgress(scene, view), failure, verdict.message);
    const brought = bringBack(scene, failure, newJobStatus(scene, job.id, origin.path));
    return telling(brought, normal('RollbackSucceeded', `Job ${job.id} runs again on cluster ${hash}`));
  }
  const refusal = exhaustion(scene);
  if (refusal !== undefined) return tryAgain(scene, failure, refusal.message);
  const isLost = jobStateOf(view) === 'Lost';
  const { rollbackJobId: lost } = rollout;
  if (isLost && rollout.isRollbackSubmitted === true)
    return tryAgain(scene, failure, `The JobManager was restarted and has lost job ${lost}`);
  if (isLost && isAnotherProcess(scene, hash)) return replaceId(scene);
  const slots = known(observation.jobManagers.get(hash)?.overview)?.slotsTotal ?? 0;
  const mayTry = isLost && slots >= parallelism && !mayComeUnderOldId(scene);
  return wait(mayTry ? [{ kind: 'SubmitJob', hash, submission: oldSubmission(scene, origin.path) }] : []);
}

/** @returns undefined while it is not known whether a job runs there already */
function announceRollback(scene: Scene, savepointPath: string): Transition | undefined {
  const { status, now, options } = scene;
  const hash = status.deployHash ?? '';
  const unexpected = unexpectedJobsOn(scene, hash);
  if (unexpected === undefined) return undefined;
  const blocking = blockingJobsOf(scene, unexpected);
  if (blocking.length > 0)
    return stay(scene, cancelJobs(blocking, hash), unexpectedJobEvents(blocking, hash, 'it is cancelled'));
  const { id, attempts } = nextId(scene, 'rollback');
  const { submitSeconds, verticesSeconds } = options.timeouts;
  // However late it is: a job that can be begun is given the time for it.
  const deadline = after(now, submitSeconds + verticesSeconds);
  const rollout = { ...rolloutOf(scene), attempts, rollbackJobId: id, deadline, ...processOf(scene, hash) };
  const events = unexpectedJobEvents(unexpected, hash, 'it is left alone');
  // With the id goes the place from which the job begins, so that each further look means the same.
  return note(scene, { savepointPath, rollout }, events);
}

/** From now on its id is one that TaskManagers know. */
function noteResubmitted(scene: Scene): Transition {
  return note(scene, { rollout: { ...rolloutOf(scene), isRollbackSubmitted: true } });
}

/** The id may have come to TaskManagers by way of a JobManager that is no more. */
function replaceId(scene: Scene): Transition {
  return note(scene, { rollout: { ...withNextId(scene), idReplacedTime: after(scene.now, 0) } });
}

/** Another id serves for the next submission. */
function withNextId(scene: Scene): Rollout {
  const { isRollbackSubmitted, ...rollout } = rolloutOf(scene);
  const { id, attempts } = nextId(scene, 'rollback');
  return { ...rollout, attempts, rollbackJobId: id, ...processOf(scene, scene.status.deployHash ?? '') };
}

/** A job that ran for a while before it failed may have got further than the savepoint it began from. */
function withProgress(scene: Scene, view: JobView | undefined): Scene {
  const latest = known(view?.checkpoints)?.latestCompleted;
  if (latest === undefined || scene.options.isSavepointDisabled) return scene;
  return { ...scene, status: { ...scene.status, savepointPath: latest.path } };
}

/** An id serves once: the next try has another, after a while. */
function tryAgain(scene: Scene, failure: Failure, cause: string): Transition {
  const { status, now } = scene;
  const rollout = rolloutOf(scene);
  const tries = (rollout.rollbacks ?? 0) + 1;
  if (tries >= MAX_ROLLBACKS || isPast(rollout.deadline, now)) return giveUp(scene, failure, cause);
  const next = { ...withNextId(scene), rollbacks: tries };
  const exponent = FIRST_WAIT_EXPONENT + tries - 1;
  const noted = noteFailedAttempt({ ...status, rollout: next }, cause, { exponent, now });
  return { status: noted, effects: [], events: [] };
}

/**
 * Where the old job goes on from: never from nothing, unless the spec says that its state does not matter.
 *
 * @returns undefined while that is not known yet
 */
function findOrigin(scene: Scene): { readonly path: string } | { readonly fault: string } | undefined {
  const { status, options } = scene;
  const { rollsBackTo, rollbackJobId } = rolloutOf(scene);
  // A version that could not be rolled back goes on from what it has reached, and not from where it was begun.
  const isOfOther = rollsBackTo !== undefined && rollbackJobId === undefined;
  const noted = isOfOther ? undefined : status.savepointPath;
  if (noted || options.isSavepointDisabled) return { path: noted ?? '' };
  const view = jobViewOf(scene, status.deployHash, rolloutOf(scene).oldJobId);
  const savepoint = savepointOf(scene, view);
  if (savepoint?.state === 'Completed') return { path: savepoint.location };
  if (isUnsettled(view)) return undefined;
  const found = findRestorePath(scene, view, jobStateOf(view));
  if ('fault' in found && isOfOther && status.savepointPath) return { path: status.savepointPath };
  const mayBeginAnew = options.fallsBackWithoutState || jobOf(view)?.isBatch === true;
  return 'fault' in found && mayBeginAnew ? { path: '' } : found;
}

/** The old job as its success was recorded. */
function oldSubmission(scene: Scene, savepointPath: string): JobSubmission {
  const { jobStatus = {} } = scene.status;
  const { jarName = '', entryClass = '', programArgs = '', parallelism = 1, allowNonRestoredState = false } = jobStatus;
  const { programArgsList } = jobStatus;
  const jobId = rolloutOf(scene).rollbackJobId ?? '';
  const program = { jarName, entryClass, programArgs, ...(programArgsList && { programArgsList }) };
  const job = { jobId, ...program, parallelism, allowNonRestoredState };
  return savepointPath === '' ? job : { ...job, savepointPath };
}
