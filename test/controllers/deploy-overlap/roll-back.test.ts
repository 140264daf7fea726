// A rollback that somebody orders while a round is just about to end the old job, one request at a time.

import { expect, it, onTestFinished } from 'vitest';
import type { ApplicationSpec } from '../../../shared/deployment/types.ts';
import { expectAloneAtAnyTime } from '../../support/deploy-outcome.ts';
import { aDeployedApplication, type Deployments, STEP_SECONDS } from '../../support/deployments.ts';
import { Interleaving } from '../../support/interleaving.ts';

/** An update whose savepoint is written down, and a round that has seen that and is about to trigger it. */
async function aboutToSave(isWanted: (request: string) => boolean) {
  const orders = await aDeployedApplication();
  onTestFinished(() => orders.close());
  orders.changeImage();
  const rounds = new Interleaving({ sandbox: orders.sandbox, tick: (options) => orders.round(options) });
  await orders.roundsUntil('ClusterStarting');
  const isSaving = () => orders.status().savepointTriggerId !== undefined;
  for (let count = 1; ; count += 1) {
    const round = `round ${count}`;
    rounds.start(round);
    if (await rounds.stepUntil(round, (request) => isSaving() && isWanted(request)))
      return { orders, slowRound: () => rounds.finish(round) };
    orders.sandbox.clock.advance(STEP_SECONDS);
  }
}

function forceRollback(orders: Deployments): void {
  orders.edit((spec: ApplicationSpec) => ({ ...spec, forceRollback: true }));
}

const isCall = (request: string) => request.endsWith('/stop');
/** Events apart, which only tell. */
const isChange = (request: string) => !request.startsWith('GET') && !request.endsWith('/events');

it('is not undone by a round that saw the application as it was before', async () => {
  const { orders, slowRound } = await aboutToSave(isChange);
  forceRollback(orders);
  await orders.roundsUntil('DeployFailed');

  await slowRound();
  await orders.rounds(20);

  expect(orders.runs()).toMatchObject([{ state: 'RUNNING' }]);
  expect(orders.savepoints()).toEqual([]);
});

it('waits for a call that is under way, and brings the job back that it has ended', async () => {
  const { orders, slowRound } = await aboutToSave(isCall);
  forceRollback(orders);
  await orders.rounds(20);
  expect(orders.status().phase).toBe('RollingBackJob');

  await slowRound();
  await orders.roundsUntil('DeployFailed');

  expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }, { state: 'RUNNING', image: 'orders:1' }]);
  expect(orders.runs()[1]?.restoredFrom).toBe(orders.savepoints()[0]?.path);
  expectAloneAtAnyTime(orders);
});
