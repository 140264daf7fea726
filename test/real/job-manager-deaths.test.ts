// A JobManager without high availability that dies right after it was given the job of a healthy deploy. Its TaskManagers live on, and
// refuse that id ("library registration references a different set of library BLOBs").
import { expect, it } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

it.each(flinkVersions)(
  'costs a deploy on Flink %s a second submission, and no roll back',
  async (version) => {
    const scene = await openDeployScene(world);
    const before = whatRuns(await scene.deploy({ version, spec: { parallelism: 2 } }));
    await scene.flink.waitForCount(before.jobId, ({ counted }) => counted > 0);

    await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
    const submitted = await scene.untilStatus('the job taken', ({ rollout }) => rollout?.isSubmitted === true);
    const { hash = '', jobId = '' } = submitted.status?.rollout ?? {};
    // Nobody looks until its tasks have come to the TaskManagers.
    await eventually('the new job RUNNING', async () => (await scene.jobStates(hash)).get(jobId) === 'RUNNING');
    await scene.flink.waitForCount(jobId, ({ counted, restored }) => counted > restored);
    await scene.killJobManager(hash);
    const after = await scene.untilStatus('an end', ({ phase }) => phase === 'Running' || phase === 'DeployFailed');

    expect(await scene.message('Deployed')).toContain(`is deployed on cluster ${hash}`);
    expect(await scene.lastEvent('JobLost')).toContain(jobId);
    expect(await scene.events()).not.toContain('Warning DeployFailed');
    expect(whatRuns(after)).toMatchObject({ hash });
    expect(whatRuns(after).jobId).not.toBe(jobId);
    await scene.expectGoneOn(before.jobId, whatRuns(after).jobId, 2);
  },
  300_000,
);
