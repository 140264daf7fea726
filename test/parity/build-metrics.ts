// The metrics of a spec, and what custom.metrics.k8s.io and external.metrics.k8s.io say of them.

import { largestUsage, loadOf, unitOf } from './build-pods.ts';
import type { AmountPlan, MetricPlan } from './plan.ts';
import { writeQuantity } from './quantities.ts';
import { type Json, larger, NAMESPACE, podName, type Scene, secondsAgo, smaller, strangersOf } from './scene.ts';

type Source = MetricPlan['source'];
type ObjectSource = Extract<Source, { type: 'Object' }>;
type ExternalSource = Extract<Source, { type: 'External' }>;
type PodsSource = Extract<Source, { type: 'Pods' }>;

/** A few of these may be added up. */
const MOST = 10n ** 18n;

/** The reference misreads an amount further below zero where it is written with many digits. */
const MOST_NEGATIVE = 10n ** 12n;

/** Above it proposals would come near 2^31 replicas. */
const MOST_TIMES_TARGET = 10n ** 8n;

const DESCRIBED = {
  deployment: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'queue' },
  ingress: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', name: 'door' },
  service: { apiVersion: 'v1', kind: 'Service', name: 'queue' },
  // The autoscaler's own namespace is asked about, whatever the name says.
  namespace: { apiVersion: 'v1', kind: 'Namespace', name: 'elsewhere' },
} as const;

export function buildMetric(scene: Scene, { source }: MetricPlan): Json {
  switch (source.type) {
    case 'Resource':
      return { type: source.type, resource: { name: source.resource, target: usageTarget(scene, source) } };
    case 'ContainerResource': {
      const { resource: name, container } = source;
      return { type: source.type, containerResource: { name, container, target: usageTarget(scene, source) } };
    }
    case 'Pods': {
      const target = valueTarget({ type: 'AverageValue', amount: source.amount }, largestPodValue(scene, source.name));
      return { type: source.type, pods: { metric: identifier(source), target } };
    }
    case 'Object': {
      const describedObject = DESCRIBED[source.object];
      const target = valueTarget(source.target, objectValue(scene, source));
      return { type: source.type, object: { describedObject, metric: identifier(source), target } };
    }
    case 'External': {
      const target = valueTarget(source.target, externalTotal(scene, source.name));
      return { type: source.type, external: { metric: identifier(source), target } };
    }
    case 'Unknown':
      return { type: source.name };
    default:
      throw source satisfies never;
  }
}

type UsageSource = Extract<Source, { type: 'Resource' | 'ContainerResource' }>;

function usageTarget(scene: Scene, { resource, target }: UsageSource): Json {
  if (target.type === 'Utilization') return { type: target.type, averageUtilization: target.percent };
  const milli = larger(target.amount.milli * unitOf(resource), largestUsage(scene, resource) / MOST_TIMES_TARGET);
  return { type: target.type, averageValue: writeQuantity(smaller(milli, MOST), target.amount.notation) };
}

function identifier({ name, selector }: PodsSource | ObjectSource | ExternalSource): Json {
  return { name, ...(selector !== undefined && { selector }) };
}

function valueTarget({ type, amount }: { type: 'Value' | 'AverageValue'; amount: AmountPlan }, value: bigint): Json {
  const magnitude = value < 0n ? -value : value;
  const quantity = writeQuantity(larger(amount.milli, magnitude / MOST_TIMES_TARGET), amount.notation);
  return { type, [type === 'Value' ? 'value' : 'averageValue']: quantity };
}

/** Values of pods and of objects; a question that two metrics share has one answer. */
export function buildCustomMetrics(scene: Scene): readonly Json[] {
  const metrics = scene.plan.metrics;
  const answers = metrics.flatMap((metric) => {
    const { source } = metric;
    if (source.type === 'Pods') return [{ question: `pods/${source.name}`, values: podValues(scene, metric, source) }];
    if (source.type !== 'Object' || source.isAbsent) return [];
    return [{ question: questionOf(source), values: [objectSample(scene, source)] }];
  });
  return [...Map.groupBy(answers, ({ question }) => question).values()].flatMap(([first]) => first?.values ?? []);
}

function podValues(scene: Scene, metric: MetricPlan, { name, amount }: PodsSource): readonly Json[] {
  return measuredPods(scene).map(({ name: pod, share, sampleAge = 10, window }) => ({
    describedObject: { kind: 'Pod', namespace: NAMESPACE, name: pod, apiVersion: '/v1' },
    metric: { name },
    timestamp: secondsAgo(scene, sampleAge),
    ...(window === '15s' && { windowSeconds: 15 }),
    value: writeQuantity(podValue(scene, metric, { milli: amount.milli, share }), amount.notation + share),
  }));
}

function measuredPods(scene: Scene) {
  return [
    ...scene.plan.pods
      .map((pod, index) => ({ ...pod, name: podName(index) }))
      .filter(({ sample }) => sample !== 'absent'),
    ...strangersOf(scene).map((name) => ({ name, share: 100, sampleAge: 10, window: '30s' })),
  ];
}

function podValue({ plan }: Scene, metric: MetricPlan, { milli, share }: { milli: bigint; share: number }): bigint {
  return smaller((milli * BigInt(loadOf(metric, plan.mood) * share)) / 10_000n, MOST / 10n);
}

function largestPodValue(scene: Scene, name: string): bigint {
  const first = scene.plan.metrics.find(({ source }) => source.type === 'Pods' && source.name === name);
  if (first?.source.type !== 'Pods') return 0n;
  const { milli } = first.source.amount;
  return measuredPods(scene)
    .map(({ share }) => podValue(scene, first, { milli, share }))
    .reduce(larger, 0n);
}

function objectSample(scene: Scene, source: ObjectSource): Json {
  const described = DESCRIBED[source.object];
  return {
    describedObject:
      source.object === 'namespace' ? { ...described, name: NAMESPACE } : { namespace: NAMESPACE, ...described },
    metric: { name: source.name },
    timestamp: secondsAgo(scene, 10),
    value: writeQuantity(objectValue(scene, source), source.target.amount.notation),
  };
}

/** The value that an object's metric has: that of the first metric which asks for it. */
function objectValue(scene: Scene, asking: ObjectSource): bigint {
  const first = scene.plan.metrics.find(
    ({ source }) => source.type === 'Object' && !source.isAbsent && questionOf(source) === questionOf(asking),
  );
  if (first?.source.type !== 'Object') return 0n;
  const value = totalValue(scene, first, first.source.target);
  return first.source.isNegative ? -smaller(value, MOST_NEGATIVE) : value;
}

function questionOf({ object, name }: ObjectSource): string {
  return `${object}/${name}`;
}

/** As much of the target as the plan says; where that is per replica, times their number. */
function totalValue(
  { plan, statusSize }: Scene,
  metric: MetricPlan,
  target: { type: string; amount: AmountPlan },
): bigint {
  const replicas = target.type === 'AverageValue' ? BigInt(Math.max(1, statusSize)) : 1n;
  return smaller((target.amount.milli * BigInt(loadOf(metric, plan.mood)) * replicas) / 100n, MOST);
}

export function buildExternalMetrics(scene: Scene): readonly Json[] {
  return externalSeries(scene).map(({ name, queue, milli, notation }) => ({
    metricName: name,
    metricLabels: queue === undefined ? {} : { queue },
    timestamp: secondsAgo(scene, 10),
    value: writeQuantity(milli, notation),
  }));
}

function externalSeries(scene: Scene) {
  return scene.plan.metrics.flatMap((metric) => {
    const { source } = metric;
    if (source.type !== 'External') return [];
    const { name, target, series, isNegative } = source;
    const total = totalValue(scene, metric, target);
    // The reference reads a negative sum as the largest integer where the target is an average.
    const isBelowZero = isNegative && !asksForAverage(scene, name);
    return series.map(({ share, queue }) => ({
      name,
      queue,
      milli: ((isBelowZero ? -smaller(total, MOST_NEGATIVE) : total) * BigInt(share)) / 100n,
      notation: target.amount.notation,
    }));
  });
}

function asksForAverage({ plan }: Scene, name: string): boolean {
  return plan.metrics.some(
    ({ source }) => source.type === 'External' && source.name === name && source.target.type === 'AverageValue',
  );
}

function externalTotal(scene: Scene, name: string): bigint {
  return externalSeries(scene)
    .filter((series) => series.name === name)
    .reduce((sum, { milli }) => sum + (milli < 0n ? -milli : milli), 0n);
}
