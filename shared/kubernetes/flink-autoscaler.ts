// FlinkAutoscaler, headrace.dev/v1alpha1: the policy a user writes, and the memory that Headrace keeps in its status.

import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type {
  AutoscalerSpec,
  AutoscalerStatus,
  CurrentMetric,
  MetricIdentifier,
  Reading,
  TargetReference,
} from '../scaling/types.ts';
import { formatQuantity, formatTime } from '../units.ts';
import { Time } from './answers.ts';
import { HorizontalSpec, Reference, toHorizontalPolicy } from './autoscaling-v2.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { listAll, type Namespaces } from './lists.ts';
import { FLINK_AUTOSCALERS, objectPath } from './paths.ts';

export interface FlinkAutoscaler {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** Known even where the rest of the spec cannot be read. */
  readonly target: TargetReference | undefined;
  /** The policy with every default, or what is wrong with it. */
  readonly spec: Reading<AutoscalerSpec>;
  readonly status: AutoscalerStatus;
  /** status as it stands on the server, to find what changes. */
  readonly wireStatus: WireStatus;
}

/** Time between two ticks. */
export const SYNC_PERIOD_SECONDS = 15;

/** Readings that moved while nothing else did are written at most this often. */
const READINGS_REFRESH_SECONDS = 300;

const seconds = z.int().min(0);

/** What a FlinkAutoscaler has beyond an HPA. */
export const OwnSpec = z.object({
  mode: z.enum(['Auto', 'Advise', 'Off']).default('Auto'),
  pause: z.object({ scaleUp: z.boolean().default(false), scaleDown: z.boolean().default(false) }).prefault({}),
  controller: z
    .object({
      cpuInitializationPeriodSeconds: seconds.default(300),
      initialReadinessDelaySeconds: seconds.default(30),
      tolerance: z.number().min(0).default(0.1),
      downscaleStabilizationSeconds: seconds.default(300),
      maxSampleAgeSeconds: z.int().min(1).default(180),
    })
    .prefault({}),
});

const Spec = z.intersection(HorizontalSpec, OwnSpec);

const Metadata = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string().default(''),
  resourceVersion: z.string(),
  generation: z.int().default(0),
});

const Status = z.object({
  observedGeneration: z.int().optional().catch(undefined),
  currentReplicas: z.int().optional().catch(undefined),
  desiredReplicas: z.int().optional().catch(undefined),
  lastScaleTime: Time.optional().catch(undefined),
  currentMetricsTime: Time.optional().catch(undefined),
  conditions: z
    .array(
      z.object({
        type: z.string(),
        status: z.enum(['True', 'False', 'Unknown']),
        reason: z.string().default(''),
        message: z.string().default(''),
        // A condition without a time is still a condition: what it says counts, not since when.
        lastTransitionTime: Time.catch(0),
      }),
    )
    .catch([]),
  // History that somebody broke is no history: the current size then counts as recommended, and nothing shrinks at once.
  recommendations: z
    .array(z.object({ replicas: z.int(), from: Time, until: Time.exactOptional() }))
    .optional()
    .catch(undefined),
  scaleEvents: z.array(z.object({ change: z.int(), time: Time })).catch([]),
  pendingRescale: z.object({ from: z.int(), to: z.int(), time: Time }).optional().catch(undefined),
  selector: z.string().optional().catch(undefined),
  scaleBasis: z.object({ parallelism: z.int(), taskSlots: z.int() }).optional().catch(undefined),
  targets: z.string().optional().catch(undefined),
  lastDecision: z
    .object({
      time: Time,
      currentReplicas: z.int(),
      desiredReplicas: z.int(),
      reason: z.string(),
      message: z.string(),
    })
    .optional()
    .catch(undefined),
});

/** status as JSON. */
export type WireStatus = Readonly<Record<string, unknown>>;

/** Lists the FlinkAutoscalers of a shard. One that cannot be read comes with the reason in its spec. */
export function listFlinkAutoscalers(client: KubernetesClient, namespaces: Namespaces): Promise<FlinkAutoscaler[]> {
  return listAll(client, FLINK_AUTOSCALERS, namespaces, jsonPages(readFlinkAutoscaler));
}

/** Reads one FlinkAutoscaler. @returns undefined for what has no name or version */
export function readFlinkAutoscaler(item: unknown): FlinkAutoscaler | undefined {
  const { metadata, spec, status } = (item ?? {}) as { metadata?: unknown; spec?: unknown; status?: WireStatus };
  const identity = Metadata.safeParse(metadata);
  if (!identity.success) return undefined;
  return {
    ...identity.data,
    target: Reference.safeParse((spec as { scaleTargetRef?: unknown } | undefined)?.scaleTargetRef).data,
    spec: readSpec(spec),
    status: readStatus(status ?? {}),
    wireStatus: status ?? {},
  };
}

/** Reads a policy and fills in every default, or says what must hold. */
export function readSpec(spec: unknown): Reading<AutoscalerSpec> {
  const parsed = Spec.safeParse(spec);
  if (!parsed.success)
    return {
      unreadable: parsed.error.issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`).join('; '),
    };
  const { mode, pause, controller, ...horizontal } = parsed.data;
  const settings = { ...controller, syncPeriodSeconds: SYNC_PERIOD_SECONDS };
  return { value: { ...toHorizontalPolicy(horizontal), mode, pause, settings } };
}

/** Reads a status, leaving out what is broken. */
export function readStatus(status: WireStatus): AutoscalerStatus {
  const parsed = Status.parse(status);
  const present = Object.entries(parsed).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as unknown as AutoscalerStatus;
}

/**
 * Finds what a write of a new status would have to change, so that an object at rest costs nothing.
 *
 * @returns undefined when nothing has to be written: nothing changed, or readings alone that were written lately
 */
export function diffStatus(
  { wireStatus, status: previous }: FlinkAutoscaler,
  next: AutoscalerStatus,
): WireStatus | undefined {
  const wire = toWireStatus(next);
  const keys = [...new Set([...Object.keys(wireStatus), ...Object.keys(wire)])];
  const changed = keys.filter((key) => !isDeepStrictEqual(wireStatus[key], wire[key]));
  const isReadingsOnly = changed.every(
    (key) => key === 'currentMetrics' || key === 'currentMetricsTime' || key === 'targets',
  );
  if (isReadingsOnly) {
    const haveMoved = changed.some((key) => key !== 'currentMetricsTime');
    const hasFailureMoved = countUnknown(previous.targets) !== countUnknown(next.targets);
    const age = (next.currentMetricsTime ?? 0) - (previous.currentMetricsTime ?? 0);
    if (!haveMoved || (!hasFailureMoved && age < READINGS_REFRESH_SECONDS * 1000)) return undefined;
  }
  // In a merge patch null takes a field away.
  return Object.fromEntries(changed.map((key) => [key, wire[key] ?? null]));
}

/** How many metrics could not be read; one that fails or recovers is told at once. */
export function countUnknown(targets = ''): number {
  return targets.split('<unknown>').length - 1;
}

/**
 * Writes the changed fields of a status, if the object is still as it was read.
 *
 * @returns the new resourceVersion
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function patchStatus(
  client: KubernetesClient,
  autoscaler: FlinkAutoscaler,
  changes: WireStatus,
): Promise<string> {
  const { resourceVersion } = autoscaler;
  const answer = await client.patch(objectPath(FLINK_AUTOSCALERS, autoscaler, 'status'), {
    metadata: { resourceVersion },
    status: changes,
  });
  return Metadata.parse((answer as { metadata?: unknown }).metadata).resourceVersion;
}

/** The status as it goes over the wire. Times are RFC 3339 in UTC. */
export function toWireStatus(status: AutoscalerStatus): WireStatus {
  const {
    lastScaleTime,
    currentMetrics,
    currentMetricsTime,
    conditions,
    recommendations,
    scaleEvents,
    pendingRescale,
    lastDecision,
    ...plain
  } = status;
  return {
    ...plain,
    ...(lastScaleTime !== undefined && { lastScaleTime: formatTime(lastScaleTime) }),
    ...(currentMetrics !== undefined && { currentMetrics: currentMetrics.map(toWireMetric) }),
    ...(currentMetricsTime !== undefined && { currentMetricsTime: formatTime(currentMetricsTime) }),
    ...(conditions.length > 0 && {
      conditions: conditions.map((condition) => ({
        ...condition,
        lastTransitionTime: formatTime(condition.lastTransitionTime),
      })),
    }),
    ...(recommendations !== undefined && {
      recommendations: recommendations.map(({ replicas, from, until }) => ({
        replicas,
        from: formatTime(from),
        ...(until !== undefined && { until: formatTime(until) }),
      })),
    }),
    ...(scaleEvents.length > 0 && {
      scaleEvents: scaleEvents.map(({ change, time }) => ({ change, time: formatTime(time) })),
    }),
    ...(pendingRescale !== undefined && {
      pendingRescale: { ...pendingRescale, time: formatTime(pendingRescale.time) },
    }),
    ...(lastDecision !== undefined && { lastDecision: { ...lastDecision, time: formatTime(lastDecision.time) } }),
  };
}

/** autoscaling/v2 MetricStatus; the slot of a metric that failed has an empty type. */
export function toWireMetric(slot: CurrentMetric): object {
  if (slot === null) return { type: '' };
  const { metric, averageValueMilli, valueMilli, averageUtilization } = slot;
  const current = {
    ...(valueMilli !== undefined && { value: formatQuantity(valueMilli) }),
    ...(averageValueMilli !== undefined && { averageValue: formatQuantity(averageValueMilli) }),
    ...(averageUtilization !== undefined && { averageUtilization }),
  };
  const { type } = metric;
  switch (type) {
    case 'Resource':
      return { type, resource: { name: metric.resource, current } };
    case 'ContainerResource':
      return { type, containerResource: { name: metric.resource, container: metric.container, current } };
    case 'Pods':
      return { type, pods: { metric: toWireIdentifier(metric.metric), current } };
    case 'Object':
      return {
        type,
        object: { describedObject: metric.describedObject, metric: toWireIdentifier(metric.metric), current },
      };
    case 'External':
      return { type, external: { metric: toWireIdentifier(metric.metric), current } };
    default:
      throw metric satisfies never;
  }
}

function toWireIdentifier({ name, selector }: MetricIdentifier): object {
  return { name, ...(selector !== undefined && { selector }) };
}
