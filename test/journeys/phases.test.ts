// What Lyft's flinkk8soperator tests of its phases with fakes, here with the whole world around them; see scenarios.test.ts for
// its integration tests.

import { afterEach, describe, expect, it } from 'vitest';
import {
  aDeployedApplication,
  aDualRunningApplication,
  anApplication,
  type Deployments,
  IMAGE,
  isGone,
  NEXT_IMAGE,
} from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

/** Requests to JobManagers and the API server that change something, from now on, as "PATCH /jobs/…". */
function watchWrites(pattern: RegExp): string[] {
  const writes: string[] = [];
  orders.sandbox.hooks.before(({ method, path }) => {
    if (method !== 'GET' && pattern.test(path)) writes.push(`${method} ${path}`);
  });
  return writes;
}

const selectorOf = (service: string) =>
  orders.sandbox.store.get('Service', 'flink', service)?.spec?.selector as Record<string, string>;

function podSelectorOf(hash: string | undefined): string | undefined {
  const { spec } = orders.sandbox.store.get('Deployment', 'flink', `orders-${hash}-jm`) ?? {};
  const selector = spec?.selector as { matchLabels: Record<string, string> } | undefined;
  return selector?.matchLabels['pod-deployment-selector'];
}

describe('New and ClusterStarting', () => {
  it.each([
    [{}, ['Savepointing']],
    [{ savepointDisabled: true }, ['Cancelling']],
    [{ savepointDisabled: true, deploymentMode: 'BlueGreen' }, []],
  ])('lead a first deploy with %o through %o', async (spec, phases) => {
    orders = await aDeployedApplication(spec);

    expect(orders.phases()).toEqual(['Updating', 'ClusterStarting', ...phases, 'SubmittingJob', 'Running']);
  });

  it('write nothing while the cluster is not ready', async () => {
    orders = await anApplication();
    orders.sandbox.workloads.configure({ startSeconds: 200 });
    await orders.rounds(20);
    const writes = watchWrites(/./);

    await orders.rounds(100);

    expect(writes).toEqual([]);
  });
});

describe('Savepointing', () => {
  it('gives up after five refusals to take one, with a budget of errors anew for what follows', async () => {
    orders = await aDeployedApplication();
    await orders.rounds(20);
    orders.sandbox.faults.add({ kind: 'status', code: 500, method: 'POST', path: /\/stop$/ });

    orders.changeImage();
    await orders.roundsUntil(() => orders.phases().includes('Recovering'));
    await orders.roundsUntil('Running');

    expect(orders.status()).not.toHaveProperty('retryCount');
    expect(orders.lastRun()?.restoredFrom).toContain('/chk-');
  });

  it('asks again when the state of a savepoint cannot be read for a while', async () => {
    orders = await aDeployedApplication();
    const fault = orders.sandbox.faults.add({ kind: 'status', code: 500, path: /\/savepoints\/[0-9a-f]+$/, times: 12 });

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(fault.count).toBe(12);
    expect(orders.savepoints()).toHaveLength(1);
    expect(orders.lastRun()?.restoredFrom).toBe(orders.savepoints()[0]?.path);
  });
});

describe('Cancelling', () => {
  it('cancels the old job once, at its own JobManager', async () => {
    orders = await aDeployedApplication({ savepointDisabled: true });
    const { deployHash, jobStatus } = orders.status();
    const writes = watchWrites(/\/proxy\/jobs\//);

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(writes).toEqual([
      `PATCH /api/v1/namespaces/flink/services/orders-${deployHash}:ui/proxy/jobs/${jobStatus?.jobID}`,
    ]);
  });

  it('stops the pods of a job that cannot be cancelled in time (Lyft: submits the next one, or rolls back)', async () => {
    orders = await aDeployedApplication({ savepointDisabled: true, timeouts: { savepointSeconds: 20 } });
    orders.sandbox.faults.add({ kind: 'status', code: 500, method: 'PATCH', path: /\/proxy\/jobs\// });

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(orders.runs()).toMatchObject([{ state: 'LOST' }, { image: NEXT_IMAGE, state: 'RUNNING' }]);
    expect(orders.ledger()).toMatchObject({ aliveTogetherSeconds: 0 });
  });
});

describe('SubmittingJob', () => {
  it('has set the finalizer and moved the service before the job is submitted, once', async () => {
    orders = await aDeployedApplication();
    const seen: object[] = [];
    orders.sandbox.hooks.before(({ path }) => {
      if (!path.endsWith('/run')) return;
      const { hash } = orders.status().rollout ?? {};
      seen.push({
        finalizers: orders.application().metadata.finalizers,
        isMoved: selectorOf('orders')['pod-deployment-selector'] === podSelectorOf(hash),
      });
    });

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(seen).toEqual([{ finalizers: ['job.finalizers.flink.k8s.io'], isMoved: true }]);
  });

  it('finds the job whose submission was never answered', async () => {
    orders = await aDeployedApplication();
    orders.sandbox.faults.add({ kind: 'drop-after', path: /\/run$/, times: 2 });

    orders.changeImage();
    await orders.roundsUntil('Running');

    expect(orders.runs()).toHaveLength(2);
    expect(orders.ledger()).toMatchObject({ aliveTogetherSeconds: 0 });
  });

  it.each(['-jm', '-tm'])('rolls back when somebody deletes the new Deployment …%s', async (suffix) => {
    orders = await aDeployedApplication({ timeouts: { submitSeconds: 20, verticesSeconds: 20 } });
    orders.sandbox.faults.add({ kind: 'status', code: 500, path: /\/run$/, times: 8 });
    orders.changeImage();
    await orders.roundsUntil('SubmittingJob');

    orders.sandbox.store.remove('Deployment', 'flink', `orders-${orders.status().rollout?.hash}${suffix}`);
    await orders.roundsUntil('DeployFailed');

    expect(orders.lastRun()).toMatchObject({
      image: IMAGE,
      state: 'RUNNING',
      startCount: orders.savepoints()[0]?.count,
    });
    expect(orders.livingJobs()).toHaveLength(1);
  });

  it('rolls back at once when the program is at fault', async () => {
    orders = await aDeployedApplication();
    const body = { errors: ['org.apache.flink.client.program.ProgramInvocationException: The program is wrong'] };
    orders.sandbox.faults.add({ kind: 'status', code: 500, body, path: /\/run$/, times: 1 });

    orders.changeImage();
    await orders.roundsUntil('DeployFailed', { seconds: 40 });

    expect(orders.status().failedDeploy?.message).toContain('The program is wrong');
    expect(orders.lastRun()?.image).toBe(IMAGE);
  });
});

describe('RollingBackJob', () => {
  it('points the service back, and records what has failed', async () => {
    orders = await aDeployedApplication({ timeouts: { verticesSeconds: 20 } });
    const { deployHash, jobStatus } = orders.status();
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'a bad build' });

    orders.changeImage();
    await orders.roundsUntil('SubmittingJob');
    const failedHash = orders.status().rollout?.hash;
    expect(selectorOf('orders')['pod-deployment-selector']).toBe(podSelectorOf(failedHash));
    await orders.roundsUntil('DeployFailed');

    expect(selectorOf('orders')['pod-deployment-selector']).toBe(podSelectorOf(deployHash));
    expect(orders.status()).toMatchObject({ deployHash, failedDeployHash: failedHash, rollbackHash: deployHash });
    const { jarName, entryClass, programArgs, parallelism } = jobStatus ?? {};
    expect(orders.status().jobStatus).toMatchObject({ jarName, entryClass, programArgs, parallelism });
  });
});

describe('forceRollback', () => {
  it.each(['Savepointing', 'SubmittingJob'] as const)('in %s brings the old job back with its state', async (phase) => {
    orders = await aDeployedApplication({}, { savepointSeconds: 10 });
    orders.sandbox.faults.add({ kind: 'status', code: 500, path: /\/run$/, times: 6 });
    orders.changeImage();
    await orders.roundsUntil(phase);

    orders.edit((spec) => ({ ...spec, forceRollback: true }));
    await orders.roundsUntil('DeployFailed');

    expect(orders.lastRun()).toMatchObject({
      image: IMAGE,
      state: 'RUNNING',
      restoredFrom: orders.savepoints()[0]?.path,
    });
    expect(orders.livingJobs()).toHaveLength(1);
    expect(orders.status().failedDeploy).toMatchObject({ reason: 'ForcedRollback' });
    expect(orders.status().failedDeploy).not.toHaveProperty('retryTime');
  });
});

describe('Running', () => {
  it('stays as it is, and writes nothing, while nothing changes', async () => {
    orders = await aDeployedApplication();
    await orders.rounds(60);
    const writes = watchWrites(/./);

    await orders.rounds(120);

    expect(writes).toEqual([]);
  });

  it('makes again what somebody has deleted, and takes away only what is no longer deployed', async () => {
    orders = await aDeployedApplication();
    const before = { deployments: orders.deployments(), services: orders.services() };
    orders.changeImage();
    await orders.roundsUntil('Running');
    await orders.rounds(10);
    const { deployHash } = orders.status();

    expect(orders.deployments()).toEqual([`orders-${deployHash}-jm`, `orders-${deployHash}-tm`]);
    expect(orders.services()).toEqual(['orders', `orders-${deployHash}`]);
    expect(before.services).toContain('orders');

    orders.sandbox.store.remove('Service', 'flink', 'orders');
    orders.sandbox.store.remove('Deployment', 'flink', `orders-${deployHash}-tm`);
    await orders.rounds(20);

    expect(orders.deployments()).toEqual([`orders-${deployHash}-jm`, `orders-${deployHash}-tm`]);
    expect(orders.services()).toEqual(['orders', `orders-${deployHash}`]);
    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING' }]);
  });

  it.each([null, undefined])('tolerates an error without a time that was left in mid-deploy: %s', async (time) => {
    orders = await aDeployedApplication();
    orders.changeImage();
    await orders.round();
    const lastSeenError = { appError: 'once', isRetryable: true, maxRetries: 20, lastErrorUpdateTime: time };
    orders.writeStatus({ lastSeenError, retryCount: 3 });

    await orders.roundsUntil('Running');

    expect(orders.lastRun()?.image).toBe(NEXT_IMAGE);
  });
});

describe('Deleting', () => {
  it('takes another savepoint when the first one fails', async () => {
    orders = await aDeployedApplication({}, { savepointFails: 1 });

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 60 });

    expect(orders.savepoints()).toHaveLength(1);
    expect(orders.lastRun()?.state).toBe('CANCELED');
    expect(orders.eventObjects().at(-1)?.message).toContain(orders.savepoints()[0]?.path);
  });

  it('cancels without a savepoint with ForceCancel, and waits for the end', async () => {
    orders = await aDeployedApplication({ deleteMode: 'ForceCancel' }, { cancelSeconds: 20 });

    await orders.delete();
    await orders.rounds(10);
    expect(isGone(orders)).toBe(false);
    await orders.roundsUntil(isGone, { seconds: 40 });

    expect(orders.savepoints()).toEqual([]);
    expect(orders.lastRun()?.state).toBe('CANCELED');
  });

  it('asks nothing of the job with None', async () => {
    orders = await aDeployedApplication({ deleteMode: 'None' });
    const writes = watchWrites(/:ui\/proxy/);

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 10 });

    expect(writes).toEqual([]);
  });

  it('of an application that hangs in Savepointing waits for that savepoint, and takes no other', async () => {
    orders = await aDeployedApplication({}, { savepointSeconds: 60 });
    orders.changeImage();
    await orders.roundsUntil('Savepointing');

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 120 });
    await orders.rounds(10);

    expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }]);
    expect(orders.savepoints()).toHaveLength(1);
    expect(orders.pods()).toEqual([]);
  });
});

describe('BlueGreen', () => {
  it('ignores a tear-down hash that is no version', async () => {
    orders = await aDualRunningApplication();

    orders.edit((spec) => ({ ...spec, tearDownVersionHash: '00000000' }));
    await orders.rounds(20);

    expect(orders.status().phase).toBe('DualRunning');
    expect(orders.livingJobs()).toHaveLength(2);
  });

  it('keeps the old version when the new one is torn down, and does not deploy it again', async () => {
    orders = await aDualRunningApplication();
    const { deployHash, updatingHash } = orders.status();
    const [old] = orders.runs();

    orders.edit((spec) => ({ ...spec, tearDownVersionHash: updatingHash }));
    await orders.roundsUntil('DeployFailed');
    await orders.rounds(20);

    expect(orders.status()).toMatchObject({ phase: 'DeployFailed', deployHash, deployVersion: 'green' });
    expect(orders.livingJobs()).toMatchObject([{ id: old?.jobId }]);
    expect(orders.services()).toEqual([`orders-${deployHash}`, 'orders-green'].toSorted());
  });

  it('leaves the old job as it is when the new one does not come up', async () => {
    orders = await aDeployedApplication({ deploymentMode: 'BlueGreen', timeouts: { verticesSeconds: 20 } });
    const { jobStatus, deployHash } = orders.status();
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'a bad build' });

    orders.changeImage();
    await orders.roundsUntil('DeployFailed');
    await orders.rounds(10);

    expect(orders.status()).toMatchObject({ deployHash, jobStatus: { jobID: jobStatus?.jobID, state: 'RUNNING' } });
    expect(orders.livingJobs()).toMatchObject([{ id: jobStatus?.jobID }]);
    expect(orders.services()).toEqual([`orders-${deployHash}`, 'orders-green'].toSorted());
  });

  it('saves both jobs when it is deleted while they run', async () => {
    orders = await aDualRunningApplication();
    const before = orders.savepoints().length;

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 60 });

    expect(orders.savepoints()).toHaveLength(before + 2);
    expect(orders.runs().map(({ state }) => state)).toEqual(['FINISHED', 'FINISHED']);
  });
});
