// One Flink job, PURE: from its settings, the slots it is offered and an instant to its next state. What it does for a living is
// count records, exactly once: a snapshot holds the count of its instant, and a job restored from it counts on from there.
import { createHash } from 'node:crypto';
import type { JarSettings } from './images.ts';

/** Fixed when the job is submitted. */
export interface JobSettings {
  readonly id: string;
  readonly name: string;
  readonly behaviour: JarSettings;
  readonly vertices: readonly JobVertex[];
  readonly isAdaptive: boolean;
  /** Undefined: none are taken. */
  readonly checkpointIntervalMs: number | undefined;
  /** Undefined: checkpoints cannot be addressed from outside. */
  readonly checkpointDirectory: string | undefined;
  readonly retention: Retention;
  /** How many checkpoints are kept at a time. */
  readonly retainedCheckpoints: number;
  /** How often the job is begun anew after a failure. */
  readonly restartAttempts: number;
  readonly restartDelayMs: number;
  /** How long the adaptive scheduler waits for more slots before it makes do with those it has. */
  readonly stabilizationMs: number;
  /** How long the adaptive scheduler keeps slots that the job does not use any more. */
  readonly slotIdleMs: number;
  readonly restoredFrom: Snapshot | undefined;
  /** More tasks than its state can be divided among: the adaptive scheduler waits for ever. */
  readonly isImpossible: boolean;
  /** Its state cannot be loaded, with this stack trace. */
  readonly loadFailure: string | undefined;
}

export type Retention = 'RETAIN_ON_CANCELLATION' | 'DELETE_ON_CANCELLATION' | 'NO_EXTERNALIZED_CHECKPOINTS';

export interface JobVertex {
  readonly id: string;
  readonly name: string;
  readonly parallelism: number;
  readonly maxParallelism: number;
  /** Whether it follows from the parallelism, because nobody set it. */
  readonly isMaxDerived: boolean;
}

/** A savepoint or checkpoint as it lies in storage. */
export interface Snapshot {
  readonly path: string;
  readonly id: number;
  readonly isSavepoint: boolean;
  /** Records that had been counted. */
  readonly count: number;
  /** Epoch milliseconds. */
  readonly time: number;
  readonly jobId: string;
  /** Max parallelism of each vertex with state, by its id. */
  readonly vertices: Readonly<Record<string, number>>;
}

export type JobStatus =
  | 'INITIALIZING'
  | 'CREATED'
  | 'RUNNING'
  | 'FAILING'
  | 'FAILED'
  | 'CANCELLING'
  | 'CANCELED'
  | 'FINISHED'
  | 'RESTARTING';

export type EndStatus = 'CANCELED' | 'FAILED' | 'FINISHED';

type Stage =
  /** Its JobMaster starts; it has no vertices yet. */
  | { readonly kind: 'Initializing'; readonly until: number }
  /** The adaptive scheduler waits for slots. */
  | { readonly kind: 'Waiting'; readonly since: number }
  /** Tasks ask for slots; without them they fail at that time. */
  | { readonly kind: 'Scheduled'; readonly since: number }
  | { readonly kind: 'Deploying'; readonly until: number }
  /** Tasks restore their state. */
  | { readonly kind: 'Restoring'; readonly until: number }
  | { readonly kind: 'Running'; readonly since: number }
  | { readonly kind: 'Restarting'; readonly until: number }
  | { readonly kind: 'Cancelling'; readonly until: number }
  | { readonly kind: 'Ended'; readonly status: EndStatus };

export interface Failure {
  /** Epoch milliseconds. */
  readonly time: number;
  /** "java.lang.RuntimeException: the disk is full", and what caused it line by line. */
  readonly trace: string;
  /** Of a task and not of the job as a whole. */
  readonly task?: { readonly name: string; readonly taskManager: string | undefined };
  /** The job had restarted so often before. */
  readonly attempt: number;
}

export interface Checkpoint {
  readonly id: number;
  readonly status: 'COMPLETED' | 'FAILED';
  readonly isSavepoint: boolean;
  /** Taken to stop the job. */
  readonly isSynchronous?: boolean;
  readonly triggerTime: number;
  readonly endTime: number;
  readonly count: number;
  readonly path: string;
  readonly subtasks: number;
  readonly isDiscarded: boolean;
  readonly failure?: string;
}

export interface CheckpointLog {
  readonly nextId: number;
  readonly nextTime: number;
  readonly completed: number;
  readonly failed: number;
  readonly restored: number;
  /** The ten newest, newest first. */
  readonly history: readonly Checkpoint[];
  /** Those that are in storage, newest first. */
  readonly kept: readonly Checkpoint[];
  readonly latestCompleted?: Checkpoint;
  readonly latestSavepoint?: Checkpoint;
  readonly latestFailed?: Checkpoint;
  readonly latestRestored?: { readonly snapshot: Snapshot; readonly time: number };
}

export interface SavepointOperation {
  readonly triggerId: string;
  readonly kind: 'savepoint' | 'cancel' | 'stop';
  readonly directory: string;
  readonly startTime: number;
  /** When it is over if nothing comes between. */
  readonly dueTime: number;
  readonly checkpointId: number;
  readonly count: number;
  readonly endTime?: number;
  readonly location?: string;
  /** Why it failed, as a stack trace; known to clients when it is over. */
  readonly failure?: string;
}

export interface Bounds {
  readonly lowerBound: number;
  readonly upperBound: number;
}

export interface Placement {
  readonly taskManager: string;
  readonly slots: number;
}

/** Slots of one TaskManager that the job may use, those that it uses already counted. */
export interface SlotOffer {
  readonly taskManager: string;
  readonly slots: number;
}

export interface FlinkJob {
  readonly settings: JobSettings;
  readonly stage: Stage;
  /** When the job came into each state last, epoch milliseconds. */
  readonly timestamps: Readonly<Partial<Record<JobStatus, number>>>;
  /** What the adaptive scheduler may do with each vertex. */
  readonly bounds: Readonly<Record<string, Bounds>>;
  /** Of each vertex now, or last. */
  readonly parallelism: Readonly<Record<string, number>>;
  readonly placement: readonly Placement[];
  /** Slots beyond those that it keeps until that time, epoch milliseconds. */
  readonly idle?: { readonly placement: readonly Placement[]; readonly until: number };
  /** Of a batch job: how many of its stages have begun, or are the next to begin. */
  readonly stagesBegun: number;
  /** When its tasks began, and ended, last. */
  readonly tasksStartTime: number | undefined;
  readonly tasksEndTime: number | undefined;
  readonly restarts: number;
  /** Newest first. */
  readonly failures: readonly Failure[];
  /** Records counted up to `countTime`. */
  readonly count: number;
  readonly countTime: number;
  readonly checkpoints: CheckpointLog;
  readonly savepoints: readonly SavepointOperation[];
  /** The number of slots that the adaptive scheduler is about to change to, and when. */
  readonly rescale?: { readonly slots: number; readonly time: number };
  /** When it counted records, from and to; the last one has no end while it still does. */
  readonly spans: readonly Span[];
}

export interface Span {
  readonly from: number;
  readonly to?: number;
}

const secondMs = 1000;
/** Tasks that find no slots fail after so long. */
const slotWaitMs = 2 * secondMs;
/** The adaptive scheduler gives a job up that has found no slots for so long. */
const resourceWaitMs = 5 * 60 * secondMs;
const checkpointTimeoutMs = 10 * 60 * secondMs;
/** From the end of a job that was stopped until its savepoint is said to be complete. */
const stopReportMs = 500;
const historyLength = 10;
const failuresKept = 16;
const notAddressable = '<checkpoint-not-externally-addressable>';

/** A job that was submitted just now. */
export function submit(settings: JobSettings, now: number): FlinkJob {
  const { vertices, restoredFrom, checkpointIntervalMs } = settings;
  const byVertex = <T>(value: (vertex: JobVertex) => T) => Object.fromEntries(vertices.map((v) => [v.id, value(v)]));
  return {
    settings,
    stage: { kind: 'Initializing', until: now + secondMs },
    timestamps: { INITIALIZING: now },
    bounds: byVertex(({ parallelism }) => ({ lowerBound: 1, upperBound: parallelism })),
    parallelism: byVertex(({ parallelism }) => parallelism),
    placement: [],
    stagesBegun: 1,
    tasksStartTime: undefined,
    tasksEndTime: undefined,
    restarts: 0,
    failures: [],
    count: 0,
    countTime: now,
    checkpoints: {
      nextId: (restoredFrom?.id ?? 0) + 1,
      nextTime: checkpointIntervalMs === undefined ? Number.POSITIVE_INFINITY : now,
      completed: 0,
      failed: 0,
      restored: 0,
      history: [],
      kept: [],
    },
    savepoints: [],
    spans: [],
  };
}

/** A job that another JobManager had, as its successor resumes it: from its newest checkpoint, else from where it was begun. */
export function resume(settings: JobSettings, checkpoints: readonly Checkpoint[], now: number): FlinkJob {
  const [newest] = checkpoints;
  const restoredFrom = newest ? snapshotOf(settings, newest) : settings.restoredFrom;
  const job = submit({ ...settings, restoredFrom }, now);
  return { ...job, checkpoints: { ...job.checkpoints, kept: checkpoints } };
}

/** A job that failed before it had begun. */
export function failedAtStart(job: FlinkJob, trace: string, now: number): FlinkJob {
  const ended: FlinkJob = { ...job, failures: [{ time: now, trace, attempt: 0 }], parallelism: {} };
  return turn(ended, { kind: 'Ended', status: 'FAILED' }, now);
}

export function statusOf({ stage }: FlinkJob): JobStatus {
  switch (stage.kind) {
    case 'Initializing':
      return 'INITIALIZING';
    case 'Waiting':
      return 'CREATED';
    case 'Restarting':
      return 'RESTARTING';
    case 'Cancelling':
      return 'CANCELLING';
    case 'Ended':
      return stage.status;
    default:
      return 'RUNNING';
  }
}

/** Every task runs, so records are counted. */
export function isCounting({ stage }: FlinkJob): boolean {
  return stage.kind === 'Running';
}

/** Its vertices run one after the other. */
export function isBatch({ settings }: Pick<FlinkJob, 'settings'>): boolean {
  return settings.behaviour.isBatch === true;
}

export function isEnded({ stage }: FlinkJob): boolean {
  return stage.kind === 'Ended';
}

/** When the job looks different next without anybody touching it or its slots; after `now`. */
export function nextChangeTime(job: FlinkJob, now: number): number {
  const due = job.savepoints.flatMap(({ endTime, dueTime }) => (endTime === undefined ? [dueTime] : []));
  const rescale = job.rescale ? [job.rescale.time] : [];
  const idle = job.idle ? [job.idle.until] : [];
  return Math.min(...[...stageTimes(job), ...rescale, ...idle, ...due].filter((time) => time > now));
}

function stageTimes(job: FlinkJob): readonly number[] {
  const { stage, settings, stagesBegun } = job;
  const { stabilizationMs, isImpossible } = settings;
  switch (stage.kind) {
    case 'Waiting':
      return isImpossible ? [] : [stage.since + stabilizationMs, stage.since + resourceWaitMs];
    case 'Scheduled':
      return [stage.since + secondMs, stage.since + slotWaitMs];
    case 'Running':
      return [
        stage.since + lifetimeMs(job).untilFailure,
        stage.since + lifetimeMs(job).untilEnd,
        stage.since + stagesBegun * batchStageMs(job),
      ];
    case 'Ended':
      return [];
    default:
      return [stage.until];
  }
}

function lifetimeMs(job: FlinkJob) {
  const { behaviour, vertices } = job.settings;
  const { failsAfterSeconds, isBounded, runSeconds = 60 } = behaviour;
  const untilEnd = isBounded ? runSeconds * secondMs : Number.POSITIVE_INFINITY;
  return {
    untilFailure: failsAfterSeconds === undefined ? Number.POSITIVE_INFINITY : failsAfterSeconds * secondMs,
    untilEnd: isBatch(job) ? vertices.length * batchStageMs(job) : untilEnd,
  };
}

/** With fewer slots than tasks, a stage of a batch job runs in as many turns as it takes. */
function batchStageMs(job: FlinkJob): number {
  const { runSeconds = 60 } = job.settings.behaviour;
  const turns = Math.ceil(widthOf(job) / Math.max(1, slotsOf(job)));
  return isBatch(job) ? turns * runSeconds * secondMs : Number.POSITIVE_INFINITY;
}

/** Slots that the job would use if it had them. */
function widthOf({ parallelism }: FlinkJob): number {
  return Math.max(...Object.values(parallelism));
}

/** The job as it is at an instant; to be asked at each `nextChangeTime`, and whenever the offered slots change. */
export function advance(job: FlinkJob, offers: readonly SlotOffer[], now: number): FlinkJob {
  let next = job;
  for (let before: FlinkJob | undefined; before !== next; ) {
    before = next;
    next = step(countUpTo(before, now), offers, now);
  }
  return next;
}

/** Ends a job; on one that has ended there is nothing to cancel. */
export function cancel(job: FlinkJob, now: number): FlinkJob {
  if (isEnded(job) || job.stage.kind === 'Cancelling') return job;
  const until = now + (job.settings.behaviour.cancelSeconds ?? 1) * secondMs;
  return turn(stopTasks(job, now), { kind: 'Cancelling', until }, now);
}

/** Lets a task fail. The job is begun anew while its restart strategy allows it and the failure is not fatal. */
export function fail(
  job: FlinkJob,
  failure: Omit<Failure, 'time' | 'attempt'>,
  now: number,
  isFatal = false,
): FlinkJob {
  const { restartAttempts, restartDelayMs } = job.settings;
  const failed: Failure = { ...failure, time: now, attempt: job.restarts };
  const stopped = { ...stopTasks(job, now), failures: [failed, ...job.failures].slice(0, failuresKept) };
  if (!isFatal && job.restarts < restartAttempts) {
    const restarting: Stage = { kind: 'Restarting', until: now + restartDelayMs };
    return turn({ ...stopped, restarts: job.restarts + 1 }, restarting, now);
  }
  const failing = { ...stopped, timestamps: { ...stopped.timestamps, FAILING: now } };
  return end(failing, 'FAILED', now);
}

/** Begins a savepoint; it fails at once unless every task runs. */
export function triggerSavepoint(
  job: FlinkJob,
  { triggerId, kind, directory }: Pick<SavepointOperation, 'triggerId' | 'kind' | 'directory'>,
  now: number,
): FlinkJob {
  const counted = countUpTo(job, now);
  const { checkpoints, savepoints, count, settings } = counted;
  const operation: SavepointOperation = {
    triggerId,
    kind,
    directory,
    startTime: now,
    dueTime:
      now + (isHanging(settings, kind) ? checkpointTimeoutMs : (settings.behaviour.savepointSeconds ?? 1) * secondMs),
    checkpointId: checkpoints.nextId,
    count,
    ...(!isCounting(job) && { endTime: now, failure: notRunning(settings) }),
    ...(isBatch(job) && { endTime: now, failure: checkpointFailure(blockingEdge) }),
  };
  const log = { ...checkpoints, nextId: checkpoints.nextId + 1 };
  const begun = { ...counted, checkpoints: log };
  // A job that is told to stop once more gives up the stop that is under way.
  const others = kind === 'stop' ? savepoints.filter((other) => other.kind === 'stop' && isPending(other)) : [];
  const alone = others.reduce((next, other) => withSavepoint(next, other, { endTime: now, failure: suspended }), begun);
  return { ...alone, savepoints: [...alone.savepoints, operation] };
}

function isHanging({ behaviour }: JobSettings, kind: SavepointOperation['kind']): boolean {
  return kind === 'stop' && behaviour.stopHangs === true;
}

/** It waits for its snapshot. */
function isPending({ endTime, location, failure }: SavepointOperation): boolean {
  return endTime === undefined && location === undefined && failure === undefined;
}

/** What of the job's state is in storage: its savepoints and the checkpoints that it keeps. */
export function snapshotsOf({ settings, checkpoints, savepoints }: FlinkJob): readonly Snapshot[] {
  const kept = checkpoints.kept.map((checkpoint) => snapshotOf(settings, checkpoint)).reverse();
  const taken = savepoints.flatMap(({ location, checkpointId: id, count, startTime }) =>
    location === undefined
      ? []
      : [snapshotOf(settings, { id, isSavepoint: true, triggerTime: startTime, count, path: location })],
  );
  return [...taken, ...kept];
}

/** Records counted by an instant, if nothing happens until then. */
export function countAt(job: FlinkJob, now: number): number {
  return Math.floor(countUpTo(job, now).count);
}

/** The slots that the job uses. */
export function slotsOf({ placement }: FlinkJob): number {
  return placement.reduce((sum, { slots }) => sum + slots, 0);
}

/** The slots of a TaskManager that are not free on account of the job. */
export function heldSlots({ placement, idle }: FlinkJob, taskManager: string, now: number): number {
  const kept = idle !== undefined && now < idle.until ? idle.placement : [];
  return slotsOn(placement, taskManager) + slotsOn(kept, taskManager);
}

function step(job: FlinkJob, offers: readonly SlotOffer[], now: number): FlinkJob {
  const offered = (taskManager: string) => offers.find((offer) => offer.taskManager === taskManager)?.slots ?? 0;
  const lost = job.placement.find(({ taskManager, slots }) => offered(taskManager) < slots);
  if (lost) return fail(job, lostTaskManager(job, lost.taskManager), now);
  const due = job.savepoints.find(({ endTime, dueTime }) => endTime === undefined && dueTime <= now);
  if (due) return completeSavepoint(job, due, now);
  const { stage } = job;
  switch (stage.kind) {
    case 'Initializing':
      return now < stage.until ? job : begin(job, now);
    case 'Waiting':
      return awaitResources(job, stage.since, offers, now);
    case 'Scheduled':
      return awaitSlots(job, stage.since, offers, now);
    case 'Deploying':
      return now < stage.until ? job : initialize(job, now);
    case 'Restoring':
      return now < stage.until ? job : run(job, now);
    case 'Running':
      return work(job, stage.since, offers, now);
    case 'Restarting':
      return now < stage.until ? job : schedule(restore(job, now), now);
    case 'Cancelling':
      return now < stage.until ? job : end(job, 'CANCELED', now);
    case 'Ended':
      return job;
    default:
      return stage satisfies never;
  }
}

function begin(job: FlinkJob, now: number): FlinkJob {
  const { loadFailure } = job.settings;
  return loadFailure === undefined ? schedule(restore(job, now), now) : failedAtStart(job, loadFailure, now);
}

function schedule(job: FlinkJob, now: number): FlinkJob {
  return turn(job, { kind: job.settings.isAdaptive ? 'Waiting' : 'Scheduled', since: now }, now);
}

/** The default scheduler takes every slot that the job asks for, or none. */
function awaitSlots(job: FlinkJob, since: number, offers: readonly SlotOffer[], now: number): FlinkJob {
  const wanted = widthOf(job);
  // A batch job makes do with one.
  const needed = isBatch(job) ? 1 : wanted;
  if (total(offers) >= needed)
    return now < since + secondMs ? job : deploy(job, Math.min(wanted, total(offers)), offers, now);
  // A JobManager that has found none once refuses at once, and again with each attempt.
  const isRefused = job.failures[0]?.trace === noSlots;
  if (now < since + slotWaitMs && !isRefused) return job;
  const [vertex] = job.settings.vertices;
  return fail(job, { trace: noSlots, task: { name: `${vertex?.name} (1/${wanted})`, taskManager: undefined } }, now);
}

/** The adaptive scheduler takes what it is allowed to have, or after a while what there is. */
function awaitResources(job: FlinkJob, since: number, offers: readonly SlotOffer[], now: number): FlinkJob {
  const { isImpossible, stabilizationMs } = job.settings;
  const { lower, upper } = boundsOf(job);
  const available = total(offers);
  if (isImpossible) return job;
  const isRescaled = job.rescale !== undefined && available >= job.rescale.slots;
  if (available >= upper || isRescaled || (available >= lower && now >= since + stabilizationMs))
    return deploy(job, Math.min(upper, available), offers, now);
  return now >= since + resourceWaitMs ? fail(job, { trace: noSlots }, now, true) : job;
}

function deploy(job: FlinkJob, slots: number, offers: readonly SlotOffer[], now: number): FlinkJob {
  const parallelism = job.settings.isAdaptive
    ? Object.fromEntries(Object.entries(job.bounds).map(([id, { upperBound }]) => [id, Math.min(upperBound, slots)]))
    : job.parallelism;
  const { rescale: _, ...rest } = job;
  const deployed = {
    ...rest,
    parallelism,
    ...occupy(rest, place(slots, offers, job.settings.behaviour)),
    stagesBegun: 1,
    tasksStartTime: now,
    tasksEndTime: undefined,
  };
  return turn(deployed, { kind: 'Deploying', until: now + secondMs }, now);
}

/** Of the slots that the job still had, those that it does not take again stay idle. */
function occupy({ idle }: FlinkJob, placement: readonly Placement[]): Pick<FlinkJob, 'placement' | 'idle'> {
  const kept = idle?.placement.flatMap(({ taskManager, slots }) => {
    const left = slots - slotsOn(placement, taskManager);
    return left > 0 ? [{ taskManager, slots: left }] : [];
  });
  return { placement, ...(idle && kept && { idle: { ...idle, placement: kept } }) };
}

/** The youngest TaskManagers first, so that whoever takes those away meets the ones that are busy. */
function place(
  slots: number,
  offers: readonly SlotOffer[],
  { spreadsSlots = false }: JarSettings,
): readonly Placement[] {
  if (spreadsSlots) return spread(slots, offers);
  let left = slots;
  return offers.toReversed().flatMap(({ taskManager, slots: offered }) => {
    const taken = Math.min(left, offered);
    left -= taken;
    return taken > 0 ? [{ taskManager, slots: taken }] : [];
  });
}

/** One slot of each TaskManager in turn. */
function spread(slots: number, offers: readonly SlotOffer[]): readonly Placement[] {
  const inTurn = offers
    .flatMap(({ taskManager, slots: offered }) => Array.from({ length: offered }, (_, turn) => ({ taskManager, turn })))
    .sort((a, b) => a.turn - b.turn)
    .slice(0, slots);
  return offers.flatMap(({ taskManager }) => {
    const taken = inTurn.filter((slot) => slot.taskManager === taskManager).length;
    return taken > 0 ? [{ taskManager, slots: taken }] : [];
  });
}

function slotsOn(placement: readonly Placement[], taskManager: string): number {
  return placement.find((placed) => placed.taskManager === taskManager)?.slots ?? 0;
}

function initialize(job: FlinkJob, now: number): FlinkJob {
  const { restoreSeconds = 1 } = job.settings.behaviour;
  const seconds = job.checkpoints.latestRestored ? restoreSeconds : 1;
  return turn(job, { kind: 'Restoring', until: now + seconds * secondMs }, now);
}

function run(job: FlinkJob, now: number): FlinkJob {
  const { behaviour, checkpointIntervalMs = Number.POSITIVE_INFINITY } = job.settings;
  if (behaviour.failsAtStart !== undefined) return fail(job, failureOf(job, behaviour.failsAtStart), now);
  const checkpoints = { ...job.checkpoints, nextTime: now + checkpointIntervalMs };
  const running = { ...job, checkpoints, countTime: now, spans: [...job.spans, { from: now }] };
  return turn(running, { kind: 'Running', since: now }, now);
}

function work(job: FlinkJob, since: number, offers: readonly SlotOffer[], now: number): FlinkJob {
  const { untilFailure, untilEnd } = lifetimeMs(job);
  if (now >= since + untilFailure) return fail(job, failureOf(job, 'the job fails after a while'), now);
  if (now >= since + untilEnd) return end(stopTasks(job, now), 'FINISHED', now);
  if (now >= since + job.stagesBegun * batchStageMs(job)) return { ...job, stagesBegun: job.stagesBegun + 1 };
  return job.settings.isAdaptive ? follow(job, offers, now) : job;
}

/** The adaptive scheduler follows slots and bounds, once they have stayed as they are for a while. */
function follow(job: FlinkJob, offers: readonly SlotOffer[], now: number): FlinkJob {
  const { lower, upper } = boundsOf(job);
  const slots = Math.min(upper, total(offers));
  const { rescale, ...rest } = job;
  if (slots === slotsOf(job) || slots < lower) return rescale ? rest : job;
  if (rescale?.slots !== slots) return { ...rest, rescale: { slots, time: now + job.settings.stabilizationMs } };
  if (now < rescale.time) return job;
  const idle = { placement: job.placement, until: now + job.settings.slotIdleMs };
  return turn({ ...stopTasks(rest, now), rescale, idle }, { kind: 'Restarting', until: now + secondMs }, now);
}

/** Takes up the state of the newest checkpoint, or of the snapshot that the job was begun from. */
function restore(job: FlinkJob, now: number): FlinkJob {
  const { settings, checkpoints } = job;
  const { latestCompleted } = checkpoints;
  const snapshot = latestCompleted ? snapshotOf(settings, latestCompleted) : settings.restoredFrom;
  if (!snapshot) return { ...job, count: 0, countTime: now };
  const isKnown = settings.vertices.some(({ id }) => snapshot.vertices[id] !== undefined);
  const log = { ...checkpoints, restored: checkpoints.restored + 1, latestRestored: { snapshot, time: now } };
  return { ...job, count: isKnown ? snapshot.count : 0, countTime: now, checkpoints: log };
}

/** Counts what was read since, and takes the checkpoints that were due on the way. */
function countUpTo(job: FlinkJob, now: number): FlinkJob {
  if (!isCounting(job) || now <= job.countTime) return job;
  const isStopping = job.savepoints.some(({ kind, endTime }) => kind === 'stop' && endTime === undefined);
  const isDraining = isStopping && job.settings.behaviour.stopHangs !== true;
  const rate = isDraining ? 0 : (job.settings.behaviour.recordsPerSecond ?? 100);
  const countAt = (time: number) => job.count + (rate * (time - job.countTime)) / secondMs;
  return { ...job, count: countAt(now), countTime: now, checkpoints: takeCheckpoints(job, countAt, now) };
}

function takeCheckpoints(job: FlinkJob, countAt: (time: number) => number, now: number): CheckpointLog {
  const { checkpoints, settings } = job;
  const { checkpointIntervalMs: interval = 0, checkpointDirectory, behaviour, id: jobId } = settings;
  const { retainedCheckpoints: retained } = settings;
  // A savepoint that ends the job stops its checkpoints first; they begin anew when it fails.
  const isEnding = job.savepoints.some(({ kind, endTime }) => kind !== 'savepoint' && endTime === undefined);
  if (isEnding) return { ...checkpoints, nextTime: Math.max(checkpoints.nextTime, now + interval) };
  if (now < checkpoints.nextTime) return checkpoints;
  const due = Math.floor((now - checkpoints.nextTime) / interval) + 1;
  const isFailing = behaviour.checkpointFails === true;
  const taken = Array.from({ length: Math.min(due, Math.max(historyLength, retained)) }, (_, index): Checkpoint => {
    const number = due - 1 - index;
    const time = checkpoints.nextTime + number * interval;
    const id = checkpoints.nextId + number;
    const path = checkpointDirectory === undefined ? notAddressable : `${checkpointDirectory}/${jobId}/chk-${id}`;
    const outcome = isFailing
      ? ({ status: 'FAILED', failure: 'Checkpoint expired before completing.' } as const)
      : ({ status: 'COMPLETED' } as const);
    const sizes = { count: countAt(time), subtasks: subtasksOf(job), isDiscarded: index >= retained };
    return { id, isSavepoint: false, triggerTime: time, endTime: time, path, ...sizes, ...outcome };
  });
  const [newest] = taken as [Checkpoint, ...Checkpoint[]];
  const kept = isFailing ? checkpoints.kept : [...taken, ...checkpoints.kept].slice(0, retained);
  const older = checkpoints.history.map((checkpoint) =>
    kept.includes(checkpoint) ? checkpoint : discarded(checkpoint),
  );
  return {
    ...checkpoints,
    nextId: checkpoints.nextId + due,
    nextTime: checkpoints.nextTime + due * interval,
    completed: checkpoints.completed + (isFailing ? 0 : due),
    failed: checkpoints.failed + (isFailing ? due : 0),
    history: [...taken, ...older].slice(0, historyLength),
    kept,
    ...(isFailing ? { latestFailed: newest } : { latestCompleted: newest }),
  };
}

function discarded(checkpoint: Checkpoint): Checkpoint {
  return checkpoint.isSavepoint || checkpoint.status === 'FAILED' ? checkpoint : { ...checkpoint, isDiscarded: true };
}

function completeSavepoint(job: FlinkJob, operation: SavepointOperation, now: number): FlinkJob {
  const { savepointFails = 0, stopFails } = job.settings.behaviour;
  if (!isPending(operation)) return withOutcome(job, operation, { endTime: now });
  if (isHanging(job.settings, operation.kind))
    return withSavepoint(job, operation, {
      endTime: now,
      failure: checkpointFailure('Checkpoint expired before completing.'),
    });
  if (job.savepoints.some((other) => isPending(other) && isHanging(job.settings, other.kind))) {
    const declined = checkpointFailure('Checkpoint was declined (tasks not ready)');
    return fail(
      withSavepoint(job, operation, { endTime: now, failure: declined }),
      failureOf(job, 'the savepoint was declined'),
      now,
    );
  }
  const before = job.savepoints.filter(({ endTime }) => endTime !== undefined).length;
  const cause = typeof savepointFails === 'string' ? savepointFails : 'the snapshot was declined';
  if (typeof savepointFails === 'string' || before < savepointFails)
    return withSavepoint(job, operation, { endTime: now, failure: checkpointFailure(cause) });
  const { id } = job.settings;
  const unique = hash(`${id} ${operation.triggerId} ${operation.checkpointId}`).slice(0, 12);
  const location = `${operation.directory}/savepoint-${id.slice(0, 6)}-${unique}`;
  const saved = withSavepoint(job, operation, { endTime: now, location });
  if (operation.kind === 'cancel') return cancel(saved, now);
  if (operation.kind !== 'stop') return saved;
  if (stopFails === undefined)
    return end(stopTasks(stopping(saved, operation, { location }, now), now), 'FINISHED', now);
  const failed = stopping(saved, operation, { location, failure: failedToStop(id, location) }, now);
  return fail(failed, failureOf(job, stopFails), now, true);
}

/** A job ends a moment before the operation that stops it does. */
function stopping(
  job: FlinkJob,
  { triggerId }: SavepointOperation,
  outcome: Pick<SavepointOperation, 'location' | 'failure'>,
  now: number,
): FlinkJob {
  const savepoints = job.savepoints.map((operation) => {
    if (operation.triggerId !== triggerId) return operation;
    const { endTime: _, ...unreported } = operation;
    return { ...unreported, ...outcome, dueTime: now + stopReportMs };
  });
  return { ...job, savepoints };
}

function withOutcome(
  job: FlinkJob,
  operation: SavepointOperation,
  outcome: Pick<SavepointOperation, 'endTime' | 'location' | 'failure'>,
): FlinkJob {
  const savepoints = job.savepoints.map((other) => (other === operation ? { ...operation, ...outcome } : other));
  return { ...job, savepoints };
}

/** The job with an operation that is over, which is in the log of checkpoints too. */
function withSavepoint(
  job: FlinkJob,
  operation: SavepointOperation,
  outcome: Pick<SavepointOperation, 'endTime' | 'location' | 'failure'>,
): FlinkJob {
  const { checkpoints } = job;
  const { location, failure, endTime = 0 } = outcome;
  const checkpoint: Checkpoint = {
    id: operation.checkpointId,
    status: failure === undefined ? 'COMPLETED' : 'FAILED',
    isSavepoint: true,
    isSynchronous: operation.kind === 'stop',
    triggerTime: operation.startTime,
    endTime,
    count: operation.count,
    path: location ?? '',
    subtasks: subtasksOf(job),
    isDiscarded: false,
    ...(failure !== undefined && { failure: failure.split('\n')[0]?.replace(/^.*Exception: /, '') ?? '' }),
  };
  return {
    ...withOutcome(job, operation, outcome),
    checkpoints: {
      ...checkpoints,
      completed: checkpoints.completed + (location === undefined ? 0 : 1),
      failed: checkpoints.failed + (location === undefined ? 1 : 0),
      history: [checkpoint, ...checkpoints.history].slice(0, historyLength),
      ...(location === undefined ? { latestFailed: checkpoint } : { latestSavepoint: checkpoint }),
    },
  };
}

/** Tasks are no more: slots are free, nothing is counted, and snapshots under way fail. */
function stopTasks(job: FlinkJob, now: number): FlinkJob {
  const counted = countUpTo(job, now);
  const pending = counted.savepoints.filter(isPending);
  const settled = pending.reduce(
    (next, operation) => withSavepoint(next, operation, { endTime: now, failure: suspended }),
    counted,
  );
  const { rescale: _, ...rest } = settled;
  return {
    ...rest,
    placement: [],
    tasksEndTime: job.tasksStartTime === undefined ? undefined : now,
    spans: rest.spans.map((span) => (span.to === undefined ? { ...span, to: now } : span)),
  };
}

function end({ idle: _, ...job }: FlinkJob, status: EndStatus, now: number): FlinkJob {
  const ended = turn(job, { kind: 'Ended', status }, now);
  if (isKept(job.settings.retention, status)) return ended;
  const { latestCompleted, history, ...log } = job.checkpoints;
  const checkpoints = {
    ...log,
    history: history.map(discarded),
    kept: [],
    ...(latestCompleted && { latestCompleted: discarded(latestCompleted) }),
  };
  return { ...ended, checkpoints };
}

/** Whether the newest checkpoint outlives the job. */
function isKept(retention: Retention, status: EndStatus): boolean {
  if (status === 'CANCELED') return retention === 'RETAIN_ON_CANCELLATION';
  return status === 'FAILED' && retention !== 'NO_EXTERNALIZED_CHECKPOINTS';
}

function turn(job: FlinkJob, stage: Stage, now: number): FlinkJob {
  const next = { ...job, stage };
  if (statusOf(next) === statusOf(job) && job.timestamps[statusOf(next)] !== undefined) return next;
  // A job that the default scheduler begins anew has not been created anew.
  return { ...next, timestamps: { ...job.timestamps, ...created(job, next, now), [statusOf(next)]: now } };
}

function created(job: FlinkJob, next: FlinkJob, now: number): Partial<Record<JobStatus, number>> {
  return statusOf(job) === 'INITIALIZING' && statusOf(next) === 'RUNNING' ? { CREATED: now } : {};
}

function boundsOf({ bounds }: FlinkJob): { lower: number; upper: number } {
  const all = Object.values(bounds);
  return {
    lower: Math.max(...all.map(({ lowerBound }) => lowerBound)),
    upper: Math.max(...all.map(({ upperBound }) => upperBound)),
  };
}

function total(offers: readonly SlotOffer[]): number {
  return offers.reduce((sum, { slots }) => sum + slots, 0);
}

function subtasksOf({ parallelism }: FlinkJob): number {
  return Object.values(parallelism).reduce((sum, tasks) => sum + tasks, 0);
}

function snapshotOf(
  { id: jobId, vertices }: JobSettings,
  {
    id,
    isSavepoint,
    triggerTime: time,
    count,
    path,
  }: Omit<Checkpoint, 'status' | 'endTime' | 'subtasks' | 'isDiscarded'>,
): Snapshot {
  const maxima = Object.fromEntries(vertices.map((vertex) => [vertex.id, vertex.maxParallelism]));
  return { path, id, isSavepoint, count, time, jobId, vertices: maxima };
}

const noResource =
  'org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire the minimum required resources.';
const completion = 'java.util.concurrent.CompletionException';
const noSlots = [
  `${completion}: ${completion}: ${noResource}`,
  '\tat org.apache.flink.runtime.scheduler.DefaultExecutionDeployer.lambda$assignResource$4(DefaultExecutionDeployer.java:226)',
  `Caused by: ${completion}: ${noResource}`,
  `Caused by: ${noResource}`,
  '',
].join('\n');

function hash(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

function lostTaskManager(job: FlinkJob, taskManager: string): Omit<Failure, 'time' | 'attempt'> {
  const cause = `TaskManager with id ${taskManager} is no longer reachable.`;
  const trace = `org.apache.flink.runtime.jobmaster.JobMasterException: ${cause}\n`;
  return { ...failureOf(job, ''), trace };
}

/** A failure of a task with that cause. */
export function failureOf(job: FlinkJob, cause: string): Omit<Failure, 'time' | 'attempt'> {
  const vertex = job.settings.vertices.at(-1);
  const name = `${vertex?.name} (1/${job.parallelism[vertex?.id ?? ''] ?? 1})`;
  return {
    trace: `java.lang.RuntimeException: ${cause}\n`,
    task: { name, taskManager: job.placement[0]?.taskManager },
  };
}

const blockingEdge = 'Blocking output edge exists in running tasks.';
const checkpointException = 'org.apache.flink.runtime.checkpoint.CheckpointException';

function checkpointFailure(cause: string): string {
  return `${completion}: ${checkpointException}: ${cause}\n\tat java.base/java.util.concurrent.CompletableFuture.encodeRelay(CompletableFuture.java:368)\nCaused by: ${checkpointException}: ${cause}\n`;
}

const suspended = checkpointFailure('Checkpoint Coordinator is suspending.');

function failedToStop(id: string, location: string): string {
  const stopping = 'org.apache.flink.runtime.scheduler.stopwithsavepoint.StopWithSavepointStoppingException';
  const cause = `${stopping}: A savepoint has been created at: ${location}, but the corresponding job ${id} failed during stopping. The savepoint is consistent, but might have uncommitted transactions. If you want to commit the transaction please restart a job from this savepoint.`;
  return `${completion}: ${cause}\nCaused by: ${cause}\n`;
}

function notRunning({ id, vertices }: JobSettings): string {
  return checkpointFailure(
    `Checkpoint triggering task ${vertices[0]?.name} (1/1) of job ${id} is not being executed at the moment. Aborting checkpoint. Failure reason: Not all required tasks are currently running.`,
  );
}
