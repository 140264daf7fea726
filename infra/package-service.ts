// Packages serverless.yml in a folder of its own, with a stand-in for each bundle: the template does not depend on what
// is in the bundles, and the tree is left alone.

import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Template } from './template-checker.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OSLS = path.join(ROOT, 'node_modules/osls/bin/serverless.js');
const TIMEOUT_MS = 60_000;

export interface PackagedService {
  readonly template: Template;
  /** The bytes of each zip, by file name. */
  readonly zips: ReadonlyMap<string, Buffer>;
}

/**
 * What `osls package` makes of serverless.yml with these params.
 *
 * @throws Error with osls's output when it refuses.
 */
export async function packageService(params: Readonly<Record<string, string>>): Promise<PackagedService> {
  const folder = await mkdtemp(path.join(tmpdir(), 'headrace-package-'));
  try {
    await copyService(folder);
    await runOsls(folder, params);
    return await readPackage(path.join(folder, '.serverless'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyService(folder: string): Promise<void> {
  const files = ['serverless.yml', 'infra/resources.yml', 'infra/iam.yml', 'infra/params.cjs'];
  for (const file of files) await cp(path.join(ROOT, file), path.join(folder, file));

  const service = await readFile(path.join(ROOT, 'serverless.yml'), 'utf8');
  for (const [, module] of service.matchAll(/^ +handler: (\S+)\.handler$/gm)) {
    const file = path.join(folder, `${module}.cjs`);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, `exports.handler = async () => '${module}';\n`);
  }
}

/** The environment holds neither region nor credentials, so that the outcome is the same on every machine. */
async function runOsls(folder: string, params: Readonly<Record<string, string>>): Promise<void> {
  const options = Object.entries(params).map(([name, value]) => `--param=${name}=${value}`);
  const env = { PATH: process.env.PATH, HOME: folder };
  try {
    await promisify(execFile)(process.execPath, [OSLS, 'package', ...options], {
      cwd: folder,
      env,
      timeout: TIMEOUT_MS,
    });
  } catch (cause) {
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
    throw new Error(`packaging serverless.yml with ${options.join(' ')}: ${stdout}${stderr}`, { cause });
  }
}

async function readPackage(folder: string): Promise<PackagedService> {
  const template = await readFile(path.join(folder, 'cloudformation-template-update-stack.json'), 'utf8');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.zip'));
  const zips = await Promise.all(names.map(async (name) => [name, await readFile(path.join(folder, name))] as const));
  return { template: JSON.parse(template), zips: new Map(zips) };
}
