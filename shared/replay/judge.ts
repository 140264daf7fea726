// A decision from a file: a recorded snapshot in, what a function would have done out. No clock, no network, no cluster.

import { toWireMetric, toWireStatus } from '../kubernetes/flink-autoscaler.ts';
import { readPod, readPodUsage } from '../kubernetes/pods.ts';
import { parseSelector, type Selector } from '../kubernetes/selectors.ts';
import { samplesOf } from '../metrics/resource.ts';
import { decide, failRescale } from '../scaling/decide.ts';
import type {
  AutoscalerSpec,
  AutoscalerStatus,
  Decision,
  MetricIdentifier,
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
  const observation = observeSnapshot(snapshot, spec);
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
  const status = failRescale(decision.status, { error, before, now });
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
function observeSnapshot(snapshot: Snapshot, spec: AutoscalerSpec): Observation {
  const { failures, scale, phase, scaleBasis, targetConditions } = snapshot;
  // An autoscaler that only advises acts on nothing, so nobody is its rival.
  const isActing = spec.mode === 'Auto';
  const rivals = isActing ? readRivals(snapshot) : { value: [] };
  const missing = failures.scale ?? (scale == null ? 'not found' : undefined);
  if (scale == null || missing !== undefined)
    return { scale: { unreadable: missing ?? 'not found' }, rivals, pods: { value: [] }, metrics: [] };

  const { selector: text, replicas: statusReplicas } = scale.status;
  const selector = parseSelector(text);
  const selectorFault = 'fault' in selector ? { selectorFault: selector.fault } : {};
  const seen = {
    scale: { value: { replicas: scale.spec.replicas, statusReplicas, selector: text, ...selectorFault } },
    rivals,
    ...(phase !== undefined && { phase }),
    ...(scaleBasis && { scaleBasis }),
    ...(targetConditions && { targetConditions }),
  };
  if ('fault' in selector) return { ...seen, pods: { value: [] }, metrics: [] };
  const pods = pickPods(snapshot, selector);
  return {
    ...seen,
    pods: failures.pods === undefined ? { value: pods } : { unreadable: failures.pods },
    metrics: spec.metrics.map((metric, index) => readSamples(snapshot, selector, metric, failures.metrics?.[index])),
    sharers: isActing ? findSharers(snapshot, pods) : [],
  };
}

function readRivals({ failures, rivals }: Snapshot): Observation['rivals'] {
  return failures.rivals === undefined ? { value: rivals } : { unreadable: failures.rivals };
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
    .filter(({ metadata }) => (metadata.namespace ?? namespace) === namespace)
    .filter(({ kind = autoscaler.kind, metadata }) => metadata.name !== name || kind !== autoscaler.kind)
    .filter(({ selector: text }) => {
      const selector = parseSelector(text);
      return 'matches' in selector && pods.some(({ labels }) => selector.matches(labels));
    })
    .map(({ kind = 'autoscaler', metadata }) => `${kind} ${metadata.name}`);
}

function readSamples(
  snapshot: Snapshot,
  selector: Selector,
  metric: MetricSpec,
  failure: string | undefined,
): Reading<readonly Sample[]> {
  const { failures } = snapshot;
  switch (metric.type) {
    case 'Resource':
    case 'ContainerResource': {
      const container = metric.type === 'ContainerResource' ? metric.container : undefined;
      return known(failure ?? failures.podMetrics, () =>
        samplesOf(metric.resource, pickUsage(snapshot, selector), container),
      );
    }
    case 'Pods':
      return known(failure ?? failures.customMetrics, () => pickPodValues(snapshot, selector, metric.metric));
    case 'Object':
      return known(failure ?? failures.customMetrics, () => pickObjectValue(snapshot, metric));
    case 'External':
      return known(failure ?? failures.externalMetrics, () => pickExternalValues(snapshot, metric.metric));
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
function pickPodValues(snapshot: Snapshot, selector: Selector, metric: MetricIdentifier): readonly PodSample[] {
  const picked = new Set(pickPods(snapshot, selector).map((pod) => pod.name));
  const known = new Set(snapshot.pods.map(({ metadata }) => metadata.name));
  return snapshot.customMetrics
    .filter((value) => value.describedObject.kind === 'Pod' && isAnswerTo(metric, value))
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
  { customMetrics, autoscaler }: Snapshot,
  { describedObject, metric }: ObjectMetricSpec,
): readonly Sample[] {
  const { kind, apiVersion } = describedObject;
  // A namespace is asked for by the autoscaler's own name for it, whatever the metric says.
  const isNamespace = kind === 'Namespace' && groupOf(apiVersion) === '';
  const name = isNamespace ? autoscaler.metadata.namespace : describedObject.name;
  const value = customMetrics.find(
    (candidate) =>
      isAnswerTo(metric, candidate) &&
      candidate.describedObject.kind === kind &&
      candidate.describedObject.name === name &&
      (candidate.describedObject.apiVersion === undefined ||
        groupOf(candidate.describedObject.apiVersion) === groupOf(apiVersion)),
  );
  return value === undefined ? [] : [{ valueMilli: value.value, time: value.timestamp }];
}

/** "apps" of "apps/v1", "" of "v1" and of "/v1", as metric values write it. */
function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
}

/** Metrics of one name are told apart by the selector with which they were asked for, where the value tells it. */
function isAnswerTo(
  { name, labelSelector }: MetricIdentifier,
  value: { readonly name: string; readonly metricSelector?: string | undefined },
): boolean {
  return value.name === name && (value.metricSelector ?? labelSelector) === labelSelector;
}

/** Values that do not tell with which selector they were asked for are picked by their labels. */
function pickExternalValues({ externalMetrics }: Snapshot, metric: MetricIdentifier): readonly Sample[] {
  const selector = parseSelector(metric.labelSelector);
  return externalMetrics
    .filter(({ metricName: name, metricSelector }) => isAnswerTo(metric, { name, metricSelector }))
    .filter(
      ({ metricSelector, metricLabels }) =>
        metricSelector !== undefined || 'fault' in selector || selector.matches(metricLabels ?? {}),
    )
    .map(({ value, timestamp }) => ({ valueMilli: value, time: timestamp }));
}
