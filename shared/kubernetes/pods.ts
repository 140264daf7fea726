// Pods and their usage, read lean: a tick lists 10,000 of them, and needs one field in twenty. Written by hand, because
// a full schema costs more than the parsing itself; test/kubernetes/pods.test.ts holds it against one.

import type { ContainerRequests, Pod } from '../scaling/types.ts';
import { type Milli, parseDurationSeconds } from '../units.ts';
import { jsonPages, type KubernetesClient, type PageReader } from './client.ts';
import { listAll, type Namespaces } from './lists.ts';
import { POD_METRICS, PODS } from './paths.ts';
import { readPodList } from './pod-list.ts';
import { podLevelRequests } from './pod-requests.ts';
import { PROTOBUF } from './protobuf.ts';
import { parseQuantityOnce } from './quantities.ts';
import type { Labels } from './selectors.ts';

/** What every TaskManager pod of a FlinkApplication carries, so that one list serves all applications. */
export const TASK_MANAGERS = 'flink-deployment-type=taskmanager';

export interface NamespacedPod extends Pod {
  readonly namespace: string;
  readonly labels: Labels;
}

/** What metrics.k8s.io measured on one pod. */
export interface PodUsage {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly time: number;
  readonly windowSeconds: number;
  readonly containers: readonly ContainerUsage[];
}

export interface ContainerUsage {
  readonly name: string;
  /** By resource. */
  readonly usageMilli: Readonly<Record<string, Milli>>;
}

const POD_PAGES: PageReader<NamespacedPod> = { accept: PROTOBUF, read: readPodList };

/** Lists the pods that a label selector picks. */
export function listPods(
  client: KubernetesClient,
  namespaces: Namespaces,
  labelSelector: string,
): Promise<NamespacedPod[]> {
  return listAll(client, PODS, namespaces, POD_PAGES, { labelSelector });
}

/** Over how long a sample was measured whose server does not say so: longer than any would be a sample lost, shorter one too many. */
const DEFAULT_WINDOW_SECONDS = 60;

/** Lists the usage of the pods that a label selector picks. */
export function listPodUsage(
  client: KubernetesClient,
  namespaces: Namespaces,
  labelSelector: string,
): Promise<PodUsage[]> {
  return listAll(client, POD_METRICS, namespaces, jsonPages(readPodUsage), { labelSelector });
}

interface WirePod {
  metadata?: { name?: string; namespace?: string; labels?: Labels; deletionTimestamp?: string };
  spec?: {
    containers?: WireContainer[];
    initContainers?: WireContainer[];
    resources?: { requests?: Record<string, unknown> };
    overhead?: Record<string, unknown>;
  };
  status?: {
    phase?: string;
    startTime?: string;
    conditions?: { type?: string; status?: string; lastTransitionTime?: string }[];
  };
}

interface WireContainer {
  name?: string;
  restartPolicy?: string;
  resources?: { requests?: Record<string, unknown> };
}

/** Reads a v1 Pod of a list. @returns undefined for what is no pod */
export function readPod(item: unknown): NamespacedPod | undefined {
  const { metadata, spec, status } = (item ?? {}) as WirePod;
  if (metadata?.name === undefined || metadata.namespace === undefined) return undefined;
  const startTime = parseTime(status?.startTime);
  const ready = status?.conditions?.find((condition) => condition.type === 'Ready');
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    labels: metadata.labels ?? {},
    phase: status?.phase ?? 'Unknown',
    isDeleting: typeof metadata.deletionTimestamp === 'string',
    ...(startTime !== undefined && { startTime }),
    ...(ready !== undefined && {
      ready: { status: ready.status ?? 'Unknown', lastTransitionTime: parseTime(ready.lastTransitionTime) ?? 0 },
    }),
    ...readSpec(spec),
  };
}

// Sidecars are init containers that are restarted always; other init containers have ended when the pod runs.
function readSpec(spec: WirePod['spec']): Pick<NamespacedPod, 'containers' | 'requestsMilli'> {
  const ordinary = spec?.containers?.map(readContainer) ?? [];
  const initContainers = spec?.initContainers ?? [];
  const sidecars = initContainers.filter(isSidecar).map(readContainer);
  const requestsMilli = podLevelRequests({
    requests: readQuantities(spec?.resources?.requests),
    overhead: readQuantities(spec?.overhead),
    containers: ordinary.map((container) => container.requestsMilli),
    initContainers: initContainers.map((container) => ({
      requests: readQuantities(container.resources?.requests),
      isSidecar: isSidecar(container),
    })),
  });
  return { containers: [...ordinary, ...sidecars], ...(requestsMilli && { requestsMilli }) };
}

function isSidecar({ restartPolicy }: WireContainer): boolean {
  return restartPolicy === 'Always';
}

function readContainer({ name, resources }: WireContainer): ContainerRequests {
  return { name: name ?? '', requestsMilli: readQuantities(resources?.requests) };
}

interface WirePodMetrics {
  metadata?: { name?: string; namespace?: string; labels?: Labels };
  timestamp?: string;
  window?: string;
  containers?: { name?: string; usage?: Record<string, unknown> }[];
}

/** Reads a PodMetrics of a list. @returns undefined for what is none, or has no time */
export function readPodUsage(item: unknown): PodUsage | undefined {
  const { metadata, timestamp, window, containers } = (item ?? {}) as WirePodMetrics;
  const time = parseTime(timestamp);
  if (metadata?.name === undefined || metadata.namespace === undefined || time === undefined) return undefined;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    labels: metadata.labels ?? {},
    time,
    windowSeconds: parseDurationSeconds(window ?? '') ?? DEFAULT_WINDOW_SECONDS,
    containers: containers?.map(({ name, usage }) => ({ name: name ?? '', usageMilli: readQuantities(usage) })) ?? [],
  };
}

/** An unreadable quantity is left out, so that it fails the metric that needs it and no other. */
function readQuantities(quantities: Record<string, unknown> | undefined): Readonly<Record<string, Milli>> {
  const read: Record<string, Milli> = {};
  for (const resource in quantities) {
    const milli = parseQuantityOnce(quantities[resource]);
    if (milli !== undefined) read[resource] = milli;
  }
  return read;
}

function parseTime(text: string | undefined): number | undefined {
  if (text === undefined || text === null) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
