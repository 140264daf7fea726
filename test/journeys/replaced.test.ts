// Whoever replaces the whole object (kubectl replace, Argo CD with Replace=true, clients that create or replace) takes away what is not
// in their manifest: the finalizer, and the size that an autoscaler has written.

import { describe, expect, it } from 'vitest';
import type { ApplicationSpec } from '../../shared/deployment/types.ts';
import { aDeployedApplication, type Deployments, isGone, NEXT_IMAGE, noDeployments } from '../support/deployments.ts';
import { anAutoscaler, aShard, type Shard } from '../support/sandbox.ts';

const FINALIZER = 'job.finalizers.flink.k8s.io';

const finalizersOf = (orders: Deployments) => orders.application().metadata.finalizers ?? [];

it('gets its finalizer back, and is deleted with a savepoint', async () => {
  const orders = await aDeployedApplication();
  orders.replace((spec) => spec);
  expect(finalizersOf(orders)).toEqual([]);

  await orders.round();
  const restored = finalizersOf(orders);
  await orders.delete();
  await orders.roundsUntil(isGone);

  expect(restored).toEqual([FINALIZER]);
  expect(orders.phases()).not.toContain('DeployFailed');
  expect(orders.runs()).toHaveLength(1);
  expect(orders.savepoints()).toHaveLength(1);
  expect(orders.events()).toContain('Normal CanceledJob');
});

it('keeps the finalizers that others add', async () => {
  const orders = await aDeployedApplication();
  orders.replace((spec) => spec, { finalizers: ['example.com/audit'] });

  await orders.round();

  expect(finalizersOf(orders)).toEqual(['example.com/audit', FINALIZER]);
});

it('gets its finalizer back in the middle of a deploy, which goes on', async () => {
  const orders = await aDeployedApplication();
  orders.changeImage();
  await orders.roundsUntil('ClusterStarting');
  orders.replace((spec) => spec);

  await orders.round();
  const restored = finalizersOf(orders);
  await orders.roundsUntil('Running');

  expect(restored).toEqual([FINALIZER]);
  expect(orders.runs()).toHaveLength(2);
});

it('gets its finalizer back while its spec cannot be deployed', async () => {
  const orders = await aDeployedApplication();
  orders.replace((spec) => ({ ...spec, jarName: '' }));

  await orders.round();

  expect(orders.conditions()).toContain('SpecValid False InvalidSpec');
  expect(finalizersOf(orders)).toEqual([FINALIZER]);
});

describe('a size that an autoscaler has set', () => {
  /** The size is that of whoever scales, and in no manifest. */
  const manifest = ({ taskManagerConfig, ...spec }: ApplicationSpec, changes: object = {}): object => {
    const { replicas, ...slots } = taskManagerConfig ?? {};
    return { ...spec, taskManagerConfig: slots, ...changes };
  };
  const sizeOf = (orders: Deployments) => {
    const { taskManagerConfig } = orders.application().spec as unknown as ApplicationSpec;
    return taskManagerConfig?.replicas;
  };

  async function scaledTo(replicas: number): Promise<Deployments> {
    const orders = await aDeployedApplication();
    await orders.scale(replicas);
    await orders.roundsUntil(() => orders.runs().length === 2 && orders.status().phase === 'Running');
    return orders;
  }

  it('outlasts a replace without replicas, and nothing is deployed', async () => {
    const orders = await scaledTo(5);
    orders.replace((spec) => manifest(spec));

    await orders.rounds(60);

    expect(sizeOf(orders)).toBe(5);
    expect(orders.runs()).toHaveLength(2);
    expect(orders.lastRun()?.parallelism).toBe(10);
  });

  it('outlasts an apply that takes replicas away, and leaves the rest of the object', async () => {
    const orders = await scaledTo(5);
    orders.edit((spec) => manifest(spec));

    await orders.rounds(60);

    expect(sizeOf(orders)).toBe(5);
    expect(orders.runs()).toHaveLength(2);
  });

  it('is deployed with another image that the same replace brings, in one deploy', async () => {
    const orders = await scaledTo(5);
    orders.replace((spec) => manifest(spec, { image: NEXT_IMAGE }));

    await orders.roundsUntil(() => orders.runs().length === 3 && orders.status().phase === 'Running');
    await orders.rounds(60);

    expect(orders.runs().map(({ parallelism }) => parallelism)).toEqual([4, 10, 10]);
  });

  it('outlasts a replace in the middle of a deploy', async () => {
    const orders = await scaledTo(5);
    orders.changeImage();
    await orders.roundsUntil('ClusterStarting');
    orders.replace((spec) => manifest(spec));

    await orders.roundsUntil('Running');
    await orders.rounds(60);

    expect(orders.runs().map(({ parallelism }) => parallelism)).toEqual([4, 10, 10]);
    expect(orders.events()).not.toContain('Normal DeploySuperseded');
  });

  it.each`
    what             | changes                                    | replicas
    ${'parallelism'} | ${{ parallelism: 6 }}                      | ${3}
    ${'taskSlots'}   | ${{ taskManagerConfig: { taskSlots: 1 } }} | ${4}
  `('is derived anew where the replace edits $what', async ({ changes, replicas }) => {
    const orders = await scaledTo(5);
    orders.replace((spec) => manifest(spec, changes));

    await orders.roundsUntil(() => orders.runs().length === 3 && orders.status().phase === 'Running');

    expect(sizeOf(orders)).toBe(replicas);
  });

  it('is what the manifest says where it says one', async () => {
    const orders = await scaledTo(5);
    orders.replace((spec) => manifest(spec, { taskManagerConfig: { taskSlots: 2, replicas: 3 } }));

    await orders.roundsUntil(() => orders.runs().length === 3 && orders.status().phase === 'Running');

    expect(orders.lastRun()?.parallelism).toBe(6);
  });

  it('is that of the deployed revision where none was recorded yet', async () => {
    const orders = await scaledTo(5);
    const { lastReplicas, ...status } = orders.status();
    orders.sandbox.store.put({ ...orders.application(), status });
    orders.replace((spec) => manifest(spec));

    await orders.rounds(60);

    expect(lastReplicas).toBe(5);
    expect(sizeOf(orders)).toBe(5);
    expect(orders.runs()).toHaveLength(2);
  });

  it('is restored within the bounds of the autoscaler', async () => {
    const orders = await scaledTo(5);
    orders.sandbox.store.put(anAutoscaler({ name: 'orders', spec: { minReplicas: 2, maxReplicas: 4 } }));
    orders.replace((spec) => manifest(spec));

    await orders.round();

    expect(sizeOf(orders)).toBe(4);
  });

  it('is what the autoscaler wanted last for an application that is made anew', async () => {
    const orders = await noDeployments();
    const status = { desiredReplicas: 7, scaleBasis: { parallelism: 4, taskSlots: 2 } };
    orders.sandbox.store.put({ ...anAutoscaler({ name: 'orders', spec: { minReplicas: 3 } }), status });
    orders.add();

    await orders.roundsUntil('Running');

    expect(orders.runs().map(({ parallelism }) => parallelism)).toEqual([14]);
  });

  it('begins within the bounds of its autoscaler', async () => {
    const orders = await noDeployments();
    orders.sandbox.store.put(anAutoscaler({ name: 'orders', spec: { minReplicas: 3 } }));
    orders.add();

    await orders.roundsUntil('Running');

    expect(orders.runs().map(({ parallelism }) => parallelism)).toEqual([6]);
  });
});

describe('a tick that comes before reconcile', () => {
  /** What an apply without replicas leaves of the object. */
  const takeSizeAway = (shard: Shard, status: object = {}) =>
    shard.change('FlinkApplication', 'orders', (application) => ({
      spec: { ...application.spec, taskManagerConfig: { taskSlots: 2 } },
      status: { ...application.status, ...status },
    }));

  it('restores the size that was recorded, and decides from there', async () => {
    const shard = await aShard();
    takeSizeAway(shard, { lastReplicas: 5 });
    const sizes = shard.watchSize();

    await shard.tick();

    expect(sizes.slice(0, 2)).toEqual([undefined, 5]);
    expect(sizes).not.toContain(2);
  });

  it('restores what it wanted itself where nobody has recorded a size', async () => {
    const shard = await aShard();
    await shard.ticks(2);
    const wanted = shard.size();
    takeSizeAway(shard);
    const sizes = shard.watchSize();

    await shard.tick();

    expect(wanted).toBe(4);
    expect(sizes).toEqual([undefined, 4]);
  });

  it('derives the size anew where the same write edits parallelism', async () => {
    const shard = await aShard();
    takeSizeAway(shard, { lastReplicas: 5 });
    shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism: 12 } }));
    const sizes = shard.watchSize();

    await shard.tick();

    expect(sizes.slice(0, 2)).toEqual([undefined, 6]);
  });

  it('leaves it to reconcile where only the deployed revision says what the size was', async () => {
    const shard = await aShard();
    takeSizeAway(shard, { currentRevision: 'orders-0123456789' });

    const { autoscalers } = await shard.tick();

    expect(shard.size()).toBeUndefined();
    expect(autoscalers[0]?.decision?.message).toContain(
      'spec.taskManagerConfig.replicas of flink/orders was removed, and is not restored yet',
    );
  });
});
