// A sandbox with applications in it, and ticks on it: through the exported handlers as a cold start loads them, or straight
// through the controller where a test wants its report.

import type { Context } from 'aws-lambda';
import { vi } from 'vitest';
import type { KubernetesObject } from '../../infra/sandbox/kinds.ts';
import type { LoggedRequest } from '../../infra/sandbox/request-log.ts';
import { type Sandbox, startSandbox } from '../../infra/sandbox/server.ts';
import { type Log, openCluster } from '../../shared/control-plane.ts';
import { type ScaleOptions, scaleShard, type TickReport } from '../../shared/controllers/scale.ts';
import type { Namespaces } from '../../shared/kubernetes/lists.ts';

/** Where the sandbox's clock stands at first. In the past: an EKS token is signed in real time, and must not be too old for it. */
export const START = Date.parse('2026-01-01T10:00:00Z');
export const TICK_SECONDS = 15;
export const NAMESPACE = 'flink';

const CPU_REQUEST_MILLI = 1000;

export interface ApplicationOptions {
  /** Of the FlinkApplication and its FlinkAutoscaler; default "orders". */
  readonly name?: string;
  /** Default "flink". */
  readonly namespace?: string;
  /** Running at first; default 2. */
  readonly taskManagers?: number;
  /** Of one TaskManager; default 2. */
  readonly slots?: number;
  /** Of their CPU request that the first TaskManagers use; default 80. */
  readonly usagePercent?: number;
  /** False: nobody has written `replicas` yet, as users hand applications in. Default true. */
  readonly isSeeded?: boolean;
  /** Laid over the FlinkAutoscaler's spec: target 40 %, 1 to 20 replicas. */
  readonly spec?: object;
}

/** A sandbox with a FlinkApplication at work and a FlinkAutoscaler that follows its CPU. */
export async function aShard(options: ApplicationOptions = {}): Promise<Shard> {
  const shard = await anEmptyShard();
  shard.add(options);
  return shard;
}

/** The clock stands at `now`, epoch milliseconds. */
export async function anEmptyShard({ now = START } = {}): Promise<Shard> {
  return new Shard(await startSandbox({ now, namespace: NAMESPACE }));
}

/** What a test asks of a sandbox, in the words of scaling. A name is that of an application or autoscaler in namespace flink. */
export class Shard {
  readonly sandbox: Sandbox;

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  add(options: ApplicationOptions = {}): void {
    this.addApplication(options);
    this.addAutoscaler(options);
  }

  addApplication(options: ApplicationOptions = {}): void {
    const { name = 'orders', namespace = NAMESPACE, taskManagers = 2, slots = 2, usagePercent = 80 } = options;
    const { isSeeded = true } = options;
    this.sandbox.simulation.addApplication({
      namespace,
      name,
      parallelism: taskManagers * slots,
      taskSlots: slots,
      cpuRequestMilli: CPU_REQUEST_MILLI,
      loadMilli: loadOf(taskManagers, usagePercent),
      ...(isSeeded && { replicas: taskManagers }),
    });
    if (!isSeeded) return;
    const scaleBasis = { parallelism: taskManagers * slots, taskSlots: slots };
    this.change('FlinkApplication', name, ({ status }) => ({ status: { ...status, scaleBasis } }), namespace);
  }

  /** Hands an application in as a user does, to be deployed: nobody has looked at it yet. */
  handIn(name = 'orders', spec: object = {}): void {
    this.sandbox.store.put({
      apiVersion: 'flink.k8s.io/v1beta1',
      kind: 'FlinkApplication',
      metadata: { namespace: NAMESPACE, name },
      spec: {
        image: 'registry.example/orders:1',
        flinkVersion: '1.20',
        jarName: 'orders.jar',
        entryClass: 'com.example.Orders',
        parallelism: 4,
        taskManagerConfig: { taskSlots: 2, replicas: 2 },
        ...spec,
      },
      status: { scaleBasis: { parallelism: 4, taskSlots: 2 } },
    });
  }

  addAutoscaler({ name = 'orders', namespace = NAMESPACE, spec = {} }: ApplicationOptions = {}): void {
    this.sandbox.store.put(anAutoscaler({ name, namespace, spec }));
  }

  /** Changes what the first `taskManagers` would use of their request. */
  setLoad(usagePercent: number, { name = 'orders', namespace = NAMESPACE, taskManagers = 2 } = {}): void {
    this.sandbox.simulation.setLoad(namespace, name, loadOf(taskManagers, usagePercent));
  }

  /** Writes parts of an object as an administrator would. */
  change(
    kind: string,
    name: string,
    parts: (object: KubernetesObject) => Partial<KubernetesObject>,
    namespace = NAMESPACE,
  ): void {
    const object = this.get(kind, name, namespace);
    this.sandbox.store.put({ ...object, ...parts(object) });
  }

  get(kind: string, name: string, namespace = NAMESPACE): KubernetesObject {
    const object = this.sandbox.store.get(kind, namespace, name);
    if (object === undefined) throw new Error(`there is no ${kind} ${namespace}/${name}`);
    return object;
  }

  /** spec.taskManagerConfig.replicas */
  size(name = 'orders', namespace = NAMESPACE): number | undefined {
    return sizeOf(this.get('FlinkApplication', name, namespace));
  }

  status(name = 'orders', namespace = NAMESPACE): AutoscalerView {
    return (this.get('FlinkAutoscaler', name, namespace).status ?? {}) as AutoscalerView;
  }

  /** "AbleToScale True ReadyForNewScale" for each condition, in their order. */
  conditions(name = 'orders', namespace = NAMESPACE): string[] {
    const { conditions = [] } = this.status(name, namespace);
    return conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`);
  }

  /** "Normal SuccessfulRescale" for each Event, in the order of their creation. */
  events(name = 'orders'): string[] {
    return this.eventObjects(name).map(({ type, reason }) => `${type} ${reason}`);
  }

  eventObjects(name = 'orders'): KubernetesObject[] {
    const ofAutoscaler = ({ involvedObject }: KubernetesObject) => (involvedObject as { name?: string }).name === name;
    const version = ({ metadata }: KubernetesObject) => Number(metadata.resourceVersion);
    return this.sandbox.store
      .list('Event')
      .filter(ofAutoscaler)
      .sort((a, b) => version(a) - version(b));
  }

  get writes(): LoggedRequest[] {
    return this.sandbox.requests.filter(({ method }) => method !== 'GET');
  }

  /** The writes to a scale that took effect, as "orders → 4". */
  get scaleWrites(): string[] {
    return this.writes.filter(({ path, status }) => path.endsWith('/scale') && status === 200).map(describeScaleWrite);
  }

  /** Every size that the application has from now on, the present one first; it grows as the test goes on. */
  watchSize(name = 'orders'): (number | undefined)[] {
    const sizes = [this.size(name)];
    this.sandbox.store.subscribe((change) => {
      if (change.kind !== 'FlinkApplication' || change.name !== name) return;
      const size = this.size(name);
      if (size !== sizes.at(-1)) sizes.push(size);
    });
    return sizes;
  }

  /** Lets a period pass. */
  passPeriod(): void {
    this.sandbox.clock.advance(TICK_SECONDS);
  }

  /** One tick now, then a period passes; so often. */
  async ticks(count: number): Promise<TickReport[]> {
    const reports = [];
    for (let index = 0; index < count; index += 1) {
      reports.push(await this.tick());
      this.passPeriod();
    }
    return reports;
  }

  /** One tick straight through the controller, with a client of its own; a retry does not wait. */
  async tick({ id = 'only', namespaces = [], ...options }: TickOptions = {}): Promise<TickReport> {
    const { clusterName, url, token, clock } = this.sandbox;
    const headers = { authorization: `Bearer ${token}`, 'x-tick': id };
    const cluster = openCluster(clusterName, {
      endpoint: url,
      credentials: { headers: async () => headers, renew: () => {} },
      sleep: async () => {},
    });
    try {
      return await scaleShard({ now: async () => clock.now(), log: SILENT }, cluster, namespaces, options);
    } finally {
      cluster.client.close();
    }
  }

  close(): Promise<void> {
    return this.sandbox.close();
  }
}

export interface TickOptions extends ScaleOptions {
  /** Goes with every request of the tick as the header x-tick. */
  readonly id?: string;
  /** None named: all of them. */
  readonly namespaces?: Namespaces;
}

export interface AutoscalerView {
  readonly currentReplicas?: number;
  readonly desiredReplicas?: number;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
  readonly scaleEvents?: readonly { readonly change: number; readonly time: string }[];
  readonly pendingRescale?: { readonly from: number; readonly to: number; readonly time: string };
  readonly lastDecision?: { readonly time: string; readonly reason: string; readonly message: string };
  readonly currentMetricsTime?: string;
  readonly targets?: string;
}

/** CPU at 40 % of the requests, 1 to 20 replicas of the FlinkApplication of the same name. */
export function anAutoscaler({
  name,
  namespace = NAMESPACE,
  spec = {},
}: {
  readonly name: string;
  readonly namespace?: string;
  readonly spec?: object;
}): KubernetesObject {
  return {
    apiVersion: 'headrace.dev/v1alpha1',
    kind: 'FlinkAutoscaler',
    metadata: { namespace, name },
    spec: {
      scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name },
      minReplicas: 1,
      maxReplicas: 20,
      metrics: [CPU_AT_40_PERCENT],
      ...spec,
    },
  };
}

export const CPU_AT_40_PERCENT = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } },
};

function sizeOf({ spec }: KubernetesObject): number | undefined {
  return (spec?.taskManagerConfig as { replicas?: number } | undefined)?.replicas;
}

/** Milli-cores for the whole application. */
function loadOf(taskManagers: number, usagePercent: number): number {
  return (taskManagers * usagePercent * CPU_REQUEST_MILLI) / 100;
}

/** "orders → 4" */
export function describeScaleWrite({ path, body }: LoggedRequest): string {
  const { spec } = body as { spec?: { replicas?: number } };
  return `${path.split('/').at(-2)} → ${spec?.replicas}`;
}

const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} };

const FUNCTIONS = {
  schedule: () => import('../../functions/schedule.ts'),
  'scale-check': () => import('../../functions/scale-check.ts'),
  reconcile: () => import('../../functions/reconcile.ts'),
};
export type Invoke = (event: unknown) => Promise<unknown>;

/**
 * Loads a function as a fresh Lambda environment does; variables that are undefined are not set. What it logs is silenced
 * unless the environment says otherwise.
 */
export async function coldStart(
  name: keyof typeof FUNCTIONS,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Invoke> {
  vi.resetModules();
  const silence = { POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' };
  for (const [variable, value] of Object.entries({ ...silence, ...environment })) vi.stubEnv(variable, value);
  const handler = (await FUNCTIONS[name]()).handler as unknown as (
    event: unknown,
    context: Context,
  ) => Promise<unknown>;
  const context = { functionName: name, awsRequestId: '00000000-0000-0000-0000-000000000000' } as Context;
  return (event) => handler(event, context);
}

export interface TickMessageOptions {
  readonly cluster?: string;
  readonly shard?: string;
  /** Epoch milliseconds. */
  readonly dueTime: number;
  /** The end of its minute, epoch milliseconds; default a minute later. */
  readonly until?: number;
}

/** What SQS hands to scale-check: one message, one tick. */
export function aTickEvent(options: TickMessageOptions): object {
  const { cluster = 'sandbox', shard = 'default', dueTime, until = dueTime + 60_000 } = options;
  const timeOf = (time: number) => new Date(time).toISOString();
  const body = JSON.stringify({ cluster, shard, dueTime: timeOf(dueTime), until: timeOf(until) });
  return { Records: [{ messageId: 'tick', body, eventSource: 'aws:sqs' }] };
}

/** For a cold start whose log a test reads. */
export const LOUD = { POWERTOOLS_LOG_LEVEL: 'INFO', POWERTOOLS_METRICS_DISABLED: 'false' };

/** Every JSON line that is written to the standard output and the standard error from now on, as Lambda would log it. */
export function captureLog(): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      for (const line of String(chunk).split('\n')) if (line.startsWith('{')) lines.push(JSON.parse(line));
      return true;
    });
  return lines;
}
