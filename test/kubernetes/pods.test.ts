// The hand-written reader, held against schemas of the whole objects: whatever the API server may send, both read the same.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { podLevelRequests } from '../../shared/kubernetes/pod-requests.ts';
import { readPod, readPodUsage } from '../../shared/kubernetes/pods.ts';
import { parseDurationSeconds, parseQuantity } from '../../shared/units.ts';

const labels = z.record(z.string(), z.string()).nullish();
const quantities = z.record(z.string(), z.union([z.string(), z.number()])).nullish();
const time = z.string().nullish();

const Container = z.looseObject({
  name: z.string().nullish(),
  restartPolicy: z.string().nullish(),
  resources: z.looseObject({ requests: quantities }).nullish(),
});

const PodSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string(), labels, deletionTimestamp: time }),
  spec: z
    .looseObject({
      containers: z.array(Container).nullish(),
      initContainers: z.array(Container).nullish(),
      resources: z.looseObject({ requests: quantities }).nullish(),
    })
    .nullish(),
  status: z
    .looseObject({
      phase: z.string().nullish(),
      startTime: time,
      conditions: z
        .array(z.looseObject({ type: z.string().nullish(), status: z.string().nullish(), lastTransitionTime: time }))
        .nullish(),
    })
    .nullish(),
});

const PodMetricsSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string(), labels }),
  timestamp: z.string().refine((text) => !Number.isNaN(Date.parse(text))),
  window: z.string().nullish(),
  containers: z.array(z.looseObject({ name: z.string().nullish(), usage: quantities })).nullish(),
});

describe('readPod', () => {
  it('reads what a TaskManager pod says', () => {
    const pod = readPod({
      metadata: { name: 'orders-0', namespace: 'flink', labels: { app: 'orders' }, uid: '1' },
      spec: {
        nodeName: 'node-1',
        containers: [{ name: 'taskmanager', image: 'flink', resources: { requests: { cpu: '1', memory: '2Gi' } } }],
        initContainers: [
          { name: 'download', resources: { requests: { cpu: '4' } } },
          { name: 'log-agent', restartPolicy: 'Always', resources: { requests: { cpu: '100m' } } },
        ],
      },
      status: {
        phase: 'Running',
        startTime: '2026-03-01T11:00:00Z',
        conditions: [
          { type: 'PodScheduled', status: 'True', lastTransitionTime: '2026-03-01T11:00:00Z' },
          { type: 'Ready', status: 'True', lastTransitionTime: '2026-03-01T11:01:00Z' },
        ],
      },
    });

    expect(pod).toEqual({
      namespace: 'flink',
      name: 'orders-0',
      labels: { app: 'orders' },
      phase: 'Running',
      isDeleting: false,
      startTime: Date.parse('2026-03-01T11:00:00Z'),
      ready: { status: 'True', lastTransitionTime: Date.parse('2026-03-01T11:01:00Z') },
      containers: [
        { name: 'taskmanager', requestsMilli: { cpu: 1000n, memory: 2n ** 31n * 1000n } },
        { name: 'log-agent', requestsMilli: { cpu: 100n } },
      ],
    });
  });

  it('leaves out a quantity that cannot be read, and keeps the others', () => {
    const [container] =
      readPod({
        metadata: { name: 'a', namespace: 'b' },
        spec: { containers: [{ name: 'main', resources: { requests: { cpu: 'lots', memory: '1' } } }] },
      })?.containers ?? [];

    expect(container).toEqual({ name: 'main', requestsMilli: { memory: 1000n } });
  });

  it('reads more different quantities than it remembers', () => {
    const requestOf = (count: number) =>
      readPod({
        metadata: { name: 'a', namespace: 'b' },
        spec: { containers: [{ name: 'main', resources: { requests: { memory: `${count}Ki` } } }] },
      })?.containers[0]?.requestsMilli.memory;

    for (let count = 0; count <= 10_001; count += 1) requestOf(count);

    expect(requestOf(1)).toBe(1_024_000n);
    expect(requestOf(10_001)).toBe(10_241_024_000n);
  });

  it('reads what a full schema reads, whatever is odd or missing', () => {
    fc.assert(
      fc.property(wirePod(), (item) => {
        expect(readPod(item)).toEqual(readBySchema(item));
      }),
      { numRuns: 1500 },
    );
  });

  function readBySchema(item: unknown): ReturnType<typeof readPod> {
    const parsed = PodSchema.safeParse(item);
    if (!parsed.success) return undefined;
    const { metadata, spec, status } = parsed.data;
    const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return withoutUndefined({
      namespace: metadata.namespace,
      name: metadata.name,
      labels: metadata.labels ?? {},
      phase: status?.phase ?? 'Unknown',
      isDeleting: typeof metadata.deletionTimestamp === 'string',
      startTime: toInstant(status?.startTime),
      ready: ready && {
        status: ready.status ?? 'Unknown',
        lastTransitionTime: toInstant(ready.lastTransitionTime) ?? 0,
      },
      containers: [...(spec?.containers ?? []), ...sidecars].map(({ name, resources }) => ({
        name: name ?? '',
        requestsMilli: toMilli(resources?.requests),
      })),
      // Its arithmetic has a test of its own (pod-requests.test.ts).
      requestsMilli: podLevelRequests({
        requests: toMilli(spec?.resources?.requests),
        containers: (spec?.containers ?? []).map(({ resources }) => toMilli(resources?.requests)),
        initContainers: (spec?.initContainers ?? []).map(({ resources, restartPolicy }) => ({
          requests: toMilli(resources?.requests),
          isSidecar: restartPolicy === 'Always',
        })),
      }),
    }) as unknown as ReturnType<typeof readPod>;
  }
});

describe('readPodUsage', () => {
  it('reads what metrics.k8s.io says', () => {
    const usage = readPodUsage({
      metadata: { name: 'orders-0', namespace: 'flink', labels: { app: 'orders' } },
      timestamp: '2026-03-01T11:59:50Z',
      window: '15.5s',
      containers: [
        { name: 'taskmanager', usage: { cpu: '123456789n', memory: '100Ki' } },
        { name: 'log-agent', usage: { cpu: '0' } },
      ],
    });

    expect(usage).toEqual({
      namespace: 'flink',
      name: 'orders-0',
      labels: { app: 'orders' },
      time: Date.parse('2026-03-01T11:59:50Z'),
      windowSeconds: 15.5,
      containers: [
        { name: 'taskmanager', usageMilli: { cpu: 124n, memory: 102_400_000n } },
        { name: 'log-agent', usageMilli: { cpu: 0n } },
      ],
    });
  });

  it('reads what a full schema reads, whatever is odd or missing', () => {
    fc.assert(
      fc.property(wirePodMetrics(), (item) => {
        expect(readPodUsage(item)).toEqual(readBySchema(item));
      }),
      { numRuns: 1500 },
    );
  });

  function readBySchema(item: unknown): ReturnType<typeof readPodUsage> {
    const parsed = PodMetricsSchema.safeParse(item);
    if (!parsed.success) return undefined;
    const { metadata, timestamp, window, containers } = parsed.data;
    return {
      namespace: metadata.namespace,
      name: metadata.name,
      labels: metadata.labels ?? {},
      time: Date.parse(timestamp),
      windowSeconds: parseDurationSeconds(window ?? '') ?? 60,
      containers: (containers ?? []).map(({ name, usage }) => ({ name: name ?? '', usageMilli: toMilli(usage) })),
    };
  }
});

it.each([
  null,
  undefined,
  {},
  'pod',
  7,
  { metadata: null },
  { metadata: { name: 'a' } },
  { metadata: { namespace: 'b' } },
])('reads %j as neither a pod nor its usage', (item) => {
  expect(readPod(item)).toBeUndefined();
  expect(readPodUsage(item)).toBeUndefined();
});

function toInstant(text: string | null | undefined): number | undefined {
  const instant = Date.parse(text ?? '');
  return Number.isNaN(instant) ? undefined : instant;
}

function toMilli(quantity: Readonly<Record<string, string | number>> | null | undefined): Record<string, bigint> {
  const read = Object.entries(quantity ?? {}).map(([resource, value]) => [resource, parseQuantity(value)] as const);
  return Object.fromEntries(read.filter((entry): entry is [string, bigint] => entry[1] !== undefined));
}

function withoutUndefined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** An object of which any field may be missing or null. */
function sparse<T extends Record<string, unknown>>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) {
  const loose = Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      fc.oneof({ weight: 8, arbitrary: field as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: fc.constant(null) }),
    ]),
  );
  return fc.record(loose, { requiredKeys: [] });
}

function wireTime() {
  return fc.constantFrom('2026-03-01T11:59:50Z', '2026-03-01T11:59:50.123Z', '2026-03-01T12:59:50+01:00', 'soon', '');
}

function wireQuantities() {
  return fc.dictionary(
    fc.constantFrom('cpu', 'memory', 'nvidia.com/gpu'),
    fc.oneof(
      fc.constantFrom('1', '250m', '123456789n', '1Gi', '1e3', 'lots', '', '1 ', '-1', '12Ei'),
      fc.integer({ min: 0, max: 8 }),
    ),
  );
}

function wireLabels() {
  return fc.dictionary(fc.constantFrom('app', 'flink-app', 'constructor'), fc.constantFrom('', 'orders'));
}

function wireContainer() {
  return sparse({
    name: fc.constantFrom('taskmanager', 'sidecar'),
    restartPolicy: fc.constantFrom('Always', 'OnFailure'),
    resources: sparse({ requests: wireQuantities(), limits: wireQuantities() }),
    image: fc.constant('flink:1.20'),
  });
}

/** Name and namespace are there or are not: the API server never sends them as null. */
function wireMetadata() {
  const identity = fc.record({ name: fc.constant('orders-0'), namespace: fc.constant('flink') }, { requiredKeys: [] });
  const rest = sparse({ labels: wireLabels(), deletionTimestamp: wireTime(), uid: fc.uuid() });
  return fc.oneof(
    { weight: 20, arbitrary: fc.tuple(identity, rest).map(([one, other]) => ({ ...other, ...one })) },
    { weight: 40, arbitrary: rest.map((other) => ({ ...other, name: 'orders-0', namespace: 'flink' })) },
    { weight: 1, arbitrary: fc.constant(null) },
  );
}

function wirePod() {
  return sparse({
    metadata: wireMetadata(),
    spec: sparse({
      containers: fc.array(wireContainer(), { maxLength: 3 }),
      initContainers: fc.array(wireContainer(), { maxLength: 3 }),
      resources: sparse({ requests: wireQuantities() }),
      nodeName: fc.constant('node-1'),
    }),
    status: sparse({
      phase: fc.constantFrom('Running', 'Pending', 'Failed', 'Succeeded'),
      startTime: wireTime(),
      conditions: fc.array(
        sparse({
          type: fc.constantFrom('Ready', 'PodScheduled'),
          status: fc.constantFrom('True', 'False', 'Unknown'),
          lastTransitionTime: wireTime(),
        }),
        { maxLength: 3 },
      ),
    }),
  });
}

function wirePodMetrics() {
  return sparse({
    metadata: wireMetadata(),
    timestamp: wireTime(),
    window: fc.constantFrom('15s', '1m0s', '30.5s', '', 'soon'),
    containers: fc.array(sparse({ name: fc.constant('taskmanager'), usage: wireQuantities() }), { maxLength: 3 }),
  });
}
