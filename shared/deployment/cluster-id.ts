// The id under which the JobManagers of one cluster elect a leader and keep their jobs (high availability). Flink resumes whatever
// job it finds under its id, so the id belongs to one incarnation: a cluster that is made anew from the same content, and so under
// the same hash, has another.

import { createHash } from 'node:crypto';
import type { Application } from './types.ts';

/** Kubernetes high availability writes the id as the value of a label. */
const LONGEST_ID = 63;
const HASH_LENGTH = 8;
const INCARNATION_LENGTH = 6;
const INCARNATIONS = 36n ** BigInt(INCARNATION_LENGTH);
const LONGEST_NAME = LONGEST_ID - HASH_LENGTH - INCARNATION_LENGTH - '--'.length;

/** On a cluster's Deployments, by which its id is known when the status speaks of another cluster. */
export const CLUSTER_ID_ANNOTATION = 'headrace.dev/cluster-id';

/**
 * An id that no cluster had before: "orders-5e7c7283-k3x9q2", at most 63 characters. Each version of an application gives another
 * one, so it is to be written to its status before it is used.
 */
export function newClusterId({ name, uid, resourceVersion }: Application, hash: string): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([uid, resourceVersion, hash]))
    .digest('hex');
  const incarnation = (BigInt(`0x${digest}`) % INCARNATIONS).toString(36).padStart(INCARNATION_LENGTH, '0');
  return `${name.slice(0, LONGEST_NAME).replace(/-+$/, '')}-${hash}-${incarnation}`;
}

/** The id of a cluster that was made before incarnations had ids of their own, or by Lyft's operator. */
export function legacyClusterId(application: string, hash: string): string {
  return `${application}-${hash}`;
}
