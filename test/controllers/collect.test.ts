// The metric sources beside the shard's own lists: each question is asked once in a tick, and what one source says, or fails to say, is the
// affair of those who asked.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anEmptyShard, NAMESPACE, type Shard } from '../support/sandbox.ts';

const averageValue = { type: 'AverageValue', averageValue: '10' };
const lag = { type: 'External', external: { metric: { name: 'lag' }, target: averageValue } };
const busy = { type: 'Pods', pods: { metric: { name: 'busy' }, target: averageValue } };
const requestsOf = (describedObject: object) => ({
  type: 'Object',
  object: { describedObject, metric: { name: 'requests' }, target: averageValue },
});
const service = requestsOf({ apiVersion: 'v1', kind: 'Pod', name: 'front' });
const namespace = requestsOf({ apiVersion: 'v1', kind: 'Namespace', name: 'whatever it says' });
const application = requestsOf({ apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' });

const everything = [lag, busy, service, namespace, application];

let shard: Shard;
beforeEach(async () => {
  shard = await anEmptyShard();
});
afterEach(() => shard.close());

/** Paths below the metrics APIs of adapters, in the order of their names. */
function questions(): readonly string[] {
  return shard.sandbox.requests
    .map(({ path }) => /\/apis\/(?:custom|external)\.metrics\.k8s\.io\/.*namespaces\/(.*)$/.exec(path)?.[1])
    .filter((path) => path !== undefined)
    .sort();
}

function setMetrics(value: string): void {
  const { sandbox } = shard;
  sandbox.setExternalMetric({ namespace: NAMESPACE, metric: 'lag', series: [{ value }] });
  const requests = { namespace: NAMESPACE, metric: 'requests', value };
  sandbox.setObjectMetric({ ...requests, resource: 'pods', name: 'front' });
  sandbox.setObjectMetric({ ...requests, resource: 'namespaces', name: NAMESPACE });
  sandbox.setObjectMetric({ ...requests, resource: 'flinkapplications.flink.k8s.io', name: 'orders' });
  for (const { metadata } of sandbox.store.list('Pod', NAMESPACE))
    sandbox.setPodMetric({ namespace: NAMESPACE, name: metadata.name, metric: 'busy', value });
}

describe('the questions of a tick', () => {
  it('are asked once each, however many autoscalers have them', async () => {
    for (const name of ['orders', 'payments', 'returns']) shard.add({ name, spec: { metrics: everything } });
    setMetrics('20');

    const { autoscalers } = await shard.tick();

    expect(autoscalers.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    expect(questions()).toEqual([
      'flink/flinkapplications.flink.k8s.io/orders/requests',
      'flink/lag',
      'flink/metrics/requests',
      // Of each autoscaler's own pods.
      ...Array(3).fill('flink/pods/*/busy'),
      'flink/pods/front/requests',
    ]);
  });

  it('are asked again by the next tick', async () => {
    shard.add({ spec: { metrics: [lag] } });
    setMetrics('20');

    await shard.ticks(2);

    expect(questions()).toEqual(['flink/lag', 'flink/lag']);
  });

  it('differ by namespace and by the selector of the metric', async () => {
    const lagOf = (topic: string) => ({
      type: 'External',
      external: { metric: { name: 'lag', selector: { matchLabels: { topic } } }, target: averageValue },
    });
    shard.add({ name: 'orders', spec: { metrics: [lagOf('orders'), lagOf('payments')] } });
    shard.add({ name: 'orders', namespace: 'other', spec: { metrics: [lagOf('orders')] } });

    await shard.tick();

    expect(questions()).toEqual(['flink/lag', 'flink/lag', 'other/lag']);
  });
});

it('asks every kind of source, and follows the one that wants most', async () => {
  shard.add({ spec: { metrics: everything } });
  setMetrics('10');
  shard.sandbox.setExternalMetric({ namespace: NAMESPACE, metric: 'lag', series: [{ value: '25' }, { value: '15' }] });

  await shard.tick();

  expect(shard.size()).toBe(4);
  expect(shard.status().targets).toBe(
    'lag: 20/10 (avg), busy: 10/10, requests: 5/10 (avg), requests: 5/10 (avg), requests: 5/10 (avg)',
  );
});

describe('a source that cannot be used', () => {
  const garbled = { items: [{ timestamp: 'yesterday', value: 'much' }] };

  it.each([
    ['lag', lag, 'FailedGetExternalMetric'],
    ['busy', busy, 'FailedGetPodsMetric'],
    ['requests', application, 'FailedGetObjectMetric'],
  ])('is unknown, never zero, and stops nobody else: %s', async (name, metric, reason) => {
    shard.add({ name: 'orders', spec: { metrics: [metric] } });
    shard.add({ name: 'payments', usagePercent: 80 });
    shard.sandbox.faults.add({ kind: 'status', code: 200, body: garbled, path: new RegExp(`/${name}$|/${name}\\?`) });

    await shard.tick();

    expect(shard.conditions('orders')).toContain(`ScalingActive False ${reason}`);
    expect(shard.status('orders').targets).toBe(`${name}: <unknown>/10`);
    expect([shard.size('orders'), shard.size('payments')]).toEqual([2, 4]);
  });

  it('keeps the target from shrinking, and not from growing', async () => {
    shard.add({ spec: { metrics: [busy, lag] } });
    shard.sandbox.faults.add({ kind: 'status', code: 503, path: /busy/ });
    shard.sandbox.setExternalMetric({ namespace: NAMESPACE, metric: 'lag', series: [{ value: '1' }] });

    await shard.ticks(1);
    const afterLittle = shard.size();
    shard.sandbox.setExternalMetric({ namespace: NAMESPACE, metric: 'lag', series: [{ value: '40' }] });
    await shard.tick();

    expect([afterLittle, shard.size()]).toEqual([2, 4]);
  });
});
