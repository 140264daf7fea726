// The Deployment controller, the scheduler and the kubelets in one: every Deployment with a pod template gets its pods, and they
// start, stay hanging, restart and end as its image and the settings say.
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Agenda } from './agenda.ts';
import { timestamp } from './clock.ts';
import type { ImageSettings, Images } from './images.ts';
import { type Fields, type KubernetesObject, valueAt } from './kinds.ts';
import { podSuffix } from './pod-names.ts';
import { type Hindrance, reportedStatus } from './pods.ts';
import type { Change, Store } from './store.ts';

export interface WorkloadSettings {
  /** From the scheduling of a pod to Ready: the first half Pending, the second Running and not Ready. Default 10. */
  readonly startSeconds: number;
  /** From the deletion of a pod until it is gone. Default 2. */
  readonly terminationSeconds: number;
  /** For how many pods of Deployments the nodes have room; no limit by default. */
  readonly schedulablePods: number;
  /** How many pods of Deployments there may be at all, by a ResourceQuota; no limit by default. */
  readonly podQuota: number;
}

/** A container process came up, or went away. */
export type ProcessListener = (process: Process, isUp: boolean) => void;

/** What runs in a pod. */
export interface Process {
  readonly namespace: string;
  readonly podName: string;
  readonly ip: string;
  readonly container: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly cpuLimit: string | undefined;
  /** The pod's containers beside the one that runs Flink. */
  readonly others: readonly OtherContainer[];
}

/** One that does nothing that the world sees: it runs, or for an init container has run to its end. */
export interface OtherContainer {
  readonly name: string;
  readonly image: string;
  readonly isInit: boolean;
}

type Stage = 'Unschedulable' | 'Pending' | 'Starting' | 'Ready' | 'Unpullable' | 'Crashing';

interface Pod {
  readonly process: Process;
  /** The uid of its Deployment. */
  readonly owner: string | undefined;
  /** Of which version of the template it was made. */
  readonly template: string;
  readonly createdTime: number;
  stage: Stage;
  /** When the stage began. */
  stageTime: number;
  restarts: number;
  /** When it is gone; undefined while nobody deleted it. */
  endTime: number | undefined;
}

/** Controllers see a write so much later: nobody else writes in the instant of a write. */
const reactionMs = 1000;
const deletionCost = 'controller.kubernetes.io/pod-deletion-cost';

export class Workloads {
  readonly #store: Store;
  readonly #agenda: Agenda;
  readonly #images: Images;
  readonly #listeners: ProcessListener[] = [];
  /** By "namespace/name" of the Deployment, its pods, oldest first. */
  readonly #pods = new Map<string, readonly Pod[]>();
  /** The Deployment of each pod, by "namespace/name". */
  readonly #owners = new Map<string, string>();
  #settings: WorkloadSettings = {
    startSeconds: 10,
    terminationSeconds: 2,
    schedulablePods: Number.POSITIVE_INFINITY,
    podQuota: Number.POSITIVE_INFINITY,
  };
  /** The Deployments ("namespace/name") of which a pod was refused. */
  readonly #refused = new Set<string>();
  #started = 0;
  #scheduled = 0;

  constructor(store: Store, agenda: Agenda, images: Images) {
    this.#store = store;
    this.#agenda = agenda;
    this.#images = images;
    store.letEndGracefully(
      ({ kind, metadata: { namespace = '', name } }) => kind === 'Pod' && this.#find(namespace, name) !== undefined,
    );
    store.subscribe((change) => this.#follow(change));
    images.subscribe(() => this.#lookAtHanging());
  }

  /** Changes how pods are scheduled, start and end from now on. */
  configure(settings: Partial<WorkloadSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.#lookAtHanging();
  }

  /** Calls the listener when a process in a pod is up, and when it is gone. */
  subscribe(listener: ProcessListener): void {
    this.#listeners.push(listener);
  }

  /** Ends the container of a pod as a lack of memory does: the pod stays, and its process comes up anew. */
  kill(namespace: string, podName: string): void {
    const pod = this.#find(namespace, podName);
    if (pod?.stage !== 'Ready') throw new Error(`no process is up in pod ${namespace}/${podName}`);
    pod.restarts += 1;
    this.#turn(pod, 'Starting', this.#agenda.now());
    this.#report(pod);
    this.#tell(pod, false);
    this.#look(keyOf(namespace, this.#owners.get(keyOf(namespace, podName)) ?? ''), 0);
  }

  #follow({ kind, namespace, name, after }: Change): void {
    if (kind === 'Deployment') this.#look(keyOf(namespace, name), reactionMs);
    if (kind !== 'Pod') return;
    const deployment = this.#owners.get(keyOf(namespace, name));
    if (deployment === undefined) return;
    const pod = this.#find(namespace, name) as Pod;
    const { deletionTimestamp } = after?.metadata ?? {};
    if (after && (!deletionTimestamp || pod.endTime !== undefined)) return;
    pod.endTime = this.#agenda.now() + (after ? this.#settings.terminationSeconds * 1000 : 0);
    this.#look(
      keyOf(namespace, deployment),
      after ? Math.min(reactionMs, pod.endTime - this.#agenda.now()) : reactionMs,
    );
  }

  #lookAtHanging(): void {
    for (const [key, pods] of this.#pods) if (pods.some(({ stage }) => hangingStages.has(stage))) this.#look(key, 0);
    for (const key of this.#refused) this.#look(key, 0);
  }

  #look(key: string, delayMs: number): void {
    this.#agenda.at(this.#agenda.now() + delayMs, `deployment ${key}`, () => this.#reconcile(key));
  }

  /** Brings pods to what their Deployment asks for and to what time has made of them, and says so in its status. */
  #reconcile(key: string): void {
    const now = this.#agenda.now();
    const [namespace = '', name = ''] = key.split('/');
    const deployment = this.#store.get('Deployment', namespace, name);
    for (const pod of this.#pods.get(key) ?? []) this.#bringForward(pod, now);
    this.#bury(key, now);
    if (deployment && valueAt(deployment, ['spec', 'template', 'spec', 'containers'])) this.#size(key, deployment);
    const pods = this.#pods.get(key) ?? [];
    if (pods.length === 0) this.#pods.delete(key);
    const next = Math.min(...pods.map((pod) => this.#nextTimeOf(pod)));
    if (next !== Number.POSITIVE_INFINITY) this.#look(key, next - now);
  }

  #bringForward(pod: Pod, now: number): void {
    const before = pod.stage;
    for (let next = this.#nextStageOf(pod); next && next.time <= now; next = this.#nextStageOf(pod))
      this.#turn(pod, next.stage, next.time);
    if (pod.stage === before) return;
    this.#report(pod);
    if (pod.stage === 'Ready') this.#tell(pod, true);
  }

  /** What becomes of a pod next, and when, if nobody interferes. */
  #nextStageOf({ stage, stageTime, process, endTime, restarts }: Pod): { stage: Stage; time: number } | undefined {
    if (endTime !== undefined) return undefined;
    const { startSeconds = this.#settings.startSeconds } = this.#images.get(process.image);
    const pullable = this.#culpritOf(process, ({ pullable = true }) => !pullable) === undefined;
    const crashes = this.#culpritOf(process, (image) => image.crashes !== undefined);
    const started = stageTime + startSeconds * (restarts > 0 ? 1000 : 500);
    switch (stage) {
      case 'Unschedulable':
        return this.#scheduled < this.#settings.schedulablePods
          ? { stage: 'Pending', time: this.#agenda.now() }
          : undefined;
      case 'Unpullable':
        return pullable ? { stage: 'Pending', time: this.#agenda.now() } : undefined;
      case 'Crashing':
        return crashes === undefined ? { stage: 'Starting', time: this.#agenda.now() } : undefined;
      case 'Pending':
        return { stage: pullable ? 'Starting' : 'Unpullable', time: stageTime + startSeconds * 500 };
      case 'Starting':
        return { stage: crashes === undefined ? 'Ready' : 'Crashing', time: started };
      case 'Ready':
        return undefined;
      default:
        return stage satisfies never;
    }
  }

  /** The first container of a pod whose image is at fault; init containers come before all others. */
  #culpritOf({ container, image, others }: Process, isAtFault: (image: ImageSettings) => boolean) {
    const flink = { name: container, image, isInit: false };
    const all = [...others.filter(({ isInit }) => isInit), flink, ...others.filter(({ isInit }) => !isInit)];
    return all.find((candidate) => isAtFault(this.#images.get(candidate.image)));
  }

  /** What keeps a pod from its start, and which of its containers. */
  #hindranceOf({ stage, process }: Pod): Hindrance | undefined {
    if (stage === 'Unpullable') {
      const culprit = this.#culpritOf(process, ({ pullable = true }) => !pullable);
      const message = `Back-off pulling image "${culprit?.image}"`;
      return culprit && { container: culprit.name, reason: 'ImagePullBackOff', message };
    }
    if (stage !== 'Crashing') return undefined;
    const culprit = this.#culpritOf(process, ({ crashes }) => crashes !== undefined);
    const message = `back-off 10s restarting failed container=${culprit?.name}`;
    return culprit && { container: culprit.name, reason: 'CrashLoopBackOff', message };
  }

  #turn(pod: Pod, stage: Stage, time: number): void {
    if (pod.stage === 'Unschedulable') this.#scheduled += 1;
    pod.stage = stage;
    pod.stageTime = time;
    if (stage === 'Crashing') pod.restarts += 1;
  }

  #tell(pod: Pod, isUp: boolean): void {
    for (const listener of this.#listeners) listener(pod.process, isUp);
  }

  #nextTimeOf(pod: Pod): number {
    return pod.endTime ?? this.#nextStageOf(pod)?.time ?? Number.POSITIVE_INFINITY;
  }

  /** Takes away the pods whose end has come, and those that somebody else took away. */
  #bury(key: string, now: number): void {
    const pods = this.#pods.get(key) ?? [];
    const gone = pods.filter(({ endTime }) => endTime !== undefined && endTime <= now);
    if (gone.length === 0) return;
    this.#pods.set(
      key,
      pods.filter((pod) => !gone.includes(pod)),
    );
    for (const pod of gone) {
      const { namespace, podName } = pod.process;
      this.#owners.delete(keyOf(namespace, podName));
      if (pod.stage !== 'Unschedulable') this.#scheduled -= 1;
      if (pod.stage === 'Ready') this.#tell(pod, false);
      this.#store.remove('Pod', namespace, podName);
      this.#store.remove('PodMetrics', namespace, podName);
    }
    this.#lookAtHanging();
  }

  #size(key: string, deployment: KubernetesObject): void {
    const template = hashOf(deployment.spec?.template);
    const all = (this.#pods.get(key) ?? []).filter(({ owner }) => owner === deployment.metadata.uid);
    const staying = all.filter(({ endTime }) => endTime === undefined);
    const outdated = staying.filter((pod) => pod.template !== template);
    const current = staying.filter((pod) => pod.template === template);
    const wanted = deployment.metadata.deletionTimestamp ? current.length : Number(deployment.spec?.replicas ?? 1);
    for (const pod of [...outdated, ...this.#leastWanted(current, current.length - wanted)]) this.#end(pod);
    // As the strategy Recreate does: none of the new kind while there is one of the old.
    if (!all.some((pod) => pod.template !== template))
      for (let count = current.length; count < wanted && this.#podCount < this.#settings.podQuota; count += 1)
        this.#start(key, deployment, template);
    const pods = (this.#pods.get(key) ?? []).filter(({ owner }) => owner === deployment.metadata.uid);
    const isRefused = this.#podCount >= this.#settings.podQuota && pods.length < wanted;
    if (isRefused) this.#refused.add(key);
    else this.#refused.delete(key);
    this.#writeStatus(deployment, pods, { template, isRefused });
  }

  /** Which pods a Deployment that shrinks gives up: those that are least use, those of least deletion cost, the youngest. */
  #leastWanted(pods: readonly Pod[], count: number): readonly Pod[] {
    if (count <= 0) return [];
    const rank = ({ process: { namespace, podName }, stage }: Pod, index: number) => {
      const annotations = this.#store.get('Pod', namespace, podName)?.metadata.annotations ?? {};
      return [stageRanks[stage], Number(annotations[deletionCost] ?? 0), -index] as const;
    };
    const ranked = pods.map((pod, index) => ({ pod, rank: rank(pod, index) }));
    ranked.sort((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || a.rank[2] - b.rank[2]);
    return ranked.slice(0, count).map(({ pod }) => pod);
  }

  #end({ process: { namespace, podName } }: Pod): void {
    const object = this.#store.get('Pod', namespace, podName);
    if (object) this.#store.delete(object);
  }

  #start(key: string, deployment: KubernetesObject, template: string): void {
    const { namespace = '', name } = deployment.metadata;
    this.#started += 1;
    const podName = `${name}-${template}-${podSuffix(this.#started)}`;
    const ip = `10.${1 + (this.#started >> 16)}.${(this.#started >> 8) & 255}.${this.#started & 255}`;
    const now = this.#agenda.now();
    const object = podOf(deployment, { podName, template, createdTime: now });
    this.#owners.set(keyOf(namespace, podName), name);
    const isScheduled = this.#scheduled < this.#settings.schedulablePods;
    if (isScheduled) this.#scheduled += 1;
    const pod: Pod = {
      process: processOf(object, ip),
      owner: deployment.metadata.uid,
      template,
      createdTime: now,
      stage: isScheduled ? 'Pending' : 'Unschedulable',
      stageTime: now,
      restarts: 0,
      endTime: undefined,
    };
    this.#pods.set(key, [...(this.#pods.get(key) ?? []), pod]);
    this.#store.put(reported(object, pod, this.#hindranceOf(pod)));
  }

  #report(pod: Pod): void {
    const { namespace, podName } = pod.process;
    const object = this.#store.get('Pod', namespace, podName);
    if (object) this.#store.put(reported(object, pod, this.#hindranceOf(pod)));
  }

  get #podCount(): number {
    return [...this.#pods.values()].reduce((sum, pods) => sum + pods.length, 0);
  }

  /** What the ReplicaSet controller notes of a pod that the API server did not let it make. */
  #replicaFailure({ metadata }: KubernetesObject, template: string): object {
    const { podQuota } = this.#settings;
    const pod = `${metadata.name}-${template}-${podSuffix(this.#started + 1)}`;
    const used = `requested: pods=1, used: pods=${this.#podCount}, limited: pods=${podQuota}`;
    const message = `pods "${pod}" is forbidden: exceeded quota: pods, ${used}`;
    return { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message };
  }

  #writeStatus(
    deployment: KubernetesObject,
    pods: readonly Pod[],
    { template, isRefused }: { readonly template: string; readonly isRefused: boolean },
  ): void {
    const staying = pods.filter(({ endTime }) => endTime === undefined);
    const ready = staying.filter(({ stage }) => stage === 'Ready').length;
    const updated = staying.filter((pod) => pod.template === template).length;
    const counts = {
      replicas: staying.length,
      updatedReplicas: updated,
      readyReplicas: ready,
      availableReplicas: ready,
      unavailableReplicas: Math.max(0, Number(deployment.spec?.replicas ?? 1) - ready),
    };
    const { generation: observedGeneration } = deployment.metadata;
    // Go leaves out a number that is zero.
    const status = {
      observedGeneration,
      ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
      ...(isRefused && { conditions: [this.#replicaFailure(deployment, template)] }),
    };
    const annotations = { 'deployment.kubernetes.io/revision': '1', ...deployment.metadata.annotations };
    const next = { ...deployment, metadata: { ...deployment.metadata, annotations }, status };
    if (!isDeepStrictEqual(next, deployment)) this.#store.put(next);
  }

  #find(namespace: string, podName: string): Pod | undefined {
    const deployment = this.#owners.get(keyOf(namespace, podName));
    if (deployment === undefined) return undefined;
    return this.#pods.get(keyOf(namespace, deployment))?.find(({ process }) => process.podName === podName);
  }
}

const hangingStages: ReadonlySet<Stage> = new Set(['Unschedulable', 'Unpullable', 'Crashing']);

/** The lower, the less is lost with the pod. */
const stageRanks: Readonly<Record<Stage, number>> = {
  Unschedulable: 0,
  Unpullable: 1,
  Pending: 1,
  Crashing: 2,
  Starting: 2,
  Ready: 3,
};

interface PodTemplate {
  readonly metadata?: Fields;
  readonly spec: Fields;
}

interface NewPod {
  readonly podName: string;
  readonly template: string;
  readonly createdTime: number;
}

function podOf({ metadata, spec }: KubernetesObject, { podName, template, createdTime }: NewPod): KubernetesObject {
  const { metadata: given = {}, spec: podSpec } = (spec as { readonly template: PodTemplate }).template;
  const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata.name, uid: metadata.uid ?? '' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...given,
      name: podName,
      namespace: metadata.namespace ?? '',
      labels: { ...(given.labels as Record<string, string> | undefined), 'pod-template-hash': template },
      ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
      creationTimestamp: timestamp(createdTime),
    },
    spec: podSpec,
  };
}

/** The pod as scheduler and kubelet describe it. */
function reported(object: KubernetesObject, pod: Pod, hindrance: Hindrance | undefined): KubernetesObject {
  const { stage, stageTime, createdTime, restarts, process } = pod;
  if (stage === 'Unschedulable')
    return { ...object, status: { phase: 'Pending', conditions: [unschedulable(createdTime)] } };
  const status = reportedStatus({
    phase: phases[stage],
    createdTime,
    readyTime: stageTime,
    container: process.container,
    image: process.image,
    ip: process.ip,
    restarts,
    others: process.others,
    ...(hindrance && { hindrance }),
  });
  return { ...object, spec: { ...object.spec, nodeName: 'ip-10-0-1-23.eu-west-1.compute.internal' }, status };
}

const phases = {
  Pending: 'Pending',
  Unpullable: 'Pending',
  Starting: 'Starting',
  Crashing: 'Starting',
  Ready: 'Ready',
} as const;

function unschedulable(time: number): object {
  return {
    type: 'PodScheduled',
    status: 'False',
    lastTransitionTime: timestamp(time),
    reason: 'Unschedulable',
    message: '0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: not eligible',
  };
}

function processOf({ metadata, spec }: KubernetesObject, ip: string): Process {
  const [container = {}, ...sidecars] = (spec?.containers ?? []) as readonly ContainerSpec[];
  const initContainers = (spec?.initContainers ?? []) as readonly ContainerSpec[];
  const { name = 'main', image = '', args = [], env = [], resources } = container;
  const fields: Record<string, string> = { 'status.podIP': ip, 'metadata.name': metadata.name };
  const resolve = ({ value, valueFrom }: Variable) => value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? '';
  return {
    namespace: metadata.namespace ?? '',
    podName: metadata.name,
    ip,
    container: name,
    image,
    args,
    env: Object.fromEntries(env.map((variable) => [variable.name, resolve(variable)])),
    labels: metadata.labels ?? {},
    cpuLimit: resources?.limits?.cpu === undefined ? undefined : String(resources.limits.cpu),
    others: [
      ...initContainers.map((init) => otherOf(init, true)),
      ...sidecars.map((sidecar) => otherOf(sidecar, false)),
    ],
  };
}

function otherOf({ name = 'main', image = '' }: ContainerSpec, isInit: boolean): OtherContainer {
  return { name, image, isInit };
}

interface ContainerSpec {
  readonly name?: string;
  readonly image?: string;
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly resources?: { readonly limits?: { readonly cpu?: string | number } };
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath?: string } };
}

/** Ten characters, always the same for one template. */
function hashOf(template: unknown): string {
  return createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10);
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
