// Whatever somebody writes into a FlinkApplication: what is wrong is said in its own conditions, the job that runs is left alone,
// and the other applications of the shard are deployed.

import { afterEach, describe, expect, it } from 'vitest';
import type { JarSettings } from '../../infra/sandbox/images.ts';
import type { ApplicationSpec } from '../../shared/deployment/types.ts';
import {
  aDeployedApplication,
  type Deployments,
  IMAGE,
  NEXT_IMAGE,
  noDeployments,
  type SpecOptions,
} from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

interface Row {
  readonly input: string;
  /** Laid over a spec that is deployed; undefined takes a field away. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly condition: string;
  readonly message: RegExp;
  /** Of the application at first, unlike the usual one. */
  readonly before?: SpecOptions;
  /** How the job of the next image behaves. */
  readonly nextJar?: JarSettings;
}

const invalid = (spec: Row['spec'], message: RegExp): Row => ({
  input: JSON.stringify(spec),
  spec,
  condition: 'SpecValid False InvalidSpec',
  message,
});

const taskManager = (config: object): Row['spec'] => ({ taskManagerConfig: { taskSlots: 2, replicas: 2, ...config } });
const memory = (memory: unknown) => ({ resources: { requests: { cpu: '1', memory } } });

const rows: readonly Row[] = [
  ...[0, -1, 1.5, 'four', null].map((parallelism) => invalid({ parallelism }, /spec\.parallelism/)),
  ...[0, -2, 'two'].map((taskSlots) => invalid(taskManager({ taskSlots }), /spec\.taskManagerConfig\.taskSlots/)),
  invalid(taskManager({ replicas: 0 }), /spec\.taskManagerConfig\.replicas/),
  ...['Canary', 'dual'].map((deploymentMode) => invalid({ deploymentMode }, /spec\.deploymentMode.*Dual, BlueGreen/)),
  invalid(taskManager(memory('plenty')), /taskManagerConfig\.resources\.requests\.memory is "plenty"/),
  invalid(taskManager(memory('0.5')), /taskManagerConfig\.resources\.requests\.memory is "0\.5"/),
  invalid(taskManager({ systemMemoryFraction: 2 }), /systemMemoryFraction is 2/),
  invalid(taskManager({ systemMemoryFraction: 1 }), /leaves no memory to Flink/),
  invalid({ jarName: '' }, /spec\.jarName is empty/),
  invalid({ jarName: '../../etc/passwd' }, /spec\.jarName is "\.\.\/\.\.\/etc\/passwd"/),
  invalid({ entryClass: undefined }, /spec\.entryClass/),
  invalid({ image: 7 }, /spec\.image/),
  invalid({ flinkConfig: { 'state.backend': { type: 'rocksdb' } } }, /spec\.flinkConfig/),
  invalid({ flinkConfig: 'state.backend: rocksdb' }, /spec\.flinkConfig/),
  invalid({ uiPort: 6123 }, /spec\.rpcPort and spec\.uiPort are both 6123/),
  invalid({ timeouts: { savepointSeconds: 0 } }, /spec\.timeouts\.savepointSeconds/),
  invalid({ restartPolicy: 'Always' }, /spec\.restartPolicy/),
  {
    input: 'another deploymentMode',
    spec: { deploymentMode: 'BlueGreen', image: NEXT_IMAGE },
    condition: 'Deployed False DeployFailed',
    message: /deploymentMode is Dual and cannot become BlueGreen/,
  },
  {
    input: 'a jar that is not there',
    spec: { jarName: 'missing.jar' },
    condition: 'Deployed False JobNotRunnable',
    message: /missing\.jar/,
  },
  {
    input: 'a class that is not in the jar',
    spec: { image: NEXT_IMAGE, entryClass: 'com.example.Typo' },
    nextJar: { entryClass: 'com.example.Orders' },
    condition: 'Deployed False JobNotRunnable',
    message: /com\.example\.Typo/,
  },
  {
    input: 'a main method that throws',
    spec: { image: NEXT_IMAGE },
    nextJar: { mainThrows: 'no such topic' },
    condition: 'Deployed False JobNotRunnable',
    message: /no such topic/,
  },
  {
    input: 'more subtasks than the state can be divided among',
    spec: { image: NEXT_IMAGE, parallelism: 200 },
    condition: 'Deployed False MaxParallelismExceeded',
    message: /would run with 200, but its state allows 128/,
  },
  {
    input: 'no savepoint directory',
    before: { flinkConfig: { 'state.savepoints.dir': undefined } },
    spec: { image: NEXT_IMAGE },
    condition: 'Deployed False SavepointRefused',
    message: /savepoint-dir\] is not set/,
  },
  {
    input: 'an image that nobody can pull',
    spec: { image: 'registry.example.com/typo' },
    condition: 'Deployed False ClusterStartTimedOut',
    message: /ImagePullBackOff/,
  },
];

const isSettled = (name: string) => {
  const { phase, rollout } = orders.status(name);
  return rollout === undefined && (phase === 'Running' || phase === 'DeployFailed');
};

const messageOf = (condition: string) =>
  orders.status().conditions?.find(({ type }) => condition.startsWith(`${type} `))?.message;

describe('an application that runs', () => {
  it.each(rows)('keeps its job whatever its spec becomes: $input', async (row) => {
    const { spec, condition, message, before = {}, nextJar = {} } = row;
    orders = await aDeployedApplication({ timeouts: { clusterStartSeconds: 30 }, ...before });
    orders.add({}, 'payments');
    await orders.roundsUntil(() => isSettled('payments'));
    orders.sandbox.flink.image('registry.example.com/typo', { pullable: false });
    orders.sandbox.flink.image(NEXT_IMAGE, { jars: { 'orders.jar': nextJar } });
    const [job] = orders.livingJobs();

    orders.edit((present: ApplicationSpec) => ({ ...present, ...spec }));
    orders.edit((present: ApplicationSpec) => ({ ...present, image: 'registry.example.com/payments:2' }), 'payments');
    await orders.roundsUntil(
      () => orders.conditions().includes(condition) && orders.runs('payments').length === 2 && isSettled('payments'),
    );
    await orders.rounds(10);

    expect(messageOf(condition)).toMatch(message);
    expect(orders.runs()).toHaveLength(1);
    expect(orders.livingJobs()).toMatchObject([{ id: job?.id, state: 'RUNNING' }]);
    expect(orders.livingJobs()[0]?.count).toBeGreaterThan((job?.count ?? 0) + 1000);
    expect(orders.status().jobStatus).toMatchObject({ jobID: job?.id, health: 'Green' });
    expect(orders.runs('payments')).toMatchObject([{ state: 'FINISHED' }, { state: 'RUNNING' }]);
  });

  it('is deployed as soon as its spec is mended', async () => {
    orders = await aDeployedApplication();
    orders.edit((spec) => ({ ...spec, parallelism: 0 }));
    await orders.rounds(10);

    orders.edit((spec) => ({ ...spec, parallelism: 6 }));
    await orders.roundsUntil(() => orders.runs().length === 2 && orders.status().phase === 'Running');

    expect(orders.conditions()).toEqual([
      'SpecValid True Valid',
      'Deployed True Deployed',
      'JobRunning True JobRunning',
    ]);
    expect(orders.runs()[1]).toMatchObject({ parallelism: 6, startCount: orders.savepoints()[0]?.count });
  });
});

describe('an application that is new', () => {
  it.each([
    [
      'a name that is too long for a service',
      'a'.repeat(55),
      {},
      'SpecValid False InvalidSpec',
      /55 characters.*54 at most/,
    ],
    ['a name with a dot', 'orders.v2', {}, 'SpecValid False InvalidSpec', /"orders\.v2"/],
    ['a name that begins with a digit', '2-orders', {}, 'SpecValid False InvalidSpec', /"2-orders"/],
    ['no slots', 'bad', { taskManagerConfig: { taskSlots: 0 } }, 'SpecValid False InvalidSpec', /taskSlots/],
    [
      'state that is not there',
      'bad',
      { savepointPath: 's3://state/savepoints/gone' },
      'Deployed False JobMonitoringFailed',
      /Cannot find checkpoint or savepoint.*s3:\/\/state\/savepoints\/gone/,
    ],
  ] as const)('is not deployed, and says why: %s', async (_input, name, spec, condition, message) => {
    orders = await noDeployments();
    orders.add(spec as SpecOptions, name);
    orders.add();

    await orders.roundsUntil(() => orders.conditions(name).includes(condition) && isSettled('orders'));
    await orders.rounds(10);

    expect(orders.status(name).conditions?.find(({ type }) => condition.startsWith(type))?.message).toMatch(message);
    expect(orders.livingJobs(name)).toEqual([]);
    expect(orders.deployments(name)).toEqual([]);
    expect(orders.runs()).toMatchObject([{ image: IMAGE, state: 'RUNNING' }]);
  });

  it('holds up nobody when its status says what nobody can', async () => {
    orders = await noDeployments();
    orders.add({}, 'broken');
    orders.sandbox.store.put({
      ...orders.application('broken'),
      status: { phase: 'Dancing', currentRevision: 'broken-1' },
    });
    orders.add();

    await orders.roundsUntil('Running');
    const { applications } = await orders.round();

    expect(applications.map(({ name, outcome }) => `${name} ${outcome}`).sort()).toEqual([
      'broken failed',
      'orders atRest',
    ]);
  });

  it('is deployed when its status is garbage', async () => {
    orders = await noDeployments();
    orders.add();
    const garbage = {
      phase: 7,
      rollout: { kind: 'Sideways' },
      jobStatus: 'fine',
      conditions: [null],
      retryCount: 'many',
    };
    orders.sandbox.store.put({ ...orders.application(), status: garbage });

    await orders.roundsUntil('Running');

    expect(orders.conditions()).toContain('JobRunning True JobRunning');
  });
});
