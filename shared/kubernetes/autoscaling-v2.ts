// The spec of an autoscaling/v2 HorizontalPodAutoscaler, which is the spec of a FlinkAutoscaler too: read once for both,
// with the defaults of the API server. What cannot be used fails the metric it stands in, not the object.

import * as z from 'zod';
import type {
  AutoscalerSpec,
  AverageValueTarget,
  Behavior,
  MetricIdentifier,
  MetricSpec,
  ScalingRules,
  UtilizationTarget,
  ValueTarget,
} from '../scaling/types.ts';
import { parseQuantity, parseQuantityNumber } from '../units.ts';
import { parseSelector } from './selectors.ts';

export const Reference = z.object({
  apiVersion: z.string().default(''),
  kind: z.string().min(1),
  name: z.string().min(1),
});

/** The API server takes a number for a quantity too, and passes over the space around one. */
const quantity = z.union([z.string().trim(), z.number()]);

const positiveQuantity = quantity
  .transform((text) => parseQuantity(text) ?? 0n)
  .refine((milli) => milli > 0n, 'must be a quantity above 0');

const Policy = z.object({
  type: z.enum(['Pods', 'Percent']),
  value: z.int().min(1),
  periodSeconds: z.int().min(1).max(1800),
});

const Rules = z.object({
  stabilizationWindowSeconds: z.int().min(0).max(3600).nullish(),
  selectPolicy: z.enum(['Max', 'Min', 'Disabled']).nullish(),
  policies: z.array(Policy).min(1, 'must hold at least one policy').nullish(),
  tolerance: quantity
    .transform((text) => parseQuantityNumber(text) ?? -1)
    .refine((tolerance) => tolerance >= 0, 'must be a quantity of 0 or more')
    .nullish(),
});

/** The fields that FlinkAutoscaler and HorizontalPodAutoscaler share; numbers are checked, defaults filled in. */
export const HorizontalSpec = z
  .object({
    scaleTargetRef: Reference,
    minReplicas: z.int().min(0).nullish(),
    maxReplicas: z.int().min(1),
    metrics: z.array(z.looseObject({ type: z.string() })).nullish(),
    behavior: z.object({ scaleUp: Rules.nullish(), scaleDown: Rules.nullish() }).nullish(),
  })
  .refine(({ minReplicas, maxReplicas }) => maxReplicas >= (minReplicas ?? 1), {
    path: ['maxReplicas'],
    message: 'must be greater than or equal to minReplicas',
  })
  .refine(({ minReplicas, metrics }) => minReplicas !== 0 || metrics?.some(isMeasuredWithoutPods), {
    path: ['minReplicas'],
    message: 'must be at least 1 without an Object or External metric: no pod can be measured while there is none',
  });

function isMeasuredWithoutPods({ type }: { readonly type: string }): boolean {
  return type === 'Object' || type === 'External';
}

/** An autoscaler that names no metric follows CPU at 80 %. */
const DEFAULT_METRICS: readonly MetricSpec[] = [
  { type: 'Resource', resource: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
];

const DEFAULT_SCALE_UP: ScalingRules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
};

// Its window is the controller's setting, so that an object that leaves it out follows that.
const DEFAULT_SCALE_DOWN: ScalingRules = {
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
};

export type HorizontalPolicy = Pick<AutoscalerSpec, 'target' | 'minReplicas' | 'maxReplicas' | 'metrics' | 'behavior'>;

/** The policy with the API server's defaults filled in. */
export function toHorizontalPolicy(spec: z.output<typeof HorizontalSpec>): HorizontalPolicy {
  const { scaleTargetRef, minReplicas, maxReplicas, metrics, behavior } = spec;
  return {
    target: scaleTargetRef,
    minReplicas: minReplicas ?? 1,
    maxReplicas,
    metrics: metrics == null || metrics.length === 0 ? DEFAULT_METRICS : metrics.map(readMetric),
    ...(behavior != null && { behavior: readBehavior(behavior) }),
  };
}

function readBehavior({ scaleUp, scaleDown }: { scaleUp?: WireRules; scaleDown?: WireRules }): Behavior {
  return { scaleUp: withDefaults(scaleUp, DEFAULT_SCALE_UP), scaleDown: withDefaults(scaleDown, DEFAULT_SCALE_DOWN) };
}

type WireRules = z.output<typeof Rules> | null | undefined;

/** A field that is given replaces the default as a whole: a list of policies is never merged. */
function withDefaults(rules: WireRules, defaults: ScalingRules): ScalingRules {
  const window = rules?.stabilizationWindowSeconds ?? defaults.stabilizationWindowSeconds;
  const tolerance = rules?.tolerance;
  return {
    ...(window !== undefined && { stabilizationWindowSeconds: window }),
    selectPolicy: rules?.selectPolicy ?? defaults.selectPolicy,
    policies: rules?.policies ?? defaults.policies,
    ...(tolerance != null && { tolerance }),
  };
}

const Target = z.object({
  type: z.string().default(''),
  averageUtilization: z.int().min(1).nullish(),
  averageValue: positiveQuantity.nullish(),
  value: positiveQuantity.nullish(),
});
type Target = z.output<typeof Target>;

const LabelSelector = z
  .looseObject({
    matchLabels: z.record(z.string(), z.string()).nullish(),
    matchExpressions: z
      .array(
        z.object({
          key: z.string().min(1),
          operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
          values: z.array(z.string()).nullish(),
        }),
      )
      .nullish(),
  })
  .refine((selector) => isUsable(selector), 'must be a valid label selector');

const Identifier = z.object({ name: z.string().min(1), selector: LabelSelector.nullish() });

const Resource = z.object({ resource: z.object({ name: z.string().min(1), target: Target }) });
const ContainerResource = z.object({
  containerResource: z.object({ name: z.string().min(1), container: z.string().min(1), target: Target }),
});
const Pods = z.object({ pods: z.object({ metric: Identifier, target: Target }) });
const ObjectMetric = z.object({ object: z.object({ describedObject: Reference, metric: Identifier, target: Target }) });
const External = z.object({ external: z.object({ metric: Identifier, target: Target }) });

/** Reads one metric of a spec. One that cannot be used says why, with the reason that the HPA gives for its type. */
export function readMetric(metric: { readonly type: string }): MetricSpec {
  switch (metric.type) {
    case 'Resource':
      return parseMetric(metric, 'FailedGetResourceMetric', Resource, ({ resource: { name, target } }) => {
        const chosen = usageTarget(target);
        return chosen && { type: 'Resource', resource: name, target: chosen };
      });
    case 'ContainerResource':
      return parseMetric(metric, 'FailedGetContainerResourceMetric', ContainerResource, ({ containerResource }) => {
        const { name, container, target } = containerResource;
        const chosen = usageTarget(target);
        return chosen && { type: 'ContainerResource', resource: name, container, target: chosen };
      });
    case 'Pods':
      return parseMetric(metric, 'FailedGetPodsMetric', Pods, ({ pods }) => {
        const target = averageValueTarget(pods.target);
        return target && { type: 'Pods', metric: readIdentifier(pods.metric), target };
      });
    case 'Object':
      return parseMetric(metric, 'FailedGetObjectMetric', ObjectMetric, ({ object }) => {
        const { describedObject, target } = object;
        const chosen =
          target.type === 'Value'
            ? valueTarget(target)
            : target.type === 'AverageValue'
              ? averageValueTarget(target)
              : undefined;
        return chosen && { type: 'Object', describedObject, metric: readIdentifier(object.metric), target: chosen };
      });
    case 'External':
      return parseMetric(metric, 'FailedGetExternalMetric', External, ({ external }) => {
        const target = averageValueTarget(external.target) ?? valueTarget(external.target);
        return target && { type: 'External', metric: readIdentifier(external.metric), target };
      });
    default:
      return {
        type: 'Unsupported',
        name: metric.type,
        reason: 'InvalidMetricSourceType',
        message: `unknown metric source type ${JSON.stringify(metric.type)}`,
      };
  }
}

function parseMetric<Schema extends z.ZodType>(
  metric: { readonly type: string },
  reason: string,
  schema: Schema,
  read: (parsed: z.output<Schema>) => MetricSpec | undefined,
): MetricSpec {
  const unsupported = (message: string): MetricSpec => ({ type: 'Unsupported', name: metric.type, reason, message });
  const parsed = schema.safeParse(metric);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
    return unsupported(`the ${metric.type} metric cannot be used: ${faults}`);
  }
  return (
    read(parsed.data) ??
    unsupported(`the ${metric.type} metric cannot be used: its target must hold a value of a type it supports`)
  );
}

/** Where both are given the value counts, whatever the type says, as in the HPA. */
function usageTarget(target: Target): UtilizationTarget | AverageValueTarget | undefined {
  const value = averageValueTarget(target);
  if (value !== undefined || target.averageUtilization == null) return value;
  return { type: 'Utilization', averageUtilization: target.averageUtilization };
}

function averageValueTarget({ averageValue }: Target): AverageValueTarget | undefined {
  return averageValue == null ? undefined : { type: 'AverageValue', averageValueMilli: averageValue };
}

function valueTarget({ value }: Target): ValueTarget | undefined {
  return value == null ? undefined : { type: 'Value', valueMilli: value };
}

function readIdentifier({ name, selector }: z.output<typeof Identifier>): MetricIdentifier {
  return { name, ...(selector != null && { selector }), labelSelector: formatLabelSelector(selector) };
}

/** Sets must have values, existence must have none, and every key and value the form of a label. */
function isUsable(selector: { matchExpressions?: readonly WireExpression[] | null | undefined }): boolean {
  const expressions = selector.matchExpressions ?? [];
  const areValuesGiven = expressions.every(({ operator, values }) => {
    const isSet = operator === 'In' || operator === 'NotIn';
    return isSet === (values ?? []).length > 0;
  });
  const text = formatLabelSelector(selector as z.output<typeof LabelSelector>);
  return areValuesGiven && (text === '' || !('fault' in parseSelector(text)));
}

type WireExpression = { readonly operator: string; readonly values?: readonly string[] | null | undefined };

const OPERATORS = { In: 'in', NotIn: 'notin', Exists: '', DoesNotExist: '!' } as const;

/** A LabelSelector in its string form: "a=b,c in (d,e),!f". */
function formatLabelSelector(selector: z.output<typeof LabelSelector> | null | undefined): string {
  const equalities = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector?.matchExpressions ?? []).map(({ key, operator, values }) => {
    if (operator === 'Exists' || operator === 'DoesNotExist') return `${OPERATORS[operator]}${key}`;
    return `${key} ${OPERATORS[operator]} (${values?.join(',') ?? ''})`;
  });
  return [...equalities, ...expressions].join(',');
}
