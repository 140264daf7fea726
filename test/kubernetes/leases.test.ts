import { describe, expect, it } from 'vitest';
import { isConflict } from '../../shared/kubernetes/errors.ts';
import { createTakeover, readTakeover, updateTakeover } from '../../shared/kubernetes/leases.ts';
import { addApplication, anApiServer, ownedBy, stored } from '../support/api-server.ts';

const memory = {
  manager: 'flinkoperator',
  lastWriteTime: Date.parse('2026-03-01T11:59:58Z'),
  firstSeenTime: Date.parse('2026-03-01T12:00:00.123Z'),
};

describe('the memory of a take-over', () => {
  it('stands in a Lease of its own, which goes with the application', async () => {
    const server = await anApiServer();
    const application = addApplication(server);

    expect(await readTakeover(server.client, application)).toBeUndefined();
    await createTakeover(server.client, application, memory);

    expect(await readTakeover(server.client, application)).toMatchObject({ memory });
    expect(stored(server, 'Lease', 'headrace-orders')).toMatchObject({
      metadata: { ownerReferences: [ownedBy(application)] },
      spec: {
        holderIdentity: 'flinkoperator',
        renewTime: '2026-03-01T11:59:58.000000Z',
        acquireTime: '2026-03-01T12:00:00.123000Z',
      },
    });
  });

  it('is begun once: what is remembered already stays', async () => {
    const { client, ...server } = await anApiServer();
    const application = addApplication({ client, ...server });

    await createTakeover(client, application, memory);
    await createTakeover(client, application, { ...memory, firstSeenTime: memory.firstSeenTime + 1000 });

    expect(await readTakeover(client, application)).toMatchObject({ memory });
  });

  it('is written anew while it is as it was read', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    await createTakeover(server.client, application, memory);
    const before = await readTakeover(server.client, application);
    if (before === undefined) throw new TypeError('nothing is remembered');
    const later = { ...memory, lastWriteTime: memory.lastWriteTime + 60_000 };

    await updateTakeover(server.client, application, { ...before, memory: later });
    const again = updateTakeover(server.client, application, before);

    await expect(again).rejects.toSatisfy(isConflict);
    expect(await readTakeover(server.client, application)).toMatchObject({ memory: later });
  });

  it('of an application that was deleted is not that of its successor', async () => {
    const server = await anApiServer();
    const first = addApplication(server);
    await createTakeover(server.client, first, memory);

    expect(await readTakeover(server.client, { ...first, uid: 'a-later-uid' })).toBeUndefined();
  });

  it('has a name that fits, and is not that of another application, however long theirs are', async () => {
    const server = await anApiServer();
    const names = ['a', 'b'].map((end) => `${'orders-'.repeat(35)}${end.repeat(8)}`);
    const applications = names.map((name) => addApplication(server, { name }));

    for (const application of applications) await createTakeover(server.client, application, memory);

    const leases = server.sandbox.store.list('Lease').map(({ metadata }) => metadata.name);
    expect(leases).toHaveLength(2);
    expect(leases.every((lease) => lease.length === 253 && lease.startsWith('headrace-orders-'))).toBe(true);
  });
});
