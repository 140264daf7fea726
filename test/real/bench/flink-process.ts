// How a Flink process is started: what the official images' scripts work out, made small enough for a dozen of them on two cores.
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const configurationFolder = join(import.meta.dirname, '..', 'flink', 'conf');

export type FlinkRole = 'jobmanager' | 'taskmanager';

export type FlinkConfiguration = Readonly<Record<string, string>>;

/** Whatever is asked for: with the memory of production, a cluster or two would fill the machine. */
export const smallMemory: FlinkConfiguration = {
  'taskmanager.cpu.cores': '2.0',
  'taskmanager.memory.framework.heap.size': '64m',
  'taskmanager.memory.task.heap.size': '64m',
  'taskmanager.memory.framework.off-heap.size': '64m',
  'taskmanager.memory.task.off-heap.size': '0',
  'taskmanager.memory.network.min': '32m',
  'taskmanager.memory.network.max': '32m',
  'taskmanager.memory.managed.size': '8m',
  'taskmanager.memory.jvm-metaspace.size': '128m',
  // Without the images' scripts, which would settle what lies between, both must be the same.
  'taskmanager.memory.jvm-overhead.min': '64m',
  'taskmanager.memory.jvm-overhead.max': '64m',
};

export const smallJvm: readonly string[] = [
  ...['-Xms32m', '-Xmx128m', '-Xss512k', '-XX:MaxMetaspaceSize=128m', '-XX:MaxDirectMemorySize=144m'],
  // What a process of some minutes gains: no threads that collect, and no second compiler.
  ...['-XX:ReservedCodeCacheSize=64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'],
  '-XX:+ExitOnOutOfMemoryError',
];

/** What Flink opens to itself on Java 17. */
const openPackages = [
  ...['java.lang', 'java.lang.reflect', 'java.net', 'java.io', 'java.nio', 'java.text', 'java.time', 'java.util'],
  ...[
    'java.util.concurrent',
    'java.util.concurrent.atomic',
    'java.util.concurrent.locks',
    'sun.nio.ch',
    'sun.net.util',
  ],
];
const openings = [
  '--add-exports=java.base/sun.net.util=ALL-UNNAMED',
  ...openPackages.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
];

const mainClasses = {
  jobmanager: 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint',
  taskmanager: 'org.apache.flink.runtime.taskexecutor.TaskManagerRunner',
} satisfies Record<FlinkRole, string>;

export interface FlinkProcess {
  readonly role: FlinkRole;
  /** The unpacked Flink: `lib` and its fellows. The command must be started there. */
  readonly home: string;
  /** An existing folder, into which the configuration is written. */
  readonly folder: string;
  readonly configuration: FlinkConfiguration;
  /** Flags of the Java virtual machine, beside those that every process has. */
  readonly javaFlags?: readonly string[];
}

/** Writes the configuration of a Flink process and returns the command that starts it. */
export async function prepareFlink(flink: FlinkProcess): Promise<readonly string[]> {
  const { role, home, folder, configuration, javaFlags = [] } = flink;
  await writeFile(join(folder, 'config.yaml'), asYaml(configuration));
  return [
    'java',
    ...smallJvm,
    ...javaFlags,
    ...openings,
    `-Djava.security.properties=${join(configurationFolder, 'java.security')}`,
    `-Dlog4j.configurationFile=file:${join(configurationFolder, 'log4j.properties')}`,
    ...['-cp', await classPath(home)],
    ...[mainClasses[role], '--configDir', folder],
  ];
}

/** A JSON string is a YAML string; numbers as strings are understood by every version, unquoted ones are not. */
function asYaml(configuration: FlinkConfiguration): string {
  return Object.entries(configuration)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    .join('');
}

/** Relative and in a fixed order: the class archive is good for one class path only, and outlives a move of the folder this way. */
async function classPath(home: string): Promise<string> {
  const jars = await readdir(join(home, 'lib'));
  return jars
    .sort()
    .map((jar) => join('lib', jar))
    .join(':');
}
