// The part of apps/v1 Deployment that a Flink cluster uses, field by field as in the Go types of Kubernetes 1.24, with
// which Lyft's operator is built. It never changes: what Go leaves out, fills in and forgets is part of a cluster's hash.

/**
 * One type a line: "Type = field: kind; …". "!" is a field without omitempty, "*" a pointer, "[]" a list, "{}" a map.
 */
const GO_TYPES = `
Deployment = kind: string; apiVersion: string; metadata: ObjectMeta; spec: DeploymentSpec; status: DeploymentStatus
DeploymentSpec = replicas: *int; selector: *LabelSelector!; template: PodTemplateSpec!; strategy: DeploymentStrategy
DeploymentStrategy = type: string
DeploymentStatus =
PodTemplateSpec = metadata: ObjectMeta; spec: PodSpec
PodSpec = volumes: []Volume; initContainers: []Container; containers: []Container!; nodeSelector: {}string; serviceAccountName: string;
  securityContext: *PodSecurityContext; imagePullSecrets: []LocalObjectReference; affinity: *Affinity;
  schedulerName: string; tolerations: []Toleration
Container = name: string!; image: string; command: []string; args: []string; workingDir: string;
  ports: []ContainerPort; envFrom: []EnvFromSource; env: []EnvVar; resources: ResourceRequirements;
  volumeMounts: []VolumeMount; volumeDevices: []VolumeDevice; livenessProbe: *Probe; readinessProbe: *Probe;
  startupProbe: *Probe; lifecycle: *Lifecycle; terminationMessagePath: string; terminationMessagePolicy: string;
  imagePullPolicy: string; securityContext: *SecurityContext; stdin: bool; stdinOnce: bool; tty: bool
ContainerPort = name: string; hostPort: int; containerPort: int!; protocol: string; hostIP: string
VolumeDevice = name: string!; devicePath: string!
Lifecycle = postStart: *LifecycleHandler; preStop: *LifecycleHandler
LifecycleHandler = exec: *ExecAction; httpGet: *HTTPGetAction; tcpSocket: *TCPSocketAction
Probe = exec: *ExecAction; httpGet: *HTTPGetAction; tcpSocket: *TCPSocketAction; grpc: *GRPCAction;
  initialDelaySeconds: int; timeoutSeconds: int; periodSeconds: int; successThreshold: int; failureThreshold: int;
  terminationGracePeriodSeconds: *int
ExecAction = command: []string
HTTPGetAction = path: string; port: int!; host: string; scheme: string; httpHeaders: []HTTPHeader
HTTPHeader = name: string!; value: string!
TCPSocketAction = port: int!; host: string
GRPCAction = port: int!; service: *string
SecurityContext = capabilities: *Capabilities; privileged: *bool; seLinuxOptions: *SELinuxOptions;
  windowsOptions: *WindowsSecurityContextOptions; runAsUser: *int; runAsGroup: *int; runAsNonRoot: *bool;
  readOnlyRootFilesystem: *bool; allowPrivilegeEscalation: *bool; procMount: *string; seccompProfile: *SeccompProfile
Capabilities = add: []string; drop: []string
LocalObjectReference = name: string
PodSecurityContext = seLinuxOptions: *SELinuxOptions; windowsOptions: *WindowsSecurityContextOptions; runAsUser: *int;
  runAsGroup: *int; runAsNonRoot: *bool; supplementalGroups: []int; fsGroup: *int; sysctls: []Sysctl;
  fsGroupChangePolicy: *string; seccompProfile: *SeccompProfile
SELinuxOptions = user: string; role: string; type: string; level: string
WindowsSecurityContextOptions = gmsaCredentialSpecName: *string; gmsaCredentialSpec: *string; runAsUserName: *string;
  hostProcess: *bool
Sysctl = name: string!; value: string!
SeccompProfile = type: string!; localhostProfile: *string
ResourceRequirements = limits: {}quantity; requests: {}quantity
EnvVar = name: string!; value: string; valueFrom: *EnvVarSource
EnvVarSource = fieldRef: *ObjectFieldSelector; resourceFieldRef: *ResourceFieldSelector;
  configMapKeyRef: *ConfigMapKeySelector; secretKeyRef: *SecretKeySelector
ObjectFieldSelector = apiVersion: string; fieldPath: string!
ResourceFieldSelector = containerName: string; resource: string!; divisor: quantity
ConfigMapKeySelector = name: string; key: string!; optional: *bool
SecretKeySelector = name: string; key: string!; optional: *bool
EnvFromSource = prefix: string; configMapRef: *ConfigMapEnvSource; secretRef: *SecretEnvSource
ConfigMapEnvSource = name: string; optional: *bool
SecretEnvSource = name: string; optional: *bool
VolumeMount = name: string!; readOnly: bool; mountPath: string!; subPath: string; mountPropagation: *string;
  subPathExpr: string
Volume = name: string!; hostPath: *HostPathVolumeSource; emptyDir: *EmptyDirVolumeSource;
  gcePersistentDisk: *GCEPersistentDiskVolumeSource; awsElasticBlockStore: *AWSElasticBlockStoreVolumeSource;
  gitRepo: *GitRepoVolumeSource; secret: *SecretVolumeSource; nfs: *NFSVolumeSource; iscsi: *ISCSIVolumeSource;
  glusterfs: *GlusterfsVolumeSource; persistentVolumeClaim: *PersistentVolumeClaimVolumeSource; rbd: *RBDVolumeSource;
  flexVolume: *FlexVolumeSource; cinder: *CinderVolumeSource; cephfs: *CephFSVolumeSource;
  flocker: *FlockerVolumeSource; downwardAPI: *DownwardAPIVolumeSource; fc: *FCVolumeSource;
  azureFile: *AzureFileVolumeSource; configMap: *ConfigMapVolumeSource;
  vsphereVolume: *VsphereVirtualDiskVolumeSource; quobyte: *QuobyteVolumeSource; azureDisk: *AzureDiskVolumeSource;
  photonPersistentDisk: *PhotonPersistentDiskVolumeSource; projected: *ProjectedVolumeSource;
  portworxVolume: *PortworxVolumeSource; scaleIO: *ScaleIOVolumeSource; storageos: *StorageOSVolumeSource;
  csi: *CSIVolumeSource; ephemeral: *EphemeralVolumeSource
HostPathVolumeSource = path: string!; type: *string
EmptyDirVolumeSource = medium: string; sizeLimit: *quantity
GCEPersistentDiskVolumeSource = pdName: string!; fsType: string; partition: int; readOnly: bool
AWSElasticBlockStoreVolumeSource = volumeID: string!; fsType: string; partition: int; readOnly: bool
GitRepoVolumeSource = repository: string!; revision: string; directory: string
SecretVolumeSource = secretName: string; items: []KeyToPath; defaultMode: *int; optional: *bool
KeyToPath = key: string!; path: string!; mode: *int
NFSVolumeSource = server: string!; path: string!; readOnly: bool
ISCSIVolumeSource = targetPortal: string!; iqn: string!; lun: int!; iscsiInterface: string; fsType: string;
  readOnly: bool; portals: []string; chapAuthDiscovery: bool; chapAuthSession: bool; secretRef: *LocalObjectReference;
  initiatorName: *string
GlusterfsVolumeSource = endpoints: string!; path: string!; readOnly: bool
PersistentVolumeClaimVolumeSource = claimName: string!; readOnly: bool
RBDVolumeSource = monitors: []string!; image: string!; fsType: string; pool: string; user: string; keyring: string;
  secretRef: *LocalObjectReference; readOnly: bool
FlexVolumeSource = driver: string!; fsType: string; secretRef: *LocalObjectReference; readOnly: bool;
  options: {}string
CinderVolumeSource = volumeID: string!; fsType: string; readOnly: bool; secretRef: *LocalObjectReference
CephFSVolumeSource = monitors: []string!; path: string; user: string; secretFile: string;
  secretRef: *LocalObjectReference; readOnly: bool
FlockerVolumeSource = datasetName: string; datasetUUID: string
DownwardAPIVolumeSource = items: []DownwardAPIVolumeFile; defaultMode: *int
DownwardAPIVolumeFile = path: string!; fieldRef: *ObjectFieldSelector; resourceFieldRef: *ResourceFieldSelector;
  mode: *int
FCVolumeSource = targetWWNs: []string; lun: *int; fsType: string; readOnly: bool; wwids: []string
AzureFileVolumeSource = secretName: string!; shareName: string!; readOnly: bool
ConfigMapVolumeSource = name: string; items: []KeyToPath; defaultMode: *int; optional: *bool
VsphereVirtualDiskVolumeSource = volumePath: string!; fsType: string; storagePolicyName: string;
  storagePolicyID: string
QuobyteVolumeSource = registry: string!; volume: string!; readOnly: bool; user: string; group: string; tenant: string
AzureDiskVolumeSource = diskName: string!; diskURI: string!; cachingMode: *string; fsType: *string; readOnly: *bool;
  kind: *string
PhotonPersistentDiskVolumeSource = pdID: string!; fsType: string
ProjectedVolumeSource = sources: []VolumeProjection!; defaultMode: *int
VolumeProjection = secret: *SecretProjection; downwardAPI: *DownwardAPIProjection; configMap: *ConfigMapProjection;
  serviceAccountToken: *ServiceAccountTokenProjection
SecretProjection = name: string; items: []KeyToPath; optional: *bool
DownwardAPIProjection = items: []DownwardAPIVolumeFile
ConfigMapProjection = name: string; items: []KeyToPath; optional: *bool
ServiceAccountTokenProjection = audience: string; expirationSeconds: *int; path: string!
PortworxVolumeSource = volumeID: string!; fsType: string; readOnly: bool
ScaleIOVolumeSource = gateway: string!; system: string!; secretRef: *LocalObjectReference!; sslEnabled: bool;
  protectionDomain: string; storagePool: string; storageMode: string; volumeName: string; fsType: string;
  readOnly: bool
StorageOSVolumeSource = volumeName: string; volumeNamespace: string; fsType: string; readOnly: bool;
  secretRef: *LocalObjectReference
CSIVolumeSource = driver: string!; readOnly: *bool; fsType: *string; volumeAttributes: {}string;
  nodePublishSecretRef: *LocalObjectReference
EphemeralVolumeSource = volumeClaimTemplate: *PersistentVolumeClaimTemplate
PersistentVolumeClaimTemplate = metadata: ObjectMeta; spec: PersistentVolumeClaimSpec!
ObjectMeta = name: string; generateName: string; namespace: string; selfLink: string; uid: string;
  resourceVersion: string; generation: int; creationTimestamp: time; deletionTimestamp: *time;
  deletionGracePeriodSeconds: *int; labels: {}string; annotations: {}string; ownerReferences: []OwnerReference;
  finalizers: []string; clusterName: string
OwnerReference = apiVersion: string!; kind: string!; name: string!; uid: string!; controller: *bool;
  blockOwnerDeletion: *bool
PersistentVolumeClaimSpec = accessModes: []string; selector: *LabelSelector; resources: ResourceRequirements;
  volumeName: string; storageClassName: *string; volumeMode: *string; dataSource: *TypedLocalObjectReference;
  dataSourceRef: *TypedLocalObjectReference
LabelSelector = matchLabels: {}string; matchExpressions: []LabelSelectorRequirement
LabelSelectorRequirement = key: string!; operator: string!; values: []string
TypedLocalObjectReference = apiGroup: *string!; kind: string!; name: string!
Toleration = key: string; operator: string; value: string; effect: string; tolerationSeconds: *int
Affinity = nodeAffinity: *NodeAffinity; podAffinity: *PodAffinity; podAntiAffinity: *PodAntiAffinity
NodeAffinity = requiredDuringSchedulingIgnoredDuringExecution: *NodeSelector;
  preferredDuringSchedulingIgnoredDuringExecution: []PreferredSchedulingTerm
NodeSelector = nodeSelectorTerms: []NodeSelectorTerm!
NodeSelectorTerm = matchExpressions: []NodeSelectorRequirement; matchFields: []NodeSelectorRequirement
NodeSelectorRequirement = key: string!; operator: string!; values: []string
PreferredSchedulingTerm = weight: int!; preference: NodeSelectorTerm!
PodAffinity = requiredDuringSchedulingIgnoredDuringExecution: []PodAffinityTerm;
  preferredDuringSchedulingIgnoredDuringExecution: []WeightedPodAffinityTerm
PodAffinityTerm = labelSelector: *LabelSelector; namespaces: []string; topologyKey: string!;
  namespaceSelector: *LabelSelector
WeightedPodAffinityTerm = weight: int!; podAffinityTerm: PodAffinityTerm!
PodAntiAffinity = requiredDuringSchedulingIgnoredDuringExecution: []PodAffinityTerm;
  preferredDuringSchedulingIgnoredDuringExecution: []WeightedPodAffinityTerm
`;

interface Field {
  readonly name: string;
  readonly kind: string;
  readonly isAlwaysWritten: boolean;
}

const TYPES: ReadonlyMap<string, readonly Field[]> = new Map(
  GO_TYPES.trim()
    .split(/\n(?! )/)
    .map((line) => {
      const [type = '', fields = ''] = line.split(' =');
      return [
        type,
        fields
          .split(';')
          .filter((field) => field.trim() !== '')
          .map(readField),
      ];
    }),
);

function readField(text: string): Field {
  const [name = '', kind = ''] = text.trim().split(/:\s*/);
  return { name, kind: kind.replace('!', ''), isAlwaysWritten: kind.endsWith('!') };
}

/** How to treat what does not look the same once Go has read and written it. */
export interface Encoding {
  /** How a quantity is written. */
  readonly quantity: (quantity: unknown) => unknown;
  /** Whether fields are kept that Kubernetes 1.24 does not know. Lyft's operator does not know them either. */
  readonly keepsUnknown: boolean;
}

/**
 * Writes a value as Go's JSON encoding of a type would: empty strings, lists and maps, zeros and false vanish where the
 * field says omitempty and is no pointer; structs never do.
 *
 * @param kind name of a type, "[]" before it for a list of them, "*" for one that may be absent
 */
export function encodeAsGo(kind: string, value: unknown, encoding: Encoding): unknown {
  if (kind.startsWith('*')) return value == null ? null : encodeAsGo(kind.slice(1), value, encoding);
  if (kind.startsWith('[]')) return encodeList(kind.slice(2), value, encoding);
  if (kind.startsWith('{}')) return encodeMap(kind.slice(2), value, encoding);
  if (kind === 'quantity') return encoding.quantity(value ?? '0');
  if (kind === 'time') return value ?? null;
  const fields = TYPES.get(kind);
  return fields === undefined ? (value ?? ZERO[kind]) : encodeStruct(fields, value ?? {}, encoding);
}

const ZERO: Readonly<Record<string, unknown>> = { string: '', int: 0, bool: false };

function encodeList(kind: string, value: unknown, encoding: Encoding): unknown {
  return Array.isArray(value) ? value.map((item) => encodeAsGo(kind, item, encoding)) : (value ?? null);
}

function encodeMap(kind: string, value: unknown, encoding: Encoding): unknown {
  if (!isObject(value)) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encodeAsGo(kind, item, encoding)]));
}

function encodeStruct(fields: readonly Field[], value: unknown, encoding: Encoding): unknown {
  if (!isObject(value)) return value;
  const known = fields
    .map(({ name, kind, isAlwaysWritten }) => ({ name, kind, isAlwaysWritten, item: value[name] }))
    .map((field) => ({ ...field, encoded: encodeAsGo(field.kind, field.item, encoding) }))
    .filter(({ kind, isAlwaysWritten, encoded }) => isAlwaysWritten || !isOmitted(kind, encoded));
  const unknown = encoding.keepsUnknown ? unknownEntries(fields, value) : [];
  return Object.fromEntries([...known.map(({ name, encoded }) => [name, encoded] as const), ...unknown]);
}

function unknownEntries(fields: readonly Field[], value: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(value).filter(([key]) => !fields.some(({ name }) => name === key));
}

/** What omitempty leaves out; it knows no empty struct. */
function isOmitted(kind: string, encoded: unknown): boolean {
  if (kind.startsWith('*')) return encoded === null;
  if (kind.startsWith('[]')) return encoded === null || (Array.isArray(encoded) && encoded.length === 0);
  if (kind.startsWith('{}')) return encoded === null || (isObject(encoded) && Object.keys(encoded).length === 0);
  return kind in ZERO && encoded === ZERO[kind];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
