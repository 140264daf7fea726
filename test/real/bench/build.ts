// The control plane is built from its Go modules once per machine, and kept outside the tree under a key of everything that made it.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, rename } from 'node:fs/promises';
import { homedir, setPriority } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const sources = join(import.meta.dirname, '..', 'control-plane');
const progressIntervalMs = 30_000;

/**
 * Returns the path of the control plane's binary, and builds it first when this machine has none made of the same sources.
 * Throws when Go is missing or the build fails, with the end of what Go said.
 */
export async function buildControlPlane(say: (line: string) => void): Promise<string> {
  const goVersion = await readGoVersion();
  const files = await Promise.all(['go.mod', 'go.sum', 'main.go'].map((file) => readFile(join(sources, file), 'utf8')));
  const flags = ['-trimpath', '-buildvcs=false', '-ldflags', linkFlags(kubernetesVersion(files[0] ?? ''))];

  const key = createHash('sha256')
    .update(JSON.stringify([files, goVersion, flags]))
    .digest('hex');
  const folder = join(cacheFolder(), key);
  const binary = join(folder, 'kube');
  if (await isThere(binary)) return binary;

  // Under a name of its own until it is whole: a build that was cut off, or another one at the same time, leaves no half binary behind.
  const unfinished = `${folder}.${process.pid}`;
  await compile({ flags, output: unfinished, say });
  await mkdir(folder, { recursive: true });
  await rename(unfinished, binary);
  return binary;
}

async function readGoVersion(): Promise<string> {
  try {
    return (await run('go', ['version'], { cwd: sources })).stdout.trim();
  } catch (cause) {
    throw new Error(
      'the control plane of the real tests is built with Go 1.26 or newer, and `go version` failed: install Go (https://go.dev/dl)',
      { cause },
    );
  }
}

function kubernetesVersion(goMod: string): string {
  const version = /^\s*k8s\.io\/kubernetes v(\d+\.\d+\.\d+)/m.exec(goMod)?.[1];
  if (version === undefined) throw new Error(`${sources}/go.mod requires no version of k8s.io/kubernetes`);
  return version;
}

/** What `/version` answers is decided at link time; without these flags it is no version at all, and clients refuse it. */
function linkFlags(version: string): string {
  const [major, minor] = version.split('.');
  const stamps = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((place) => [
    `-X ${place}.gitVersion=v${version}`,
    `-X ${place}.gitMajor=${major}`,
    `-X ${place}.gitMinor=${minor}`,
  ]);
  return ['-s', '-w', ...stamps].join(' ');
}

function cacheFolder(): string {
  const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(caches, 'headrace', 'control-plane');
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
  readonly flags: readonly string[];
  readonly output: string;
  readonly say: (line: string) => void;
}

async function compile({ flags, output, say }: Compilation): Promise<void> {
  say('building etcd and the Kubernetes control plane, once for this machine: takes 10–13 minutes on two cores …');
  const startTime = performance.now();
  const seconds = () => Math.round((performance.now() - startTime) / 1000);
  const progress = setInterval(() => say(`… still building, ${seconds()} s so far`), progressIntervalMs);
  try {
    await runGo(['build', ...flags, '-o', output, '.']);
  } finally {
    clearInterval(progress);
  }
  say(`built in ${seconds()} s`);
}

function runGo(goArguments: readonly string[]): Promise<void> {
  // Tied to this process, like everything else that the real tests start: whoever stops them does not leave a compiler at work.
  const go = spawn('setpriv', ['--pdeathsig', 'KILL', 'go', ...goArguments], {
    cwd: sources,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  go.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-4000);
  });
  // Ten minutes on every core would otherwise make the machine hard to work on.
  if (go.pid !== undefined) setPriority(go.pid, 5);
  return new Promise((resolve, reject) => {
    go.on('error', (cause) => reject(new Error('building the control plane: cannot start setpriv', { cause })));
    go.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`building the control plane: go ended with ${code ?? signal}\n${said}`));
    });
  });
}
