// autoscaling/v1, which knows CPU alone: what else a v2 object says rides along in annotations. Turned into the v2 spec here.

import * as z from 'zod';

const METRICS_ANNOTATION = 'autoscaling.alpha.kubernetes.io/metrics';
const BEHAVIOR_ANNOTATION = 'autoscaling.alpha.kubernetes.io/behavior';

const Json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: 'custom', message: 'must be JSON' });
    return z.NEVER;
  }
});

const Selector = z.unknown().optional();

/** A metric as the annotation writes it: the shape of v2beta1, where each target is a field of its own. */
const AnnotatedMetric = z.looseObject({
  type: z.string(),
  resource: z.looseObject({ name: z.string() }).optional(),
  containerResource: z.looseObject({ name: z.string(), container: z.string() }).optional(),
  pods: z.looseObject({ metricName: z.string(), selector: Selector }).optional(),
  object: z.looseObject({ metricName: z.string(), target: z.unknown(), selector: Selector }).optional(),
  external: z.looseObject({ metricName: z.string(), metricSelector: Selector }).optional(),
});

// The API server passes over an annotation that it cannot read.
const Annotations = z.object({
  [METRICS_ANNOTATION]: Json.pipe(z.array(AnnotatedMetric)).optional().catch(undefined),
  [BEHAVIOR_ANNOTATION]: Json.optional().catch(undefined),
});

/** The fields of v1, and no others: what else stands there, v1 does not know. */
const Spec = z.object({
  scaleTargetRef: z.unknown(),
  minReplicas: z.unknown().optional(),
  maxReplicas: z.unknown(),
  targetCPUUtilizationPercentage: z.int().min(1).nullish(),
});

export interface V1Autoscaler {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: unknown;
}

/**
 * The v2 spec of a v1 HorizontalPodAutoscaler, as the API server converts it.
 *
 * @throws ZodError when the spec is no object, or its percentage no whole number above 0
 */
export function toV2Spec({ metadata, spec }: V1Autoscaler): Record<string, unknown> {
  const { targetCPUUtilizationPercentage: percent, ...rest } = Spec.parse(spec);
  const annotations = Annotations.parse(metadata?.annotations ?? {});
  const annotated = annotations[METRICS_ANNOTATION]?.map(toV2Metric) ?? [];
  // The API server keeps CPU utilisation in the field and everything else in the annotation, and appends the field's.
  const cpu = percent == null ? [] : [resourceMetric('cpu', { type: 'Utilization', averageUtilization: percent })];
  const metrics = [...annotated, ...cpu];
  const behavior = annotations[BEHAVIOR_ANNOTATION];
  return {
    ...rest,
    ...(metrics.length > 0 && { metrics }),
    ...(isWritten(behavior) && { behavior: toV2Behavior(behavior) }),
  };
}

/** The API server takes an annotation without any rule for none. */
function isWritten(behavior: unknown): boolean {
  return typeof behavior === 'object' && behavior !== null && Object.values(behavior).some((rules) => rules !== null);
}

function toV2Metric(metric: z.output<typeof AnnotatedMetric>): object {
  const { type, resource, containerResource, pods, object, external } = metric;
  if (resource !== undefined) return resourceMetric(resource.name, usageTarget(resource));
  if (containerResource !== undefined) {
    const { name, container } = containerResource;
    return { type, containerResource: { name, container, target: usageTarget(containerResource) } };
  }
  if (pods !== undefined) {
    const target = { type: 'AverageValue', averageValue: pods.targetAverageValue };
    return { type, pods: { metric: identifier(pods.metricName, pods.selector), target } };
  }
  if (object !== undefined)
    return {
      type,
      object: {
        describedObject: object.target,
        metric: identifier(object.metricName, object.selector),
        target: valueTarget(object.averageValue, object.targetValue),
      },
    };
  if (external !== undefined)
    return {
      type,
      external: {
        metric: identifier(external.metricName, external.metricSelector),
        target: valueTarget(external.targetAverageValue, external.targetValue),
      },
    };
  return { type };
}

function resourceMetric(name: string, target: object): object {
  return { type: 'Resource', resource: { name, target } };
}

function usageTarget(metric: Readonly<Record<string, unknown>>): object {
  const averageValue = metric.targetAverageValue;
  if (averageValue !== undefined && averageValue !== null) return { type: 'AverageValue', averageValue };
  return { type: 'Utilization', averageUtilization: metric.targetAverageUtilization };
}

function valueTarget(averageValue: unknown, value: unknown): object {
  if (averageValue !== undefined && averageValue !== null) return { type: 'AverageValue', averageValue };
  return { type: 'Value', value };
}

function identifier(name: string, selector: unknown): object {
  return { name, ...(selector !== undefined && selector !== null && { selector }) };
}

/** The annotation writes Go's field names. */
function toV2Behavior(behavior: unknown): unknown {
  if (Array.isArray(behavior)) return behavior.map(toV2Behavior);
  if (typeof behavior !== 'object' || behavior === null) return behavior;
  return Object.fromEntries(
    Object.entries(behavior).map(([key, value]) => [key.slice(0, 1).toLowerCase() + key.slice(1), toV2Behavior(value)]),
  );
}
