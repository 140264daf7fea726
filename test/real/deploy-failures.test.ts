// Deploys that cannot succeed, and JobManagers that die, on real Flink: what ran before goes on, or says why it does not.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type DeployedJob, type DeployScene, openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

describe('an application', () => {
  it.each([
    ['parallelism 0', { parallelism: 0 }, /spec\.parallelism.*greater than or equal to 1/],
    ['no slots', { taskManagerConfig: { taskSlots: 0 } }, /taskSlots.*greater than or equal to 1/],
    ['an unknown deploymentMode', { deploymentMode: 'Rolling' }, /deploymentMode.*supported values/],
  ])('is not given %s: the API server refuses it', async (_, spec, message) => {
    const scene = await openDeployScene(world);
    await scene.create({ version: '2.3.0' });

    await expect(scene.edit(spec)).rejects.toThrow(message);
  });

  it('says of a name that is too long that nothing can be made of it', async () => {
    const scene = await openDeployScene(world);
    const name = 'o'.repeat(55);

    await scene.create({ name, version: '2.3.0' });
    await scene.untilStatus('the fault said', ({ conditions = [] }) => conditions.length > 0, name);

    expect(await scene.message('SpecValid', name)).toMatch(
      /^metadata\.name has 55 characters: .* must have 54 at most/,
    );
    expect(await scene.objects()).toEqual([]);
  });
});

describe.each(flinkVersions)('an application that runs on Flink %s', (version) => {
  let scene: DeployScene;
  let jobId: string;
  let hash: string;

  beforeAll(async () => {
    scene = await openDeployScene(world);
    // A job that fails at its start is started again and again by Flink, so it is given little time.
    ({ jobId, hash } = whatRuns(await scene.deploy({ version, spec: { timeouts: { verticesSeconds: 10 } } })));
  }, 180_000);
  afterAll(() => scene?.close());

  /** The same job goes on counting on the same cluster. */
  async function expectUntouched(): Promise<void> {
    expect(whatRuns(await scene.application())).toEqual({ jobId, hash });
    await scene.expectStillCounting(jobId);
  }

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

  it('keeps its job when the next one has no jar, and says so', { timeout: 240_000 }, async () => {
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

  it('gets its old job back, from where it was, when the next one does not come up', { timeout: 240_000 }, async () => {
    await scene.edit({ programArgs: scene.arguments('--fail-at-start') });

    const { status } = await scene.untilPhase('DeployFailed');

    expect(status?.deployHash).toBe(hash);
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

const savepointDirectory = 'execution.checkpointing.savepoint-dir';

it.each(flinkVersions)(
  'leaves a job of Flink %s alone that cannot be saved since there is no savepoint directory',
  async (version) => {
    const scene = await openDeployScene(world);
    const { [savepointDirectory]: _, ...flinkConfig } = scene.flink.flinkConfig;
    const before = whatRuns(await scene.deploy({ version, spec: { parallelism: 2, flinkConfig } }));
    await scene.flink.waitForCount(before.jobId, ({ counted }) => counted > 0);

    await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
    await scene.untilPhase('RollingBackJob');
    // For so long it waits for calls of earlier rounds, and here there are none.
    scene.advance(30);
    const after = await scene.untilPhase('DeployFailed');

    expect(await scene.message('Deployed')).toContain(`${savepointDirectory}] is not set`);
    expect(whatRuns(after)).toEqual(before);
    await scene.expectStillCounting(before.jobId);
  },
  240_000,
);

it.each(flinkVersions)(
  'moves a job of Flink %s of which no savepoint can be written from its last checkpoint',
  async (version) => {
    const scene = await openDeployScene(world);
    // Nobody can make a directory there. Checkpoints go on, and each deletes the one before.
    const flinkConfig = { [savepointDirectory]: 'file:///proc/savepoints' };
    const before = whatRuns(await scene.deploy({ version, flinkConfig, spec: { parallelism: 2 } }));
    await scene.flink.waitForCount(before.jobId, ({ counted }) => counted > 500);

    await scene.edit({ programArgs: scene.arguments('--name', 'orders-v2') });
    const after = await scene.untilStatus('deployed', ({ phase }) => phase === 'Running' || phase === 'DeployFailed');

    expect(await scene.events()).toEqual(
      expect.arrayContaining(['Warning SavepointFailed', 'Normal RestoringExternalizedCheckpoint']),
    );
    expect(await scene.conditions()).toContain('Deployed=True/Deployed');
    const { jobId, hash } = whatRuns(after);
    await scene.expectGoneOn(before.jobId, jobId, 2);
    expect(hash).not.toBe(before.hash);
  },
  240_000,
);

describe.each(flinkVersions)('a job on Flink %s that is gone', (version) => {
  let scene: DeployScene;

  beforeAll(async () => {
    scene = await openDeployScene(world);
    const flinkConfig = {
      'restart-strategy.type': 'none',
      // So many that the one which was last recorded is still there when newer ones are made.
      'state.checkpoints.num-retained': '20',
    };
    await scene.deploy({ version, flinkConfig, spec: { parallelism: 2, restartPolicy: 'FromLatestCheckpoint' } });
  }, 180_000);
  afterAll(() => scene?.close());

  it('is brought back when it has failed for good, where that is asked for', { timeout: 240_000 }, async () => {
    const before = whatRuns(await scene.application());
    await scene.flink.waitForCount(before.jobId, ({ counted }) => counted > 500);

    const recover = await scene.flink.cause('fail');
    await eventually('the job FAILED', async () => (await scene.jobStates(before.hash)).get(before.jobId) === 'FAILED');
    await recover();
    const after = await untilBack(scene, before.jobId);

    expect(await scene.lastEvent('RestartingJob')).toContain(before.jobId);
    expect(after.hash).toBe(before.hash);
    await scene.expectGoneOn(before.jobId, after.jobId, 2);
  });

  it('is brought back from its latest checkpoint when its JobManager died, where that is asked for', {
    timeout: 240_000,
  }, async () => {
    const before = whatRuns(await scene.application());
    await scene.flink.waitForCount(before.jobId, ({ counted, restored }) => counted > restored + 500);
    await scene.untilStatus('a checkpoint of it known', ({ jobStatus }) =>
      Boolean(jobStatus?.lastCheckpoint?.includes(before.jobId)),
    );

    await scene.killJobManager(before.hash);
    const after = await untilBack(scene, before.jobId);

    expect(await scene.lastEvent('RestartingJob')).toContain(before.jobId);
    expect(after.hash).toBe(before.hash);
    expect(await scene.conditions()).toContain('JobRunning=True/JobRunning');
    const moved = await scene.expectGoneOn(before.jobId, after.jobId, 2);
    expect(moved.restored).toBeGreaterThan(0);
  });

  it('is said to be lost when its JobManager died, and no more where nothing is to be done', {
    timeout: 240_000,
  }, async () => {
    const { jobId, hash } = whatRuns(await scene.application());
    await scene.edit({ restartPolicy: 'Never' });
    await scene.untilPhase('Running');

    await scene.killJobManager(hash);
    const lost = await scene.untilStatus('its loss said', ({ jobStatus }) => jobStatus?.state === 'LOST');

    expect(lost.status).toMatchObject({ phase: 'Running', jobStatus: { jobID: jobId, health: 'Red' } });
    expect(await scene.conditions()).toContain('JobRunning=False/JobLost');
    expect(await scene.message('JobRunning')).toContain('restartPolicy is Never');
    expect(await scene.events()).toContain('Warning JobLost');
    const whole = await scene.untilStatus(
      'the cluster whole again',
      ({ clusterStatus }) => clusterStatus?.health === 'Green' && clusterStatus.availableTaskSlots === 2,
    );
    expect(whole.status).toMatchObject({ phase: 'Running', jobStatus: { jobID: jobId } });
    expect(await scene.jobStates(hash)).toEqual(new Map());
  });
});

/** Rounds until another job runs in place of that one. */
async function untilBack(scene: DeployScene, jobId: string): Promise<DeployedJob> {
  const application = await scene.untilStatus(
    'another job',
    ({ phase, jobStatus }) => phase === 'Running' && jobStatus?.jobID !== jobId && jobStatus?.state === 'RUNNING',
  );
  return whatRuns(application);
}
