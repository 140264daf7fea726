// A version that comes up and then fails again and again, or for good, is rolled back within the window that the user grants.

import { afterEach, describe, expect, it } from 'vitest';
import { expectAloneAtAnyTime } from '../support/deploy-outcome.ts';
import { aDeployedApplication, type Deployments, IMAGE, NEXT_IMAGE, type SpecOptions } from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

const WINDOW: SpecOptions = { rollbackWindowSeconds: 1800 };

/** An application whose next version fails half a minute after it has come up, each time. */
async function aLoopingUpdate(spec: SpecOptions = WINDOW): Promise<void> {
  orders = await aDeployedApplication(spec);
  await orders.rounds(20);
  orders.describeJar(NEXT_IMAGE, { failsAfterSeconds: 30 });
  orders.changeImage();
  await orders.roundsUntil(() => orders.status().phase === 'Running' && orders.lastRun()?.image === NEXT_IMAGE);
}

const conditionOf = (type: string) => orders.status().conditions?.find((condition) => condition.type === type);

describe('a version that loops within the window', () => {
  it('is rolled back to the one before, from the savepoint between them', async () => {
    await aLoopingUpdate();
    const [savepoint] = orders.savepoints();

    await orders.roundsUntil('DeployFailed', { seconds: 900 });
    await orders.rounds(20);

    expect(orders.runs()).toMatchObject([
      { image: IMAGE, state: 'FINISHED' },
      { image: NEXT_IMAGE, state: 'CANCELED' },
      { image: IMAGE, state: 'RUNNING', restoredFrom: savepoint?.path, startCount: savepoint?.count },
    ]);
    expect(orders.livingJobs()).toHaveLength(1);
    expect(orders.deployments()).toHaveLength(2);
    expectAloneAtAnyTime(orders);
    expect(conditionOf('Deployed')).toMatchObject({ status: 'False', reason: 'JobRestartLoop' });
    expect(conditionOf('JobRunning')).toMatchObject({ status: 'True', reason: 'JobRunning' });
    expect(orders.events()).toEqual(expect.arrayContaining(['Warning JobRestartLoop', 'Warning DeployFailed']));
    expect(orders.events().slice(-2)).toEqual(['Normal RollbackSucceeded', 'Normal ToreDownCluster']);
  });

  it('is not deployed again before the spec changes', async () => {
    await aLoopingUpdate();
    await orders.roundsUntil('DeployFailed', { seconds: 900 });

    orders.sandbox.clock.advance(24 * 3600);
    await orders.rounds(60);
    expect(orders.status().phase).toBe('DeployFailed');
    expect(orders.runs()).toHaveLength(3);

    orders.changeImage('orders:3');
    await orders.roundsUntil(() => orders.status().phase === 'Running' && orders.lastRun()?.image === 'orders:3');
    expect(orders.status()).not.toHaveProperty('failedDeploy');
  });

  it('is Running when the spec is put back to what runs', async () => {
    await aLoopingUpdate();
    await orders.roundsUntil('DeployFailed', { seconds: 900 });

    orders.changeImage(IMAGE);
    await orders.roundsUntil('Running');

    expect(orders.runs()).toHaveLength(3);
    expect(conditionOf('Deployed')).toMatchObject({ status: 'True' });
  });

  it('is rolled back once: what was there before is not rolled back in turn', async () => {
    await aLoopingUpdate();
    orders.describeJar(IMAGE, { failsAfterSeconds: 30 });
    await orders.roundsUntil('DeployFailed', { seconds: 900 });

    await orders.rounds(300);

    expect(orders.status().phase).toBe('DeployFailed');
    expect(orders.runs()).toHaveLength(3);
  });

  it('stays where the one before does not come up any more', async () => {
    await aLoopingUpdate({ ...WINDOW, timeouts: { clusterStartSeconds: 30 } });
    orders.sandbox.flink.image(IMAGE, { pullable: false });

    await orders.roundsUntil(() => orders.events().includes('Warning RollbackFailed'), { seconds: 900 });
    await orders.rounds(30);

    expect(orders.status()).toMatchObject({ phase: 'Running' });
    expect(orders.livingJobs()).toHaveLength(1);
    expect(orders.deployments()).toHaveLength(2);
    expect(orders.runs()).toHaveLength(2);
  });
});

it('rolls back a version that fails for good, instead of beginning it again', async () => {
  orders = await aDeployedApplication({ ...WINDOW, restartPolicy: 'FromLatestCheckpoint' });
  await orders.rounds(20);
  orders.changeImage();
  await orders.roundsUntil(() => orders.status().phase === 'Running' && orders.lastRun()?.image === NEXT_IMAGE);
  await orders.rounds(20);

  orders.failJob({ isFatal: true });
  await orders.roundsUntil('DeployFailed');

  expect(orders.runs()).toMatchObject([{ image: IMAGE }, { image: NEXT_IMAGE, state: 'FAILED' }, { image: IMAGE }]);
  expect(orders.lastRun()?.restoredFrom).toBe(orders.savepoints()[0]?.path);
});

it.each<[string, SpecOptions]>([
  ['without the field', {}],
  ['after the window', { rollbackWindowSeconds: 60 }],
])('leaves a version that loops as it is %s', async (_, spec) => {
  await aLoopingUpdate(spec);

  await orders.rounds(600);

  expect(orders.status().phase).toBe('Running');
  expect(orders.runs()).toHaveLength(2);
  expect(conditionOf('JobRunning')?.reason).toMatch(/JobRestartLoop|JobNotRunning/);
});
