// What is reported of jobs beside what a phase does with them: that one is gone, or fails again and again. Each is reported when it
// changes, not at every look.

import { LOOP_FAILURES, LOOP_SECONDS } from './health.ts';
import {
  causeOf,
  isMeantToRun,
  isTearingDown,
  jobViewOf,
  LOST,
  normal,
  type Scene,
  STOPPED,
  warning,
} from './scene.ts';
import type { ApplicationStatus, Event, JobStatus } from './types.ts';

/** @param after the status as it was just seen; `scene` has the one before */
export function tellOfJobs(scene: Scene, after: ApplicationStatus): readonly Event[] {
  const before = scene.status;
  const isNew = after.jobStatus?.jobID === after.rollout?.jobId && after.phase !== 'DualRunning';
  const jobs: readonly Seen[] = [
    { before: before.jobStatus, after: after.jobStatus, hash: isNew ? after.rollout?.hash : after.deployHash },
    { before: updating(before), after: updating(after), hash: after.updatingHash },
  ];
  // During a deploy, and while a version is torn down, a job is meant to end.
  const mayEnd = !isMeantToRun(after) || isTearingDown(scene);
  return jobs.flatMap((job) => [...(mayEnd ? [] : tellOfEnd(scene, job)), ...tellOfLoop(scene, job)]);
}

/** What becomes of a job that is being deployed is reported by its deploy. */
function isBeingDeployed({ status }: Scene, jobID: string | undefined): boolean {
  const { rollout } = status;
  const isOnItsWay = jobID === rollout?.jobId || jobID === rollout?.rollbackJobId;
  return isOnItsWay && !isMeantToRun(status);
}

interface Seen {
  readonly before: JobStatus | undefined;
  readonly after: JobStatus | undefined;
  /** Of its cluster. */
  readonly hash: string | undefined;
}

function updating({ versionStatuses }: ApplicationStatus): JobStatus | undefined {
  return versionStatuses?.[1]?.jobStatus;
}

function tellOfEnd(scene: Scene, { before = {}, after = {}, hash }: Seen): readonly Event[] {
  const { jobID, state } = after;
  if (state === before.state || jobID !== before.jobID || isBeingDeployed(scene, jobID)) return [];
  if (state === LOST) return [warning('JobLost', `The JobManager does not know job ${jobID} any more`)];
  if (state === 'FAILED')
    return [warning('JobFailed', `Job ${jobID} has failed${causeOf(jobViewOf(scene, hash, jobID))}`)];
  if (state === 'FINISHED') return [normal('JobFinished', `Job ${jobID} has finished`)];
  if (state === STOPPED)
    return [
      warning('JobStopped', `Job ${jobID} was stopped with a savepoint, and not by Headrace: ${after.lastCheckpoint}`),
    ];
  if (state === 'CANCELED') return [warning('JobCanceled', `Job ${jobID} was cancelled, and not by Headrace`)];
  return [];
}

function tellOfLoop(scene: Scene, { before = {}, after = {}, hash }: Seen): readonly Event[] {
  const { jobID, state, restartLoopTime } = after;
  const isSame = (restartLoopTime === undefined) === (before.restartLoopTime === undefined);
  if (jobID === undefined || jobID !== before.jobID || isSame) return [];
  const minutes = `${LOOP_SECONDS / 60} minutes`;
  if (restartLoopTime !== undefined) {
    const often = `Job ${jobID} has failed ${LOOP_FAILURES} times within ${minutes}`;
    return [warning('JobRestartLoop', `${often}${causeOf(jobViewOf(scene, hash, jobID))}`)];
  }
  return state === 'RUNNING' ? [normal('JobStable', `Job ${jobID} has not failed for ${minutes}`)] : [];
}
