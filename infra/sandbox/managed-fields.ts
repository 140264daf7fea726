// metadata.managedFields as an API server keeps it: each writer owns the fields that it was the last to change. Objects are told
// apart field by field, lists as a whole. PURE.
import { isDeepStrictEqual } from 'node:util';
import type { Fields, KubernetesObject, ManagedFields } from './kinds.ts';

export interface Writer {
  readonly manager: string;
  readonly subresource: string | undefined;
  /** RFC 3339. */
  readonly time: string;
}

/** Who is named as the writer of a request: whom it names itself, or else its client. */
export function managerOf(fieldManager: string | null, userAgent: string | undefined): string {
  return fieldManager || (userAgent ?? '').split('/')[0] || 'unknown';
}

/**
 * The managedFields after a write: fields that it changed or set belong to the writer now. `before` is undefined for a new
 * object. A write that changes nothing leaves no trace.
 */
export function trace(
  before: KubernetesObject | undefined,
  after: KubernetesObject,
  { manager, subresource, time }: Writer,
): readonly ManagedFields[] {
  const kept = before?.metadata.managedFields ?? [];
  const changed = changedFields(contentOf(before), contentOf(after));
  if (!changed) return kept;

  const isOwn = (entry: ManagedFields) =>
    entry.manager === manager && entry.operation === 'Update' && entry.subresource === subresource;
  const others = kept
    .filter((entry) => !isOwn(entry))
    .map((entry) => ({ ...entry, fieldsV1: subtract(entry.fieldsV1, changed) }))
    .filter(({ fieldsV1 }) => Object.keys(fieldsV1).length > 0);
  const own = kept.find(isOwn);
  const taken = present(changed, contentOf(after));
  const fieldsV1 = merge(subtract(own?.fieldsV1 ?? {}, changed), taken);
  if (Object.keys(fieldsV1).length === 0) return others;
  const { apiVersion } = after;
  const entry: ManagedFields = {
    manager,
    operation: 'Update',
    apiVersion,
    // Who only takes fields away has written nothing.
    time: Object.keys(taken).length > 0 ? time : (own?.time ?? time),
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(subresource !== undefined && { subresource }),
  };
  return [...others, entry];
}

/** What users and controllers write; the rest of metadata is the server's own. */
function contentOf(object: KubernetesObject | undefined): Fields {
  if (!object) return {};
  const { apiVersion: _, kind: __, metadata, ...content } = object;
  const { labels, annotations, finalizers, ownerReferences } = metadata;
  const written = Object.entries({ labels, annotations, finalizers, ownerReferences }).filter(([, value]) => value);
  return { ...content, ...(written.length > 0 && { metadata: Object.fromEntries(written) }) };
}

/** {"f:status": {"f:phase": {}}} for what differs; undefined where nothing does. */
function changedFields(before: unknown, after: unknown): Fields | undefined {
  if (isDeepStrictEqual(before, after)) return undefined;
  const [from, to] = [before, after].map((value) => (isFields(value) ? value : {})) as [Fields, Fields];
  const names = new Set([...Object.keys(from), ...Object.keys(to)]);
  const changed = [...names].flatMap((name) => {
    const fields = changedFields(from[name], to[name]);
    return fields ? [[`f:${name}`, fields]] : [];
  });
  return Object.fromEntries(changed);
}

/** The fields of the set that the object has. */
function present(set: Fields, object: unknown): Fields {
  const fields = isFields(object) ? object : {};
  const entries = Object.entries(set).flatMap(([key, below]) => {
    const value = fields[key.slice(2)];
    if (value === undefined) return [];
    const inner = present(below as Fields, value);
    const hasOnlyLost = Object.keys(inner).length === 0 && Object.keys(below as Fields).length > 0;
    return hasOnlyLost && isFields(value) && Object.keys(value).length > 0 ? [] : [[key, inner]];
  });
  return Object.fromEntries(entries);
}

function subtract(set: Fields, taken: Fields): Fields {
  const entries = Object.entries(set).flatMap(([key, below]) => {
    const takenBelow = taken[key] as Fields | undefined;
    if (!takenBelow) return [[key, below]];
    const rest = subtract(below as Fields, takenBelow);
    return Object.keys(rest).length > 0 ? [[key, rest]] : [];
  });
  return Object.fromEntries(entries);
}

function merge(set: Fields, added: Fields): Fields {
  const merged: Record<string, unknown> = { ...set };
  for (const [key, below] of Object.entries(added)) merged[key] = merge((set[key] ?? {}) as Fields, below as Fields);
  return merged;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
