// The words of the decision. Shapes follow autoscaling/v2; instants are epoch milliseconds, quantities thousandths.

import type { Milli } from '../units.ts';

/** The policy: what a FlinkAutoscaler's spec says, with every default filled in. */
export interface AutoscalerSpec {
  readonly target: TargetReference;
  /** At least 0; 0 needs an Object or External metric, because no pod can be measured then. */
  readonly minReplicas: number;
  /** At least minReplicas. */
  readonly maxReplicas: number;
  /** In the order in which the user wrote them, never empty. */
  readonly metrics: readonly MetricSpec[];
  /** How fast and how steadily the size may change; absent: the HPA's limits of old. */
  readonly behavior?: Behavior;
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
  /** Phases of pods that count as not there. Default: Failed alone. */
  readonly ignoredPodPhases?: readonly string[];
  /** Without behavior, the size never grows past this many times the current one in one step. Default 2. */
  readonly scaleUpLimitFactor?: number;
  /** But it always may go to this. Default 4. */
  readonly scaleUpLimitMinimum?: number;
}

/** Each direction's rules, with every default of autoscaling/v2 filled in. */
export interface Behavior {
  readonly scaleUp: ScalingRules;
  readonly scaleDown: ScalingRules;
}

export interface ScalingRules {
  /** 0 to 3600. Absent (scaleDown alone): settings.downscaleStabilizationSeconds. */
  readonly stabilizationWindowSeconds?: number;
  /** Which policy counts where several allow different changes. */
  readonly selectPolicy: 'Max' | 'Min' | 'Disabled';
  /** At least one. */
  readonly policies: readonly ScalingPolicy[];
  /** In this direction, instead of settings.tolerance. */
  readonly tolerance?: number;
}

export interface ScalingPolicy {
  readonly type: 'Pods' | 'Percent';
  /** Pods, or percent of the size at the period's start; above 0. */
  readonly value: number;
  /** 1 to 1800. */
  readonly periodSeconds: number;
}

/** How far the usage ratio may be from 1 before the size changes, each side on its own. */
export interface Tolerance {
  readonly scaleUp: number;
  readonly scaleDown: number;
}

export type MetricSpec =
  | ResourceMetricSpec
  | ContainerResourceMetricSpec
  | PodsMetricSpec
  | ObjectMetricSpec
  | ExternalMetricSpec
  | UnsupportedMetricSpec;

/** A metric that is measured pod by pod. */
export type PodMetricSpec = ResourceMetricSpec | ContainerResourceMetricSpec | PodsMetricSpec;

/** A metric that is a number of its own, beside the pods. */
export type ValueMetricSpec = ObjectMetricSpec | ExternalMetricSpec;

/** CPU or memory of the target's pods, as metrics.k8s.io measures it. */
export interface ResourceMetricSpec {
  readonly type: 'Resource';
  readonly resource: string;
  readonly target: UtilizationTarget | AverageValueTarget;
}

/** The same of one container in each pod. */
export interface ContainerResourceMetricSpec {
  readonly type: 'ContainerResource';
  readonly resource: string;
  readonly container: string;
  readonly target: UtilizationTarget | AverageValueTarget;
}

/** A metric of each pod, as custom.metrics.k8s.io serves it. */
export interface PodsMetricSpec {
  readonly type: 'Pods';
  readonly metric: MetricIdentifier;
  readonly target: AverageValueTarget;
}

/** One number that describes another object, as custom.metrics.k8s.io serves it. */
export interface ObjectMetricSpec {
  readonly type: 'Object';
  readonly describedObject: TargetReference;
  readonly metric: MetricIdentifier;
  readonly target: ValueTarget | AverageValueTarget;
}

/** Numbers from outside the cluster, summed, as external.metrics.k8s.io serves them. */
export interface ExternalMetricSpec {
  readonly type: 'External';
  readonly metric: MetricIdentifier;
  readonly target: ValueTarget | AverageValueTarget;
}

export interface MetricIdentifier {
  readonly name: string;
  /** The metric's label selector as the user wrote it, for status. */
  readonly selector?: object;
  /** The same in its string form, for the question; empty for none. */
  readonly labelSelector: string;
}

/** A metric that cannot be read as one of the types above: it fails by itself, the object lives on. */
export interface UnsupportedMetricSpec {
  readonly type: 'Unsupported';
  /** The type as the user wrote it. */
  readonly name: string;
  /** CamelCase, for the condition. */
  readonly reason: string;
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

/** A total, above 0: the size follows the number of ready pods. */
export interface ValueTarget {
  readonly type: 'Value';
  readonly valueMilli: Milli;
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
  /** What a FlinkApplication's size follows from; absent for targets of other kinds. */
  readonly scaleBasis?: ScaleBasis;
  /** What a FlinkApplication's status says of it: SpecValid, Deployed, JobRunning, Owned. Absent where it says nothing. */
  readonly targetConditions?: readonly TargetCondition[];
  /** The pods that the scale's selector matches. */
  readonly pods: Reading<readonly Pod[]>;
  /** One reading per metric of the spec, in its order: of each pod, or of the number it is. */
  readonly metrics: readonly Reading<readonly Sample[]>[];
  /** Other autoscalers whose selector matches a pod of this target, as "FlinkAutoscaler payments". */
  readonly sharers?: readonly string[];
}

/** What the user wrote that a FlinkApplication's size was derived from. */
export interface ScaleBasis {
  readonly parallelism: number;
  readonly taskSlots: number;
}

/** The scale subresource of the target. */
export interface Scale {
  readonly replicas: number;
  /** How many there are now, as the target counts them. Default 0. */
  readonly statusReplicas?: number;
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
  /** What the pod as a whole asks for, where it says so itself; it takes the place of the containers' requests. */
  readonly requestsMilli?: Readonly<Record<string, Milli>>;
}

export interface ContainerRequests {
  readonly name: string;
  readonly requestsMilli: Readonly<Record<string, Milli>>;
}

/** One measured value. */
export interface Sample {
  readonly valueMilli: Milli;
  /** When it was measured. */
  readonly time: number;
}

/** A value of one pod: of a resource, summed over the containers that count, or of a metric of its own. */
export interface PodSample extends Sample {
  readonly pod: string;
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

/** A condition in the status of a target, as far as scaling reads it. */
export type TargetCondition = Omit<Condition, 'lastTransitionTime'>;

/** The value of one metric as status shows it, or null where it could not be computed. */
export type CurrentMetric = CurrentMetricValue | null;

export interface CurrentMetricValue {
  readonly metric: Exclude<MetricSpec, UnsupportedMetricSpec>;
  /** Per pod. */
  readonly averageValueMilli?: Milli;
  /** In total. */
  readonly valueMilli?: Milli;
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
  /** What runs, where the target is a FlinkApplication whose status has conditions; else its spec's replicas, as in an HPA. */
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
  /** Of the target, when it was last seen. Recommendations for another basis are worth nothing. */
  readonly scaleBasis?: ScaleBasis;
  /** "cpu: 80%/40%", for the print column. */
  readonly targets?: string;
  readonly lastDecision?: LastDecision;
}

/** The answer: how many, why, and what to remember. */
export interface Decision {
  /** Of the target's spec. */
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
  /** Why the target does not deploy the replicas it was asked for: "asked for 7, 5 run: deploy failed: …". */
  readonly blocker?: string;
  /** What this tick measured, one slot per metric; absent when it measured nothing. */
  readonly currentMetrics?: readonly CurrentMetric[];
  /** The Events that the HPA would record, without their repetitions. */
  readonly events: readonly DecisionEvent[];
  readonly status: AutoscalerStatus;
}

export interface DecisionEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}
