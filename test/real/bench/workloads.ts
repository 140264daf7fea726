// Plays the rest of the cluster: the operator that reports an application's size, and the kubelets that run its TaskManagers.
import { randomBytes } from 'node:crypto';
import type { ApiClient } from './api-client.ts';
import { mergePatch } from './api-client.ts';

/** A namespace that no other test has. It is not deleted again: that takes ten seconds, and the cluster goes with the run. */
export async function createNamespace(admin: ApiClient, prefix = 'test'): Promise<string> {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`;
  await admin.send('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

export interface ApplicationName {
  readonly namespace: string;
  readonly name: string;
}

/** Creates a FlinkApplication; `spec` is merged over the smallest one that the schema accepts. */
export async function createApplication(
  admin: ApiClient,
  { namespace, name }: ApplicationName,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await admin.send('POST', `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications`, {
    apiVersion: 'flink.k8s.io/v1beta1',
    kind: 'FlinkApplication',
    metadata: { name },
    spec: { image: 'flink:1.20', jarName: 'job.jar', entryClass: 'com.example.Job', parallelism: 4, ...spec },
  });
}

/** What the operator writes into the status of a running application; null takes a field away. */
export interface ApplicationStatus {
  /** Default Running. */
  readonly phase?: string;
  readonly selector?: string | null;
  readonly numberOfTaskManagers?: number | null;
}

/** Sets the status of an application: Running, with the selector of its TaskManagers unless another is given. */
export async function setApplicationStatus(
  admin: ApiClient,
  application: ApplicationName,
  { phase = 'Running', selector = taskManagerSelector(application.name), numberOfTaskManagers }: ApplicationStatus,
): Promise<void> {
  const size = numberOfTaskManagers === undefined ? {} : { clusterStatus: { numberOfTaskManagers } };
  await admin.send(
    'PATCH',
    `${applicationPath(application)}/status`,
    { status: { phase, selector, ...size } },
    mergePatch,
  );
}

/** The `pod-deployment-selector` that the TaskManagers here carry unless a test gives another. */
const defaultDeploymentSelector = 'a1b2c3d4';

/** What `status.selector` of an application says. */
export function taskManagerSelector(application: string, deploymentSelector = defaultDeploymentSelector): string {
  return Object.entries(taskManagerLabels(application, deploymentSelector))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

export interface TaskManagers {
  readonly namespace: string;
  readonly application: string;
  readonly count: number;
  /** Default 1; null: the container requests nothing. */
  readonly cpuRequest?: string | null;
  /** Default 1Gi; null: the container requests nothing. */
  readonly memoryRequest?: string | null;
  /** Default true. */
  readonly ready?: boolean;
  /** Default Running. */
  readonly phase?: 'Pending' | 'Running' | 'Failed';
  /** Epoch ms; default ten minutes ago, long after the HPA stops mistrusting a new pod's CPU. */
  readonly startTime?: number;
  /** Eight characters a-z0-9. */
  readonly deploymentSelector?: string;
}

/** Creates TaskManager pods, bound to no node, and reports them as a kubelet would. Returns their names. */
export async function createTaskManagers(admin: ApiClient, taskManagers: TaskManagers): Promise<readonly string[]> {
  const names = Array.from(
    { length: taskManagers.count },
    () => `${taskManagers.application}-tm-${randomBytes(4).toString('hex')}`,
  );
  await Promise.all(names.map((name) => createTaskManager(admin, name, taskManagers)));
  return names;
}

/** Deletes pods; being bound to no node, they are gone at once. */
export async function deletePods(admin: ApiClient, namespace: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => admin.send('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`)));
}

async function createTaskManager(admin: ApiClient, name: string, taskManagers: TaskManagers): Promise<void> {
  const {
    namespace,
    application,
    cpuRequest = '1',
    memoryRequest = '1Gi',
    deploymentSelector = defaultDeploymentSelector,
  } = taskManagers;
  const requests = {
    ...(cpuRequest === null ? {} : { cpu: cpuRequest }),
    ...(memoryRequest === null ? {} : { memory: memoryRequest }),
  };
  await admin.send('POST', `/api/v1/namespaces/${namespace}/pods`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: taskManagerLabels(application, deploymentSelector) },
    spec: { containers: [{ name: 'taskmanager', image: 'flink:1.20', resources: { requests } }] },
  });
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
  await admin.send('PATCH', path, { status: podStatus(taskManagers) }, mergePatch);
}

function podStatus({ ready = true, phase = 'Running', startTime = Date.now() - 600_000 }: TaskManagers): unknown {
  const since = new Date(startTime).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    phase,
    startTime: since,
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: since }],
  };
}

/** What the TaskManagers of an application carry. */
export function taskManagerLabels(
  application: string,
  deploymentSelector = defaultDeploymentSelector,
): Readonly<Record<string, string>> {
  return {
    'flink-app': application,
    'flink-deployment-type': 'taskmanager',
    'pod-deployment-selector': deploymentSelector,
  };
}

/** The API path of an application, to which a subresource may be added. */
export function applicationPath({ namespace, name }: ApplicationName): string {
  return `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications/${name}`;
}
