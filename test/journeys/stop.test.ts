// How jobs are ended: Flink stops them with a savepoint, and where it cannot, they are cancelled with one.

import { afterEach, describe, expect, it } from 'vitest';
import { expectAloneAtAnyTime } from '../support/deploy-outcome.ts';
import {
  aDeployedApplication,
  type Deployments,
  IMAGE,
  isGone,
  NAMESPACE,
  NEXT_IMAGE,
} from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

/** A checkpoint that goes with its job. */
const KEEPS_NOTHING = { 'execution.checkpointing.externalized-checkpoint-retention': undefined };

/** The orders to end a job, as "stop true" or "savepoints". */
function endings(): string[] {
  const posts = orders.sandbox.requests.filter(
    ({ method, path }) => method === 'POST' && /(stop|savepoints)$/.test(path),
  );
  return posts.map(({ path, body }) => {
    const { drain } = body as { readonly drain?: boolean };
    return [path.split('/').at(-1), drain].filter((word) => word !== undefined).join(' ');
  });
}

async function deployNext(): Promise<void> {
  orders.changeImage();
  await orders.roundsUntil(() => orders.status().phase === 'Running' && orders.lastRun()?.image === NEXT_IMAGE, {
    seconds: 1500,
  });
}

/** As somebody does with the flink command. */
async function stopByHand(): Promise<void> {
  const { url, token } = orders.sandbox;
  const path = `/api/v1/namespaces/${NAMESPACE}/services/orders:ui/proxy/jobs/${orders.status().jobStatus?.jobID}/stop`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify({ drain: false }) });
  expect(answer.status).toBe(202);
  orders.sandbox.clock.advance(10);
}

describe('a deploy', () => {
  it.each([
    [{}, 'stop false'],
    [{ drainOnStop: true }, 'stop true'],
  ])('stops the old job with a savepoint: %o', async (spec, ending) => {
    orders = await aDeployedApplication(spec);

    await deployNext();

    expect(endings()).toEqual([ending]);
    expect(orders.runs()).toMatchObject([
      { state: 'FINISHED' },
      { state: 'RUNNING', restoredFrom: orders.savepoints()[0]?.path },
    ]);
    expect(orders.events().filter((event) => event.startsWith('Warning'))).toEqual([]);
  });

  it('goes on from the savepoint of a job that fails while it stops', async () => {
    orders = await aDeployedApplication({}, { stopFails: 'the sink cannot commit' });

    await deployNext();

    expect(orders.runs()).toMatchObject([
      { state: 'FAILED' },
      { state: 'RUNNING', restoredFrom: orders.savepoints()[0]?.path },
    ]);
    expectAloneAtAnyTime(orders);
  });

  it('cancels a job that does not stop in time, and goes on from its checkpoint', async () => {
    orders = await aDeployedApplication({ timeouts: { savepointSeconds: 60 } }, { stopHangs: true });
    await orders.rounds(20);

    await deployNext();

    expect(endings()).toEqual(['stop false']);
    expect(orders.lastRun()?.restoredFrom).toContain('/chk-');
    expectAloneAtAnyTime(orders);
  });

  it('cancels a job with a savepoint that does not stop in time and keeps no checkpoint', async () => {
    const timeouts = { savepointSeconds: 60 };
    orders = await aDeployedApplication({ timeouts, flinkConfig: KEEPS_NOTHING }, { stopHangs: true });
    await orders.rounds(20);

    await deployNext();

    // Flink declines the first of them, and restarts the job.
    expect(endings()).toEqual(['stop false', 'savepoints', 'savepoints']);
    expect(orders.runs()).toMatchObject([
      { state: 'CANCELED' },
      { state: 'RUNNING', restoredFrom: orders.savepoints()[0]?.path },
    ]);
    expectAloneAtAnyTime(orders);
  });

  it('does not take a job that has finished for one that was stopped', async () => {
    orders = await aDeployedApplication({}, { isBounded: true, runSeconds: 30 });
    await orders.rounds(60);

    await deployNext();

    expect(endings()).toEqual([]);
    expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }, { restoredFrom: undefined }]);
    expect(orders.events()).toContain('Normal JobFinished');
  });
});

describe('a job that somebody stopped with a savepoint', () => {
  it.each(['Never', 'FromLatestCheckpoint'] as const)(
    'stays stopped, and is said to be: restartPolicy %s',
    async (restartPolicy) => {
      orders = await aDeployedApplication({ restartPolicy });

      await stopByHand();
      await orders.rounds(120);

      expect(orders.conditions()).toContain('JobRunning False JobStopped');
      expect(orders.status().jobStatus).toMatchObject({ state: 'STOPPED', health: 'Red' });
      expect(orders.events().filter((event) => event === 'Warning JobStopped')).toHaveLength(1);
      expect(orders.runs()).toHaveLength(1);
    },
  );

  it('is restored by the next deploy', async () => {
    orders = await aDeployedApplication();
    await stopByHand();
    await orders.rounds(60);

    await deployNext();

    expect(orders.lastRun()?.restoredFrom).toBe(orders.savepoints()[0]?.path);
    expect(orders.events()).not.toContain('Normal JobFinished');
  });
});

describe('a deletion', () => {
  it('tells the savepoint of a job that fails while it stops', async () => {
    orders = await aDeployedApplication({}, { stopFails: 'the sink cannot commit' });

    await orders.delete();
    await orders.roundsUntil(isGone);

    const [saved] = orders.savepoints();
    expect(orders.eventObjects().at(-1)).toMatchObject({ reason: 'CanceledJob' });
    expect(orders.eventObjects().at(-1)?.message).toContain(saved?.path);
  });

  it('cancels a job with a savepoint that does not stop', async () => {
    orders = await aDeployedApplication({ timeouts: { savepointSeconds: 60 } }, { stopHangs: true });

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 200 });

    expect(orders.savepoints()).toHaveLength(1);
    expect(orders.runs()).toMatchObject([{ image: IMAGE, state: 'CANCELED' }]);
    expect(orders.events()).not.toContain('Warning DeletedWithoutSavepoint');
  });
});
