// A list that is kept up to date: what every part of Kubernetes does to learn of changes.
import { setTimeout as delay } from 'node:timers/promises';
import type { WatchingApiClient } from './api-client.ts';

const retryIntervalMs = 200;

export interface KubernetesObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
}

interface Following<Followed> {
  /** The API path of a list. */
  readonly path: string;
  /** Called with everything that is there, at first and after each change. */
  readonly onChange: (objects: readonly Followed[]) => void;
  readonly signal: AbortSignal;
}

/** Lists and watches until `signal` is given, whatever happens to the API server meanwhile. */
export async function follow<Followed extends KubernetesObject>(
  client: WatchingApiClient,
  { path, onChange, signal }: Following<Followed>,
): Promise<void> {
  while (!signal.aborted) {
    await listAndWatch(client, { path, onChange, signal }).catch(() => delay(retryIntervalMs));
  }
}

async function listAndWatch<Followed extends KubernetesObject>(
  client: WatchingApiClient,
  { path, onChange, signal }: Following<Followed>,
): Promise<void> {
  const list = await client.send<{ metadata: { resourceVersion: string }; items: readonly Followed[] }>('GET', path);
  if (signal.aborted) return;
  const objects = new Map(list.items.map((item) => [item.metadata.uid, item]));
  onChange([...objects.values()]);

  const query = new URLSearchParams({ watch: '1', resourceVersion: list.metadata.resourceVersion });
  for await (const { type, object } of client.watch<Followed>(`${path}?${query}`, signal)) {
    // Too old to go on from: begin anew.
    if (type === 'ERROR') return;
    if (type === 'DELETED') objects.delete(object.metadata.uid);
    else objects.set(object.metadata.uid, object);
    onChange([...objects.values()]);
  }
}
