// The shape of a FlinkApplication's spec, field by field. What the API server checks itself when it makes a pod of it stays
// plain JSON here.

import * as z from 'zod';
import type {
  ApplicationSpec as ApplicationFields,
  ContainerFields,
  DeployedSpec as DeployedFields,
  JobManagerConfig as JobManagerFields,
  TaskManagerConfig as TaskManagerFields,
} from '../deployment/types.ts';
import type { SchemasOf } from './answers.ts';

const Json = z.looseObject({});
const Port = z.int().min(1).max(65_535);
const Seconds = z.int().min(1);
const Quantities = z.record(z.string(), z.union([z.string(), z.number()]));

/** Whatever else a core/v1 Container may have is kept. */
const Container = z.looseObject({
  name: z.string(),
  image: z.string(),
  ports: z.array(z.looseObject({ containerPort: z.number().exactOptional() })).exactOptional(),
  volumeMounts: z.array(z.looseObject({ name: z.string().exactOptional() })).exactOptional(),
} satisfies SchemasOf<ContainerFields>);

const podConfig = {
  resources: z
    .looseObject({ requests: Quantities.exactOptional(), limits: Quantities.exactOptional() })
    .exactOptional(),
  envConfig: z.object({ env: z.array(Json).exactOptional(), envFrom: z.array(Json).exactOptional() }).exactOptional(),
  offHeapMemoryFraction: z.number().exactOptional(),
  systemMemoryFraction: z.number().exactOptional(),
  nodeSelector: z.record(z.string(), z.string()).exactOptional(),
  tolerations: z.array(Json).exactOptional(),
  affinity: Json.exactOptional(),
  initContainers: z.array(Container).exactOptional(),
  sidecars: z.array(Container).exactOptional(),
};

const JobManagerConfig = z.object({
  ...podConfig,
  replicas: z.int().min(1).exactOptional(),
} satisfies SchemasOf<JobManagerFields>);

const TaskManagerConfig = z.object({
  ...podConfig,
  replicas: z.int().min(0).exactOptional(),
  taskSlots: z.int().min(1).exactOptional(),
} satisfies SchemasOf<TaskManagerFields>);

/** The part of spec that a revision holds. */
export const DeployedSpec = z.object({
  image: z.string(),
  imagePullPolicy: z.string().exactOptional(),
  imagePullSecrets: z.array(Json).exactOptional(),
  serviceAccountName: z.string().exactOptional(),
  securityContext: Json.exactOptional(),
  flinkConfig: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).exactOptional(),
  flinkVersion: z.string().exactOptional(),
  taskManagerConfig: TaskManagerConfig.exactOptional(),
  jobManagerConfig: JobManagerConfig.exactOptional(),
  jarName: z.string(),
  parallelism: z.int().min(1),
  entryClass: z.string(),
  programArgs: z.string().exactOptional(),
  programArgsList: z.array(z.string()).exactOptional(),
  rpcPort: Port.exactOptional(),
  blobPort: Port.exactOptional(),
  queryPort: Port.exactOptional(),
  metricsQueryPort: Port.exactOptional(),
  uiPort: Port.exactOptional(),
  volumes: z.array(Json).exactOptional(),
  volumeMounts: z.array(Json).exactOptional(),
  restartNonce: z.string().exactOptional(),
  restartPolicy: z.enum(['Never', 'FromLatestCheckpoint']).exactOptional(),
} satisfies SchemasOf<DeployedFields>);

/** spec as the user wrote it, without defaults. Fields that are not named here are left out. */
export const ApplicationSpec = z.object({
  ...DeployedSpec.shape,
  savepointPath: z.string().exactOptional(),
  savepointInfo: z.object({ savepointLocation: z.string().exactOptional() }).exactOptional(),
  savepointDisabled: z.boolean().exactOptional(),
  deploymentMode: z.string().exactOptional(),
  deleteMode: z.enum(['Savepoint', 'None', 'ForceCancel', '']).exactOptional(),
  scaleMode: z.enum(['NewCluster', 'InPlace', '']).exactOptional(),
  forceRollback: z.boolean().exactOptional(),
  maxCheckpointRestoreAgeSeconds: Seconds.exactOptional(),
  tearDownVersionHash: z.string().exactOptional(),
  fallbackWithoutState: z.boolean().exactOptional(),
  excludedMetadata: z.array(z.string()).exactOptional(),
  drainOnStop: z.boolean().exactOptional(),
  allowNonRestoredState: z.boolean().exactOptional(),
  suspend: z.boolean().exactOptional(),
  rollbackWindowSeconds: z.int().exactOptional(),
  savepointHistory: z
    .object({ maxCount: z.int().exactOptional(), maxAgeSeconds: z.int().exactOptional() })
    .exactOptional(),
  periodicSavepoints: z.object({ intervalSeconds: z.int() }).exactOptional(),
  timeouts: z
    .object({
      clusterStartSeconds: Seconds.exactOptional(),
      savepointSeconds: Seconds.exactOptional(),
      submitSeconds: Seconds.exactOptional(),
      verticesSeconds: Seconds.exactOptional(),
    })
    .exactOptional(),
} satisfies SchemasOf<ApplicationFields>);
