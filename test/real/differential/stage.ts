// Puts the cases on a real API server: for each the pods, a target for the HPA controller and another for Headrace, both with the selector of
// those pods, and both autoscalers. Nobody plays the operator: pods and status stay as planned, whatever size is asked for.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { mapBounded } from '../../../shared/concurrency.ts';
import { type Cluster, openCluster } from '../../../shared/control-plane.ts';
import { type AutoscalerReport, scaleShard, type TickReport } from '../../../shared/controllers/scale.ts';
import { eksCredentials as eksTokenCredentials } from '../../../shared/kubernetes/auth.ts';
import { mergePatch } from '../bench/api-client.ts';
import { unauditedNamespace } from '../bench/audit-log.ts';
import { type ControlPlane, clusterName } from '../bench/control-plane.ts';
import { eksCredentials } from '../bench/eks-authenticator.ts';
import { eventually } from '../bench/eventually.ts';
import { type MetricsApi, startMetricsApi } from '../bench/metrics-api.ts';
import { type MetricQuestion, type MetricsAnswers, metricValueList } from '../bench/metrics-values.ts';
import { createApplication, setApplicationStatus, taskManagerLabels, taskManagerSelector } from '../bench/workloads.ts';
import { type Case, type PodPlan, type PodUsagePlan, settings, type TickPlan } from './plan.ts';

const namespace = unauditedNamespace;

const hpasPath = `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`;
const autoscalersPath = `/apis/headrace.dev/v1alpha1/namespaces/${namespace}/flinkautoscalers`;
const applicationsPath = `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications`;
const concurrency = 16;
/** Slower than the controller is on two cores. */
const paceMilliseconds = 25;
const program = join(import.meta.dirname, '..', '..', '..', 'shared', 'cli', 'bin.ts');

/** Status of an HPA, and of a FlinkAutoscaler as far as it is the same. */
export interface HorizontalStatus {
  readonly observedGeneration?: number;
  readonly currentReplicas?: number;
  readonly desiredReplicas?: number;
  readonly currentMetrics?: readonly unknown[] | null;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

interface Autoscaler {
  readonly metadata: {
    readonly name: string;
    readonly generation: number;
    readonly managedFields: readonly { readonly subresource?: string; readonly time: string }[];
  };
  readonly status?: HorizontalStatus;
}

/** What both have made of the cases at one tick, by name. */
export interface Outcome {
  readonly hpas: ReadonlyMap<string, HorizontalStatus>;
  /** When the controller wrote each of them, epoch milliseconds of a whole second. */
  readonly hpaTimes: ReadonlyMap<string, number>;
  readonly autoscalers: ReadonlyMap<string, HorizontalStatus>;
  /** What Headrace reports of its tick, and when that was. */
  readonly reports: ReadonlyMap<string, AutoscalerReport>;
  readonly headraceTime: number;
  /** Of every target; the HPA's has the name of its case and "-hpa". */
  readonly sizes: ReadonlyMap<string, number>;
}

/** The flags of a controller manager that looks at an HPA when that is new or changed, and otherwise never. */
const controllerFlags = [
  '--horizontal-pod-autoscaler-sync-period=1h',
  `--horizontal-pod-autoscaler-downscale-stabilization=${settings.downscaleStabilizationSeconds}s`,
  `--horizontal-pod-autoscaler-initial-readiness-delay=${settings.initialReadinessDelaySeconds}s`,
  `--horizontal-pod-autoscaler-cpu-initialization-period=${settings.cpuInitializationPeriodSeconds}s`,
  `--horizontal-pod-autoscaler-tolerance=${settings.tolerance}`,
  '--concurrent-horizontal-pod-autoscaler-syncs=16',
  '--kube-api-qps=2000',
  '--kube-api-burst=4000',
];

/** Both controllers before the same cases. The controller manager runs with other flags from `setStage` until `close`. */
export class Stage {
  readonly #controlPlane: ControlPlane;
  readonly #metricsApi: MetricsApi;
  readonly #answers: PlannedAnswers;
  #cases: readonly Case[] = [];
  readonly #cluster: Cluster;

  constructor(controlPlane: ControlPlane, metricsApi: MetricsApi, answers: PlannedAnswers) {
    this.#controlPlane = controlPlane;
    this.#metricsApi = metricsApi;
    this.#answers = answers;
    this.#cluster = openBench(controlPlane);
  }

  /** Puts cases there in place of the ones before; their HPAs come with the first tick. */
  async put(cases: readonly Case[]): Promise<void> {
    await this.#clear();
    this.#answers.plan(cases);
    this.#cases = cases;
    await mapBounded(cases, concurrency, (planned) => build(this.#controlPlane, planned));
  }

  /** Both decide once; Headrace, if it is to be so, in a process of its own. Returns when both have. */
  async tick(index: number, { inFreshProcess = false } = {}): Promise<Outcome> {
    this.#answers.index = index;
    await mapBounded(this.#cases, concurrency, (planned) => resize(this.#controlPlane, planned, index));
    const headrace = inFreshProcess ? this.#startHeadrace() : this.#runHeadrace();
    const [report] = await Promise.all([headrace, this.#wakeHpas(index)]);
    return {
      ...(await readOutcome(this.#controlPlane)),
      reports: byName(report.autoscalers),
      headraceTime: report.time,
    };
  }

  /** Another controller manager takes over. */
  async restartControllers(): Promise<void> {
    await this.#controlPlane.stopControllers();
    await this.#controlPlane.startControllers(controllerFlags);
  }

  async close(): Promise<void> {
    this.#cluster.client.close();
    await this.#clear();
    await this.#metricsApi.close();
    await this.#controlPlane.stopControllers();
    await this.#controlPlane.startControllers();
  }

  #runHeadrace(): Promise<TickReport> {
    const log = { info: () => {}, warn: () => {}, error: () => {} };
    return scaleShard({ now: async () => Date.now(), log }, this.#cluster, [namespace]);
  }

  /** A process that knows nothing but what the API server has. */
  async #startHeadrace(): Promise<TickReport> {
    const options = ['--namespace', namespace, '--kubeconfig', this.#controlPlane.adminKubeconfig];
    await promisify(execFile)(process.execPath, [program, 'check', ...options]);
    return { cluster: clusterName, time: Date.now(), autoscalers: [], changed: [], rescaled: [] };
  }

  async #wakeHpas(index: number): Promise<void> {
    const { admin } = this.#controlPlane;
    const startTime = Date.now();
    await Promise.all(
      this.#cases.map(async (planned, position) => {
        // At each tick in the same order and at the same pace, so that each HPA's own ticks are equally far apart.
        await delay(startTime + position * paceMilliseconds - Date.now());
        await (index === 0
          ? admin.send('POST', hpasPath, hpaOf(planned))
          : wake(this.#controlPlane, planned.name, index));
      }),
    );
    await eventually('every HPA looked at', () => this.#areHpasLookedAt(), { intervalMs: 250, timeoutSeconds: 60 });
  }

  async #areHpasLookedAt(): Promise<boolean> {
    const hpas = await list<Autoscaler>(this.#controlPlane, hpasPath);
    const waiting = hpas.filter(({ status, metadata }) => {
      // Of a scale that cannot be read it only says so.
      const isUnreadable = status?.conditions?.some(({ reason }) => reason === 'FailedGetScale');
      return !isUnreadable && status?.observedGeneration !== metadata.generation;
    });
    if (waiting.length === 0) return true;
    throw new Error(`not yet: ${JSON.stringify(waiting.slice(0, 3))}`);
  }

  async #clear(): Promise<void> {
    for (const path of [hpasPath, autoscalersPath, applicationsPath])
      await this.#controlPlane.admin.send('DELETE', path);
  }
}

/** Sets the stage, which is empty at first. */
export async function setStage(controlPlane: ControlPlane): Promise<Stage> {
  const { admin } = controlPlane;
  const answers = new PlannedAnswers();
  const groups = ['metrics.k8s.io', 'custom.metrics.k8s.io', 'external.metrics.k8s.io'] as const;
  const metricsApi = await startMetricsApi(controlPlane, { groups, answers });
  // There already when another file has set a stage before.
  await admin.request('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
  const stage = new Stage(controlPlane, metricsApi, answers);
  await stage.restartControllers();
  return stage;
}

function openBench({ endpoint, certificateAuthority }: ControlPlane): Cluster {
  return openCluster(clusterName, {
    endpoint,
    certificateAuthority: Buffer.from(certificateAuthority, 'base64'),
    credentials: eksTokenCredentials({ cluster: clusterName, region: 'eu-west-1', credentials: eksCredentials }),
  });
}

function byName<T extends { readonly name: string }>(items: readonly T[]): ReadonlyMap<string, T> {
  return new Map(items.map((item) => [item.name, item]));
}

async function build(controlPlane: ControlPlane, planned: Case): Promise<void> {
  const { admin } = controlPlane;
  const { name, pods, replicas, statusReplicas, controller, phase = 'Running' } = planned;
  const { selector = taskManagerSelector(name) } = planned;
  for (const pod of pods) await createPod(controlPlane, name, pod);
  for (const target of [name, `${name}-hpa`]) {
    const taskManagerConfig = { taskSlots: 1, replicas };
    const application = { namespace, name: target };
    await createApplication(admin, application, { parallelism: Math.max(1, replicas), taskManagerConfig });
    await setApplicationStatus(admin, application, { phase, selector, numberOfTaskManagers: statusReplicas });
  }
  await admin.send('POST', autoscalersPath, {
    apiVersion: 'headrace.dev/v1alpha1',
    kind: 'FlinkAutoscaler',
    metadata: { name },
    // Samples that are a minute or an hour old are no subject here.
    spec: {
      ...planned.spec,
      scaleTargetRef: targetRef(name),
      controller: { ...settings, maxSampleAgeSeconds: 86_400, ...controller },
    },
  });
}

function hpaOf({ name, spec }: Case): unknown {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name },
    spec: { ...spec, scaleTargetRef: targetRef(`${name}-hpa`) },
  };
}

function targetRef(name: string, version = 'v1beta1') {
  return { apiVersion: `flink.k8s.io/${version}`, kind: 'FlinkApplication', name };
}

/** The controller looks at a changed spec at once, and of the target's apiVersion it uses nothing but the group. */
async function wake({ admin }: ControlPlane, name: string, index: number): Promise<void> {
  const scaleTargetRef = { apiVersion: `flink.k8s.io/v${index + 1}` };
  await admin.send('PATCH', `${hpasPath}/${name}`, { spec: { scaleTargetRef } }, mergePatch);
}

async function resize({ admin }: ControlPlane, { name, ticks }: Case, index: number): Promise<void> {
  const replicas = ticks[index]?.replicas;
  if (replicas === undefined) return;
  for (const target of [name, `${name}-hpa`])
    await admin.send('PATCH', `${applicationsPath}/${target}/scale`, { spec: { replicas } }, mergePatch);
}

async function readOutcome(
  controlPlane: ControlPlane,
): Promise<Pick<Outcome, 'hpas' | 'hpaTimes' | 'autoscalers' | 'sizes'>> {
  const [hpas, autoscalers, applications] = await Promise.all([
    list<Autoscaler>(controlPlane, hpasPath),
    list<Autoscaler>(controlPlane, autoscalersPath),
    list<Application>(controlPlane, applicationsPath),
  ]);
  return {
    hpas: new Map(hpas.map(({ metadata, status = {} }) => [metadata.name, status])),
    hpaTimes: new Map(hpas.map(({ metadata }) => [metadata.name, statusTime(metadata)])),
    autoscalers: new Map(autoscalers.map(({ metadata, status = {} }) => [metadata.name, status])),
    sizes: new Map(applications.map(({ metadata, spec }) => [metadata.name, spec.taskManagerConfig.replicas])),
  };
}

/** When the status of an object was last written. */
function statusTime({ managedFields }: Autoscaler['metadata']): number {
  return Date.parse(managedFields.find(({ subresource }) => subresource === 'status')?.time ?? '');
}

interface Application {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly taskManagerConfig: { readonly replicas: number } };
}

async function list<T>({ admin }: ControlPlane, path: string): Promise<readonly T[]> {
  return (await admin.send<{ items: readonly T[] }>('GET', path)).items;
}

async function createPod({ admin }: ControlPlane, application: string, pod: PodPlan): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const containerOf = ({ name, requests, isSidecar }: PodPlan['containers'][number]) => ({
    name,
    image: 'flink:1.20',
    resources: { requests },
    ...(isSidecar && { restartPolicy: 'Always' }),
  });
  await admin.send('POST', path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: pod.name,
      labels: taskManagerLabels(application),
      // Bound to no node, it would be gone at once.
      ...(pod.state === 'deleted' && { finalizers: ['headrace.dev/differential'] }),
    },
    spec: {
      containers: pod.containers.filter(({ isSidecar }) => !isSidecar).map(containerOf),
      initContainers: pod.containers.filter(({ isSidecar }) => isSidecar).map(containerOf),
      ...(pod.requests && { resources: { requests: pod.requests } }),
    },
  });
  const status = podStatus(pod.state);
  if (status !== undefined) await admin.send('PATCH', `${path}/${pod.name}/status`, { status }, mergePatch);
  if (pod.state === 'deleted') await admin.send('DELETE', `${path}/${pod.name}`);
}

/** Seconds before the pod was put there. */
const long = 3600;
const lately = 60;

function podStatus(state: PodPlan['state']): unknown {
  const running = (started: number, ready: boolean, since: number) => ({
    phase: 'Running',
    startTime: secondsAgo(started),
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: secondsAgo(since) }],
  });
  switch (state) {
    case 'ready':
      return running(long, true, long - 10);
    case 'unready':
      return running(long, false, long / 2);
    case 'never ready':
      return running(long, false, long - 10);
    case 'young and ready':
      return running(lately, true, lately - 5);
    case 'young and measured too early':
      return running(lately, true, lately - 10);
    case 'young and unready':
      return running(lately, false, lately);
    case 'without conditions':
      return { phase: 'Running', startTime: secondsAgo(long) };
    case 'without start time':
      return { ...running(long, true, long - 10), startTime: undefined };
    case 'pending':
      return undefined;
    case 'failed':
      return { ...running(long, false, long / 2), phase: 'Failed' };
    case 'succeeded':
      return { ...running(long, false, long / 2), phase: 'Succeeded' };
    case 'deleted':
      return running(long, true, long - 10);
    default:
      throw state satisfies never;
  }
}

function secondsAgo(seconds: number): string {
  return toTime(Date.now() - seconds * 1000);
}

/** Kubernetes' metav1.Time has whole seconds. */
function toTime(instant: number): string {
  return new Date(instant).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** What the metrics APIs say is planned for each tick. */
class PlannedAnswers implements MetricsAnswers {
  index = 0;
  #cases: ReadonlyMap<string, Case> = new Map();
  /** When the pods that are young were not ready yet. */
  #earlyTime = 0;

  /** From now on these cases are what is asked about. */
  plan(cases: readonly Case[]): void {
    this.#cases = byName(cases);
    this.#earlyTime = Date.now() - lately * 1000;
  }

  podMetricsList(_namespace: string | undefined, labelSelector: string): unknown {
    const items = this.#selected(labelSelector).flatMap((planned) => {
      const { usage } = this.#tickOf(planned);
      return [...usage].map(([pod, sample]) => this.#podMetrics(planned, pod, sample));
    });
    return { kind: 'PodMetricsList', apiVersion: 'metrics.k8s.io/v1beta1', metadata: {}, items };
  }

  podMetricValues(question: MetricQuestion): unknown {
    const answer = this.#answerTo(question.metric);
    if (!(answer instanceof Map)) return undefined;
    return metricValueList(
      question,
      [...answer].map(([pod, value]) => metricValue(question, { kind: 'Pod', apiVersion: '/v1', name: pod }, value)),
    );
  }

  objectMetricValues(question: MetricQuestion & { readonly name: string }): unknown {
    const answer = this.#answerTo(question.metric);
    if (!Array.isArray(answer)) return undefined;
    return metricValueList(
      question,
      answer.map((value) => metricValue(question, { kind: 'Any', apiVersion: 'v1', name: question.name }, value)),
    );
  }

  externalMetricValues(_namespace: string, metric: string): unknown {
    const answer = this.#answerTo(metric);
    if (!Array.isArray(answer)) return undefined;
    const timestamp = toTime(Date.now());
    const items = answer.map((value) => ({ metricName: metric, metricLabels: {}, timestamp, value }));
    return { kind: 'ExternalMetricValueList', apiVersion: 'external.metrics.k8s.io/v1beta1', metadata: {}, items };
  }

  /** The cases whose pods a selector picks: those of one application, or of all. */
  #selected(labelSelector: string): readonly Case[] {
    const [, application] = /flink-app=([^,]+)/.exec(labelSelector) ?? [];
    if (application === undefined) return [...this.#cases.values()];
    const planned = this.#cases.get(application);
    return planned === undefined ? [] : [planned];
  }

  #podMetrics({ name, pods }: Case, pod: string, { containers, windowSeconds }: PodUsagePlan): unknown {
    const state = pods.find((candidate) => candidate.name === pod)?.state;
    const timestamp = toTime(state === 'young and measured too early' ? this.#earlyTime : Date.now());
    return {
      metadata: { name: pod, namespace, labels: taskManagerLabels(name), creationTimestamp: timestamp },
      timestamp,
      window: `${windowSeconds}s`,
      containers,
    };
  }

  /** Metrics are named after their case: "lag-a17-0". */
  #answerTo(metric: string) {
    const planned = this.#cases.get(metric.split('-')[1] ?? '');
    return planned && this.#tickOf(planned).values.get(metric);
  }

  #tickOf({ ticks }: Case): TickPlan {
    const tick = ticks[this.index];
    if (tick === undefined) throw new Error(`no tick ${this.index} was planned`);
    return tick;
  }
}

function metricValue({ metric }: MetricQuestion, describedObject: object, value: string): unknown {
  return {
    describedObject: { namespace, ...describedObject },
    metric: { name: metric },
    timestamp: toTime(Date.now()),
    value,
  };
}
