// A version that comes up on real Flink and then fails again and again: the one before is deployed again.
import { expect, it } from 'vitest';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

it.each(flinkVersions)(
  'rolls a version back that loops on Flink %s, from the savepoint between the two',
  async (version) => {
    const scene = await openDeployScene(world);
    // What the test causes is for the next version alone.
    const programArgs = scene.arguments('--control', '/nowhere');
    const spec = { parallelism: 2, rollbackWindowSeconds: 3600, programArgs };
    const first = whatRuns(await scene.deploy({ version, spec }));
    await scene.flink.waitForCount(first.jobId, ({ counted }) => counted > 500);
    await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
    const updated = await scene.untilPhase('Running');
    const second = whatRuns(updated);
    await scene.flink.waitForCount(second.jobId, ({ counted, restored }) => counted > restored);

    const recover = await scene.flink.cause('fail');
    const { status } = await scene.untilPhase('DeployFailed');
    await recover();

    const third = whatRuns(await scene.application());
    expect(status?.failedDeploy).toMatchObject({ revision: updated.status?.currentRevision, reason: 'JobRestartLoop' });
    expect(await scene.message('Deployed')).toContain('told to fail');
    const saved = updated.status?.savepoints?.at(-1)?.path;
    expect(status?.jobStatus?.restorePath).toBe(saved);
    await scene.expectGoneOn(first.jobId, third.jobId, 2);
    await scene.until('one cluster', async () => (await scene.objects()).length === 4);
    expect(await scene.conditions()).toEqual([
      'SpecValid=True/Valid',
      'Deployed=False/JobRestartLoop',
      'JobRunning=True/JobRunning',
    ]);
  },
  240_000,
);
