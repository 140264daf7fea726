// The conditions say in the user's words how things stand: is the spec deployable, is it deployed, does the job run, may Headrace act.

import { formatTime } from '../units.ts';
import { findRefusal } from './at-rest.ts';
import { describeWaitingChange } from './dual-running.ts';
import { findRecordedSize, SIZE_RECORDED } from './ended-jobs.ts';
import { failureOf } from './failures.ts';
import { isForeign } from './foreign-status.ts';
import { isGone } from './health.ts';
import {
  blockersOf,
  causeOf,
  clusterOf,
  isAtRest,
  isBlueGreen,
  isMeantToRun,
  jobStateAt,
  jobStateOf,
  jobViewOf,
  known,
  lastKnownState,
  replicaFailuresOf,
  type Scene,
  targetRevision,
  warning,
} from './scene.ts';
import { clauses, sentences } from './sentences.ts';
import { findRestorePath, isUnsettled } from './stop-old-job.ts';
import { describeSuspension } from './suspended.ts';
import { isSuspensionWanted } from './suspension.ts';
import type { Condition, ConditionType, Event, Failure, JobView, UnknownField } from './types.ts';

type Judgement = Omit<Condition, 'lastTransitionTime'>;

/** @param standsAside why Headrace does not act on the application, if it does not */
export function describeConditions(scene: Scene, standsAside?: Failure): readonly Condition[] {
  const judgements = [
    judgeSpec(scene),
    ...judgeFields(scene),
    judgeDeploy(scene, standsAside),
    judgeJob(scene),
    ...judgeOwnership(scene, standsAside),
  ];
  return judgements.map((judgement) => keepTransitionTime(scene, judgement));
}

function keepTransitionTime({ status, now }: Scene, judgement: Judgement): Condition {
  const before = status.conditions?.find(({ type }) => type === judgement.type);
  const isSame = before?.status === judgement.status;
  return { ...judgement, lastTransitionTime: isSame ? before.lastTransitionTime : formatTime(now) };
}

function judgeSpec({ desired }: Scene): Judgement {
  if ('faults' in desired) return condition('SpecValid', 'False', 'InvalidSpec', clauses(...desired.faults));
  return condition('SpecValid', 'True', 'Valid', 'The spec can be deployed');
}

/** A field that nobody reads blocks nothing: it may be another tool's, or a later version's. It may be misspelt as well. */
function judgeFields({ application, status }: Scene): readonly Judgement[] {
  const { unknownFields } = application;
  if (unknownFields.length > 0) {
    const message = clauses(...unknownFields.map(describeUnknown));
    return [condition('FieldsKnown', 'False', 'UnknownFields', message)];
  }
  const wasUnknown = status.conditions?.some(({ type }) => type === 'FieldsKnown');
  return wasUnknown ? [condition('FieldsKnown', 'True', 'FieldsKnown', 'Every field of the spec is read')] : [];
}

function describeUnknown({ field, nearest }: UnknownField): string {
  return `${field} is not a field that Headrace reads${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`;
}

/** Unknown fields are reported when they are first seen, and when there are others. */
export function tellOfUnknownFields({ status }: Scene, after: readonly Condition[]): readonly Event[] {
  const find = (conditions: readonly Condition[] = []) =>
    conditions.find(({ type, status: word }) => type === 'FieldsKnown' && word === 'False')?.message;
  const message = find(after);
  return message === undefined || message === find(status.conditions) ? [] : [warning('UnknownFields', message)];
}

function judgeDeploy(scene: Scene, standsAside: Failure | undefined): Judgement {
  const { status, desired, application } = scene;
  const { rollout, failedDeploy, phase = '' } = status;
  if (phase === 'DualRunning') return judgeVersions(scene);
  if (standsAside !== undefined && standsAside.reason !== 'HashMismatch' && isForeign(application))
    return condition(
      'Deployed',
      'Unknown',
      'NotOwned',
      'Another operator deployed it, and Headrace has not adopted it',
    );
  if (phase === 'Suspended') return condition('Deployed', 'False', 'Suspended', describeSuspension(scene));
  if (rollout?.kind === 'Suspend') return condition('Deployed', 'Unknown', 'Suspending', describeSuspending(scene));
  if (status.failedSuspension !== undefined && isSuspensionWanted(scene)) {
    const { message, retryTime } = status.failedSuspension;
    const retry = `suspending is tried again at ${retryTime}`;
    return condition('Deployed', 'False', 'SuspendFailed', clauses(message, retry));
  }
  if (rollout?.rollsBackTo !== undefined && rollout.failure === undefined)
    return condition('Deployed', 'False', 'RollingBack', failedDeploy?.message ?? '');
  if (rollout?.failure !== undefined) return condition('Deployed', 'False', 'RollingBack', rollout.failure.message);
  if (rollout !== undefined) return condition('Deployed', 'Unknown', phase || 'Updating', describeProgress(scene));
  const recorded = isAtRest(status) ? findRecordedSize(scene) : undefined;
  if (recorded !== undefined) return condition('Deployed', 'False', SIZE_RECORDED, recorded.message);
  if (failedDeploy !== undefined && phase === 'DeployFailed') {
    const retry = failedDeploy.retryTime === undefined ? 'when the spec changes' : `at ${failedDeploy.retryTime}`;
    return condition('Deployed', 'False', failedDeploy.reason, clauses(failedDeploy.message, `tried again ${retry}`));
  }
  const refusal = phase === 'DeployFailed' ? findRefusal(scene) : undefined;
  if (refusal !== undefined) return condition('Deployed', 'False', 'DeployFailed', refusal.message);
  if (isDeployed(desired, status))
    return condition(
      'Deployed',
      'True',
      'Deployed',
      `${status.currentRevision} is deployed on cluster ${status.deployHash}`,
    );
  if (!status.deployHash) return condition('Deployed', 'False', 'NotDeployed', 'Nothing has been deployed yet');
  return condition('Deployed', 'False', 'NotUpToDate', `Cluster ${status.deployHash} does not run what the spec says`);
}

function isDeployed(desired: Scene['desired'], { currentRevision }: Scene['status']): boolean {
  return 'name' in desired && (desired.name === currentRevision || desired.ownName === currentRevision);
}

/** The new version is only deployed as long as its job runs beside the old one. */
function judgeVersions(scene: Scene): Judgement {
  const { deployHash, updatingHash, rollout } = scene.status;
  const waiting = describeWaitingChange(scene);
  if (waiting !== undefined) return condition('Deployed', 'False', 'TearDownAwaited', waiting);
  const view = jobViewOf(scene, updatingHash, rollout?.jobId);
  const state = jobStateAt(scene, updatingHash, rollout?.jobId);
  if (!isGone(state))
    return condition('Deployed', 'True', 'DualRunning', `Versions ${deployHash} and ${updatingHash} run`);
  const message = `The job of version ${updatingHash} does not run (${state})${causeOf(view)}`;
  return condition('Deployed', 'False', 'JobNotRunning', message);
}

function describeProgress(scene: Scene): string {
  const { status } = scene;
  const { rollout, lastSeenError } = status;
  const blockers = blockersOf(scene).slice(0, 3);
  const error = lastSeenError?.appError === undefined ? [] : [lastSeenError.appError];
  return clauses(`${rollout?.revision} is being deployed on cluster ${rollout?.hash}`, ...blockers, ...error);
}

function describeSuspending({ status }: Scene): string {
  const { oldJobId, failure } = status.rollout ?? {};
  if (failure !== undefined) return `Job ${oldJobId} is not suspended: ${failure.message}`;
  const error = status.lastSeenError?.appError;
  return clauses(`Job ${oldJobId} is being ended: spec.suspend is set`, error ?? '');
}

function judgeJob(scene: Scene): Judgement {
  const { status } = scene;
  const { jobStatus, deployHash, rollout, phase, failedDeploy } = status;
  if (phase === 'Suspended') return condition('JobRunning', 'False', 'Suspended', describeSuspension(scene));
  const id = jobStatus?.jobID;
  if (!id) return condition('JobRunning', 'False', 'NoJob', 'No job has been submitted yet');
  const isNew = id === rollout?.jobId;
  if (!deployHash && !isNew && failedDeploy !== undefined)
    return condition(
      'JobRunning',
      'False',
      jobStatus.state === 'FAILED' ? 'JobFailed' : 'NoJob',
      nothingRuns(failedDeploy),
    );
  const hash = isNew ? rollout?.hash : deployHash;
  const view = jobViewOf(scene, hash, id);
  // An end that was seen holds, whatever became of the JobManager.
  const state = isNew ? jobStateAt(scene, hash, id) : lastKnownState(scene);
  const missingPods = replicaFailuresOf(clusterOf(scene, hash));
  const isWanted = isMeantToRun(status);
  switch (state) {
    case 'Unreadable':
      return condition(
        'JobRunning',
        'Unknown',
        'JobManagerUnreachable',
        clauses(`Job ${id}: ${unreadableCause(view)}`, ...missingPods),
      );
    case 'Lost':
      return condition(
        'JobRunning',
        'False',
        'JobLost',
        `The JobManager does not know job ${id}: it was restarted without high availability. ${remedy(scene, view)}`,
      );
    case 'Failed':
      return condition(
        'JobRunning',
        'False',
        'JobFailed',
        sentences(`Job ${id} has failed${causeOf(view)}`, remedy(scene, view)),
      );
    case 'Canceled':
      return condition(
        'JobRunning',
        'False',
        'JobCanceled',
        isWanted ? `Job ${id} was cancelled, and not by Headrace` : `Job ${id} is cancelled`,
      );
    case 'Finished':
      return condition('JobRunning', 'False', 'JobFinished', `Job ${id} has finished`);
    case 'FinishedOrStopped':
      return condition('JobRunning', 'False', 'JobFinished', `Job ${id} has ended, and not in a failure`);
    case 'Stopped': {
      const from = known(view?.checkpoints)?.latestSavepoint?.path;
      const stopped = `Job ${id} was stopped with savepoint ${from}`;
      const message = isWanted ? `${stopped}, and not by Headrace: the next deploy restores it` : stopped;
      return condition('JobRunning', 'False', 'JobStopped', message);
    }
    case 'Cancelling':
      return condition('JobRunning', 'False', 'JobCancelling', `Job ${id} is being cancelled`);
    case 'Active':
      return judgeActive(scene, { view, isNew, missingPods });
    default:
      throw state satisfies never;
  }
}

interface ActiveJob {
  readonly view: JobView | undefined;
  /** It is the one that is being deployed. */
  readonly isNew: boolean;
  /** Why pods of its cluster cannot be made. */
  readonly missingPods: readonly string[];
}

/** It runs, or tries to; one that fails again and again may be seen either way. */
function judgeActive(scene: Scene, { view, isNew, missingPods }: ActiveJob): Judgement {
  const { jobID, state, restartLoopTime, parallelism: recorded } = scene.status.jobStatus ?? {};
  if (state !== 'RUNNING') {
    const seen = `Job ${jobID} is ${state}${causeOf(view)}`;
    return condition('JobRunning', 'False', 'JobNotRunning', clauses(seen, ...missingPods, loopOf(restartLoopTime)));
  }
  // Until it is deployed the record still holds what a rollback would start again.
  const parallelism = isNew ? targetRevision(scene)?.parallelism : recorded;
  const runs = parallelism === undefined ? `Job ${jobID} runs` : `Job ${jobID} runs with parallelism ${parallelism}`;
  if (restartLoopTime === undefined) return condition('JobRunning', 'True', 'JobRunning', runs);
  const cause = `${loopOf(restartLoopTime)}${causeOf(view)}`;
  return condition('JobRunning', 'True', 'JobRestartLoop', clauses(runs, cause));
}

function loopOf(since: string | undefined): string {
  return since === undefined ? '' : `it fails again and again since ${since}`;
}

/** After a first deploy that failed, until the next attempt has a job: the cluster has been deleted. */
function nothingRuns({ message }: Failure): string {
  return sentences(message, 'Nothing runs');
}

function unreadableCause(view: JobView | undefined): string {
  return view !== undefined && 'unreadable' in view.job ? view.job.unreadable : 'its JobManager was not asked';
}

/** What happens next to a job that is gone, or what keeps it from happening. */
function remedy(scene: Scene, view: JobView | undefined): string {
  const { options, status } = scene;
  if (isBlueGreen(scene)) return 'In BlueGreen no job is started again: change spec.restartNonce to deploy it again';
  if (!options.restartsFromCheckpoint)
    return 'restartPolicy is Never: change spec.restartNonce to deploy it again, or set restartPolicy to FromLatestCheckpoint';
  const failed = failureOf(status, status.currentRevision);
  if (failed !== undefined) return `It is started again at ${failed.retryTime}`;
  if (isUnsettled(view)) return 'Its JobManager does not say yet which checkpoints there are';
  const origin = findRestorePath(scene, view, jobStateOf(view));
  if ('path' in origin) return `It is started again from ${origin.path}`;
  return options.fallsBackWithoutState
    ? 'It is started again without state'
    : `It cannot be started again: ${origin.fault}`;
}

function judgeOwnership({ status }: Scene, standsAside: Failure | undefined): readonly Judgement[] {
  if (standsAside !== undefined) return [condition('Owned', 'False', standsAside.reason, standsAside.message)];
  const wasDoubtful = status.conditions?.some(({ type }) => type === 'Owned');
  return wasDoubtful ? [condition('Owned', 'True', 'Owned', 'Headrace deploys this application')] : [];
}

function condition(type: ConditionType, status: Condition['status'], reason: string, message: string): Judgement {
  return { type, status, reason, message };
}
