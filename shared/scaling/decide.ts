// The whole decision, top to bottom: look → may we act? → what does each metric ask for? → largest → stabilise → limit →
// pause. Pure: the same observation, status and instant give the same answer, so a decision can be replayed.

import { type ConditionUpdate, setCondition } from './conditions.ts';
import { closeNewest, initialRecommendations, recordRecommendation, resolvePendingRescale } from './history.ts';
import { limitSize, type SizeLimit, stabilize } from './limit.ts';
import { type MetricFailure, type MetricProposal, type Proposal, proposeFromResource } from './propose.ts';
import type { AutoscalerSpec, AutoscalerStatus, Decision, MetricSpec, Observation, Scale } from './types.ts';

export interface DecisionInput {
  readonly spec: AutoscalerSpec;
  /** metadata.generation of the autoscaler that was read. */
  readonly generation?: number;
  readonly observation: Observation;
  /** What the previous tick left. */
  readonly status: AutoscalerStatus;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** Phases of a FlinkApplication in which its size may change: it runs, or its last deployment gave up. */
const PHASES_AT_REST = ['Running', 'DeployFailed'];

/**
 * Decides the size of one target, as the HorizontalPodAutoscaler would (autoscaling/v2, Kubernetes 1.37).
 * Never throws: whatever could not be read becomes a condition with the HPA's reason.
 */
export function decide(input: DecisionInput): Decision {
  const { spec, observation, now } = input;
  const tick = { ...input, status: withGeneration(input.status, input.generation) };
  if (spec.mode === 'Off')
    return standStill(tick, {
      type: 'ScalingActive',
      reason: 'ScalingDisabled',
      message: 'scaling is disabled: spec.mode is Off',
    });

  const scale = observation.scale;
  if ('unreadable' in scale) {
    const message = `Headrace was unable to get the target's current scale: ${scale.unreadable}`;
    return standStill(tick, { type: 'AbleToScale', reason: 'FailedGetScale', message, error: message });
  }
  const looked = rememberScale(tick, scale.value);
  const obstacle = findObstacle(spec, observation, scale.value);
  if (obstacle !== undefined) return standStill(looked, { ...obstacle, type: 'ScalingActive' }, scale.value.replicas);
  const outOfBounds = correctBounds(looked, scale.value.replicas);
  if (outOfBounds !== undefined) return outOfBounds;
  const { selectorFault } = scale.value;
  if (selectorFault !== undefined)
    return standStill(
      looked,
      { ...asError('InvalidSelector', selectorFault), type: 'ScalingActive' },
      scale.value.replicas,
    );
  return decideFromMetrics(looked, scale.value.replicas, now);
}

export interface InvalidInput {
  readonly status: AutoscalerStatus;
  readonly generation: number;
  /** What must hold and does not. */
  readonly fault: string;
  readonly now: number;
}

/** Decides nothing about an autoscaler whose spec cannot be read: its target is left alone, and a condition says why. */
export function decideInvalid({ status, generation, fault, now }: InvalidInput): Decision {
  const conditions = setCondition(
    status.conditions,
    { type: 'ScalingActive', status: 'False', reason: 'InvalidSpec', message: fault },
    now,
  );
  const decision = { rescale: false, reason: 'InvalidSpec', message: fault, error: fault };
  return conclude({ now }, { ...decision, status: { ...status, observedGeneration: generation, conditions } });
}

/** Takes a rescale back in status after its write failed. What became of the size is seen by the next tick. */
export function failRescale(
  status: AutoscalerStatus,
  failure: { readonly error: string; readonly desiredReplicas: number | undefined; readonly now: number },
): AutoscalerStatus {
  const { desiredReplicas, ...rest } = status;
  const message = `Headrace was unable to update the target scale: ${failure.error}`;
  return {
    ...rest,
    ...(failure.desiredReplicas !== undefined && { desiredReplicas: failure.desiredReplicas }),
    conditions: setCondition(
      status.conditions,
      { type: 'AbleToScale', status: 'False', reason: 'FailedUpdateScale', message },
      failure.now,
    ),
  };
}

function withGeneration(status: AutoscalerStatus, generation: number | undefined): AutoscalerStatus {
  return generation === undefined ? status : { ...status, observedGeneration: generation };
}

/** Takes in what the scale tells: that it can be read, its selector, and what became of a size written down earlier. */
function rememberScale(tick: DecisionInput, { replicas, selector }: Scale): DecisionInput {
  const { now } = tick;
  const { pendingRescale, ...status } = tick.status;
  const memory = resolvePendingRescale(
    { scaleEvents: status.scaleEvents, ...(pendingRescale && { pendingRescale }) },
    replicas,
    now,
  );
  const conditions = setCondition(
    status.conditions,
    {
      type: 'AbleToScale',
      status: 'True',
      reason: 'SucceededGetScale',
      message: "Headrace was able to get the target's current scale",
    },
    now,
  );
  const recommendations = status.recommendations ?? initialRecommendations(replicas, now);
  return {
    ...tick,
    status: { ...status, ...memory, conditions, recommendations, selector, currentReplicas: replicas },
  };
}

interface Obstacle {
  readonly reason: string;
  readonly message: string;
  /** Set where somebody has to mend something; an obstacle that passes by itself is no error. */
  readonly error?: string;
}

/** Asked one after the other; the first that speaks decides that nothing is scaled now. */
function findObstacle(spec: AutoscalerSpec, observation: Observation, scale: Scale): Obstacle | undefined {
  const { phase, rivals } = observation;
  if ('unreadable' in rivals)
    return asError(
      'FailedGetAutoscalers',
      `unable to tell whether another autoscaler has the same target: ${rivals.unreadable}`,
    );
  if (rivals.value.length > 0)
    return asError(
      'AmbiguousSelector',
      `${describeTarget(spec)} is also the target of ${rivals.value.join(', ')}: remove one of them`,
    );
  if (phase !== undefined && !PHASES_AT_REST.includes(phase))
    return {
      reason: 'DeploymentInProgress',
      message: `${describeTarget(spec)} is being deployed (phase ${phase || 'New'}): its size is left alone until it runs`,
    };
  if (scale.replicas === 0)
    return { reason: 'ScalingDisabled', message: 'scaling is disabled since the replica count of the target is zero' };
  return undefined;
}

function asError(reason: string, message: string): Obstacle {
  return { reason, message, error: message };
}

function describeTarget({ target }: AutoscalerSpec): string {
  return `${target.kind} ${target.name}`;
}

/** A size outside min…max is corrected at once: no metrics, no window, no rate, and the other conditions stay as they were. */
function correctBounds(tick: DecisionInput, current: number): Decision | undefined {
  const { minReplicas, maxReplicas } = tick.spec;
  if (current > maxReplicas)
    return settle(withoutRecommendation(tick), {
      current,
      desired: maxReplicas,
      explanation: 'Current number of replicas above Spec.MaxReplicas',
    });
  if (current < minReplicas)
    return settle(withoutRecommendation(tick), {
      current,
      desired: minReplicas,
      explanation: 'Current number of replicas below Spec.MinReplicas',
    });
  return undefined;
}

function decideFromMetrics(tick: DecisionInput, current: number, now: number): Decision {
  const { spec, status } = tick;
  const proposals = spec.metrics.map((metric, index) => propose(tick, metric, index, current));
  const shown = { ...status, ...showMetrics(status, spec.metrics, proposals, now) };
  const failures = proposals.filter((proposal): proposal is MetricFailure => 'reason' in proposal);
  const largest = findLargest(proposals);
  const firstFailure = failures[0];
  const error =
    firstFailure &&
    `invalid metrics (${failures.length} invalid out of ${proposals.length}), first error is: ${firstFailure.message}`;

  // A partial failure may hide a larger need, so it blocks shrinking alone.
  if (largest === undefined || (firstFailure !== undefined && largest.replicas < current)) {
    const message = `Headrace was unable to compute the replica count: ${firstFailure?.message}`;
    return standStill(
      { ...tick, status: shown },
      {
        type: 'ScalingActive',
        reason: firstFailure?.reason ?? 'FailedGetResourceMetric',
        message,
        error: error ?? message,
      },
      current,
    );
  }
  return normalize({ ...tick, status: shown }, current, largest, error);
}

function propose(tick: DecisionInput, metric: MetricSpec, index: number, currentReplicas: number): Proposal {
  if (metric.type === 'Unsupported')
    return { reason: 'InvalidMetricSourceType', message: metric.message, seenAndWanted: '<unknown>' };
  const { observation, spec, now } = tick;
  const samples = observation.metrics[index] ?? { unreadable: 'the metric was not read' };
  return proposeFromResource({
    metric,
    currentReplicas,
    pods: observation.pods,
    samples,
    settings: spec.settings,
    now,
  });
}

function findLargest(proposals: readonly Proposal[]): MetricProposal | undefined {
  let largest: MetricProposal | undefined;
  for (const proposal of proposals)
    if ('replicas' in proposal && (largest === undefined || proposal.replicas > largest.replicas)) largest = proposal;
  return largest;
}

function showMetrics(
  status: AutoscalerStatus,
  metrics: readonly MetricSpec[],
  proposals: readonly Proposal[],
  now: number,
) {
  const names = metrics.map((metric) => (metric.type === 'Resource' ? metric.resource : metric.name));
  return {
    ...status,
    currentMetrics: proposals.map((proposal) => ('currentMetric' in proposal ? proposal.currentMetric : null)),
    currentMetricsTime: now,
    targets: proposals.map((proposal, index) => `${names[index]}: ${proposal.seenAndWanted}`).join(', '),
  };
}

/** Stabilise → limit → pause, with a condition for each. */
function normalize(tick: DecisionInput, current: number, largest: MetricProposal, error: string | undefined): Decision {
  const { spec, now, status } = tick;
  const { settings } = spec;
  const recommendations = status.recommendations ?? [];
  const stabilized = stabilize({ proposedReplicas: largest.replicas, recommendations, settings, now });
  const limit = limitSize(stabilized, current, spec);
  const conditions = [
    {
      type: 'ScalingActive',
      status: 'True',
      reason: 'ValidMetricFound',
      message: `the replica count was calculated from ${largest.description}`,
    },
    stabilized === largest.replicas
      ? {
          type: 'AbleToScale',
          status: 'True',
          reason: 'ReadyForNewScale',
          message: 'recommended size matches current size',
        }
      : {
          type: 'AbleToScale',
          status: 'True',
          reason: 'ScaleDownStabilized',
          message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
        },
    {
      type: 'ScalingLimited',
      status: limit.replicas === stabilized ? 'False' : 'True',
      reason: limit.reason,
      message: limit.message,
    },
  ] satisfies ConditionUpdate[];
  const remembered = recordRecommendation(recommendations, largest.replicas, {
    now,
    windowSeconds: settings.downscaleStabilizationSeconds,
    syncPeriodSeconds: settings.syncPeriodSeconds,
  });
  return settle(
    {
      ...tick,
      status: { ...status, conditions: setConditions(status.conditions, conditions, now), recommendations: remembered },
    },
    {
      current,
      desired: limit.replicas,
      explanation: explain(largest, stabilized, limit, settings.downscaleStabilizationSeconds),
      ...(error && { error }),
    },
  );
}

/** "cpu: 80%/40%, ceil(2 × 80/40) = 4; …" */
function explain(largest: MetricProposal, stabilized: number, limit: SizeLimit, windowSeconds: number): string {
  const parts = [`${largest.currentMetric.resource} ${largest.seenAndWanted}: ${largest.arithmetic}`];
  if (stabilized !== largest.replicas)
    parts.push(`the largest recommendation of the last ${windowSeconds} s is ${stabilized}`);
  if (limit.replicas !== stabilized) parts.push(`limited to ${limit.replicas} (${limit.reason})`);
  return parts.join('; ');
}

interface Outcome {
  readonly current: number;
  readonly desired: number;
  readonly explanation: string;
  readonly error?: string;
}

/** The end of every decision that has a number: write the size down, hold it back, or note that nothing is to be done. */
function settle(tick: DecisionInput, outcome: Outcome): Decision {
  const { status, now, spec } = tick;
  const { current, desired, explanation, error } = outcome;
  const pause = findPause(spec, current, desired);
  const isRescale = desired !== current && pause === undefined;
  const isHeldBack = desired !== current && pause !== undefined;
  const change = desired === current ? `stays at ${current}` : `scales from ${current} to ${desired}`;
  const message = `${change}: ${explanation}${isHeldBack ? `; not done: ${pause.message}` : ''}`;
  const ableToScale = status.conditions.find((condition) => condition.type === 'AbleToScale');
  const reason = isRescale
    ? 'SuccessfulRescale'
    : isHeldBack
      ? pause.reason
      : (ableToScale?.reason ?? 'ReadyForNewScale');
  const rescaled: ConditionUpdate = {
    type: 'AbleToScale',
    status: 'True',
    reason: 'SucceededRescale',
    message: `Headrace was able to update the target scale to ${desired}`,
  };
  return conclude(tick, {
    currentReplicas: current,
    desiredReplicas: desired,
    rescale: isRescale,
    reason,
    message,
    ...(error !== undefined && { error }),
    status: {
      ...status,
      desiredReplicas: desired,
      conditions: showPause(isRescale ? setCondition(status.conditions, rescaled, now) : status.conditions, pause, now),
      ...(isRescale && { pendingRescale: { from: current, to: desired, time: now } }),
    },
  });
}

interface Pause {
  readonly reason: string;
  readonly message: string;
}

function findPause(spec: AutoscalerSpec, current: number, desired: number): Pause | undefined {
  if (spec.mode === 'Advise') return { reason: 'ModeAdvise', message: 'spec.mode is Advise' };
  if (spec.pause.scaleUp && desired > current)
    return { reason: 'ScaleUpPaused', message: 'spec.pause.scaleUp is true' };
  if (spec.pause.scaleDown && desired < current)
    return { reason: 'ScaleDownPaused', message: 'spec.pause.scaleDown is true' };
  return undefined;
}

// A condition of our own, after the HPA's. It appears with the first pause, so that an object that was never paused looks as an HPA does.
function showPause(conditions: AutoscalerStatus['conditions'], pause: Pause | undefined, now: number) {
  const isKnown = conditions.some((condition) => condition.type === 'Paused');
  if (pause !== undefined) return setCondition(conditions, { type: 'Paused', status: 'True', ...pause }, now);
  return isKnown
    ? setCondition(
        conditions,
        { type: 'Paused', status: 'False', reason: 'NotPaused', message: 'nothing is held back' },
        now,
      )
    : conditions;
}

interface StandStill extends Obstacle {
  readonly type: 'AbleToScale' | 'ScalingActive';
}

/** The end of every decision without a number: the size is left alone, and a condition says why. */
function standStill(tick: DecisionInput, { type, reason, message, error }: StandStill, current?: number): Decision {
  const unrecommended = withoutRecommendation(tick);
  const { status, now } = unrecommended;
  return conclude(unrecommended, {
    ...(current !== undefined && { currentReplicas: current, desiredReplicas: current }),
    rescale: false,
    reason,
    message,
    ...(error !== undefined && { error }),
    status: { ...status, conditions: setCondition(status.conditions, { type, status: 'False', reason, message }, now) },
  });
}

function withoutRecommendation(tick: DecisionInput): DecisionInput {
  const { status, now, spec } = tick;
  if (status.recommendations === undefined) return tick;
  return {
    ...tick,
    status: { ...status, recommendations: closeNewest(status.recommendations, now, spec.settings.syncPeriodSeconds) },
  };
}

/** Notes a decision that changed something: a new size, or a new reason for keeping it. */
function conclude({ now }: { readonly now: number }, decision: Decision): Decision {
  const { lastDecision } = decision.status;
  const { currentReplicas = 0, desiredReplicas = currentReplicas, reason, message } = decision;
  const isSame = lastDecision?.reason === reason && lastDecision.desiredReplicas === desiredReplicas;
  // The tick after a rescale finds nothing to do: what was done, and why, stays on record.
  const isRestAfterRescale = lastDecision?.reason === 'SuccessfulRescale' && reason === 'ReadyForNewScale';
  if (!decision.rescale && (isSame || isRestAfterRescale)) return decision;
  return {
    ...decision,
    status: { ...decision.status, lastDecision: { time: now, currentReplicas, desiredReplicas, reason, message } },
  };
}

function setConditions(conditions: AutoscalerStatus['conditions'], updates: readonly ConditionUpdate[], now: number) {
  return updates.reduce((list, update) => setCondition(list, update, now), conditions);
}
