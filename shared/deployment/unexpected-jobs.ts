// Jobs on a cluster that are not the one which is deployed there: submitted by somebody else, or by an attempt of this deploy that
// was given up. None of them is ever taken for the application's job; only in a deploy that was taken over one may be (submit.ts).

import { deriveId } from './ids.ts';
import { type LivingJob, livingJobsOn, rolloutOf, type Scene, warning } from './scene.ts';
import type { Effect, Event } from './types.ts';

/** @returns undefined while its JobManager does not say which jobs there are */
export function unexpectedJobsOn(scene: Scene, hash: string): readonly LivingJob[] | undefined {
  const { status } = scene;
  const { oldJobId, jobId, rollbackJobId } = rolloutOf(scene);
  const expected = [oldJobId, jobId, rollbackJobId, status.jobStatus?.jobID];
  return livingJobsOn(scene, hash)?.filter(({ id }) => !expected.includes(id));
}

/**
 * Those that have to end before a job is submitted: on a new cluster all of them, since nobody else has any business there; on the
 * deployed one, where a person may have submitted another, the earlier attempts of this deploy.
 */
export function blockingJobsOf(scene: Scene, unexpected: readonly LivingJob[]): readonly LivingJob[] {
  const { kind, rollbackJobId, failure } = rolloutOf(scene);
  const isNewCluster = kind === 'NewCluster' && rollbackJobId === undefined && failure === undefined;
  return isNewCluster ? unexpected : unexpected.filter(({ id }) => isOwnAttempt(scene, id));
}

/** Whether a job's id is one under which this deploy has submitted. */
export function isOwnAttempt(scene: Scene, jobId: string): boolean {
  const { startTime, revision, attempts = 0 } = rolloutOf(scene);
  const { uid } = scene.application;
  return Array.from({ length: attempts }, (_, index) => index + 1).some((attempt) =>
    ['job', 'rollback'].some((purpose) => deriveId(uid, purpose, revision, startTime, attempt) === jobId),
  );
}

/** One that is being cancelled already is only waited for. */
export function cancelJobs(jobs: readonly LivingJob[], hash: string): readonly Effect[] {
  return jobs.filter(({ state }) => state === 'Active').map(({ id }) => ({ kind: 'CancelJob', hash, jobId: id }));
}

export function unexpectedJobEvents(jobs: readonly LivingJob[], hash: string, what: string): readonly Event[] {
  return jobs
    .filter(({ state }) => state === 'Active')
    .map(({ id }) => warning('UnexpectedJob', `${describeUnexpected(id, hash)}: ${what}`));
}

export function describeUnexpected(jobId: string, hash: string): string {
  return `Job ${jobId} runs on cluster ${hash} and is not the application's`;
}
