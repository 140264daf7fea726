// The ConfigMaps in which JobManagers with high availability keep who leads them, which jobs they have, and where the checkpoints of
// those are. Flink names and labels them after its cluster id. That they are for high availability is a label on 1.20.3, and on 2.3.0
// to be told from their names alone.

import * as z from 'zod';
import type { ConfigMapView } from '../deployment/types.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { isConflict, isForbidden, isNotFound } from './errors.ts';
import { CONFIG_MAPS, collectionPath, type ObjectAddress, objectPath } from './paths.ts';

const TYPE = 'flink-native-kubernetes';
const HIGH_AVAILABILITY = 'high-availability';
/** <cluster id>-cluster-config-map, <cluster id>-<job id>-config-map */
const SUFFIX = '-config-map';

const WireConfigMap = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
});

/**
 * Lists what the high availability of one Flink cluster keeps in a namespace: nothing where Headrace may not list ConfigMaps, which
 * is an optional permission.
 *
 * @throws KubernetesError for any other failure
 */
export async function listHighAvailability(
  client: KubernetesClient,
  namespace: string,
  clusterId: string,
): Promise<readonly ConfigMapView[]> {
  const query = { labelSelector: `app=${clusterId},type=${TYPE}` };
  const read = (item: unknown) => readConfigMap(item, clusterId);
  try {
    return await client.list(collectionPath(CONFIG_MAPS, namespace), query, jsonPages(read));
  } catch (error) {
    if (isForbidden(error)) return [];
    throw error;
  }
}

/** @returns undefined for what is not the cluster's own: the selector is asked of the server, and checked here */
function readConfigMap(item: unknown, clusterId: string): ConfigMapView | undefined {
  const parsed = WireConfigMap.safeParse(item);
  if (!parsed.success) return undefined;
  const { name, uid, labels } = parsed.data.metadata;
  const isOwn = labels.app === clusterId && labels.type === TYPE && name.startsWith(`${clusterId}-`);
  const isForElections = labels['configmap-type'] === HIGH_AVAILABILITY || name.endsWith(SUFFIX);
  return isOwn && isForElections ? { name, uid } : undefined;
}

/** Deletes a ConfigMap if it is still the one that was listed. One that is gone or was made anew is fine: it is looked at again. */
export async function deleteConfigMap(
  client: KubernetesClient,
  { uid, ...address }: ObjectAddress & ConfigMapView,
): Promise<void> {
  try {
    await client.remove(objectPath(CONFIG_MAPS, address), { uid, propagationPolicy: 'Background' });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
