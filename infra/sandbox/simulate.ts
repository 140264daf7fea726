// The simulated Flink job, PURE: what its TaskManagers are, how busy they are and what their operator says about them, from a state,
// the application's spec and an instant. It knows nothing of autoscalers: load comes in, processor time is used.

import { idleNano, type LoadPoint, loadAt, sampleMs } from './load.ts';
import { podSuffix } from './pod-names.ts';

export interface JobSettings {
  readonly load: readonly LoadPoint[];
  /** The most a TaskManager can use, milli-cores; no limit when absent. */
  readonly cpuLimitMilli?: number;
  /** From creation to Ready, seconds: the first half Pending, the second Running and not Ready. */
  readonly startSeconds: number;
  /** Begins the names of the TaskManager pods. */
  readonly podNamePrefix: string;
}

export interface TaskManager {
  readonly podName: string;
  /** Epoch milliseconds. */
  readonly createdTime: number;
}

/** What metrics-server measured last. */
interface Sample {
  /** End of the window, epoch milliseconds, a multiple of 15 s. */
  readonly time: number;
  /** By pod name, nano-cores as metrics-server counts; pods that were not running then are missing. */
  readonly usageNano: Readonly<Record<string, number>>;
}

export interface JobState {
  readonly settings: JobSettings;
  /** Oldest first. */
  readonly taskManagers: readonly TaskManager[];
  /** How many TaskManagers there have ever been; makes names unique. */
  readonly started: number;
  readonly sample: Sample;
}

/** The fields of a FlinkApplication that decide its size. */
export interface JobInput {
  readonly parallelism: number;
  readonly taskSlots: number;
  readonly replicas: number | undefined;
}

export type PodPhase = 'Pending' | 'Starting' | 'Ready';

const nanoPerMilli = 1_000_000;

/** A job whose TaskManagers have all been there since an instant, measured once. */
export function startJob(settings: JobSettings, input: JobInput, createdTime: number, now: number): JobState {
  const empty = { settings, taskManagers: [], started: 0, sample: { time: 0, usageNano: {} } };
  return measure(resize(empty, input, createdTime), now);
}

/**
 * Brings a job from the instant it was last stepped to `now`: what was due to be measured meanwhile is measured with the
 * TaskManagers there were, and only then does the size follow the spec. Without an input (the application is gone) it shrinks to none.
 */
export function stepJob(state: JobState, input: JobInput | undefined, now: number): JobState {
  return resize(measure(state, now), input, now);
}

/** The next instant at which the job looks different without anybody touching it. */
export function nextChangeTime({ settings, taskManagers, sample }: JobState, now: number): number {
  const starts = taskManagers.flatMap(({ createdTime }) => [
    createdTime + startMs(settings) / 2,
    createdTime + startMs(settings),
  ]);
  return Math.min(sample.time + sampleMs, ...starts.filter((time) => time > now));
}

export function phaseOf({ createdTime }: TaskManager, settings: JobSettings, now: number): PodPhase {
  if (now >= createdTime + startMs(settings)) return 'Ready';
  return now >= createdTime + startMs(settings) / 2 ? 'Starting' : 'Pending';
}

/** TaskManagers a spec asks for: its replicas, or as many as its parallelism needs. */
function wantedTaskManagers({ parallelism, taskSlots, replicas }: JobInput): number {
  return replicas ?? Math.ceil(parallelism / taskSlots);
}

/** The parallelism the job runs with: as written while the size is the one it implies, else every slot there is. */
export function effectiveParallelism(input: JobInput): number {
  const { parallelism, taskSlots, replicas } = input;
  const isImplied = replicas === undefined || replicas === Math.ceil(parallelism / taskSlots);
  // 4 TaskManagers × 2 slots = 8
  return isImplied ? parallelism : replicas * taskSlots;
}

/** The fields of a FlinkApplication's status that its operator keeps, at an instant. */
export function operatorStatus({ settings, taskManagers }: JobState, input: JobInput, now: number) {
  const ready = taskManagers.filter((taskManager) => phaseOf(taskManager, settings, now) === 'Ready').length;
  const parallelism = effectiveParallelism(input);
  const slots = ready * input.taskSlots;
  return {
    clusterStatus: {
      numberOfTaskManagers: ready,
      healthyTaskManagers: ready,
      numberOfTaskSlots: slots,
      availableTaskSlots: Math.max(0, slots - parallelism),
      health: ready === taskManagers.length ? 'Green' : 'Yellow',
    },
    jobStatus: { state: 'RUNNING', health: 'Green', parallelism },
  };
}

function measure(state: JobState, now: number): JobState {
  const time = Math.floor(now / sampleMs) * sampleMs;
  if (time <= state.sample.time) return state;
  return { ...state, sample: { time, usageNano: usageAt(state, time) } };
}

/** The load is shared evenly by the TaskManagers that are ready; those still starting only idle. */
function usageAt({ settings, taskManagers }: JobState, time: number): Record<string, number> {
  const phases = taskManagers.map((taskManager) => phaseOf(taskManager, settings, time));
  const readyCount = phases.filter((phase) => phase === 'Ready').length;
  // 1600 milli-cores / 2 ready TaskManagers = 800 each
  const share = Math.min(loadAt(settings.load, time) / readyCount, settings.cpuLimitMilli ?? Number.POSITIVE_INFINITY);
  const usage: Record<string, number> = {};
  taskManagers.forEach(({ podName }, index) => {
    if (phases[index] === 'Ready') usage[podName] = Math.round(share * nanoPerMilli);
    if (phases[index] === 'Starting') usage[podName] = idleNano;
  });
  return usage;
}

function resize(state: JobState, input: JobInput | undefined, now: number): JobState {
  const wanted = input ? wantedTaskManagers(input) : 0;
  const { taskManagers, started, settings } = state;
  const missing = wanted - taskManagers.length;
  // As a ReplicaSet does: the youngest go first.
  if (missing <= 0) return missing === 0 ? state : { ...state, taskManagers: taskManagers.slice(0, wanted) };
  const fresh = Array.from({ length: missing }, (_, index) => ({
    podName: `${settings.podNamePrefix}-${podSuffix(started + index)}`,
    createdTime: now,
  }));
  return { ...state, taskManagers: [...taskManagers, ...fresh], started: started + missing };
}

function startMs({ startSeconds }: JobSettings): number {
  return startSeconds * 1000;
}
