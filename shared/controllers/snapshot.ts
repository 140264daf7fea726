// Records what a tick would see of one autoscaler, as API objects in a file that headrace replay judges. Nothing is written
// to the cluster, and nothing is kept that the decision does not read.

import { mapBounded } from '../concurrency.ts';
import type { Cluster, ControlPlane } from '../control-plane.ts';
import { jsonPages } from '../kubernetes/client.ts';
import { readFlinkAutoscaler } from '../kubernetes/flink-autoscaler.ts';
import { listHorizontalPodAutoscalers } from '../kubernetes/horizontal-pod-autoscaler.ts';
import { listAll } from '../kubernetes/lists.ts';
import {
  FLINK_AUTOSCALERS,
  HORIZONTAL_POD_AUTOSCALERS,
  type ObjectAddress,
  objectPath,
  POD_METRICS,
  PODS,
  type ResourceType,
} from '../kubernetes/paths.ts';
import { reduceAutoscaler, reducePod, reducePodMetrics } from '../kubernetes/recorded.ts';
import { readScale } from '../kubernetes/scale.ts';
import { parseSelector } from '../kubernetes/selectors.ts';
import type {
  AutoscalerSpec,
  MetricSpec,
  PodSample,
  Reading,
  Sample,
  ScaleBasis,
  TargetCondition,
  TargetReference,
} from '../scaling/types.ts';
import { formatQuantity, formatTime } from '../units.ts';
import { createCollector } from './collect.ts';
import { acts, findRivals, readWorld } from './observe.ts';
import { attempt } from './reading.ts';
import { findTarget, type Target } from './target.ts';

export interface AutoscalerAddress extends ObjectAddress {
  readonly kind: 'FlinkAutoscaler' | 'HorizontalPodAutoscaler';
}

/** One observation; docs/replay.md describes the format. */
export interface RecordedSnapshot {
  readonly kind: 'Snapshot';
  readonly name: string;
  readonly now: string;
  readonly autoscaler: unknown;
  readonly scale?: object;
  readonly pods?: readonly object[];
  readonly podMetrics?: readonly object[];
  readonly customMetrics?: readonly object[];
  readonly externalMetrics?: readonly object[];
  readonly otherAutoscalers?: readonly object[];
  readonly rivals?: readonly string[];
  readonly phase?: string;
  readonly scaleBasis?: ScaleBasis;
  readonly targetConditions?: readonly TargetCondition[];
  readonly failures: Failures;
}

interface Failures {
  readonly scale?: string;
  readonly pods?: string;
  readonly podMetrics?: string;
  readonly customMetrics?: string;
  readonly externalMetrics?: string;
  readonly rivals?: string;
  readonly metrics?: Readonly<Record<string, string>>;
}

type Recorded = Omit<RecordedSnapshot, 'kind' | 'name' | 'now' | 'autoscaler'>;

/**
 * Records one autoscaler as it is now. Whatever could not be read is in `failures`, in the words of the API server.
 *
 * @throws ControlPlaneError when the autoscaler, or those beside it, cannot be read
 */
export async function takeSnapshot(
  plane: Pick<ControlPlane, 'now'>,
  cluster: Cluster,
  address: AutoscalerAddress,
): Promise<RecordedSnapshot> {
  const { kind, namespace, name } = address;
  const type = kind === 'FlinkAutoscaler' ? FLINK_AUTOSCALERS : HORIZONTAL_POD_AUTOSCALERS;
  const object = (await cluster.client.get(objectPath(type, address))) as object;
  const policy = readFlinkAutoscaler(object)?.spec;
  const spec = policy !== undefined && 'value' in policy ? policy.value : undefined;
  const lookAround = kind === 'FlinkAutoscaler' ? lookAroundAsHeadrace : lookAroundAsHpa;
  const surroundings = spec && (await lookAround(cluster, address, spec));
  const now = formatTime(await plane.now());
  return {
    kind: 'Snapshot',
    name: `${namespace}/${name}`,
    now,
    autoscaler: reduceAutoscaler({ apiVersion: type.apiVersion, kind, ...object }),
    // A spec that cannot be read asks for nothing; replay says what is wrong with it.
    ...(spec && surroundings ? await look(cluster, namespace, spec.metrics, surroundings) : { failures: {} }),
  };
}

interface Surroundings {
  readonly target: Reading<Omit<Target, 'type' | 'resourceVersion'>>;
  readonly otherAutoscalers: readonly object[];
  readonly rivals: Reading<readonly string[]>;
}

/** As a tick does: an application without a size is reckoned with the size that it would be given. */
async function lookAroundAsHeadrace(
  cluster: Cluster,
  address: ObjectAddress,
  written: AutoscalerSpec,
): Promise<Surroundings> {
  const { namespace, name } = address;
  const world = await readWorld(cluster, [namespace]);
  // Also where it only advises: whoever replays it may ask what it would do in earnest.
  const spec = { ...written, mode: 'Auto' as const };
  const own = world.autoscalers.find((autoscaler) => autoscaler.name === name && acts(autoscaler));
  return {
    target: await findTarget({ cluster, world, autoscaler: own ?? address, spec, seeding: 'reckon' }),
    rivals: findRivals(world, address, spec),
    otherAutoscalers: world.autoscalers
      .filter((other) => other.name !== name && other.status.selector !== undefined && acts(other))
      .map((other) => describeOther('FlinkAutoscaler', other, other.status.selector)),
  };
}

/** As the HPA controller does, which knows the others of its kind by their targets' selectors. */
async function lookAroundAsHpa(
  cluster: Cluster,
  { namespace, name }: ObjectAddress,
  { target }: AutoscalerSpec,
): Promise<Surroundings> {
  const all = await listHorizontalPodAutoscalers(cluster.client, [namespace]);
  const others = await mapBounded(
    all.filter((other) => other.name !== name),
    SCALES_AT_ONCE,
    async (other) => ({ ...other, scale: await findScale(cluster, other) }),
  );
  return {
    target: await findScale(cluster, { namespace, target }),
    rivals: { value: [] },
    otherAutoscalers: others.flatMap((other) =>
      'value' in other.scale ? [describeOther('HorizontalPodAutoscaler', other, other.scale.value.selector)] : [],
    ),
  };
}

const SCALES_AT_ONCE = 8;

function findScale(
  { client, kinds }: Cluster,
  { namespace, target: { apiVersion, kind, name } }: { readonly namespace: string; readonly target: TargetReference },
) {
  return attempt(kinds.find({ apiVersion, kind }).then((type) => readScale(client, type, { namespace, name })));
}

function describeOther(kind: string, { namespace, name }: ObjectAddress, selector: string | undefined): object {
  return { kind, metadata: { namespace, name }, selector };
}

/** Reads what the metrics ask for. */
async function look(
  cluster: Cluster,
  namespace: string,
  metrics: readonly MetricSpec[],
  { target, otherAutoscalers, rivals }: Surroundings,
): Promise<Recorded> {
  const around = { otherAutoscalers, ...('value' in rivals && { rivals: rivals.value }) };
  const failures = { ...('unreadable' in rivals && { rivals: rivals.unreadable }) };
  if ('unreadable' in target) return { ...around, failures: { ...failures, scale: target.unreadable } };

  const { phase, scaleBasis, conditions, selector } = target.value;
  const seen = {
    scale: toScale(target.value),
    ...around,
    ...(phase !== undefined && { phase }),
    ...(scaleBasis && { scaleBasis }),
    ...(conditions && { targetConditions: conditions }),
  };
  if ('fault' in parseSelector(selector)) return { ...seen, failures };
  const needsUsage = metrics.some(({ type }) => type === 'Resource' || type === 'ContainerResource');
  const [pods, podMetrics, values] = await Promise.all([
    readList(cluster, PODS, namespace, selector, reducePod),
    needsUsage ? readList(cluster, POD_METRICS, namespace, selector, reducePodMetrics) : { value: [] },
    readValues(cluster, namespace, metrics, selector),
  ]);
  return {
    ...seen,
    pods: 'value' in pods ? pods.value : [],
    podMetrics: 'value' in podMetrics ? podMetrics.value : [],
    customMetrics: values.flatMap(toCustomMetrics),
    externalMetrics: values.flatMap(toExternalMetrics),
    failures: {
      ...failures,
      ...('unreadable' in pods && { pods: pods.unreadable }),
      ...('unreadable' in podMetrics && { podMetrics: podMetrics.unreadable }),
      ...findFailures(values),
    },
  };
}

function toScale({ namespace, name, replicas, statusReplicas, selector }: Omit<Target, 'type' | 'resourceVersion'>) {
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { namespace, name },
    spec: { replicas },
    status: { replicas: statusReplicas, selector },
  };
}

function readList(
  { client }: Cluster,
  type: ResourceType,
  namespace: string,
  labelSelector: string,
  reduce: (item: unknown) => object,
): Promise<Reading<readonly object[]>> {
  return attempt(listAll(client, type, [namespace], jsonPages(reduce), { labelSelector }));
}

type CountedMetric = Extract<MetricSpec, { readonly type: 'Pods' | 'Object' | 'External' }>;

/** What a metrics API said to one metric of the spec. */
interface Answer {
  readonly metric: CountedMetric;
  /** In spec.metrics. */
  readonly index: number;
  readonly reading: Reading<readonly Sample[]>;
  /** Whether an earlier metric asked the same: its values are recorded once. */
  readonly isRepeated: boolean;
}

async function readValues(
  cluster: Cluster,
  namespace: string,
  metrics: readonly MetricSpec[],
  selector: string,
): Promise<readonly Answer[]> {
  const collector = createCollector(cluster);
  const asked = new Set<string>();
  const questions = metrics.flatMap((metric, index) => {
    if (metric.type !== 'Pods' && metric.type !== 'Object' && metric.type !== 'External') return [];
    const described = metric.type === 'Object' ? metric.describedObject : undefined;
    const question = JSON.stringify([metric.type, metric.metric.name, metric.metric.labelSelector, described]);
    const isRepeated = asked.has(question);
    asked.add(question);
    return [{ metric, index, isRepeated }];
  });
  const scope = { namespace, selector, usage: { value: [] } };
  return Promise.all(
    questions.map(async (question) => ({ ...question, reading: await collector.read(question.metric, scope) })),
  );
}

function toCustomMetrics({ metric, reading, isRepeated }: Answer): readonly object[] {
  if (isRepeated || metric.type === 'External' || 'unreadable' in reading) return [];
  return reading.value.map((sample) => ({
    describedObject:
      metric.type === 'Pods'
        ? { apiVersion: 'v1', kind: 'Pod', name: (sample as PodSample).pod }
        : metric.describedObject,
    metric: { name: metric.metric.name },
    metricSelector: metric.metric.labelSelector,
    ...toValue(sample),
    ...(metric.type === 'Pods' && { windowSeconds: (sample as PodSample).windowSeconds }),
  }));
}

function toExternalMetrics({ metric, reading, isRepeated }: Answer): readonly object[] {
  if (isRepeated || metric.type !== 'External' || 'unreadable' in reading) return [];
  const { name: metricName, labelSelector: metricSelector } = metric.metric;
  return reading.value.map((sample) => ({ metricName, metricSelector, ...toValue(sample) }));
}

function toValue({ valueMilli, time }: Sample) {
  return { value: formatQuantity(valueMilli), timestamp: formatTime(time) };
}

/** An API that answered no question at all failed as a whole; otherwise each question has failed by itself. */
function findFailures(answers: readonly Answer[]): Failures {
  const external = answers.filter(({ metric }) => metric.type === 'External');
  const custom = answers.filter(({ metric }) => metric.type !== 'External');
  const externalMetrics = findCommonFailure(external);
  const customMetrics = findCommonFailure(custom);
  const metrics = Object.fromEntries(
    answers.flatMap(({ metric, index, reading }) => {
      const common = metric.type === 'External' ? externalMetrics : customMetrics;
      return 'unreadable' in reading && reading.unreadable !== common ? [[index, reading.unreadable]] : [];
    }),
  );
  return {
    ...(customMetrics !== undefined && { customMetrics }),
    ...(externalMetrics !== undefined && { externalMetrics }),
    ...(Object.keys(metrics).length > 0 && { metrics }),
  };
}

function findCommonFailure(answers: readonly Answer[]): string | undefined {
  const failures = answers.flatMap(({ reading }) => ('unreadable' in reading ? [reading.unreadable] : []));
  return failures.length === answers.length ? failures[0] : undefined;
}
