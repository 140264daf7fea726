// How a deploy fails: what is remembered of it, and how long it is before the same revision is tried again.

import { type Backoff, JOB_RESTARTED, JOB_UNTOUCHED, waitAfter } from './backoff.ts';
import { areSameButForSize } from './identity.ts';
import { deriveId } from './ids.ts';
import { failVersionRollback } from './rollback-window.ts';
import {
  after,
  currentRevision,
  enter,
  forgetDeploy,
  forgetErrors,
  isBlueGreen,
  isFirstDeploy,
  rolloutOf,
  type Scene,
  type Transition,
  targetRevision,
  telling,
  warning,
} from './scene.ts';
import { clauses, sentences } from './sentences.ts';
import { failSuspension, isSuspending } from './suspension.ts';
import type { ApplicationStatus, FailedDeploy, Failure, LastSeenError, OneFailedDeploy, Revision } from './types.ts';

/** Reasons after which only the user can help: the same revision is not tried again by itself. */
const FINAL_REASONS = ['ForcedRollback'];

/** The old job was stopped and did not come back. */
export const ROLLBACK_FAILED = 'RollbackFailed';

/**
 * Ends a deploy that has failed. What ran before goes on, or has just been brought back; the spec stays as it was written, and
 * the failed revision, its cause and the end of its back-off are in status.failedDeploy.
 */
export function failDeploy(
  scene: Scene,
  { reason, message }: Failure,
  changes: Partial<ApplicationStatus> = {},
): Transition {
  const rollout = rolloutOf(scene);
  if (isSuspending(scene) && reason !== ROLLBACK_FAILED) return failSuspension(scene, { reason, message }, changes);
  if (rollout.rollsBackTo && reason !== ROLLBACK_FAILED)
    return failVersionRollback(scene, { reason, message }, changes);
  const failedDeploy = rememberFailure(scene, { reason, message });
  const kept = forgetDeploy({ ...scene.status, ...changes });
  const status = forgetErrors({
    ...withoutUpdating(scene, kept),
    phase: 'DeployFailed',
    failedDeploy,
    failedDeployHash: rollout.hash,
    ...(kept.deployHash && { rollbackHash: kept.deployHash }),
  });
  const { retryTime } = failedDeploy;
  const next =
    retryTime === undefined ? 'It is tried again when the spec changes' : `It is tried again at ${retryTime}`;
  return { status, effects: [], events: [warning('DeployFailed', sentences(message, next))] };
}

/** What is deployed now has come up: what failed before it is history. */
export function forgetFailure(status: ApplicationStatus): ApplicationStatus {
  const { failedDeploy, failedDeployHash, rollbackHash, ...rest } = status;
  return rest;
}

function rememberFailure(scene: Scene, failure: Failure): FailedDeploy {
  const { status, now } = scene;
  const { revision, kind } = rolloutOf(scene);
  const before = failureOf(status, revision)?.attempts ?? 0;
  const backoff = findBackoff(scene, failure.reason);
  const earlier = kind === 'Restart' ? failureBeside(status, revision) : undefined;
  return {
    ...describeFailure(scene, failure),
    attempts: before + 1,
    ...(backoff && { retryTime: after(now, waitAfter(before, backoff)) }),
    ...(earlier && { earlier }),
  };
}

/** How a revision has failed, if it did and nothing has been deployed since. */
export function failureOf(status: ApplicationStatus, revision: string | undefined): OneFailedDeploy | undefined {
  return failuresIn(status).find((failed) => failed.revision === revision);
}

/**
 * How a revision has failed for good that differs from this one in its size alone, where somebody has scaled it: an autoscaler is not to
 * risk the job for it again. A size of what is deployed is another matter, and so is an edit of parallelism.
 */
export function finalFailureLike(scene: Scene, revision: Revision): OneFailedDeploy | undefined {
  const { status, observation, options, application } = scene;
  const isScaled = 'value' in application.spec && application.spec.value.parallelism !== revision.parallelism;
  if (!isScaled) return undefined;
  const isLike = (other: Revision | undefined) =>
    other !== undefined && areSameButForSize(other, revision, options.excludedMetadata);
  if (isLike(currentRevision(scene))) return undefined;
  return failuresIn(status).find(
    (failed) => failed.retryTime === undefined && isLike(observation.revisions.get(failed.revision)),
  );
}

/** How another revision has failed: whatever becomes of a job that is only begun again, that still holds. */
export function failureBeside(status: ApplicationStatus, revision: string): OneFailedDeploy | undefined {
  return failuresIn(status).find((failed) => failed.revision !== revision);
}

/** The same where there may be two. */
export function failuresBeside(status: ApplicationStatus, revision: string): FailedDeploy | undefined {
  const [failed, earlier] = failuresIn(status).filter((one) => one.revision !== revision);
  return failed && { ...failed, ...(earlier && { earlier }) };
}

function failuresIn({ failedDeploy }: ApplicationStatus): readonly OneFailedDeploy[] {
  if (failedDeploy === undefined) return [];
  const { earlier, ...failed } = failedDeploy;
  return earlier === undefined ? [failed] : [failed, earlier];
}

/** What was deployed when it failed, and why it failed. */
export function describeFailure(
  scene: Scene,
  { reason, message }: Failure,
): Omit<OneFailedDeploy, 'attempts' | 'retryTime'> {
  const { now, desired } = scene;
  const { revision, hash } = rolloutOf(scene);
  const target = targetRevision(scene);
  return {
    revision,
    hash,
    parallelism: target?.parallelism ?? 0,
    taskManagers: target?.taskManagers ?? 0,
    reason,
    message,
    time: after(now, 0),
    ...('name' in desired && { specDigest: desired.specDigest }),
  };
}

/** A job that had to be brought back is not risked again, unless it was only to be given another size. */
function findBackoff(scene: Scene, reason: string): Backoff | undefined {
  if (FINAL_REASONS.includes(reason)) return undefined;
  if (rolloutOf(scene).failure === undefined) return JOB_UNTOUCHED;
  const [target, current] = [targetRevision(scene), currentRevision(scene)];
  const isRescale = target && current && areSameButForSize(target, current, scene.options.excludedMetadata);
  return isRescale ? JOB_RESTARTED : undefined;
}

/** The colour that did not come up is forgotten; on a first deploy the next attempt begins with the first colour again. */
function withoutUpdating(scene: Scene, status: ApplicationStatus): ApplicationStatus {
  if (!isBlueGreen(scene)) return status;
  const { updatingHash, updatingVersion, deployVersion, ...rest } = status;
  if (isFirstDeploy(scene)) return { ...rest, versionStatuses: [] };
  const kept = deployVersion === undefined ? rest : { ...rest, deployVersion };
  return { ...kept, versionStatuses: (status.versionStatuses ?? []).slice(0, 1) };
}

/**
 * What follows when something goes wrong once the old job may have been stopped: it is brought back. A first deploy and a
 * restart have nothing to go back to; in BlueGreen the old job was never touched.
 */
export function rollBack(scene: Scene, failure: Failure): Transition {
  const { kind } = rolloutOf(scene);
  if (isFirstDeploy(scene) || kind === 'Restart' || isBlueGreen(scene)) return failDeploy(scene, failure);
  const { clusterStartSeconds, submitSeconds, verticesSeconds } = scene.options.timeouts;
  const entered = enter(scene, 'RollingBackJob', clusterStartSeconds + submitSeconds + verticesSeconds, {
    rollout: { failure, rollbackTime: after(scene.now, 0) },
  });
  if (kind === 'Suspend') return entered;
  const message = clauses(failure.message, `rolling back to ${scene.status.deployHash}`);
  return telling(entered, warning('DeployFailed', message));
}

/** What a call that failed leaves behind: the machine decides from it whether to wait, to try again, or to give the phase up. */
export function noteError(
  status: ApplicationStatus,
  error: Omit<LastSeenError, 'lastErrorUpdateTime'>,
  now: number,
): ApplicationStatus {
  const retryCount = (status.retryCount ?? 0) + 1;
  return { ...status, retryCount, lastSeenError: { ...error, lastErrorUpdateTime: after(now, 0) } };
}

/**
 * Notes an attempt that has failed and is followed by another after a while. It uses up no retries: whoever tries counts by itself.
 *
 * @param exponent the next attempt waits 0.1 s × 2^exponent, at most 30 s
 */
export function noteFailedAttempt(
  status: ApplicationStatus,
  cause: string,
  { exponent, now }: { readonly exponent: number; readonly now: number },
): ApplicationStatus {
  const error = { appError: cause, isRetryable: true, maxRetries: Number.MAX_SAFE_INTEGER };
  return noteError({ ...status, retryCount: exponent - 1 }, error, now);
}

const FIRST_WAIT_MILLISECONDS = 100;
const LONGEST_WAIT_MILLISECONDS = 30_000;

/** Whether the last error is so recent that the next try has to wait. */
export function mustWait({ status: { lastSeenError: error, retryCount = 0 }, now }: Scene): boolean {
  if (error?.lastErrorUpdateTime === undefined || error.lastErrorUpdateTime === null) return false;
  const wait = Math.min(FIRST_WAIT_MILLISECONDS * 2 ** retryCount, LONGEST_WAIT_MILLISECONDS);
  return now < Date.parse(error.lastErrorUpdateTime) + wait;
}

/** An id for the next savepoint or submission of this deploy: always the same for the same attempt, never for another. */
export function nextId(scene: Scene, purpose: 'savepoint' | 'job' | 'rollback'): { id: string; attempts: number } {
  const { startTime, revision, attempts = 0 } = rolloutOf(scene);
  const { uid } = scene.application;
  return { id: deriveId(uid, purpose, revision, startTime, attempts + 1), attempts: attempts + 1 };
}
