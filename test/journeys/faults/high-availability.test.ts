// With high availability Flink keeps a job until it ends in good order, and a JobManager resumes what it finds under its cluster id.
// However an application gets to a cluster, what runs there is what Headrace submitted, from where it says.

import { afterEach, describe, expect, it } from 'vitest';
import { expectAloneAtAnyTime } from '../../support/deploy-outcome.ts';
import {
  ADAPTIVE,
  aDeployedApplication,
  anApplication,
  type Deployments,
  HIGHLY_AVAILABLE,
  IMAGE,
  isGone,
  NAMESPACE,
  NEXT_IMAGE,
  type SpecOptions,
} from '../../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

const ZOOKEEPER = { ...HIGHLY_AVAILABLE, 'high-availability.type': 'zookeeper' };
const PLACES = [
  ['ConfigMaps', HIGHLY_AVAILABLE],
  ['ZooKeeper', ZOOKEEPER],
] as const;

/** What an Event of that reason said, the newest. */
const saidLast = (reason: string) =>
  orders
    .eventObjects()
    .filter((event) => event.reason === reason)
    .map(({ message }) => message)
    .at(-1);

function untilItIsTriedAgain(): void {
  const { retryTime = '' } = orders.status().failedDeploy ?? {};
  orders.sandbox.clock.set(Date.parse(retryTime));
}

describe('a JobManager that is restarted', () => {
  it('resumes the job from its latest checkpoint, and nobody interferes', async () => {
    orders = await aDeployedApplication({ flinkConfig: HIGHLY_AVAILABLE, restartPolicy: 'FromLatestCheckpoint' });
    await orders.rounds(30);
    const { jobStatus } = orders.status();

    orders.killJobManager();
    await orders.rounds(30);

    expect(orders.runs().map(({ state, isResumed }) => [state, isResumed])).toEqual([
      ['LOST', false],
      ['RUNNING', true],
    ]);
    expect(orders.lastRun()?.jobId).toBe(jobStatus?.jobID);
    expect(orders.lastRun()?.restoredFrom).toMatch(/chk-/);
    expect(orders.status()).toMatchObject({ phase: 'Running', jobStatus: { jobID: jobStatus?.jobID } });
    expect(orders.events()).not.toContain('Warning RestartingJob');
    expect(orders.events()).not.toContain('Warning JobLost');
    expectAloneAtAnyTime(orders);
  });

  it('gives way to one that stood by', async () => {
    orders = await aDeployedApplication({ flinkConfig: HIGHLY_AVAILABLE, jobManagerConfig: { replicas: 2 } });
    await orders.rounds(20);

    orders.killJobManager();
    await orders.rounds(20);

    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING' }]);
    expect(orders.runs().map(({ isResumed }) => isResumed)).toEqual([false, true]);
    expect(orders.status()).toMatchObject({ phase: 'Running', clusterStatus: { healthyTaskManagers: 2 } });
  });
});

describe('an application that was deleted without its job having ended, and is created again', () => {
  async function deletedAndCreatedAgain(spec: SpecOptions): Promise<void> {
    orders = await aDeployedApplication({ flinkConfig: spec.flinkConfig ?? {}, deleteMode: 'None' });
    const { savepointPath: path } = spec;
    if (path !== undefined) orders.sandbox.flink.putSavepoint({ path, count: 4711 });
    await orders.rounds(30);
    await orders.delete();
    await orders.roundsUntil((deployments) => isGone(deployments) && deployments.revisions().length === 0);
    orders.add(spec);
    await orders.roundsUntil('Running');
  }

  it.each(PLACES)('begins from the savepoint that it names (%s)', async (_, flinkConfig) => {
    const savepointPath = 's3://state/savepoints/of-my-choice';

    await deletedAndCreatedAgain({ flinkConfig, savepointPath });

    expect(orders.lastRun()).toMatchObject({ restoredFrom: savepointPath, startCount: 4711, isResumed: false });
    expect(saidLast('JobSubmitted')).toContain(`from ${savepointPath}`);
    expect(orders.livingJobs()).toHaveLength(1);
  });

  it.each(PLACES)('begins without state where it names none (%s)', async (_, flinkConfig) => {
    await deletedAndCreatedAgain({ flinkConfig });

    expect(orders.runs().map(({ isResumed }) => isResumed)).toEqual([false, false]);
    expect(orders.lastRun()).toMatchObject({ restoredFrom: undefined, startCount: 0 });
    expect(orders.livingJobs()).toMatchObject([{ id: orders.status().jobStatus?.jobID }]);
  });
});

describe.each(PLACES)('a deploy that fails and is tried again (%s)', (_, highAvailability) => {
  const QUICK = { verticesSeconds: 10, submitSeconds: 20 };

  it('runs one job, its own, when the cause of a failed first deploy is mended', async () => {
    orders = await anApplication({ flinkConfig: highAvailability, timeouts: QUICK });
    orders.describeJar(IMAGE, { failsAtStart: 'no such topic' });
    await orders.roundsUntil('DeployFailed');
    await orders.roundsUntil((deployments) => deployments.deployments().length === 0);

    orders.describeJar(IMAGE, {});
    orders.edit((spec) => ({ ...spec, restartNonce: 'again' }));
    await orders.roundsUntil('Running');
    orders.edit(({ restartNonce, ...spec }) => spec);
    await orders.roundsUntil(() => orders.status().phase === 'Running' && orders.status().rollout === undefined);
    await orders.rounds(20);

    expect(orders.runs().filter(({ isResumed }) => isResumed)).toEqual([]);
    expect(orders.livingJobs()).toMatchObject([{ id: orders.status().jobStatus?.jobID, state: 'RUNNING' }]);
    expectAloneAtAnyTime(orders);
  });

  it('begins the second version of BlueGreen from the fresh savepoint', async () => {
    orders = await aDeployedApplication({
      flinkConfig: highAvailability,
      deploymentMode: 'BlueGreen',
      timeouts: QUICK,
    });
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'no such topic' });
    orders.changeImage();
    await orders.roundsUntil('DeployFailed');
    orders.describeJar(NEXT_IMAGE, {});

    await orders.rounds(10);
    untilItIsTriedAgain();
    await orders.roundsUntil('DualRunning');

    const { path } = orders.savepoints().at(-1) ?? {};
    expect(orders.savepoints()).toHaveLength(2);
    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE, restoredFrom: path, isResumed: false });
    expect(orders.livingJobs()).toHaveLength(2);
    expect(saidLast('JobSubmitted')).toContain(`from ${path}`);
  });

  it('loses nothing and never runs two jobs when a rescale is rolled back and tried again', async () => {
    orders = await aDeployedApplication({ flinkConfig: highAvailability, timeouts: QUICK });
    await orders.rounds(30);
    orders.describeJar(IMAGE, { failsAtStart: 'too many connections' });
    await orders.scale(4);
    await orders.roundsUntil('RollingBackJob');
    orders.describeJar(IMAGE, {});
    await orders.roundsUntil('DeployFailed');
    await orders.rounds(30);

    untilItIsTriedAgain();
    await orders.roundsUntil('Running');
    await orders.rounds(10);

    const last = orders.lastRun();
    expect(last).toMatchObject({ parallelism: 8, restoredFrom: orders.savepoints().at(-1)?.path, isResumed: false });
    expect(last?.startCount).toBe(orders.savepoints().at(-1)?.count);
    expect(orders.livingJobs()).toMatchObject([{ id: orders.status().jobStatus?.jobID, parallelism: 8 }]);
    expectAloneAtAnyTime(orders);
  });

  it('goes on from the newest state when a version comes back whose JobManager had died with its job', async () => {
    orders = await aDeployedApplication({
      flinkConfig: highAvailability,
      fallbackWithoutState: true,
      timeouts: { savepointSeconds: 10, clusterStartSeconds: 30 },
    });
    await orders.rounds(30);
    // Its JobManager does not come back: nothing ends the job in good order.
    const { deployHash } = orders.status();
    const fault = orders.sandbox.faults.add({
      path: new RegExp(`/orders-${deployHash}:`),
      kind: 'status',
      code: 503,
      body: 'error trying to reach service: i/o timeout',
    });
    orders.changeImage();
    await orders.roundsUntil('Running', { seconds: 600 });
    fault.remove();
    await orders.rounds(40);

    orders.changeImage(IMAGE);
    await orders.roundsUntil('Running');
    await orders.rounds(10);

    const last = orders.lastRun();
    expect(last).toMatchObject({ image: IMAGE, restoredFrom: orders.savepoints().at(-1)?.path, isResumed: false });
    expect(last?.startCount).toBe(orders.savepoints().at(-1)?.count);
    expect(orders.livingJobs()).toMatchObject([{ id: orders.status().jobStatus?.jobID }]);
    expectAloneAtAnyTime(orders);
  });
});

describe('the cluster id', () => {
  it('is written down before the cluster is made, and is that of its pods', async () => {
    orders = await anApplication({ flinkConfig: HIGHLY_AVAILABLE });
    const seen: (string | undefined)[] = [];
    orders.sandbox.store.subscribe(({ kind, after }) => {
      if (kind === 'Deployment' && after?.metadata.generation === 1 && seen.length === 0)
        seen.push(orders.status().rollout?.clusterId, after.metadata.annotations?.['headrace.dev/cluster-id']);
    });

    await orders.roundsUntil('Running');

    const { clusterId, deployHash } = orders.status();
    expect(clusterId).toMatch(new RegExp(`^orders-${deployHash}-[a-z0-9]{6}$`));
    expect(seen).toEqual([clusterId, clusterId]);
    const { jobID } = orders.status().jobStatus ?? {};
    const configMaps = [`${clusterId}-${jobID}-config-map`, `${clusterId}-cluster-config-map`];
    expect(orders.configMaps()).toEqual(configMaps.sort());
  });

  it('stays in a rescale in place, and when somebody deletes a Deployment', async () => {
    orders = await aDeployedApplication({
      flinkConfig: { ...HIGHLY_AVAILABLE, ...ADAPTIVE },
      scaleMode: 'InPlace',
    });
    await orders.rounds(20);
    const { clusterId, deployHash } = orders.status();

    await orders.scale(4);
    await orders.roundsUntil(() => orders.status().jobStatus?.parallelism === 8);
    orders.sandbox.store.remove('Deployment', NAMESPACE, `orders-${deployHash}-jm`);
    await orders.rounds(40);

    expect(orders.status()).toMatchObject({ phase: 'Running', deployHash, clusterId });
    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING', id: orders.status().jobStatus?.jobID }]);
    expect(orders.runs().filter(({ isResumed }) => isResumed)).toHaveLength(1);
    expectAloneAtAnyTime(orders);
  });

  it('is another one after a deploy, and nothing is left under the one before', async () => {
    orders = await aDeployedApplication({ flinkConfig: HIGHLY_AVAILABLE });
    const { clusterId: before } = orders.status();

    orders.changeImage();
    await orders.roundsUntil('Running');
    await orders.rounds(30);

    const { clusterId } = orders.status();
    expect(clusterId).not.toBe(before);
    expect(orders.configMaps().filter((name) => !name.startsWith(`${clusterId}-`))).toEqual([]);
    expect(orders.deployments()).toHaveLength(2);
  });

  it('of a cluster from before there were such ids is <name>-<hash>, and an upgrade redeploys nothing', async () => {
    orders = await aDeployedApplication({ flinkConfig: HIGHLY_AVAILABLE });
    const { clusterId, deployHash, currentRevision } = orders.status();
    asDeployedBefore(clusterId ?? '', deployHash ?? '');
    const generations = deploymentGenerations();

    await orders.rounds(60);

    expect(orders.status()).toMatchObject({ phase: 'Running', deployHash, currentRevision });
    expect(orders.status()).not.toHaveProperty('clusterId');
    expect(deploymentGenerations()).toEqual(generations);
  });

  it('can be left without permission on ConfigMaps: they stay, and nothing waits for them', async () => {
    orders = await aDeployedApplication({ flinkConfig: HIGHLY_AVAILABLE });
    orders.sandbox.faults.add({ path: /\/configmaps/, kind: 'status', code: 403 });

    orders.changeImage();
    await orders.roundsUntil('Running');
    await orders.rounds(30);

    expect(orders.deployments()).toHaveLength(2);
    expect(orders.configMaps().filter((name) => !name.startsWith(`${orders.status().clusterId}-`))).toHaveLength(1);

    await orders.delete();
    await orders.roundsUntil(isGone);
  });

  it.each(['1.20', '2.3'])(
    'leaves nothing of Flink %s in ConfigMaps when the application is deleted',
    async (flinkVersion) => {
      orders = await aDeployedApplication({ flinkVersion, flinkConfig: HIGHLY_AVAILABLE });
      expect(orders.configMaps()).toHaveLength(2);

      await orders.delete();
      await orders.roundsUntil(isGone);

      expect(orders.savepoints()).toHaveLength(1);
      expect(orders.configMaps()).toEqual([]);
    },
  );

  /** As an earlier version of Headrace left it. */
  function asDeployedBefore(clusterId: string, deployHash: string): void {
    const { store } = orders.sandbox;
    for (const deployment of store.list('Deployment')) {
      const { 'headrace.dev/cluster-id': _, ...annotations } = deployment.metadata.annotations ?? {};
      const text = JSON.stringify({ ...deployment, metadata: { ...deployment.metadata, annotations } });
      store.put(JSON.parse(text.replaceAll(clusterId, `orders-${deployHash}`)));
    }
    const application = orders.application();
    const { clusterId: __, ...status } = orders.status();
    store.put({ ...application, status });
  }

  function deploymentGenerations() {
    return orders.sandbox.store.list('Deployment').map(({ metadata }) => [metadata.name, metadata.generation]);
  }
});

describe('a job that somebody submitted to the new cluster by hand', () => {
  it('is named and cancelled, and the job of the application runs alone', async () => {
    orders = await anApplication({ flinkConfig: HIGHLY_AVAILABLE });
    await orders.roundsUntil((deployments) => deployments.pods().length === 3);
    // Its pods are up now, and no round has seen that yet.
    orders.sandbox.clock.advance(5);
    const { rollout } = orders.status();
    const jobId = '1'.repeat(32);
    await orders.submitByHand(rollout?.hash ?? '', jobId);

    await orders.roundsUntil('Running');

    expect(saidLast('UnexpectedJob')).toContain(jobId);
    expect(orders.jobs().find(({ id }) => id === jobId)?.state).toBe('CANCELED');
    expect(orders.livingJobs()).toMatchObject([{ id: orders.status().jobStatus?.jobID }]);
  });
});
