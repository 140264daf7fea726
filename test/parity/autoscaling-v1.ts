// A v2 autoscaler as autoscaling/v1 writes it: one CPU percentage is a field, everything else rides along in annotations.

import type { Json } from './scene.ts';

interface V2Autoscaler {
  readonly metadata: Json;
  readonly spec: Json;
  readonly status: Json;
}

// biome-ignore lint/suspicious/noExplicitAny: a metric of any type, whose fields are known where they are read
type Metric = Record<string, any>;

export function toV1({ metadata, spec, status, ...rest }: V2Autoscaler & Json): Json {
  const { metrics = [], behavior, ...specOfV1 } = spec as { metrics?: Metric[]; behavior?: object } & Json;
  const isField = ({ type, resource }: Metric) =>
    type === 'Resource' && resource.name === 'cpu' && resource.target.type === 'Utilization';
  const field = metrics.findLast(isField);
  const annotated = metrics.filter((metric) => metric !== field);
  // The conditions of v1 are an annotation, too, which nobody writes by hand.
  const { conditions: _, ...statusOfV1 } = status;
  return {
    ...rest,
    metadata: {
      ...metadata,
      annotations: {
        ...(annotated.length > 0 && {
          'autoscaling.alpha.kubernetes.io/metrics': JSON.stringify(annotated.map(toV1Metric)),
        }),
        ...(behavior !== undefined && {
          'autoscaling.alpha.kubernetes.io/behavior': JSON.stringify(withGoNames(behavior)),
        }),
      },
    },
    spec: {
      ...specOfV1,
      ...(field !== undefined && { targetCPUUtilizationPercentage: field.resource.target.averageUtilization }),
    },
    status: statusOfV1,
  };
}

function toV1Metric({ type, resource, containerResource, pods, object, external }: Metric): Json {
  if (resource !== undefined) return { type, resource: { name: resource.name, ...usageTarget(resource.target) } };
  if (containerResource !== undefined) {
    const { name, container, target } = containerResource;
    return { type, containerResource: { name, container, ...usageTarget(target) } };
  }
  if (pods !== undefined) {
    const { metric, target } = pods;
    return {
      type,
      pods: { metricName: metric.name, selector: metric.selector, targetAverageValue: target.averageValue },
    };
  }
  if (object !== undefined) {
    const { describedObject, metric, target } = object;
    const { value: targetValue = '0', averageValue } = target;
    return {
      type,
      object: {
        target: describedObject,
        metricName: metric.name,
        selector: metric.selector,
        targetValue,
        averageValue,
      },
    };
  }
  if (external !== undefined) {
    const { metric, target } = external;
    const targets = { targetValue: target.value, targetAverageValue: target.averageValue };
    return { type, external: { metricName: metric.name, metricSelector: metric.selector, ...targets } };
  }
  return { type };
}

function usageTarget({ averageUtilization, averageValue }: Metric): Json {
  return { targetAverageUtilization: averageUtilization, targetAverageValue: averageValue };
}

/** That annotation holds the API server's internal type, in which names begin with a capital. */
function withGoNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withGoNames);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name.slice(0, 1).toUpperCase() + name.slice(1), withGoNames(inner)]),
  );
}
