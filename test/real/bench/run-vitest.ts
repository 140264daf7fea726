// How the tests are run that need a real kube-apiserver, etcd and kube-controller-manager.
//
// Everything runs in namespaces of its own. The network namespace gives the servers fixed addresses and ports that nobody else has or
// reaches, so that two runs side by side do not meet. The process namespace is what stops the servers whatever happens: when its first
// process ends, by itself or by a signal, the kernel kills every process in it.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildControlPlane } from './build.ts';
import { buildFlink } from './flink-build.ts';

const repository = join(import.meta.dirname, '..', '..', '..');

// Given to the loopback, the whole prefix is local: the servers use 10.77.0.1. Pods that run have addresses of their own (pod-network.ts).
const network = '10.77.0.1/16';

/** The programs that the tests run beside Go, and the package that has each of them on Debian and its relatives. */
const requiredPrograms = [
  { program: 'ip', versionFlag: '-V', packageName: 'iproute2' },
  { program: 'unshare', versionFlag: '--version', packageName: 'util-linux' },
  { program: 'nsenter', versionFlag: '--version', packageName: 'util-linux' },
  { program: 'setpriv', versionFlag: '--version', packageName: 'util-linux' },
  { program: 'mount', versionFlag: '--version', packageName: 'mount' },
  { program: 'openssl', versionFlag: 'version', packageName: 'openssl' },
  { program: 'java', versionFlag: '--version', packageName: 'default-jdk-headless' },
  { program: 'javac', versionFlag: '--version', packageName: 'default-jdk-headless' },
  { program: 'jar', versionFlag: '--version', packageName: 'default-jdk-headless' },
  { program: 'python3 -m pip', versionFlag: '--version', packageName: 'python3-pip' },
];

export interface RealTests {
  /** As it was typed: "npm run test:real". */
  readonly command: string;
  /** The configuration of Vitest, in the repository's folder. */
  readonly config: string;
  readonly vitestArguments: readonly string[];
}

/** Runs the files of a configuration; the exit code of this process is then Vitest's, or 1 where that could not be started. */
export async function runRealTests(tests: RealTests): Promise<void> {
  try {
    process.exitCode = await run(tests);
  } catch (error) {
    console.error(`${tests.command}:`, error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

async function run({ config, vitestArguments }: RealTests): Promise<number> {
  if (process.platform !== 'linux') throw new Error('needs Linux: the servers run in network and process namespaces');
  await requirePrograms();
  const say = (line: string) => console.log(line);
  const flinkFolder = await buildFlink(say);
  const binary = await buildControlPlane(say);
  const directory = await mkdtemp(join(tmpdir(), 'headrace-real-'));
  try {
    return await runVitestInNamespaces({ binary, flinkFolder, directory, config, vitestArguments });
  } finally {
    // Processes that were killed with their namespace may still be on their way out, and write.
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

async function requirePrograms(): Promise<void> {
  const checks = await Promise.all(
    requiredPrograms.map(async ({ program, versionFlag, packageName }) => {
      const [name = '', ...words] = program.split(' ');
      const found = await promisify(execFile)(name, [...words, versionFlag]).then(
        () => true,
        () => false,
      );
      return found ? [] : [`${program} (package ${packageName})`];
    }),
  );
  const missing = checks.flat();
  if (missing.length > 0) throw new Error(`programs are missing, install them: ${missing.join(', ')}`);
}

interface Run {
  readonly binary: string;
  readonly flinkFolder: string;
  readonly directory: string;
  readonly config: string;
  readonly vitestArguments: readonly string[];
}

function runVitestInNamespaces({ binary, flinkFolder, directory, config, vitestArguments }: Run): Promise<number> {
  const asRoot = process.getuid?.() === 0;
  const namespaces = [
    ...(asRoot ? [] : ['--user', '--map-root-user']),
    ...['--net', '--pid', '--fork', '--kill-child', '--mount-proc'],
  ];
  // The shell stays the first process: it waits for whatever is orphaned, which a Node process would leave as zombies.
  const inside = `ip link set lo up && ip addr add ${network} dev lo || exit 1\n"$@"\nexit $?`;
  const vitest = [process.execPath, join(repository, 'node_modules', 'vitest', 'vitest.mjs')];
  const child = spawn(
    // unshare ends its child when it ends itself, and setpriv ends unshare when this process ends, even by kill -9.
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', ...namespaces, 'sh', '-c', inside, 'sh'],
      ...[...vitest, 'run', '--config', config, ...vitestArguments],
    ],
    {
      cwd: repository,
      stdio: 'inherit',
      env: {
        ...process.env,
        HEADRACE_REAL_BINARY: binary,
        HEADRACE_REAL_FLINK: flinkFolder,
        HEADRACE_REAL_DIRECTORY: directory,
      },
    },
  );
  // A terminal sends Ctrl-C to vitest as well, which then ends in good order; the others would reach this process alone.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));

  return new Promise((resolve, reject) => {
    child.on('error', (cause) => reject(new Error('cannot start setpriv', { cause })));
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}
