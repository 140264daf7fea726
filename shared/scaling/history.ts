// The memory of an autoscaler, run-length encoded: a recommendation is stored with the time from which it held, and
// written only when another follows. On a regular tick it decides exactly as the list of all ticks would.

import type { PendingRescale, Recommendation, ScaleEvent } from './types.ts';

/** The longest period that a scaling policy may look back (autoscaling/v2: periodSeconds ≤ 1800). */
const LONGEST_POLICY_PERIOD_SECONDS = 1800;

/** A write to the scale that was begun this long ago has been made or never will be: no invocation lives that long. */
const LONGEST_WRITE_SECONDS = 30;

/** With no history the current size counts as recommended an instant before now, as with the HPA. */
export function initialRecommendations(currentReplicas: number, now: number): readonly Recommendation[] {
  return [{ replicas: currentReplicas, from: now - 1, until: now - 1 }];
}

export interface Window {
  readonly now: number;
  readonly seconds: number;
  readonly syncPeriodSeconds: number;
  /** Whether a recommendation exactly as old as the window counts: without behavior it does, with behavior it does not. */
  readonly includesItsBeginning: boolean;
}

/** The largest size recommended within a window; undefined when there was none. */
export function largestRecommendation(recommendations: readonly Recommendation[], window: Window): number | undefined {
  const sizes = sizesWithin(recommendations, window);
  return sizes.length === 0 ? undefined : Math.max(...sizes);
}

/** The smallest size recommended within a window; undefined when there was none. */
export function smallestRecommendation(recommendations: readonly Recommendation[], window: Window): number | undefined {
  const sizes = sizesWithin(recommendations, window);
  return sizes.length === 0 ? undefined : Math.min(...sizes);
}

function sizesWithin(recommendations: readonly Recommendation[], window: Window): readonly number[] {
  const { now, seconds, syncPeriodSeconds, includesItsBeginning } = window;
  const beginning = now - seconds * 1000;
  return recommendations
    .filter((entry) => {
      const newestTick = lastHeldAt(entry, now, syncPeriodSeconds);
      return newestTick > beginning || (includesItsBeginning && newestTick === beginning);
    })
    .map((entry) => entry.replicas);
}

/** Adds this tick's recommendation. The list stays the same object while the newest entry goes on holding. */
export function recordRecommendation(
  recommendations: readonly Recommendation[],
  replicas: number,
  tick: { readonly now: number; readonly windowSeconds: number; readonly syncPeriodSeconds: number },
): readonly Recommendation[] {
  const newest = recommendations.at(-1);
  if (newest !== undefined && newest.until === undefined && newest.replicas === replicas) return recommendations;
  const kept = closeNewest(recommendations, tick.now, tick.syncPeriodSeconds).filter(
    (entry) => (entry.until ?? tick.now) >= tick.now - tick.windowSeconds * 1000,
  );
  return [...kept, { replicas, from: tick.now }];
}

/** A tick that recommends nothing (no metrics, target held) ends the newest entry: it did not hold now. */
export function closeNewest(
  recommendations: readonly Recommendation[],
  now: number,
  syncPeriodSeconds: number,
): readonly Recommendation[] {
  const newest = recommendations.at(-1);
  if (newest === undefined || newest.until !== undefined) return recommendations;
  return [...recommendations.slice(0, -1), { ...newest, until: lastHeldAt(newest, now, syncPeriodSeconds) }];
}

function lastHeldAt(entry: Recommendation, now: number, syncPeriodSeconds: number): number {
  return entry.until ?? Math.max(entry.from, now - syncPeriodSeconds * 1000);
}

export interface RescaleMemory {
  readonly scaleEvents: readonly ScaleEvent[];
  readonly pendingRescale?: PendingRescale;
  /** When a pending rescale turned out to have taken effect: its time. */
  readonly lastScaleTime?: number;
}

/**
 * Finds out what became of a size that was written down before it was made.
 *
 * A size that moved since then was moved by us: it becomes a scale event, with the change that is seen. That is also right
 * when two overlapping ticks each wrote an intent from the same size and only one of them won, and it errs towards
 * slower scaling when somebody else was faster. A size that stands still keeps the intent while the write may still be
 * under way, and drops it after that.
 */
export function resolvePendingRescale(memory: RescaleMemory, currentReplicas: number, now: number): RescaleMemory {
  const { scaleEvents, pendingRescale } = memory;
  if (pendingRescale === undefined) return memory;
  if (currentReplicas !== pendingRescale.from) {
    const event = { change: currentReplicas - pendingRescale.from, time: pendingRescale.time };
    return { scaleEvents: [...withoutOutdated(scaleEvents, now), event], lastScaleTime: pendingRescale.time };
  }
  const isUnderWay = now - pendingRescale.time < LONGEST_WRITE_SECONDS * 1000;
  return isUnderWay ? memory : { scaleEvents };
}

function withoutOutdated(scaleEvents: readonly ScaleEvent[], now: number): readonly ScaleEvent[] {
  return scaleEvents.filter((event) => now - event.time < LONGEST_POLICY_PERIOD_SECONDS * 1000);
}
