// Savepoints beside deploys: taken of a job that runs on, recorded, and disposed of when there are more than are kept.

import { afterEach, describe, expect, it } from 'vitest';
import { expectAloneAtAnyTime } from '../support/deploy-outcome.ts';
import { aDeployedApplication, type Deployments } from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

const every = (intervalSeconds: number) => ({ periodicSavepoints: { intervalSeconds } });

/** A look a minute, as at rest. */
async function minutes(count: number): Promise<void> {
  for (let passed = 0; passed < count; passed += 1) {
    orders.sandbox.clock.advance(60);
    await orders.round();
  }
}

const recorded = () => (orders.status().savepoints ?? []).map(({ path, reason, jobId }) => ({ path, reason, jobId }));
const kept = () => orders.savepoints().map(({ path }) => path);

/** Orders to JobManagers from now on. */
function watchOrders(): string[] {
  const seen: string[] = [];
  orders.sandbox.hooks.before(({ method, path }) => {
    const [, order] = /\/proxy(\/.*)$/.exec(path) ?? [];
    if (method !== 'GET' && order) seen.push(`${method} ${order.replace(/[0-9a-f]{32}/, ':id')}`);
  });
  return seen;
}

describe('periodic savepoints', () => {
  it('are taken as often as is said, of a job that runs on, and recorded', async () => {
    orders = await aDeployedApplication(every(600));
    const [job] = orders.livingJobs();

    await minutes(35);

    expect(recorded()).toHaveLength(3);
    expect(recorded()).toEqual(orders.savepoints().map(({ path, jobId }) => ({ path, jobId, reason: 'Periodic' })));
    // Flink tells when a savepoint was complete, which is a second after the instant that it holds.
    expect(orders.status().savepoints?.map(({ time }) => Date.parse(time) - 1000)).toEqual(
      orders.savepoints().map(({ time }) => time),
    );
    expect(orders.livingJobs()).toMatchObject([{ id: job?.id, state: 'RUNNING' }]);
    expect(orders.events().filter((event) => event === 'Normal SavepointCompleted')).toHaveLength(3);
  });

  it('ask and write nothing where they are not wanted', async () => {
    orders = await aDeployedApplication();
    const seen = watchOrders();

    await minutes(90);

    expect(seen).toEqual([]);
    expect(orders.status()).not.toHaveProperty('savepoints');
  });

  it('are counted from the last savepoint of any kind', async () => {
    orders = await aDeployedApplication(every(600));
    await minutes(8);
    orders.changeImage();
    await orders.roundsUntil('Running');

    await minutes(8);
    expect(recorded()).toMatchObject([{ reason: 'Deploy' }]);
    await minutes(4);

    expect(recorded()).toMatchObject([{ reason: 'Deploy' }, { reason: 'Periodic' }]);
  });

  it('leave a deploy that begins meanwhile alone, and are recorded all the same', async () => {
    orders = await aDeployedApplication(every(600), { savepointSeconds: 20 });
    await minutes(10);
    expect(orders.status().periodicSavepoint).toHaveProperty('triggerId');

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(recorded()).toMatchObject([{ reason: 'Periodic' }, { reason: 'Deploy' }]);
    expect(orders.lastRun()?.restoredFrom).toBe(recorded()[1]?.path);
    expect(orders.status()).not.toHaveProperty('periodicSavepoint');
    expectAloneAtAnyTime(orders);
  });

  it('that fail are told once, and taken again later and later', async () => {
    orders = await aDeployedApplication(every(600), { savepointFails: 2 });

    await minutes(13);
    expect(orders.status().periodicSavepoint).toMatchObject({ failures: 1 });
    await minutes(7);
    expect(orders.status().periodicSavepoint).toMatchObject({ failures: 2 });
    await minutes(15);

    expect(recorded()).toHaveLength(1);
    expect(orders.status()).not.toHaveProperty('periodicSavepoint');
    expect(orders.events().filter((event) => event === 'Warning PeriodicSavepointFailed')).toHaveLength(1);
  });

  it('that are refused, since there is no directory for them, are told once', async () => {
    orders = await aDeployedApplication({ ...every(600), flinkConfig: { 'state.savepoints.dir': undefined } });

    await minutes(60);

    expect(orders.status()).toMatchObject({ phase: 'Running', periodicSavepoint: { failures: expect.any(Number) } });
    expect(orders.status().periodicSavepoint?.message).toContain('savepoint-dir');
    expect(orders.events().filter((event) => event === 'Warning PeriodicSavepointFailed')).toHaveLength(1);
  });

  it('are where a lost job begins again that takes no checkpoints', async () => {
    orders = await aDeployedApplication({
      ...every(600),
      restartPolicy: 'FromLatestCheckpoint',
      flinkConfig: { 'execution.checkpointing.interval': undefined },
    });
    await minutes(12);
    orders.killJobManager();

    await orders.roundsUntil(() => orders.runs().length === 2);

    expect(orders.lastRun()?.restoredFrom).toBe(recorded()[0]?.path);
  });
});

describe('savepointHistory', () => {
  /** Three deploys, each with a savepoint. */
  async function deployThrice(): Promise<void> {
    for (const image of ['orders:2', 'orders:3', 'orders:4']) {
      orders.changeImage(image);
      await orders.roundsUntil(() => orders.status().phase === 'Running' && orders.lastRun()?.image === image);
      await orders.rounds(20);
    }
  }

  it('keeps all of them where it is absent', async () => {
    orders = await aDeployedApplication();
    const seen = watchOrders();

    await deployThrice();
    await minutes(5);

    expect(kept()).toHaveLength(3);
    expect(recorded().map(({ path }) => path)).toEqual(kept());
    expect(seen.filter((order) => order.includes('disposal'))).toEqual([]);
  });

  it('disposes of those beyond maxCount, and not of the one from which the job was begun', async () => {
    orders = await aDeployedApplication({ savepointHistory: { maxCount: 1 } });
    const seen = watchOrders();

    await deployThrice();
    await minutes(5);

    expect(kept()).toEqual([orders.lastRun()?.restoredFrom]);
    expect(recorded()).toMatchObject([{ path: kept()[0] }]);
    expect(seen.filter((order) => order === 'POST /savepoint-disposal')).toHaveLength(2);
    expect(orders.events().filter((event) => event === 'Normal SavepointDisposed')).toHaveLength(2);
  });

  it('disposes of those that are too old', async () => {
    orders = await aDeployedApplication({ savepointHistory: { maxAgeSeconds: 3600 } });
    await deployThrice();

    await minutes(50);
    expect(kept()).toHaveLength(3);
    await minutes(30);

    expect(kept()).toEqual([orders.lastRun()?.restoredFrom]);
  });

  it('forgets one that somebody else has deleted', async () => {
    orders = await aDeployedApplication();
    await deployThrice();
    orders.sandbox.flink.removeSnapshot(kept()[0] ?? '');

    orders.edit((spec) => ({ ...spec, savepointHistory: { maxCount: 2 } }));
    await minutes(5);

    expect(recorded().map(({ path }) => path)).toEqual(kept());
    expect(kept()).toHaveLength(2);
  });

  it('tells once that it may not dispose of them, and goes on trying', async () => {
    orders = await aDeployedApplication({ savepointHistory: { maxCount: 1 } });
    const fault = orders.sandbox.faults.add({ kind: 'status', code: 500, path: /savepoint-disposal$/ });
    await deployThrice();
    await minutes(30);
    expect(orders.events().filter((event) => event === 'Warning SavepointDisposalFailed')).toHaveLength(1);
    expect(orders.status()).toMatchObject({ phase: 'Running', savepointDisposal: { path: kept()[0] } });

    fault.remove();
    await minutes(60);

    expect(kept()).toHaveLength(1);
    expect(orders.status()).not.toHaveProperty('savepointDisposal');
  });

  it('keeps the savepoint of a suspended application, whatever its age', async () => {
    orders = await aDeployedApplication({ savepointHistory: { maxAgeSeconds: 60 } });
    await orders.rounds(20);
    orders.edit((spec) => ({ ...spec, suspend: true }));
    await orders.roundsUntil('Suspended');
    expect(recorded()).toMatchObject([{ reason: 'Suspend', path: orders.status().suspension?.savepointPath }]);

    await minutes(10);
    orders.edit((spec) => ({ ...spec, suspend: false }));
    await orders.roundsUntil('Running');
    await minutes(5);

    expect(kept()).toEqual([orders.lastRun()?.restoredFrom]);
  });
});
