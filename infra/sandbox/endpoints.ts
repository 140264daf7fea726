// Which pods stand behind a Service: those that its selector picks, that are Ready and not about to go.
import { type Fields, type KubernetesObject, kindNamed, valueAt } from './kinds.ts';
import type { Store, View } from './store.ts';

/** Pods by "namespace label=value", so that a fleet's Services are not each compared with every pod. */
type PodIndex = ReadonlyMap<string, readonly KubernetesObject[]>;

const indexes = new WeakMap<View, PodIndex>();

/** The pods behind a Service in the order of their names; none for one without a selector. */
export function endpointsOf(store: Store, { metadata: { namespace }, spec }: KubernetesObject): KubernetesObject[] {
  const selector = Object.entries((spec?.selector ?? {}) as Fields);
  const [first] = selector;
  if (!first) return [];
  const index = indexOf(store.view(kindNamed('Pod')));
  const candidates = index.get(`${namespace} ${first[0]}=${first[1]}`) ?? [];
  return candidates.filter(
    (pod) => selector.every(([key, value]) => pod.metadata.labels?.[key] === value) && isEndpoint(pod),
  );
}

function isEndpoint({ metadata, status }: KubernetesObject): boolean {
  const conditions = (status?.conditions ?? []) as readonly Fields[];
  const isReady = conditions.some(({ type, status: value }) => type === 'Ready' && value === 'True');
  return isReady && metadata.deletionTimestamp === undefined && valueAt(status, ['podIP']) !== undefined;
}

function indexOf(view: View): PodIndex {
  const known = indexes.get(view);
  if (known) return known;
  const index = new Map<string, KubernetesObject[]>();
  for (const { object } of view.entries)
    for (const [key, value] of Object.entries(object.metadata.labels ?? {})) {
      const label = `${object.metadata.namespace} ${key}=${value}`;
      const pods = index.get(label);
      if (pods) pods.push(object);
      else index.set(label, [object]);
    }
  indexes.set(view, index);
  return index;
}
