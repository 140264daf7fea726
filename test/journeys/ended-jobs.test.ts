// What has ended stays ended: jobs that finish, fail or are cancelled, with autoscalers and people that write sizes and JobManagers
// that forget.

import { afterEach, describe, expect, it } from 'vitest';
import type { JarSettings } from '../../infra/sandbox/images.ts';
import { expectAloneAtAnyTime } from '../support/deploy-outcome.ts';
import {
  ADAPTIVE,
  aDeployedApplication,
  type Deployments,
  NAMESPACE,
  NEXT_IMAGE,
  type SpecOptions,
} from '../support/deployments.ts';
import { Shard } from '../support/sandbox.ts';

let orders: Deployments;
afterEach(() => orders.close());

const BOUNDED: JarSettings = { isBounded: true, runSeconds: 20 };
const NO_RETRY = { 'restart-strategy.type': 'none' };

type End = 'FINISHED' | 'CANCELED' | 'FAILED' | 'LOST';

/** An application whose job runs no more, and which has been seen so. */
async function anEndedJob(end: End, spec: SpecOptions = {}): Promise<void> {
  orders = await aDeployedApplication(
    { ...spec, flinkConfig: { ...NO_RETRY, ...spec.flinkConfig } },
    end === 'FINISHED' ? BOUNDED : {},
  );
  // So often counts of checkpoints are written where nobody needs them at once.
  if (end !== 'FINISHED') orders.sandbox.clock.advance(300);
  await orders.round();
  if (end === 'CANCELED') orders.sandbox.flink.cancelJob(NAMESPACE, 'orders');
  if (end === 'FAILED') orders.failJob({ isFatal: true });
  if (end === 'LOST') orders.killJobManager();
  await orders.roundsUntil(() => orders.status().jobStatus?.state === end);
}

const messageOf = (type: string) => orders.status().conditions?.find((condition) => condition.type === type)?.message;

describe('an autoscaler', () => {
  it.each<[End, string, boolean]>([
    ['FINISHED', 'has finished', false],
    ['CANCELED', 'was cancelled', false],
    ['FAILED', 'has failed', true],
    ['LOST', 'does not know job', true],
  ])('does not scale a job that is %s, and says why', async (end, words, isFault) => {
    await anEndedJob(end);
    const shard = new Shard(orders.sandbox);
    // Its idle TaskManagers "need less".
    shard.addAutoscaler({ spec: { minReplicas: 1 } });
    const before = shard.scaleWrites;

    for (let minute = 0; minute < 15; minute += 1) {
      await shard.ticks(4);
      await orders.round();
    }

    expect(orders.runs()).toHaveLength(1);
    expect(shard.size()).toBe(2);
    expect(shard.scaleWrites).toEqual(before);
    expect(shard.conditions()).toContain('ScalingActive False JobNotRunning');
    const [judged] = (await shard.tick()).autoscalers;
    expect(judged?.decision?.message).toMatch(/^FlinkApplication orders is not scaled, since its job does not run: /);
    expect(judged?.decision?.message).toContain(words);
    expect(judged?.error !== undefined).toBe(isFault);
    expect(shard.status().lastDecision).toMatchObject({ reason: 'JobNotRunning', desiredReplicas: 2 });
    const told = shard.eventObjects().filter(({ reason }) => reason === 'JobNotRunning');
    expect(told.length > 0).toBe(isFault);
    // Once, and once more if the cause is known later.
    expect(new Set(told.map(({ message }) => message)).size).toBe(told.length);
  });

  it('scales again when the job runs again', async () => {
    await anEndedJob('FINISHED');
    const shard = new Shard(orders.sandbox);
    shard.addAutoscaler({ spec: { minReplicas: 3 } });
    await shard.ticks(2);
    orders.describeJar('orders:1', {});
    orders.edit((spec) => ({ ...spec, restartNonce: 'again' }));
    await orders.roundsUntil(() => orders.livingJobs().some(({ state }) => state === 'RUNNING'));
    await orders.roundsUntil('Running');

    await shard.ticks(2);
    await orders.roundsUntil(() => orders.status().jobStatus?.parallelism === 6);

    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING', parallelism: 6 }]);
    expect(shard.conditions().join()).not.toContain('JobNotRunning');
  });
});

describe('kubectl scale', () => {
  it.each<[End, SpecOptions]>([
    ['FINISHED', {}],
    ['CANCELED', {}],
    ['FAILED', {}],
    ['LOST', {}],
    ['FINISHED', { scaleMode: 'InPlace' }],
    ['CANCELED', { scaleMode: 'InPlace', flinkConfig: ADAPTIVE }],
    ['CANCELED', { restartPolicy: 'FromLatestCheckpoint' }],
    ['FINISHED', { deploymentMode: 'BlueGreen' }],
    ['LOST', { deploymentMode: 'BlueGreen', restartPolicy: 'FromLatestCheckpoint' }],
  ])('starts no job again that is %s (%j), and is deployed with restartNonce', async (end, spec) => {
    await anEndedJob(end, spec);
    orders.describeJar('orders:1', {});

    await orders.scale(4);
    await orders.rounds(60);

    expect(orders.runs()).toHaveLength(1);
    expect(orders.taskManagers()).toHaveLength(2);
    expect(orders.status()).toMatchObject({ phase: 'Running', jobStatus: { state: end } });
    expect(orders.conditions()).toContain('Deployed False SizeRecorded');
    expect(messageOf('Deployed')).toContain('4 TaskManagers (parallelism 8) are recorded, 2 (4) are deployed');
    expect(orders.events().filter((event) => event === 'Normal SizeRecorded')).toHaveLength(1);

    orders.edit((before) => ({ ...before, restartNonce: 'again' }));
    await orders.roundsUntil(() => orders.livingJobs().some(({ state }) => state === 'RUNNING'));

    expect(orders.lastRun()).toMatchObject({ parallelism: 8 });
    expect(orders.runs()).toHaveLength(2);
    expectAloneAtAnyTime(orders);
  });

  it.each<End>(['FAILED', 'LOST'])(
    'waits for a %s job that its policy starts again, and is then deployed',
    async (end) => {
      orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint', flinkConfig: NO_RETRY });
      await orders.roundsUntil(() => orders.status().jobStatus?.lastCheckpoint !== undefined);
      if (end === 'FAILED') orders.failJob({ isFatal: true });
      else orders.killJobManager();
      await orders.scale(4);

      await orders.roundsUntil(
        () => orders.status().jobStatus?.parallelism === 8 && orders.status().phase === 'Running',
      );

      expect(orders.runs().map(({ parallelism, state }) => [parallelism, state])).toEqual([
        [4, end],
        [4, 'FINISHED'],
        [8, 'RUNNING'],
      ]);
      expectAloneAtAnyTime(orders);
    },
  );

  it('gives a rescale up when the job finishes before it is stopped for it', async () => {
    orders = await aDeployedApplication({}, { isBounded: true, runSeconds: 6 });
    await orders.scale(4);
    await orders.roundsUntil('ClusterStarting');
    orders.sandbox.clock.advance(6);

    await orders.rounds(30);

    expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }]);
    expect(orders.events()).toContain('Normal DeployWithdrawn');
    expect(orders.conditions()).toContain('Deployed False SizeRecorded');
    expect(orders.deployments()).toHaveLength(2);
  });
});

describe('a JobManager that is restarted', () => {
  it.each<[End, string]>([
    ['FINISHED', 'JobFinished'],
    ['CANCELED', 'JobCanceled'],
  ])('does not start a job again that was %s, under FromLatestCheckpoint', async (end, reason) => {
    await anEndedJob(end, { restartPolicy: 'FromLatestCheckpoint' });

    orders.killJobManager();
    await orders.rounds(120);

    expect(orders.jobs()).toEqual([]);
    expect(orders.runs()).toHaveLength(1);
    expect(orders.status().jobStatus?.state).toBe(end);
    expect(orders.conditions()).toContain(`JobRunning False ${reason}`);
    expect(orders.events()).not.toContain('Warning JobLost');
  });

  it('makes a lost job of one whose end nobody saw', async () => {
    orders = await aDeployedApplication({}, BOUNDED);
    orders.sandbox.clock.advance(30);
    orders.killJobManager();

    await orders.rounds(20);

    expect(orders.conditions()).toContain('JobRunning False JobLost');
  });
});

describe('a deploy that fails', () => {
  it.each<End>(['FINISHED', 'CANCELED', 'FAILED', 'LOST'])(
    'does not bring a job back that was %s before',
    async (end) => {
      await anEndedJob(end, { timeouts: { verticesSeconds: 6 } });
      orders.describeJar(NEXT_IMAGE, { failsAtStart: 'no such topic' });
      orders.changeImage();

      await orders.roundsUntil('DeployFailed');
      await orders.rounds(20);

      expect(orders.runs().map(({ image }) => image)).toEqual(['orders:1', NEXT_IMAGE]);
      expect(orders.livingJobs()).toEqual([]);
      expect(orders.status()).toMatchObject({ phase: 'DeployFailed', jobStatus: { state: end } });
      expect(orders.conditions()).toContain('Deployed False JobMonitoringFailed');
      expect(orders.deployments()).toHaveLength(2);
    },
  );
});
