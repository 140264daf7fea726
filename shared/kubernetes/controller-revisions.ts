// What is deployed is pinned in ControllerRevisions (apps/v1), as StatefulSets pin it: written once, named by its content,
// never changed.

import * as z from 'zod';
import type { Reading, Revision as RevisionFields } from '../deployment/types.ts';
import type { SchemasOf } from './answers.ts';
import { partsOf } from './application-labels.ts';
import { DeployedSpec } from './application-spec.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { type JsonObject, mergePatch } from './merge-patch.ts';
import { controllerUid, createOwned, type Owner, OwnerReferences, ownerReference } from './owned-objects.ts';
import { CONTROLLER_REVISIONS, collectionPath } from './paths.ts';

/** A revision as it is kept. */
export interface StoredRevision {
  readonly name: string;
  /** The generation of the application for which it was made first. */
  readonly number: number;
  readonly revision: Reading<RevisionFields>;
}

const MANAGED = 'app.kubernetes.io/managed-by=headrace';

const Strings = z.record(z.string(), z.string());

const Revision = z.object({
  labels: Strings,
  annotations: Strings,
  spec: DeployedSpec,
  parallelism: z.int().min(1),
  taskManagers: z.int().min(0),
  settings: z
    .object({ containerNameFormat: z.string().exactOptional(), schedulerName: z.string().exactOptional() })
    .exactOptional(),
} satisfies SchemasOf<RevisionFields>);

const WireRevision = z.object({
  metadata: z.object({ name: z.string(), ownerReferences: OwnerReferences }),
  revision: z.int().default(0),
  data: z.looseObject({}),
});

/** Lists the revisions that an application has; one that belongs to somebody else, and may go at any time, is none. */
export async function listRevisions(client: KubernetesClient, owner: Owner): Promise<StoredRevision[]> {
  const query = { labelSelector: `${partsOf(owner.name)},${MANAGED}` };
  const readOwn = (item: unknown): StoredRevision | undefined => {
    const { data: stored } = WireRevision.safeParse(item);
    if (stored === undefined || controllerUid(stored.metadata.ownerReferences) !== owner.uid) return undefined;
    return { name: stored.metadata.name, number: stored.revision, revision: readRevision(stored.data) };
  };
  return client.list(collectionPath(CONTROLLER_REVISIONS, owner.namespace), query, jsonPages(readOwn));
}

/**
 * Keeps a revision. One of that name is kept already: the name is a digest of what it makes real, so it is the same, or
 * another way to write the same.
 *
 * @throws TerminalError when somebody else's has its name
 * @throws RetryableError when one of its name is about to go
 */
export async function createRevision(
  client: KubernetesClient,
  owner: Owner,
  { name, number, revision }: { readonly name: string; readonly number: number; readonly revision: RevisionFields },
): Promise<void> {
  await createOwned(client, CONTROLLER_REVISIONS, owner, {
    apiVersion: CONTROLLER_REVISIONS.apiVersion,
    kind: 'ControllerRevision',
    metadata: {
      namespace: owner.namespace,
      name,
      labels: { 'flink-app': owner.name, 'app.kubernetes.io/managed-by': 'headrace' },
      ownerReferences: [ownerReference(owner)],
    },
    revision: number,
    data: revision,
  });
}

/** A field that this version does not know would be deployed as if it were not there: rather nothing than something else. */
function readRevision(data: JsonObject): Reading<RevisionFields> {
  const parsed = Revision.safeParse(data);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `data.${path.join('.')}: ${message}`);
    return { unreadable: faults.join('; ') };
  }
  const unknown = mergePatch(parsed.data, data);
  if (unknown === undefined) return { value: parsed.data };
  return { unreadable: `data has fields that are not known here: ${JSON.stringify(unknown).slice(0, 200)}` };
}
