// A Flink cluster as its operator makes one: two Deployments and a Service, handed in through the API.
import type { Sandbox } from '../../../infra/sandbox/server.ts';
import { ask, type Reply } from './ask.ts';

export interface ClusterOptions {
  /** Default "orders". */
  readonly application?: string;
  /** Default "aaaa1111". */
  readonly hash?: string;
  readonly image?: string;
  /** Default 2. */
  readonly taskManagers?: number;
  /** Of each; default 2. */
  readonly slots?: number;
  /** Over the usual configuration; undefined takes a line away. */
  readonly properties?: Readonly<Record<string, string | undefined>>;
  readonly ownerReferences?: readonly object[];
}

export const deployments = '/apis/apps/v1/namespaces/flink/deployments';
export const services = '/api/v1/namespaces/flink/services';

const usual = {
  'execution.checkpointing.interval': '10 s',
  'execution.checkpointing.externalized-checkpoint-retention': 'RETAIN_ON_CANCELLATION',
  'execution.checkpointing.dir': 's3://state/checkpoints',
  'execution.checkpointing.savepoint-dir': 's3://state/savepoints',
};

/** Creates a cluster. Nothing of it is up yet. */
export async function createCluster(sandbox: Sandbox, options: ClusterOptions = {}): Promise<void> {
  const { application = 'orders', hash = 'aaaa1111', taskManagers = 2 } = options;
  sandbox.store.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'flink' } });
  await ask(sandbox, 'POST', services, aService(`${application}-${hash}`, { 'pod-deployment-selector': `${hash}jm` }));
  await ask(sandbox, 'POST', deployments, aDeployment('jobmanager', 1, options));
  await ask(sandbox, 'POST', deployments, aDeployment('taskmanager', taskManagers, options));
}

/** Creates a cluster and lets it come up: 2 TaskManagers of 2 slots, all free. */
export async function startCluster(sandbox: Sandbox, options: ClusterOptions = {}): Promise<void> {
  await createCluster(sandbox, options);
  sandbox.clock.advance(15);
}

export function aService(name: string, selector: object): object {
  const ports = [
    { name: 'rpc', port: 6123 },
    { name: 'ui', port: 8081 },
  ];
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { clusterIP: 'None', selector, ports } };
}

export function aDeployment(
  role: 'jobmanager' | 'taskmanager',
  replicas: number,
  options: ClusterOptions = {},
): object {
  const { application = 'orders', hash = 'aaaa1111', image = 'registry.example.com/orders:1', slots = 2 } = options;
  const short = role === 'jobmanager' ? 'jm' : 'tm';
  const labels = {
    'flink-app': application,
    'flink-app-hash': hash,
    'flink-deployment-type': role,
    'pod-deployment-selector': `${hash}${short}`,
  };
  const lines = {
    'jobmanager.rpc.address': `${application}-${hash}`,
    'taskmanager.numberOfTaskSlots': String(slots),
    ...usual,
    ...options.properties,
  };
  const text = Object.entries(lines).flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`]));
  const container = {
    name: role,
    image,
    args: [role],
    ports: [{ name: 'ui', containerPort: 8081 }],
    env: [{ name: 'FLINK_PROPERTIES', value: text.join('\n') }],
    resources: { limits: { cpu: '1' } },
  };
  const { ownerReferences } = options;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${application}-${hash}-${short}`, labels, ...(ownerReferences && { ownerReferences }) },
    spec: {
      replicas,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
}

/** Asks the JobManager of a cluster through the API server. */
export function askFlink(
  sandbox: Sandbox,
  method: string,
  path: string,
  body?: unknown,
  service = 'orders-aaaa1111',
): Promise<Reply> {
  return ask(sandbox, method, `${services}/${service}:ui/proxy${path}`, body);
}

/** A job id or a trigger id. */
export function id(number: number): string {
  return number.toString(16).padStart(32, '0');
}
