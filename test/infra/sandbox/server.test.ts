import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FaultEffect } from '../../../infra/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { anApplication, applications, ask } from './ask.ts';

const start = Date.parse('2026-01-01T00:00:00Z');

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ now: start });
  sandbox.store.put(anApplication('orders', { replicas: 2 }));
});
afterEach(() => sandbox.close());

const scale = (replicas: number) => ask(sandbox, 'PATCH', `${applications}/orders/scale`, { spec: { replicas } });
const stored = () => sandbox.store.get('FlinkApplication', 'flink', 'orders')?.spec?.taskManagerConfig;

describe('the clock', () => {
  const asked = async () => (await ask(sandbox, 'GET', '/clock')).json.now;

  it('stands until it is moved', async () => {
    expect(await asked()).toBe(start);
    sandbox.clock.advance(15);
    expect(await asked()).toBe(start + 15_000);
    sandbox.clock.set(start);
    expect(await asked()).toBe(start);
  });

  it('follows the system when told to', async () => {
    sandbox.clock.realTime();

    expect(Math.abs((await asked()) - Date.now())).toBeLessThan(5000);
  });
});

describe('a fault', () => {
  it('answers a status instead of doing anything, as often as it should', async () => {
    const fault = sandbox.faults.add({
      method: 'PATCH',
      path: /\/scale$/,
      skip: 1,
      times: 1,
      kind: 'status',
      code: 429,
    });
    const replies = [await scale(3), await scale(4), await scale(5)];

    expect(replies.map(({ status }) => status)).toEqual([200, 429, 200]);
    expect([replies[1]?.text, replies[1]?.headers.get('retry-after')]).toEqual([
      'Too many requests, please try again later.\n',
      '1',
    ]);
    expect([fault.count, stored()]).toEqual([1, { replicas: 5 }]);
  });

  it('meets nobody any more when it is removed', async () => {
    const fault = sandbox.faults.add({ path: /scale/, kind: 'status', code: 500 });
    fault.remove();

    expect((await scale(3)).status).toBe(200);
  });

  it.each([
    ['drop-before', 2],
    ['drop-after', 3],
    ['cut-body', 3],
  ] as const)('%s cuts the connection, and the size is then %i', async (kind, size) => {
    sandbox.faults.add({ path: /scale/, kind });

    await expect(scale(3)).rejects.toThrow();
    expect(stored()).toEqual({ replicas: size });
  });

  it('hang never answers', async () => {
    sandbox.faults.add({ path: /clock/, kind: 'hang' });
    const asked = fetch(`${sandbox.url}/clock`, { signal: AbortSignal.timeout(50) });

    await expect(asked).rejects.toThrow(/timeout/);
  });

  it('delay-ms answers later', async () => {
    sandbox.faults.add({ path: /scale/, kind: 'delay-ms', milliseconds: 50 });
    const before = performance.now();

    expect((await scale(3)).status).toBe(200);
    expect(performance.now() - before).toBeGreaterThan(45);
  });
});

describe('a hook', () => {
  it('acts between one request and the next, before and after what is asked', async () => {
    const seen: unknown[] = [];
    const remove = sandbox.hooks.before(() => void seen.push(stored()));
    sandbox.hooks.after(({ method, path }) => void seen.push(stored(), `${method} ${path}`));
    await scale(3);
    remove();
    await scale(3);

    const asked = `PATCH ${applications}/orders/scale`;
    expect(seen).toEqual([{ replicas: 2 }, { replicas: 3 }, asked, { replicas: 3 }, asked]);
  });

  it.each<FaultEffect>([{ kind: 'status', code: 500 }, { kind: 'drop-before' }, { kind: 'hang' }])(
    'hears of a request that meets $kind as of any other, once it is certain that nothing is done',
    async (effect) => {
      const { promise: heard, resolve: hear } = Promise.withResolvers<object>();
      sandbox.hooks.after(({ method }) => hear({ method, stored: stored() }));
      sandbox.faults.add({ path: /scale/, ...effect });

      scale(3).catch(() => {});

      expect(await heard).toEqual({ method: 'PATCH', stored: { replicas: 2 } });
    },
  );
});

it('logs every request with what was written', async () => {
  sandbox.requests.clear();
  await ask(
    sandbox,
    'PATCH',
    `${applications}/orders/scale?fieldManager=headrace`,
    { spec: { replicas: 3 } },
    { 'user-agent': 'x/1' },
  );
  const { text } = await ask(sandbox, 'GET', `${applications}/nobody`);

  expect([...sandbox.requests]).toMatchObject([
    {
      time: start,
      method: 'PATCH',
      path: `${applications}/orders/scale`,
      query: 'fieldManager=headrace',
      status: 200,
      bytesIn: 23,
      body: { spec: { replicas: 3 } },
      userAgent: 'x/1',
    },
    { method: 'GET', status: 404, bytesIn: 0, bytesOut: text.length },
  ]);
});

it('runs as a process of its own with a fleet, sums its requests, and ends on SIGTERM', async () => {
  const serve = ['infra/sandbox/serve.ts', '--applications', '3', '--task-managers', '2'];
  const server = spawn(process.execPath, serve, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(server.stdout), 'line');
  const { url, env } = JSON.parse(line);
  const fleet = { url, token: sandbox.token } as Sandbox;

  const first = await ask(fleet, 'GET', '/api/v1/pods?limit=5');
  await ask(fleet, 'GET', `/api/v1/pods?limit=5&continue=${first.json.metadata.continue}`);
  const moved = await ask(fleet, 'POST', '/sandbox/clock', { advanceSeconds: 15 });
  const metrics = await ask(fleet, 'GET', '/apis/metrics.k8s.io/v1beta1/pods');
  const { json: sums } = await ask(fleet, 'GET', '/sandbox/requests');
  server.kill('SIGTERM');
  const [code] = await once(server, 'exit');

  expect(env.HEADRACE_CLOCK_URL).toBe(`${url}/clock`);
  expect(metrics.json.items).toHaveLength(6);
  expect(moved.json.now - Date.parse(metrics.json.items[0].timestamp)).toBeLessThan(15_000);
  expect(sums).toMatchObject({ questions: 2, requests: 3, byQuestion: { 'GET /api/v1/pods': { requests: 2 } } });
  expect(code).toBe(0);
});
