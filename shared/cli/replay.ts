import { createReadStream, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { describeError } from '../errors.ts';
import type { ReplayAnswer } from '../replay/judge.ts';
import { createReplay, type Unjudged } from '../replay/replay.ts';
import { JsonSplitter, MalformedInputError } from '../replay/split.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';

const HELP = `headrace replay: a decision from a file

Judges recorded snapshots exactly as the function would have, and prints what it would have done: one JSON object a line, in
the order of the input. No cluster, no AWS, no network. headrace snapshot records a live one; docs/replay.md has the format.

Usage: headrace replay FILE [OPTIONS]

FILE holds one snapshot, a JSON array of them, or one a line; - is the standard input. It may be of any size.

Options:
      --carry   each autoscaler goes on from the status that its previous snapshot produced
      --table   for people
  -h, --help

Exit status:
  0  every snapshot was judged
  1  at least one could not be read; its line says why
  2  the file is no JSON, or cannot be read

Examples:
  headrace snapshot flink/orders --file orders.json && headrace replay orders.json --table
  headrace replay yesterday.ndjson --carry | jq -r 'select(.rescale) | .message'
  jq '.autoscaler.spec.maxReplicas = 40' orders.json | headrace replay -
`;

export const replayCommand: Command = {
  name: 'replay',
  summary: 'what would have been decided, from a file',
  help: HELP,
  run,
};

const READ_BYTES = 2 ** 18;
const WRITE_CHARACTERS = 2 ** 16;

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const { file, carry, table } = parseOptions(words);
  const judge = createReplay({ carry });
  const splitter = new JsonSplitter();
  const output = createOutput(terminal);
  const progress = createProgress(terminal, file);
  const counts = { judged: 0, unjudged: 0 };

  const judgeAll = async (values: Iterable<unknown>) => {
    for (const value of values) {
      const answer = judge(value);
      counts['invalid' in answer ? 'unjudged' : 'judged'] += 1;
      await output.add(table ? renderRow(value, answer) : `${JSON.stringify(answer)}\n`);
    }
  };
  try {
    if (table) await output.add(HEADING);
    for await (const chunk of openInput(file)) {
      if (terminal.interrupted.aborted) break;
      await judgeAll(splitter.push(chunk));
      progress.tell(chunk.length, counts.judged + counts.unjudged);
    }
    if (!terminal.interrupted.aborted) await judgeAll(splitter.end());
  } catch (error) {
    await output.flush();
    if (!(error instanceof MalformedInputError)) throw error;
    terminal.error(`headrace replay: ${file === '-' ? 'standard input' : file}: ${error.message}\n`);
    return EXIT.usage;
  } finally {
    progress.end();
  }
  await output.flush();
  return counts.unjudged > 0 ? EXIT.failed : EXIT.ok;
}

function parseOptions(words: readonly string[]): { file: string; carry: boolean; table: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: { carry: { type: 'boolean' }, table: { type: 'boolean' } },
    });
    const [file, ...others] = positionals;
    if (file === undefined || others.length > 0)
      throw new UsageError('one file must be named, or - for the standard input');
    return { file, carry: values.carry ?? false, table: values.table ?? false };
  } catch (cause) {
    throw cause instanceof UsageError ? cause : new UsageError((cause as Error).message);
  }
}

async function* openInput(file: string): AsyncGenerator<Uint8Array> {
  const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: READ_BYTES });
  try {
    yield* stream;
  } catch (cause) {
    throw new UsageError(`reading ${file}: ${describeError(cause)}`, { cause });
  }
}

interface Output {
  add(text: string): Promise<void>;
  flush(): Promise<void>;
}

/** Writes many lines at once, and no faster than they are taken. */
function createOutput(terminal: Terminal): Output {
  let pending = '';
  const flush = async () => {
    if (pending !== '') terminal.out(pending);
    pending = '';
    await terminal.drained?.();
  };
  return {
    flush,
    async add(text) {
      pending += text;
      if (pending.length >= WRITE_CHARACTERS) await flush();
    },
  };
}

interface Progress {
  tell(bytes: number, snapshots: number): void;
  end(): void;
}

const PROGRESS_MILLISECONDS = 1000;

/** A line that is written over and over, where a person looks on while the answers go elsewhere. */
function createProgress(terminal: Terminal, file: string): Progress {
  if (!process.stderr.isTTY || process.stdout.isTTY) return { tell: () => {}, end: () => {} };
  const total = file === '-' ? undefined : statSync(file, { throwIfNoEntry: false })?.size;
  let done = 0;
  let nextTime = Date.now() + PROGRESS_MILLISECONDS;
  let hasTold = false;
  return {
    tell(bytes, snapshots) {
      done += bytes;
      if (Date.now() < nextTime) return;
      nextTime = Date.now() + PROGRESS_MILLISECONDS;
      hasTold = true;
      const share = total === undefined ? '' : `, ${Math.floor((100 * done) / total)} %`;
      terminal.error(`\r${snapshots} snapshots, ${Math.round(done / 1e6)} MB${share} `);
    },
    end() {
      if (hasTold) terminal.error('\n');
    },
  };
}

const COLUMNS = [
  ['TIME', 24],
  ['CURRENT', 7],
  ['DESIRED', 7],
  ['RESCALE', 7],
  ['REASON', 32],
  ['NAME', 0],
] as const;
const HEADING = toRow(COLUMNS.map(([name]) => name));

/** One row, and under it the sentence with the arithmetic. Widths are fixed: the table is written while it is read. */
function renderRow(value: unknown, answer: ReplayAnswer | Unjudged): string {
  if ('invalid' in answer) {
    const faults = answer.invalid.map(({ path, message }) => `  ${path === '' ? '' : `${path}: `}${message}`);
    return toRow([timeOf(value), '-', '-', '-', 'invalid', answer.name]) + faults.map((fault) => `${fault}\n`).join('');
  }
  const { currentReplicas, desiredReplicas, rescale, reason, name, message, error } = answer;
  const sizes = [currentReplicas, desiredReplicas].map((size) => String(size ?? '-'));
  const row = toRow([timeOf(value), ...sizes, rescale ? 'yes' : 'no', reason, name]);
  const sentences = error === null || message.includes(error) ? [message] : [message, `error: ${error}`];
  return row + sentences.map((sentence) => `  ${sentence}\n`).join('');
}

function toRow(cells: readonly string[]): string {
  // What a file says must not move the cursor of the terminal that shows it.
  const padded = cells.map((cell, index) => cell.replaceAll(/\p{Cc}/gu, ' ').padEnd(COLUMNS[index]?.[1] ?? 0));
  return `${padded.join('  ').trimEnd()}\n`;
}

function timeOf(value: unknown): string {
  const now = (value as { now?: unknown } | null)?.now;
  return typeof now === 'string' ? now : '-';
}
