// The objects of one cluster, as Lyft's operator makes them: names, labels, environment and their order are kept, so
// that clusters of either are alike, and a template can be hashed to the name of a cluster that already runs.

import { createHash } from 'node:crypto';
import { CLUSTER_ID_ANNOTATION, legacyClusterId } from './cluster-id.ts';
import {
  DEFAULT_RESOURCES,
  hasHighAvailability,
  jobManagersOf,
  type MemoryReader,
  type Ports,
  portsOf,
  readBytes,
  renderFlinkConfig,
  renderFlinkProperties,
} from './flink-config.ts';
import type { ClusterTarget, Colour, ContainerFields, DeployedSpec, PodSelectors, Revision } from './types.ts';

/** What templates are rendered from: a revision, and for whom. */
export interface TemplateSource extends Revision {
  readonly namespace: string;
  readonly name: string;
  /** BlueGreen only. Lyft's operator hashes with an empty one too. */
  readonly version?: Colour | string;
}

export interface Deployment {
  readonly apiVersion: 'apps/v1';
  readonly kind: 'Deployment';
  readonly metadata: Metadata;
  readonly spec: {
    readonly replicas: number;
    readonly selector: { readonly matchLabels: Strings };
    readonly strategy: { readonly type: 'Recreate' };
    readonly template: { readonly metadata: Metadata; readonly spec: PodSpec };
  };
}

export interface Service {
  readonly apiVersion: 'v1';
  readonly kind: 'Service';
  readonly metadata: Metadata;
  readonly spec: {
    readonly type: 'ClusterIP';
    readonly clusterIP: 'None';
    readonly ports: readonly { readonly name: string; readonly port: number }[];
    readonly selector: Strings;
  };
}

export interface Metadata {
  readonly name?: string;
  readonly namespace: string;
  readonly labels: Strings;
  readonly annotations?: Strings;
  readonly ownerReferences?: readonly object[];
}

/** Parts that the user writes are handed on as they are. */
interface PodSpec {
  readonly initContainers?: readonly ContainerFields[];
  /** Flink's own first. */
  readonly containers: readonly [Container, ...ContainerFields[]];
  readonly volumes?: readonly object[];
  readonly imagePullSecrets?: readonly object[];
  readonly nodeSelector?: Strings;
  readonly tolerations?: readonly object[];
  readonly affinity?: object;
  readonly schedulerName?: string;
  readonly serviceAccountName?: string;
  readonly securityContext?: object;
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env: readonly EnvVar[];
  readonly envFrom?: readonly object[];
  readonly resources: object;
  readonly volumeMounts?: readonly object[];
  readonly readinessProbe?: object;
}

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

type Strings = Readonly<Record<string, string>>;
type Role = 'jobmanager' | 'taskmanager';

/** Name of a cluster's own service, under which its pods and Headrace find the JobManager. */
export function clusterServiceName(application: string, hash: string): string {
  return `${application}-${hash}`;
}

/** Name of the service that outlives clusters and points at the one that is deployed. */
export function genericServiceName(application: string, colour?: string): string {
  return colour === undefined ? application : `${application}-${colour}`;
}

/** Names of a cluster's Deployments. */
export function deploymentNames(
  application: string,
  hash: string,
  colour?: string,
): { readonly jobManager: string; readonly taskManager: string } {
  const cluster = colour === undefined ? `${application}-${hash}` : `${application}-${hash}-${colour}`;
  return { jobManager: `${cluster}-jm`, taskManager: `${cluster}-tm` };
}

/** Selects the TaskManagers of one cluster, as text: what status.selector says. */
export function taskManagerSelector(application: string, podSelector: string): string {
  return `flink-app=${application},flink-deployment-type=taskmanager,pod-deployment-selector=${podSelector}`;
}

const SELECTOR_LENGTH = 8;
const SELECTORS = 36n ** BigInt(SELECTOR_LENGTH);

/**
 * What ties pods to their Deployment: eight characters of a-z and 0-9. Lyft's operator draws them; derived ones are the
 * same when a Deployment has to be made again because the answer to its creation was lost.
 */
export function derivePodSelectors({ uid, hash }: { readonly uid: string; readonly hash: string }): PodSelectors {
  const jobManager = digest(uid, hash, 'jobmanager') % SELECTORS;
  // From 1 to SELECTORS − 1 further on: never the same.
  const distance = 1n + (digest(uid, hash, 'taskmanager') % (SELECTORS - 1n));
  return { jobManager: selectorText(jobManager), taskManager: selectorText((jobManager + distance) % SELECTORS) };
}

function digest(...texts: readonly string[]): bigint {
  return BigInt(`0x${createHash('sha256').update(JSON.stringify(texts)).digest('hex')}`);
}

function selectorText(number: bigint): string {
  return number.toString(36).padStart(SELECTOR_LENGTH, '0');
}

/** A cluster's objects, to be created if they are not there. The generic service may be there already. */
export interface ClusterObjects {
  readonly jobManager: Deployment;
  readonly taskManager: Deployment;
  readonly genericService: Service;
  readonly versionedService: Service;
}

/** Renders the objects of a cluster. Total for every spec that validate finds no fault in. */
export function renderCluster(target: ClusterTarget): ClusterObjects {
  const { application, hash, version } = target;
  const { jobManager, taskManager } = renderTemplates(sourceOf(target), readBytes);
  return {
    jobManager: place(jobManager, target, 'jobmanager'),
    taskManager: place(taskManager, target, 'taskmanager'),
    genericService: renderService(target, genericServiceName(application, version), {}),
    versionedService: renderService(target, clusterServiceName(application, hash), { 'flink-app-hash': hash }),
  };
}

function sourceOf({ namespace, application, revision, version }: ClusterTarget): TemplateSource {
  return { ...revision, namespace, name: application, ...(version !== undefined && { version }) };
}

/**
 * Renders both Deployments before anything is put in that differs from cluster to cluster of the same content: what is
 * hashed.
 */
export function renderTemplates(
  source: TemplateSource,
  readMemory: MemoryReader,
): { readonly jobManager: Deployment; readonly taskManager: Deployment } {
  return {
    jobManager: renderTemplate(source, 'jobmanager', readMemory),
    taskManager: renderTemplate(source, 'taskmanager', readMemory),
  };
}

function renderTemplate(source: TemplateSource, role: Role, readMemory: MemoryReader): Deployment {
  const { namespace, spec, taskManagers } = source;
  const labels = { ...commonLabels(source), ...source.labels, 'flink-deployment-type': role };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, labels, annotations: deploymentAnnotations(source) },
    spec: {
      replicas: role === 'jobmanager' ? jobManagersOf(spec) : taskManagers,
      selector: { matchLabels: labels },
      strategy: { type: 'Recreate' },
      template: {
        metadata: { namespace, labels, annotations: source.annotations },
        spec: renderPod(source, role, readMemory),
      },
    },
  };
}

function commonLabels({ name, version }: Pick<TemplateSource, 'name' | 'version'>): Strings {
  return { 'flink-app': name, ...(version !== undefined && { 'flink-application-version': version }) };
}

/** The annotation in which a Deployment says which job its cluster was made for, one property in a line. */
export const JOB_PROPERTIES = 'flink-job-properties';

/** The text of JOB_PROPERTIES, as Lyft's operator writes it. */
export function renderJobProperties({ spec, parallelism }: Pick<TemplateSource, 'spec' | 'parallelism'>): string {
  const { jarName, entryClass } = spec;
  return `jarName: ${jarName}\nparallelism: ${parallelism}\nentryClass:${entryClass}\n${argumentLine(spec)}`;
}

function deploymentAnnotations({ annotations, spec, parallelism, version }: TemplateSource): Strings {
  const { restartNonce } = spec;
  return {
    ...annotations,
    [JOB_PROPERTIES]: renderJobProperties({ spec, parallelism }),
    ...(restartNonce && { 'restart-nonce': restartNonce }),
    ...(version !== undefined && { 'flink-application-version': version }),
  };
}

/** Lyft's line, or one of its own for a list, which Lyft's operator does not know: as JSON, so that two lists never look alike. */
function argumentLine({ programArgs = '', programArgsList }: DeployedSpec): string {
  return programArgsList ? `programArgsList:${JSON.stringify(programArgsList)}` : `programArgs:"${programArgs}"`;
}

function renderPod(source: TemplateSource, role: Role, readMemory: MemoryReader): PodSpec {
  const { spec, settings = {} } = source;
  const { nodeSelector, tolerations, affinity, initContainers, sidecars = [] } = sectionOf(spec, role);
  const { volumes, imagePullSecrets, serviceAccountName, securityContext } = spec;
  return {
    ...(initContainers && { initContainers }),
    containers: [renderContainer(source, role, readMemory), ...sidecars],
    ...(volumes && { volumes }),
    ...(imagePullSecrets && { imagePullSecrets }),
    ...(nodeSelector && { nodeSelector }),
    ...(tolerations && { tolerations }),
    ...(affinity && { affinity }),
    ...(settings.schedulerName && { schedulerName: settings.schedulerName }),
    ...(serviceAccountName && { serviceAccountName }),
    ...(securityContext && { securityContext }),
  };
}

function sectionOf(spec: DeployedSpec, role: Role) {
  return (role === 'jobmanager' ? spec.jobManagerConfig : spec.taskManagerConfig) ?? {};
}

function renderContainer(source: TemplateSource, role: Role, readMemory: MemoryReader): Container {
  const { spec, settings } = source;
  const { resources, envConfig } = sectionOf(spec, role);
  const isJobManager = role === 'jobmanager';
  const ports = portsOf(spec);
  return {
    name: settings?.containerNameFormat ? settings.containerNameFormat.replace('%s', () => role) : role,
    image: spec.image,
    imagePullPolicy: spec.imagePullPolicy || 'IfNotPresent',
    args: [role],
    ports: portEntries(ports, isJobManager).map(([name, containerPort]) => ({ name, containerPort })),
    env: renderEnvironment(source, role, readMemory),
    ...(envConfig?.envFrom && { envFrom: envConfig.envFrom }),
    resources: resources ?? DEFAULT_RESOURCES[isJobManager ? 'jobManager' : 'taskManager'],
    ...(spec.volumeMounts && { volumeMounts: spec.volumeMounts }),
    ...(isJobManager && { readinessProbe: renderReadinessProbe(ports) }),
  };
}

function portEntries({ rpc, blob, query, ui, metrics }: Ports, hasUi: boolean): readonly [string, number][] {
  return [
    ['rpc', rpc],
    ['blob', blob],
    ['query', query],
    ...(hasUi ? [['ui', ui] as [string, number]] : []),
    ['metrics', metrics],
  ];
}

function renderReadinessProbe({ ui }: Ports): object {
  return {
    httpGet: { path: '/overview', port: ui },
    initialDelaySeconds: 10,
    timeoutSeconds: 1,
    periodSeconds: 5,
    successThreshold: 1,
    failureThreshold: 2,
  };
}

/** In Lyft's order. What the user writes comes last, and wins. */
function renderEnvironment(source: TemplateSource, role: Role, readMemory: MemoryReader): readonly EnvVar[] {
  const { name, spec, version } = source;
  const config = renderFlinkConfig(spec, readMemory);
  return [
    { name: 'AWS_METADATA_SERVICE_TIMEOUT', value: '5' },
    { name: 'AWS_METADATA_SERVICE_NUM_ATTEMPTS', value: '20' },
    // Lyft's operator runs pods even where it cannot render their configuration: this is how such a cluster was hashed.
    ...(config === undefined ? [] : flinkEnvironment(name, config)),
    ...(version === undefined ? [] : [{ name: 'FLINK_APPLICATION_VERSION', value: version }]),
    { name: 'FLINK_DEPLOYMENT_TYPE', value: role },
    ...((sectionOf(spec, role).envConfig?.env ?? []) as readonly EnvVar[]),
  ];
}

function flinkEnvironment(name: string, config: string): readonly EnvVar[] {
  return [
    { name: 'APP_NAME', value: name },
    { name: 'FLINK_PROPERTIES', value: config },
    { name: 'HOST_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'HOST_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
  ];
}

/** Makes a template one cluster's own. */
function place(deployment: Deployment, target: ClusterTarget, role: Role): Deployment {
  const { application, hash, version } = target;
  const key = role === 'jobmanager' ? 'jobManager' : 'taskManager';
  const selector = { 'pod-deployment-selector': target.podSelectors[key] };
  const { metadata, spec } = deployment;
  return {
    ...deployment,
    metadata: {
      name: deploymentNames(application, hash, version)[key],
      ...metadata,
      labels: { ...metadata.labels, 'flink-app-hash': hash },
      annotations: { ...metadata.annotations, ...clusterIdAnnotation(target) },
      ownerReferences: [ownerReference(target)],
    },
    spec: {
      ...spec,
      selector: { matchLabels: { ...spec.selector.matchLabels, ...selector } },
      template: placePod(spec.template, target, role, selector),
    },
  };
}

function clusterIdAnnotation({ clusterId, revision }: ClusterTarget): Strings {
  const isKnownByIt = clusterId !== undefined && hasHighAvailability(revision.spec);
  return isKnownByIt ? { [CLUSTER_ID_ANNOTATION]: clusterId } : {};
}

function placePod(
  { metadata, spec }: Deployment['spec']['template'],
  target: ClusterTarget,
  role: Role,
  selector: Strings,
): Deployment['spec']['template'] {
  const { application, hash } = target;
  const [flink, ...sidecars] = spec.containers;
  return {
    metadata: {
      name: `${application}-${hash}-${role === 'jobmanager' ? 'jm' : 'tm'}-pod`,
      ...metadata,
      labels: { ...metadata.labels, ...selector },
      annotations: { ...metadata.annotations, 'flink-app-hash': hash },
    },
    spec: { ...spec, containers: [{ ...flink, env: placeEnvironment(flink.env, target, role) }, ...sidecars] },
  };
}

function placeEnvironment(env: readonly EnvVar[], target: ClusterTarget, role: Role): readonly EnvVar[] {
  const { namespace, application, hash, revision, clusterId = legacyClusterId(application, hash) } = target;
  const service = clusterServiceName(application, hash);
  const place = { namespace, service, clusterId, isJobManager: role === 'jobmanager' };
  return env.flatMap((variable) => {
    if (variable.name !== 'FLINK_PROPERTIES') return [variable];
    const value = renderFlinkProperties(variable.value ?? '', revision.spec, place);
    // Images older than FLINK_PROPERTIES read the other one.
    return [
      { name: 'OPERATOR_FLINK_CONFIG', value },
      { ...variable, value },
    ];
  });
}

function ownerReference({ application, uid }: ClusterTarget): object {
  return {
    apiVersion: 'flink.k8s.io/v1beta1',
    kind: 'FlinkApplication',
    name: application,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Headless, so a port of the service is the port of the pod. */
function renderService(target: ClusterTarget, name: string, labels: Strings): Service {
  const { namespace, application, version, revision, podSelectors } = target;
  const common = commonLabels({ name: application, ...(version !== undefined && { version }) });
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: { ...common, ...labels }, ownerReferences: [ownerReference(target)] },
    spec: {
      type: 'ClusterIP',
      clusterIP: 'None',
      ports: portEntries(portsOf(revision.spec), true).map(([portName, port]) => ({ name: portName, port })),
      selector: {
        ...common,
        'pod-deployment-selector': podSelectors.jobManager,
        'flink-deployment-type': 'jobmanager',
      },
    },
  };
}
