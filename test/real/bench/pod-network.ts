// Pods as the network sees them. Each has a network namespace of its own, with a localhost and an address that all others reach through one
// bridge, and a hosts file in the place of the cluster's DNS. All of it lies inside the namespaces of the run and is gone with them.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { benchAddress } from './control-plane.ts';

const bridge = 'pods';
// Apart from 10.77.0.0/16, which belongs to the loopback as a whole (run.ts).
const prefix = '10.88';
const gateway = `${prefix}.0.1`;
/** Locally administered. */
const bridgeMac = '02:00:0a:58:00:01';

export interface PodNetwork {
  addPod(mounts: PodMounts): Promise<PodSandbox>;
  close(): Promise<void>;
}

export interface PodMounts {
  readonly hosts: HostsFile;
  /** The folder that the pod sees as /var/run; undefined: the machine's own. */
  readonly run: string | undefined;
}

/** What lives as long as a pod, while its containers come and go. */
export interface PodSandbox {
  readonly ip: string;
  /** The words before a command that is to run inside, in a folder. */
  enter(folder: string): readonly string[];
  close(): Promise<void>;
}

/** Makes the bridge. There is one at a time: one that a test file left behind goes first. */
export async function openPodNetwork(): Promise<PodNetwork> {
  await removeBridge();
  // With an address of its own. Otherwise it has that of a port, another one when that pod goes: for half a minute nobody reaches it then.
  await runIp([
    `link add ${bridge} address ${bridgeMac} type bridge`,
    `addr add ${gateway}/16 dev ${bridge}`,
    `link set ${bridge} up`,
  ]);
  // No address comes back, as in a cluster at rest: whoever still uses one of a pod that is gone meets nobody.
  let addressCount = 1;
  // The kernel takes the links of namespaces that are gone away in its own time: those of the file before may still be there.
  const tag = randomBytes(2).toString('hex');
  return {
    addPod: (mounts) => {
      addressCount += 1;
      return addPod(addressCount, `pod-${tag}-${addressCount}`, mounts);
    },
    close: removeBridge,
  };
}

async function addPod(number: number, link: string, mounts: PodMounts): Promise<PodSandbox> {
  const ip = `${prefix}.${number >> 8}.${number & 255}`;
  const holder = await startHolder(mounts);
  // With another mount namespace a process would begin in its root.
  const enter = (folder: string) => ['nsenter', `--target=${holder.pid}`, '--net', '--mount', `--wd=${folder}`];
  await runIp([
    `link add ${link} type veth peer name eth0 netns ${holder.pid}`,
    `link set ${link} master ${bridge} up`,
  ]);
  // The API server is no pod. A way to everything would make each look-up of a name wait for a name server that does not respond.
  const route = `route add ${benchAddress} via ${gateway}`;
  await runIp(['link set lo up', `addr add ${ip}/16 dev eth0`, 'link set eth0 up', route], enter('/'));
  return { ip, enter, close: holder.end };
}

/** A process that does nothing but keep the namespaces of a pod. */
async function startHolder({ hosts, run }: PodMounts): Promise<{ readonly pid: number; end(): Promise<void> }> {
  const script =
    'mount --bind "$0" /etc/hosts && { [ -z "$1" ] || mount --bind "$1" /var/run; } && echo mounted && exec sleep infinity';
  const holder = spawn(
    'setpriv',
    [...['--pdeathsig', 'KILL', 'unshare', '--net', '--mount'], ...['sh', '-c', script, hosts.path, run ?? '']],
    { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
  );
  const closed = once(holder, 'close');
  const mounted = once(holder.stdout, 'data');
  await Promise.race([
    mounted,
    closed.then(([code]) => Promise.reject(new Error(`making the namespaces of a pod ended with ${code}`))),
  ]);
  const end = async () => {
    holder.kill('SIGKILL');
    await closed;
  };
  if (holder.pid === undefined) throw new Error('the holder of a pod has no process id');
  return { pid: holder.pid, end };
}

async function removeBridge(): Promise<void> {
  const links = await runIp(['link show type bridge']);
  if (links.includes(` ${bridge}:`)) await runIp([`link del ${bridge}`]);
}

/** Runs `ip` once, with a command per line; throws with what it said. */
async function runIp(commands: readonly string[], enter: readonly string[] = []): Promise<string> {
  const [program = '', ...words] = [...enter, 'ip', '-batch', '-'];
  return new Promise((resolve, reject) => {
    const child = execFile(program, words, (error, stdout, stderr) => {
      if (error) reject(new Error(`ip: ${commands.join('; ')}: ${stderr}`, { cause: error }));
      else resolve(stdout);
    });
    child.stdin?.end(`${commands.join('\n')}\n`);
  });
}

/** The names that the pods of one namespace can look up. Mounted over their /etc/hosts, so it is always the same file, written in place. */
export class HostsFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    writeFileSync(path, '');
    this.set(new Map());
  }

  /** Replaces all names; a name without addresses is not found. */
  set(names: ReadonlyMap<string, readonly string[]>): void {
    const lines = [`127.0.0.1 localhost ${hostname()}`];
    for (const [name, addresses] of names) lines.push(...addresses.map((address) => `${address} ${name}`));
    this.#write(`${lines.join('\n')}\n`);
  }

  /** In one write and never shorter than before, so that no reader meets an empty file or half of one. */
  #write(content: string): void {
    const file = openSync(this.path, 'r+');
    try {
      writeSync(file, content.padEnd(fstatSync(file).size, '\n'), 0);
    } finally {
      closeSync(file);
    }
  }
}
