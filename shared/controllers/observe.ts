// What a tick sees: five lists for a whole shard, joined for each autoscaler. A source that cannot be read is unknown to
// the autoscalers that need it, and to nobody else.

import type { Cluster } from '../control-plane.ts';
import { type FlinkApplication, listFlinkApplications } from '../kubernetes/flink-application.ts';
import { type FlinkAutoscaler, listFlinkAutoscalers } from '../kubernetes/flink-autoscaler.ts';
import { listHorizontalPodAutoscalers } from '../kubernetes/horizontal-pod-autoscaler.ts';
import { createLabelIndex, type LabelIndex } from '../kubernetes/label-index.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { keyOf, type ObjectAddress } from '../kubernetes/paths.ts';
import { listPods, listPodUsage, type NamespacedPod, type PodUsage, TASK_MANAGERS } from '../kubernetes/pods.ts';
import { parseSelector, type Selector } from '../kubernetes/selectors.ts';
import type { AutoscalerSpec, Observation, Reading, TargetReference } from '../scaling/types.ts';
import type { Collector } from './collect.ts';
import { attempt, mapReading } from './reading.ts';
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
  /** The autoscalers (namespace/name) that act on a pod, by the selectors they had when they last looked. */
  owners(pod: NamespacedPod): readonly string[];
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
  // Autoscalers first: what they remember must not be newer than the size it is held against, or a tick that read the size
  // before a step, and the memory after it, would write the same step down again.
  const autoscalers = await listFlinkAutoscalers(client, namespaces);
  const [horizontalPodAutoscalers, applications, pods, usage] = await Promise.all([
    attempt(listHorizontalPodAutoscalers(client, namespaces)),
    attempt(listFlinkApplications(client, namespaces)),
    attempt(listPods(client, namespaces, TASK_MANAGERS)),
    attempt(listPodUsage(client, namespaces, TASK_MANAGERS)),
  ]);
  return {
    autoscalers,
    applications: mapReading(
      applications,
      (found) => new Map(found.map((application) => [keyOf(application), application])),
    ),
    actors: mapReading(horizontalPodAutoscalers, (found) => {
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
    taskManagers: mapReading(pods, createLabelIndex),
    taskManagerUsage: mapReading(usage, createLabelIndex),
    owners: createOwnerIndex(autoscalers),
  };
}

interface Owner {
  readonly key: string;
  readonly selector: Selector;
}

/** Which autoscalers' selectors pick a pod. They are looked up by the label that each fixes first: there may be thousands. */
function createOwnerIndex(autoscalers: readonly FlinkAutoscaler[]): World['owners'] {
  const byLabel = new Map<string, Owner[]>();
  const fixedLabels = new Set<string>();
  for (const autoscaler of autoscalers.filter(acts)) {
    const selector = parseSelector(autoscaler.status.selector ?? '');
    if ('fault' in selector) continue;
    const [label = '', value = ''] = selector.equalities[0] ?? [];
    fixedLabels.add(label);
    const key = `${autoscaler.namespace}/${label}=${value}`;
    byLabel.set(key, [...(byLabel.get(key) ?? []), { key: keyOf(autoscaler), selector }]);
  }
  return ({ namespace, labels }) =>
    [...fixedLabels]
      .flatMap((label) => byLabel.get(`${namespace}/${label}=${label === '' ? '' : (labels[label] ?? '')}`) ?? [])
      .filter(({ selector }) => selector.matches(labels))
      .map(({ key }) => key);
}

/** An autoscaler that is off, only advises, or cannot be read, writes to no target: it is in nobody's way. */
export function acts({ spec }: FlinkAutoscaler): boolean {
  return 'value' in spec && spec.value.mode === 'Auto';
}

function targetKey(namespace: string, target: TargetReference | undefined): string {
  const group = target?.apiVersion.includes('/') ? target.apiVersion.split('/')[0] : '';
  return `${group}/${target?.kind}/${namespace}/${target?.name}`;
}

/** Names the other autoscalers that act on the same target. One that only advises acts on nothing, so nobody is its rival. */
export function findRivals(world: World, autoscaler: ObjectAddress, spec: AutoscalerSpec): Reading<readonly string[]> {
  if (spec.mode !== 'Auto') return { value: [] };
  return mapReading(world.actors, (actors) =>
    (actors.get(targetKey(autoscaler.namespace, spec.target)) ?? [])
      .filter(({ kind, name }) => kind !== 'FlinkAutoscaler' || name !== autoscaler.name)
      .map(({ kind, name }) => `${kind} ${name}`),
  );
}

export interface ObserveInput {
  readonly cluster: Cluster;
  readonly world: World;
  readonly collector: Collector;
  readonly autoscaler: FlinkAutoscaler;
  readonly spec: AutoscalerSpec;
  readonly rivals: Reading<readonly string[]>;
  readonly target: Reading<Target>;
}

/** Joins what was read of one autoscaler's target, and asks the metric sources that are not in the shard's lists. */
export async function observe(input: ObserveInput): Promise<Observation> {
  const { cluster, world, collector, autoscaler, spec, rivals, target } = input;
  if ('unreadable' in target) return { scale: target, rivals, pods: target, metrics: [] };
  const { replicas, statusReplicas, selector: text, phase, scaleBasis, conditions } = target.value;
  const selector = parseSelector(text);
  const selectorFault = 'fault' in selector ? { selectorFault: selector.fault } : {};
  const scale = { value: { replicas, statusReplicas, selector: text, ...selectorFault } };
  const seen = {
    scale,
    rivals,
    ...(phase !== undefined && { phase }),
    ...(scaleBasis && { scaleBasis }),
    ...(conditions && { targetConditions: conditions }),
  };
  if ('fault' in selector) return { ...seen, pods: { unreadable: selector.fault }, metrics: [] };

  const { namespace } = autoscaler;
  const { pods, usage } = await readPods(cluster, world, namespace, text, selector);
  const metrics = await Promise.all(
    spec.metrics.map((metric) => collector.read(metric, { namespace, selector: text, usage })),
  );
  const sharers = 'value' in pods && spec.mode === 'Auto' ? findSharers(world, autoscaler, pods.value) : [];
  return { ...seen, pods, metrics, sharers };
}

/** Names the other autoscalers that act on a pod of this one's target. */
function findSharers(
  world: World,
  { namespace, name }: FlinkAutoscaler,
  pods: readonly NamespacedPod[],
): readonly string[] {
  const sharers = new Set<string>();
  for (const pod of pods)
    for (const owner of world.owners(pod))
      if (owner !== `${namespace}/${name}`) sharers.add(`FlinkAutoscaler ${owner.slice(namespace.length + 1)}`);
  return [...sharers];
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
      pods: mapReading(world.taskManagers, (index) => index.pick(namespace, selector)),
      usage: mapReading(world.taskManagerUsage, (index) => index.pick(namespace, selector)),
    };
  const [pods, usage] = await Promise.all([
    attempt(listPods(client, [namespace], text)),
    attempt(listPodUsage(client, [namespace], text)),
  ]);
  return { pods, usage };
}
