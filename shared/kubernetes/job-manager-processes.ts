// Which process a JobManager is: what it was told before its container was started again, it does not know.

import * as z from 'zod';
import { POD_SELECTOR, partsOf } from './application-labels.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { collectionPath, type ObjectAddress, PODS } from './paths.ts';

const Pod = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
  status: z
    .object({ containerStatuses: z.array(z.object({ restartCount: z.int().default(0) })).default([]) })
    .prefault({}),
});

/**
 * Names the processes of a JobManager Deployment: "orders-5e7c7283-jm-59d4c-x2k9p/1", the pod and how often its containers were
 * started again. As long as the text is the same, no other process was there.
 *
 * @param podSelector its value of the label pod-deployment-selector
 */
export async function nameProcesses(
  client: KubernetesClient,
  { namespace, name }: ObjectAddress,
  podSelector: string,
): Promise<string> {
  const pods = await client.list(
    collectionPath(PODS, namespace),
    { labelSelector: `${partsOf(name)},${POD_SELECTOR}=${podSelector}` },
    jsonPages((item) => Pod.safeParse(item).data),
  );
  return pods
    .map(({ metadata, status }) => {
      const restarts = status.containerStatuses.reduce((sum, { restartCount }) => sum + restartCount, 0);
      return `${metadata.name}/${restarts}`;
    })
    .toSorted()
    .join(', ');
}
