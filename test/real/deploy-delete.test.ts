// FlinkApplications that are deleted while their jobs run on real Flink; the one to be saved in the foreground, as Argo CD deletes.
import { access } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type DeployScene, openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

/** One TaskManager each. */
const size = { parallelism: 2 };

it.each(flinkVersions)(
  'deletes applications of Flink %s as each of them says, with all that belongs to them',
  async (version) => {
    const scene = await openDeployScene(world);
    const names = ['savepoint', 'none', 'force-cancel'];
    await scene.create({ name: 'savepoint', version, spec: size });
    await scene.create({ name: 'none', version, spec: { ...size, deleteMode: 'None' } });
    await scene.create({ name: 'force-cancel', version, spec: { ...size, deleteMode: 'ForceCancel' } });
    for (const name of names) await scene.untilPhase('Running', name);
    const { jobId } = whatRuns(await scene.application('savepoint'));
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 0);
    const since = Date.now();

    await scene.delete('savepoint', 'Foreground');
    for (const name of ['none', 'force-cancel']) await scene.delete(name);
    await scene.until('all gone', async () => {
      const found = await Promise.all(names.map((name) => scene.exists(name)));
      return !found.includes(true) && (await scene.objects()).length === 0 && (await scene.revisions()).length === 0;
    });

    const [saved = ''] = /\S*\/savepoints\/\S+/.exec((await scene.lastEvent('CanceledJob', 'savepoint')) ?? '') ?? [];
    await access(`${new URL(saved).pathname}/_metadata`);
    expect(await orders(scene, since)).toEqual(['patch force-cancel', 'create savepoint']);

    const restored = await scene.deploy({ name: 'again', version, spec: { ...size, savepointPath: saved } });
    await scene.expectGoneOn(jobId, whatRuns(restored).jobId, 2);
  },
  240_000,
);

/** What JobManagers were told since then (epoch ms), and whose. */
async function orders(scene: DeployScene, since: number): Promise<readonly string[]> {
  const events = await world.controlPlane.auditLog({ since });
  const told = events
    .filter(({ objectRef, verb }) => objectRef?.subresource === 'proxy' && verb !== 'get')
    .filter(({ objectRef }) => objectRef?.namespace === scene.namespace)
    .map(({ verb, objectRef }) => `${verb} ${objectRef?.name?.replace(/-[0-9a-f]{8}:ui$/, '')}`);
  return [...new Set(told)].sort((a, b) => (a.slice(7) < b.slice(7) ? -1 : 1));
}
