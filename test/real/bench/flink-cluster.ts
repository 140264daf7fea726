// A Flink session cluster as Lyft's operator makes it: two Deployments, and the headless service that is named after the cluster.
import type { ApiClient } from './api-client.ts';

export interface FlinkCluster {
  readonly namespace: string;
  /** "orders-1a2b3c4d": the application and its hash; the name of the service. */
  readonly name: string;
  readonly image: string;
  readonly taskManagers: number;
  readonly taskSlots: number;
  readonly flinkConfig: Readonly<Record<string, string>>;
}

const ports = { rpc: 6123, blob: 6125, query: 6124, ui: 8081, metrics: 50101 } as const;

/** Creates the objects of a cluster and waits for nothing. */
export async function createFlinkCluster(admin: ApiClient, cluster: FlinkCluster): Promise<void> {
  const { namespace, name, taskManagers } = cluster;
  await admin.send('POST', `/api/v1/namespaces/${namespace}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: {
      clusterIP: 'None',
      selector: podLabels(name, 'jobmanager'),
      ports: Object.entries(ports).map(([portName, port]) => ({ name: portName, port })),
    },
  });
  const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  await admin.send('POST', deployments, deployment(cluster, { role: 'jobmanager', suffix: 'jm', replicas: 1 }));
  await admin.send(
    'POST',
    deployments,
    deployment(cluster, { role: 'taskmanager', suffix: 'tm', replicas: taskManagers }),
  );
}

/** What picks the pods of one kind of a cluster. */
export function podSelector(cluster: string, role: Role): string {
  return Object.entries(podLabels(cluster, role))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

type Role = 'jobmanager' | 'taskmanager';

function podLabels(cluster: string, role: Role): Readonly<Record<string, string>> {
  return { 'bench-cluster': cluster, 'flink-deployment-type': role };
}

interface Part {
  readonly role: Role;
  readonly suffix: string;
  readonly replicas: number;
}

function deployment(cluster: FlinkCluster, { role, suffix, replicas }: Part): object {
  const labels = podLabels(cluster.name, role);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${cluster.name}-${suffix}` },
    spec: {
      replicas,
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container(cluster, role)] } },
    },
  };
}

function container(cluster: FlinkCluster, role: Role): object {
  const overview = { httpGet: { path: '/overview', port: ports.ui }, initialDelaySeconds: 10, periodSeconds: 5 };
  return {
    name: role,
    image: cluster.image,
    args: [role],
    ports: Object.entries(ports).map(([name, containerPort]) => ({ name, containerPort })),
    env: [
      { name: 'FLINK_PROPERTIES', value: flinkProperties(cluster, role) },
      { name: 'HOST_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'HOST_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    ],
    ...(role === 'jobmanager' && { readinessProbe: { ...overview, failureThreshold: 2 } }),
  };
}

function flinkProperties({ name, taskSlots, flinkConfig }: FlinkCluster, role: Role): string {
  const properties = {
    ...flinkConfig,
    'taskmanager.numberOfTaskSlots': taskSlots,
    'jobmanager.rpc.port': ports.rpc,
    'jobmanager.web.port': ports.ui,
    'query.server.port': ports.query,
    'blob.server.port': ports.blob,
    'metrics.internal.query-service.port': ports.metrics,
    // What production has: neither fits the bench, which must see to that itself.
    'jobmanager.memory.process.size': '2516582k',
    'taskmanager.memory.process.size': '838860k',
    'jobmanager.rpc.address': name,
    ...(role === 'taskmanager' && { 'taskmanager.host': '$HOST_IP' }),
  };
  return Object.entries(properties)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}
