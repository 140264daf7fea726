// A sandbox in which applications are deployed, and rounds that deploy them: what a test asks of it, in the words of a deploy.

import type { JarSettings } from '../../infra/sandbox/images.ts';
import type { KubernetesObject } from '../../infra/sandbox/kinds.ts';
import type { LedgerView } from '../../infra/sandbox/ledger.ts';
import { type Sandbox, startSandbox } from '../../infra/sandbox/server.ts';
import { type Cluster, type Log, openCluster } from '../../shared/control-plane.ts';
import { type ReconcileReport, reconcileShard } from '../../shared/controllers/reconcile.ts';
import type { ApplicationSpec, ApplicationStatus, Phase } from '../../shared/deployment/types.ts';
import type { CallLimits, RemoveOptions } from '../../shared/kubernetes/client.ts';
import { FLINK_APPLICATIONS, objectPath } from '../../shared/kubernetes/paths.ts';
import { patchScale, readScale } from '../../shared/kubernetes/scale.ts';
import { NAMESPACE, START } from './sandbox.ts';

export { NAMESPACE };

/** From one round to the next. */
export const STEP_SECONDS = 2;

export const IMAGE = 'orders:1';
export const NEXT_IMAGE = 'orders:2';

/** What a test says of an application. The rest: parallelism 4 on two TaskManagers, checkpoints every 10 s that are kept. */
export type SpecOptions = Omit<Partial<ApplicationSpec>, 'flinkConfig'> & {
  /** Laid over the usual one; undefined takes a line away. */
  readonly flinkConfig?: Readonly<Record<string, unknown>>;
};

const FLINK_CONFIG = {
  'state.savepoints.dir': 's3://state/savepoints',
  'state.checkpoints.dir': 's3://state/checkpoints',
  'execution.checkpointing.interval': '10s',
  'execution.checkpointing.externalized-checkpoint-retention': 'RETAIN_ON_CANCELLATION',
};

function aSpec({ flinkConfig, taskManagerConfig, ...spec }: SpecOptions = {}): Record<string, unknown> {
  return {
    image: IMAGE,
    jarName: 'orders.jar',
    entryClass: 'com.example.Orders',
    parallelism: 4,
    flinkVersion: '1.20',
    flinkConfig: { ...FLINK_CONFIG, ...flinkConfig },
    taskManagerConfig: { taskSlots: 2, ...taskManagerConfig },
    ...spec,
  };
}

/** JobManagers keep their jobs in ConfigMaps. */
export const HIGHLY_AVAILABLE = {
  'high-availability.type': 'kubernetes',
  'high-availability.storageDir': 's3://state/ha',
};

/** Flink's scheduler that follows its TaskManagers. */
export const ADAPTIVE = { 'jobmanager.scheduler': 'adaptive' };

/** An application named orders that has been deployed by rounds, and runs. Its job just runs, unless it is described. */
export async function aDeployedApplication(spec: SpecOptions = {}, jar?: JarSettings): Promise<Deployments> {
  const deployments = await anApplication(spec);
  if (jar) deployments.describeJar(IMAGE, jar);
  await deployments.roundsUntil('Running');
  return deployments;
}

/** One that is deployed as BlueGreen and then got another image: both versions run until one of them is torn down. */
export async function aDualRunningApplication(spec: SpecOptions = {}): Promise<Deployments> {
  const deployments = await aDeployedApplication({ deploymentMode: 'BlueGreen', ...spec });
  deployments.changeImage();
  await deployments.roundsUntil('DualRunning');
  return deployments;
}

/** An application named orders as its user has just written it. */
export async function anApplication(spec: SpecOptions = {}): Promise<Deployments> {
  const deployments = await noDeployments();
  deployments.add(spec);
  return deployments;
}

/** An empty cluster, whose pods start in two seconds and end in one. */
export async function noDeployments(): Promise<Deployments> {
  const sandbox = await startSandbox({ now: START, namespace: NAMESPACE });
  sandbox.workloads.configure({ startSeconds: 2, terminationSeconds: 1 });
  return new Deployments(sandbox);
}

/** Application orders has been deleted, and no finalizer holds it any longer. */
export function isGone(deployments: Deployments): boolean {
  return deployments.find() === undefined;
}

/** Every method that takes a name means the application of that name in namespace flink; default "orders". */
export class Deployments {
  readonly sandbox: Sandbox;
  /** What rounds have logged as a warning or an error. */
  readonly warnings: string[] = [];
  readonly #phases = new Map<string, string[]>();

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    sandbox.store.subscribe(({ kind, name, after }) => {
      if (kind === 'FlinkApplication') this.#notePhase(name, (after?.status as ApplicationStatus | undefined)?.phase);
    });
  }

  /** Writes an application as its user does. */
  add(spec: SpecOptions = {}, name = 'orders'): void {
    this.sandbox.store.put({
      apiVersion: 'flink.k8s.io/v1beta1',
      kind: 'FlinkApplication',
      metadata: { namespace: NAMESPACE, name },
      spec: aSpec(spec),
    });
  }

  /** How jobs of this image behave that are submitted from now on. */
  describeJar(image: string, jar: JarSettings): void {
    this.sandbox.flink.image(image, { jars: { 'orders.jar': jar } });
  }

  /** One round over the whole shard, by a process that has just begun. */
  round({ id = 'only', only, limits, namespaces = [] }: RoundOptions = {}): Promise<ReconcileReport> {
    const { clock } = this.sandbox;
    const log: Log = { info: () => {}, warn: this.#warn, error: this.#warn };
    return this.#withCluster(
      (cluster) =>
        reconcileShard({ now: async () => clock.now(), log }, cluster, namespaces, only === undefined ? {} : { only }),
      { id, limits },
    );
  }

  /** A round, then two seconds pass; so often that this many seconds have passed. */
  async rounds(seconds: number, options: RoundOptions = {}): Promise<void> {
    for (let passed = 0; passed < seconds; passed += STEP_SECONDS) {
      await this.round(options);
      this.sandbox.clock.advance(STEP_SECONDS);
    }
  }

  /**
   * Rounds, two seconds apart, until something holds: a phase of orders, or what the test asks.
   *
   * @throws Error when it does not hold within `seconds`, default 300
   */
  async roundsUntil(
    wanted: Phase | ((deployments: Deployments) => boolean),
    { seconds = 300, ...options }: RoundOptions & { readonly seconds?: number } = {},
  ): Promise<void> {
    const holds = typeof wanted === 'function' ? wanted : () => this.status().phase === wanted;
    for (let passed = 0; passed <= seconds; passed += STEP_SECONDS) {
      await this.round(options);
      if (holds(this)) return;
      this.sandbox.clock.advance(STEP_SECONDS);
    }
    const seen = JSON.stringify({ status: this.find()?.status, jobs: this.jobs(), warnings: this.warnings.slice(-5) });
    throw new Error(`${typeof wanted === 'function' ? wanted : `phase ${wanted}`} not within ${seconds} s: ${seen}`);
  }

  /** Changes the spec as its user does. */
  edit(change: (spec: ApplicationSpec) => object, name = 'orders'): void {
    const application = this.application(name);
    const spec = change(application.spec as unknown as ApplicationSpec);
    this.sandbox.store.put({ ...application, spec: { ...spec } });
  }

  /**
   * Replaces the object as `kubectl replace` does: spec and metadata are those of the manifest and no others. The status has a
   * writer of its own, and stays.
   */
  replace(
    manifest: (spec: ApplicationSpec) => object,
    metadata: Partial<KubernetesObject['metadata']> = {},
    name = 'orders',
  ): void {
    const { apiVersion, kind, spec, status } = this.application(name);
    this.sandbox.store.put({
      apiVersion,
      kind,
      metadata: { namespace: NAMESPACE, name, ...metadata },
      spec: { ...manifest(spec as unknown as ApplicationSpec) },
      ...(status && { status }),
    });
  }

  /** Wants another image, which is the commonest reason for a deploy. */
  changeImage(image = NEXT_IMAGE): void {
    this.edit((spec) => ({ ...spec, image }));
  }

  /** Lays this over the metadata, as tools beside its user do. */
  writeMetadata(metadata: Partial<KubernetesObject['metadata']>, name = 'orders'): void {
    const application = this.application(name);
    this.sandbox.store.put({ ...application, metadata: { ...application.metadata, ...metadata } });
  }

  /** Lays this over the status, as another writer of it does. */
  writeStatus(status: object, name = 'orders'): void {
    const application = this.application(name);
    this.sandbox.store.put({ ...application, status: { ...application.status, ...status } });
  }

  /** Writes a size through the scale subresource, as kubectl and autoscalers do. */
  async scale(replicas: number, name = 'orders'): Promise<void> {
    await this.#withCluster(async ({ client }) => {
      const target = await readScale(client, FLINK_APPLICATIONS, { namespace: NAMESPACE, name });
      await patchScale(client, target, replicas);
    });
  }

  /** What the scale subresource says: the size that is wanted, the pods there are, and how an HPA finds them. */
  readScale(name = 'orders') {
    return this.#withCluster(({ client }) => readScale(client, FLINK_APPLICATIONS, { namespace: NAMESPACE, name }));
  }

  /** Asks for an application to be deleted; it goes with its finalizers. */
  async delete(name = 'orders', options: RemoveOptions = {}): Promise<void> {
    await this.#withCluster(({ client }) =>
      client.remove(objectPath(FLINK_APPLICATIONS, { namespace: NAMESPACE, name }), options),
    );
  }

  /** @returns undefined when it is gone */
  find(name = 'orders'): KubernetesObject | undefined {
    return this.sandbox.store.get('FlinkApplication', NAMESPACE, name);
  }

  application(name = 'orders'): KubernetesObject {
    const application = this.find(name);
    if (application === undefined) throw new Error(`there is no FlinkApplication ${name}`);
    return application;
  }

  status(name = 'orders'): ApplicationStatus {
    return (this.application(name).status ?? {}) as ApplicationStatus;
  }

  /** "JobRunning True JobRunning" for each condition, in their order. */
  conditions(name = 'orders'): string[] {
    const { conditions = [] } = this.status(name);
    return conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`);
  }

  /** Every phase it has been in so far, one after the other; a phase that was left and entered again comes twice. */
  phases(name = 'orders'): readonly string[] {
    return this.#phases.get(name) ?? [];
  }

  /** "Normal JobSubmitted" for each Event, in the order of their creation. */
  events(name = 'orders'): string[] {
    return this.eventObjects(name).map(({ type, reason }) => `${type} ${reason}`);
  }

  eventObjects(name = 'orders'): KubernetesObject[] {
    const version = ({ metadata }: KubernetesObject) => Number(metadata.resourceVersion);
    return this.sandbox.store
      .list('Event')
      .filter(({ involvedObject }) => (involvedObject as { name?: string }).name === name)
      .sort((a, b) => version(a) - version(b));
  }

  /** What became of all jobs of the application so far. */
  ledger(name = 'orders'): LedgerView {
    return this.sandbox.flink.ledger(NAMESPACE, name);
  }

  /** Every job that was submitted so far, the newest last. */
  runs(name = 'orders'): LedgerView['runs'] {
    return this.ledger(name).runs;
  }

  lastRun(name = 'orders'): LedgerView['runs'][number] | undefined {
    return this.runs(name).at(-1);
  }

  /** What was saved so far and is still there, of any application, the newest last. */
  savepoints() {
    return this.sandbox.flink.snapshots().filter(({ isSavepoint }) => isSavepoint);
  }

  /** The jobs that JobManagers know, as they are at this instant. */
  jobs(name = 'orders') {
    return this.sandbox.flink.jobs(NAMESPACE, name);
  }

  /** Those of them that have not ended. */
  livingJobs(name = 'orders') {
    return this.jobs(name).filter(({ state }) => !['CANCELED', 'FAILED', 'FINISHED'].includes(state));
  }

  /** The names of an application's Deployments, sorted. */
  deployments(name = 'orders'): string[] {
    return this.#namesOf('Deployment', name);
  }

  services(name = 'orders'): string[] {
    return this.#namesOf('Service', name);
  }

  /** The names of what was pinned, sorted. */
  revisions(name = 'orders'): string[] {
    return this.#namesOf('ControllerRevision', name);
  }

  pods(name = 'orders'): string[] {
    return this.#namesOf('Pod', name);
  }

  /** The pods of the deployed cluster's TaskManagers. */
  taskManagers(name = 'orders'): string[] {
    const { deployHash } = this.status(name);
    return this.pods(name).filter((pod) => pod.includes(`-${deployHash}-`) && pod.includes('-tm-'));
  }

  /** The ConfigMaps in which JobManagers keep what they have, of any application, sorted. */
  configMaps(): string[] {
    return this.sandbox.store
      .list('ConfigMap')
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  /** How many pods its Deployments ask for. */
  wantedPods(name = 'orders'): number {
    return this.#objectsOf('Deployment', name).reduce((sum, { spec }) => sum + Number(spec?.replicas), 0);
  }

  /** The names of the pods that a selector selects, "key=value,key=value", sorted. */
  select(selector: string): string[] {
    const wanted = selector.split(',').map((requirement) => requirement.split('=') as [string, string]);
    return this.sandbox.store
      .list('Pod')
      .filter(({ metadata: { labels = {} } }) => wanted.every(([key, value]) => labels[key] === value))
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  /** Of the deployed cluster, unless another hash is named. */
  killJobManager(hash = this.status().deployHash, name = 'orders'): void {
    this.sandbox.flink.killJobManager(NAMESPACE, `${name}-${hash}`);
  }

  /** Of the deployed cluster; the first of them by name. */
  killTaskManager(name = 'orders'): void {
    const [pod] = this.taskManagers(name);
    if (pod === undefined) throw new Error(`${name} has no TaskManager`);
    this.sandbox.flink.killTaskManager(NAMESPACE, pod);
  }

  /** Submits the application's jar to one of its clusters under another id, as a person may do. */
  submitByHand(hash: string, jobId: string, name = 'orders'): Promise<unknown> {
    const path = `/api/v1/namespaces/${NAMESPACE}/services/${name}-${hash}:ui/proxy/jars/orders.jar/run`;
    return this.#withCluster(({ client }) => client.proxy({ verb: 'POST', path, body: { jobId, parallelism: 1 } }));
  }

  failJob({ name = 'orders', ...failure }: { name?: string; cause?: string; isFatal?: boolean } = {}): void {
    this.sandbox.flink.failJob(NAMESPACE, name, failure);
  }

  close(): Promise<void> {
    return this.sandbox.close();
  }

  readonly #warn = (message: string, data: Record<string, unknown>): void => {
    this.warnings.push(`${message}: ${JSON.stringify(data)}`);
  };

  #notePhase(name: string, phase: string | undefined): void {
    const phases = this.#phases.get(name) ?? [];
    if (phase !== undefined && phase !== phases.at(-1)) this.#phases.set(name, [...phases, phase]);
  }

  #namesOf(kind: string, application: string): string[] {
    return this.#objectsOf(kind, application)
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  #objectsOf(kind: string, application: string): KubernetesObject[] {
    return this.sandbox.store.list(kind).filter(({ metadata }) => metadata.labels?.['flink-app'] === application);
  }

  /** With a client of its own, whose retries do not wait. */
  async #withCluster<T>(act: (cluster: Cluster) => Promise<T>, { id = 'test', limits }: Caller = {}): Promise<T> {
    const { clusterName, url, token } = this.sandbox;
    const headers = { authorization: `Bearer ${token}`, 'x-tick': id };
    const cluster = openCluster(clusterName, {
      endpoint: url,
      credentials: { headers: async () => headers, renew: () => {} },
      sleep: async () => {},
      ...(limits && { limits }),
    });
    try {
      return await act(cluster);
    } finally {
      cluster.client.close();
    }
  }
}

interface Caller {
  readonly id?: string | undefined;
  readonly limits?: Partial<CallLimits> | undefined;
}

export interface RoundOptions extends Caller {
  /** namespace/name of the applications to look at; default all of them. */
  readonly only?: readonly string[] | undefined;
  /** Of the shard; default every one. */
  readonly namespaces?: readonly string[];
}
