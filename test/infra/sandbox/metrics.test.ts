import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { ask } from './ask.ts';

const time = Date.parse('2026-01-01T00:00:15Z');
const custom = '/apis/custom.metrics.k8s.io';
const external = '/apis/external.metrics.k8s.io/v1beta1';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ now: time });
  for (const name of ['one', 'two', 'other'])
    sandbox.store.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'flink', name, labels: { app: name === 'other' ? 'b' : 'a' } },
      spec: {},
    });
});
afterEach(() => sandbox.close());

async function get(path: string) {
  const { status, json } = await ask(sandbox, 'GET', path);
  return { status, json, values: (json?.items ?? []).map((item: { value: string }) => item.value) };
}

describe('a metric of pods', () => {
  const path = `${custom}/v1beta2/namespaces/flink/pods/*/busy`;

  it('is that of each pod that a selector picks, in the shape of v1beta2', async () => {
    sandbox.setPodMetric({ namespace: 'flink', name: 'one', metric: 'busy', value: '500m', windowSeconds: 30 });
    sandbox.setPodMetric({ namespace: 'flink', name: 'other', metric: 'busy', value: '1' });

    const { json } = await get(`${path}?labelSelector=app%3Da`);

    expect(json).toEqual({
      kind: 'MetricValueList',
      apiVersion: 'custom.metrics.k8s.io/v1beta2',
      metadata: {},
      items: [
        {
          describedObject: { kind: 'pods', namespace: 'flink', name: 'one' },
          metric: { name: 'busy' },
          timestamp: '2026-01-01T00:00:15Z',
          windowSeconds: 30,
          value: '500m',
        },
      ],
    });
  });

  it('is found when the asterisk is escaped, as the HPA controller escapes it', async () => {
    sandbox.setPodMetric({ namespace: 'flink', name: 'one', metric: 'busy', value: '1' });

    expect((await get(path.replace('*', '%2A'))).values).toEqual(['1']);
  });

  it('is chosen by its own labels as well', async () => {
    sandbox.setPodMetric({ namespace: 'flink', name: 'one', metric: 'busy', value: '1', labels: { topic: 'x' } });
    sandbox.setPodMetric({ namespace: 'flink', name: 'two', metric: 'busy', value: '2', labels: { topic: 'y' } });

    expect((await get(`${path}?metricLabelSelector=topic%3Dy`)).values).toEqual(['2']);
  });

  it('that nobody has is an empty list', async () => {
    expect(await get(path)).toMatchObject({ status: 200, values: [] });
  });
});

describe('a metric of another object', () => {
  it('is one value', async () => {
    const resource = 'ingresses.networking.k8s.io';
    sandbox.setObjectMetric({ namespace: 'flink', resource, name: 'front', metric: 'requests', value: '10k' });

    const { values } = await get(`${custom}/v1beta2/namespaces/flink/${resource}/front/requests`);

    expect(values).toEqual(['10k']);
  });

  it('may be of the namespace itself', async () => {
    sandbox.setObjectMetric({
      namespace: 'flink',
      resource: 'namespaces',
      name: 'flink',
      metric: 'requests',
      value: '3',
    });

    expect((await get(`${custom}/v1beta2/namespaces/flink/metrics/requests`)).values).toEqual(['3']);
  });

  it('that is not known is not found', async () => {
    const { status, json } = await get(`${custom}/v1beta2/namespaces/flink/services/front/requests`);

    expect([status, json.reason]).toEqual([404, 'NotFound']);
  });
});

describe('the version of custom.metrics.k8s.io', () => {
  it.each([
    [['v1beta2'] as const, 200, 404],
    [['v1beta1'] as const, 404, 200],
    [['v1beta1', 'v1beta2'] as const, 200, 200],
    [[] as const, 404, 404],
  ])('may be %j', async (versions, v1beta2, v1beta1) => {
    sandbox.serveCustomMetrics(...versions);

    for (const [version, status] of Object.entries({ v1beta2, v1beta1 })) {
      expect((await get(`${custom}/${version}`)).status).toBe(status);
      expect((await get(`${custom}/${version}/namespaces/flink/pods/*/busy`)).status).toBe(status);
    }
    const { status, json } = await get(custom);
    expect(status).toBe(versions.length === 0 ? 404 : 200);
    expect(json?.versions?.map(({ version }: { version: string }) => version) ?? []).toEqual(versions);
  });

  it('v1beta1 has other names for the same', async () => {
    sandbox.serveCustomMetrics('v1beta1');
    sandbox.setPodMetric({ namespace: 'flink', name: 'one', metric: 'busy', value: '1', windowSeconds: 30 });

    const { json } = await get(`${custom}/v1beta1/namespaces/flink/pods/*/busy`);

    expect(json.items).toEqual([
      {
        describedObject: { kind: 'pods', namespace: 'flink', name: 'one' },
        metricName: 'busy',
        timestamp: '2026-01-01T00:00:15Z',
        window: 30,
        value: '1',
      },
    ]);
  });
});

describe('a metric from outside', () => {
  beforeEach(() => {
    sandbox.setExternalMetric({
      namespace: 'flink',
      metric: 'lag',
      series: [
        { value: '100', labels: { topic: 'orders' }, time: time - 5000 },
        { value: '7', labels: { topic: 'payments' } },
      ],
    });
  });

  it('has a value for each series that a selector picks', async () => {
    const { json } = await get(`${external}/namespaces/flink/lag?labelSelector=topic%3Dorders`);

    expect(json).toEqual({
      kind: 'ExternalMetricValueList',
      apiVersion: 'external.metrics.k8s.io/v1beta1',
      metadata: {},
      items: [
        { metricName: 'lag', metricLabels: { topic: 'orders' }, timestamp: '2026-01-01T00:00:10Z', value: '100' },
      ],
    });
  });

  it('is of one namespace', async () => {
    expect((await get(`${external}/namespaces/flink/lag`)).values).toEqual(['100', '7']);
    expect((await get(`${external}/namespaces/other/lag`)).values).toEqual([]);
  });
});

it.each([
  ['a selector that is none', `${external}/namespaces/flink/lag?labelSelector=a%20b%20c`, 400],
  ['a path with too many parts', `${external}/namespaces/flink/lag/more`, 404],
  ['an object without a metric', `${custom}/v1beta2/namespaces/flink/services/front`, 404],
])('refuses %s', async (_what, path, status) => {
  expect((await get(path)).status).toBe(status);
});

it('only answers questions', async () => {
  expect((await ask(sandbox, 'POST', `${external}/namespaces/flink/lag`, {})).status).toBe(405);
});
