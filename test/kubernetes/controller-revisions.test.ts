import { describe, expect, it } from 'vitest';
import type { Revision } from '../../shared/deployment/types.ts';
import { createRevision, listRevisions } from '../../shared/kubernetes/controller-revisions.ts';
import { type ApiServer, addApplication, anApiServer, NAMESPACE, ownedBy, stored } from '../support/api-server.ts';

const revision: Revision = {
  labels: { team: 'shop' },
  annotations: {},
  spec: {
    image: 'orders:7',
    jarName: 'orders.jar',
    entryClass: 'com.example.Orders',
    parallelism: 4,
    flinkConfig: { 'taskmanager.memory.network.fraction': 0.1 },
    taskManagerConfig: { taskSlots: 2, tolerations: [{ key: 'spot', operator: 'Exists' }] },
    volumes: [{ name: 'tmp', emptyDir: {} }],
  },
  parallelism: 4,
  taskManagers: 2,
  settings: { schedulerName: 'volcano' },
};
const name = 'orders-0123456789';

/** Puts a ControllerRevision there that somebody else wrote, or an earlier version. */
function addRevision(server: ApiServer, { data, uid }: { readonly data: object; readonly uid: string | undefined }) {
  const ownerReferences = [ownedBy({ name: 'orders', uid: uid ?? '' })];
  const labels = { 'flink-app': 'orders', 'app.kubernetes.io/managed-by': 'headrace' };
  const metadata = { namespace: NAMESPACE, name, labels, ownerReferences };
  server.sandbox.store.put({ apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata, revision: 1, data });
}

describe('a revision', () => {
  it('comes back as it was kept', async () => {
    const server = await anApiServer();
    const application = addApplication(server);

    await createRevision(server.client, application, { name, number: 3, revision });

    expect(await listRevisions(server.client, application)).toEqual([
      { name, number: 3, revision: { value: revision } },
    ]);
    expect(stored(server, 'ControllerRevision', name)).toMatchObject({
      metadata: {
        labels: { 'flink-app': 'orders', 'app.kubernetes.io/managed-by': 'headrace' },
        ownerReferences: [ownedBy(application)],
      },
      revision: 3,
    });
  });

  it('that is kept twice is one, with its first number', async () => {
    const server = await anApiServer();
    const application = addApplication(server);

    await createRevision(server.client, application, { name, number: 3, revision });
    await createRevision(server.client, application, { name, number: 9, revision });

    expect(await listRevisions(server.client, application)).toMatchObject([{ number: 3 }]);
  });

  it('stays as it was kept first when it comes again, written in another way', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    await createRevision(server.client, application, { name, number: 3, revision });

    const written = { ...revision, spec: { ...revision.spec, restartPolicy: 'Never' as const } };
    await createRevision(server.client, application, { name, number: 4, revision: written });

    expect(await listRevisions(server.client, application)).toEqual([
      { name, number: 3, revision: { value: revision } },
    ]);
  });

  it.each([
    ['no image', { ...revision, spec: { ...revision.spec, image: undefined } }, 'data.spec.image: '],
    ['no object', { a: 1 }, 'data.labels: '],
    [
      'a field of a later version',
      { ...revision, spec: { ...revision.spec, sidecars: [] } },
      '{"spec":{"sidecars":[]}}',
    ],
    ['a later field deep inside', { ...revision, settings: { color: 'red' } }, '{"settings":{"color":"red"}}'],
  ])('with %s is not deployed', async (_, data, fault) => {
    const server = await anApiServer();
    const application = addApplication(server);
    addRevision(server, { data, uid: application.uid });

    expect(await listRevisions(server.client, application)).toEqual([
      { name, number: 1, revision: { unreadable: expect.stringContaining(fault) } },
    ]);
  });

  it('is not there where it belongs to an application that was deleted', async () => {
    const server = await anApiServer();
    const application = addApplication(server);

    addRevision(server, { data: revision, uid: 'an-earlier-uid' });

    expect(await listRevisions(server.client, application)).toEqual([]);
  });
});
