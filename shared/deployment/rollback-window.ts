// A version that came up and then fails again and again (health.ts says when), or has FAILED, within a while of its deploy: what was
// deployed before is deployed again, from where this one was begun.

import { beginRollback } from './begin.ts';
import { failureBeside, failuresBeside } from './failures.ts';
import {
  after,
  causeOf,
  currentRevision,
  deployedJobView,
  forgetDeploy,
  forgetErrors,
  isBlueGreen,
  isFirstDeploy,
  isPast,
  jobStateOf,
  rolloutOf,
  type Scene,
  type Transition,
  telling,
  warning,
} from './scene.ts';
import { clauses } from './sentences.ts';
import type { ApplicationStatus, Failure, OneFailedDeploy, PreviousDeploy } from './types.ts';

/** Whether what is deployed may still be taken back. */
export function isWithinWindow({ status, options, now }: Scene): boolean {
  const { previousDeploy } = status;
  const { rollbackWindowSeconds: seconds } = options;
  return previousDeploy !== undefined && seconds !== undefined && !isPast(previousDeploy.time, now, seconds);
}

/**
 * What a deploy that has just succeeded could be taken back to; undefined where nobody wants that, nothing was there before, or the
 * job before had ended: that stays ended.
 */
export function previousDeployOf(scene: Scene): PreviousDeploy | undefined {
  const { status, options, now } = scene;
  const { currentRevision: revision, savepointPath } = status;
  const { kind, rollsBackTo, oldJobEnd } = rolloutOf(scene);
  const isAnother = kind === 'NewCluster' && rollsBackTo === undefined && !isFirstDeploy(scene) && !isBlueGreen(scene);
  const mayReturn = isAnother && oldJobEnd === undefined;
  if (options.rollbackWindowSeconds === undefined || revision === undefined || !mayReturn) return undefined;
  return { revision, time: after(now, 0), ...(savepointPath && { savepointPath }) };
}

/** Takes back what is deployed. @returns undefined where it does well enough, or cannot be taken back */
export function rollBackVersion(scene: Scene): Transition | undefined {
  const { status, observation, options } = scene;
  const { previousDeploy, ...rest } = status;
  const failure = findFailure(scene);
  if (failure === undefined || previousDeploy === undefined || !isWithinWindow(scene)) return undefined;
  const { revision: name, savepointPath } = previousDeploy;
  const revision = observation.revisions.get(name);
  if (revision === undefined || options.isRollbackForced) return undefined;
  // Of a change that has failed since then, and stands in the spec, that still holds.
  const earlier = failureBeside(status, status.currentRevision ?? '');
  const failedDeploy = { ...describe(scene, failure), ...(earlier && { earlier }) };
  const failed = { ...rest, failedDeploy, failedDeployHash: status.deployHash ?? '' };
  const begun = beginRollback(
    { ...scene, status: failed },
    { name, revision },
    { ...(savepointPath && { savepointPath }) },
  );
  const from = savepointPath ? `from ${savepointPath}` : 'without state';
  return telling(begun, warning('DeployFailed', clauses(failure.message, `rolling back to ${name} ${from}`)));
}

/** A job that its JobManager lost says nothing of its version. */
function findFailure(scene: Scene): Failure | undefined {
  const { jobID, restartLoopTime } = scene.status.jobStatus ?? {};
  const view = deployedJobView(scene);
  const why = causeOf(view);
  const since = `after ${scene.status.currentRevision} was deployed`;
  switch (jobStateOf(view)) {
    case 'Failed':
      return { reason: 'JobFailed', message: `Job ${jobID} has failed soon ${since}${why}` };
    case 'Active':
      if (restartLoopTime === undefined) return undefined;
      return { reason: 'JobRestartLoop', message: `Job ${jobID} fails again and again soon ${since}${why}` };
    default:
      return undefined;
  }
}

/** It is not deployed again before the spec changes. */
function describe(scene: Scene, failure: Failure): OneFailedDeploy {
  const { status, now, desired } = scene;
  const { parallelism = 0, taskManagers = 0 } = currentRevision(scene) ?? {};
  return {
    revision: status.currentRevision ?? '',
    hash: status.deployHash ?? '',
    parallelism,
    taskManagers,
    ...failure,
    time: after(now, 0),
    ...('name' in desired && { specDigest: desired.specDigest }),
    attempts: 1,
  };
}

/** What was deployed before does not come up either: what is deployed stays, and is not taken back again. */
export function failVersionRollback(
  scene: Scene,
  { message }: Failure,
  changes: Partial<ApplicationStatus>,
): Transition {
  const status = keepVersion(forgetDeploy({ ...scene.status, ...changes }));
  const told = clauses(`${status.currentRevision} is not rolled back: ${message}`);
  return { status: forgetErrors(status), effects: [], events: [warning('RollbackFailed', told)] };
}

/** What was to be taken back is what is deployed, and has not failed to be; another change may have. */
export function keepVersion(status: ApplicationStatus): ApplicationStatus {
  const others = failuresBeside(status, status.currentRevision ?? '');
  const { failedDeploy, failedDeployHash, rollbackHash, ...kept } = status;
  if (others === undefined) return { ...kept, phase: 'Running' };
  return { ...kept, phase: 'DeployFailed', failedDeploy: others, failedDeployHash: others.hash };
}
