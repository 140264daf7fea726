// API objects reduced to what a decision reads of them, so that a recorded observation can be handed on: what is not named
// here is not kept, and a secret in an environment variable, an annotation or a field of tomorrow stays where it is.

/** What is kept of a value: itself where it is no object, chosen fields, the items of a list, or every field of a map. */
type Shape = 'scalar' | { readonly fields: Readonly<Record<string, Shape>> } | { readonly each: Shape } | MapShape;
interface MapShape {
  readonly values: Shape;
}

const SCALARS: MapShape = { values: 'scalar' };

const REFERENCE = fields('apiVersion', 'kind', 'name');
const LABEL_SELECTOR: Shape = {
  fields: {
    matchLabels: SCALARS,
    matchExpressions: { each: { fields: { key: 'scalar', operator: 'scalar', values: { each: 'scalar' } } } },
  },
};
const IDENTIFIER: Shape = { fields: { name: 'scalar', selector: LABEL_SELECTOR } };
const TARGET = fields('type', 'averageUtilization', 'averageValue', 'value');
const METRIC: Shape = {
  fields: {
    type: 'scalar',
    resource: { fields: { name: 'scalar', target: TARGET } },
    containerResource: { fields: { name: 'scalar', container: 'scalar', target: TARGET } },
    pods: { fields: { metric: IDENTIFIER, target: TARGET } },
    object: { fields: { describedObject: REFERENCE, metric: IDENTIFIER, target: TARGET } },
    external: { fields: { metric: IDENTIFIER, target: TARGET } },
  },
};
const RULES: Shape = {
  fields: {
    stabilizationWindowSeconds: 'scalar',
    selectPolicy: 'scalar',
    policies: { each: fields('type', 'value', 'periodSeconds') },
    tolerance: 'scalar',
  },
};
const AUTOSCALER: Shape = {
  fields: {
    apiVersion: 'scalar',
    kind: 'scalar',
    metadata: fields('namespace', 'name', 'uid', 'generation'),
    spec: {
      fields: {
        scaleTargetRef: REFERENCE,
        minReplicas: 'scalar',
        maxReplicas: 'scalar',
        metrics: { each: METRIC },
        behavior: { fields: { scaleUp: RULES, scaleDown: RULES } },
        mode: 'scalar',
        pause: fields('scaleUp', 'scaleDown'),
        controller: fields(
          'cpuInitializationPeriodSeconds',
          'initialReadinessDelaySeconds',
          'tolerance',
          'downscaleStabilizationSeconds',
          'maxSampleAgeSeconds',
        ),
      },
    },
    status: {
      fields: {
        observedGeneration: 'scalar',
        currentReplicas: 'scalar',
        desiredReplicas: 'scalar',
        lastScaleTime: 'scalar',
        currentMetricsTime: 'scalar',
        conditions: { each: fields('type', 'status', 'reason', 'message', 'lastTransitionTime') },
        recommendations: { each: fields('replicas', 'from', 'until') },
        scaleEvents: { each: fields('change', 'time') },
        pendingRescale: fields('from', 'to', 'time'),
        selector: 'scalar',
        scaleBasis: fields('parallelism', 'taskSlots'),
        targets: 'scalar',
        lastDecision: fields('time', 'currentReplicas', 'desiredReplicas', 'reason', 'message'),
      },
    },
  },
};

const REQUESTS: Shape = { fields: { requests: SCALARS } };
// Labels are kept because the target's selector picks pods by them.
const POD: Shape = {
  fields: {
    metadata: {
      fields: { namespace: 'scalar', name: 'scalar', labels: SCALARS, deletionTimestamp: 'scalar' },
    },
    spec: {
      fields: {
        containers: { each: { fields: { name: 'scalar', resources: REQUESTS } } },
        initContainers: { each: { fields: { name: 'scalar', restartPolicy: 'scalar', resources: REQUESTS } } },
        resources: REQUESTS,
      },
    },
    status: {
      fields: {
        phase: 'scalar',
        startTime: 'scalar',
        conditions: { each: fields('type', 'status', 'lastTransitionTime') },
      },
    },
  },
};

const POD_METRICS: Shape = {
  fields: {
    metadata: { fields: { namespace: 'scalar', name: 'scalar', labels: SCALARS } },
    timestamp: 'scalar',
    window: 'scalar',
    containers: { each: { fields: { name: 'scalar', usage: SCALARS } } },
  },
};

/** A FlinkAutoscaler or HorizontalPodAutoscaler (autoscaling/v2): identity, policy and memory. */
export function reduceAutoscaler(autoscaler: unknown): unknown {
  return keep(autoscaler, AUTOSCALER);
}

/** A v1 Pod of a list: labels, requests, phase and readiness. */
export function reducePod(pod: unknown): object {
  return { apiVersion: 'v1', kind: 'Pod', ...(keep(pod, POD) as object) };
}

/** A PodMetrics of a list. */
export function reducePodMetrics(metrics: unknown): object {
  return { apiVersion: 'metrics.k8s.io/v1beta1', kind: 'PodMetrics', ...(keep(metrics, POD_METRICS) as object) };
}

function fields(...names: readonly string[]): Shape {
  return { fields: Object.fromEntries(names.map((name) => [name, 'scalar'])) };
}

/** @returns undefined for a value of another shape */
function keep(value: unknown, shape: Shape): unknown {
  if (shape === 'scalar') return typeof value === 'object' ? undefined : value;
  if (typeof value !== 'object' || value === null) return undefined;
  if ('each' in shape)
    return Array.isArray(value) ? value.map((item) => keep(item, shape.each)).filter(isKept) : undefined;
  const kept = Object.entries(value).map(([key, field]) => {
    const wanted = 'values' in shape ? shape.values : Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined;
    return [key, wanted === undefined ? undefined : keep(field, wanted)] as const;
  });
  return Object.fromEntries(kept.filter(([, field]) => isKept(field)));
}

function isKept(value: unknown): boolean {
  return value !== undefined;
}
