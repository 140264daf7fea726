// A JobManager through a real API server's proxy of its service: what is the API server's own word, and what is Flink's.

import { beforeAll, describe, expect, it } from 'vitest';
import type { Disposal } from '../../shared/deployment/types.ts';
import { JobManagerError } from '../../shared/flink/errors.ts';
import { createJobManager, type JobManager } from '../../shared/flink/job-manager.ts';
import { createKubernetesClient, type KubernetesClient } from '../../shared/kubernetes/client.ts';
import { eventually } from './bench/eventually.ts';
import { countingJob, flinkVersions } from './bench/flink-build.ts';
import { createFlinkCluster, podSelector } from './bench/flink-cluster.ts';
import { type FlinkNamespace, useFlinkWorld } from './bench/flink-world.ts';

const world = useFlinkWorld();
const patience = { timeoutSeconds: 60, intervalMs: 100 };
const [firstJob, secondJob, thirdJob, trigger] = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(32)) as [
  string,
  string,
  string,
  string,
];

let admin: KubernetesClient;

beforeAll(() => {
  admin = clientWith({ authorization: 'Bearer admin-token' });
  return () => admin.close();
});

function clientWith(headers: Record<string, string>): KubernetesClient {
  const { endpoint, certificateAuthority } = world.controlPlane;
  return createKubernetesClient({
    endpoint,
    certificateAuthority: Buffer.from(certificateAuthority, 'base64'),
    credentials: { headers: async () => headers, renew: () => {} },
    sleep: async () => {},
  });
}

describe('a JobManager that cannot be reached', () => {
  let namespace: string;

  beforeAll(async () => {
    namespace = (await world.createNamespace()).name;
    await makeService('orders', { name: 'ui', port: 8081 });
    await makeService('without-ui', { name: 'rpc', port: 6123 });
  });

  const makeService = (name: string, port: object) =>
    world.controlPlane.admin.send('POST', `/api/v1/namespaces/${namespace}/services`, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { clusterIP: 'None', selector: { app: name }, ports: [port] },
    });

  it.each([
    ['there is no such service', 'nowhere'],
    ['nobody is behind the service', 'orders'],
    ['the service has no port ui', 'without-ui'],
  ])('is no JobManager that knows no job: %s', async (_, service) => {
    const error = await failureOf(createJobManager(admin, { namespace, service }).job(firstJob));

    expect(error).toMatchObject({ code: '503 Service Unavailable', isRetryable: true, isFailFast: false });
    expect(error.message).toContain(`ServiceUnavailable: no endpoints available for service "${service}"`);
  });

  it('is none that refuses a job either: the right to ask is missing', async () => {
    const stranger = clientWith({});

    const jobManager = createJobManager(stranger, { namespace, service: 'orders' });
    const error = await failureOf(jobManager.submit(aSubmission(firstJob, '')));
    stranger.close();

    expect(error).toMatchObject({ code: '403 Forbidden', isRetryable: true, isFailFast: false });
  });
});

describe.each(flinkVersions)('a JobManager of Flink %s', (version) => {
  let namespace: FlinkNamespace;
  let jobManager: JobManager;
  let programArgs: string;

  beforeAll(async () => {
    namespace = await world.createNamespace();
    await createFlinkCluster(world.controlPlane.admin, {
      ...{ namespace: namespace.name, name: 'orders', taskManagers: 1, taskSlots: 2 },
      image: `bench/flink:${version}`,
      flinkConfig: namespace.flinkConfig,
    });
    jobManager = createJobManager(admin, { namespace: namespace.name, service: 'orders' });
    programArgs = namespace.jobArguments.join(' ');
    await eventually('both slots', async () => (await jobManager.overview()).slotsAvailable === 2, patience);
  });

  it('plans the vertices of the job that will run, and says what hinders it', async () => {
    const plan = await jobManager.plan(aSubmission(firstJob, programArgs));
    const fault = await jobManager.plan(aSubmission(firstJob, '--main-throws'));

    await jobManager.submit(aSubmission(firstJob, programArgs));
    const vertices = await eventually('a running job', () => runningVertices(jobManager, firstJob), patience);
    expect(plan).toEqual({ vertices: expect.arrayContaining(vertices) });
    expect(fault).toEqual({ fault: expect.stringContaining('told to throw in main') });
  });

  it('gives the program each argument exactly as it stands in the list', async () => {
    const name = ` it's a "quoted" name of $HOME, 日本 🚰 `;
    const fourthJob = 'e'.repeat(32);
    const named = { programArgs: '', programArgsList: ['--rate', '5', '--name', name] };
    const empty = { programArgs: '', programArgsList: ['--name', 'x', ''] };

    await jobManager.submit({ ...aSubmission(fourthJob, ''), ...named, parallelism: 1 });
    const { name: seen } = await namespace.askJobManager<{ name: string }>('orders', 'GET', `/jobs/${fourthJob}`);
    await jobManager.cancel(fourthJob);
    await waitForEnd(jobManager, fourthJob);

    expect(seen).toBe(name);
    expect(await jobManager.plan({ ...aSubmission(firstJob, ''), ...empty })).toEqual({
      fault: expect.stringMatching(/a value that belongs to no option:\s*$/),
    });
  });

  it('tells of its TaskManagers, and of the checkpoints that there will be', async () => {
    const host = expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/);

    expect(await jobManager.taskManagers()).toMatchObject([{ host, slots: 2 }]);
    expect(await jobManager.checkpointConfig(firstJob)).toEqual({
      intervalMilliseconds: 500,
      isRetainedOnCancellation: true,
      isRetainedOnFailure: true,
    });
  });

  it('ends the job with a savepoint, and begins another from it, each once', async () => {
    await jobManager.submit(aSubmission(firstJob, programArgs));
    const order = { jobId: firstJob, triggerId: trigger, drain: false };
    const ids = [await jobManager.stop(order), await jobManager.stop(order)];
    const location = await eventually('a savepoint', () => locationOf(jobManager, firstJob), patience);
    await waitForEnd(jobManager, firstJob, 'FINISHED');
    const last = await eventually('the last checkpoints', () => jobManager.checkpoints(firstJob, true), patience);
    // Neither a stop that comes late nor a cancel with the same id does anything more.
    ids.push(await jobManager.stop(order), await jobManager.triggerSavepoint({ ...order, cancelJob: true }));
    expect(await locationOf(jobManager, firstJob)).toBe(location);
    await jobManager.submit({ ...aSubmission(secondJob, programArgs), savepointPath: location });
    await eventually('a running job', () => runningVertices(jobManager, secondJob), patience);

    expect(ids).toEqual([trigger, trigger, trigger, trigger]);
    expect(last.latestSavepoint).toMatchObject({ path: location, isFinal: true });
    // Flink deletes the checkpoints of a job that is FINISHED.
    expect(last.latestCompleted).toBeUndefined();
    const restored = { path: location, isSavepoint: true };
    expect((await jobManager.checkpoints(secondJob, false))?.latestRestored).toMatchObject(restored);
  });

  it('cancels a job, however often it is told', async () => {
    await jobManager.cancel(secondJob);
    await waitForEnd(jobManager, secondJob);
    await jobManager.cancel(secondJob);
    await jobManager.cancel(thirdJob);

    expect(await jobManager.jobs()).toContainEqual({ id: secondJob, state: 'CANCELED' });
  });

  it('disposes of a savepoint under an id of its own, and says of one that is gone that it is not there', async () => {
    const savepoint = await jobManager.savepoint(firstJob, trigger);
    const path = savepoint.state === 'Completed' ? savepoint.location : '';
    const ended = async () => {
      const id = await jobManager.disposeSavepoint(path);
      return eventually('its end', async () => endOf(await jobManager.disposal(id)), patience);
    };

    const first = await ended();
    const second = await ended();

    expect(first).toEqual({ state: 'Completed' });
    expect(second).toEqual({ state: 'Failed', cause: expect.stringContaining('Cannot find checkpoint or savepoint') });
    expect(await jobManager.disposal('e'.repeat(32))).toEqual({ state: 'Unknown' });
  });

  it('refuses a savepoint that is not there, and keeps the failed job', async () => {
    const nowhere = { ...aSubmission(thirdJob, programArgs), savepointPath: 'file:///nowhere' };

    const error = await failureOf(jobManager.submit(nowhere));

    expect(error).toMatchObject({ code: '400 Bad Request', isFailFast: true });
    expect((await jobManager.failures(thirdJob)).cause).toContain(
      'java.io.FileNotFoundException: Cannot find checkpoint',
    );
    expect(await jobManager.jobs()).toContainEqual({ id: thirdJob, state: 'FAILED' });
  });

  it('cannot be reached while its process is gone, and has forgotten all afterwards', async () => {
    const [pod = ''] = await namespace.pods(podSelector('orders', 'jobmanager'));

    namespace.killProcess(pod);

    const error = await failureOf(jobManager.job(firstJob));
    expect(error).toMatchObject({ code: '503 Service Unavailable', isRetryable: true });
    expect(error.message).toMatch(/error trying to reach service: |no endpoints available for service/);
    await eventually('a new process', async () => (await jobManager.jobs()).length === 0, patience);
    expect(await jobManager.job(firstJob)).toBeUndefined();
    expect(await jobManager.savepoint(firstJob, trigger)).toEqual({ state: 'Unknown' });
  });
});

function endOf(disposal: Disposal): Disposal | undefined {
  return disposal.state === 'InProgress' ? undefined : disposal;
}

async function waitForEnd(jobManager: JobManager, jobId: string, state = 'CANCELED'): Promise<void> {
  await eventually('the end', async () => (await jobManager.job(jobId))?.state === state, patience);
}

function aSubmission(jobId: string, programArgs: string) {
  const { jar: jarName, entryClass } = countingJob;
  return { jobId, jarName, entryClass, programArgs, parallelism: 2, allowNonRestoredState: false };
}

async function runningVertices(jobManager: JobManager, jobId: string) {
  const job = await jobManager.job(jobId);
  if (job === undefined || job.vertices.length === 0) return undefined;
  const isRunning = job.vertices.every(({ status }) => status === 'RUNNING');
  return isRunning ? job.vertices.map(({ id, parallelism }) => ({ id, parallelism })) : undefined;
}

async function locationOf(jobManager: JobManager, jobId: string): Promise<string | undefined> {
  const savepoint = await jobManager.savepoint(jobId, trigger);
  if (savepoint.state === 'Failed') throw new Error(savepoint.cause);
  return savepoint.state === 'Completed' ? savepoint.location : undefined;
}

async function failureOf(call: Promise<unknown>): Promise<JobManagerError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof JobManagerError)) throw new TypeError('the call did not fail as it should', { cause: error });
  return error;
}
