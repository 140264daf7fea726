// Suspending: the job is ended as a deploy would end it, with its state safe, and what is left is where it resumes from. A job
// that cannot be saved runs on, and it is said why.

import { JOB_UNTOUCHED, waitAfter } from './backoff.ts';
import { endBefore } from './ended-jobs.ts';
import {
  after,
  deployedJobView,
  forgetDeploy,
  forgetErrors,
  isBlueGreen,
  known,
  normal,
  type Scene,
  type Transition,
  warning,
} from './scene.ts';
import { sentences } from './sentences.ts';
import type { ApplicationStatus, FailedSuspension, Failure, Suspension } from './types.ts';

/** spec.suspend is set, on an application that can be suspended and whose spec can be read. */
export function isSuspensionWanted(scene: Scene): boolean {
  return scene.options.isSuspended && 'name' in scene.desired && !isBlueGreen(scene);
}

/** The job is being ended for that. */
export function isSuspending({ status }: Scene): boolean {
  return status.rollout?.kind === 'Suspend';
}

/** The user has taken the order back while the job was being ended; a spec that cannot be read says nothing. */
export function isSuspensionWithdrawn(scene: Scene): boolean {
  return isSuspending(scene) && 'name' in scene.desired && !isSuspensionWanted(scene);
}

export const WITHDRAWN: Failure = { reason: 'SuspendWithdrawn', message: 'spec.suspend is no longer set' };

/** Begins to end the job that is deployed; the cluster goes when it has ended. */
export function beginSuspending(scene: Scene): Transition {
  const { now, options } = scene;
  const { savepointTriggerId, savepointPath, ...status } = scene.status;
  const oldJobId = status.jobStatus?.jobID;
  const rollout = {
    kind: 'Suspend' as const,
    revision: status.currentRevision ?? '',
    hash: status.deployHash ?? '',
    startTime: after(now, 0),
    deadline: after(now, options.timeouts.savepointSeconds),
    ...(oldJobId && { oldJobId, ...endBefore(scene) }),
  };
  const phase = options.isSavepointDisabled ? 'Cancelling' : 'Savepointing';
  const how = options.isSavepointDisabled ? 'without a savepoint: savepointDisabled is set' : 'with a savepoint';
  return {
    status: forgetErrors({ ...status, phase, rollout }),
    effects: [],
    events: [normal('Suspending', `spec.suspend is set: job ${oldJobId} is ended ${how}`)],
  };
}

/** Whether the last attempt failed so recently that the next has to wait. */
export function mustWaitToSuspend({ status, desired, now }: Scene): boolean {
  const failed = status.failedSuspension;
  if (failed === undefined) return false;
  const isSameSpec = 'name' in desired && desired.specDigest === failed.specDigest;
  return isSameSpec && now < Date.parse(failed.retryTime);
}

/** The job has ended, and resumes from here; no path: it begins without state. */
export function completeSuspension(scene: Scene, savepointPath: string): Transition {
  const { status } = scene;
  const { currentRevision, jobStatus } = status;
  const suspended = enterSuspended(scene, {
    time: after(scene.now, 0),
    ...(currentRevision && { revision: currentRevision }),
    ...(jobStatus?.jobID && { jobId: jobStatus.jobID }),
    ...(savepointPath && { savepointPath, savepointTime: savedTime(scene, savepointPath) }),
  });
  const from = savepointPath === '' ? 'begins without state' : `resumes from ${savepointPath}`;
  return {
    ...suspended,
    events: [normal('Suspended', `Job ${jobStatus?.jobID} is suspended; it ${from} when spec.suspend is false`)],
  };
}

/** A checkpoint was complete earlier than it was found to serve. */
function savedTime(scene: Scene, path: string): string {
  const { jobStatus } = scene.status;
  const { latestCompleted, latestSavepoint } = known(deployedJobView(scene)?.checkpoints) ?? {};
  const seen = [latestSavepoint, latestCompleted].find((snapshot) => snapshot?.path === path);
  if (seen !== undefined) return after(seen.time, 0);
  const recorded = jobStatus?.lastCheckpoint === path ? jobStatus.lastCheckpointTime : undefined;
  return recorded ?? after(scene.now, 0);
}

/** Nothing has been deployed, or what was deployed has failed and is not deployed again: a suspension that is noted stays. */
export function suspendNothing(scene: Scene): Transition {
  const suspension = scene.status.suspension ?? { time: after(scene.now, 0) };
  const message = 'spec.suspend is set: nothing is deployed until it is false';
  return { ...enterSuspended(scene, suspension), events: [normal('Suspended', message)] };
}

/** Nothing of what was deployed holds any more, nor of what failed to be. */
function enterSuspended({ status }: Scene, suspension: Suspension): Transition {
  const { deployHash, currentRevision, jobStatus, failedDeploy, failedDeployHash, rollbackHash, ...rest } =
    forgetErrors(forgetDeploy(status));
  const { clusterId, inPlaceUpdatedFromHash, failedSuspension, ...kept } = rest;
  const next: ApplicationStatus = {
    ...kept,
    phase: 'Suspended',
    suspension,
    clusterStatus: { numberOfTaskManagers: 0 },
  };
  return { status: next, effects: [], events: [] };
}

/** The job could not be ended with its state safe, or was not to be ended after all: what was deployed stays so. */
export function failSuspension(scene: Scene, failure: Failure, changes: Partial<ApplicationStatus>): Transition {
  const { failedSuspension, ...kept } = forgetErrors(forgetDeploy({ ...scene.status, ...changes }));
  const status = { ...kept, phase: kept.failedDeploy === undefined ? 'Running' : 'DeployFailed' };
  if (failure.reason === WITHDRAWN.reason)
    return {
      status,
      effects: [],
      events: [normal('SuspendWithdrawn', `${failure.message}: the job is not suspended`)],
    };
  const failed = rememberFailure(scene, failure);
  const event = warning('SuspendFailed', sentences(failure.message, `It is tried again at ${failed.retryTime}`));
  return { status: { ...status, failedSuspension: failed }, effects: [], events: [event] };
}

function rememberFailure({ status, desired, now }: Scene, failure: Failure): FailedSuspension {
  const before = status.failedSuspension?.attempts ?? 0;
  return {
    ...failure,
    time: after(now, 0),
    attempts: before + 1,
    retryTime: after(now, waitAfter(before, JOB_UNTOUCHED)),
    ...('name' in desired && { specDigest: desired.specDigest }),
  };
}

/** Where a job begins that has none before it: where it was suspended, or as the user says of a first one. */
export function beginningPath({ status, options }: Scene): string {
  if (!holdsJob(status.suspension)) return options.firstSavepointPath;
  return options.isSavepointDisabled ? '' : (status.suspension?.savepointPath ?? '');
}

/** Whether a job was ended for it. Of one that another operator had deployed nobody knows the revision. */
export function holdsJob({ revision, jobId, savepointPath }: Partial<Suspension> = {}): boolean {
  return [revision, jobId, savepointPath].some((trace) => trace !== undefined);
}
