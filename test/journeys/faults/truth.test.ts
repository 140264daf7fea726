// What a status says while something is wrong: it is what is so, and its cause is beside it.

import { afterEach, describe, expect, it } from 'vitest';
import type { ApplicationSpec } from '../../../shared/deployment/types.ts';
import {
  aDeployedApplication,
  anApplication,
  type Deployments,
  IMAGE,
  type SpecOptions,
  STEP_SECONDS,
} from '../../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

const message = (type: string) => orders.status().conditions?.find((condition) => condition.type === type)?.message;

const NO_RESTARTS = { flinkConfig: { 'restart-strategy.type': 'none' } };

describe('a first deploy whose job fails', () => {
  // What a JobManager says of a job is up to three seconds old: wherever in them the look comes, the cause is found.
  it.each([0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8])(
    'tells the cause, and that nothing runs, looked at %s s later',
    async (later) => {
      orders = await anApplication(NO_RESTARTS);
      orders.describeJar(IMAGE, { failsAtStart: 'topic orders does not exist.' });
      await orders.roundsUntil('SubmittingJob');
      orders.sandbox.clock.advance(later);

      await orders.roundsUntil('DeployFailed');

      expect(orders.status().failedDeploy?.message).toMatch(/ is FAILED: .*topic orders does not exist\.$/);
      expect(message('Deployed')).toMatch(/topic orders does not exist; tried again at 2026-/);
      expect(orders.eventObjects().find(({ reason }) => reason === 'DeployFailed')?.message).toMatch(
        /topic orders does not exist\. It is tried again at 2026-/,
      );
      expectNothingRuns('FAILED');

      await orders.rounds(60);

      expect(orders.pods()).toEqual([]);
      expectNothingRuns('FAILED');
    },
  );

  it('tells of the next attempt as soon as that has a job', async () => {
    orders = await anApplication(NO_RESTARTS);
    orders.describeJar(IMAGE, { failsAtStart: 'topic orders does not exist' });
    await orders.roundsUntil('DeployFailed');
    orders.describeJar(IMAGE, {});

    await orders.roundsUntil('ClusterStarting', { seconds: 400 });
    expect(orders.conditions()).toContain('JobRunning False JobFailed');

    await orders.roundsUntil('Running');
    expect(orders.conditions()).toContain('JobRunning True JobRunning');
    expect(orders.status().jobStatus).toMatchObject({ state: 'RUNNING', health: 'Green' });
  });

  function expectNothingRuns(state: string): void {
    expect(orders.status()).toMatchObject({
      jobStatus: { state, health: 'Red', runningTasks: 0 },
      clusterStatus: { numberOfTaskManagers: 0, healthyTaskManagers: 0 },
    });
    expect(orders.status().clusterStatus).not.toHaveProperty('health');
    expect(orders.conditions()).toContain('JobRunning False JobFailed');
    expect(message('JobRunning')).toMatch(/topic orders does not exist\. Nothing runs$/);
  }
});

describe('a job that fails every ten seconds', () => {
  it('is Red at every look, counts its restarts, and is reported once', async () => {
    orders = await aDeployedApplication({}, { failsAfterSeconds: 8 });
    await orders.rounds(60);

    const seen = [];
    for (let look = 0; look < 30; look += 1) {
      orders.sandbox.clock.advance(17);
      await orders.round();
      seen.push(orders.status().jobStatus?.health);
    }

    expect(seen).toEqual(Array.from({ length: 30 }, () => 'Red'));
    expect(orders.events().filter((event) => event.endsWith('JobRestartLoop'))).toEqual(['Warning JobRestartLoop']);
    const restarts = orders.jobs()[0]?.restarts ?? 0;
    expect(restarts).toBeGreaterThan(40);
    expect(Math.abs((orders.status().jobStatus?.jobRestartCount ?? 0) - restarts)).toBeLessThan(5);
  });

  it('is stable again ten minutes after its last failure', async () => {
    orders = await aDeployedApplication();
    for (let failures = 0; failures < 3; failures += 1) {
      orders.failJob({ cause: 'the disk is full' });
      await orders.rounds(20);
    }
    expect(orders.events()).toContain('Warning JobRestartLoop');

    await orders.rounds(570);
    expect(orders.status().jobStatus).toMatchObject({ health: 'Red' });

    await orders.rounds(60);
    expect(orders.status().jobStatus).toMatchObject({ health: 'Green', jobRestartCount: 3 });
    expect(orders.events().filter((event) => event.endsWith('JobStable'))).toEqual(['Normal JobStable']);
    expect(orders.conditions()).toContain('JobRunning True JobRunning');
  });
});

describe('a job that was only restored', () => {
  it('has not restarted, and is said to run with its own parallelism at every look', async () => {
    orders = await aDeployedApplication();
    await orders.rounds(30);
    const before = orders.status().jobStatus?.jobID;
    orders.edit((spec) => ({ ...spec, parallelism: 6, taskManagerConfig: { taskSlots: 2, replicas: 3 } }));
    const wrong: string[] = [];

    for (let passed = 0; passed < 120; passed += STEP_SECONDS) {
      await orders.round();
      const { jobID } = orders.status().jobStatus ?? {};
      const said = message('JobRunning') ?? '';
      const parallelism = jobID === before ? 4 : 6;
      if (said.includes('runs with') && said !== `Job ${jobID} runs with parallelism ${parallelism}`) wrong.push(said);
      orders.sandbox.clock.advance(STEP_SECONDS);
    }

    expect(wrong).toEqual([]);
    expect(orders.lastRun()).toMatchObject({ parallelism: 6, state: 'RUNNING' });
    expect(orders.status().jobStatus).toMatchObject({ jobRestartCount: 0, restorePath: expect.any(String) });
  });
});

describe('pods that may not be made', () => {
  it('are named with the cause while the deploy waits for them, and when it has failed', async () => {
    orders = await aDeployedApplication({ timeouts: { clusterStartSeconds: 30 } });
    orders.sandbox.workloads.configure({ podQuota: 4 });
    orders.changeImage();
    await orders.rounds(20);

    expect(message('Deployed')).toMatch(
      /is being deployed on cluster .*; orders-[0-9a-f]{8}-tm: FailedCreate: pods ".*" is forbidden: exceeded quota/,
    );

    await orders.roundsUntil('DeployFailed');

    expect(message('Deployed')).toMatch(/did not come up within 30 s: .*-tm: FailedCreate: .*exceeded quota: pods/);
    expect(orders.status().failedDeploy?.message).toContain('exceeded quota: pods, requested: pods=1');
    expect(orders.eventObjects().find(({ reason }) => reason === 'DeployFailed')?.message).toContain('exceeded quota');
    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING' }]);
  });

  it('are named where a rescale in place waits for them', async () => {
    const flinkConfig = { 'jobmanager.scheduler': 'adaptive' };
    orders = await aDeployedApplication({ scaleMode: 'InPlace', flinkConfig, timeouts: { clusterStartSeconds: 30 } });
    orders.sandbox.workloads.configure({ podQuota: 4 });
    await orders.scale(4);

    await orders.roundsUntil('DeployFailed');

    expect(message('Deployed')).toMatch(/with 3 of 4 TaskManagers available: .*FailedCreate: .*exceeded quota/);
  });

  it('are named where a cluster has lost its own, and cannot be reached', async () => {
    orders = await aDeployedApplication();
    orders.sandbox.workloads.configure({ podQuota: 0 });
    for (const name of orders.pods()) {
      const pod = orders.sandbox.store.get('Pod', 'flink', name);
      if (pod !== undefined) orders.sandbox.store.delete(pod);
    }
    await orders.rounds(20);

    expect(orders.conditions()).toContain('JobRunning Unknown JobManagerUnreachable');
    expect(message('JobRunning')).toMatch(/; orders-[0-9a-f]{8}-jm: FailedCreate: .*exceeded quota/);
  });
});

describe('a misspelt field', () => {
  it('is reported once and keeps nothing from being deployed, until it is spelt as it must be', async () => {
    orders = await anApplication({
      restartPolcy: 'FromLatestCheckpoint',
      timeouts: { savepointSecs: 60 },
    } as SpecOptions);
    await orders.roundsUntil('Running');
    await orders.rounds(30);

    expect(message('FieldsKnown')).toBe(
      'spec.restartPolcy is not a field that Headrace reads (did you mean spec.restartPolicy?); ' +
        'spec.timeouts.savepointSecs is not a field that Headrace reads (did you mean spec.timeouts.savepointSeconds?)',
    );
    expect(orders.conditions()).toEqual([
      'SpecValid True Valid',
      'FieldsKnown False UnknownFields',
      'Deployed True Deployed',
      'JobRunning True JobRunning',
    ]);
    expect(orders.events().filter((event) => event.endsWith('UnknownFields'))).toEqual(['Warning UnknownFields']);

    orders.edit(({ restartPolcy: _, timeouts: __, ...spec }: ApplicationSpec & { restartPolcy?: string }) => spec);
    await orders.rounds(4);

    expect(orders.conditions()).toContain('FieldsKnown True FieldsKnown');
    expect(orders.runs()).toHaveLength(1);
  });
});
