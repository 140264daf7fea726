// A process of its own: answers whether a fault changes the answer to one of the first kept snapshots, which it does in most
// cases. The faulty file is never written anywhere; it takes the place of the sound one while modules are loaded.

import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { pathToFileURL } from 'node:url';
import { differences, type Essence, essenceOf } from '../parity/compare.ts';
import { FIXTURE_FILE, unpackFixture } from '../parity/fixture.ts';
import type { Fault } from './faults.ts';
import type { Opening, Verdict } from './judges.ts';

type Judge = typeof import('../../shared/replay/judge.ts');

const [, , tree = '.'] = process.argv;
const root = pathToFileURL(`${tree}/`).href;

/** Enough for nine faults of ten. The tests look at all of them. */
const SNAPSHOTS = 1000;
const cases = unpackFixture(readFileSync(FIXTURE_FILE)).cases.slice(0, SNAPSHOTS);

let loads = 0;
let faultyFile: { readonly url: string; readonly text: string } | undefined;

// Every load has a query of its own, which the modules hand on to those that they import.
registerHooks({
  resolve: (specifier, context, next) => {
    const resolved = next(specifier, context);
    const query = /\?load=\d+$/.exec(context.parentURL ?? '')?.[0] ?? '';
    const isOurs = resolved.url.startsWith(`${root}shared/`) && !resolved.url.includes('?');
    return isOurs ? { ...resolved, url: resolved.url + query } : resolved;
  },
  load: (url, context, next) => {
    if (faultyFile === undefined || !url.startsWith(`${faultyFile.url}?`)) return next(url, context);
    return { format: 'module', source: stripTypeScriptTypes(faultyFile.text), shortCircuit: true };
  },
});

const sound = await load(undefined);
const wrong = cases.filter(({ snapshot, answer }) => !isRight(sound, snapshot, answer));
process.send?.(
  (wrong.length === 0
    ? { kind: 'ready' }
    : { kind: 'unfit', why: `${wrong.length} of the kept snapshots are answered wrong` }) satisfies Opening,
);
process.once('disconnect', () => process.exit());
process.on('message', (fault: Fault) => {
  void judge(fault).then((verdict) => process.send?.(verdict));
});

async function judge(fault: Fault): Promise<Verdict> {
  try {
    const faulty = await load(fault);
    return cases.some(({ snapshot, answer }) => !isRight(faulty, snapshot, answer)) ? 'caught' : 'survived';
  } catch (error) {
    return error instanceof SyntaxError ? 'broken' : 'caught';
  }
}

async function load(fault: Fault | undefined): Promise<Judge> {
  loads += 1;
  faultyFile = fault && { url: root + fault.file, text: fault.text };
  return (await import(`${root}shared/replay/judge.ts?load=${loads}`)) as Judge;
}

function isRight({ judgeSnapshot }: Judge, snapshot: unknown, answer: Essence): boolean {
  try {
    return differences(essenceOf(judgeSnapshot(snapshot)), answer).length === 0;
  } catch {
    return false;
  }
}
