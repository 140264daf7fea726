// Whose application is it? One that Lyft's operator deployed is adopted as it runs, once that operator has been silent for a while
// and its cluster has been recognised. Two controllers that move one job between clusters would lose it.

import { beginNewCluster } from './begin.ts';
import { isForeignAtRest } from './foreign-status.ts';
import { matchesDeployedHash } from './identity.ts';
import {
  after,
  clusterOf,
  deployedColour,
  forgetErrors,
  isBlueGreen,
  normal,
  rolloutOf,
  type Scene,
  type Transition,
  updatingColour,
  type WantedRevision,
} from './scene.ts';
import { clauses } from './sentences.ts';
import { recordJob, selectorOf } from './submit.ts';
import { JOB_PROPERTIES, renderJobProperties } from './templates.ts';
import type {
  Application,
  ApplicationStatus,
  Cluster,
  Colour,
  Effect,
  Failure,
  Phase,
  Revision,
  Rollout,
  StatusWriter,
} from './types.ts';

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

/** The annotation with which a user decides about a cluster that was not recognised. */
const TAKE_OVER = 'headrace.dev/take-over';

/** What Headrace would do with an application that another operator deployed. */
export type Adoption =
  /** Its cluster is what the spec says, or the user says so: it is adopted as it runs. */
  | { readonly kind: 'AtRest'; readonly cluster: Cluster; readonly wanted: WantedRevision }
  /** BlueGreen with two versions, of which the second is what the spec says: both are adopted as they run. */
  | { readonly kind: 'DualRunning'; readonly cluster: Cluster; readonly wanted: WantedRevision }
  /** The operator has begun to deploy the spec on this cluster: the deploy is continued. */
  | { readonly kind: 'Midway'; readonly cluster: Cluster; readonly wanted: WantedRevision }
  /** The spec is deployed on a new cluster: the user has asked for it, or the operator had hardly begun. */
  | { readonly kind: 'Deploy'; readonly wanted: WantedRevision; readonly isAskedFor: boolean };

/** Why an application is not adopted before the user has done something. */
export interface AdoptionFailure extends Failure {
  readonly reason: 'InvalidSpec' | 'HashMismatch' | 'ClusterMissing' | 'DeployInProgress';
}

/** Decides whether and how an application is adopted. @returns why it has to wait for the user, where it has to */
export function planAdoption(scene: Scene): Adoption | AdoptionFailure {
  const { desired, status, application } = scene;
  if ('faults' in desired) return { reason: 'InvalidSpec', message: clauses(...desired.faults) };
  const say = application.annotations[TAKE_OVER]?.toLowerCase();
  if (status.phase === 'DualRunning') return planBoth(scene, desired, say);
  if (say === 'redeploy')
    return isJobUntouched(status.phase)
      ? { kind: 'Deploy', wanted: desired, isAskedFor: true }
      : inProgress(status.phase);
  const { deployHash = '' } = status;
  if (deployHash === '') return planBeginning(scene, desired);
  const cluster = clusterOf(scene, deployHash);
  if (!hasBothParts(cluster)) return { reason: 'ClusterMissing', message: `${isMissing(deployHash)}; ${REDEPLOY}` };
  return isForeignAtRest(status.phase)
    ? planAtRest(scene, desired, cluster, say === 'adopt')
    : planMidway(scene, desired);
}

/**
 * What has to be stored before an adoption is carried out: what runs is written down before it is counted as adopted, since
 * afterwards nobody could tell that it is missing.
 */
export function prepareAdoption({ observation }: Scene, { kind, wanted }: Adoption): readonly Effect[] {
  const { name, revision } = wanted;
  return kind === 'Deploy' || observation.revisions.has(name) ? [] : [{ kind: 'CreateRevision', name, revision }];
}

/** Carries an adoption out. */
export function adopt(scene: Scene, adoption: Adoption): Transition {
  switch (adoption.kind) {
    case 'Deploy':
      return beginNewCluster(scene, adoption.wanted);
    case 'AtRest':
      return adoptAtRest(scene, adoption);
    case 'DualRunning':
      return adoptBoth(scene, adoption);
    case 'Midway':
      return adoptMidway(scene, adoption);
    default:
      throw adoption satisfies never;
  }
}

const REDEPLOY = `annotate the application with ${TAKE_OVER}=redeploy to deploy its spec`;
const ADVICE = `${REDEPLOY}, or with ${TAKE_OVER}=adopt to take what runs for it`;

function isMissing(hash: string): string {
  return `the Deployments of the deployed cluster ${hash} do not exist`;
}

type WholeCluster = Cluster & Required<Pick<Cluster, 'jobManager' | 'taskManager'>>;

function hasBothParts(cluster: Cluster | undefined): cluster is WholeCluster {
  return cluster?.jobManager !== undefined && cluster.taskManager !== undefined;
}

/** Lyft's operator has not stopped or submitted a job in these. */
function isJobUntouched(phase: string | undefined): boolean {
  return isForeignAtRest(phase) || phase === 'Updating' || phase === 'ClusterStarting';
}

function inProgress(phase: string | undefined): AdoptionFailure {
  const message = `another operator left a deploy in phase ${phase} that cannot be continued: let it end it, or roll it back, first`;
  return { reason: 'DeployInProgress', message };
}

function planAtRest(
  scene: Scene,
  wanted: WantedRevision,
  cluster: WholeCluster,
  isForced: boolean,
): Adoption | AdoptionFailure {
  const identity = recognise(scene, wanted, cluster, deployedColour(scene));
  if (identity === undefined && !isForced)
    return {
      reason: 'HashMismatch',
      message: `the spec is not what cluster ${cluster.hash} was deployed from${describeDifference(wanted, cluster)}; ${ADVICE}`,
    };
  return { kind: 'AtRest', cluster, wanted: withSettings(wanted, identity?.settings) };
}

/** Where the job is another: " (parallelism: 4 there, 8 in the spec)". Empty where the job is the same, and something else is not. */
function describeDifference({ revision }: WantedRevision, { jobManager }: WholeCluster): string {
  const deployed = readProperties(jobManager.annotations[JOB_PROPERTIES] ?? '');
  const wanted = readProperties(renderJobProperties(revision));
  const differences = [...wanted].flatMap(([key, value]) => {
    const before = deployed.get(key);
    return before === undefined || before === value ? [] : [`${key}: ${before} there, ${value} in the spec`];
  });
  return differences.length === 0 ? '' : ` (${differences.join('; ')})`;
}

function readProperties(text: string): ReadonlyMap<string, string> {
  const lines = text
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
  return new Map(lines as [string, string][]);
}

/** What the operator had set cluster-wide is kept with what it deployed. */
function withSettings(wanted: WantedRevision, settings: Revision['settings']): WantedRevision {
  return settings === undefined ? wanted : { ...wanted, revision: { ...wanted.revision, settings } };
}

function adoptAtRest(scene: Scene, { cluster, wanted }: Extract<Adoption, { kind: 'AtRest' }>): Transition {
  const { status } = scene;
  const id = status.jobStatus?.jobID ?? '';
  return {
    status: {
      ...status,
      // A size or spec that failed under the other operator is tried anew when it is asked for.
      phase: 'Running' as Phase,
      currentRevision: wanted.name,
      ...selectorOf(scene, cluster.hash),
      jobStatus: recordJob(scene, status.jobStatus, { revision: wanted.revision, id }),
    },
    effects: [],
    events: [normal('Adopted', `Took over cluster ${cluster.hash} as it runs`)],
  };
}

/** Nobody kept the spec of the first version; it is only ever torn down, or stays. The second has to be what the spec says. */
function planBoth(scene: Scene, wanted: WantedRevision, say: string | undefined): Adoption | AdoptionFailure {
  const { deployHash = '', updatingHash = '', rollout } = scene.status;
  const [first, second] = [clusterOf(scene, deployHash), clusterOf(scene, updatingHash)];
  const absent = hasBothParts(first) ? updatingHash : deployHash;
  if (!hasBothParts(first) || !hasBothParts(second))
    return {
      reason: 'ClusterMissing',
      message: `${isMissing(absent)}, one of two versions: let the other operator tear that version down first (spec.tearDownVersionHash: ${absent})`,
    };
  if (rollout?.jobId === undefined)
    return {
      reason: 'DeployInProgress',
      message: `two versions run, but the status does not name the job of version ${updatingHash}: ${TEAR_DOWN_FIRST}`,
    };
  if (say === 'redeploy')
    return {
      reason: 'DeployInProgress',
      message: `two versions run (${deployHash} and ${updatingHash}), and a third cannot be deployed beside them: ${TEAR_DOWN_FIRST}, or annotate the application with ${TAKE_OVER}=adopt, and set it afterwards`,
    };
  const identity = recognise(scene, wanted, second, updatingColour(scene));
  if (identity === undefined && say !== 'adopt')
    return {
      reason: 'HashMismatch',
      message: `the spec is not what cluster ${updatingHash}, the second of two versions, was deployed from${describeDifference(wanted, second)}: put it back, or annotate the application with ${TAKE_OVER}=adopt to take that version for it`,
    };
  return { kind: 'DualRunning', cluster: second, wanted: withSettings(wanted, identity?.settings) };
}

const TEAR_DOWN_FIRST =
  'let the other operator tear one of them down first (spec.tearDownVersionHash with the hash of the one to end)';

function adoptBoth(scene: Scene, { cluster, wanted }: Extract<Adoption, { kind: 'DualRunning' }>): Transition {
  const { status, now } = scene;
  const { deployHash } = status;
  const rollout = {
    ...rolloutOf(scene),
    revision: wanted.name,
    isTakenOver: true,
    startTime: after(now, 0),
    deadline: after(now, 0),
  };
  return {
    status: { ...forgetErrors(status), rollout, ...selectorOf(scene, deployHash ?? '') },
    effects: [],
    events: [normal('Adopted', `Took over versions ${deployHash} and ${cluster.hash} as they run`)],
  };
}

/** Lyft's operator hashed every label and annotation, so they are compared as they are. */
function recognise(scene: Scene, { revision }: WantedRevision, cluster: Cluster, version: Colour | undefined) {
  const { jobManager, hash } = cluster;
  if (jobManager === undefined) return undefined;
  const { namespace, name, labels, annotations } = scene.application;
  const source = { ...revision, namespace, name, labels, annotations, ...(version && { version }) };
  return matchesDeployedHash({ ...source, live: jobManager, deployHash: hash });
}

/** A first deploy that Lyft's operator had only just begun. */
function planBeginning(scene: Scene, wanted: WantedRevision): Adoption | AdoptionFailure {
  return scene.observation.clusters.size === 0
    ? { kind: 'Deploy', wanted, isAskedFor: false }
    : planMidway(scene, wanted);
}

const RESUMABLE: readonly string[] = [
  'Updating',
  'ClusterStarting',
  'Savepointing',
  'Cancelling',
  'Recovering',
  'SubmittingJob',
];

/** A deploy that Lyft's operator has begun is continued: all that it had decided is in its status. */
function planMidway(scene: Scene, wanted: WantedRevision): Adoption | AdoptionFailure {
  const { status, observation } = scene;
  const phase = status.phase || 'Updating';
  const cluster = [...observation.clusters.values()].find(
    (candidate) =>
      candidate.hash !== status.deployHash && recognise(scene, wanted, candidate, deployedColour(scene)) !== undefined,
  );
  if (cluster === undefined && isJobUntouched(phase)) return { kind: 'Deploy', wanted, isAskedFor: false };
  if (!RESUMABLE.includes(phase) || cluster === undefined || isBlueGreen(scene)) return inProgress(phase);
  return { kind: 'Midway', cluster, wanted };
}

function adoptMidway(scene: Scene, { cluster, wanted }: Extract<Adoption, { kind: 'Midway' }>): Transition {
  const { status, now, options } = scene;
  const phase = status.phase || 'Updating';
  const rollout = {
    kind: 'NewCluster' as const,
    revision: wanted.name,
    hash: cluster.hash,
    isTakenOver: true,
    startTime: after(now, 0),
    deadline: after(now, options.timeouts.clusterStartSeconds),
    ...jobsOf(status, phase),
  };
  return {
    status: { ...forgetErrors(status), phase, rollout },
    effects: [],
    events: [normal('Adopted', `Goes on with the deploy of cluster ${cluster.hash}`)],
  };
}

/** Lyft's operator records one job: the old one until it is stopped, the new one once it was submitted. */
function jobsOf({ deployHash, jobStatus }: ApplicationStatus, phase: string): Partial<Rollout> {
  const { jobID } = jobStatus ?? {};
  if (!jobID) return {};
  if (phase === 'SubmittingJob') return { jobId: jobID, isSubmitted: true };
  return deployHash ? { oldJobId: jobID } : {};
}
