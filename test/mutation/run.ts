// `npm run test:mutation [-- --file shared/scaling/limit.ts] [--sample N --seed S]`: seeds faults into the decision, one at a time,
// and counts those that a test notices. A fault that nobody could notice is listed in equivalent.json, with the reason.

import { parseArgs } from 'node:util';
import fc from 'fast-check';
import equivalents from './equivalent.json' with { type: 'json' };
import type { Fault } from './faults.ts';
import { Judge, UnfitTreeError, type Verdict } from './judges.ts';
import { copyTree, keepCompiling, removeTree, seedTree } from './tree.ts';

const RUNNERS = 2;
const say = (line: string) => console.log(line);

const { values: options } = parseArgs({
  options: {
    file: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});

/** A fault that changes nothing, or nothing that anybody could notice. */
interface Equivalent {
  readonly file: string;
  /** As the run prints it. */
  readonly was: string;
  readonly becomes: string;
  /** What makes it so. */
  readonly why: string;
}

const EQUIVALENTS: readonly Equivalent[] = equivalents;

interface Judged {
  readonly fault: Fault;
  readonly verdict: Verdict;
}

interface Runner {
  readonly tree: string;
  /** The quick one first. */
  readonly judges: readonly Judge[];
}

const startTime = performance.now();
const runners = Array.from({ length: RUNNERS }, makeRunner);
process.once('SIGINT', () => {
  cleanUp();
  process.exit(130);
});
try {
  process.exitCode = report(await judgeAll(chooseFaults())) ? 0 : 1;
} catch (error) {
  if (!(error instanceof UnfitTreeError)) throw error;
  say(`nothing can be told while the tree is not green: ${error.message}`);
  process.exitCode = 1;
} finally {
  cleanUp();
}

function makeRunner(): Runner {
  const tree = copyTree();
  return { tree, judges: [new Judge('snapshot-judge.ts', tree), new Judge('suite-judge.ts', tree)] };
}

function cleanUp(): void {
  for (const judge of runners.flatMap(({ judges }) => judges)) judge.stop();
  for (const { tree } of runners) removeTree(tree);
}

function chooseFaults(): readonly Fault[] {
  const [{ tree }] = runners as [Runner];
  const all = seedTree(tree, options.file);
  if (all.length === 0) throw new RangeError(`no fault can be seeded into ${options.file ?? 'anything'}`);
  const chosen = options.sample === undefined ? all : sample(all, Number(options.sample), Number(options.seed));
  const faults = keepCompiling(tree, chosen);
  say(`${chosen.length} faults, of which the compiler refuses ${chosen.length - faults.length}`);
  return faults;
}

/** The same ones for the same seed, in the order of the files. */
function sample(faults: readonly Fault[], wanted: number, seed: number): readonly Fault[] {
  const count = Math.min(wanted, faults.length);
  say(`a sample of ${count} of ${faults.length} faults, seed ${seed}`);
  const subset = fc.subarray([...faults], { minLength: count, maxLength: count });
  return fc.sample(subset, { seed, numRuns: 1 }).flat();
}

/** Each runner takes the next fault that nobody has taken. */
async function judgeAll(faults: readonly Fault[]): Promise<readonly Judged[]> {
  await Promise.all(runners.flatMap(({ judges }) => judges).map((judge) => judge.start()));
  const queue = faults.values();
  const judged = await Promise.all(
    runners.map(async ({ judges }) => {
      const found: Judged[] = [];
      for (const fault of queue) {
        const verdict = await ask(judges, fault);
        if (verdict === 'survived' && !isListed(fault)) show('survived', fault);
        if (verdict === 'endless') show('noticed, because it does not end', fault);
        found.push({ fault, verdict });
      }
      return found;
    }),
  );
  return judged.flat();
}

/** The first judge that notices the fault spares the others. */
async function ask(judges: readonly Judge[], fault: Fault): Promise<Verdict> {
  for (const judge of judges) {
    const verdict = await judge.judge(fault);
    if (verdict !== 'survived') return verdict;
  }
  return 'survived';
}

/** @returns whether every fault that could be noticed was */
function report(judged: readonly Judged[]): boolean {
  const programs = judged.filter(({ verdict }) => verdict !== 'broken');
  const unnoticeable = programs.filter(({ fault }) => isListed(fault));
  const noticeable = programs.filter(({ fault }) => !isListed(fault));
  const survivors = noticeable.filter(({ verdict }) => verdict === 'survived');
  const misjudged = unnoticeable.filter(({ verdict }) => verdict !== 'survived');
  for (const { fault } of misjudged) show('listed in equivalent.json, and yet caught', fault);

  const isWhole = options.file === undefined && options.sample === undefined;
  const obsolete = isWhole ? EQUIVALENTS.filter((entry) => !judged.some(({ fault }) => isSame(entry, fault))) : [];
  for (const { file, was, becomes } of obsolete) say(`in equivalent.json, but no fault: ${file}: ${was} → ${becomes}`);
  const seconds = Math.round((performance.now() - startTime) / 1000);
  say(`caught ${noticeable.length - survivors.length} of ${noticeable.length} in ${seconds} s`);
  say(`${unnoticeable.length} more change nothing that could be noticed (test/mutation/equivalent.json says why)`);
  return survivors.length + misjudged.length + obsolete.length === 0;
}

function isListed(fault: Fault): boolean {
  return EQUIVALENTS.some((entry) => isSame(entry, fault));
}

function isSame(entry: Equivalent, { file, was, becomes }: Fault): boolean {
  return entry.file === file && entry.was === was && entry.becomes === becomes;
}

function show(what: string, { file, line, was, becomes }: Fault): void {
  say(`${what}: ${file}:${line}\n    ${was}\n    ${becomes}`);
}
