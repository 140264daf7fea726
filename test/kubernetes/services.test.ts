import { describe, expect, it } from 'vitest';
import type { OwnerReference } from '../../infra/sandbox/kinds.ts';
import { isConflict } from '../../shared/kubernetes/errors.ts';
import { listServices, listServicesOf, patchServiceSelector, readService } from '../../shared/kubernetes/services.ts';
import { anApiServer, NAMESPACE, ownedBy, stored } from '../support/api-server.ts';

const selector = {
  'flink-app': 'orders',
  'pod-deployment-selector': 'k3x9p2qa',
  'flink-deployment-type': 'jobmanager',
};

function aWireService({
  labels = { 'flink-app': 'orders' },
  name = 'orders',
  ...metadata
}: {
  readonly labels?: Readonly<Record<string, string>>;
  readonly name?: string;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly deletionTimestamp?: string;
} = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: NAMESPACE, name, resourceVersion: '42', labels, ...metadata },
    spec: { clusterIP: 'None', ports: [{ name: 'ui', port: 8081 }], selector },
  };
}

describe('readService', () => {
  it('reads the Service of one cluster', () => {
    const labels = { 'flink-app': 'orders', 'flink-app-hash': '5e7c7283', 'flink-application-version': 'blue' };
    const ownerReferences = [ownedBy({ name: 'orders', uid: 'u-1' })];

    expect(readService(aWireService({ name: 'orders-5e7c7283', labels, ownerReferences }))).toEqual({
      namespace: 'flink',
      application: 'orders',
      hash: '5e7c7283',
      version: 'blue',
      ownerUid: 'u-1',
      view: { name: 'orders-5e7c7283', resourceVersion: '42', isDeleting: false, isKept: false, labels, selector },
    });
  });

  it('reads the Service for users, which is of no single cluster', () => {
    expect(readService(aWireService())).toEqual({
      namespace: 'flink',
      application: 'orders',
      view: {
        name: 'orders',
        resourceVersion: '42',
        isDeleting: false,
        isKept: false,
        labels: { 'flink-app': 'orders' },
        selector,
      },
    });
  });

  it('says that one is being deleted, and that one selects nothing', () => {
    const service = aWireService({ deletionTimestamp: '2026-03-01T12:00:00Z' });

    expect(readService({ ...service, spec: {} })?.view).toMatchObject({ isDeleting: true, selector: {} });
  });

  it.each([[null], [{}], [aWireService({ labels: { app: 'web' } })]])('reads nothing from %j', (item) => {
    expect(readService(item)).toBeUndefined();
  });
});

describe('the Services of a cluster', () => {
  it('are listed for a shard, and for one application', async () => {
    const { sandbox, client } = await anApiServer();
    sandbox.store.put(aWireService());
    sandbox.store.put(aWireService({ name: 'payments', labels: { 'flink-app': 'payments' } }));
    sandbox.store.put(aWireService({ name: 'web', labels: { app: 'web' } }));

    const all = await listServices(client, []);
    const own = await listServicesOf(client, { namespace: NAMESPACE, name: 'payments' });

    expect(all.map(({ view }) => view.name)).toEqual(['orders', 'payments']);
    expect(own.map(({ application }) => application)).toEqual(['payments']);
  });

  it('are pointed at other pods while they are as they were read', async () => {
    const server = await anApiServer();
    const service = aWireService();
    const legacy = { ...service, spec: { ...service.spec, selector: { ...selector, 'flink-app-hash': '5e7c7283' } } };
    const { resourceVersion = '' } = server.sandbox.store.put(legacy).metadata;
    const address = { namespace: NAMESPACE, name: 'orders', resourceVersion };

    await patchServiceSelector(server.client, address, 'new');
    const again = patchServiceSelector(server.client, address, 'newer');

    await expect(again).rejects.toSatisfy(isConflict);
    expect(stored(server, 'Service', 'orders')?.spec?.selector).toEqual({
      ...selector,
      'pod-deployment-selector': 'new',
    });
  });
});
