// The arithmetic is compared with the real controller's (test/parity); here are its edges, its sentences and its failures.

import { describe, expect, it } from 'vitest';
import type { ProposalInput } from '../../shared/scaling/proposal.ts';
import { propose } from '../../shared/scaling/propose.ts';
import type { ExternalMetricSpec, ObjectMetricSpec, Sample, Scale } from '../../shared/scaling/types.ts';
import { aScale, NOW, seconds, somePods, someSettings } from '../support/builders.ts';

const INT64_MAX = 2n ** 63n - 1n;

/** A queue that may hold 10 of something in all. */
function aLag(overrides: Partial<ExternalMetricSpec> = {}): ExternalMetricSpec {
  return {
    type: 'External',
    metric: { name: 'lag', labelSelector: '' },
    target: { type: 'Value', valueMilli: 10_000n },
    ...overrides,
  };
}

/** Requests to an Ingress, of which it may serve 10 a replica. */
function someRequests(overrides: Partial<ObjectMetricSpec> = {}): ObjectMetricSpec {
  return {
    type: 'Object',
    describedObject: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', name: 'door' },
    metric: { name: 'requests', labelSelector: '' },
    target: { type: 'AverageValue', averageValueMilli: 10_000n },
    ...overrides,
  };
}

interface Situation {
  readonly metric: ExternalMetricSpec | ObjectMetricSpec;
  readonly valuesMilli: readonly bigint[];
  readonly scale?: Partial<Scale>;
  readonly age?: number;
}

/** Two ready pods, of which the scale's status tells. */
function anInput({ metric, valuesMilli, scale, age = seconds(10) }: Situation): ProposalInput {
  const samples: Sample[] = valuesMilli.map((valueMilli) => ({ valueMilli, time: NOW - age }));
  return {
    metric,
    scale: aScale({ replicas: 2, statusReplicas: 2, ...scale }),
    pods: { value: somePods(2) },
    samples: { value: samples },
    settings: someSettings(),
    tolerance: { scaleUp: 0.1, scaleDown: 0.1 },
    now: NOW,
  };
}

describe('a Value target', () => {
  it('multiplies the ready pods', () => {
    const metric = aLag();

    expect(propose(anInput({ metric, valuesMilli: [12_000n, 8_500n] }))).toEqual({
      replicas: 5,
      description: 'external metric lag',
      currentMetric: { metric, valueMilli: 20_500n },
      seenAndWanted: '20500m/10',
      arithmetic: 'ceil(2 × 20500m/10) = 5',
    });
  });

  it('is the ratio itself from 0 replicas', () => {
    expect(propose(anInput({ metric: aLag(), valuesMilli: [25_000n], scale: { replicas: 0 } }))).toMatchObject({
      replicas: 3,
      arithmetic: 'ceil(25/10) = 3',
    });
  });

  it('needs pods that are ready, wherever they are on their way', () => {
    const input = anInput({ metric: aLag(), valuesMilli: [20_000n] });
    const pods = [
      ...somePods(1, { isDeleting: true }),
      ...somePods(1, { phase: 'Pending' }),
      ...somePods(1, { ready: { status: 'Unknown', lastTransitionTime: NOW } }),
    ];

    expect(propose({ ...input, pods: { value: pods } })).toMatchObject({ arithmetic: 'ceil(1 × 20/10) = 2' });
    expect(propose({ ...input, pods: { value: [] } })).toMatchObject({
      reason: 'FailedGetExternalMetric',
      message:
        'failed to get lag external metric value: unable to calculate ready pods: no pods returned by selector while calculating replica count',
    });
    expect(propose({ ...input, pods: { unreadable: 'timed out' } })).toMatchObject({
      message: 'failed to get lag external metric value: unable to get pods while calculating replica count: timed out',
    });
  });
});

describe('an AverageValue target', () => {
  it('divides the value, whatever the pods, and shows what each of them has, rounded up', () => {
    const metric = someRequests();

    expect(propose(anInput({ metric, valuesMilli: [50_001n] }))).toEqual({
      replicas: 6,
      description: 'Ingress metric requests',
      currentMetric: { metric, averageValueMilli: 25_001n },
      seenAndWanted: '25001m/10 (avg)',
      arithmetic: 'ceil(50001m/10) = 6',
    });
  });

  it('stays at what the status counts, within the tolerance of each one', () => {
    const scale = { replicas: 2, statusReplicas: 3 };

    expect(propose(anInput({ metric: someRequests(), valuesMilli: [32_000n], scale }))).toMatchObject({
      replicas: 3,
      arithmetic: 'within the tolerance of 10 %',
    });
  });

  it('shows a share of 0 where the status counts nobody', () => {
    const { statusReplicas: _, ...uncounted } = aScale({ replicas: 2 });
    const input = anInput({ metric: someRequests(), valuesMilli: [20_000n] });

    expect(propose({ ...input, scale: uncounted })).toMatchObject({
      replicas: 2,
      currentMetric: { averageValueMilli: 0n },
      arithmetic: 'ceil(20/10) = 2',
    });
  });
});

describe('a sum', () => {
  it('stops at the largest int64', () => {
    const input = anInput({ metric: aLag(), valuesMilli: [INT64_MAX, 2n] });

    expect(propose(input)).toMatchObject({ currentMetric: { valueMilli: INT64_MAX } });
  });

  it('is shown whole to each where it is the largest int64, as the HPA does', () => {
    const metric = aLag({ target: { type: 'AverageValue', averageValueMilli: 1n } });

    expect(propose(anInput({ metric, valuesMilli: [INT64_MAX] }))).toMatchObject({
      replicas: 2_147_483_647,
      currentMetric: { averageValueMilli: INT64_MAX },
    });
    expect(propose(anInput({ metric, valuesMilli: [2n ** 62n] }))).toMatchObject({
      currentMetric: { averageValueMilli: 2n ** 61n },
    });
  });

  it.each([
    ['any series at all', [], 10, 'no metrics returned from metrics API'],
    ['a fresh value of each series', [1n, 2n], 180.001, '2 of 2 samples are older than 180 s (maxSampleAgeSeconds)'],
  ])('is unknown without %s', (_, valuesMilli, ageSeconds, cause) => {
    const age = Math.round(ageSeconds * 1000);

    expect(propose(anInput({ metric: aLag(), valuesMilli, age }))).toEqual({
      reason: 'FailedGetExternalMetric',
      message: `failed to get lag external metric value: ${cause}`,
      seenAndWanted: '<unknown>/10',
    });
  });

  it.each([
    [
      'FailedGetObjectMetric',
      someRequests(),
      'failed to get object metric value: unable to get metric requests on Ingress door',
    ],
    ['FailedGetExternalMetric', aLag(), 'failed to get lag external metric value'],
  ])('is unknown when one of its series is stale: %s', (reason, metric, sentence) => {
    const samples = [0, seconds(181)].map((age) => ({ valueMilli: 1n, time: NOW - age }));

    expect(propose({ ...anInput({ metric, valuesMilli: [] }), samples: { value: samples } })).toEqual({
      reason,
      message: `${sentence}: 1 of 2 samples are older than 180 s (maxSampleAgeSeconds)`,
      seenAndWanted: '<unknown>/10',
    });
  });
});

it('tells metrics of one name apart by their selector', () => {
  const metric = aLag({ metric: { name: 'lag', labelSelector: 'queue=a' } });

  expect(propose(anInput({ metric, valuesMilli: [10_000n] }))).toMatchObject({
    description: 'external metric lag (queue=a)',
  });
});
