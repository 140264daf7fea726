// What etcd is to an API server: every object in its newest version, one counter for all versions, and lists that stay consistent
// while they are read page by page. Texts are kept beside the objects: a list of 10,000 pods is serialised once, not once per request.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { timestamp } from './clock.ts';
import { type Kind, type KubernetesObject, kindNamed, kinds } from './kinds.ts';

/** How long an unfinished paged list can be continued after something changed: an API server compacts its history every 5 minutes. */
const historySeconds = 300;

export type ChangeListener = (change: Change) => void;

export interface Change {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Undefined: the object is new. */
  readonly before: KubernetesObject | undefined;
  /** Undefined: the object is gone. */
  readonly after: KubernetesObject | undefined;
}

export interface DeleteOptions {
  /** Lets the object stay, marked as deleted, until whoever put this finalizer there takes it away. */
  readonly finalizer?: string;
  /** Whether it goes at once, whoever would still have to end it. */
  readonly isImmediate?: boolean;
}

export class Store {
  readonly #now: () => number;
  readonly #shelves = new Map(kinds.map((kind) => [kind.kind, new Shelf(kind)]));
  readonly #listeners: ChangeListener[] = [];
  #endsGracefully: (object: KubernetesObject) => boolean = () => false;
  #version = 0;

  /** @param now the sandbox's time, epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now;
    for (const name of ['default', 'kube-system']) this.#ensureNamespace(name);
  }

  /**
   * Puts an object there as an administrator with every right would: creates or replaces it whole, status included, whatever
   * its resourceVersion; its namespace appears by itself. The store adds uid, resourceVersion, generation and creationTimestamp.
   * Returns what is stored then.
   */
  put(object: KubernetesObject): KubernetesObject {
    const { namespace = '', name } = object.metadata;
    if (namespace) this.#ensureNamespace(namespace);
    const before = this.get(object.kind, namespace, name);
    return before ? this.replace(before, object) : this.create(object);
  }

  /** The time that objects written now are given, epoch milliseconds. */
  now(): number {
    return this.#now();
  }

  get(kind: string, namespace: string, name: string): KubernetesObject | undefined {
    return this.#shelf(kind).entries.get(keyOf(namespace, name))?.object;
  }

  /** The objects of a kind, of one namespace or of all, ordered by namespace and name. */
  list(kind: string, namespace?: string): KubernetesObject[] {
    const objects = this.view(kindNamed(kind)).entries.map((entry) => entry.object);
    return namespace === undefined ? objects : objects.filter((object) => object.metadata.namespace === namespace);
  }

  /** Removes an object at once, finalizers or not. Without effect when it is not there. */
  remove(kind: string, namespace: string, name: string): void {
    const shelf = this.#shelf(kind);
    const before = this.get(kind, namespace, name);
    if (!shelf.entries.delete(keyOf(namespace, name))) return;
    this.#changed(shelf, { kind, namespace, name, before, after: undefined });
    if (kind === 'Namespace') this.#empty(name);
  }

  /** Stores a new object; the caller has made sure that there is none of that name. */
  create(object: KubernetesObject): KubernetesObject {
    const kind = kindNamed(object.kind);
    return this.#write(kind, {
      ...object,
      metadata: {
        ...object.metadata,
        uid: randomUUID(),
        creationTimestamp: object.metadata.creationTimestamp ?? timestamp(this.#now()),
        ...(kind.hasGeneration && { generation: 1 }),
      },
    });
  }

  /** Stores the next version of an object, unless nothing differs. A change outside metadata and status is a new generation. */
  replace(before: KubernetesObject, after: KubernetesObject): KubernetesObject {
    const { apiVersion, kind, metadata } = before;
    const { deletionTimestamp, generation } = metadata;
    const kept = Object.fromEntries(Object.entries(metadata).filter(([field]) => keptFields.has(field)));
    const next = { ...after, apiVersion, kind, metadata: { ...after.metadata, ...kept } };
    if (isDeepStrictEqual(before, next)) return before;
    if (deletionTimestamp && !next.metadata.finalizers?.length && !this.#endsGracefully(next)) {
      this.remove(kind, metadata.namespace ?? '', metadata.name);
      return next;
    }
    const isSameSpec = isDeepStrictEqual(desired(before), desired(next));
    if (!generation || isSameSpec) return this.#write(kindNamed(kind), next);
    return this.#write(kindNamed(kind), { ...next, metadata: { ...next.metadata, generation: generation + 1 } });
  }

  /**
   * Deletes as a request does: an object with finalizers, or one that somebody has to end first, only gets its
   * deletionTimestamp, which is a new generation. Returns what is left of it.
   */
  delete(
    object: KubernetesObject,
    { finalizer, isImmediate = false }: DeleteOptions = {},
  ): KubernetesObject | undefined {
    const { namespace = '', name, deletionTimestamp, generation } = object.metadata;
    const finalizers = [...(object.metadata.finalizers ?? []), ...(finalizer === undefined ? [] : [finalizer])];
    const stays = finalizers.length > 0 || (!isImmediate && this.#endsGracefully(object));
    if (!stays) {
      this.remove(object.kind, namespace, name);
      return undefined;
    }
    if (deletionTimestamp) return object;
    const metadata = {
      ...object.metadata,
      deletionTimestamp: timestamp(this.#now()),
      ...(finalizers.length > 0 && { finalizers }),
      ...(generation !== undefined && { generation: generation + 1 }),
    };
    return this.#write(kindNamed(object.kind), { ...object, metadata });
  }

  /** From now on objects of which this is true stay when they are deleted, until they are removed. */
  letEndGracefully(endsGracefully: (object: KubernetesObject) => boolean): void {
    this.#endsGracefully = endsGracefully;
  }

  /** All objects of a kind as they are now, with the version of the list. */
  view(kind: Kind): View {
    return this.#shelf(kind.kind).currentView(this.#version, this.#now());
  }

  /** The list of that version for one who is reading it page by page, or undefined when it is too old. */
  pastView(kind: Kind, version: number): View | undefined {
    return this.#shelf(kind.kind).viewOf(version, this.#now());
  }

  /** Forgets the past, as a compaction does: from now on every `continue` handed out before answers 410 Expired. */
  compact(): void {
    this.#version += 1;
    for (const shelf of this.#shelves.values()) shelf.views.clear();
  }

  /** Calls the listener after each change of an object. */
  subscribe(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  #write(kind: Kind, object: KubernetesObject): KubernetesObject {
    const shelf = this.#shelf(kind.kind);
    const { namespace = '', name } = object.metadata;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version + 1) } };
    const before = this.get(kind.kind, namespace, name);
    shelf.entries.set(keyOf(namespace, name), new Entry(kind, stored));
    this.#changed(shelf, { kind: kind.kind, namespace, name, before, after: stored });
    return stored;
  }

  #changed(shelf: Shelf, change: Change): void {
    this.#version += 1;
    shelf.supersede(this.#now());
    for (const listener of this.#listeners) listener(change);
  }

  #ensureNamespace(name: string): void {
    if (this.get('Namespace', '', name)) return;
    const metadata = { name, labels: { 'kubernetes.io/metadata.name': name } };
    this.create({ apiVersion: 'v1', kind: 'Namespace', metadata, status: { phase: 'Active' } });
  }

  #empty(namespace: string): void {
    for (const { kind, isNamespaced } of kinds) {
      if (isNamespaced)
        for (const { metadata } of this.list(kind, namespace)) this.remove(kind, namespace, metadata.name);
    }
  }

  #shelf(kind: string): Shelf {
    return this.#shelves.get(kindNamed(kind).kind) as Shelf;
  }
}

/** All objects of one kind in one order, at one version. */
export interface View {
  readonly version: number;
  readonly entries: readonly Entry[];
  /** Answers already made from this view, by whatever the asker distinguishes them. */
  readonly pages: Map<string, Page>;
  supersededTime?: number;
}

/** The body of a list answer, and the same packed once somebody asked for it. */
export interface Page {
  readonly body: Buffer;
  packed?: Buffer;
}

/** One version of one object and its texts. */
export class Entry {
  readonly object: KubernetesObject;
  readonly key: string;
  readonly #kind: Kind;
  #itemText: string | undefined;

  constructor(kind: Kind, object: KubernetesObject) {
    this.#kind = kind;
    this.object = object;
    this.key = keyOf(object.metadata.namespace ?? '', object.metadata.name);
  }

  /** The object as an item of a list. */
  get itemText(): string {
    this.#itemText ??= JSON.stringify(this.#kind.isCustom ? this.object : listItem(this.#kind, this.object));
    return this.#itemText;
  }
}

/** Built-in kinds leave out in items what the list itself says, and metrics are read from nowhere, so they have no version. */
function listItem({ isReadOnly }: Kind, object: KubernetesObject): object {
  const metadata = isReadOnly ? { ...object.metadata, uid: undefined, resourceVersion: undefined } : object.metadata;
  return { ...object, apiVersion: undefined, kind: undefined, metadata };
}

class Shelf {
  readonly kind: Kind;
  readonly entries = new Map<string, Entry>();
  readonly views = new Map<number, View>();
  #current: View | undefined;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  currentView(version: number, now: number): View {
    if (this.#current && this.views.has(this.#current.version)) return this.#current;
    this.#forgetOld(now);
    const entries = [...this.entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#current = { version, entries, pages: new Map() };
    this.views.set(version, this.#current);
    return this.#current;
  }

  viewOf(version: number, now: number): View | undefined {
    this.#forgetOld(now);
    return this.views.get(version);
  }

  supersede(now: number): void {
    if (!this.#current) return;
    this.#current.supersededTime = now;
    this.#current.pages.clear();
    this.#current = undefined;
  }

  #forgetOld(now: number): void {
    for (const [version, { supersededTime }] of this.views)
      if (supersededTime !== undefined && now - supersededTime > historySeconds * 1000) this.views.delete(version);
  }
}

/** Orders as etcd does: by namespace, then by name, bytewise; the slash separates as it does in etcd's own keys. */
function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** What a write cannot change, whatever it says. */
const keptFields = new Set([
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'generation',
]);

function desired(object: KubernetesObject): object {
  return { ...object, metadata: undefined, status: undefined };
}
