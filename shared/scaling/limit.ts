// From the proposed size to the final one: stabilise, then limit the rate together with min and max. There is no clamp
// afterwards. An autoscaler with `behavior` is limited by its policies, one without by the HPA's limits of old.

import { largestRecommendation, smallestRecommendation } from './history.ts';
import type { AutoscalerSpec, Behavior, Recommendation, ScaleEvent, ScalingPolicy, ScalingRules } from './types.ts';

export interface Stabilized {
  readonly replicas: number;
  readonly reason: 'ReadyForNewScale' | 'ScaleUpStabilized' | 'ScaleDownStabilized';
  readonly message: string;
}

export interface SizeLimit {
  readonly replicas: number;
  readonly reason: keyof typeof LIMIT_MESSAGES;
  readonly message: string;
}

const LIMIT_MESSAGES = {
  DesiredWithinRange: 'the desired count is within the acceptable range',
  TooFewReplicas: 'the desired replica count is less than the minimum replica count',
  TooManyReplicas: 'the desired replica count is more than the maximum replica count',
  ScaleUpLimit: 'the desired replica count is increasing faster than the maximum scale rate',
  ScaleDownLimit: 'the desired replica count is decreasing faster than the maximum scale rate',
} as const;

function limited(replicas: number, reason: SizeLimit['reason']): SizeLimit {
  return { replicas, reason, message: LIMIT_MESSAGES[reason] };
}

export interface StabilizeInput {
  readonly spec: Pick<AutoscalerSpec, 'behavior' | 'settings'>;
  readonly currentReplicas: number;
  readonly proposedReplicas: number;
  readonly recommendations: readonly Recommendation[];
  readonly now: number;
}

/** Holds a proposal against the recent ones: nothing grows past the smallest, or shrinks past the largest, of its window. */
export function stabilize(input: StabilizeInput): Stabilized {
  const { proposedReplicas, currentReplicas } = input;
  const replicas = input.spec.behavior === undefined ? stabilizeDown(input) : stabilizeBoth(input, input.spec.behavior);
  if (replicas === proposedReplicas)
    return { replicas, reason: 'ReadyForNewScale', message: 'recommended size matches current size' };
  const hasBehavior = input.spec.behavior !== undefined;
  if (hasBehavior && proposedReplicas >= currentReplicas)
    return {
      replicas,
      reason: 'ScaleUpStabilized',
      message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
    };
  return {
    replicas,
    reason: 'ScaleDownStabilized',
    message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
  };
}

function stabilizeDown({ spec, proposedReplicas, recommendations, now }: StabilizeInput): number {
  const { downscaleStabilizationSeconds, syncPeriodSeconds } = spec.settings;
  const window = { now, seconds: downscaleStabilizationSeconds, syncPeriodSeconds, includesItsBeginning: true };
  return Math.max(proposedReplicas, largestRecommendation(recommendations, window) ?? proposedReplicas);
}

// The current size stays wherever it lies between the smallest recommendation of the one window and the largest of the other.
function stabilizeBoth(input: StabilizeInput, behavior: Behavior): number {
  const { spec, currentReplicas, proposedReplicas, recommendations, now } = input;
  const { downscaleStabilizationSeconds, syncPeriodSeconds } = spec.settings;
  const windowOf = (rules: ScalingRules, fallback: number) => {
    const { stabilizationWindowSeconds: seconds = fallback } = rules;
    return { now, seconds, syncPeriodSeconds, includesItsBeginning: false };
  };
  const upWindow = windowOf(behavior.scaleUp, 0);
  const downWindow = windowOf(behavior.scaleDown, downscaleStabilizationSeconds);
  const smallest = Math.min(proposedReplicas, smallestRecommendation(recommendations, upWindow) ?? proposedReplicas);
  const largest = Math.max(proposedReplicas, largestRecommendation(recommendations, downWindow) ?? proposedReplicas);
  return Math.min(Math.max(currentReplicas, smallest), largest);
}

export interface LimitInput {
  readonly spec: Pick<AutoscalerSpec, 'behavior' | 'minReplicas' | 'maxReplicas' | 'settings'>;
  readonly currentReplicas: number;
  /** Stabilised. */
  readonly replicas: number;
  readonly scaleEvents: readonly ScaleEvent[];
  readonly now: number;
}

/** Bounds a stabilised size by minReplicas, maxReplicas and the fastest change from the current size. */
export function limitSize(input: LimitInput): SizeLimit {
  return input.spec.behavior === undefined ? limitByFactor(input) : limitByPolicies(input, input.spec.behavior);
}

function limitByFactor({ spec, currentReplicas, replicas }: LimitInput): SizeLimit {
  const { minReplicas, maxReplicas } = spec;
  const { scaleUpLimitFactor = 2, scaleUpLimitMinimum = 4 } = spec.settings;
  if (replicas < minReplicas) return limited(minReplicas, 'TooFewReplicas');
  const fastest = Math.max(scaleUpLimitFactor * currentReplicas, scaleUpLimitMinimum);
  if (maxReplicas > fastest && replicas > fastest) return limited(fastest, 'ScaleUpLimit');
  if (replicas > maxReplicas) return limited(maxReplicas, 'TooManyReplicas');
  return limited(replicas, 'DesiredWithinRange');
}

function limitByPolicies(input: LimitInput, behavior: Behavior): SizeLimit {
  const { spec, currentReplicas, replicas } = input;
  if (replicas > currentReplicas) {
    // A budget that is used up already never makes the size shrink.
    const fastest = Math.max(scaleUpLimit(behavior.scaleUp, input), currentReplicas);
    if (spec.maxReplicas > fastest && replicas > fastest) return limited(fastest, 'ScaleUpLimit');
    if (replicas > spec.maxReplicas) return limited(spec.maxReplicas, 'TooManyReplicas');
  }
  if (replicas < currentReplicas) {
    const fastest = Math.min(scaleDownLimit(behavior.scaleDown, input), currentReplicas);
    if (spec.minReplicas < fastest && replicas < fastest) return limited(fastest, 'ScaleDownLimit');
    if (replicas < spec.minReplicas) return limited(spec.minReplicas, 'TooFewReplicas');
  }
  return limited(replicas, 'DesiredWithinRange');
}

function scaleUpLimit({ selectPolicy, policies }: ScalingRules, input: LimitInput): number {
  if (selectPolicy === 'Disabled') return input.currentReplicas;
  const limits = policies.map((policy) => {
    const start = sizeAtStartOf(policy, input);
    // Rounded up, because a share of a small size might never add a pod: 1 + 10 % → 2.
    return policy.type === 'Pods' ? start + policy.value : Math.ceil(start * (1 + policy.value / 100));
  });
  return selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits);
}

function scaleDownLimit({ selectPolicy, policies }: ScalingRules, input: LimitInput): number {
  if (selectPolicy === 'Disabled') return input.currentReplicas;
  const limits = policies.map((policy) => {
    const start = sizeAtStartOf(policy, input);
    return policy.type === 'Pods' ? start - policy.value : Math.trunc(start * (1 - policy.value / 100));
  });
  // The smallest change leaves the largest size.
  return selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits);
}

/** The size when the policy's period began: what was added since is taken away again, what was removed is added. */
function sizeAtStartOf({ periodSeconds }: ScalingPolicy, { currentReplicas, scaleEvents, now }: LimitInput): number {
  const changes = scaleEvents.filter(({ time }) => now - time < periodSeconds * 1000).map(({ change }) => change);
  return currentReplicas - changes.reduce((sum, change) => sum + change, 0);
}
