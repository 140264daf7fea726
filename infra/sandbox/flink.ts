// Flink in the pretend cluster: a JobManager in each pod that is started as one, TaskManagers that look for theirs, the object store
// where snapshots lie, and what tests may do to all of them.
import type { Agenda } from './agenda.ts';
import { endpointsOf } from './endpoints.ts';
import type { Answer, SandboxRequest } from './exchange.ts';
import type { Flavour } from './flink-answers.ts';
import { countAt, isEnded, type Snapshot, statusOf } from './flink-job.ts';
import { type FlinkProperties, flinkProperties, propertyOf } from './flink-properties.ts';
import { type Election, electionOf, HighAvailability } from './high-availability.ts';
import type { ImageSettings, Images } from './images.ts';
import { JobManager } from './job-manager.ts';
import { defaultState } from './job-submission.ts';
import type { KubernetesObject } from './kinds.ts';
import { Ledger, type LedgerView } from './ledger.ts';
import { idleNano, type LoadPoint, loadAt, loadCurve, sampleMs } from './load.ts';
import { podMetrics } from './pods.ts';
import type { Store } from './store.ts';
import type { Process, Workloads } from './workloads.ts';

interface Cluster {
  readonly process: Process;
  readonly properties: FlinkProperties;
  readonly jobManager: JobManager;
  /** With high availability. */
  readonly election: Election | undefined;
  /** Tells this process from an earlier one in the same pod. */
  readonly number: number;
}

interface TaskManager {
  readonly id: string;
  readonly process: Process;
  readonly properties: FlinkProperties;
  /** Where it is registered. */
  cluster: Cluster | undefined;
  /** From which JobManager the libraries of a job came, by the job's id. */
  readonly libraries: Map<string, string>;
}

export interface JobView {
  /** Name of the JobManager's Deployment. */
  readonly cluster: string;
  readonly id: string;
  readonly state: string;
  readonly parallelism: number;
  /** How often it was begun anew after a failure. */
  readonly restarts: number;
  /** Records counted by now. */
  readonly count: number;
}

export interface FailureOptions {
  readonly cause?: string;
  /** Whether the job is not begun anew, whatever its restart strategy; default false. */
  readonly isFatal?: boolean;
}

export interface SavepointSetting {
  readonly path: string;
  readonly count: number;
  /** Epoch milliseconds; default now. */
  readonly time?: number;
  /** Max parallelism of each vertex with state, by id; default those of a job whose jar nobody described. */
  readonly vertices?: Readonly<Record<string, number>>;
}

interface FlinkParts {
  readonly store: Store;
  readonly agenda: Agenda;
  readonly workloads: Workloads;
  readonly images: Images;
}

const reactionMs = 1000;

export class Flink {
  readonly #store: Store;
  readonly #agenda: Agenda;
  readonly #workloads: Workloads;
  readonly #images: Images;
  /** By "namespace/pod". */
  readonly #clusters = new Map<string, Cluster>();
  readonly #taskManagers = new Map<string, TaskManager>();
  readonly #processes = new Map<string, Process>();
  readonly #storage = new Map<string, Snapshot>();
  readonly #ledgers = new Map<string, Ledger>();
  readonly #loads = new Map<string, readonly LoadPoint[]>();
  readonly #highAvailability: HighAvailability;
  /** JobManagers that would lead, were another one not leading already, by "namespace/pod". */
  readonly #standbys = new Map<string, Process>();
  #started = 0;

  constructor({ store, agenda, workloads, images }: FlinkParts) {
    this.#store = store;
    this.#agenda = agenda;
    this.#workloads = workloads;
    this.#images = images;
    this.#highAvailability = new HighAvailability(store);
    workloads.subscribe((process, isUp) => (isUp ? this.#start(process) : this.#stop(process)));
    store.subscribe(({ kind, namespace }) => {
      if (kind === 'Service') this.#connectSoon(namespace, reactionMs);
      // A leader keeps its ConfigMap; which jobs it had is lost with the one that was deleted.
      if (kind === 'ConfigMap')
        this.#agenda.at(this.#agenda.now() + reactionMs, 'elections', () => this.#renewElections());
    });
  }

  /** Says what is in an image; fields that are not given stay as they were said before. */
  image(name: string, settings: ImageSettings): void {
    this.#images.set(name, settings);
  }

  /** Milli-cores of work that arrive for an application, shared by the TaskManagers on which its jobs run. */
  setLoad(namespace: string, application: string, loadMilli: number | readonly LoadPoint[]): void {
    this.#loads.set(keyOf(namespace, application), loadCurve(loadMilli));
  }

  /** What became of an application's jobs so far. */
  ledger(namespace: string, application: string): LedgerView {
    return this.#ledgerOf(keyOf(namespace, application)).view(this.#agenda.now());
  }

  /** The jobs that the application's JobManagers know, ended ones too, by cluster, the newest first. */
  jobs(namespace: string, application: string): readonly JobView[] {
    return this.#clustersOf(namespace, application).flatMap(({ process, jobManager }) =>
      jobManager.jobs.map((job) => ({
        cluster: deploymentOf(process),
        id: job.settings.id,
        state: statusOf(job),
        parallelism: Math.max(0, ...Object.values(job.parallelism)),
        restarts: job.restarts,
        count: countAt(job, this.#agenda.now()),
      })),
    );
  }

  /** Lets a task of the application's newest job fail. */
  failJob(
    namespace: string,
    application: string,
    { cause = 'told to fail', isFatal = false }: FailureOptions = {},
  ): void {
    const { cluster, id } = this.#liveJob(namespace, application);
    cluster.jobManager.fail(id, cause, isFatal);
    this.#look(cluster);
  }

  /** Cancels the application's newest job, as somebody at Flink's own page would. */
  cancelJob(namespace: string, application: string): void {
    const { cluster, id } = this.#liveJob(namespace, application);
    cluster.jobManager.cancel(id);
    this.#look(cluster);
  }

  /** Kills a JobManager's process, by the hash of its cluster or a Service before it. It comes up again without its jobs. */
  killJobManager(namespace: string, hashOrService: string): void {
    const service = this.#store.get('Service', namespace, hashOrService);
    const podNames = service ? endpointsOf(this.#store, service).map(({ metadata }) => metadata.name) : [];
    const cluster = [...this.#clusters.values()].find(
      ({ process }) =>
        process.namespace === namespace &&
        (podNames.includes(process.podName) || process.labels['flink-app-hash'] === hashOrService),
    );
    if (!cluster) throw new Error(`no JobManager is up behind ${namespace}/${hashOrService}`);
    this.#workloads.kill(namespace, cluster.process.podName);
  }

  /** Kills a TaskManager's process; it comes up again in the same pod. */
  killTaskManager(namespace: string, podName: string): void {
    this.#workloads.kill(namespace, podName);
  }

  /** Puts a savepoint into the object store. */
  putSavepoint({ path, count, time = this.#agenda.now(), vertices = defaultState }: SavepointSetting): void {
    this.#storage.set(path, { path, id: 1, isSavepoint: true, count, time, jobId: '0'.repeat(32), vertices });
  }

  /** Takes a savepoint or checkpoint out of the object store. */
  removeSnapshot(path: string): void {
    this.#storage.delete(path);
  }

  /** Savepoints and checkpoints in the object store, in the order in which they were put there. */
  snapshots(): readonly Snapshot[] {
    return [...this.#storage.values()];
  }

  /** What listens at a port of a pod answers; undefined where nothing does. */
  answer({ metadata }: KubernetesObject, port: number, request: SandboxRequest): Answer | undefined {
    const key = keyOf(metadata.namespace ?? '', metadata.name);
    const standby = this.#standbys.get(key);
    const cluster = standby ? this.#leaderFor(standby) : this.#clusters.get(key);
    if (!cluster || restPortOf(cluster.properties) !== port) return undefined;
    const answer = cluster.jobManager.answer(request);
    this.#look(cluster);
    return answer;
  }

  #start(process: Process): void {
    const key = keyOf(process.namespace, process.podName);
    this.#processes.set(key, process);
    this.#agenda.at(nextSampleTime(this.#agenda.now()), 'measure', () => this.#measure());
    const { env, args } = process;
    const properties = flinkProperties(env);
    const [role] = args;
    if (role === 'jobmanager') this.#startJobManager(key, process, properties);
    if (role !== 'taskmanager') return;
    const taskManager = {
      id: `${process.ip}:6122-${process.podName.slice(-5)}`,
      process,
      properties,
      cluster: undefined,
      libraries: new Map<string, string>(),
    };
    this.#taskManagers.set(key, taskManager);
    this.#connectSoon(process.namespace);
  }

  #startJobManager(key: string, process: Process, properties: FlinkProperties): void {
    const election = electionOf(process.namespace, properties, this.#flavourOf(process));
    if (election && this.#leaderOf(election)) {
      this.#standbys.set(key, process);
      return;
    }
    this.#started += 1;
    const number = this.#started;
    const { image } = process;
    // With high availability a successor has the jars of the one before it, under their keys.
    const libraries = election?.key ?? String(number);
    const ledger = this.#ledgerOf(applicationOf(process));
    const jobManager = new JobManager({
      image,
      flavour: this.#flavourOf(process),
      properties,
      images: this.#images,
      storage: this.#storage,
      now: () => this.#agenda.now(),
      exit: () => this.#workloads.kill(process.namespace, process.podName),
      takesTasks: (taskManager, jobId) => this.#takesTasks(taskManager, jobId, libraries),
      onChange: (job, submission) => {
        ledger.record(`${number}/${job.settings.id}`, { cluster: deploymentOf(process), image, submission, job });
        if (isEnded(job)) this.#releaseLibraries(job.settings.id, libraries);
        if (election) this.#highAvailability.keep(election, job, submission);
      },
      kept: election ? this.#highAvailability.jobsOf(election) : [],
    });
    if (election) this.#highAvailability.lead(election);
    this.#clusters.set(key, { process, properties, jobManager, election, number });
    this.#connectSoon(process.namespace);
  }

  /**
   * A JobManager process stores the same jar under another key than the one before it, and a TaskManager takes one set of libraries
   * for a job. A real one forgets a job some time after it has lost its JobManager; this one never does, which is the worst case.
   */
  #takesTasks(id: string, jobId: string, libraries: string): boolean {
    const taskManager = [...this.#taskManagers.values()].find((candidate) => candidate.id === id);
    if (!taskManager) return true;
    const known = taskManager.libraries.get(jobId);
    if (known === undefined) taskManager.libraries.set(jobId, libraries);
    return known === undefined || known === libraries;
  }

  #releaseLibraries(jobId: string, libraries: string): void {
    for (const { libraries: held } of this.#taskManagers.values())
      if (held.get(jobId) === libraries) held.delete(jobId);
  }

  #leaderOf({ key }: Election): Cluster | undefined {
    return [...this.#clusters.values()].find(({ election }) => election?.key === key);
  }

  #leaderFor(process: Process): Cluster | undefined {
    const { namespace, env } = process;
    const election = electionOf(namespace, flinkProperties(env), this.#flavourOf(process));
    return election && this.#leaderOf(election);
  }

  #renewElections(): void {
    for (const { election } of this.#clusters.values()) if (election) this.#highAvailability.lead(election);
  }

  /** The JobManager that takes over where another one led. */
  #succeed({ key }: Election): void {
    const [successor] = [...this.#standbys].filter(
      ([, standby]) =>
        electionOf(standby.namespace, flinkProperties(standby.env), this.#flavourOf(standby))?.key === key,
    );
    if (!successor) return;
    const [podKey, standby] = successor;
    this.#standbys.delete(podKey);
    this.#startJobManager(podKey, standby, flinkProperties(standby.env));
  }

  #stop(process: Process): void {
    const key = keyOf(process.namespace, process.podName);
    this.#processes.delete(key);
    this.#standbys.delete(key);
    const cluster = this.#clusters.get(key);
    if (cluster) this.#stopJobManager(key, cluster);
    const taskManager = this.#taskManagers.get(key);
    if (!taskManager) return;
    this.#taskManagers.delete(key);
    if (!taskManager.cluster) return;
    taskManager.cluster.jobManager.unregister(taskManager.id);
    this.#look(taskManager.cluster);
  }

  #stopJobManager(key: string, cluster: Cluster): void {
    const { jobManager, process, number } = cluster;
    jobManager.look();
    const keys = jobManager.jobs.map(({ settings }) => `${number}/${settings.id}`);
    this.#ledgerOf(applicationOf(process)).lose(keys, this.#agenda.now());
    this.#clusters.delete(key);
    for (const taskManager of this.#taskManagers.values())
      if (taskManager.cluster === cluster) taskManager.cluster = undefined;
    if (cluster.election) this.#succeed(cluster.election);
  }

  /** Once for all processes that come up at one time. */
  #connectSoon(namespace: string, delayMs = 0): void {
    this.#agenda.at(this.#agenda.now() + delayMs, `connect ${namespace}`, () => this.#connectAll(namespace));
  }

  #connectAll(namespace: string): void {
    for (const taskManager of this.#taskManagers.values())
      if (taskManager.process.namespace === namespace) this.#connect(taskManager);
  }

  /** A TaskManager finds its JobManager and then stays with it. */
  #connect(taskManager: TaskManager): void {
    const { id, process, properties } = taskManager;
    const cluster = taskManager.cluster ? undefined : this.#jobManagerFor(taskManager);
    if (!cluster) return;
    taskManager.cluster = cluster;
    const slots = Number(properties['taskmanager.numberOfTaskSlots'] ?? 1);
    cluster.jobManager.register({ id, ip: process.ip, slots });
    this.#look(cluster);
  }

  /** Through the Service that its configuration names; with high availability the one that leads. */
  #jobManagerFor({ process, properties }: TaskManager): Cluster | undefined {
    const election = electionOf(process.namespace, properties, this.#flavourOf(process));
    if (election) return this.#leaderOf(election);
    const [name = ''] = (properties['jobmanager.rpc.address'] ?? '').split('.');
    const service = this.#store.get('Service', process.namespace, name);
    const pods = service ? endpointsOf(this.#store, service) : [];
    return pods.flatMap(({ metadata }) => this.#clusters.get(keyOf(process.namespace, metadata.name)) ?? [])[0];
  }

  #look(cluster: Cluster): void {
    const key = keyOf(cluster.process.namespace, cluster.process.podName);
    if (this.#clusters.get(key) !== cluster) return;
    const next = cluster.jobManager.look();
    this.#agenda.at(next, `jobmanager ${key} ${cluster.number}`, () => this.#look(cluster));
  }

  #flavourOf({ namespace, image, env, labels }: Process): Flavour {
    const application = this.#store.get('FlinkApplication', namespace, labels['flink-app'] ?? '');
    const version = this.#images.get(image).flinkVersion ?? env.FLINK_VERSION ?? application?.spec?.flinkVersion;
    return String(version).startsWith('2') ? '2.3.0' : '1.20.3';
  }

  #clustersOf(namespace: string, application: string): readonly Cluster[] {
    const key = keyOf(namespace, application);
    return [...this.#clusters.values()].filter(({ process }) => applicationOf(process) === key);
  }

  #liveJob(namespace: string, application: string): { readonly cluster: Cluster; readonly id: string } {
    const live = this.#clustersOf(namespace, application).flatMap((cluster) =>
      cluster.jobManager.jobs.filter((job) => !isEnded(job)).map((job) => ({ cluster, job })),
    );
    const submitted = ({ job }: (typeof live)[number]) => job.timestamps.INITIALIZING ?? 0;
    const [newest] = live.sort((a, b) => submitted(b) - submitted(a));
    if (!newest) throw new Error(`no job of ${namespace}/${application} is alive`);
    return { cluster: newest.cluster, id: newest.job.settings.id };
  }

  #ledgerOf(application: string): Ledger {
    const ledger = this.#ledgers.get(application) ?? new Ledger();
    this.#ledgers.set(application, ledger);
    return ledger;
  }

  /** What metrics-server does every 15 s. */
  #measure(): void {
    if (this.#processes.size === 0) return;
    const time = this.#agenda.now();
    this.#agenda.at(time + sampleMs, 'measure', () => this.#measure());
    const shares = this.#sharesOfLoad(time);
    for (const [key, { namespace, podName: name, labels, container, others }] of this.#processes) {
      const usageNano = shares.get(key) ?? idleNano;
      const sidecars = others.filter(({ isInit }) => !isInit).map((other) => other.name);
      this.#store.put(podMetrics({ namespace, name, labels, time, usageNano, container, sidecars }));
    }
  }

  /** Nano-cores of each TaskManager at work, by "namespace/pod". */
  #sharesOfLoad(time: number): ReadonlyMap<string, number> {
    const busy = [...this.#clusters.values()].map((cluster) => [cluster, cluster.jobManager.busyTaskManagers] as const);
    const busyIds = new Map(busy);
    const atWork = [...this.#taskManagers].filter(([, { cluster, id }]) => cluster && busyIds.get(cluster)?.has(id));
    const counts = new Map<string, number>();
    for (const [, { process }] of atWork)
      counts.set(applicationOf(process), (counts.get(applicationOf(process)) ?? 0) + 1);
    return new Map(
      atWork.map(([key, { process }]) => {
        const application = applicationOf(process);
        const load = loadAt(this.#loads.get(application) ?? [], time) / (counts.get(application) ?? 1);
        // A TaskManager at work idles no less than one that is not.
        const usage = Math.max(Math.min(load, milliOf(process.cpuLimit)) * nanoPerMilli, idleNano);
        return [key, Math.round(usage)];
      }),
    );
  }
}

const nanoPerMilli = 1_000_000;

/** "namespace/application" */
function applicationOf({ namespace, labels }: Process): string {
  return keyOf(namespace, labels['flink-app'] ?? '');
}

/** The pod's name without the two parts that make it unique. */
function deploymentOf({ podName }: Process): string {
  return podName.split('-').slice(0, -2).join('-');
}

function restPortOf(properties: FlinkProperties): number {
  return Number(propertyOf(properties, 'rest.port', 'jobmanager.web.port') ?? 8081);
}

function nextSampleTime(now: number): number {
  return (Math.floor(now / sampleMs) + 1) * sampleMs;
}

/** "500m" or "2" in milli-cores; without a limit whatever is needed. */
function milliOf(quantity: string | undefined): number {
  if (quantity === undefined) return Number.POSITIVE_INFINITY;
  return quantity.endsWith('m') ? Number(quantity.slice(0, -1)) : Number(quantity) * 1000;
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
