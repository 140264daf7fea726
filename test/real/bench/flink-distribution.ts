// Flink's distributions, fetched once per machine. The registry of Java packages has Flink's parts alone, and for 1.20.3 not the one for
// Kubernetes high availability; the whole, `flink-dist`, is in a package for Python.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { cacheFolder } from './go-build.ts';

const unpackProgram = join(import.meta.dirname, '..', 'flink', 'distribution', 'unpack.py');

/**
 * Returns the `lib` folder of a version of Flink; fetches it first when this machine has none. Throws when the download fails, with the
 * end of what pip said.
 */
export async function fetchFlink(version: string, say: (line: string) => void): Promise<string> {
  const sources = await Promise.all([import.meta.filename, unpackProgram].map((file) => readFile(file, 'utf8')));
  const key = createHash('sha256').update(JSON.stringify(sources)).digest('hex');
  const folder = join(cacheFolder(), 'flink-distribution', key, version);
  await makeOnce(folder, async (unfinished) => {
    say(`fetching Flink ${version}, once for this machine: takes a minute or two …`);
    const startTime = performance.now();
    await download(version, unfinished);
    say(`fetched in ${Math.round((performance.now() - startTime) / 1000)} s`);
  });
  return join(folder, 'lib');
}

/**
 * Makes a folder unless it is there. `make` is given the path of an empty one, which takes the place of `folder` when it is whole: one
 * that was cut off, or another one at the same time, leaves nothing half done behind.
 */
export async function makeOnce(folder: string, make: (unfinished: string) => Promise<void>): Promise<void> {
  if (await isThere(folder)) return;
  const unfinished = `${folder}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  await make(unfinished);
  await rename(unfinished, folder).catch(async (error) => {
    // Another run was faster; what it made is the same.
    if (!(await isThere(folder))) throw error;
    await rm(unfinished, { recursive: true });
  });
}

/** Runs a program to its end, tied to this process like everything else that the real tests start. Throws with the end of what it said. */
export async function runToEnd(command: readonly string[]): Promise<void> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
  if (child.pid !== undefined) setPriority(child.pid, 5);
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command.slice(0, 4).join(' ')} … ended with ${code ?? signal}\n${said}`);
}

async function download(version: string, folder: string): Promise<void> {
  const packages = join(folder, 'download');
  const options = [
    '--no-deps',
    '--dest',
    packages,
    '--no-input',
    '--disable-pip-version-check',
    '--progress-bar',
    'off',
  ];
  await runToEnd(['python3', '-m', 'pip', 'download', ...options, `apache-flink-libraries==${version}`]);
  const [file = ''] = await readdir(packages);
  await runToEnd(['python3', unpackProgram, join(packages, file), join(folder, 'lib')]);
  await rm(packages, { recursive: true });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
