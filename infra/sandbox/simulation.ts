// Holds the simulated jobs and keeps the store's objects as they say. It plays the operator, the kubelets and metrics-server, and
// only for applications that were given to it; all others are left to whoever put them there.
import { createHash } from 'node:crypto';
import { valueAt } from './kinds.ts';
import { type LoadPoint, loadCurve } from './load.ts';
import { podMetrics, taskManagerLabels, taskManagerPod } from './pods.ts';
import {
  type JobInput,
  type JobState,
  nextChangeTime,
  operatorStatus,
  type PodPhase,
  phaseOf,
  startJob,
  stepJob,
} from './simulate.ts';
import type { Store } from './store.ts';

export interface ApplicationSettings {
  readonly namespace: string;
  readonly name: string;
  /** Milli-cores for the whole application: always the same, or a curve. */
  readonly loadMilli: number | readonly LoadPoint[];
  /** Of each TaskManager, milli-cores; default 1000. */
  readonly cpuRequestMilli?: number;
  /** Of each TaskManager, milli-cores; no limit by default. */
  readonly cpuLimitMilli?: number;
  /** From creation of a TaskManager to Ready; default 10. */
  readonly startSeconds?: number;
  /** How long the first TaskManagers have been there already; default 3600. */
  readonly runningForSeconds?: number;
  /** Of the FlinkApplication that is made when there is none of that name; default 4 and 2. */
  readonly parallelism?: number;
  readonly taskSlots?: number;
  /** Its taskManagerConfig.replicas; absent by default, as users write it. */
  readonly replicas?: number;
}

interface Job {
  readonly settings: ApplicationSettings;
  readonly podDeploymentSelector: string;
  /** What the operator last read of the application; undefined when it is gone. */
  input: JobInput | undefined;
  state: JobState;
  /** Pods as they were last written, so that only what differs is written again. */
  readonly written: Map<string, PodPhase>;
  writtenSampleTime: number;
  nextTime: number;
}

/** From a change of an application's spec until its operator acts on it: nobody else writes in the instant of a write. */
const reactionSeconds = 1;

export class Simulation {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #jobs = new Map<string, Job>();
  /** Applications somebody wrote to, and when their operator will have noticed. */
  readonly #touched = new Map<string, number>();
  #nextTime = Number.POSITIVE_INFINITY;
  #isWriting = false;

  /** @param now the sandbox's time, epoch milliseconds */
  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
    store.subscribe(({ kind, namespace, name }) => {
      if (kind === 'FlinkApplication' && !this.#isWriting) this.#touch(keyOf({ namespace, name }));
    });
  }

  /** Runs an application from now on; makes its FlinkApplication if there is none. Its first TaskManagers are Ready at once. */
  addApplication(settings: ApplicationSettings): void {
    const { namespace, name } = settings;
    if (!this.#store.get('FlinkApplication', namespace, name)) this.#store.put(flinkApplication(settings));
    const input = this.#inputOf(settings) as JobInput;
    const createdTime = this.#now() - (settings.runningForSeconds ?? 3600) * 1000;
    const podDeploymentSelector = shortHash(`${namespace}/${name}`);
    const jobSettings = {
      load: loadCurve(settings.loadMilli),
      ...(settings.cpuLimitMilli !== undefined && { cpuLimitMilli: settings.cpuLimitMilli }),
      startSeconds: settings.startSeconds ?? 10,
      podNamePrefix: `${name}-${podDeploymentSelector}-tm-${shortHash(name)}`,
    };
    const state = startJob(jobSettings, input, createdTime, this.#now());
    const job = {
      settings,
      podDeploymentSelector,
      input,
      state,
      written: new Map(),
      writtenSampleTime: 0,
      nextTime: 0,
    };
    this.#jobs.set(keyOf(settings), job);
    this.#step(job);
    this.#nextTime = Math.min(this.#nextTime, job.nextTime);
  }

  /** Changes the work that arrives from now on. */
  setLoad(namespace: string, name: string, loadMilli: number | readonly LoadPoint[]): void {
    const job = this.#jobs.get(keyOf({ namespace, name }));
    if (!job) throw new Error(`the simulation has no application ${namespace}/${name}`);
    this.catchUp();
    const settings = { ...job.state.settings, load: loadCurve(loadMilli) };
    job.state = { ...job.state, settings };
  }

  /** Brings every job that was written to, or is due to change, to the sandbox's present. */
  catchUp(): void {
    const now = this.#now();
    if (now < this.#nextTime) return;
    for (const [key, job] of this.#jobs) {
      const noticedTime = this.#touched.get(key) ?? Number.POSITIVE_INFINITY;
      if (noticedTime <= now) {
        this.#touched.delete(key);
        job.input = this.#inputOf(job.settings);
        job.state = stepJob(job.state, job.input, noticedTime);
      }
      if (noticedTime <= now || job.nextTime <= now) this.#step(job);
    }
    this.#nextTime = Math.min(...[...this.#jobs.values()].map((job) => job.nextTime), ...this.#touched.values());
  }

  #touch(key: string): void {
    if (!this.#jobs.has(key) || this.#touched.has(key)) return;
    const noticedTime = this.#now() + reactionSeconds * 1000;
    this.#touched.set(key, noticedTime);
    this.#nextTime = Math.min(this.#nextTime, noticedTime);
  }

  #step(job: Job): void {
    const now = this.#now();
    this.#isWriting = true;
    job.state = stepJob(job.state, job.input, now);
    job.nextTime = nextChangeTime(job.state, now);
    this.#writePods(job, now);
    this.#writeMetrics(job);
    this.#writeStatus(job, now);
    this.#isWriting = false;
  }

  #inputOf({ namespace, name }: ApplicationSettings): JobInput | undefined {
    const object = this.#store.get('FlinkApplication', namespace, name);
    if (!object) return undefined;
    return {
      parallelism: Number(object.spec?.parallelism ?? 1),
      taskSlots: Number(valueAt(object, ['spec', 'taskManagerConfig', 'taskSlots']) ?? 16),
      replicas: valueAt(object, ['spec', 'taskManagerConfig', 'replicas']) as number | undefined,
    };
  }

  #writePods(job: Job, now: number): void {
    const { settings, podDeploymentSelector, state, written } = job;
    const { namespace } = settings;
    const names = new Set(state.taskManagers.map(({ podName }) => podName));
    for (const podName of written.keys()) {
      if (names.has(podName)) continue;
      written.delete(podName);
      this.#store.remove('Pod', namespace, podName);
      this.#store.remove('PodMetrics', namespace, podName);
    }
    for (const taskManager of state.taskManagers) {
      const phase = phaseOf(taskManager, state.settings, now);
      if (written.get(taskManager.podName) === phase) continue;
      written.set(taskManager.podName, phase);
      this.#store.put(
        taskManagerPod({
          namespace,
          name: taskManager.podName,
          application: settings.name,
          podDeploymentSelector,
          createdTime: taskManager.createdTime,
          readyTime: taskManager.createdTime + state.settings.startSeconds * 1000,
          phase,
          cpuRequestMilli: settings.cpuRequestMilli ?? 1000,
          ...(settings.cpuLimitMilli !== undefined && { cpuLimitMilli: settings.cpuLimitMilli }),
        }),
      );
    }
  }

  #writeMetrics(job: Job): void {
    const { settings, podDeploymentSelector, state, written } = job;
    const { time, usageNano } = state.sample;
    if (time === job.writtenSampleTime) return;
    job.writtenSampleTime = time;
    const labels = taskManagerLabels(settings.name, podDeploymentSelector);
    for (const [name, nano] of Object.entries(usageNano))
      if (written.has(name))
        this.#store.put(podMetrics({ namespace: settings.namespace, name, labels, time, usageNano: nano }));
  }

  #writeStatus(job: Job, now: number): void {
    const { namespace, name } = job.settings;
    const object = this.#store.get('FlinkApplication', namespace, name);
    if (!object || !job.input) return;
    const labels = taskManagerLabels(name, job.podDeploymentSelector);
    const { clusterStatus, jobStatus } = operatorStatus(job.state, job.input, now);
    const status = {
      // A phase that is there already was set by a test or a scenario on purpose.
      phase: 'Running',
      ...object.status,
      selector: Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
      clusterStatus,
      jobStatus: { ...(object.status?.jobStatus as object | undefined), ...jobStatus },
    };
    this.#store.put({ ...object, status });
  }
}

function flinkApplication(settings: ApplicationSettings) {
  const { namespace, name, parallelism = 4, taskSlots = 2, replicas, cpuRequestMilli = 1000, cpuLimitMilli } = settings;
  return {
    apiVersion: 'flink.k8s.io/v1beta1',
    kind: 'FlinkApplication',
    metadata: { name, namespace },
    spec: {
      image: 'registry.example.com/streaming/orders:1.20.3',
      flinkVersion: '1.20',
      deleteMode: 'None',
      jarName: 'job.jar',
      entryClass: 'com.example.Job',
      parallelism,
      flinkConfig: { 'taskmanager.network.memory.fraction': '0.1' },
      taskManagerConfig: {
        taskSlots,
        ...(replicas !== undefined && { replicas }),
        resources: {
          requests: { cpu: `${cpuRequestMilli}m`, memory: '1Gi' },
          limits: { ...(cpuLimitMilli !== undefined && { cpu: `${cpuLimitMilli}m` }), memory: '1Gi' },
        },
      },
    },
  };
}

/** Eight characters a-z0-9. */
function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
