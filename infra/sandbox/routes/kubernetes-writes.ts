// Create, replace, patch and delete, with the checks an API server makes before it stores anything.
import { randomBytes } from 'node:crypto';
import { timestamp } from '../clock.ts';
import { admit } from '../defaults.ts';
import { type Answer, jsonAnswer, type SandboxRequest } from '../exchange.ts';
import { apiVersionOf, type Fields, type Kind, type KubernetesObject, kindNamed, valueAt } from '../kinds.ts';
import { managerOf, trace } from '../managed-fields.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  internalError,
  invalid,
  notFound,
  unsupportedMediaType,
} from '../statuses.ts';
import type { Store } from '../store.ts';
import type { Target } from './kubernetes.ts';

const mergePatchType = 'application/merge-patch+json';

export function createObject(store: Store, { kind, namespace = '' }: Target, request: SandboxRequest): Answer {
  const object = readObject(kind, request);
  const { generateName } = object.metadata;
  const name = object.metadata.name ?? (generateName && `${generateName}${randomBytes(3).toString('hex').slice(0, 5)}`);
  if (!name) throw invalid(kind, '', 'metadata.name', 'Required value: name or generateName is required');
  if ((object.metadata.namespace ?? namespace) !== namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  if (kind.isNamespaced && !store.get('Namespace', '', namespace)) throw notFound(kindNamed('Namespace'), namespace);
  if (store.get(kind.kind, namespace, name)) throw alreadyExists(kind, name);
  if (object.metadata.resourceVersion)
    throw internalError('resourceVersion should not be set on objects to be created');
  checkReplicas(kind, name, object);

  const metadata = { ...object.metadata, name, ...(kind.isNamespaced && { namespace }) };
  const status = kind.hasStatus ? firstStatus(kind) : object.status;
  const whole = admit(kind, withStatus({ ...object, metadata }, status), undefined);
  return jsonAnswer(201, store.create(traced({ store, kind, request }, undefined, whole)));
}

/** PUT or PATCH of an object or of its status: each can change only its own part. */
export function replaceObject(store: Store, target: Target, before: KubernetesObject, request: SandboxRequest): Answer {
  const { kind, subresource } = target;
  const asked = readReplacement(kind, before, request);
  checkIdentity(kind, before, asked);
  // Most kinds may be overwritten blindly by a PUT; a patch starts from the stored version and so always has one.
  if (kind.isNeverOverwritten && !asked.metadata.resourceVersion)
    throw invalid(
      kind,
      before.metadata.name,
      'metadata.resourceVersion',
      'Invalid value: 0: must be specified for an update',
    );

  const own = subresource === 'status' ? withStatus(before, asked.status) : withStatus(asked, before.status);
  const after = kind.hasStatus ? own : asked;
  checkReplicas(kind, before.metadata.name, after);
  checkFinalizers(kind, before, after);
  const whole = subresource === 'status' ? after : admit(kind, after, before);
  return jsonAnswer(200, store.replace(before, traced({ store, kind, request, subresource }, before, whole)));
}

interface Write {
  readonly store: Store;
  readonly kind: Kind;
  readonly request: SandboxRequest;
  readonly subresource?: string | undefined;
}

/** The object with the server's note of who wrote what, for the kinds of which it is kept here. */
export function traced(
  { store, kind, request, subresource }: Write,
  before: KubernetesObject | undefined,
  after: KubernetesObject,
): KubernetesObject {
  if (!kind.isTraced) return after;
  const { query, headers } = request;
  const manager = managerOf(query.get('fieldManager'), headers['user-agent'] as string | undefined);
  const managedFields = trace(before, after, { manager, subresource, time: timestamp(store.now()) });
  const { managedFields: _, ...metadata } = after.metadata;
  return { ...after, metadata: { ...metadata, ...(managedFields.length > 0 && { managedFields }) } };
}

/** The object as the request wants it, whether it came whole or as a merge patch. */
export function readReplacement<T extends object>(kind: Kind, before: T, request: SandboxRequest): T {
  if (request.method === 'PUT') return readJson(request.body) as T;
  const contentType = String(request.headers['content-type'] ?? '').split(';')[0];
  if (contentType !== mergePatchType) throw unsupportedMediaType(acceptedPatches(kind));
  return mergePatch(before, readJson(request.body)) as T;
}

/** Refuses another name, and a resourceVersion or uid that is not the stored object's. */
export function checkIdentity(kind: Kind, before: KubernetesObject, asked: Pick<KubernetesObject, 'metadata'>): void {
  const { name, namespace, uid, resourceVersion } = before.metadata;
  const wanted: Partial<KubernetesObject['metadata']> = asked.metadata ?? {};
  if (wanted.name !== name)
    throw badRequest(`the name of the object (${wanted.name}) does not match the name on the URL (${name})`);
  if (wanted.namespace && wanted.namespace !== namespace)
    throw badRequest(
      `the namespace of the object (${wanted.namespace}) does not match the namespace on the request (${namespace})`,
    );
  if (wanted.uid && wanted.uid !== uid)
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid}`);
  if (wanted.resourceVersion && wanted.resourceVersion !== resourceVersion) throw conflict(kind, name);
}

/** RFC 7386: null removes a field, an object is merged, anything else replaces. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const merged: Record<string, unknown> = isFields(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete merged[field];
    else merged[field] = mergePatch(merged[field], value);
  }
  return merged;
}

function readObject(kind: Kind, request: SandboxRequest): KubernetesObject {
  const object = readJson(request.body) as KubernetesObject;
  const expected = apiVersionOf(kind);
  if (object.apiVersion !== undefined && object.apiVersion !== expected)
    throw badRequest(
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${expected})`,
    );
  if (object.kind !== undefined && object.kind !== kind.kind)
    throw badRequest(`the kind in the data (${object.kind}) does not match the expected kind (${kind.kind})`);
  return { ...object, apiVersion: expected, kind: kind.kind, metadata: object.metadata ?? {} };
}

export function readJson(body: Buffer): Fields {
  try {
    const value = JSON.parse(body.toString());
    if (isFields(value)) return value;
  } catch (error) {
    throw badRequest(`error decoding the body: ${(error as Error).message}`);
  }
  throw badRequest('error decoding the body: json: cannot unmarshal a value that is not an object');
}

/** What a custom resource's scale paths point to must be whole and not negative, even where its schema allows anything. */
function checkReplicas(kind: Kind, name: string, object: Pick<KubernetesObject, 'spec'>): void {
  if (!kind.scale) return;
  const value = valueAt(object, kind.scale.specReplicas);
  const field = `.${kind.scale.specReplicas.join('.')}`;
  if (value === undefined) return;
  if (!Number.isInteger(value))
    throw invalid(kind, name, field, `Invalid value: 0: ${field} accessor error: ${value} is not of the type int64`);
  if ((value as number) < 0)
    throw invalid(kind, name, field, `Invalid value: ${value}: should be a non-negative integer`);
}

function checkFinalizers(
  kind: Kind,
  before: KubernetesObject,
  { metadata: { finalizers = [] } }: KubernetesObject,
): void {
  const known = before.metadata.finalizers ?? [];
  const added = finalizers.filter((finalizer) => !known.includes(finalizer));
  if (!before.metadata.deletionTimestamp || added.length === 0) return;
  const list = `[]string{${added.map((finalizer) => JSON.stringify(finalizer)).join(', ')}}`;
  const fault = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${list}`;
  throw invalid(kind, before.metadata.name, 'metadata.finalizers', fault);
}

function firstStatus(kind: Kind): Fields | undefined {
  return kind.kind === 'Pod' ? { phase: 'Pending' } : undefined;
}

function acceptedPatches(kind: Kind): string[] {
  const builtIn = ['application/json-patch+json', mergePatchType, 'application/strategic-merge-patch+json'];
  const custom = ['application/json-patch+json', mergePatchType];
  return [...(kind.isCustom ? custom : builtIn), 'application/apply-patch+yaml'];
}

function withStatus({ status: _, ...object }: KubernetesObject, status: Fields | undefined): KubernetesObject {
  return { ...(object as KubernetesObject), ...(status && { status }) };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
