// The simulated JobManager against what real ones answered, and against what is known of Flink beyond single answers.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ImageSettings, JarSettings } from '../../../infra/sandbox/images.ts';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { ask, type Reply } from './ask.ts';
import { askFlink, type ClusterOptions, createCluster, deployments, id, services, startCluster } from './cluster.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const image = 'registry.example.com/orders:1';
const source = 'e5a72f353fc1e6bbf3bd96a41384998c';
const worker = '674df9b0384c0348e0b9d1034a44c46c';
const badPath = 'file:///nope/savepoint-1';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ now: start });
});
afterEach(() => sandbox.close());

interface Setting extends ClusterOptions {
  readonly flavour?: Flavour;
  readonly jar?: JarSettings;
}

async function open({ flavour = '1.20.3', jar = {}, ...options }: Setting = {}): Promise<void> {
  const settings: ImageSettings = { flinkVersion: flavour, jars: { 'load-job.jar': jar } };
  sandbox.flink.image(image, settings);
  await startCluster(sandbox, options);
}

const get = (path: string) => askFlink(sandbox, 'GET', path);
const post = (path: string, body: object) => askFlink(sandbox, 'POST', path, body);
const job = (number: number, part = '') => get(`/jobs/${id(number)}${part}`);
const pass = (seconds: number) => sandbox.clock.advance(seconds);
const runJar = (number: number, body: object = {}) =>
  post('/jars/load-job.jar/run', { jobId: id(number), parallelism: 2, entryClass: 'bench.LoadJob', ...body });
const plan = (body: object = {}, jar = 'load-job.jar') => post(`/jars/${jar}/plan`, { parallelism: 2, ...body });
const trigger = (number: number, triggerId: number, body: object = {}) =>
  post(`/jobs/${id(number)}/savepoints`, { 'cancel-job': false, triggerId: id(triggerId), ...body });
const savepoint = (number: number, triggerId: number) => job(number, `/savepoints/${id(triggerId)}`);
const cancelJob = (number: number) => askFlink(sandbox, 'PATCH', `/jobs/${id(number)}?mode=cancel`);
const state = (number: number) =>
  sandbox.flink.jobs('flink', 'orders').find((candidate) => candidate.id === id(number))?.state;
const ledger = () => sandbox.flink.ledger('flink', 'orders');
const adaptive = { properties: { 'jobmanager.scheduler': 'adaptive' } };
const bounds = (lowerBound: number, upperBound: number) => ({
  [source]: { parallelism: { lowerBound, upperBound } },
  [worker]: { parallelism: { lowerBound, upperBound } },
});
const require = (number: number, body: object) =>
  askFlink(sandbox, 'PUT', `/jobs/${id(number)}/resource-requirements`, body);

/** Starts the cluster and a job, and lets it run for so long. */
async function running(setting: Setting = {}, { seconds = 30, body = {} } = {}): Promise<void> {
  await open(setting);
  await runJar(1, body);
  pass(seconds);
}

async function savepointOf(number: number, triggerId: number, body: object = {}): Promise<string> {
  await trigger(number, triggerId, body);
  pass(5);
  return (await savepoint(number, triggerId)).json.operation.location;
}

interface Fixture {
  readonly status: number;
  readonly contentType?: string;
  readonly response: unknown;
}

function recorded(flavour: string, name: string): Fixture {
  return JSON.parse(readFileSync(new URL(`../../flink/fixtures/${flavour}/${name}.json`, import.meta.url), 'utf8'));
}

type Flavour = '1.20.3' | '2.3.0';

interface Scene {
  readonly fixture: string;
  readonly prepare: (flavour: Flavour) => Promise<void>;
  readonly steps: readonly (() => unknown)[];
}

/** A cluster without jobs, on which steps are taken; the last one asks. */
function fresh(fixture: string, setting: Setting, ...steps: Scene['steps']): Scene {
  return { fixture, prepare: (flavour) => open({ ...setting, flavour }), steps };
}

/** A cluster on which job 1 runs. */
function busy(fixture: string, setting: Setting, ...steps: Scene['steps']): Scene {
  return { fixture, prepare: (flavour) => running({ ...setting, flavour }), steps };
}

async function play({ prepare, steps }: Scene, flavour: Flavour): Promise<Reply> {
  await prepare(flavour);
  const replies = [];
  for (const step of steps) replies.push(await step());
  return replies.at(-1) as Reply;
}

const off = { 'execution.checkpointing.interval': undefined };
const noDirectory = { 'execution.checkpointing.savepoint-dir': undefined };
const noSubmission = { properties: { 'web.submit.enable': 'false' } };
const requirements = () => job(1, '/resource-requirements');
const throwing = { jar: { mainThrows: 'bench: main told to throw: oh no' } };
const oneClass = { jar: { entryClass: 'bench.LoadJob' } };
const batch = { jar: { isBatch: true } };
const narrow = { jar: { maxParallelism: 4 } };
const otherVertices = [
  { name: 'Source: source', id: source },
  { name: 'other', id: id(9) },
];
const runBad = () => runJar(1, { savepointPath: badPath });
const wait = () => pass(5);
const failWith = (cause: string) => () => sandbox.flink.failJob('flink', 'orders', { cause });

/** Takes a savepoint of job 1, describes the jar anew, and runs it from there as job 3. */
async function restoreInto(jar: JarSettings, body: object = {}): Promise<Reply> {
  const savepointPath = await savepointOf(1, 2);
  sandbox.flink.image(image, { jars: { 'load-job.jar': jar } });
  return runJar(3, { ...body, savepointPath });
}

/** Field for field: the same fields of the same types. */
const sameShape: readonly Scene[] = [
  fresh('config', {}, () => get('/config')),
  fresh('overview', {}, () => get('/overview')),
  fresh('taskmanagers', {}, () => get('/taskmanagers')),
  busy('jobs-after-bad-savepoint', {}, () => get('/jobs')),
  busy('job', {}, () => job(1)),
  fresh(
    'job-initializing',
    {},
    () => runJar(1),
    () => job(1),
  ),
  fresh('job-after-bad-savepoint', {}, runBad, () => job(1)),
  busy(
    'job-canceled',
    {},
    () => cancelJob(1),
    wait,
    () => job(1),
  ),
  busy('job-finished', { jar: { isBounded: true, runSeconds: 5 } }, () => job(1)),
  busy('job-restarting', {}, failWith('x'), () => job(1)),
  busy('checkpoints-retain-cancel', {}, () => job(1, '/checkpoints')),
  busy('checkpoints-off', { properties: off }, () => job(1, '/checkpoints')),
  busy('job-exceptions', {}, () => job(1, '/exceptions')),
  busy('exceptions-max-1', {}, failWith('x1'), wait, wait, failWith('y1'), wait, wait, () =>
    job(1, '/exceptions?maxExceptions=1'),
  ),
  fresh(
    'job-noslots-exceptions',
    {},
    () => runJar(1, { parallelism: 40 }),
    wait,
    () => job(1, '/exceptions'),
  ),
  fresh('exceptions-after-bad-savepoint', {}, runBad, () => job(1, '/exceptions')),
  fresh('adaptive-exceptions-bad-savepoint', adaptive, runBad, wait, () => job(1, '/exceptions')),
  busy('adaptive-resource-requirements', adaptive, requirements),
  fresh('plan-ok', {}, () => plan()),
  fresh('plan-batch', batch, () => plan()),
  ...[
    { fixture: 'job-batch-first-stage', seconds: 30 },
    { fixture: 'job-batch-second-stage', seconds: 70 },
    { fixture: 'job-batch-finished', seconds: 200 },
  ].map(({ fixture, seconds }) =>
    fresh(
      fixture,
      batch,
      () => runJar(1),
      () => pass(seconds),
      () => job(1),
    ),
  ),
  fresh(
    'job-batch-few-slots',
    batch,
    () => runJar(1, { parallelism: 40 }),
    () => pass(30),
    () => job(1),
  ),
  fresh('run-own-jobid', {}, () => runJar(1)),
  busy('savepoint-own-trigger', {}, () => trigger(1, 2)),
  busy(
    'savepoint-own-trigger-progress',
    {},
    () => trigger(1, 2),
    () => savepoint(1, 2),
  ),
  busy(
    'savepoint-done',
    {},
    () => trigger(1, 2),
    wait,
    () => savepoint(1, 2),
  ),
  busy('cancel', {}, () => cancelJob(1)),
  busy(
    'cancel-canceled-job',
    {},
    () => cancelJob(1),
    wait,
    () => cancelJob(1),
  ),
];

/** Word for word but for stack frames, folders and ids. */
const sameWords: readonly Scene[] = [
  fresh('job-notfound', {}, () => job(0)),
  fresh('job-checkpoints-notfound', {}, () => job(0, '/checkpoints')),
  fresh(
    'checkpoints-initializing',
    {},
    () => runJar(1),
    () => job(1, '/checkpoints'),
  ),
  fresh('cancel-notfound', {}, () => cancelJob(0)),
  fresh('cancel-failed', {}, runBad, () => cancelJob(1)),
  busy('savepoint-nodir', { properties: noDirectory }, () => trigger(1, 2)),
  busy('savepoint-trigger-notfound', {}, () => savepoint(1, 2)),
  busy(
    'savepoint-canceled-own-done',
    {},
    () => cancelJob(1),
    wait,
    () => trigger(1, 2),
    () => savepoint(1, 2),
  ),
  busy(
    'savepoint-cancel-own-ended',
    {},
    () => trigger(1, 2, { 'cancel-job': true }),
    wait,
    () => savepoint(1, 2),
  ),
  fresh('plan-main-throws', throwing, () => plan()),
  fresh('plan-jar-missing', {}, () => plan({}, 'nope.jar')),
  fresh('plan-class-missing', oneClass, () => plan({ entryClass: 'bench.Nope' })),
  fresh('plan-parallelism-zero', {}, () => plan({ parallelism: 0 })),
  fresh('plan-submit-off', noSubmission, () => plan()),
  fresh('run-submit-off', noSubmission, () => runJar(1)),
  fresh('run-main-throws', throwing, () => runJar(1)),
  fresh('run-jar-missing', {}, () => post('/jars/nope.jar/run', {})),
  fresh('run-class-missing', oneClass, () => runJar(1, { entryClass: 'bench.Nope' })),
  fresh('run-bad-savepoint-own', {}, runBad),
  fresh('run-above-max', narrow, () => runJar(1, { parallelism: 8 })),
  busy('run-restore-above-max', narrow, () => restoreInto(narrow.jar, { parallelism: 8 })),
  busy('run-restore-max-changed', narrow, () => restoreInto({ maxParallelism: 16 })),
  busy('run-non-restored', {}, () => restoreInto({ vertices: otherVertices })),
  busy('run-same-jobid-running', {}, () => runJar(1)),
  busy(
    'run-same-jobid-canceled',
    {},
    () => cancelJob(1),
    wait,
    () => runJar(1),
  ),
  fresh('run-same-jobid-failed', {}, runBad, () => runJar(1)),
  busy('job-resource-requirements', {}, requirements),
  busy('job-resource-requirements-batch', batch, requirements),
  busy('checkpoints-batch', batch, () => job(1, '/checkpoints')),
  busy('checkpoints-config-batch', batch, () => job(1, '/checkpoints/config')),
  busy(
    'savepoint-batch-done',
    batch,
    () => trigger(1, 2),
    () => savepoint(1, 2),
  ),
  busy('job-resource-requirements-put', {}, () => require(1, bounds(1, 2))),
  fresh('adaptive-requirements-unknown-job', adaptive, () => job(61, '/resource-requirements')),
  busy('adaptive-put-above-max', { ...adaptive, ...narrow }, () => require(1, bounds(1, 8))),
  busy('adaptive-resource-requirements-put-8', adaptive, () => require(1, bounds(1, 8))),
];

describe.each(['1.20.3', '2.3.0'] as const)('a JobManager of Flink %s', (flavour) => {
  it.each(sameShape)('answers with the fields of $fixture', async (scene) => {
    const { status, response, contentType } = recorded(flavour, scene.fixture);
    const reply = await play(scene, flavour);

    expect(reply.status).toBe(status);
    expect(reply.headers.get('content-type')).toBe(contentType ?? 'application/json; charset=UTF-8');
    expect(shapeOf(reply.json)).toEqual(shapeOf(response));
  });

  it.each(sameWords)('answers in the words of $fixture', async (scene) => {
    const { status, response } = recorded(flavour, scene.fixture);
    const reply = await play(scene, flavour);

    expect(reply.status).toBe(status);
    expect(wordsOf(reply.json)).toEqual(wordsOf(response));
  });

  it.each([
    ['retain', 'RETAIN_ON_CANCELLATION', {}],
    ['delete', 'DELETE_ON_CANCELLATION', {}],
    ['none', 'NO_EXTERNALIZED_CHECKPOINTS', {}],
    ['off', 'RETAIN_ON_CANCELLATION', { 'execution.checkpointing.interval': undefined }],
    ['in-memory', 'RETAIN_ON_CANCELLATION', { 'execution.checkpointing.dir': undefined }],
  ])('tells of its checkpoints as recorded: %s', async (name, retention, properties) => {
    const key = 'execution.checkpointing.externalized-checkpoint-retention';
    const interval = { 'execution.checkpointing.interval': '500 ms' };
    await running({ flavour, properties: { ...interval, [key]: retention, ...properties } });

    const { response } = recorded(flavour, `checkpoints-config-${name}`);
    expect((await job(1, '/checkpoints/config')).json).toEqual(response);
  });
});

describe('a job', () => {
  it('comes up in steps, without vertices at first', async () => {
    await open({ properties: { 'web.refresh-interval': '0 ms' } });
    await runJar(1);
    const seen = [];
    for (let second = 0; second < 5; second += 1) {
      const { json } = await job(1);
      seen.push([
        json.state,
        ...json.vertices.map((vertex: { status: string; tasks: object }) => [vertex.status, tasksIn(vertex.tasks)]),
      ]);
      pass(1);
    }

    const both = (status: string, tasks: string) => Array(2).fill([status, tasks]);
    expect(seen).toEqual([
      ['INITIALIZING'],
      ['RUNNING', ...both('CREATED', 'SCHEDULED 2')],
      ['RUNNING', ...both('DEPLOYING', 'DEPLOYING 2')],
      ['RUNNING', ...both('INITIALIZING', 'INITIALIZING 2')],
      ['RUNNING', ...both('RUNNING', 'RUNNING 2')],
    ]);
  });

  it.each([
    ['1.20.3', ['RUNNING 2', 'CREATED -1'], ['FINISHED 2', 'RUNNING 2']],
    ['2.3.0', ['RUNNING 2'], ['FINISHED 2', 'RUNNING 2']],
  ] as const)('in BATCH mode runs stage by stage, as Flink %s lists it', async (flavour, first, second) => {
    await open({ ...batch, flavour });
    await runJar(1);
    const look = async () => {
      const { state, vertices } = (await job(1)).json;
      return [
        state,
        ...vertices.map((vertex: { status: string; parallelism: number }) => `${vertex.status} ${vertex.parallelism}`),
      ];
    };
    const seen = [];
    for (const seconds of [30, 60, 60]) {
      pass(seconds);
      seen.push(await look());
    }

    expect(seen).toEqual([
      ['RUNNING', ...first],
      ['RUNNING', ...second],
      ['FINISHED', 'FINISHED 2', 'FINISHED 2'],
    ]);
  });

  it('in BATCH mode makes do with fewer slots than it has tasks, in turns', async () => {
    await open(batch);
    await runJar(1, { parallelism: 8 });
    pass(100);
    const { state, vertices } = (await job(1)).json;
    pass(150);

    expect([state, tasksIn(vertices[0].tasks)]).toEqual(['RUNNING', 'SCHEDULED 4 RUNNING 4']);
    expect((await job(1)).json.state).toBe('FINISHED');
  });

  it('is described as it was some seconds ago, but listed as it is', async () => {
    await running();
    await job(1);
    await cancelJob(1);
    const [stale, listed] = [(await job(1)).json.state, (await get('/jobs')).json.jobs[0].status];
    pass(3);

    expect([stale, listed]).toEqual(['RUNNING', 'CANCELLING']);
    expect((await job(1)).json.state).toBe('CANCELED');
  });

  it('holds its slots, and gives them back', async () => {
    await running({}, { body: { parallelism: 3 } });
    const held = (await get('/overview')).json;
    const free = (await get('/taskmanagers')).json.taskmanagers.map(
      ({ freeSlots }: { freeSlots: number }) => freeSlots,
    );
    await cancelJob(1);
    pass(1);

    expect([held['slots-total'], held['slots-available']]).toEqual([4, 1]);
    expect(free.sort()).toEqual([0, 1]);
    expect((await get('/overview')).json['slots-available']).toBe(4);
  });

  it('without enough slots fails and is begun anew until there are', async () => {
    await open();
    await runJar(1, { parallelism: 6 });
    pass(4);
    const short = [state(1), (await get('/overview')).json['slots-available'], ledger().count];
    await ask(sandbox, 'PATCH', `${deployments}/orders-aaaa1111-tm`, { spec: { replicas: 3 } });
    pass(30);

    expect(short).toEqual(['RESTARTING', 0, 0]);
    expect(state(1)).toBe('RUNNING');
    expect(ledger().count).toBeGreaterThan(0);
  });

  it('without checkpoints fails for good at its first failure', async () => {
    await running({ properties: off });
    sandbox.flink.failJob('flink', 'orders', { cause: 'the disk is full' });

    expect(state(1)).toBe('FAILED');
    expect((await job(1, '/exceptions')).json['root-exception']).toBe('java.lang.RuntimeException: the disk is full\n');
  });

  it('tells of its restarts what was collected when somebody asked before, every 10 s at most', async () => {
    await running();
    const restarts = async () => (await job(1, '/metrics?get=uptime,numRestarts')).json;
    const seen = [await restarts(), await restarts()];
    sandbox.flink.failJob('flink', 'orders');

    for (const seconds of [9, 1, 0]) {
      pass(seconds);
      seen.push(await restarts());
    }

    const counted = (value: string) => [{ id: 'numRestarts', value }];
    expect(seen).toEqual([[], counted('0'), counted('0'), counted('0'), counted('1')]);
  });

  it('is begun anew as often as its restart strategy says', async () => {
    const properties = {
      'restart-strategy.type': 'fixed-delay',
      'restart-strategy.fixed-delay.attempts': '2',
      'restart-strategy.fixed-delay.delay': '3 s',
    };
    await running({ properties, jar: { failsAtStart: 'no such topic' } }, { seconds: 60 });

    expect(state(1)).toBe('FAILED');
    expect((await job(1, '/exceptions')).json.exceptionHistory.entries).toHaveLength(3);
    expect(ledger().runs[0]?.startTime).toBeUndefined();
  });

  it('loses a TaskManager and goes on where its newest checkpoint was', async () => {
    await running({}, { body: { parallelism: 4 }, seconds: 29 });
    const [pod] = sandbox.store.list('Pod').filter(({ metadata }) => metadata.name.includes('-tm-'));
    sandbox.flink.killTaskManager('flink', pod?.metadata.name ?? '');
    const lost = state(1);
    pass(30);

    const { json } = await job(1, '/checkpoints');
    expect(lost).toBe('RESTARTING');
    expect(state(1)).toBe('RUNNING');
    expect(json.counts.restored).toBeGreaterThan(0);
    expect(json.latest.restored).toMatchObject({
      is_savepoint: false,
      external_path: `s3://state/checkpoints/${id(1)}/chk-2`,
    });
  });

  it('fails as its jar does: after a while, again and again', async () => {
    await running({ jar: { failsAfterSeconds: 5 } }, { seconds: 40 });

    const causes = (await job(1, '/exceptions')).json.exceptionHistory.entries;
    expect(causes.length).toBeGreaterThan(2);
    expect(ledger().count).toBeLessThanOrEqual(500);
  });

  it('gets its arguments as the version of its Flink takes them', async () => {
    await open({ flavour: '1.20.3' });
    await runJar(1, { programArgs: "--name 'load job' --rate 7" });
    sandbox.flink.image(image, { flinkVersion: '2.3.0' });
    sandbox.flink.killJobManager('flink', 'aaaa1111');
    pass(15);
    await runJar(2, { programArgs: '--rate 7' });
    await runJar(3, { programArgsList: ['--rate', '7'] });

    expect(ledger().runs.map(({ programArgs }) => programArgs)).toEqual([
      ['--name', 'load job', '--rate', '7'],
      [],
      ['--rate', '7'],
    ]);
  });

  it('comes to the same in one long step and in many short ones', async () => {
    const jar: JarSettings = { failsAfterSeconds: 37, recordsPerSecond: 7 };
    const other = await startSandbox({ now: start });
    const views = [];
    for (const [each, steps] of [
      [sandbox, [300]],
      [other, Array(300).fill(1)],
    ] as const) {
      each.flink.image(image, { jars: { 'load-job.jar': jar } });
      await startCluster(each);
      await askFlink(each, 'POST', '/jars/load-job.jar/run', { jobId: id(1), parallelism: 4 });
      for (const seconds of steps) each.clock.advance(seconds);
      const { json } = await askFlink(each, 'GET', `/jobs/${id(1)}/checkpoints`);
      views.push([each.flink.ledger('flink', 'orders'), each.flink.snapshots(), json]);
    }

    expect(views[0]).toEqual(views[1]);
    await other.close();
  });
});

describe('a savepoint', () => {
  it('is one, however often it is asked for under one id', async () => {
    await running();
    const replies = [await trigger(1, 2), await trigger(1, 2, { 'cancel-job': true })];
    pass(5);
    replies.push(await trigger(1, 2));

    expect(replies.map(({ json }) => json['request-id'])).toEqual(Array(3).fill(id(2)));
    expect(sandbox.flink.snapshots().filter(({ isSavepoint }) => isSavepoint)).toHaveLength(1);
    expect(state(1)).toBe('RUNNING');
  });

  it('is forgotten after five minutes, and then its id takes another', async () => {
    await running();
    await savepointOf(1, 2);
    pass(300);
    const forgotten = (await savepoint(1, 2)).status;
    await savepointOf(1, 2);

    expect(forgotten).toBe(404);
    expect(sandbox.flink.snapshots().filter(({ isSavepoint }) => isSavepoint)).toHaveLength(2);
  });

  it('may cancel its job, and can be asked about after that', async () => {
    await running({ jar: { savepointSeconds: 20 } });
    await trigger(1, 2, { 'cancel-job': true });
    pass(19);
    const during = [state(1), (await savepoint(1, 2)).json.status.id];
    pass(3);

    expect(during).toEqual(['RUNNING', 'IN_PROGRESS']);
    expect(state(1)).toBe('CANCELED');
    expect((await savepoint(1, 2)).json.operation.location).toMatch(
      /^s3:\/\/state\/savepoints\/savepoint-000000-[0-9a-f]{12}$/,
    );
  });

  it('that fails leaves its job running, and is a completed operation', async () => {
    await running({ jar: { savepointFails: 'the disk is full' } });
    await trigger(1, 2, { 'cancel-job': true });
    pass(5);

    const { json } = await savepoint(1, 2);
    expect(json.status.id).toBe('COMPLETED');
    expect(json.operation['failure-cause']['stack-trace']).toContain('CheckpointException: the disk is full');
    expect(state(1)).toBe('RUNNING');
  });

  it('may fail so often and then succeed', async () => {
    await running({ jar: { savepointFails: 2 } });
    const outcomes = [];
    for (const triggerId of [2, 3, 4]) outcomes.push(typeof (await savepointOf(1, triggerId)));

    expect(outcomes).toEqual(['undefined', 'undefined', 'string']);
  });

  it('of a job whose tasks do not all run fails at once', async () => {
    await open();
    await runJar(1);
    pass(2);
    await trigger(1, 2);

    expect((await savepoint(1, 2)).json.operation['failure-cause']['stack-trace']).toContain(
      'Not all required tasks are currently running.',
    );
  });

  it('fails with its job', async () => {
    await running({ jar: { savepointSeconds: 60 } });
    await trigger(1, 2);
    sandbox.flink.failJob('flink', 'orders');

    expect((await savepoint(1, 2)).json.operation['failure-cause']['stack-trace']).toContain('suspending');
  });

  it('goes where the request says', async () => {
    await running({ properties: noDirectory });

    expect(await savepointOf(1, 2, { 'target-directory': 's3://mine' })).toMatch(/^s3:\/\/mine\/savepoint-/);
  });

  it('that stops its job ends it without a record after it', async () => {
    await running();
    const { json } = await post(`/jobs/${id(1)}/stop`, { drain: false });
    pass(5);

    const [snapshot] = sandbox.flink.snapshots().filter(({ isSavepoint }) => isSavepoint);
    expect(json['request-id']).toMatch(/^[0-9a-f]{32}$/);
    expect([state(1), ledger().count]).toEqual(['FINISHED', snapshot?.count]);
  });
});

describe('the count of records', () => {
  it('goes on from a savepoint on another cluster, and no two jobs count at once', async () => {
    await running({ jar: { recordsPerSecond: 10 } });
    const savepointPath = await savepointOf(1, 2, { 'cancel-job': true });
    await startCluster(sandbox, { hash: 'bbbb2222' });
    const body = { jobId: id(3), parallelism: 4, savepointPath };
    await askFlink(sandbox, 'POST', '/jars/load-job.jar/run', body, 'orders-bbbb2222');
    pass(14);

    const { runs, overlapSeconds, aliveTogetherSeconds } = ledger();
    expect(runs).toMatchObject([
      { jobId: id(1), cluster: 'orders-aaaa1111-jm', state: 'CANCELED', startCount: 0, restoredFrom: undefined },
      { jobId: id(3), cluster: 'orders-bbbb2222-jm', state: 'RUNNING', parallelism: 4, restoredFrom: savepointPath },
    ]);
    // 26 s of 10 records each, then 10 s more
    expect([runs[1]?.startCount, runs[1]?.count]).toEqual([260, 360]);
    expect([overlapSeconds, aliveTogetherSeconds]).toEqual([0, 0]);
  });

  it('tells how long two jobs of one application counted at once', async () => {
    await running({}, { seconds: 10 });
    await runJar(2);
    pass(14);
    await cancelJob(2);
    pass(5);

    expect(ledger()).toMatchObject({ overlapSeconds: 10, aliveTogetherSeconds: 15 });
  });

  it('is not that of a job that knows none of the vertices', async () => {
    await running();
    const savepointPath = await savepointOf(1, 2);
    sandbox.flink.image(image, { jars: { 'load-job.jar': { vertices: ['Source: new', 'sink'] } } });
    const { status } = await runJar(3, { savepointPath, allowNonRestoredState: true });

    expect(status).toBe(200);
    expect(ledger().runs[1]).toMatchObject({ jobId: id(3), startCount: 0 });
  });

  it('goes on from a savepoint that a test has put there', async () => {
    await open();
    sandbox.flink.putSavepoint({ path: 's3://old/savepoint-1', count: 5000 });
    await runJar(1, { savepointPath: 's3://old/savepoint-1' });
    sandbox.flink.removeSnapshot('s3://old/savepoint-1');
    pass(14);

    expect(ledger().count).toBe(6000);
    expect((await runJar(2, { savepointPath: 's3://old/savepoint-1' })).status).toBe(400);
  });
});

describe('checkpoints', () => {
  it.each([
    ['RETAIN_ON_CANCELLATION', 'cancelled', true],
    ['DELETE_ON_CANCELLATION', 'cancelled', false],
    ['NO_EXTERNALIZED_CHECKPOINTS', 'cancelled', false],
    ['RETAIN_ON_CANCELLATION', 'failed', true],
    ['DELETE_ON_CANCELLATION', 'failed', true],
    ['NO_EXTERNALIZED_CHECKPOINTS', 'failed', false],
  ])('under %s outlive a job that is %s: %s', async (retention, end, isKept) => {
    await running({ properties: { 'execution.checkpointing.externalized-checkpoint-retention': retention } });
    if (end === 'cancelled') await cancelJob(1);
    else sandbox.flink.failJob('flink', 'orders', { isFatal: true });
    pass(5);

    const { completed } = (await job(1, '/checkpoints')).json.latest;
    expect(sandbox.flink.snapshots().map(({ path }) => path)).toEqual(isKept ? [completed.external_path] : []);
    expect(completed.discarded).toBe(!isKept);
  });

  it('are one in storage, and outlive their JobManager', async () => {
    await running({}, { seconds: 55 });
    sandbox.flink.killJobManager('flink', 'orders-aaaa1111');

    expect(sandbox.flink.snapshots()).toMatchObject([{ path: `s3://state/checkpoints/${id(1)}/chk-5`, count: 5000 }]);
  });

  it('are as many in storage as are to be kept, the oldest first', async () => {
    await running({ properties: { 'state.checkpoints.num-retained': '3' } }, { seconds: 55 });

    const { history } = (await job(1, '/checkpoints')).json;
    expect(history.map(({ discarded }: { discarded: boolean }) => discarded)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
    const numbers = sandbox.flink.snapshots().map(({ path }) => path.split('/').at(-1));
    expect(numbers).toEqual(['chk-3', 'chk-4', 'chk-5']);
  });

  it('cannot be addressed without a directory', async () => {
    await running({ properties: { 'execution.checkpointing.dir': undefined } });

    const { completed } = (await job(1, '/checkpoints')).json.latest;
    expect(completed.external_path).toBe('<checkpoint-not-externally-addressable>');
    expect(sandbox.flink.snapshots()).toEqual([]);
  });

  it('may all fail', async () => {
    await running({ jar: { checkpointFails: true } }, { seconds: 45 });

    const { counts, latest } = (await job(1, '/checkpoints')).json;
    expect(counts).toMatchObject({ completed: 0, failed: 4 });
    expect([latest.completed, latest.failed.failure_message]).toEqual([null, 'Checkpoint expired before completing.']);
  });
});

describe('the adaptive scheduler', () => {
  const setting = { ...adaptive, jar: { recordsPerSecond: 10 } };
  const parallelism = () => sandbox.flink.jobs('flink', 'orders')[0]?.parallelism;

  it('follows the slots up to the bound, with the same job and its count', async () => {
    await running(setting, { body: { parallelism: 4 }, seconds: 40 });
    await require(1, bounds(1, 8));
    await ask(sandbox, 'PATCH', `${deployments}/orders-aaaa1111-tm`, { spec: { replicas: 4 } });
    pass(15);
    const before = parallelism();
    pass(30);

    expect([before, parallelism()]).toEqual([4, 8]);
    expect(ledger().runs).toMatchObject([{ jobId: id(1), state: 'RUNNING', parallelism: 8 }]);
    expect(ledger().count).toBeGreaterThan(500);
  });

  describe('when the bound falls', () => {
    const free = async () =>
      (await get('/taskmanagers')).json.taskmanagers.map(({ freeSlots }: { freeSlots: number }) => freeSlots);

    it.each([
      ['50 s', {}, 50],
      ['what the configuration says', { 'slot.idle.timeout': '20 s' }, 20],
    ])('keeps slots for %s that it does not use any more, and frees TaskManagers then', async (_, more, seconds) => {
      const { properties } = setting;
      await running({ ...setting, properties: { ...properties, ...more } }, { body: { parallelism: 4 }, seconds: 40 });
      await require(1, bounds(1, 2));
      // It restarts when its bound has been stable for 10 s.
      pass(10 + seconds - 1);
      const before = [parallelism(), await free()];
      pass(2);

      expect(before).toEqual([2, [0, 0]]);
      // The youngest is at work: who deletes it stops the job.
      expect(await free()).toEqual([2, 0]);
    });

    it('may use slots of every TaskManager', async () => {
      await running({ ...setting, jar: { spreadsSlots: true } }, { body: { parallelism: 4 }, seconds: 40 });
      await require(1, bounds(1, 2));
      pass(70);

      expect(await free()).toEqual([1, 1]);
    });

    it('takes up slots again that it has kept', async () => {
      await running(setting, { body: { parallelism: 4 }, seconds: 40 });
      await require(1, bounds(1, 2));
      pass(30);
      await require(1, bounds(1, 4));
      pass(30);

      expect([parallelism(), await free()]).toEqual([4, [0, 0]]);
    });
  });

  it('makes do with fewer slots, and waits while there are too few', async () => {
    await open(setting);
    await runJar(1, { parallelism: 6 });
    pass(5);
    const waiting = state(1);
    pass(15);
    const made = [state(1), parallelism()];
    await runJar(2, { parallelism: 2 });
    pass(320);

    expect([waiting, made]).toEqual(['CREATED', ['RUNNING', 4]]);
    expect(state(2)).toBe('FAILED');
  });

  it('keeps a job running whose lower bound it cannot meet', async () => {
    await running(setting, { body: { parallelism: 4 }, seconds: 40 });
    await require(1, bounds(20, 20));
    pass(60);

    expect([state(1), parallelism()]).toEqual(['RUNNING', 4]);
  });

  it('takes every vertex or none', async () => {
    await running(setting);
    const { status, json } = await require(1, { [source]: { parallelism: { lowerBound: 1, upperBound: 2 } } });

    expect(status).toBe(400);
    expect(json.errors[0]).toContain(`missing job vertex [${worker}] resource requirements`);
  });

  it('lets a job whose state it cannot load fail a moment later', async () => {
    await open(setting);
    const { status } = await runJar(1, { savepointPath: badPath });
    const before = state(1);
    pass(2);

    expect([status, before, state(1)]).toEqual([200, 'INITIALIZING', 'FAILED']);
  });

  it('waits for ever with a job of more tasks than its state can be divided among', async () => {
    await open({ ...adaptive, jar: { maxParallelism: 4 } });
    await runJar(1, { parallelism: 8 });
    pass(600);

    expect(state(1)).toBe('CREATED');
  });
});

describe('a JobManager', () => {
  it('comes back without its jobs when it is killed, and its TaskManagers come back to it', async () => {
    await running();
    sandbox.flink.killJobManager('flink', 'orders-aaaa1111');
    const gone = (await get('/overview')).status;
    pass(10);
    const back = [(await get('/jobs')).json.jobs, (await job(1)).status];
    const first = (await get('/taskmanagers')).json.taskmanagers[0];
    pass(1);

    expect([gone, ...back]).toEqual([503, [], 404]);
    expect([first.slotsNumber, first.timeSinceLastHeartbeat]).toEqual([0, 0]);
    expect((await get('/overview')).json['slots-total']).toBe(4);
    expect(ledger().runs).toMatchObject([{ state: 'LOST', count: 2600 }]);
    expect((await runJar(1)).status).toBe(200);
  });

  it('that came back may not give a job an id which its TaskManagers know from the one before', async () => {
    await running({ properties: { 'restart-strategy.type': 'none' } });
    sandbox.flink.killJobManager('flink', 'orders-aaaa1111');
    pass(12);
    await runJar(1);
    await runJar(2);
    pass(10);

    expect([state(1), state(2)]).toEqual(['FAILED', 'RUNNING']);
    const [failure] = (await job(1, '/exceptions')).json.exceptionHistory.entries;
    expect(failure.stacktrace).toMatch(
      /^java\.lang\.IllegalStateException: The library registration references a different set of library BLOBs/,
    );
  });

  it('gives an id again that its TaskManagers have forgotten since its job had ended', async () => {
    await running();
    await cancelJob(1);
    pass(5);
    sandbox.flink.killJobManager('flink', 'orders-aaaa1111');
    pass(12);
    await runJar(1);
    pass(10);

    expect(state(1)).toBe('RUNNING');
  });

  it.each(['plan', 'run'])(
    'is taken down by a program that ends its process when it is asked to %s it',
    async (verb) => {
      await running();
      sandbox.flink.image(image, { jars: { 'load-job.jar': { mainExits: true } } });
      const { status, text } = await post(`/jars/load-job.jar/${verb}`, { parallelism: 1 });

      expect([status, text]).toEqual([503, 'error trying to reach service: EOF']);
      expect(ledger().runs).toMatchObject([{ jobId: id(1), state: 'LOST' }]);
    },
  );

  it('is not found by TaskManagers whose Service is gone, until there is one again', async () => {
    await open();
    const { json } = await ask(sandbox, 'GET', `${services}/orders-aaaa1111`);
    await ask(sandbox, 'POST', services, { ...json, metadata: { name: 'way-in' } });
    await ask(sandbox, 'DELETE', `${services}/orders-aaaa1111`);
    const slots = async () => (await askFlink(sandbox, 'GET', '/overview', undefined, 'way-in')).json['slots-total'];
    const known = await slots();
    await ask(sandbox, 'PATCH', `${deployments}/orders-aaaa1111-tm`, { spec: { replicas: 3 } });
    pass(20);
    const unfound = await slots();
    await createCluster(sandbox);
    pass(5);

    expect([known, unfound, await slots()]).toEqual([4, 4, 6]);
  });

  it('of an application takes the version that the application names', async () => {
    sandbox.store.put({
      apiVersion: 'flink.k8s.io/v1beta1',
      kind: 'FlinkApplication',
      metadata: { name: 'orders', namespace: 'flink' },
      spec: { flinkVersion: '2.3' },
    });
    await startCluster(sandbox);

    expect((await get('/overview')).json['flink-version']).toBe('2.3.0');
  });

  it('lists its configuration', async () => {
    await open();

    expect((await get('/jobmanager/config')).json).toContainEqual({
      key: 'execution.checkpointing.interval',
      value: '10 s',
    });
  });

  it('that nobody described has every jar but those that are missing', async () => {
    await startCluster(sandbox);
    const replies = [await post('/jars/any.jar/run', {}), await post('/jars/missing.jar/run', {})];

    expect(replies.map(({ status }) => status)).toEqual([200, 500]);
  });

  it.each([
    ['a job id', () => get('/jobs/xyz')],
    ['a job id to run under', () => runJar(1, { jobId: 'xyz' })],
    ['a trigger id', () => trigger(1, 2, { triggerId: 'xyz' })],
  ])('refuses %s that is none', async (_, act) => {
    await running();

    expect((await act()).status).toBe(400);
  });
});

function tasksIn(tasks: object): string {
  return Object.entries(tasks)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(' ');
}

/** Every field's path with the type of its value; ids are all one, and an empty list has the fields of any. */
function shapeOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return unique([`${path}[]`, ...value.flatMap((item) => shapeOf(item, `${path}[]`))]);
  if (typeof value !== 'object' || value === null) return [`${path}: ${value === null ? 'null' : typeof value}`];
  const fields = Object.entries(value).flatMap(([key, below]) =>
    shapeOf(below, `${path}.${/^[0-9a-f]{32}$/.test(key) ? 'id' : key}`),
  );
  return unique([`${path}{}`, ...fields]);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

/** What is said, without the frames of stack traces, folders, names of jobs, ids and serialised objects. */
function wordsOf(value: unknown): unknown {
  const text = JSON.stringify(value, (key, below) => (key === 'serialized-throwable' ? '…' : below));
  return JSON.parse(
    text
      .replace(/\\n(\\tat [^\\]*)/g, '')
      .replace(/\/bench\/run\/[^ ]*?\/flink-web-upload/g, '/opt/flink/flink-web-upload')
      .replace(/(savepoint )?(file|s3):[^ ']*savepoint-[0-9a-f-]+/g, '$1SAVEPOINT')
      .replace(/[0-9a-f]{32}/g, 'ID')
      .replace(/Failed to execute job '[^']*'/g, 'Failed to execute job'),
  );
}
