// Kubernetes' garbage collector: what is owned goes when its last owner has gone, and what was made for an owner that is no more
// goes as well. https://kubernetes.io/docs/concepts/architecture/garbage-collection/
import { isDeepStrictEqual } from 'node:util';
import type { Agenda } from './agenda.ts';
import { apiVersionOf, type Kind, type KubernetesObject, kinds, type OwnerReference } from './kinds.ts';
import type { Change, Store } from './store.ts';

/** Keeps an owner there until its dependents are gone. */
export const foregroundFinalizer = 'foregroundDeletion';
/** Keeps an owner there until its dependents have forgotten it. */
export const orphanFinalizer = 'orphan';

const reactionMs = 1000;
const ownFinalizers = [foregroundFinalizer, orphanFinalizer];
const knownKinds = new Map(kinds.map((kind) => [`${apiVersionOf(kind)}/${kind.kind}`, kind]));

type Key = Pick<Change, 'kind' | 'namespace' | 'name'>;

export class GarbageCollector {
  readonly #store: Store;
  readonly #agenda: Agenda;
  /** Objects by the uid of an owner they name. */
  readonly #dependents = new Map<string, Map<string, Key>>();
  /** Owners that are deleted and wait for their dependents, by uid. */
  readonly #waiting = new Map<string, Key>();

  constructor(store: Store, agenda: Agenda) {
    this.#store = store;
    this.#agenda = agenda;
    store.subscribe((change) => this.#follow(change));
  }

  #follow(change: Change): void {
    const { before, after } = change;
    if (!isDeepStrictEqual(before?.metadata.ownerReferences, after?.metadata.ownerReferences)) this.#index(change);
    const { uid = '', deletionTimestamp, finalizers = [] } = (after ?? before)?.metadata ?? {};
    const isWaiting = after && deletionTimestamp && finalizers.some((name) => ownFinalizers.includes(name));
    if (isWaiting) this.#waiting.set(uid, change);
    else this.#waiting.delete(uid);
    if (isWaiting || (!after && this.#dependents.has(uid))) this.#look(uid);
  }

  #index(change: Change): void {
    const { kind, namespace, name, before, after } = change;
    const key = `${kind}/${namespace}/${name}`;
    for (const { uid } of knownOwners(before)) {
      this.#dependents.get(uid)?.delete(key);
      this.#look(uid);
    }
    for (const { uid } of knownOwners(after)) {
      const dependents = this.#dependents.get(uid) ?? new Map<string, Key>();
      this.#dependents.set(uid, dependents.set(key, { kind, namespace, name }));
      this.#look(uid);
    }
  }

  #look(uid: string): void {
    this.#agenda.at(this.#agenda.now() + reactionMs, `collect ${uid}`, () => this.#collect(uid));
  }

  #collect(uid: string): void {
    const dependents = [...(this.#dependents.get(uid)?.values() ?? [])].flatMap((key) => this.#get(key) ?? []);
    if (dependents.length === 0) this.#dependents.delete(uid);
    const leaving = this.#waiting.get(uid);
    const owner = leaving && this.#get(leaving);
    if (owner?.metadata.finalizers?.includes(orphanFinalizer)) {
      for (const dependent of dependents) this.#disown(dependent, uid);
      this.#release(owner, orphanFinalizer);
    } else if (owner) this.#collectFirst(owner, dependents);
    else for (const dependent of dependents) this.#judge(dependent, uid);
  }

  /**
   * An owner that is deleted in the foreground. Everything that has no other owner is deleted, whether it says that it blocks the
   * owner's deletion or not; what has another one only forgets this one. The owner waits for what blocks it. (Kubernetes 1.37.2:
   * attemptToDeleteItem and processDeletingDependentsItem of its garbage collector.)
   */
  #collectFirst(owner: KubernetesObject, dependents: readonly KubernetesObject[]): void {
    const { uid = '' } = owner.metadata;
    for (const dependent of dependents)
      if (knownOwners(dependent).some((other) => other.uid !== uid && this.#isSolid(dependent, other)))
        this.#disown(dependent, uid);
      else this.#store.delete(dependent, { finalizer: foregroundFinalizer });
    const left = [...(this.#dependents.get(uid)?.values() ?? [])].flatMap((key) => this.#get(key) ?? []);
    const isBlocked = left.some(({ metadata: { ownerReferences = [] } }) =>
      ownerReferences.some((reference) => reference.uid === uid && reference.blockOwnerDeletion),
    );
    if (!isBlocked) this.#release(owner, foregroundFinalizer);
  }

  /** It is there, and does not wait for what it owns to go. */
  #isSolid(dependent: KubernetesObject, owner: OwnerReference): boolean {
    const { uid } = owner;
    const waiting = this.#waiting.get(uid);
    const finalizers = waiting && this.#get(waiting)?.metadata.finalizers;
    return this.#isThere(dependent, owner) && !finalizers?.includes(foregroundFinalizer);
  }

  /** An object one of whose owners may be gone. */
  #judge(dependent: KubernetesObject, uid: string): void {
    const owners = knownOwners(dependent);
    const reference = owners.find((owner) => owner.uid === uid);
    if (!reference || this.#isThere(dependent, reference)) return;
    if (owners.some((owner) => this.#isThere(dependent, owner))) this.#disown(dependent, uid);
    else this.#store.delete(dependent);
  }

  #isThere({ metadata }: KubernetesObject, owner: OwnerReference): boolean {
    const { isNamespaced } = knownKinds.get(kindKeyOf(owner)) as Kind;
    const namespace = isNamespaced ? (metadata.namespace ?? '') : '';
    return this.#store.get(owner.kind, namespace, owner.name)?.metadata.uid === owner.uid;
  }

  #disown(dependent: KubernetesObject, uid: string): void {
    const ownerReferences = dependent.metadata.ownerReferences?.filter((owner) => owner.uid !== uid) ?? [];
    this.#store.replace(dependent, { ...dependent, metadata: { ...dependent.metadata, ownerReferences } });
  }

  #release(owner: KubernetesObject, finalizer: string): void {
    const finalizers = owner.metadata.finalizers?.filter((name) => name !== finalizer) ?? [];
    this.#store.replace(owner, { ...owner, metadata: { ...owner.metadata, finalizers } });
  }

  #get({ kind, namespace, name }: Key): KubernetesObject | undefined {
    return this.#store.get(kind, namespace, name);
  }
}

/** Owners of a kind that the sandbox does not have cannot be looked for, so they count as nothing. */
function knownOwners(object: KubernetesObject | undefined): readonly OwnerReference[] {
  return object?.metadata.ownerReferences?.filter((owner) => knownKinds.has(kindKeyOf(owner))) ?? [];
}

function kindKeyOf({ apiVersion, kind }: OwnerReference): string {
  return `${apiVersion}/${kind}`;
}
