// From the proposed size to the final one: stabilise, then limit the rate together with min and max.
// This is the path of an autoscaler without `behavior` (HPA: stabilizeRecommendation, convertDesiredReplicasWithRules).

import { largestRecommendation } from './history.ts';
import type { AutoscalerSpec, Recommendation } from './types.ts';

/** The HPA never grows past twice the current size in one step, but always may go to 4. */
const SCALE_UP_LIMIT_FACTOR = 2;
const SCALE_UP_LIMIT_MINIMUM = 4;

export interface SizeLimit {
  readonly replicas: number;
  readonly reason: 'DesiredWithinRange' | 'TooFewReplicas' | 'TooManyReplicas' | 'ScaleUpLimit' | 'ScaleDownLimit';
  readonly message: string;
}

export interface StabilizeInput {
  readonly proposedReplicas: number;
  readonly recommendations: readonly Recommendation[];
  readonly settings: AutoscalerSpec['settings'];
  readonly now: number;
}

/** Shrinks to no less than the largest size recommended within the downscale window. */
export function stabilize({ proposedReplicas, recommendations, settings, now }: StabilizeInput): number {
  const { downscaleStabilizationSeconds: seconds, syncPeriodSeconds } = settings;
  return Math.max(proposedReplicas, largestRecommendation(recommendations, { now, seconds, syncPeriodSeconds }));
}

/** Bounds a stabilised size by minReplicas, maxReplicas and the fastest growth from the current size. */
export function limitSize(
  replicas: number,
  currentReplicas: number,
  { minReplicas, maxReplicas }: AutoscalerSpec,
): SizeLimit {
  if (replicas < minReplicas)
    return {
      replicas: minReplicas,
      reason: 'TooFewReplicas',
      message: 'the desired replica count is less than the minimum replica count',
    };

  const fastest = Math.max(SCALE_UP_LIMIT_FACTOR * currentReplicas, SCALE_UP_LIMIT_MINIMUM);
  if (maxReplicas > fastest && replicas > fastest)
    return {
      replicas: fastest,
      reason: 'ScaleUpLimit',
      message: 'the desired replica count is increasing faster than the maximum scale rate',
    };
  if (replicas > maxReplicas)
    return {
      replicas: maxReplicas,
      reason: 'TooManyReplicas',
      message: 'the desired replica count is more than the maximum replica count',
    };
  return { replicas, reason: 'DesiredWithinRange', message: 'the desired count is within the acceptable range' };
}
