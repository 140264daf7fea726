// What one metric's answer looks like, and the words and rules that every kind of metric shares.

import { formatQuantity } from '../units.ts';
import type {
  CurrentMetricValue,
  MetricSpec,
  Observation,
  Reading,
  Sample,
  Scale,
  Settings,
  Tolerance,
} from './types.ts';

/** What one metric asks for, or why it cannot say. */
export type Proposal = MetricProposal | MetricFailure;

export interface MetricProposal {
  readonly replicas: number;
  /** The HPA's name of the metric, for events and conditions. */
  readonly description: string;
  readonly currentMetric: CurrentMetricValue;
  /** "80%/40%": seen and wanted. */
  readonly seenAndWanted: string;
  /** How the number came about: "ceil(2 × 80/40) = 4". */
  readonly arithmetic: string;
}

export interface MetricFailure {
  readonly reason: string;
  readonly message: string;
  /** Seen and wanted of a metric without a value: "<unknown>/40%". */
  readonly seenAndWanted: string;
}

export interface ProposalInput<Metric extends MetricSpec = MetricSpec, Samples extends Sample = Sample> {
  readonly metric: Metric;
  readonly scale: Scale;
  readonly pods: Observation['pods'];
  readonly samples: Reading<readonly Samples[]>;
  readonly settings: Settings;
  readonly tolerance: Tolerance;
  readonly now: number;
}

/** What a metric is called where people read it: "cpu", "busy", "lag". */
export function nameOf(metric: MetricSpec): string {
  switch (metric.type) {
    case 'Resource':
      return metric.resource;
    case 'ContainerResource':
      return `${metric.resource} of ${metric.container}`;
    case 'Pods':
    case 'Object':
    case 'External':
      return metric.metric.name;
    case 'Unsupported':
      return metric.name;
    default:
      throw metric satisfies never;
  }
}

/** Seen and wanted of a metric without a value: "<unknown>/40%". */
export function unknownOf(metric: MetricSpec): string {
  return metric.type === 'Unsupported' ? '<unknown>' : `<unknown>/${formatTarget(metric)}`;
}

/** The target as people read it: "40%", "500m". */
export function formatTarget({ target }: Exclude<MetricSpec, { type: 'Unsupported' }>): string {
  switch (target.type) {
    case 'Utilization':
      return `${target.averageUtilization}%`;
    case 'AverageValue':
      return formatQuantity(target.averageValueMilli);
    case 'Value':
      return formatQuantity(target.valueMilli);
    default:
      throw target satisfies never;
  }
}

/** Whether a usage ratio is so near 1 that the size stays. */
export function isWithin(tolerance: Tolerance, ratio: number): boolean {
  return 1 - tolerance.scaleDown <= ratio && ratio <= 1 + tolerance.scaleUp;
}

/** "within the tolerance of 10 %" */
export function describeTolerance({ scaleUp, scaleDown }: Tolerance): string {
  const up = formatPercent(scaleUp);
  return scaleUp === scaleDown
    ? `within the tolerance of ${up}`
    : `within the tolerances of ${up} up and ${formatPercent(scaleDown)} down`;
}

function formatPercent(fraction: number): string {
  return `${Number((fraction * 100).toPrecision(6))} %`;
}

const MAX_REPLICAS = 2 ** 31 - 1;

/** A size is an int32; where the HPA's own arithmetic would wrap, it stops at the largest. */
export function toReplicas(exact: number): number {
  return Math.min(Math.ceil(exact), MAX_REPLICAS);
}
