// The simulated Flink job, PURE: what its TaskManagers are, how busy they are and what their operator says about them, from a state,
// the application's spec and an instant. It knows nothing of autoscalers: load comes in, processor time is used.

/** CPU work that arrives at an instant; between two points it changes evenly, before the first and after the last it stays. */
export interface LoadPoint {
  /** Epoch milliseconds. Two points of one time are a jump. */
  readonly time: number;
  /** Milli-cores for the whole application. */
  readonly loadMilli: number;
}

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

/** metrics-server asks every kubelet so often. */
const sampleMs = 15_000;

/** What a TaskManager that runs no job yet costs: a JVM and its heartbeats. */
const idleNano = 20_000_000;
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

/** Milli-cores of work at an instant. */
export function loadAt(points: readonly LoadPoint[], time: number): number {
  const later = points.findIndex((point) => point.time > time);
  if (later === -1) return points.at(-1)?.loadMilli ?? 0;
  const [before, after] = [points[later - 1], points[later]] as [LoadPoint | undefined, LoadPoint];
  if (!before) return after.loadMilli;
  // halfway between 800 and 1600: 800 + (1600 − 800) × 0.5 = 1200
  const share = (time - before.time) / (after.time - before.time);
  return before.loadMilli + (after.loadMilli - before.loadMilli) * share;
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

/** Five characters as a ReplicaSet appends them, from a number and not from chance: the n-th pod always has the same name. */
function podSuffix(number: number): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  // 27^5 names, walked through in steps of a number that shares no factor with it, so that neighbours do not look alike.
  let rest = (number * 7_654_321 + 1_234_567) % alphabet.length ** 5;
  return Array.from({ length: 5 }, () => {
    const sign = alphabet.charAt(rest % alphabet.length);
    rest = Math.floor(rest / alphabet.length);
    return sign;
  }).join('');
}

function startMs({ startSeconds }: JobSettings): number {
  return startSeconds * 1000;
}
