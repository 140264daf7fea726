// The Services of applications: one for each cluster, which never moves, and one for users, which points at the cluster that
// is deployed.

import * as z from 'zod';
import type { ServiceView } from '../deployment/types.ts';
import { ANY_APPLICATION, type Belonging, belongingOf, POD_SELECTOR, partsOf } from './application-labels.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { listAll, type Namespaces } from './lists.ts';
import { applicationUid, keeperUid, OwnerReferences } from './owned-objects.ts';
import { collectionPath, type ObjectAddress, objectPath, SERVICES } from './paths.ts';

/** One Service, and to what its labels say that it belongs; the one for users is of no single cluster. */
export interface ApplicationService extends Belonging {
  readonly namespace: string;
  /** Of the application to which it belongs; absent where it belongs to none. */
  readonly ownerUid?: string;
  readonly view: ServiceView;
}

const Strings = z.record(z.string(), z.string());

const WireService = z.object({
  metadata: z.object({
    namespace: z.string(),
    name: z.string(),
    resourceVersion: z.string(),
    deletionTimestamp: z.string().exactOptional(),
    labels: Strings,
    ownerReferences: OwnerReferences,
  }),
  spec: z.object({ selector: Strings.default({}) }),
});

/** Lists the Services of all applications of a shard. */
export function listServices(client: KubernetesClient, namespaces: Namespaces): Promise<ApplicationService[]> {
  return listAll(client, SERVICES, namespaces, jsonPages(readService), { labelSelector: ANY_APPLICATION });
}

/** Lists the Services of one application. */
export function listServicesOf(
  client: KubernetesClient,
  { namespace, name }: ObjectAddress,
): Promise<ApplicationService[]> {
  const query = { labelSelector: partsOf(name) };
  return client.list(collectionPath(SERVICES, namespace), query, jsonPages(readService));
}

/** Reads one Service. @returns undefined for what is none of an application's */
export function readService(item: unknown): ApplicationService | undefined {
  const parsed = WireService.safeParse(item);
  if (!parsed.success) return undefined;
  const { metadata, spec } = parsed.data;
  const { namespace, name, resourceVersion, labels, deletionTimestamp } = metadata;
  const belonging = belongingOf(labels);
  if (belonging === undefined) return undefined;
  const ownerUid = applicationUid(metadata.ownerReferences);
  return {
    namespace,
    ...belonging,
    ...(ownerUid !== undefined && { ownerUid }),
    view: {
      name,
      resourceVersion,
      isDeleting: deletionTimestamp !== undefined,
      isKept: keeperUid(metadata.ownerReferences) !== undefined,
      labels,
      selector: spec.selector,
    },
  };
}

/**
 * Points a Service at the pods of one JobManager Deployment, if it is still as it was read. What older versions of Lyft's
 * operator selected by, the hash, is taken away: pods do not have it as a label.
 *
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function patchServiceSelector(
  client: KubernetesClient,
  service: ObjectAddress & { readonly resourceVersion: string },
  podSelector: string,
): Promise<void> {
  const { resourceVersion } = service;
  const selector = { [POD_SELECTOR]: podSelector, 'flink-app-hash': null };
  await client.patch(objectPath(SERVICES, service), { metadata: { resourceVersion }, spec: { selector } });
}
