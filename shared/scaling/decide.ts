// The whole decision, top to bottom: look → may we act? → what does each metric ask for? → largest → stabilise → limit →
// pause. Pure: the same observation, status and instant give the same answer, so a decision can be replayed.

import { type ConditionUpdate, setCondition } from './conditions.ts';
import { closeNewest, initialRecommendations, recordRecommendation, resolvePendingRescale } from './history.ts';
import { limitSize, type SizeLimit, type Stabilized, stabilize } from './limit.ts';
import { type MetricFailure, type MetricProposal, nameOf, type Proposal, unknownOf } from './proposal.ts';
import { propose } from './propose.ts';
import {
  type EndedJob,
  findEndedJob,
  isNotOwned,
  type ReportInput,
  replicasRunning,
  reportDeployment,
} from './target-deployment.ts';
import type {
  AutoscalerSpec,
  AutoscalerStatus,
  Decision,
  DecisionEvent,
  Observation,
  Scale,
  Tolerance,
} from './types.ts';

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
 * Decides the size of one target, as the HorizontalPodAutoscaler would (autoscaling/v2, Kubernetes 1.37), and reports where the
 * target does not deploy what it is asked for.
 * Never throws: whatever could not be read becomes a condition with the HPA's reason.
 */
export function decide(input: DecisionInput): Decision {
  const { spec, observation } = input;
  const tick = { ...input, status: prepareStatus(input) };
  if (spec.mode === 'Off')
    return standStill(tick, {
      type: 'ScalingActive',
      reason: 'ScalingDisabled',
      message: 'scaling is disabled: spec.mode is Off',
    });

  const scale = observation.scale;
  if ('unreadable' in scale) {
    const message = `Headrace was unable to get the target's current scale: ${scale.unreadable}`;
    const standing = { type: 'AbleToScale', reason: 'FailedGetScale', message, error: message } as const;
    return standStill(tick, standing, tick.status.currentReplicas);
  }
  const looked = rememberScale(tick, scale.value);
  const obstacle = findObstacle(looked, scale.value);
  if (obstacle !== undefined) return standStill(looked, { ...obstacle, type: 'ScalingActive' }, scale.value.replicas);
  const outOfBounds = correctBounds(looked, scale.value.replicas);
  if (outOfBounds !== undefined) return outOfBounds;
  const ambiguity = findAmbiguity(looked.observation, scale.value);
  if (ambiguity !== undefined) return standStill(looked, { ...ambiguity, type: 'ScalingActive' }, scale.value.replicas);
  return decideFromMetrics(looked, scale.value);
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
  const events: DecisionEvent[] = [{ type: 'Warning', reason: 'InvalidSpec', message: fault }];
  const decision = { rescale: false, reason: 'InvalidSpec', message: fault, error: fault, events };
  return conclude({ now }, { ...decision, status: { ...status, observedGeneration: generation, conditions } });
}

/** Takes a rescale back in status after its write failed. What became of the size is seen by the next tick. */
export function failRescale(
  status: AutoscalerStatus,
  failure: { readonly error: string; readonly before: AutoscalerStatus; readonly now: number },
): AutoscalerStatus {
  const { before, error, now } = failure;
  const { desiredReplicas: _, lastDecision, conditions, ...rest } = status;
  const message = `Headrace was unable to update the target scale: ${error}`;
  const scaledToZero = before.conditions.filter(({ type }) => type === 'ScaledToZero');
  const restored = conditions.flatMap((condition) => (condition.type === 'ScaledToZero' ? scaledToZero : [condition]));
  return {
    ...rest,
    ...(before.desiredReplicas !== undefined && { desiredReplicas: before.desiredReplicas }),
    ...(lastDecision && { lastDecision: { ...lastDecision, reason: 'FailedUpdateScale', message } }),
    conditions: setCondition(
      restored,
      { type: 'AbleToScale', status: 'False', reason: 'FailedUpdateScale', message },
      now,
    ),
  };
}

/** Every tick measures anew: a reading that it cannot repeat is unknown. */
function prepareStatus({ spec, status, generation }: DecisionInput): AutoscalerStatus {
  const { currentMetrics: _, currentMetricsTime: __, ...rest } = status;
  const targets = spec.metrics.map((metric) => `${nameOf(metric)}: ${unknownOf(metric)}`).join(', ');
  return { ...rest, targets, ...(generation !== undefined && { observedGeneration: generation }) };
}

/** Takes in what the scale tells: that it can be read, its selector, and what became of a size written down earlier. */
function rememberScale(tick: DecisionInput, { replicas, selector }: Scale): DecisionInput {
  const { now, observation } = tick;
  const { pendingRescale, ...status } = tick.status;
  // After an edit the size is the user's, and tells nothing of our last step: it is taken to have been made.
  const sizeAfterStep = isEdited(tick) ? (pendingRescale?.to ?? replicas) : replicas;
  const memory = resolvePendingRescale(
    { scaleEvents: status.scaleEvents, ...(pendingRescale && { pendingRescale }) },
    sizeAfterStep,
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
  const recommendations = isEdited(tick) ? undefined : status.recommendations;
  return {
    ...tick,
    status: {
      ...status,
      ...memory,
      conditions,
      recommendations: recommendations ?? initialRecommendations(replicas, now),
      selector,
      currentReplicas: replicasRunning(observation) ?? replicas,
      ...(observation.scaleBasis && { scaleBasis: observation.scaleBasis }),
    },
  };
}

// A user who edits parallelism or slots asks for another size: what was recommended for the old one must not bring it back.
function isEdited({ observation: { scaleBasis: seen }, status: { scaleBasis: known } }: DecisionInput): boolean {
  if (seen === undefined || known === undefined) return false;
  return seen.parallelism !== known.parallelism || seen.taskSlots !== known.taskSlots;
}

interface Obstacle {
  readonly reason: string;
  readonly message: string;
  /** Set where somebody has to mend something; an obstacle that passes by itself is no error. */
  readonly error?: string;
  /** The Event's reason, where it is another than the condition's. */
  readonly event?: string;
  /** What status is to say is desired; absent, it goes on saying what was last computed. */
  readonly desiredReplicas?: number;
}

/** Asked one after the other; the first that speaks decides that nothing is scaled now. */
function findObstacle({ spec, observation, status }: DecisionInput, scale: Scale): Obstacle | undefined {
  const { phase, rivals, targetConditions } = observation;
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
  // Other replicas would be a spec that is not what runs, by which another operator's cluster is recognised.
  if (isNotOwned(targetConditions))
    return {
      reason: 'TargetNotOwned',
      message: `${describeTarget(spec)} is not deployed by Headrace: its replicas are left alone`,
    };
  if (phase === 'Suspended')
    return {
      reason: 'TargetSuspended',
      message: `${describeTarget(spec)} is suspended: its replicas are left alone until spec.suspend is false`,
    };
  if (phase !== undefined && !PHASES_AT_REST.includes(phase))
    return {
      reason: 'DeploymentInProgress',
      message: `${describeTarget(spec)} is being deployed (phase ${phase || 'New'}): its size is left alone until it runs`,
    };
  const ended = findEndedJob(observation);
  if (ended !== undefined) return describeEndedJob(spec, ended);
  if (scale.replicas === 0 && !mayLeaveZero(spec, status))
    return {
      reason: 'ScalingDisabled',
      message: 'scaling is disabled since the replica count of the target is zero',
      desiredReplicas: 0,
    };
  return undefined;
}

/** A size alone starts no job again, so none is asked for. */
function describeEndedJob(spec: AutoscalerSpec, { message: cause, isFault }: EndedJob): Obstacle {
  const message = `${describeTarget(spec)} is not scaled, since its job does not run: ${cause}`;
  return { reason: 'JobNotRunning', message, ...(isFault && { error: message }) };
}

// A size of 0 that a person set means "leave it"; one that the autoscaler itself chose may grow again.
function mayLeaveZero(spec: AutoscalerSpec, status: AutoscalerStatus): boolean {
  return hasScaledToZero(status) && (spec.minReplicas > 0 || hasValueMetric(spec));
}

function hasScaledToZero({ conditions }: AutoscalerStatus): boolean {
  return conditions.some(({ type, status }) => type === 'ScaledToZero' && status === 'True');
}

/** Only a number beside the pods can be measured while there are none. */
function hasValueMetric({ metrics }: AutoscalerSpec): boolean {
  return metrics.some((metric) => {
    const type = metric.type === 'Unsupported' ? metric.name : metric.type;
    return type === 'Object' || type === 'External';
  });
}

/** Whether it is clear which pods are meant; asked only where metrics are, as the HPA does. */
function findAmbiguity({ sharers = [] }: Observation, { selector, selectorFault }: Scale): Obstacle | undefined {
  if (selectorFault !== undefined) {
    const event = selector === '' ? 'SelectorRequired' : 'InvalidSelector';
    return { ...asError('InvalidSelector', selectorFault), event };
  }
  if (sharers.length > 0)
    return asError('AmbiguousSelector', `pods by selector ${selector} are also picked by ${sharers.join(', ')}`);
  return undefined;
}

function asError(reason: string, message: string): Obstacle {
  return { reason, message, error: message };
}

function describeTarget({ target }: AutoscalerSpec): string {
  return `${target.kind} ${target.name}`;
}

const ABOVE_MAXIMUM = 'Current number of replicas above Spec.MaxReplicas';
const BELOW_MINIMUM = 'Current number of replicas below Spec.MinReplicas';

/** A size outside min…max is corrected at once: no metrics, no window, no rate, and the other conditions stay as they were. */
function correctBounds(tick: DecisionInput, current: number): Decision | undefined {
  const { minReplicas, maxReplicas } = tick.spec;
  if (current > maxReplicas)
    return settle(withoutRecommendation(tick), {
      current,
      desired: maxReplicas,
      explanation: ABOVE_MAXIMUM,
      direction: ABOVE_MAXIMUM,
    });
  if (current < minReplicas && current > 0)
    return settle(withoutRecommendation(tick), {
      current,
      desired: minReplicas,
      explanation: BELOW_MINIMUM,
      direction: BELOW_MINIMUM,
    });
  return undefined;
}

function decideFromMetrics(tick: DecisionInput, scale: Scale): Decision {
  const { spec, status } = tick;
  const proposals = proposeAll(tick, scale);
  const shown = { ...tick, status: { ...status, ...showMetrics(spec, proposals, tick.now) } };
  const failures = proposals.filter((proposal): proposal is MetricFailure => 'reason' in proposal);
  const events = failures.map(({ reason, message }): DecisionEvent => ({ type: 'Warning', reason, message }));
  const currentMetrics = shown.status.currentMetrics;
  const largest = findLargest(proposals);
  const [firstFailure] = failures;

  // A partial failure may hide a larger need, so it blocks shrinking alone.
  if (largest === undefined || (firstFailure !== undefined && largest.replicas < scale.replicas)) {
    const error = describeFailures(failures, proposals.length);
    const message = `Headrace was unable to compute the replica count: ${firstFailure?.message}`;
    const reason = firstFailure?.reason ?? 'FailedComputeMetricsReplicas';
    const decision = standStill(shown, { type: 'ScalingActive', reason, message, error }, scale.replicas);
    const failed: DecisionEvent = { type: 'Warning', reason: 'FailedComputeMetricsReplicas', message: error };
    return { ...decision, currentMetrics, events: [...events, failed] };
  }
  const decision = normalize(shown, scale.replicas, largest);
  const partly = firstFailure === undefined ? {} : { error: describeFailures(failures, proposals.length) };
  return { ...decision, ...partly, currentMetrics, events: [...events, ...decision.events] };
}

function proposeAll({ spec, observation, now }: DecisionInput, scale: Scale): readonly Proposal[] {
  const tolerance = toleranceOf(spec);
  return spec.metrics.map((metric, index) => {
    const samples = observation.metrics[index] ?? { unreadable: 'the metric was not read' };
    return propose({ metric, scale, pods: observation.pods, samples, settings: spec.settings, tolerance, now });
  });
}

function toleranceOf({ behavior, settings }: AutoscalerSpec): Tolerance {
  return {
    scaleUp: behavior?.scaleUp.tolerance ?? settings.tolerance,
    scaleDown: behavior?.scaleDown.tolerance ?? settings.tolerance,
  };
}

function describeFailures(failures: readonly MetricFailure[], count: number): string {
  return `invalid metrics (${failures.length} invalid out of ${count}), first error is: ${failures[0]?.message}`;
}

function findLargest(proposals: readonly Proposal[]): MetricProposal | undefined {
  let largest: MetricProposal | undefined;
  for (const proposal of proposals) {
    if (!('replicas' in proposal)) continue;
    // A proposal of 0 gives way to any other, even to a negative one: so it is in the HPA.
    if (largest === undefined || largest.replicas === 0 || proposal.replicas > largest.replicas) largest = proposal;
  }
  return largest;
}

function showMetrics({ metrics }: AutoscalerSpec, proposals: readonly Proposal[], now: number) {
  return {
    currentMetrics: proposals.map((proposal) => ('currentMetric' in proposal ? proposal.currentMetric : null)),
    currentMetricsTime: now,
    targets: metrics.map((metric, index) => `${nameOf(metric)}: ${proposals[index]?.seenAndWanted}`).join(', '),
  };
}

/** Stabilise → limit → pause, with a condition for each. */
function normalize(tick: DecisionInput, current: number, largest: MetricProposal): Decision {
  const { spec, now, status } = tick;
  const { recommendations = [], scaleEvents } = status;
  const proposed = Math.max(0, largest.replicas);
  const stabilized = stabilize({ spec, currentReplicas: current, proposedReplicas: proposed, recommendations, now });
  const limit = limitSize({ spec, currentReplicas: current, replicas: stabilized.replicas, scaleEvents, now });
  const conditions = [
    {
      type: 'ScalingActive',
      status: 'True',
      reason: 'ValidMetricFound',
      message: `the replica count was calculated from ${largest.description}`,
    },
    { type: 'AbleToScale', status: 'True', reason: stabilized.reason, message: stabilized.message },
    {
      type: 'ScalingLimited',
      status: limit.replicas === stabilized.replicas ? 'False' : 'True',
      reason: limit.reason,
      message: limit.message,
    },
  ] satisfies ConditionUpdate[];
  const { syncPeriodSeconds } = spec.settings;
  const remembered = recordRecommendation(recommendations, proposed, {
    now,
    windowSeconds: longestWindow(spec),
    syncPeriodSeconds,
  });
  const settled = {
    ...status,
    conditions: setConditions(status.conditions, conditions, now),
    recommendations: remembered,
  };
  // From zero no limit applies that would leave it below a minimum that was raised meanwhile.
  const desired = current === 0 ? Math.max(limit.replicas, spec.minReplicas) : limit.replicas;
  return settle(
    { ...tick, status: settled },
    {
      current,
      desired,
      explanation: explain(spec, largest, stabilized, limit),
      direction:
        proposed > current
          ? `${largest.description} above target`
          : proposed < current
            ? 'All metrics below target'
            : '',
    },
  );
}

function longestWindow({ behavior, settings }: AutoscalerSpec): number {
  const { downscaleStabilizationSeconds: fallback } = settings;
  if (behavior === undefined) return fallback;
  const { scaleUp, scaleDown } = behavior;
  return Math.max(scaleUp.stabilizationWindowSeconds ?? 0, scaleDown.stabilizationWindowSeconds ?? fallback);
}

/** "cpu 80%/40%: ceil(2 × 80/40) = 4; …" */
function explain(spec: AutoscalerSpec, largest: MetricProposal, stabilized: Stabilized, limit: SizeLimit): string {
  const parts = [`${nameOf(largest.currentMetric.metric)} ${largest.seenAndWanted}: ${largest.arithmetic}`];
  if (stabilized.reason !== 'ReadyForNewScale') parts.push(explainStabilization(spec, stabilized));
  if (limit.replicas !== stabilized.replicas) parts.push(`limited to ${limit.replicas} (${limit.reason})`);
  return parts.join('; ');
}

function explainStabilization({ behavior, settings }: AutoscalerSpec, { reason, replicas }: Stabilized): string {
  const { downscaleStabilizationSeconds: fallback } = settings;
  if (behavior === undefined) return `the largest recommendation of the last ${fallback} s is ${replicas}`;
  const rules = reason === 'ScaleUpStabilized' ? behavior.scaleUp : behavior.scaleDown;
  const seconds = rules.stabilizationWindowSeconds ?? fallback;
  return `held at ${replicas} by the recommendations of the last ${seconds} s`;
}

interface Outcome {
  readonly current: number;
  readonly desired: number;
  readonly explanation: string;
  /** Why the size is to change, in the HPA's words; empty when only the past moves it. */
  readonly direction: string;
}

/** The end of every decision that has a number: write the size down, hold it back, or note that nothing is to be done. */
function settle(tick: DecisionInput, outcome: Outcome): Decision {
  const { status, now, spec } = tick;
  const { current, desired, explanation, direction } = outcome;
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
  return conclude(tick, {
    currentReplicas: current,
    desiredReplicas: desired,
    rescale: isRescale,
    reason,
    message,
    events: isRescale ? [rescaleEvent(desired, direction, explanation)] : [],
    status: {
      ...status,
      desiredReplicas: desired,
      conditions: showPause(isRescale ? showRescale(tick, current, desired) : status.conditions, pause, now),
      ...(isRescale && { pendingRescale: { from: current, to: desired, time: now } }),
    },
  });
}

/** The HPA's words, and behind them the numbers. */
function rescaleEvent(desired: number, direction: string, explanation: string): DecisionEvent {
  const numbers = direction === explanation ? '' : ` (${explanation})`;
  return {
    type: 'Normal',
    reason: 'SuccessfulRescale',
    message: `New size: ${desired}; reason: ${direction}${numbers}`,
  };
}

function showRescale({ spec, status, now }: DecisionInput, current: number, desired: number) {
  const isToZero = current > 0 && desired === 0 && spec.minReplicas === 0 && hasValueMetric(spec);
  return setConditions(
    status.conditions,
    [
      {
        type: 'AbleToScale',
        status: 'True',
        reason: 'SucceededRescale',
        message: `Headrace was able to update the target scale to ${desired}`,
      },
      isToZero
        ? {
            type: 'ScaledToZero',
            status: 'True',
            reason: 'ScaledToZero',
            message: 'Headrace scaled the target to zero',
          }
        : {
            type: 'ScaledToZero',
            status: 'False',
            reason: 'NotScaledToZero',
            message: 'Headrace did not scale the target to zero',
          },
    ],
    now,
  );
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
function standStill(tick: DecisionInput, standing: StandStill, current?: number): Decision {
  const { type, reason, message, error, event = reason, desiredReplicas } = standing;
  const unrecommended = withoutRecommendation(tick);
  const { status, now } = unrecommended;
  return conclude(unrecommended, {
    ...(current !== undefined && { currentReplicas: current, desiredReplicas: current }),
    rescale: false,
    reason,
    message,
    ...(error !== undefined && { error }),
    events: error === undefined ? [] : [{ type: 'Warning', reason: event, message: error }],
    status: {
      ...status,
      ...(desiredReplicas !== undefined && { desiredReplicas }),
      conditions: setCondition(status.conditions, { type, status: 'False', reason, message }, now),
    },
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
function conclude(tick: ReportInput, concluded: Decision): Decision {
  const { decision, isNews } = reportDeployment(concluded, tick);
  const { lastDecision } = decision.status;
  const { currentReplicas = 0, desiredReplicas = currentReplicas, reason, message } = decision;
  const isSameError = decision.error === undefined || lastDecision?.message === message;
  const isSame = lastDecision?.reason === reason && lastDecision.desiredReplicas === desiredReplicas && isSameError;
  // The tick after a rescale finds nothing to do: what was done, and why, stays on record, if it was done.
  const hasMoved = lastDecision?.reason === 'SuccessfulRescale' && lastDecision.desiredReplicas === currentReplicas;
  const isRestAfterRescale = hasMoved && reason === 'ReadyForNewScale';
  if (!decision.rescale && !isNews && (isSame || isRestAfterRescale)) return decision;
  return {
    ...decision,
    status: { ...decision.status, lastDecision: { time: tick.now, currentReplicas, desiredReplicas, reason, message } },
  };
}

function setConditions(conditions: AutoscalerStatus['conditions'], updates: readonly ConditionUpdate[], now: number) {
  return updates.reduce((list, update) => setCondition(list, update, now), conditions);
}
