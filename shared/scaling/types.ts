// The words of the decision. Shapes follow autoscaling/v2; instants are epoch milliseconds, quantities thousandths.

import type { Milli } from '../units.ts';

/** The policy: what a FlinkAutoscaler's spec says, with every default filled in. */
export interface AutoscalerSpec {
  readonly target: TargetReference;
  /** At least 1. */
  readonly minReplicas: number;
  /** At least minReplicas. */
  readonly maxReplicas: number;
  /** In the order in which the user wrote them, never empty. */
  readonly metrics: readonly MetricSpec[];
  /** Auto acts; Advise decides and records, but never writes to the target; Off looks at nothing. */
  readonly mode: 'Auto' | 'Advise' | 'Off';
  readonly pause: { readonly scaleUp: boolean; readonly scaleDown: boolean };
  readonly settings: Settings;
}

export interface TargetReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** What the HPA keeps in cluster-wide flags; here each object has its own. */
export interface Settings {
  /** For this long after its start a pod's CPU sample counts only if taken after it became ready. Default 300. */
  readonly cpuInitializationPeriodSeconds: number;
  /** A pod that became unready within this time of its start has never been ready. Default 30. */
  readonly initialReadinessDelaySeconds: number;
  /** The usage ratio may be this far from 1 before the size changes. Default 0.1. */
  readonly tolerance: number;
  /** A size shrinks to no less than was recommended within this time. Default 300. */
  readonly downscaleStabilizationSeconds: number;
  /** An older sample counts as missing. Absent: any age is accepted, as the HPA does. Default of a FlinkAutoscaler: 180. */
  readonly maxSampleAgeSeconds?: number;
  /** Time between two ticks; a recommendation that still held when last looked at ended this long before the next. */
  readonly syncPeriodSeconds: number;
}

export type MetricSpec = ResourceMetricSpec | UnsupportedMetricSpec;

/** CPU or memory of the target's pods, as metrics.k8s.io measures it. */
export interface ResourceMetricSpec {
  readonly type: 'Resource';
  readonly resource: string;
  readonly target: UtilizationTarget | AverageValueTarget;
}

/** A metric that cannot be read as one of the types above: it fails by itself, the object lives on. */
export interface UnsupportedMetricSpec {
  readonly type: 'Unsupported';
  /** The type as the user wrote it. */
  readonly name: string;
  /** Why it cannot be used, as a sentence. */
  readonly message: string;
}

/** Usage in whole percent of the pods' requests, at least 1. */
export interface UtilizationTarget {
  readonly type: 'Utilization';
  readonly averageUtilization: number;
}

/** Usage per pod, above 0. */
export interface AverageValueTarget {
  readonly type: 'AverageValue';
  readonly averageValueMilli: Milli;
}

/** What one source said, or why it could not be read. Unknown is never taken for zero. */
export type Reading<T> = { readonly value: T } | { readonly unreadable: string };

/** Everything that one tick saw of one target. */
export interface Observation {
  readonly scale: Reading<Scale>;
  /** Other autoscalers that name the same target, as "HorizontalPodAutoscaler orders". */
  readonly rivals: Reading<readonly string[]>;
  /** Where a FlinkApplication stands in its deployment; absent for targets of other kinds. */
  readonly phase?: string;
  /** The pods that the scale's selector matches. */
  readonly pods: Reading<readonly Pod[]>;
  /** One reading per metric of the spec, in its order. */
  readonly metrics: readonly Reading<readonly PodSample[]>[];
}

/** The scale subresource of the target. */
export interface Scale {
  readonly replicas: number;
  /** Of the pods, as the target wrote it. */
  readonly selector: string;
  /** Why the selector picks no pods, when it is missing or cannot be read. */
  readonly selectorFault?: string;
}

export interface Pod {
  readonly name: string;
  readonly phase: string;
  readonly isDeleting: boolean;
  readonly startTime?: number;
  /** The Ready condition. */
  readonly ready?: { readonly status: string; readonly lastTransitionTime: number };
  /** The containers that count towards requests: ordinary ones and restartable init containers. */
  readonly containers: readonly ContainerRequests[];
}

export interface ContainerRequests {
  readonly name: string;
  readonly requestsMilli: Readonly<Record<string, Milli>>;
}

/** One pod's usage of one resource, summed over its containers. */
export interface PodSample {
  readonly pod: string;
  readonly valueMilli: Milli;
  /** When the usage was measured. */
  readonly time: number;
  /** Over how long it was measured, up to `time`. */
  readonly windowSeconds: number;
}

export type ConditionStatus = 'True' | 'False' | 'Unknown';

export interface Condition {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
  /** When `status` last changed; reason and message move freely. */
  readonly lastTransitionTime: number;
}

/** The value of one metric as status shows it, or null where it could not be computed. */
export type CurrentMetric = CurrentResourceMetric | null;

export interface CurrentResourceMetric {
  readonly type: 'Resource';
  readonly resource: string;
  readonly averageValueMilli: Milli;
  /** Whole percent of the requests, with a Utilization target. */
  readonly averageUtilization?: number;
}

/**
 * A recommendation held at every tick from `from` to `until`, both included. The newest may lack `until`:
 * it still held when last looked at.
 */
export interface Recommendation {
  readonly replicas: number;
  readonly from: number;
  readonly until?: number;
}

/** Replicas added (positive) or removed (negative) by a write of ours that took effect. */
export interface ScaleEvent {
  readonly change: number;
  readonly time: number;
}

/** A size written down before it is made, so that a process killed in between cannot forget that it made it. */
export interface PendingRescale {
  readonly from: number;
  readonly to: number;
  readonly time: number;
}

/** What a decision that changed something said. */
export interface LastDecision {
  readonly time: number;
  readonly currentReplicas: number;
  readonly desiredReplicas: number;
  readonly reason: string;
  readonly message: string;
}

/** What one tick leaves for the next: the whole memory of an autoscaler. */
export interface AutoscalerStatus {
  readonly observedGeneration?: number;
  readonly currentReplicas?: number;
  readonly desiredReplicas?: number;
  readonly lastScaleTime?: number;
  readonly currentMetrics?: readonly CurrentMetric[];
  /** When currentMetrics were last written. */
  readonly currentMetricsTime?: number;
  readonly conditions: readonly Condition[];
  /** Absent: nothing was ever recommended. Empty: history is known and there is none. */
  readonly recommendations?: readonly Recommendation[];
  readonly scaleEvents: readonly ScaleEvent[];
  readonly pendingRescale?: PendingRescale;
  readonly selector?: string;
  /** "cpu: 80%/40%", for the print column. */
  readonly targets?: string;
  readonly lastDecision?: LastDecision;
}

/** The answer: how many, why, and what to remember. */
export interface Decision {
  readonly currentReplicas?: number;
  /** The size after every bound and rule; where nothing could be computed, the current size. */
  readonly desiredReplicas?: number;
  /** Whether the target's scale is to be written. */
  readonly rescale: boolean;
  readonly reason: string;
  /** A sentence with the numbers. */
  readonly message: string;
  /** Why (part of) the computation failed. */
  readonly error?: string;
  readonly status: AutoscalerStatus;
}
