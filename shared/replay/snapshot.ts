// A snapshot: one recorded observation, in the form in which `kubectl get -o json` prints API objects.

import * as z from 'zod';
import { toV2Spec, type V1Autoscaler } from '../kubernetes/autoscaling-v1.ts';
import { HorizontalSpec, toHorizontalPolicy } from '../kubernetes/autoscaling-v2.ts';
import { OwnSpec, readStatus, SYNC_PERIOD_SECONDS, type WireStatus } from '../kubernetes/flink-autoscaler.ts';
import { parseQuantityOnce } from '../kubernetes/quantities.ts';
import type { AutoscalerSpec, AutoscalerStatus, Settings } from '../scaling/types.ts';
import { parseQuantity } from '../units.ts';

/** One thing that is wrong with a snapshot. */
export interface Fault {
  /** "pods.0.spec.containers.0.resources.requests.cpu" */
  readonly path: string;
  readonly message: string;
}

/** A snapshot cannot be judged. */
export class InvalidSnapshotError extends Error {
  override readonly name = 'InvalidSnapshotError';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super(faults.map(({ path, message }) => `${path}: ${message}`).join('; '));
    this.faults = faults;
  }
}

const seconds = z.number().min(0);

const SettingsOverrides = z
  .object({
    tolerance: z.number().min(0),
    cpuInitializationPeriodSeconds: seconds,
    initialReadinessDelaySeconds: seconds,
    downscaleStabilizationSeconds: seconds,
    maxSampleAgeSeconds: seconds,
    syncPeriodSeconds: z.number().min(1),
    ignoredPodPhases: z.array(z.string()),
    scaleUpLimitFactor: z.number().min(1),
    scaleUpLimitMinimum: z.number().min(1),
  })
  .partial();

// JavaScript reads "1" as a time too; a snapshot that holds such a thing is a mistake.
const Time = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time' });
const Instant = Time.transform((text) => Date.parse(text));

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 100) ?? 'missing';
}

const Quantity = z.unknown().transform((quantity, context) => {
  const milli = parseQuantity(quantity);
  if (milli !== undefined) return milli;
  context.addIssue({ code: 'custom', message: `must be a quantity, but is ${show(quantity)}` });
  return z.NEVER;
});

/** Checked and left as it is, for the lean readers of pods, which leave out what they cannot read. */
const Quantities = z
  .record(
    z.string(),
    z.unknown().refine((quantity) => parseQuantityOnce(quantity) !== undefined, {
      error: ({ input }) => `must be a quantity, but is ${show(input)}`,
    }),
  )
  .nullish();
const Container = z.looseObject({
  name: z.string().optional(),
  resources: z.looseObject({ requests: Quantities }).nullish(),
});
const ObjectMeta = z.looseObject({
  namespace: z.string().optional(),
  name: z.string(),
  labels: z.record(z.string(), z.string()).nullish(),
  deletionTimestamp: Time.nullish(),
});

const Pod = z.looseObject({
  metadata: ObjectMeta,
  spec: z
    .looseObject({
      containers: z.array(Container).nullish(),
      initContainers: z.array(Container).nullish(),
      resources: z.looseObject({ requests: Quantities }).nullish(),
    })
    .nullish(),
  status: z
    .looseObject({
      phase: z.string().optional(),
      startTime: Time.nullish(),
      conditions: z
        .array(z.looseObject({ type: z.string(), status: z.string(), lastTransitionTime: Time.nullish() }))
        .nullish(),
    })
    .nullish(),
});

const PodMetrics = z.looseObject({
  metadata: ObjectMeta,
  timestamp: Time,
  window: z.string().optional(),
  containers: z.array(z.looseObject({ name: z.string().optional(), usage: Quantities })).nullish(),
});

const MetricName = z.looseObject({ metric: z.looseObject({ name: z.string() }) });

const CustomMetric = z
  .looseObject({
    describedObject: z.looseObject({
      apiVersion: z.string().optional(),
      kind: z.string().default(''),
      name: z.string(),
    }),
    value: Quantity,
    timestamp: Instant,
    windowSeconds: z.number().nullish(),
    metricName: z.string().optional(),
    metric: MetricName.shape.metric.optional(),
    metricSelector: z.string().optional(),
  })
  .transform(({ metricName, metric, ...rest }) => ({ ...rest, name: metric?.name ?? metricName ?? '' }));

const ExternalMetric = z.looseObject({
  metricName: z.string(),
  metricLabels: z.record(z.string(), z.string()).nullish(),
  metricSelector: z.string().optional(),
  value: Quantity,
  timestamp: Instant,
});

const Failures = z
  .object({
    scale: z.string(),
    pods: z.string(),
    podMetrics: z.string(),
    customMetrics: z.string(),
    externalMetrics: z.string(),
    scaleWrite: z.string(),
    rivals: z.string(),
    /** Of single metrics, by their place in spec.metrics. */
    metrics: z.record(z.string(), z.string()),
  })
  .partial();

/** When a condition changed that does not say when. */
const BEGINNING_OF_TIME = '1970-01-01T00:00:00Z';

/** What is broken in a live object is passed over; what is broken in a file is told. Otherwise left as it is. */
const Memory = z.looseObject({
  currentReplicas: z.int().nullish(),
  desiredReplicas: z.int().nullish(),
  lastScaleTime: Time.nullish(),
  conditions: z
    .array(
      z.looseObject({
        type: z.string(),
        status: z.enum(['True', 'False', 'Unknown']),
        lastTransitionTime: Time.nullish().transform((time) => time ?? BEGINNING_OF_TIME),
      }),
    )
    .nullish(),
  recommendations: z.array(z.looseObject({ replicas: z.int(), from: Time, until: Time.optional() })).nullish(),
  scaleEvents: z.array(z.looseObject({ change: z.int(), time: Time })).nullish(),
  pendingRescale: z.looseObject({ from: z.int(), to: z.int(), time: Time }).nullish(),
});

const TargetCondition = z.looseObject({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().default(''),
  message: z.string().default(''),
});

const Autoscaler = z.looseObject({
  apiVersion: z.string(),
  kind: z.enum(['FlinkAutoscaler', 'HorizontalPodAutoscaler']),
  metadata: z.looseObject({
    namespace: z.string().default(''),
    name: z.string(),
    generation: z.int().optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.looseObject({}),
  status: Memory.nullish(),
});

const Scale = z.looseObject({
  spec: z.looseObject({ replicas: z.int().min(0).default(0) }).prefault({}),
  status: z.looseObject({ replicas: z.int().min(0).default(0), selector: z.string().default('') }).prefault({}),
});

export const Snapshot = z.object({
  kind: z.literal('Snapshot'),
  name: z.string().default(''),
  now: Instant,
  settings: SettingsOverrides.prefault({}),
  autoscaler: Autoscaler,
  scale: Scale.nullish(),
  pods: z.array(Pod).default([]),
  podMetrics: z.array(PodMetrics).default([]),
  customMetrics: z.array(CustomMetric).default([]),
  externalMetrics: z.array(ExternalMetric).default([]),
  otherAutoscalers: z
    .array(z.looseObject({ kind: z.string().optional(), metadata: ObjectMeta, selector: z.string().default('') }))
    .default([]),
  /** Other autoscalers that act on the same target, as "HorizontalPodAutoscaler orders". */
  rivals: z.array(z.string()).default([]),
  /** Where a FlinkApplication stands in its deployment. */
  phase: z.string().optional(),
  /** What a FlinkApplication's size follows from. */
  scaleBasis: z.object({ parallelism: z.int(), taskSlots: z.int() }).optional(),
  /** What a FlinkApplication's status says of it. */
  targetConditions: z.array(TargetCondition).optional(),
  failures: Failures.prefault({}),
});
export type Snapshot = z.output<typeof Snapshot>;

/** Checks one snapshot. @throws InvalidSnapshotError naming every fault */
export function readSnapshot(value: unknown): Snapshot {
  const parsed = Snapshot.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidSnapshotError(faultsOf(parsed.error));
}

function faultsOf(error: z.ZodError, prefix: readonly PropertyKey[] = []): readonly Fault[] {
  return error.issues.map(({ path, message }) => ({ path: [...prefix, ...path].join('.'), message }));
}

/** The product's defaults, where neither the snapshot nor the autoscaler says anything. */
const DEFAULT_SETTINGS: Settings = {
  tolerance: 0.1,
  cpuInitializationPeriodSeconds: 300,
  initialReadinessDelaySeconds: 30,
  downscaleStabilizationSeconds: 300,
  syncPeriodSeconds: SYNC_PERIOD_SECONDS,
};

/** The policy that a snapshot holds: a FlinkAutoscaler's, or an HPA's of either version. @throws InvalidSnapshotError */
export function readPolicy({ autoscaler, settings }: Snapshot): AutoscalerSpec {
  const recorded = { ...DEFAULT_SETTINGS, ...withoutUndefined(settings) };
  const horizontal = parseSpec(
    HorizontalSpec,
    autoscaler.apiVersion === 'autoscaling/v1' ? fromV1(autoscaler) : autoscaler.spec,
  );
  const policy = toHorizontalPolicy(horizontal);
  if (autoscaler.kind === 'HorizontalPodAutoscaler')
    return { ...policy, mode: 'Auto', pause: { scaleUp: false, scaleDown: false }, settings: recorded };

  const { mode, pause, controller } = parseSpec(OwnSpec, autoscaler.spec);
  const written = (autoscaler.spec as { controller?: object }).controller ?? {};
  const chosen = Object.fromEntries(
    Object.entries(controller).filter(([field]) => field in written || !(field in recorded)),
  );
  return { ...policy, mode, pause, settings: { ...recorded, ...chosen } };
}

function fromV1(autoscaler: Snapshot['autoscaler']): unknown {
  try {
    return toV2Spec(autoscaler as V1Autoscaler);
  } catch (error) {
    if (error instanceof z.ZodError) throw new InvalidSnapshotError(faultsOf(error, ['autoscaler', 'spec']));
    throw error;
  }
}

function parseSpec<Schema extends z.ZodType>(schema: Schema, spec: unknown): z.output<Schema> {
  const parsed = schema.safeParse(spec);
  if (parsed.success) return parsed.data;
  throw new InvalidSnapshotError(faultsOf(parsed.error, ['autoscaler', 'spec']));
}

/** The memory that a snapshot's autoscaler carries. */
export function readMemory({ autoscaler }: Snapshot): AutoscalerStatus {
  return readStatus((autoscaler.status ?? {}) as WireStatus);
}

function withoutUndefined<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never;
}
