import { describe, expect, it } from 'vitest';
import { RetryableError, TerminalError } from '../../shared/errors.ts';
import { createOwned, ownerReference, removeOwned } from '../../shared/kubernetes/owned-objects.ts';
import { CONTROLLER_REVISIONS, DEPLOYMENTS, LEASES, SERVICES } from '../../shared/kubernetes/paths.ts';
import { type ApiServer, addApplication, anApiServer, NAMESPACE, ownedBy, stored } from '../support/api-server.ts';

const types = [
  ['Deployment', DEPLOYMENTS],
  ['Service', SERVICES],
  ['ControllerRevision', CONTROLLER_REVISIONS],
  ['Lease', LEASES],
] as const;

const predecessor = ownedBy({ name: 'orders', uid: 'an-earlier-uid' });
const strangers = [
  ['nobody', []],
  ['another application', [ownedBy({ name: 'payments', uid: 'another-uid' })]],
  [
    'a StatefulSet of the same name',
    [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'orders', uid: 'a-uid', controller: true }],
  ],
  ['an application that is only a dependant', [{ ...predecessor, controller: false }]],
] as const;

/** Puts a Service there, owned as a test wants. */
function addService({ sandbox }: ApiServer, ownerReferences: readonly object[], metadata: object = {}) {
  return sandbox.store.put({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: NAMESPACE, name: 'orders', ownerReferences: ownerReferences as never, ...metadata },
    spec: { clusterIP: 'None', ports: [{ port: 8081 }] },
  });
}

const manifest = (owner: Parameters<typeof ownerReference>[0]) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: NAMESPACE, name: 'orders', ownerReferences: [ownerReference(owner)] },
  spec: { clusterIP: 'None', ports: [{ port: 8081 }] },
});

describe('createOwned', () => {
  it('makes what is not there', async () => {
    const server = await anApiServer();
    const application = addApplication(server);

    expect(await createOwned(server.client, SERVICES, application, manifest(application))).toBeUndefined();

    expect(stored(server, 'Service', 'orders')?.metadata.ownerReferences).toEqual([ownedBy(application)]);
  });

  it('leaves what is there and its own as it is, and brings it', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    const before = addService(server, [ownedBy(application)], { labels: { moved: 'yes' } });

    const found = await createOwned(server.client, SERVICES, application, manifest(application));

    expect(found?.metadata.uid).toBe(before.metadata.uid);
    expect(stored(server, 'Service', 'orders')).toEqual(before);
  });

  it.each(strangers)('refuses the name of what belongs to %s', async (_, references) => {
    const server = await anApiServer();
    const application = addApplication(server);
    addService(server, references);

    const made = createOwned(server.client, SERVICES, application, manifest(application));

    await expect(made).rejects.toThrow(TerminalError);
    await expect(made).rejects.toThrow(
      'creating services flink/orders: there is one of that name that does not belong',
    );
  });

  it.each([
    ['is being deleted', { deletionTimestamp: '2026-03-01T12:00:00Z', finalizers: ['foregroundDeletion'] }, undefined],
    ['is left of an application that was deleted', {}, [predecessor]],
  ])('waits for what %s', async (_, metadata, references) => {
    const server = await anApiServer();
    const application = addApplication(server);
    addService(server, references ?? [ownedBy(application)], metadata);

    const made = createOwned(server.client, SERVICES, application, manifest(application));

    await expect(made).rejects.toThrow(RetryableError);
  });

  it('waits where what was there has gone just now', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    addService(server, [ownedBy(application)]);
    server.sandbox.hooks.after(({ method }) => {
      if (method === 'POST') server.sandbox.store.remove('Service', NAMESPACE, 'orders');
    });

    const made = createOwned(server.client, SERVICES, application, manifest(application));

    await expect(made).rejects.toThrow(RetryableError);
  });

  it('passes every other refusal on', async () => {
    const server = await anApiServer();
    const application = { ...addApplication(server), namespace: 'nowhere' };
    const refused = { ...manifest(application), metadata: { name: 'orders' } };

    await expect(createOwned(server.client, SERVICES, application, refused)).rejects.toMatchObject({ code: 404 });
  });
});

describe('removeOwned', () => {
  it.each(types)('deletes a %s of the application, and is content when it is gone', async (kind, type) => {
    const server = await anApiServer();
    const application = addApplication(server);
    await createOwned(server.client, type, application, {
      apiVersion: type.apiVersion,
      kind,
      metadata: { namespace: NAMESPACE, name: 'orders-1', ownerReferences: [ownerReference(application)] },
      ...WHOLE[kind],
    });

    await removeOwned(server.client, type, application, 'orders-1');
    await removeOwned(server.client, type, application, 'orders-1');

    expect(stored(server, kind, 'orders-1')).toBeUndefined();
  });

  it.each(strangers)('refuses to delete what belongs to %s', async (_, references) => {
    const server = await anApiServer();
    const application = addApplication(server);
    addService(server, references);

    await expect(removeOwned(server.client, SERVICES, application, 'orders')).rejects.toThrow(TerminalError);

    expect(stored(server, 'Service', 'orders')).toBeDefined();
  });

  it('leaves what belonged to an application that was deleted to the garbage collector', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    addService(server, [predecessor]);

    await removeOwned(server.client, SERVICES, application, 'orders');

    expect(server.sandbox.requests.map(({ method }) => method)).toEqual(['GET']);
  });

  it('deletes nothing that took the name in between', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    addService(server, [ownedBy(application)]);
    server.sandbox.hooks.after(({ method }) => {
      if (method !== 'GET') return;
      server.sandbox.store.remove('Service', NAMESPACE, 'orders');
      addService(server, []);
    });

    await expect(removeOwned(server.client, SERVICES, application, 'orders')).rejects.toMatchObject({ code: 409 });

    expect(stored(server, 'Service', 'orders')).toBeDefined();
  });
});

/** What the API server insists on of each kind. */
const WHOLE: Readonly<Record<string, object>> = {
  Deployment: {
    spec: {
      replicas: 1,
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'jobmanager', image: 'orders:7' }] } },
    },
  },
  Service: { spec: { clusterIP: 'None', ports: [{ port: 8081 }] } },
  ControllerRevision: { revision: 1, data: {} },
  Lease: { spec: {} },
};
