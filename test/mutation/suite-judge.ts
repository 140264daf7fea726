// A process of its own, in a copy of the tree: answers whether any test fails with a fault in its file.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createVitest } from 'vitest/node';
import type { Fault } from './faults.ts';
import type { Opening, Verdict } from './judges.ts';

const [, , tree = '.'] = process.argv;

/** The tests of the decision and of what it reads; the slow ones last. */
const TESTS = [
  'test/scaling',
  'test/units.test.ts',
  'test/deployment',
  'test/replay/cases.test.ts',
  'test/parity/sample.test.ts',
];
const SLOW = /\.properties\.test\.ts$|test\/parity\//;

/** What failed in the run that is under way. */
let failure: string | undefined;

const vitest = await createVitest(
  'test',
  {
    root: tree,
    config: false,
    watch: false,
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/mutation/setup.ts'],
    // Other work on the machine is no failure.
    testTimeout: 60_000,
    maxWorkers: 1,
    isolate: false,
    // Vitest's own `bail` counts the failures of earlier runs too.
    reporters: [
      {
        onTestCaseResult: (test) => {
          if (test.result().state === 'failed') fail(test.fullName);
        },
        onTestModuleEnd: (module) => {
          if (module.errors().length > 0) fail(module.relativeModuleId);
        },
      },
    ],
  },
  { cacheDir: path.join(tree, '.cache') },
);
await vitest.standalone();
const specifications = await vitest.globTestSpecifications(TESTS);
const stages = [false, true].map((isSlow) => specifications.filter(({ moduleId }) => SLOW.test(moduleId) === isSlow));

const broken = await findFailure();
process.send?.(
  (broken === undefined ? { kind: 'ready' } : { kind: 'unfit', why: `a test fails: ${broken}` }) satisfies Opening,
);
process.once('disconnect', () => process.exit());
process.on('message', (fault: Fault) => {
  void judge(fault).then((verdict) => process.send?.(verdict));
});

async function judge({ file, text }: Fault): Promise<Verdict> {
  const target = path.join(tree, file);
  const sound = readFileSync(target);
  write(target, text);
  try {
    return (await findFailure()) === undefined ? 'survived' : 'caught';
  } finally {
    write(target, sound);
  }
}

function write(file: string, text: string | Buffer): void {
  writeFileSync(file, text);
  vitest.invalidateFile(file);
}

/** @returns the first test that fails, or a file of tests that cannot be loaded */
async function findFailure(): Promise<string | undefined> {
  failure = undefined;
  for (const stage of stages) {
    const { unhandledErrors } = await vitest.runTestSpecifications(stage);
    if (unhandledErrors.length > 0) failure ??= 'an error outside of a test';
    if (failure !== undefined) break;
  }
  return failure;
}

function fail(what: string): void {
  if (failure !== undefined) return;
  failure = what;
  void vitest.cancelCurrentRun('test-failure');
}
