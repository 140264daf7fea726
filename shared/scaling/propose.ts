// How many replicas one metric asks for: the HPA's replica calculator with fetching and clock taken out, so that one
// function serves Utilization and AverageValue.

import { formatQuantity, type Milli } from '../units.ts';
import { groupPods } from './pod-groups.ts';
import type {
  AverageValueTarget,
  CurrentResourceMetric,
  Observation,
  Pod,
  PodSample,
  Reading,
  ResourceMetricSpec,
  Settings,
  UtilizationTarget,
} from './types.ts';

/** What one metric asks for, or why it cannot say. */
export type Proposal = MetricProposal | MetricFailure;

export interface MetricProposal {
  readonly replicas: number;
  /** The HPA's name of the metric, for events and conditions. */
  readonly description: string;
  readonly currentMetric: CurrentResourceMetric;
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

export interface ResourceProposalInput {
  readonly metric: ResourceMetricSpec;
  readonly currentReplicas: number;
  readonly pods: Observation['pods'];
  readonly samples: Reading<readonly PodSample[]>;
  readonly settings: Settings;
  readonly now: number;
}

/**
 * Proposes a size from the resource usage of the target's pods (HPA: GetResourceReplicas and GetRawResourceReplicas).
 * A sample older than settings.maxSampleAgeSeconds counts as if it were not there.
 */
export function proposeFromResource(input: ResourceProposalInput): Proposal {
  const { metric, samples, pods, settings, now } = input;
  if ('unreadable' in samples)
    return failure(metric, `unable to get metrics for resource ${metric.resource}: ${samples.unreadable}`);
  const fresh = withoutStale(samples.value, settings, now);
  if (fresh.size === 0)
    return failure(
      metric,
      `unable to get metrics for resource ${metric.resource}: ${describeNoSamples(samples.value, settings)}`,
    );
  if ('unreadable' in pods)
    return failure(metric, `unable to get pods while calculating replica count: ${pods.unreadable}`);
  if (pods.value.length === 0) return failure(metric, 'no pods returned by selector while calculating replica count');
  return proposeFromUsage(input, pods.value, fresh);
}

function proposeFromUsage(
  input: ResourceProposalInput,
  pods: readonly Pod[],
  samples: ReadonlyMap<string, PodSample>,
): Proposal {
  const { metric, currentReplicas, settings, now } = input;
  const groups = groupPods({ pods, samples, isCpu: metric.resource === 'cpu', settings, now });
  const usage = new Map<string, Milli>();
  for (const { pod, valueMilli } of samples.values())
    if (!groups.ignored.has(pod) && !groups.unready.has(pod)) usage.set(pod, valueMilli);
  if (usage.size === 0) return failure(metric, 'did not receive metrics for targeted pods (pods might be unready)');

  const gauge =
    metric.target.type === 'Utilization'
      ? utilizationGauge(metric.resource, metric.target, pods)
      : averageValueGauge(metric.target);
  if ('failure' in gauge) return failure(metric, gauge.failure);
  const seen = gauge.measure(usage);
  if ('failure' in seen) return failure(metric, seen.failure);

  const answer = (replicas: number, arithmetic: string): MetricProposal => ({
    replicas,
    description: describeMetric(metric),
    currentMetric: {
      type: 'Resource',
      resource: metric.resource,
      averageValueMilli: seen.averageValueMilli,
      ...(seen.averageUtilization === undefined ? {} : { averageUtilization: seen.averageUtilization }),
    },
    seenAndWanted: `${gauge.format(seen)}/${gauge.wanted}`,
    arithmetic,
  });
  const stay = (why: string) => answer(currentReplicas, why);
  const isWithinTolerance = (ratio: number) => 1 - settings.tolerance <= ratio && ratio <= 1 + settings.tolerance;
  const tolerated = `within the tolerance of ${formatPercent(settings.tolerance)}`;

  const isGrowingPastUnready = groups.unready.size > 0 && seen.ratio > 1;
  if (!isGrowingPastUnready && groups.missing.size === 0) {
    if (isWithinTolerance(seen.ratio)) return stay(tolerated);
    const replicas = Math.ceil(seen.ratio * groups.readyCount);
    return answer(replicas, `ceil(${groups.readyCount} × ${gauge.fraction(seen)}) = ${replicas}`);
  }

  // Against the direction of travel: pods without a sample are taken as fully used when shrinking, as idle when growing.
  if (seen.ratio < 1) for (const pod of groups.missing) usage.set(pod, gauge.fullUsage(pod));
  if (seen.ratio > 1) for (const pod of groups.missing) usage.set(pod, 0n);
  if (isGrowingPastUnready) for (const pod of groups.unready) usage.set(pod, 0n);
  const filled = gauge.measure(usage);
  if ('failure' in filled) return failure(metric, filled.failure);

  const assumption = describeFill(groups.missing.size, isGrowingPastUnready ? groups.unready.size : 0, seen.ratio);
  if (isWithinTolerance(filled.ratio)) return stay(`${tolerated} ${assumption}`);
  if (isReversed(seen.ratio, filled.ratio)) return stay(`no clear direction ${assumption}`);
  const replicas = Math.ceil(filled.ratio * usage.size);
  if ((filled.ratio < 1 && replicas > currentReplicas) || (filled.ratio > 1 && replicas < currentReplicas))
    return stay(`no clear direction ${assumption}`);
  return answer(replicas, `ceil(${usage.size} × ${gauge.fraction(filled)}) = ${replicas} ${assumption}`);
}

function isReversed(ratio: number, filledRatio: number): boolean {
  return (ratio < 1 && filledRatio > 1) || (ratio > 1 && filledRatio < 1);
}

/** How usage is compared with one kind of target. */
interface Gauge {
  /** The target as people read it: "40%". */
  readonly wanted: string;
  measure(usage: ReadonlyMap<string, Milli>): Usage | { readonly failure: string };
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

function utilizationGauge(
  resource: string,
  target: UtilizationTarget,
  pods: readonly Pod[],
): Gauge | { readonly failure: string } {
  const requests = new Map<string, Milli>();
  for (const pod of pods) {
    const request = requestOf(pod, resource);
    if (typeof request === 'string') return { failure: request };
    requests.set(pod.name, request);
  }
  const fullUtilization = BigInt(Math.max(100, target.averageUtilization));
  return {
    wanted: `${target.averageUtilization}%`,
    measure: (usage) => measureUtilization(usage, requests, target.averageUtilization),
    fullUsage: (pod) => ((requests.get(pod) ?? 0n) * fullUtilization) / 100n,
    format: (usage) => `${usage.averageUtilization}%`,
    fraction: (usage) => `${usage.averageUtilization}/${target.averageUtilization}`,
  };
}

/** @returns the pod's request, or a sentence: one container without a request fails the metric, whatever state its pod is in */
function requestOf(pod: Pod, resource: string): Milli | string {
  let sum = 0n;
  for (const { name, requestsMilli } of pod.containers) {
    const request = requestsMilli[resource];
    if (request === undefined) return `missing request for ${resource} in container ${name} of Pod ${pod.name}`;
    sum += request;
  }
  return sum;
}

// Samples of pods that are not known are left out of the sums, yet count in the size of the filled map, as in the HPA.
// Whole percents truncate: 110.4 % counts as 110 %.
function measureUtilization(
  usage: ReadonlyMap<string, Milli>,
  requests: ReadonlyMap<string, Milli>,
  targetPercent: number,
) {
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
  const averageUtilization = Number((usageSum * 100n) / requestSum);
  return { ratio: averageUtilization / targetPercent, averageValueMilli: usageSum / count, averageUtilization };
}

function averageValueGauge(target: AverageValueTarget): Gauge {
  return {
    wanted: formatQuantity(target.averageValueMilli),
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

function withoutStale(samples: readonly PodSample[], settings: Settings, now: number): ReadonlyMap<string, PodSample> {
  const { maxSampleAgeSeconds } = settings;
  const oldest = maxSampleAgeSeconds === undefined ? Number.NEGATIVE_INFINITY : now - maxSampleAgeSeconds * 1000;
  return new Map(samples.filter((sample) => sample.time >= oldest).map((sample) => [sample.pod, sample]));
}

function describeNoSamples(samples: readonly PodSample[], settings: Settings): string {
  if (samples.length === 0) return 'no metrics returned from resource metrics API';
  return `all ${samples.length} samples are older than ${settings.maxSampleAgeSeconds} s (maxSampleAgeSeconds)`;
}

function describeFill(missingCount: number, unreadyCount: number, ratio: number): string {
  const parts = [];
  if (missingCount > 0)
    parts.push(
      `${missingCount} without a sample taken as ${ratio < 1 ? 'fully used' : ratio > 1 ? 'idle' : 'on target'}`,
    );
  if (unreadyCount > 0) parts.push(`${unreadyCount} not ready taken as idle`);
  return `(${parts.join(', ')})`;
}

function failure(metric: ResourceMetricSpec, cause: string): MetricFailure {
  const { resource, target } = metric;
  const what = target.type === 'Utilization' ? 'utilization' : 'usage';
  const wanted =
    target.type === 'Utilization' ? `${target.averageUtilization}%` : formatQuantity(target.averageValueMilli);
  return {
    reason: 'FailedGetResourceMetric',
    message: `failed to get ${resource} ${what}: ${cause}`,
    seenAndWanted: `<unknown>/${wanted}`,
  };
}

function describeMetric({ resource, target }: ResourceMetricSpec): string {
  return target.type === 'Utilization'
    ? `${resource} resource utilization (percentage of request)`
    : `${resource} resource`;
}

function formatPercent(fraction: number): string {
  return `${Number((fraction * 100).toPrecision(6))} %`;
}
