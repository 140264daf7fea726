// How a cluster goes for which there is no more use: first the jobs that still run on it, then its pods and what its high
// availability keeps, and last the objects by which it is known.

import { isStopped, stopCluster } from './clusters.ts';
import { clusterOf, isPast, known, type LivingJob, livingJobsOn, type Scene, toColour } from './scene.ts';
import { genericServiceName } from './templates.ts';
import type { Cluster, Effect } from './types.ts';
import { cancelJobs } from './unexpected-jobs.ts';

/** Every cluster that is neither deployed nor being deployed. Nothing is taken away while it is not known what is deployed. */
export function leftoverHashes({ status, observation }: Scene): readonly string[] {
  const { deployHash, inPlaceUpdatedFromHash } = status;
  const used = [deployHash, inPlaceUpdatedFromHash];
  return [...observation.clusters.keys()].filter((hash) => !used.includes(hash));
}

/** How long the jobs of a deploy that has failed may take to end before their cluster goes all the same, seconds. */
const ENDING_SECONDS = 60;

/** The clusters of a deploy that has just failed: jobs that still run on them are ended first. */
export function hashesWithEndingJobs(scene: Scene): readonly string[] {
  const { failedDeploy } = scene.status;
  const mayWait = failedDeploy !== undefined && !isPast(failedDeploy.time, scene.now, ENDING_SECONDS);
  return mayWait ? leftoverHashes(scene) : [];
}

/** Whether a leftover cluster has jobs that are about to end: it is looked at again soon. */
export function hasEndingJobs(scene: Scene): boolean {
  return leftoverHashes(scene).some((hash) => endingJobs(scene, hash).length > 0);
}

/** A JobManager that does not respond cannot be asked; one that keeps a job for too long is not waited for. */
function endingJobs(scene: Scene, hash: string): readonly LivingJob[] {
  return hashesWithEndingJobs(scene).includes(hash) ? (livingJobsOn(scene, hash) ?? []) : [];
}

/**
 * The next thing to do to remove a cluster.
 *
 * @returns a DeleteCluster once nothing else is left to be done; nothing while its jobs or pods are still ending
 */
export function removal(scene: Scene, hash: string): readonly Effect[] {
  const ending = endingJobs(scene, hash);
  if (ending.length > 0) return cancelJobs(ending, hash);
  const clearing = clearHighAvailability(clusterOf(scene, hash));
  return clearing ?? [deletion(scene, hash, ...colourServices(scene, hash))];
}

/**
 * Removes what the high availability of a cluster keeps in ConfigMaps, once no JobManager is left that would make them anew.
 *
 * @returns undefined when there is nothing of it
 */
export function clearHighAvailability(cluster: Cluster | undefined): readonly Effect[] | undefined {
  if (cluster?.highAvailability === undefined) return undefined;
  const configMaps = known(cluster.highAvailability);
  if (configMaps === undefined) return [];
  if (configMaps.length === 0) return undefined;
  if (!isStopped(cluster)) return stopCluster(cluster);
  return [{ kind: 'DeleteConfigMaps', hash: cluster.hash, configMaps }];
}

/** In BlueGreen each colour has a generic service of its own, which goes with its cluster. */
function colourServices(scene: Scene, hash: string): readonly string[] {
  const { jobManager, taskManager, service } = clusterOf(scene, hash) ?? {};
  const { labels } = jobManager ?? taskManager ?? service ?? {};
  const colour = toColour(labels?.['flink-application-version']);
  return colour === undefined ? [] : [genericServiceName(scene.application.name, colour)];
}

/** Deletes whatever there is of a cluster; its own service last, by which it is found until nothing else is left. */
function deletion(scene: Scene, hash: string, ...services: readonly string[]): Effect {
  const { jobManager, taskManager, service } = clusterOf(scene, hash) ?? {};
  const names = (parts: readonly ({ name: string } | undefined)[]) => parts.flatMap((part) => part?.name ?? []);
  return {
    kind: 'DeleteCluster',
    hash,
    deployments: names([jobManager, taskManager]),
    services: [...services, ...names([service])],
  };
}
