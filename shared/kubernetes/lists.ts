import type { KubernetesClient, ListQuery, PageReader } from './client.ts';
import { collectionPath, type ResourceType } from './paths.ts';

/** Namespaces to look at; none named means all of them. */
export type Namespaces = readonly string[];

/** Lists a kind of object over a shard: one question for all namespaces, or one per namespace that the shard names. */
export async function listAll<T>(
  client: KubernetesClient,
  type: ResourceType,
  namespaces: Namespaces,
  reader: PageReader<T>,
  query: ListQuery = {},
): Promise<T[]> {
  const paths =
    namespaces.length === 0 ? [collectionPath(type)] : namespaces.map((namespace) => collectionPath(type, namespace));
  const lists = await Promise.all(paths.map((path) => client.list(path, query, reader)));
  return lists.flat();
}
