// FlinkApplication, flink.k8s.io/v1beta1, as far as scaling needs it. Read lean: a tick lists a thousand of them.
// deployed-application.ts reads it whole.

import { DEFAULT_TASK_SLOTS, type SizeSpec } from '../deployment/parallelism.ts';
import type { ScaleBasis, TargetCondition } from '../scaling/types.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { listAll, type Namespaces } from './lists.ts';
import { FLINK_APPLICATIONS, objectPath } from './paths.ts';

export interface FlinkApplication {
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** Counts the changes of spec; 0 where the API server does not say. */
  readonly generation: number;
  /** status.observedGeneration: the spec that was looked at last; 0 before the first look. */
  readonly observedGeneration: number;
  readonly isDeleting: boolean;
  /** Absent where parallelism or slots are no numbers: such an application cannot be sized. */
  readonly size?: SizeSpec;
  readonly scaleBasis?: ScaleBasis;
  /** status.lastReplicas: the size that reconcile saw last; absent where it has recorded none. */
  readonly lastReplicas?: number;
  /** status.currentRevision: whether Headrace has deployed it. */
  readonly hasRevision: boolean;
  /** status.phase; empty before the first deployment. */
  readonly phase: string;
  /** status.clusterStatus.numberOfTaskManagers; 0 while it is absent. */
  readonly numberOfTaskManagers: number;
  /** status.selector; empty before the first deployment. */
  readonly selector: string;
  /** status.conditions; none before the first reconcile, and of an application that another operator deploys. */
  readonly conditions: readonly TargetCondition[];
}

/** Lists the FlinkApplications of a shard. */
export function listFlinkApplications(client: KubernetesClient, namespaces: Namespaces): Promise<FlinkApplication[]> {
  return listAll(client, FLINK_APPLICATIONS, namespaces, jsonPages(readFlinkApplication));
}

interface WireApplication {
  metadata?: {
    namespace?: string;
    name?: string;
    resourceVersion?: string;
    generation?: unknown;
    deletionTimestamp?: unknown;
  };
  spec?: { parallelism?: unknown; taskManagerConfig?: { taskSlots?: unknown; replicas?: unknown } };
  status?: {
    phase?: unknown;
    observedGeneration?: unknown;
    selector?: unknown;
    clusterStatus?: { numberOfTaskManagers?: unknown };
    scaleBasis?: { parallelism?: unknown; taskSlots?: unknown };
    conditions?: unknown;
    lastReplicas?: unknown;
    currentRevision?: unknown;
  };
}

/** Reads one FlinkApplication. @returns undefined for what has no name or version */
export function readFlinkApplication(item: unknown): FlinkApplication | undefined {
  const { metadata, spec, status } = (item ?? {}) as WireApplication;
  if (metadata?.namespace === undefined || metadata.name === undefined || metadata.resourceVersion === undefined)
    return undefined;
  const size = readSize(spec);
  const scaleBasis = readBasis(status?.scaleBasis);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    resourceVersion: metadata.resourceVersion,
    generation: countOf(metadata.generation),
    observedGeneration: countOf(status?.observedGeneration),
    isDeleting: metadata.deletionTimestamp != null,
    ...(size && { size }),
    ...(scaleBasis && { scaleBasis }),
    ...(countOf(status?.lastReplicas) > 0 && { lastReplicas: countOf(status?.lastReplicas) }),
    hasRevision: typeof status?.currentRevision === 'string',
    phase: typeof status?.phase === 'string' ? status.phase : '',
    numberOfTaskManagers: countOf(status?.clusterStatus?.numberOfTaskManagers),
    selector: typeof status?.selector === 'string' ? status.selector : '',
    conditions: Array.isArray(status?.conditions) ? status.conditions.flatMap(readCondition) : [],
  };
}

/** @returns nothing for what is no condition */
function readCondition(item: unknown): readonly TargetCondition[] {
  const { type, status, reason, message } = (item ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof type !== 'string' || (status !== 'True' && status !== 'False' && status !== 'Unknown')) return [];
  return [{ type, status, reason: textOf(reason), message: textOf(message) }];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function readSize(spec: WireApplication['spec']): SizeSpec | undefined {
  const { taskSlots = DEFAULT_TASK_SLOTS, replicas } = spec?.taskManagerConfig ?? {};
  const basis = readBasis({ parallelism: spec?.parallelism, taskSlots });
  if (basis === undefined) return undefined;
  return isCount(replicas) ? { ...basis, replicas } : basis;
}

function readBasis(basis: { parallelism?: unknown; taskSlots?: unknown } | undefined): ScaleBasis | undefined {
  const { parallelism, taskSlots } = basis ?? {};
  return isCount(parallelism) && parallelism > 0 && isCount(taskSlots) && taskSlots > 0
    ? { parallelism, taskSlots }
    : undefined;
}

function countOf(value: unknown): number {
  return isCount(value) ? value : 0;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * Notes what the size was derived from, if the application is still as it was read.
 *
 * @returns the new resourceVersion
 */
export async function patchScaleBasis(
  client: KubernetesClient,
  application: { readonly namespace: string; readonly name: string; readonly resourceVersion: string },
  { parallelism, taskSlots }: ScaleBasis,
): Promise<string> {
  const answer = await client.patch(objectPath(FLINK_APPLICATIONS, application, 'status'), {
    metadata: { resourceVersion: application.resourceVersion },
    status: { scaleBasis: { parallelism, taskSlots } },
  });
  return (answer as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
}
