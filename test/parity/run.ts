// `npm run test:parity [-- --count 200000] [--seed N] [--fixture]`: our decision and the real controller's, side by side.

import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { judgeSnapshot, type ReplayAnswer } from '../../shared/replay/judge.ts';
import { Oracle, type OracleAnswer, readOracleVersion } from '../real/oracle/oracle.ts';
import type { Snapshot } from './build.ts';
import { differences, essenceOf, isBeyondReference } from './compare.ts';
import { FIXTURE_FILE, type Fixture, packFixture, unpackFixture } from './fixture.ts';
import { BATCH_SIZE, generateSnapshots, snapshots } from './generate.ts';
import { Tally } from './tally.ts';

const FIXTURE = { seed: 137_002, count: 5000 };
const MOST_SHOWN = 5;
const say = (line: string) => console.log(line);

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '200000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    fixture: { type: 'boolean', default: false },
  },
});

const oracle = await Oracle.start(say);
try {
  const isRight = options.fixture
    ? await writeFixture()
    : (await checkFixture()) && (await compareGenerated(Number(options.count), Number(options.seed)));
  process.exitCode = isRight ? 0 : 1;
} finally {
  oracle.stop();
}

async function writeFixture(): Promise<boolean> {
  const packed = packFixture(await makeFixture(FIXTURE));
  await writeFile(FIXTURE_FILE, packed);
  say(`${FIXTURE.count} snapshots of seed ${FIXTURE.seed} with their answers: ${Math.round(packed.length / 1024)} KiB`);
  return true;
}

async function makeFixture(wanted: { readonly seed: number; readonly count: number }): Promise<Fixture> {
  const cases = [];
  for await (const { snapshot, answer } of oracle.askAll(generateSnapshots(wanted)))
    cases.push({ snapshot, answer: essenceOf(answer) });
  return { origin: { oracle: await readOracleVersion(say), ...wanted }, cases };
}

/** The sample that `npm test` replays is what the real controller answers today to what the generator makes today. */
async function checkFixture(): Promise<boolean> {
  const kept = unpackFixture(await readFile(FIXTURE_FILE));
  const made = await makeFixture(kept.origin);
  const different = made.cases.findIndex((each, index) => JSON.stringify(each) !== JSON.stringify(kept.cases[index]));
  const { kubernetes } = made.origin.oracle;
  if (kubernetes === kept.origin.oracle.kubernetes && different === -1) {
    say(`fixture: the same ${made.cases.length} answers of Kubernetes ${kubernetes}`);
    return true;
  }
  say(`fixture: made again with Kubernetes ${kubernetes} it is another one (first at snapshot ${different}).`);
  say('If that is meant: npm run test:parity -- --fixture');
  return false;
}

interface Disagreement {
  readonly index: number;
  readonly snapshot: Snapshot;
  readonly fields: readonly string[];
}

async function compareGenerated(count: number, seed: number): Promise<boolean> {
  const { kubernetes, go } = await readOracleVersion(say);
  say(`comparing ${count} snapshots of seed ${seed} with Kubernetes ${kubernetes} (Go ${go}) …`);
  const startTime = performance.now();
  const tally = new Tally();
  const disagreements: Disagreement[] = [];
  let index = 0;
  let overflows = 0;
  for await (const { snapshot, answer } of oracle.askAll(generateSnapshots({ count, seed }))) {
    tally.add(snapshot, answer);
    const ours = judge(snapshot);
    if (ours !== undefined && isBeyondReference(ours)) overflows += 1;
    const fields = disagree(ours, answer);
    if (fields.length > 0) disagreements.push({ index, snapshot, fields });
    index += 1;
  }

  for (const line of tally.lines()) say(line);
  const seconds = Math.round((performance.now() - startTime) / 1000);
  say(`${overflows} not compared: a utilization or a size beyond int32, where the real controller's wraps`);
  say(`${count} snapshots in ${seconds} s, ${disagreements.length} unexplained differences (seed ${seed})`);
  for (const [fields, found] of Map.groupBy(disagreements, ({ fields }) => fields.join(', ')))
    say(`${String(found.length).padStart(8)}  differ in ${fields}`);
  for (const disagreement of pickExamples(disagreements)) await show(disagreement, seed);
  const shortages = tally.shortages();
  for (const shortage of shortages) say(shortage);
  return disagreements.length === 0 && shortages.length === 0;
}

/** In what our answer differs from the real one; what cannot be asked or judged differs in a word of its own. */
function disagree(ours: ReplayAnswer | undefined, answer: OracleAnswer): readonly string[] {
  if (answer.unsupported !== undefined || answer.invalid !== undefined) return ['refused by the real controller'];
  if (ours === undefined) return ['refused by us'];
  return isBeyondReference(ours) ? [] : differences(essenceOf(ours), essenceOf(answer));
}

function judge(snapshot: Snapshot): ReplayAnswer | undefined {
  try {
    return judgeSnapshot(snapshot);
  } catch {
    return undefined;
  }
}

/** One of each kind, before a second one of any. */
function pickExamples(disagreements: readonly Disagreement[]): readonly Disagreement[] {
  const kinds = [...Map.groupBy(disagreements, ({ fields }) => fields.join()).values()];
  return kinds.flatMap(([first]) => first ?? []).slice(0, MOST_SHOWN);
}

/** Makes a snapshot smaller while the two still disagree in the same fields, and prints what is left. */
async function show({ index, snapshot, fields }: Disagreement, seed: number): Promise<void> {
  const isAlike = async (candidate: Snapshot) =>
    disagree(judge(candidate), await oracle.ask(candidate)).join() === fields.join();
  const { counterexample } = await fc.check(
    fc.asyncProperty(snapshots, async (candidate) => !(await isAlike(candidate))),
    { seed: seed + Math.floor(index / BATCH_SIZE), path: String(index % BATCH_SIZE), numRuns: 1 },
  );
  const [smallest] = counterexample ?? [snapshot];
  say(`\nnumber ${index} of seed ${seed}, made smaller, differs in ${fields.join(', ')}:`);
  say(JSON.stringify(smallest));
  say(`real: ${JSON.stringify(describe(await oracle.ask(smallest)))}`);
  say(`ours: ${JSON.stringify(describeOurs(smallest))}`);
}

function describe(answer: OracleAnswer): unknown {
  if (answer.conditions === undefined) return answer;
  return { ...essenceOf(answer), error: answer.error };
}

function describeOurs(snapshot: Snapshot): unknown {
  try {
    const answer = judgeSnapshot(snapshot);
    return { ...essenceOf(answer), error: answer.error };
  } catch (error) {
    return String(error);
  }
}
