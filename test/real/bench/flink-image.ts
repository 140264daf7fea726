// What stands for a Flink image: the same arguments and environment as the official images, a jar that is already there, and no container.
import { access, mkdir, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type FlinkConfiguration, type FlinkRole, prepareFlink, smallMemory } from './flink-process.ts';
import type { Container, Image } from './kubelet.ts';

export interface FlinkImage {
  /** The unpacked Flink. */
  readonly home: string;
  /** Paths of the jars that can be run by their names. */
  readonly jars: readonly string[];
}

/** What the images' own config.yaml says, and what would otherwise make tests wait. */
const defaults: FlinkConfiguration = {
  'jobmanager.bind-host': '0.0.0.0',
  'taskmanager.bind-host': '0.0.0.0',
  'rest.bind-address': '0.0.0.0',
  // Defaults: 10 s and 50 s.
  'heartbeat.interval': '2000',
  'heartbeat.timeout': '10000',
  // How long a TaskManager waits that did not find its JobManager, milliseconds; default 10 s.
  'cluster.registration.error-delay': '500',
};

/** An image with a shell and the tools of this machine: `command` and `args` are run as they stand. */
export const toolsImage: Image = async ({ command, args, folder }) => ({ command: [...command, ...args], folder });

/** An image whose containers are Flink processes; `args` are `["jobmanager"]` or `["taskmanager"]`. */
export function flinkImage({ home, jars }: FlinkImage): Image {
  return async (container) => {
    const role = readRole(container);
    const [temporary, web] = ['tmp', 'web'].map((name) => join(container.folder, name)) as [string, string];
    await mkdir(temporary);
    if (role === 'jobmanager') await linkJars(jars, join(web, 'flink-web-upload'));

    const configuration = {
      ...defaults,
      'web.upload.dir': web,
      ...withoutMemory(readProperties(container.environment)),
      ...smallMemory,
      'io.tmp.dirs': temporary,
    };
    const javaFlags = await classArchiveFlags(home, role);
    return {
      command: await prepareFlink({ role, home, folder: container.folder, configuration, javaFlags }),
      folder: home,
    };
  };
}

function readRole({ args }: Container): FlinkRole {
  const [role] = args;
  if (role !== 'jobmanager' && role !== 'taskmanager') throw new Error(`args are ${JSON.stringify(args)}`);
  return role;
}

/** Flink finds a jar that lies there, uploaded or not. */
async function linkJars(jars: readonly string[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all(jars.map((jar) => symlink(jar, join(folder, basename(jar)))));
}

/** FLINK_PROPERTIES, with the variables in it replaced, as envsubst does in the images; of a key that is there twice, the last. */
function readProperties(environment: Readonly<Record<string, string>>): FlinkConfiguration {
  const lines = (environment.FLINK_PROPERTIES ?? '')
    .replace(/\$\{(\w+)\}|\$(\w+)/g, (_, braced, bare) => environment[braced ?? bare] ?? '')
    .split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const property = /^([^#:\s]+):\s*(.*?)\s*$/.exec(line);
      return property ? [[property[1], property[2]]] : [];
    }),
  );
}

function withoutMemory(configuration: FlinkConfiguration): FlinkConfiguration {
  return Object.fromEntries(
    Object.entries(configuration).filter(([key]) => !/^(jobmanager|taskmanager)\.(memory|heap)\./.test(key)),
  );
}

async function classArchiveFlags(home: string, role: FlinkRole): Promise<readonly string[]> {
  const archive = join(home, `${role}.jsa`);
  return access(archive).then(
    () => [`-XX:SharedArchiveFile=${archive}`],
    () => [],
  );
}
