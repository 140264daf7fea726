// Values for tests: each builder makes a plain, healthy one, and a test names only what it is about.

import type {
  AutoscalerSpec,
  AutoscalerStatus,
  Condition,
  Observation,
  Pod,
  PodSample,
  ResourceMetricSpec,
  Scale,
  Settings,
} from '../../shared/scaling/types.ts';

/** The instant at which tests decide, unless they step it: epoch milliseconds. */
export const NOW = Date.parse('2026-03-01T12:00:00Z');

/** Seconds as milliseconds, for instants: NOW - seconds(15) is one tick ago. */
export function seconds(count: number): number {
  return count * 1000;
}

export function someSettings(overrides: Partial<Settings> = {}): Settings {
  return {
    cpuInitializationPeriodSeconds: 300,
    initialReadinessDelaySeconds: 30,
    tolerance: 0.1,
    downscaleStabilizationSeconds: 300,
    maxSampleAgeSeconds: 180,
    syncPeriodSeconds: 15,
    ...overrides,
  };
}

/** CPU at 40 % of the requests. */
export function aResourceMetric(overrides: Partial<ResourceMetricSpec> = {}): ResourceMetricSpec {
  return {
    type: 'Resource',
    resource: 'cpu',
    target: { type: 'Utilization', averageUtilization: 40 },
    ...overrides,
  };
}

/** 1 to 10 replicas of FlinkApplication orders, by CPU. */
export function anAutoscalerSpec({
  settings,
  pause,
  ...overrides
}: Partial<Omit<AutoscalerSpec, 'settings' | 'pause'>> & {
  readonly settings?: Partial<Settings>;
  readonly pause?: Partial<AutoscalerSpec['pause']>;
} = {}): AutoscalerSpec {
  return {
    target: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' },
    minReplicas: 1,
    maxReplicas: 10,
    metrics: [aResourceMetric()],
    mode: 'Auto',
    pause: { scaleUp: false, scaleDown: false, ...pause },
    settings: someSettings(settings),
    ...overrides,
  };
}

/** A pod with one CPU requested, ready for an hour. */
export function aPod(overrides: Partial<Pod> = {}): Pod {
  return {
    name: 'orders-0',
    phase: 'Running',
    isDeleting: false,
    startTime: NOW - seconds(3700),
    ready: { status: 'True', lastTransitionTime: NOW - seconds(3600) },
    containers: [{ name: 'taskmanager', requestsMilli: { cpu: 1000n, memory: 1000n } }],
    ...overrides,
  };
}

/** Pods orders-0, orders-1, … */
export function somePods(count: number, overrides: Partial<Pod> = {}): readonly Pod[] {
  return Array.from({ length: count }, (_, index) => aPod({ name: `orders-${index}`, ...overrides }));
}

/** Half a CPU, measured over the 15 s up to 10 s ago. */
export function aPodSample(overrides: Partial<PodSample> = {}): PodSample {
  return { pod: 'orders-0', valueMilli: 500n, time: NOW - seconds(10), windowSeconds: 15, ...overrides };
}

/** The same usage on orders-0, orders-1, … */
export function someSamples(count: number, valueMilli: bigint, overrides: Partial<PodSample> = {}): PodSample[] {
  return Array.from({ length: count }, (_, index) => aPodSample({ pod: `orders-${index}`, valueMilli, ...overrides }));
}

export function aScale(overrides: Partial<Scale> = {}): Scale {
  return { replicas: 2, selector: 'flink-app=orders,flink-deployment-type=taskmanager', ...overrides };
}

/** `replicas` ready pods of one CPU each, all of them busy by `cpuPercent`: 2 and 40 % unless said otherwise. */
export function anObservation({
  replicas = 2,
  cpuPercent = 40,
  ...overrides
}: Partial<Observation> & { readonly replicas?: number; readonly cpuPercent?: number } = {}): Observation {
  return {
    scale: { value: aScale({ replicas }) },
    rivals: { value: [] },
    phase: 'Running',
    pods: { value: somePods(replicas) },
    metrics: [{ value: someSamples(replicas, BigInt(cpuPercent) * 10n) }],
    ...overrides,
  };
}

/** The memory of an autoscaler that has decided before, long ago: nothing in it keeps a size from shrinking. */
export function aStatus(overrides: Partial<AutoscalerStatus> = {}): AutoscalerStatus {
  return { conditions: [], scaleEvents: [], recommendations: [], ...overrides };
}

export function aCondition(overrides: Partial<Condition> = {}): Condition {
  return {
    type: 'AbleToScale',
    status: 'True',
    reason: 'ReadyForNewScale',
    message: 'recommended size matches current size',
    lastTransitionTime: NOW - seconds(600),
    ...overrides,
  };
}
