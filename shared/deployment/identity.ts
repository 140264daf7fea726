// Two identities. The hash names a cluster and is Lyft's, bit for bit, so that what runs is recognised. The fingerprint
// names a revision and decides whether there is something to deploy: it leaves out what deployment tools write, and
// asks for what was written, not how it is rendered, so that neither `kubectl apply` nor an upgrade of Headrace deploys.

import { createHash } from 'node:crypto';
import { canonicalText } from './canonical-text.ts';
import { CLUSTER_ID_ANNOTATION } from './cluster-id.ts';
import { DEFAULT_RESOURCES, effectiveFlinkConfig, memoryModelOf, portsOf, readBytesAsLyft } from './flink-config.ts';
import { type Encoding, encodeAsGo } from './go-json.ts';
import { readGoQuantity } from './go-quantity.ts';
import { countedMetadata, handedToPods } from './metadata.ts';
import { fnv1a32, objectHash } from './object-hash.ts';
import { DEFAULT_TASK_SLOTS, effectiveParallelism, sizeSpecOf, taskManagersFor } from './parallelism.ts';
import { renderTemplates, type TemplateSource } from './templates.ts';
import type {
  ApplicationSpec,
  DeployedSpec,
  DeploymentView,
  JobManagerConfig,
  Revision,
  TaskManagerConfig,
} from './types.ts';

const GO: Encoding = {
  quantity: (quantity) => readGoQuantity(quantity)?.text ?? quantity,
  keepsUnknown: false,
};

/** The hash that Lyft's operator gives a cluster: eight hex digits. */
export function hashOf(source: TemplateSource): string {
  const { jobManager, taskManager } = renderTemplates(source, readBytesAsLyft);
  const hashes = [jobManager, taskManager].map((template) => objectHash(encodeAsGo('Deployment', template, GO)));
  return hexOf(fnv1a32(Buffer.concat(hashes)));
}

/**
 * The hash of a cluster to be made: Lyft's, or another one while a cluster of that name lives that is not this one.
 *
 * @param collisionCount how many hashes have been found taken; each gives another hash
 */
export function clusterHashOf(source: TemplateSource, collisionCount: number): string {
  const hash = Number.parseInt(hashOf(source), 16);
  // An odd step visits every number of 32 bits once before it comes back.
  return hexOf((hash + Math.imul(collisionCount, COLLISION_STEP)) >>> 0);
}

const COLLISION_STEP = 0x9e3779b1;

function hexOf(number: number): string {
  return number.toString(16).padStart(8, '0');
}

/** The part of a FlinkApplication that a revision is made from. */
export interface RevisionSource {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: ApplicationSpec;
}

/** How large an application is to be: as written, or as somebody has scaled it. */
export function sizeOf(spec: ApplicationSpec): { readonly parallelism: number; readonly taskManagers: number } {
  const size = sizeSpecOf(spec);
  return { parallelism: effectiveParallelism(size), taskManagers: size.replicas ?? taskManagersFor(size) };
}

/** What a deploy of the application, as it is, would make real. */
export function revisionOf({ labels, annotations, spec }: RevisionSource, settings?: Revision['settings']): Revision {
  const size = sizeOf(spec);
  return {
    labels: handedToPods(labels),
    annotations: handedToPods(annotations),
    // The size is the one that runs, so that equal revisions are equal throughout.
    spec: { ...deployedSpec(spec), parallelism: size.parallelism },
    ...size,
    ...(settings && { settings }),
  };
}

/** Every field of DeployedSpec; one that is missing here does not compile. */
const DEPLOYED_FIELDS = {
  image: true,
  imagePullPolicy: true,
  imagePullSecrets: true,
  serviceAccountName: true,
  securityContext: true,
  flinkConfig: true,
  flinkVersion: true,
  taskManagerConfig: true,
  jobManagerConfig: true,
  jarName: true,
  parallelism: true,
  entryClass: true,
  programArgs: true,
  programArgsList: true,
  rpcPort: true,
  blobPort: true,
  queryPort: true,
  metricsQueryPort: true,
  uiPort: true,
  volumes: true,
  volumeMounts: true,
  restartNonce: true,
  restartPolicy: true,
} satisfies Record<keyof DeployedSpec, true>;

/** Only what is deployed, and nothing that says nothing: Go writes `restartNonce: ""` and `envConfig: {}` everywhere. */
function deployedSpec({ taskManagerConfig, jobManagerConfig, ...spec }: ApplicationSpec): DeployedSpec {
  const { replicas: _, ...taskManagers } = taskManagerConfig ?? {};
  const sections = {
    taskManagerConfig: withoutEmpty(taskManagers),
    jobManagerConfig: withoutEmpty(jobManagerConfig ?? {}),
  };
  const fields = Object.entries({ ...spec, ...sections }).filter(([key]) => Object.hasOwn(DEPLOYED_FIELDS, key));
  const { image, jarName, entryClass, parallelism } = spec;
  return { ...withoutEmpty(Object.fromEntries(fields)), image, jarName, entryClass, parallelism };
}

/** Fields that mean something even when they are empty: given resources replace the default ones wholly. */
const MEANINGFUL_WHEN_EMPTY = new Set(['resources', 'affinity', 'securityContext']);

function withoutEmpty<T extends object>(fields: T): T {
  const isKept = ([key, value]: [string, unknown]) => !isEmpty(value) || (MEANINGFUL_WHEN_EMPTY.has(key) && value);
  return Object.fromEntries(Object.entries(fields).filter(isKept)) as T;
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === '' || value === false;
}

/**
 * Names what a revision makes real: equal for two ways to write the same ("0.5" and "500m", a default and nothing),
 * different for everything else. restartPolicy and settings do not count, nor do labels and annotations that tools write.
 *
 * @param excluded labels and annotations that the user has chosen not to count either (see countedMetadata)
 * @returns 64 hex digits
 */
export function fingerprintOf(revision: Revision, excluded: readonly string[] = []): string {
  const { parallelism, taskManagers } = revision;
  return sha256({ ...contentOf(revision, excluded), parallelism, taskManagers });
}

/** Whether two revisions differ in their size alone, if in anything that counts. */
export function areSameButForSize(one: Revision, other: Revision, excluded: readonly string[]): boolean {
  return canonicalText(contentOf(one, excluded)) === canonicalText(contentOf(other, excluded));
}

/** Tells one spec from another that differs in anything but its size: 16 hex digits. */
export function specDigest(spec: ApplicationSpec): string {
  // Nor do those count that order something else than a deploy: to take the order back is not to ask for the deploy again.
  const { parallelism, taskManagerConfig, forceRollback, tearDownVersionHash, suspend, ...rest } = spec;
  const { replicas, ...taskManagers } = taskManagerConfig ?? {};
  return sha256({ ...rest, taskManagers }).slice(0, 16);
}

/** Name of the ControllerRevision that holds a revision. */
export function revisionName(application: string, revision: Revision, excluded: readonly string[] = []): string {
  return `${application}-${fingerprintOf(revision, excluded).slice(0, 10)}`;
}

function sha256(value: unknown): string {
  return createHash('sha256').update(canonicalText(value)).digest('hex');
}

// By value; and a field that is newer than Kubernetes 1.24 counts as it was written.
const BY_VALUE: Encoding = {
  quantity: (quantity) => readGoQuantity(quantity)?.nano.toString() ?? quantity,
  keepsUnknown: true,
};

function byValue(kind: string, value: unknown): unknown {
  return value == null ? undefined : encodeAsGo(kind, value, BY_VALUE);
}

/** Everything but the size, in one form for each meaning. What is absent, or is as it would be if absent, is left out. */
function contentOf({ labels, annotations, spec }: Revision, excluded: readonly string[]): object {
  return {
    labels: countedMetadata(labels, excluded),
    annotations: countedMetadata(annotations, excluded),
    image: spec.image,
    imagePullPolicy: unlessDefault(spec.imagePullPolicy || undefined, 'IfNotPresent'),
    imagePullSecrets: byValue('[]LocalObjectReference', unlessEmpty(spec.imagePullSecrets)),
    serviceAccountName: spec.serviceAccountName || undefined,
    securityContext: byValue('PodSecurityContext', spec.securityContext),
    flinkConfig: unlessEmpty(effectiveFlinkConfig(spec)),
    memoryModel: unlessDefault(memoryModelOf(spec).setting, 'heap.size'),
    taskSlots: unlessDefault(spec.taskManagerConfig?.taskSlots, DEFAULT_TASK_SLOTS),
    jobManagers: unlessDefault(spec.jobManagerConfig?.replicas, 1),
    taskManager: sectionContent(spec, 'taskManager'),
    jobManager: sectionContent(spec, 'jobManager'),
    jarName: spec.jarName,
    entryClass: spec.entryClass,
    programArgs: spec.programArgs || undefined,
    programArgsList: unlessEmpty(spec.programArgsList),
    ports: portsOf(spec),
    volumes: byValue('[]Volume', unlessEmpty(spec.volumes)),
    volumeMounts: byValue('[]VolumeMount', unlessEmpty(spec.volumeMounts)),
    restartNonce: spec.restartNonce || undefined,
  };
}

function sectionContent(spec: DeployedSpec, process: 'jobManager' | 'taskManager'): object {
  const section: JobManagerConfig & TaskManagerConfig = spec[`${process}Config`] ?? {};
  const { fraction, defaultFraction } = memoryModelOf(spec);
  const defaultResources = canonicalText(byValue('ResourceRequirements', DEFAULT_RESOURCES[process]));
  const resources = byValue('ResourceRequirements', section.resources);
  return {
    resources: canonicalText(resources ?? null) === defaultResources ? undefined : resources,
    env: byValue('[]EnvVar', unlessEmpty(section.envConfig?.env)),
    envFrom: byValue('[]EnvFromSource', unlessEmpty(section.envConfig?.envFrom)),
    memoryFraction: unlessDefault(section[fraction], defaultFraction),
    nodeSelector: unlessEmpty(section.nodeSelector),
    tolerations: byValue('[]Toleration', unlessEmpty(section.tolerations)),
    affinity: byValue('Affinity', section.affinity),
    initContainers: byValue('[]Container', unlessEmpty(section.initContainers)),
    sidecars: byValue('[]Container', unlessEmpty(section.sidecars)),
  };
}

function unlessDefault<T>(value: T | undefined, standard: T): T | undefined {
  return value === standard ? undefined : value;
}

function unlessEmpty<T>(value: T | undefined): T | undefined {
  return isEmpty(value) ? undefined : value;
}

/** A FlinkApplication that Lyft's operator deployed, as it is now, and the JobManager Deployment of its cluster. */
export interface DeployedApplication extends TemplateSource {
  /** status.deployHash */
  readonly deployHash: string;
  readonly live: Pick<DeploymentView, 'annotations' | 'containerName' | 'schedulerName'>;
}

/** What the operator must have hashed. */
export interface DeployedIdentity {
  readonly annotations: Readonly<Record<string, string>>;
  readonly settings?: NonNullable<Revision['settings']>;
}

/**
 * Finds out whether a live cluster is what the application says. It is tried with the application's annotations and
 * with those that the Deployment was made with, since any tool may have annotated the application since; and with and
 * without the operator's cluster-wide settings that the Deployment shows.
 *
 * @returns what gives deployHash; undefined if nothing does: then something else has changed
 */
export function matchesDeployedHash({
  deployHash,
  live,
  ...source
}: DeployedApplication): DeployedIdentity | undefined {
  const candidates = [source.annotations, originalAnnotations(live.annotations)].flatMap((annotations) =>
    possibleSettings(live).map((settings) => ({ annotations, ...(!isEmpty(settings) && { settings }) })),
  );
  return candidates.find((candidate) => hashOf({ ...source, ...candidate }) === deployHash);
}

/** What Lyft's operator and Kubernetes add to a Deployment that was made with the application's annotations. */
const ADDED_ANNOTATIONS = new Set([
  'flink-job-properties',
  'restart-nonce',
  'flink-application-version',
  'deployment.kubernetes.io/revision',
  CLUSTER_ID_ANNOTATION,
]);

function originalAnnotations(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !ADDED_ANNOTATIONS.has(key)));
}

/** Kubernetes says "default-scheduler" where none was asked for, so each setting may have been there or not. */
function possibleSettings({
  containerName,
  schedulerName,
}: DeployedApplication['live']): NonNullable<Revision['settings']>[] {
  const containerNameFormat = containerName.replace('jobmanager', '%s');
  const names = containerNameFormat === '%s' ? [{}] : [{}, { containerNameFormat }];
  const schedulers = schedulerName === '' ? [{}] : [{}, { schedulerName }];
  return names.flatMap((name) => schedulers.map((scheduler) => ({ ...name, ...scheduler })));
}
