import type { Cluster, ControlPlane } from '../control-plane.ts';
import { TerminalError } from '../errors.ts';
import type { Namespaces } from '../kubernetes/lists.ts';

/** A shard by its names in configuration. */
export interface ShardName {
  readonly cluster: string;
  readonly shard: string;
}

/**
 * Opens the cluster of a shard, and says which namespaces are the shard.
 *
 * @throws TerminalError when configuration knows no such shard; ControlPlaneError when the cluster cannot be found
 */
export async function openShard(
  plane: Pick<ControlPlane, 'clusters' | 'cluster'>,
  { cluster: name, shard }: ShardName,
): Promise<{ cluster: Cluster; namespaces: Namespaces }> {
  const namespaces = plane.clusters.find((cluster) => cluster.name === name)?.shards[shard];
  if (namespaces === undefined)
    throw new TerminalError(`reading a message: HEADRACE_CLUSTERS must have shard ${shard} of cluster ${name}`);
  return { cluster: await plane.cluster(name), namespaces };
}
