import { describe, expect, it } from 'vitest';
import type { Fields } from '../../infra/sandbox/kinds.ts';
import {
  listDeployments,
  listDeploymentsOf,
  patchDeploymentReplicas,
  readDeployment,
} from '../../shared/kubernetes/deployments.ts';
import { isConflict } from '../../shared/kubernetes/errors.ts';
import { type ApiServer, addApplication, anApiServer, NAMESPACE, ownedBy, stored } from '../support/api-server.ts';

const labels = {
  'flink-app': 'orders',
  'flink-app-hash': '5e7c7283',
  'flink-deployment-type': 'taskmanager',
  team: 'shop',
};

function aWireDeployment({
  metadata = {},
  ...fields
}: {
  readonly metadata?: object;
  readonly spec?: Fields;
  readonly status?: Fields | undefined;
} = {}) {
  const matchLabels = { ...labels, 'pod-deployment-selector': 'k3x9p2qa' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      namespace: NAMESPACE,
      name: 'orders-5e7c7283-tm',
      uid: 'd-1',
      resourceVersion: '42',
      generation: 3,
      labels,
      annotations: { 'flink-job-properties': 'jarName: orders.jar' },
      ownerReferences: [ownedBy({ name: 'orders', uid: 'u-1' })],
      ...metadata,
    },
    spec: {
      replicas: 2,
      selector: { matchLabels },
      template: {
        metadata: { labels: matchLabels },
        spec: { containers: [{ name: 'taskmanager', image: 'orders:7' }], schedulerName: 'default-scheduler' },
      },
    },
    status: { observedGeneration: 3, replicas: 2, availableReplicas: 1 },
    ...fields,
  };
}

describe('readDeployment', () => {
  it('reads to what a Deployment belongs, and how far it has come', () => {
    expect(readDeployment(aWireDeployment())).toEqual({
      namespace: 'flink',
      application: 'orders',
      hash: '5e7c7283',
      type: 'taskmanager',
      ownerUid: 'u-1',
      view: {
        name: 'orders-5e7c7283-tm',
        uid: 'd-1',
        resourceVersion: '42',
        isDeleting: false,
        isKept: false,
        replicas: 2,
        statusReplicas: 2,
        availableReplicas: 1,
        isObserved: true,
        podSelector: 'k3x9p2qa',
        labels,
        annotations: { 'flink-job-properties': 'jarName: orders.jar' },
        containerName: 'taskmanager',
        schedulerName: 'default-scheduler',
      },
    });
  });

  it.each([
    ['a status that is behind the spec', { status: { observedGeneration: 2, replicas: 2 } }, { isObserved: false }],
    ['no status yet', { status: undefined }, { isObserved: false, statusReplicas: 0, availableReplicas: 0 }],
    ['its deletion begun', { metadata: { deletionTimestamp: '2026-03-01T12:00:00Z' } }, { isDeleting: true }],
  ])('reads one with %s', (_, fields, view) => {
    expect(readDeployment(aWireDeployment(fields))?.view).toMatchObject(view);
  });

  it('reads why no more of its pods can be made', () => {
    const message = 'pods "orders-5e7c7283-tm-7b9-x2k9p" is forbidden:\n violates PodSecurity "restricted:latest"';
    const conditions = [
      { type: 'Progressing', status: 'True', reason: 'NewReplicaSetCreated', message: 'created' },
      { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message },
    ];

    expect(readDeployment(aWireDeployment({ status: { conditions } }))?.view.replicaFailure).toBe(
      'FailedCreate: pods "orders-5e7c7283-tm-7b9-x2k9p" is forbidden: violates PodSecurity "restricted:latest"',
    );
  });

  it.each([
    ['none', undefined],
    ['none that is true', [{ type: 'ReplicaFailure', status: 'False', reason: 'FailedCreate', message: '' }]],
    ['broken ones', [null, 'ReplicaFailure', { type: 'ReplicaFailure' }]],
    ['no list of them', 'many'],
  ])('has no such reason where its conditions are %s', (_, conditions) => {
    const view = readDeployment(aWireDeployment({ status: { conditions } }))?.view;

    expect(view).toMatchObject({ isDeleting: false });
    expect(view).not.toHaveProperty('replicaFailure');
  });

  it('reads the colour of one version of two, and no other word', () => {
    const coloured = (version: string) =>
      readDeployment(aWireDeployment({ metadata: { labels: { ...labels, 'flink-application-version': version } } }));

    expect(coloured('green')).toMatchObject({ version: 'green' });
    expect(coloured('3.1')).not.toHaveProperty('version');
  });

  it('has no owner where nobody controls it', () => {
    const ownerReferences = [{ ...ownedBy({ name: 'orders', uid: 'u-1' }), controller: false }];

    expect(readDeployment(aWireDeployment({ metadata: { ownerReferences } }))).not.toHaveProperty('ownerUid');
  });

  it('belongs to the application for which it is kept once the reference to that is gone', () => {
    const keeper = { apiVersion: 'apps/v1', kind: 'ControllerRevision', name: 'headrace-keeper-u-1', uid: 'k-1' };

    const kept = readDeployment(aWireDeployment({ metadata: { ownerReferences: [keeper] } }));

    expect(kept).toMatchObject({ ownerUid: 'u-1', view: { isKept: true } });
  });

  it.each([
    ['null', null],
    ['no hash', aWireDeployment({ metadata: { labels: { ...labels, 'flink-app-hash': '' } } })],
    ['no application', aWireDeployment({ metadata: { labels: { ...labels, 'flink-app': '' } } })],
    ['another type', aWireDeployment({ metadata: { labels: { ...labels, 'flink-deployment-type': 'history' } } })],
    ['no labels', aWireDeployment({ metadata: { labels: undefined } })],
    ['no spec', aWireDeployment({ spec: {} })],
  ])('reads nothing from %s', (_, item) => {
    expect(readDeployment(item)).toBeUndefined();
  });
});

describe('the Deployments of a cluster', () => {
  it('are listed for a shard, and for one application', async () => {
    const server = await aServerWith('orders-1-tm', 'orders', 'payments-1-tm', 'payments');

    const all = await listDeployments(server.client, []);
    const own = await listDeploymentsOf(server.client, { namespace: NAMESPACE, name: 'orders' });

    expect(all.map(({ application, view }) => [application, view.name])).toEqual([
      ['orders', 'orders-1-tm'],
      ['payments', 'payments-1-tm'],
    ]);
    expect(own.map(({ view }) => view.name)).toEqual(['orders-1-tm']);
  });

  it('are sized while they are as they were read', async () => {
    const server = await aServerWith('orders-1-tm', 'orders');
    const [before] = await listDeployments(server.client, [NAMESPACE]);
    const deployment = {
      namespace: NAMESPACE,
      name: 'orders-1-tm',
      resourceVersion: before?.view.resourceVersion ?? '',
    };

    await patchDeploymentReplicas(server.client, deployment, 5);
    const again = patchDeploymentReplicas(server.client, deployment, 6);

    await expect(again).rejects.toSatisfy(isConflict);
    expect(stored(server, 'Deployment', 'orders-1-tm')?.spec?.replicas).toBe(5);
  });
});

/** An API server with a TaskManager Deployment of each name and application, and one that is none. */
async function aServerWith(...pairs: readonly string[]): Promise<ApiServer> {
  const server = await anApiServer();
  addApplication(server);
  const { kind, apiVersion, spec } = aWireDeployment();
  for (let index = 0; index < pairs.length; index += 2) {
    const metadata = {
      namespace: NAMESPACE,
      name: pairs[index] ?? '',
      labels: { ...labels, 'flink-app': pairs[index + 1] ?? '' },
    };
    server.sandbox.store.put({ kind, apiVersion, metadata, spec });
  }
  server.sandbox.store.put({ kind, apiVersion, metadata: { namespace: NAMESPACE, name: 'web' }, spec });
  return server;
}
