// A namespace of the real cluster with an application in it, and Headrace at work on it under the role that AWS gives it.
import { expect, vi } from 'vitest';
import scaleCheckEvent from '../../events/scale-check.json' with { type: 'json' };
import { type Log, openCluster } from '../../shared/control-plane.ts';
import { type ScaleOptions, scaleShard, type TickReport } from '../../shared/controllers/scale.ts';
import { eksCredentials as eksTokenCredentials } from '../../shared/kubernetes/auth.ts';
import { coldStart } from '../support/sandbox.ts';
import { type ApiClient, mergePatch } from './bench/api-client.ts';
import type { AuditEvent } from './bench/audit-log.ts';
import { type ControlPlane, clusterName } from './bench/control-plane.ts';
import { eksCredentials, eksIdentity } from './bench/eks-authenticator.ts';
import { eventually } from './bench/eventually.ts';
import type { MetricsApi } from './bench/metrics-api.ts';
import {
  applicationPath,
  createApplication,
  createNamespace,
  createTaskManagers,
  deletePods,
  setApplicationStatus,
  taskManagerSelector,
} from './bench/workloads.ts';

const region = 'eu-west-1';
const autoscalerApi = '/apis/headrace.dev/v1alpha1';

/** CPU at 40 % of what the pods request. */
const cpuAt40Percent = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } },
};

export interface Bench {
  readonly controlPlane: ControlPlane;
  readonly metricsApi: MetricsApi;
}

export interface ApplicationOptions {
  /** Default "orders". */
  readonly name?: string;
  /** Default 4. */
  readonly parallelism?: number;
  /** Default 2. */
  readonly taskSlots?: number;
  /** taskManagerConfig.replicas; absent unless given, as users write it. */
  readonly replicas?: number;
  /** How many TaskManagers run; default 2. */
  readonly taskManagers?: number;
  /** What each of them uses of the 1 CPU it requests; default 800m. */
  readonly cpu?: string;
}

/** What a tick reported and logged. */
export interface Tick extends TickReport {
  readonly log: readonly { readonly message: string; readonly data: Readonly<Record<string, unknown>> }[];
}

export async function openScene(bench: Bench): Promise<Scene> {
  return new Scene(bench, await createNamespace(bench.controlPlane.admin, 'scene'));
}

export class Scene {
  readonly namespace: string;
  readonly #bench: Bench;
  readonly #pods = new Map<string, readonly string[]>();

  constructor(bench: Bench, namespace: string) {
    this.#bench = bench;
    this.namespace = namespace;
  }

  /** An application at work, and an autoscaler of the same name that keeps its CPU at 40 %. */
  async add(options: ApplicationOptions = {}): Promise<void> {
    await this.addApplication(options);
    await this.addAutoscaler(options.name);
  }

  async addApplication(options: ApplicationOptions = {}): Promise<void> {
    const { name = 'orders', parallelism = 4, taskSlots = 2, replicas } = options;
    const taskManagerConfig = { taskSlots, ...(replicas !== undefined && { replicas }) };
    await createApplication(this.#admin, { namespace: this.namespace, name }, { parallelism, taskManagerConfig });
    await this.runTaskManagers(options);
  }

  async addAutoscaler(name = 'orders', spec: object = {}): Promise<void> {
    const scaleTargetRef = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name };
    await this.#admin.send('POST', `${autoscalerApi}/namespaces/${this.namespace}/flinkautoscalers`, {
      apiVersion: 'headrace.dev/v1alpha1',
      kind: 'FlinkAutoscaler',
      metadata: { name },
      spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 20, metrics: [cpuAt40Percent], ...spec },
    });
  }

  /** Plays the operator: so many TaskManagers run from now on, each as busy as that. */
  async runTaskManagers({
    name = 'orders',
    taskManagers = 2,
    cpu = '800m',
  }: Pick<ApplicationOptions, 'name' | 'taskManagers' | 'cpu'>): Promise<void> {
    const { namespace } = this;
    const running = this.#pods.get(name) ?? [];
    await deletePods(this.#admin, namespace, running.slice(taskManagers));
    const count = Math.max(0, taskManagers - running.length);
    const started = await createTaskManagers(this.#admin, { namespace, application: name, count });
    this.#pods.set(name, [...running.slice(0, taskManagers), ...started]);
    await setApplicationStatus(this.#admin, { namespace, name }, { numberOfTaskManagers: taskManagers });
    this.setUsage(cpu, taskManagerSelector(name));
  }

  /** What each pod that the selector picks uses from now on. */
  setUsage(cpu: string, selector = taskManagerSelector('orders')): void {
    this.#bench.metricsApi.values.setPodUsage({ namespace: this.namespace, selector }, { cpu });
  }

  /** Edits the spec of the application. */
  async edit(spec: object, name = 'orders'): Promise<void> {
    await this.#admin.send('PATCH', this.#applicationPath(name), { spec }, mergePatch);
  }

  /** One tick of this namespace, straight through the controller. */
  async tick(options: ScaleOptions = {}): Promise<Tick> {
    const { controlPlane } = this.#bench;
    const log: Tick['log'][number][] = [];
    const write = (message: string, data: Record<string, unknown>) => void log.push({ message, data });
    const cluster = openCluster(clusterName, {
      endpoint: controlPlane.endpoint,
      certificateAuthority: Buffer.from(controlPlane.certificateAuthority, 'base64'),
      credentials: eksTokenCredentials({ cluster: clusterName, region, credentials: eksCredentials }),
    });
    try {
      const plane = { now: async () => Date.now(), log: { info: write, warn: write, error: write } satisfies Log };
      return { ...(await scaleShard(plane, cluster, [this.namespace], options)), log };
    } finally {
      cluster.client.close();
    }
  }

  async application(name = 'orders'): Promise<Application> {
    return this.#admin.send('GET', this.#applicationPath(name));
  }

  /** spec.taskManagerConfig.replicas */
  async replicas(name = 'orders'): Promise<number | undefined> {
    return (await this.application(name)).spec.taskManagerConfig?.replicas;
  }

  async autoscaler(name = 'orders'): Promise<Autoscaler> {
    return this.#admin.send('GET', `${autoscalerApi}/namespaces/${this.namespace}/flinkautoscalers/${name}`);
  }

  /** "AbleToScale=True/SucceededRescale" for each condition, in their order. */
  async conditions(name = 'orders'): Promise<readonly string[]> {
    const { status } = await this.autoscaler(name);
    return (status?.conditions ?? []).map((condition) => `${condition.type}=${condition.status}/${condition.reason}`);
  }

  /** The message of one condition of the autoscaler. */
  async message(type: string, name = 'orders'): Promise<string | undefined> {
    const { status } = await this.autoscaler(name);
    return status?.conditions?.find((condition) => condition.type === type)?.message;
  }

  /** "Normal SuccessfulRescale" for each Event on the autoscaler, in the order of their times. */
  async events(): Promise<readonly string[]> {
    const { items } = await this.#admin.send<{ items: EventObject[] }>(
      'GET',
      `/api/v1/namespaces/${this.namespace}/events`,
    );
    return items
      .filter(({ involvedObject }) => involvedObject.kind === 'FlinkAutoscaler')
      .sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
      .map(({ type, reason }) => `${type} ${reason}`);
  }

  /** What Headrace wrote here since then (epoch ms), as "patch flinkapplications/scale", refused writes too. */
  async writes(since: number, name?: string): Promise<readonly string[]> {
    const writes = await headraceWrites(this.#bench.controlPlane, since);
    return writes
      .filter(({ objectRef }) => objectRef?.namespace === this.namespace)
      .filter(({ objectRef }) => name === undefined || objectRef?.name === name)
      .map(describeRequest);
  }

  get #admin(): ApiClient {
    return this.#bench.controlPlane.admin;
  }

  #applicationPath(name: string): string {
    return applicationPath({ namespace: this.namespace, name });
  }
}

export interface Application {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec: {
    readonly parallelism: number;
    readonly taskManagerConfig?: { readonly replicas?: number; readonly taskSlots?: number };
  };
  readonly status?: { readonly scaleBasis?: { readonly parallelism: number; readonly taskSlots: number } };
}

export interface Autoscaler {
  readonly metadata: { readonly resourceVersion: string };
  readonly status?: {
    readonly targets?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
  };
}

interface EventObject {
  readonly metadata: { readonly resourceVersion: string };
  readonly involvedObject: { readonly kind: string };
  readonly type: string;
  readonly reason: string;
}

/** Every write that Headrace tried since then (epoch ms), in the order in which they were answered. */
export async function headraceWrites(controlPlane: ControlPlane, since: number): Promise<readonly AuditEvent[]> {
  const events = await controlPlane.auditLog({ since });
  return events.filter(({ user, verb }) => user.username === eksIdentity.username && !['get', 'list'].includes(verb));
}

/** "patch flinkapplications/scale" */
export function describeRequest({ verb, objectRef }: AuditEvent): string {
  const subresource = objectRef?.subresource === undefined ? '' : `/${objectRef.subresource}`;
  return `${verb} ${objectRef?.resource}${subresource}`;
}

/** The exported handler of scale-check, loaded as a new Lambda environment does; each call is a message that is due now. */
export async function startScaleCheck({ endpoint, certificateAuthority }: ControlPlane): Promise<() => Promise<void>> {
  const handler = await coldStart('scale-check', {
    HEADRACE_CLUSTERS: JSON.stringify([{ name: clusterName, endpoint, certificateAuthority }]),
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: eksCredentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: eksCredentials.secretAccessKey,
    AWS_SESSION_TOKEN: eksCredentials.sessionToken,
  });
  return async () => {
    const body = JSON.stringify({ cluster: clusterName, shard: 'default', dueTime: new Date().toISOString() });
    await handler({ Records: scaleCheckEvent.Records.map((record) => ({ ...record, body })) });
  };
}

/** Takes back what startScaleCheck put into the environment. */
export function stopScaleCheck(): void {
  vi.unstubAllEnvs();
}

export interface Right {
  /** Empty for the core group. */
  readonly group: string;
  /** With its subresource, as a role writes it: "flinkapplications/scale". */
  readonly resource: string;
  readonly verb: string;
}

/** Waits until the API server allows Headrace something, or does no longer: an aggregated role follows its parts. */
export async function untilAllowed(
  admin: ApiClient,
  { group, resource, verb }: Right,
  allowed: boolean,
): Promise<void> {
  const [plural, subresource] = resource.split('/');
  await eventually(`${verb} ${resource} ${allowed ? 'allowed' : 'forbidden'}`, async () => {
    const review = await admin.send<{ status: { allowed: boolean } }>(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: eksIdentity.username,
          groups: [...eksIdentity.groups, 'system:authenticated'],
          resourceAttributes: { group, resource: plural, verb, ...(subresource && { subresource }) },
        },
      },
    );
    return review.status.allowed === allowed;
  });
}

/** What is true of an autoscaler whose application grew because of its metrics. */
export const rescaledConditions = [
  'AbleToScale=True/SucceededRescale',
  'ScalingActive=True/ValidMetricFound',
  'ScalingLimited=False/DesiredWithinRange',
  'ScaledToZero=False/NotScaledToZero',
];

/** Expects that the one autoscaler of the tick made its application grow. */
export function expectRescaled({ autoscalers }: TickReport): void {
  expect(autoscalers.map(({ outcome, error }) => ({ outcome, error }))).toEqual([{ outcome: 'rescaled' }]);
}
