// Faults of Lyft's flinkk8soperator in the clusters that it makes. Each test bears the number of its fault; see
// docs/differences-from-flinkk8soperator.md.

import { afterEach, describe, expect, it } from 'vitest';
import { expectAloneAtAnyTime } from '../../support/deploy-outcome.ts';
import {
  ADAPTIVE,
  aDeployedApplication,
  aDualRunningApplication,
  anApplication,
  type Deployments,
  IMAGE,
  isGone,
  NEXT_IMAGE,
} from '../../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

async function scaleTo(taskManagers: number): Promise<void> {
  await orders.scale(taskManagers);
  await orders.roundsUntil(
    () => orders.status().phase === 'Running' && orders.status().jobStatus?.parallelism === taskManagers * 2,
  );
}

describe('F7: a second rescale in place cuts TaskManagers off, and a failed one cannot be taken back', () => {
  it.each([
    ['the default scheduler', {}],
    ['the adaptive scheduler', ADAPTIVE],
  ])(
    'F7: after two rescales in place a TaskManager that restarts finds its JobManager: %s',
    async (_name, flinkConfig) => {
      orders = await aDeployedApplication({ scaleMode: 'InPlace', flinkConfig });
      const { deployHash } = orders.status();
      await scaleTo(3);
      await scaleTo(4);

      orders.killTaskManager();
      await orders.rounds(40);

      expect(orders.status().deployHash).toBe(deployHash);
      expect(orders.services()).toEqual(['orders', `orders-${deployHash}`]);
      expect(orders.status().clusterStatus).toMatchObject({ numberOfTaskManagers: 4, healthyTaskManagers: 4 });
      expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING', parallelism: 8 }]);
    },
  );

  it('F7: a job that does not come up after a rescale in place comes back at its old size', async () => {
    orders = await aDeployedApplication({ scaleMode: 'InPlace', timeouts: { verticesSeconds: 20 } });
    const { deployHash } = orders.status();
    orders.describeJar(IMAGE, { failsAtStart: 'too many connections' });

    await orders.scale(4);
    await orders.roundsUntil('RollingBackJob');
    orders.describeJar(IMAGE, {});
    await orders.roundsUntil('DeployFailed');
    await orders.rounds(20);

    expect(orders.status()).toMatchObject({ deployHash, failedDeploy: { parallelism: 8, taskManagers: 4 } });
    expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING', parallelism: 4 }]);
    expect(orders.lastRun()?.startCount).toBe(orders.savepoints()[0]?.count);
    expect(orders.pods()).toHaveLength(1 + 2);
    expectAloneAtAnyTime(orders);
  });

  it.each([
    ['the default scheduler', {}],
    ['the adaptive scheduler', ADAPTIVE],
  ])(
    'F7: a rescale for which there are no nodes is taken back, and not tried at once again: %s',
    async (_name, flinkConfig) => {
      orders = await aDeployedApplication({ scaleMode: 'InPlace', flinkConfig, timeouts: { clusterStartSeconds: 20 } });
      const [job] = orders.livingJobs();
      orders.sandbox.workloads.configure({ schedulablePods: 4 });

      await orders.scale(4);
      await orders.roundsUntil('DeployFailed');
      await orders.rounds(30);

      expect(orders.phases().slice(-2)).toEqual([
        flinkConfig === ADAPTIVE ? 'RollingBackJob' : 'Rescaling',
        'DeployFailed',
      ]);
      expect(orders.status().failedDeploy).toMatchObject({ reason: 'RescaleTimedOut', attempts: 1 });
      expect(orders.pods()).toHaveLength(1 + 2);
      expect(orders.livingJobs()).toMatchObject([{ id: job?.id, state: 'RUNNING', parallelism: 4 }]);
    },
  );
});

describe('F18: every change doubles the pods, even one to fewer', () => {
  it('F18: in place, a change of size needs no pod more than the larger size has', async () => {
    orders = await aDeployedApplication({ scaleMode: 'InPlace', flinkConfig: ADAPTIVE });
    const most = watchPods();

    await scaleTo(4);
    expect(most.pods).toBe(1 + 4);
    most.pods = 0;
    await scaleTo(1);

    expect(most.pods).toBe(1 + 4);
    expect(orders.pods()).toHaveLength(1 + 1);
    expect(orders.runs()).toHaveLength(1);
  });

  /** The greatest number of pods at a time. */
  function watchPods(): { pods: number } {
    const most = { pods: 0 };
    orders.sandbox.store.subscribe(({ kind }) => {
      if (kind === 'Pod') most.pods = Math.max(most.pods, orders.pods().length);
    });
    return most;
  }
});

/** What a process of the deployed cluster is told: the lines of FLINK_PROPERTIES. */
function propertiesOf(suffix: 'jm' | 'tm'): string[] {
  const { spec } =
    orders.sandbox.store.list('Deployment').find(({ metadata }) => metadata.name.endsWith(`-${suffix}`)) ?? {};
  const { template } = spec as { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } };
  const variable = template.spec.containers[0]?.env.find(({ name }) => name === 'FLINK_PROPERTIES');
  return variable?.value?.split('\n') ?? [];
}

describe('F19: high availability is seen by its old key only', () => {
  it.each(['high-availability.type', 'high-availability'])(
    'F19: with %s each cluster has an election of its own, in its own namespace',
    async (key) => {
      orders = await anApplication({
        flinkConfig: { [key]: 'kubernetes', 'high-availability.storageDir': 's3://state/ha' },
      });

      await orders.roundsUntil('ClusterStarting');

      const { hash, clusterId: cluster } = orders.status().rollout ?? {};
      expect(cluster).toMatch(new RegExp(`^orders-${hash}-[0-9a-z]+$`));
      for (const process of ['jm', 'tm'] as const)
        expect(propertiesOf(process)).toEqual(
          expect.arrayContaining([
            `kubernetes.cluster-id: ${cluster}`,
            `high-availability.cluster-id: ${cluster}`,
            'kubernetes.namespace: flink',
          ]),
        );
    },
  );

  it('F19: two JobManagers that cannot know of each other are not deployed', async () => {
    orders = await aDeployedApplication();

    orders.edit((spec) => ({ ...spec, jobManagerConfig: { replicas: 2 } }));
    await orders.rounds(20);

    expect(orders.status().conditions?.[0]).toMatchObject({
      type: 'SpecValid',
      status: 'False',
      message: expect.stringContaining('more than one JobManager needs high-availability.type'),
    });
    expect(orders.runs()).toHaveLength(1);
  });
});

describe('F20: settings of memory that cannot be worked out start pods without configuration', () => {
  it.each([
    ['a fraction above 1', { systemMemoryFraction: 1.5 }],
    ['a fraction that leaves nothing', { systemMemoryFraction: 1 }],
    ['a fraction of another version of Flink', { offHeapMemoryFraction: 0.5 }],
    ['a request that is no quantity', { resources: { requests: { cpu: '1', memory: 'plenty' } } }],
    ['no request of memory', { resources: { requests: { cpu: '1' } } }],
  ])('F20: %s is said, and no pod is started', async (_fault, taskManagerConfig) => {
    orders = await anApplication({ taskManagerConfig });

    await orders.rounds(10);

    expect(orders.conditions()).toContain('SpecValid False InvalidSpec');
    expect(orders.deployments()).toEqual([]);
  });
});

describe('F21: with BlueGreen, much is said and done of the wrong version', () => {
  it('F21: the status at the top is that of the deployed version, each version has its own, and its own TaskManagers', async () => {
    orders = await aDeployedApplication({ deploymentMode: 'BlueGreen' });
    await orders.scale(3);

    await orders.roundsUntil('DualRunning');
    await orders.rounds(20);

    const { jobStatus, clusterStatus, versionStatuses: [deployed, updating] = [] } = orders.status();
    const [first, second] = orders.runs();
    expect(jobStatus).toMatchObject({ jobID: first?.jobId, state: 'RUNNING', health: 'Green', parallelism: 4 });
    expect(clusterStatus).toMatchObject({ numberOfTaskManagers: 2, health: 'Green' });
    expect(deployed).toMatchObject({ jobStatus: { jobID: first?.jobId }, clusterStatus: { numberOfTaskManagers: 2 } });
    expect(updating).toMatchObject({
      jobStatus: { jobID: second?.jobId, state: 'RUNNING' },
      clusterStatus: { numberOfTaskManagers: 3 },
    });
  });

  it('F21: without a savepoint the new version begins from a checkpoint of the job that runs', async () => {
    orders = await aDeployedApplication({ deploymentMode: 'BlueGreen' }, { savepointFails: 'declined' });
    await orders.rounds(30);

    orders.changeImage();
    await orders.roundsUntil('DualRunning');

    expect(orders.runs()).toMatchObject([
      { state: 'RUNNING' },
      { image: NEXT_IMAGE, state: 'RUNNING', restoredFrom: expect.stringContaining(`${orders.runs()[0]?.jobId}/chk-`) },
    ]);
  });

  it('F21: ForceCancel cancels both jobs when the application is deleted', async () => {
    orders = await aDualRunningApplication({ deleteMode: 'ForceCancel' });

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 60 });

    expect(orders.runs().map(({ state }) => state)).toEqual(['CANCELED', 'CANCELED']);
  });

  it('F21: a change while both versions run is said to wait, and is deployed after the teardown', async () => {
    orders = await aDualRunningApplication();
    const { deployHash } = orders.status();

    orders.changeImage('registry.example.com/orders:3');
    await orders.rounds(10);
    expect(orders.conditions()).toContain('Deployed False TearDownAwaited');
    orders.edit((spec) => ({ ...spec, tearDownVersionHash: deployHash }));
    await orders.roundsUntil(() => orders.runs().length === 3 && orders.status().phase === 'DualRunning');

    expect(orders.livingJobs()).toHaveLength(2);
    expect(orders.lastRun()?.image).toBe('registry.example.com/orders:3');
  });

  it('F21: a job that fails while both versions run is said to have failed', async () => {
    orders = await aDualRunningApplication();
    const second = orders.runs()[1]?.jobId;

    orders.failJob({ isFatal: true });
    await orders.rounds(10);

    expect(orders.status().versionStatuses?.[1]?.jobStatus).toMatchObject({
      jobID: second,
      state: 'FAILED',
      health: 'Red',
    });
    expect(orders.status().jobStatus).toMatchObject({ state: 'RUNNING', health: 'Green' });
    expect(orders.conditions()).toContain('Deployed False JobNotRunning');
    expect(orders.events().filter((event) => event === 'Warning JobFailed')).toHaveLength(1);
  });

  it('F21: the service of a colour goes with its version', async () => {
    orders = await aDualRunningApplication();
    const { deployHash, updatingHash } = orders.status();
    expect(orders.services()).toEqual(
      ['orders-blue', 'orders-green', `orders-${deployHash}`, `orders-${updatingHash}`].toSorted(),
    );

    orders.edit((spec) => ({ ...spec, tearDownVersionHash: deployHash }));
    await orders.roundsUntil('Running');
    await orders.rounds(10);

    expect(orders.services()).toEqual(['orders-blue', `orders-${updatingHash}`].toSorted());
  });
});

describe('F31: Flink 2 gets settings and arguments that it does not read', () => {
  it.each(['1.20', '2.3'])('F31: a job on Flink %s gets its arguments, quotes and all', async (flinkVersion) => {
    orders = await aDeployedApplication({ flinkVersion, programArgs: '--topic orders --greeting "good morning"' });

    expect(orders.lastRun()?.programArgs).toEqual(['--topic', 'orders', '--greeting', 'good morning']);
  });

  it.each(['1.20', '2.3'])(
    'a list of arguments is used as written by the plan, the job and a rollback, on Flink %s',
    async (flinkVersion) => {
      const programArgsList = ['--greeting', ' say "it\'s" ', '', '日本 🚰'];
      orders = await anApplication({ flinkVersion, programArgsList, timeouts: { verticesSeconds: 20 } });
      const plans: unknown[] = [];
      orders.sandbox.hooks.before(({ path, body }) => {
        if (path.endsWith('/plan')) plans.push(JSON.parse(body.toString()).programArgsList);
      });
      await orders.roundsUntil('Running');
      const first = orders.lastRun();
      orders.describeJar(NEXT_IMAGE, { failsAtStart: 'a bad build' });

      orders.edit(({ programArgsList: _, ...spec }) => ({ ...spec, image: NEXT_IMAGE, programArgs: '--next' }));
      await orders.roundsUntil('DeployFailed');

      expect(first?.programArgs).toEqual(programArgsList);
      expect(plans).toEqual([programArgsList, ['--next']]);
      expect(orders.runs().map(({ programArgs }) => programArgs)).toEqual([
        programArgsList,
        ['--next'],
        programArgsList,
      ]);
      expect(orders.status().jobStatus).toMatchObject({ programArgsList });
    },
  );

  it('F31: a port of its own is told to Flink 2 under the key that it reads', async () => {
    orders = await aDeployedApplication({ flinkVersion: '2.3', uiPort: 9081 });

    expect(propertiesOf('jm')).toContain('rest.port: 9081');
    expect(orders.status().jobStatus?.state).toBe('RUNNING');
  });
});
