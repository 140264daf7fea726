// What has ended stays ended. A job that has finished, or that a person cancelled, is begun again by a change of the spec or by
// restartNonce; one that has failed or was lost by restartPolicy too. Another size is none of these: it is recorded, and deployed with
// whatever begins the job again.

import { withdraw } from './begin.ts';
import { ROLLBACK_FAILED } from './failures.ts';
import { hasHighAvailability } from './flink-config.ts';
import { areSameButForSize, sizeOf } from './identity.ts';
import {
  currentRevision,
  hasEnded,
  isBlueGreen,
  type JobState,
  LOST,
  lastKnownState,
  normal,
  rolloutOf,
  type Scene,
  STOPPED,
  savepointOf,
  type Transition,
  targetRevision,
  telling,
} from './scene.ts';
import type { JobView, Revision, Rollout } from './types.ts';

/** Why a size that the spec asks for is not deployed: how the job that has to have it has ended, or is about to. */
export interface RecordedSize {
  readonly end: JobState;
  readonly message: string;
}

/** @returns undefined unless the spec differs from what is deployed in its size alone, and the job of that does not run */
export function findRecordedSize(scene: Scene): RecordedSize | undefined {
  const { desired, status, application } = scene;
  if (!('name' in desired) || desired.name === status.currentRevision || desired.ownName === status.currentRevision)
    return undefined;
  const current = currentRevision(scene);
  if (current === undefined || !differInSize(scene, current, desired.revision)) return undefined;
  if (isOwed(scene)) return undefined;
  const end = lastKnownState(scene);
  if (!isEnding(end) || 'unreadable' in application.spec) return undefined;
  const { taskManagers, parallelism } = sizeOf(application.spec.value);
  const size = `${taskManagers} TaskManagers (parallelism ${parallelism}) are recorded, ${current.taskManagers} (${current.parallelism}) are deployed`;
  return { end, message: `${size}: ${describeEnd(scene, end)}` };
}

/** A job that a deploy has ended and could not bring back did not end by itself: the next attempt is to start it. */
function isOwed({ status }: Scene): boolean {
  return status.failedDeploy?.reason === ROLLBACK_FAILED;
}

function differInSize({ options }: Scene, one: Revision, other: Revision): boolean {
  return areSameButForSize(one, other, options.excludedMetadata);
}

/** One that is being cancelled has as good as ended. */
function isEnding(state: JobState): boolean {
  return hasEnded(state) || state === 'Cancelling';
}

function describeEnd(scene: Scene, end: JobState): string {
  const job = `job ${scene.status.jobStatus?.jobID} ${ENDINGS[end] ?? 'does not run'}`;
  return isRestarted(scene, end)
    ? `${job}; they are deployed when it has been started again`
    : `${job}, and replicas alone do not start it again; they are deployed with the next change of the spec, or with another restartNonce`;
}

const ENDINGS: Partial<Record<JobState, string>> = {
  Finished: 'has finished',
  Stopped: 'was stopped with a savepoint',
  FinishedOrStopped: 'has ended',
  Canceled: 'was cancelled',
  Cancelling: 'is being cancelled',
  Failed: 'has failed',
  Lost: 'was lost',
};

/** Whether restartPolicy starts a job again that has ended like this. */
function isRestarted(scene: Scene, end: JobState): boolean {
  return scene.options.restartsFromCheckpoint && !isBlueGreen(scene) && (end === 'Failed' || end === 'Lost');
}

/** A deploy of another size, and of nothing else. */
function isSizeAlone(scene: Scene): boolean {
  const { kind, revision } = rolloutOf(scene);
  if (kind === 'Restart' || kind === 'Suspend' || revision === scene.status.currentRevision) return false;
  const [current, target] = [currentRevision(scene), targetRevision(scene)];
  return current !== undefined && target !== undefined && differInSize(scene, current, target);
}

/**
 * Gives a deploy up that only changes the size of a job which has ended meanwhile, and not by the deploy's doing.
 *
 * @param state of the old job, while nothing has been done to it
 * @returns undefined where the deploy goes on
 */
export function withdrawSize(scene: Scene, state: JobState): Transition | undefined {
  const { oldJobId, rollsBackTo } = rolloutOf(scene);
  // Whoever rolls back wants the job to run.
  const isRollback = rollsBackTo !== undefined;
  if (!hasEnded(state) || isRollback || !isSizeAlone(scene) || isOwed(scene)) return undefined;
  return withdraw(scene, `Job ${oldJobId} ${ENDINGS[state]}, and replicas alone do not start it again`);
}

/** A job that had ended before a deploy, and that nothing but a change starts again. It is not brought back when the deploy fails. */
export function endBefore(scene: Scene): Pick<Rollout, 'oldJobEnd'> {
  const end = lastKnownState(scene);
  const current = currentRevision(scene);
  // With high availability a JobManager may find again what it does not know for a moment.
  const isFinal = end !== 'Lost' || (current !== undefined && !hasHighAvailability(current.spec));
  return hasEnded(end) && isFinal && !isRestarted(scene, end) && !isOwed(scene) ? { oldJobEnd: WORDS[end] ?? '' } : {};
}

/** The same of a job that ended by itself, or by a person's hand, while the deploy had not done anything to it yet. */
export function endMeanwhile(state: JobState): Pick<Rollout, 'oldJobEnd'> {
  return state === 'Finished' || state === 'Stopped' || state === 'Canceled' ? { oldJobEnd: WORDS[state] ?? '' } : {};
}

/** As status.jobStatus.state has them. */
const WORDS: Partial<Record<JobState, string>> = {
  Finished: 'FINISHED',
  FinishedOrStopped: 'FINISHED',
  Stopped: STOPPED,
  Canceled: 'CANCELED',
  Failed: 'FAILED',
  Lost: LOST,
};

/** Whether a job has come to its end by itself: no savepoint ended it. */
export function hasFinishedItself(scene: Scene, state: JobState, view: JobView | undefined): boolean {
  if (state !== 'Finished' || scene.status.savepointPath) return false;
  const savepoint = savepointOf(scene, view)?.state;
  return savepoint !== 'Completed' && savepoint !== 'InProgress';
}

/** Tells once that a size is recorded, and again when it is another. */
export function tellRecordedSize(scene: Scene, transition: Transition): Transition {
  const recorded = findRecordedSize(scene);
  const told = scene.status.conditions?.find(({ reason }) => reason === SIZE_RECORDED)?.message;
  if (recorded === undefined || recorded.message === told) return transition;
  return telling(transition, normal(SIZE_RECORDED, recorded.message));
}

export const SIZE_RECORDED = 'SizeRecorded';
