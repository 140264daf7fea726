// The peer's own cases of the calculator run in peer-cases.test.ts; here are its edges, its sentences and its invariants.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MetricProposal, ProposalInput } from '../../shared/scaling/proposal.ts';
import { propose } from '../../shared/scaling/propose.ts';
import type { Pod, PodSample } from '../../shared/scaling/types.ts';
import {
  aPod,
  aPodSample,
  aResourceMetric,
  aScale,
  NOW,
  seconds,
  somePods,
  someSamples,
  someSettings,
} from '../support/builders.ts';

/** Two ready pods at 40 % of their CPU, which is the target. */
function anInput({
  pods = somePods(2),
  samples = someSamples(2, 400n),
  tolerance = 0.1,
  ...overrides
}: Partial<Pick<ProposalInput, 'metric' | 'settings'>> & {
  readonly pods?: readonly Pod[];
  readonly samples?: readonly PodSample[];
  readonly tolerance?: number;
}): ProposalInput {
  return {
    metric: aResourceMetric(),
    scale: aScale({ replicas: pods.length }),
    pods: { value: pods },
    samples: { value: samples },
    settings: someSettings(),
    tolerance: { scaleUp: tolerance, scaleDown: tolerance },
    now: NOW,
    ...overrides,
  };
}

function aMemoryTarget(averageValueMilli: bigint) {
  return aResourceMetric({ resource: 'memory', target: { type: 'AverageValue', averageValueMilli } });
}

describe('a Utilization target', () => {
  it('shows the arithmetic, the seen and the wanted', () => {
    const proposal = propose(anInput({ samples: someSamples(2, 800n) }));

    expect(proposal).toEqual({
      replicas: 4,
      description: 'cpu resource utilization (percentage of request)',
      currentMetric: { metric: aResourceMetric(), averageValueMilli: 800n, averageUtilization: 80 },
      seenAndWanted: '80%/40%',
      arithmetic: 'ceil(2 × 80/40) = 4',
    });
  });

  it('keeps the current size within tolerance', () => {
    const proposal = propose(anInput({ samples: someSamples(2, 440n) }));

    expect(proposal).toMatchObject({ replicas: 2, arithmetic: 'within the tolerance of 10 %' });
  });

  it.each`
    percent | target | expected | why
    ${110}  | ${100} | ${10}    | ${'a ratio of exactly 1.1 is inside'}
    ${55}   | ${50}  | ${10}    | ${'55/50 is 1.1 in doubles'}
    ${77}   | ${70}  | ${10}    | ${'77/70 is 1.1 in doubles'}
    ${90}   | ${100} | ${10}    | ${'a ratio of exactly 0.9 is inside'}
    ${111}  | ${100} | ${12}    | ${'1.11 × 10 = 11.1 is rounded up'}
    ${89}   | ${100} | ${9}     | ${'0.89 × 10 = 8.9 is rounded up'}
  `('proposes $expected for 10 pods at $percent % of $target %: $why', ({ percent, target, expected }) => {
    const metric = aResourceMetric({ target: { type: 'Utilization', averageUtilization: target } });

    const proposal = propose(anInput({ metric, pods: somePods(10), samples: someSamples(10, BigInt(percent) * 10n) }));

    expect(proposal).toMatchObject({ replicas: expected });
  });

  it('truncates to whole percents: 110.9 % is still within tolerance of 100 %', () => {
    const metric = aResourceMetric({ target: { type: 'Utilization', averageUtilization: 100 } });

    expect(propose(anInput({ metric, samples: someSamples(2, 1109n) }))).toMatchObject({ replicas: 2 });
  });

  it('sums the requests and the usage of all containers', () => {
    const containers = [
      { name: 'taskmanager', requestsMilli: { cpu: 700n } },
      { name: 'sidecar', requestsMilli: { cpu: 300n } },
    ];

    const proposal = propose(anInput({ pods: somePods(2, { containers }), samples: someSamples(2, 800n) }));

    expect(proposal).toMatchObject({ currentMetric: { averageUtilization: 80 } });
  });

  it('computes memory beyond 2^53 thousandths exactly', () => {
    // 100 pods of 1 TiB each: the sum of their thousandths of bytes is 1.1 × 10^17, and one thousandth more tips the percent.
    const request = 2n ** 40n * 1000n;
    const pods = somePods(100, { containers: [{ name: 'taskmanager', requestsMilli: { memory: request } }] });
    const half = someSamples(100, request / 2n);
    const [first, ...others] = half;
    const metric = aResourceMetric({ resource: 'memory' });
    const utilization = (samples: readonly PodSample[]) =>
      (propose(anInput({ metric, pods, samples })) as MetricProposal).currentMetric.averageUtilization;

    expect(utilization(half)).toBe(50);
    expect(utilization([{ ...aPodSample(first), valueMilli: request / 2n - 1n }, ...others])).toBe(49);
  });

  it('fails when one container of one pod has no request, and names it', () => {
    const [first] = somePods(1);
    const second = aPod({ name: 'orders-1', containers: [{ name: 'sidecar', requestsMilli: { memory: 1n } }] });

    expect(propose(anInput({ pods: [first ?? second, second] }))).toEqual({
      reason: 'FailedGetResourceMetric',
      message: 'failed to get cpu utilization: missing request for cpu in container sidecar of Pod orders-1',
      seenAndWanted: '<unknown>/40%',
    });
  });
});

describe('an AverageValue target', () => {
  it('needs no requests', () => {
    const pods = somePods(2, { containers: [{ name: 'taskmanager', requestsMilli: {} }] });

    const proposal = propose(anInput({ metric: aMemoryTarget(1000n), pods, samples: someSamples(2, 1500n) }));

    expect(proposal).toEqual({
      replicas: 3,
      description: 'memory resource',
      currentMetric: { metric: aMemoryTarget(1000n), averageValueMilli: 1500n },
      seenAndWanted: '1500m/1',
      arithmetic: 'ceil(2 × 1500m/1) = 3',
    });
    expect((proposal as MetricProposal).currentMetric).not.toHaveProperty('averageUtilization');
  });

  it('speaks of usage where it fails', () => {
    expect(propose(anInput({ metric: aMemoryTarget(1000n), samples: [] }))).toEqual({
      reason: 'FailedGetResourceMetric',
      message:
        'failed to get memory usage: unable to get metrics for resource memory: no metrics returned from resource metrics API',
      seenAndWanted: '<unknown>/1',
    });
  });

  it('truncates the mean', () => {
    const samples = [aPodSample({ pod: 'orders-0', valueMilli: 1n }), aPodSample({ pod: 'orders-1', valueMilli: 2n })];

    expect(propose(anInput({ metric: aMemoryTarget(1n), samples }))).toMatchObject({
      currentMetric: { averageValueMilli: 1n },
    });
  });

  it('takes a missing pod as exactly on target when shrinking', () => {
    const samples = someSamples(3, 200n);

    const proposal = propose(anInput({ metric: aMemoryTarget(1000n), pods: somePods(4), samples }));

    // (3 × 200 + 1000) / 4 = 400
    expect(proposal).toMatchObject({
      replicas: 2,
      arithmetic: 'ceil(4 × 400m/1) = 2 (1 without a sample taken as fully used)',
      currentMetric: { averageValueMilli: 200n },
    });
  });
});

describe('missing and unready pods', () => {
  it('takes a missing pod as idle when growing', () => {
    const proposal = propose(anInput({ pods: somePods(4), samples: someSamples(3, 800n) }));

    // (3 × 80 + 0) / 4 = 60 %
    expect(proposal).toMatchObject({
      replicas: 6,
      arithmetic: 'ceil(4 × 60/40) = 6 (1 without a sample taken as idle)',
    });
  });

  it('stays where the missing pods could turn the direction', () => {
    const proposal = propose(anInput({ pods: somePods(4), samples: someSamples(1, 800n) }));

    // 80 % on one pod, 0 on three: 20 % of 40 % would shrink.
    expect(proposal).toMatchObject({
      replicas: 4,
      arithmetic: 'no clear direction: 20/40 (3 without a sample taken as idle)',
    });
  });

  it('stays where the missing pods would turn shrinking into growing', () => {
    const proposal = propose(anInput({ pods: somePods(2), samples: someSamples(1, 300n) }));

    // 30 % on one pod, 100 % on the other: 65 % of 40 % would grow.
    expect(proposal).toMatchObject({
      replicas: 2,
      arithmetic: 'no clear direction: 65/40 (1 without a sample taken as fully used)',
    });
  });

  it('stays on target with pods missing', () => {
    const proposal = propose(anInput({ pods: somePods(3), samples: someSamples(2, 400n) }));

    expect(proposal).toMatchObject({
      replicas: 3,
      arithmetic: '40/40 is within the tolerance of 10 % (1 without a sample taken as on target)',
    });
  });

  it('takes an unready pod as idle when growing, and forgets it when shrinking', () => {
    const pods = [...somePods(2), aPod({ name: 'orders-2', phase: 'Pending' })];
    const growing = propose(anInput({ pods, samples: someSamples(2, 800n) }));
    const shrinking = propose(anInput({ pods, samples: someSamples(2, 100n) }));

    // (80 + 80 + 0) / 3 = 53 %, and 2 × 10/40 = 0.5
    expect(growing).toMatchObject({ replicas: 4, arithmetic: 'ceil(3 × 53/40) = 4 (1 not ready taken as idle)' });
    expect(shrinking).toMatchObject({ replicas: 1, arithmetic: 'ceil(2 × 10/40) = 1' });
  });

  it('takes a missing pod as using exactly its request when shrinking, and no more', () => {
    const metric = aResourceMetric({ target: { type: 'Utilization', averageUtilization: 80 } });

    const proposal = propose(anInput({ metric, samples: someSamples(1, 510n) }));

    // (510 + 1000) / 2000 = 75.5 %
    expect(proposal).toMatchObject({
      arithmetic: '75/80 is within the tolerance of 10 % (1 without a sample taken as fully used)',
    });
  });

  it('takes a missing pod as using nothing at all when growing', () => {
    const proposal = propose(anInput({ metric: aMemoryTarget(1n), samples: someSamples(1, 3n) }));

    // (3 + 0) / 2, truncated.
    expect(proposal).toMatchObject({
      arithmetic: '1m/1m is within the tolerance of 10 % (1 without a sample taken as idle)',
    });
  });

  it('speaks of unready pods only where they are filled in', () => {
    const pods = [...somePods(3), aPod({ name: 'orders-3', phase: 'Pending' })];

    expect(propose(anInput({ pods, samples: someSamples(2, 100n) }))).toMatchObject({
      arithmetic: '40/40 is within the tolerance of 10 % (1 without a sample taken as fully used)',
    });
    expect(propose(anInput({ pods, samples: someSamples(2, 1600n) }))).toMatchObject({
      arithmetic: 'ceil(4 × 80/40) = 8 (1 without a sample taken as idle, 1 not ready taken as idle)',
    });
  });

  it('has a direction where the filled size is the current one', () => {
    const shrinking = propose(anInput({ pods: somePods(4), samples: someSamples(3, 100n) }));
    const scale = aScale({ replicas: 3 });
    const growing = propose({ ...anInput({ samples: someSamples(1, 1120n) }), scale });

    expect(shrinking).toMatchObject({
      replicas: 4,
      arithmetic: 'ceil(4 × 32/40) = 4 (1 without a sample taken as fully used)',
    });
    // (112 + 0) / 2 = 56 %
    expect(growing).toMatchObject({
      replicas: 3,
      arithmetic: 'ceil(2 × 56/40) = 3 (1 without a sample taken as idle)',
    });
  });

  it('stays where the filled size goes against the filled usage, because the pods are not as many as the size', () => {
    const input = anInput({ samples: someSamples(1, 1120n) });

    expect(propose({ ...input, scale: aScale({ replicas: 4 }) })).toMatchObject({
      replicas: 4,
      arithmetic: 'no clear direction: ceil(2 × 56/40) = 3 (1 without a sample taken as idle)',
    });
  });

  it('shows the value as it was before any pod was filled in', () => {
    const proposal = propose(anInput({ pods: somePods(4), samples: someSamples(3, 800n) }));

    expect(proposal).toMatchObject({ currentMetric: { averageUtilization: 80, averageValueMilli: 800n } });
  });
});

describe('a ContainerResource metric', () => {
  const metric = {
    type: 'ContainerResource',
    resource: 'cpu',
    container: 'taskmanager',
    target: { type: 'Utilization', averageUtilization: 40 },
  } as const;
  const withSidecar = [
    { name: 'taskmanager', requestsMilli: { cpu: 500n } },
    { name: 'sidecar', requestsMilli: {} },
  ];

  it('looks at the requests of its container alone', () => {
    const pods = somePods(2, { containers: withSidecar, requestsMilli: { cpu: 9000n } });

    expect(propose(anInput({ metric, pods, samples: someSamples(2, 400n) }))).toMatchObject({
      description: 'cpu container resource utilization (percentage of request)',
      arithmetic: 'ceil(2 × 80/40) = 4',
    });
  });

  it('fails where a pod is without its container', () => {
    const pods = [aPod(), aPod({ name: 'orders-1', containers: withSidecar.slice(1) })];

    expect(propose(anInput({ metric, pods }))).toMatchObject({
      reason: 'FailedGetContainerResourceMetric',
      message: 'failed to get cpu utilization: container taskmanager not found in Pod orders-1',
    });
  });
});

describe('a Resource metric', () => {
  it('looks at what the pod as a whole asks for, where it says so', () => {
    const pods = somePods(2, { requestsMilli: { cpu: 500n } });

    expect(propose(anInput({ pods, samples: someSamples(2, 400n) }))).toMatchObject({
      arithmetic: 'ceil(2 × 80/40) = 4',
    });
    expect(propose(anInput({ metric: aResourceMetric({ resource: 'memory' }), pods }))).toMatchObject({
      message: 'failed to get memory utilization: missing pod-level request for memory in Pod orders-0',
    });
  });

  it('counts a pod without containers as asking for nothing', () => {
    const pods = [aPod(), aPod({ name: 'orders-1', containers: [] })];

    // (400 + 400) / 1000
    expect(propose(anInput({ pods }))).toMatchObject({ arithmetic: 'ceil(2 × 80/40) = 4' });
  });

  it('shows no more than the largest int32 of percents', () => {
    const pods = somePods(2, { containers: [{ name: 'taskmanager', requestsMilli: { cpu: 1n } }] });

    expect(propose(anInput({ pods, samples: someSamples(2, 2n ** 62n) }))).toMatchObject({
      replicas: 107_374_183,
      currentMetric: { averageUtilization: 2_147_483_647 },
    });
  });
});

describe('a Pods metric', () => {
  const metric = {
    type: 'Pods',
    metric: { name: 'busy', labelSelector: '' },
    target: { type: 'AverageValue', averageValueMilli: 400n },
  } as const;

  it('is the mean of its pods, ready for the CPU or not', () => {
    const pods = somePods(2, { ready: { status: 'False', lastTransitionTime: NOW } });

    expect(propose(anInput({ metric, pods, samples: someSamples(2, 800n) }))).toEqual({
      replicas: 4,
      description: 'pods metric busy',
      currentMetric: { metric, averageValueMilli: 800n },
      seenAndWanted: '800m/400m',
      arithmetic: 'ceil(2 × 800m/400m) = 4',
    });
  });

  it('says where nothing came from', () => {
    expect(propose(anInput({ metric, samples: [] }))).toEqual({
      reason: 'FailedGetPodsMetric',
      message:
        'failed to get pods metric value: unable to get metric busy: no metrics returned from custom metrics API',
      seenAndWanted: '<unknown>/400m',
    });
  });
});

describe('what cannot be read', () => {
  const old = { time: NOW - seconds(181) };

  it.each([
    [
      'samples that could not be read',
      { samplesReading: { unreadable: 'GET /x: 503' } },
      'unable to get metrics for resource cpu: GET /x: 503',
    ],
    [
      'no samples',
      { samples: [] },
      'unable to get metrics for resource cpu: no metrics returned from resource metrics API',
    ],
    [
      'old samples alone',
      { samples: someSamples(2, 400n, old) },
      'unable to get metrics for resource cpu: 2 of 2 samples are older than 180 s (maxSampleAgeSeconds)',
    ],
    [
      'pods that could not be read',
      { podsReading: { unreadable: 'timed out' } },
      'unable to get pods while calculating replica count: timed out',
    ],
    ['no pods', { pods: [] }, 'no pods returned by selector while calculating replica count'],
    [
      'unready pods alone',
      { pods: somePods(2, { phase: 'Pending' }) },
      'did not receive metrics for targeted pods (pods might be unready)',
    ],
    [
      'samples of strangers alone',
      { samples: [aPodSample({ pod: 'stranger' })] },
      'no metrics returned matched known pods',
    ],
  ] as const)('fails with %s', (_, { samplesReading, podsReading, ...input }: UnreadableInput, cause) => {
    const proposal = propose({
      ...anInput(input),
      ...(samplesReading && { samples: samplesReading }),
      ...(podsReading && { pods: podsReading }),
    });

    expect(proposal).toEqual({
      reason: 'FailedGetResourceMetric',
      message: `failed to get cpu utilization: ${cause}`,
      seenAndWanted: '<unknown>/40%',
    });
  });

  interface UnreadableInput {
    readonly pods?: readonly Pod[];
    readonly samples?: readonly PodSample[];
    readonly samplesReading?: { readonly unreadable: string };
    readonly podsReading?: { readonly unreadable: string };
  }

  it('takes an old sample beside a fresh one as missing', () => {
    const samples = [aPodSample({ pod: 'orders-0', valueMilli: 800n }), aPodSample({ pod: 'orders-1', ...old })];

    expect(propose(anInput({ samples }))).toMatchObject({
      replicas: 2,
      arithmetic: '40/40 is within the tolerance of 10 % (1 without a sample taken as idle)',
    });
  });

  it('accepts a sample of exactly the greatest age, and none of a millisecond more', () => {
    const asOld = someSamples(2, 800n, { time: NOW - seconds(180) });
    const older = someSamples(2, 800n, { time: NOW - seconds(180) - 1 });

    expect(propose(anInput({ samples: asOld }))).toMatchObject({ replicas: 4 });
    expect(propose(anInput({ samples: older }))).toMatchObject({ reason: 'FailedGetResourceMetric' });
  });

  it('accepts any age when no greatest age is set, as the HPA does', () => {
    const { maxSampleAgeSeconds: _, ...settings } = someSettings();
    const samples = someSamples(2, 800n, { time: 0 });

    expect(propose(anInput({ samples, settings }))).toMatchObject({ replicas: 4 });
  });
});

describe('any proposal', () => {
  /** Pods that count (nothing failed, nothing on its way out), as many as the size says. */
  const fleet = fc
    .array(
      fc.record({
        isPending: fc.boolean(),
        isSampled: fc.boolean(),
        isReady: fc.boolean(),
        age: fc.integer({ min: 0, max: 900 }),
        readyAge: fc.integer({ min: 0, max: 900 }),
        valueMilli: fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: 5000n })),
        request: fc.bigInt({ min: 1n, max: 3000n }),
      }),
      { minLength: 1, maxLength: 12 },
    )
    .map((members) => ({
      pods: members.map(({ isPending, isReady, age, readyAge, request }, index) =>
        aPod({
          name: `orders-${index}`,
          phase: isPending ? 'Pending' : 'Running',
          startTime: NOW - seconds(age),
          ready: { status: isReady ? 'True' : 'False', lastTransitionTime: NOW - seconds(readyAge) },
          containers: [{ name: 'taskmanager', requestsMilli: { cpu: request } }],
        }),
      ),
      samples: members.flatMap(({ isSampled, valueMilli }, index) =>
        isSampled ? [aPodSample({ pod: `orders-${index}`, valueMilli })] : [],
      ),
    }));
  const target = fc.oneof(
    fc
      .integer({ min: 1, max: 300 })
      .map((averageUtilization) => ({ type: 'Utilization' as const, averageUtilization })),
    fc
      .bigInt({ min: 1n, max: 4000n })
      .map((averageValueMilli) => ({ type: 'AverageValue' as const, averageValueMilli })),
  );
  const tolerance = fc.constantFrom(0, 0.05, 0.1, 0.5);

  it('never goes against the direction of the usage ratio', () => {
    fc.assert(
      fc.property(fleet, target, tolerance, (input, wanted, allowed) => {
        const metric = aResourceMetric({ target: wanted });
        const proposal = propose(anInput({ ...input, metric, tolerance: allowed }));
        if ('reason' in proposal) return;

        const { averageUtilization = 0, averageValueMilli = 0n } = proposal.currentMetric;
        const ratio =
          wanted.type === 'Utilization'
            ? averageUtilization / wanted.averageUtilization
            : Number(averageValueMilli) / Number(wanted.averageValueMilli);
        if (proposal.replicas > input.pods.length) expect(ratio).toBeGreaterThan(1);
        if (proposal.replicas < input.pods.length) expect(ratio).toBeLessThan(1);
      }),
      { numRuns: 2000 },
    );
  });

  it('does not depend on the order of pods and samples', () => {
    fc.assert(
      fc.property(fleet, target, (input, wanted) => {
        const metric = aResourceMetric({ target: wanted });
        const reversed = { pods: input.pods.toReversed(), samples: input.samples.toReversed() };

        expect(propose(anInput({ ...reversed, metric }))).toEqual(propose(anInput({ ...input, metric })));
      }),
    );
  });
});
