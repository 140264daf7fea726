// A decision from a file: a recorded snapshot in, what a function would have done out. No clock, no network, no cluster.

import { toWireMetric, toWireStatus } from '../kubernetes/flink-autoscaler.ts';
import { readPod, readPodUsage } from '../kubernetes/pods.ts';
import { parseSelector, type Selector } from '../kubernetes/selectors.ts';
import { samplesOf } from '../metrics/resource.ts';
import { decide, failRescale } from '../scaling/decide.ts';
import type {
  AutoscalerStatus,
  Decision,
  MetricSpec,
  ObjectMetricSpec,
  Observation,
  PodSample,
  Reading,
  Sample,
} from '../scaling/types.ts';
import { readMemory, readPolicy, readSnapshot, type Snapshot } from './snapshot.ts';

/** What a decision looks like in a file. */
export interface ReplayAnswer {
  readonly name: string;
  /** null where the scale could not be read. */
  readonly currentReplicas: number | null;
  readonly desiredReplicas: number | null;
  /** Whether a write to /scale would be made. */
  readonly rescale: boolean;
  readonly reason: string;
  readonly message: string;
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
  /** autoscaling/v2 MetricStatus; the slot of a metric that failed has an empty type. */
  readonly currentMetrics: readonly object[];
  readonly error: string | null;
  /** What would be stored. */
  readonly status: object;
}

/**
 * Judges one snapshot, exactly as a function would.
 *
 * @throws InvalidSnapshotError naming every fault of the snapshot
 */
export function judgeSnapshot(value: unknown): ReplayAnswer {
  const snapshot = readSnapshot(value);
  const spec = readPolicy(snapshot);
  const { generation } = snapshot.autoscaler.metadata;
  const status = readMemory(snapshot);
  const observation = observeSnapshot(snapshot, spec.metrics);
  const decision = decide({
    spec,
    observation,
    status,
    now: snapshot.now,
    ...(generation !== undefined && { generation }),
  });
  const { scaleWrite } = snapshot.failures;
  const isRefused = decision.rescale && scaleWrite !== undefined;
  return describe(snapshot.name, isRefused ? refuse(decision, status, scaleWrite, snapshot.now) : decision);
}

function refuse(decision: Decision, before: AutoscalerStatus, error: string, now: number): Decision {
  const status = failRescale(decision.status, { error, desiredReplicas: before.desiredReplicas, now });
  return { ...decision, rescale: false, reason: 'FailedUpdateScale', error, status };
}

function describe(name: string, decision: Decision): ReplayAnswer {
  const {
    currentReplicas = null,
    desiredReplicas = currentReplicas,
    rescale,
    reason,
    message,
    error = null,
    status,
  } = decision;
  return {
    name,
    currentReplicas,
    desiredReplicas,
    rescale,
    reason,
    message,
    conditions: status.conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
    currentMetrics: decision.currentMetrics?.map(toWireMetric) ?? [],
    error,
    status: toWireStatus(status),
  };
}

/** Joins a snapshot's lists as a tick joins those of the API server. */
function observeSnapshot(snapshot: Snapshot, metrics: readonly MetricSpec[]): Observation {
  const { failures, scale } = snapshot;
  const rivals = { value: [] };
  const missing = failures.scale ?? (scale == null ? 'not found' : undefined);
  if (scale == null || missing !== undefined)
    return { scale: { unreadable: missing ?? 'not found' }, rivals, pods: { value: [] }, metrics: [] };

  const { selector: text, replicas: statusReplicas } = scale.status;
  const seen = { replicas: scale.spec.replicas, statusReplicas, selector: text };
  const selector = parseSelector(text);
  if ('fault' in selector)
    return { scale: { value: { ...seen, selectorFault: selector.fault } }, rivals, pods: { value: [] }, metrics: [] };
  const pods = pickPods(snapshot, selector);
  return {
    scale: { value: seen },
    rivals,
    pods: failures.pods === undefined ? { value: pods } : { unreadable: failures.pods },
    metrics: metrics.map((metric) => readSamples(snapshot, selector, metric)),
    sharers: findSharers(snapshot, pods),
  };
}

type LabelledPod = NonNullable<ReturnType<typeof readPod>>;

function pickPods({ pods, autoscaler }: Snapshot, selector: Selector): readonly LabelledPod[] {
  const { namespace } = autoscaler.metadata;
  return pods
    .map((pod) => readPod({ ...pod, metadata: { namespace, ...pod.metadata } }))
    .filter(
      (pod): pod is LabelledPod => pod !== undefined && pod.namespace === namespace && selector.matches(pod.labels),
    );
}

function findSharers({ otherAutoscalers, autoscaler }: Snapshot, pods: readonly LabelledPod[]): readonly string[] {
  const { namespace, name } = autoscaler.metadata;
  return otherAutoscalers
    .filter(({ metadata }) => (metadata.namespace ?? namespace) === namespace && metadata.name !== name)
    .filter(({ selector: text }) => {
      const selector = parseSelector(text);
      return 'matches' in selector && pods.some(({ labels }) => selector.matches(labels));
    })
    .map(({ metadata }) => `autoscaler ${metadata.name}`);
}

function readSamples(snapshot: Snapshot, selector: Selector, metric: MetricSpec): Reading<readonly Sample[]> {
  const { failures } = snapshot;
  switch (metric.type) {
    case 'Resource':
    case 'ContainerResource': {
      const container = metric.type === 'ContainerResource' ? metric.container : undefined;
      return known(failures.podMetrics, () => samplesOf(metric.resource, pickUsage(snapshot, selector), container));
    }
    case 'Pods':
      return known(failures.customMetrics, () => pickPodValues(snapshot, selector, metric.metric.name));
    case 'Object':
      return known(failures.customMetrics, () => pickObjectValue(snapshot, metric));
    case 'External':
      return known(failures.externalMetrics, () =>
        pickExternalValues(snapshot, metric.metric.name, metric.metric.labelSelector),
      );
    case 'Unsupported':
      return { unreadable: metric.message };
    default:
      throw metric satisfies never;
  }
}

function known(failure: string | undefined, read: () => readonly Sample[]): Reading<readonly Sample[]> {
  return failure === undefined ? { value: read() } : { unreadable: failure };
}

function pickUsage({ podMetrics, autoscaler }: Snapshot, selector: Selector) {
  const { namespace } = autoscaler.metadata;
  return podMetrics
    .map((usage) => readPodUsage({ ...usage, metadata: { namespace, ...usage.metadata } }))
    .filter((usage) => usage !== undefined)
    .filter((usage) => usage.namespace === namespace && selector.matches(usage.labels));
}

/** Values of the picked pods, and of pods that the snapshot does not hold: the API server knew them when it answered. */
function pickPodValues(snapshot: Snapshot, selector: Selector, name: string): readonly PodSample[] {
  const picked = new Set(pickPods(snapshot, selector).map((pod) => pod.name));
  const known = new Set(snapshot.pods.map(({ metadata }) => metadata.name));
  return snapshot.customMetrics
    .filter((value) => value.describedObject.kind === 'Pod' && value.name === name)
    .filter(({ describedObject }) => picked.has(describedObject.name) || !known.has(describedObject.name))
    .map(({ describedObject, value, timestamp, windowSeconds }) => ({
      pod: describedObject.name,
      valueMilli: value,
      time: timestamp,
      windowSeconds: windowSeconds ?? DEFAULT_WINDOW_SECONDS,
    }));
}

/** A sample whose server does not say over how long it was measured. */
const DEFAULT_WINDOW_SECONDS = 60;

function pickObjectValue(
  { customMetrics }: Snapshot,
  { describedObject, metric }: ObjectMetricSpec,
): readonly Sample[] {
  const value = customMetrics.find(
    (candidate) =>
      candidate.name === metric.name &&
      candidate.describedObject.kind === describedObject.kind &&
      candidate.describedObject.name === describedObject.name,
  );
  return value === undefined ? [] : [{ valueMilli: value.value, time: value.timestamp }];
}

function pickExternalValues({ externalMetrics }: Snapshot, name: string, labelSelector: string): readonly Sample[] {
  const selector = parseSelector(labelSelector);
  return externalMetrics
    .filter(({ metricName }) => metricName === name)
    .filter(({ metricLabels }) => 'fault' in selector || selector.matches(metricLabels ?? {}))
    .map(({ value, timestamp }) => ({ valueMilli: value, time: timestamp }));
}
