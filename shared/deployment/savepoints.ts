// The savepoints that Headrace has taken: each is recorded when it is seen to be complete, whatever it was taken for. While the job
// runs more are taken, if the spec asks for it, and those are disposed of that are more than are kept, never one that is needed.

import { JOB_UNTOUCHED, waitAfter } from './backoff.ts';
import { deriveId } from './ids.ts';
import { isWithinWindow } from './rollback-window.ts';
import {
  after,
  currentRevision,
  deployedJobView,
  isPast,
  jobOf,
  jobStateOf,
  known,
  normal,
  note,
  type Scene,
  stay,
  type Transition,
  targetRevision,
  warning,
} from './scene.ts';
import type {
  ApplicationStatus,
  Effect,
  Event,
  JobView,
  PeriodicSavepoint,
  SavepointDisposal,
  SavepointRecord,
} from './types.ts';

/** How many are remembered: where none is disposed of, the newest alone. */
const REMEMBERED = 10;
const LONGEST_RECORD = 100;

interface Recorded {
  readonly status: ApplicationStatus;
  readonly events: readonly Event[];
}

/** Adds to a status every savepoint that is seen to be complete, and what became of the periodic one. */
export function recordSavepoints(scene: Scene, status: ApplicationStatus): Recorded {
  if (status.deletion !== undefined) return { status, events: [] };
  const periodic = recordPeriodic(scene, status);
  const found = viewsOf(scene).flatMap(([jobId, view]) => completedIn(scene, jobId, view));
  const { savepoints = [] } = status;
  const fresh = found.filter(({ path }) => !savepoints.some((record) => record.path === path));
  const all = markRestored(scene, periodic.status, [...savepoints, ...fresh]);
  const longest = scene.options.savepointHistory === undefined ? REMEMBERED : LONGEST_RECORD;
  const kept = all.slice(-longest);
  if (kept.length === 0) return periodic;
  const lost = longest === LONGEST_RECORD ? all.slice(0, all.length - kept.length) : [];
  const forgotten = lost.map(({ path }) => warning('SavepointForgotten', `${path} is kept, and not counted any more`));
  return { status: { ...periodic.status, savepoints: kept }, events: [...periodic.events, ...forgotten] };
}

function viewsOf({ observation }: Scene): readonly (readonly [string, JobView])[] {
  return [...observation.jobManagers.values()].flatMap(({ details }) => [...details]);
}

function completedIn(scene: Scene, jobId: string, view: JobView): readonly SavepointRecord[] {
  const { rollout, periodicSavepoint } = scene.status;
  const [own, periodic] = [known(view.savepoint), known(view.periodicSavepoint)];
  const reason = rollout?.kind === 'Suspend' ? ('Suspend' as const) : ('Deploy' as const);
  const timeOf = (path: string, otherwise: string) => savedTime(view, path) ?? otherwise;
  const now = after(scene.now, 0);
  return [
    // It is only known for certain that a periodic one is no older than its beginning.
    ...(periodic?.state === 'Completed'
      ? [
          {
            path: periodic.location,
            time: timeOf(periodic.location, periodicSavepoint?.startTime ?? now),
            reason: 'Periodic' as const,
            jobId,
          },
        ]
      : []),
    ...(own?.state === 'Completed' ? [{ path: own.location, time: timeOf(own.location, now), reason, jobId }] : []),
  ];
}

function savedTime(view: JobView, path: string): string | undefined {
  const latest = known(view.checkpoints)?.latestSavepoint;
  return latest?.path === path ? after(latest.time, 0) : undefined;
}

/**
 * A savepoint is noted to be the beginning of the job that is deployed. The job may need it for as long as it lives: until its own
 * first checkpoint, and with Flink's claim mode LEGACY, or CLAIM, its checkpoints may refer to files of it.
 */
function markRestored(
  scene: Scene,
  { jobStatus }: ApplicationStatus,
  records: readonly SavepointRecord[],
): readonly SavepointRecord[] {
  const { jobID, restorePath } = jobStatus ?? {};
  const claimed = claimsState(scene) ? { isClaimed: true } : {};
  return records
    .map((record) =>
      jobID && record.path === restorePath && record.restoredJobId !== jobID
        ? { ...record, ...claimed, restoredJobId: jobID }
        : record,
    )
    .filter(({ isClaimed, restoredJobId }) => isClaimed !== true || restoredJobId === jobID);
}

function claimsState(scene: Scene): boolean {
  const wanted = 'name' in scene.desired ? scene.desired.revision : undefined;
  const { flinkConfig = {} } = (targetRevision(scene) ?? currentRevision(scene) ?? wanted)?.spec ?? {};
  const modes = ['execution.state-recovery.claim-mode', 'execution.savepoint-restore-mode'];
  return modes.some((key) => String(flinkConfig[key]).toUpperCase() === 'CLAIM');
}

/** One that is complete, has failed, or is of a job that is not deployed any more, is not under way any more. */
function recordPeriodic(scene: Scene, status: ApplicationStatus): Recorded {
  const { periodicSavepoint: current, ...rest } = status;
  if (current?.triggerId === undefined) return { status, events: [] };
  const view = viewsOf(scene).find(([jobId]) => jobId === current.jobId)?.[1];
  const savepoint = known(view?.periodicSavepoint);
  if (savepoint?.state === 'Completed') {
    const message = `Savepoint of job ${current.jobId} is at ${savepoint.location}`;
    return { status: rest, events: [normal('SavepointCompleted', message)] };
  }
  if (savepoint?.state === 'Failed') return failPeriodic(status, current, savepoint.cause, scene.now);
  const isOver = status.rollout === undefined && status.jobStatus?.jobID !== current.jobId;
  return { status: isOver ? rest : status, events: [] };
}

/** Takes a savepoint of the job when it is time, or disposes of one. @returns undefined when there is nothing to do */
export function tendSavepoints(scene: Scene): Transition | undefined {
  if (jobStateOf(deployedJobView(scene)) !== 'Active') return undefined;
  return takePeriodic(scene) ?? dispose(scene);
}

function takePeriodic(scene: Scene): Transition | undefined {
  const { status, now, options, application } = scene;
  const { periodicSavepoint: current, deployHash: hash = '', jobStatus } = status;
  const job = jobOf(deployedJobView(scene));
  const jobId = jobStatus?.jobID ?? '';
  if (current?.triggerId !== undefined) return followPeriodic(scene, current);
  if (options.periodicSavepointSeconds === undefined) return current && forgetPeriodic(scene);
  const mayTry = current?.retryTime === undefined || isPast(current.retryTime, now);
  // Of a job in BATCH mode Flink takes none.
  if (job?.state !== 'RUNNING' || job.isBatch || hash === '' || !mayTry) return undefined;
  if (now < lastSavepointTime(scene, job.startTime) + options.periodicSavepointSeconds * 1000) return undefined;
  const startTime = after(now, 0);
  const triggerId = deriveId(application.uid, 'periodic', jobId, startTime);
  const { failures, message } = current ?? {};
  const before = failures === undefined ? {} : { failures, ...(message !== undefined && { message }) };
  return note(scene, { periodicSavepoint: { ...before, triggerId, jobId, startTime } });
}

/** One that is not wanted any more is only forgotten where it was never triggered. */
function followPeriodic(
  scene: Scene,
  { triggerId = '', jobId = '', retryTime }: PeriodicSavepoint,
): Transition | undefined {
  const isUntriggered = known(deployedJobView(scene)?.periodicSavepoint)?.state === 'Unknown';
  if (!isUntriggered) return undefined;
  if (scene.options.periodicSavepointSeconds === undefined) return forgetPeriodic(scene);
  if (retryTime !== undefined && !isPast(retryTime, scene.now)) return undefined;
  const hash = scene.status.deployHash ?? '';
  return stay(scene, [{ kind: 'TriggerSavepoint', hash, jobId, triggerId, cancelJob: false }]);
}

function forgetPeriodic(scene: Scene): Transition {
  const { periodicSavepoint: _, ...status } = scene.status;
  return { status, effects: [], events: [] };
}

/** Of any kind, whoever took it; before the first one, the job's beginning. Epoch milliseconds. */
function lastSavepointTime(scene: Scene, startTime: number): number {
  const { savepoints = [] } = scene.status;
  const latest = known(deployedJobView(scene)?.checkpoints)?.latestSavepoint?.time ?? 0;
  const recorded = savepoints.map(({ time }) => Date.parse(time));
  const last = Math.max(latest, ...recorded);
  return last > 0 ? last : startTime;
}

/** One after the other, each written down before it is ordered. */
function dispose(scene: Scene): Transition | undefined {
  const { status, observation, now } = scene;
  const { savepointDisposal: current, deployHash: hash = '' } = status;
  const disposable = disposableOf(scene);
  if (current === undefined) {
    const [oldest] = disposable;
    return oldest && note(scene, { savepointDisposal: { path: oldest.path } });
  }
  const { path, triggerId } = current;
  if (!disposable.some((record) => record.path === path)) return forgetDisposal(scene);
  if (triggerId === undefined) {
    const mayTry = current.retryTime === undefined || isPast(current.retryTime, now);
    return mayTry ? stay(scene, [{ kind: 'DisposeSavepoint', hash, path }]) : undefined;
  }
  const disposal = known(observation.jobManagers.get(hash)?.disposal);
  switch (disposal?.state) {
    case 'Completed':
      return forget(scene, path);
    case 'Failed':
      return isGone(disposal.cause) ? forget(scene, path) : failed(scene, current, disposal.cause);
    case 'Unknown':
      return note(scene, { savepointDisposal: { ...withoutId(current) } });
    default:
      return undefined;
  }
}

/** In the words of Flink: somebody else has deleted it, or an order of ours whose answer was lost. */
function isGone(cause: string): boolean {
  return cause.includes('FileNotFoundException') || cause.includes('Cannot find checkpoint or savepoint');
}

function forget(scene: Scene, path: string): Transition {
  const { status } = forgetDisposal(scene);
  const savepoints = (status.savepoints ?? []).filter((record) => record.path !== path);
  const event = normal('SavepointDisposed', `${path} was disposed of: spec.savepointHistory does not keep it`);
  return { status: { ...status, savepoints }, effects: [], events: [event] };
}

function forgetDisposal(scene: Scene): Transition {
  const { savepointDisposal: _, ...status } = scene.status;
  return { status, effects: [], events: [] };
}

function failed(scene: Scene, current: SavepointDisposal, cause: string): Transition {
  const { status, events } = failDisposal(scene.status, current, cause, scene.now);
  return { status, effects: [], events };
}

function withoutId({ triggerId: _, ...disposal }: SavepointDisposal): SavepointDisposal {
  return disposal;
}

/** More than are kept, or older, the oldest first; never the newest, nor one from which anything may yet begin. */
function disposableOf(scene: Scene): readonly SavepointRecord[] {
  const { status, options, now, application } = scene;
  const { savepointHistory: history } = options;
  const { savepoints = [], jobStatus, suspension, savepointPath, versionStatuses = [], previousDeploy } = status;
  if (history === undefined || status.rollout !== undefined) return [];
  const { maxCount = Number.POSITIVE_INFINITY, maxAgeSeconds = Number.POSITIVE_INFINITY } = history;
  const spec = 'value' in application.spec ? application.spec.value : undefined;
  const jobs = [jobStatus, ...versionStatuses.map((version) => version.jobStatus)];
  const needed = new Set([
    savepoints.at(-1)?.path,
    savepointPath,
    suspension?.savepointPath,
    isWithinWindow(scene) ? previousDeploy?.savepointPath : undefined,
    spec?.savepointPath,
    spec?.savepointInfo?.savepointLocation,
    ...jobs.flatMap((job) => [job?.restorePath, job?.lastCheckpoint]),
  ]);
  const jobIds = jobs.map((job) => job?.jobID);
  const isNeeded = ({ path, restoredJobId, isClaimed }: SavepointRecord) =>
    needed.has(path) || isClaimed === true || (restoredJobId !== undefined && jobIds.includes(restoredJobId));
  const isBeyond = ({ time }: SavepointRecord, index: number) =>
    index < savepoints.length - maxCount || now - Date.parse(time) > maxAgeSeconds * 1000;
  return savepoints.filter((record, index) => isBeyond(record, index) && !isNeeded(record));
}

function nextFailure(failures = 0, cause: string, now: number) {
  const retryTime = after(now, waitAfter(failures, JOB_UNTOUCHED));
  return { failures: failures + 1, message: cause.slice(0, 1000), retryTime };
}

/** It is told once that they fail; the status says how often, and when the next is tried. */
function failPeriodic(
  status: ApplicationStatus,
  { jobId, failures = 0 }: PeriodicSavepoint,
  cause: string,
  now: number,
): Recorded {
  const message = `No savepoint of job ${jobId} could be taken, which runs on: ${cause}`;
  const events = failures === 0 ? [warning('PeriodicSavepointFailed', message)] : [];
  return { status: { ...status, periodicSavepoint: nextFailure(failures, cause, now) }, events };
}

function failDisposal(
  status: ApplicationStatus,
  { path, failures = 0 }: SavepointDisposal,
  cause: string,
  now: number,
): Recorded {
  const events =
    failures === 0 ? [warning('SavepointDisposalFailed', `${path} could not be disposed of: ${cause}`)] : [];
  return { status: { ...status, savepointDisposal: { path, ...nextFailure(failures, cause, now) } }, events };
}

/** What an order about a savepoint leaves behind that was refused while nothing is deployed. @returns undefined for any other */
export function failSavepoint(
  status: ApplicationStatus,
  effect: Effect,
  cause: string,
  now: number,
): Recorded | undefined {
  const { periodicSavepoint, savepointDisposal } = status;
  if (effect.kind === 'TriggerSavepoint' && periodicSavepoint) {
    const { status: failing, events } = failPeriodic(status, periodicSavepoint, cause, now);
    // It may have been begun all the same: the next try is with the same id.
    return {
      status: { ...failing, periodicSavepoint: { ...periodicSavepoint, ...failing.periodicSavepoint } },
      events,
    };
  }
  if (effect.kind === 'DisposeSavepoint' && savepointDisposal)
    return failDisposal(status, savepointDisposal, cause, now);
  return undefined;
}

/**
 * Notes the id by which Flink wants to be asked for a savepoint or a disposal: that of a disposal is always Flink's own.
 *
 * @returns undefined where it is in the status already
 */
export function noteTriggerId(
  status: ApplicationStatus,
  effect: Effect,
  triggerId: string,
): ApplicationStatus | undefined {
  const { periodicSavepoint, savepointDisposal } = status;
  if (effect.kind === 'DisposeSavepoint')
    return savepointDisposal && { ...status, savepointDisposal: { ...withoutRetry(savepointDisposal), triggerId } };
  if (effect.kind === 'StopJob' && effect.triggerId !== triggerId) return { ...status, savepointTriggerId: triggerId };
  if (effect.kind !== 'TriggerSavepoint' || effect.triggerId === triggerId) return undefined;
  const isPeriodic = effect.triggerId === periodicSavepoint?.triggerId;
  return isPeriodic
    ? { ...status, periodicSavepoint: { ...periodicSavepoint, triggerId } }
    : { ...status, savepointTriggerId: triggerId };
}

function withoutRetry({ retryTime: _, ...disposal }: SavepointDisposal): SavepointDisposal {
  return disposal;
}
