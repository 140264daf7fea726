// Applications with high availability on real Flink: a JobManager finds the job of its own cluster again, and never that of one before,
// though a cluster of the same content has the same name.
//
// With HEADRACE_REAL_HA=all each test runs with ZooKeeper as well, on every version of Flink; otherwise one of them does, on one version.
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { type FlinkVersion, flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import type { HaService } from './bench/high-availability.ts';
import { type DeployedJob, type DeployScene, openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

type Kind = readonly [service: HaService, version: FlinkVersion];

const withKubernetes = flinkVersions.map((version): Kind => ['kubernetes', version]);
const withZooKeeper = flinkVersions.map((version): Kind => ['zookeeper', version]);
const isWhole = process.env.HEADRACE_REAL_HA === 'all';
const kinds = isWhole ? [...withKubernetes, ...withZooKeeper] : withKubernetes;

/** One TaskManager, and little time for a job that fails at its start, which Flink starts again and again. */
const small = { parallelism: 2, timeouts: { verticesSeconds: 10 } };

/** From the checkpoint on record, however far the clock was set ahead meanwhile. */
const recovering = { restartPolicy: 'FromLatestCheckpoint', maxCheckpointRestoreAgeSeconds: 86_400 };

const cleanup = 'infra/kubernetes/optional/high-availability-cleanup.yaml';
beforeAll(() => world.controlPlane.kubectl('apply', '-f', cleanup));
afterAll(() => world.controlPlane.kubectl('delete', '-f', cleanup));

describe.each(kinds)('an application with %s high availability on Flink %s', (highAvailability, version) => {
  let scene: DeployScene;

  beforeAll(async () => {
    scene = await openDeployScene(world, { highAvailability });
  });
  afterAll(() => scene?.close());

  it('runs once, and from nothing, when what made its first deploy fail is over', { timeout: 240_000 }, async () => {
    const mend = await scene.flink.cause('fail-at-start');
    // So many that the one which was last recorded is still there when newer ones are made.
    const flinkConfig = { 'state.checkpoints.num-retained': '200' };
    await scene.create({ version, flinkConfig, spec: { ...small, ...recovering, parallelism: 4 } });
    await scene.untilPhase('DeployFailed');
    expect(await scene.message('Deployed')).toContain('told to fail at the start');
    await scene.until('its cluster gone', async () => (await ownObjects(scene)).length <= 1);

    await mend();
    // When it is tried again.
    scene.advance(301);
    const { jobId, hash } = whatRuns(await scene.untilPhase('Running'));

    expect(await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500)).toMatchObject({ restored: 0 });
    expect(await scene.flink.countedJobs()).toEqual([jobId]);
    await expectAlone(scene, { jobId, hash });
    await expectNothingLeft(scene, highAvailability);
  });

  it('resumes its job by itself when its JobManager dies', { timeout: 240_000 }, async () => {
    const { jobId, hash } = whatRuns(await scene.application());
    const saidBefore = await scene.events();

    await scene.killJobManager(hash);
    await scene.until('the job resumed', async () => {
      const counts = await scene.flink.jobCounts(jobId);
      return counts.some(({ restored, counted }) => restored > 0 && counted > restored);
    });
    await scene.untilStatus('seen to run', ({ jobStatus }) => jobStatus?.state === 'RUNNING');

    expect(whatRuns(await scene.application())).toEqual({ jobId, hash });
    expect((await scene.events()).slice(saidBefore.length)).toEqual([]);
    await expectAlone(scene, { jobId, hash });
  });

  it('shrinks with all its state when a rescale had to go back and is tried again', { timeout: 240_000 }, async () => {
    const first = whatRuns(await scene.application());
    const mend = await scene.flink.cause('fail-at-start');
    await scene.edit({ taskManagerConfig: { replicas: 1 } });
    await scene.untilPhase('RollingBackJob');
    await mend();
    const back = whatRuns(await scene.untilPhase('DeployFailed'));
    await scene.expectGoneOn(first.jobId, back.jobId, 4);
    await scene.until('the new cluster gone', async () => (await ownObjects(scene)).length === 4);

    // When it is tried again.
    scene.advance(1801);
    const shrunk = whatRuns(await scene.untilScaled(1));

    expect(back.hash).toBe(first.hash);
    await scene.expectGoneOn(back.jobId, shrunk.jobId, 2);
    await expectAlone(scene, shrunk);
    await expectNothingLeft(scene, highAvailability);
  });

  it('goes on with the state of its newest version when it goes back to one whose JobManager was down at its end', {
    timeout: 240_000,
  }, async () => {
    const first = whatRuns(await scene.application());
    const { spec } = await scene.application();
    await scene.untilStatus('a checkpoint of it known', ({ jobStatus }) =>
      Boolean(jobStatus?.lastCheckpoint?.includes(first.jobId)),
    );
    await breakJobManager(scene, first.hash);
    await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2'), fallbackWithoutState: true });
    // For so long it waits for a savepoint, and then for the JobManager.
    for (const phase of ['Savepointing', 'Recovering']) {
      await scene.untilPhase(phase);
      scene.advance(301);
    }
    const second = whatRuns(await scene.untilPhase('Running'));
    const moved = await scene.expectGoneOn(first.jobId, second.jobId, 2);
    await scene.flink.waitForCount(second.jobId, ({ counted }) => counted > moved.restored + 2000);
    await scene.until('the old cluster gone', async () => (await ownObjects(scene)).length === 4);

    await scene.edit({ programArgs: spec.programArgs });
    const third = whatRuns(await scene.untilPhase('Running'));

    expect(third.hash).toBe(first.hash);
    await scene.expectGoneOn(second.jobId, third.jobId, 2);
    await expectAlone(scene, third);
    await expectNothingLeft(scene, highAvailability);
  });

  it('keeps its id when it is rescaled in place', { timeout: 240_000 }, async () => {
    const before = await scene.application();
    expect(before.status?.clusterId).toMatch(/^orders-[0-9a-f]{8}-[0-9a-z]{6}$/);
    await scene.edit({ scaleMode: 'InPlace' });

    const after = await scene.scaleTo(2);

    const { jobId, hash } = whatRuns(after);
    expect(hash).toBe(whatRuns(before).hash);
    expect(after.status?.clusterId).toBe(before.status?.clusterId);
    await scene.expectGoneOn(whatRuns(before).jobId, jobId, 4);
    await expectAlone(scene, { jobId, hash });
  });
});

it.each(kinds)(
  'starts the second version in BlueGreen from a fresh savepoint, with %s high availability on Flink %s, though its first attempt failed',
  async (highAvailability, version) => {
    const scene = await openDeployScene(world, { highAvailability });
    const { jobId } = whatRuns(await scene.deploy({ version, spec: { ...small, deploymentMode: 'BlueGreen' } }));
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);
    const mend = await scene.flink.cause('fail-at-start');
    await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
    await scene.untilPhase('DeployFailed');
    await scene.until('the new cluster gone', async () => (await ownObjects(scene)).length === 4);
    const { checkpoint = 0 } = (await scene.flink.jobCounts(jobId)).at(-1) ?? {};

    await mend();
    // When it is tried again.
    scene.advance(301);
    const both = await scene.untilPhase('DualRunning');

    const [, updating] = both.status?.versionStatuses ?? [];
    const [hash = '', secondJob = ''] = [updating?.versionHash, updating?.jobStatus?.jobID];
    const moved = await scene.expectGoneOn(jobId, secondJob, 2);
    expect(moved.restoredFrom).toBeGreaterThan(checkpoint);
    await scene.expectStillCounting(jobId);
    await expectAlone(scene, { jobId: secondJob, hash });
    expect(await scene.flink.countedJobs()).toEqual([jobId, secondJob].sort());
  },
  240_000,
);

it.each(isWhole ? kinds : [...withKubernetes, ...withZooKeeper.slice(-1)])(
  'begins where it is told to, with %s high availability on Flink %s, though its like was deleted while its job ran',
  async (highAvailability, version) => {
    const scene = await openDeployScene(world, { highAvailability });
    const spec = { ...small, deleteMode: 'None' };
    const first = whatRuns(await scene.deploy({ version, spec }));
    await scene.flink.waitForCount(first.jobId, ({ counted }) => counted > 500);
    const savepointPath = await takeSavepoint(scene, first);
    const { checkpoint = 0 } = (await scene.flink.jobCounts(first.jobId)).at(-1) ?? {};
    await scene.flink.waitForCount(first.jobId, (count) => count.checkpoint > checkpoint);
    await deleteWithObjects(scene);

    const second = whatRuns(await scene.deploy({ version, spec: { ...spec, savepointPath } }));

    expect(second.hash).toBe(first.hash);
    expect(second.jobId).not.toBe(first.jobId);
    expect(await scene.lastEvent('JobSubmitted')).toMatch(new RegExp(`^Job ${second.jobId} .* from ${savepointPath}$`));
    const moved = await scene.expectGoneOn(first.jobId, second.jobId, 2);
    expect(moved.restoredFrom).toBeLessThanOrEqual(checkpoint);
    await expectAlone(scene, second);

    await deleteWithObjects(scene);
    const third = whatRuns(await scene.deploy({ version, spec }));

    expect(third.hash).toBe(first.hash);
    expect(await scene.flink.waitForCount(third.jobId, () => true)).toMatchObject({ restored: 0, gaps: 0, repeats: 0 });
    await expectAlone(scene, third);
    expect(await scene.flink.countedJobs()).toEqual([first, second, third].map(({ jobId }) => jobId).sort());
  },
  300_000,
);

/** Expects that the job of the application is the only one on its cluster. */
async function expectAlone(scene: DeployScene, { jobId, hash }: DeployedJob): Promise<void> {
  expect(await livingJobs(scene, hash)).toEqual([jobId]);
}

/** Expects that ConfigMaps are kept of the cluster that is deployed, where they are used at all, and soon of no other. */
async function expectNothingLeft(scene: DeployScene, highAvailability: HaService): Promise<void> {
  const { clusterId = '' } = (await scene.application()).status ?? {};
  const kept = highAvailability === 'kubernetes' ? [clusterId] : [];
  await scene.until(`nothing left but of ${kept}`, async () => isDeepStrictEqual(await electedClusters(scene), kept));
}

/** The ids of the clusters of which a ConfigMap is kept: their own, or one of their jobs. */
async function electedClusters({ admin, namespace }: DeployScene): Promise<readonly string[]> {
  const query = new URLSearchParams({ labelSelector: 'type=flink-native-kubernetes' });
  const { items } = await admin.send<{ items: readonly { metadata: { labels: { app: string } } }[] }>(
    'GET',
    `/api/v1/namespaces/${namespace}/configmaps?${query}`,
  );
  return [...new Set(items.map(({ metadata }) => metadata.labels.app))];
}

async function livingJobs(scene: DeployScene, hash: string): Promise<readonly string[]> {
  const hasEnded = (state: string) => ['FINISHED', 'CANCELED', 'FAILED'].includes(state);
  return [...(await scene.jobStates(hash))].flatMap(([id, state]) => (hasEnded(state) ? [] : [id]));
}

/** The pod is replaced by one whose image nobody has: the job goes on, for as long as TaskManagers do without. */
async function breakJobManager({ admin, namespace }: DeployScene, hash: string): Promise<void> {
  const containers = [{ name: 'jobmanager', image: 'bench/flink:none' }];
  const deployment = `/apis/apps/v1/namespaces/${namespace}/deployments/orders-${hash}-jm`;
  const strategicMerge = { 'content-type': 'application/strategic-merge-patch+json' };
  await admin.send('PATCH', deployment, { spec: { template: { spec: { containers } } } }, strategicMerge);
}

async function deleteWithObjects(scene: DeployScene): Promise<void> {
  await scene.delete();
  await scene.until('all gone', async () => !(await scene.exists()) && (await ownObjects(scene)).length === 0);
}

/** Deployments and Services of the application, without that of a ZooKeeper. */
async function ownObjects(scene: DeployScene): Promise<readonly string[]> {
  return (await scene.objects()).filter((name) => name.startsWith('orders'));
}

/** Returns where it lies. The job goes on. */
async function takeSavepoint({ flink }: DeployScene, { jobId, hash }: DeployedJob): Promise<string> {
  const [service, path] = [`orders-${hash}`, `/jobs/${jobId}/savepoints`];
  const trigger = await flink.askJobManager<{ 'request-id': string }>(service, 'POST', path, {});
  return eventually('a savepoint', async () => {
    const { operation } = await flink.askJobManager<{ operation: { location?: string } | null }>(
      ...([service, 'GET', `${path}/${trigger['request-id']}`] as const),
    );
    return operation?.location;
  });
}
