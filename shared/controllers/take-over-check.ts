// A rehearsal of the take-over from another operator: reads what a round reads of Kubernetes, and says what the round would decide.
// Nothing is written, and no JobManager is asked.

import type { Cluster, ControlPlane } from '../control-plane.ts';
import { type PodAutoscaler, type Rehearsal, rehearseTakeOver } from '../deployment/rehearsal.ts';
import { createScene } from '../deployment/scene.ts';
import type { Application, Reading } from '../deployment/types.ts';
import { listApplications } from '../kubernetes/deployed-application.ts';
import { listDeployments } from '../kubernetes/deployments.ts';
import { listHorizontalPodAutoscalers } from '../kubernetes/horizontal-pod-autoscaler.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { keyOf, type ObjectAddress } from '../kubernetes/paths.ts';
import { listServices } from '../kubernetes/services.ts';
import { type Parts, seeObjects } from './observe-deployment.ts';
import { attempt } from './reading.ts';

export interface TakeOverReport {
  readonly cluster: string;
  /** Epoch milliseconds. */
  readonly time: number;
  /** By namespace and name. */
  readonly applications: readonly ApplicationRehearsal[];
}

export interface ApplicationRehearsal extends ObjectAddress, Omit<Rehearsal, 'outcome'> {
  /** NotFound: it was named, and does not exist. */
  readonly outcome: Rehearsal['outcome'] | 'NotFound';
  /** status.phase and status.deployHash, as the other operator wrote them; empty before the first deploy. */
  readonly phase: string;
  readonly deployHash: string;
}

/**
 * Rehearses the take-over of the FlinkApplications of some namespaces (none named: all of them).
 *
 * @param names of the applications to look at; none: all of them
 * @throws ControlPlaneError when applications, Deployments or Services cannot be listed
 */
export async function checkTakeOver(
  plane: Pick<ControlPlane, 'now'>,
  { name: cluster, client }: Cluster,
  namespaces: Namespaces,
  names: readonly ObjectAddress[] = [],
): Promise<TakeOverReport> {
  // What belongs to an application is read after it, as in a round.
  const applications = await listApplications(client, namespaces);
  const [deployments, services, podAutoscalers] = await Promise.all([
    listDeployments(client, namespaces),
    listServices(client, namespaces),
    attempt(listHorizontalPodAutoscalers(client, namespaces)),
  ]);
  const time = await plane.now();
  const wanted = new Set(names.map(keyOf));
  const chosen = applications.filter((application) => names.length === 0 || wanted.has(keyOf(application)));
  const found = chosen.map((application) => {
    const isOwn = (part: { readonly namespace: string; readonly application: string }) =>
      part.namespace === application.namespace && part.application === application.name;
    const parts = { deployments: deployments.filter(isOwn), services: services.filter(isOwn) };
    return rehearse({ application, parts, podAutoscalers, time });
  });
  const existing = new Set(found.map(keyOf));
  const absent = names.filter((address) => !existing.has(keyOf(address))).map(notFound);
  return { cluster, time, applications: [...found, ...absent].toSorted(byName) };
}

interface Seen {
  readonly application: Application;
  readonly parts: Parts;
  readonly podAutoscalers: Reading<readonly PodAutoscaler[]>;
  readonly time: number;
}

function rehearse({ application, parts, podAutoscalers, time }: Seen): ApplicationRehearsal {
  const { namespace, name, status } = application;
  const objects = seeObjects(application, parts);
  const observation = { ...objects, revisions: new Map(), jobManagers: new Map(), troubles: [] };
  const rehearsal = rehearseTakeOver({ scene: createScene({ application, observation, now: time }), podAutoscalers });
  return { namespace, name, phase: status.phase ?? '', deployHash: status.deployHash ?? '', ...rehearsal };
}

function notFound({ namespace, name }: ObjectAddress): ApplicationRehearsal {
  const message = `there is no FlinkApplication ${name} in namespace ${namespace}`;
  return { namespace, name, phase: '', deployHash: '', outcome: 'NotFound', isReady: false, message, blockers: [] };
}

function byName(one: ObjectAddress, other: ObjectAddress): number {
  return one.namespace.localeCompare(other.namespace) || one.name.localeCompare(other.name);
}
