// What holds of every decision, whatever is seen and remembered.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DecisionInput, decide } from '../../shared/scaling/decide.ts';
import type { AutoscalerSpec, AutoscalerStatus, MetricSpec, Observation, Reading } from '../../shared/scaling/types.ts';
import { anAutoscalerSpec, aPod, aPodSample, aResourceMetric, aScale, NOW, seconds } from '../support/builders.ts';

const MOST_PODS = 8;
const UNSUPPORTED: MetricSpec = {
  type: 'Unsupported',
  name: 'CheddarCheese',
  reason: 'InvalidMetricSourceType',
  message: 'unknown metric source type',
};

function reading<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Reading<T>> {
  return fc.oneof(
    { weight: 6, arbitrary: value.map((found) => ({ value: found })) },
    { weight: 1, arbitrary: fc.constant({ unreadable: 'GET /x: 503' }) },
  );
}

const instant = fc.integer({ min: 0, max: 1000 }).map((age) => NOW - seconds(age));
const podName = fc.integer({ min: 0, max: MOST_PODS }).map((index) => `orders-${index}`);

const pods = fc.uniqueArray(
  fc
    .record({
      name: podName,
      phase: fc.constantFrom('Running', 'Running', 'Running', 'Pending', 'Failed', 'Succeeded'),
      isDeleting: fc.boolean(),
      startTime: instant,
      ready: fc.record({ status: fc.constantFrom('True', 'False', 'Unknown'), lastTransitionTime: instant }),
      containers: fc.array(
        fc.record({
          name: fc.constantFrom('taskmanager', 'sidecar'),
          requestsMilli: fc.record(
            { cpu: fc.bigInt({ min: 0n, max: 2000n }), memory: fc.bigInt({ min: 1n, max: 2n ** 62n }) },
            { requiredKeys: ['memory'] },
          ),
        }),
        { maxLength: 2 },
      ),
    })
    .map(aPod),
  { maxLength: MOST_PODS, selector: ({ name }) => name },
);

const samples = fc.uniqueArray(
  fc
    .record({
      pod: podName,
      valueMilli: fc.oneof(fc.bigInt({ min: 0n, max: 4000n }), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
      time: instant,
      windowSeconds: fc.constantFrom(0, 15, 60),
    })
    .map(aPodSample),
  { maxLength: MOST_PODS, selector: ({ pod }) => pod },
);

const metric: fc.Arbitrary<MetricSpec> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        resource: fc.constantFrom('cpu', 'memory'),
        target: fc.oneof(
          fc.record({
            type: fc.constant('Utilization' as const),
            averageUtilization: fc.integer({ min: 1, max: 200 }),
          }),
          fc.record({
            type: fc.constant('AverageValue' as const),
            averageValueMilli: fc.bigInt({ min: 1n, max: 4000n }),
          }),
        ),
      })
      .map(aResourceMetric),
  },
  { weight: 1, arbitrary: fc.constant(UNSUPPORTED) },
);

const spec: fc.Arbitrary<AutoscalerSpec> = fc
  .record({
    bounds: fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 30 })),
    metrics: fc.array(metric, { minLength: 1, maxLength: 3 }),
    mode: fc.constantFrom('Auto', 'Auto', 'Auto', 'Advise', 'Off'),
    pause: fc.record({ scaleUp: fc.boolean(), scaleDown: fc.boolean() }),
    settings: fc.record({
      tolerance: fc.constantFrom(0, 0.1, 0.5),
      downscaleStabilizationSeconds: fc.constantFrom(0, 15, 300),
      maxSampleAgeSeconds: fc.constantFrom(180, 2000),
    }),
  })
  .map(({ bounds: [minReplicas, more], ...rest }) =>
    anAutoscalerSpec({ ...rest, minReplicas, maxReplicas: minReplicas + more }),
  );

const status: fc.Arbitrary<AutoscalerStatus> = fc.record(
  {
    conditions: fc.constant([]),
    scaleEvents: fc.array(fc.record({ change: fc.integer({ min: -5, max: 5 }), time: instant }), { maxLength: 3 }),
    desiredReplicas: fc.integer({ min: 0, max: 50 }),
    recommendations: fc.array(fc.record({ replicas: fc.integer({ min: 0, max: 50 }), from: instant, until: instant }), {
      maxLength: 4,
    }),
    pendingRescale: fc.record({
      from: fc.integer({ min: 1, max: 50 }),
      to: fc.integer({ min: 1, max: 50 }),
      time: instant,
    }),
  },
  { requiredKeys: ['conditions', 'scaleEvents'] },
);

/** A decision over everything that can be seen and remembered. */
const input: fc.Arbitrary<DecisionInput> = spec.chain((policy) =>
  fc.record({
    spec: fc.constant(policy),
    observation: fc.record(
      {
        scale: reading(
          fc.record({ replicas: fc.integer({ min: 0, max: 50 }) }).map(({ replicas }) => aScale({ replicas })),
        ),
        rivals: reading(fc.constantFrom([], [], [], ['HorizontalPodAutoscaler orders'])),
        phase: fc.constantFrom('Running', 'Running', 'DeployFailed', 'Updating'),
        pods: reading(pods),
        metrics: fc.tuple(...policy.metrics.map(() => reading(samples))),
      },
      { requiredKeys: ['scale', 'rivals', 'pods', 'metrics'] },
    ),
    status,
    now: fc.constant(NOW),
  }),
);

/** The same, where nothing keeps the metrics from deciding. */
const computed: fc.Arbitrary<DecisionInput & { readonly current: number }> = input.chain((anything) => {
  const { minReplicas, maxReplicas } = anything.spec;
  return fc.integer({ min: minReplicas, max: maxReplicas }).map((current) => ({
    ...anything,
    current,
    spec: { ...anything.spec, mode: 'Auto' as const, pause: { scaleUp: false, scaleDown: false } },
    observation: {
      ...anything.observation,
      scale: { value: aScale({ replicas: current }) },
      rivals: { value: [] },
      phase: 'Running',
    } satisfies Observation,
  }));
});

function check<T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, predicate), { numRuns: 1500 });
}

describe('a decision', () => {
  it('is the same for the same input, which it leaves as it was', () => {
    check(input, (given) => {
      const copy = structuredClone(given);

      const decision = decide(given);

      expect(decide(copy)).toEqual(decision);
      expect(given).toEqual(copy);
    });
  });

  it('rescales only to a size that it has written down', () => {
    check(input, (given) => {
      const { rescale, currentReplicas, desiredReplicas, status: next } = decide(given);

      const written = next.pendingRescale?.time === NOW && next.pendingRescale !== given.status.pendingRescale;
      if (rescale) {
        expect(next.pendingRescale).toEqual({ from: currentReplicas, to: desiredReplicas, time: NOW });
        expect(desiredReplicas).not.toBe(currentReplicas);
      } else expect(written).toBe(false);
    });
  });

  it('never writes to a target that is off, advised on, deployed, scaled by others, of size 0 or unknown', () => {
    check(input, (given) => {
      const { spec: policy, observation } = given;
      const { scale, rivals, phase } = observation;
      const isHandsOff =
        policy.mode !== 'Auto' ||
        phase === 'Updating' ||
        'unreadable' in scale ||
        scale.value.replicas === 0 ||
        'unreadable' in rivals ||
        rivals.value.length > 0;

      if (isHandsOff) expect(decide(given).rescale).toBe(false);
    });
  });

  it('never writes in a direction that is paused', () => {
    check(input, (given) => {
      const { rescale, currentReplicas = 0, desiredReplicas = 0 } = decide(given);

      if (given.spec.pause.scaleUp && desiredReplicas > currentReplicas) expect(rescale).toBe(false);
      if (given.spec.pause.scaleDown && desiredReplicas < currentReplicas) expect(rescale).toBe(false);
    });
  });

  it('decides under Advise what it would decide under Auto', () => {
    check(input, (given) => {
      const under = (mode: AutoscalerSpec['mode']) =>
        decide({ ...given, spec: { ...given.spec, mode, pause: { scaleUp: false, scaleDown: false } } });
      const [auto, advise] = [under('Auto'), under('Advise')];

      expect(advise.desiredReplicas).toBe(auto.desiredReplicas);
      expect(advise.status.recommendations).toEqual(auto.status.recommendations);
    });
  });

  it('ends within bounds whenever it rescales', () => {
    check(input, (given) => {
      const { rescale, desiredReplicas } = decide(given);

      if (rescale) expectWithin(desiredReplicas, given.spec);
    });
  });
});

describe('a decision from metrics', () => {
  it('stays within minReplicas and maxReplicas', () => {
    check(computed, (given) => expectWithin(decide(given).desiredReplicas, given.spec));
  });

  it('grows to no more than twice the size, or 4', () => {
    check(computed, (given) => {
      expect(decide(given).desiredReplicas).toBeLessThanOrEqual(Math.max(2 * given.current, 4));
    });
  });

  it('never shrinks while a source cannot be read', () => {
    check(computed, (given) => {
      const { observation } = given;
      const isBlind = [observation.pods, ...observation.metrics].some((source) => 'unreadable' in source);

      if (isBlind) expect(decide(given).desiredReplicas).toBeGreaterThanOrEqual(given.current);
    });
  });

  it('never shrinks with an unsupported metric beside the others, and grows as it would without it', () => {
    check(computed, ({ current, ...given }) => {
      const metrics = given.spec.metrics.filter(({ type }) => type === 'Resource');
      const readings = given.observation.metrics.filter((_, index) => given.spec.metrics[index]?.type === 'Resource');
      // Without a history: where the metrics ask for less, a failure holds the size, not what was recommended before.
      const without = {
        ...given,
        status: { ...given.status, recommendations: [] },
        spec: { ...given.spec, metrics },
        observation: { ...given.observation, metrics: readings },
      };
      const beside = {
        ...without,
        spec: { ...given.spec, metrics: [...metrics, UNSUPPORTED] },
        observation: { ...given.observation, metrics: [...readings, { unreadable: 'unknown' }] },
      };

      const alone = decide(without).desiredReplicas ?? current;

      expect(decide(beside).desiredReplicas).toBe(Math.max(alone, current));
    });
  });

  it('asks for no less when another metric is added', () => {
    check(computed, (given) => {
      const last = given.spec.metrics.length - 1;
      if (last === 0) return;
      const fewer = {
        ...given,
        spec: { ...given.spec, metrics: given.spec.metrics.slice(0, last) },
        observation: { ...given.observation, metrics: given.observation.metrics.slice(0, last) },
      };

      const [all, some] = [decide(given), decide(fewer)];

      if (all.error === undefined && some.error === undefined)
        expect(all.desiredReplicas).toBeGreaterThanOrEqual(some.desiredReplicas ?? 0);
    });
  });

  it('says that it is limited exactly when the bound changed the size', () => {
    check(computed, (given) => {
      const { desiredReplicas, status: next, message } = decide(given);

      const limited = next.conditions.find(({ type }) => type === 'ScalingLimited');
      if (limited === undefined) return;
      expect(limited.status === 'True').toBe(message.includes(`limited to ${desiredReplicas} (${limited.reason})`));
      expect(limited.status === 'False').toBe(limited.reason === 'DesiredWithinRange');
    });
  });
});

function expectWithin(size: number | undefined, { minReplicas, maxReplicas }: AutoscalerSpec): void {
  expect(size).toBeGreaterThanOrEqual(minReplicas);
  expect(size).toBeLessThanOrEqual(maxReplicas);
}
