// A FlinkApplication on real Flink: its first deploy, and the way from one revision to the next with its state.
import { expect, it } from 'vitest';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { objectsOf, openDeployScene, whatRuns } from './deploy-scene.ts';
import { describeTimes, timeDeploy } from './deploy-timing.ts';

const world = useFlinkWorld();

const SECOND_NAME = ' the "second" version 日本 ';

it.each(flinkVersions)(
  'deploys an application on Flink %s, and moves it to its next revision with its state',
  async (version) => {
    const scene = await openDeployScene(world);

    const first = await scene.deploy({ version });

    const { jobId, hash } = whatRuns(first);
    expect(first.status).toMatchObject({
      phase: 'Running',
      clusterStatus: { numberOfTaskManagers: 2 },
      jobStatus: { parallelism: 4 },
    });
    expect(await scene.objects()).toEqual(objectsOf(hash));
    expect(await scene.flink.pods(first.status?.selector ?? '')).toHaveLength(2);
    expect(await scene.conditions()).toEqual([
      'SpecValid=True/Valid',
      'Deployed=True/Deployed',
      'JobRunning=True/JobRunning',
    ]);
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

    const deploy = timeDeploy(scene, {
      controlPlane: world.controlPlane,
      before: first,
      change: () =>
        scene.edit({
          image: `bench/flink:${version}-v2`,
          programArgs: null,
          programArgsList: [...scene.flink.jobArguments, '--name', SECOND_NAME],
        }),
      settle: () => scene.untilPhase('Running'),
    });
    console.log(describeTimes(await deploy));
    const second = await scene.application();

    const next = whatRuns(second);
    expect(next.hash).not.toBe(hash);
    expect(await scene.flink.askJobManager('orders', 'GET', `/jobs/${next.jobId}`)).toMatchObject({
      name: SECOND_NAME,
    });
    await scene.expectGoneOn(jobId, next.jobId, 4);
    await scene.until('the old cluster gone', async () => (await scene.objects()).length === 4);
    expect(await scene.objects()).toEqual(objectsOf(next.hash));
    expect(await scene.flink.pods(second.status?.selector ?? '')).toHaveLength(2);
    expect(await scene.events()).toEqual([
      'Normal CreatingCluster',
      'Normal JobSubmitted',
      'Normal CreatingCluster',
      'Normal CancellingJob',
      'Normal CanceledJob',
      'Normal JobSubmitted',
      'Normal ToreDownCluster',
    ]);
  },
  240_000,
);

it.each(flinkVersions)(
  'runs two versions side by side in BlueGreen on Flink %s, and the one that is chosen goes on',
  async (version) => {
    const scene = await openDeployScene(world);
    const first = await scene.deploy({ version, spec: { parallelism: 2, deploymentMode: 'BlueGreen' } });
    const { jobId, hash } = whatRuns(first);
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

    await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
    const both = await scene.untilPhase('DualRunning');

    const [, updating] = both.status?.versionStatuses ?? [];
    const [next = '', nextJob = ''] = [updating?.versionHash, updating?.jobStatus?.jobID];
    expect(first.status?.deployVersion).toBe('green');
    expect(both.status).toMatchObject({ deployHash: hash, deployVersion: 'green', updatingVersion: 'blue' });
    await scene.expectGoneOn(jobId, nextJob, 2);
    await scene.expectStillCounting(jobId);

    await scene.edit({ tearDownVersionHash: hash });
    const { status } = await scene.untilPhase('Running');

    expect(status).toMatchObject({ deployHash: next, deployVersion: 'blue', jobStatus: { jobID: nextJob } });
    expect(await scene.objects()).toEqual(
      [`orders-${next}`, `orders-${next}-blue-jm`, `orders-${next}-blue-tm`, 'orders-blue'].sort(),
    );
    expect(await scene.flink.pods(status?.selector ?? '')).toHaveLength(1);
  },
  240_000,
);
