// What the counting job (../flink/job) says of itself.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a job had counted at one checkpoint or savepoint, all subtasks together. */
export interface JobCount {
  readonly checkpoint: number;
  readonly parallelism: number;
  /** Of the checkpoint or savepoint that it was restored from; undefined for a job that began with nothing. */
  readonly restoredFrom: number | undefined;
  /** Records that were counted before that. */
  readonly restored: number;
  /** Records ever counted, those before a restore included. */
  readonly counted: number;
  /** Numbers that were never seen; anything but 0 is data lost. */
  readonly gaps: number;
  /** Numbers that were seen again; anything but 0 is data counted twice. */
  readonly repeats: number;
}

/** A line of a subtask. */
interface SubtaskCount {
  readonly checkpoint: number;
  readonly subtask: number;
  readonly attempt: number;
  readonly parallelism: number;
  /** -1 for none. */
  readonly restoredFrom: number;
  readonly restored: number;
  readonly counted: number;
  readonly gaps: number;
  readonly repeats: number;
}

/** The counts of a job that was run with `--output OUTPUT`, at every checkpoint that all its subtasks have reported, in their order. */
export async function readJobCounts(output: string, jobId: string): Promise<readonly JobCount[]> {
  const lines = await readLines(join(output, jobId));
  const checkpoints = Map.groupBy(lines, ({ checkpoint }) => checkpoint);
  return [...checkpoints]
    .sort(([a], [b]) => a - b)
    .flatMap(([checkpoint, reported]) => {
      // Of a subtask that was started again and has taken this checkpoint once more, the last word.
      const subtasks = [...new Map(reported.map((line) => [line.subtask, line])).values()];
      return subtasks.length === subtasks[0]?.parallelism ? [sum(checkpoint, subtasks)] : [];
    });
}

async function readLines(folder: string): Promise<readonly SubtaskCount[]> {
  const files = await readdir(folder).catch(() => []);
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts
    .flatMap((text) => text.split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as SubtaskCount)
    .sort((a, b) => a.attempt - b.attempt);
}

function sum(checkpoint: number, subtasks: readonly SubtaskCount[]): JobCount {
  const total = (field: 'restored' | 'counted' | 'gaps' | 'repeats') =>
    subtasks.reduce((sum, subtask) => sum + subtask[field], 0);
  const restoredFrom = subtasks[0]?.restoredFrom ?? -1;
  return {
    checkpoint,
    parallelism: subtasks.length,
    restoredFrom: restoredFrom === -1 ? undefined : restoredFrom,
    restored: total('restored'),
    counted: total('counted'),
    gaps: total('gaps'),
    repeats: total('repeats'),
  };
}
