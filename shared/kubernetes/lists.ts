import type { KubernetesClient, ListQuery } from './client.ts';
import { collectionPath, type ResourceType } from './paths.ts';

/** Namespaces to look at; none named means all of them. */
export type Namespaces = readonly string[];

/**
 * Lists a kind of object over a shard: one question for all namespaces, or one per namespace that the shard names.
 * An item that the reader cannot use is left out.
 */
export async function listAll<T>(
  client: KubernetesClient,
  type: ResourceType,
  namespaces: Namespaces,
  readItem: (item: unknown) => T | undefined,
  query: ListQuery = {},
): Promise<T[]> {
  const readPage = (items: readonly unknown[]) => {
    const found: T[] = [];
    for (const item of items) {
      const read = readItem(item);
      if (read !== undefined) found.push(read);
    }
    return found;
  };
  const paths =
    namespaces.length === 0 ? [collectionPath(type)] : namespaces.map((namespace) => collectionPath(type, namespace));
  const lists = await Promise.all(paths.map((path) => client.list(path, query, readPage)));
  return lists.flat();
}
