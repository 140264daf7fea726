// Deploys that met with trouble at the wrong moment, each found by courses that chance gave (test/support/troubled-deploys.ts).

import { expect, it, onTestFinished } from 'vitest';
import type { JarSettings } from '../../infra/sandbox/images.ts';
import {
  aDeployedApplication,
  type Deployments,
  IMAGE,
  NAMESPACE,
  NEXT_IMAGE,
  type SpecOptions,
} from '../support/deployments.ts';

async function aTroubledApplication(spec: SpecOptions = {}, jar?: JarSettings): Promise<Deployments> {
  const orders = await aDeployedApplication(spec, jar);
  onTestFinished(() => orders.close());
  return orders;
}

it('begins again from its savepoint after a rollback that failed, whatever becomes of checkpoints', async () => {
  const orders = await aTroubledApplication({
    flinkConfig: {
      'execution.checkpointing.externalized-checkpoint-retention': undefined,
      'restart-strategy.type': 'none',
    },
  });
  await orders.rounds(20);
  for (const image of [IMAGE, NEXT_IMAGE]) orders.describeJar(image, { failsAtStart: 'no such topic' });
  orders.changeImage();
  await orders.roundsUntil('DeployFailed', { seconds: 600 });
  for (const image of [IMAGE, NEXT_IMAGE]) orders.describeJar(image, {});

  orders.edit((spec) => ({ ...spec, restartNonce: 'the topic is there' }));
  await orders.rounds(60);

  const [saved] = orders.savepoints();
  expect(orders.lastRun()).toMatchObject({ state: 'RUNNING', restoredFrom: saved?.path, startCount: saved?.count });
});

it('begins a lost job without state where its checkpoint was deleted and its state does not matter any more', async () => {
  const orders = await aTroubledApplication();
  await orders.roundsUntil(() => orders.status().jobStatus?.lastCheckpoint !== undefined);
  // Flink keeps one checkpoint: the one on record is gone by now.
  orders.sandbox.clock.advance(60);
  orders.killJobManager();
  await orders.rounds(10);

  orders.edit((spec) => ({ ...spec, restartNonce: 'again' }));
  await orders.roundsUntil('DeployFailed', { seconds: 900 });
  expect(orders.status().failedDeploy).toMatchObject({ reason: 'JobMonitoringFailed' });
  orders.edit((spec) => ({ ...spec, restartNonce: 'without state', savepointDisabled: true }));
  await orders.roundsUntil('Running');

  expect(orders.lastRun()).toMatchObject({ state: 'RUNNING', startCount: 0 });
});

it.each([
  ['lost', (orders: Deployments) => orders.killJobManager()],
  ['FAILED', (orders: Deployments) => orders.failJob({ isFatal: true })],
  ['cancelled', (orders: Deployments) => orders.sandbox.flink.cancelJob(NAMESPACE, 'orders')],
])(
  'gives an application whose job is %s its recorded size on a new cluster, though it scales in place',
  async (_word, end) => {
    const orders = await aTroubledApplication({ scaleMode: 'InPlace' });
    await orders.roundsUntil(() => orders.status().jobStatus?.lastCheckpoint !== undefined);
    end(orders);
    await orders.rounds(10);

    await orders.scale(4);
    await orders.rounds(10);
    expect(orders.runs()).toHaveLength(1);
    orders.edit((spec) => ({ ...spec, restartNonce: 'again' }));
    await orders.roundsUntil(() => (orders.lastRun()?.parallelism ?? 0) === 8, { seconds: 900 });
    await orders.roundsUntil('Running');

    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING', parallelism: 8 }]);
    expect(orders.lastRun()?.restoredFrom).toContain('/chk-');
    expect(orders.runs()[0]?.cluster).not.toBe(orders.lastRun()?.cluster);
  },
);

it('tries neither a version that had to go back nor the one before it again and again, where neither comes up', async () => {
  const orders = await aTroubledApplication({
    restartPolicy: 'FromLatestCheckpoint',
    flinkConfig: { 'restart-strategy.type': 'none' },
  });
  await orders.rounds(20);
  for (const image of [IMAGE, NEXT_IMAGE]) orders.describeJar(image, { failsAtStart: 'no such topic' });
  orders.changeImage();
  await orders.roundsUntil('DeployFailed', { seconds: 600 });
  const time = orders.sandbox.clock.now();

  await orders.rounds(400);

  // The old version once or twice, five minutes after it has failed; the new one not before the spec changes.
  const tried = orders.runs().filter(({ submittedTime }) => submittedTime >= time);
  expect(new Set(tried.map(({ image }) => image))).toEqual(new Set([IMAGE]));
  expect(tried.length).toBeLessThanOrEqual(2);
});

it('brings a job back from what it has counted meanwhile, where it ran and failed between two rounds', async () => {
  const orders = await aTroubledApplication({ flinkConfig: { 'restart-strategy.type': 'none' } });
  await orders.rounds(20);
  orders.describeJar(NEXT_IMAGE, { failsAtStart: 'no such topic' });
  orders.changeImage();
  await orders.roundsUntil(() => orders.lastRun()?.jobId === orders.status().rollout?.rollbackJobId);

  orders.sandbox.clock.advance(30);
  orders.failJob({ isFatal: true });
  await orders.roundsUntil('DeployFailed');

  const failed = orders.runs().at(-2);
  const latest = orders.sandbox.flink.snapshots().findLast(({ jobId }) => jobId === failed?.jobId);
  expect(latest?.count).toBeGreaterThan(failed?.startCount ?? 0);
  expect(orders.lastRun()).toMatchObject({ state: 'RUNNING', restoredFrom: latest?.path, startCount: latest?.count });
});
