// The work that arrives for an application, and how metrics-server sees it done. PURE.

/** CPU work that arrives at an instant; between two points it changes evenly, before the first and after the last it stays. */
export interface LoadPoint {
  /** Epoch milliseconds. Two points of one time are a jump. */
  readonly time: number;
  /** Milli-cores for the whole application. */
  readonly loadMilli: number;
}

/** metrics-server asks every kubelet so often. */
export const sampleMs = 15_000;

/** What a TaskManager that runs no job yet costs: a JVM and its heartbeats. */
export const idleNano = 20_000_000;
/** Milli-cores of work at an instant. */
export function loadAt(points: readonly LoadPoint[], time: number): number {
  const later = points.findIndex((point) => point.time > time);
  if (later === -1) return points.at(-1)?.loadMilli ?? 0;
  const [before, after] = [points[later - 1], points[later]] as [LoadPoint | undefined, LoadPoint];
  if (!before) return after.loadMilli;
  // halfway between 800 and 1600: 800 + (1600 − 800) × 0.5 = 1200
  const share = (time - before.time) / (after.time - before.time);
  return before.loadMilli + (after.loadMilli - before.loadMilli) * share;
}

/** A load that is always the same, or the curve itself. */
export function loadCurve(loadMilli: number | readonly LoadPoint[]): readonly LoadPoint[] {
  return typeof loadMilli === 'number' ? [{ time: 0, loadMilli }] : loadMilli;
}
