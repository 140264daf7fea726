// FlinkApplications in a namespace whose pods are real Flink processes, and Headrace at work on them round by round, under the role that AWS gives it.
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Cluster, type Log, openCluster } from '../../shared/control-plane.ts';
import { type ReconcileReport, reconcileShard } from '../../shared/controllers/reconcile.ts';
import type { ApplicationStatus } from '../../shared/deployment/types.ts';
import { eksCredentials as eksTokenCredentials } from '../../shared/kubernetes/auth.ts';
import { type ApiClient, mergePatch } from './bench/api-client.ts';
import { clusterName } from './bench/control-plane.ts';
import { eksCredentials } from './bench/eks-authenticator.ts';
import { countingJob, type FlinkVersion } from './bench/flink-build.ts';
import type { FlinkNamespace, FlinkWorld } from './bench/flink-world.ts';
import type { HaService, HighAvailability } from './bench/high-availability.ts';
import type { JobCount } from './bench/job-counts.ts';
import { applicationPath } from './bench/workloads.ts';

/** As the delayed messages of a deploy come. */
const ROUND_SECONDS = 2;

const TASK_SLOTS = 2;

export interface ApplicationOptions {
  /** Default "orders". */
  readonly name?: string;
  readonly version: FlinkVersion;
  /** Options of the counting job beside those that it is always given. */
  readonly more?: readonly string[];
  /** Laid over the configuration of the namespace. */
  readonly flinkConfig?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Laid over a spec of parallelism 4 with 2 slots for each TaskManager. */
  readonly spec?: object;
}

/** A FlinkApplication as the API server has it. */
export interface FlinkApplication {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly generation: number;
    readonly resourceVersion: string;
    readonly finalizers?: readonly string[];
  };
  readonly spec: {
    readonly image: string;
    readonly programArgs: string;
    readonly parallelism: number;
    readonly taskManagerConfig: { readonly taskSlots: number; readonly replicas?: number };
  };
  readonly status?: ApplicationStatus;
}

export interface DeployedJob {
  readonly jobId: string;
  /** Of its cluster. */
  readonly hash: string;
}

/** What an application runs; throws when it has never run anything. */
export function whatRuns({ metadata, status }: FlinkApplication): DeployedJob {
  const { jobStatus: { jobID: jobId } = {}, deployHash: hash } = status ?? {};
  if (!jobId || !hash) throw new Error(`${metadata.name} runs nothing: ${JSON.stringify(status)}`);
  return { jobId, hash };
}

/** The names of all objects of an application "orders" that runs on one cluster. */
export function objectsOf(hash: string): readonly string[] {
  return ['orders', `orders-${hash}`, `orders-${hash}-jm`, `orders-${hash}-tm`];
}

interface SceneOptions {
  /** What all applications use; default none. */
  readonly highAvailability?: HaService;
}

/** A namespace with Headrace at work on it; its pods run as long as those of `world.createNamespace`. */
export async function openDeployScene(world: FlinkWorld, options: SceneOptions = {}): Promise<DeployScene> {
  const flink = await world.createNamespace();
  const { highAvailability } = options;
  return new DeployScene(world, flink, highAvailability && (await flink.prepareHighAvailability(highAvailability)));
}

export class DeployScene {
  readonly flink: FlinkNamespace;
  /** How many Headraces are at work at once, as when a function is slow and the next begins. */
  processes = 1;
  readonly #world: FlinkWorld;
  readonly #highAvailability: HighAvailability | undefined;
  readonly #log: { readonly message: string; readonly data: Readonly<Record<string, unknown>> }[] = [];
  /** Milliseconds by which Headrace's clock is ahead. */
  #ahead = 0;

  constructor(world: FlinkWorld, flink: FlinkNamespace, highAvailability?: HighAvailability) {
    this.#highAvailability = highAvailability;
    this.#world = world;
    this.flink = flink;
  }

  get namespace(): string {
    return this.flink.name;
  }

  get admin(): ApiClient {
    return this.#world.controlPlane.admin;
  }

  /** The API path of an application. */
  path(name = 'orders'): string {
    return applicationPath({ namespace: this.namespace, name });
  }

  /** What a user hands in. */
  manifest({ name = 'orders', version, annotations, ...options }: ApplicationOptions): object {
    const { more = [], flinkConfig = {}, spec = {} } = options;
    const { flinkConfig: electionConfig, ...electionSpec } = this.#highAvailability ?? {};
    return {
      apiVersion: 'flink.k8s.io/v1beta1',
      kind: 'FlinkApplication',
      metadata: { name, labels: { team: 'shop' }, ...(annotations && { annotations }) },
      spec: {
        image: `bench/flink:${version}`,
        flinkVersion: version,
        jarName: countingJob.jar,
        entryClass: countingJob.entryClass,
        programArgs: this.arguments(...more),
        parallelism: 2 * TASK_SLOTS,
        taskManagerConfig: { taskSlots: TASK_SLOTS },
        flinkConfig: { ...this.flink.flinkConfig, ...electionConfig, ...flinkConfig },
        ...electionSpec,
        ...spec,
      },
    };
  }

  /** spec.programArgs of the counting job. */
  arguments(...more: readonly string[]): string {
    return [...this.flink.jobArguments, ...more].join(' ');
  }

  async create(options: ApplicationOptions): Promise<void> {
    await this.admin.send('POST', this.#collection, this.manifest(options));
  }

  /** Creates an application, and returns it when its job runs. */
  async deploy(options: ApplicationOptions): Promise<FlinkApplication> {
    await this.create(options);
    return this.untilPhase('Running', options.name);
  }

  /** A JSON merge patch of the spec, as a user edits it. */
  async edit(spec: object, name = 'orders'): Promise<void> {
    await this.admin.send('PATCH', this.path(name), { spec }, mergePatch);
  }

  /** @param propagationPolicy default Background; Argo CD deletes with Foreground */
  async delete(name = 'orders', propagationPolicy?: 'Foreground'): Promise<void> {
    const options = propagationPolicy && { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy };
    await this.admin.send('DELETE', this.path(name), options);
  }

  async application(name = 'orders'): Promise<FlinkApplication> {
    return this.admin.send('GET', this.path(name));
  }

  async exists(name = 'orders'): Promise<boolean> {
    return (await this.admin.request('GET', this.path(name))).status !== 404;
  }

  /** Sets Headrace's clock so many seconds ahead of everybody else's, instead of waiting. */
  advance(seconds: number): void {
    this.#ahead += seconds * 1000;
  }

  /** One round of Headrace over this namespace. */
  async round(): Promise<ReconcileReport> {
    const { cluster, close } = this.#open();
    const write = (message: string, data: Record<string, unknown>) => void this.#log.push({ message, data });
    const log: Log = { info: write, warn: write, error: write };
    try {
      return await reconcileShard({ now: async () => Date.now() + this.#ahead, log }, cluster, [this.namespace]);
    } finally {
      close();
    }
  }

  /** Rounds every two seconds until something is seen; returns it. Throws at the deadline, with all that Headrace said. */
  async until<Seen>(
    whatIsAwaited: string,
    look: () => Promise<Seen | undefined | false>,
    { timeoutSeconds = 120 } = {},
  ): Promise<Seen> {
    const deadline = performance.now() + timeoutSeconds * 1000;
    for (;;) {
      const nextRound = performance.now() + ROUND_SECONDS * 1000;
      await Promise.all(Array.from({ length: this.processes }, () => this.round()));
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      if (nextRound > deadline)
        throw new Error(`waited ${timeoutSeconds} s in vain: ${whatIsAwaited}\n${await this.#describe()}`);
      await delay(Math.max(0, nextRound - performance.now()));
    }
  }

  /** Rounds until the application, as it was last edited, is in a phase. */
  async untilPhase(phase: string, name = 'orders'): Promise<FlinkApplication> {
    return this.untilStatus(phase, (status) => status.phase === phase, name);
  }

  /** `kubectl scale` of the application "orders"; returns it when its job runs with what follows from that. */
  async scaleTo(replicas: number): Promise<FlinkApplication> {
    const size = `--replicas=${replicas}`;
    await this.#world.controlPlane.kubectl('scale', 'flinkapp', 'orders', size, '--namespace', this.namespace);
    return this.untilScaled(replicas);
  }

  /** Rounds until the job of the application "orders" uses all slots of so many TaskManagers. */
  async untilScaled(replicas: number): Promise<FlinkApplication> {
    return this.untilStatus(
      `Running on ${replicas} TaskManagers`,
      ({ phase, jobStatus }) => phase === 'Running' && jobStatus?.parallelism === TASK_SLOTS * replicas,
    );
  }

  /** Rounds until the status speaks of the last edit, and fits. */
  async untilStatus(
    whatIsAwaited: string,
    fits: (status: ApplicationStatus, application: FlinkApplication) => boolean,
    name = 'orders',
    patience: { timeoutSeconds?: number } = {},
  ): Promise<FlinkApplication> {
    const look = async () => {
      const application = await this.application(name);
      const { status = {}, metadata } = application;
      return status.observedGeneration === metadata.generation && fits(status, application) ? application : undefined;
    };
    return this.until(`${name}: ${whatIsAwaited}`, look, patience);
  }

  /**
   * Expects that a job has gone on from exactly where the other one ended: at its last snapshot or, where the process died, at
   * one that its files say it had reached.
   */
  async expectGoneOn(before: string, after: string, parallelism: number): Promise<JobCount> {
    const moved = await this.flink.waitForCount(after, ({ counted, restored }) => counted > restored);
    const counts = await this.flink.jobCounts(before);
    const last = counts.find(({ checkpoint }) => checkpoint === moved.restoredFrom);
    expect(moved).toMatchObject({ parallelism, restored: last?.counted, gaps: 0, repeats: 0 });
    return moved;
  }

  /** Expects that a job goes on counting, and was never restored. */
  async expectStillCounting(jobId: string): Promise<void> {
    const seen = (await this.flink.jobCounts(jobId)).at(-1)?.counted ?? 0;
    const count = await this.flink.waitForCount(jobId, ({ counted }) => counted > seen);
    expect(count).toMatchObject({ restored: 0, gaps: 0, repeats: 0 });
  }

  /** "Deployed=True/Deployed" for each condition, in their order. */
  async conditions(name = 'orders'): Promise<readonly string[]> {
    const { status } = await this.application(name);
    return (status?.conditions ?? []).map(({ type, status: word, reason }) => `${type}=${word}/${reason}`);
  }

  /** The message of one condition. */
  async message(type: string, name = 'orders'): Promise<string | undefined> {
    const { status } = await this.application(name);
    return status?.conditions?.find((condition) => condition.type === type)?.message;
  }

  /** "Warning JobLost" for each Event on the application, in the order of their making. */
  async events(name = 'orders'): Promise<readonly string[]> {
    return (await this.eventObjects(name)).map(({ type, reason }) => `${type} ${reason}`);
  }

  /** The message of the last Event of that reason. */
  async lastEvent(reason: string, name = 'orders'): Promise<string | undefined> {
    return (await this.eventObjects(name)).findLast((event) => event.reason === reason)?.message;
  }

  /** Names of all Deployments and Services here. */
  async objects(): Promise<readonly string[]> {
    const paths = [
      `/apis/apps/v1/namespaces/${this.namespace}/deployments`,
      `/api/v1/namespaces/${this.namespace}/services`,
    ];
    const lists = await Promise.all(paths.map((path) => this.admin.send<List<Named>>('GET', path)));
    return lists.flatMap(({ items }) => items.map(({ metadata }) => metadata.name)).sort();
  }

  /** The jobs that a cluster of the application "orders" knows, and Flink's words for their states. */
  async jobStates(hash: string): Promise<ReadonlyMap<string, string>> {
    const { jobs } = await this.flink.askJobManager<{ jobs: readonly { id: string; status: string }[] }>(
      ...([`orders-${hash}`, 'GET', '/jobs'] as const),
    );
    return new Map(jobs.map(({ id, status }) => [id, status]));
  }

  /** Kills the process of a cluster's JobManager; its pod starts another. */
  async killJobManager(hash: string): Promise<void> {
    const pods = await this.flink.pods('flink-deployment-type=jobmanager');
    const pod = pods.find((name) => name.includes(hash));
    if (pod === undefined) throw new Error(`cluster ${hash} has no JobManager`);
    this.flink.killProcess(pod);
  }

  /** Names of all ControllerRevisions here. */
  async revisions(): Promise<readonly string[]> {
    const path = `/apis/apps/v1/namespaces/${this.namespace}/controllerrevisions`;
    const { items } = await this.admin.send<List<Named>>('GET', path);
    return items.map(({ metadata }) => metadata.name);
  }

  /** Ends all pods at once, where many tests share the scene: the next ones need the processors. */
  async close(): Promise<void> {
    await this.flink.close();
  }

  get #collection(): string {
    return `/apis/flink.k8s.io/v1beta1/namespaces/${this.namespace}/flinkapplications`;
  }

  #open(): { cluster: Cluster; close: () => void } {
    const { endpoint, certificateAuthority } = this.#world.controlPlane;
    const cluster = openCluster(clusterName, {
      endpoint,
      certificateAuthority: Buffer.from(certificateAuthority, 'base64'),
      credentials: eksTokenCredentials({ cluster: clusterName, region: 'eu-west-1', credentials: eksCredentials }),
    });
    return { cluster, close: () => cluster.client.close() };
  }

  /** The Events on the application, in the order in which they were last told. */
  async eventObjects(name = 'orders'): Promise<readonly EventObject[]> {
    const { items } = await this.admin.send<List<EventObject>>('GET', `/api/v1/namespaces/${this.namespace}/events`);
    return items
      .filter(({ involvedObject }) => involvedObject.kind === 'FlinkApplication' && involvedObject.name === name)
      .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion));
  }

  async #describe(): Promise<string> {
    const { items } = await this.admin.send<List<FlinkApplication>>('GET', this.#collection);
    const statuses = items.map(({ metadata, status }) => `${metadata.name}: ${JSON.stringify(status, undefined, 1)}`);
    const said = this.#log.slice(-20).map(({ message, data }) => `${message} ${JSON.stringify(data)}`);
    return [...statuses, ...said].join('\n');
  }
}

interface List<Item> {
  readonly items: readonly Item[];
}

interface Named {
  readonly metadata: { readonly name: string };
}

interface EventObject {
  readonly metadata: { readonly resourceVersion: string };
  readonly involvedObject: { readonly kind: string; readonly name: string };
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}
