// What a tick sees: five lists for a whole shard, joined for each autoscaler. A source that cannot be read is unknown to
// the autoscalers that need it, and to nobody else.

import type { Cluster } from '../control-plane.ts';
import { ControlPlaneError, describeError } from '../errors.ts';
import { type FlinkApplication, listFlinkApplications } from '../kubernetes/flink-application.ts';
import { type FlinkAutoscaler, listFlinkAutoscalers } from '../kubernetes/flink-autoscaler.ts';
import { listHorizontalPodAutoscalers } from '../kubernetes/horizontal-pod-autoscaler.ts';
import { createLabelIndex, type LabelIndex } from '../kubernetes/label-index.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { keyOf } from '../kubernetes/paths.ts';
import { listPods, listPodUsage, type NamespacedPod, type PodUsage, TASK_MANAGERS } from '../kubernetes/pods.ts';
import { parseSelector, type Selector } from '../kubernetes/selectors.ts';
import { samplesOf } from '../metrics/resource.ts';
import type { AutoscalerSpec, Observation, Reading, TargetReference } from '../scaling/types.ts';
import type { Target } from './target.ts';

/** One shard of one cluster, as it was at one moment. */
export interface World {
  readonly autoscalers: readonly FlinkAutoscaler[];
  /** By namespace/name. */
  readonly applications: Reading<ReadonlyMap<string, FlinkApplication>>;
  /** Autoscalers that act, by target; each as "HorizontalPodAutoscaler orders". */
  readonly actors: Reading<ReadonlyMap<string, readonly Actor[]>>;
  readonly taskManagers: Reading<LabelIndex<NamespacedPod>>;
  readonly taskManagerUsage: Reading<LabelIndex<PodUsage>>;
}

interface Actor {
  readonly kind: 'HorizontalPodAutoscaler' | 'FlinkAutoscaler';
  readonly name: string;
}

/**
 * Reads a shard with five questions, whatever the number of its applications.
 *
 * @throws ControlPlaneError when the autoscalers themselves cannot be read: without them there is nothing to decide
 */
export async function readWorld({ client }: Cluster, namespaces: Namespaces): Promise<World> {
  const [autoscalers, horizontalPodAutoscalers, applications, pods, usage] = await Promise.all([
    listFlinkAutoscalers(client, namespaces),
    attempt(listHorizontalPodAutoscalers(client, namespaces)),
    attempt(listFlinkApplications(client, namespaces)),
    attempt(listPods(client, namespaces, TASK_MANAGERS)),
    attempt(listPodUsage(client, namespaces, TASK_MANAGERS)),
  ]);
  return {
    autoscalers,
    applications: map(applications, (found) => new Map(found.map((application) => [keyOf(application), application]))),
    actors: map(horizontalPodAutoscalers, (found) => {
      const actors = [
        ...found.map(({ namespace, name, target }) => ({
          target,
          namespace,
          kind: 'HorizontalPodAutoscaler' as const,
          name,
        })),
        ...autoscalers
          .filter(acts)
          .map(({ namespace, name, target }) => ({ target, namespace, kind: 'FlinkAutoscaler' as const, name })),
      ];
      return Map.groupBy(actors, ({ namespace, target }) => targetKey(namespace, target));
    }),
    taskManagers: map(pods, createLabelIndex),
    taskManagerUsage: map(usage, createLabelIndex),
  };
}

/** Waits for an answer; what went wrong with the source becomes part of what was seen. A fault of our own stays an error. */
export async function attempt<T>(answer: Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await answer };
  } catch (error) {
    if (error instanceof ControlPlaneError) return { unreadable: describeError(error) };
    throw error;
  }
}

function map<T, R>(reading: Reading<T>, change: (value: T) => R): Reading<R> {
  return 'unreadable' in reading ? reading : { value: change(reading.value) };
}

/** An autoscaler that is off, or only advises, is in nobody's way. */
function acts({ spec }: FlinkAutoscaler): boolean {
  return 'unreadable' in spec || spec.value.mode === 'Auto';
}

function targetKey(namespace: string, target: TargetReference | undefined): string {
  const group = target?.apiVersion.includes('/') ? target.apiVersion.split('/')[0] : '';
  return `${group}/${target?.kind}/${namespace}/${target?.name}`;
}

/** Names the other autoscalers that act on the same target. One that only advises acts on nothing, so nobody is its rival. */
export function findRivals(
  world: World,
  autoscaler: FlinkAutoscaler,
  spec: AutoscalerSpec,
): Reading<readonly string[]> {
  if (spec.mode !== 'Auto') return { value: [] };
  return map(world.actors, (actors) =>
    (actors.get(targetKey(autoscaler.namespace, spec.target)) ?? [])
      .filter(({ kind, name }) => kind !== 'FlinkAutoscaler' || name !== autoscaler.name)
      .map(({ kind, name }) => `${kind} ${name}`),
  );
}

export interface ObserveInput {
  readonly cluster: Cluster;
  readonly world: World;
  readonly autoscaler: FlinkAutoscaler;
  readonly spec: AutoscalerSpec;
  readonly rivals: Reading<readonly string[]>;
  readonly target: Reading<Target>;
}

/** Joins what was read of one autoscaler's target. Pods of other kinds of targets are asked for here. */
export async function observe({
  cluster,
  world,
  autoscaler,
  spec,
  rivals,
  target,
}: ObserveInput): Promise<Observation> {
  if ('unreadable' in target) return { scale: target, rivals, pods: target, metrics: [] };
  const { replicas, selector: text, phase } = target.value;
  const selector = parseSelector(text);
  const scale = { value: { replicas, selector: text, ...('fault' in selector && { selectorFault: selector.fault }) } };
  const seen = { scale, rivals, ...(phase !== undefined && { phase }) };
  if ('fault' in selector) return { ...seen, pods: { unreadable: selector.fault }, metrics: [] };

  const { namespace } = autoscaler;
  const { pods, usage } = await readPods(cluster, world, namespace, text, selector);
  const metrics = spec.metrics.map((metric) =>
    metric.type === 'Resource'
      ? map(usage, (found) => samplesOf(metric.resource, found))
      : { unreadable: metric.message },
  );
  return { ...seen, pods, metrics };
}

interface PodReadings {
  readonly pods: Reading<readonly NamespacedPod[]>;
  readonly usage: Reading<readonly PodUsage[]>;
}

/** TaskManagers are in the shard's lists already; the pods of any other target are two questions of their own. */
async function readPods(
  { client }: Cluster,
  world: World,
  namespace: string,
  text: string,
  selector: Selector,
): Promise<PodReadings> {
  const areTaskManagers = selector.equalities.some(([key, value]) => `${key}=${value}` === TASK_MANAGERS);
  if (areTaskManagers)
    return {
      pods: map(world.taskManagers, (index) => index.pick(namespace, selector)),
      usage: map(world.taskManagerUsage, (index) => index.pick(namespace, selector)),
    };
  const [pods, usage] = await Promise.all([
    attempt(listPods(client, [namespace], text)),
    attempt(listPodUsage(client, [namespace], text)),
  ]);
  return { pods, usage };
}
