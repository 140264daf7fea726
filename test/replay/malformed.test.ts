// What is wrong in a snapshot is told with its place; nothing is guessed, and nothing becomes a wrong number.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeSnapshot, type ReplayAnswer } from '../../shared/replay/judge.ts';
import { createReplay } from '../../shared/replay/replay.ts';
import { InvalidSnapshotError } from '../../shared/replay/snapshot.ts';
import { aSnapshot, snapshotCases, type WireSnapshot } from '../support/snapshots.ts';

const replay = createReplay();

describe('a snapshot that cannot be read says where:', () => {
  it.each<[string, unknown, string, string]>([
    ['null', null, '', 'expected object'],
    ['a number', 5, '', 'expected object'],
    ['a list', [], '', 'expected object'],
    ['no kind', without('kind'), 'kind', 'expected "Snapshot"'],
    ['another kind', at('kind', 'Pod'), 'kind', 'expected "Snapshot"'],
    ['no time', without('now'), 'now', 'RFC 3339'],
    ['a date without a time', at('now', '2026-03-01'), 'now', 'RFC 3339'],
    ['a time that is a number', at('now', 1772366400), 'now', 'RFC 3339'],
    ['a day that does not exist', at('now', '2026-02-30T12:00:00Z'), 'now', 'RFC 3339'],
    ['no autoscaler', without('autoscaler'), 'autoscaler', 'expected object'],
    ['an autoscaler of an unknown kind', at('autoscaler.kind', 'ScaledObject'), 'autoscaler.kind', 'FlinkAutoscaler'],
    [
      'an autoscaler without a name',
      without('autoscaler.metadata.name'),
      'autoscaler.metadata.name',
      'expected string',
    ],
    ['no spec', without('autoscaler.spec'), 'autoscaler.spec', 'expected object'],
    ['no target', without('autoscaler.spec.scaleTargetRef'), 'autoscaler.spec.scaleTargetRef', 'expected object'],
    ['no maximum', without('autoscaler.spec.maxReplicas'), 'autoscaler.spec.maxReplicas', 'expected number'],
    ['a maximum in words', at('autoscaler.spec.maxReplicas', 'ten'), 'autoscaler.spec.maxReplicas', 'expected number'],
    ['a maximum of a half', at('autoscaler.spec.maxReplicas', 2.5), 'autoscaler.spec.maxReplicas', 'expected int'],
    [
      'a maximum below 2^53',
      at('autoscaler.spec.maxReplicas', 2 ** 60),
      'autoscaler.spec.maxReplicas',
      '9007199254740991',
    ],
    ['a negative minimum', at('autoscaler.spec.minReplicas', -1), 'autoscaler.spec.minReplicas', '>=0'],
    [
      'a minimum above the maximum',
      at('autoscaler.spec.minReplicas', 30),
      'autoscaler.spec.maxReplicas',
      'minReplicas',
    ],
    ['an unknown mode', at('autoscaler.spec.mode', 'Sometimes'), 'autoscaler.spec.mode', 'Advise'],
    ['metrics that are no list', at('autoscaler.spec.metrics', {}), 'autoscaler.spec.metrics', 'expected array'],
    [
      'a metric without a type',
      at('autoscaler.spec.metrics.0.type', undefined),
      'autoscaler.spec.metrics.0.type',
      'string',
    ],
    ['a negative size', at('scale.spec.replicas', -1), 'scale.spec.replicas', '>=0'],
    ['a size in words', at('scale.spec.replicas', '3'), 'scale.spec.replicas', 'expected number'],
    ['pods that are no list', at('pods', {}), 'pods', 'expected array'],
    ['a pod without a name', without('pods.0.metadata.name'), 'pods.0.metadata.name', 'expected string'],
    ['a label that is a number', at('pods.0.metadata.labels.app', 5), 'pods.0.metadata.labels.app', 'expected string'],
    ['a start that is no time', at('pods.0.status.startTime', 'early'), 'pods.0.status.startTime', 'RFC 3339'],
    [
      'conditions that are no list',
      at('pods.0.status.conditions', 'Ready'),
      'pods.0.status.conditions',
      'expected array',
    ],
    ['a sample without a time', without('podMetrics.0.timestamp'), 'podMetrics.0.timestamp', 'RFC 3339'],
    ['a setting in words', at('settings', { tolerance: 'a lot' }), 'settings.tolerance', 'expected number'],
    ['a failure that is no text', at('failures', { pods: 403 }), 'failures.pods', 'expected string'],
    [
      'history without times',
      at('autoscaler.status', { recommendations: [{ replicas: 3 }] }),
      'autoscaler.status.recommendations.0.from',
      'RFC 3339',
    ],
    [
      'a scale event in words',
      at('autoscaler.status', { scaleEvents: [{ change: '2', time: '2026-03-01T12:00:00Z' }] }),
      'autoscaler.status.scaleEvents.0.change',
      'expected number',
    ],
  ])('%s', (_, snapshot, path, message) => {
    const answer = replay(snapshot);

    expect(answer).toMatchObject({
      invalid: expect.arrayContaining([{ path, message: expect.stringContaining(message) }]),
    });
  });

  it('all its faults at once, with its name', () => {
    const snapshot = { ...aSnapshot(), now: 'noon', scale: { spec: { replicas: 'two' } } };

    expect(replay(snapshot)).toEqual({
      name: 'orders',
      invalid: [
        { path: 'now', message: 'must be an RFC 3339 time' },
        { path: 'scale.spec.replicas', message: expect.any(String) },
      ],
    });
  });
});

/** The quantities of the world outside, and the thousandths that the HPA reads in them; undefined: no quantity. */
const QUANTITIES: [unknown, bigint | undefined][] = [
  ['1e3', 1_000_000n],
  ['1E3', 1_000_000n],
  [1e3, 1_000_000n],
  ['0.5', 500n],
  [0.5, 500n],
  ['.5', 500n],
  ['100Ki', 102_400_000n],
  ['1500000000n', 1500n],
  ['1n', 1n],
  ['9007199254740993', 9_007_199_254_740_993_000n],
  ['9223372036854775807', 2n ** 63n - 1n],
  ['1000000000000000000000000', 2n ** 63n - 1n],
  [2 ** 53, undefined],
  [1e21, undefined],
  ['NaN', undefined],
  ['Infinity', undefined],
  ['', undefined],
  ['1 Gi', undefined],
  ['1,5', undefined],
  ['0x10', undefined],
  ['ten', undefined],
  [null, undefined],
  [true, undefined],
  [{}, undefined],
];

describe('a quantity', () => {
  it.each(QUANTITIES)('%j of a sample is read exactly or refused', (quantity, expected) => {
    const answer = replay(externalSnapshot(quantity, '1'));

    if (expected === undefined)
      expect(answer).toMatchObject({
        invalid: [{ path: 'externalMetrics.0.value', message: expect.stringMatching(/^must be a quantity, but is/) }],
      });
    else expect(readValue(answer as ReplayAnswer)).toBe(expected);
  });

  it.each(QUANTITIES)('%j of a usage or request is read or refused', (quantity, expected) => {
    const usage = replay(at('podMetrics.0.containers.0.usage.cpu', quantity));
    const request = replay(at('pods.0.spec.containers.0.resources.requests.cpu', quantity));

    if (expected === undefined) {
      expect(usage).toMatchObject({ invalid: [{ path: 'podMetrics.0.containers.0.usage.cpu' }] });
      expect(request).toMatchObject({ invalid: [{ path: 'pods.0.spec.containers.0.resources.requests.cpu' }] });
    } else {
      expect(usage).not.toHaveProperty('invalid');
      expect(request).not.toHaveProperty('invalid');
    }
  });

  it.each([...QUANTITIES.filter(([, milli]) => milli === undefined).map(([quantity]) => quantity), '-1', '0', -1, 0])(
    '%j as a target fails the metric and tells why, and no size comes of it',
    (quantity) => {
      const answer = replay(externalSnapshot('100', quantity));

      expect(answer).toMatchObject({
        desiredReplicas: 2,
        rescale: false,
        reason: 'FailedGetExternalMetric',
        error: expect.stringContaining('the External metric cannot be used'),
      });
    },
  );

  it('below zero is one: the size follows it to the minimum and not further', () => {
    expect(replay(externalSnapshot('-1', '1'))).toMatchObject({
      desiredReplicas: 1,
      currentMetrics: [{ external: { current: { value: '-1' } } }],
    });
  });
});

describe('a metric', () => {
  it.each(['CheddarCheese', '', 'resource', 'toString', '__proto__'])(
    'of the unknown type %j fails by itself',
    (type) => {
      const { metrics } = aSnapshot().autoscaler.spec as { metrics: object[] };

      const alone = replay(at('autoscaler.spec.metrics', [{ type }]));
      const beside = replay(at('autoscaler.spec.metrics', [...metrics, { type }]));

      expect(alone).toMatchObject({ desiredReplicas: 2, rescale: false, reason: 'InvalidMetricSourceType' });
      expect(beside).toMatchObject({
        desiredReplicas: 4,
        rescale: true,
        error: expect.stringContaining('unknown metric source type'),
      });
    },
  );

  it('without what its type needs fails by itself', () => {
    expect(replay(at('autoscaler.spec.metrics', [{ type: 'Pods' }]))).toMatchObject({
      desiredReplicas: 2,
      reason: 'FailedGetPodsMetric',
      error: expect.stringContaining('the Pods metric cannot be used'),
    });
  });
});

it('junk in any place is an answer or a list of faults, and never a size that is no size', () => {
  const junk = fc.constantFrom<unknown>(
    ...[null, 0, -1, 1e3, 0.5, 1e308, 2 ** 60, true, '', 'NaN', '-1', '1e3', '100Ki', '2026-01-01', '\u0000'],
    ...[[], {}, [null], [{}], { a: null }, { __proto__: null }],
  );
  const changes = fc.array(fc.tuple(fc.nat(), fc.option(junk, { nil: undefined })), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.constantFrom(...snapshotCases), changes, ({ snapshot }, changed) => {
      const broken = changed.reduce<unknown>((value, [place, replacement]) => {
        const paths = pathsIn(value);
        return withValueAt(value, paths[place % paths.length] ?? [], replacement);
      }, snapshot);

      try {
        const { desiredReplicas } = judgeSnapshot(broken);
        expect(desiredReplicas === null || (Number.isSafeInteger(desiredReplicas) && desiredReplicas >= 0)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidSnapshotError);
        expect((error as InvalidSnapshotError).faults).not.toEqual([]);
      }
    }),
    { numRuns: 3000 },
  );
});

/** Two ready pods and an External metric with a target of type Value. */
function externalSnapshot(value: unknown, target: unknown): object {
  const external = { metric: { name: 'lag' }, target: { type: 'Value', value: target } };
  return {
    ...aSnapshot({ replicas: 2, spec: { metrics: [{ type: 'External', external }] }, status: { recommendations: [] } }),
    externalMetrics: [{ metricName: 'lag', value, timestamp: '2026-03-01T12:00:00Z' }],
  };
}

function readValue({ currentMetrics: [metric] }: ReplayAnswer): bigint {
  const { value } = (metric as { external: { current: { value: string } } }).external.current;
  return value.endsWith('m') ? BigInt(value.slice(0, -1)) : BigInt(value) * 1000n;
}

function without(path: string): object {
  return at(path, undefined);
}

/** A good snapshot but for the value at one path. */
function at(path: string, value: unknown): WireSnapshot {
  return withValueAt(aSnapshot(), path.split('.'), value) as WireSnapshot;
}

function withValueAt(object: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  const copy: Record<string, unknown> = Array.isArray(object) ? ([...object] as never) : { ...(object as object) };
  if (rest.length === 0 && value === undefined) delete copy[key];
  else copy[key] = withValueAt(copy[key], rest, value);
  return copy;
}

function pathsIn(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, field]) => pathsIn(field, [...path, key]))];
}
