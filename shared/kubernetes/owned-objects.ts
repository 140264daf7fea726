// Objects that belong to an application: they are made once, found again by their owner's uid, and removed only if they are
// its own. Kubernetes' garbage collector removes them with the application.

import * as z from 'zod';
import type { Application } from '../deployment/types.ts';
import { RetryableError, TerminalError } from '../errors.ts';
import { parseAnswer } from './answers.ts';
import type { KubernetesClient } from './client.ts';
import { isAlreadyThere, isNotFound } from './errors.ts';
import { keptFor } from './keeper.ts';
import { collectionPath, FLINK_APPLICATIONS, objectPath, type ResourceType } from './paths.ts';

/** Whom an object may belong to. */
export type Owner = Pick<Application, 'namespace' | 'name' | 'uid'>;

export const OwnerReferences = z
  .array(z.looseObject({ kind: z.string(), name: z.string(), uid: z.string(), controller: z.boolean().default(false) }))
  .default([]);

const OwnedObject = z.looseObject({
  metadata: z.looseObject({
    uid: z.string(),
    resourceVersion: z.string(),
    deletionTimestamp: z.string().exactOptional(),
    ownerReferences: OwnerReferences,
  }),
});

type OwnedObject = z.output<typeof OwnedObject>;

/** An object as it is to be made; what else it consists of is its kind's own affair. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: string; readonly ownerReferences?: readonly object[] };
}

/** The reference that makes an object one of the application's. */
export function ownerReference({ name, uid }: Owner): object {
  const { apiVersion } = FLINK_APPLICATIONS;
  return { apiVersion, kind: 'FlinkApplication', name, uid, controller: true, blockOwnerDeletion: true };
}

/** The uid of an object's controller; undefined where it has none. */
export function controllerUid(references: z.output<typeof OwnerReferences>): string | undefined {
  return controllerOf(references)?.uid;
}

/**
 * The uid of the application to which a part of a cluster belongs: its controller's, or that of the application for which it is kept
 * once Kubernetes has taken the reference to the application away.
 */
export function applicationUid(references: z.output<typeof OwnerReferences>): string | undefined {
  return controllerUid(references) ?? keeperUid(references);
}

/** The uid of the application for which an object is kept; undefined for one that has no keeper. */
export function keeperUid(references: z.output<typeof OwnerReferences>): string | undefined {
  return references.flatMap((reference) => keptFor(reference) ?? [])[0];
}

/**
 * Gives a part of an application's its keeper, if it has none. One that is not there, or belongs to somebody else, is left alone.
 *
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function keepOwned(
  client: KubernetesClient,
  type: ResourceType,
  owner: Owner,
  { name, keeper }: { readonly name: string; readonly keeper: object },
): Promise<void> {
  const found = await getObject(client, type, owner, name);
  if (found === undefined || ownershipOf(found, owner) !== 'own') return;
  const { resourceVersion, ownerReferences, deletionTimestamp } = found.metadata;
  if (deletionTimestamp !== undefined || keeperUid(ownerReferences) !== undefined) return;
  const patch = { metadata: { resourceVersion, ownerReferences: [...ownerReferences, keeper] } };
  await client.patch(objectPath(type, { namespace: owner.namespace, name }), patch);
}

function controllerOf(
  references: z.output<typeof OwnerReferences>,
): z.output<typeof OwnerReferences>[number] | undefined {
  return references.find(({ controller }) => controller);
}

/**
 * Creates an object of the application's, unless it is there.
 *
 * @returns what was there already; undefined when it was made
 * @throws TerminalError when there is one of that name that belongs to somebody else
 * @throws RetryableError when there is one that is about to go
 */
export async function createOwned<Wanted extends Manifest>(
  client: KubernetesClient,
  type: ResourceType,
  owner: Owner,
  manifest: Wanted,
): Promise<OwnedObject | undefined> {
  // Without a name nothing is made, so nothing of that name can be there.
  const { name = '' } = manifest.metadata;
  try {
    await client.create(collectionPath(type, owner.namespace), manifest);
    return undefined;
  } catch (error) {
    if (!isAlreadyThere(error)) throw error;
  }
  return findOwned(client, type, owner, name);
}

async function findOwned(
  client: KubernetesClient,
  type: ResourceType,
  owner: Owner,
  name: string,
): Promise<OwnedObject> {
  const what = describe(type, owner, name);
  const found = await getObject(client, type, owner, name);
  if (found === undefined || found.metadata.deletionTimestamp !== undefined)
    throw new RetryableError(`creating ${what}: one of that name is still being deleted`);
  const ownership = ownershipOf(found, owner);
  switch (ownership) {
    case 'own':
      return found;
    case "predecessor's":
      throw new RetryableError(`creating ${what}: it is left of an application of the same name that was deleted`);
    case "somebody else's":
      throw new TerminalError(`creating ${what}: there is one of that name that does not belong to the application`);
    default:
      throw ownership satisfies never;
  }
}

type Ownership =
  | 'own'
  /** An application that is deleted and made anew has another uid; its old objects go by themselves, a little later. */
  | "predecessor's"
  | "somebody else's";

function ownershipOf({ metadata: { ownerReferences } }: OwnedObject, { name, uid }: Owner): Ownership {
  const controller = controllerOf(ownerReferences);
  const applicationId = applicationUid(ownerReferences);
  if (applicationId === uid) return 'own';
  if (controller === undefined && applicationId !== undefined) return "predecessor's";
  return controller?.kind === 'FlinkApplication' && controller.name === name ? "predecessor's" : "somebody else's";
}

/**
 * Deletes an object of the application's, and with it what belongs to that in turn. One that is not there is fine.
 *
 * @throws TerminalError when it belongs to somebody else: it stays
 */
export async function removeOwned(
  client: KubernetesClient,
  type: ResourceType,
  owner: Owner,
  name: string,
): Promise<void> {
  const found = await getObject(client, type, owner, name);
  if (found === undefined) return;
  const ownership = ownershipOf(found, owner);
  if (ownership === "predecessor's") return;
  if (ownership === "somebody else's")
    throw new TerminalError(`deleting ${describe(type, owner, name)}: it does not belong to the application`);
  const path = objectPath(type, { namespace: owner.namespace, name });
  await client.remove(path, { uid: found.metadata.uid, propagationPolicy: 'Background' });
}

async function getObject(
  client: KubernetesClient,
  type: ResourceType,
  { namespace }: Owner,
  name: string,
): Promise<OwnedObject | undefined> {
  const path = objectPath(type, { namespace, name });
  try {
    return parseAnswer(OwnedObject, await client.get(path), path);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function describe({ plural }: ResourceType, { namespace }: Owner, name: string): string {
  return `${plural} ${namespace}/${name}`;
}
