// A small kubelet: runs the pods of some namespaces as local processes, each pod with a network of its own. What it does to a pod's status
// follows the real one, so that the Deployment, ReplicaSet and EndpointSlice controllers see nothing unusual. It looks after the first
// container of a pod and restarts it always, runs init containers before it and sidecars beside it, and has no limits, and no volumes
// but folders of this machine; a pod has a service account only if it names one.
import { mkdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ApiClient, mergePatch, type WatchingApiClient } from './api-client.ts';
import { benchAddress, endpoint } from './control-plane.ts';
import { follow, type KubernetesObject } from './follow.ts';
import type { Pod } from './pod.ts';
import { HostsFile, openPodNetwork, type PodNetwork } from './pod-network.ts';
import { PodRunner } from './pod-runner.ts';

const node = { name: 'bench', ip: benchAddress };
/** The bench has no kube-proxy, so pods are given the server's own address, not that of the service `kubernetes`. */
const apiServer = { host: new URL(endpoint).hostname, port: new URL(endpoint).port };

/** What a container is started from: makes the command of one start. Throws when the container cannot be started so. */
export type Image = (container: Container) => Promise<ContainerCommand>;

export interface Container {
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Its own, and empty at each start. */
  readonly folder: string;
}

export interface ContainerCommand {
  readonly command: readonly string[];
  /** Where it is started. */
  readonly folder: string;
}

export interface Kubelet {
  /** Where `<namespace>/<pod>.log` lie. */
  readonly logFolder: string;
  /** Runs the pods of a namespace from now on. */
  serve(namespace: string): void;
  /** Stops it at once, without a word to the pods or the API server. */
  forsake(namespace: string): Promise<void>;
  /** Kills the process in a pod, as if it had run out of memory; the pod stays and starts another. Throws when nothing runs there. */
  killProcess(namespace: string, pod: string): void;
  close(): Promise<void>;
}

export interface KubeletOptions {
  readonly admin: WatchingApiClient;
  /** PEM, of the API server. */
  readonly certificateAuthority: string;
  /** For logs and the files of containers. */
  readonly directory: string;
  /** The image of a name; undefined for one that cannot be pulled. */
  readonly findImage: (name: string) => Image | undefined;
  /** By what the delays of probes are multiplied; 1 is what the pods say. */
  readonly probeDelayFactor: number;
}

/** Makes the node and the pods' network. One kubelet at a time can run on a machine. */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { admin, directory } = options;
  const logFolder = join(directory, 'logs');
  await mkdir(logFolder, { recursive: true });
  await createNode(admin);
  const network = await openPodNetwork();
  const served = new Map<string, ServedNamespace>();

  const forsake = async (namespace: string) => {
    await served.get(namespace)?.stop();
    served.delete(namespace);
  };
  return {
    logFolder,
    serve: (namespace) => {
      served.set(namespace, new ServedNamespace(namespace, { ...options, network, logFolder }));
    },
    forsake,
    killProcess: (namespace, pod) => {
      if (!served.get(namespace)?.find(pod)?.killProcess()) throw new Error(`nothing runs in pod ${namespace}/${pod}`);
    },
    close: async () => {
      await Promise.all([...served.keys()].map(forsake));
      await network.close();
    },
  };
}

/** The EndpointSlice controller leaves out pods of nodes that it does not know. */
async function createNode(admin: ApiClient): Promise<void> {
  const answer = await admin.request('POST', '/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name },
  });
  if (answer.status !== 201 && answer.status !== 409) throw new Error(`creating the node: ${answer.status}`);
  const time = new Date().toISOString();
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: time };
  const capacity = { cpu: '1000', memory: '1000Gi', pods: '10000' };
  const status = { conditions: [{ ...ready, lastTransitionTime: time }], capacity, allocatable: capacity };
  await admin.send('PATCH', `/api/v1/nodes/${node.name}/status`, { status }, mergePatch);
}

interface EndpointSlice extends KubernetesObject {
  readonly metadata: KubernetesObject['metadata'] & { readonly labels?: Readonly<Record<string, string>> };
  readonly endpoints?: readonly Endpoint[] | null;
}

interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly ready?: boolean };
}

interface NamespaceOptions extends KubeletOptions {
  readonly network: PodNetwork;
  readonly logFolder: string;
}

class ServedNamespace {
  readonly #namespace: string;
  readonly #options: NamespaceOptions;
  readonly #hosts: HostsFile;
  readonly #end = new AbortController();
  readonly #following: Promise<unknown>;
  /** By uid. */
  readonly #runners = new Map<string, PodRunner>();

  constructor(namespace: string, options: NamespaceOptions) {
    this.#namespace = namespace;
    this.#options = options;
    const folder = join(options.directory, namespace);
    for (const made of [folder, join(options.logFolder, namespace)]) mkdirSync(made, { recursive: true });
    this.#hosts = new HostsFile(join(folder, 'hosts'));

    const { signal } = this.#end;
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    this.#following = Promise.all([
      follow<Pod>(options.admin, {
        path: `/api/v1/namespaces/${namespace}/pods`,
        onChange: (pods) => this.#reconcile(pods),
        signal,
      }),
      follow<EndpointSlice>(options.admin, {
        path: slices,
        onChange: (seen) => this.#hosts.set(readNames(seen)),
        signal,
      }),
    ]);
  }

  find(pod: string): PodRunner | undefined {
    return [...this.#runners.values()].find(({ name }) => name === pod);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#following;
    await Promise.all([...this.#runners.values()].map((runner) => runner.abandon()));
  }

  #reconcile(pods: readonly Pod[]): void {
    for (const pod of pods) {
      const runner = this.#runners.get(pod.metadata.uid);
      if (runner === undefined) this.#run(pod);
      else if (pod.metadata.deletionTimestamp !== undefined) runner.end(pod.metadata.deletionGracePeriodSeconds);
    }
    // Deleted with grace period 0: nobody waits for the process, and it has to go all the same.
    const present = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const [uid, runner] of this.#runners) {
      if (present.has(uid)) continue;
      runner.end(0);
      // Not before it is gone from the list: it would be taken for a new one.
      void runner.run().then(() => this.#runners.delete(uid));
    }
  }

  #run(pod: Pod): void {
    const { admin, certificateAuthority, network, directory, logFolder, findImage, probeDelayFactor } = this.#options;
    const folder = join(directory, this.#namespace, pod.metadata.name);
    const runner = new PodRunner(pod, {
      admin,
      certificateAuthority,
      network,
      hosts: this.#hosts,
      findImage,
      probeDelayFactor,
      node,
      apiServer,
      folder,
      logFile: join(logFolder, this.#namespace, `${pod.metadata.name}.log`),
    });
    this.#runners.set(pod.metadata.uid, runner);
    void runner.run();
  }
}

/** What the cluster's DNS answers for headless services: the addresses of the pods that are ready. */
function readNames(slices: readonly EndpointSlice[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, readonly string[]>();
  for (const { metadata, endpoints } of slices) {
    const service = metadata.labels?.['kubernetes.io/service-name'];
    if (service === undefined) continue;
    const ready = (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
    names.set(service, [...(names.get(service) ?? []), ...ready.flatMap(({ addresses }) => addresses)]);
  }
  return names;
}
