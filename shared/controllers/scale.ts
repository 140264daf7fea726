// One tick of one shard: observe → decide → record → act → tell, for every autoscaler on its own.

import { mapBounded } from '../concurrency.ts';
import type { Cluster, ControlPlane, Log } from '../control-plane.ts';
import { describeError } from '../errors.ts';
import { isConflict, isNotFound } from '../kubernetes/errors.ts';
import { autoscalerReference, createEvent } from '../kubernetes/events.ts';
import {
  countUnknown,
  diffStatus,
  type FlinkAutoscaler,
  patchStatus,
  SYNC_PERIOD_SECONDS,
  toWireStatus,
} from '../kubernetes/flink-autoscaler.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { keyOf } from '../kubernetes/paths.ts';
import { patchScale } from '../kubernetes/scale.ts';
import { decide, decideInvalid, failRescale } from '../scaling/decide.ts';
import type { AutoscalerSpec, AutoscalerStatus, Decision, DecisionEvent, Observation } from '../scaling/types.ts';
import { findChanged, findRescaled } from './changed.ts';
import { type Collector, createCollector } from './collect.ts';
import { readNamespaces } from './namespaces.ts';
import { findRivals, observe, readWorld, type World } from './observe.ts';
import { findTarget, type Target } from './target.ts';

/** What came of one autoscaler in one tick. */
export type Outcome =
  /** Nothing had to be written. */
  | 'unchanged'
  /** The decision was written to status; the size stays. */
  | 'recorded'
  /** The target's scale was written. */
  | 'rescaled'
  /** Somebody else wrote first; the next tick decides again from what is there. */
  | 'conflict'
  /** The decision or its writes failed; the others went on. */
  | 'failed';

export interface AutoscalerReport {
  readonly namespace: string;
  readonly name: string;
  /** "FlinkApplication/orders" */
  readonly target: string;
  readonly spec?: AutoscalerSpec;
  readonly decision?: Decision;
  readonly outcome: Outcome;
  readonly error?: string;
}

export interface TickReport {
  readonly cluster: string;
  /** Epoch milliseconds of every decision in it. */
  readonly time: number;
  readonly autoscalers: readonly AutoscalerReport[];
  /** FlinkApplications (namespace/name) whose spec reconcile had not looked at when the tick began. */
  readonly changed: readonly string[];
  /** FlinkApplications (namespace/name) to which the tick has given another size. */
  readonly rescaled: readonly string[];
}

export interface ScaleOptions {
  /** Decide and report, write nothing at all. */
  readonly dryRun?: boolean;
}

/** Autoscalers at once; as many as the client has connections. */
const CONCURRENCY = 16;

/** A tick ends within its function's 14 s, whatever hangs: what was not read by then is unknown, and what was decided is written. */
const READ_BUDGET_MILLISECONDS = 8000;
const TICK_BUDGET_MILLISECONDS = 12_500;

/**
 * Runs one tick over the FlinkAutoscalers of some namespaces (none named: all of them). A namespace that cannot be read is
 * told, and the others go on.
 *
 * @throws ControlPlaneError when no autoscalers can be listed at all; everything later is the affair of one autoscaler
 */
export async function scaleShard(
  plane: Pick<ControlPlane, 'now' | 'log'>,
  cluster: Cluster,
  namespaces: Namespaces,
  { dryRun = false }: ScaleOptions = {},
): Promise<TickReport> {
  const reading = { ...cluster, client: cluster.client.within({ budgetMilliseconds: READ_BUDGET_MILLISECONDS }) };
  const writing = { ...cluster, client: cluster.client.within({ budgetMilliseconds: TICK_BUDGET_MILLISECONDS }) };
  const worlds = await readNamespaces(namespaces, {
    kind: 'FlinkAutoscalers',
    read: (some) => readWorld(reading, some),
    onUnread: (failure) => plane.log.error('namespace not read', { cluster: cluster.name, ...failure }),
  });
  const time = await plane.now();
  const collector = createCollector(reading);
  const tick = { reading, cluster: writing, collector, time, dryRun, log: plane.log };
  const work = worlds.flatMap((world) => world.autoscalers.map((autoscaler) => ({ world, autoscaler })));
  const autoscalers = await mapBounded(work, CONCURRENCY, ({ world, autoscaler }) =>
    scaleOrReport({ ...tick, world }, autoscaler),
  );
  const changed = findChanged(worlds);
  return { cluster: cluster.name, time, autoscalers, changed, rescaled: findRescaled(autoscalers) };
}

interface Tick {
  /** The cluster as it is read, and as it is written to: the same, with different limits of time. */
  readonly reading: Cluster;
  readonly cluster: Cluster;
  readonly world: World;
  readonly collector: Collector;
  readonly time: number;
  readonly dryRun: boolean;
  readonly log: Log;
}

/** One autoscaler's failure is its own: it is reported, and the others go on. */
async function scaleOrReport(tick: Tick, autoscaler: FlinkAutoscaler): Promise<AutoscalerReport> {
  const { namespace, name } = autoscaler;
  const target = autoscaler.target === undefined ? '' : `${autoscaler.target.kind}/${autoscaler.target.name}`;
  const identity = { namespace, name, target };
  try {
    return { ...identity, ...(await scale(tick, autoscaler)) };
  } catch (error) {
    if (isConflict(error)) {
      tick.log.warn('conflict', { autoscaler: keyOf(autoscaler), error: describeError(error) });
      return { ...identity, outcome: 'conflict' };
    }
    if (isNotFound(error)) return { ...identity, outcome: 'unchanged' };
    const message = describeError(error);
    tick.log.error('autoscaler failed', { autoscaler: keyOf(autoscaler), error: message });
    return { ...identity, outcome: 'failed', error: message };
  }
}

type Result = Pick<AutoscalerReport, 'spec' | 'decision' | 'outcome' | 'error'>;

async function scale(tick: Tick, autoscaler: FlinkAutoscaler): Promise<Result> {
  const { reading, world, collector, time: now, dryRun } = tick;
  const { status, generation } = autoscaler;
  if ('unreadable' in autoscaler.spec) {
    const decision = decideInvalid({ status, generation, now, fault: autoscaler.spec.unreadable });
    return { decision, ...(await record(tick, autoscaler, decision)) };
  }
  const spec = autoscaler.spec.value;
  if (spec.mode === 'Off') {
    const decision = decide({ spec, generation, observation: UNSEEN, status, now });
    return { spec, decision, ...(await record(tick, autoscaler, decision)) };
  }
  const rivals = findRivals(world, autoscaler, spec);
  const isAlone = 'value' in rivals && rivals.value.length === 0;
  const maySeed = spec.mode === 'Auto' && isAlone;
  const seeding = !maySeed ? 'none' : dryRun ? 'reckon' : 'write';
  const target = await findTarget({ cluster: reading, world, autoscaler, spec, seeding });
  const observation = await observe({ cluster: reading, world, collector, autoscaler, spec, rivals, target });
  const decision = decide({ spec, generation, observation, status, now });
  if (decision.rescale && isBeingScaled(autoscaler, now)) return { spec, decision, outcome: 'conflict' };

  const recorded = await record(tick, autoscaler, decision.rescale ? keepRefusal(decision, status) : decision);
  if (!decision.rescale || dryRun || 'unreadable' in target) return { spec, decision, ...recorded };
  return {
    spec,
    ...(await act(tick, { ...autoscaler, resourceVersion: recorded.resourceVersion }, target.value, decision)),
  };
}

/** While the size is refused again and again, the condition says so until it has moved: it does not flap at every try. */
function keepRefusal(decision: Decision, before: AutoscalerStatus): Decision {
  const refusal = before.conditions.find(({ reason }) => reason === 'FailedUpdateScale');
  if (refusal === undefined) return decision;
  const conditions = decision.status.conditions.map((condition) =>
    condition.type === refusal.type ? refusal : condition,
  );
  return { ...decision, status: { ...decision.status, conditions } };
}

/** What a tick sees of a target that it is told not to look at. */
const UNSEEN: Observation = {
  scale: { unreadable: 'not looked at' },
  rivals: { value: [] },
  pods: { value: [] },
  metrics: [],
};

/**
 * Whether another tick has begun a step less than half a period ago: this one overlaps it (SQS delivers at least once), and
 * a second step in the same period would be one too many.
 */
function isBeingScaled({ status: { pendingRescale } }: FlinkAutoscaler, now: number): boolean {
  if (pendingRescale === undefined) return false;
  return Math.abs(now - pendingRescale.time) < (SYNC_PERIOD_SECONDS * 1000) / 2;
}

/** Writes the status when it says something new. A size that is to be made is in it before it is made. */
async function record(
  tick: Tick,
  autoscaler: FlinkAutoscaler,
  decision: Decision,
): Promise<{ outcome: Outcome; resourceVersion: string; error?: string }> {
  const changes = diffStatus(autoscaler, decision.status);
  const error = decision.error === undefined ? {} : { error: decision.error };
  if (changes === undefined || tick.dryRun)
    return { outcome: 'unchanged', resourceVersion: autoscaler.resourceVersion, ...error };
  const resourceVersion = await patchStatus(tick.cluster.client, autoscaler, changes);
  if ('lastDecision' in changes || 'conditions' in changes) tell(tick, autoscaler, decision);
  const hasFailureMoved = countUnknown(autoscaler.status.targets) !== countUnknown(decision.status.targets);
  if ('lastDecision' in changes || hasFailureMoved)
    for (const event of decision.events) if (event.type === 'Warning') await announce(tick, autoscaler, event);
  return { outcome: 'recorded', resourceVersion, ...error };
}

/** Writes the size, if the target is still as it was when it was decided. */
async function act(
  tick: Tick,
  autoscaler: FlinkAutoscaler,
  target: Target,
  decision: Decision,
): Promise<Omit<Result, 'spec'>> {
  const { desiredReplicas = target.replicas } = decision;
  try {
    await patchScale(tick.cluster.client, target, desiredReplicas);
  } catch (error) {
    if (isConflict(error)) {
      tick.log.warn('conflict', { autoscaler: keyOf(autoscaler), error: describeError(error) });
      return { decision, outcome: 'conflict' };
    }
    return { decision, ...(await recordFailure(tick, autoscaler, decision, describeError(error))) };
  }
  for (const event of decision.events) if (event.type === 'Normal') await announce(tick, autoscaler, event);
  return { decision, outcome: 'rescaled', ...(decision.error !== undefined && { error: decision.error }) };
}

// The write may have taken effect though its answer was lost: the pending rescale stays, and the next tick sees the size that is.
async function recordFailure(
  tick: Tick,
  autoscaler: FlinkAutoscaler,
  decision: Decision,
  error: string,
): Promise<{ outcome: Outcome; error: string }> {
  const { client } = tick.cluster;
  const status: AutoscalerStatus = failRescale(decision.status, { error, before: autoscaler.status, now: tick.time });
  const changes = diffStatus(
    {
      ...autoscaler,
      status: decision.status,
      wireStatus: toWireStatus(keepRefusal(decision, autoscaler.status).status),
    },
    status,
  );
  tick.log.error('rescale failed', { autoscaler: keyOf(autoscaler), error });
  if (changes !== undefined) await patchStatus(client, autoscaler, changes);
  const hasFailedBefore = autoscaler.status.conditions.some(({ reason }) => reason === 'FailedUpdateScale');
  const message = `New size: ${decision.desiredReplicas}; error: ${error}`;
  if (!hasFailedBefore) await announce(tick, autoscaler, { type: 'Warning', reason: 'FailedRescale', message });
  return { outcome: 'failed', error };
}

function tell({ log, cluster }: Tick, autoscaler: FlinkAutoscaler, decision: Decision): void {
  const { currentReplicas, desiredReplicas, reason, message, rescale } = decision;
  log.info('decided', {
    cluster: cluster.name,
    autoscaler: keyOf(autoscaler),
    currentReplicas,
    desiredReplicas,
    rescale,
    reason,
    // Not `message`: that is the log line's own.
    explanation: message,
  });
}

/** An Event is told once and never stands in the way: one that is not taken is only logged. */
async function announce(
  { cluster, time, log }: Tick,
  autoscaler: FlinkAutoscaler,
  event: DecisionEvent,
): Promise<void> {
  try {
    await createEvent(cluster.client, { object: autoscalerReference(autoscaler), time, ...event });
  } catch (error) {
    if (!isConflict(error))
      log.warn('event not recorded', {
        autoscaler: keyOf(autoscaler),
        reason: event.reason,
        error: describeError(error),
      });
  }
}
