// Faults of Lyft's flinkk8soperator by which state is lost, or two jobs run at once. Each test bears the number of its fault; see
// docs/differences-from-flinkk8soperator.md.

import { afterEach, describe, expect, it } from 'vitest';
import type { JarSettings } from '../../../infra/sandbox/images.ts';
import { expectAloneAtAnyTime } from '../../support/deploy-outcome.ts';
import {
  aDeployedApplication,
  anApplication,
  type Deployments,
  IMAGE,
  isGone,
  NEXT_IMAGE,
  type SpecOptions,
  STEP_SECONDS,
} from '../../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

/** An application whose first job behaves like this; later ones of the same image too, until it is described anew. */
async function anApplicationThat(jar: JarSettings, spec: SpecOptions = {}): Promise<void> {
  orders = await aDeployedApplication(spec, jar);
  await orders.rounds(30);
}

/** Nobody looks for a minute. */
async function passMinute(): Promise<void> {
  orders.sandbox.clock.advance(60);
  await orders.round();
}

async function expectCounting(): Promise<void> {
  const [before, ...others] = orders.livingJobs();
  await orders.rounds(10);
  const [after] = orders.livingJobs();
  expect(others).toEqual([]);
  expect(after).toMatchObject({ id: before?.id, state: 'RUNNING', count: (before?.count ?? 0) + 1000 });
}

describe('F2: a rollback waits for slots that only the new size needs', () => {
  it('F2: the old job comes back at its own parallelism after a step up that failed', async () => {
    orders = await aDeployedApplication();
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'a bad build' });

    await orders.scale(4);
    orders.changeImage();
    await orders.roundsUntil('DeployFailed', { seconds: 600 });

    expect(orders.status().failedDeploy).toMatchObject({ parallelism: 8, taskManagers: 4 });
    expect(orders.lastRun()).toMatchObject({ image: IMAGE, parallelism: 4, startCount: orders.savepoints()[0]?.count });
    await expectCounting();
  });
});

describe('F4: the id of a savepoint that failed is asked for again by the next deploy', () => {
  it('F4: the deploy after one whose savepoint failed takes a savepoint of its own', async () => {
    await anApplicationThat({ savepointFails: 1, checkpointFails: true });
    orders.changeImage();
    await orders.roundsUntil('DeployFailed');

    orders.edit((spec) => ({ ...spec, restartNonce: 'again' }));
    await orders.roundsUntil('Running');

    expect(orders.savepoints()).toHaveLength(1);
    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE, restoredFrom: orders.savepoints()[0]?.path });
  });
});

describe('F5: a savepoint that takes longer than 5 min counts as failed, and cancels the job all the same', () => {
  it('F5: one that is still in progress is waited for as long as spec.timeouts says', async () => {
    await anApplicationThat({ savepointSeconds: 500 }, { timeouts: { savepointSeconds: 900 } });

    orders.changeImage();
    await orders.roundsUntil('Savepointing');
    await orders.rounds(10);
    for (let minutes = 0; minutes < 8; minutes += 1) await passMinute();
    await orders.roundsUntil('Running');

    expect(orders.phases()).not.toContain('Recovering');
    expect(orders.lastRun()?.restoredFrom).toBe(orders.savepoints()[0]?.path);
    expectAloneAtAnyTime(orders);
  });

  it('F5: one that comes too late is used all the same where there is no checkpoint', async () => {
    await anApplicationThat({ savepointSeconds: 400, checkpointFails: true });

    orders.changeImage();
    await orders.roundsUntil('Savepointing');
    await orders.rounds(10);
    for (let minutes = 0; minutes < 6; minutes += 1) await passMinute();
    await orders.roundsUntil('Running');

    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE, restoredFrom: orders.savepoints()[0]?.path });
    expect(orders.savepoints()).toHaveLength(1);
    expectAloneAtAnyTime(orders);
    await expectCounting();
  });

  it('F5: one that comes when the deploy has been given up ends the old job, which goes on from it', async () => {
    await anApplicationThat({ savepointSeconds: 60 });

    orders.changeImage();
    await orders.roundsUntil(() => orders.sandbox.requests.some(({ path }) => path.endsWith('/stop')));
    orders.edit((spec) => ({ ...spec, forceRollback: true }));
    await orders.roundsUntil('RollingBackJob', { seconds: 10 });
    await orders.roundsUntil('DeployFailed');

    expect(orders.lastRun()).toMatchObject({ image: IMAGE, restoredFrom: orders.savepoints()[0]?.path });
    expectAloneAtAnyTime(orders);
    await expectCounting();
  });
});

describe('F6: two jobs can run at once', () => {
  it('F6: after a savepoint that failed the old job is seen to end before the new one begins', async () => {
    await anApplicationThat({ savepointFails: 'declined', cancelSeconds: 60 });

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(orders.lastRun()?.restoredFrom).toContain('/chk-');
    expectAloneAtAnyTime(orders);
    await expectCounting();
  });

  it('F6: with savepointDisabled a job that is slow to be cancelled is waited for', async () => {
    await anApplicationThat({ cancelSeconds: 60 }, { savepointDisabled: true });

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(orders.lastRun()?.image).toBe(NEXT_IMAGE);
    expectAloneAtAnyTime(orders);
  });

  it('F6: a new job that is to be rolled back is ended before the old one begins again', async () => {
    orders = await aDeployedApplication();
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'again and again', cancelSeconds: 40 });

    orders.changeImage();
    await orders.roundsUntil('DeployFailed', { seconds: 900 });

    expect(orders.runs().map(({ image, state }) => [image, state])).toEqual([
      [IMAGE, 'FINISHED'],
      [NEXT_IMAGE, 'CANCELED'],
      [IMAGE, 'RUNNING'],
    ]);
    expectAloneAtAnyTime(orders);
  });

  it('F6: a JobManager that does not answer is no proof that its job has ended', async () => {
    orders = await aDeployedApplication({ savepointDisabled: true });
    const { deployHash } = orders.status();
    const silence = { kind: 'status', code: 503, path: new RegExp(`/orders-${deployHash}:`) } as const;
    orders.changeImage();
    await orders.roundsUntil(() => orders.status().phase === 'ClusterStarting');
    orders.sandbox.faults.add(silence);

    await orders.roundsUntil('Running', { seconds: 900 });

    expect(orders.lastRun()?.image).toBe(NEXT_IMAGE);
    expectAloneAtAnyTime(orders);
  });
});

describe('F10: the age of a checkpoint is compared in milliseconds as if they were seconds', () => {
  const rarely = { 'execution.checkpointing.interval': '10min' };

  it.each([
    [
      'F10: a checkpoint older than maxCheckpointRestoreAgeSeconds is not restored: the job runs on',
      60,
      'DeployFailed',
    ],
    ['F10: one that is younger is', 300, 'Running'],
  ] as const)('%s', async (_name, maxCheckpointRestoreAgeSeconds, phase) => {
    await anApplicationThat({ savepointFails: 'declined' }, { flinkConfig: rarely, maxCheckpointRestoreAgeSeconds });
    orders.sandbox.clock.advance(700);

    orders.changeImage();
    await orders.roundsUntil(phase);

    expect(orders.lastRun()?.image).toBe(phase === 'Running' ? NEXT_IMAGE : IMAGE);
    await expectCounting();
  });
});

describe('F11: a deletion hangs for ever on a job that cannot be saved', () => {
  const lastWarning = () => orders.eventObjects().findLast(({ type }) => type === 'Warning');

  it('F11: a savepoint that fails three times is given up, and it is said where the state is', async () => {
    await anApplicationThat({ savepointFails: 'declined' });

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 120 });

    expect(lastWarning()).toMatchObject({
      reason: 'DeletedWithoutSavepoint',
      message: expect.stringMatching(/3 savepoints failed.*declined.*latest known checkpoint is s3:.*chk-/),
    });
  });

  it('F11: a job that has failed needs no savepoint', async () => {
    orders = await aDeployedApplication();
    orders.failJob({ isFatal: true });
    await orders.rounds(10);

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 30 });

    expect(orders.savepoints()).toEqual([]);
  });

  it('F11: a job that its JobManager has forgotten needs none either', async () => {
    orders = await aDeployedApplication();
    orders.killJobManager();
    await orders.rounds(20);

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 30 });
  });

  it('F11: a JobManager that never answers again is given up after a while', async () => {
    orders = await aDeployedApplication();
    orders.sandbox.faults.add({ kind: 'status', code: 503, path: /:ui\/proxy/ });

    await orders.delete();
    for (let minutes = 0; minutes < 16; minutes += 1) await passMinute();

    expect(isGone(orders)).toBe(true);
    expect(lastWarning()?.reason).toBe('DeletedWithoutSavepoint');
  });
});

describe('F12: a job that was lost or has failed is never noticed, and every update of it fails', () => {
  it('F12: a lost job is said to be lost, once in an Event', async () => {
    orders = await aDeployedApplication();
    orders.killJobManager();

    await orders.rounds(120);

    expect(orders.conditions()).toContain('JobRunning False JobLost');
    expect(orders.status().jobStatus).toMatchObject({ state: 'LOST', health: 'Red' });
    expect(orders.events().filter((event) => event === 'Warning JobLost')).toHaveLength(1);
    expect(orders.livingJobs()).toEqual([]);
  });

  it('F12: a failed job is said to have failed, with the cause', async () => {
    orders = await aDeployedApplication();
    orders.failJob({ isFatal: true, cause: 'the disk is full' });

    await orders.rounds(20);

    const condition = orders.status().conditions?.find(({ type }) => type === 'JobRunning');
    expect(condition).toMatchObject({
      status: 'False',
      reason: 'JobFailed',
      message: expect.stringContaining('the disk is full'),
    });
    expect(orders.status().jobStatus?.health).toBe('Red');
  });

  it.each([
    ['F12: with restartPolicy FromLatestCheckpoint a lost job', () => orders.killJobManager()],
    ['F12: with restartPolicy FromLatestCheckpoint a failed job', () => orders.failJob({ isFatal: true })],
  ])('%s goes on from its latest checkpoint', async (_name, lose) => {
    orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint' });
    await orders.rounds(60);
    lose();

    await orders.roundsUntil(() => orders.runs().length === 2 && orders.status().phase === 'Running');

    expect(orders.lastRun()?.restoredFrom).toContain('/chk-');
    expect(orders.lastRun()?.startCount).toBeGreaterThan(1000);
    expectAloneAtAnyTime(orders);
    await expectCounting();
  });

  it('F12: a restart that did not come up is tried again from the same checkpoint, when its back-off is over', async () => {
    const neverByItself = { 'restart-strategy.type': 'none' };
    orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint', flinkConfig: neverByItself });
    await orders.rounds(60);
    orders.describeJar(IMAGE, { failsAtStart: 'no connection' });
    orders.failJob({ isFatal: true });
    await orders.roundsUntil('DeployFailed');
    orders.describeJar(IMAGE, {});

    orders.sandbox.clock.advance(300);
    await orders.roundsUntil('Running');

    const [, failed, restarted] = orders.runs();
    expect(failed).toMatchObject({ state: 'FAILED', restoredFrom: expect.stringContaining('/chk-') });
    expect(restarted).toMatchObject({ state: 'RUNNING', restoredFrom: failed?.restoredFrom });
  });

  it('F12: an update of a lost job goes on from the latest checkpoint that was recorded', async () => {
    orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint' });
    await orders.rounds(60);
    orders.killJobManager();

    orders.changeImage();
    await orders.roundsUntil(() => orders.status().phase === 'Running' && orders.lastRun()?.image === NEXT_IMAGE);

    expect(orders.lastRun()?.restoredFrom).toContain('/chk-');
    expect(orders.lastRun()?.startCount).toBeGreaterThan(1000);
  });

  it('F12: a job lost before its first checkpoint goes on from what it was begun with, not from a checkpoint of its predecessor', async () => {
    orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint' });
    await orders.rounds(60);
    orders.changeImage();
    await orders.roundsUntil('Running');
    orders.killJobManager();

    await orders.roundsUntil(() => orders.runs().length === 3 && orders.status().phase === 'Running');

    expect(orders.lastRun()?.restoredFrom).toBe(orders.savepoints()[0]?.path);
  });
});

describe('F28: a batch job that has finished is taken for one that runs, or for one that never came up', () => {
  it('F28: a job that has finished before anybody looked counts as deployed', async () => {
    orders = await anApplication();
    orders.describeJar(IMAGE, { isBounded: true, runSeconds: 1 });

    await orders.roundsUntil(() => orders.runs().length === 1);
    orders.sandbox.clock.advance(60);
    await orders.roundsUntil('Running', { seconds: 0 });
    await orders.rounds(10);

    expect(orders.conditions()).toContain('JobRunning False JobFinished');
    expect(orders.conditions()).toContain('Deployed True Deployed');
    expect(orders.events().filter((event) => event === 'Normal JobFinished')).toHaveLength(1);
    expect(orders.runs()).toHaveLength(1);
  });

  it.each([false, true])(
    'F28: a finished job is neither saved nor cancelled when the next one is deployed (savepointDisabled: %s)',
    async (savepointDisabled) => {
      await anApplicationThat({ isBounded: true, runSeconds: 5 }, { savepointDisabled });

      orders.changeImage();
      await orders.roundsUntil('Running');

      const orders_ = orders.sandbox.requests.filter(
        ({ method, path }) => /savepoints$/.test(path) || (method === 'PATCH' && /\/jobs\//.test(path)),
      );
      expect(orders_).toEqual([]);
      expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }, { image: NEXT_IMAGE, restoredFrom: undefined }]);
    },
  );

  it('F28: a finished job does not hold up its deletion', async () => {
    await anApplicationThat({ isBounded: true, runSeconds: 5 });

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 20 });
  });
});

describe('F32: two operators, or two overlapping rounds, trigger savepoints and submissions twice', () => {
  it('F32: two processes that deploy at the same time take one savepoint and submit one job', async () => {
    orders = await aDeployedApplication();

    orders.changeImage();
    for (let passed = 0; orders.status().phase !== 'Running' || passed < 10; passed += STEP_SECONDS) {
      await Promise.all(['one', 'another'].map((id) => orders.round({ id })));
      orders.sandbox.clock.advance(STEP_SECONDS);
    }

    expect(orders.runs()).toHaveLength(2);
    expect(orders.savepoints()).toHaveLength(1);
    expectAloneAtAnyTime(orders);
    expect(orders.lastRun()?.startCount).toBe(orders.savepoints()[0]?.count);
  });
});
