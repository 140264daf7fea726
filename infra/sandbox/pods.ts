// TaskManager pods and their metrics as a cluster serves them: about 5 kB each, half of it managedFields, as measured on a real one.
import { timestamp } from './clock.ts';
import type { KubernetesObject } from './kinds.ts';
import type { PodPhase } from './simulate.ts';

export interface TaskManagerPod {
  readonly namespace: string;
  readonly name: string;
  readonly application: string;
  /** Eight characters that tell this deployment's pods from those of the one before. */
  readonly podDeploymentSelector: string;
  /** Epoch milliseconds. */
  readonly createdTime: number;
  /** When it turned Ready, epoch milliseconds; only looked at when it is. */
  readonly readyTime: number;
  readonly phase: PodPhase;
  readonly cpuRequestMilli: number;
  readonly cpuLimitMilli?: number;
}

const image = 'registry.example.com/streaming/orders:1.20.3';
const memory = '1Gi';
const nanoPerMilli = 1_000_000;

/** The labels by which an application's TaskManagers are found. */
export function taskManagerLabels(application: string, podDeploymentSelector: string): Record<string, string> {
  return {
    'flink-app': application,
    'flink-deployment-type': 'taskmanager',
    'pod-deployment-selector': podDeploymentSelector,
  };
}

/** A pod in the state a kubelet would have reported. */
export function taskManagerPod(pod: TaskManagerPod): KubernetesObject {
  const { namespace, name, application, podDeploymentSelector, createdTime } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: taskManagerLabels(application, podDeploymentSelector),
      annotations: {
        'flink-job-properties': 'jarName: job.jar\nparallelism: 4\nentryClass: com.example.Job\nprogramArgs: ""',
      },
      creationTimestamp: timestamp(createdTime),
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: name.slice(0, name.lastIndexOf('-')),
          uid: '5b0f9c1e-7b60-4c0e-9c9b-4a1a5d7b2f10',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: managedFields(createdTime),
    },
    spec: podSpec(pod),
    status: reportedStatus({ ...pod, container: 'taskmanager', image, ip: '10.0.1.87' }),
  };
}

/** What metrics-server says of a pod. */
export function podMetrics({
  namespace,
  name,
  labels,
  time,
  usageNano,
  container = 'taskmanager',
  sidecars = [],
}: PodUsage): KubernetesObject {
  return {
    apiVersion: 'metrics.k8s.io/v1beta1',
    kind: 'PodMetrics',
    metadata: { name, namespace, labels, creationTimestamp: timestamp(time) },
    timestamp: timestamp(time),
    window: '15s',
    containers: [
      { name: container, usage: { cpu: cpuQuantity(usageNano), memory: '734212Ki' } },
      ...sidecars.map((name) => ({ name, usage: { cpu: cpuQuantity(sidecarNano), memory: '24112Ki' } })),
    ],
  };
}

export interface PodUsage {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** End of the measured window, epoch milliseconds. */
  readonly time: number;
  readonly usageNano: number;
  /** Default "taskmanager". */
  readonly container?: string;
  /** Names of the other containers, which are idle. */
  readonly sidecars?: readonly string[];
}

const sidecarNano = 2 * nanoPerMilli;

/** Nano-cores as an API server writes them: in the largest unit that needs no fraction, "800m" and not "800000000n". */
function cpuQuantity(nano: number): string {
  const units = ['n', 'u', 'm', ''];
  const steps = [3, 2, 1].find((power) => nano % 1000 ** power === 0) ?? 0;
  return `${nano / 1000 ** steps}${units[steps]}`;
}

function podSpec({ application, cpuRequestMilli, cpuLimitMilli }: TaskManagerPod) {
  return {
    volumes: [{ name: 'kube-api-access-7xk2p', projected: { defaultMode: 420, sources: projectedSources } }],
    containers: [
      {
        name: 'taskmanager',
        image,
        args: ['taskmanager'],
        ports: containerPorts,
        env: [
          { name: 'TASK_MANAGER_HOSTNAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
          { name: 'HOST_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
          { name: 'TASK_MANAGER_CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '0' } } },
          { name: 'FLINK_PROPERTIES', value: flinkProperties(application) },
        ],
        resources: {
          requests: { cpu: cpuQuantity(cpuRequestMilli * nanoPerMilli), memory },
          limits: { ...(cpuLimitMilli !== undefined && { cpu: cpuQuantity(cpuLimitMilli * nanoPerMilli) }), memory },
        },
        volumeMounts: [
          { name: 'kube-api-access-7xk2p', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
        ],
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        imagePullPolicy: 'IfNotPresent',
      },
    ],
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    serviceAccountName: 'default',
    serviceAccount: 'default',
    nodeName: 'ip-10-0-1-23.eu-west-1.compute.internal',
    securityContext: {},
    schedulerName: 'default-scheduler',
    tolerations: [
      { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    ],
    priority: 0,
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
  };
}

/** Why a container of a pod does not run. */
export interface Hindrance {
  readonly container: string;
  readonly reason: string;
  readonly message: string;
}

/** What a kubelet says of a pod. */
export interface ReportedPod {
  readonly phase: PodPhase;
  /** Epoch milliseconds. */
  readonly createdTime: number;
  /** When it turned Ready, epoch milliseconds; only looked at when it is. */
  readonly readyTime: number;
  readonly container: string;
  readonly image: string;
  readonly ip: string;
  /** Default 0. */
  readonly restarts?: number;
  /** Its containers beside that one. */
  readonly others?: readonly { readonly name: string; readonly image: string; readonly isInit: boolean }[];
  readonly hindrance?: Hindrance;
}

/** The status of a pod that was bound to a node when it was created. */
export function reportedStatus({ phase, createdTime, readyTime, container, image, ip, ...rest }: ReportedPod) {
  const { restarts = 0, others = [], hindrance } = rest;
  const created = timestamp(createdTime);
  const isReady = phase === 'Ready';
  const readiness = {
    status: isReady ? 'True' : 'False',
    lastTransitionTime: isReady ? timestamp(readyTime) : created,
    ...(!isReady && { reason: 'ContainersNotReady', message: `containers with unready status: [${container}]` }),
  };
  const isInitializing =
    phase === 'Pending' || others.some(({ name, isInit }) => isInit && name === hindrance?.container);
  const stateOf = (name: string) => {
    const waiting = isInitializing && others.some(({ isInit }) => isInit) ? 'PodInitializing' : 'ContainerCreating';
    if (hindrance?.container === name) return { waiting: { reason: hindrance.reason, message: hindrance.message } };
    return isInitializing ? { waiting: { reason: waiting } } : { running: { startedAt: created } };
  };
  const containerStatus = (status: { readonly name: string; readonly image: string }) => ({
    name: status.name,
    state: stateOf(status.name),
    lastState: {},
    ready: isReady,
    restartCount: restarts,
    image: status.image,
    imageID: `${status.image.replace(/:[^/:]*$/, '')}@sha256:9f1c0f4f0f9bd1f2c9c6c6f1b0a1c8f2f7c7a3b29d5f4d0f3c1e5b6a7d8e9f00`,
    started: isReady,
  });
  const initStatuses = others
    .filter(({ isInit }) => isInit)
    .map((init) => ({
      ...containerStatus(init),
      ready: !isInitializing,
      ...(!isInitializing && { state: { terminated: { exitCode: 0, reason: 'Completed' } } }),
    }));
  return {
    phase: isInitializing ? 'Pending' : 'Running',
    conditions: [
      {
        type: 'PodReadyToStartContainers',
        status: phase === 'Pending' ? 'False' : 'True',
        lastTransitionTime: created,
      },
      {
        type: 'Initialized',
        status: isInitializing && initStatuses.length > 0 ? 'False' : 'True',
        lastTransitionTime: created,
      },
      { type: 'Ready', ...readiness },
      { type: 'ContainersReady', ...readiness },
      { type: 'PodScheduled', status: 'True', lastTransitionTime: created },
    ],
    hostIP: '10.0.1.23',
    ...(phase !== 'Pending' && { podIP: ip, podIPs: [{ ip }] }),
    startTime: created,
    ...(initStatuses.length > 0 && { initContainerStatuses: initStatuses }),
    containerStatuses: [
      containerStatus({ name: container, image }),
      ...others.filter(({ isInit }) => !isInit).map(containerStatus),
    ],
    qosClass: 'Burstable',
  };
}

function flinkProperties(application: string): string {
  return [
    'blob.server.port: 6125',
    `high-availability.cluster-id: ${application}`,
    `jobmanager.rpc.address: ${application}-jm`,
    'metrics.internal.query-service.port: 50101',
    'query.server.port: 6124',
    'taskmanager.memory.process.size: 838860k',
    'taskmanager.numberOfTaskSlots: 2',
    'taskmanager.network.memory.fraction: 0.1',
  ].join('\n');
}

const containerPorts = [
  { name: 'rpc', containerPort: 6123, protocol: 'TCP' },
  { name: 'blob', containerPort: 6125, protocol: 'TCP' },
  { name: 'query', containerPort: 6124, protocol: 'TCP' },
  { name: 'queryservice', containerPort: 50101, protocol: 'TCP' },
];

const projectedSources = [
  { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
  { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  {
    downwardAPI: {
      items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
    },
  },
];

function managedFields(time: number) {
  const common = { operation: 'Update', apiVersion: 'v1', time: timestamp(time), fieldsType: 'FieldsV1' };
  return [
    { manager: 'kube-controller-manager', ...common, fieldsV1: controllerFields },
    { manager: 'kubelet', ...common, fieldsV1: kubeletFields, subresource: 'status' },
  ];
}

const owned = {};
const port = { '.': owned, 'f:containerPort': owned, 'f:name': owned, 'f:protocol': owned };
const fieldRefVariable = { '.': owned, 'f:name': owned, 'f:valueFrom': { '.': owned, 'f:fieldRef': owned } };
const condition = {
  '.': owned,
  'f:lastProbeTime': owned,
  'f:lastTransitionTime': owned,
  'f:status': owned,
  'f:type': owned,
};
const troubledCondition = { ...condition, 'f:message': owned, 'f:observedGeneration': owned, 'f:reason': owned };

const controllerFields = {
  'f:metadata': {
    'f:annotations': { '.': owned, 'f:flink-job-properties': owned },
    'f:labels': {
      '.': owned,
      'f:flink-app': owned,
      'f:flink-deployment-type': owned,
      'f:pod-deployment-selector': owned,
    },
    'f:ownerReferences': { '.': owned, 'k:{"uid":"5b0f9c1e-7b60-4c0e-9c9b-4a1a5d7b2f10"}': owned },
  },
  'f:spec': {
    'f:containers': {
      'k:{"name":"taskmanager"}': {
        '.': owned,
        'f:args': owned,
        'f:env': {
          '.': owned,
          'k:{"name":"FLINK_PROPERTIES"}': { '.': owned, 'f:name': owned, 'f:value': owned },
          'k:{"name":"HOST_NAME"}': fieldRefVariable,
          'k:{"name":"TASK_MANAGER_CPU"}': fieldRefVariable,
          'k:{"name":"TASK_MANAGER_HOSTNAME"}': fieldRefVariable,
        },
        'f:image': owned,
        'f:imagePullPolicy': owned,
        'f:name': owned,
        'f:ports': {
          '.': owned,
          'k:{"containerPort":6123,"protocol":"TCP"}': port,
          'k:{"containerPort":6124,"protocol":"TCP"}': port,
          'k:{"containerPort":6125,"protocol":"TCP"}': port,
          'k:{"containerPort":50101,"protocol":"TCP"}': port,
        },
        'f:resources': {
          '.': owned,
          'f:limits': { '.': owned, 'f:cpu': owned, 'f:memory': owned },
          'f:requests': { '.': owned, 'f:cpu': owned, 'f:memory': owned },
        },
        'f:terminationMessagePath': owned,
        'f:terminationMessagePolicy': owned,
      },
    },
    'f:dnsPolicy': owned,
    'f:enableServiceLinks': owned,
    'f:restartPolicy': owned,
    'f:schedulerName': owned,
    'f:securityContext': owned,
    'f:terminationGracePeriodSeconds': owned,
  },
};

const kubeletFields = {
  'f:status': {
    'f:conditions': {
      'k:{"type":"ContainersReady"}': troubledCondition,
      'k:{"type":"Initialized"}': condition,
      'k:{"type":"PodReadyToStartContainers"}': condition,
      'k:{"type":"Ready"}': troubledCondition,
    },
    'f:containerStatuses': owned,
    'f:hostIP': owned,
    'f:hostIPs': owned,
    'f:observedGeneration': owned,
    'f:phase': owned,
    'f:podIP': owned,
    'f:podIPs': { '.': owned, 'k:{"ip":"10.0.1.87"}': { '.': owned, 'f:ip': owned } },
    'f:startTime': owned,
  },
};
