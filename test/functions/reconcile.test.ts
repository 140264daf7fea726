import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import reconcile from '../../events/reconcile.json' with { type: 'json' };
import reconcileLate from '../../events/reconcile-late.json' with { type: 'json' };
import reconcileMalformed from '../../events/reconcile-malformed.json' with { type: 'json' };
import reconcileNamed from '../../events/reconcile-named.json' with { type: 'json' };
import reconcileUnknownShard from '../../events/reconcile-unknown-shard.json' with { type: 'json' };
import { anEmptyShard, captureLog, coldStart, LOUD, type Shard } from '../support/sandbox.ts';

// The waits between two attempts are not what is tested here.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async () => {},
}));

/** When an event's message was handed over, epoch milliseconds. */
function receivedAt({ Records: [record] }: typeof reconcile): number {
  return Number(record?.attributes.ApproximateFirstReceiveTimestamp);
}

const MINUTE_END = Date.parse('2026-11-22T10:01:00Z');

let shard: Shard;
beforeEach(async () => {
  // A token is signed in real time; the events happened on one certain day.
  vi.useFakeTimers({ toFake: ['Date'], now: receivedAt(reconcile) });
  shard = await anEmptyShard({ now: receivedAt(reconcile) });
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await shard.close();
});

const phase = (name = 'orders') => (shard.get('FlinkApplication', name).status as { phase?: string }).phase;

/** The rounds that were called for: how long their delay is, and what they say. */
function called() {
  return shard.sandbox.reconcileQueue.messages.map(({ body, sentTime, visibleTime }) => ({
    delaySeconds: (visibleTime - sentTime) / 1000,
    ...(JSON.parse(body) as object),
  }));
}

const questions = () => shard.sandbox.requests.map(({ method, path }) => `${method} ${path}`);

describe('reconcile', () => {
  it('runs the round: an application that was handed in is on its way', async () => {
    shard.handIn();
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await invoke(reconcile);

    expect(phase()).toBe('ClusterStarting');
    expect(shard.sandbox.store.list('Deployment').map(({ metadata }) => metadata.name)).toEqual([
      expect.stringMatching(/^orders-[0-9a-f]{8}-jm$/),
      expect.stringMatching(/^orders-[0-9a-f]{8}-tm$/),
    ]);
  });

  it('calls for the next round in 2 s, over those on their way alone and up to the end of the same minute', async () => {
    for (const name of ['orders', 'payments']) shard.handIn(name);
    shard.handIn('returns', { deploymentMode: 'Sideways' });
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await invoke(reconcile);

    expect(called()).toEqual([
      {
        delaySeconds: 2,
        cluster: 'sandbox',
        shard: 'default',
        dueTime: new Date(receivedAt(reconcile) + 2000).toISOString(),
        until: '2026-11-22T10:01:00Z',
        applications: ['flink/orders', 'flink/payments'],
      },
    ]);
  });

  it.each([
    ['1.9', 0],
    ['2.1', 1],
  ])('calls for another round while the minute lasts: %s s before its end', async (seconds, count) => {
    shard.handIn();
    shard.sandbox.clock.set(MINUTE_END - Number(seconds) * 1000);
    vi.setSystemTime(shard.sandbox.clock.now());
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await invoke(reconcile);

    expect(called()).toHaveLength(count);
  });

  it('calls for none while everything is at rest', async () => {
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await invoke(reconcile);

    expect(called()).toEqual([]);
    expect(questions()).toEqual([
      'GET /apis/flink.k8s.io/v1beta1/flinkapplications',
      'GET /apis/apps/v1/deployments',
      'GET /api/v1/services',
    ]);
  });

  it('looks at those that it is told, and lists nothing', async () => {
    for (const name of ['orders', 'payments']) shard.handIn(name);
    shard.sandbox.clock.set(receivedAt(reconcileNamed));
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await invoke(reconcileNamed);

    expect([phase('orders'), phase('payments')]).toEqual(['ClusterStarting', undefined]);
    expect(called()).toMatchObject([{ applications: ['flink/orders'] }]);
    expect(questions()).not.toContain('GET /apis/flink.k8s.io/v1beta1/flinkapplications');
  });

  it('looks at nothing where what it is told is gone', async () => {
    shard.sandbox.clock.set(receivedAt(reconcileNamed));
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await invoke(reconcileNamed);

    expect(questions()).toEqual(['GET /apis/flink.k8s.io/v1beta1/namespaces/flink/flinkapplications/orders']);
  });

  it('drops a round that comes a whole minute late: it asks nothing, and says so', async () => {
    shard.sandbox.clock.set(receivedAt(reconcileLate));
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });

    await invoke(reconcileLate);

    expect(shard.sandbox.requests).toEqual([]);
    expect(log).toMatchObject([
      { level: 'WARN', message: 'round dropped', shard: 'default', dueTime: '2026-11-22T10:00:00Z' },
    ]);
  });

  it.each([
    ['a body that is no JSON', reconcileMalformed, /^reading the body of a message: it must be JSON/],
    ['a body that is no round', withBody({ cluster: 'sandbox' }), /shard: .*dueTime: .*until: /],
    ['an application without a namespace', withBody({ applications: ['orders'] }), /must be NAMESPACE\/NAME/],
    ['a round over nothing', withBody({ applications: [] }), /applications: /],
    ['an event that is none of SQS', { key1: 'value1' }, /^reading the event: Records: /],
    ['a shard that is not configured', reconcileUnknownShard, /must have shard team-z of cluster sandbox/],
    [
      'a cluster that is not configured',
      withBody({ ...bodyOf(reconcile), cluster: 'retired' }),
      /must have shard default of cluster retired/,
    ],
  ])('fails, asking nothing, for %s', async (_what, event, message) => {
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await expect(invoke(event)).rejects.toThrow(message);
    expect(shard.sandbox.requests).toEqual([]);
  });

  it('fails when the API server is down, so that it is seen', async () => {
    shard.sandbox.faults.add({ kind: 'drop-before', path: /^\/api/ });
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await expect(invoke(reconcile)).rejects.toThrow(/^GET \/apis\/flink\.k8s\.io.*: no answer: /);
  });

  it('fails where the right to deploy is missing', async () => {
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /^\/apis\/apps\// });
    const invoke = await coldStart('reconcile', shard.sandbox.env);

    await expect(invoke(reconcile)).rejects.toThrow(/^GET \/apis\/apps\/v1\/deployments.*403 Forbidden/);
  });
});

describe('reconcile without a way to SQS', () => {
  it('does its work, and warns of what it costs and how to mend it', async () => {
    shard.handIn();
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /^\/$/ });
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });

    await invoke(reconcile);

    expect(phase()).toBe('ClusterStarting');
    expect(called()).toEqual([]);
    expect(log.filter(({ level }) => level === 'WARN')).toMatchObject([
      {
        message: 'round not called for',
        shard: 'default',
        error: expect.stringMatching(/^sending 1 messages to http.*headrace-reconcile/),
        advice: expect.stringContaining('interface endpoint of SQS or a NAT gateway'),
      },
    ]);
  });

  it('does its work where no queue is configured', async () => {
    shard.handIn();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, HEADRACE_RECONCILE_QUEUE_URL: undefined });

    await invoke(reconcile);

    expect(phase()).toBe('ClusterStarting');
    expect(questions().filter((question) => question === 'POST /')).toEqual([]);
  });
});

describe('its log', () => {
  it('has a line for each phase, one for the round, and one with its metrics', async () => {
    shard.handIn();
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });

    await invoke(reconcile);

    const [first] = log;
    expect(first).toMatchObject({ level: 'INFO', message: 'phase', service: 'headrace', application: 'flink/orders' });
    expect(log.slice(-2)).toMatchObject([
      { level: 'INFO', message: 'round', isWhole: true, applications: 1, inTransition: 1, failures: 0 },
      { Rounds: 1, Applications: 1, InTransition: 1, DeploysFailed: 0, ReconcileFailures: 0, Unreconciled: 0 },
    ]);
  });

  it('counts a round in namespace Headrace, under the service and nothing else', async () => {
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });

    await invoke(reconcile);

    const metrics = log.at(-1) as { _aws: { CloudWatchMetrics: object[] }; service: string };
    expect(metrics.service).toBe('headrace');
    expect(metrics._aws.CloudWatchMetrics).toMatchObject([
      {
        Namespace: 'Headrace',
        Dimensions: [['service']],
        Metrics: expect.arrayContaining([{ Name: 'Rounds', Unit: 'Count' }]),
      },
    ]);
  });

  it('says nothing of a round in which nothing happened, except that it was', async () => {
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });

    await invoke(reconcile);

    expect(log).toMatchObject([{ Rounds: 1, Applications: 0, Unreconciled: 0 }]);
  });

  it('counts no fleet when it looks at a part of it', async () => {
    shard.handIn();
    shard.sandbox.clock.set(receivedAt(reconcileNamed));
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });

    await invoke(reconcileNamed);

    const metrics = log.at(-1) ?? {};
    expect(metrics).toMatchObject({ Rounds: 1 });
    for (const name of ['Applications', 'InTransition', 'DeploysFailed', 'Unreconciled'])
      expect(metrics).not.toHaveProperty(name);
  });

  it('counts the applications for which the round failed', async () => {
    for (const name of ['orders', 'payments']) shard.handIn(name);
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /flinkapplications\/orders\/status/ });
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });

    await invoke(reconcile);

    expect(log.filter(({ message }) => message === 'application failed')).toMatchObject([
      { level: 'ERROR', application: 'flink/orders', error: expect.stringContaining('403') },
    ]);
    expect(log.at(-1)).toMatchObject({ Applications: 2, InTransition: 1, ReconcileFailures: 1, Unreconciled: 50 });
  });

  it('counts no round that failed or was dropped', async () => {
    const log = captureLog();
    const invoke = await coldStart('reconcile', { ...shard.sandbox.env, ...LOUD });
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /\/flinkapplications/ });

    await expect(invoke(reconcile)).rejects.toThrow('403');
    shard.sandbox.clock.set(receivedAt(reconcileLate));
    await invoke(reconcile);

    expect(log.filter((line) => 'Rounds' in line)).toEqual([]);
  });
});

function bodyOf({ Records: [record] }: typeof reconcile): object {
  return JSON.parse(record?.body ?? '') as object;
}

/** The event with other fields of its message; none named is left as it is. */
function withBody(fields: object): object {
  const isPartOfRound = 'applications' in fields;
  const body = JSON.stringify(isPartOfRound ? { ...bodyOf(reconcile), ...fields } : fields);
  return { Records: [{ ...reconcile.Records[0], body }] };
}
