// What is left of an application that went without its finalizer, which somebody had taken away: its keeper holds its clusters, and
// nobody would ever let them go. They are removed, and it is reported what was lost.

import type { Log } from '../control-plane.ts';
import { classify, hasEnded } from '../deployment/scene.ts';
import type { Application } from '../deployment/types.ts';
import { ControlPlaneError, describeError } from '../errors.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { getApplication } from '../kubernetes/deployed-application.ts';
import type { ApplicationDeployment } from '../kubernetes/deployments.ts';
import { applicationReference, createEvent } from '../kubernetes/events.ts';
import { removeKeeper } from '../kubernetes/keeper.ts';
import { keyOf } from '../kubernetes/paths.ts';
import { jobManagerOf } from './observe-deployment.ts';
import { attempt } from './reading.ts';

interface Orphan {
  readonly namespace: string;
  /** Of the application that is no more. */
  readonly name: string;
  readonly uid: string;
  readonly hash: string;
}

/**
 * Lets go of clusters whose application is gone. One that cannot be let go is logged, and looked at again by the next round.
 *
 * @param applications all that were read of some namespaces, before the Deployments of the same
 */
export async function releaseOrphans(
  { client, log, now }: { readonly client: KubernetesClient; readonly log: Log; readonly now: number },
  applications: readonly Application[],
  deployments: readonly ApplicationDeployment[],
): Promise<void> {
  for (const orphan of findOrphans(applications, deployments)) {
    try {
      await releaseOrphan(client, orphan, now);
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error;
      log.error('orphan not released', { application: keyOf(orphan), error: describeError(error) });
    }
  }
}

function findOrphans(
  applications: readonly Application[],
  deployments: readonly ApplicationDeployment[],
): readonly Orphan[] {
  const uids = new Set(applications.map(({ uid }) => uid));
  const orphans = new Map<string, Orphan>();
  for (const { namespace, application: name, hash, ownerUid: uid, view } of deployments)
    if (uid !== undefined && !uids.has(uid) && view.isKept && !view.isDeleting)
      orphans.set(uid, { namespace, name, uid, hash });
  return [...orphans.values()];
}

async function releaseOrphan(client: KubernetesClient, orphan: Orphan, time: number): Promise<void> {
  // It may have been created since the applications were listed.
  const application = await getApplication(client, orphan);
  if (application?.uid === orphan.uid) return;
  const losses = await findLosses(client, orphan);
  await removeKeeper(client, orphan);
  const object = applicationReference(orphan);
  for (const message of losses)
    await createEvent(client, { object, type: 'Warning', reason: 'DeletedWithoutSavepoint', message, time });
}

/** What ran on it, and from where that could be restored. */
async function findLosses(client: KubernetesClient, { hash, ...application }: Orphan): Promise<readonly string[]> {
  const cause = 'the application was deleted after somebody had removed its finalizer';
  const jobManager = jobManagerOf(client, application, hash);
  const jobs = await attempt(jobManager.jobs());
  if ('unreadable' in jobs)
    return [`Cluster ${hash} was deleted without a savepoint: ${cause}; its JobManager does not respond`];
  const living = jobs.value.filter(({ state }) => !hasEnded(classify(state)));
  const describe = async ({ id }: { readonly id: string }) => {
    const checkpoints = await attempt(jobManager.checkpoints(id, false));
    const latest = 'value' in checkpoints ? checkpoints.value?.latestCompleted?.path : undefined;
    const from = latest === undefined ? 'no checkpoint of it is known' : `its latest checkpoint is ${latest}`;
    return `Job ${id} was deleted without a savepoint: ${cause}; ${from}`;
  };
  return Promise.all(living.map(describe));
}
