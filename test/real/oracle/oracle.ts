// The oracle as a process: it is asked in lines, and answers in the same order.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { buildOracle } from './build.ts';

/** What the real controller made of a snapshot; conditions, metrics and events are written as the API server would show them. */
export interface OracleAnswer {
  readonly name: string;
  /** The last known size where the scale could not be read. */
  readonly currentReplicas: number;
  /** The size that was asked for, the current one where none was. */
  readonly desiredReplicas: number;
  /** Whether a write to the scale succeeded. */
  readonly rescale: boolean;
  readonly conditions: readonly { type: string; status: string; reason: string; message: string }[];
  readonly currentMetrics: readonly unknown[];
  /** What the reconciliation returned. */
  readonly error: string | null;
  readonly events: readonly { type: string; reason: string; message: string }[];
  /** The reason of a change of size, as the event tells it. */
  readonly metricsReason: string | null;
  /** Set, and all but the name absent, where the real controller cannot be asked this. */
  readonly unsupported?: string;
  /** Set, and all but the name absent, where the snapshot cannot be read. */
  readonly invalid?: string;
}

export interface OracleVersion {
  readonly kubernetes: string;
  readonly go: string;
}

/** How many answers are used at a time while as many are worked on. */
const batchSize = 2000;

interface Question {
  readonly resolve: (answer: OracleAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** The real controller, waiting for snapshots. */
export class Oracle {
  readonly #process: ChildProcess;
  readonly #waiting: Question[] = [];
  #ended: Error | undefined;

  private constructor(binary: string, flags: readonly string[]) {
    // Ends with this process, however that ends.
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', binary, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.on('close', (code, signal) => this.#end(new Error(`the oracle ended with ${code ?? signal}`)));
    this.#process.on('error', (cause) => this.#end(new Error('cannot start the oracle', { cause })));
    // A broken pipe is told by the end of the process.
    this.#process.stdin?.on('error', () => undefined);
    if (this.#process.stdout === null) throw new Error('the oracle has no standard output');
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      this.#waiting.shift()?.resolve(JSON.parse(line));
    });
  }

  /** Builds the oracle where this machine has none, and starts it with flags such as `--feature-gates=HPAScaleToZero=false`. */
  static async start(say: (line: string) => void, flags: readonly string[] = []): Promise<Oracle> {
    return new Oracle(await buildOracle(say), flags);
  }

  /** Asks about one snapshot (an object of `headrace replay`, or its text on one line). Rejects when the process has ended. */
  ask(snapshot: object | string): Promise<OracleAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#process.stdin?.write(`${typeof snapshot === 'string' ? snapshot : JSON.stringify(snapshot)}\n`);
    });
  }

  /** Asks about many, some thousands of them at a time, and gives each with its answer, in order. */
  async *askAll<Snapshot extends object | string>(
    snapshots: Iterable<Snapshot> | AsyncIterable<Snapshot>,
  ): AsyncGenerator<{ readonly snapshot: Snapshot; readonly answer: OracleAnswer }> {
    let asked: { snapshot: Snapshot; answer: Promise<OracleAnswer> }[] = [];
    for await (const snapshot of snapshots) {
      const answer = this.ask(snapshot);
      // Told to whoever waits for the first of them; the others that fail with it are not news.
      answer.catch(() => undefined);
      asked.push({ snapshot, answer });
      if (asked.length < 2 * batchSize) continue;
      // Half of them stay with the oracle while the answers to the others are used.
      yield* inOrder(asked.slice(0, batchSize));
      asked = asked.slice(batchSize);
    }
    yield* inOrder(asked);
  }

  /** Ends the process once it has answered everything. */
  stop(): void {
    this.#process.stdin?.end();
  }

  #end(error: Error): void {
    this.#ended = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

async function* inOrder<Snapshot>(asked: readonly { snapshot: Snapshot; answer: Promise<OracleAnswer> }[]) {
  for (const { snapshot, answer } of asked) yield { snapshot, answer: await answer };
}

/** What answers: "1.37.2", built with Go "1.26.8". Builds the oracle where this machine has none. */
export async function readOracleVersion(say: (line: string) => void): Promise<OracleVersion> {
  const { stdout } = await promisify(execFile)(await buildOracle(say), ['--version']);
  return JSON.parse(stdout);
}
