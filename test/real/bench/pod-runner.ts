// One pod, from the moment it is seen until it is gone: bound, given a network, its init containers run to their end, its container
// started again whenever it ends, and its sidecars with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiClient, mergePatch } from './api-client.ts';
import type { Image } from './kubelet.ts';
import {
  type ContainerSpec,
  type ContainerState,
  checkPod,
  containerEnvironment,
  formatTime,
  type Pod,
  type PodPlace,
  type PodState,
  type Probe,
  podStatus,
} from './pod.ts';
import type { HostsFile, PodNetwork, PodSandbox } from './pod-network.ts';
import { prepareServiceAccount } from './pod-service-account.ts';

export interface PodSurroundings {
  readonly admin: ApiClient;
  /** PEM, of the API server. */
  readonly certificateAuthority: string;
  readonly network: PodNetwork;
  readonly hosts: HostsFile;
  readonly findImage: (name: string) => Image | undefined;
  readonly probeDelayFactor: number;
  readonly node: { readonly name: string; readonly ip: string };
  readonly apiServer: PodPlace['apiServer'];
  /** Made anew at each start of the container. */
  readonly folder: string;
  readonly logFile: string;
}

const retryIntervalMs = 200;
/** The first restart is at once. A real kubelet goes from 10 s to 5 min. */
const firstBackOffMs = 500;
const longestBackOffMs = 5_000;
const defaultGraceSeconds = 30;

export class PodRunner {
  readonly #pod: Pod;
  readonly #spec: ContainerSpec;
  readonly #around: PodSurroundings;
  /** Given when the pod is to end. */
  readonly #end = new AbortController();
  #graceSeconds = defaultGraceSeconds;
  #isAbandoned = false;
  #life: Promise<void> | undefined;
  #process: ChildProcess | undefined;
  #state: PodState;
  #isStatusDue = false;
  #statusWrites: Promise<void> | undefined;

  constructor(pod: Pod, surroundings: PodSurroundings) {
    this.#pod = pod;
    this.#spec = pod.spec.containers[0];
    this.#around = surroundings;
    const startTime = formatTime();
    this.#state = {
      startTime,
      ip: undefined,
      container: { waiting: { reason: 'ContainerCreating' } },
      initContainers: new Map(),
      lastTermination: undefined,
      restartCount: 0,
      isReady: false,
      readyChangeTime: startTime,
    };
  }

  get name(): string {
    return this.#pod.metadata.name;
  }

  /** Runs the pod; returns when it is gone. */
  run(): Promise<void> {
    this.#life ??= this.#live();
    return this.#life;
  }

  /** Begins to end the pod: SIGTERM, after the grace period SIGKILL, then it is taken from the API. */
  end(graceSeconds = defaultGraceSeconds): void {
    if (graceSeconds === 0) this.#signal('SIGKILL');
    if (this.#end.signal.aborted) return;
    this.#graceSeconds = graceSeconds;
    this.#end.abort();
  }

  /** Ends the pod at once, and leaves it in the API as it is. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    this.end(0);
    await this.#life;
  }

  /** Kills the process of the container; false when none runs. */
  killProcess(): boolean {
    return this.#signal('SIGKILL');
  }

  async #live(): Promise<void> {
    let sandbox: PodSandbox | undefined;
    try {
      await this.#bind();
      checkPod(this.#pod);
      const image = this.#around.findImage(this.#spec.image);
      if (image === undefined) {
        await this.#waitInVain('ImagePullBackOff', `Back-off pulling image "${this.#spec.image}"`);
      } else {
        const { admin, certificateAuthority, network, hosts, folder } = this.#around;
        const serviceAccount = { admin, certificateAuthority, folder: `${folder}-run` };
        sandbox = await network.addPod({ hosts, run: await prepareServiceAccount(this.#pod, serviceAccount) });
        this.#change({ ip: sandbox.ip });
        await this.#runContainers(image, sandbox);
      }
    } catch (error) {
      this.#log(String(error));
      await this.#waitInVain('CreateContainerError', String(error));
    }
    await sandbox?.close();
    await this.#statusWrites;
    await this.#remove();
  }

  async #bind(): Promise<void> {
    if (this.#pod.spec.nodeName !== undefined) return;
    const target = { apiVersion: 'v1', kind: 'Node', name: this.#around.node.name };
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: this.name }, target };
    await this.#ask('POST', '/binding', binding);
  }

  async #waitInVain(reason: string, message: string): Promise<void> {
    this.#change({ container: { waiting: { reason, message } } });
    if (!this.#end.signal.aborted) await once(this.#end.signal, 'abort');
  }

  async #runContainers(image: Image, sandbox: PodSandbox): Promise<void> {
    const { initContainers = [], containers } = this.#pod.spec;
    for (const container of initContainers) await this.#initialize(container, sandbox);
    const [, ...sidecars] = containers;
    const beside = sidecars.map((sidecar) => this.#keepSidecar(sidecar, sandbox));
    await Promise.all([this.#keepRunning(image, sandbox), ...beside]);
  }

  /** Runs an init container until it has succeeded. */
  async #initialize(container: ContainerSpec, sandbox: PodSandbox): Promise<void> {
    const report = (state: ContainerState, restartCount: number) =>
      this.#change({
        initContainers: new Map(this.#state.initContainers).set(container.name, { state, restartCount }),
      });
    for (let restarts = 0; !this.#end.signal.aborted; restarts += 1) {
      const startedAt = formatTime();
      report({ running: { startedAt } }, restarts);
      const exitCode = await this.#runBeside(container, sandbox);
      const reason = exitCode === 0 ? 'Completed' : 'Error';
      report({ terminated: { exitCode, reason, startedAt, finishedAt: formatTime() } }, restarts);
      if (exitCode === 0) return;
      await this.#pause(firstBackOffMs);
    }
  }

  async #keepSidecar(container: ContainerSpec, sandbox: PodSandbox): Promise<void> {
    while (!this.#end.signal.aborted) {
      await this.#runBeside(container, sandbox);
      await this.#pause(firstBackOffMs);
    }
  }

  /** Runs a container that is not Flink's once; it ends with the pod, at once. @returns its exit code */
  async #runBeside(container: ContainerSpec, sandbox: PodSandbox): Promise<number> {
    const folder = `${this.#around.folder}-${container.name}`;
    const child = await this.#start(container, this.#imageOf(container), sandbox, folder);
    const kill = () => killGroup(child);
    this.#end.signal.addEventListener('abort', kill);
    if (this.#end.signal.aborted) kill();
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    this.#end.signal.removeEventListener('abort', kill);
    this.#log(`${container.name} ended with ${code ?? signal}`);
    return code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
  }

  #imageOf({ image }: ContainerSpec): Image {
    const found = this.#around.findImage(image);
    if (found === undefined) throw new Error(`image ${image} is not known here`);
    return found;
  }

  async #pause(milliseconds: number): Promise<void> {
    await delay(milliseconds, undefined, { signal: this.#end.signal }).catch(() => undefined);
  }

  async #keepRunning(image: Image, sandbox: PodSandbox): Promise<void> {
    while (!this.#end.signal.aborted) {
      await this.#runOnce(image, sandbox);
      if (this.#end.signal.aborted) return;

      const { restartCount } = this.#state;
      const backOffMs = restartCount === 0 ? 0 : Math.min(longestBackOffMs, firstBackOffMs * 2 ** (restartCount - 1));
      await this.#pause(backOffMs);
      this.#change({ restartCount: restartCount + 1 });
    }
  }

  async #runOnce(image: Image, sandbox: PodSandbox): Promise<void> {
    const child = await this.#start(this.#spec, image, sandbox, this.#around.folder);
    this.#process = child;
    const startedAt = formatTime();
    this.#change({ container: { running: { startedAt } } });
    const kill = () => this.#terminate(child);
    this.#end.signal.addEventListener('abort', kill);
    if (this.#end.signal.aborted) kill();
    void this.#probe(child);

    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    this.#end.signal.removeEventListener('abort', kill);
    const exitCode = code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
    this.#log(`ended with ${code ?? signal}`);
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    this.#setReady(false);
    this.#change({
      container: { waiting: { reason: 'CrashLoopBackOff' } },
      lastTermination: { exitCode, reason, startedAt, finishedAt: formatTime() },
    });
  }

  async #start(spec: ContainerSpec, image: Image, sandbox: PodSandbox, folder: string): Promise<ChildProcess> {
    const { logFile, node, apiServer } = this.#around;
    // A container begins with its image's files, whatever the one before it wrote.
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const environment = containerEnvironment(this.#pod, spec, { ip: sandbox.ip, nodeName: node.name, apiServer });
    const { command = [], args = [] } = spec;
    const container = await image({ command, args, environment, folder });

    const log = openSync(logFile, 'a');
    try {
      // Detached: a group of its own, all of which a signal reaches.
      const words = ['--pdeathsig', 'KILL', ...sandbox.enter(container.folder), ...container.command];
      const child = spawn('setpriv', words, {
        env: { PATH: process.env.PATH, ...environment },
        stdio: ['ignore', log, log],
        detached: true,
      });
      await once(child, 'spawn');
      this.#log(`process ${child.pid} of ${spec.name} at ${sandbox.ip}`);
      return child;
    } finally {
      closeSync(log);
    }
  }

  #terminate(child: ChildProcess): void {
    this.#signal(this.#graceSeconds === 0 ? 'SIGKILL' : 'SIGTERM');
    const timer = setTimeout(() => this.#signal('SIGKILL'), this.#graceSeconds * 1000);
    child.once('exit', () => clearTimeout(timer));
  }

  #signal(name: NodeJS.Signals): boolean {
    const child = this.#process;
    if (child?.pid === undefined || !isRunning(child)) return false;
    return process.kill(-child.pid, name);
  }

  /** Keeps the readiness up to date as long as this process is the one that runs. */
  async #probe(child: ChildProcess): Promise<void> {
    const probe = this.#spec.readinessProbe;
    if (probe === undefined) return this.#setReady(true);

    const { probeDelayFactor } = this.#around;
    const pause = (seconds: number) => delay(seconds * 1000 * probeDelayFactor);
    let streak = { isSuccess: false, length: 0 };
    await pause(probe.initialDelaySeconds ?? 0);
    while (isRunning(child)) {
      const isSuccess = await this.#answers(probe);
      if (!isRunning(child)) return;
      streak = { isSuccess, length: isSuccess === streak.isSuccess ? streak.length + 1 : 1 };
      if (streak.length >= (isSuccess ? probe.successThreshold : probe.failureThreshold)) this.#setReady(isSuccess);
      await pause(probe.periodSeconds);
    }
  }

  async #answers({ httpGet, timeoutSeconds }: Probe): Promise<boolean> {
    const port = this.#spec.ports?.find(({ name }) => name === httpGet.port)?.containerPort ?? httpGet.port;
    const url = `http://${this.#state.ip}:${port}${httpGet.path ?? '/'}`;
    return fetch(url, { signal: AbortSignal.timeout(timeoutSeconds * 1000) }).then(
      async (answer) => {
        await answer.body?.cancel();
        return answer.status < 400;
      },
      () => false,
    );
  }

  #setReady(isReady: boolean): void {
    if (isReady !== this.#state.isReady) this.#change({ isReady, readyChangeTime: formatTime() });
  }

  /** The newest state is written, one write at a time: the API must never see an older one after it. */
  #change(change: Partial<PodState>): void {
    this.#state = { ...this.#state, ...change };
    this.#isStatusDue = true;
    this.#statusWrites ??= this.#writeStatus().finally(() => {
      this.#statusWrites = undefined;
    });
  }

  async #writeStatus(): Promise<void> {
    while (this.#isStatusDue) {
      this.#isStatusDue = false;
      const status = podStatus(this.#pod.spec, this.#around.node.ip, this.#state);
      // With its uid, for there may be another pod of this name by now.
      const metadata = { uid: this.#pod.metadata.uid };
      await this.#ask('PATCH', '/status', { metadata, status }, mergePatch);
    }
  }

  async #remove(): Promise<void> {
    const preconditions = { uid: this.#pod.metadata.uid };
    await this.#ask('DELETE', '', { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions });
  }

  /** Asks until the API server has answered, with a refusal too: what it means is that the pod is no more. */
  async #ask(method: string, subresource: string, body: object, headers?: Readonly<Record<string, string>>) {
    const { namespace, name } = this.#pod.metadata;
    const path = `/api/v1/namespaces/${namespace}/pods/${name}${subresource}`;
    while (!this.#isAbandoned) {
      const status = await this.#around.admin.request(method, path, body, headers).then(
        (answer) => answer.status,
        () => undefined,
      );
      if (status !== undefined && status < 500 && status !== 429) return;
      await delay(retryIntervalMs);
    }
  }

  #log(line: string): void {
    appendFileSync(this.#around.logFile, `=== ${new Date().toISOString()} kubelet: ${line}\n`);
  }
}

/** All that a container has started. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has just ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}
