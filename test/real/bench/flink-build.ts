// Flink with the job of the real tests, built once per machine, and kept outside the tree under a key of everything that made it.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fetchFlink, makeOnce, runToEnd } from './flink-distribution.ts';
import { type FlinkRole, prepareFlink, smallMemory } from './flink-process.ts';
import { cacheFolder } from './go-build.ts';

const sourceFolder = join(import.meta.dirname, '..', 'flink');
const jobFolder = join(sourceFolder, 'job');

/** One of each major version that is in use. */
export const flinkVersions = ['1.20.3', '2.3.0'] as const;
export type FlinkVersion = (typeof flinkVersions)[number];

const oldestJava = 17;

/** The jar in each image, and the class to run of it. */
export const countingJob = { jar: 'counting-job.jar', entryClass: 'dev.headrace.bench.CountingJob' } as const;

/**
 * Returns a folder with one folder per Flink version, with `lib` and the job's jar in it; makes it first when this machine has none made
 * of the same sources. Throws when Java is too old, or a download or the compiler fails, with the end of what was said.
 */
export async function buildFlink(say: (line: string) => void): Promise<string> {
  const java = await readJavaVersion();
  const libraries: string[] = [];
  for (const version of flinkVersions) libraries.push(await fetchFlink(version, say));
  const sources = await readSources(sourceFolder);
  const thisFile = await readFile(import.meta.filename, 'utf8');
  const processFile = await readFile(join(import.meta.dirname, 'flink-process.ts'), 'utf8');
  const key = createHash('sha256')
    .update(JSON.stringify([sources, thisFile, processFile, libraries, java]))
    .digest('hex');
  const folder = join(cacheFolder(), 'flink', key);
  await makeOnce(folder, async (unfinished) => {
    for (const [index, library] of libraries.entries())
      await assemble(library, join(unfinished, flinkVersions[index] ?? ''));
  });
  return folder;
}

/** What Java says of its version; throws when that is too old for Flink. */
async function readJavaVersion(): Promise<string> {
  const { stdout: said } = await promisify(execFile)('java', ['--version']);
  const major = Number(/^\w+ (\d+)/.exec(said)?.[1]);
  if (!(major >= oldestJava)) throw new Error(`Flink is run with Java ${oldestJava} or newer here, not with: ${said}`);
  return said;
}

/** [path, content] of every file. */
async function readSources(folder: string): Promise<readonly (readonly [string, string])[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    paths.sort().map(async (path) => [path.slice(folder.length), await readFile(path, 'utf8')] as const),
  );
}

async function assemble(library: string, home: string): Promise<void> {
  await mkdir(home, { recursive: true });
  await symlink(library, join(home, 'lib'));

  const classes = join(home, 'classes');
  const javaFiles = (await readSources(jobFolder)).map(([path]) => join(jobFolder, path));
  await runToEnd(['javac', '--release', '11', '-cp', join(library, '*'), '-d', classes, ...javaFiles]);
  await runToEnd(['jar', '--create', '--file', join(home, countingJob.jar), '-C', classes, '.']);
  await rm(classes, { recursive: true });

  for (const role of ['jobmanager', 'taskmanager'] as const) await archiveClasses(role, home);
}

/** What a process logs when it has loaded about every class that it needs until there is work. */
const signsOfLife = {
  jobmanager: /ResourceManager \S+ was granted leadership|Starting the resource manager|Starting the slot manager/,
  taskmanager: /Could not resolve ResourceManager address/,
} satisfies Record<FlinkRole, RegExp>;

/**
 * Starts a process once for the record of the classes that it loads (Java's class data sharing). From then on each start of its kind costs
 * a third less of processor time, of which this suite has little and makes many.
 */
async function archiveClasses(role: FlinkRole, home: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-flink-'));
  const configuration = {
    ...smallMemory,
    // Any free port of the loopback, and a JobManager that is not there.
    'jobmanager.rpc.address': '127.0.0.1',
    'jobmanager.rpc.port': role === 'jobmanager' ? '0' : '1',
    'jobmanager.bind-host': '127.0.0.1',
    'taskmanager.host': '127.0.0.1',
    'taskmanager.bind-host': '127.0.0.1',
    'rest.bind-address': '127.0.0.1',
    'rest.bind-port': '0',
    'io.tmp.dirs': folder,
    'web.tmpdir': folder,
  };
  const javaFlags = [`-XX:ArchiveClassesAtExit=${join(home, `${role}.jsa`)}`];
  const [java = '', ...flags] = await prepareFlink({ role, home, folder, configuration, javaFlags });
  const flink = spawn('setpriv', ['--pdeathsig', 'KILL', java, ...flags], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await endAfter(flink, signsOfLife[role]);
  await rm(folder, { recursive: true, force: true });
}

/** Ends a process in good order when it has said something; throws when it ends before. */
async function endAfter(child: ChildProcess, sign: RegExp): Promise<void> {
  let isSeen = false;
  const said = collectOutput(child, (text) => {
    if (isSeen || !sign.test(text)) return;
    isSeen = true;
    child.kill('SIGTERM');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  await once(child, 'close');
  clearTimeout(timer);
  if (!isSeen) throw new Error(`a Flink process ended, or never said ${sign}:\n${said.text.slice(-4000)}`);
}

function collectOutput(child: ChildProcess, onOutput?: (text: string) => void): { text: string } {
  const said = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said.text += text;
      onOutput?.(said.text);
    });
  }
  return said;
}
