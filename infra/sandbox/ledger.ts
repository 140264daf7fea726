// What became of an application's jobs, for tests to compare with what should have: which ran when and where, from which state they
// began, and whether two ever ran at once.
import { countAt, type FlinkJob, isEnded, statusOf } from './flink-job.ts';
import type { Submission } from './job-manager.ts';

/** One job on one JobManager. Instants are epoch milliseconds. */
export interface Run {
  readonly jobId: string;
  /** Name of the JobManager's Deployment. */
  readonly cluster: string;
  readonly image: string;
  readonly jar: string;
  readonly entryClass: string | undefined;
  readonly programArgs: readonly string[];
  /** Its JobManager found it, with high availability; nobody submitted it again. */
  readonly isResumed: boolean;
  /** Of its widest vertex, now or last. */
  readonly parallelism: number;
  readonly submittedTime: number;
  /** When all its tasks ran first; undefined while they never did. */
  readonly startTime: number | undefined;
  /** Undefined while it goes on. */
  readonly endTime: number | undefined;
  /** Flink's word, or LOST with its JobManager. */
  readonly state: string;
  /** Path of the snapshot it was begun from. */
  readonly restoredFrom: string | undefined;
  /** Records counted in the state it was begun from, and now or last. */
  readonly startCount: number;
  readonly count: number;
}

export interface LedgerView {
  /** In the order of their submission. */
  readonly runs: readonly Run[];
  /** How long two or more jobs counted records at one time. */
  readonly overlapSeconds: number;
  /** How long two or more jobs were there, counting or not. */
  readonly aliveTogetherSeconds: number;
  /** Records counted by the job that was submitted last; 0 without one. */
  readonly count: number;
}

interface Entry {
  readonly cluster: string;
  readonly image: string;
  readonly submission: Submission;
  job: FlinkJob;
  lostTime: number | undefined;
}

interface Interval {
  readonly from: number;
  readonly to: number;
}

export class Ledger {
  readonly #entries = new Map<string, Entry>();

  /** @param key tells this job from the same on another JobManager process */
  record(key: string, entry: Omit<Entry, 'lostTime'>): void {
    const known = this.#entries.get(key);
    if (known) known.job = entry.job;
    else this.#entries.set(key, { ...entry, lostTime: undefined });
  }

  /** The JobManager process of these jobs is gone, and they with it. */
  lose(keys: readonly string[], now: number): void {
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (entry && !isEnded(entry.job)) entry.lostTime = now;
    }
  }

  view(now: number): LedgerView {
    const entries = [...this.#entries.values()];
    const runs = entries.map((entry) => runOf(entry, now));
    const counting = entries.flatMap(({ job, lostTime = now }) =>
      job.spans.map(({ from, to = lostTime }) => ({ from, to })),
    );
    const alive = runs.map(({ submittedTime: from, endTime: to = now }) => ({ from, to }));
    return {
      runs,
      overlapSeconds: sharedSeconds(counting),
      aliveTogetherSeconds: sharedSeconds(alive),
      count: runs.at(-1)?.count ?? 0,
    };
  }
}

function runOf({ cluster, image, submission, job, lostTime }: Entry, now: number): Run {
  const { settings, spans, stage, timestamps, parallelism } = job;
  const { restoredFrom } = settings;
  const isKnown = restoredFrom !== undefined && settings.vertices.some(({ id }) => id in restoredFrom.vertices);
  return {
    jobId: settings.id,
    cluster,
    image,
    jar: submission.jar,
    entryClass: submission.entryClass,
    programArgs: submission.programArgs,
    isResumed: submission.isResumed === true,
    parallelism: Math.max(0, ...Object.values(parallelism)),
    submittedTime: submission.time,
    startTime: spans[0]?.from,
    endTime: stage.kind === 'Ended' ? timestamps[stage.status] : lostTime,
    state: lostTime === undefined ? statusOf(job) : 'LOST',
    restoredFrom: submission.savepointPath,
    startCount: isKnown ? restoredFrom.count : 0,
    count: countAt(job, lostTime ?? now),
  };
}

/** How long at least two of the intervals hold. */
function sharedSeconds(intervals: readonly Interval[]): number {
  const edges = intervals
    .flatMap(({ from, to }) => [
      { time: from, step: 1 },
      { time: to, step: -1 },
    ])
    .sort((a, b) => a.time - b.time || a.step - b.step);
  let [open, since, milliseconds] = [0, 0, 0];
  for (const { time, step } of edges) {
    if (open >= 2) milliseconds += time - since;
    open += step;
    since = time;
  }
  return milliseconds / 1000;
}
