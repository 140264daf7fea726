import { CLUSTER_ID_ANNOTATION } from './cluster-id.ts';
import { clusterOf, type Scene } from './scene.ts';
import { derivePodSelectors } from './templates.ts';
import type { Cluster, Colour, DeploymentView, Effect, Revision, ServiceView } from './types.ts';

/** Whether a cluster has all that belongs to it alone; the service for users is the application's. */
export function isComplete(cluster: Cluster | undefined): boolean {
  return cluster?.jobManager !== undefined && cluster.taskManager !== undefined && cluster.service !== undefined;
}

interface NewCluster {
  readonly hash: string;
  readonly revision: Revision;
  /** BlueGreen only. */
  readonly version: Colour | undefined;
}

/** Makes a cluster, or what is missing of it. */
export function creation(scene: Scene, { hash, revision, version }: NewCluster): Effect {
  const { namespace, name, uid } = scene.application;
  const podSelectors = podSelectorsOf(uid, hash, clusterOf(scene, hash));
  const clusterId = clusterIdOf(scene, hash);
  const target = { namespace, application: name, uid, revision, hash, podSelectors };
  return { kind: 'CreateCluster', target: { ...target, ...(version && { version }), ...(clusterId && { clusterId }) } };
}

/**
 * The id of a cluster's high availability, as it was written down when the cluster was begun, and kept for as long as there is
 * anything of it.
 *
 * @returns undefined for a cluster without one: it has no high availability, or is from before there were such ids
 */
export function clusterIdOf(scene: Scene, hash: string): string | undefined {
  const { deployHash, clusterId, rollout } = scene.status;
  if (rollout?.kind === 'NewCluster' && rollout.hash === hash) return rollout.clusterId;
  if (deployHash === hash) return clusterId;
  const { jobManager, taskManager } = clusterOf(scene, hash) ?? {};
  return (jobManager ?? taskManager)?.annotations[CLUSTER_ID_ANNOTATION];
}

/** The pods' own label, as it is where there are pods already, else as it is made. */
function podSelectorsOf(uid: string, hash: string, cluster: Cluster | undefined) {
  const derived = derivePodSelectors({ uid, hash });
  return {
    jobManager: cluster?.jobManager?.podSelector ?? derived.jobManager,
    taskManager: cluster?.taskManager?.podSelector ?? derived.taskManager,
  };
}

/**
 * Whether no pod of a cluster is left to run a job, not even one that is about to go: a Deployment does not count those. A
 * cluster that is not there is stopped.
 */
export function isStopped(cluster: Cluster | undefined): boolean {
  const deployments = deploymentsOf(cluster);
  if (deployments.length === 0) return true;
  return deployments.every(({ replicas, isObserved }) => replicas === 0 && isObserved) && cluster?.podCount === 0;
}

/** Takes a cluster's pods away and leaves everything else, so that it can be started again. */
export function stopCluster(cluster: Cluster | undefined): readonly Effect[] {
  return deploymentsOf(cluster).flatMap((deployment) => scaleTo(deployment, 0));
}

/** Gives a Deployment its size, where it has another. */
export function scaleTo(deployment: DeploymentView | undefined, replicas: number): readonly Effect[] {
  if (deployment === undefined || deployment.replicas === replicas) return [];
  const { name, resourceVersion } = deployment;
  return [{ kind: 'ScaleDeployment', name, resourceVersion, replicas }];
}

function deploymentsOf(cluster: Cluster | undefined): readonly DeploymentView[] {
  return [cluster?.jobManager, cluster?.taskManager].filter((deployment) => deployment !== undefined);
}

/** Gives every part of a cluster, and every service for users, a keeper that has none. */
export function keepObjects({ observation }: Scene): readonly Effect[] {
  const clusters = [...observation.clusters.values()];
  const deployments = namesWithoutKeeper(clusters.flatMap(deploymentsOf));
  const services = namesWithoutKeeper([
    ...clusters.flatMap(({ service }) => service ?? []),
    ...observation.services.values(),
  ]);
  return deployments.length + services.length === 0 ? [] : [{ kind: 'KeepObjects', deployments, services }];
}

function namesWithoutKeeper(parts: readonly (DeploymentView | ServiceView)[]): readonly string[] {
  return parts.filter(({ isKept, isDeleting }) => !isKept && !isDeleting).map(({ name }) => name);
}
