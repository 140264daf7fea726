import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { JobSubmission } from '../../shared/deployment/types.ts';
import { JobManagerError } from '../../shared/flink/errors.ts';
import { createJobManager, type JobManager } from '../../shared/flink/job-manager.ts';
import { createKubernetesClient, type KubernetesClient } from '../../shared/kubernetes/client.ts';

const VERSIONS = ['1.20.3', '2.3.0'] as const;
const PROXY = '/api/v1/namespaces/flink/services/orders-5e7c7283:ui/proxy';
const JOB_ID = '00000000abcd00000000000000000001';
const TRIGGER_ID = '00000000abcd00000000000000000051';

/** What a real JobManager was asked, and what it said. */
interface Recorded {
  readonly request: { readonly method: string; readonly path: string; readonly body: object | null };
  readonly status: number;
  readonly response: unknown;
}

interface Asked {
  readonly method: string | undefined;
  readonly url: string;
  readonly body: unknown;
}

interface Bench {
  readonly jobManager: JobManager;
  readonly client: KubernetesClient;
  readonly asked: readonly Asked[];
}

const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) cleanUp();
});

/** A JobManager behind an API server that gives every request the same answer, unless `answer` looks at its address. */
async function behindProxy(answer: (response: ServerResponse, url: string) => void): Promise<Bench> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const { method, url = '' } = request;
    asked.push({ method, url, body: await bodyOf(request) });
    answer(response, url);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = createKubernetesClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: { headers: async () => ({}), renew: () => {} },
    sleep: async () => {},
  });
  cleanUps.push(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return { jobManager: createJobManager(client, { namespace: 'flink', service: 'orders-5e7c7283' }), client, asked };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? null : JSON.parse(text);
}

function recorded(version: string, name: string): Recorded {
  return JSON.parse(readFileSync(new URL(`fixtures/${version}/${name}.json`, import.meta.url), 'utf8'));
}

function answering(code: number, body: unknown) {
  return (response: ServerResponse) => {
    response.writeHead(code, { 'content-type': 'application/json; charset=UTF-8' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** As Flink refuses. */
const refusing = (code: number, ...errors: string[]) => answering(code, { errors });
/** As the API server refuses. */
const statusOf = (code: number, reason: string, message: string) =>
  answering(code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });
const cutting = (response: ServerResponse) => void response.socket?.destroy();

async function replay(
  version: string,
  name: string,
): Promise<Bench & { readonly record: Recorded; readonly jobId: string }> {
  const record = recorded(version, name);
  const [, jobId = JOB_ID] = /^\/jobs\/([0-9a-f]{32})/.exec(record.request.path) ?? [];
  return { ...(await behindProxy(answering(record.status, record.response))), record, jobId };
}

async function failureOf(call: Promise<unknown>): Promise<JobManagerError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof JobManagerError))
    throw new TypeError('the call did not fail as a JobManagerError', { cause: error });
  return error;
}

function aSubmission(changes: Partial<JobSubmission> = {}): JobSubmission {
  return {
    jobId: JOB_ID,
    jarName: 'load-job.jar',
    entryClass: 'bench.LoadJob',
    programArgs: "--name 'load job' --rate 200",
    parallelism: 2,
    allowNonRestoredState: false,
    ...changes,
  };
}

describe.each(VERSIONS)('a JobManager of Flink %s', (version) => {
  const path = (rest: string) => `file:/bench/run/${version}/state/${rest}`;

  describe('tells of itself', () => {
    it('what it has', async () => {
      const { jobManager, asked } = await replay(version, 'overview');

      expect(await jobManager.overview()).toEqual({
        taskManagers: 2,
        slotsTotal: 4,
        slotsAvailable: 4,
        flinkVersion: version,
      });
      expect(asked).toEqual([{ method: 'GET', url: `${PROXY}/overview`, body: null }]);
    });

    it('which TaskManagers it knows, by the hosts of their pods', async () => {
      const { jobManager, asked } = await replay(version, 'taskmanagers');

      const taskManagers = await jobManager.taskManagers();

      expect(taskManagers.map(({ id, host, slots, freeSlots }) => [id, host, slots, freeSlots])).toEqual([
        ['tm2', '127.0.2.2', 2, 2],
        ['tm1', '127.0.2.1', 2, 2],
      ]);
      expect(asked[0]?.url).toBe(`${PROXY}/taskmanagers`);
    });

    it('which TaskManagers have come back, but without a heartbeat yet', async () => {
      const { jobManager } = await replay(version, 'taskmanagers-new-jm');

      const [first] = await jobManager.taskManagers();

      expect(first).toMatchObject({ lastHeartbeatTime: 0 });
    });

    it('which jobs there are and were', async () => {
      const { jobManager } = await replay(version, 'jobs-after-bad-savepoint');

      expect(await jobManager.jobs()).toContainEqual({ id: '00000000abcd00000000000000000002', state: 'FAILED' });
    });

    it('that there are none after a restart', async () => {
      const { jobManager } = await replay(version, 'jobs-new-jm');

      expect(await jobManager.jobs()).toEqual([]);
    });
  });

  describe('tells of a job', () => {
    it('how its vertices do', async () => {
      const { jobManager, jobId, record, asked } = await replay(version, 'job');

      const job = await jobManager.job(jobId);

      expect(job).toMatchObject({ id: jobId, state: 'RUNNING' });
      expect(job?.startTime).toBe((record.response as { 'start-time': number })['start-time']);
      expect(
        job?.vertices.map(({ name, parallelism, maxParallelism, status, tasks }) => [
          name,
          parallelism,
          maxParallelism,
          status,
          tasks.RUNNING,
        ]),
      ).toEqual([
        ['Source: source', 4, 128, 'RUNNING', 4],
        ['work -> sink: Writer', 4, 128, 'RUNNING', 4],
      ]);
      expect(asked[0]?.url).toBe(`${PROXY}/jobs/${jobId}`);
    });

    it.each([
      ['job-initializing', 'INITIALIZING', 0],
      ['job-after-bad-savepoint', 'FAILED', 0],
      ['job-canceled', 'CANCELED', 2],
      ['job-finished', 'FINISHED', 2],
      ['job-restarting', 'RESTARTING', 2],
    ])('in which state it is: %s', async (name, state, vertices) => {
      const { jobManager, jobId } = await replay(version, name);

      const job = await jobManager.job(jobId);

      expect(job?.state).toBe(state);
      expect(job?.vertices).toHaveLength(vertices);
    });

    it.each([
      ['job', false],
      ['job-after-bad-savepoint', false],
      ['job-batch-first-stage', true],
      ['job-batch-second-stage', true],
      ['job-batch-finished', true],
    ])('whether it runs stage by stage: %s', async (name, isBatch) => {
      const { jobManager, jobId } = await replay(version, name);

      expect((await jobManager.job(jobId))?.isBatch).toBe(isBatch);
    });

    it('by its plan where there is no job-type, as in older versions', async () => {
      const { jobId, record } = await replay(version, 'job-batch-first-stage');
      const { 'job-type': _, ...older } = record.response as Record<string, unknown>;
      const { jobManager } = await behindProxy(answering(200, older));

      expect((await jobManager.job(jobId))?.isBatch).toBe(true);
    });

    it.each(['job-notfound', 'job-new-jm'])('that it does not know it: %s', async (name) => {
      const { jobManager, jobId } = await replay(version, name);

      expect(await jobManager.job(jobId)).toBeUndefined();
    });

    it.each([
      ['job-failed-exceptions', /^java\.lang\.RuntimeException: bench: told to fail: f\d$/],
      ['exceptions-max-1', /^java\.lang\.RuntimeException: bench: told to fail: y1$/],
      ['job-noslots-exceptions', /NoResourceAvailableException: Could not acquire the minimum required resources\.$/],
      ['exceptions-after-bad-savepoint', /^java\.io\.FileNotFoundException: Cannot find checkpoint or savepoint file/],
      ['exceptions-initializing', /^$/],
      ['job-exceptions', /^$/],
      ['exceptions-new-jm', /^$/],
    ])('why it failed last: %s', async (name, cause) => {
      const { jobManager, jobId, asked } = await replay(version, name);

      const { cause: seen, times } = await jobManager.failures(jobId);

      expect(seen).toMatch(cause);
      expect(times.every((time) => time > 1.7e12)).toBe(true);
      expect(times.length > 0).toBe(seen !== '');
      expect(asked[0]?.url).toBe(`${PROXY}/jobs/${jobId}/exceptions?maxExceptions=3`);
    });
  });

  it('tells how often a job was restarted', async () => {
    const { jobManager, jobId, asked } = await replay(version, 'job-metrics-get');

    expect(await jobManager.restarts(jobId)).toBe(0);
    expect(asked[0]?.url).toBe(`${PROXY}/jobs/${jobId}/metrics?get=numRestarts`);
  });

  describe('tells of checkpoints', () => {
    it('how many there were, the last one, and what the job began with', async () => {
      const { jobManager, jobId, asked } = await replay(version, 'checkpoints-restored-own');

      const checkpoints = await jobManager.checkpoints(jobId, false);

      expect(checkpoints).toMatchObject({ completed: expect.any(Number), failed: expect.any(Number) });
      expect(checkpoints?.latestCompleted?.path).toMatch(new RegExp(`^${path(`checkpoints/${jobId}/chk-\\d+`)}$`));
      expect(checkpoints?.latestCompleted?.time).toBeGreaterThan(1.7e12);
      expect(checkpoints?.latestRestored?.path).toMatch(new RegExp(`^${path('savepoints/savepoint-')}`));
      expect(checkpoints?.latestRestored?.isSavepoint).toBe(true);
      expect(checkpoints?.latestRestored?.time).toBeGreaterThan(1.7e12);
      expect(asked[0]?.url).toBe(`${PROXY}/jobs/${jobId}/checkpoints`);
    });

    it('which savepoint was the last', async () => {
      const { jobManager, jobId } = await replay(version, 'job-checkpoints-canceled');

      const checkpoints = await jobManager.checkpoints(jobId, false);

      expect(checkpoints?.latestSavepoint?.path).toMatch(new RegExp(`^${path('savepoints/savepoint-')}`));
      expect(checkpoints?.latestSavepoint?.time).toBeGreaterThan(checkpoints?.latestCompleted?.time ?? 0);
    });

    it.each([
      ['that is kept of a cancelled job', 'checkpoints-retain-cancel', true],
      ['that is kept of a failed job', 'checkpoints-retain-fail', true],
      ['that is kept of a failed job, though not of a cancelled one', 'checkpoints-delete-fail', true],
      ['that only the JobManager has, in its memory: none', 'checkpoints-in-memory', false],
      ['of a job that makes none: none', 'checkpoints-off', false],
    ])('the latest one %s', async (_, name, isThere) => {
      const { jobManager, jobId, asked } = await replay(version, name);

      expect((await jobManager.checkpoints(jobId, false))?.latestCompleted !== undefined).toBe(isThere);
      expect(asked).toHaveLength(1);
    });

    it('the latest one that it knew of, though a running job has a newer one by now', async () => {
      const { jobManager, jobId, asked } = await replay(version, 'checkpoints-replaced');

      const checkpoints = await jobManager.checkpoints(jobId, false);

      expect(checkpoints?.latestCompleted?.path).toMatch(new RegExp(`/${jobId}/chk-\\d+$`));
      expect(asked).toHaveLength(1);
    });

    it('none of a job that has ended by the list of jobs, though it runs by its own page, which is older', async () => {
      const { jobManager, jobId } = await replayWithJob('checkpoints-replaced', recorded(version, 'job').response);

      const error = await failureOf(jobManager.checkpoints(jobId, true));

      expect(error).toMatchObject({ method: 'GetCheckpointCounts', code: 'OutOfDate', isRetryable: true });
    });

    it.each(['checkpoints-delete-cancel', 'checkpoints-none-fail'])(
      'none that was deleted with its job: %s',
      async (name) => {
        const { jobManager, jobId } = await replayWithJob(name, endedJob(2000));

        const checkpoints = await jobManager.checkpoints(jobId, true);

        expect(checkpoints).toMatchObject({ completed: expect.any(Number) });
        expect(checkpoints?.latestCompleted).toBeUndefined();
      },
    );

    it.each(['checkpoints-delete-cancel', 'checkpoints-retain-cancel', 'checkpoints-retain-fail'])(
      'none right after the end of a job, when there may be a newer one: %s',
      async (name) => {
        const { jobManager, jobId } = await replayWithJob(name, endedJob(1999));

        const error = await failureOf(jobManager.checkpoints(jobId, true));

        expect(error).toMatchObject({ method: 'GetCheckpointCounts', code: 'OutOfDate', isRetryable: true });
      },
    );

    it('of a job that has ended only after it has said how long ago that was', async () => {
      const { jobManager, jobId, asked } = await replayWithJob('checkpoints-retain-cancel', endedJob(2000));

      await jobManager.checkpoints(jobId, true);

      const paths = asked.map(({ url }) => url?.replace(PROXY, ''));
      expect(paths.slice(0, 2).toSorted()).toEqual(['/config', `/jobs/${jobId}`]);
      expect(paths[2]).toBe(`/jobs/${jobId}/checkpoints`);
    });

    it.each(['checkpoints-retain-cancel', 'checkpoints-retain-fail'])(
      'the last one of a job that has ended some seconds ago: %s',
      async (name) => {
        const { jobManager, jobId } = await replayWithJob(name, endedJob(2000));

        expect((await jobManager.checkpoints(jobId, true))?.latestCompleted?.path).toContain(jobId);
      },
    );

    it('none that was deleted with a job which is forgotten meanwhile', async () => {
      const { status, response } = recorded(version, 'job-notfound');
      const { jobManager, jobId } = await replayWithJob('checkpoints-delete-cancel', response, { status });

      expect((await jobManager.checkpoints(jobId, true))?.latestCompleted).toBeUndefined();
    });

    function endedJob(sinceEnd: number) {
      const job = recorded(version, 'job-canceled').response as { 'end-time': number };
      return { ...job, now: job['end-time'] + sinceEnd };
    }

    async function replayWithJob(name: string, job: unknown, { status = 200 } = {}) {
      const { request, response: page } = recorded(version, name);
      const [, jobId = ''] = /^\/jobs\/([0-9a-f]{32})/.exec(request.path) ?? [];
      const bench = await behindProxy((response, url) => {
        if (url.endsWith('/checkpoints')) return answering(200, page)(response);
        if (url.endsWith('/config')) return answering(200, recorded(version, 'config').response)(response);
        return answering(status, job)(response);
      });
      return { ...bench, jobId };
    }

    it('nothing of a job that it does not know', async () => {
      const { jobManager, jobId } = await replay(version, 'job-checkpoints-notfound');

      expect(await jobManager.checkpoints(jobId, false)).toBeUndefined();
    });

    it('nothing while the job is initialising', async () => {
      const { jobManager, jobId } = await replay(version, 'checkpoints-initializing');

      const error = await failureOf(jobManager.checkpoints(jobId, false));

      expect(error).toMatchObject({ code: '500 Internal Server Error', isRetryable: true });
      expect(error.message).toContain('UnavailableDispatcherOperationException');
    });

    it.each([
      ['checkpoints-config-retain', 500, true, true],
      ['checkpoints-config-delete', 500, false, true],
      ['checkpoints-config-none', 500, false, false],
      ['checkpoints-config-off', undefined, true, true],
      ['checkpoints-config-initializing', 500, true, true],
      ['checkpoints-config-in-memory', 500, true, true],
    ])('which are kept: %s', async (name, intervalMilliseconds, isRetainedOnCancellation, isRetainedOnFailure) => {
      const { jobManager, jobId, asked } = await replay(version, name);

      expect(await jobManager.checkpointConfig(jobId)).toEqual({
        intervalMilliseconds,
        isRetainedOnCancellation,
        isRetainedOnFailure,
      });
      expect(asked[0]?.url).toBe(`${PROXY}/jobs/${jobId}/checkpoints/config`);
    });
  });

  describe('plans', () => {
    it('what a jar would run, with its arguments as a list', async () => {
      const { jobManager, asked } = await replay(version, 'plan-ok');

      const plan = await jobManager.plan(aSubmission());

      expect(plan).toEqual({
        vertices: [
          { id: '674df9b0384c0348e0b9d1034a44c46c', parallelism: 2 },
          { id: 'e5a72f353fc1e6bbf3bd96a41384998c', parallelism: 2 },
        ],
      });
      expect(asked).toEqual([
        {
          method: 'POST',
          url: `${PROXY}/jars/load-job.jar/plan`,
          body: {
            entryClass: 'bench.LoadJob',
            parallelism: 2,
            programArgsList: ['--name', 'load job', '--rate', '200'],
          },
        },
      ]);
    });

    it.each([
      ['plan-jar-missing', /RestHandlerException: Jar file .*nope\.jar does not exist$/],
      ['plan-class-missing', /ProgramInvocationException: The program's entry point class 'bench\.Nope' was not found/],
      ['plan-broken-jar', /ProgramInvocationException: Error while opening jar file/],
      ['plan-no-job', /ProgramInvocationException: The program plan could not be fetched/],
      ['plan-main-throws', /^java\.lang\.IllegalStateException: bench: main told to throw: oh no$/],
      ['plan-bad-argument', /^java\.lang\.NumberFormatException: For input string: "many"$/],
      ['plan-parallelism-zero', /^java\.lang\.IllegalArgumentException: Parallelism must be at least one/],
      ['plan-submit-off', /^Not found: \/jars\/load-job\.jar\/plan$/],
    ])('nothing, and says why: %s', async (name, fault) => {
      const { jobManager } = await replay(version, name);

      expect(await jobManager.plan(aSubmission())).toEqual({ fault: expect.stringMatching(fault) });
    });
  });

  describe('disposes of a savepoint', () => {
    it('under an id that Flink gives', async () => {
      const { jobManager, asked, record } = await replay(version, 'savepoint-disposal');
      const { 'savepoint-path': path = '' } = record.request.body as Record<string, string>;

      const id = await jobManager.disposeSavepoint(path);

      expect(id).toBe((record.response as Record<string, unknown>)['request-id']);
      expect(asked).toEqual([{ method: 'POST', url: `${PROXY}/savepoint-disposal`, body: record.request.body }]);
    });

    it.each([
      ['savepoint-disposal-done', { state: 'Completed' }],
      [
        'savepoint-disposal-gone',
        { state: 'Failed', cause: expect.stringMatching(/FileNotFoundException: Cannot find checkpoint or savepoint/) },
      ],
      ['savepoint-disposal-notfound', { state: 'Unknown' }],
    ])('and says what becomes of it: %s', async (name, disposal) => {
      const { jobManager, record, asked } = await replay(version, name);
      const [triggerId = ''] = record.request.path.split('/').slice(-1);

      expect(await jobManager.disposal(triggerId)).toEqual(disposal);
      expect(asked[0]?.url).toBe(`${PROXY}${record.request.path}`);
    });
  });

  describe('takes a savepoint', () => {
    it.each([
      ['for the first time', 'savepoint-own-trigger'],
      ['that runs already under that id', 'savepoint-own-trigger-again'],
      ['that was completed under that id', 'savepoint-own-trigger-after'],
    ])('under the id that it is given, %s', async (_, name) => {
      const { jobManager, asked, record } = await replay(version, name);

      const id = await jobManager.triggerSavepoint({ jobId: JOB_ID, triggerId: TRIGGER_ID, cancelJob: false });

      expect(id).toBe(TRIGGER_ID);
      expect(asked).toEqual([{ method: 'POST', url: `${PROXY}/jobs/${JOB_ID}/savepoints`, body: record.request.body }]);
    });

    it('that ends the job, but never when it has no folder for it', async () => {
      const { jobManager, jobId, record, asked } = await replay(version, 'savepoint-nodir');
      const { triggerId } = record.request.body as { triggerId: string };

      const error = await failureOf(jobManager.triggerSavepoint({ jobId, triggerId, cancelJob: true }));

      expect(asked[0]?.body).toEqual(record.request.body);
      expect(error).toMatchObject({ code: '400 Bad Request', isRetryable: false, isFailFast: false, maxRetries: 5 });
      expect(error.message).toBe(
        "CancelJobWithSavepoint call failed with status 400 Bad Request and message 'org.apache.flink.runtime.rest.handler.RestHandlerException: Config key [execution.checkpointing.savepoint-dir] is not set. Property [target-directory] must be provided.'",
      );
    });

    it.each([
      ['savepoint-own-trigger-progress', { state: 'InProgress' }],
      ['savepoint-done', { state: 'Completed', location: expect.stringMatching(/^file:\/bench\/.*\/savepoint-/) }],
      [
        'savepoint-cancel-own-ended',
        { state: 'Completed', location: expect.stringMatching(/^file:\/bench\/.*\/savepoint-/) },
      ],
      [
        'savepoint-baddir-done',
        { state: 'Failed', cause: 'java.io.IOException: Failed to create savepoint directory at file:/proc/nope' },
      ],
      [
        'savepoint-taskfails-done',
        { state: 'Failed', cause: expect.stringMatching(/checkpoint\.CheckpointException: Checkpoint /) },
      ],
      [
        'savepoint-canceled-own-done',
        { state: 'Failed', cause: expect.stringMatching(/FlinkJobNotFoundException: Could not find Flink job/) },
      ],
      ['savepoint-trigger-notfound', { state: 'Unknown' }],
      ['savepoint-forgotten', { state: 'Unknown' }],
      ['savepoint-new-jm', { state: 'Unknown' }],
    ])('and says what becomes of it: %s', async (name, savepoint) => {
      const { jobManager, jobId, record, asked } = await replay(version, name);
      const [triggerId = ''] = record.request.path.split('/').slice(-1);

      expect(await jobManager.savepoint(jobId, triggerId)).toEqual(savepoint);
      expect(asked[0]?.url).toBe(`${PROXY}${record.request.path}`);
    });
  });

  describe('cancels', () => {
    it.each([
      ['a job that runs', 'cancel'],
      ['a job that is cancelled', 'cancel-canceled-job'],
      ['a job that has failed', 'cancel-failed'],
      ['a job that it does not know', 'cancel-notfound'],
    ])('%s', async (_, name) => {
      const { jobManager, jobId, asked } = await replay(version, name);

      await expect(jobManager.cancel(jobId)).resolves.toBeUndefined();
      expect(asked).toEqual([{ method: 'PATCH', url: `${PROXY}/jobs/${jobId}?mode=cancel`, body: null }]);
    });
  });

  describe('begins a job', () => {
    it('under the id that it is given', async () => {
      const { jobManager, asked } = await replay(version, 'run-own-jobid');

      expect(await jobManager.submit(aSubmission())).toBe(JOB_ID);
      expect(asked).toEqual([
        {
          method: 'POST',
          url: `${PROXY}/jars/load-job.jar/run`,
          body: {
            entryClass: 'bench.LoadJob',
            parallelism: 2,
            programArgsList: ['--name', 'load job', '--rate', '200'],
            jobId: JOB_ID,
          },
        },
      ]);
    });

    it.each([
      ['while it runs', 'run-same-jobid-running'],
      ['after it was cancelled', 'run-same-jobid-canceled'],
      ['after it has failed', 'run-same-jobid-failed'],
    ])('once, however often it is told: %s', async (_, name) => {
      const { jobManager } = await replay(version, name);

      expect(await jobManager.submit(aSubmission())).toBe(JOB_ID);
    });

    it.each([
      ['run-main-throws', '400 Bad Request', 'java.lang.IllegalStateException: bench: main told to throw: oh no'],
      ['run-no-job', '400 Bad Request', 'No jobs included in application.'],
      ['run-class-missing', '500 Internal Server Error', "entry point class 'bench.Nope' was not found"],
      ['run-jar-missing', '500 Internal Server Error', 'nope.jar does not exist'],
      ['run-submit-off', '404 Not Found', 'Not found: /jars/load-job.jar/run'],
      [
        'run-bad-savepoint-own',
        '400 Bad Request',
        "Cannot find checkpoint or savepoint file/directory 'file:///nope/savepoint-1'",
      ],
      ['run-non-restored', '400 Bad Request', 'Cannot map checkpoint/savepoint state for operator'],
      ['run-above-max', '400 Bad Request', 'parallelism (8) is higher than the max parallelism (4)'],
      ['run-restore-above-max', '400 Bad Request', 'is lower than the configured parallelism (8)'],
      ['run-restore-max-changed', '400 Bad Request', 'Max parallelism mismatch'],
    ])('never, when program or state is at fault: %s', async (name, code, words) => {
      const { jobManager } = await replay(version, name);

      const error = await failureOf(jobManager.submit(aSubmission()));

      expect(error).toMatchObject({ method: 'SubmitJob', code, isRetryable: false, isFailFast: true, maxRetries: 20 });
      expect(error.message).toContain(words);
    });
  });

  describe('with the adaptive scheduler', () => {
    it('tells the bounds of each vertex', async () => {
      const { jobManager, jobId, asked } = await replay(version, 'adaptive-resource-requirements');

      expect(await jobManager.resourceRequirements(jobId)).toEqual({
        e5a72f353fc1e6bbf3bd96a41384998c: { lowerBound: 1, upperBound: 8 },
        '674df9b0384c0348e0b9d1034a44c46c': { lowerBound: 1, upperBound: 8 },
      });
      expect(asked[0]?.url).toBe(`${PROXY}/jobs/${jobId}/resource-requirements`);
    });

    it('takes other bounds', async () => {
      const { jobManager, jobId, record, asked } = await replay(version, 'adaptive-resource-requirements-put-8');

      await jobManager.setResourceRequirements(jobId, {
        e5a72f353fc1e6bbf3bd96a41384998c: { lowerBound: 1, upperBound: 8 },
        '674df9b0384c0348e0b9d1034a44c46c': { lowerBound: 1, upperBound: 8 },
      });

      expect(asked).toEqual([
        { method: 'PUT', url: `${PROXY}/jobs/${jobId}/resource-requirements`, body: record.request.body },
      ]);
    });

    it('never takes more than the maximum parallelism', async () => {
      const { jobManager, jobId } = await replay(version, 'adaptive-put-above-max');

      const error = await failureOf(jobManager.setResourceRequirements(jobId, {}));

      expect(error).toMatchObject({ code: '400 Bad Request', isRetryable: false, isFailFast: false });
      expect(error.message).toContain('exceeds its maximum parallelism 4');
    });

    it('takes a job with a wrong savepoint, of which it tells later', async () => {
      const { jobManager, record } = await replay(version, 'adaptive-run-bad-savepoint');

      expect(await jobManager.submit(aSubmission({ savepointPath: 'file:///nope/savepoint-1' }))).toBe(
        (record.response as { jobid: string }).jobid,
      );
    });

    it('knows no bounds of a job that has ended', async () => {
      const { jobManager, jobId } = await replay(version, 'adaptive-requirements-unknown-job');

      expect((await failureOf(jobManager.resourceRequirements(jobId))).message).toContain('FlinkJobNotFoundException');
    });
  });

  it('has no bounds with the default scheduler', async () => {
    const { jobManager, jobId } = await replay(version, 'job-resource-requirements');

    expect(await jobManager.resourceRequirements(jobId)).toBeUndefined();
  });

  it('never takes bounds with the default scheduler', async () => {
    const { jobManager, jobId } = await replay(version, 'job-resource-requirements-put');

    const error = await failureOf(jobManager.setResourceRequirements(jobId, {}));

    expect(error).toMatchObject({ code: '500 Internal Server Error', isRetryable: false, isFailFast: false });
  });
});

it('keeps the cause of a wrong savepoint to itself with the adaptive scheduler of Flink 2.x', async () => {
  const older = await replay('1.20.3', 'adaptive-exceptions-bad-savepoint');
  const newer = await replay('2.3.0', 'adaptive-exceptions-bad-savepoint');

  expect((await older.jobManager.failures(older.jobId)).cause).toMatch(/^java\.io\.FileNotFoundException: Cannot find/);
  expect(await newer.jobManager.failures(newer.jobId)).toEqual({ cause: '', times: [] });
});

describe('a stop with a savepoint', () => {
  it.each([true, false])('goes under the id that it is given, with drain %s', async (drain) => {
    const { jobManager, asked } = await behindProxy(answering(202, { 'request-id': TRIGGER_ID }));

    const id = await jobManager.stop({ jobId: JOB_ID, triggerId: TRIGGER_ID, drain });

    expect(id).toBe(TRIGGER_ID);
    expect(asked).toEqual([
      { method: 'POST', url: `${PROXY}/jobs/${JOB_ID}/stop`, body: { drain, triggerId: TRIGGER_ID } },
    ]);
  });

  it('is a cancel with the same id where Flink has no such order', async () => {
    const noRoute = answering(404, { errors: [`Not found: /jobs/${JOB_ID}/stop`] });
    const { jobManager, asked } = await behindProxy((response, url) =>
      (url.endsWith('/stop') ? noRoute : answering(202, { 'request-id': TRIGGER_ID }))(response),
    );

    const id = await jobManager.stop({ jobId: JOB_ID, triggerId: TRIGGER_ID, drain: false });

    expect(id).toBe(TRIGGER_ID);
    expect(asked.map(({ url, body }) => [url, body])).toEqual([
      [`${PROXY}/jobs/${JOB_ID}/stop`, { drain: false, triggerId: TRIGGER_ID }],
      [`${PROXY}/jobs/${JOB_ID}/savepoints`, { 'cancel-job': true, triggerId: TRIGGER_ID }],
    ]);
  });

  // As 1.20.3 and 2.3.0 write them; times are of a stop whose savepoint came 0.2 s after the last checkpoint.
  it.each([
    ['SYNC_SAVEPOINT', 1000, true],
    ['SYNC_SAVEPOINT', undefined, true],
    ['SYNC_SAVEPOINT', 1300, undefined],
    ['SAVEPOINT', 1000, undefined],
  ])('is told by its savepoint: %s, and the last checkpoint at %s', async (checkpoint_type, time, isFinal) => {
    const checkpoint = (latest_ack_timestamp: number, type: string, external_path: string) => ({
      ...{ external_path, latest_ack_timestamp, discarded: false, checkpoint_type: type },
    });
    const { jobManager } = await behindProxy(
      answering(200, {
        counts: { completed: 4, failed: 0 },
        latest: {
          completed:
            time === undefined ? null : checkpoint(time, 'CHECKPOINT', '<checkpoint-not-externally-addressable>'),
          savepoint: checkpoint(1200, checkpoint_type, 's3://savepoints/1'),
          restored: null,
        },
      }),
    );

    const checkpoints = await jobManager.checkpoints(JOB_ID, false);

    expect(checkpoints?.latestSavepoint).toEqual({
      path: 's3://savepoints/1',
      time: 1200,
      ...(isFinal && { isFinal }),
    });
  });
});

describe('a submission', () => {
  it.each([
    ['a savepoint', { savepointPath: 's3://b/savepoint-1' }, { savepointPath: 's3://b/savepoint-1' }],
    ['no savepoint where its path is empty', { savepointPath: '' }, {}],
    ['that state may be left behind', { allowNonRestoredState: true }, { allowNonRestoredState: true }],
    ['no arguments where there are none', { programArgs: '' }, { programArgsList: [] }],
    [
      'a list of arguments as it is written',
      { programArgs: '', programArgsList: ['it\'s "quoted"', '', ' a b ', '日本 🚰', '$HOME'] },
      { programArgsList: ['it\'s "quoted"', '', ' a b ', '日本 🚰', '$HOME'] },
    ],
  ])('names %s', async (_, changes, expected) => {
    const { jobManager, asked } = await behindProxy(answering(200, { jobid: JOB_ID }));

    await jobManager.submit(aSubmission({ programArgs: '--a 1', ...changes }));

    const plain = { entryClass: 'bench.LoadJob', parallelism: 2, programArgsList: ['--a', '1'], jobId: JOB_ID };
    expect(asked[0]?.body).toEqual({ ...plain, ...expected });
  });

  it('goes to its jar, whatever that is called', async () => {
    const { jobManager, asked } = await behindProxy(answering(200, { jobid: JOB_ID }));

    await jobManager.submit(aSubmission({ jarName: 'a/b?c.jar' }));

    expect(asked[0]?.url).toBe(`${PROXY}/jars/a%2Fb%3Fc.jar/run`);
  });

  it('that takes too long may be made again, under its id', async () => {
    const { client } = await behindProxy(() => {});
    const address = { namespace: 'flink', service: 'orders-5e7c7283' };
    const jobManager = createJobManager(client.within({ budgetMilliseconds: 50 }), address);

    const error = await failureOf(jobManager.submit(aSubmission()));

    expect(error).toMatchObject({
      code: 'JobSubmissionTimedOut',
      isRetryable: true,
      isFailFast: false,
      maxRetries: 20,
    });
  });

  it.each([
    [
      'a JobManager in trouble',
      refusing(500, 'Internal server error.', 'java.util.concurrent.TimeoutException: no'),
      '500 Internal Server Error',
    ],
    [
      'one that is not elected yet',
      refusing(503, 'Service temporarily unavailable due to an ongoing leader election.'),
      '503 Service Unavailable',
    ],
    ['a time-out on the way', answering(408, ''), '408 Request Timeout'],
  ])('that met %s may be made again', async (_, answer, code) => {
    const { jobManager, asked } = await behindProxy(answer);

    expect(await failureOf(jobManager.submit(aSubmission()))).toMatchObject({
      code,
      isRetryable: true,
      isFailFast: false,
    });
    expect(asked).toHaveLength(1);
  });

  it.each([
    'org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: oh',
    'org.apache.flink.runtime.client.JobSubmissionException: Failed to submit job.',
  ])('is never made again after %s', async (exception) => {
    const { jobManager } = await behindProxy(refusing(500, 'Internal server error.', exception));

    expect(await failureOf(jobManager.submit(aSubmission()))).toMatchObject({ isRetryable: false, isFailFast: true });
  });
});

describe('a savepoint', () => {
  const operation = (fields: object) => answering(200, { status: { id: 'COMPLETED' }, operation: fields });

  it.each([
    ['neither a location nor a cause', operation({}), 'the savepoint has no location'],
    [
      'nothing at all',
      answering(200, { status: { id: 'COMPLETED' }, operation: null }),
      'the savepoint has no location',
    ],
    [
      'a cause without a trace',
      operation({ 'failure-cause': { class: 'java.lang.Error', 'stack-trace': '' } }),
      'java.lang.Error',
    ],
    [
      'a location and a cause',
      operation({ location: 'file:/x', 'failure-cause': { class: 'a.B', 'stack-trace': 'a.B: the rest failed' } }),
      'a.B: the rest failed',
    ],
  ])('that is completed with %s has failed', async (_, answer, cause) => {
    const { jobManager } = await behindProxy(answer);

    expect(await jobManager.savepoint(JOB_ID, TRIGGER_ID)).toEqual({ state: 'Failed', cause });
  });
});

describe('a count of restarts', () => {
  it.each([
    ['not collected yet', [], undefined],
    ['not among the metrics', [{ id: 'uptime', value: '3' }], undefined],
    ['not a number', [{ id: 'numRestarts', value: 'NaN' }], undefined],
    ['12', [{ id: 'numRestarts', value: '12' }], 12],
  ])('that is %s', async (_, metrics, restarts) => {
    const { jobManager } = await behindProxy(answering(200, metrics));

    expect(await jobManager.restarts(JOB_ID)).toBe(restarts);
  });
});

describe('a TaskManager', () => {
  it.each([
    ['pekko.tcp://flink@10.0.0.7:6122/user/rpc/taskmanager_0', '10.0.0.7'],
    ['akka.tcp://flink@tm-0.tm.flink.svc:6122/user/taskmanager_0', 'tm-0.tm.flink.svc'],
    ['pekko.tcp://flink@[fd00::7]:6122/user/rpc/taskmanager_0', 'fd00::7'],
    ['pekko://flink/user/rpc/taskmanager_0', ''],
  ])('at %s is on host "%s"', async (path, host) => {
    const wire = { id: 'a', path, slotsNumber: 1, freeSlots: 0, timeSinceLastHeartbeat: 17 };
    const { jobManager } = await behindProxy(answering(200, { taskmanagers: [wire] }));

    expect(await jobManager.taskManagers()).toEqual([{ id: 'a', host, slots: 1, freeSlots: 0, lastHeartbeatTime: 17 }]);
  });
});

const METHODS: readonly (readonly [string, (jobManager: JobManager) => Promise<unknown>, number])[] = [
  ['GetClusterOverview', (jobManager) => jobManager.overview(), 20],
  ['GetTaskManagers', (jobManager) => jobManager.taskManagers(), 20],
  ['GetJobs', (jobManager) => jobManager.jobs(), 20],
  ['GetJobOverview', (jobManager) => jobManager.job(JOB_ID), 20],
  ['GetCheckpointCounts', (jobManager) => jobManager.checkpoints(JOB_ID, false), 20],
  ['GetCheckpointConfig', (jobManager) => jobManager.checkpointConfig(JOB_ID), 20],
  ['GetExceptions', (jobManager) => jobManager.failures(JOB_ID), 20],
  ['GetJobMetrics', (jobManager) => jobManager.restarts(JOB_ID), 20],
  ['GetResourceRequirements', (jobManager) => jobManager.resourceRequirements(JOB_ID), 20],
  ['CheckSavepointStatus', (jobManager) => jobManager.savepoint(JOB_ID, TRIGGER_ID), 3],
  ['GetJobPlan', (jobManager) => jobManager.plan(aSubmission()), 20],
  ['SubmitJob', (jobManager) => jobManager.submit(aSubmission()), 20],
  [
    'SavepointJob',
    (jobManager) => jobManager.triggerSavepoint({ jobId: JOB_ID, triggerId: TRIGGER_ID, cancelJob: false }),
    5,
  ],
  [
    'CancelJobWithSavepoint',
    (jobManager) => jobManager.triggerSavepoint({ jobId: JOB_ID, triggerId: TRIGGER_ID, cancelJob: true }),
    5,
  ],
  ['StopJobWithSavepoint', (jobManager) => jobManager.stop({ jobId: JOB_ID, triggerId: TRIGGER_ID, drain: false }), 5],
  ['DisposeSavepoint', (jobManager) => jobManager.disposeSavepoint('s3://savepoints/1'), 20],
  ['CheckSavepointDisposal', (jobManager) => jobManager.disposal(TRIGGER_ID), 20],
  ['ForceCancelJob', (jobManager) => jobManager.cancel(JOB_ID), 20],
  ['SetResourceRequirements', (jobManager) => jobManager.setResourceRequirements(JOB_ID, {}), 20],
];
const IS_QUESTION = /^(Get(?!JobPlan)|Check)/;

describe.each(METHODS)('%s', (method, call, maxRetries) => {
  const attempts = IS_QUESTION.test(method) ? 2 : 1;

  it.each([
    [
      'of nobody behind the service',
      statusOf(503, 'ServiceUnavailable', 'no endpoints available for service "orders-5e7c7283"'),
      '503 Service Unavailable',
    ],
    ['of a connection that was cut', cutting, 'FAILED'],
  ])('fails, and may be repeated, because %s', async (_, answer, code) => {
    const { jobManager, asked } = await behindProxy(answer);

    const error = await failureOf(call(jobManager));

    expect(error).toMatchObject({ method, code, isRetryable: true, isFailFast: false, maxRetries });
    expect(error.message).toMatch(new RegExp(`^${method} call failed with status ${code} and message '`));
    expect(asked).toHaveLength(attempts);
  });

  it.each([
    ['there is no such service', statusOf(404, 'NotFound', 'services "orders-5e7c7283" not found'), '404 Not Found'],
    [
      'the right to ask is missing',
      statusOf(403, 'Forbidden', 'cannot get resource "services/proxy"'),
      '403 Forbidden',
    ],
  ])('takes no word of the API server for one of Flink: %s', async (_, answer, code) => {
    const { jobManager, asked } = await behindProxy(answer);

    expect(await failureOf(call(jobManager))).toMatchObject({ code, isRetryable: true, isFailFast: false });
    expect(asked).toHaveLength(1);
  });

  it('fails when Flink does, and is left to whoever asked', async () => {
    const trace =
      '<Exception on server side:\njava.util.concurrent.CompletionException: a\nCaused by: java.lang.Error: oh\n';
    const { jobManager, asked } = await behindProxy(refusing(500, 'Internal server error.', trace));

    const error = await failureOf(call(jobManager));

    expect(error.message).toBe(
      `${method} call failed with status 500 Internal Server Error and message 'java.lang.Error: oh'`,
    );
    expect(error).toMatchObject({ isRetryable: true, isFailFast: false });
    expect(asked).toHaveLength(1);
  });
});

const ANSWERED = METHODS.filter(([method]) => method !== 'ForceCancelJob' && method !== 'SetResourceRequirements');

describe.each(ANSWERED)('an answer to %s', (method, call, maxRetries) => {
  it.each([
    ['no JSON', '<html>'],
    ['something else', { hello: 'world' }],
    ['null', null],
  ])('that is %s is not understood', async (_, body) => {
    const { jobManager } = await behindProxy(answering(200, body));

    const error = await failureOf(call(jobManager));

    expect(error).toMatchObject({
      method,
      code: 'JSONUNMARSHALERROR',
      isRetryable: true,
      isFailFast: false,
      maxRetries,
    });
  });
});

describe.each(METHODS.filter(([method]) => IS_QUESTION.test(method)))('%s', (_, call) => {
  it('takes a 404 of something else behind the service for no news of a job', async () => {
    const { jobManager } = await behindProxy(answering(404, '404 page not found'));

    const error = await failureOf(call(jobManager));

    expect(error).toMatchObject({ code: '404 Not Found', isRetryable: true });
    expect(error.message).toContain('404 page not found');
  });
});
