// What a take-over has to remember: who else was seen writing to an application, and when. It stands in a Lease
// (coordination.k8s.io/v1) of its own, because Lyft's operator replaces the whole status when it writes.

import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { TakeoverMemory } from '../deployment/take-over.ts';
import { parseAnswer, Time } from './answers.ts';
import type { KubernetesClient } from './client.ts';
import { isNotFound } from './errors.ts';
import { controllerUid, createOwned, type Owner, OwnerReferences, ownerReference } from './owned-objects.ts';
import { LEASES, objectPath } from './paths.ts';

/** A memory as it was read, and what a conditional write of the next one needs. */
export interface StoredMemory {
  readonly resourceVersion: string;
  readonly memory: TakeoverMemory;
}

/** An object's name may have no more characters. */
const MAX_NAME = 253;

const WireLease = z.object({
  metadata: z.object({ resourceVersion: z.string(), ownerReferences: OwnerReferences }),
  spec: z.object({ holderIdentity: z.string(), renewTime: Time, acquireTime: Time }),
});

/** @returns undefined when nothing is remembered of this application; what is left of one that was deleted does not count */
export async function readTakeover(client: KubernetesClient, owner: Owner): Promise<StoredMemory | undefined> {
  const path = leasePath(owner);
  const lease = await client.get(path).catch((error) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (lease === undefined) return undefined;
  const { metadata, spec } = parseAnswer(WireLease, lease, path);
  if (controllerUid(metadata.ownerReferences) !== owner.uid) return undefined;
  const { holderIdentity: manager, renewTime: lastWriteTime, acquireTime: firstSeenTime } = spec;
  return { resourceVersion: metadata.resourceVersion, memory: { manager, lastWriteTime, firstSeenTime } };
}

/**
 * Remembers for the first time; what is remembered already stays.
 *
 * @throws RetryableError when the Lease of an application that was deleted is still there
 */
export async function createTakeover(client: KubernetesClient, owner: Owner, memory: TakeoverMemory): Promise<void> {
  await createOwned(client, LEASES, owner, {
    apiVersion: LEASES.apiVersion,
    kind: 'Lease',
    metadata: {
      namespace: owner.namespace,
      name: leaseName(owner.name),
      // Not the application's name: a label has 63 characters, and nobody asks for Leases by it.
      labels: { 'app.kubernetes.io/managed-by': 'headrace' },
      ownerReferences: [ownerReference(owner)],
    },
    spec: toSpec(memory),
  });
}

/**
 * Remembers something newer, if the Lease is still as it was read.
 *
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function updateTakeover(
  client: KubernetesClient,
  owner: Owner,
  { resourceVersion, memory }: StoredMemory,
): Promise<void> {
  await client.patch(leasePath(owner), { metadata: { resourceVersion }, spec: toSpec(memory) });
}

function toSpec({ manager, lastWriteTime, firstSeenTime }: TakeoverMemory): object {
  return { holderIdentity: manager, renewTime: microTime(lastWriteTime), acquireTime: microTime(firstSeenTime) };
}

/** metav1.MicroTime is read with exactly six digits after the point. */
function microTime(instant: number): string {
  return new Date(instant).toISOString().replace('Z', '000Z');
}

function leasePath({ namespace, name }: Owner): string {
  return objectPath(LEASES, { namespace, name: leaseName(name) });
}

/** A name that would be too long is cut, and told from others by a digest of the whole. */
function leaseName(application: string): string {
  const name = `headrace-${application}`;
  if (name.length <= MAX_NAME) return name;
  const digest = createHash('sha256').update(application).digest('hex').slice(0, 10);
  return `${name.slice(0, MAX_NAME - digest.length - 1)}-${digest}`;
}
