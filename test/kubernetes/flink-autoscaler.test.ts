import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  diffStatus,
  type FlinkAutoscaler,
  readFlinkAutoscaler,
  readSpec,
  toWireStatus,
  type WireStatus,
} from '../../shared/kubernetes/flink-autoscaler.ts';
import type { AutoscalerSpec, AutoscalerStatus } from '../../shared/scaling/types.ts';
import { formatTime } from '../../shared/units.ts';
import { aCondition, aResourceMetric, aStatus, NOW, seconds } from '../support/builders.ts';

const scaleTargetRef = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' };

function aWireAutoscaler(overrides: { readonly spec?: object; readonly status?: WireStatus } = {}) {
  return {
    apiVersion: 'headrace.dev/v1alpha1',
    kind: 'FlinkAutoscaler',
    metadata: { namespace: 'flink', name: 'orders', uid: 'u-1', resourceVersion: '42', generation: 3 },
    spec: { scaleTargetRef, maxReplicas: 10, ...overrides.spec },
    ...(overrides.status && { status: overrides.status }),
  };
}

function read(item: unknown): FlinkAutoscaler {
  const autoscaler = readFlinkAutoscaler(item);
  if (autoscaler === undefined) throw new TypeError('not a FlinkAutoscaler');
  return autoscaler;
}

function specOf(spec: object): AutoscalerSpec {
  const reading = readSpec({ scaleTargetRef, maxReplicas: 10, ...spec });
  if ('unreadable' in reading) throw new TypeError(reading.unreadable);
  return reading.value;
}

describe('readSpec', () => {
  it('fills in every default', () => {
    expect(specOf({})).toEqual({
      target: scaleTargetRef,
      minReplicas: 1,
      maxReplicas: 10,
      metrics: [{ type: 'Resource', resource: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } }],
      mode: 'Auto',
      pause: { scaleUp: false, scaleDown: false },
      settings: {
        cpuInitializationPeriodSeconds: 300,
        initialReadinessDelaySeconds: 30,
        tolerance: 0.1,
        downscaleStabilizationSeconds: 300,
        maxSampleAgeSeconds: 180,
        syncPeriodSeconds: 15,
      },
    });
  });

  it('takes what the user wrote', () => {
    const spec = specOf({
      minReplicas: 2,
      mode: 'Advise',
      pause: { scaleDown: true },
      controller: { tolerance: 0, downscaleStabilizationSeconds: 0, maxSampleAgeSeconds: 60 },
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1500Mi' } },
        },
      ],
    });

    expect(spec).toMatchObject({
      minReplicas: 2,
      mode: 'Advise',
      pause: { scaleUp: false, scaleDown: true },
      settings: {
        tolerance: 0,
        downscaleStabilizationSeconds: 0,
        maxSampleAgeSeconds: 60,
        cpuInitializationPeriodSeconds: 300,
      },
      metrics: [
        {
          type: 'Resource',
          resource: 'memory',
          target: { type: 'AverageValue', averageValueMilli: 1500n * 2n ** 20n * 1000n },
        },
      ],
    });
  });

  it.each([
    ['no target', { scaleTargetRef: undefined }, 'spec.scaleTargetRef'],
    ['a target without a name', { scaleTargetRef: { kind: 'Deployment' } }, 'spec.scaleTargetRef.name'],
    ['no maximum', { maxReplicas: undefined }, 'spec.maxReplicas'],
    ['a maximum of 0', { maxReplicas: 0 }, 'spec.maxReplicas'],
    ['half a replica', { maxReplicas: 2.5 }, 'spec.maxReplicas'],
    ['a minimum below 0', { minReplicas: -1 }, 'spec.minReplicas'],
    [
      'a minimum above the maximum',
      { minReplicas: 11 },
      'spec.maxReplicas: must be greater than or equal to minReplicas',
    ],
    ['an unknown mode', { mode: 'Sometimes' }, 'spec.mode'],
    ['a negative tolerance', { controller: { tolerance: -0.1 } }, 'spec.controller.tolerance'],
    ['a negative window', { controller: { downscaleStabilizationSeconds: -1 } }, 'spec.controller.downscale'],
    ['a sample age of 0', { controller: { maxSampleAgeSeconds: 0 } }, 'spec.controller.maxSampleAgeSeconds'],
  ])('names the fault of %s', (_, spec, fault) => {
    expect(readSpec({ scaleTargetRef, maxReplicas: 10, ...spec })).toEqual({
      unreadable: expect.stringContaining(fault),
    });
  });

  it('names all faults together', () => {
    const { unreadable } = readSpec({ scaleTargetRef, minReplicas: -1, maxReplicas: 0, mode: 'x' }) as {
      unreadable: string;
    };

    for (const field of ['spec.minReplicas', 'spec.maxReplicas', 'spec.mode']) expect(unreadable).toContain(field);
  });

  it.each([undefined, null, 'spec', []])('says what must hold when the spec is %j', (spec) => {
    expect(readSpec(spec)).toEqual({ unreadable: expect.stringContaining('spec') });
  });

  it('lets a metric of unknown type fail by itself', () => {
    const cpu = {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
    };

    expect(specOf({ metrics: [{ type: 'CheddarCheese', cheese: {} }, cpu] }).metrics).toEqual([
      {
        type: 'Unsupported',
        name: 'CheddarCheese',
        reason: 'InvalidMetricSourceType',
        message: 'unknown metric source type "CheddarCheese"',
      },
      { type: 'Resource', resource: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
    ]);
  });

  it.each([
    ['no resource', { type: 'Resource' }, 'resource'],
    ['no target', { type: 'Resource', resource: { name: 'cpu' } }, 'resource.target'],
    [
      'a utilization of 0',
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 0 } } },
      'resource.target.averageUtilization',
    ],
    [
      'a target of another type',
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Value', value: '1' } } },
      'its target must hold a value of a type it supports',
    ],
    ...['0', '-1', 'lots', ''].map(
      (averageValue) =>
        [
          `a value of "${averageValue}"`,
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'AverageValue', averageValue } } },
          'resource.target.averageValue: must be a quantity above 0',
        ] as const,
    ),
  ] as const)('lets a Resource metric with %s fail by itself', (_, metric, fault) => {
    const [unsupported] = specOf({ metrics: [metric] }).metrics;

    expect(unsupported).toEqual({
      type: 'Unsupported',
      name: 'Resource',
      reason: 'FailedGetResourceMetric',
      message: expect.stringContaining(`the Resource metric cannot be used: ${fault}`),
    });
  });
});

describe('readFlinkAutoscaler', () => {
  it('reads identity, policy and memory', () => {
    const autoscaler = read(aWireAutoscaler({ status: { currentReplicas: 2, selector: 'a=b' } }));

    expect(autoscaler).toMatchObject({
      namespace: 'flink',
      name: 'orders',
      uid: 'u-1',
      resourceVersion: '42',
      generation: 3,
      target: scaleTargetRef,
      spec: { value: { maxReplicas: 10 } },
      status: { currentReplicas: 2, selector: 'a=b', conditions: [], scaleEvents: [] },
      wireStatus: { currentReplicas: 2, selector: 'a=b' },
    });
  });

  it('knows the target of a spec that cannot be used otherwise', () => {
    const { spec, target } = read(aWireAutoscaler({ spec: { maxReplicas: 0 } }));

    expect(spec).toHaveProperty('unreadable');
    expect(target).toEqual(scaleTargetRef);
  });

  it('starts with an empty memory, in which nothing was ever recommended', () => {
    expect(read(aWireAutoscaler()).status).toEqual({ conditions: [], scaleEvents: [] });
  });

  it.each([
    ['recommendations', [{ replicas: 'many', from: '2026-03-01T12:00:00Z' }]],
    ['recommendations', [{ replicas: 3, from: 'yesterday' }]],
    ['pendingRescale', { from: 2 }],
    ['lastDecision', 'none'],
    ['lastScaleTime', 'never'],
    ['currentReplicas', '2'],
    ['scaleEvents', [{ change: 1 }]],
    ['conditions', [{ type: 'AbleToScale', status: 'Maybe' }]],
  ])('takes a broken %s (%j) for none, and keeps the rest', (field, broken) => {
    const { status } = read(aWireAutoscaler({ status: { desiredReplicas: 7, [field]: broken } }));

    expect(status).toEqual({ conditions: [], scaleEvents: [], desiredReplicas: 7 });
  });

  it.each([null, {}, 'text', { metadata: { name: 'orders' } }, { metadata: { name: 'orders', namespace: 'flink' } }])(
    'reads nothing from %j',
    (item) => {
      expect(readFlinkAutoscaler(item)).toBeUndefined();
    },
  );
});

const instant = fc.integer({ min: NOW - seconds(86_400), max: NOW });
const size = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const text = fc.string({ maxLength: 20 });

/** Every status that a decision can leave. */
const anyStatus: fc.Arbitrary<AutoscalerStatus> = fc.record(
  {
    observedGeneration: fc.nat(),
    currentReplicas: size,
    desiredReplicas: size,
    lastScaleTime: instant,
    currentMetricsTime: instant,
    conditions: fc.array(
      fc.record({
        type: fc.constantFrom('AbleToScale', 'ScalingActive', 'ScalingLimited', 'Paused'),
        status: fc.constantFrom('True', 'False', 'Unknown'),
        reason: text,
        message: text,
        lastTransitionTime: instant,
      }),
      { maxLength: 4 },
    ),
    recommendations: fc.array(
      fc.record({ replicas: size, from: instant, until: instant }, { requiredKeys: ['replicas', 'from'] }),
      { maxLength: 4 },
    ),
    scaleEvents: fc.array(fc.record({ change: fc.integer(), time: instant }), { maxLength: 4 }),
    pendingRescale: fc.record({ from: size, to: size, time: instant }),
    selector: text,
    targets: text,
    lastDecision: fc.record({
      time: instant,
      currentReplicas: size,
      desiredReplicas: size,
      reason: text,
      message: text,
    }),
  },
  { requiredKeys: ['conditions', 'scaleEvents'] },
);

describe('a status on the wire', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(anyStatus, (status) => {
        const wire = JSON.parse(JSON.stringify(toWireStatus(status))) as WireStatus;

        expect(read(aWireAutoscaler({ status: wire })).status).toEqual(status);
      }),
    );
  });

  it('shows metrics as autoscaling/v2 does, with an empty slot for one that failed', () => {
    const { currentMetrics } = toWireStatus(
      aStatus({
        currentMetrics: [
          { metric: aResourceMetric(), averageValueMilli: 800n, averageUtilization: 80 },
          { metric: aResourceMetric({ resource: 'memory' }), averageValueMilli: 2000n },
          null,
        ],
      }),
    );

    expect(currentMetrics).toEqual([
      { type: 'Resource', resource: { name: 'cpu', current: { averageValue: '800m', averageUtilization: 80 } } },
      { type: 'Resource', resource: { name: 'memory', current: { averageValue: '2' } } },
      { type: '' },
    ]);
  });

  it('leaves out empty lists, but not an empty history: nothing recommended lately is not nothing recommended ever', () => {
    expect(toWireStatus({ conditions: [], scaleEvents: [], recommendations: [] })).toEqual({ recommendations: [] });
  });
});

describe('diffStatus', () => {
  const readings = (percent: number, time: number) => ({
    currentMetrics: [
      { metric: aResourceMetric(), averageValueMilli: BigInt(percent * 10), averageUtilization: percent },
    ],
    currentMetricsTime: time,
    targets: `cpu: ${percent}%/40%`,
  });
  const settled = aStatus({
    currentReplicas: 2,
    conditions: [aCondition()],
    recommendations: [{ replicas: 2, from: NOW - seconds(600) }],
    ...readings(40, NOW),
  });
  const stored = read(aWireAutoscaler({ status: toWireStatus(settled) }));

  it('writes nothing when nothing changed', () => {
    expect(diffStatus(stored, settled)).toBeUndefined();
  });

  it('writes nothing when the time of unchanged readings alone has passed', () => {
    expect(diffStatus(stored, { ...settled, currentMetricsTime: NOW + seconds(86_400) })).toBeUndefined();
  });

  it('holds moved readings back until the last ones are 300 s old', () => {
    const at = (age: number) => diffStatus(stored, { ...settled, ...readings(42, NOW + seconds(age)) });

    expect(at(299)).toBeUndefined();
    expect(Object.keys(at(300) ?? {}).sort()).toEqual(['currentMetrics', 'currentMetricsTime', 'targets']);
  });

  it('writes the first readings at once', () => {
    const fresh = read(aWireAutoscaler());

    expect(diffStatus(fresh, aStatus(readings(40, NOW)))).toMatchObject({ targets: 'cpu: 40%/40%' });
  });

  it('writes the readings along with anything else that changed, and nothing that did not', () => {
    const changes = diffStatus(stored, { ...settled, currentReplicas: 3, ...readings(42, NOW + seconds(15)) });

    expect(changes).toEqual({
      currentReplicas: 3,
      currentMetrics: [
        { type: 'Resource', resource: { name: 'cpu', current: { averageValue: '420m', averageUtilization: 42 } } },
      ],
      currentMetricsTime: formatTime(NOW + seconds(15)),
      targets: 'cpu: 42%/40%',
    });
  });

  it('takes away with null what is no longer there', () => {
    const pendingRescale = { from: 2, to: 4, time: NOW };
    const pending = read(aWireAutoscaler({ status: toWireStatus({ ...settled, pendingRescale }) }));

    expect(diffStatus(pending, settled)).toEqual({ pendingRescale: null });
  });

  it('takes away a field that is not one of ours', () => {
    const littered = read(aWireAutoscaler({ status: { ...toWireStatus(settled), litter: true } }));

    expect(diffStatus(littered, settled)).toEqual({ litter: null });
  });

  it('leaves the next status on the server, whatever was there before', () => {
    fc.assert(
      fc.property(anyStatus, anyStatus, (before, next) => {
        const autoscaler = read(aWireAutoscaler({ status: toWireStatus(before) }));

        const changes = diffStatus(autoscaler, next);

        const merged = Object.entries({ ...autoscaler.wireStatus, ...changes }).filter(([, value]) => value !== null);
        const isHeldBack = changes === undefined;
        if (!isHeldBack) expect(Object.fromEntries(merged)).toEqual(toWireStatus(next));
      }),
    );
  });
});
