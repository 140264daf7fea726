// How a deploy begins: its target is pinned, and from then on nothing that is written to the spec changes it.

import { canonicalText } from './canonical-text.ts';
import { newClusterId } from './cluster-id.ts';
import { endBefore } from './ended-jobs.ts';
import { hasHighAvailability } from './flink-config.ts';
import { clusterHashOf } from './identity.ts';
import { keepVersion } from './rollback-window.ts';
import {
  after,
  forgetDeploy,
  forgetErrors,
  isBlueGreen,
  isFirstDeploy,
  normal,
  type PinnedRevision,
  rolloutOf,
  type Scene,
  stay,
  type Transition,
  telling,
  type WantedRevision,
} from './scene.ts';
import { suspendNothing } from './suspension.ts';
import type { ApplicationStatus, Colour, Effect, Phase, RestorePoint, Revision, RolloutKind } from './types.ts';

/** Begins to deploy a revision on a cluster of its own. */
export function beginNewCluster(scene: Scene, wanted: WantedRevision): Transition {
  const version = isBlueGreen(scene) ? otherColour(scene) : undefined;
  const cluster = newCluster(scene, wanted, version);
  const colours = version === undefined ? {} : { updatingVersion: version, updatingHash: cluster.hash };
  const first = version !== undefined && !scene.status.deployHash ? { deployVersion: version } : {};
  return begin(scene, wanted, { ...cluster, changes: { ...colours, ...first } });
}

/** Begins to deploy a revision again that was deployed before, from where the job after it began. */
export function beginRollback(scene: Scene, wanted: PinnedRevision, to: RestorePoint): Transition {
  return begin(scene, wanted, { ...newCluster(scene, wanted, undefined), rollsBackTo: to, changes: {} });
}

/** A cluster of its own, under a hash and an id that no other has. */
function newCluster(scene: Scene, wanted: Pick<WantedRevision, 'revision'>, version: Colour | undefined) {
  const hash = freeHash(scene, wanted, version);
  const clusterId = hasHighAvailability(wanted.revision.spec) ? newClusterId(scene.application, hash) : undefined;
  return { kind: 'NewCluster', hash, clusterId, phase: 'Updating' } as const;
}

/** Begins to change the size of the cluster that is there. */
export function beginInPlace(
  scene: Scene,
  wanted: WantedRevision,
  kind: 'InPlace' | 'InPlaceWithSavepoint',
): Transition {
  return begin(scene, wanted, { kind, hash: scene.status.deployHash ?? '', phase: 'Rescaling', changes: {} });
}

interface Beginning {
  readonly kind: RolloutKind;
  readonly hash: string;
  /** Of a new cluster with high availability. */
  readonly clusterId?: string | undefined;
  readonly phase: Phase;
  /** Of a version that is taken back. */
  readonly rollsBackTo?: RestorePoint;
  readonly changes: Partial<ApplicationStatus>;
}

function begin(
  scene: Scene,
  wanted: PinnedRevision,
  { kind, hash, clusterId, phase, rollsBackTo, changes }: Beginning,
): Transition {
  const { now, options } = scene;
  // What an earlier deploy left behind must not be taken for this one's savepoint.
  const { savepointTriggerId, savepointPath, teardownHash, ...status } = scene.status;
  const oldJobId = status.jobStatus?.jobID;
  const rollout = {
    kind,
    revision: wanted.name,
    hash,
    ...(clusterId && { clusterId }),
    startTime: after(now, 0),
    deadline: after(now, options.timeouts.clusterStartSeconds),
    ...(rollsBackTo && { rollsBackTo }),
    ...(oldJobId && { oldJobId, ...endBefore(scene) }),
  };
  const begun = forgetErrors({ ...status, ...changes, phase, rollout });
  const effects = isStale(scene, wanted) ? renewal(scene, wanted) : preparations(scene, wanted);
  return { status: begun, effects, events: [] };
}

/** It was deployed before, with labels or annotations that do not count and have changed since: the pods are to bear the new ones. */
function isStale({ status, observation }: Scene, { name, revision }: PinnedRevision): boolean {
  const stored = observation.revisions.get(name);
  if (stored === undefined || name === status.currentRevision) return false;
  const metadataOf = ({ labels, annotations }: Revision) => canonicalText({ labels, annotations });
  return metadataOf(stored) !== metadataOf(revision);
}

/** A revision cannot be changed, so it is pinned once more. */
function renewal({ application }: Scene, { name, revision }: PinnedRevision): readonly Effect[] {
  return [...addFinalizer(application), { kind: 'DeleteRevision', name }, { kind: 'CreateRevision', name, revision }];
}

/** What has to be there before anything else is made: the finalizer, so that nothing is orphaned, and the pinned target. */
export function preparations(scene: Scene, { name, revision }: PinnedRevision): readonly Effect[] {
  const { application, observation } = scene;
  const effects: Effect[] = [...addFinalizer(application)];
  if (!observation.revisions.has(name)) effects.push({ kind: 'CreateRevision', name, revision });
  return effects;
}

/** Adds the finalizer, unless the application has it. */
export function addFinalizer({ finalizers }: Scene['application']): readonly Effect[] {
  return finalizers.includes(JOB_FINALIZER) ? [] : [{ kind: 'AddFinalizer' }];
}

/** Pins a target again that somebody deleted. @returns undefined where the spec asks for something else by now */
export function pinAgain(scene: Scene): Transition | undefined {
  const { desired } = scene;
  const isStillWanted = 'name' in desired && desired.name === rolloutOf(scene).revision;
  return isStillWanted ? stay(scene, preparations(scene, desired)) : undefined;
}

/** With it an application stays until its job has ended; Lyft's, so that either controller lets go of what the other holds. */
export const JOB_FINALIZER = 'job.finalizers.flink.k8s.io';

/** The hash of a revision's cluster: Lyft's, unless a cluster of that name is still there under another revision. */
function freeHash(
  { application, observation }: Scene,
  { revision }: Pick<WantedRevision, 'revision'>,
  version: Colour | undefined,
): string {
  const { namespace, name } = application;
  const input = { namespace, name, ...revision, ...(version && { version }) };
  for (let collisions = 0; ; collisions += 1) {
    const hash = clusterHashOf(input, collisions);
    if (!observation.clusters.has(hash)) return hash;
  }
}

/** Lyft's first colour is green: it takes blue for the one before. */
function otherColour({ status }: Scene): Colour {
  return (status.deployVersion || 'blue') === 'blue' ? 'green' : 'blue';
}

/** A spec that changed so much while its cluster was starting that nobody needs that cluster any more. */
export function supersede(scene: Scene, wanted: WantedRevision): Transition {
  if (wanted.name === scene.status.currentRevision) return putBack(scene, wanted);
  const message = `The spec has changed: ${wanted.name} is deployed instead of ${scene.status.rollout?.revision}`;
  return telling(beginNewCluster(scene, wanted), normal('DeploySuperseded', message));
}

/** The spec was put back to what runs, and nothing has been stopped yet. */
function putBack(scene: Scene, { name }: WantedRevision): Transition {
  return withdraw(scene, `The spec was put back to ${name}, which runs`);
}

/** The job is to be suspended, and nothing has been stopped yet. */
export function withdrawToSuspend(scene: Scene): Transition {
  return isFirstDeploy(scene) ? suspendNothing(scene) : withdraw(scene, 'spec.suspend is set');
}

/** Gives a deploy up before anything was stopped for it: what was deployed stays so. */
export function withdraw(scene: Scene, reason: string): Transition {
  const { updatingHash, updatingVersion, ...kept } = forgetDeploy(scene.status);
  const { revision, rollsBackTo } = rolloutOf(scene);
  const message = `${reason}: ${revision} is not deployed`;
  const status = rollsBackTo === undefined ? { ...kept, phase: 'Running' as const } : keepVersion(kept);
  return {
    status: forgetErrors(status),
    effects: [],
    events: [normal('DeployWithdrawn', message)],
  };
}
