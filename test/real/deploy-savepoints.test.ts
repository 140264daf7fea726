// Savepoints that Headrace takes of a running job on real Flink, and those that it disposes of.
import { access } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type DeployScene, openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

const HOUR = 3600;

it.each(flinkVersions)(
  'takes periodic savepoints on Flink %s without stopping the job, and keeps as many as it should',
  async (version) => {
    const scene = await openDeployScene(world);
    const first = whatRuns(await scene.deploy({ version, spec: { parallelism: 2 } }));
    await scene.flink.waitForCount(first.jobId, ({ counted }) => counted > 500);
    const periodicSavepoints = { intervalSeconds: HOUR };
    await scene.edit({ periodicSavepoints, savepointHistory: { maxCount: 2 } });

    const paths: string[] = [];
    for (let count = 1; count <= 3; count += 1) {
      scene.advance(HOUR);
      paths.push(await nextSavepoint(scene, paths));
    }
    await scene.untilStatus('the oldest gone', ({ savepoints }) => savepoints?.length === 2);

    expect(await Promise.all(paths.map(exists))).toEqual([false, true, true]);
    await scene.expectStillCounting(first.jobId);
    expect(await scene.events()).toContain('Normal SavepointDisposed');

    await scene.edit({ restartNonce: '2', periodicSavepoints: null });
    const second = whatRuns(
      await scene.untilStatus(
        'redeployed',
        ({ phase, currentRevision }) =>
          phase === 'Running' && currentRevision !== undefined && currentRevision !== first.hash,
      ),
    );
    await scene.expectGoneOn(first.jobId, second.jobId, 2);
    const { status } = await scene.untilStatus('the next oldest gone', ({ savepoints }) => savepoints?.length === 2);
    expect(status?.savepoints).toMatchObject([
      { path: paths[2], reason: 'Periodic' },
      { reason: 'Deploy', restoredJobId: second.jobId },
    ]);
    expect(await exists(paths[1] ?? '')).toBe(false);
  },
  240_000,
);

/** Rounds until one more is recorded. */
async function nextSavepoint(scene: DeployScene, known: readonly string[]): Promise<string> {
  const { status } = await scene.untilStatus('another savepoint', ({ savepoints = [] }) =>
    savepoints.some(({ path }) => !known.includes(path)),
  );
  return status?.savepoints?.at(-1)?.path ?? '';
}

async function exists(savepoint: string): Promise<boolean> {
  return access(`${new URL(savepoint).pathname}/_metadata`).then(
    () => true,
    () => false,
  );
}
