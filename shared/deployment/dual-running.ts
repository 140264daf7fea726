// DualRunning, BlueGreen alone: both versions run until the user names the one to end. A change of the spec waits for that.

import { isStopped } from './clusters.ts';
import { describeFailure } from './failures.ts';
import { hashOf, revisionOf } from './identity.ts';
import { removal } from './remove-cluster.ts';
import {
  asJob,
  clusterOf,
  forgetDeploy,
  forgetErrors,
  hasEnded,
  jobStateOf,
  jobViewOf,
  normal,
  rolloutOf,
  type Scene,
  stay,
  type Transition,
  targetRevision,
  telling,
} from './scene.ts';
import { recordJob, selectorOf, withClusterId } from './submit.ts';
import type { ApplicationStatus, VersionStatus } from './types.ts';

export function runBoth(scene: Scene): Transition {
  const { status, options } = scene;
  const doomed = options.tearDownVersionHash;
  if (doomed !== '' && doomed === status.deployHash) return tearDown(scene, doomed, status.jobStatus?.jobID, keepNew);
  if (doomed !== '' && doomed === status.updatingHash) return tearDown(scene, doomed, rolloutOf(scene).jobId, keepOld);
  return stay(scene);
}

type Survival = (scene: Scene) => ApplicationStatus;

/** The job first, and its cluster when the job has ended. */
function tearDown(scene: Scene, hash: string, jobId: string | undefined, survive: Survival): Transition {
  const state = jobStateOf(jobViewOf(scene, hash, jobId));
  const cluster = clusterOf(scene, hash);
  const isOver = jobId === undefined || hasEnded(state) || cluster?.jobManager === undefined || isStopped(cluster);
  if (!isOver) {
    const cancels = state === 'Active' ? [{ kind: 'CancelJob', hash, jobId } as const] : [];
    return stay(
      scene,
      cancels,
      cancels.length > 0 ? [normal('ForceCanceling', `Cancelling job ${jobId} of version ${hash}`)] : [],
    );
  }
  if (cluster !== undefined) return stay(scene, removal(scene, hash));
  const torn = { status: survive(scene), effects: [], events: [] };
  return telling(torn, normal('TeardownCompleted', `Tore down version ${hash}`));
}

/** The new version is what is deployed now. */
function keepNew(scene: Scene): ApplicationStatus {
  const { updatingHash, updatingVersion, ...status } = forgetDeploy(scene.status);
  const { hash, revision, jobId = '', clusterId } = rolloutOf(scene);
  const target = targetRevision(scene);
  const [, survivor] = status.versionStatuses ?? [];
  const before = survivor?.jobStatus ?? status.jobStatus;
  const jobStatus =
    target === undefined ? asJob(before ?? {}, jobId) : recordJob(scene, before, { revision: target, id: jobId });
  return forgetErrors({
    ...withClusterId(status, clusterId),
    phase: 'Running',
    deployHash: hash,
    currentRevision: revision,
    jobStatus,
    ...(updatingVersion !== undefined && { deployVersion: updatingVersion }),
    ...(survivor?.clusterStatus && { clusterStatus: survivor.clusterStatus }),
    ...selectorOf(scene, hash),
    ...noteTearDown(scene),
    versionStatuses: [versionStatus({ ...survivor, jobStatus }, updatingVersion, hash), {}],
  });
}

/**
 * Lyft's operator takes an application of one version for changed unless its hash, which in BlueGreen has the version in it, is noted
 * here. With the hash, as it computes it, the operator has nothing to deploy should it come back.
 */
function noteTearDown({ application }: Scene): { readonly teardownHash?: string } {
  const { namespace, name, labels, annotations, spec } = application;
  if ('unreadable' in spec) return {};
  const { replicas, ...taskManagerConfig } = spec.value.taskManagerConfig ?? {};
  const revision = revisionOf({ labels, annotations, spec: { ...spec.value, taskManagerConfig } });
  return { teardownHash: hashOf({ ...revision, namespace, name, labels, annotations, version: '' }) };
}

/** The new version was not wanted after all: it is not deployed again before the spec changes. */
function keepOld(scene: Scene): ApplicationStatus {
  const { updatingHash, updatingVersion, ...status } = forgetDeploy(scene.status);
  const message = `spec.tearDownVersionHash named ${rolloutOf(scene).hash}`;
  const failedDeploy = { ...describeFailure(scene, { reason: 'TornDown', message }), attempts: 1 };
  const [survivor = {}] = status.versionStatuses ?? [];
  const versionStatuses = [survivor, {}];
  return forgetErrors({ ...status, phase: 'DeployFailed', failedDeploy, ...noteTearDown(scene), versionStatuses });
}

function versionStatus(status: VersionStatus, appVersion: string | undefined, versionHash: string): VersionStatus {
  return { ...status, versionHash, ...(appVersion !== undefined && { appVersion }) };
}

/** The spec asks for something that neither version is. */
export function describeWaitingChange({ desired, status }: Scene): string | undefined {
  if (!('name' in desired) || desired.name === status.rollout?.revision) return undefined;
  return `${desired.name} waits until spec.tearDownVersionHash names ${status.deployHash} or ${status.updatingHash}`;
}
