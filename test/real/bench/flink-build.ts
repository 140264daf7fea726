// Flink and the job of the real tests, through Maven once per machine, and kept outside the tree under a key of everything that made them.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type FlinkRole, prepareFlink, smallMemory } from './flink-process.ts';
import { cacheFolder } from './go-build.ts';

const sourceFolder = join(import.meta.dirname, '..', 'flink');

/** One of each major version that is in use. The patch is the newest whose parts are all on Maven Central. */
export const flinkVersions = ['1.20.3', '2.3.0'] as const;
export type FlinkVersion = (typeof flinkVersions)[number];

const oldestJava = 17;

/** The jar in each image, and the class to run of it. */
export const countingJob = { jar: 'counting-job.jar', entryClass: 'dev.headrace.bench.CountingJob' } as const;

/**
 * Returns a folder with one folder per Flink version, with `lib` and the job's jar in it; makes it first when this machine has none made
 * of the same sources. Throws when Java is too old, or a download or the compiler fails, with the end of what Maven said.
 */
export async function buildFlink(say: (line: string) => void): Promise<string> {
  const java = await readJavaVersion();
  const sources = await readSources(sourceFolder);
  const thisFile = await readFile(import.meta.filename, 'utf8');
  const processFile = await readFile(join(import.meta.dirname, 'flink-process.ts'), 'utf8');
  const key = createHash('sha256')
    .update(JSON.stringify([sources, thisFile, processFile, java]))
    .digest('hex');
  const folder = join(cacheFolder(), 'flink', key);
  if (await isThere(folder)) return folder;

  say(`fetching Flink ${flinkVersions.join(' and ')}, once for this machine: takes a minute or two …`);
  const startTime = performance.now();
  // Under a name of its own until it is whole: one that was cut off, or another one at the same time, leaves nothing half done behind.
  const unfinished = `${folder}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  for (const version of flinkVersions) await assemble(version, join(unfinished, version));
  await renameUnlessThere(unfinished, folder);
  say(`fetched in ${Math.round((performance.now() - startTime) / 1000)} s`);
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

async function assemble(version: FlinkVersion, home: string): Promise<void> {
  await mkdir(home, { recursive: true });
  const flink = `-Dflink.version=${version}`;
  const library = [`-DoutputDirectory=${join(home, 'lib')}`, '-DincludeScope=runtime'];
  await runMaven(join(sourceFolder, 'distribution'), ['dependency:copy-dependencies', flink, ...library]);

  const output = join(home, 'job');
  await runMaven(join(sourceFolder, 'job'), ['package', flink, `-Doutput.directory=${output}`]);
  await rename(join(output, countingJob.jar), join(home, countingJob.jar));
  await rm(output, { recursive: true });

  for (const role of ['jobmanager', 'taskmanager'] as const) await archiveClasses(role, home);
}

async function runMaven(folder: string, goals: readonly string[]): Promise<void> {
  const options = ['--batch-mode', '--quiet', '--no-transfer-progress'];
  // Tied to this process, like everything else that the real tests start.
  const maven = spawn('setpriv', ['--pdeathsig', 'KILL', 'mvn', ...options, ...goals], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = collectOutput(maven);
  if (maven.pid !== undefined) setPriority(maven.pid, 5);
  const [code, signal] = await once(maven, 'close');
  if (code !== 0)
    throw new Error(`mvn ${goals[0]} in ${folder} ended with ${code ?? signal}\n${said.text.slice(-4000)}`);
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

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function renameUnlessThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch(async (error) => {
    // Another run was faster; what it made is the same.
    if (!(await isThere(to))) throw error;
    await rm(from, { recursive: true });
  });
}
