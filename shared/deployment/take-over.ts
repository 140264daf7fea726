// Whose application is it? One that Lyft's operator deployed is adopted as it runs, once that operator has been silent for a while
// and its cluster has been recognised. Two controllers that move one job between clusters would lose it.

import { beginNewCluster } from './begin.ts';
import { matchesDeployedHash } from './identity.ts';
import {
  after,
  clusterOf,
  deployedColour,
  forgetErrors,
  isBlueGreen,
  normal,
  type Scene,
  stay,
  type Transition,
  type WantedRevision,
} from './scene.ts';
import { clauses } from './sentences.ts';
import { recordJob } from './submit.ts';
import { taskManagerSelector } from './templates.ts';
import type { Application, ApplicationStatus, Cluster, Failure, Phase, Rollout, StatusWriter } from './types.ts';

/** What has to be remembered of another controller where it cannot erase it. Times are epoch milliseconds. */
export interface TakeoverMemory {
  readonly manager: string;
  /** Of its last write to the status that was seen. */
  readonly lastWriteTime: number;
  /** When that write was first seen. */
  readonly firstSeenTime: number;
}

export type Presence =
  /** Nobody else writes to the status. */
  | { readonly kind: 'Alone' }
  /** Somebody does, or did a moment ago: hands off, and remember what was seen. */
  | { readonly kind: 'Accompanied'; readonly memory: TakeoverMemory };

/** Lyft's operator looks at each application every 30 s: after three rounds without a write it is taken to be off. */
const SILENCE_SECONDS = 90;

/** Judges from the traces of others' writes whether another controller is at work on an application. */
export function findCompany(application: Application, memory: TakeoverMemory | undefined, now: number): Presence {
  const writer = latestWriter(application);
  if (writer === undefined) return { kind: 'Alone' };
  const lastWriteTime = Date.parse(writer.time);
  const hasMoved = memory === undefined || memory.manager !== writer.manager || memory.lastWriteTime !== lastWriteTime;
  const remembered = hasMoved ? { manager: writer.manager, lastWriteTime, firstSeenTime: now } : memory;
  const isSilent = now - remembered.firstSeenTime >= SILENCE_SECONDS * 1000;
  return isSilent ? { kind: 'Alone' } : { kind: 'Accompanied', memory: remembered };
}

/** The one of the others who wrote last. */
export function latestWriter({ otherStatusWriters }: Application): StatusWriter | undefined {
  return otherStatusWriters.toSorted((a, b) => Date.parse(b.time) - Date.parse(a.time))[0];
}

/** Somebody else deployed it: it has a state, and nothing in it is of Headrace. */
export function isForeign({ status }: Pick<Application, 'status'>): boolean {
  const { phase = '', deployHash = '', currentRevision, rollout, failedDeploy, suspension, deletion } = status;
  const hasState = phase !== '' || deployHash !== '';
  const isOurs = [currentRevision, rollout, failedDeploy, suspension, deletion].some((trace) => trace !== undefined);
  return hasState && !isOurs;
}

/** The annotation with which a user decides about a cluster that was not recognised. */
const TAKE_OVER = 'headrace.dev/take-over';

/** @returns what the adoption comes to, or why it has to wait for the user */
export function adopt(scene: Scene): Transition | Failure {
  const { desired, status, application } = scene;
  if ('faults' in desired) return { reason: 'InvalidSpec', message: clauses(...desired.faults) };
  const say = application.annotations[TAKE_OVER]?.toLowerCase();
  if (say === 'redeploy')
    return isJobUntouched(status.phase) ? beginNewCluster(scene, desired) : inProgress(status.phase);
  const { deployHash = '' } = status;
  if (deployHash === '') return adoptBeginning(scene, desired);
  const cluster = clusterOf(scene, deployHash);
  if (cluster?.jobManager === undefined || cluster.taskManager === undefined)
    return {
      reason: 'ClusterMissing',
      message: `the Deployments of the deployed cluster ${deployHash} are not there; ${REDEPLOY}`,
    };
  if (isAtRest(status.phase)) return adoptAtRest(scene, desired, cluster, say === 'adopt');
  return adoptMidway(scene, desired);
}

const REDEPLOY = `annotate the application with ${TAKE_OVER}=redeploy to deploy its spec`;
const ADVICE = `${REDEPLOY}, or with ${TAKE_OVER}=adopt to take what runs for it`;

/** Lyft's operator has not stopped or submitted a job in these. */
function isJobUntouched(phase: string | undefined): boolean {
  return isAtRest(phase) || phase === 'Updating' || phase === 'ClusterStarting';
}

function inProgress(phase: string | undefined): Failure {
  const message = `another operator left a deploy in phase ${phase} that cannot be gone on with: let it end it, or roll it back, first`;
  return { reason: 'DeployInProgress', message };
}

function isAtRest(phase: string | undefined): boolean {
  return phase === 'Running' || phase === 'DeployFailed' || phase === undefined || phase === '';
}

function adoptAtRest(scene: Scene, wanted: WantedRevision, cluster: Cluster, isForced: boolean): Transition | Failure {
  const { application, status } = scene;
  const { deployHash = '' } = status;
  const identity = recognise(scene, wanted, cluster, deployHash);
  if (identity === undefined && !isForced)
    return {
      reason: 'HashMismatch',
      message: `the spec is not what cluster ${deployHash} was deployed from; ${ADVICE}`,
    };
  const revision = { ...wanted.revision, ...(identity?.settings && { settings: identity.settings }) };
  if (!scene.observation.revisions.has(wanted.name)) return storeFirst(scene, { ...wanted, revision });
  const podSelector = cluster.taskManager?.podSelector ?? '';
  // In BlueGreen Lyft's operator keeps the job's status with its version, and not at the top.
  const job = (isBlueGreen(scene) ? status.versionStatuses?.[0]?.jobStatus : undefined) ?? status.jobStatus;
  return {
    status: {
      ...status,
      // A size or spec that failed under the other operator is tried anew when it is asked for.
      phase: 'Running' as Phase,
      currentRevision: wanted.name,
      selector: taskManagerSelector(application.name, podSelector),
      jobStatus: recordJob(scene, job, { revision, id: job?.jobID ?? '' }),
    },
    effects: [],
    events: [normal('Adopted', `Took over cluster ${deployHash} as it runs`)],
  };
}

/** What runs is written down before it is counted as adopted: afterwards nobody could tell that it is missing. */
function storeFirst(scene: Scene, { name, revision }: WantedRevision): Transition {
  return stay(scene, [{ kind: 'CreateRevision', name, revision }]);
}

/** Lyft's operator hashed every label and annotation, so they are compared as they are. */
function recognise(scene: Scene, { revision }: WantedRevision, { jobManager }: Cluster, deployHash: string) {
  if (jobManager === undefined) return undefined;
  const version = deployedColour(scene);
  const { namespace, name, labels, annotations } = scene.application;
  const source = { ...revision, namespace, name, labels, annotations, ...(version && { version }) };
  return matchesDeployedHash({ ...source, live: jobManager, deployHash });
}

/** A first deploy that Lyft's operator had only just begun. */
function adoptBeginning(scene: Scene, wanted: WantedRevision): Transition | Failure {
  const hashes = [...scene.observation.clusters.keys()];
  if (hashes.length === 0) return beginNewCluster(scene, wanted);
  return adoptMidway(scene, wanted);
}

const RESUMABLE: readonly string[] = [
  'Updating',
  'ClusterStarting',
  'Savepointing',
  'Cancelling',
  'Recovering',
  'SubmittingJob',
];

/** A deploy that Lyft's operator has begun is gone on with: all that it had decided is in its status. */
function adoptMidway(scene: Scene, wanted: WantedRevision): Transition | Failure {
  const { status, observation, now, options } = scene;
  const phase = status.phase || 'Updating';
  const target = [...observation.clusters.values()].find(
    (cluster) => cluster.hash !== status.deployHash && recognise(scene, wanted, cluster, cluster.hash) !== undefined,
  );
  if (target === undefined && isJobUntouched(phase)) return beginNewCluster(scene, wanted);
  if (!RESUMABLE.includes(phase) || target === undefined || isBlueGreen(scene)) return inProgress(phase);
  if (!observation.revisions.has(wanted.name)) return storeFirst(scene, wanted);
  const rollout = {
    kind: 'NewCluster' as const,
    revision: wanted.name,
    hash: target.hash,
    isTakenOver: true,
    startTime: after(now, 0),
    deadline: after(now, options.timeouts.clusterStartSeconds),
    ...jobsOf(status, phase),
  };
  return {
    status: { ...forgetErrors(status), phase, rollout },
    effects: [],
    events: [normal('Adopted', `Goes on with the deploy of cluster ${target.hash}`)],
  };
}

/** Lyft's operator records one job: the old one until it is stopped, the new one once it was submitted. */
function jobsOf({ deployHash, jobStatus }: ApplicationStatus, phase: string): Partial<Rollout> {
  const { jobID } = jobStatus ?? {};
  if (!jobID) return {};
  if (phase === 'SubmittingJob') return { jobId: jobID, isSubmitted: true };
  return deployHash ? { oldJobId: jobID } : {};
}
