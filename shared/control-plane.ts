// The parts list. Each part is made when it is first asked for, so that a cold start pays only for what it uses.

import { describeCluster } from './aws/eks.ts';
import { createQueue, type Queue } from './aws/queue.ts';
import { type Clock, remoteClock, systemClock } from './clock.ts';
import type { ClusterConfig, Config } from './config.ts';
import { ConfigError } from './config.ts';
import { eksCredentials } from './kubernetes/auth.ts';
import { createKubernetesClient, type KubernetesClient, type KubernetesClientOptions } from './kubernetes/client.ts';
import { createScalableKinds, type ScalableKinds } from './kubernetes/scale.ts';

/** Everything that controllers may ask for. */
export interface ControlPlane {
  readonly now: Clock;
  readonly log: Log;
  readonly clusters: readonly ClusterConfig[];
  /** @throws ConfigError when configuration names no such cluster */
  cluster(name: string): Promise<Cluster>;
  /** @throws ConfigError when configuration names no queue of ticks */
  ticks(): Queue;
  /** undefined: nobody reconciles, or nobody but the clock calls for it. */
  rounds(): Queue | undefined;
}

export interface Cluster {
  readonly name: string;
  readonly client: KubernetesClient;
  readonly kinds: ScalableKinds;
}

/** Constant messages, data in keys. */
export interface Log {
  info(message: string, data: Record<string, unknown>): void;
  warn(message: string, data: Record<string, unknown>): void;
  error(message: string, data: Record<string, unknown>): void;
}

/** Wires the parts of a function from its configuration. */
export function createControlPlane(config: Config, log: Log): ControlPlane {
  const clusters = new Map<string, Promise<Cluster>>();
  let ticks: Queue | undefined;
  let rounds: Queue | undefined;
  return {
    now: config.clockUrl === undefined ? systemClock : remoteClock(config.clockUrl),
    log,
    clusters: config.clusters,
    cluster(name) {
      const known = clusters.get(name);
      if (known !== undefined) return known;
      const opened = openEksCluster(config, name);
      clusters.set(name, opened);
      // A cluster that could not be found is looked for again by the next invocation.
      opened.catch(() => clusters.delete(name));
      return opened;
    },
    ticks() {
      if (config.queueUrl === undefined)
        throw new ConfigError('reading the environment: HEADRACE_QUEUE_URL: must be set');
      ticks ??= createQueue(config.queueUrl, config.region);
      return ticks;
    },
    rounds() {
      if (config.reconcileQueueUrl === undefined) return undefined;
      rounds ??= createQueue(config.reconcileQueueUrl, config.region);
      return rounds;
    },
  };
}

/** Connects to one API server; nothing is sent before the first call. */
export function openCluster(name: string, connection: KubernetesClientOptions): Cluster {
  const client = createKubernetesClient(connection);
  return { name, client, kinds: createScalableKinds(client) };
}

async function openEksCluster(config: Config, name: string): Promise<Cluster> {
  const cluster = config.clusters.find((candidate) => candidate.name === name);
  if (cluster === undefined) {
    const known = config.clusters.map((candidate) => candidate.name).join(', ');
    throw new ConfigError(`reading the environment: HEADRACE_CLUSTERS: must name cluster ${name}, but has ${known}`);
  }
  const { endpoint, certificateAuthority } =
    cluster.endpoint === undefined
      ? await describeCluster(name, cluster.region)
      : { ...cluster, endpoint: cluster.endpoint };
  const credentials = eksCredentials({ cluster: name, region: cluster.region, credentials: config.credentials });
  return openCluster(name, { endpoint, credentials, ...(certificateAuthority && { certificateAuthority }) });
}
