import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { anApplication, applications, ask } from './ask.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const ofTaskManagers = 'labelSelector=flink-deployment-type%3Dtaskmanager';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ now: start });
  sandbox.simulation.addApplication({ namespace: 'flink', name: 'orders', loadMilli: 1600 });
});
afterEach(() => sandbox.close());

async function pods() {
  const { json } = await ask(sandbox, 'GET', `/api/v1/pods?${ofTaskManagers}`);
  return json.items.map(({ status }: { status: { phase: string; conditions: { type: string; status: string }[] } }) => [
    status.phase,
    status.conditions.find(({ type }) => type === 'Ready')?.status,
  ]);
}

async function usages() {
  const { json } = await ask(sandbox, 'GET', `/apis/metrics.k8s.io/v1beta1/pods?${ofTaskManagers}`);
  return json.items.map((item: { timestamp: string; containers: { usage: { cpu: string } }[] }) => [
    item.timestamp.slice(11, 19),
    item.containers[0]?.usage.cpu,
  ]);
}

const statusOf = (name: string) => sandbox.store.get('FlinkApplication', 'flink', name)?.status;
const resize = (replicas: number) => ask(sandbox, 'PATCH', `${applications}/orders/scale`, { spec: { replicas } });

describe('an application in the simulation', () => {
  it('runs at once: pods, metrics and the status its operator writes', async () => {
    expect(await pods()).toEqual(Array(2).fill(['Running', 'True']));
    expect(await usages()).toEqual(Array(2).fill(['00:00:00', '800m']));
    expect(statusOf('orders')).toMatchObject({
      phase: 'Running',
      selector: expect.stringMatching(
        /^flink-app=orders,flink-deployment-type=taskmanager,pod-deployment-selector=[a-z0-9]{8}$/,
      ),
      clusterStatus: { numberOfTaskManagers: 2 },
      jobStatus: { parallelism: 4 },
    });
  });

  it('follows its scale, a second after the write, as fast as TaskManagers start', async () => {
    const { json } = await resize(4);
    const unchanged = sandbox.store.get('FlinkApplication', 'flink', 'orders')?.metadata.resourceVersion;
    sandbox.clock.advance(1);
    const pending = await pods();
    sandbox.clock.advance(5);
    const starting = await pods();
    sandbox.clock.advance(5);

    expect(unchanged).toBe(json.metadata.resourceVersion);
    expect(pending.filter(([phase]: [string]) => phase === 'Pending')).toHaveLength(2);
    expect(starting.filter(([, ready]: [string, string]) => ready === 'False')).toEqual(
      Array(2).fill(['Running', 'False']),
    );
    expect(await pods()).toEqual(Array(4).fill(['Running', 'True']));
    expect(statusOf('orders')).toMatchObject({
      clusterStatus: { numberOfTaskManagers: 4 },
      jobStatus: { parallelism: 8 },
    });
  });

  it('is measured anew every 15 s', async () => {
    await resize(4);
    sandbox.clock.advance(14);
    const before = await usages();
    sandbox.clock.advance(1);

    expect(before).toEqual(Array(2).fill(['00:00:00', '800m']));
    expect(await usages()).toEqual(Array(4).fill(['00:00:15', '400m']));
  });

  it('comes to the same in one long step and in many short ones', async () => {
    const other = await startSandbox({ now: start });
    other.simulation.addApplication({ namespace: 'flink', name: 'orders', loadMilli: 1600 });
    await Promise.all([resize(3), ask(other, 'PATCH', `${applications}/orders/scale`, { spec: { replicas: 3 } })]);
    sandbox.clock.advance(40);
    for (let second = 0; second < 40; second += 1) other.clock.advance(1);

    const seen = ({ store }: Sandbox) =>
      store.list('PodMetrics').map(({ timestamp, containers }) => [timestamp, containers]);
    expect(seen(sandbox)).toEqual(seen(other));
    await other.close();
  });

  it('loses its pods and metrics when it shrinks or goes', async () => {
    await resize(1);
    sandbox.clock.advance(1);
    const shrunk = [await pods(), await usages()].map(({ length }) => length);
    await ask(sandbox, 'DELETE', `${applications}/orders`);
    sandbox.clock.advance(1);

    expect(shrunk).toEqual([1, 1]);
    expect([await pods(), await usages()]).toEqual([[], []]);
  });

  it('keeps what others write into its status', async () => {
    const status = { phase: 'Updating', scaleBasis: { parallelism: 4, taskSlots: 2 } };
    await ask(sandbox, 'PATCH', `${applications}/orders/status`, { status });
    sandbox.clock.advance(60);

    expect(statusOf('orders')).toMatchObject(status);
  });

  it('uses processor time that is written in the largest unit without a fraction', async () => {
    await resize(3);
    sandbox.clock.advance(15);

    // 1600 milli-cores / 3
    expect(await usages()).toEqual(Array(3).fill(['00:00:15', '533333333n']));
  });

  it('works with whatever load it is given later', async () => {
    sandbox.simulation.setLoad('flink', 'orders', [
      { time: start, loadMilli: 1600 },
      { time: start + 30_000, loadMilli: 400 },
    ]);
    sandbox.clock.advance(15);

    expect(await usages()).toEqual(Array(2).fill(['00:00:15', '500m']));
  });
});

it('leaves alone an application nobody added', async () => {
  const before = sandbox.store.put(anApplication('other', { replicas: 2 }));
  sandbox.clock.advance(60);

  expect(sandbox.store.get('FlinkApplication', 'flink', 'other')).toBe(before);
});
