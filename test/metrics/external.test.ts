import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../infra/sandbox/server.ts';
import { createKubernetesClient, type KubernetesClient } from '../../shared/kubernetes/client.ts';
import { KubernetesError } from '../../shared/kubernetes/errors.ts';
import { readExternalMetric } from '../../shared/metrics/external.ts';

const time = Date.parse('2026-01-31T10:00:00Z');
const lag = { namespace: 'flink', metric: 'lag', metricSelector: '' };

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
});
afterEach(async () => {
  client.close();
  await sandbox.close();
});

it('reads every series, each with the time at which it was measured', async () => {
  sandbox.setExternalMetric({
    namespace: 'flink',
    metric: 'lag',
    series: [{ value: '1k' }, { value: '-3', time: time - 60_000 }],
  });

  expect(await readExternalMetric(client, lag)).toEqual([
    { valueMilli: 1_000_000n, time },
    { valueMilli: -3000n, time: time - 60_000 },
  ]);
});

it('asks with the selector of the metric, and with none where that is empty', async () => {
  await readExternalMetric(client, { ...lag, metric: 'lag of orders', metricSelector: 'topic=a,!test' });
  await readExternalMetric(client, lag);

  const root = '/apis/external.metrics.k8s.io/v1beta1/namespaces/flink';
  expect(sandbox.requests.map(({ path, query }) => [path, new URLSearchParams(query).get('labelSelector')])).toEqual([
    [`${root}/lag%20of%20orders`, 'topic=a,!test'],
    [`${root}/lag`, null],
  ]);
});

it.each([
  ['no list', {}, 'items'],
  ['no JSON', 'oops', 'not JSON'],
  ['a value that is no quantity', { items: [{ timestamp: '2026-01-31T10:00:00Z', value: 'NaN' }] }, 'items.0.value'],
  ['no time', { items: [{ value: '1' }] }, 'items.0.timestamp'],
])('refuses an answer that is not what it must be, and says why: %s', async (_what, body, fault) => {
  sandbox.faults.add({ kind: 'status', code: 200, body, path: /lag/ });

  const error = await readExternalMetric(client, lag).catch((reason: unknown) => reason);

  expect(error).toBeInstanceOf(KubernetesError);
  expect((error as Error).message).toContain(fault);
});
