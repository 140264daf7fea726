// The parts of a Pod that the bench's kubelet reads, what it reports of one, and what it gives to a container.
import type { KubernetesObject } from './follow.ts';

export interface Pod extends KubernetesObject {
  readonly metadata: KubernetesObject['metadata'] & {
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    /** Seconds. */
    readonly deletionGracePeriodSeconds?: number;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly initContainers?: readonly ContainerSpec[];
    /** The first is looked after; the others are processes that live and die with the pod. */
    readonly containers: readonly [ContainerSpec, ...ContainerSpec[]];
    readonly volumes?: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
  };
}

export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvironmentVariable[];
  readonly envFrom?: readonly unknown[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly readinessProbe?: Probe;
  readonly restartPolicy?: string;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

/** In seconds; the API server has filled in every default but that of the first delay, which is none. */
export interface Probe {
  /** Of no other kind; a container with one cannot be started. */
  readonly httpGet: { readonly path?: string; readonly port: number | string };
  readonly initialDelaySeconds?: number;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/** The `state` of a container as the API has it. */
export type ContainerState =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | { readonly terminated: Termination };

export interface Termination {
  readonly exitCode: number;
  readonly reason: 'Completed' | 'Error';
  readonly startedAt: string;
  readonly finishedAt: string;
}

export interface InitContainerState {
  readonly state: ContainerState;
  readonly restartCount: number;
}

/** How a pod stands. */
export interface PodState {
  readonly startTime: string;
  /** Undefined until it has a network. */
  readonly ip: string | undefined;
  readonly container: ContainerState;
  /** By name, of the init containers that were begun. */
  readonly initContainers: ReadonlyMap<string, InitContainerState>;
  readonly lastTermination: Termination | undefined;
  readonly restartCount: number;
  readonly isReady: boolean;
  readonly readyChangeTime: string;
}

/** RFC 3339, in whole seconds, as Kubernetes writes times. */
export function formatTime(time = new Date()): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** What a kubelet writes into the status of a pod. */
export function podStatus({ initContainers = [], containers }: Pod['spec'], hostIp: string, state: PodState): object {
  const { startTime, ip, container, lastTermination, restartCount, isReady, readyChangeTime } = state;
  const isRunning = 'running' in container;
  const inits = initContainers.map((spec) => initContainerStatus(spec, state.initContainers.get(spec.name)));
  const isInitialized = inits.every(({ ready }) => ready);
  const condition = (type: string, isTrue: boolean, lastTransitionTime: string) => ({
    type,
    status: isTrue ? 'True' : 'False',
    lastTransitionTime,
  });
  const [flink, ...sidecars] = containers;
  const ofContainer = ({ name, image }: ContainerSpec) => ({
    ...{ name, image, imageID: image, ready: isReady, started: isRunning, state: container },
  });
  return {
    phase: isRunning || restartCount > 0 || lastTermination ? 'Running' : 'Pending',
    startTime,
    hostIP: hostIp,
    ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
    conditions: [
      condition('PodScheduled', true, startTime),
      condition('Initialized', isInitialized, startTime),
      condition('ContainersReady', isReady, readyChangeTime),
      condition('Ready', isReady, readyChangeTime),
    ],
    ...(inits.length > 0 && { initContainerStatuses: inits }),
    containerStatuses: [
      { ...ofContainer(flink), restartCount, lastState: lastTermination ? { terminated: lastTermination } : {} },
      ...sidecars.map((sidecar) => ({ ...ofContainer(sidecar), restartCount: 0, lastState: {} })),
    ],
  };
}

function initContainerStatus({ name, image }: ContainerSpec, seen: InitContainerState | undefined) {
  const { state = { waiting: { reason: 'PodInitializing' } }, restartCount = 0 } = seen ?? {};
  const ready = 'terminated' in state && state.terminated.exitCode === 0;
  return { name, image, imageID: image, ready, started: false, restartCount, state, lastState: {} };
}

/** Where the API server has the token of a pod's service account mounted. */
const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Throws when a pod asks for what a kubelet of this size does not do, and a test would wonder why it has no effect. */
export function checkPod({ spec }: Pod): void {
  const { initContainers = [], containers, volumes = [] } = spec;
  const [{ readinessProbe }, ...sidecars] = containers;
  if (readinessProbe && !readinessProbe.httpGet) throw new Error('probes other than httpGet are not known here');
  if (sidecars.some((sidecar) => sidecar.readinessProbe)) throw new Error('probes of a sidecar are not known here');
  if (initContainers.some(({ restartPolicy }) => restartPolicy)) throw new Error('native sidecars are not known here');
  for (const { envFrom = [], volumeMounts = [] } of [...initContainers, ...containers]) {
    if (envFrom.length > 0) throw new Error('envFrom is not known here');
    // Nothing is mounted: a process sees the machine's files, so that a folder of it is where it is.
    for (const { name, mountPath } of volumeMounts) {
      if (mountPath === SERVICE_ACCOUNT_FOLDER) continue;
      const path = volumes.find((volume) => volume.name === name)?.hostPath?.path;
      if (path !== mountPath) throw new Error(`volume ${name} is not known here: it is no hostPath at its own place`);
    }
  }
}

export interface PodPlace {
  readonly ip: string;
  readonly nodeName: string;
  readonly apiServer: { readonly host: string; readonly port: string };
}

/** The environment of a container. Throws when a variable comes from something that is not known here. */
export function containerEnvironment(
  { metadata }: Pod,
  container: ContainerSpec,
  { ip, nodeName, apiServer }: PodPlace,
): Readonly<Record<string, string>> {
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': nodeName,
    'status.podIP': ip,
  };

  const environment: Record<string, string> = {
    HOSTNAME: metadata.name,
    KUBERNETES_SERVICE_HOST: apiServer.host,
    KUBERNETES_SERVICE_PORT: apiServer.port,
  };
  for (const { name, value = '', valueFrom } of container.env ?? []) {
    const field = valueFrom && fields[valueFrom.fieldRef?.fieldPath ?? ''];
    if (valueFrom && field === undefined) throw new Error(`the source of ${name} is not known here`);
    environment[name] = field ?? expand(value, environment);
  }
  return environment;
}

/** Replaces $(NAME) by a variable that came before; $$ is a dollar sign. */
function expand(value: string, environment: Readonly<Record<string, string>>): string {
  return value.replace(/\$\$|\$\(([\w.-]+)\)/g, (all, name) => (all === '$$' ? '$' : (environment[name] ?? all)));
}
