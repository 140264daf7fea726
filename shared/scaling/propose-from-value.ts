// What a number beside the pods asks for: Object and External metrics, against a total (Value) or a share (AverageValue).

import { formatQuantity, type Milli } from '../units.ts';
import {
  describeTolerance,
  formatTarget,
  isWithin,
  type MetricFailure,
  type MetricProposal,
  type Proposal,
  type ProposalInput,
  toReplicas,
  unknownOf,
} from './proposal.ts';
import type { AverageValueTarget, Reading, Sample, ValueMetricSpec, ValueTarget } from './types.ts';

export type ValueProposalInput = ProposalInput<ValueMetricSpec, Sample>;

/** The HPA's sums are int64; where they would wrap they stop here. */
const INT64_MAX = 2n ** 63n - 1n;

/** Proposes a size from a number (HPA: Get{Object,External}MetricReplicas and Get{Object,External}PerPodMetricReplicas). */
export function proposeFromValue(input: ValueProposalInput): Proposal {
  const { metric } = input;
  const value = sumOf(input.samples);
  if ('unreadable' in value) return failure(metric, value.unreadable);
  return metric.target.type === 'Value'
    ? proposeFromTotal(input, metric.target, value.value)
    : proposeFromShare(input, metric.target, value.value);
}

function sumOf(samples: Reading<readonly Sample[]>): Reading<Milli> {
  if ('unreadable' in samples) return samples;
  if (samples.value.length === 0) return { unreadable: 'no metrics returned from metrics API' };
  const sum = samples.value.reduce((total, { valueMilli }) => total + valueMilli, 0n);
  return { value: sum > INT64_MAX ? INT64_MAX : sum };
}

/** value / target, times the pods that are ready; from 0 replicas the ratio itself. */
function proposeFromTotal(input: ValueProposalInput, target: ValueTarget, valueMilli: Milli): Proposal {
  const { metric, scale, pods, tolerance } = input;
  const ratio = Number(valueMilli) / Number(target.valueMilli);
  const fraction = `${formatQuantity(valueMilli)}/${formatTarget(metric)}`;
  const answer = (replicas: number, arithmetic: string): MetricProposal => ({
    replicas,
    description: describeMetric(metric),
    currentMetric: { metric, valueMilli },
    seenAndWanted: fraction,
    arithmetic,
  });
  if (scale.replicas === 0) {
    const replicas = toReplicas(ratio);
    return answer(replicas, `ceil(${fraction}) = ${replicas}`);
  }
  if (isWithin(tolerance, ratio)) return answer(scale.replicas, describeTolerance(tolerance));
  if ('unreadable' in pods)
    return failure(metric, `unable to get pods while calculating replica count: ${pods.unreadable}`);
  if (pods.value.length === 0)
    return failure(
      metric,
      'unable to calculate ready pods: no pods returned by selector while calculating replica count',
    );
  // Pods on their way out still count while they are ready, as in the HPA.
  const readyCount = pods.value.filter(({ phase, ready }) => phase === 'Running' && ready?.status === 'True').length;
  const replicas = toReplicas(ratio * readyCount);
  return answer(replicas, `ceil(${readyCount} × ${fraction}) = ${replicas}`);
}

/** value / target, whatever the pods; the tolerance is judged on what each of the present ones has. */
function proposeFromShare(
  { metric, scale, tolerance }: ValueProposalInput,
  target: AverageValueTarget,
  valueMilli: Milli,
): Proposal {
  const { statusReplicas = 0 } = scale;
  const value = Number(valueMilli);
  const wanted = Number(target.averageValueMilli);
  const ratio = value / (wanted * statusReplicas);
  const averageValueMilli = shareOf(valueMilli, statusReplicas);
  const answer = (replicas: number, arithmetic: string): MetricProposal => ({
    replicas,
    description: describeMetric(metric),
    currentMetric: { metric, averageValueMilli },
    seenAndWanted: `${formatQuantity(averageValueMilli)}/${formatTarget(metric)} (avg)`,
    arithmetic,
  });
  if (isWithin(tolerance, ratio)) return answer(statusReplicas, describeTolerance(tolerance));
  const replicas = toReplicas(value / wanted);
  return answer(replicas, `ceil(${formatQuantity(valueMilli)}/${formatTarget(metric)}) = ${replicas}`);
}

/** Rounded up, as the HPA shows it; 0 while there is nobody to share. */
function shareOf(valueMilli: Milli, statusReplicas: number): Milli {
  if (statusReplicas === 0) return 0n;
  if (valueMilli === INT64_MAX) return INT64_MAX;
  return BigInt(Math.ceil(Number(valueMilli) / statusReplicas));
}

function failure(metric: ValueMetricSpec, cause: string): MetricFailure {
  const { name } = metric.metric;
  return {
    reason: metric.type === 'Object' ? 'FailedGetObjectMetric' : 'FailedGetExternalMetric',
    message:
      metric.type === 'Object'
        ? `failed to get object metric value: unable to get metric ${name} on ${metric.describedObject.kind} ${metric.describedObject.name}: ${cause}`
        : `failed to get ${name} external metric value: ${cause}`,
    seenAndWanted: unknownOf(metric),
  };
}

function describeMetric(metric: ValueMetricSpec): string {
  const { name, labelSelector } = metric.metric;
  if (metric.type === 'Object') return `${metric.describedObject.kind} metric ${name}`;
  return labelSelector === '' ? `external metric ${name}` : `external metric ${name} (${labelSelector})`;
}
