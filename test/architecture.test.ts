// Section 3 of docs/architecture.md, "What each folder knows, and must never know", as a table that runs.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

interface Rule {
  /** A folder (ending in "/") or a file. The first rule that fits a file is its rule. */
  readonly of: string;
  /** What it may import: folders, files, packages, "node:". Its own folder only where it is named. */
  readonly imports: readonly string[];
  /** What it may import the types of, beside that: they are gone when the code runs. */
  readonly types?: readonly string[];
  /** What it may use of the world around it, beside what it imports. */
  readonly uses?: readonly Use[];
}

/** What every folder is without, unless its rule says otherwise. */
const USES = {
  environment: /\bprocess\.env\b/,
  clock: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/,
  randomness: /\bMath\.random\b|\brandomUUID\b|\brandomBytes\b/,
  console: /\bconsole\./,
  promises: /\basync\b|\bawait\b|\bPromise\b/,
};
type Use = keyof typeof USES;

const KUBERNETES_TYPES = [
  'shared/scaling/types.ts',
  'shared/deployment/parallelism.ts',
  'shared/deployment/take-over.ts',
  'shared/deployment/types.ts',
];
const SDKS = ['@aws-sdk', '@smithy'];

const RULES: readonly Rule[] = [
  {
    of: 'functions/',
    imports: ['shared/lambda/', 'shared/controllers/', 'zod'],
    uses: ['promises'],
  },
  {
    // The only place that hands the environment over.
    of: 'shared/lambda/plane.ts',
    imports: ['shared/config.ts', 'shared/control-plane.ts', 'shared/lambda/'],
    uses: ['environment'],
  },
  {
    of: 'shared/lambda/',
    imports: ['shared/lambda/', 'shared/errors.ts', '@middy', '@aws-lambda-powertools', 'zod'],
    types: ['shared/control-plane.ts', 'shared/controllers/', 'aws-lambda'],
    uses: ['promises'],
  },
  {
    of: 'shared/controllers/',
    imports: [
      'shared/controllers/',
      'shared/scaling/',
      'shared/deployment/',
      'shared/flink/',
      'shared/kubernetes/',
      'shared/metrics/',
      'shared/concurrency.ts',
      'shared/errors.ts',
      'shared/units.ts',
    ],
    types: ['shared/control-plane.ts'],
    uses: ['promises'],
  },
  {
    of: 'shared/scaling/',
    imports: ['shared/scaling/', 'shared/deployment/parallelism.ts', 'shared/units.ts'],
  },
  {
    of: 'shared/deployment/parallelism.ts',
    imports: ['shared/units.ts'],
    types: ['shared/scaling/types.ts'],
  },
  {
    // How to do one thing safely twice; the only file of the folder that does anything.
    of: 'shared/deployment/effects.ts',
    imports: ['shared/deployment/', 'shared/kubernetes/'],
    types: ['shared/flink/job-manager.ts'],
    uses: ['promises'],
  },
  {
    // PURE; a hash is arithmetic.
    of: 'shared/deployment/',
    imports: ['shared/deployment/', 'shared/units.ts', 'node:crypto'],
    types: ['shared/scaling/types.ts'],
  },
  {
    // One protocol; the API server's service proxy carries it.
    of: 'shared/flink/',
    imports: [
      'shared/flink/',
      'shared/errors.ts',
      'shared/kubernetes/errors.ts',
      'shared/kubernetes/paths.ts',
      'node:http',
      'zod',
    ],
    types: ['shared/deployment/types.ts', 'shared/kubernetes/client.ts'],
    uses: ['promises'],
  },
  {
    // Not each other: shared/metrics/ is not in the list.
    of: 'shared/metrics/',
    imports: [
      'shared/kubernetes/answers.ts',
      'shared/kubernetes/paths.ts',
      'shared/errors.ts',
      'shared/units.ts',
      'zod',
    ],
    types: ['shared/kubernetes/', 'shared/scaling/types.ts'],
    uses: ['promises'],
  },
  {
    // The exception of the table: EKS takes a token of AWS, and judges its age by real time.
    of: 'shared/kubernetes/auth.ts',
    imports: ['shared/aws/eks-token.ts', 'shared/kubernetes/'],
    uses: ['promises', 'clock'],
  },
  {
    of: 'shared/kubernetes/kubeconfig.ts',
    imports: ['@kubernetes/client-node', 'shared/kubernetes/', 'shared/errors.ts'],
    types: ['node:'],
    uses: ['promises', 'clock'],
  },
  {
    // A retry waits a random while, so that clients do not come back all at once; a budget of time is real time.
    of: 'shared/kubernetes/client.ts',
    imports: ['shared/kubernetes/', 'node:'],
    uses: ['promises', 'clock', 'randomness'],
  },
  {
    of: 'shared/kubernetes/',
    imports: [
      'shared/kubernetes/',
      'shared/deployment/parallelism.ts',
      'shared/errors.ts',
      'shared/units.ts',
      'zod',
      'node:util',
      'node:crypto',
    ],
    types: KUBERNETES_TYPES,
    uses: ['promises'],
  },
  {
    of: 'shared/aws/',
    imports: [...SDKS, 'node:crypto', 'shared/aws/', 'shared/errors.ts', 'zod'],
    uses: ['promises'],
  },
  {
    // A decision from a file: what a tick reads and decides, without cluster, network and clock.
    of: 'shared/replay/',
    imports: [
      'shared/replay/',
      'shared/kubernetes/',
      'shared/metrics/',
      'shared/scaling/',
      'shared/errors.ts',
      'shared/units.ts',
      'zod',
    ],
  },
  {
    of: 'shared/cli/',
    imports: [
      'shared/cli/',
      'shared/controllers/',
      'shared/replay/',
      'shared/kubernetes/',
      'shared/clock.ts',
      'shared/concurrency.ts',
      'shared/control-plane.ts',
      'shared/errors.ts',
      'shared/units.ts',
      'node:',
      'yaml',
    ],
    uses: ['promises', 'environment', 'clock', 'console'],
  },
  {
    of: 'shared/control-plane.ts',
    imports: ['shared/aws/', 'shared/kubernetes/', 'shared/clock.ts', 'shared/config.ts'],
    uses: ['promises'],
  },
  { of: 'shared/config.ts', imports: ['shared/errors.ts', 'shared/kubernetes/client.ts', 'zod'] },
  { of: 'shared/clock.ts', imports: ['shared/errors.ts', 'zod'], uses: ['promises', 'clock'] },
  { of: 'shared/concurrency.ts', imports: [], uses: ['promises'] },
  { of: 'shared/errors.ts', imports: [] },
  { of: 'shared/units.ts', imports: [] },
  {
    // Calls the functions as AWS does, in the environment that AWS would give them.
    of: 'infra/sandbox/triggers.ts',
    imports: ['infra/sandbox/', 'functions/', ...SDKS, 'node:'],
    types: ['aws-lambda'],
    uses: ['promises', 'environment'],
  },
  {
    of: 'infra/sandbox/start.ts',
    imports: ['infra/sandbox/', 'node:'],
    uses: ['promises', 'environment', 'clock', 'console'],
  },
  {
    // Nothing of shared/: a pretend world that shares our arithmetic proves nothing.
    of: 'infra/sandbox/',
    imports: ['infra/sandbox/', 'node:'],
    uses: ['promises', 'clock', 'randomness', 'console'],
  },
  {
    // Tools of the build.
    of: 'infra/',
    imports: ['infra/', '@aws-cdk', 'node:'],
    uses: ['promises', 'environment', 'console'],
  },
];

const ROOT = path.resolve(import.meta.dirname, '..');

interface SourceFile {
  /** "shared/scaling/decide.ts" */
  readonly path: string;
  readonly text: string;
}

describe('the sources', () => {
  const sources = ['functions', 'shared', 'infra'].flatMap(readSources);

  it('know what their folder may know, and nothing else', () => {
    expect(sources.flatMap(findViolations)).toEqual([]);
  });

  it.each(RULES)('have something that follows the rule of $of', (rule) => {
    expect(sources.filter((source) => ruleOf(source.path) === rule)).not.toEqual([]);
  });
});

describe('a violation', () => {
  it.each<[string, string, string[]]>([
    [
      'shared/scaling/decide.ts',
      "import { get } from '../kubernetes/client.ts';",
      ['shared/scaling/decide.ts must not import shared/kubernetes/client.ts'],
    ],
    [
      'shared/scaling/decide.ts',
      "import type { Pod } from '../kubernetes/pods.ts';",
      ['shared/scaling/decide.ts must not import types of shared/kubernetes/pods.ts'],
    ],
    ['shared/scaling/decide.ts', "import * as z from 'zod';", ['shared/scaling/decide.ts must not import zod']],
    ['shared/scaling/a.ts', 'const now = Date.now();', ['shared/scaling/a.ts must not use the clock']],
    ['shared/scaling/a.ts', 'const now = new Date();', ['shared/scaling/a.ts must not use the clock']],
    ['shared/scaling/a.ts', 'export async function f() {}', ['shared/scaling/a.ts must not use promises']],
    ['shared/scaling/a.ts', 'const x = Math.random();', ['shared/scaling/a.ts must not use randomness']],
    ['shared/scaling/a.ts', "console.log('x');", ['shared/scaling/a.ts must not use the console']],
    ['shared/controllers/scale.ts', "import * as z from 'zod';", ['shared/controllers/scale.ts must not import zod']],
    [
      'shared/controllers/scale.ts',
      "const { SQSClient } = await import('@aws-sdk/client-sqs');",
      ['shared/controllers/scale.ts must not import @aws-sdk/client-sqs'],
    ],
    [
      'shared/controllers/scale.ts',
      "import middy from '@middy/core';",
      ['shared/controllers/scale.ts must not import @middy/core'],
    ],
    [
      'shared/controllers/scale.ts',
      "import { createControlPlane } from '../control-plane.ts';",
      ['shared/controllers/scale.ts must not import shared/control-plane.ts'],
    ],
    ['shared/controllers/scale.ts', 'const now = Date.now();', ['shared/controllers/scale.ts must not use the clock']],
    [
      'shared/deployment/parallelism.ts',
      'const now = new Date();',
      ['shared/deployment/parallelism.ts must not use the clock'],
    ],
    [
      'shared/kubernetes/pods.ts',
      "import { groupPods } from '../scaling/pod-groups.ts';",
      ['shared/kubernetes/pods.ts must not import shared/scaling/pod-groups.ts'],
    ],
    [
      'shared/kubernetes/pods.ts',
      "import { SOME, type Pod } from '../scaling/types.ts';",
      ['shared/kubernetes/pods.ts must not import shared/scaling/types.ts'],
    ],
    [
      'shared/kubernetes/pods.ts',
      "import { scaleShard } from '../controllers/scale.ts';",
      ['shared/kubernetes/pods.ts must not import shared/controllers/scale.ts'],
    ],
    [
      'shared/kubernetes/pods.ts',
      "import { createEksToken } from '../aws/eks-token.ts';",
      ['shared/kubernetes/pods.ts must not import shared/aws/eks-token.ts'],
    ],
    [
      'shared/metrics/custom.ts',
      "import { samplesOf } from './resource.ts';",
      ['shared/metrics/custom.ts must not import shared/metrics/resource.ts'],
    ],
    [
      'shared/lambda/metrics.ts',
      "import { scaleShard } from '../controllers/scale.ts';",
      ['shared/lambda/metrics.ts must not import shared/controllers/scale.ts'],
    ],
    [
      'shared/lambda/envelope.ts',
      'const region = process.env.AWS_REGION;',
      ['shared/lambda/envelope.ts must not use the environment'],
    ],
    ['shared/config.ts', 'readConfig(process.env);', ['shared/config.ts must not use the environment']],
    [
      'functions/schedule.ts',
      "import { SQSClient } from '@aws-sdk/client-sqs';",
      ['functions/schedule.ts must not import @aws-sdk/client-sqs'],
    ],
    [
      'functions/schedule.ts',
      "import { decide } from '../shared/scaling/decide.ts';",
      ['functions/schedule.ts must not import shared/scaling/decide.ts'],
    ],
    [
      'infra/sandbox/simulate.ts',
      "import { ceilDivide } from '../../shared/units.ts';",
      ['infra/sandbox/simulate.ts must not import shared/units.ts'],
    ],
    [
      'infra/sandbox/routes/scale.ts',
      "import type { Scale } from '../../../shared/scaling/types.ts';",
      ['infra/sandbox/routes/scale.ts must not import types of shared/scaling/types.ts'],
    ],
    [
      'shared/units.ts',
      "export { NOW } from '../test/support/builders.ts';",
      ['shared/units.ts must not import test/support/builders.ts'],
    ],
    ['shared/cli/check.ts', "import '../../test/x.ts';", ['shared/cli/check.ts must not import test/x.ts']],
    [
      'shared/scaling/a.ts',
      "import {\n  one,\n  two,\n} from '../flink/client.ts';\nimport fs from 'node:fs';",
      ['shared/scaling/a.ts must not import shared/flink/client.ts', 'shared/scaling/a.ts must not import node:fs'],
    ],
    ['shared/new-folder/a.ts', '', ['shared/new-folder/a.ts has no rule: add its folder to the table']],
  ])('of %s is found: %j', (file, text, expected) => {
    expect(findViolations({ path: file, text })).toEqual(expected);
  });

  it.each<[string, string]>([
    ['shared/kubernetes/pods.ts', "import type { Pod } from '../scaling/types.ts';"],
    ['shared/kubernetes/pods.ts', "import { type Pod, type Scale } from '../scaling/types.ts';"],
    ['shared/kubernetes/auth.ts', "import { createEksToken } from '../aws/eks-token.ts';"],
    ['shared/scaling/a.ts', "// Not like import { get } from '../kubernetes/client.ts'; or Date.now().\n"],
    ['shared/scaling/a.ts', "/** process.env is `await`ed elsewhere: import x from 'zod' */\nexport const a = 1;"],
    ['shared/units.ts', 'return new Date(instant).toISOString();'],
    ['infra/sandbox/triggers.ts', "const { handler } = await import('../../functions/schedule.ts');"],
  ])('is not seen where there is none: %s: %j', (file, text) => {
    expect(findViolations({ path: file, text })).toEqual([]);
  });
});

/** What a file imports or uses against the rule of its folder, as sentences. */
function findViolations(file: SourceFile): string[] {
  const rule = ruleOf(file.path);
  if (rule === undefined) return [`${file.path} has no rule: add its folder to the table`];
  const code = withoutComments(file.text);
  const imports = findImports(file.path, code)
    .filter(({ target, isTypeOnly }) => !isAllowed(rule, target, isTypeOnly))
    .map(({ target, isTypeOnly }) => `${file.path} must not import ${isTypeOnly ? 'types of ' : ''}${target}`);
  const uses = (Object.keys(USES) as Use[])
    .filter((use) => USES[use].test(code) && !rule.uses?.includes(use))
    .map((use) => `${file.path} must not use ${['randomness', 'promises'].includes(use) ? use : `the ${use}`}`);
  return [...imports, ...uses];
}

function ruleOf(file: string): Rule | undefined {
  return RULES.find(({ of }) => covers(of, file));
}

function isAllowed({ imports, types = [] }: Rule, target: string, isTypeOnly: boolean): boolean {
  const allowed = isTypeOnly ? [...imports, ...types] : imports;
  return allowed.some((pattern) => covers(pattern, target));
}

/** A folder covers its files, a scope its packages, a package its subpaths; anything else covers itself. */
function covers(pattern: string, target: string): boolean {
  if (/[/:]$/.test(pattern)) return target.startsWith(pattern);
  return target === pattern || target.startsWith(`${pattern}/`);
}

interface Import {
  readonly target: string;
  readonly isTypeOnly: boolean;
}

const STATIC_IMPORT = /^\s*(?:import|export)\s+(?:(type)\s+)?(?:([^'";]*?)\s*from\s*)?'([^']+)'/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*'([^']+)'/g;

function findImports(file: string, code: string): Import[] {
  const fixed = [...code.matchAll(STATIC_IMPORT)].map(([, type, names = '', specifier = '']) => ({
    target: resolve(file, specifier),
    isTypeOnly: type !== undefined || isListOfTypes(names),
  }));
  const dynamic = [...code.matchAll(DYNAMIC_IMPORT)].map(([, specifier = '']) => ({
    target: resolve(file, specifier),
    isTypeOnly: false,
  }));
  return [...fixed, ...dynamic];
}

/** "{ type Pod, type Scale }" */
function isListOfTypes(names: string): boolean {
  const list = /^\{([^}]*)\}$/.exec(names.trim())?.[1]?.split(',') ?? [];
  const words = list.map((name) => name.trim()).filter((name) => name !== '');
  return words.length > 0 && words.every((name) => name.startsWith('type '));
}

function resolve(file: string, specifier: string): string {
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
}

/** Strings are left whole: a "//" in one of them belongs to a URL. */
function withoutComments(text: string): string {
  return text.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/.*/g,
    (_, quoted: string | undefined) => quoted ?? '',
  );
}

function readSources(folder: string): SourceFile[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.posix.join(folder, file.split(path.sep).join('/')))
    .map((file) => ({ path: file, text: readFileSync(path.join(ROOT, file), 'utf8') }));
}
