// A FlinkApplication that is suspended and resumed on real Flink: its pods go, its state stays.
import { access } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

it.each(flinkVersions)(
  'suspends an application on Flink %s, and resumes it with another size a day later',
  async (version) => {
    const scene = await openDeployScene(world);
    const first = whatRuns(await scene.deploy({ version }));
    await scene.flink.waitForCount(first.jobId, ({ counted }) => counted > 500);

    await scene.edit({ suspend: true });
    const { status } = await scene.untilPhase('Suspended');
    await scene.until('no pod left', async () => (await scene.flink.pods('flink-app=orders')).length === 0);

    const saved = status?.suspension?.savepointPath ?? '';
    await access(`${new URL(saved).pathname}/_metadata`);
    expect(await scene.objects()).toEqual(['orders']);
    expect(await scene.conditions()).toEqual([
      'SpecValid=True/Valid',
      'Deployed=False/Suspended',
      'JobRunning=False/Suspended',
    ]);
    expect(await scene.message('JobRunning')).toContain(saved);
    const printed = await world.controlPlane.kubectl('get', 'flinkapp', 'orders', '--namespace', scene.namespace);
    expect(printed).toContain('Suspended');

    scene.advance(24 * 3600);
    await scene.edit({ suspend: false, taskManagerConfig: { replicas: 1 } });
    const resumed = await scene.untilPhase('Running');

    const second = whatRuns(resumed);
    expect(resumed.status?.jobStatus?.restorePath).toBe(saved);
    await scene.expectGoneOn(first.jobId, second.jobId, 2);
    expect(resumed.status).not.toHaveProperty('suspension');
  },
  240_000,
);

it('keeps a job running that real Flink cannot save', async () => {
  const scene = await openDeployScene(world);
  const [version = '1.20.3'] = flinkVersions;
  const flinkConfig = { 'execution.checkpointing.savepoint-dir': 'file:///proc/no-savepoints-here' };
  const { jobId } = whatRuns(await scene.deploy({ version, flinkConfig, spec: { parallelism: 2 } }));
  await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

  await scene.edit({ suspend: true });
  const { status } = await scene.untilStatus('SuspendFailed', ({ failedSuspension }) => failedSuspension !== undefined);

  expect(status).toMatchObject({ phase: 'Running', failedSuspension: { reason: 'SavepointFailed', attempts: 1 } });
  expect(await scene.conditions()).toContain('Deployed=False/SuspendFailed');
  const counted = (await scene.flink.jobCounts(jobId)).at(-1)?.counted ?? 0;
  await scene.flink.waitForCount(jobId, (count) => count.counted > counted);
}, 240_000);
