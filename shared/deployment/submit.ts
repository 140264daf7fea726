// SubmittingJob: the job is handed to the JobManager under an id that was written down before, and watched until it runs. With
// that id every doubt is settled by asking: a job that is there was submitted, one that is not can be submitted (again).

import { pinAgain } from './begin.ts';
import { FORCED, revisionMissing } from './cluster-start.ts';
import { stopCluster } from './clusters.ts';
import { failuresBeside, forgetFailure, nextId, rollBack } from './failures.ts';
import { previousDeployOf } from './rollback-window.ts';
import {
  after,
  asJob,
  causeOf,
  clusterOf,
  exhaustion,
  forgetDeploy,
  forgetErrors,
  hasEnded,
  isBlueGreen,
  isFirstDeploy,
  isPast,
  type JobState,
  jobOf,
  jobRequestOf,
  jobStateOf,
  jobViewOf,
  known,
  type LivingJob,
  normal,
  note,
  rolloutOf,
  type Scene,
  stay,
  type Transition,
  targetRevision,
  telling,
  updatingColour,
  warning,
} from './scene.ts';
import { oldJobOf } from './stop-old-job.ts';
import { genericServiceName, taskManagerSelector } from './templates.ts';
import type {
  ApplicationStatus,
  Effect,
  Event,
  Failure,
  Job,
  JobStatus,
  JobSubmission,
  JobView,
  Revision,
  Rollout,
} from './types.ts';
import {
  blockingJobsOf,
  cancelJobs,
  describeUnexpected,
  isOwnAttempt,
  unexpectedJobEvents,
  unexpectedJobsOn,
} from './unexpected-jobs.ts';
import { findOverdueVertices } from './vertices.ts';

/** A state that is restored takes its time, and says so: vertices may be INITIALIZING this many times as long as they may take. */
const INITIALIZING_PATIENCE = 10;

export function submitJob(scene: Scene): Transition {
  const { options } = scene;
  const rollout = rolloutOf(scene);
  const revision = targetRevision(scene);
  // The old job has been stopped by now: without the pinned target it is the old one that must run again.
  if (revision === undefined) return pinAgain(scene) ?? rollBack(scene, revisionMissing(scene));
  if (options.isRollbackForced && rollout.kind !== 'Restart') return rollBack(scene, FORCED);
  const pointing = pointService(scene, rollout.hash);
  if (pointing.length > 0) return stay(scene, pointing);

  const view = jobViewOf(scene, rollout.hash, rollout.jobId);
  const job = jobOf(view);
  if (job === undefined) return avoidSecondJob(scene) ?? handOver(scene, revision, jobStateOf(view));
  if (rollout.isSubmitted !== true) return noteSubmitted(scene, job);
  return judgeJob(scene, revision, job, view);
}

/** The old job was seen to end before this phase; should it be there again all the same, no other is begun beside it. */
function avoidSecondJob(scene: Scene): Transition | undefined {
  if (isBlueGreen(scene) || isFirstDeploy(scene)) return undefined;
  const { hash, id, state } = oldJobOf(scene);
  const { kind, hash: newHash, jobId, isSubmitted } = rolloutOf(scene);
  if (hasEnded(state)) return undefined;
  // A new job that is there was only submitted when the old one had been seen to end; one that is lost is submitted again.
  const isThere = isSubmitted === true && jobStateOf(jobViewOf(scene, newHash, jobId)) !== 'Lost';
  if (state === 'Unreadable' && isThere) return undefined;
  if (kind === 'Restart' && state === 'Active') return resume(scene, id);
  const over = isSubmissionOver(scene);
  if (over !== undefined || state === 'Cancelling') return over ?? stay(scene);
  if (state === 'Active') return stay(scene, [{ kind: 'CancelJob', hash, jobId: id }]);
  // Of a cluster whose JobManager says nothing it is only certain that no job runs when it has no pods.
  return stay(scene, hash === newHash ? [] : stopCluster(clusterOf(scene, hash)));
}

/** A JobManager with high availability knows its job again after a while: it was not lost. */
function resume(scene: Scene, id: string): Transition {
  const status = forgetDeploy(scene.status);
  const event = normal('JobReappeared', `Job ${id} is there again, and is not started anew`);
  return { status: forgetErrors({ ...status, phase: 'Running' }), effects: [], events: [event] };
}

function handOver(scene: Scene, revision: Revision, state: JobState): Transition {
  const { jobId, isSubmitted } = rolloutOf(scene);
  if (jobId === undefined) return announceJob(scene);
  if (state === 'Unreadable' && hasGrace(scene)) return stay(scene);
  if (state === 'Lost' && isSubmitted === true) return replaceLostJob(scene);
  const over = isSubmissionOver(scene);
  if (over !== undefined || state !== 'Lost') return over ?? stay(scene);
  return isAnotherProcess(scene, rolloutOf(scene).hash) ? replaceId(scene) : submit(scene, revision);
}

/**
 * Whether a JobManager was started again since the id of the job was written down. The process before may have begun the job
 * unseen; TaskManagers that outlived it refuse another under that id, since its libraries are not the ones they have.
 */
export function isAnotherProcess(scene: Scene, hash: string): boolean {
  const { jobManagerProcess: before } = rolloutOf(scene);
  const { process } = scene.observation.jobManagers.get(hash) ?? {};
  return before !== undefined && process !== undefined && process !== before;
}

/** A JobManager that dies with each job it is given is no place to go on trying. */
const MAX_LOST_JOBS = 5;

/** Without high availability a JobManager that was started again knows no job; this one is submitted anew. */
function replaceLostJob(scene: Scene): Transition {
  const { jobId, lostJobs = 0, hash } = rolloutOf(scene);
  const times = lostJobs + 1;
  const message = `The JobManager of cluster ${hash} was restarted and has lost job ${jobId}`;
  if (times < MAX_LOST_JOBS)
    return telling(replaceId(scene, times), warning('JobLost', `${message}: it is submitted again under another id`));
  const failure = { reason: 'JobMonitoringFailed', message: `${message}, the ${times}th of this deploy` };
  return telling(rollBack(scene, failure), warning('JobMonitoringFailed', failure.message));
}

/** Gives the job another id, and the time of a new submission if the JobManager had it already. */
function replaceId(scene: Scene, lostJobs?: number): Transition {
  const { isSubmitted, ...before } = rolloutOf(scene);
  const { id, attempts } = nextId(scene, 'job');
  const { submitSeconds } = scene.options.timeouts;
  const lost = lostJobs === undefined ? {} : { lostJobs, deadline: after(scene.now, submitSeconds) };
  const identity = { jobId: id, attempts, idReplacedTime: after(scene.now, 0), ...processOf(scene, before.hash) };
  const rollout = { ...before, ...lost, ...identity };
  const jobStatus =
    isSubmitted === true && !isSecondColour(scene) ? newJobStatus(scene, id, scene.status.savepointPath) : undefined;
  return note(scene, { rollout, ...(jobStatus && { jobStatus }) });
}

/** What is written down beside an id: the process to which the job is about to be submitted. */
export function processOf({ observation }: Scene, hash: string): Pick<Rollout, 'jobManagerProcess'> {
  const { process } = observation.jobManagers.get(hash) ?? {};
  return process === undefined ? {} : { jobManagerProcess: process };
}

/** No call to a JobManager lasts longer: see the limits in flink/job-manager.ts. */
export const LONGEST_CALL_SECONDS = 30;

/** Whether a call may still be under way that submits the job under the id that it had before. */
export function mayComeUnderOldId({ now, status }: Scene): boolean {
  const { idReplacedTime } = status.rollout ?? {};
  return idReplacedTime !== undefined && !isPast(idReplacedTime, now, LONGEST_CALL_SECONDS);
}

/** A job with another id than before is submitted when its TaskManagers are back, and nothing has come up under the old id. */
function submit(scene: Scene, revision: Revision): Transition {
  const { hash, idReplacedTime } = rolloutOf(scene);
  if (idReplacedTime === undefined) return stay(scene, [submission(scene, revision)]);
  const unexpected = unexpectedJobsOn(scene, hash);
  if (unexpected === undefined || mayComeUnderOldId(scene)) return stay(scene);
  const blocking = blockingJobsOf(scene, unexpected);
  if (blocking.length > 0) return endBlockingJobs(scene, blocking);
  const slots = known(scene.observation.jobManagers.get(hash)?.overview)?.slotsTotal ?? 0;
  return stay(scene, slots < revision.parallelism ? [] : [submission(scene, revision)]);
}

/** A job that was taken is not given up for one look in which its JobManager did not answer. */
function hasGrace(scene: Scene): boolean {
  const { isSubmitted, deadline } = rolloutOf(scene);
  const grace = scene.options.timeouts.clusterStartSeconds * 1000;
  return isSubmitted === true && scene.now < Date.parse(deadline) + grace;
}

/** The generic service leads to the cluster whose job is, or is about to be, the application's. */
export function pointService(scene: Scene, hash: string): readonly Effect[] {
  const name = genericServiceName(scene.application.name, updatingColour(scene));
  const service = scene.observation.services.get(name);
  const podSelector = clusterOf(scene, hash)?.jobManager?.podSelector;
  if (service === undefined || podSelector === undefined) return [];
  if (service.selector['pod-deployment-selector'] === podSelector && service.selector['flink-app-hash'] === undefined)
    return [];
  return [{ kind: 'PointService', name, resourceVersion: service.resourceVersion, podSelector }];
}

/** What is not the application's job ends first; only then an id is written down under which its own is submitted. */
function announceJob(scene: Scene): Transition {
  const rollout = rolloutOf(scene);
  const unexpected = unexpectedJobsOn(scene, rollout.hash);
  if (unexpected === undefined) return isSubmissionOver(scene) ?? stay(scene);
  if (rollout.isTakenOver === true && unexpected.length > 0) return adoptJob(scene, unexpected);
  const blocking = blockingJobsOf(scene, unexpected);
  if (blocking.length > 0) return endBlockingJobs(scene, blocking);
  const { id, attempts } = nextId(scene, 'job');
  const events = unexpectedJobEvents(unexpected, rollout.hash, 'it is left alone');
  return note(scene, { rollout: { ...rollout, jobId: id, attempts, ...processOf(scene, rollout.hash) } }, events);
}

/** In a deploy that Lyft's operator began, a job that runs there already is the one that it submitted. */
function adoptJob(scene: Scene, [found, ...others]: readonly LivingJob[]): Transition {
  const rollout = rolloutOf(scene);
  if (found === undefined || others.length > 0) {
    const ids = [found, ...others].flatMap((job) => job?.id ?? []).join(', ');
    const message = `${others.length + 1} jobs run on cluster ${rollout.hash}, and there must be one: ${ids}`;
    return rollBack(scene, { reason: 'TooManyJobs', message });
  }
  const event = normal('JobAdopted', `Job ${found.id} was submitted to cluster ${rollout.hash} by another operator`);
  return note(scene, { rollout: { ...rollout, jobId: found.id } }, [event]);
}

function endBlockingJobs(scene: Scene, blocking: readonly LivingJob[]): Transition {
  const { hash, deadline } = rolloutOf(scene);
  if (isPast(deadline, scene.now)) {
    const message = blocking.map(({ id }) => describeUnexpected(id, hash)).join('; ');
    return rollBack(scene, { reason: 'UnexpectedJob', message });
  }
  return stay(scene, cancelJobs(blocking, hash), unexpectedJobEvents(blocking, hash, 'it is cancelled'));
}

/** @returns the roll back, when there is no more use in waiting for the job to appear */
function isSubmissionOver(scene: Scene): Transition | undefined {
  const failure = exhaustion(scene) ?? timedOut(scene);
  if (failure === undefined) return undefined;
  return telling(rollBack(scene, failure), warning('JobSubmissionFailed', failure.message));
}

function timedOut(scene: Scene): Failure | undefined {
  const { hash, deadline } = rolloutOf(scene);
  if (!isPast(deadline, scene.now)) return undefined;
  const message = `Cluster ${hash} did not take the job within ${scene.options.timeouts.submitSeconds} s`;
  return { reason: 'JobSubmissionTimedOut', message };
}

function submission(scene: Scene, revision: Revision): Effect {
  const { hash, jobId = '' } = rolloutOf(scene);
  const { savepointPath } = scene.status;
  const job: JobSubmission = {
    ...jobRequestOf(revision),
    jobId,
    allowNonRestoredState: scene.options.allowsNonRestoredState,
    ...(savepointPath && { savepointPath }),
  };
  return { kind: 'SubmitJob', hash, submission: job };
}

function noteSubmitted(scene: Scene, { id }: Job): Transition {
  const { options, now, status } = scene;
  const deadline = after(now, options.timeouts.verticesSeconds);
  const rollout = { ...rolloutOf(scene), isSubmitted: true, deadline };
  const from = status.savepointPath ? ` from ${status.savepointPath}` : '';
  const isAdopted = rollout.isTakenOver === true && !isOwnAttempt(scene, id);
  const events = isAdopted ? [] : [normal('JobSubmitted', `Job ${id} was submitted to cluster ${rollout.hash}${from}`)];
  const jobStatus = isSecondColour(scene) ? {} : { jobStatus: newJobStatus(scene, id, status.savepointPath) };
  return note({ ...scene, status: forgetErrors(status) }, { rollout, ...jobStatus }, events);
}

/** In BlueGreen the old job stays the application's until it is torn down. */
function isSecondColour(scene: Scene): boolean {
  return isBlueGreen(scene) && !isFirstDeploy(scene);
}

/** Of a job that has just begun: what is submitted again in a rollback, and of the job before it only where this one began. */
export function newJobStatus({ status, now }: Scene, jobID: string, restorePath: string | undefined): JobStatus {
  const { jarName, entryClass, programArgs, programArgsList, parallelism, allowNonRestoredState } =
    status.jobStatus ?? {};
  const { lastCheckpoint, lastCheckpointTime = null } = status.jobStatus ?? {};
  return {
    jobID,
    ...(lastCheckpoint && lastCheckpoint === restorePath && { lastCheckpoint, lastCheckpointTime }),
    ...(jarName !== undefined && { jarName }),
    ...(entryClass !== undefined && { entryClass }),
    ...(programArgs !== undefined && { programArgs }),
    ...(programArgsList !== undefined && { programArgsList }),
    ...(parallelism !== undefined && { parallelism }),
    ...(allowNonRestoredState !== undefined && { allowNonRestoredState }),
    ...(restorePath && { restorePath, restoreTime: after(now, 0) }),
  };
}

/** Whether a job that was just begun has come up. */
export type Verdict = 'Up' | 'Waiting' | Failure;

function judgeJob(scene: Scene, revision: Revision, job: Job, view: JobView | undefined): Transition {
  const verdict = judgeStart(scene, job, view);
  if (verdict === 'Up') return succeed(scene, revision, job);
  if (verdict === 'Waiting') return stay(scene);
  return telling(rollBack(scene, verdict), warning('JobMonitoringFailed', verdict.message));
}

/** For so long after the deadline it is waited for why a job has failed. */
const CAUSE_GRACE_SECONDS = 30;

/** A job is up when every vertex that would have begun by now runs or has finished; one that is looked at late is not held to be late. */
export function judgeStart(scene: Scene, job: Job, view: JobView | undefined): Verdict {
  const { now, options } = scene;
  const { id, state, vertices } = job;
  const failures = known(view?.failures);
  const why = causeOf(view);
  if (state === 'FINISHED') return 'Up';
  // The cause is known some seconds after the state, and is not recorded later.
  const mayBeKnownLater = failures === undefined && !isPast(rolloutOf(scene).deadline, now, CAUSE_GRACE_SECONDS);
  if (state === 'FAILED' && mayBeKnownLater) return 'Waiting';
  if (state === 'FAILED' || state === 'CANCELED')
    return { reason: 'JobMonitoringFailed', message: `Job ${id} is ${state}${why}` };
  const overdue = findOverdueVertices(job);
  if (state === 'RUNNING' && vertices.length > 0 && overdue.length === 0) return 'Up';

  const { verticesSeconds } = options.timeouts;
  const { deadline } = rolloutOf(scene);
  const isInitializing = vertices.some(({ status }) => status === 'INITIALIZING');
  const grace = isInitializing ? verticesSeconds * (INITIALIZING_PATIENCE - 1) : 0;
  if (now < Date.parse(deadline) + grace * 1000) return 'Waiting';
  const waiting = overdue.map(({ name, status }) => `${name} is ${status}`);
  const seen = [`it is ${state}`, ...waiting].join(', ');
  return { reason: 'JobMonitoringFailed', message: `Job ${id} did not run within ${verticesSeconds} s: ${seen}${why}` };
}

/** The new revision is what runs now. */
function succeed(scene: Scene, revision: Revision, job: Job): Transition {
  const kept = forgetDeploy(scene.status);
  const { kind, revision: name, hash, clusterId, rollsBackTo } = rolloutOf(scene);
  // A job that was only begun again says nothing of another revision that has failed, nor does one that was rolled back to.
  const others = kind === 'Restart' || rollsBackTo ? failuresBeside(kept, name) : undefined;
  const status = forgetErrors(others ? { ...kept, failedDeploy: others } : forgetFailure(kept));
  const jobStatus = recordJob(scene, status.jobStatus, { revision, id: job.id });
  const events: Event[] = [
    ...(job.state === 'FINISHED' ? [normal('JobFinished', `Job ${job.id} has finished`)] : []),
    ...(rollsBackTo ? [normal('RollbackSucceeded', `${name} runs again on cluster ${hash}`)] : []),
  ];
  if (isBlueGreen(scene) && !isFirstDeploy(scene) && kind === 'NewCluster')
    return {
      status: { ...kept, phase: 'DualRunning', rollout: rolloutOf(scene), updatingHash: hash },
      effects: [],
      events,
    };
  const phase = others ? 'DeployFailed' : 'Running';
  const previous = previousDeployOf(scene);
  const deployed = {
    phase,
    deployHash: hash,
    currentRevision: name,
    jobStatus,
    ...selectorOf(scene, hash),
    ...(previous && { previousDeploy: previous }),
  };
  const onCluster = kind === 'NewCluster' ? withClusterId(withoutHistory(status), clusterId) : status;
  return { status: { ...onCluster, ...deployed }, effects: [], events };
}

/** On a new cluster no pod looks for its JobManager under an older hash; a job that runs is not suspended; and so on. */
function withoutHistory({
  inPlaceUpdatedFromHash,
  suspension,
  previousDeploy,
  ...status
}: ApplicationStatus): ApplicationStatus {
  return status;
}

/** Another cluster is deployed now, with an id of its own or without one. */
export function withClusterId(
  { clusterId: _, ...status }: ApplicationStatus,
  clusterId: string | undefined,
): ApplicationStatus {
  return clusterId === undefined ? status : { ...status, clusterId };
}

/** What a rollback submits again. */
export function recordJob(scene: Scene, before: JobStatus | undefined, { revision, id }: SubmittedJob): JobStatus {
  const allowNonRestoredState = scene.options.allowsNonRestoredState;
  const { programArgsList: _, ...seen } = asJob(before ?? {}, id);
  return { ...seen, ...jobRequestOf(revision), allowNonRestoredState };
}

export interface SubmittedJob {
  readonly revision: Revision;
  readonly id: string;
}

/** Selects the TaskManagers of one cluster and no others; it moves when deployHash does. */
export function selectorOf(scene: Scene, hash: string): { selector?: string } {
  const podSelector = clusterOf(scene, hash)?.taskManager?.podSelector;
  return podSelector === undefined ? {} : { selector: taskManagerSelector(scene.application.name, podSelector) };
}
