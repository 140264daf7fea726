import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import scaleCheck from '../../events/scale-check.json' with { type: 'json' };
import scaleCheckLate from '../../events/scale-check-late.json' with { type: 'json' };
import scaleCheckMalformed from '../../events/scale-check-malformed.json' with { type: 'json' };
import scaleCheckUnknownCluster from '../../events/scale-check-unknown-cluster.json' with { type: 'json' };
import { anEmptyShard, aTickEvent, captureLog, coldStart, LOUD, type Shard, TICK_SECONDS } from '../support/sandbox.ts';

// The waits between two attempts are not what is tested here.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async () => {},
}));

/** When an event's message was handed over, epoch milliseconds. */
function receivedAt({ Records: [record] }: typeof scaleCheck): number {
  return Number(record?.attributes.ApproximateFirstReceiveTimestamp);
}

let shard: Shard;
beforeEach(async () => {
  // A token is signed in real time; the events happened on one certain day.
  vi.useFakeTimers({ toFake: ['Date'], now: receivedAt(scaleCheck) });
  shard = await anEmptyShard({ now: receivedAt(scaleCheck) });
  shard.add();
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await shard.close();
});

const questions = () => shard.sandbox.requests.map(({ method, path }) => `${method} ${path}`);

describe('scale-check', () => {
  it('runs the tick: two TaskManagers at 80 % against 40 % become four', async () => {
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(scaleCheck);

    expect(shard.size()).toBe(4);
    expect(shard.status().targets).toBe('cpu: 80%/40%');
    expect(shard.conditions().slice(0, 3)).toEqual([
      'AbleToScale True SucceededRescale',
      'ScalingActive True ValidMetricFound',
      'ScalingLimited False DesiredWithinRange',
    ]);
  });

  it('writes no scale with the next tick, and nothing at all with the one after', async () => {
    const invoke = await coldStart('scale-check', shard.sandbox.env);
    await invoke(scaleCheck);

    const writes = [];
    for (let tick = 0; tick < 4; tick += 1) {
      shard.passPeriod();
      shard.sandbox.requests.clear();
      await invoke(aTickEvent({ dueTime: shard.sandbox.clock.now() }));
      writes.push(shard.writes.map(({ path }) => path.split('/').at(-1)));
    }

    expect(writes).toEqual([['status'], [], [], []]);
  });

  it('drops a tick that comes a whole period late: it asks nothing, and says so', async () => {
    shard.sandbox.clock.set(receivedAt(scaleCheckLate));
    const log = captureLog();
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, ...LOUD });

    await invoke(scaleCheckLate);

    expect(shard.sandbox.requests).toEqual([]);
    expect(log).toMatchObject([
      { level: 'WARN', message: 'tick dropped', shard: 'default', dueTime: '2026-11-22T10:00:15Z' },
    ]);
  });

  it.each([
    ['a body that is no JSON', scaleCheckMalformed, /^reading the body of a message: it must be JSON/],
    ['a body that is no tick', withBody('{"cluster":"sandbox"}'), /shard: .*dueTime: /],
    ['an event that is none of SQS', { key1: 'value1' }, /^reading the event: Records: /],
    ['a cluster that is not configured', scaleCheckUnknownCluster, /must have shard default of cluster retired/],
    [
      'a shard that is not configured',
      withBody('{"cluster":"sandbox","shard":"team-z","dueTime":"2026-11-22T10:00:15Z"}'),
      /must have shard team-z of cluster sandbox/,
    ],
  ])('fails, asking nothing, for %s', async (_what, event, message) => {
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await expect(invoke(event)).rejects.toThrow(message);
    expect(shard.sandbox.requests).toEqual([]);
  });

  it('fails when the API server is down, so that the message comes again', async () => {
    const fault = shard.sandbox.faults.add({ kind: 'drop-before', path: /^\/api/ });
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await expect(invoke(scaleCheck)).rejects.toThrow(/^GET \/apis\/headrace\.dev.*: no answer: /);
    fault.remove();
    await invoke(scaleCheck);

    expect(shard.size()).toBe(4);
  });

  it('renews its token when the API server no longer takes it', async () => {
    shard.sandbox.faults.add({ kind: 'status', code: 401, path: /^\/api/, times: 1 });
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(scaleCheck);

    expect(shard.sandbox.requests.slice(0, 2).map(({ status }) => status)).toEqual([401, 200]);
    expect(shard.size()).toBe(4);
  });

  it('fails when no token is taken', async () => {
    const environment = { ...shard.sandbox.env, AWS_SECRET_ACCESS_KEY: 'of somebody else' };
    const invoke = await coldStart('scale-check', environment);

    await expect(invoke(scaleCheck)).rejects.toThrow(/401 Unauthorized/);
    expect(shard.size()).toBe(2);
  });

  it('makes a new token before the old one has expired', async () => {
    const invoke = await coldStart('scale-check', shard.sandbox.env);
    await invoke(scaleCheck);

    for (let tick = 0; tick < (20 * 60) / TICK_SECONDS; tick += 1) {
      shard.passPeriod();
      vi.setSystemTime(shard.sandbox.clock.now());
      await invoke(aTickEvent({ dueTime: shard.sandbox.clock.now() }));
    }

    expect(shard.sandbox.requests.filter(({ status }) => status === 401)).toEqual([]);
  });
});

describe('what reconcile should look at', () => {
  /** The applications of each round that was called for. */
  const called = () =>
    shard.sandbox.reconcileQueue.messages.map(
      ({ body }) => (JSON.parse(body) as { applications: string[] }).applications,
    );

  /** Lets the application be as reconcile has left it. */
  function observe(name: string): void {
    shard.change('FlinkApplication', name, ({ metadata, status }) => ({
      status: { ...status, observedGeneration: metadata.generation },
    }));
  }

  /** Edits the application as its owner does. */
  function edit(name: string): void {
    shard.change('FlinkApplication', name, ({ spec }) => ({ spec: { ...spec, restartNonce: 'again' } }));
  }

  /** The tick after the load fell to where nothing has to be scaled. */
  function calmTick(): object {
    shard.setLoad(40);
    shard.passPeriod();
    return aTickEvent({ dueTime: shard.sandbox.clock.now(), until: Date.parse('2026-11-22T10:01:00Z') });
  }

  it('is told at once, to be followed up to the end of the minute', async () => {
    observe('orders');
    edit('orders');
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(calmTick());

    const now = shard.sandbox.clock.now();
    expect(shard.size()).toBe(2);
    expect(shard.sandbox.reconcileQueue.messages).toMatchObject([{ sentTime: now, visibleTime: now }]);
    expect(JSON.parse(shard.sandbox.reconcileQueue.messages[0]?.body ?? '')).toEqual({
      cluster: 'sandbox',
      shard: 'default',
      dueTime: new Date(now).toISOString(),
      until: '2026-11-22T10:01:00Z',
      applications: ['flink/orders'],
    });
  });

  it('is an application whose size this very tick has changed', async () => {
    observe('orders');
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(scaleCheck);

    expect(shard.size()).toBe(4);
    expect(called()).toEqual([['flink/orders']]);
  });

  it('is an application that nobody has looked at yet', async () => {
    shard.sandbox.store.put({
      apiVersion: 'flink.k8s.io/v1beta1',
      kind: 'FlinkApplication',
      metadata: { namespace: 'flink', name: 'payments', generation: 1 },
      spec: { parallelism: 2, taskManagerConfig: { taskSlots: 2 } },
    });
    observe('orders');
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(calmTick());

    expect(called()).toEqual([['flink/payments']]);
  });

  it('is none that is as it was looked at, nor one that another operator deployed', async () => {
    observe('orders');
    shard.addApplication({ name: 'returns' });
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(calmTick());

    expect(called()).toEqual([]);
  });

  it('is none that is on its way: a round will look at it in a moment', async () => {
    shard.change('FlinkApplication', 'orders', ({ status }) => ({ status: { ...status, phase: 'ClusterStarting' } }));
    observe('orders');
    edit('orders');
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(calmTick());

    expect(called()).toEqual([]);
  });

  it('is left to the round of the minute by its first tick, unless this has changed its size', async () => {
    for (const name of ['orders', 'payments']) {
      if (name !== 'orders') shard.addApplication({ name });
      observe(name);
      edit(name);
    }
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(
      aTickEvent({ dueTime: Date.parse('2026-11-22T10:00:15Z'), until: Date.parse('2026-11-22T10:01:15Z') }),
    );

    expect(shard.size()).toBe(4);
    expect(called()).toEqual([['flink/orders']]);
  });

  it('is told once, though it changed for two reasons', async () => {
    observe('orders');
    edit('orders');
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(scaleCheck);

    expect(called()).toEqual([['flink/orders']]);
  });

  it('is told for a tick that does not say when its minute ends, without a follow-up', async () => {
    const { until, ...older } = JSON.parse(scaleCheck.Records[0]?.body ?? '') as { until: string; dueTime: string };
    const invoke = await coldStart('scale-check', shard.sandbox.env);

    await invoke(withBody(JSON.stringify(older)));

    const [message] = shard.sandbox.reconcileQueue.messages;
    expect(JSON.parse(message?.body ?? '')).toMatchObject({ until: older.dueTime, applications: ['flink/orders'] });
    expect(until).not.toBe(older.dueTime);
  });

  it('waits for the minute where SQS cannot be reached: the tick is as good as ever, and warns', async () => {
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /^\/$/ });
    const log = captureLog();
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, ...LOUD });

    await invoke(scaleCheck);

    expect(shard.size()).toBe(4);
    expect(log.filter((line) => 'Ticks' in line || line.level === 'WARN')).toMatchObject([
      { Ticks: 1 },
      { message: 'round not called for', advice: expect.stringContaining('once a minute') },
    ]);
  });

  it('is told to nobody where nobody reconciles', async () => {
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, HEADRACE_RECONCILE_QUEUE_URL: undefined });

    await invoke(scaleCheck);

    expect(shard.size()).toBe(4);
    expect(questions().filter((question) => question === 'POST /')).toEqual([]);
  });
});

function withBody(body: string): object {
  return { Records: [{ ...scaleCheck.Records[0], body }] };
}

describe('its log', () => {
  it('has one line for a decision, with the arithmetic, and one with the metrics of the tick', async () => {
    const log = captureLog();
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, ...LOUD });

    await invoke(scaleCheck);

    expect(log).toMatchObject([
      {
        level: 'INFO',
        message: 'decided',
        service: 'headrace',
        autoscaler: 'flink/orders',
        reason: 'SuccessfulRescale',
        explanation: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
      },
      { Ticks: 1, Autoscalers: 1, Rescales: 1, Conflicts: 0, Failures: 0 },
    ]);
  });

  it('counts a tick in namespace Headrace, under the service and nothing else', async () => {
    const log = captureLog();
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, ...LOUD });

    await invoke(scaleCheck);

    const metrics = log.at(-1) as { _aws: { CloudWatchMetrics: object[] }; service: string };
    expect(metrics.service).toBe('headrace');
    expect(metrics._aws.CloudWatchMetrics).toMatchObject([
      {
        Namespace: 'Headrace',
        Dimensions: [['service']],
        Metrics: expect.arrayContaining([{ Name: 'Ticks', Unit: 'Count' }]),
      },
    ]);
  });

  it('counts no tick that failed or was dropped', async () => {
    const log = captureLog();
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, ...LOUD });
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /\/flinkautoscalers/ });

    await expect(invoke(scaleCheck)).rejects.toThrow('403');
    shard.sandbox.clock.advance(TICK_SECONDS);
    await invoke(scaleCheck);

    expect(log.filter((line) => 'Ticks' in line)).toEqual([]);
  });

  it('says nothing while there is nothing new, except that the tick was', async () => {
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, ...LOUD });
    shard.setLoad(40);
    shard.passPeriod();
    const first = captureLog();
    await invoke(aTickEvent({ dueTime: shard.sandbox.clock.now() }));
    shard.passPeriod();
    const countThen = first.length;

    await invoke(aTickEvent({ dueTime: shard.sandbox.clock.now() }));

    expect(first.slice(countThen)).toMatchObject([{ Ticks: 1, Rescales: 0 }]);
  });

  it('tells neither secrets nor tokens', async () => {
    const log = captureLog();
    const invoke = await coldStart('scale-check', { ...shard.sandbox.env, ...LOUD });
    shard.sandbox.faults.add({ kind: 'status', code: 403, method: 'PATCH', path: /\/scale/ });

    await invoke(scaleCheck);

    expect(log.length).toBeGreaterThan(1);
    expect(JSON.stringify(log)).not.toMatch(/k8s-aws-v1|sandbox-secret|X-Amz-Signature/);
  });
});

describe('its connections', () => {
  it('are used again by the next invocation', async () => {
    const invoke = await coldStart('scale-check', shard.sandbox.env);
    const first = await socketsDuring(() => invoke(scaleCheck));
    shard.passPeriod();

    const second = await socketsDuring(() => invoke(aTickEvent({ dueTime: shard.sandbox.clock.now() })));

    expect(second.size).toBeGreaterThan(0);
    expect([...second].filter((socket) => !first.has(socket))).toEqual([]);
  });

  /** The connections over which requests to the API server came. */
  async function socketsDuring(work: () => Promise<unknown>): Promise<Set<Socket>> {
    const sockets = new Set<Socket>();
    const see = (message: unknown) => {
      const { request, socket } = message as { request: { url: string }; socket: Socket };
      if (request.url.startsWith('/api')) sockets.add(socket);
    };
    subscribe('http.server.request.start', see);
    await work();
    unsubscribe('http.server.request.start', see);
    return sockets;
  }

  it('lead where EKS says, which is asked once, where no endpoint is configured', async () => {
    const invoke = await coldStart('scale-check', withoutEndpoint());

    await invoke(scaleCheck);
    shard.passPeriod();
    await invoke(aTickEvent({ dueTime: shard.sandbox.clock.now() }));

    expect(questions().filter((question) => question.includes('/clusters/'))).toEqual(['GET /clusters/sandbox']);
    expect(shard.size()).toBe(4);
  });

  it('are looked for again by the next invocation when EKS did not answer', async () => {
    const fault = shard.sandbox.faults.add({ kind: 'status', code: 403, path: /^\/clusters\// });
    const invoke = await coldStart('scale-check', withoutEndpoint());

    await expect(invoke(scaleCheck)).rejects.toThrow('describing EKS cluster sandbox in eu-west-1');
    fault.remove();
    await invoke(scaleCheck);

    expect(shard.size()).toBe(4);
  });

  function withoutEndpoint() {
    return { ...shard.sandbox.env, HEADRACE_CLUSTERS: JSON.stringify([{ name: 'sandbox' }]) };
  }
});
