// Programs are built from Go modules once per machine, and kept outside the tree under a key of everything that made them.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, setPriority } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The module of everything from Kubernetes: its `go.mod` says which version. */
export const moduleFolder = join(import.meta.dirname, '..', 'control-plane');

const progressIntervalMs = 30_000;

export interface GoProgram {
  /** Of the folder of its builds. */
  readonly name: string;
  /** What people call it: "the control plane". */
  readonly title: string;
  /** How long its first build takes: "10–13 minutes on two cores". */
  readonly patience: string;
  /** Where `go build` runs. */
  readonly folder: string;
  /** Paths of all files that it is made of, apart from modules. */
  readonly sources: readonly string[];
  readonly binary: string;
  readonly flags: readonly string[];
  /** The files that `go build` shall see at paths where there are none, or others: path → the file's real path. */
  readonly overlay?: () => Promise<Readonly<Record<string, string>>>;
}

/**
 * Returns the path of the program's binary, and builds it first when this machine has none made of the same sources.
 * Throws when Go is missing or the build fails, with the end of what Go said.
 */
export async function buildGoProgram(program: GoProgram, say: (line: string) => void): Promise<string> {
  const goVersion = await readGoVersion(program);
  const files = await Promise.all(program.sources.map((file) => readFile(file, 'utf8')));

  const key = createHash('sha256')
    .update(JSON.stringify([files, goVersion, program.flags]))
    .digest('hex');
  const folder = join(cacheFolder(), program.name, key);
  const binary = join(folder, program.binary);
  if (await isThere(binary)) return binary;

  // Under a name of its own until it is whole: a build that was cut off, or another one at the same time, leaves no half binary behind.
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(folder, { recursive: true });
  await compile({ program, output: unfinished, say });
  await rename(unfinished, binary);
  return binary;
}

/** The version of Kubernetes that `go.mod` requires: "1.37.2". */
export async function readKubernetesVersion(): Promise<string> {
  const goMod = await readFile(join(moduleFolder, 'go.mod'), 'utf8');
  const version = /^\s*k8s\.io\/kubernetes v(\d+\.\d+\.\d+)/m.exec(goMod)?.[1];
  if (version === undefined) throw new Error(`${moduleFolder}/go.mod requires no version of k8s.io/kubernetes`);
  return version;
}

/** Runs a short `go` command in the module, and returns what it prints. */
export async function askGo(...goArguments: string[]): Promise<string> {
  return (await run('go', goArguments, { cwd: moduleFolder })).stdout.trim();
}

async function readGoVersion({ title }: GoProgram): Promise<string> {
  try {
    return await askGo('version');
  } catch (cause) {
    throw new Error(
      `${title} is built with Go 1.26 or newer, and \`go version\` failed: install Go (https://go.dev/dl)`,
      { cause },
    );
  }
}

/** Where what was built stays from run to run. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'headrace');
}

async function isThere(binary: string): Promise<boolean> {
  try {
    await access(binary, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Compilation {
  readonly program: GoProgram;
  readonly output: string;
  readonly say: (line: string) => void;
}

async function compile({ program, output, say }: Compilation): Promise<void> {
  say(`building ${program.title}, once for this machine: takes ${program.patience} …`);
  const startTime = performance.now();
  const seconds = () => Math.round((performance.now() - startTime) / 1000);
  const progress = setInterval(() => say(`… still building, ${seconds()} s so far`), progressIntervalMs);
  try {
    const overlay = `${output}.overlay.json`;
    await writeFile(overlay, JSON.stringify({ Replace: (await program.overlay?.()) ?? {} }));
    await runGo(program, ['build', ...program.flags, '-overlay', overlay, '-o', output, '.']);
    await rm(overlay);
  } finally {
    clearInterval(progress);
  }
  say(`built in ${seconds()} s`);
}

function runGo({ title, folder }: GoProgram, goArguments: readonly string[]): Promise<void> {
  // Tied to this process, like everything else that the real tests start: whoever stops them does not leave a compiler at work.
  const go = spawn('setpriv', ['--pdeathsig', 'KILL', 'go', ...goArguments], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  go.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-4000);
  });
  // Minutes on every core would otherwise make the machine hard to work on.
  if (go.pid !== undefined) setPriority(go.pid, 5);
  return new Promise((resolve, reject) => {
    go.on('error', (cause) => reject(new Error(`building ${title}: cannot start setpriv`, { cause })));
    go.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`building ${title}: go ended with ${code ?? signal}\n${said}`));
    });
  });
}
