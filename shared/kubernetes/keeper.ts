// What keeps the objects of an application while it is being deleted. Kubernetes deletes whatever is owned by an object that is
// deleted in the foreground before the object itself goes, whether or not its references say blockOwnerDeletion and whatever
// finalizer the owner has: the pods would be gone before the savepoint. An object that has another owner as well only loses the
// reference to the first one. So Deployments and Services have two: the application, and this keeper, a ControllerRevision that
// belongs to nobody and goes when the application may. (decisions/0018)

import * as z from 'zod';
import { parseAnswer } from './answers.ts';
import type { KubernetesClient } from './client.ts';
import { isAlreadyThere } from './errors.ts';
import { CONTROLLER_REVISIONS, collectionPath, type ObjectAddress, objectPath } from './paths.ts';

/** Whose objects are kept. */
export interface Kept {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

const PREFIX = 'headrace-keeper-';

const Keeper = z.object({ metadata: z.object({ uid: z.string() }) });

/** The uid of the application for which an owner keeps an object. @returns undefined for any other owner */
export function keptFor({ kind, name }: { readonly kind: string; readonly name: string }): string | undefined {
  return kind === 'ControllerRevision' && name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
}

/** Makes an application's keeper, unless it has one. @returns the reference that makes an object one of those that it keeps */
export async function ensureKeeper(client: KubernetesClient, application: Kept): Promise<object> {
  const { apiVersion } = CONTROLLER_REVISIONS;
  const { namespace, name: keeps } = application;
  const name = keeperName(application);
  const manifest = {
    apiVersion,
    kind: 'ControllerRevision',
    metadata: {
      namespace,
      name,
      labels: { 'app.kubernetes.io/managed-by': 'headrace', 'headrace.dev/part': 'keeper' },
      annotations: { 'headrace.dev/application': keeps },
    },
    revision: 0,
    data: {},
  };
  const path = keeperPath(application);
  const answer = await client.create(collectionPath(CONTROLLER_REVISIONS, namespace), manifest).catch((error) => {
    if (!isAlreadyThere(error)) throw error;
    return client.get(path);
  });
  const { uid } = parseAnswer(Keeper, answer, path).metadata;
  return { apiVersion, kind: 'ControllerRevision', name, uid };
}

/** Lets go of everything that it keeps: what no application owns any more is deleted by Kubernetes. One that is gone is fine. */
export async function removeKeeper(
  client: KubernetesClient,
  application: Pick<Kept, 'namespace' | 'uid'>,
): Promise<void> {
  await client.remove(keeperPath(application), { propagationPolicy: 'Background' });
}

function keeperName({ uid }: Pick<Kept, 'uid'>): string {
  return `${PREFIX}${uid}`;
}

function keeperPath({ namespace, uid }: Pick<Kept, 'namespace' | 'uid'>): string {
  const address: ObjectAddress = { namespace, name: keeperName({ uid }) };
  return objectPath(CONTROLLER_REVISIONS, address);
}
