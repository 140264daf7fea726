// A copy of the tree to make faulty: the tree in which people work is never touched.

import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Fault, findFaults } from './faults.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const LEFT_OUT = new Set(['node_modules', 'dist', '.git', '.serverless']);

/** What faults are seeded into: all that a decision is made of. */
const FAULTY_FILES = ['shared/scaling/*.ts', 'shared/units.ts', 'shared/deployment/parallelism.ts'];

/** @returns the folder of the copy, which the caller removes */
export function copyTree(): string {
  const tree = realpathSync(mkdtempSync(path.join(tmpdir(), 'headrace-mutation-')));
  cpSync(ROOT, tree, { recursive: true, filter: (file) => !LEFT_OUT.has(path.relative(ROOT, file)) });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(tree, 'node_modules'));
  return tree;
}

export function removeTree(tree: string): void {
  rmSync(tree, { recursive: true, force: true });
}

/** Every fault that can be seeded into a tree; `wanted` names a single file of it. */
export function seedTree(tree: string, wanted: string | undefined): readonly Fault[] {
  return globSync(FAULTY_FILES, { cwd: tree })
    .toSorted()
    .filter((file) => wanted === undefined || file === wanted)
    .flatMap((file) => findFaults(file, readFileSync(path.join(tree, file), 'utf8')));
}

/** The faults that the compiler does not refuse. All of them stand side by side in one program, so that it runs once. */
export function keepCompiling(tree: string, faults: readonly Fault[]): readonly Fault[] {
  const names = faults.map(({ file }, index) => file.replace(/\.ts$/, `.fault-${index}.ts`));
  for (const [index, name] of names.entries()) writeFileSync(path.join(tree, name), faults[index]?.text ?? '');
  const project = path.join(tree, 'tsconfig.faults.json');
  const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false };
  writeFileSync(project, JSON.stringify({ extends: './tsconfig.json', compilerOptions, include: [], files: names }));
  const tsc = ['node_modules/typescript/bin/tsc', '--pretty', 'false', '-p', project];
  const { stdout, error } = spawnSync(process.execPath, tsc, { cwd: tree, encoding: 'utf8', maxBuffer: 2 ** 28 });
  for (const name of [...names, project]) rmSync(path.resolve(tree, name));
  if (error !== undefined || /^error/m.test(stdout))
    throw new Error(`compiling the faults: ${stdout}`, { cause: error });

  const broken = new Set([...stdout.matchAll(/^(\S+?\.ts)\(\d+,\d+\): error/gm)].map(([, name]) => name));
  return faults.filter((_, index) => !broken.has(names[index]));
}
