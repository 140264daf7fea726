// What a step looks at, and how it says what follows. Everything here is a plain question about plain values.

import { formatTime } from '../units.ts';
import { isForeign, readForeignBlueGreen } from './foreign-status.ts';
import { fingerprintOf, revisionName, revisionOf, specDigest } from './identity.ts';
import { clauses } from './sentences.ts';
import type {
  Application,
  ApplicationSpec,
  ApplicationStatus,
  Cluster,
  Colour,
  Effect,
  Event,
  Failure,
  Job,
  JobRequest,
  JobStatus,
  JobView,
  Observation,
  Phase,
  Revision,
  Rollout,
  Savepoint,
  SavepointHistory,
  Timeouts,
} from './types.ts';
import { validate } from './validate.ts';

export interface StepInput {
  readonly application: Application;
  readonly observation: Observation;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** What one step comes to: the status is written first, if that holds the effects are performed, then the events are told. */
export interface Transition {
  readonly status: ApplicationStatus;
  readonly effects: readonly Effect[];
  readonly events: readonly Event[];
}

/** One application at one moment, with the answers that every phase asks for. */
export interface Scene extends StepInput {
  readonly status: ApplicationStatus;
  readonly options: Options;
  readonly desired: Desired;
}

/** What the spec asks for: a revision, or every reason why there is none. */
export type Desired = WantedRevision | { readonly faults: readonly string[] };

export interface WantedRevision {
  readonly name: string;
  /** By what counts now; another one than `name` where what is in use was named when more counted. */
  readonly ownName: string;
  readonly revision: Revision;
  /** Of the whole spec, its size left out. */
  readonly specDigest: string;
}

/** A revision by its name, as it is pinned. */
export type PinnedRevision = Pick<WantedRevision, 'name' | 'revision'>;

/** How to deploy, with every default filled in. */
export interface Options {
  readonly isSavepointDisabled: boolean;
  readonly fallsBackWithoutState: boolean;
  readonly isRollbackForced: boolean;
  readonly isSuspended: boolean;
  readonly rollbackWindowSeconds: number | undefined;
  readonly savepointHistory: SavepointHistory | undefined;
  readonly periodicSavepointSeconds: number | undefined;
  readonly scalesInPlace: boolean;
  readonly restartsFromCheckpoint: boolean;
  readonly allowsNonRestoredState: boolean;
  readonly drainsOnStop: boolean;
  readonly deleteMode: 'Savepoint' | 'None' | 'ForceCancel';
  readonly deploymentMode: string;
  readonly firstSavepointPath: string;
  readonly tearDownVersionHash: string;
  /** Labels and annotations that do not count as a change, beside those of tools. */
  readonly excludedMetadata: readonly string[];
  readonly maxCheckpointRestoreAgeSeconds: number;
  readonly timeouts: Timeouts;
}

const DEFAULT_TIMEOUTS: Timeouts = {
  clusterStartSeconds: 300,
  savepointSeconds: 300,
  submitSeconds: 300,
  verticesSeconds: 180,
};

export function createScene(input: StepInput): Scene {
  const { application } = input;
  const spec = 'value' in application.spec ? application.spec.value : undefined;
  const options = readOptions(spec);
  const desired = readDesired(input);
  return { ...input, status: readStatus(application, options, desired), options, desired };
}

/** The status as Headrace would have written it, whoever wrote it. */
function readStatus(application: Application, options: Options, desired: Desired): ApplicationStatus {
  const { status } = application;
  if (!isForeign(application) || !isBlueGreen({ status, options })) return status;
  return readForeignBlueGreen(status, 'name' in desired ? desired.name : '');
}

function readOptions(spec: Partial<ApplicationSpec> = {}): Options {
  return {
    isSavepointDisabled: spec.savepointDisabled === true,
    fallsBackWithoutState: spec.fallbackWithoutState === true,
    isRollbackForced: spec.forceRollback === true,
    isSuspended: spec.suspend === true,
    rollbackWindowSeconds: spec.rollbackWindowSeconds,
    savepointHistory: spec.savepointHistory,
    periodicSavepointSeconds: spec.periodicSavepoints?.intervalSeconds,
    scalesInPlace: spec.scaleMode === 'InPlace',
    restartsFromCheckpoint: spec.restartPolicy === 'FromLatestCheckpoint',
    allowsNonRestoredState: spec.allowNonRestoredState === true,
    drainsOnStop: spec.drainOnStop === true,
    deleteMode: spec.deleteMode || 'Savepoint',
    deploymentMode: spec.deploymentMode || 'Dual',
    firstSavepointPath: spec.savepointPath || spec.savepointInfo?.savepointLocation || '',
    tearDownVersionHash: spec.tearDownVersionHash ?? '',
    excludedMetadata: spec.excludedMetadata ?? [],
    maxCheckpointRestoreAgeSeconds: spec.maxCheckpointRestoreAgeSeconds ?? 3600,
    timeouts: { ...DEFAULT_TIMEOUTS, ...spec.timeouts },
  };
}

function readDesired({ application, observation }: StepInput): Desired {
  const { spec, labels, annotations, status } = application;
  if ('unreadable' in spec) return { faults: [spec.unreadable] };
  const faults = validate(application.name, spec.value);
  if (faults.length > 0) return { faults };
  const { excludedMetadata = [] } = spec.value;
  const revision = revisionOf({ labels, annotations, spec: spec.value });
  const name = revisionName(application.name, revision, excludedMetadata);
  const pinned = findPinned({ status, observation }, { name, revision, excludedMetadata });
  return { name: pinned ?? name, ownName: name, revision, specDigest: specDigest(spec.value) };
}

/**
 * A revision was named by the labels and annotations that counted then. Where fewer count now, since Headrace knows more tools or
 * the user excludes more, what was deployed, is being deployed or has failed keeps its name: nothing is deployed for that.
 */
function findPinned(
  { status, observation }: Pick<Scene, 'status' | 'observation'>,
  wanted: Pick<WantedRevision, 'name' | 'revision'> & Pick<Options, 'excludedMetadata'>,
): string | undefined {
  const { currentRevision: current, rollout, failedDeploy } = status;
  const inUse = [current, rollout?.revision, failedDeploy?.revision, failedDeploy?.earlier?.revision];
  if (inUse.includes(wanted.name)) return wanted.name;
  const fingerprint = fingerprintOf(wanted.revision, wanted.excludedMetadata);
  return inUse.find((name) => {
    const pinned = observation.revisions.get(name ?? '');
    return pinned !== undefined && fingerprintOf(pinned, wanted.excludedMetadata) === fingerprint;
  });
}

export function isBlueGreen(scene: Pick<Scene, 'status' | 'options'>): boolean {
  return settledMode(scene) === 'BlueGreen';
}

/**
 * The mode in which an application is deployed: what its spec says until the first deploy begins, and from then on what it said
 * then. A status that does not name it belongs to a spec that did not, and that is Dual.
 */
export function settledMode({ status, options }: Pick<Scene, 'status' | 'options'>): string {
  return status.deploymentMode || (status.phase ? 'Dual' : options.deploymentMode);
}

/** No deploy, rescale or deletion is in progress, and one version runs at most. */
export function isAtRest({ phase }: ApplicationStatus): boolean {
  return phase === 'Running' || phase === 'DeployFailed' || phase === 'Suspended';
}

/** No deploy, rescale or deletion ends a job in these phases: one that ends does so by itself, or by somebody else's hand. */
export function isMeantToRun({ phase }: ApplicationStatus): boolean {
  return phase === 'Running' || phase === 'DeployFailed' || phase === 'DualRunning';
}

/** BlueGreen: the user has named one of the versions to end. */
export function isTearingDown({ options, status }: Scene): boolean {
  const { tearDownVersionHash: hash } = options;
  return hash !== '' && (hash === status.deployHash || hash === status.updatingHash);
}

/** Nothing has been deployed yet. */
export function isFirstDeploy({ status }: Scene): boolean {
  return !status.deployHash;
}

/** @throws RangeError in a phase that cannot be without: a fault of ours */
export function rolloutOf({ status }: Scene): Rollout {
  if (status.rollout === undefined) throw new RangeError(`phase ${status.phase} without status.rollout`);
  return status.rollout;
}

/** The revision that is being deployed, as it was pinned; undefined while its ControllerRevision is not there yet. */
export function targetRevision({ observation, status }: Scene): Revision | undefined {
  return observation.revisions.get(status.rollout?.revision ?? '');
}

/** The revision that is deployed; undefined for one that Lyft's operator deployed and whose spec nobody kept. */
export function currentRevision({ observation, status }: Scene): Revision | undefined {
  return observation.revisions.get(status.currentRevision ?? '');
}

/** The job of a revision, as its JobManager is to be told of it. */
export function jobRequestOf({ spec, parallelism }: Revision): JobRequest {
  const { jarName, entryClass, programArgs = '', programArgsList } = spec;
  return { jarName, entryClass, programArgs, ...(programArgsList && { programArgsList }), parallelism };
}

export function clusterOf({ observation }: Scene, hash: string | undefined): Cluster | undefined {
  return observation.clusters.get(hash ?? '');
}

/** The colour of the cluster that is deployed; none outside BlueGreen. */
export function deployedColour(scene: Scene): Colour | undefined {
  return isBlueGreen(scene) ? toColour(scene.status.deployVersion) : undefined;
}

/** The colour of the cluster that is being deployed; none outside BlueGreen. */
export function updatingColour(scene: Scene): Colour | undefined {
  return isBlueGreen(scene) ? toColour(scene.status.updatingVersion) : undefined;
}

export function toColour(version: string | undefined): Colour | undefined {
  return version === 'blue' || version === 'green' ? version : undefined;
}

/** What blocks the pods of the cluster that is being deployed: those that cannot be made, and those that do not come up. */
export function blockersOf({ observation, status }: Scene): readonly string[] {
  return [...replicaFailuresOf(observation.clusters.get(status.rollout?.hash ?? '')), ...observation.troubles];
}

/** Why pods of a cluster cannot be made: "orders-5e7c7283-tm: FailedCreate: …". */
export function replicaFailuresOf(cluster: Cluster | undefined): readonly string[] {
  const deployments = [cluster?.jobManager, cluster?.taskManager];
  return deployments.flatMap((deployment) =>
    deployment?.replicaFailure === undefined ? [] : [`${deployment.name}: ${deployment.replicaFailure}`],
  );
}

/** Parts for the end of a sentence. */
export function because(causes: readonly string[]): string {
  return causes.length > 0 ? `: ${clauses(...causes)}` : '';
}

/** What the JobManager of a cluster said of a job. @returns undefined when it was not asked */
export function jobViewOf(scene: Scene, hash: string | undefined, jobId: string | undefined): JobView | undefined {
  return scene.observation.jobManagers.get(hash ?? '')?.details.get(jobId ?? '');
}

/** What its JobManager said of the job that is deployed. @returns undefined when it was not asked */
export function deployedJobView(scene: Scene): JobView | undefined {
  const { deployHash, jobStatus } = scene.status;
  return jobViewOf(scene, deployHash, jobStatus?.jobID);
}

/** Where a job is in its life, as far as that matters here. */
export type JobState =
  /** It was not asked, or did not answer. */
  | 'Unreadable'
  /** The JobManager does not know the job: it was restarted without high availability. */
  | 'Lost'
  /** It runs, or tries to, and would not end by itself. */
  | 'Active'
  | 'Cancelling'
  | 'Canceled'
  | 'Failed'
  /** It ended by itself: a bounded job that is through. */
  | 'Finished'
  /** It was stopped with a savepoint, by whomever; to Flink it is FINISHED too. */
  | 'Stopped'
  /** It is FINISHED, and its JobManager does not say yet which of the two: that takes some seconds from its end. */
  | 'FinishedOrStopped';

export function jobStateOf(view: JobView | undefined): JobState {
  if (view === undefined || 'unreadable' in view.job) return 'Unreadable';
  if (view.job.value === undefined) return 'Lost';
  const state = classify(view.job.value.state);
  return state === 'Finished' ? howItFinished(view) : state;
}

/** A job without checkpoints has no page about them, and one in BATCH mode cannot be stopped. */
function howItFinished(view: JobView): JobState {
  const { checkpoints } = view;
  if (jobOf(view)?.isBatch) return 'Finished';
  if (checkpoints === undefined || 'unreadable' in checkpoints) return 'FinishedOrStopped';
  return checkpoints.value?.latestSavepoint?.isFinal === true ? 'Stopped' : 'Finished';
}

/** Flink's word for a job's state, as one of ours; it does not tell a job that was stopped from one that ended by itself. */
export function classify(state: string): JobState {
  switch (state) {
    case 'CANCELLING':
      return 'Cancelling';
    case 'CANCELED':
      return 'Canceled';
    case 'FAILED':
      return 'Failed';
    case 'FINISHED':
      return 'Finished';
    case STOPPED:
      return 'Stopped';
    default:
      return 'Active';
  }
}

/** How a job is seen to be on a cluster; one that its JobManager has forgotten, as it was seen to end before. */
export function jobStateAt(scene: Scene, hash: string | undefined, jobId: string | undefined): JobState {
  const state = jobStateOf(jobViewOf(scene, hash, jobId));
  const end = recordedEnd(scene.status, jobId);
  // Of a JobManager that does not respond the last checkpoint has to be asked yet, unless there is no state to go on from.
  return state === 'Lost' || (state === 'Unreadable' && end === 'Finished') ? (end ?? state) : state;
}

/** The same, and an end that was seen also while the JobManager does not respond. */
export function lastKnownStateAt(scene: Scene, hash: string | undefined, jobId: string | undefined): JobState {
  const state = jobStateAt(scene, hash, jobId);
  return state === 'Unreadable' ? (recordedEnd(scene.status, jobId) ?? state) : state;
}

/** The same of the job that is deployed. */
export function lastKnownState(scene: Scene): JobState {
  const { deployHash, jobStatus } = scene.status;
  return lastKnownStateAt(scene, deployHash, jobStatus?.jobID);
}

/** Not a word of Flink: it calls a job FINISHED that was stopped with a savepoint. */
export const STOPPED = 'STOPPED';

/** Nor is this: a JobManager does not know the job any more. */
export const LOST = 'LOST';

/** Words for the end of a job. What has been seen of one that has come to it stays so, whatever is said of it later. */
export const ENDS: readonly string[] = ['FINISHED', STOPPED, 'CANCELED', 'FAILED'];

function recordedEnd(status: ApplicationStatus, jobId = ''): JobState | undefined {
  const { jobStatus, versionStatuses = [], rollout, savepointTriggerId } = status;
  const recorded = [jobStatus, ...versionStatuses.map((version) => version.jobStatus)];
  const { state = '' } = recorded.find((job) => job?.jobID === jobId && job.jobID !== '') ?? {};
  // A savepoint that was asked for may have ended the job that finished, and hold its state: only its JobManager tells.
  const isInDoubt = state === 'FINISHED' && rollout !== undefined && Boolean(savepointTriggerId);
  return ENDS.includes(state) && !isInDoubt ? classify(state) : undefined;
}

/** What was recorded of one job as the beginning of what is recorded of another: how it fares is its own. */
export function asJob(jobStatus: JobStatus, jobID: string): JobStatus {
  if (jobStatus.jobID === jobID) return jobStatus;
  const { state, restartLoopTime, ...kept } = jobStatus;
  return { ...kept, jobID };
}

/** It has ended, and will not begin again. A lost job ended with its JobManager. */
export function hasEnded(state: JobState): boolean {
  return ENDED_STATES.includes(state);
}

const ENDED_STATES: readonly JobState[] = ['Lost', 'Canceled', 'Failed', 'Finished', 'Stopped', 'FinishedOrStopped'];

/** The jobs on a cluster that have not ended, whosever they are. @returns undefined while its JobManager does not say */
export function livingJobsOn({ observation }: Scene, hash: string): readonly LivingJob[] | undefined {
  const jobs = known(observation.jobManagers.get(hash)?.jobs);
  return jobs?.map(({ id, state }) => ({ id, state: classify(state) })).filter(({ state }) => !hasEnded(state));
}

export interface LivingJob {
  readonly id: string;
  readonly state: JobState;
}

/** @returns the job, where its JobManager knows it */
export function jobOf(view: JobView | undefined): Job | undefined {
  return view !== undefined && 'value' in view.job ? view.job.value : undefined;
}

/** What became of the savepoint that this deploy has asked for; undefined before that, and where it is not known. */
export function savepointOf({ status }: Scene, view: JobView | undefined): Savepoint | undefined {
  return status.savepointTriggerId ? known(view?.savepoint) : undefined;
}

/** What was read, or undefined: not asked, not answered, or not there. */
export function known<T>(reading: { readonly value: T } | { readonly unreadable: string } | undefined): T | undefined {
  return reading !== undefined && 'value' in reading ? reading.value : undefined;
}

/** Why a job has failed last, for the end of a sentence: ": …"; empty where that is not known. */
export function causeOf(view: JobView | undefined): string {
  const cause = known(view?.failures)?.cause;
  return cause ? `: ${cause}` : '';
}

/** An instant as many seconds from now, RFC 3339. */
export function after(now: number, seconds: number): string {
  return formatTime(now + seconds * 1000);
}

/** @param graceSeconds so long after the deadline it is not past yet */
export function isPast(deadline: string | undefined | null, now: number, graceSeconds = 0): boolean {
  return deadline !== undefined && deadline !== null && now >= Date.parse(deadline) + graceSeconds * 1000;
}

/** Everything stays as it is; the effects come again until they are seen to have been done. */
export function stay(scene: Scene, effects: readonly Effect[] = [], events: readonly Event[] = []): Transition {
  return { status: scene.status, effects, events };
}

/** The status changes within its phase. */
export function note(scene: Scene, changes: Partial<ApplicationStatus>, events: readonly Event[] = []): Transition {
  return { status: { ...scene.status, ...changes }, effects: [], events };
}

/** Enters a phase of a deploy, which has so many seconds. Errors of the phase before are forgotten: each has a budget of its own. */
export function enter(
  scene: Scene,
  phase: Phase,
  seconds: number,
  { rollout, ...changes }: Partial<Omit<ApplicationStatus, 'rollout'>> & { readonly rollout?: Partial<Rollout> } = {},
): Transition {
  const deadline = after(scene.now, seconds);
  const entered = { ...rolloutOf(scene), ...rollout, deadline };
  return {
    status: forgetErrors({ ...scene.status, ...changes, phase, rollout: entered }),
    effects: [],
    events: [],
  };
}

/** Tells something beside a transition. */
export function telling(transition: Transition, ...events: readonly Event[]): Transition {
  return { ...transition, events: [...transition.events, ...events] };
}

/** The deploy is over: what was noted for it alone goes. */
export function forgetDeploy({
  rollout,
  savepointPath,
  savepointTriggerId,
  ...status
}: ApplicationStatus): ApplicationStatus {
  return status;
}

export function forgetErrors({ lastSeenError, retryCount, ...status }: ApplicationStatus): ApplicationStatus {
  return status;
}

export function normal(reason: string, message: string): Event {
  return { type: 'Normal', reason, message };
}

export function warning(reason: string, message: string): Event {
  return { type: 'Warning', reason, message };
}

/** The error that has used up the retries of its phase, or cannot be retried at all. */
export function exhaustion({ status: { lastSeenError: error, retryCount = 0 } }: Scene): Failure | undefined {
  if (error === undefined) return undefined;
  const isExhausted = retryCount > (error.maxRetries ?? 0);
  if (error.isRetryable !== false && error.isFailFast !== true && !isExhausted) return undefined;
  return { reason: error.method ?? 'Error', message: error.appError ?? 'an unknown error' };
}
