// The Deployments of applications: a JobManager's and a TaskManager's for each cluster.

import * as z from 'zod';
import type { DeploymentView } from '../deployment/types.ts';
import { ANY_APPLICATION, type Belonging, belongingOf, POD_SELECTOR, partsOf } from './application-labels.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { listAll, type Namespaces } from './lists.ts';
import { applicationUid, keeperUid, OwnerReferences } from './owned-objects.ts';
import { collectionPath, DEPLOYMENTS, type ObjectAddress, objectPath } from './paths.ts';
import { explain } from './troubled-pods.ts';

/** One Deployment, and to which cluster its labels say that it belongs. */
export interface ApplicationDeployment extends Belonging {
  readonly namespace: string;
  readonly hash: string;
  readonly type: 'jobmanager' | 'taskmanager';
  /** Of the application to which it belongs; absent where it belongs to none. */
  readonly ownerUid?: string;
  readonly view: DeploymentView;
}

const Count = z.int().default(0);
const Strings = z.record(z.string(), z.string()).default({});

const Text = z.string().default('');

/** Conditions explain; one that is broken explains nothing. */
const Conditions = z
  .array(z.object({ type: z.string(), status: z.string(), reason: Text, message: Text }).optional().catch(undefined))
  .catch([])
  .default([]);

const WireDeployment = z.object({
  metadata: z.object({
    namespace: z.string(),
    name: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    generation: Count,
    deletionTimestamp: z.string().exactOptional(),
    labels: Strings,
    annotations: Strings,
    ownerReferences: OwnerReferences,
  }),
  spec: z.object({
    replicas: z.int().default(1),
    selector: z.object({ matchLabels: Strings }),
    template: z.object({
      spec: z.object({
        containers: z.array(z.object({ name: z.string() })).min(1),
        schedulerName: z.string().default(''),
      }),
    }),
  }),
  // The API server leaves out what is 0.
  status: z
    .object({ observedGeneration: Count, replicas: Count, availableReplicas: Count, conditions: Conditions })
    .prefault({}),
});

/** Lists the Deployments of all applications of a shard. */
export function listDeployments(client: KubernetesClient, namespaces: Namespaces): Promise<ApplicationDeployment[]> {
  return listAll(client, DEPLOYMENTS, namespaces, jsonPages(readDeployment), { labelSelector: ANY_APPLICATION });
}

/** Lists the Deployments of one application. */
export function listDeploymentsOf(
  client: KubernetesClient,
  { namespace, name }: ObjectAddress,
): Promise<ApplicationDeployment[]> {
  const query = { labelSelector: partsOf(name) };
  return client.list(collectionPath(DEPLOYMENTS, namespace), query, jsonPages(readDeployment));
}

/** Reads one Deployment. @returns undefined for what is no part of a Flink cluster */
export function readDeployment(item: unknown): ApplicationDeployment | undefined {
  const parsed = WireDeployment.safeParse(item);
  if (!parsed.success) return undefined;
  const { namespace, labels, ownerReferences } = parsed.data.metadata;
  const belonging = belongingOf(labels);
  const type = labels['flink-deployment-type'];
  if (belonging?.hash === undefined || (type !== 'jobmanager' && type !== 'taskmanager')) return undefined;
  const ownerUid = applicationUid(ownerReferences);
  return {
    ...belonging,
    namespace,
    hash: belonging.hash,
    type,
    ...(ownerUid !== undefined && { ownerUid }),
    view: toView(parsed.data),
  };
}

function toView({ metadata, spec, status }: z.output<typeof WireDeployment>): DeploymentView {
  const { containers, schedulerName } = spec.template.spec;
  return {
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    isDeleting: metadata.deletionTimestamp !== undefined,
    isKept: keeperUid(metadata.ownerReferences) !== undefined,
    replicas: spec.replicas,
    statusReplicas: status.replicas,
    availableReplicas: status.availableReplicas,
    isObserved: status.observedGeneration >= metadata.generation,
    ...findReplicaFailure(status.conditions),
    podSelector: spec.selector.matchLabels[POD_SELECTOR] ?? '',
    labels: metadata.labels,
    annotations: metadata.annotations,
    containerName: containers[0]?.name ?? '',
    schedulerName,
  };
}

/** Why the API server does not let its pods be made: a quota, pod security, a webhook, a service account that is missing. */
function findReplicaFailure(conditions: z.output<typeof Conditions>): Pick<DeploymentView, 'replicaFailure'> {
  const failure = conditions.find((condition) => condition?.type === 'ReplicaFailure' && condition.status === 'True');
  return failure === undefined ? {} : { replicaFailure: explain(failure.reason, failure.message) };
}

/**
 * Writes a size, if the Deployment is still as it was read.
 *
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function patchDeploymentReplicas(
  client: KubernetesClient,
  deployment: ObjectAddress & { readonly resourceVersion: string },
  replicas: number,
): Promise<void> {
  const { resourceVersion } = deployment;
  await client.patch(objectPath(DEPLOYMENTS, deployment), { metadata: { resourceVersion }, spec: { replicas } });
}
