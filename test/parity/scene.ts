import { formatTime } from '../../shared/units.ts';
import type { Plan } from './plan.ts';

export type Json = Record<string, unknown>;

export const NAMESPACE = 'shop';

export const LABELS = {
  own: { app: 'web', tier: 'a' },
  partner: { app: 'web', tier: 'b' },
  foreign: { app: 'other', tier: 'a' },
} as const;

/** A plan with what all parts of its snapshot share. */
export interface Scene {
  readonly plan: Plan;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly size: number;
  /** What the scale's status counts. */
  readonly statusSize: number;
}

/** An API server writes whole seconds. */
export function secondsAgo({ now }: Scene, age: number): string {
  return formatTime(Math.floor(now / 1000) * 1000 - age * 1000);
}

export function podName(index: number): string {
  return `web-${index}`;
}

/** Names of pods that have samples and are not there. */
export function strangersOf({ plan }: Scene): readonly string[] {
  return Array.from({ length: plan.strangers }, (_, index) => `ghost-${index}`);
}

/** An object without the fields that are undefined. */
export function definedOnly(fields: object): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
