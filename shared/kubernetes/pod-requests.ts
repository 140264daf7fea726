// What a pod as a whole asks for, where it says so itself (spec.resources, KEP-2837): the arithmetic of the scheduler, which
// the HPA uses for such pods (k8s.io/component-helpers, PodRequests).

import type { Milli } from '../units.ts';

export type Requests = Readonly<Record<string, Milli>>;

export interface PodResources {
  /** spec.resources.requests; absent on nearly every pod. */
  readonly requests?: Requests;
  readonly overhead?: Requests;
  readonly containers: readonly Requests[];
  readonly initContainers: readonly { readonly requests: Requests; readonly isSidecar: boolean }[];
}

/** @returns the requests that take the place of the containers', or undefined where the containers' count */
export function podLevelRequests({
  requests = {},
  overhead = {},
  containers,
  initContainers,
}: PodResources): Requests | undefined {
  const own = Object.entries(requests).filter(([resource]) => isPodLevelResource(resource));
  if (own.length === 0) return undefined;
  const total = new Map<string, Milli>();
  for (const container of containers) add(total, container);
  addInitContainers(total, initContainers);
  for (const [resource, milli] of own) total.set(resource, milli);
  add(total, overhead);
  return Object.fromEntries(total);
}

function isPodLevelResource(resource: string): boolean {
  return resource === 'cpu' || resource === 'memory' || resource.startsWith('hugepages-');
}

/** Sidecars run on beside the containers; while an init container runs, the sidecars before it run too. */
function addInitContainers(total: Map<string, Milli>, initContainers: PodResources['initContainers']): void {
  const sidecars = new Map<string, Milli>();
  const starting = new Map<string, Milli>();
  for (const { requests, isSidecar } of initContainers) {
    if (isSidecar) add(total, requests);
    const running = new Map(sidecars);
    add(running, requests);
    if (isSidecar) add(sidecars, requests);
    raise(starting, running);
  }
  raise(total, starting);
}

function add(sum: Map<string, Milli>, requests: Requests): void {
  for (const [resource, milli] of Object.entries(requests)) sum.set(resource, (sum.get(resource) ?? 0n) + milli);
}

function raise(largest: Map<string, Milli>, other: ReadonlyMap<string, Milli>): void {
  for (const [resource, milli] of other) if (milli > (largest.get(resource) ?? -1n)) largest.set(resource, milli);
}
