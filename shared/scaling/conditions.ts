// Conditions as the HPA keeps them: in the order of first insertion, with a transition time that follows the status alone.

import type { Condition, ConditionStatus } from './types.ts';

export interface ConditionUpdate {
  readonly type: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

/** Sets one condition; lastTransitionTime moves only when its status changes. */
export function setCondition(
  conditions: readonly Condition[],
  update: ConditionUpdate,
  now: number,
): readonly Condition[] {
  const index = conditions.findIndex((condition) => condition.type === update.type);
  const previous = conditions[index];
  if (previous === undefined) return [...conditions, { ...update, lastTransitionTime: now }];
  const lastTransitionTime = previous.status === update.status ? previous.lastTransitionTime : now;
  return conditions.with(index, { ...update, lastTransitionTime });
}
