// What a status says while something is wrong, where it is the real servers' behaviour that makes it hard to say.
import { describe, expect, it } from 'vitest';
import { mergePatch } from './bench/api-client.ts';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type DeployScene, openDeployScene } from './deploy-scene.ts';

const world = useFlinkWorld();

const ATTEMPTS = 5;

describe.each(flinkVersions)('a first deploy on Flink %s whose job fails', (version) => {
  it(`tells the cause in ${ATTEMPTS} attempts out of ${ATTEMPTS}, and that nothing runs`, {
    timeout: 480_000,
  }, async () => {
    const scene = await openDeployScene(world);
    const flinkConfig = { 'restart-strategy.type': 'none' };
    await scene.create({ version, more: ['--fail-at-start'], flinkConfig, spec: { parallelism: 1 } });
    const said = [];

    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const { status } = await scene.untilPhase('DeployFailed');
      said.push(status?.failedDeploy?.message.replace(/^Job [0-9a-f]{32} is FAILED: /, ''));
      expect(status).toMatchObject({
        jobStatus: { state: 'FAILED', health: 'Red' },
        clusterStatus: { numberOfTaskManagers: 0, healthyTaskManagers: 0 },
      });
      expect(await scene.conditions()).toContain('JobRunning=False/JobFailed');
      expect(await scene.lastEvent('DeployFailed')).toMatch(/told to fail at the start.*\. It is tried again at /);
      await scene.edit({ restartNonce: String(attempt) });
      await scene.untilStatus('begun again', ({ phase }) => phase !== 'DeployFailed');
    }

    const cause = 'java.lang.IllegalStateException: told to fail at the start (--fail-at-start)';
    expect(said).toEqual(Array.from({ length: ATTEMPTS }, () => cause));
    await scene.close();
  });
});

describe.each(flinkVersions)('a job on Flink %s that fails again and again', (version) => {
  it('is Red at every look, is counted by Flink, and is reported once', { timeout: 300_000 }, async () => {
    const scene = await openDeployScene(world);
    const flinkConfig = {
      'restart-strategy.type': 'fixed-delay',
      'restart-strategy.fixed-delay.attempts': '1000',
      'restart-strategy.fixed-delay.delay': '2 s',
    };
    const { status: deployed } = await scene.deploy({ version, flinkConfig, spec: { parallelism: 1 } });
    expect(deployed?.jobStatus?.health).toBe('Green');

    const recover = await scene.flink.cause('fail');
    await scene.untilStatus('a loop', ({ jobStatus }) => jobStatus?.restartLoopTime !== undefined);
    await recover();
    const healths = [];
    for (let look = 0; look < 8; look += 1) {
      await scene.round();
      healths.push((await scene.application()).status?.jobStatus?.health);
    }
    const { status } = await scene.untilStatus(
      'its restarts counted',
      ({ jobStatus }) => (jobStatus?.jobRestartCount ?? 0) >= 3,
    );

    expect(new Set(healths)).toEqual(new Set(['Red']));
    expect(await scene.message('JobRunning')).toMatch(/fails again and again since .*: .*told to fail/);
    expect((await scene.events()).filter((event) => event.endsWith('JobRestartLoop'))).toEqual([
      'Warning JobRestartLoop',
    ]);
    expect(status?.jobStatus?.restartLoopTime).toBeDefined();
    await scene.close();
  });
});

describe('pods that the API server lets nobody make', () => {
  /** A new application in a namespace that was changed before, whose deploy is waited for no longer than it takes to be said. */
  async function blocked(prepare: (scene: DeployScene) => Promise<unknown>): Promise<DeployScene> {
    const scene = await openDeployScene(world);
    await prepare(scene);
    await scene.create({ version: '2.3.0', spec: { parallelism: 1 } });
    await scene.until('a cause', async () => (await scene.message('Deployed'))?.includes('FailedCreate'));
    return scene;
  }

  async function expectNamed(scene: DeployScene, cause: RegExp): Promise<void> {
    expect(await scene.message('Deployed')).toMatch(cause);
    scene.advance(301);
    const { status } = await scene.untilPhase('DeployFailed');
    expect(status?.failedDeploy).toMatchObject({
      reason: 'ClusterStartTimedOut',
      message: expect.stringMatching(cause),
    });
    expect(await scene.lastEvent('DeployFailed')).toMatch(cause);
    await scene.close();
  }

  it('are named where pod security forbids them', { timeout: 120_000 }, async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const scene = await blocked((each) =>
      each.admin.send('PATCH', `/api/v1/namespaces/${each.namespace}`, { metadata: { labels } }, mergePatch),
    );

    await expectNamed(
      scene,
      /orders-[0-9a-f]{8}-jm: FailedCreate: pods ".*" is forbidden: violates PodSecurity "restricted:latest"/,
    );
  });

  it('are named where a quota is used up', { timeout: 120_000 }, async () => {
    const scene = await blocked(async ({ admin, namespace }) => {
      const quotas = `/api/v1/namespaces/${namespace}/resourcequotas`;
      const spec = { hard: { pods: '0' } };
      await admin.send('POST', quotas, { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'none' }, spec });
      // What the quota controller writes, which does not run here.
      await admin.send(
        'PATCH',
        `${quotas}/none/status`,
        { status: { hard: spec.hard, used: { pods: '0' } } },
        mergePatch,
      );
    });

    await expectNamed(
      scene,
      /FailedCreate: pods ".*" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0/,
    );
  });
});
