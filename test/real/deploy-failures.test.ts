// Deploys that cannot succeed, and JobManagers that die, on real Flink: what ran before goes on, or says why it does not.
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type DeployScene, openDeployScene } from './deploy-scene.ts';

const world = useFlinkWorld();

describe('an application that runs', () => {
  let scene: DeployScene;
  let jobId: string;
  let deployHash: string;

  beforeAll(async () => {
    scene = await openDeployScene(world);
    // A job that fails at its start is started again and again by Flink, so it is given little time.
    const { status } = await scene.deploy({ version: '1.20.3', spec: { timeouts: { verticesSeconds: 10 } } });
    jobId = status?.jobStatus?.jobID ?? '';
    deployHash = status?.deployHash ?? '';
  }, 120_000);

  /** The same job goes on counting on the same cluster. */
  async function expectUntouched(): Promise<void> {
    const { status } = await scene.application();
    expect(status).toMatchObject({ deployHash, jobStatus: { jobID: jobId } });
    const seen = (await scene.flink.jobCounts(jobId)).at(-1)?.counted ?? 0;
    const count = await scene.flink.waitForCount(jobId, ({ counted }) => counted > seen);
    expect(count).toMatchObject({ restored: 0, gaps: 0, repeats: 0 });
  }

  it.each([
    ['parallelism 0', { parallelism: 0 }, /spec\.parallelism.*greater than or equal to 1/],
    ['no slots', { taskManagerConfig: { taskSlots: 0 } }, /taskSlots.*greater than or equal to 1/],
    ['an unknown deploymentMode', { deploymentMode: 'Rolling' }, /deploymentMode.*supported values/],
  ])('is not given %s: the API server refuses it', async (_, spec, message) => {
    await expect(scene.edit(spec)).rejects.toThrow(message);
  });

  it('keeps its job when its memory cannot be rendered, and says what is wrong', async () => {
    await scene.edit({ taskManagerConfig: { resources: { requests: { memory: '0.5' } } } });

    await scene.untilStatus('the fault said', () => true);

    expect(await scene.conditions()).toContain('SpecValid=False/InvalidSpec');
    expect(await scene.message('SpecValid')).toBe(
      'spec.taskManagerConfig.resources.requests.memory is "0.5": it must be whole bytes, and more than 0.',
    );
    await expectUntouched();

    await scene.edit({ taskManagerConfig: { resources: null } });
    await scene.untilPhase('Running');
    expect(await scene.conditions()).toContain('SpecValid=True/Valid');
  });

  it('keeps its job when the next one has no jar, and says so', { timeout: 120_000 }, async () => {
    await scene.edit({ jarName: 'missing.jar' });

    await scene.untilPhase('DeployFailed');

    expect(await scene.conditions()).toContain('Deployed=False/JobNotRunnable');
    expect(await scene.message('Deployed')).toMatch(/Jar file .*missing\.jar does not exist/);
    expect(await scene.events()).toContain('Warning DeployFailed');
    await expectUntouched();
    await scene.until('the failed cluster gone', async () => (await scene.objects()).length === 4);

    await scene.edit({ jarName: 'counting-job.jar' });
    await scene.untilPhase('Running');
    expect(await scene.conditions()).toContain('Deployed=True/Deployed');
    await expectUntouched();
  });

  it('gets its old job back, from where it was, when the next one does not come up', { timeout: 180_000 }, async () => {
    await scene.edit({ programArgs: scene.arguments('--fail-at-start') });

    const { status } = await scene.untilPhase('DeployFailed');

    expect(status?.deployHash).toBe(deployHash);
    expect(await scene.conditions()).toEqual([
      'SpecValid=True/Valid',
      'Deployed=False/JobMonitoringFailed',
      'JobRunning=True/JobRunning',
    ]);
    expect(await scene.message('Deployed')).toMatch(/did not run within 10 s: .*told to fail at the start/);
    expect(await scene.events()).toContain('Normal RollbackSucceeded');
    const moved = await scene.expectGoneOn(jobId, status?.jobStatus?.jobID ?? '', 4);
    expect((await scene.flink.jobCounts(jobId)).at(-1)?.checkpoint).toBe(moved.restoredFrom);
    expect(await scene.flink.pods(status?.selector ?? '')).toHaveLength(2);
  });
});

it('leaves a job alone that cannot be saved since there is no savepoint directory', { timeout: 180_000 }, async () => {
  const scene = await openDeployScene(world);
  const flinkConfig = Object.fromEntries(
    Object.entries(scene.flink.flinkConfig).filter(([key]) => key !== 'execution.checkpointing.savepoint-dir'),
  );
  const size = { parallelism: 2, taskManagerConfig: { taskSlots: 2 } };
  const before = await scene.deploy({ version: '2.3.0', spec: { ...size, flinkConfig } });
  const jobId = before.status?.jobStatus?.jobID ?? '';
  await scene.flink.waitForCount(jobId, ({ counted }) => counted > 0);

  await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
  const { status } = await scene.untilPhase('DeployFailed');

  expect(await scene.message('Deployed')).toContain('execution.checkpointing.savepoint-dir] is not set');
  expect(status).toMatchObject({ deployHash: before.status?.deployHash, jobStatus: { jobID: jobId } });
  const seen = (await scene.flink.jobCounts(jobId)).at(-1)?.counted ?? 0;
  expect(await scene.flink.waitForCount(jobId, ({ counted }) => counted > seen)).toMatchObject({ restored: 0 });
});

it('moves a job of which no savepoint can be written from its last checkpoint', { timeout: 180_000 }, async () => {
  const scene = await openDeployScene(world);
  const before = await scene.deploy({
    version: '1.20.3',
    // Nobody can make a directory there. Checkpoints go on, and each deletes the one before.
    flinkConfig: { 'execution.checkpointing.savepoint-dir': 'file:///proc/savepoints' },
    spec: { parallelism: 2, taskManagerConfig: { taskSlots: 2 } },
  });
  const jobId = before.status?.jobStatus?.jobID ?? '';
  await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

  await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
  const { status } = await scene.untilStatus(
    'deployed',
    ({ phase }) => phase === 'Running' || phase === 'DeployFailed',
  );

  expect(await scene.events()).toEqual(
    expect.arrayContaining(['Warning SavepointFailed', 'Normal RestoringExternalizedCheckpoint']),
  );
  expect(await scene.conditions()).toContain('Deployed=True/Deployed');
  await scene.expectGoneOn(jobId, status?.jobStatus?.jobID ?? '', 2);
  expect(status?.deployHash).not.toBe(before.status?.deployHash);
});

it('says of a name that is too long that nothing can be made of it', async () => {
  const scene = await openDeployScene(world);
  const name = 'o'.repeat(55);

  await scene.create({ name, version: '2.3.0' });
  await scene.untilStatus('the fault said', ({ conditions = [] }) => conditions.length > 0, name);

  expect(await scene.message('SpecValid', name)).toMatch(/^metadata\.name has 55 characters: .* must have 54 at most/);
  expect(await scene.objects()).toEqual([]);
});

it('says of a job whose JobManager died that it is lost, and does no more where it is to do nothing', {
  timeout: 180_000,
}, async () => {
  const scene = await openDeployScene(world);
  const size = { parallelism: 2, taskManagerConfig: { taskSlots: 2 } };
  const before = await scene.deploy({ version: '2.3.0', spec: size });
  const jobId = before.status?.jobStatus?.jobID ?? '';

  await killJobManager(scene, before.status?.deployHash ?? '');
  const lost = await scene.untilStatus('its loss said', ({ jobStatus }) => jobStatus?.state === 'LOST');

  expect(lost.status).toMatchObject({ phase: 'Running', jobStatus: { jobID: jobId, health: 'Red' } });
  expect(await scene.conditions()).toContain('JobRunning=False/JobLost');
  expect(await scene.message('JobRunning')).toContain('restartPolicy is Never');
  expect(await scene.events()).toContain('Warning JobLost');
  await scene.until('the cluster whole again', async () => {
    const { status } = await scene.application();
    return status?.clusterStatus?.health === 'Green' && status.clusterStatus.availableTaskSlots === 2;
  });
  expect((await scene.application()).status).toMatchObject({ phase: 'Running', jobStatus: { jobID: jobId } });
});

it('brings a job whose JobManager died back from its latest checkpoint, where that is asked for', {
  timeout: 180_000,
}, async () => {
  const scene = await openDeployScene(world);
  const before = await scene.deploy({
    version: '1.20.3',
    // So many that the one which was last recorded is still there when newer ones are made.
    flinkConfig: { 'state.checkpoints.num-retained': '20' },
    spec: { parallelism: 2, taskManagerConfig: { taskSlots: 2 }, restartPolicy: 'FromLatestCheckpoint' },
  });
  const jobId = before.status?.jobStatus?.jobID ?? '';
  await scene.flink.waitForCount(jobId, ({ counted }) => counted > 1000);
  await scene.untilStatus('a checkpoint known', ({ jobStatus }) => jobStatus?.lastCheckpoint !== undefined);

  await killJobManager(scene, before.status?.deployHash ?? '');
  const { status } = await scene.untilStatus(
    'another job',
    ({ phase, jobStatus }) => phase === 'Running' && jobStatus?.jobID !== jobId && jobStatus?.state === 'RUNNING',
  );

  expect(status?.deployHash).toBe(before.status?.deployHash);
  expect(await scene.events()).toContain('Warning RestartingJob');
  expect(await scene.conditions()).toContain('JobRunning=True/JobRunning');
  const moved = await scene.expectGoneOn(jobId, status?.jobStatus?.jobID ?? '', 2);
  expect(moved.restored).toBeGreaterThan(0);
});

it('brings a job back that has failed for good, where that is asked for', { timeout: 180_000 }, async () => {
  const scene = await openDeployScene(world);
  const before = await scene.deploy({
    version: '2.3.0',
    flinkConfig: { 'restart-strategy.type': 'none' },
    spec: { parallelism: 2, taskManagerConfig: { taskSlots: 2 }, restartPolicy: 'FromLatestCheckpoint' },
  });
  const [jobId = '', service] = [before.status?.jobStatus?.jobID, `orders-${before.status?.deployHash}`];
  await scene.flink.waitForCount(jobId, ({ counted }) => counted > 500);

  const recover = await scene.flink.cause('fail');
  await eventually('the job FAILED', async () => {
    const { jobs } = await scene.flink.askJobManager<{ jobs: readonly { status: string }[] }>(service, 'GET', '/jobs');
    return jobs.every(({ status }) => status === 'FAILED');
  });
  await recover();
  const { status } = await scene.untilStatus(
    'another job',
    ({ phase, jobStatus }) => phase === 'Running' && jobStatus?.jobID !== jobId && jobStatus?.state === 'RUNNING',
  );

  expect(await scene.events()).toContain('Warning RestartingJob');
  expect(status?.deployHash).toBe(before.status?.deployHash);
  await scene.expectGoneOn(jobId, status?.jobStatus?.jobID ?? '', 2);
});

async function killJobManager(scene: DeployScene, hash: string): Promise<void> {
  const pods = await scene.flink.pods('flink-deployment-type=jobmanager');
  const pod = pods.find((name) => name.includes(hash));
  if (pod === undefined) throw new Error(`cluster ${hash} has no JobManager`);
  scene.flink.killProcess(pod);
}
