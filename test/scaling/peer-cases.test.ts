// The peer's own cases: what the HorizontalPodAutoscaler's tests expect, judged by our functions.
//
// test/cases/hpa-resource.ndjson holds one case a line (instants in seconds before now, quantities in thousandths);
// its first line names the source, and the cases of the same functions that are left out, by these rules:
//
//   tolerance-per-direction  the case has one tolerance for growing and another for shrinking; we have one for both
//   other-requests           the requests of a single container or of the pod as a whole decide; we sum the containers'
//   factor-8                 the peer's test binary may grow to 8 times the size, ours (like the peer in production) to 2;
//                            a case whose answer is the same with both is kept
//   scale-to-zero            the answer is 0, which minReplicas of 1 or more does not allow
//   overlapping-pods         the peer compares the pods of two autoscalers, we compare their targets (controllers/observe.ts)
//   ignored-phases           the case ignores Succeeded pods too; the release that we follow ignores Failed ones alone
//
// Whole reconciles are there when they have no `behavior` and no metric of type ContainerResource, Pods, Object or External.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readMetric } from '../../shared/kubernetes/autoscaling-v2.ts';
import { parseSelector } from '../../shared/kubernetes/selectors.ts';
import { decide, failRescale } from '../../shared/scaling/decide.ts';
import { limitSize, stabilize } from '../../shared/scaling/limit.ts';
import { groupPods } from '../../shared/scaling/pod-groups.ts';
import type { Proposal, ProposalInput } from '../../shared/scaling/proposal.ts';
import { propose } from '../../shared/scaling/propose.ts';
import type {
  AutoscalerSpec,
  MetricSpec,
  Pod,
  PodSample,
  Recommendation,
  Settings,
} from '../../shared/scaling/types.ts';
import {
  anAutoscalerSpec,
  aPod,
  aPodSample,
  aScale,
  type aStatus,
  NOW,
  seconds,
  someSettings,
} from '../support/builders.ts';

const [, ...lines] = readFileSync(new URL('../cases/hpa-resource.ndjson', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const cases = lines.map((line) => JSON.parse(line) as PeerCase);

interface PeerCase {
  readonly id: string;
  readonly function: string;
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shape differs from function to function; each translation below knows its own.
  readonly input: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly expect: any;
}

function table(name: string): [string, PeerCase][] {
  return cases.filter((peer) => peer.function === name).map((peer) => [`${peer.id} ${peer.name}`, peer]);
}

describe('Resource metrics with a Utilization target', () => {
  it.each(table('Resource/Utilization'))('%s', (_, { input, expect: expected }) => {
    const proposal = ask({
      metric: {
        type: 'Resource',
        resource: input.metric.resource,
        target: { type: 'Utilization', averageUtilization: input.metric.targetAverageUtilization },
      },
      currentReplicas: input.currentReplicas,
      pods: { value: input.pods.map(toPod) },
      samples: { value: toSamples(input.podResourceMetrics, input.metric.resource) },
      settings: toSettings({ ...input, tolerance: input.tolerance.scaleUp }),
      now: NOW,
    });

    expectProposal(proposal, expected);
  });
});

describe('grouping of pods', () => {
  it.each(table('groupPods'))('%s', (_, { input, expect: expected }) => {
    const samples: PodSample[] = input.podMetrics.map((sample: PeerPodMetric) => ({
      pod: sample.pod,
      valueMilli: BigInt(sample.valueMilli),
      time: toInstant(sample.timestamp),
      windowSeconds: sample.windowSeconds,
    }));

    const groups = groupPods({
      pods: input.pods.map(toPod),
      samples: new Map(samples.map((sample) => [sample.pod, sample])),
      isCpu: input.resource === 'cpu',
      settings: toSettings(input),
      now: NOW,
    });

    expect(groups).toEqual({
      readyCount: expected.readyPodCount,
      unready: new Set(expected.unreadyPods),
      missing: new Set(expected.missingPods),
      ignored: new Set(expected.ignoredPods),
    });
  });
});

describe('requests of pods', () => {
  it.each(table('calculateRequests'))('%s', (_, { input, expect: expected }) => {
    const requests = Object.entries<number>(expected.requestsMilli);

    // A pod that uses exactly its request is at 100 %: the requests are what brings every pod there.
    const proposal = ask({
      metric: {
        type: 'Resource',
        resource: input.resource,
        target: { type: 'Utilization', averageUtilization: 100 },
      },
      currentReplicas: input.pods.length,
      pods: { value: input.pods.map(toPod) },
      samples: { value: requests.map(([pod, request]) => aPodSample({ pod, valueMilli: BigInt(request) })) },
      settings: someSettings(),
      now: NOW,
    });

    if (requests.length === 0) expect(proposal).toMatchObject({ reason: 'FailedGetResourceMetric' });
    else expect(proposal).toMatchObject({ currentMetric: { averageUtilization: 100 } });
  });
});

describe('ratio of usage to requests', () => {
  it.each(table('resourceUtilizationRatio'))('%s', (_, { input, expect: expected }) => {
    const requests = Object.entries<number>(input.podRequestsMilli);
    // A sample of a pod that is not there leaves no pods at all in the last case; one that nobody measured takes their place.
    const pods = requests.length === 0 ? [['unmeasured', 0] as const] : requests;

    const proposal = ask({
      metric: {
        type: 'Resource',
        resource: 'cpu',
        target: { type: 'Utilization', averageUtilization: input.targetAverageUtilization },
      },
      currentReplicas: pods.length,
      pods: {
        value: pods.map(([name, request]) =>
          aPod({ name, containers: [{ name: 'main', requestsMilli: { cpu: BigInt(request) } }] }),
        ),
      },
      samples: { value: toValues(input.podValuesMilli) },
      settings: someSettings(),
      now: NOW,
    });

    expectProposal(proposal, { ...expected, replicas: undefined });
    if (expected.ratio !== undefined)
      expect(expected.utilization / input.targetAverageUtilization).toBe(expected.ratio);
  });
});

describe('ratio of usage to a value', () => {
  it.each(table('metricUsageRatio'))('%s', (_, { input, expect: expected }) => {
    const proposal = ask({
      metric: {
        type: 'Resource',
        resource: 'cpu',
        target: { type: 'AverageValue', averageValueMilli: BigInt(input.targetAverageValueMilli) },
      },
      currentReplicas: 2,
      pods: { value: Object.keys(input.podValuesMilli).map((name) => aPod({ name })) },
      samples: { value: toValues(input.podValuesMilli) },
      settings: someSettings(),
      now: NOW,
    });

    expect(proposal).toMatchObject({
      currentMetric: { averageValueMilli: BigInt(expected.usageMilli) },
      replicas: Math.ceil(expected.ratio * 2),
    });
  });
});

describe('limits without behavior', () => {
  it.each(table('legacyLimits'))('%s', (_, { input, expect: expected }) => {
    const { desiredReplicas, currentReplicas, minReplicas, maxReplicas } = input;

    const limit = limitSize({
      spec: anAutoscalerSpec({ minReplicas, maxReplicas }),
      currentReplicas,
      replicas: desiredReplicas,
      scaleEvents: [],
      now: NOW,
    });

    expect(limit).toMatchObject(expected);
  });
});

describe('stabilisation without behavior', () => {
  it.each(table('legacyStabilize'))('%s', (_, { input, expect: expected }) => {
    const { downscaleStabilizationSeconds } = input;

    const stabilized = stabilize({
      spec: anAutoscalerSpec({ settings: { downscaleStabilizationSeconds } }),
      currentReplicas: input.desiredReplicas,
      proposedReplicas: input.desiredReplicas,
      recommendations: toRecommendations(input.recommendations) ?? [],
      now: NOW,
    });

    expect(stabilized.replicas).toBe(expected.stabilizedReplicas);
  });
});

describe('a whole reconcile', () => {
  it.each(table('reconcile'))('%s', (_, { input, expect: expected }) => {
    const { hpa, scale, faults, pods, metrics } = input;
    const selector = parseSelector(scale.selector);
    const selectorFault = 'fault' in selector ? selector.fault : undefined;
    const spec = toSpec(hpa, input.controller);
    const recommendations = toRecommendations(input.recommendations);
    const before = {
      conditions: [],
      scaleEvents: [],
      currentReplicas: hpa.status.currentReplicas,
      desiredReplicas: hpa.status.desiredReplicas,
      ...(recommendations && { recommendations }),
    };

    const decision = decide({
      spec,
      observation: {
        scale:
          faults.getScale === undefined
            ? {
                value: {
                  replicas: scale.specReplicas,
                  selector: scale.selector,
                  ...(selectorFault && { selectorFault }),
                },
              }
            : { unreadable: faults.getScale },
        rivals: { value: [] },
        pods: {
          value: pods.filter((pod: PeerPod) => 'matches' in selector && selector.matches(pod.labels ?? {})).map(toPod),
        },
        metrics: spec.metrics.map((metric) => {
          if (metric.type !== 'Resource') return { unreadable: 'nobody measures it' };
          if (faults.podResourceMetrics !== undefined) return { unreadable: faults.podResourceMetrics };
          return { value: toSamples(metrics.podResourceMetrics ?? [], metric.resource) };
        }),
      },
      status: before,
      now: NOW,
    });
    const status =
      faults.updateScale === undefined || !decision.rescale
        ? decision.status
        : failRescale(decision.status, {
            error: faults.updateScale,
            before,
            now: NOW,
          });

    expect(decision.rescale).toBe(expected.scaleWritten || expected.scaleWriteAttempted === true);
    expect(status.desiredReplicas).toBe(expected.desiredReplicas);
    expectConditions(status.conditions, expected);
    expect(decision.error !== undefined || faults.updateScale !== undefined).toBe(expected.error !== 'none');
    if (expected.currentCpuUtilization !== undefined)
      expect(decision.status.currentMetrics?.[0]).toMatchObject({
        averageUtilization: expected.currentCpuUtilization,
      });
  });
});

it('runs all the cases that were copied', () => {
  const functions = [
    'Resource/Utilization',
    'groupPods',
    'calculateRequests',
    'resourceUtilizationRatio',
    'metricUsageRatio',
    'legacyLimits',
    'legacyStabilize',
    'reconcile',
  ];

  expect(functions.flatMap(table)).toHaveLength(70);
  expect(cases).toHaveLength(70);
});

interface PeerPod {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly phase: string;
  readonly ready: string | null;
  readonly readyTransition: PeerInstant | null;
  readonly start: PeerInstant | null;
  readonly deleting: boolean;
  readonly containers?: readonly { readonly name: string; readonly requestsMilli: Record<string, number> }[];
}

interface PeerPodMetric {
  readonly pod: string;
  readonly timestamp: PeerInstant;
  readonly windowSeconds: number;
  readonly valueMilli: number;
  readonly containers: readonly { readonly usageMilli: Record<string, number> }[];
}

/** Seconds relative to now, or Go's zero time. */
type PeerInstant = number | 'zero';

function toInstant(instant: PeerInstant): number {
  return instant === 'zero' ? Date.parse('0001-01-01T00:00:00Z') : NOW + seconds(instant);
}

function toPod(pod: PeerPod): Pod {
  return {
    name: pod.name,
    phase: pod.phase,
    isDeleting: pod.deleting,
    ...(pod.start !== null && { startTime: toInstant(pod.start) }),
    ...(pod.ready !== null && {
      ready: { status: pod.ready, lastTransitionTime: toInstant(pod.readyTransition ?? 'zero') },
    }),
    containers: (pod.containers ?? []).map(({ name, requestsMilli }) => ({
      name,
      requestsMilli: Object.fromEntries(
        Object.entries(requestsMilli).map(([resource, milli]) => [resource, BigInt(milli)]),
      ),
    })),
  };
}

function toSamples(metrics: readonly PeerPodMetric[], resource: string): PodSample[] {
  return metrics
    .filter(({ containers }) => containers.every(({ usageMilli }) => usageMilli[resource] !== undefined))
    .map(({ pod, timestamp, windowSeconds, containers }) => ({
      pod,
      time: toInstant(timestamp),
      windowSeconds,
      valueMilli: containers.reduce((sum, { usageMilli }) => sum + BigInt(usageMilli[resource] ?? 0), 0n),
    }));
}

function toValues(values: Readonly<Record<string, number>>): PodSample[] {
  return Object.entries(values).map(([pod, milli]) => aPodSample({ pod, valueMilli: BigInt(milli) }));
}

/** The peer looks at no sample's age. */
function toSettings(controller: Partial<Settings>): Settings {
  const { maxSampleAgeSeconds: _, ...defaults } = someSettings();
  return {
    ...defaults,
    cpuInitializationPeriodSeconds:
      controller.cpuInitializationPeriodSeconds ?? defaults.cpuInitializationPeriodSeconds,
    initialReadinessDelaySeconds: controller.initialReadinessDelaySeconds ?? defaults.initialReadinessDelaySeconds,
    tolerance: controller.tolerance ?? defaults.tolerance,
    downscaleStabilizationSeconds: controller.downscaleStabilizationSeconds ?? defaults.downscaleStabilizationSeconds,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: an HPA as the cases write it.
function toSpec(hpa: any, controller: Partial<Settings>): AutoscalerSpec {
  const metrics: MetricSpec[] = hpa.metrics.map(readMetric);
  const { maxSampleAgeSeconds: _, ...rest } = anAutoscalerSpec().settings;
  return {
    ...anAutoscalerSpec({ minReplicas: hpa.minReplicas ?? 1, maxReplicas: hpa.maxReplicas, metrics }),
    settings: { ...rest, ...toSettings(controller) },
  };
}

/** Each recommendation of the peer's list is one tick. */
function toRecommendations(
  list: readonly { readonly recommendation: number; readonly ageSeconds: number }[] | null,
): readonly Recommendation[] | undefined {
  return list?.map(({ recommendation, ageSeconds }) => {
    const time = NOW - seconds(ageSeconds);
    return { replicas: recommendation, from: time, until: time };
  });
}

function ask({
  currentReplicas,
  settings,
  ...input
}: Omit<ProposalInput, 'scale' | 'tolerance'> & { readonly currentReplicas: number }): Proposal {
  const tolerance = { scaleUp: settings.tolerance, scaleDown: settings.tolerance };
  return propose({ ...input, settings, tolerance, scale: aScale({ replicas: currentReplicas }) });
}

interface ExpectedProposal {
  readonly replicas?: number | undefined;
  readonly utilization?: number;
  readonly averageValueMilli?: number;
  readonly errorContains?: string;
}

function expectProposal(proposal: Proposal, expected: ExpectedProposal): void {
  if (expected.errorContains !== undefined) {
    expect(proposal).toMatchObject({ message: expect.stringContaining(expected.errorContains) });
    return;
  }
  if (expected.replicas !== undefined) expect(proposal).toMatchObject({ replicas: expected.replicas });
  expect(proposal).toMatchObject({
    currentMetric: {
      averageUtilization: expected.utilization,
      averageValueMilli: BigInt(expected.averageValueMilli ?? 0),
    },
  });
}

function expectConditions(
  conditions: ReturnType<typeof aStatus>['conditions'],
  expected: { readonly conditions: readonly object[]; readonly conditionsMode?: string },
): void {
  // The cases are older than the condition ScaledToZero.
  const shown = conditions
    .filter(({ type }) => type !== 'ScaledToZero')
    .map(({ type, status, reason }) => ({ type, status, reason }));
  if (expected.conditionsMode === 'subset') expect(shown).toEqual(expect.arrayContaining([...expected.conditions]));
  else expect(shown).toEqual(expected.conditions);
}
