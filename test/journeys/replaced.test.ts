// Whoever replaces the whole object (kubectl replace, Argo CD with Replace=true, clients that create or replace) takes away what is not
// in their manifest: the finalizer, and the size that an autoscaler has written.

import { expect, it } from 'vitest';
import { aDeployedApplication, type Deployments, isGone } from '../support/deployments.ts';

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
