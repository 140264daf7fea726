// Argo CD deletes in the foreground, and so does `kubectl delete --cascade=foreground`: Kubernetes then deletes what an application owns
// before the application itself, whatever finalizer that has.

import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../infra/sandbox/kinds.ts';
import {
  aDeployedApplication,
  aDualRunningApplication,
  type Deployments,
  isGone,
  NAMESPACE,
} from '../support/deployments.ts';

const FOREGROUND = { propagationPolicy: 'Foreground' } as const;

const keepers = ({ sandbox }: Deployments) =>
  sandbox.store.list('ControllerRevision').filter(({ metadata }) => metadata.name.startsWith('headrace-keeper-'));

/** Everything that belongs to the application, by kind and name. */
function partsOf({ sandbox: { store } }: Deployments): string[] {
  return ['Deployment', 'Service', 'ControllerRevision', 'Pod'].flatMap((kind) =>
    store.list(kind, NAMESPACE).map(({ metadata }) => `${kind} ${metadata.name}`),
  );
}

/** As Lyft's operator makes its objects, and Headrace did: the application is their only owner. */
function withoutKeeper({ sandbox: { store } }: Deployments): void {
  const objects = ['Deployment', 'Service'].flatMap((kind) => store.list(kind, NAMESPACE));
  for (const object of objects) {
    const [application] = object.metadata.ownerReferences ?? [];
    const metadata = { ...object.metadata, ...(application && { ownerReferences: [application] }) };
    store.put({ ...object, metadata });
  }
  for (const { metadata } of store.list('ControllerRevision', NAMESPACE))
    if (metadata.name.startsWith('headrace-keeper-')) store.remove('ControllerRevision', NAMESPACE, metadata.name);
}

describe('an application that is deleted in the foreground', () => {
  it('ends with a savepoint, and then everything goes', async () => {
    const orders = await aDeployedApplication();
    await orders.delete('orders', FOREGROUND);
    orders.sandbox.clock.advance(10);

    await orders.roundsUntil(isGone);
    orders.sandbox.clock.advance(10);

    expect(orders.savepoints()).toHaveLength(1);
    expect(orders.events()).toContain('Normal CanceledJob');
    expect(orders.events()).not.toContain('Warning DeletedWithoutSavepoint');
    expect(partsOf(orders)).toEqual([]);
  });

  it('ends with a savepoint in the middle of a deploy', async () => {
    const orders = await aDeployedApplication();
    orders.changeImage();
    await orders.roundsUntil('ClusterStarting');
    await orders.delete('orders', FOREGROUND);
    orders.sandbox.clock.advance(10);

    await orders.roundsUntil(isGone);
    orders.sandbox.clock.advance(10);

    expect(orders.savepoints()).toHaveLength(1);
    expect(partsOf(orders)).toEqual([]);
  });

  it('ends with a savepoint of each version in BlueGreen', async () => {
    const orders = await aDualRunningApplication();
    const before = orders.savepoints().length;
    await orders.delete('orders', FOREGROUND);
    orders.sandbox.clock.advance(10);

    await orders.roundsUntil(isGone);
    orders.sandbox.clock.advance(10);

    expect(orders.savepoints()).toHaveLength(before + 2);
    expect(partsOf(orders)).toEqual([]);
  });

  it.each(['None', 'ForceCancel'] as const)('leaves nothing behind with deleteMode %s', async (deleteMode) => {
    const orders = await aDeployedApplication({ deleteMode });
    await orders.delete('orders', FOREGROUND);

    await orders.roundsUntil(isGone);
    orders.sandbox.clock.advance(10);

    expect(orders.savepoints()).toEqual([]);
    expect(partsOf(orders)).toEqual([]);
  });

  it('can be made anew under its name at once', async () => {
    const orders = await aDeployedApplication();
    await orders.delete('orders', FOREGROUND);
    await orders.roundsUntil(isGone);

    orders.add();
    await orders.roundsUntil('Running');

    expect(orders.runs()).toHaveLength(2);
  });
});

describe('objects that were made without a keeper', () => {
  it('are given one at rest, and nothing is deployed', async () => {
    const orders = await aDeployedApplication();
    withoutKeeper(orders);

    await orders.rounds(10);
    await orders.delete('orders', FOREGROUND);
    orders.sandbox.clock.advance(10);
    await orders.roundsUntil(isGone);

    expect(orders.runs()).toHaveLength(1);
    expect(orders.savepoints()).toHaveLength(1);
  });

  it('are given another one where somebody has deleted it', async () => {
    const orders = await aDeployedApplication();
    const [keeper] = keepers(orders) as [KubernetesObject];
    orders.sandbox.store.remove('ControllerRevision', NAMESPACE, keeper.metadata.name);
    orders.sandbox.clock.advance(5);

    await orders.rounds(10);

    const [renewed] = keepers(orders);
    expect(renewed?.metadata.uid).not.toBe(keeper.metadata.uid);
    for (const { metadata } of orders.sandbox.store.list('Deployment', NAMESPACE))
      expect(metadata.ownerReferences).toMatchObject([{ kind: 'FlinkApplication' }, { uid: renewed?.metadata.uid }]);
  });

  it('are gone before the savepoint where the deletion comes first, and an Event says what was lost', async () => {
    const orders = await aDeployedApplication();
    orders.sandbox.clock.advance(60);
    await orders.round();
    orders.sandbox.clock.advance(300);
    await orders.round();
    const { lastCheckpoint, jobID } = orders.status().jobStatus ?? {};
    withoutKeeper(orders);
    await orders.delete('orders', FOREGROUND);
    orders.sandbox.clock.advance(10);

    await orders.roundsUntil(isGone);

    const [event] = orders.eventObjects().filter(({ reason }) => reason === 'DeletedWithoutSavepoint');
    expect(lastCheckpoint).toMatch(/chk-\d+$/);
    expect(event?.message).toContain(`Job ${jobID} was deleted without a savepoint`);
    expect(event?.message).toContain(`its latest known checkpoint is ${lastCheckpoint}`);
  });

  it('are not said to be lost where the job had ended, or was not to be saved', async () => {
    const orders = await aDeployedApplication({ deleteMode: 'ForceCancel' });
    withoutKeeper(orders);
    await orders.delete('orders', FOREGROUND);
    orders.sandbox.clock.advance(10);

    await orders.roundsUntil(isGone);

    expect(orders.events()).not.toContain('Warning DeletedWithoutSavepoint');
  });
});

describe('an application that went without its finalizer', () => {
  it('leaves nothing running, and an Event names the latest checkpoint of its job', async () => {
    const orders = await aDeployedApplication();
    orders.sandbox.clock.advance(30);
    orders.replace((spec) => spec);
    await orders.delete();
    orders.sandbox.clock.advance(5);
    const left = orders.deployments();

    await orders.round();
    orders.sandbox.clock.advance(10);

    const [event] = orders.eventObjects().filter(({ reason }) => reason === 'DeletedWithoutSavepoint');
    expect(left).toHaveLength(2);
    expect(event?.message).toMatch(/somebody had removed its finalizer; its latest checkpoint is s3:.*chk-\d+$/);
    expect(partsOf(orders)).toEqual([]);
  });

  it('makes room for another of its name', async () => {
    const orders = await aDeployedApplication();
    orders.replace((spec) => spec);
    await orders.delete();
    orders.add();

    await orders.roundsUntil('Running');

    expect(orders.runs()).toHaveLength(2);
    expect(keepers(orders)).toHaveLength(1);
  });

  it('is told from one whose clusters it would be wrong to touch', async () => {
    const orders = await aDeployedApplication();
    orders.add({}, 'invoices');
    await orders.roundsUntil(() => orders.status('invoices').phase === 'Running');

    await orders.rounds(10);

    expect(keepers(orders)).toHaveLength(2);
    expect(orders.livingJobs()).toHaveLength(1);
    expect(orders.livingJobs('invoices')).toHaveLength(1);
  });
});
