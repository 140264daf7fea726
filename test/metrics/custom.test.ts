import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../infra/sandbox/server.ts';
import { createKubernetesClient, type KubernetesClient } from '../../shared/kubernetes/client.ts';
import { KubernetesError } from '../../shared/kubernetes/errors.ts';
import { readObjectMetric, readPodsMetric } from '../../shared/metrics/custom.ts';

const time = Date.parse('2026-01-31T10:00:00Z');
const ofPods = { namespace: 'flink', selector: 'app=job', metric: 'busy', metricSelector: '' };
const ofFront = { namespace: 'flink', resource: 'services', name: 'front', metric: 'requests', metricSelector: '' };

let sandbox: Sandbox;
let client: KubernetesClient;
beforeEach(async () => {
  sandbox = await startSandbox({ now: time });
  const headers = { authorization: `Bearer ${sandbox.token}` };
  client = createKubernetesClient({
    endpoint: sandbox.url,
    credentials: { headers: async () => headers, renew: () => {} },
    sleep: async () => {},
  });
  sandbox.store.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'flink', name: 'one', labels: { app: 'job' } },
    spec: {},
  });
});
afterEach(async () => {
  client.close();
  await sandbox.close();
});

const paths = () => sandbox.requests.map(({ path }) => path);

describe('a metric of pods', () => {
  it('was measured over a minute when the adapter does not say', async () => {
    sandbox.setPodMetric({ namespace: 'flink', name: 'one', metric: 'busy', value: '500m' });

    expect(await readPodsMetric(client, ofPods)).toEqual([{ pod: 'one', valueMilli: 500n, time, windowSeconds: 60 }]);
  });

  it('is asked for with both selectors, and without those that are empty', async () => {
    await readPodsMetric(client, { ...ofPods, metricSelector: 'topic in (a,b)' });
    await readPodsMetric(client, ofPods);

    const questions = sandbox.requests.filter(({ path }) => path.endsWith('/busy')).map(({ query }) => query);
    expect(questions.map((query) => Object.fromEntries(new URLSearchParams(query)))).toEqual([
      { labelSelector: 'app=job', metricLabelSelector: 'topic in (a,b)' },
      { labelSelector: 'app=job' },
    ]);
  });
});

describe('a metric of an object', () => {
  it('may have any name that is one segment of a path', async () => {
    const metric = 'requests per second?';
    sandbox.setObjectMetric({ ...ofFront, metric, value: '1' });

    expect(await readObjectMetric(client, { ...ofFront, metric })).toEqual([{ valueMilli: 1000n, time }]);
  });
});

describe('the version', () => {
  it('is v1beta2 wherever that is served, and looked up once', async () => {
    sandbox.serveCustomMetrics('v1beta1', 'v1beta2');

    await Promise.all([readPodsMetric(client, ofPods), readPodsMetric(client, ofPods)]);

    const path = '/namespaces/flink/pods/*/busy';
    expect(paths().sort()).toEqual([
      '/apis/custom.metrics.k8s.io',
      ...Array(2).fill(`/apis/custom.metrics.k8s.io/v1beta2${path}`),
    ]);
  });

  it('is v1beta1 where nothing else is served', async () => {
    sandbox.serveCustomMetrics('v1beta1');
    sandbox.setPodMetric({ namespace: 'flink', name: 'one', metric: 'busy', value: '1', windowSeconds: 30 });

    expect(await readPodsMetric(client, ofPods)).toMatchObject([{ valueMilli: 1000n, windowSeconds: 30 }]);
  });

  it('is looked up again after it could not be', async () => {
    sandbox.serveCustomMetrics();
    await expect(readPodsMetric(client, ofPods)).rejects.toThrow('/apis/custom.metrics.k8s.io: 404');

    sandbox.serveCustomMetrics('v1beta1');

    expect(await readPodsMetric(client, ofPods)).toEqual([]);
  });
});

describe('an answer that is not what it must be', () => {
  const item = { describedObject: { name: 'one' }, timestamp: '2026-01-31T10:00:00Z', value: '1' };

  it.each([
    ['no list', {}, 'items'],
    ['no JSON', 'oops', 'not JSON'],
    ['a value that is no quantity', { items: [{ ...item, value: '1ki' }] }, 'items.0.value: must be a quantity'],
    ['a value beyond exact numbers', { items: [{ ...item, value: 2 ** 60 }] }, 'items.0.value: must be a quantity'],
    ['no value', { items: [{ ...item, value: undefined }] }, 'items.0.value'],
    ['a time that is none', { items: [{ ...item, timestamp: 'now' }] }, 'items.0.timestamp: must be an RFC 3339 time'],
    ['no object', { items: [{ ...item, describedObject: null }] }, 'items.0.describedObject'],
  ])('is refused and named: %s', async (_what, body, fault) => {
    sandbox.faults.add({ kind: 'status', code: 200, body, path: /busy|requests/ });

    for (const answer of [readPodsMetric(client, ofPods), readObjectMetric(client, ofFront)]) {
      const error = await answer.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(KubernetesError);
      expect((error as Error).message).toContain(fault);
    }
  });
});
