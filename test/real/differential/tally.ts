// Counts what was compared and what differed. A case is followed up to its first difference: what comes after follows from that one.
import { compare, type Difference } from './compare.ts';
import { type Case, metricTypes, periods, settings, windows } from './plan.ts';
import type { Outcome } from './stage.ts';

/** How long before this tick Headrace takes a recommendation to have held that it did not see end. */
const headracePeriod = 15_000;

/** When both decided about a case, epoch milliseconds. */
interface Moment {
  /** Known to a second: this is the beginning of it. */
  readonly hpa: number;
  readonly headrace: number;
}

export class Tally {
  readonly differences: Difference[] = [];
  readonly #cases = new Set<Case>();
  readonly #decisions = new Map<string, number>();
  readonly #conditions = new Map<string, number>();
  readonly #moments = new Map<string, readonly Moment[]>();
  readonly #blurred = new Set<string>();

  /** Cases that were compared at every tick up to the last, or to their first difference. */
  get followed(): number {
    return this.#cases.size - this.#blurred.size;
  }

  add(planned: Case, tick: number, outcome: Outcome): void {
    const { name } = planned;
    this.#cases.add(planned);
    if (this.#isBlurred(name, outcome) || this.differences.some((difference) => difference.name === name)) return;
    const types = new Set((planned.spec.metrics ?? []).map(({ type }) => type));
    for (const type of types) count(this.#decisions, type);
    for (const { type, status, reason } of outcome.hpas.get(name)?.conditions ?? [])
      count(this.#conditions, `${type}=${status}/${reason}`);
    const difference = compare(planned, tick, outcome);
    if (difference !== undefined) this.differences.push(difference);
  }

  /**
   * Whether a window or a period ends between the ages that both give to one and the same earlier tick, or Headrace had no time left for the case.
   * Then it is followed no further.
   */
  #isBlurred(name: string, { hpaTimes, headraceTime, reports }: Outcome): boolean {
    const moments = [...(this.#moments.get(name) ?? []), { hpa: hpaTimes.get(name) ?? 0, headrace: headraceTime }];
    this.#moments.set(name, moments);
    const isInTime = !reports.get(name)?.error?.includes('there was no time left for it');
    if (!isInTime || !moments.every((_, index) => isClear(moments, index))) this.#blurred.add(name);
    return this.#blurred.has(name);
  }

  /** A table for people. */
  describe(): string {
    const byType = metricTypes.map((type) => {
      const cases = [...this.#cases].filter(({ spec }) => spec.metrics?.some((metric) => metric.type === type));
      return `${type.padEnd(18)} ${String(cases.length).padStart(5)} ${String(this.#decisions.get(type) ?? 0).padStart(9)}`;
    });
    const byCondition = [...this.#conditions].sort(([a], [b]) => (a < b ? -1 : 1));
    return [
      `${this.#cases.size} autoscalers, ${this.followed} of them followed to the end (those decided too far apart on a busy machine are not)`,
      `metrics            cases decisions\n${byType.join('\n')}`,
      byCondition.map(([condition, times]) => `${String(times).padStart(6)} ${condition}`).join('\n'),
      `${this.differences.length} unexplained differences`,
    ].join('\n\n');
  }
}

/** Whether both see an earlier tick, and what was recommended and done at it, on the same side of every window and period. */
function isClear(moments: readonly Moment[], index: number): boolean {
  const then = moments[index];
  const next = moments[index + 1];
  const now = moments.at(-1);
  if (then === undefined || next === undefined || now === undefined) return true;
  const done = [now.headrace - then.headrace, now.hpa - then.hpa - 1000, now.hpa - then.hpa + 1000];
  const held = [...done, now.headrace - (next.headrace - headracePeriod)];
  const isBetween = (ages: readonly number[]) => (seconds: number) =>
    Math.min(...ages) <= seconds * 1000 && seconds * 1000 <= Math.max(...ages);
  return !periods.some(isBetween(done)) && ![...windows, settings.downscaleStabilizationSeconds].some(isBetween(held));
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
