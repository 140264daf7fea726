// A JobManager keeps the page of a job's checkpoints for three seconds (web.refresh-interval), the list of its jobs not at all: a job may be
// seen to have failed while its last checkpoint is not seen yet.

import { expect, it, onTestFinished } from 'vitest';
import { aDeployedApplication } from '../support/deployments.ts';

it('begins a failed job where its last checkpoint was, though one was made since the page of them', async () => {
  const orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint' });
  onTestFinished(() => orders.close());
  const { clock, flink } = orders.sandbox;
  const latest = () => flink.snapshots().toSorted((a, b) => b.time - a.time)[0];
  await orders.roundsUntil(() => latest() !== undefined);
  const seen = latest();
  // Read just before the next one: they come every 10 s.
  clock.set((seen?.time ?? 0) + 9500);
  await orders.round();
  clock.advance(1);
  orders.failJob({ isFatal: true });
  const last = latest();

  await orders.roundsUntil(() => orders.runs().length > 1);

  expect(last?.path).not.toBe(seen?.path);
  expect(orders.lastRun()).toMatchObject({ restoredFrom: last?.path, startCount: last?.count });
});
