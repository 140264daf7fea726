// The cases of the Kubernetes HPA controller, as they are, and as a FlinkAutoscaler or a v1 object says the same.

import { describe, expect, it } from 'vitest';
import { convertAutoscaler } from '../../shared/kubernetes/conversion.ts';
import { judgeSnapshot } from '../../shared/replay/judge.ts';
import { snapshotCases, type WireSnapshot } from '../support/snapshots.ts';

const cases = snapshotCases.map(({ snapshot, expect: expected }) => [snapshot.name, snapshot, expected] as const);

it('has all the cases that were copied', () => {
  expect(cases).toHaveLength(133);
});

describe('an HPA is judged as its own controller does:', () => {
  it.each(cases)('%s', (_, snapshot, expected) => {
    const answer = judgeSnapshot(snapshot);

    expect(answer.rescale).toBe(expected.rescale);
    expect(answer.error !== null).toBe(expected.failed ?? false);
    if (expected.desiredReplicas !== null) expect(answer.desiredReplicas).toBe(expected.desiredReplicas);
    expect(answer.conditions).toEqual(
      expect.arrayContaining(expected.conditions.map((condition) => expect.objectContaining(condition))),
    );
    if (expected.limited !== undefined)
      expect(answer.conditions.find(({ type }) => type === 'ScalingLimited')?.reason).toBe(expected.limited);
  });
});

describe('what headrace convert makes of an HPA is judged as the HPA:', () => {
  it.each(cases)('%s', (_, snapshot) => {
    const converted = convertAutoscaler(snapshot.autoscaler, { advise: false });
    if ('faults' in converted) throw new TypeError(converted.faults.join('; '));

    const answer = judgeSnapshot(withAutoscaler(snapshot, converted.manifest));

    expect(answer).toEqual(judgeSnapshot(withAnyAge(snapshot)));
  });
});

describe('a v1 object with its annotations is judged as the v2 object that it stands for, and so is its conversion:', () => {
  it.each(cases)('%s', (_, snapshot) => {
    const v1 = toV1(snapshot.autoscaler);
    const converted = convertAutoscaler(v1, { advise: false });
    if ('faults' in converted) throw new TypeError(converted.faults.join('; '));
    const expected = judgeSnapshot(withAnyAge(snapshot));

    expect(judgeSnapshot({ ...withAnyAge(snapshot), autoscaler: v1 })).toEqual(expected);
    expect(judgeSnapshot(withAutoscaler(snapshot, converted.manifest))).toEqual(expected);
  });
});

/** The manifest takes the HPA's place and status. */
function withAutoscaler(snapshot: WireSnapshot, manifest: object): object {
  const { metadata, status } = snapshot.autoscaler;
  return { ...withAnyAge(snapshot), autoscaler: { ...manifest, metadata, status } };
}

/** The one default in which a FlinkAutoscaler differs: the HPA takes samples of any age. */
function withAnyAge(snapshot: WireSnapshot): WireSnapshot {
  return { ...snapshot, settings: { ...snapshot.settings, maxSampleAgeSeconds: 1e12 } };
}

interface V2Target {
  readonly averageUtilization?: number;
  readonly averageValue?: string;
  readonly value?: string;
}

/** The v1 form of a v2 object, as the API server writes it: metrics and behavior in annotations, with Go's names and flat targets. */
function toV1(autoscaler: WireSnapshot['autoscaler']): object {
  const { metrics, behavior, ...spec } = autoscaler.spec as { metrics: readonly V2Metric[]; behavior?: object };
  const annotations = {
    'autoscaling.alpha.kubernetes.io/metrics': JSON.stringify(metrics.map(toV1Metric)),
    ...(behavior && { 'autoscaling.alpha.kubernetes.io/behavior': JSON.stringify(withGoNames(behavior)) }),
  };
  return { ...autoscaler, apiVersion: 'autoscaling/v1', metadata: { ...autoscaler.metadata, annotations }, spec };
}

interface V2Metric {
  readonly type: string;
  readonly [source: string]: unknown;
}

function toV1Metric(metric: V2Metric): object {
  const { type } = metric;
  const source = metric[type.slice(0, 1).toLowerCase() + type.slice(1)] as
    | { name: string; container?: string; describedObject?: object; metric: V2Identifier; target: V2Target }
    | undefined;
  if (source === undefined) return { type };
  const { averageUtilization, averageValue, value } = source.target;
  const { name, selector } = source.metric ?? {};
  switch (type) {
    case 'Resource':
    case 'ContainerResource': {
      const { name, container } = source;
      const usage = { targetAverageUtilization: averageUtilization, targetAverageValue: averageValue };
      return type === 'Resource'
        ? { type, resource: { name, ...usage } }
        : { type, containerResource: { name, container, ...usage } };
    }
    case 'Pods':
      return { type, pods: { metricName: name, selector, targetAverageValue: averageValue } };
    case 'Object':
      return {
        type,
        object: { target: source.describedObject, metricName: name, selector, targetValue: value, averageValue },
      };
    default:
      return {
        type,
        external: { metricName: name, metricSelector: selector, targetValue: value, targetAverageValue: averageValue },
      };
  }
}

interface V2Identifier {
  readonly name?: string;
  readonly selector?: object;
}

function withGoNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withGoNames);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key.slice(0, 1).toUpperCase() + key.slice(1), withGoNames(field)]),
  );
}
