// One round of deployments over a shard: observe → decide → record → act → tell, step after step while there is progress, for
// every application on its own.

import { mapBounded } from '../concurrency.ts';
import type { Cluster, ControlPlane, Log } from '../control-plane.ts';
import { canonicalText } from '../deployment/canonical-text.ts';
import { performEffect } from '../deployment/effects.ts';
import { noteError } from '../deployment/failures.ts';
import { isForeign } from '../deployment/foreign-status.ts';
import { planSeed, sizeSpecOf } from '../deployment/parallelism.ts';
import { wasSilent } from '../deployment/questions.ts';
import { failSavepoint, noteTriggerId } from '../deployment/savepoints.ts';
import { type Step, step } from '../deployment/state-machine.ts';
import { findCompany, latestWriter } from '../deployment/take-over.ts';
import type { Application, ApplicationStatus, Effect, Event, Failure, LastSeenError } from '../deployment/types.ts';
import { ControlPlaneError, describeError, TerminalError } from '../errors.ts';
import { JobManagerError } from '../flink/errors.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { listRevisions } from '../kubernetes/controller-revisions.ts';
import {
  confirmUnchanged,
  getApplication,
  listApplications,
  patchApplicationStatus,
  patchConditions,
} from '../kubernetes/deployed-application.ts';
import { type ApplicationDeployment, listDeployments } from '../kubernetes/deployments.ts';
import { isConflict, isNotFound, KubernetesError } from '../kubernetes/errors.ts';
import { applicationReference, createEvent } from '../kubernetes/events.ts';
import { type FlinkAutoscaler, listFlinkAutoscalers } from '../kubernetes/flink-autoscaler.ts';
import { createTakeover, readTakeover, updateTakeover } from '../kubernetes/leases.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { keyOf } from '../kubernetes/paths.ts';
import { type ApplicationService, listServices } from '../kubernetes/services.ts';
import { formatTime } from '../units.ts';
import { readNamespaces } from './namespaces.ts';
import { acts } from './observe.ts';
import { jobManagerOf, observeDeployment, type Parts, readParts } from './observe-deployment.ts';
import { releaseOrphans } from './orphans.ts';
import { lastReplicasOf, plantSize, withinBounds } from './seed.ts';

export interface ApplicationReport {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  /** Failed: this round did for it; the others went on. */
  readonly outcome: 'atRest' | 'inTransition' | 'failed';
  /** It wants to be looked at again in a few seconds, not in a minute. */
  readonly comesBack: boolean;
  readonly error?: string;
}

export interface ReconcileReport {
  readonly cluster: string;
  readonly applications: readonly ApplicationReport[];
}

export interface ReconcileOptions {
  /** namespace/name of the applications to look at. Default: all of the shard. */
  readonly only?: readonly string[];
  /** Told of each application as soon as this round is done with it. */
  readonly onReport?: (report: ApplicationReport) => void;
}

/** Applications at once: each asks its JobManagers several questions at a time. */
const CONCURRENCY = 16;

/** Steps of one application in one round; the longest way without waiting has eight. */
const MAX_STEPS = 16;

/** After so long a round begins no further step: the next round goes on where this one stopped. */
const ROUND_SECONDS = 25;
const CALL_BUDGET_MILLISECONDS = 45_000;

/**
 * Brings the FlinkApplications of some namespaces (none named: all of them) a few steps further.
 *
 * @throws ControlPlaneError when they cannot be listed; everything later is the affair of one application
 */
export async function reconcileShard(
  plane: Pick<ControlPlane, 'now' | 'log'>,
  cluster: Cluster,
  namespaces: Namespaces,
  { only, onReport = () => {} }: ReconcileOptions = {},
): Promise<ReconcileReport> {
  const client = cluster.client.within({ budgetMilliseconds: CALL_BUDGET_MILLISECONDS });
  const startTime = await plane.now();
  const world =
    only === undefined
      ? await readShard({ client, log: plane.log, now: startTime }, namespaces)
      : await readSome(client, only);
  const round: Round = { plane, cluster: { ...cluster, client }, log: plane.log, startTime };
  const applications = await mapBounded(inOrder(world, startTime), CONCURRENCY, async (seen) => {
    const report = await reconcileOrReport(round, seen);
    onReport(report);
    return report;
  });
  return { cluster: cluster.name, applications };
}

/**
 * Those whose JobManager was silent at the last look come last: nobody waits for it to time out. Where they are more than a
 * round has time for, they begin elsewhere each minute.
 */
function inOrder(world: readonly Seen[], now: number): readonly Seen[] {
  const { silent = [], others = [] } = Object.groupBy(world, ({ application }) =>
    wasSilent(application.status) ? 'silent' : 'others',
  );
  const first = (Math.floor(now / 60_000) * CONCURRENCY) % Math.max(silent.length, 1);
  return [...others, ...silent.slice(first), ...silent.slice(0, first)];
}

interface Round {
  readonly plane: Pick<ControlPlane, 'now'>;
  readonly cluster: Cluster;
  readonly log: Log;
  readonly startTime: number;
}

interface Seen {
  readonly application: Application;
  /** Absent: to be read. */
  readonly parts?: Parts;
}

interface Reader {
  readonly client: KubernetesClient;
  readonly log: Log;
  readonly now: number;
}

async function readShard(reader: Reader, namespaces: Namespaces): Promise<readonly Seen[]> {
  const worlds = await readNamespaces(namespaces, {
    kind: 'FlinkApplications',
    read: (some) => readWorld(reader, some),
    onUnread: (failure) => reader.log.error('namespace not read', { ...failure }),
  });
  return worlds.flat();
}

/** A whole shard with three questions, whatever the number of its applications. */
async function readWorld(reader: Reader, namespaces: Namespaces): Promise<readonly Seen[]> {
  // What belongs to an application is read after it: a status must not be newer than the objects it is held against.
  const { client } = reader;
  const applications = await listApplications(client, namespaces);
  const [deployments, services] = await Promise.all([
    listDeployments(client, namespaces),
    listServices(client, namespaces),
  ]);
  await releaseOrphans(reader, applications, deployments);
  const byApplication = (part: ApplicationDeployment | ApplicationService) => `${part.namespace}/${part.application}`;
  const deploymentsOf = Map.groupBy(deployments, byApplication);
  const servicesOf = Map.groupBy(services, byApplication);
  return applications.map((application) => ({
    application,
    parts: {
      deployments: deploymentsOf.get(keyOf(application)) ?? [],
      services: servicesOf.get(keyOf(application)) ?? [],
    },
  }));
}

async function readSome(client: KubernetesClient, names: readonly string[]): Promise<readonly Seen[]> {
  const found = await mapBounded(names, CONCURRENCY, (key) => {
    const [namespace = '', name = ''] = key.split('/');
    return getApplication(client, { namespace, name });
  });
  return found.filter((application) => application !== undefined).map((application) => ({ application }));
}

/** One application's failure is its own: it is reported, and the others go on. */
async function reconcileOrReport(round: Round, seen: Seen): Promise<ApplicationReport> {
  const { namespace, name, status } = seen.application;
  const identity = { namespace, name, phase: status.phase ?? '', comesBack: status.rollout !== undefined };
  try {
    return { ...identity, ...(await reconcile(round, seen)) };
  } catch (error) {
    if (isNotFound(error)) return { ...identity, outcome: 'atRest', comesBack: false };
    const message = describeError(error);
    if (isConflict(error)) {
      round.log.warn('conflict', { application: keyOf(seen.application), error: message });
      return { ...identity, outcome: 'inTransition', comesBack: true };
    }
    round.log.error('application failed', { application: keyOf(seen.application), error: message });
    return { ...identity, outcome: 'failed', error: message };
  }
}

type Result = Pick<ApplicationReport, 'phase' | 'outcome' | 'comesBack' | 'error'>;

/** Steps on while each step changes something. */
async function reconcile(round: Round, seen: Seen): Promise<Result> {
  const { client } = round.cluster;
  let { application, parts }: { application: Application; parts?: Parts } = seen;
  let lastDone = describe({ status: application.status, effects: [] });
  for (let count = 1; ; count += 1) {
    const { next, phase, error } = await takeStep(round, application, parts);
    const done = describe(next);
    const isLate = (await round.plane.now()) - round.startTime > ROUND_SECONDS * 1000;
    const hasMoved = done !== lastDone && error === undefined;
    if (!hasMoved || count === MAX_STEPS || isLate) return toResult(phase, next, error);
    lastDone = done;
    const fresh = await getApplication(client, application);
    if (fresh === undefined) return { phase, outcome: 'atRest', comesBack: false };
    application = fresh;
    parts = undefined;
  }
}

function toResult(phase: string, next: Step | undefined, error: string | undefined): Result {
  const comesBack = next?.isInTransition === true;
  if (error !== undefined) return { phase, outcome: 'failed', comesBack, error };
  return { phase, outcome: comesBack ? 'inTransition' : 'atRest', comesBack };
}

/** What tells one step from the next: where the deploy stands, and what was done for it. */
function describe(next: Pick<Step, 'status' | 'effects'> | undefined): string {
  if (next === undefined) return 'seeded';
  const { phase, rollout, savepointTriggerId, savepointPath, currentRevision } = next.status;
  const { periodicSavepoint, savepointDisposal } = next.status;
  const deploy = [phase, rollout, savepointTriggerId, savepointPath, currentRevision];
  return JSON.stringify([...deploy, periodicSavepoint, savepointDisposal, next.effects]);
}

interface Taken {
  /** Absent: the application was given its size, and nothing else. */
  readonly next?: Step;
  readonly phase: string;
  readonly error?: string;
}

async function takeStep(round: Round, application: Application, known: Parts | undefined): Promise<Taken> {
  const { cluster, plane } = round;
  const { phase = '' } = application.status;
  const now = await plane.now();
  const company = await meetOthers(cluster.client, application, now);
  const mayBeOwned = company === undefined && !isForeign(application);
  if (mayBeOwned && (await seed(cluster, application))) return { phase };

  const parts = known ?? (await readParts(cluster.client, application));
  const observation = await observeDeployment(cluster, application, parts, now);
  const next = step({ application, observation, now }, company);
  if (next.standsAside !== undefined) {
    await patchConditions(cluster.client, application, next.status.conditions ?? []);
    return { next, phase };
  }

  const recorded = await record(round, application, next, now);
  // What ends or begins a job cannot be made conditional on the application: it directly follows a write that is.
  if (recorded === application && next.effects.some(reachesJob)) await confirmUnchanged(cluster.client, application);
  const error = await act(round, recorded, next.effects, now);
  await tell(round, recorded, next.events, now);
  return { next, phase: next.status.phase ?? '', ...(error !== undefined && { error }) };
}

/**
 * Whether somebody else writes to this application's status. What is seen of that is remembered in a Lease, which an operator
 * that replaces the whole status cannot erase.
 */
async function meetOthers(
  client: KubernetesClient,
  application: Application,
  now: number,
): Promise<Failure | undefined> {
  const writer = latestWriter(application);
  if (writer === undefined) return undefined;
  const stored = await readTakeover(client, application);
  const presence = findCompany(application, stored?.memory, now);
  if (presence.kind === 'Alone') return undefined;
  const { memory } = presence;
  if (stored === undefined) await createTakeover(client, application, memory);
  else if (stored.memory !== memory) await updateTakeover(client, application, { ...stored, memory });
  return {
    reason: 'AnotherOperatorActive',
    // No time in it: each write of the other one would be answered by one of ours.
    message: `${writer.manager} writes to the status: Headrace does nothing until it has been silent for 90 s. Switch it off to let Headrace take over`,
  };
}

/**
 * Gives an application its size: another one after an edit, the last one where somebody took it away. No step is taken before it
 * has one: it would deploy the size that parallelism needs. @returns whether anything was written
 */
async function seed(cluster: Cluster, application: Application): Promise<boolean> {
  const { spec, status, isDeleting } = application;
  if (isDeleting || 'unreadable' in spec) return false;
  const size = sizeSpecOf(spec.value);
  if (size.parallelism < 1 || size.taskSlots < 1) return false;
  const needed = planSeed(size, status.scaleBasis);
  if (needed === undefined) return false;
  const autoscaler = needed.kind === 'adopted' ? undefined : await findAutoscaler(cluster, application);
  const lastReplicas =
    lastReplicasOf(size, status, autoscaler?.status) ?? (await findDeployedReplicas(cluster.client, application));
  const planned = planSeed(size, status.scaleBasis, lastReplicas);
  if (planned === undefined) return false;
  const bounds = autoscaler && 'value' in autoscaler.spec ? autoscaler.spec.value : undefined;
  const isDeployed = (status.phase ?? '') !== '';
  await plantSize(
    cluster,
    { ...application, size },
    bounds === undefined ? planned : withinBounds(planned, bounds, isDeployed),
  );
  return true;
}

/** The one that acts on the application, if there is one. */
async function findAutoscaler(
  { client }: Cluster,
  { namespace, name }: Application,
): Promise<FlinkAutoscaler | undefined> {
  const autoscalers = await listFlinkAutoscalers(client, [namespace]);
  return autoscalers.find(
    (autoscaler) =>
      acts(autoscaler) && autoscaler.target?.kind === 'FlinkApplication' && autoscaler.target.name === name,
  );
}

/** The size of the revision that is deployed, for an application whose size was never recorded. */
async function findDeployedReplicas(client: KubernetesClient, application: Application): Promise<number | undefined> {
  const { currentRevision } = application.status;
  if (currentRevision === undefined) return undefined;
  const stored = (await listRevisions(client, application)).find(({ name }) => name === currentRevision);
  return stored !== undefined && 'value' in stored.revision ? stored.revision.value.taskManagers : undefined;
}

/** Counts change with every checkpoint; alone they are written at most this often, so that a fleet at rest writes almost nothing. */
const REFRESH_SECONDS = 300;

/** Writes the status, if it says something new and the application is still as it was read. */
async function record(round: Round, application: Application, next: Step, now: number): Promise<Application> {
  const { status: before } = application;
  if (!isWorthWriting(application, next.status, now)) return application;
  const status = { ...next.status, lastUpdatedAt: formatTime(now) };
  const recorded = await patchApplicationStatus(round.cluster.client, application, status);
  const [from, to] = [before.phase ?? '', status.phase ?? ''];
  const hash = status.rollout?.hash ?? status.deployHash;
  if (from !== to) round.log.info('phase', { application: keyOf(application), from, to, hash });
  return recorded;
}

function isWorthWriting(application: Application, after: ApplicationStatus, now: number): boolean {
  const { status: before } = application;
  if (canonicalText(before) === canonicalText(after)) return false;
  if (canonicalText(withoutReadings(before)) !== canonicalText(withoutReadings(after))) return true;
  const hasNewCheckpoint = before.jobStatus?.lastCheckpoint !== after.jobStatus?.lastCheckpoint;
  if (hasNewCheckpoint && needsCheckpoint(application)) return true;
  const writtenTime = before.lastUpdatedAt ? Date.parse(before.lastUpdatedAt) : 0;
  return now - writtenTime >= REFRESH_SECONDS * 1000;
}

/** The checkpoint from which a lost job would begin again has to be known when its JobManager does not know it any more. */
function needsCheckpoint({ spec }: Application): boolean {
  return 'value' in spec && spec.value.restartPolicy === 'FromLatestCheckpoint';
}

function withoutReadings(status: ApplicationStatus): ApplicationStatus {
  const { jobStatus, versionStatuses, ...rest } = status;
  return {
    ...rest,
    ...(jobStatus && { jobStatus: withoutCheckpoints(jobStatus) }),
    ...(versionStatuses && {
      versionStatuses: versionStatuses.map(({ jobStatus: job, ...version }) => ({
        ...version,
        ...(job && { jobStatus: withoutCheckpoints(job) }),
      })),
    }),
  };
}

function withoutCheckpoints(jobStatus: NonNullable<ApplicationStatus['jobStatus']>) {
  const { completedCheckpointCount, failedCheckpointCount, lastCheckpoint, lastCheckpointTime, ...rest } = jobStatus;
  return rest;
}

function reachesJob(effect: Effect): boolean {
  switch (effect.kind) {
    case 'TriggerSavepoint':
    case 'DisposeSavepoint':
    case 'StopJob':
    case 'CancelJob':
    case 'SubmitJob':
    case 'SetResourceRequirements':
    case 'DeleteCluster':
    case 'DeleteConfigMaps':
      return true;
    case 'ScaleDeployment':
      return effect.replicas === 0;
    default:
      return false;
  }
}

/** Performs the effects one after the other; the first that fails is noted, and the machine decides what follows from it. */
async function act(
  round: Round,
  application: Application,
  effects: readonly Effect[],
  now: number,
): Promise<string | undefined> {
  const { client } = round.cluster;
  const tools = { client, jobManager: (hash: string) => jobManagerOf(client, application, hash) };
  let current = application;
  for (const effect of effects) {
    try {
      const triggerId = await performEffect(tools, current, effect);
      const noted = triggerId && noteTriggerId(current.status, effect, triggerId);
      if (noted) current = await patchApplicationStatus(client, current, noted);
      // The finalizer is in the application itself: what follows rests on its new version.
      if (effect.kind === 'AddFinalizer') current = (await getApplication(client, current)) ?? current;
    } catch (error) {
      if (isConflict(error) || !(error instanceof ControlPlaneError)) throw error;
      return failEffect(round, current, { effect, error, now });
    }
  }
  return undefined;
}

interface FailedEffect {
  readonly effect: Effect;
  readonly error: ControlPlaneError;
  readonly now: number;
}

async function failEffect(
  round: Round,
  application: Application,
  { effect, error, now }: FailedEffect,
): Promise<string> {
  const message = describeError(error);
  round.log.error('effect failed', { application: keyOf(application), effect: effect.kind, error: message });
  // At rest nothing is given up, so nothing has to be counted but what is done to savepoints.
  const { rollout, deletion } = application.status;
  if (rollout === undefined && deletion === undefined) {
    const failed = failSavepoint(application.status, effect, message, now);
    if (failed === undefined) return message;
    const recorded = await patchApplicationStatus(round.cluster.client, application, failed.status);
    await tell(round, recorded, failed.events, now);
    return message;
  }
  const status = noteError(application.status, classifyError(effect, error), now);
  await patchApplicationStatus(round.cluster.client, application, status);
  return message;
}

const MAX_RETRIES = 20;

function classifyError(effect: Effect, error: ControlPlaneError): Omit<LastSeenError, 'lastErrorUpdateTime'> {
  const appError = describeError(error).slice(0, 1000);
  if (error instanceof JobManagerError) {
    const { method, code: errorCode, isRetryable, isFailFast, maxRetries } = error;
    return { appError, method, errorCode, isRetryable, isFailFast, maxRetries };
  }
  // What is not as the API server wants it stays so; everything else may pass.
  const isInvalid = error instanceof TerminalError || (error instanceof KubernetesError && error.code === 422);
  const errorCode = error instanceof KubernetesError ? String(error.code ?? 'FAILED') : 'FAILED';
  return {
    appError,
    method: effect.kind,
    errorCode,
    isRetryable: !isInvalid,
    isFailFast: isInvalid,
    maxRetries: MAX_RETRIES,
  };
}

/** Events explain; one that cannot be written stops nothing. */
async function tell(round: Round, application: Application, events: readonly Event[], time: number): Promise<void> {
  const object = applicationReference(application);
  for (const { type, reason, message } of events) {
    try {
      await createEvent(round.cluster.client, { object, type, reason, message, time });
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error;
      round.log.warn('event not written', { application: keyOf(application), reason, error: describeError(error) });
    }
  }
}
