// How each effect is brought about. Each is safe to repeat: what is done already is left as it is, what belongs to somebody
// else is never touched, and a write that rests on something read is refused when that has changed.

import type { JobManager } from '../flink/job-manager.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { deleteConfigMap } from '../kubernetes/config-maps.ts';
import { createRevision } from '../kubernetes/controller-revisions.ts';
import { preferDeletion } from '../kubernetes/deletion-cost.ts';
import { patchFinalizers } from '../kubernetes/deployed-application.ts';
import { patchDeploymentReplicas } from '../kubernetes/deployments.ts';
import { ensureKeeper, removeKeeper } from '../kubernetes/keeper.ts';
import { createOwned, keepOwned, type Manifest, removeOwned } from '../kubernetes/owned-objects.ts';
import { CONTROLLER_REVISIONS, DEPLOYMENTS, type ResourceType, SERVICES } from '../kubernetes/paths.ts';
import { patchServiceSelector } from '../kubernetes/services.ts';
import { JOB_FINALIZER } from './begin.ts';
import { renderCluster } from './templates.ts';
import type { Application, ClusterTarget, Effect } from './types.ts';

export interface EffectTools {
  readonly client: KubernetesClient;
  /** The JobManager of the cluster with that hash. */
  jobManager(
    hash: string,
  ): Pick<
    JobManager,
    'triggerSavepoint' | 'stop' | 'disposeSavepoint' | 'cancel' | 'submit' | 'setResourceRequirements'
  >;
}

/**
 * Performs one effect on an application.
 *
 * @returns for a savepoint or a disposal, the id under which it can be asked for: Flink chooses that of a disposal, and versions
 *   before 1.15 that of a savepoint too
 * @throws KubernetesError 409 when what the effect rests on has changed since it was read
 * @throws RetryableError when something of the same name has to go first
 * @throws TerminalError when something of the same name belongs to somebody else
 */
export async function performEffect(
  tools: EffectTools,
  application: Application,
  effect: Effect,
): Promise<string | undefined> {
  if (effect.kind === 'TriggerSavepoint') return tools.jobManager(effect.hash).triggerSavepoint(effect);
  if (effect.kind === 'DisposeSavepoint') return tools.jobManager(effect.hash).disposeSavepoint(effect.path);
  if (effect.kind === 'StopJob') return tools.jobManager(effect.hash).stop(effect);
  await perform(tools, application, effect);
  return undefined;
}

type OtherEffect = Exclude<Effect, { kind: 'TriggerSavepoint' | 'StopJob' | 'DisposeSavepoint' }>;

async function perform(tools: EffectTools, application: Application, effect: OtherEffect): Promise<unknown> {
  const { client, jobManager } = tools;
  const { namespace } = application;
  switch (effect.kind) {
    case 'CreateRevision': {
      const { name, revision } = effect;
      return createRevision(client, application, { name, number: application.generation, revision });
    }
    case 'DeleteRevision':
      return removeOwned(client, CONTROLLER_REVISIONS, application, effect.name);
    case 'AddFinalizer':
      return setFinalizer(client, application, true);
    case 'RemoveFinalizer':
      return release(client, application);
    case 'KeepObjects':
      return keepObjects(client, application, effect);
    case 'CreateCluster':
      return createCluster(client, application, effect.target);
    case 'DeleteCluster':
      return deleteCluster(client, application, effect);
    case 'DeleteConfigMaps':
      for (const configMap of effect.configMaps) await deleteConfigMap(client, { namespace, ...configMap });
      return undefined;
    case 'ScaleDeployment':
      return patchDeploymentReplicas(client, { namespace, ...effect }, effect.replicas);
    case 'PreferDeletion':
      return preferDeletion(client, { namespace, ...effect });
    case 'PointService':
      return patchServiceSelector(client, { namespace, ...effect }, effect.podSelector);
    case 'CancelJob':
      return jobManager(effect.hash).cancel(effect.jobId);
    case 'SubmitJob':
      return jobManager(effect.hash).submit(effect.submission);
    case 'SetResourceRequirements':
      return jobManager(effect.hash).setResourceRequirements(effect.jobId, effect.requirements);
    default:
      throw effect satisfies never;
  }
}

async function setFinalizer(client: KubernetesClient, application: Application, isWanted: boolean): Promise<void> {
  const { finalizers } = application;
  if (finalizers.includes(JOB_FINALIZER) === isWanted) return;
  const others = finalizers.filter((finalizer) => finalizer !== JOB_FINALIZER);
  await patchFinalizers(client, application, isWanted ? [...finalizers, JOB_FINALIZER] : others);
}

/** The keeper first: without the finalizer nobody would look after it any more. */
async function release(client: KubernetesClient, application: Application): Promise<void> {
  if (!application.finalizers.includes(JOB_FINALIZER)) return;
  await removeKeeper(client, application);
  await setFinalizer(client, application, false);
}

type KeepObjects = Extract<Effect, { kind: 'KeepObjects' }>;

async function keepObjects(
  client: KubernetesClient,
  application: Application,
  { deployments, services }: KeepObjects,
): Promise<void> {
  const keeper = await ensureKeeper(client, application);
  for (const name of deployments) await keepOwned(client, DEPLOYMENTS, application, { name, keeper });
  for (const name of services) await keepOwned(client, SERVICES, application, { name, keeper });
}

/** Makes what is missing. The service for users is left alone where it is: it moves when the job has. */
async function createCluster(client: KubernetesClient, application: Application, target: ClusterTarget): Promise<void> {
  const { jobManager, taskManager, genericService, versionedService } = renderCluster(target);
  const keeper = await ensureKeeper(client, application);
  // Services first: a pod that starts is to find the names that it was given.
  for (const service of [versionedService, genericService])
    await createOwned(client, SERVICES, application, kept(service, keeper));
  for (const deployment of [jobManager, taskManager])
    await createOwned(client, DEPLOYMENTS, application, kept(deployment, keeper));
}

function kept<Wanted extends Manifest>(manifest: Wanted, keeper: object): Wanted {
  const { ownerReferences = [] } = manifest.metadata;
  return { ...manifest, metadata: { ...manifest.metadata, ownerReferences: [...ownerReferences, keeper] } };
}

type DeleteCluster = Extract<Effect, { kind: 'DeleteCluster' }>;

/** Deletes all that it may, in the order of the names; one that belongs to somebody else keeps no other from going. */
async function deleteCluster(
  client: KubernetesClient,
  application: Application,
  { deployments, services }: DeleteCluster,
): Promise<void> {
  const failures: unknown[] = [];
  const remove = (type: ResourceType, name: string) =>
    removeOwned(client, type, application, name).catch((error: unknown) => failures.push(error));
  for (const name of deployments) await remove(DEPLOYMENTS, name);
  for (const name of services) await remove(SERVICES, name);
  if (failures.length > 0) throw failures[0];
}
