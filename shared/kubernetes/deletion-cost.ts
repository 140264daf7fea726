// A Deployment that shrinks ends any of its pods. It prefers those whose deletion is said to cost less, among pods that are
// otherwise alike (controller.kubernetes.io/pod-deletion-cost).

import * as z from 'zod';
import { jsonPages, type KubernetesClient } from './client.ts';
import { isForbidden, isNotFound } from './errors.ts';
import { collectionPath, objectPath, PODS } from './paths.ts';

const ANNOTATION = 'controller.kubernetes.io/pod-deletion-cost';
/** Below 0, what every pod without the annotation costs. A cost of somebody else's is another number, and stays. */
const PREFERRED = '-100';

const Pod = z.object({
  metadata: z.object({ name: z.string(), annotations: z.record(z.string(), z.string()).default({}) }),
  status: z.object({ podIP: z.string().default('') }).prefault({}),
});

/**
 * Lets a Deployment that shrinks take certain pods first, and none that were to be taken before. It is a wish: without the
 * right to patch pods any of them goes.
 */
export async function preferDeletion(
  client: KubernetesClient,
  {
    namespace,
    selector,
    podIps,
  }: { readonly namespace: string; readonly selector: string; readonly podIps: readonly string[] },
): Promise<void> {
  const query = { labelSelector: selector };
  const pods = await client.list(
    collectionPath(PODS, namespace),
    query,
    jsonPages((item) => Pod.safeParse(item).data),
  );
  const changes = pods.flatMap(({ metadata, status }) => {
    const isPreferred = podIps.includes(status.podIP);
    if (isPreferred === (metadata.annotations[ANNOTATION] === PREFERRED)) return [];
    return [{ name: metadata.name, cost: isPreferred ? PREFERRED : null }];
  });
  await Promise.all(changes.map(({ name, cost }) => patchCost(client, { namespace, name }, cost)));
}

async function patchCost(
  client: KubernetesClient,
  pod: { readonly namespace: string; readonly name: string },
  cost: string | null,
): Promise<void> {
  try {
    await client.patch(objectPath(PODS, pod), { metadata: { annotations: { [ANNOTATION]: cost } } });
  } catch (error) {
    // A pod that is gone needs no cost any more.
    if (!isForbidden(error) && !isNotFound(error)) throw error;
  }
}
