// Turns a plan into a snapshot: real API objects that fit together.
//
// Where the reference overflows, its answer is no example: no sum passes 2^63 thousandths here, and no proposal 2^31 replicas.

import { formatTime } from '../../shared/units.ts';
import { toV1 } from './autoscaling-v1.ts';
import { buildCustomMetrics, buildExternalMetrics, buildMetric } from './build-metrics.ts';
import { buildPod, buildPodMetrics } from './build-pods.ts';
import type { MetricPlan, Plan, RulesPlan } from './plan.ts';
import { definedOnly, type Json, NAMESPACE, type Scene } from './scene.ts';

/** A snapshot as `headrace replay` reads it. */
export type Snapshot = Readonly<Json> & { readonly name: string };

export function buildSnapshot(original: Plan): Snapshot {
  const scene = setScene(original);
  const { plan, now } = scene;
  return {
    kind: 'Snapshot',
    name: [...new Set(plan.metrics.map(({ source }) => source.type))].join('+') || 'default',
    now: formatTime(now),
    settings: {
      ...definedOnly(plan.settings),
      // Without this a FlinkAutoscaler brings a limit of its own, which the HPA does not have.
      ...(plan.form === 'FlinkAutoscaler' && { maxSampleAgeSeconds: 10 ** 10 }),
    },
    autoscaler: buildAutoscaler(scene),
    ...(plan.isScaleThere && { scale: buildScale(scene) }),
    pods: plan.pods.map((pod, index) => buildPod(scene, pod, index)),
    podMetrics: buildPodMetrics(scene),
    customMetrics: buildCustomMetrics(scene),
    externalMetrics: buildExternalMetrics(scene),
    otherAutoscalers: (plan.otherAutoscalers ?? []).map(({ selector, namespace }, index) => ({
      metadata: { namespace, name: `other-${index}` },
      selector,
    })),
    failures: definedOnly(plan.failures),
  };
}

function setScene(original: Plan): Scene {
  const plan = arrange(original);
  const size = plan.sizeDifference === 'zero' ? 0 : Math.max(1, plan.pods.length + plan.sizeDifference);
  const statusSize = plan.statusDifference === 'zero' ? 0 : Math.max(0, size + plan.statusDifference);
  return { plan, now: plan.nowSeconds * 1000 + plan.nowMilliseconds, size, statusSize };
}

/** Some circumstances need several choices to agree, which by chance they seldom do. */
function arrange(plan: Plan): Plan {
  switch (plan.scene) {
    case 'to zero':
      return {
        ...plan,
        isMinZero: true,
        selector: 'app=web',
        sizeDifference: 0,
        metrics: plan.metrics
          .filter(isReadableWithoutPods)
          .map((metric) => ({ ...metric, mood: 'low', load: { ...metric.load, low: 0 } })),
        recommendations: { entries: [], isOpen: false, lag: 0 },
      };
    case 'from zero':
      return { ...plan, sizeDifference: 'zero', conditions: [{ type: 'ScaledToZero', status: 'True' }] };
    case 'held':
      return {
        ...plan,
        mood: 'high',
        behavior: {
          scaleDown: plan.behavior?.scaleDown,
          scaleUp: { ...noRules, ...plan.behavior?.scaleUp, stabilizationWindowSeconds: 300 },
        },
        recommendations: plan.recommendations && {
          ...plan.recommendations,
          entries: plan.recommendations.entries.map((entry) => ({ ...entry, difference: -Math.abs(entry.difference) })),
        },
      };
    case 'sudden rest':
      return {
        ...plan,
        mood: 'low',
        selector: 'app=web',
        behavior: {
          scaleUp: plan.behavior?.scaleUp,
          scaleDown: {
            ...noRules,
            policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }],
            ...definedOnly(plan.behavior?.scaleDown ?? {}),
            stabilizationWindowSeconds: 0,
          },
        },
      };
    default:
      return plan;
  }
}

function isReadableWithoutPods({ source }: MetricPlan): boolean {
  return source.type === 'Object' || source.type === 'External';
}

const noRules: RulesPlan = {
  stabilizationWindowSeconds: undefined,
  policies: undefined,
  selectPolicy: undefined,
  tolerance: undefined,
};

function buildScale({ plan, size, statusSize }: Scene): Json {
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { namespace: NAMESPACE, name: 'web', resourceVersion: '1' },
    spec: { replicas: size },
    status: { replicas: statusSize, selector: plan.selector },
  };
}

function buildAutoscaler(scene: Scene): Json {
  const { form } = scene.plan;
  const autoscaler = {
    apiVersion: form === 'FlinkAutoscaler' ? 'headrace.dev/v1alpha1' : form,
    kind: form === 'FlinkAutoscaler' ? form : 'HorizontalPodAutoscaler',
    metadata: { namespace: NAMESPACE, name: 'web', generation: 3 },
    spec: buildSpec(scene),
    status: buildStatus(scene),
  };
  return form === 'autoscaling/v1' ? toV1(autoscaler) : autoscaler;
}

/** As a user writes it: what has a default is mostly left out. */
function buildSpec(scene: Scene): Json {
  const { plan, size } = scene;
  const minReplicas = minimumOf(scene);
  return {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    ...(minReplicas !== undefined && { minReplicas }),
    maxReplicas: Math.max(1, minReplicas ?? 1, size + plan.maxDifference),
    ...(plan.metrics.length > 0 && { metrics: plan.metrics.map((metric) => buildMetric(scene, metric)) }),
    ...(plan.behavior !== undefined && {
      behavior: definedOnly({
        scaleUp: plan.behavior.scaleUp && definedOnly(plan.behavior.scaleUp),
        scaleDown: plan.behavior.scaleDown && definedOnly(plan.behavior.scaleDown),
      }),
    }),
  };
}

function minimumOf({ plan, size }: Scene): number | undefined {
  // The API server accepts 0 only with a metric that can be read while there is no pod.
  if (plan.isMinZero && plan.metrics.some(isReadableWithoutPods)) return 0;
  return plan.minDifference === undefined ? undefined : Math.max(1, size + plan.minDifference);
}

function buildStatus({ plan, now, size }: Scene): Json {
  return {
    currentReplicas: size,
    desiredReplicas: size,
    ...(plan.recommendations !== undefined && { recommendations: buildRecommendations(plan, now, size) }),
    ...(plan.scaleEvents !== undefined && {
      scaleEvents: plan.scaleEvents.map(({ change, age }) => ({ change, time: formatTime(now - age * 1000) })),
    }),
    conditions: plan.conditions.map(({ type, status }) => ({
      type,
      status,
      reason: 'Earlier',
      message: 'as it was',
      lastTransitionTime: '2000-06-01T00:00:00Z',
    })),
  };
}

/** Run lengths on a grid of ticks, the newest of which is a sync period before now, or more on an irregular day. */
function buildRecommendations({ recommendations, settings }: Plan, now: number, size: number): readonly Json[] {
  const { entries, isOpen, lag } = recommendations ?? { entries: [], isOpen: false, lag: 0 };
  const periodMs = (settings.syncPeriodSeconds ?? 15) * 1000;
  const oldestFirst: Json[] = [];
  let until = now - periodMs - lag * 1000;
  for (const [index, { difference, ticks, gapTicks }] of entries.toReversed().entries()) {
    const from = until - ticks * periodMs;
    const isStillHeld = index === 0 && isOpen;
    oldestFirst.unshift({
      replicas: Math.max(0, size + difference),
      from: formatTime(from),
      ...(!isStillHeld && { until: formatTime(until) }),
    });
    until = from - gapTicks * periodMs;
  }
  return oldestFirst;
}
