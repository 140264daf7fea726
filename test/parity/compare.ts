// What must be the same in our answer and in the real controller's, and what may differ, with the reason.

import type { ReplayAnswer } from '../../shared/replay/judge.ts';
import { parseQuantity } from '../../shared/units.ts';
import type { OracleAnswer } from '../real/oracle/oracle.ts';

/** The part of an answer that is compared: texts for people are not. */
export interface Essence {
  readonly currentReplicas: number | null;
  readonly desiredReplicas: number | null;
  readonly rescale: boolean;
  /** "ScalingActive=True/ValidMetricFound", in order. */
  readonly conditions: readonly string[];
  /** As status.currentMetrics, quantities as numbers of thousandths. */
  readonly currentMetrics: readonly unknown[];
  readonly hasFailed: boolean;
}

/** The essence of either answer. */
export function essenceOf(answer: ReplayAnswer | OracleAnswer): Essence {
  return {
    currentReplicas: answer.currentReplicas,
    desiredReplicas: answer.desiredReplicas,
    rescale: answer.rescale,
    conditions: answer.conditions.map(({ type, status, reason }) => `${type}=${status}/${reason}`),
    currentMetrics: answer.currentMetrics.map(comparable),
    hasFailed: answer.error !== null,
  };
}

/** Fields in one order, and amounts as numbers: "1Mi", "1048576" and "1048576000m" are one. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([field, inner]) => [field, isAmount(field) ? comparableAmount(inner) : comparable(inner)]),
  );
}

function isAmount(field: string): boolean {
  return field === 'averageValue' || field === 'value';
}

/**
 * The one difference that is explained here: of a target that reports no replicas, the real controller divides by zero and shows
 * -9223372036854775808m per replica, where we show 0. Nothing follows from what is shown.
 */
const SHARE_OF_NONE = -(2n ** 63n);

function comparableAmount(quantity: unknown): string {
  const milli = quantity === `${SHARE_OF_NONE}m` ? 0n : parseQuantity(quantity);
  return `${milli}m`;
}

/** Where the real controller's int32 wraps, of a utilization or of a proposed size, ours stops here: what follows cannot be compared. */
const LARGEST_INT32 = 2 ** 31 - 1;

/** Whether an answer of ours stands where the real controller's arithmetic overflows. */
export function isBeyondReference({ currentMetrics, message }: ReplayAnswer): boolean {
  const isUtilizationCapped = JSON.stringify(currentMetrics).includes(`"averageUtilization":${LARGEST_INT32}`);
  return isUtilizationCapped || message.includes(`) = ${LARGEST_INT32}`);
}

/** Names the fields in which two essences differ; none when they agree. */
export function differences(ours: Essence, theirs: Essence): readonly (keyof Essence)[] {
  return (Object.keys(theirs) as (keyof Essence)[]).filter(
    (field) => JSON.stringify(ours[field]) !== JSON.stringify(theirs[field]),
  );
}
