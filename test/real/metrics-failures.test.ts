// Metrics that cannot be had: nothing is scaled on them, everything else goes on, and what comes back is used again.
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { type MetricsFailure, startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { type Bench, openScene, rescaledConditions } from './scene.ts';

let bench: Bench;

beforeAll(async () => {
  const controlPlane = await sharedControlPlane();
  bench = { controlPlane, metricsApi: await startMetricsApi(controlPlane) };
});

afterAll(() => bench?.metricsApi.close());

it.each<[string, MetricsFailure | 'absent', RegExp]>([
  ['is not installed', 'absent', /metrics\.k8s\.io\S*: 404/],
  ['is down', 'down', /metrics\.k8s\.io\S*: 503/],
  ['is unavailable', 'unavailable', /: 503 ServiceUnavailable: the server is currently unable to handle the request/],
  ['is unavailable without a Status', 'unavailable-plain', /: 503: upstream connect error/],
  ['refuses too many requests', 'throttled', /: 429: Too many requests/],
  ['knows no pod', 'empty', /no metrics returned from resource metrics API/],
])('leaves an application as it is while the metrics API %s', async (_what, failure, message) => {
  const scene = await openScene(bench);
  await scene.add({ name: 'orders', replicas: 2, cpu: '800m' });
  // A size out of bounds is corrected without any metric.
  await scene.add({ name: 'large', replicas: 30, taskManagers: 0 });
  onTestFinished(recover);
  await fail(failure);
  const since = Date.now();

  await scene.tick();

  expect(await scene.conditions()).toEqual([
    'AbleToScale=True/SucceededGetScale',
    'ScalingActive=False/FailedGetResourceMetric',
  ]);
  expect(await scene.message('ScalingActive')).toMatch(message);
  expect((await scene.autoscaler()).status?.targets).toBe('cpu: <unknown>/40%');
  expect(await scene.events()).toContain('Warning FailedGetResourceMetric');
  expect(await scene.writes(since, 'orders')).not.toContain('patch flinkapplications/scale');
  expect(await scene.replicas('orders')).toBe(2);
  expect(await scene.replicas('large')).toBe(20);

  await recover();
  await scene.tick();

  expect(await scene.conditions()).toEqual(rescaledConditions);
  expect(await scene.replicas('orders')).toBe(4);
});

async function fail(failure: MetricsFailure | 'absent'): Promise<void> {
  if (failure === 'absent') await bench.metricsApi.unregister('metrics.k8s.io');
  else await bench.metricsApi.fail(failure);
}

async function recover(): Promise<void> {
  await bench.metricsApi.recover();
  await bench.metricsApi.register('metrics.k8s.io');
}
