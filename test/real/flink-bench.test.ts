// Proves the Flink bench itself, without Headrace: what deployment tests take for granted of clusters, restores and the counting job.
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { countingJob, type FlinkVersion, flinkVersions } from './bench/flink-build.ts';
import { createFlinkCluster, podSelector } from './bench/flink-cluster.ts';
import { type FlinkNamespace, useFlinkWorld } from './bench/flink-world.ts';

const world = useFlinkWorld();

const patience = { timeoutSeconds: 60, intervalMs: 100 };

it('moves a job by savepoint between clusters, of both versions at once, without losing or repeating a record', async () => {
  const namespace = await world.createNamespace();

  await Promise.all(
    flinkVersions.map(async (version) => {
      const [blue, green] = [`orders-${version.charAt(0)}-blue`, `orders-${version.charAt(0)}-green`] as const;
      await startCluster(namespace, blue, { version, taskManagers: 1 });
      const before = await runJob(namespace, blue, { parallelism: 2 });
      await namespace.waitForCount(before, ({ counted }) => counted > 500);
      await startCluster(namespace, green, { version, taskManagers: 2 });

      const savepoint = await takeSavepoint(namespace, blue, before);
      const after = await runJob(namespace, green, { parallelism: 4, savepointPath: savepoint });
      const moved = await namespace.waitForCount(after, ({ counted, restored }) => counted > restored + 500);

      const counts = await namespace.jobCounts(before);
      const last = counts.find(({ checkpoint }) => checkpoint === moved.restoredFrom);
      expect(moved).toMatchObject({ parallelism: 4, restored: last?.counted, gaps: 0, repeats: 0 });
    }),
  );
}, 120_000);

describe('a cluster', () => {
  const cluster = 'orders-1a2b3c4d';
  let namespace: FlinkNamespace;

  beforeAll(async () => {
    namespace = await world.createNamespace();
    await startCluster(namespace, cluster, { version: '2.3.0', taskManagers: 1 });
  });
  afterEach(() => cancelJobs(namespace, cluster));

  it('fails a job whose tasks are told to fail, and restores it from its checkpoint', async () => {
    const job = await runJob(namespace, cluster, { parallelism: 2 });
    await namespace.waitForCount(job, ({ counted }) => counted > 500);

    const recover = await namespace.cause('fail');
    await waitForState(namespace, cluster, job, 'RESTARTING');
    await recover();

    const recovered = await namespace.waitForCount(job, ({ counted, restored }) => restored > 0 && counted > restored);
    expect(recovered).toMatchObject({ gaps: 0, repeats: 0 });
  });

  it('reports a savepoint that fails', async () => {
    const job = await runJob(namespace, cluster, { parallelism: 2 });
    await namespace.waitForCount(job, ({ counted }) => counted > 0);

    const recover = await namespace.cause('fail-snapshots');
    const failure = await takeSavepoint(namespace, cluster, job).catch((error: Error) => error.message);
    await recover();

    expect(failure).toContain('CheckpointException');
  });

  it('restarts a job again and again that fails at its start', async () => {
    const job = await runJob(namespace, cluster, { parallelism: 2, more: ['--fail-at-start'] });

    await waitForState(namespace, cluster, job, 'RESTARTING');

    expect(await namespace.jobCounts(job)).toEqual([]);
  });

  it('finishes a bounded job', async () => {
    const job = await runJob(namespace, cluster, { parallelism: 2, more: ['--bounded', '640', '--rate', '10000'] });

    await waitForState(namespace, cluster, job, 'FINISHED');

    expect((await namespace.jobCounts(job)).at(-1)).toMatchObject({ counted: 640, gaps: 0, repeats: 0 });
  });

  it.each([
    ['whose main method throws', ['--main-throws'], 'told to throw in main'],
    ['with more parallelism than its state allows', ['--max-parallelism', '1'], 'max parallelism'],
  ])('refuses a job %s', async (_, more, message) => {
    const refusal = await runJob(namespace, cluster, { parallelism: 2, more }).catch((error: Error) => error.message);

    expect(refusal).toContain(message);
  });

  it('gets its TaskManagers back when the process of the JobManager dies, and when its pod is replaced', async () => {
    const [pod] = (await namespace.pods(podSelector(cluster, 'jobmanager'))) as [string];

    namespace.killProcess(pod);
    await eventually('the container started again', async () => (await restartCount(namespace, pod)) === 1, patience);
    await waitForTaskManagers(namespace, cluster, 1);
    await deletePod(namespace, pod);
    await eventually(
      'another pod',
      async () => !(await namespace.pods(podSelector(cluster, 'jobmanager'))).includes(pod),
    );
    await waitForTaskManagers(namespace, cluster, 1);

    const job = await runJob(namespace, cluster, { parallelism: 2 });
    expect(await namespace.waitForCount(job, ({ counted }) => counted > 0)).toMatchObject({ gaps: 0, repeats: 0 });
  });
});

it('leaves a pod waiting whose image cannot be pulled', async () => {
  const namespace = await world.createNamespace();
  const image = 'bench/flink:1.20.30';

  await createFlinkCluster(world.controlPlane.admin, {
    ...{ namespace: namespace.name, name: 'orders', image, taskManagers: 1, taskSlots: 2, flinkConfig: {} },
  });

  await eventually('ImagePullBackOff', async () => {
    const [pod] = await namespace.pods(podSelector('orders', 'taskmanager'));
    return pod !== undefined && (await containerStatus(namespace, pod))?.state.waiting?.reason === 'ImagePullBackOff';
  });
});

interface ClusterOptions {
  readonly version: FlinkVersion;
  readonly taskManagers: number;
}

/** Returns when all TaskManagers, of two slots each, are there. */
async function startCluster(namespace: FlinkNamespace, name: string, { version, taskManagers }: ClusterOptions) {
  await createFlinkCluster(world.controlPlane.admin, {
    namespace: namespace.name,
    name,
    image: `bench/flink:${version}`,
    taskManagers,
    taskSlots: 2,
    flinkConfig: namespace.flinkConfig,
  });
  await waitForTaskManagers(namespace, name, taskManagers);
}

async function waitForTaskManagers(namespace: FlinkNamespace, cluster: string, count: number): Promise<void> {
  const look = async () => {
    const overview = await namespace.askJobManager<{ taskmanagers: number }>(cluster, 'GET', '/overview');
    return overview.taskmanagers === count;
  };
  await eventually(`${count} TaskManagers of ${cluster}`, look, patience);
}

interface JobOptions {
  readonly parallelism: number;
  readonly savepointPath?: string;
  readonly more?: readonly string[];
}

/** Returns the job's id. */
async function runJob(namespace: FlinkNamespace, cluster: string, { more = [], ...options }: JobOptions) {
  const { jobid } = await namespace.askJobManager<{ jobid: string }>(
    ...([cluster, 'POST', `/jars/${countingJob.jar}/run`] as const),
    { entryClass: countingJob.entryClass, programArgsList: [...namespace.jobArguments, ...more], ...options },
  );
  return jobid;
}

/** Takes a savepoint, cancels the job with it, and returns where it lies; throws when it fails. */
async function takeSavepoint(namespace: FlinkNamespace, cluster: string, job: string): Promise<string> {
  const trigger = await namespace.askJobManager<{ 'request-id': string }>(
    ...([cluster, 'POST', `/jobs/${job}/savepoints`, { 'cancel-job': true }] as const),
  );
  const { location, ...failure } = await eventually('a savepoint', async () => {
    const { operation } = await namespace.askJobManager<{ operation: { location?: string } | null }>(
      ...([cluster, 'GET', `/jobs/${job}/savepoints/${trigger['request-id']}`] as const),
    );
    return operation ?? undefined;
  });
  if (location === undefined) throw new Error(JSON.stringify(failure));
  return location;
}

async function waitForState(namespace: FlinkNamespace, cluster: string, job: string, state: string): Promise<void> {
  const look = async () => {
    const seen = await namespace.askJobManager<{ state: string }>(cluster, 'GET', `/jobs/${job}`);
    return seen.state === state;
  };
  await eventually(`job ${job} ${state}`, look, patience);
}

/** Makes room for the next. */
async function cancelJobs(namespace: FlinkNamespace, cluster: string): Promise<void> {
  const { jobs } = await namespace.askJobManager<{ jobs: readonly { id: string; status: string }[] }>(
    ...([cluster, 'GET', '/jobs'] as const),
  );
  for (const { id, status } of jobs) {
    if (['CANCELED', 'FAILED', 'FINISHED'].includes(status)) continue;
    await namespace.askJobManager(cluster, 'PATCH', `/jobs/${id}?mode=cancel`);
    await waitForState(namespace, cluster, id, 'CANCELED');
  }
}

interface ContainerStatus {
  readonly restartCount: number;
  readonly state: { readonly waiting?: { readonly reason: string } };
}

async function containerStatus(namespace: FlinkNamespace, pod: string): Promise<ContainerStatus | undefined> {
  const { status } = await world.controlPlane.admin.send<{
    status: { containerStatuses?: readonly ContainerStatus[] };
  }>('GET', podPath(namespace, pod));
  return status.containerStatuses?.[0];
}

async function restartCount(namespace: FlinkNamespace, pod: string): Promise<number | undefined> {
  return (await containerStatus(namespace, pod))?.restartCount;
}

/** Returns when it is gone. */
async function deletePod(namespace: FlinkNamespace, pod: string): Promise<void> {
  const { admin } = world.controlPlane;
  await admin.send('DELETE', podPath(namespace, pod));
  await eventually('pod gone', async () => (await admin.request('GET', podPath(namespace, pod))).status === 404);
}

function podPath(namespace: FlinkNamespace, pod: string): string {
  return `/api/v1/namespaces/${namespace.name}/pods/${pod}`;
}
