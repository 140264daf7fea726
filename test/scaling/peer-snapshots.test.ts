// The peer's reconciles once more, as real API objects: read by the readers that a tick uses, then decided.
//
// test/cases/hpa-resource-snapshots.ndjson holds one {"snapshot", "expect"} a line, made from the same peer tests as
// hpa-resource.ndjson (Kubernetes, Apache-2.0), left out by the same rules (see peer-cases.test.ts). A snapshot whose
// settings let a size grow to 8 times what it was has an answer that is the same with our factor of 2.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readFlinkAutoscaler, readSpec } from '../../shared/kubernetes/flink-autoscaler.ts';
import { type NamespacedPod, type PodUsage, readPod, readPodUsage } from '../../shared/kubernetes/pods.ts';
import { parseSelector } from '../../shared/kubernetes/selectors.ts';
import { samplesOf } from '../../shared/metrics/resource.ts';
import { decide, failRescale } from '../../shared/scaling/decide.ts';
import type { AutoscalerSpec, Observation } from '../../shared/scaling/types.ts';

interface Snapshot {
  readonly name: string;
  readonly now: string;
  readonly settings: Record<string, number>;
  readonly autoscaler: { readonly metadata: object; readonly spec: object; readonly status: object };
  readonly scale: { readonly spec: { readonly replicas: number }; readonly status: { readonly selector: string } };
  readonly pods: readonly unknown[];
  readonly podMetrics: readonly unknown[];
  readonly failures: { readonly scale?: string; readonly scaleWrite?: string; readonly podMetrics?: string };
}

interface Expected {
  readonly desiredReplicas: number;
  readonly rescale: boolean;
  readonly failed?: boolean;
  readonly conditions: readonly object[];
}

const lines = readFileSync(new URL('../cases/hpa-resource-snapshots.ndjson', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as { readonly snapshot: Snapshot; readonly expect: Expected })
  .map(({ snapshot, expect: expected }) => [snapshot.name, snapshot, expected] as const);

it.each(lines)('%s', (_, snapshot, expected) => {
  const { autoscaler, failures } = snapshot;
  const now = Date.parse(snapshot.now);
  const spec = specOf(snapshot);
  const before = readFlinkAutoscaler({
    ...autoscaler,
    metadata: { resourceVersion: '1', ...autoscaler.metadata },
  })?.status;
  if (before === undefined) throw new TypeError('the snapshot has no autoscaler');

  const decision = decide({ spec, observation: observationOf(snapshot, spec), status: before, now });
  const hasFailedToWrite = decision.rescale && failures.scaleWrite !== undefined;
  const status = hasFailedToWrite
    ? failRescale(decision.status, {
        error: failures.scaleWrite ?? '',
        before,
        now,
      })
    : decision.status;

  expect(decision.rescale && !hasFailedToWrite).toBe(expected.rescale);
  expect(decision.desiredReplicas ?? status.desiredReplicas).toBe(expected.desiredReplicas);
  expect(decision.error !== undefined || hasFailedToWrite).toBe(expected.failed ?? false);
  expect(status.conditions).toEqual(
    expect.arrayContaining(expected.conditions.map((condition) => expect.objectContaining(condition))),
  );
});

it('runs all the snapshots that were copied', () => {
  expect(lines).toHaveLength(28);
});

/** The spec of a v2 HorizontalPodAutoscaler means the same in a FlinkAutoscaler. The peer looks at no sample's age. */
function specOf({ autoscaler, settings }: Snapshot): AutoscalerSpec {
  const spec = readSpec(autoscaler.spec);
  if ('unreadable' in spec) throw new TypeError(spec.unreadable);
  const { maxSampleAgeSeconds: _, ...defaults } = spec.value.settings;
  return { ...spec.value, settings: { ...defaults, ...settings } };
}

function observationOf({ scale, pods, podMetrics, failures }: Snapshot, spec: AutoscalerSpec): Observation {
  const { selector } = scale.status;
  const parsed = parseSelector(selector);
  const usage = podMetrics.map(readPodUsage).filter((item): item is PodUsage => item !== undefined);
  return {
    scale:
      failures.scale === undefined
        ? {
            value: {
              replicas: scale.spec.replicas,
              selector,
              ...('fault' in parsed && { selectorFault: parsed.fault }),
            },
          }
        : { unreadable: failures.scale },
    rivals: { value: [] },
    pods: {
      value: pods
        .map(readPod)
        .filter((pod): pod is NamespacedPod => pod !== undefined && 'matches' in parsed && parsed.matches(pod.labels)),
    },
    metrics: spec.metrics.map((metric) => {
      if (metric.type !== 'Resource') return { unreadable: 'nobody measures it' };
      if (failures.podMetrics !== undefined) return { unreadable: failures.podMetrics };
      return { value: samplesOf(metric.resource, usage) };
    }),
  };
}
