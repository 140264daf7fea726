// Scaled to 4 TaskManagers, a job really runs with parallelism 8, with its state: by Headrace's own tick, by the HPA controller of Kubernetes,
// and in place.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type MetricsApi, startMetricsApi } from './bench/metrics-api.ts';
import { type DeployScene, type FlinkApplication, objectsOf, openDeployScene, whatRuns } from './deploy-scene.ts';
import { Scene, startScaleCheck, stopScaleCheck } from './scene.ts';

const world = useFlinkWorld();

let metricsApi: MetricsApi;

beforeAll(async () => {
  metricsApi = await startMetricsApi(world.controlPlane);
});

afterAll(async () => {
  stopScaleCheck();
  await metricsApi?.close();
});

/** Of which metrics of CPU are a share. */
const requests = { taskManagerConfig: { taskSlots: 2, resources: { requests: { cpu: '1', memory: '1Gi' } } } };

it.each(flinkVersions)(
  'follows the size that scale-check gives it on Flink %s, from 2 to 4 TaskManagers',
  async (version) => {
    const scene = await openDeployScene(world);
    const before = await scene.deploy({ version, spec: requests });
    setUsage(scene, before);
    // It looks at every namespace, and other tests have left theirs.
    await world.controlPlane.kubectl('delete', 'flinkautoscalers', '--all', '--all-namespaces');
    await new Scene({ controlPlane: world.controlPlane, metricsApi }, scene.namespace).addAutoscaler('orders');
    const scaleCheck = await startScaleCheck(world.controlPlane);

    await scene.until('4 replicas', async () => {
      await scaleCheck();
      return (await scene.application()).spec.taskManagerConfig.replicas === 4;
    });

    await expectRescaled(scene, before);
  },
  240_000,
);

it.each(flinkVersions)(
  'follows the size that the HPA controller gives it on Flink %s, from 2 to 4 TaskManagers',
  async (version) => {
    const scene = await openDeployScene(world);
    const before = await scene.deploy({ version, spec: requests });
    setUsage(scene, before);
    // Now a function and `headrace run` are both at work on it.
    scene.processes = 2;

    await scene.admin.send(
      'POST',
      `/apis/autoscaling/v2/namespaces/${scene.namespace}/horizontalpodautoscalers`,
      horizontalPodAutoscaler,
    );

    await expectRescaled(scene, before);
  },
  240_000,
);

it.each(flinkVersions)(
  'grows within its cluster of Flink %s by a savepoint where the scheduler cannot do better',
  async (version) => {
    const scene = await openDeployScene(world);
    const before = await scene.deploy({ version, spec: { parallelism: 2, scaleMode: 'InPlace' } });
    const { jobId, hash } = whatRuns(before);
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

    const after = await scene.scaleTo(2);

    expect(after.status).toMatchObject({ deployHash: hash, selector: before.status?.selector });
    expect(await scene.objects()).toEqual(objectsOf(hash));
    await scene.expectGoneOn(jobId, whatRuns(after).jobId, 4);
  },
  180_000,
);

/**
 * Without the half a minute for which Flink does not change a job that it has just changed, under its name before 2.0, and since,
 * nor up to 100 s for which a job keeps slots that it does not use.
 */
const adaptive = {
  'jobmanager.scheduler': 'adaptive',
  'jobmanager.adaptive-scheduler.scaling-interval.min': '1 s',
  'jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling': '1 s',
  'slot.idle.timeout': '5 s',
};

/** With it the adaptive scheduler takes its slots from as few TaskManagers as will do, as it does in application mode. */
const packing = { ...adaptive, 'execution.target': 'embedded' };

it.each(flinkVersions)(
  'changes its size in place on Flink %s, up and down, beside the way with a second cluster',
  async (version) => {
    const scene = await openDeployScene(world);
    const before = await scene.deploy({ version, flinkConfig: packing, spec: { scaleMode: 'InPlace' } });
    const { jobId, hash } = whatRuns(before);
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

    const up = await measureStandstill(scene, () => scene.scaleTo(4));
    await expectInPlace(8);
    const down = await measureStandstill(scene, () => scene.scaleTo(2));
    await expectInPlace(4);
    expect(await scene.events()).not.toContain('Normal ShrinkingBusyTaskManagers');
    await scene.edit({ scaleMode: 'NewCluster' });
    const dual = await measureStandstill(scene, () => scene.scaleTo(4));

    const after = whatRuns(await scene.application());
    expect(after.hash).not.toBe(hash);
    await scene.expectGoneOn(jobId, after.jobId, 8);
    console.log(
      `standstill of the job on Flink ${version}: in place 2 → 4 ${seconds(up)}, 4 → 2 ${seconds(down)}; on a new cluster 2 → 4 ${seconds(dual)}` +
        ` (${(dual / up).toFixed(1)} times as long)`,
    );

    async function expectInPlace(parallelism: number): Promise<void> {
      const { status } = await scene.application();
      expect(status).toMatchObject({ deployHash: hash, jobStatus: { jobID: jobId, parallelism } });
      expect(status?.clusterStatus?.numberOfTaskManagers).toBe(parallelism / 2);
      expect(await scene.flink.pods(status?.selector ?? '')).toHaveLength(parallelism / 2);
      const { checkpoint: last = 0 } = (await scene.flink.jobCounts(jobId)).at(-1) ?? {};
      const count = await scene.flink.waitForCount(
        jobId,
        (count) => count.checkpoint > last && count.parallelism === parallelism,
      );
      const counts = await scene.flink.jobCounts(jobId);
      const restored = counts.find(({ checkpoint }) => checkpoint === count.restoredFrom)?.counted;
      expect(count).toMatchObject({ restored, gaps: 0, repeats: 0 });
    }
  },
  300_000,
);

it.each(flinkVersions)(
  'shrinks in place on Flink %s though the slots of the job may be anywhere',
  async (version) => {
    const scene = await openDeployScene(world);
    const spec = { parallelism: 8, scaleMode: 'InPlace' };
    const { jobId, hash } = whatRuns(await scene.deploy({ version, flinkConfig: adaptive, spec }));
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

    const after = await scene.scaleTo(2);

    expect(whatRuns(after)).toMatchObject({ jobId, hash });
    expect(after.status?.jobStatus).toMatchObject({ parallelism: 4 });
    expect(await scene.flink.pods(after.status?.selector ?? '')).toHaveLength(2);
    const { checkpoint: last = 0 } = (await scene.flink.jobCounts(jobId)).at(-1) ?? {};
    const count = await scene.flink.waitForCount(jobId, (count) => count.checkpoint > last && count.parallelism === 4);
    expect(count).toMatchObject({ gaps: 0, repeats: 0 });
  },
  180_000,
);

/** The application's TaskManagers, as they are now, use twice what an autoscaler wants; those of later clusters are not measured. */
function setUsage({ namespace }: DeployScene, { status }: FlinkApplication): void {
  // The CPU of a pod counts from its first whole window on.
  const usage = { cpu: '800m', windowSeconds: 1 };
  metricsApi.values.setPodUsage({ namespace, selector: status?.selector ?? '' }, usage);
}

const horizontalPodAutoscaler = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'orders' },
  spec: {
    scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' },
    minReplicas: 1,
    maxReplicas: 8,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } } }],
  },
};

/** By a second cluster, with the job's state. */
async function expectRescaled(scene: DeployScene, before: FlinkApplication): Promise<void> {
  const after = await scene.untilScaled(4);
  const { jobId, hash } = whatRuns(after);
  await scene.expectGoneOn(whatRuns(before).jobId, jobId, 8);
  expect([...(await scene.jobStates(hash))]).toEqual([[jobId, 'RUNNING']]);
  const { status } = after;
  expect(status?.clusterStatus?.numberOfTaskManagers).toBe(4);
  expect(await scene.flink.pods(status?.selector ?? '')).toHaveLength(4);
  expect(await scene.admin.send('GET', `${scene.path()}/scale`)).toMatchObject({
    spec: { replicas: 4 },
    status: { replicas: 4, selector: status?.selector },
  });
}

/** The longest time in which the job's own counts did not grow until a change was through; milliseconds, of which 500 are between two checkpoints. */
async function measureStandstill(scene: DeployScene, change: () => Promise<unknown>): Promise<number> {
  let isOver = false;
  const changing = change().finally(() => {
    isOver = true;
  });
  let [counted, growthTime, longest] = [0, performance.now(), 0];
  const jobs = new Set<string>();
  // Until it has grown once more after the change.
  for (let isGrowing = false; !(isOver && isGrowing); await delay(100)) {
    const { rollout, jobStatus } = (await scene.application()).status ?? {};
    for (const id of [jobStatus?.jobID, rollout?.jobId]) if (id) jobs.add(id);
    const counts = await Promise.all([...jobs].map((id) => scene.flink.jobCounts(id)));
    const most = Math.max(0, ...counts.flat().map((count) => count.counted));
    isGrowing = most > counted;
    if (!isGrowing) continue;
    if (counted > 0) longest = Math.max(longest, performance.now() - growthTime);
    [counted, growthTime] = [most, performance.now()];
  }
  await changing;
  return longest;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
