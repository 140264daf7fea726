// The two judges of a fault, each a process that stays: the kept snapshots, which take a tenth of a second, and the tests, which
// take a few.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Fault } from './faults.ts';

/** What became of a fault: noticed, not noticed, no program at all, or one that does not end, which is noticed too. */
export type Verdict = 'caught' | 'survived' | 'broken' | 'endless';

/** What a judge says when it has looked at the tree without any fault. */
export type Opening = { readonly kind: 'ready' } | { readonly kind: 'unfit'; readonly why: string };

/** A judge cannot tell a fault from the tree as it is. */
export class UnfitTreeError extends Error {
  override readonly name = 'UnfitTreeError';
}

const LONGEST_SILENCE_MILLISECONDS = 120_000;

/** Each fault leaves its modules in the memory of the process. */
const MOST_FAULTS_PER_PROCESS = 100;

/** A judge has not answered for so long that it never will. */
class SilentJudgeError extends Error {
  override readonly name = 'SilentJudgeError';
}

/** A process that answers one fault after the other. */
export class Judge {
  readonly #script: string;
  readonly #tree: string;
  #child: ChildProcess | undefined;
  #judged = 0;

  constructor(script: 'snapshot-judge.ts' | 'suite-judge.ts', tree: string) {
    this.#script = fileURLToPath(new URL(script, import.meta.url));
    this.#tree = tree;
  }

  /** @throws UnfitTreeError when something is wrong without any fault */
  async judge(fault: Fault): Promise<Verdict> {
    if (this.#judged >= MOST_FAULTS_PER_PROCESS) this.stop();
    const child = await this.start();
    this.#judged += 1;
    child.send(fault);
    try {
      return await answerOf<Verdict>(child);
    } catch (error) {
      if (!(error instanceof SilentJudgeError)) throw error;
      this.stop();
      return 'endless';
    }
  }

  /** @throws UnfitTreeError when something is wrong without any fault */
  async start(): Promise<ChildProcess> {
    if (this.#child !== undefined) return this.#child;
    const child = fork(this.#script, [this.#tree], { execArgv: ['--disable-warning=ExperimentalWarning'] });
    this.#child = child;
    this.#judged = 0;
    const opening = await answerOf<Opening>(child);
    if (opening.kind === 'unfit') throw new UnfitTreeError(opening.why);
    return child;
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }
}

/** @throws SilentJudgeError when it says nothing for too long */
function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(new SilentJudgeError('no answer'))), LONGEST_SILENCE_MILLISECONDS);
    const answer = (message: unknown) => end(() => resolve(message as Answer));
    const fail = (code: number | null) => end(() => reject(new Error(`a judge ended by itself, with ${code}`)));
    child.once('message', answer);
    child.once('exit', fail);

    function end(settle: () => void): void {
      clearTimeout(timer);
      child.off('message', answer);
      child.off('exit', fail);
      settle();
    }
  });
}
