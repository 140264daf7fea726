// DELETE of one object: on which conditions, and what becomes of what it owns.
import { type Answer, jsonAnswer, type SandboxRequest } from '../exchange.ts';
import { foregroundFinalizer, orphanFinalizer } from '../garbage-collector.ts';
import type { Kind, KubernetesObject } from '../kinds.ts';
import { badRequest, conflict } from '../statuses.ts';
import type { Store } from '../store.ts';
import { readJson } from './kubernetes-writes.ts';

interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  /** Default Background: the object goes first, and then what it owns. */
  readonly propagationPolicy?: string;
  readonly gracePeriodSeconds?: number;
}

const finalizersByPolicy: Readonly<Record<string, string | undefined>> = {
  Background: undefined,
  Foreground: foregroundFinalizer,
  Orphan: orphanFinalizer,
};

export function deleteObject(store: Store, kind: Kind, object: KubernetesObject, request: SandboxRequest): Answer {
  const options = readOptions(request);
  checkPreconditions(kind, object, options);
  const { propagationPolicy = 'Background', gracePeriodSeconds } = options;
  if (!Object.hasOwn(finalizersByPolicy, propagationPolicy))
    throw badRequest(`propagationPolicy: Unsupported value: "${propagationPolicy}"`);
  const finalizer = finalizersByPolicy[propagationPolicy];
  const isImmediate = gracePeriodSeconds === 0;
  const left = store.delete(object, { isImmediate, ...(finalizer !== undefined && { finalizer }) });
  if (left) return jsonAnswer(200, left);
  // Pods and namespaces end gracefully, so their DELETE answers with the object; others answer that it is gone.
  if (kind.kind === 'Pod' || kind.kind === 'Namespace') return jsonAnswer(200, object);
  const { name, uid } = object.metadata;
  const details = { name, ...(kind.group && { group: kind.group }), kind: kind.plural, uid };
  return jsonAnswer(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}

function readOptions({ body, query }: SandboxRequest): DeleteOptions {
  const policy = query.get('propagationPolicy');
  const grace = query.get('gracePeriodSeconds');
  return {
    ...(body.length > 0 ? readJson(body) : {}),
    ...(policy !== null && { propagationPolicy: policy }),
    ...(grace !== null && { gracePeriodSeconds: Number(grace) }),
  };
}

function checkPreconditions(kind: Kind, { metadata }: KubernetesObject, { preconditions = {} }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions;
  if (uid !== undefined && uid !== metadata.uid)
    throw conflict(
      kind,
      metadata.name,
      `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion)
    throw conflict(
      kind,
      metadata.name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    );
}
