// The integration tests of Lyft's flinkk8soperator, replayed against the sandbox on its clock. Each bears the number under which
// it is told in its name; where Headrace comes to another end on purpose, the name says to which.

import { afterEach, describe, expect, it } from 'vitest';
import { ADAPTIVE, aDeployedApplication, type Deployments, IMAGE, isGone, NEXT_IMAGE } from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

/** Every pod of the cluster that is deployed, and none of another. */
const podsOfDeployed = () => orders.pods().filter((pod) => pod.startsWith(`orders-${orders.status().deployHash}-`));

const isOnlyDeployedLeft = () => orders.pods().length === podsOfDeployed().length;

/** The phases since the application ran last. */
const latestPhases = () => orders.phases().slice(orders.phases().slice(0, -1).lastIndexOf('Running') + 1);

async function deploy(change: Parameters<Deployments['edit']>[0]): Promise<void> {
  orders.edit(change);
  await orders.roundsUntil('Running');
  await orders.roundsUntil(isOnlyDeployedLeft);
}

describe('I1 TestSimple', () => {
  it('I1 comes up with a JobManager and TaskManagers of the image', async () => {
    orders = await aDeployedApplication({ parallelism: 2 });

    expect(orders.phases()).toEqual(['Updating', 'ClusterStarting', 'Savepointing', 'SubmittingJob', 'Running']);
    expect(podsOfDeployed()).toHaveLength(2);
    expect(orders.runs()).toMatchObject([{ image: IMAGE, state: 'RUNNING', restoredFrom: undefined }]);
  });

  it('I1 moves to another image with a savepoint, and takes the old pods away', async () => {
    orders = await aDeployedApplication();
    const before = orders.status();

    await deploy((spec) => ({ ...spec, image: NEXT_IMAGE }));

    expect(latestPhases()).toEqual(['Updating', 'ClusterStarting', 'Savepointing', 'SubmittingJob', 'Running']);
    expect(orders.status().jobStatus?.jobID).not.toBe(before.jobStatus?.jobID);
    expect(orders.status().jobStatus?.restorePath).toContain('s3://state/savepoints/savepoint-');
    expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }, { image: NEXT_IMAGE, state: 'RUNNING' }]);
    expect(orders.lastRun()?.startCount).toBe(orders.savepoints()[0]?.count);
    expect(orders.deployments().some((name) => name.includes(before.deployHash ?? '-'))).toBe(false);
  });

  it('I1 makes a changed key of flinkConfig reach the JobManager', async () => {
    orders = await aDeployedApplication();

    await deploy((spec) => ({ ...spec, flinkConfig: { ...spec.flinkConfig, 'akka.client.timeout': '23 s' } }));

    const { spec } =
      orders.sandbox.store.list('Deployment').find(({ metadata }) => metadata.name.endsWith('-jm')) ?? {};
    expect(JSON.stringify(spec)).toContain('akka.client.timeout: 23 s');
  });
});

describe('I1b TestSimple, a bad jar', () => {
  it('I1b is missed before the old job is stopped (Lyft: stopped, then brought back under a new id), and rolls forward', async () => {
    orders = await aDeployedApplication();
    const before = orders.status();

    orders.edit((spec) => ({ ...spec, jarName: 'missing.jar', restartNonce: 'rollback' }));
    await orders.roundsUntil('DeployFailed');

    expect(orders.status()).toMatchObject({
      deployHash: before.deployHash,
      jobStatus: { jobID: before.jobStatus?.jobID, state: 'RUNNING' },
      failedDeploy: { reason: 'JobNotRunnable', message: expect.stringContaining('missing.jar') },
    });
    expect(orders.runs()).toMatchObject([{ state: 'RUNNING' }]);

    await deploy((spec) => ({ ...spec, jarName: 'orders.jar', restartNonce: 'rollback2' }));

    expect(orders.status().failedDeploy).toBeUndefined();
    expect(orders.lastRun()?.startCount).toBe(orders.savepoints()[0]?.count);
  });

  it('I1b is rolled back to a new job, restored from the savepoint, when the old one had been stopped', async () => {
    orders = await aDeployedApplication();
    const before = orders.status();
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'a bad build' });

    orders.changeImage();
    await orders.roundsUntil('DeployFailed', { seconds: 600 });

    expect(latestPhases()).toContain('RollingBackJob');
    expect(orders.status().deployHash).toBe(before.deployHash);
    expect(orders.status().jobStatus?.jobID).not.toBe(before.jobStatus?.jobID);
    expect(orders.lastRun()).toMatchObject({
      state: 'RUNNING',
      image: IMAGE,
      restoredFrom: expect.stringContaining('savepoint-'),
      startCount: orders.savepoints()[0]?.count,
    });

    await deploy((spec) => ({ ...spec, image: IMAGE, restartNonce: 'again' }));

    expect(orders.status().failedDeploy).toBeUndefined();
  });
});

it('I1c a forced rollback in ClusterStarting leaves the old job untouched, and the fix rolls forward', async () => {
  orders = await aDeployedApplication();
  const before = orders.status();
  orders.sandbox.flink.image('registry.example.com/bad', { pullable: false });
  orders.changeImage('registry.example.com/bad');
  await orders.roundsUntil('ClusterStarting');

  orders.edit((spec) => ({ ...spec, forceRollback: true }));
  await orders.roundsUntil('DeployFailed');
  await orders.rounds(60);

  expect(orders.status()).toMatchObject({ phase: 'DeployFailed', jobStatus: { jobID: before.jobStatus?.jobID } });
  expect(orders.runs()).toMatchObject([{ state: 'RUNNING' }]);
  expect(isOnlyDeployedLeft()).toBe(true);

  await deploy((spec) => ({ ...spec, image: NEXT_IMAGE, forceRollback: false }));

  expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE, startCount: orders.savepoints()[0]?.count });
});

it('I1d is deleted when its savepoint is taken, its job stopped, and leaves no pod', async () => {
  orders = await aDeployedApplication();
  await orders.rounds(20);

  await orders.delete();
  await orders.roundsUntil(isGone);
  await orders.rounds(10);

  expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }]);
  expect(orders.savepoints()).toHaveLength(1);
  expect(orders.pods()).toEqual([]);
});

it('I2 TestRecovery: a job that fails and cannot be saved is updated from its checkpoint', async () => {
  orders = await aDeployedApplication({}, { savepointFails: 'it hangs' });
  await orders.rounds(30);

  await deploy((spec) => ({ ...spec, image: NEXT_IMAGE }));

  expect(latestPhases()).toEqual([
    'Updating',
    'ClusterStarting',
    'Savepointing',
    'Recovering',
    'SubmittingJob',
    'Running',
  ]);
  expect(orders.lastRun()?.restoredFrom).toMatch(/^s3:\/\/state\/checkpoints\/.*\/chk-/);
  expect(orders.lastRun()?.startCount).toBeGreaterThan(1000);
  expect(orders.ledger().aliveTogetherSeconds).toBe(0);
});

/** Neither a savepoint nor a checkpoint is to be had of its job. */
async function anUnsavableApplication(): Promise<Deployments> {
  const application = await aDeployedApplication({}, { savepointFails: 'it takes too long', checkpointFails: true });
  await application.rounds(20);
  return application;
}

it('I3 TestCheckpointTimeout: an update without any state to go on from fails, and the same job runs on', async () => {
  orders = await anUnsavableApplication();
  const { jobID } = orders.status().jobStatus ?? {};

  orders.changeImage();
  await orders.roundsUntil('DeployFailed', { seconds: 600 });

  expect(orders.livingJobs()).toMatchObject([{ id: jobID, state: 'RUNNING' }]);
  expect(orders.runs()).toHaveLength(1);

  orders.edit((spec) => ({ ...spec, deleteMode: 'ForceCancel' }));
  await orders.delete();
  await orders.roundsUntil(isGone);

  expect(orders.lastRun()?.state).toBe('CANCELED');
});

it('I4 TestJobWithTaskFailures: a failing job without state is not replaced, and keeps its id', async () => {
  orders = await anUnsavableApplication();
  const { jobID } = orders.status().jobStatus ?? {};
  orders.failJob();

  orders.edit((spec) => ({ ...spec, image: NEXT_IMAGE, fallbackWithoutState: false }));
  await orders.roundsUntil('DeployFailed', { seconds: 600 });

  expect(orders.status().jobStatus?.jobID).toBe(jobID);
  expect(orders.runs()).toMatchObject([{ jobId: jobID, state: 'RUNNING' }]);
});

it('I5 TestSavepointCheckpointFailureFallback: with fallbackWithoutState the new job begins without state', async () => {
  orders = await anUnsavableApplication();

  await deploy((spec) => ({ ...spec, image: NEXT_IMAGE, fallbackWithoutState: true }));

  expect(orders.runs()).toMatchObject([
    { state: 'CANCELED' },
    { image: NEXT_IMAGE, state: 'RUNNING', restoredFrom: undefined },
  ]);
  expect(orders.ledger().aliveTogetherSeconds).toBe(0);
});

it('I6 TestJobCancellationWithoutSavepoint: with savepointDisabled the job is cancelled, and nothing is restored', async () => {
  orders = await aDeployedApplication({ savepointDisabled: true });

  await deploy((spec) => ({ ...spec, image: NEXT_IMAGE }));

  expect(latestPhases()).toEqual(['Updating', 'ClusterStarting', 'Cancelling', 'SubmittingJob', 'Running']);
  expect(orders.status().savepointPath ?? '').toBe('');
  expect(orders.savepoints()).toEqual([]);
  expect(orders.runs()).toMatchObject([{ state: 'CANCELED' }, { restoredFrom: undefined, startCount: 0 }]);

  orders.edit((spec) => ({ ...spec, deleteMode: 'ForceCancel' }));
  await orders.delete();
  await orders.roundsUntil(isGone);

  expect(orders.savepoints()).toEqual([]);
});

it('I7 TestCancelledJobWithoutSavepoint: a job that somebody cancelled does not stand in the way of an update', async () => {
  orders = await aDeployedApplication({ savepointDisabled: true });
  orders.sandbox.flink.cancelJob('flink', 'orders');
  await orders.rounds(10);

  await deploy((spec) => ({ ...spec, image: NEXT_IMAGE }));

  expect(orders.runs()).toMatchObject([{ state: 'CANCELED' }, { image: NEXT_IMAGE, state: 'RUNNING' }]);
});

describe('I8 TestJobRecoveryWithoutSavepoint', () => {
  it('I8 with a bad jar the old job is not even cancelled (Lyft: it begins anew under a new id)', async () => {
    orders = await aDeployedApplication({ savepointDisabled: true });
    const { deployHash } = orders.status();

    orders.edit((spec) => ({ ...spec, jarName: 'missing.jar' }));
    await orders.roundsUntil('DeployFailed');

    expect(orders.status().deployHash).toBe(deployHash);
    expect(orders.runs()).toMatchObject([{ state: 'RUNNING' }]);

    await deploy((spec) => ({ ...spec, jarName: 'orders.jar', image: NEXT_IMAGE }));

    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE, restoredFrom: undefined });
  });

  it('I8 with a job that fails at its start the old one begins anew, without state, on the old cluster', async () => {
    orders = await aDeployedApplication({ savepointDisabled: true });
    const { deployHash } = orders.status();
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'a bad build' });

    orders.changeImage();
    await orders.roundsUntil('DeployFailed', { seconds: 600 });

    expect(orders.status().deployHash).toBe(deployHash);
    expect(orders.status().jobStatus?.restorePath).toBeUndefined();
    expect(orders.lastRun()).toMatchObject({ image: IMAGE, state: 'RUNNING', restoredFrom: undefined });
    expect(orders.livingJobs()).toHaveLength(1);
  });
});

describe('I9 TestInPlaceScaleUp', () => {
  it('I9 enlarges the cluster that is there and moves the job by a savepoint, then deploys another image', async () => {
    orders = await aDeployedApplication({ parallelism: 2, scaleMode: 'InPlace' });
    const before = orders.deployments();

    orders.edit((spec) => ({ ...spec, parallelism: 4 }));
    await orders.roundsUntil('Running');

    expect(latestPhases()).toEqual(['Rescaling', 'Savepointing', 'SubmittingJob', 'Running']);
    expect(orders.deployments()).toEqual(before);
    expect(orders.pods()).toHaveLength(3);
    expect(orders.runs()).toMatchObject([
      { state: 'FINISHED', parallelism: 2 },
      { state: 'RUNNING', parallelism: 4, startCount: orders.savepoints()[0]?.count },
    ]);

    await deploy((spec) => ({ ...spec, image: NEXT_IMAGE }));

    expect(orders.lastRun()).toMatchObject({
      image: NEXT_IMAGE,
      parallelism: 4,
      startCount: orders.savepoints()[1]?.count,
    });
  });

  it('I9 needs no savepoint with the adaptive scheduler, and scales down too', async () => {
    orders = await aDeployedApplication({ parallelism: 2, scaleMode: 'InPlace', flinkConfig: ADAPTIVE });
    const { jobID } = orders.status().jobStatus ?? {};

    for (const [taskManagers, parallelism] of [
      [3, 6],
      [1, 2],
    ]) {
      await orders.scale(taskManagers as number);
      await orders.roundsUntil(() => orders.status().jobStatus?.parallelism === parallelism);

      expect(orders.pods()).toHaveLength(1 + (taskManagers as number));
      expect(orders.livingJobs()).toMatchObject([{ id: jobID, state: 'RUNNING', parallelism }]);
    }
    expect(orders.savepoints()).toEqual([]);
  });

  it('I9 removes TaskManagers only when the job has given their slots back, so that none of its tasks fails', async () => {
    orders = await aDeployedApplication({ parallelism: 8, scaleMode: 'InPlace', flinkConfig: ADAPTIVE });

    await orders.scale(2);
    await orders.roundsUntil(() => orders.livingJobs()[0]?.parallelism === 4);
    await orders.rounds(40);

    expect(orders.taskManagers()).toHaveLength(4);
    await orders.roundsUntil('Running');
    expect(orders.taskManagers()).toHaveLength(2);
    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING', parallelism: 4, restarts: 0 }]);
    expect(orders.events()).not.toContain('Normal ShrinkingBusyTaskManagers');
  });

  it('I9 shrinks a job that is spread over all TaskManagers too, and is Running when that runs again', async () => {
    const spec = { parallelism: 8, scaleMode: 'InPlace', flinkConfig: ADAPTIVE } as const;
    orders = await aDeployedApplication(spec, { spreadsSlots: true });

    await orders.scale(2);
    await orders.roundsUntil('Rescaling');
    await orders.roundsUntil('Running');

    expect(orders.taskManagers()).toHaveLength(2);
    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING', parallelism: 4, restarts: 1 }]);
    const told = orders.eventObjects().filter(({ reason }) => reason === 'ShrinkingBusyTaskManagers');
    expect(told).toMatchObject([
      { message: '2 of the 2 TaskManagers that go still hold slots: the job restarts once from its latest checkpoint' },
    ]);
    expect(orders.status().clusterStatus).toMatchObject({ health: 'Green', healthyTaskManagers: 2 });
  });
});

describe('I10 TestUpdateWithBlueGreenDeploymentMode', () => {
  it('I10 runs both versions until the old one is torn down', async () => {
    orders = await aDeployedApplication({ parallelism: 2, deploymentMode: 'BlueGreen' });
    const green = orders.status().deployHash;
    expect(orders.status()).toMatchObject({ deployVersion: 'green' });

    orders.changeImage();
    await orders.roundsUntil('DualRunning');

    expect(orders.pods()).toHaveLength(4);
    expect(orders.livingJobs()).toHaveLength(2);
    expect(orders.status()).toMatchObject({ updatingVersion: 'blue', deployVersion: 'green', deployHash: green });

    orders.edit((spec) => ({ ...spec, tearDownVersionHash: green }));
    await orders.roundsUntil('Running');

    expect(orders.status()).toMatchObject({ deployVersion: 'blue', versionStatuses: [{ appVersion: 'blue' }, {}] });
    expect(orders.status().versionStatuses?.[1]).toEqual({});
    await orders.roundsUntil(isOnlyDeployedLeft);
    expect(orders.livingJobs()).toMatchObject([{ id: orders.status().jobStatus?.jobID }]);
    expect(orders.events()).not.toContain('Warning JobCanceled');

    await orders.delete();
    await orders.roundsUntil(isGone);

    // One of the version that was updated, one before the end.
    expect(orders.savepoints()).toHaveLength(2);
    expect(orders.runs().map(({ state }) => state)).toEqual(['CANCELED', 'FINISHED']);
  });
});
