// The kinds of object the sandbox knows, as one table: routes, discovery and the store all read it.

/** The shape every stored object has. Objects are never changed in place: a write stores a new one. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: Fields;
  readonly status?: Fields;
  readonly [field: string]: unknown;
}

interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly generateName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly ManagedFields[];
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Which fields of an object somebody wrote last. */
export interface ManagedFields {
  readonly manager: string;
  readonly operation: string;
  readonly apiVersion: string;
  readonly time?: string;
  readonly fieldsType: string;
  readonly fieldsV1: Fields;
  readonly subresource?: string;
}

export type Fields = Readonly<Record<string, unknown>>;

export interface Kind {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly isNamespaced: boolean;
  /** Custom resources and built-in kinds differ in small things: list items, unknown paths, updates without a resourceVersion. */
  readonly isCustom: boolean;
  readonly hasStatus: boolean;
  /** Whether metadata.generation counts the changes of its spec. */
  readonly hasGeneration: boolean;
  readonly isReadOnly: boolean;
  /** Whether a PUT must say from which version it starts. */
  readonly isNeverOverwritten: boolean;
  /** Whether a PUT of what is not there makes it. */
  readonly isMadeByPut: boolean;
  /** Whether the sandbox keeps metadata.managedFields, as an API server does for every kind. */
  readonly isTraced: boolean;
  readonly scale?: ScalePaths;
}

export interface ScalePaths {
  readonly specReplicas: readonly string[];
  readonly statusReplicas: readonly string[];
  /** Where the selector stands as text; a kind without it has a `spec.selector` object. */
  readonly selector?: readonly string[];
}

const builtIn = {
  shortNames: [],
  isNamespaced: true,
  isCustom: false,
  hasStatus: true,
  hasGeneration: true,
  isReadOnly: false,
  isNeverOverwritten: false,
  isMadeByPut: false,
  isTraced: false,
};

const custom = { ...builtIn, isCustom: true, isNeverOverwritten: true };
const plain = { ...builtIn, hasStatus: false, hasGeneration: false };

export const kinds: readonly Kind[] = [
  {
    ...custom,
    group: 'headrace.dev',
    version: 'v1alpha1',
    kind: 'FlinkAutoscaler',
    plural: 'flinkautoscalers',
    singular: 'flinkautoscaler',
    shortNames: ['fas'],
  },
  {
    ...custom,
    group: 'flink.k8s.io',
    version: 'v1beta1',
    kind: 'FlinkApplication',
    plural: 'flinkapplications',
    singular: 'flinkapplication',
    shortNames: ['flinkapp'],
    isTraced: true,
    scale: {
      specReplicas: ['spec', 'taskManagerConfig', 'replicas'],
      statusReplicas: ['status', 'clusterStatus', 'numberOfTaskManagers'],
      selector: ['status', 'selector'],
    },
  },
  {
    ...builtIn,
    group: 'autoscaling',
    version: 'v2',
    kind: 'HorizontalPodAutoscaler',
    plural: 'horizontalpodautoscalers',
    singular: 'horizontalpodautoscaler',
    shortNames: ['hpa'],
  },
  {
    ...builtIn,
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
    plural: 'deployments',
    singular: 'deployment',
    shortNames: ['deploy'],
    scale: { specReplicas: ['spec', 'replicas'], statusReplicas: ['status', 'replicas'] },
  },
  {
    ...plain,
    group: 'apps',
    version: 'v1',
    kind: 'ControllerRevision',
    plural: 'controllerrevisions',
    singular: 'controllerrevision',
  },
  {
    ...plain,
    group: 'coordination.k8s.io',
    version: 'v1',
    kind: 'Lease',
    plural: 'leases',
    singular: 'lease',
    isNeverOverwritten: true,
    isMadeByPut: true,
  },
  {
    ...builtIn,
    group: '',
    version: 'v1',
    kind: 'Service',
    plural: 'services',
    singular: 'service',
    shortNames: ['svc'],
    hasGeneration: false,
    isMadeByPut: true,
  },
  { ...builtIn, group: '', version: 'v1', kind: 'Pod', plural: 'pods', singular: 'pod', shortNames: ['po'] },
  {
    ...plain,
    group: '',
    version: 'v1',
    kind: 'Event',
    plural: 'events',
    singular: 'event',
    shortNames: ['ev'],
    isMadeByPut: true,
  },
  {
    ...plain,
    group: '',
    version: 'v1',
    kind: 'ConfigMap',
    plural: 'configmaps',
    singular: 'configmap',
    shortNames: ['cm'],
  },
  {
    ...plain,
    group: '',
    version: 'v1',
    kind: 'Namespace',
    plural: 'namespaces',
    singular: 'namespace',
    shortNames: ['ns'],
    isNamespaced: false,
  },
  {
    ...plain,
    group: 'metrics.k8s.io',
    version: 'v1beta1',
    kind: 'PodMetrics',
    plural: 'pods',
    singular: '',
    isReadOnly: true,
  },
];

const byName = new Map(kinds.map((kind) => [kind.kind, kind]));

/** The kind of that name; throws for one the sandbox does not know. */
export function kindNamed(name: string): Kind {
  const kind = byName.get(name);
  if (!kind) throw new Error(`the sandbox has no kind ${name}; it has ${[...byName.keys()].join(', ')}`);
  return kind;
}

/** "flink.k8s.io/v1beta1", or "v1" for the core group. */
export function apiVersionOf(kind: Pick<Kind, 'group' | 'version'>): string {
  return kind.group ? `${kind.group}/${kind.version}` : kind.version;
}

/** "flinkapplications.flink.k8s.io", as error messages name a resource. */
export function resourceName(kind: Kind): string {
  return kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
}

/** The value at a path of field names, or undefined where the path ends early. */
export function valueAt(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, field) => (typeof value === 'object' && value !== null ? (value as Fields)[field] : undefined),
    object,
  );
}

/** A copy of the object in which the value at the path is another. */
export function withValueAt<T>(object: T, [field, ...rest]: readonly string[], value: unknown): T {
  if (field === undefined) return value as T;
  const fields = (typeof object === 'object' && object !== null ? object : {}) as Fields;
  return { ...fields, [field]: withValueAt(fields[field], rest, value) } as T;
}
