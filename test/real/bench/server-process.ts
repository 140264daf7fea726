// The servers of the control plane as processes. Each is known by the file that holds its process id, so that a test in another process
// than the one that started a server can stop it and start it again.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, HopelessError } from './eventually.ts';

export interface Server {
  /** The binary's first argument, and the name of the server's files. */
  readonly name: 'etcd' | 'kube-apiserver' | 'kube-controller-manager';
  /** Where `<name>.pid` and `<name>.log` lie. */
  readonly directory: string;
}

export interface ServerStart extends Server {
  readonly binary: string;
  readonly flags: readonly string[];
}

/** Starts a server and does not wait for it; its output is added to its log. */
export async function startServer({ name, directory, binary, flags }: ServerStart): Promise<void> {
  const log = openSync(logFile({ name, directory }), 'a');
  try {
    // Detached, so that Ctrl-C in a terminal reaches the tests first, which then stop the servers in good order.
    const child = spawn(binary, [name, ...flags], { detached: true, stdio: ['ignore', log, log] });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => reject(new Error(`starting ${name}: ${cause.message}`, { cause })));
    });
    child.unref();
    await writeFile(pidFile({ name, directory }), String(child.pid));
  } finally {
    closeSync(log);
  }
}

/** Waits until `isReady`; throws with the end of the server's log when it exits before, or takes longer than 60 s. */
export async function waitUntilReady(server: Server, isReady: () => Promise<boolean>): Promise<void> {
  try {
    await eventually(
      `${server.name} ready`,
      async () => {
        if (!(await isRunning(server))) throw new HopelessError(`${server.name} exited`);
        return isReady();
      },
      { timeoutSeconds: 60, intervalMs: 25 },
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`starting ${server.name}: ${reason}; the end of its log:\n${await endOfLog(server)}`, {
      cause: error,
    });
  }
}

/**
 * Kills a server and waits until it is gone. It gets no chance to end in order: nothing of it is kept, and an API server
 * that is asked politely takes more than ten seconds.
 */
export async function stopServer(server: Server): Promise<void> {
  const pid = await readPid(server);
  if (pid === undefined) return;
  signal(pid, 'SIGKILL');
  await eventually(`${server.name} gone`, async () => !(await isRunning(server)), { intervalMs: 10 });
}

/** The last lines that a server logged. */
async function endOfLog(server: Server): Promise<string> {
  const log = await readFile(logFile(server), 'utf8');
  return log.trimEnd().split('\n').slice(-20).join('\n');
}

async function isRunning(server: Server): Promise<boolean> {
  const pid = await readPid(server);
  return pid !== undefined && signal(pid, 0);
}

/** Sends a signal, 0 being none; false when there is no such process. One that ended counts until its parent has noticed: its ports are free then. */
function signal(pid: number, name: 'SIGKILL' | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

async function readPid(server: Server): Promise<number | undefined> {
  try {
    return Number(await readFile(pidFile(server), 'utf8'));
  } catch {
    return undefined;
  }
}

function pidFile({ directory, name }: Server): string {
  return join(directory, `${name}.pid`);
}

function logFile({ directory, name }: Server): string {
  return join(directory, `${name}.log`);
}
