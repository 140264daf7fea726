// What the pods' own usage asks for: the HPA's replica calculator with fetching and clock taken out, so that one function
// serves Resource, ContainerResource and Pods metrics, with Utilization and AverageValue targets.

import { formatQuantity, type Milli } from '../units.ts';
import { groupPods } from './pod-groups.ts';
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
import type { AverageValueTarget, Pod, PodMetricSpec, PodSample, UtilizationTarget } from './types.ts';

export type PodProposalInput = ProposalInput<PodMetricSpec, PodSample>;

/** Proposes a size from the usage of the target's pods (HPA: GetResourceReplicas, GetRawResourceReplicas, GetMetricReplicas). */
export function proposeFromPods(input: PodProposalInput): Proposal {
  const { metric, samples, pods } = input;
  if ('unreadable' in samples) return failure(metric, `unable to get ${describeSource(metric)}: ${samples.unreadable}`);
  if (samples.value.length === 0)
    return failure(metric, `unable to get ${describeSource(metric)}: no metrics returned from ${describeApi(metric)}`);
  if ('unreadable' in pods)
    return failure(metric, `unable to get pods while calculating replica count: ${pods.unreadable}`);
  if (pods.value.length === 0) return failure(metric, 'no pods returned by selector while calculating replica count');
  return proposeFromUsage(input, pods.value, samples.value);
}

function proposeFromUsage(input: PodProposalInput, pods: readonly Pod[], samples: readonly PodSample[]): Proposal {
  const { metric, scale, settings, tolerance, now } = input;
  const current = scale.replicas;
  const byPod = new Map(samples.map((sample) => [sample.pod, sample]));
  const isCpu = metric.type !== 'Pods' && metric.resource === 'cpu';
  const groups = groupPods({ pods, samples: byPod, isCpu, settings, now });
  const usage = new Map<string, Milli>();
  for (const { pod, valueMilli } of byPod.values())
    if (!groups.ignored.has(pod) && !groups.unready.has(pod)) usage.set(pod, valueMilli);
  if (usage.size === 0) return failure(metric, 'did not receive metrics for targeted pods (pods might be unready)');

  const gauge = makeGauge(metric, pods);
  if ('failure' in gauge) return failure(metric, gauge.failure);
  const seen = gauge.measure(usage);
  if ('failure' in seen) return failure(metric, seen.failure);

  const answer = (replicas: number, arithmetic: string): MetricProposal => ({
    replicas,
    description: describeMetric(metric),
    currentMetric: {
      metric,
      averageValueMilli: seen.averageValueMilli,
      ...(seen.averageUtilization === undefined ? {} : { averageUtilization: seen.averageUtilization }),
    },
    seenAndWanted: `${gauge.format(seen)}/${formatTarget(metric)}`,
    arithmetic,
  });
  const stay = (why: string) => answer(current, why);

  const isGrowingPastUnready = groups.unready.size > 0 && seen.ratio > 1;
  if (!isGrowingPastUnready && groups.missing.size === 0) {
    if (isWithin(tolerance, seen.ratio)) return stay(describeTolerance(tolerance));
    const replicas = toReplicas(seen.ratio * groups.readyCount);
    return answer(replicas, `ceil(${groups.readyCount} × ${gauge.fraction(seen)}) = ${replicas}`);
  }

  // Against the direction of travel: pods without a sample are taken as fully used when shrinking, as idle when growing.
  if (seen.ratio < 1) for (const pod of groups.missing) usage.set(pod, gauge.fullUsage(pod));
  if (seen.ratio > 1) for (const pod of groups.missing) usage.set(pod, 0n);
  if (isGrowingPastUnready) for (const pod of groups.unready) usage.set(pod, 0n);
  const filled = gauge.measure(usage);
  if ('failure' in filled) return failure(metric, filled.failure);

  const assumption = describeFill(groups.missing.size, isGrowingPastUnready ? groups.unready.size : 0, seen.ratio);
  if (isWithin(tolerance, filled.ratio))
    return stay(`${gauge.fraction(filled)} is ${describeTolerance(tolerance)} ${assumption}`);
  if (isReversed(seen.ratio, filled.ratio)) return stay(`no clear direction: ${gauge.fraction(filled)} ${assumption}`);
  const replicas = toReplicas(filled.ratio * usage.size);
  if ((filled.ratio < 1 && replicas > current) || (filled.ratio > 1 && replicas < current))
    return stay(`no clear direction: ceil(${usage.size} × ${gauge.fraction(filled)}) = ${replicas} ${assumption}`);
  return answer(replicas, `ceil(${usage.size} × ${gauge.fraction(filled)}) = ${replicas} ${assumption}`);
}

function isReversed(ratio: number, filledRatio: number): boolean {
  return (ratio < 1 && filledRatio > 1) || (ratio > 1 && filledRatio < 1);
}

/** How usage is compared with one kind of target. */
interface Gauge {
  measure(usage: ReadonlyMap<string, Milli>): Usage | Unmeasurable;
  /** What a pod without a sample is taken to use when the size would shrink. */
  fullUsage(pod: string): Milli;
  format(usage: Usage): string;
  /** Seen over wanted, as it stands in the arithmetic: "80/40". */
  fraction(usage: Usage): string;
}

interface Usage {
  /** Seen divided by wanted; 1 is exactly on target. */
  readonly ratio: number;
  readonly averageValueMilli: Milli;
  readonly averageUtilization?: number;
}

interface Unmeasurable {
  readonly failure: string;
}

function makeGauge(metric: PodMetricSpec, pods: readonly Pod[]): Gauge | Unmeasurable {
  if (metric.type === 'Pods' || metric.target.type === 'AverageValue')
    return averageValueGauge(metric.target as AverageValueTarget);
  const container = metric.type === 'ContainerResource' ? metric.container : undefined;
  return utilizationGauge({ resource: metric.resource, container, target: metric.target, pods });
}

interface UtilizationInput {
  readonly resource: string;
  readonly container: string | undefined;
  readonly target: UtilizationTarget;
  readonly pods: readonly Pod[];
}

function utilizationGauge({ resource, container, target, pods }: UtilizationInput): Gauge | Unmeasurable {
  const requests = new Map<string, Milli>();
  for (const pod of pods) {
    const request = requestOf(pod, resource, container);
    if (typeof request === 'string') return { failure: request };
    requests.set(pod.name, request);
  }
  const fullUtilization = BigInt(Math.max(100, target.averageUtilization));
  return {
    measure: (usage) => measureUtilization(usage, requests, target.averageUtilization),
    fullUsage: (pod) => ((requests.get(pod) ?? 0n) * fullUtilization) / 100n,
    format: (usage) => `${usage.averageUtilization}%`,
    fraction: (usage) => `${usage.averageUtilization}/${target.averageUtilization}`,
  };
}

/** @returns the pod's request, or a sentence: one container without a request fails the metric, whatever state its pod is in */
function requestOf(pod: Pod, resource: string, container: string | undefined): Milli | string {
  if (container === undefined && pod.requestsMilli !== undefined) {
    return pod.requestsMilli[resource] ?? `missing pod-level request for ${resource} in Pod ${pod.name}`;
  }
  const counted = pod.containers.filter(({ name }) => container === undefined || name === container);
  if (container !== undefined && counted.length === 0) return `container ${container} not found in Pod ${pod.name}`;
  let sum = 0n;
  for (const { name, requestsMilli } of counted) {
    const request = requestsMilli[resource];
    if (request === undefined) return `missing request for ${resource} in container ${name} of Pod ${pod.name}`;
    sum += request;
  }
  return sum;
}

const MAX_UTILIZATION = 2 ** 31 - 1;

// Samples of pods that are not known are left out of the sums, yet count in the size of the filled map, as in the HPA.
// Whole percents truncate: 110.4 % counts as 110 %.
function measureUtilization(
  usage: ReadonlyMap<string, Milli>,
  requests: ReadonlyMap<string, Milli>,
  targetPercent: number,
): Usage | Unmeasurable {
  let usageSum = 0n;
  let requestSum = 0n;
  let count = 0n;
  for (const [pod, valueMilli] of usage) {
    const request = requests.get(pod);
    if (request === undefined) continue;
    usageSum += valueMilli;
    requestSum += request;
    count += 1n;
  }
  if (requestSum === 0n) return { failure: 'no metrics returned matched known pods' };
  // An int32, as in the HPA: where that wraps, this stops at the largest.
  const averageUtilization = Math.min(Number((usageSum * 100n) / requestSum), MAX_UTILIZATION);
  return { ratio: averageUtilization / targetPercent, averageValueMilli: usageSum / count, averageUtilization };
}

function averageValueGauge(target: AverageValueTarget): Gauge {
  return {
    measure: (usage) => {
      let sum = 0n;
      for (const valueMilli of usage.values()) sum += valueMilli;
      const averageValueMilli = sum / BigInt(usage.size);
      return { ratio: Number(averageValueMilli) / Number(target.averageValueMilli), averageValueMilli };
    },
    fullUsage: () => target.averageValueMilli,
    format: (usage) => formatQuantity(usage.averageValueMilli),
    fraction: (usage) => `${formatQuantity(usage.averageValueMilli)}/${formatQuantity(target.averageValueMilli)}`,
  };
}

function describeFill(missingCount: number, unreadyCount: number, ratio: number): string {
  const parts = [];
  const taken = ratio < 1 ? 'fully used' : ratio > 1 ? 'idle' : 'on target';
  if (missingCount > 0) parts.push(`${missingCount} without a sample taken as ${taken}`);
  if (unreadyCount > 0) parts.push(`${unreadyCount} not ready taken as idle`);
  return `(${parts.join(', ')})`;
}

const FAILURE_REASONS = {
  Resource: 'FailedGetResourceMetric',
  ContainerResource: 'FailedGetContainerResourceMetric',
  Pods: 'FailedGetPodsMetric',
} as const;

function failure(metric: PodMetricSpec, cause: string): MetricFailure {
  return {
    reason: FAILURE_REASONS[metric.type],
    message: `failed to get ${describeWhat(metric)}: ${cause}`,
    seenAndWanted: unknownOf(metric),
  };
}

function describeWhat(metric: PodMetricSpec): string {
  if (metric.type === 'Pods') return 'pods metric value';
  return `${metric.resource} ${metric.target.type === 'Utilization' ? 'utilization' : 'usage'}`;
}

function describeSource(metric: PodMetricSpec): string {
  return metric.type === 'Pods' ? `metric ${metric.metric.name}` : `metrics for resource ${metric.resource}`;
}

function describeApi(metric: PodMetricSpec): string {
  return metric.type === 'Pods' ? 'custom metrics API' : 'resource metrics API';
}

function describeMetric(metric: PodMetricSpec): string {
  if (metric.type === 'Pods') return `pods metric ${metric.metric.name}`;
  if (metric.target.type === 'AverageValue') return `${metric.resource} resource`;
  const scope = metric.type === 'ContainerResource' ? 'container resource' : 'resource';
  return `${metric.resource} ${scope} utilization (percentage of request)`;
}
