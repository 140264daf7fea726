import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { podMetrics } from '../../infra/sandbox/pods.ts';
import { startSandbox } from '../../infra/sandbox/server.ts';
import { type Cluster, openCluster } from '../../shared/control-plane.ts';
import { scaleShard } from '../../shared/controllers/scale.ts';
import { type AutoscalerAddress, type RecordedSnapshot, takeSnapshot } from '../../shared/controllers/snapshot.ts';
import { toWireStatus } from '../../shared/kubernetes/flink-autoscaler.ts';
import { judgeSnapshot, type ReplayAnswer } from '../../shared/replay/judge.ts';
import type { Decision } from '../../shared/scaling/types.ts';
import { type as typeCommand } from '../support/command-line.ts';
import { type MetricAnswers, type MetricsProxy, startMetricsProxy } from '../support/metrics-proxy.ts';
import { anAutoscaler, CPU_AT_40_PERCENT, NAMESPACE, Shard } from '../support/sandbox.ts';

let shard: Shard;
let proxy: MetricsProxy | undefined;
let folder: string;
beforeEach(async () => {
  // The command decides by the system's clock, so the sandbox stands where that one is.
  shard = new Shard(await startSandbox({ namespace: NAMESPACE }));
  folder = mkdtempSync(join(tmpdir(), 'headrace-snapshot-'));
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, shard.sandbox.kubeconfig);
  vi.stubEnv('KUBECONFIG', kubeconfig);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await proxy?.close();
  proxy = undefined;
  await shard.close();
  await rm(folder, { recursive: true });
});

describe('headrace snapshot', () => {
  it('prints one snapshot that headrace replay judges as headrace check does', async () => {
    shard.add({ taskManagers: 2, usagePercent: 80 });
    const file = join(folder, 'orders.json');

    const taken = await typeCommand('snapshot', 'flink/orders');
    writeFileSync(file, taken.out);
    const replayed = await typeCommand('replay', file);
    const checked = await typeCommand('check', '--dry-run', '-o', 'json');

    expect(taken).toMatchObject({ status: 0, error: '' });
    const [judged] = (JSON.parse(checked.out) as { autoscalers: object[] }).autoscalers;
    const { currentReplicas, desiredReplicas, rescale, reason, message } = JSON.parse(replayed.out);
    expect(judged).toMatchObject({ currentReplicas, desiredReplicas, rescale, reason, message });
    expect(message).toBe('scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4');
  });

  it('writes nothing to the cluster', async () => {
    shard.add({ isSeeded: false });

    await typeCommand('snapshot', 'flink/orders');

    expect(shard.writes).toEqual([]);
  });

  it('writes to a file with --file', async () => {
    shard.add();
    const file = join(folder, 'orders.json');

    const { status, out } = await typeCommand('snapshot', 'flink/orders', '--file', file);

    expect({ status, out }).toEqual({ status: 0, out: '' });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ kind: 'Snapshot', name: 'flink/orders' });
  });

  it.each([
    [[], 'one autoscaler must be named'],
    [['a/b', 'c/d'], 'one autoscaler must be named'],
    [['orders'], 'an autoscaler must be NAMESPACE/NAME or hpa/NAMESPACE/NAME, but is orders'],
    [['keda/flink/orders'], 'but is keda/flink/orders'],
    [['flink/'], 'but is flink/'],
    [['flink/orders', '--dry-run'], "Unknown option '--dry-run'"],
    [['flink/orders', '--file', '/no/such/folder/x'], 'writing /no/such/folder/x'],
  ])('typed wrong ends with 2 and says so: %j', async (words, message) => {
    shard.add();

    const { status, out, error } = await typeCommand('snapshot', ...words);

    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(error).toContain(message);
  });

  it('of an autoscaler that is not there ends with 3', async () => {
    const { status, error } = await typeCommand('snapshot', 'flink/nothing');

    expect(status).toBe(3);
    expect(error).toContain('flinkautoscalers.headrace.dev "nothing" not found');
  });

  it('explains itself', async () => {
    const { status, out } = await typeCommand('snapshot', '--help');

    expect(status).toBe(0);
    for (const text of ['hpa/NAMESPACE/NAME', '--file', '--kubeconfig', '--context', 'Examples:'])
      expect(out).toContain(text);
  });
});

describe('a snapshot replayed decides as the tick of that moment:', () => {
  const cases: readonly (readonly [string, () => void | Promise<void>])[] = [
    ['a target that must grow', () => shard.add()],
    ['a target at rest', () => shard.add({ usagePercent: 40 })],
    ['a target that is held by its history', () => shrinkAfterTicks()],
    ['an application that has no size yet', () => shard.add({ isSeeded: false })],
    ['an application whose parallelism was edited', () => editParallelism()],
    ['an application that is being deployed', () => deploy('Updating')],
    ['an application whose deployment failed', () => deploy('DeployFailed')],
    ['an application that is not there', () => shard.addAutoscaler()],
    ['an application that never said its pods', () => forgetSelector()],
    ['an HPA on the same target', () => addRival('HorizontalPodAutoscaler', 'autoscaling/v2')],
    ['a second FlinkAutoscaler on the same target', () => addRival('FlinkAutoscaler', 'headrace.dev/v1alpha1')],
    ['an autoscaler that picks the same pods', () => shareSelector()],
    ['one that only advises, beside an HPA', () => adviseBesideHpa()],
    ['one that is off', () => shard.add({ spec: { mode: 'Off' } })],
    ['one that is paused', () => shard.add({ spec: { pause: { scaleUp: true } } })],
    ['one whose size is out of bounds', () => shard.add({ spec: { maxReplicas: 1 } })],
    ['one with behavior', () => shard.add({ spec: { behavior: { scaleUp: { policies: [policy(1)] } } } })],
    ['pods without usage', () => forgetUsage()],
    ['usage that is too old', () => ageUsage()],
    ['a Deployment', () => addDeployment()],
    [
      'a metric of an unknown type beside CPU',
      () => shard.add({ spec: { metrics: [CPU_AT_40_PERCENT, { type: 'X' }] } }),
    ],
  ];
  it.each(cases)('%s', async (_, arrange) => {
    await arrange();

    const { decision, answer } = await decideTwice();

    expect(answer).toEqual(decision);
  });

  it('a metrics-server that refuses', async () => {
    shard.add();
    shard.sandbox.faults.add({ path: /metrics\.k8s\.io/, kind: 'status', code: 503 });

    const { answer } = await decideTwice();

    expect(answer).toMatchObject({
      rescale: false,
      reason: 'FailedGetResourceMetric',
      error: expect.stringContaining('503'),
    });
  });

  it('metrics of pods, objects and from outside, where one of them fails', async () => {
    const answers = await addMetrics();
    proxy = await startMetricsProxy(shard.sandbox.url, answers);

    const { decision, answer, snapshot } = await decideTwice();

    expect(answer).toEqual(decision);
    expect(answer.error).toContain('invalid metrics (1 invalid out of 5)');
    expect(answer.currentMetrics).toMatchObject([
      { pods: { current: { averageValue: '150' } } },
      { object: { current: { value: '2500m' } } },
      { external: { current: { averageValue: '25' } } },
      { external: { current: { averageValue: '25' } } },
      { type: '' },
    ]);
    expect(snapshot.failures).toEqual({ metrics: { 4: expect.stringContaining('404') } });
  });

  it('metrics APIs that fail altogether', async () => {
    await addMetrics();
    proxy = await startMetricsProxy(shard.sandbox.url, {});

    const { decision, answer, snapshot } = await decideTwice();

    expect(answer).toEqual(decision);
    expect(snapshot.failures).toMatchObject({
      customMetrics: expect.stringContaining('404'),
      externalMetrics: expect.stringContaining('404'),
    });
  });
});

describe('a snapshot of an HPA', () => {
  it('is what its own controller would see: the scale, the pods, and the other HPAs by their selectors', async () => {
    addDeployment();
    shard.sandbox.store.put(anHpa('web'));
    shard.sandbox.store.put(anHpa('other', 'nothing'));

    const snapshot = await take({ kind: 'HorizontalPodAutoscaler', namespace: NAMESPACE, name: 'web' });

    expect(snapshot).toMatchObject({
      autoscaler: { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'web' } },
      scale: { spec: { replicas: 2 }, status: { selector: 'app=web' } },
      pods: [{ metadata: { name: 'web-0' } }, { metadata: { name: 'web-1' } }],
      otherAutoscalers: [],
      rivals: [],
      failures: {},
    });
    expect(judgeSnapshot(snapshot)).toMatchObject({ currentReplicas: 2, desiredReplicas: 4, rescale: true });
  });

  it('tells two HPAs on one set of pods, as the HPA does', async () => {
    addDeployment();
    for (const name of ['web', 'twin']) shard.sandbox.store.put(anHpa(name));

    const snapshot = await take({ kind: 'HorizontalPodAutoscaler', namespace: NAMESPACE, name: 'web' });

    expect(judgeSnapshot(snapshot)).toMatchObject({
      rescale: false,
      reason: 'AmbiguousSelector',
      error: expect.stringContaining('HorizontalPodAutoscaler twin'),
    });
  });

  it('of an application without a size has the words of the API server', async () => {
    shard.addApplication({ isSeeded: false });
    const target = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' };
    const hpa = anHpa('orders');
    shard.sandbox.store.put({ ...hpa, spec: { ...hpa.spec, scaleTargetRef: target } });

    const snapshot = await take({ kind: 'HorizontalPodAutoscaler', namespace: NAMESPACE, name: 'orders' });

    expect(snapshot.failures).toEqual({
      scale: expect.stringMatching(/500 .*spec\.taskManagerConfig\.replicas.* does not exist/),
    });
    expect(judgeSnapshot(snapshot)).toMatchObject({ rescale: false, reason: 'FailedGetScale' });
  });
});

describe('a secret', () => {
  const SECRET = 's3cr3t';

  it('in any field that the decision does not read never lands in a snapshot', async () => {
    shard.add();
    addRival('HorizontalPodAutoscaler', 'autoscaling/v2');
    const { store } = shard.sandbox;
    const keepsName = ['apiVersion', 'kind', 'metadata.name', 'metadata.namespace', 'metadata.labels.'];
    for (const pod of store.list('Pod'))
      store.put(
        plant(SECRET, pod, [
          ...keepsName,
          'metadata.resourceVersion',
          'spec.containers.0.name',
          'spec.containers.0.resources.requests.',
          'status.phase',
          'status.startTime',
          ...['type', 'status', 'lastTransitionTime'].map((field) => `status.conditions.*.${field}`),
        ]),
      );
    for (const usage of store.list('PodMetrics'))
      store.put(
        plant(SECRET, usage, [...keepsName, 'timestamp', 'window', 'containers.0.name', 'containers.0.usage.']),
      );
    for (const kind of ['FlinkAutoscaler', 'HorizontalPodAutoscaler'])
      for (const autoscaler of store.list(kind)) {
        const annotated = {
          ...autoscaler.metadata,
          annotations: { team: 'x' },
          labels: { team: 'x' },
          managedFields: [
            { manager: 'x', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: {} },
          ],
        };
        const metrics = [CPU_AT_40_PERCENT, { type: 'Prometheus', prometheus: { query: 'up', token: 'x' } }];
        const spec = { ...autoscaler.spec, metrics, tomorrow: 'x' };
        const keeps = [...keepsName.slice(0, 4), 'metadata.uid', 'metadata.resourceVersion', 'spec.scaleTargetRef.'];
        store.put(
          plant(SECRET, { ...autoscaler, metadata: annotated, spec, status: { tomorrow: 'x' } }, [
            ...keeps,
            'spec.metrics.0.',
            'spec.metrics.1.type',
          ]),
        );
      }
    for (const application of store.list('FlinkApplication'))
      store.put(
        plant(SECRET, application, [...keepsName, 'metadata.resourceVersion', 'status.selector', 'status.phase']),
      );

    const snapshot = await take();
    const ofHpa = await take({ kind: 'HorizontalPodAutoscaler', namespace: NAMESPACE, name: 'rival' });

    expect(JSON.stringify(store.list('Pod')).split(SECRET).length).toBeGreaterThan(50);
    expect(JSON.stringify([snapshot, ofHpa])).not.toContain(SECRET);
    expect(snapshot.pods).toHaveLength(2);
    expect(judgeSnapshot({ ...snapshot, rivals: [] })).toMatchObject({ desiredReplicas: 4 });
  });
});

/** The same moment decided by a tick, and by the replay of a snapshot that has been through a file. */
async function decideTwice(): Promise<{ decision: object; answer: ReplayAnswer; snapshot: RecordedSnapshot }> {
  const snapshot = await take();
  const cluster = open();
  try {
    const plane = {
      now: async () => shard.sandbox.clock.now(),
      log: { info: () => {}, warn: () => {}, error: () => {} },
    };
    const report = await scaleShard(plane, cluster, [NAMESPACE], { dryRun: true });
    const decision = report.autoscalers.find(({ name }) => name === 'orders')?.decision as Decision;
    return {
      decision: describeDecision(decision),
      answer: judgeSnapshot(JSON.parse(JSON.stringify(snapshot))),
      snapshot,
    };
  } finally {
    cluster.client.close();
  }
}

async function take(
  address: AutoscalerAddress = { kind: 'FlinkAutoscaler', namespace: NAMESPACE, name: 'orders' },
): Promise<RecordedSnapshot> {
  const cluster = open();
  try {
    return await takeSnapshot({ now: async () => shard.sandbox.clock.now() }, cluster, address);
  } finally {
    cluster.client.close();
  }
}

function open(): Cluster {
  const { clusterName, url, token } = shard.sandbox;
  const headers = { authorization: `Bearer ${token}` };
  const credentials = { headers: async () => headers, renew: () => {} };
  return openCluster(clusterName, { endpoint: proxy?.url ?? url, credentials, sleep: async () => {} });
}

/** A decision in the words of replay. */
function describeDecision(decision: Decision): object {
  const {
    currentReplicas = null,
    desiredReplicas = currentReplicas,
    rescale,
    reason,
    message,
    error = null,
  } = decision;
  const status = toWireStatus(decision.status);
  const conditions = decision.status.conditions.map(({ type, status, reason, message }) => ({
    ...{ type, status },
    reason,
    message,
  }));
  const currentMetrics = decision.currentMetrics === undefined ? [] : (status.currentMetrics as object[]);
  return {
    name: 'flink/orders',
    currentReplicas,
    desiredReplicas,
    ...{ rescale, reason, message, conditions },
    currentMetrics,
    error,
    status,
  };
}

async function shrinkAfterTicks(): Promise<void> {
  shard.add({ taskManagers: 4, usagePercent: 40 });
  await shard.ticks(3);
  shard.setLoad(10, { taskManagers: 4 });
  await shard.ticks(2);
}

async function editParallelism(): Promise<void> {
  shard.add();
  shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism: 12 } }));
}

function deploy(phase: string): void {
  shard.add();
  shard.change('FlinkApplication', 'orders', ({ status }) => ({ status: { ...status, phase } }));
}

function forgetSelector(): void {
  shard.add();
  shard.change('FlinkApplication', 'orders', ({ status }) => ({ status: { ...status, selector: '' } }));
}

function addRival(kind: string, apiVersion: string): void {
  if (shard.sandbox.store.get('FlinkAutoscaler', NAMESPACE, 'orders') === undefined) shard.add();
  const { spec } = anAutoscaler({ name: 'orders' });
  shard.sandbox.store.put({
    apiVersion,
    kind,
    metadata: { namespace: NAMESPACE, name: 'rival' },
    ...(spec && { spec }),
  });
}

function shareSelector(): void {
  shard.add();
  const selector = 'flink-deployment-type=taskmanager,flink-app in (orders)';
  shard.sandbox.store.put({ ...anAutoscaler({ name: 'payments' }), status: { selector } });
}

function adviseBesideHpa(): void {
  shard.add({ spec: { mode: 'Advise' } });
  addRival('HorizontalPodAutoscaler', 'autoscaling/v2');
}

function policy(value: number): object {
  return { type: 'Pods', value, periodSeconds: 60 };
}

function forgetUsage(): void {
  shard.add();
  for (const { metadata } of shard.sandbox.store.list('PodMetrics'))
    shard.sandbox.store.remove('PodMetrics', NAMESPACE, metadata.name);
}

function ageUsage(): void {
  shard.add();
  const time = shard.sandbox.clock.now() - 600_000;
  for (const { metadata } of shard.sandbox.store.list('PodMetrics'))
    shard.sandbox.setUsage({ namespace: NAMESPACE, name: metadata.name, cpuMilli: 800, time });
}

/** A Deployment of two busy pods, and FlinkAutoscaler orders that scales it. */
function addDeployment(): void {
  const { store, clock } = shard.sandbox;
  const labels = { app: 'web' };
  store.put({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: NAMESPACE, name: 'web' },
    spec: { replicas: 2, selector: { matchLabels: labels } },
    status: { replicas: 2 },
  });
  const startTime = new Date(clock.now() - 3600_000).toISOString();
  for (const name of ['web-0', 'web-1']) {
    store.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: NAMESPACE, name, labels },
      spec: { containers: [{ name: 'web', resources: { requests: { cpu: '1' } } }] },
      status: {
        phase: 'Running',
        startTime,
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: startTime }],
      },
    });
    store.put(podMetrics({ namespace: NAMESPACE, name, labels, time: clock.now(), usageNano: 800_000_000 }));
  }
  const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
  shard.addAutoscaler({ spec: { scaleTargetRef } });
}

function anHpa(name: string, target = 'web') {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { namespace: NAMESPACE, name },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: target },
      minReplicas: 1,
      maxReplicas: 20,
      metrics: [CPU_AT_40_PERCENT],
    },
  };
}

/** A Deployment that follows five metrics: two of them ask the same, and the last nobody serves. */
async function addMetrics(): Promise<MetricAnswers> {
  addDeployment();
  const time = new Date(shard.sandbox.clock.now() - 5000).toISOString();
  const lag = (side: string) => ({
    type: 'External',
    external: {
      metric: { name: 'lag', selector: { matchLabels: { side } } },
      target: { type: 'AverageValue', averageValue: '20' },
    },
  });
  const service = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
  shard.change('FlinkAutoscaler', 'orders', ({ spec }) => ({
    spec: {
      ...spec,
      metrics: [
        { type: 'Pods', pods: { metric: { name: 'records' }, target: { type: 'AverageValue', averageValue: '100' } } },
        {
          type: 'Object',
          object: { describedObject: service, metric: { name: 'load' }, target: { type: 'Value', value: '2' } },
        },
        lag('left'),
        lag('left'),
        { type: 'External', external: { metric: { name: 'gone' }, target: { type: 'Value', value: '1' } } },
      ],
    },
  }));
  const custom = `/apis/custom.metrics.k8s.io/v1beta2/namespaces/${NAMESPACE}`;
  const value = (name: string, value: string) => ({ describedObject: { kind: 'Pod', name }, timestamp: time, value });
  return {
    '/apis/custom.metrics.k8s.io': { versions: [{ version: 'v1beta2' }] },
    [`${custom}/pods/*/records`]: { items: [value('web-0', '100'), value('web-1', '200')] },
    [`${custom}/deployments.apps/web/load`]: { items: [value('web', '2500m')] },
    [`/apis/external.metrics.k8s.io/v1beta1/namespaces/${NAMESPACE}/lag`]: {
      items: [
        { timestamp: time, value: '10' },
        { timestamp: time, value: '40' },
      ],
    },
  };
}

/** Puts a secret in the place of every text, but for those at the paths that are kept ("a.b" one, "a." all below; "*" any index). */
function plant<T>(secret: string, object: T, keeps: readonly string[], path = ''): T {
  // A field that holds a time holds nothing else.
  if (typeof object === 'string')
    return (isKept(keeps, path) || /^\d{4}-\d\d-\d\dT/.test(object) ? object : secret) as T;
  if (typeof object !== 'object' || object === null) return object;
  const entries = Object.entries(object).map(
    ([key, value]) => [key, plant(secret, value, keeps, path === '' ? key : `${path}.${key}`)] as const,
  );
  if (Array.isArray(object)) return entries.map(([, value]) => value) as T;
  return {
    ...Object.fromEntries(entries),
    ...(!isKept(keeps, `${path}.planted`) && path !== '' && { planted: secret }),
  } as T;
}

function isKept(keeps: readonly string[], path: string): boolean {
  const generic = path.replaceAll(/\.\d+(?=\.)/g, '.*');
  return keeps.some((keep) => (keep.endsWith('.') ? path.startsWith(keep) : keep === path || keep === generic));
}
