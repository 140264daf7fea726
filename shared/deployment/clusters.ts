import type { Cluster, DeploymentView, Effect } from './types.ts';

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
