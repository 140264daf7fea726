// How often each thing came about: a comparison proves nothing about what it never met.

import type { OracleAnswer } from '../real/oracle/oracle.ts';
import type { Snapshot } from './build.ts';

/** Every reason that the real controller gives in a condition, with its type and status. */
const REASONS = [
  'AbleToScale=True/SucceededGetScale',
  'AbleToScale=True/ReadyForNewScale',
  'AbleToScale=True/ScaleDownStabilized',
  'AbleToScale=True/ScaleUpStabilized',
  'AbleToScale=True/SucceededRescale',
  'AbleToScale=False/FailedGetScale',
  'AbleToScale=False/FailedUpdateScale',
  'ScalingActive=True/ValidMetricFound',
  'ScalingActive=False/ScalingDisabled',
  'ScalingActive=False/InvalidSelector',
  'ScalingActive=False/AmbiguousSelector',
  'ScalingActive=False/FailedGetResourceMetric',
  'ScalingActive=False/FailedGetContainerResourceMetric',
  'ScalingActive=False/FailedGetPodsMetric',
  'ScalingActive=False/FailedGetObjectMetric',
  'ScalingActive=False/FailedGetExternalMetric',
  'ScalingActive=False/InvalidMetricSourceType',
  'ScalingLimited=False/DesiredWithinRange',
  'ScalingLimited=True/TooFewReplicas',
  'ScalingLimited=True/TooManyReplicas',
  'ScalingLimited=True/ScaleUpLimit',
  'ScalingLimited=True/ScaleDownLimit',
  'ScaledToZero=True/ScaledToZero',
  'ScaledToZero=False/NotScaledToZero',
] as const;

const DIRECTIONS = ['grows', 'shrinks', 'stays'] as const;

/** Of 200,000 snapshots at least this many must show each reason and each direction; of fewer, proportionally fewer. */
const LEAST_OF_200_000 = 1000;

/** Counts what the real controller answered. */
export class Tally {
  readonly #counts = new Map<string, number>();
  #snapshots = 0;

  add(snapshot: Snapshot, answer: OracleAnswer): void {
    this.#snapshots += 1;
    const { autoscaler } = snapshot as unknown as { autoscaler: { spec: { metrics?: readonly { type: string }[] } } };
    for (const type of new Set(autoscaler.spec.metrics?.map(({ type }) => type))) this.#count(`metric ${type}`);
    for (const { type, status, reason } of answer.conditions) this.#count(`${type}=${status}/${reason}`);
    this.#count(directionOf(answer));
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  /** One line for each thing that was counted, the most frequent first. */
  lines(): readonly string[] {
    return [...this.#counts]
      .toSorted(([, one], [, other]) => other - one)
      .map(([what, count]) => `${String(count).padStart(8)}  ${what}`);
  }

  /** What came about too seldom, as sentences. */
  shortages(): readonly string[] {
    const least = Math.floor((LEAST_OF_200_000 * Math.min(this.#snapshots, 200_000)) / 200_000);
    return [...REASONS, ...DIRECTIONS].flatMap((what) => {
      const count = this.#counts.get(what) ?? 0;
      return count < least ? [`${what} came about ${count} times, and must ${least} times`] : [];
    });
  }
}

function directionOf({ currentReplicas, desiredReplicas }: OracleAnswer): (typeof DIRECTIONS)[number] {
  if (desiredReplicas === currentReplicas) return 'stays';
  return desiredReplicas > currentReplicas ? 'grows' : 'shrinks';
}
