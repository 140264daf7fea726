// The pods of a snapshot, and what metrics.k8s.io says of them.

import type { MetricPlan, PodPlan, TemplatePlan } from './plan.ts';
import { writeQuantity } from './quantities.ts';
import {
  type Json,
  LABELS,
  larger,
  NAMESPACE,
  podName,
  type Scene,
  secondsAgo,
  smaller,
  strangersOf,
} from './scene.ts';

export function buildPod(scene: Scene, pod: PodPlan, index: number): Json {
  const { template } = scene.plan;
  const { labels = 'own', phase = 'Running', isDeleting = false, startAge = 3600, hasNoStartTime = false } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: NAMESPACE,
      name: podName(index),
      labels: LABELS[labels],
      ...(isDeleting && { deletionTimestamp: secondsAgo(scene, 1) }),
    },
    spec: {
      containers: containersOf(template, pod).map(({ name, requests }) => ({ name, resources: { requests } })),
      ...buildInitContainers(template),
      ...buildPodLevel(template),
    },
    status: {
      phase,
      ...(!hasNoStartTime && { startTime: secondsAgo(scene, startAge) }),
      conditions: [
        { type: 'PodScheduled', status: 'True', lastTransitionTime: secondsAgo(scene, startAge) },
        ...buildReadiness(scene, pod),
      ],
    },
  };
}

function buildReadiness(
  scene: Scene,
  { readiness = 'True', startAge = 3600, readyAfter = 5 }: PodPlan,
): readonly Json[] {
  if (readiness === 'absent') return [];
  const age = readyAfter === 'a moment ago' ? 5 : startAge - readyAfter;
  return [{ type: 'Ready', status: readiness, lastTransitionTime: secondsAgo(scene, age) }];
}

interface ContainerPlan {
  readonly name: string;
  /** Thousandths. */
  readonly cpu: bigint;
  readonly memory: bigint;
  readonly requests: Json;
}

function containersOf({ containers, cpu, memory, notation }: TemplatePlan, pod: PodPlan): readonly ContainerPlan[] {
  return containers.map((name, index) => {
    const { requests: oddity = 'as the others' } = index === containers.length - 1 ? pod : {};
    const amounts = { cpu: requestOf(oddity, cpu), memory: requestOf(oddity, memory * 1000n) };
    return {
      name,
      ...amounts,
      requests: {
        ...(oddity !== 'missing' && { cpu: writeQuantity(amounts.cpu, notation) }),
        memory: writeQuantity(amounts.memory, notation + index),
      },
    };
  });
}

function requestOf(oddity: NonNullable<PodPlan['requests']>, usual: bigint): bigint {
  switch (oddity) {
    case 'zero':
      return 0n;
    case 'tiny':
      return 1n;
    case 'huge':
      return 10n ** 14n;
    default:
      return usual;
  }
}

function buildInitContainers({ initContainers, cpu, memory, notation }: TemplatePlan): Json {
  const requesting = (factor: bigint) => ({
    resources: {
      requests: {
        cpu: writeQuantity(cpu * factor, notation),
        memory: writeQuantity(memory * 1000n * factor, notation),
      },
    },
  });
  switch (initContainers) {
    case 'sidecar':
      return { initContainers: [{ name: 'sidecar', restartPolicy: 'Always', ...requesting(1n) }] };
    case 'sidecar without a request':
      return { initContainers: [{ name: 'sidecar', restartPolicy: 'Always' }] };
    case 'ordinary':
      return { initContainers: [{ name: 'prepare', ...requesting(1n) }] };
    case 'ordinary, larger':
      return { initContainers: [{ name: 'prepare', ...requesting(10n) }] };
    default:
      return {};
  }
}

function buildPodLevel({ podLevel, overhead, cpu, memory, notation }: TemplatePlan): Json {
  const requests = {
    ...(podLevel.includes('cpu') && { cpu: writeQuantity(cpu * 4n, notation) }),
    ...(podLevel.includes('memory') && { memory: writeQuantity(memory * 4000n, notation) }),
  };
  return {
    ...(podLevel !== 'none' && { resources: { requests } }),
    ...(overhead && { overhead: { cpu: '250m', memory: '120Mi' } }),
  };
}

/** Every sample, those of pods that are not there too. */
export function buildPodMetrics(scene: Scene): readonly Json[] {
  return [
    ...scene.plan.pods.flatMap((pod, index) =>
      pod.sample === 'absent' ? [] : [buildSample(scene, pod, podName(index))],
    ),
    ...strangersOf(scene).map((name) => buildSample(scene, { share: 100 }, name)),
  ];
}

function buildSample(scene: Scene, pod: PodPlan, name: string): Json {
  const { labels = 'own', sample = 'whole', sampleAge = 10, window = '30s' } = pod;
  const notation = scene.plan.template.notation + pod.share;
  return {
    metadata: { namespace: NAMESPACE, name, labels: LABELS[sample === 'of a stranger' ? 'foreign' : labels] },
    timestamp: secondsAgo(scene, sampleAge),
    window,
    containers: measuredContainers(scene, pod).map((container, index, all) => {
      const lacksCpu = sample === 'without a resource' && index === all.length - 1;
      return {
        name: container.name,
        usage: {
          ...(!lacksCpu && { cpu: writeQuantity(usageOf(scene, pod, { resource: 'cpu', container }), notation) }),
          memory: writeQuantity(usageOf(scene, pod, { resource: 'memory', container }), notation),
          'ephemeral-storage': '5Mi',
        },
      };
    }),
  };
}

type MeasuredContainer = Omit<ContainerPlan, 'requests'>;

function measuredContainers({ plan }: Scene, pod: PodPlan): readonly MeasuredContainer[] {
  const { template } = plan;
  const all = [
    ...containersOf(template, pod),
    ...(template.initContainers.startsWith('sidecar')
      ? [{ name: 'sidecar', cpu: template.cpu, memory: template.memory * 1000n }]
      : []),
  ];
  if (pod.sample === 'without containers') return [];
  return pod.sample === 'without a container' ? all.slice(1) : all;
}

/** What the pod that uses most of a resource uses of it, in thousandths. */
export function largestUsage(scene: Scene, resource: string): bigint {
  if (resource !== 'cpu' && resource !== 'memory') return 0n;
  return [...scene.plan.pods, { share: 100 }]
    .map((pod) => measuredContainers(scene, pod).map((container) => usageOf(scene, pod, { resource, container })))
    .map((usage) => usage.reduce((sum, each) => sum + each, 0n))
    .reduce(larger, 0n);
}

interface UsageQuestion {
  readonly resource: 'cpu' | 'memory';
  readonly container: MeasuredContainer;
}

/** Above it a sum over pods, times 100, would pass 2^63. */
const MOST_USAGE = 2n * 10n ** 15n;

/** What a container uses of a resource: as much of the target of the first metric that asks as the plan says. */
function usageOf({ plan }: Scene, pod: PodPlan, { resource, container }: UsageQuestion): bigint {
  const request = container[resource];
  const asking = plan.metrics.find(({ source }) => 'resource' in source && source.resource === resource);
  const target = asking === undefined ? (request * 80n) / 100n : targetUsage(asking.source, request, plan.template);
  const usage = (target * BigInt(loadOf(asking, plan.mood) * pod.share)) / 10_000n;
  // A percentage of its request that passes 2^31 would be no example.
  return smaller(usage, smaller((request + 1n) * 10_000n, MOST_USAGE));
}

function targetUsage(source: MetricPlan['source'], request: bigint, { containers }: TemplatePlan): bigint {
  if (source.type !== 'Resource' && source.type !== 'ContainerResource') return request;
  const { target } = source;
  if (target.type === 'Utilization') return (request * BigInt(target.percent)) / 100n;
  const total = target.amount.milli * unitOf(source.resource);
  return source.type === 'Resource' ? total / BigInt(containers.length) : total;
}

/** How many thousandths a step of a target is: memory is counted in megabytes here. */
export function unitOf(resource: string): bigint {
  return resource === 'cpu' ? 1n : 1_000_000_000n;
}

/** Percent of its target that a metric reads. */
export function loadOf(metric: MetricPlan | undefined, mood: 'low' | 'near' | 'high'): number {
  return metric === undefined ? 100 : metric.load[metric.mood ?? mood];
}
