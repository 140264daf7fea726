// Whatever is wrong with one application is said in its own conditions, its size is left alone, and the others are served.

import { afterEach, describe, expect, it } from 'vitest';
import type { Fault, FaultEffect } from '../../infra/sandbox/faults.ts';
import {
  type ApplicationOptions,
  anAutoscaler,
  anEmptyShard,
  aShard,
  CPU_AT_40_PERCENT,
  NAMESPACE,
  type Shard,
} from '../support/sandbox.ts';

let shard: Shard;
afterEach(() => shard.close());

/** Two applications that both need to grow from 2 to 4; a test then breaks the one named bad. */
async function aShardOfTwo(bad: ApplicationOptions = {}): Promise<Shard> {
  const both = await aShard({ name: 'good' });
  both.add({ ...bad, name: 'bad' });
  return both;
}

interface Row {
  readonly input: string;
  readonly spoil: () => void;
  /** Of the application named bad, unlike the usual one. */
  readonly options?: ApplicationOptions;
  /** type, status, reason */
  readonly condition: string;
  readonly message: RegExp;
}

const podsOfBad = () =>
  shard.sandbox.store.list('Pod').filter(({ metadata }) => metadata.labels?.['flink-app'] === 'bad');

const changeStatus = (status: object) =>
  shard.change('FlinkApplication', 'bad', (application) => ({ status: { ...application.status, ...status } }));

const changeSpec = (spec: object) =>
  shard.change('FlinkApplication', 'bad', (application) => ({ spec: { ...application.spec, ...spec } }));

const aim = (apiVersion: string, kind: string) => () =>
  shard.sandbox.store.put(anAutoscaler({ name: 'bad', spec: { scaleTargetRef: { apiVersion, kind, name: 'bad' } } }));

const breakSpec = (spec: object | undefined) => () =>
  shard.change('FlinkAutoscaler', 'bad', (autoscaler) =>
    spec === undefined ? { spec: {} } : { spec: { ...autoscaler.spec, ...spec } },
  );

const rows: readonly Row[] = [
  {
    input: 'a target that does not exist',
    spoil: () => shard.sandbox.store.remove('FlinkApplication', NAMESPACE, 'bad'),
    condition: 'AbleToScale False FailedGetScale',
    message: /flinkapplications\.flink\.k8s\.io "bad" not found/,
  },
  {
    input: 'a target whose CRD is not installed',
    spoil: aim('example.com/v1', 'Ghost'),
    condition: 'AbleToScale False FailedGetScale',
    message: /no matches for kind Ghost in example\.com\/v1/,
  },
  {
    input: 'a target of a kind that its API group does not have',
    spoil: aim('apps/v1', 'Ghost'),
    condition: 'AbleToScale False FailedGetScale',
    message: /no matches for kind Ghost in apps\/v1/,
  },
  {
    input: 'a target that is missing, of a kind that is there',
    spoil: aim('apps/v1', 'Deployment'),
    condition: 'AbleToScale False FailedGetScale',
    message: /deployments\.apps "bad" not found/,
  },
  {
    input: 'a target of a kind without a scale subresource',
    spoil: aim('v1', 'Pod'),
    condition: 'AbleToScale False FailedGetScale',
    message: /Pod in v1 has no scale subresource/,
  },
  {
    input: 'no selector',
    spoil: () => changeStatus({ selector: '' }),
    condition: 'ScalingActive False InvalidSelector',
    message: /selector/,
  },
  {
    input: 'a selector that cannot be read',
    spoil: () => changeStatus({ selector: 'flink-app in (bad' }),
    condition: 'ScalingActive False InvalidSelector',
    message: /selector/,
  },
  {
    input: 'pods without requests',
    spoil: () => {
      for (const pod of podsOfBad())
        shard.sandbox.store.put({ ...pod, spec: { containers: [{ name: 'taskmanager' }] } });
    },
    condition: 'ScalingActive False FailedGetResourceMetric',
    message: /missing request for cpu/,
  },
  {
    input: 'no samples of its pods',
    spoil: () => {
      for (const { metadata } of podsOfBad()) shard.sandbox.store.remove('PodMetrics', NAMESPACE, metadata.name);
    },
    condition: 'ScalingActive False FailedGetResourceMetric',
    message: /no metrics returned/,
  },
  {
    input: 'samples older than maxSampleAgeSeconds',
    spoil: () => {
      const time = shard.sandbox.clock.now() - 181_000;
      for (const { metadata } of podsOfBad())
        shard.sandbox.setUsage({ namespace: NAMESPACE, name: metadata.name, cpuMilli: 800, time });
    },
    condition: 'ScalingActive False FailedGetResourceMetric',
    message: /older than 180 s \(maxSampleAgeSeconds\)/,
  },
  {
    input: 'a metric of an unknown type alone',
    spoil: breakSpec({ metrics: [{ type: 'Weather' }] }),
    condition: 'ScalingActive False InvalidMetricSourceType',
    message: /Weather/,
  },
  {
    input: 'a second FlinkAutoscaler with the same target',
    spoil: () =>
      shard.addAutoscaler({
        name: 'rival',
        spec: { scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'bad' } },
      }),
    condition: 'ScalingActive False AmbiguousSelector',
    message: /FlinkAutoscaler rival/,
  },
  {
    input: 'a HorizontalPodAutoscaler with the same target',
    spoil: () =>
      shard.sandbox.store.put({
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { namespace: NAMESPACE, name: 'of-bad' },
        spec: {
          scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'bad' },
          maxReplicas: 3,
        },
      }),
    condition: 'ScalingActive False AmbiguousSelector',
    message: /HorizontalPodAutoscaler of-bad/,
  },
  {
    input: 'a target that is being deployed',
    spoil: () => changeStatus({ phase: 'Updating' }),
    condition: 'ScalingActive False DeploymentInProgress',
    message: /phase Updating/,
  },
  {
    input: 'a target that was never deployed',
    spoil: () => changeStatus({ phase: '' }),
    condition: 'ScalingActive False DeploymentInProgress',
    message: /phase New/,
  },
  {
    input: 'a target that a person has set to 0',
    spoil: () => changeSpec({ taskManagerConfig: { taskSlots: 2, replicas: 0 } }),
    condition: 'ScalingActive False ScalingDisabled',
    message: /replica count of the target is zero/,
  },
  ...[
    { parallelism: 0 },
    { parallelism: 'four' },
    { parallelism: 1.5 },
    { parallelism: -4 },
    { taskManagerConfig: { taskSlots: 0, replicas: 2 } },
    { taskManagerConfig: { taskSlots: 'two', replicas: 2 } },
  ].map((spec) => ({
    input: `an application with ${JSON.stringify(spec)}`,
    spoil: () => changeSpec(spec),
    condition: 'AbleToScale False FailedGetScale',
    message: /must be whole numbers above 0/,
  })),
  ...[
    undefined,
    { minReplicas: 5, maxReplicas: 3 },
    { minReplicas: -1 },
    { maxReplicas: '20' },
    { maxReplicas: undefined },
    { scaleTargetRef: undefined },
    { scaleTargetRef: { kind: 'FlinkApplication' } },
    { metrics: 'cpu' },
    { metrics: [40] },
    { mode: 'Sometimes' },
    { pause: { scaleUp: 'yes' } },
    { controller: { tolerance: 'little' } },
  ].map((spec) => ({
    input: `a FlinkAutoscaler with ${spec === undefined ? 'an empty spec' : JSON.stringify(spec, undefinedAsText)}`,
    spoil: breakSpec(spec),
    condition: 'ScalingActive False InvalidSpec',
    message: /^spec\./,
  })),
];

function undefinedAsText(_key: string, value: unknown): unknown {
  return value === undefined ? 'nothing' : value;
}

describe('the application alone', () => {
  it.each(rows)('$input: $condition', async ({ spoil, options, condition, message }) => {
    shard = await aShardOfTwo(options);
    spoil();

    const [report] = await shard.ticks(1);

    expect(shard.conditions('bad')).toContain(condition);
    expect(messageOf('bad', condition)).toMatch(message);
    expect(shard.scaleWrites).toEqual(['good → 4']);
    expect(report?.autoscalers.find(({ name }) => name === 'good')?.outcome).toBe('rescaled');
  });
});

function messageOf(name: string, condition: string): string | undefined {
  const type = condition.split(' ')[0];
  return shard.status(name).conditions?.find((candidate) => candidate.type === type)?.message;
}

describe('a first size that cannot be written', () => {
  it.each([
    ['the CRD has no scale subresource yet', 404],
    ['the right to it is missing', 403],
    ['the API server fails', 500],
  ])('is said in a condition: %s', async (_why, code) => {
    shard = await aShardOfTwo({ isSeeded: false });
    shard.sandbox.faults.add({ kind: 'status', code, method: 'PATCH', path: /\/bad\/scale/ });

    await shard.ticks(1);

    expect(shard.conditions('bad')).toContain('AbleToScale False FailedGetScale');
    expect(shard.scaleWrites).toEqual(['good → 4']);
  });
});

describe('a size that cannot be written', () => {
  it.each([403, 404, 500])('is said in a condition, and the size wanted before stands: %i', async (code) => {
    shard = await aShardOfTwo({ usagePercent: 40 });
    await shard.ticks(1);
    shard.setLoad(80, { name: 'bad' });
    shard.passPeriod();
    shard.sandbox.faults.add({ kind: 'status', code, method: 'PATCH', path: /\/bad\/scale/ });

    await shard.ticks(1);

    expect(shard.conditions('bad')).toContain('AbleToScale False FailedUpdateScale');
    expect(shard.status('bad')).toMatchObject({ currentReplicas: 2, desiredReplicas: 2 });
    expect(shard.events('bad')).toEqual(['Warning FailedRescale']);
    expect(shard.size('bad')).toBe(2);
    expect(shard.size('good')).toBe(4);
  });
});

describe('a metric that cannot be used, beside one that can', () => {
  const metrics = [{ type: 'Weather' }, CPU_AT_40_PERCENT];

  it('lets the size grow', async () => {
    shard = await aShard({ spec: { metrics } });

    const [report] = await shard.ticks(1);

    expect(shard.scaleWrites).toEqual(['orders → 4']);
    expect(report?.autoscalers[0]?.error).toContain('Weather');
    expect(shard.events()).toEqual(
      expect.arrayContaining(['Warning InvalidMetricSourceType', 'Normal SuccessfulRescale']),
    );
  });

  it('never lets it shrink', async () => {
    const controller = { downscaleStabilizationSeconds: 0 };
    shard = await aShard({ taskManagers: 4, usagePercent: 10, spec: { metrics, controller } });

    await shard.ticks(3);

    expect(shard.scaleWrites).toEqual([]);
    expect(shard.conditions()).toContain('ScalingActive False InvalidMetricSourceType');
  });
});

describe('a status that somebody broke', () => {
  const garbage = { not: ['this'] };
  const fields = [
    'observedGeneration',
    'currentReplicas',
    'desiredReplicas',
    'lastScaleTime',
    'currentMetrics',
    'currentMetricsTime',
    'conditions',
    'recommendations',
    'scaleEvents',
    'pendingRescale',
    'selector',
    'targets',
    'lastDecision',
  ];

  it.each([
    ...fields.map((field) => ({ [field]: garbage })),
    Object.fromEntries(fields.map((field) => [field, garbage])),
    Object.fromEntries(fields.map((field) => [field, 'yesterday'])),
    { conditions: [null], recommendations: [{ replicas: 'many' }], scaleEvents: [{ change: 1, time: 'once' }] },
  ])('is as good as none, and is mended: %o', async (status) => {
    shard = await aShardOfTwo();
    shard.change('FlinkAutoscaler', 'bad', () => ({ status }));

    await shard.ticks(2);

    expect(shard.scaleWrites.sort()).toEqual(['bad → 4', 'good → 4']);
    expect(shard.conditions('bad')).toEqual(shard.conditions('good'));
    expect(shard.status('bad').scaleEvents).toEqual(shard.status('good').scaleEvents);
  });
});

interface SourceRow {
  readonly source: string;
  readonly path: RegExp;
  readonly condition: string;
}

const sources: readonly SourceRow[] = [
  {
    source: 'the metrics API',
    path: /^\/apis\/metrics\.k8s\.io\//,
    condition: 'ScalingActive False FailedGetResourceMetric',
  },
  { source: 'the pods', path: /^\/api\/v1\/pods\?/, condition: 'ScalingActive False FailedGetResourceMetric' },
  { source: 'the applications', path: /\/flinkapplications\?/, condition: 'AbleToScale False FailedGetScale' },
  {
    source: 'the HorizontalPodAutoscalers',
    path: /\/horizontalpodautoscalers\?/,
    condition: 'ScalingActive False FailedGetAutoscalers',
  },
];

const status503 = {
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  message: 'not now',
  reason: 'ServiceUnavailable',
};

const failures: readonly (FaultEffect & { readonly failure: string; readonly message: RegExp })[] = [
  {
    failure: '404, not there',
    kind: 'status',
    code: 404,
    body: '404 page not found\n',
    message: /404: 404 page not found/,
  },
  { failure: '403', kind: 'status', code: 403, message: /403 Forbidden/ },
  { failure: '500', kind: 'status', code: 500, message: /500 InternalError/ },
  {
    failure: '503 with a Status',
    kind: 'status',
    code: 503,
    body: status503,
    message: /503 ServiceUnavailable: not now/,
  },
  { failure: '503 in plain text', kind: 'status', code: 503, message: /503: service unavailable/ },
  { failure: '429 in plain text', kind: 'status', code: 429, message: /429: Too many requests/ },
  { failure: 'an answer cut off in mid-body', kind: 'cut-body', message: /no answer: / },
  { failure: 'a connection cut before any answer', kind: 'drop-before', message: /no answer: / },
  {
    failure: 'an answer that is no JSON',
    kind: 'status',
    code: 200,
    body: '<html>',
    message: /the answer is not JSON|the answer does not begin with/,
  },
  {
    failure: 'an answer that is no list',
    kind: 'status',
    code: 200,
    body: { kind: 'Status' },
    message: /has no items|the answer does not begin with/,
  },
];

const table = sources.flatMap((source) => failures.map((failure) => ({ ...source, ...failure })));

describe('a source that all share', () => {
  it.each(table)('$source, $failure: $condition for each, and nobody is scaled until it is back', async (row) => {
    shard = await aShardOfTwo();
    shard.sandbox.faults.add({ ...row, method: 'GET' } as Fault);

    await shard.ticks(1);
    const during = { conditions: ['good', 'bad'].map((name) => shard.conditions(name)), writes: shard.scaleWrites };
    const message = messageOf('bad', row.condition);
    shard.sandbox.faults.clear();
    await shard.ticks(1);

    expect(during.conditions).toEqual([
      expect.arrayContaining([row.condition]),
      expect.arrayContaining([row.condition]),
    ]);
    expect(message).toMatch(row.message);
    expect(during.writes).toEqual([]);
    expect(shard.scaleWrites.sort()).toEqual(['bad → 4', 'good → 4']);
  });

  const passing = failures.filter(({ failure }) => !/404|403|no JSON|no list/.test(failure));

  it.each(sources.flatMap((source) => passing.map((failure) => ({ ...source, ...failure }))))(
    '$source, $failure once: asked again, and nobody notices',
    async (row) => {
      shard = await aShardOfTwo();
      const fault = shard.sandbox.faults.add({ ...row, method: 'GET', times: 1 } as Fault);

      await shard.ticks(1);

      expect(fault.count).toBe(1);
      expect(shard.scaleWrites.sort()).toEqual(['bad → 4', 'good → 4']);
    },
  );
});

describe('a list of several pages', () => {
  const PAGE_SIZE = 500;

  /** So many other TaskManagers that the list of pods has a second page. */
  function addOtherPods(): void {
    const labels = { 'flink-deployment-type': 'taskmanager', 'flink-app': 'other' };
    for (let index = 0; index < PAGE_SIZE; index += 1)
      shard.sandbox.store.put({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { namespace: 'another', name: `other-${index}`, labels },
      });
  }

  it('is begun again when its continue has expired once', async () => {
    shard = await aShard();
    addOtherPods();
    const fault = shard.sandbox.faults.add({ kind: 'status', code: 410, path: /\/pods\?.*continue=/, times: 1 });

    await shard.ticks(1);

    expect(fault.count).toBe(1);
    expect(shard.scaleWrites).toEqual(['orders → 4']);
    expect(shard.conditions()).toContain('ScalingActive True ValidMetricFound');
  });

  it('is unknown when it expires every time', async () => {
    shard = await aShard();
    addOtherPods();
    shard.sandbox.faults.add({ kind: 'status', code: 410, path: /\/pods\?.*continue=/ });

    await shard.ticks(1);

    expect(shard.scaleWrites).toEqual([]);
    expect(shard.conditions()).toContain('ScalingActive False FailedGetResourceMetric');
  });

  it('is begun again when the API server has forgotten its version between two pages', async () => {
    shard = await aShard();
    addOtherPods();
    let hasForgotten = false;
    shard.sandbox.hooks.before(({ path, query }) => {
      if (hasForgotten || path !== '/api/v1/pods' || !query.has('continue')) return;
      hasForgotten = true;
      shard.sandbox.store.compact();
    });

    await shard.ticks(1);

    expect(hasForgotten).toBe(true);
    expect(shard.scaleWrites).toEqual(['orders → 4']);
  });
});

describe('the autoscalers themselves', () => {
  it.each([
    ['401', { kind: 'status', code: 401 }],
    ['403', { kind: 'status', code: 403 }],
    ['404: their CRD is not installed yet', { kind: 'status', code: 404, body: '404 page not found\n' }],
    ['503', { kind: 'status', code: 503 }],
    ['an answer cut off in mid-body', { kind: 'cut-body' }],
  ] satisfies [string, FaultEffect][])(
    'fail the whole tick while they cannot be read, and are served when they can: %s',
    async (_why, effect) => {
      shard = await aShard();
      shard.sandbox.faults.add({ ...effect, path: /\/flinkautoscalers/ });

      await expect(shard.tick()).rejects.toThrow(/GET \/apis\/headrace\.dev\/v1alpha1\/flinkautoscalers/);
      const writes = [...shard.writes];
      shard.sandbox.faults.clear();
      await shard.ticks(1);

      expect(writes).toEqual([]);
      expect(shard.scaleWrites).toEqual(['orders → 4']);
    },
  );

  it('may be none', async () => {
    shard = await anEmptyShard();

    const report = await shard.tick();

    expect(report.autoscalers).toEqual([]);
  });
});

it('serves an autoscaler and an application that come one after the other, in either order', async () => {
  shard = await anEmptyShard();
  shard.addAutoscaler({ name: 'first' });
  shard.addApplication({ name: 'second', isSeeded: false });
  await shard.ticks(1);
  const lonely = shard.conditions('first');
  shard.addApplication({ name: 'first', isSeeded: false });
  shard.addAutoscaler({ name: 'second' });

  await shard.ticks(2);

  expect(lonely).toEqual(['AbleToScale False FailedGetScale']);
  for (const name of ['first', 'second']) {
    expect(shard.size(name)).toBe(4);
    expect(shard.conditions(name).every((condition) => !/ False Failed/.test(condition))).toBe(true);
  }
});
