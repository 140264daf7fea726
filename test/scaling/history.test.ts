import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide } from '../../shared/scaling/decide.ts';
import {
  closeNewest,
  initialRecommendations,
  largestRecommendation,
  recordRecommendation,
  resolvePendingRescale,
  smallestRecommendation,
} from '../../shared/scaling/history.ts';
import type { AutoscalerStatus, PendingRescale, ScaleEvent } from '../../shared/scaling/types.ts';
import { anAutoscalerSpec, anObservation, aPodSample, aStatus, NOW, seconds, somePods } from '../support/builders.ts';

const TICK = seconds(15);
const window = { now: NOW, seconds: 300, syncPeriodSeconds: 15, includesItsBeginning: true };
const tick = { now: NOW, windowSeconds: 300, syncPeriodSeconds: 15 };

describe('initialRecommendations', () => {
  it('counts the current size as recommended an instant before now', () => {
    expect(initialRecommendations(3, NOW)).toEqual([{ replicas: 3, from: NOW - 1, until: NOW - 1 }]);
  });

  it('is outside a window of 0, so that a size without history shrinks at once there', () => {
    expect(largestRecommendation(initialRecommendations(3, NOW), { ...window, seconds: 0 })).toBeUndefined();
  });
});

describe('largestRecommendation and smallestRecommendation', () => {
  const recommendations = [9, 3, 5].map((replicas) => ({ replicas, from: NOW - TICK * 4, until: NOW - TICK * 3 }));

  it('find the largest and the smallest size within the window', () => {
    expect(largestRecommendation(recommendations, window)).toBe(9);
    expect(smallestRecommendation(recommendations, window)).toBe(3);
  });

  it('find nothing where nothing was recommended within the window', () => {
    expect(largestRecommendation(recommendations, { ...window, seconds: 30 })).toBeUndefined();
    expect(smallestRecommendation(recommendations, { ...window, seconds: 30 })).toBeUndefined();
  });
});

describe('recordRecommendation', () => {
  it('begins an entry with the first recommendation', () => {
    expect(recordRecommendation([], 3, tick)).toEqual([{ replicas: 3, from: NOW }]);
  });

  it('returns the same list while the newest entry goes on holding', () => {
    const held = [{ replicas: 3, from: NOW - TICK * 10 }];

    expect(recordRecommendation(held, 3, tick)).toBe(held);
  });

  it('looks at the newest of several entries', () => {
    const held = [
      { replicas: 5, from: NOW - TICK * 20, until: NOW - TICK * 11 },
      { replicas: 3, from: NOW - TICK * 10 },
    ];

    expect(recordRecommendation(held, 3, tick)).toBe(held);
    expect(recordRecommendation(held, 5, tick)).not.toBe(held);
  });

  it('ends the newest entry with the last tick at which it held when another follows', () => {
    const held = [{ replicas: 3, from: NOW - TICK * 10 }];

    expect(recordRecommendation(held, 5, tick)).toEqual([
      { replicas: 3, from: NOW - TICK * 10, until: NOW - TICK },
      { replicas: 5, from: NOW },
    ]);
  });

  it('never ends an entry before it began', () => {
    const justBegun = [{ replicas: 3, from: NOW - seconds(4) }];

    expect(recordRecommendation(justBegun, 5, tick)[0]).toEqual({
      replicas: 3,
      from: NOW - seconds(4),
      until: NOW - seconds(4),
    });
  });

  it('begins a new entry where the same size was recommended before a pause', () => {
    const ended = [{ replicas: 3, from: NOW - TICK * 10, until: NOW - TICK * 4 }];

    expect(recordRecommendation(ended, 3, tick)).toEqual([...ended, { replicas: 3, from: NOW }]);
  });

  it('drops entries that ended before the window', () => {
    const ended = [
      { replicas: 9, from: NOW - seconds(900), until: NOW - seconds(300) - 1 },
      { replicas: 8, from: NOW - seconds(300), until: NOW - seconds(300) },
    ];

    expect(recordRecommendation(ended, 3, tick)).toEqual([ended[1], { replicas: 3, from: NOW }]);
  });
});

describe('closeNewest', () => {
  it('ends the newest entry one tick ago: it did not hold now', () => {
    expect(closeNewest([{ replicas: 3, from: NOW - TICK * 10 }], NOW, 15)).toEqual([
      { replicas: 3, from: NOW - TICK * 10, until: NOW - TICK },
    ]);
  });

  it('returns the same list when the newest entry has ended', () => {
    const ended = [{ replicas: 3, from: NOW - TICK * 10, until: NOW - TICK * 3 }];

    expect(closeNewest(ended, NOW, 15)).toBe(ended);
    expect(closeNewest(ended.slice(1), NOW, 15)).toEqual([]);
  });
});

describe('run-length history', () => {
  const WINDOWS = [0, 1, 14, 15, 16, 30, 60, 100, 299, 300, 301];
  const FAILURES = ['scale', 'metrics'] as const;
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 1, max: 12 }) },
    // The same size for some ticks makes runs, and runs are what is encoded.
    { weight: 3, arbitrary: fc.constantFrom(2, 5) },
    { weight: 1, arbitrary: fc.constantFrom(...FAILURES) },
  );

  it('decides as a list of every tick does', () => {
    const ticks = fc.array(step, { minLength: 200, maxLength: 200 });
    fc.assert(
      fc.property(
        ticks,
        fc.constantFrom(...WINDOWS),
        fc.integer({ min: 1, max: 12 }),
        (steps, windowSeconds, start) => {
          const encoded = new EncodedHistory(windowSeconds, start);
          const listed = new ListedHistory(windowSeconds, start);
          for (const [index, current] of steps.entries()) {
            const now = NOW + index * TICK;
            expect(encoded.tick(current, now)).toEqual(listed.tick(current, now));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  type Step = number | (typeof FAILURES)[number];

  interface Answer {
    readonly size: number;
    readonly isStabilized: boolean;
  }

  /** Ours, through the whole decision. */
  class EncodedHistory {
    readonly #windowSeconds: number;
    #size: number;
    #status: AutoscalerStatus = { conditions: [], scaleEvents: [] };

    constructor(windowSeconds: number, size: number) {
      this.#windowSeconds = windowSeconds;
      this.#size = size;
    }

    tick(step: Step, now: number): Answer {
      const observation = anObservation({
        ...(step === 'scale' ? { scale: { unreadable: 'timed out' } } : { replicas: this.#size }),
        pods: { value: somePods(1, { startTime: 0, ready: { status: 'True', lastTransitionTime: 0 } }) },
        // One pod and a target of one CPU: a thousandth less than n CPUs asks for n, and is never within tolerance.
        metrics: [
          typeof step === 'number'
            ? { value: [aPodSample({ valueMilli: BigInt(step) * 1000n - 1n, time: now })] }
            : { unreadable: 'timed out' },
        ],
      });
      const spec = anAutoscalerSpec({
        maxReplicas: 1000,
        metrics: [{ type: 'Resource', resource: 'cpu', target: { type: 'AverageValue', averageValueMilli: 1000n } }],
        settings: { tolerance: 0, downscaleStabilizationSeconds: this.#windowSeconds },
      });

      const decision = decide({ spec, observation, status: this.#status, now });

      this.#status = decision.status;
      if (decision.rescale) this.#size = decision.desiredReplicas ?? this.#size;
      // AbleToScale says SucceededRescale after a rescale, so the sentence is what tells.
      return { size: this.#size, isStabilized: decision.message.includes('the largest recommendation of the last') };
    }
  }

  /** The HPA's: every recommendation with its time, all of them looked at. */
  class ListedHistory {
    readonly #windowSeconds: number;
    #size: number;
    #recommendations: { readonly replicas: number; readonly time: number }[] | undefined;

    constructor(windowSeconds: number, size: number) {
      this.#windowSeconds = windowSeconds;
      this.#size = size;
    }

    tick(step: Step, now: number): Answer {
      if (step === 'scale') return { size: this.#size, isStabilized: false };
      this.#recommendations ??= [{ replicas: this.#size, time: now - 1 }];
      if (step === 'metrics') return { size: this.#size, isStabilized: false };
      const inWindow = this.#recommendations.filter(({ time }) => now - time <= seconds(this.#windowSeconds));
      const stabilized = Math.max(step, ...inWindow.map(({ replicas }) => replicas));
      this.#recommendations.push({ replicas: step, time: now });
      this.#size = Math.min(stabilized, Math.max(this.#size * 2, 4));
      return { size: this.#size, isStabilized: stabilized !== step };
    }
  }

  it('stays short: never more entries than ticks in the window, and one', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 100 }), (proposals) => {
        const recommendations = proposals.reduce(
          (list, replicas, index) => recordRecommendation(list, replicas, { ...tick, now: NOW + index * TICK }),
          aStatus().recommendations ?? [],
        );

        expect(recommendations.length).toBeLessThanOrEqual(300 / 15 + 1);
      }),
    );
  });
});

describe('resolvePendingRescale', () => {
  const pendingRescale: PendingRescale = { from: 2, to: 4, time: NOW - TICK };

  it('has nothing to resolve without an intent', () => {
    const memory = { scaleEvents: [{ change: 1, time: NOW - seconds(60) }] };

    expect(resolvePendingRescale(memory, 4, NOW)).toBe(memory);
  });

  it('makes an intent that took effect an event of its time', () => {
    expect(resolvePendingRescale({ scaleEvents: [], pendingRescale }, 4, NOW)).toEqual({
      scaleEvents: [{ change: 2, time: NOW - TICK }],
      lastScaleTime: NOW - TICK,
    });
  });

  it('believes the size that is seen, not the one that was meant', () => {
    expect(resolvePendingRescale({ scaleEvents: [], pendingRescale }, 3, NOW).scaleEvents).toEqual([
      { change: 1, time: NOW - TICK },
    ]);
  });

  it('keeps an intent while its write may be under way', () => {
    const memory = { scaleEvents: [], pendingRescale: { ...pendingRescale, time: NOW - seconds(30) + 1 } };

    expect(resolvePendingRescale(memory, 2, NOW)).toBe(memory);
  });

  it('drops an intent that never took effect', () => {
    const memory = { scaleEvents: [], pendingRescale: { ...pendingRescale, time: NOW - seconds(30) } };

    expect(resolvePendingRescale(memory, 2, NOW)).toEqual({ scaleEvents: [] });
  });

  it('forgets events that no policy can look back to, when it notes another', () => {
    const scaleEvents = [
      { change: 1, time: NOW - seconds(1800) },
      { change: 3, time: NOW - seconds(1799) },
    ];

    expect(resolvePendingRescale({ scaleEvents, pendingRescale }, 4, NOW).scaleEvents).toEqual([
      scaleEvents[1],
      { change: 2, time: NOW - TICK },
    ]);
  });

  it('loses no size change of ours, however ticks overlap and whatever becomes of their writes', () => {
    const action = fc.record({
      invocation: fc.constantFrom(0, 1, 2),
      pause: fc.integer({ min: 0, max: 4 }),
      wanted: fc.integer({ min: 1, max: 6 }),
      isKilled: fc.boolean(),
      readsScaleFirst: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const world = new OverlappingTicks();
        for (const step of actions) {
          world.step(step);
          expect(world.rememberedChange).toBe(world.madeChange);
        }
      }),
      { numRuns: 500 },
    );
  });
});

interface Action {
  readonly invocation: number;
  readonly pause: number;
  readonly wanted: number;
  readonly isKilled: boolean;
  readonly readsScaleFirst: boolean;
}

interface Memory {
  readonly scaleEvents: readonly ScaleEvent[];
  readonly pendingRescale?: PendingRescale;
}

interface Versioned<T> {
  readonly version: number;
  readonly value: T;
}

interface Invocation {
  readonly startTime: number;
  readonly memory?: Versioned<Memory>;
  readonly scale?: Versioned<number>;
  /** The size that is written down and not yet made. */
  readonly intent?: number;
}

/**
 * An API server with conditional writes, and ticks that are anywhere between their reads and their writes while others
 * run. As configured, no tick lives longer than its function may (14 s).
 */
class OverlappingTicks {
  static readonly #LIFETIME = seconds(14);
  static readonly #START = 3;
  #now = NOW;
  #memory: Versioned<Memory> = { version: 1, value: { scaleEvents: [] } };
  #scale: Versioned<number> = { version: 1, value: OverlappingTicks.#START };
  readonly #invocations = new Map<number, Invocation>();

  get madeChange(): number {
    return this.#scale.value - OverlappingTicks.#START;
  }

  /** What the next tick would know: the events, and what it would find out about the intent. */
  get rememberedChange(): number {
    const { scaleEvents } = resolvePendingRescale(this.#memory.value, this.#scale.value, this.#now);
    return scaleEvents.reduce((sum, { change }) => sum + change, 0);
  }

  /** Moves one invocation on by one request. */
  step({ invocation: id, pause, wanted, isKilled, readsScaleFirst }: Action): void {
    this.#now += seconds(pause);
    const invocation = this.#invocations.get(id) ?? { startTime: this.#now };
    const isOver = this.#now - invocation.startTime >= OverlappingTicks.#LIFETIME;
    const next = isOver ? undefined : this.#advance(invocation, wanted, isKilled, readsScaleFirst);
    if (next === undefined) this.#invocations.delete(id);
    else this.#invocations.set(id, next);
  }

  #advance(
    invocation: Invocation,
    wanted: number,
    isKilled: boolean,
    readsScaleFirst: boolean,
  ): Invocation | undefined {
    const { memory, scale, intent } = invocation;
    if (scale === undefined && (readsScaleFirst || memory !== undefined)) return { ...invocation, scale: this.#scale };
    if (memory === undefined || scale === undefined) return { ...invocation, memory: this.#memory };
    if (intent === undefined) return this.#record({ ...invocation, memory, scale }, wanted);
    if (!isKilled && scale.version === this.#scale.version) this.#scale = { version: scale.version + 1, value: intent };
    return undefined;
  }

  #record(
    invocation: Invocation & Required<Pick<Invocation, 'memory' | 'scale'>>,
    wanted: number,
  ): Invocation | undefined {
    const { memory, scale } = invocation;
    const { scaleEvents, pendingRescale } = resolvePendingRescale(memory.value, scale.value, this.#now);
    const isRescale = wanted !== scale.value;
    const next: Memory = isRescale
      ? { scaleEvents, pendingRescale: { from: scale.value, to: wanted, time: this.#now } }
      : { scaleEvents, ...(pendingRescale && { pendingRescale }) };
    if (memory.version !== this.#memory.version) return undefined;
    this.#memory = { version: memory.version + 1, value: next };
    return isRescale ? { ...invocation, intent: wanted } : undefined;
  }
}
