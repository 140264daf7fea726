import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { ask } from './ask.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox();
  aPod('a', 'one', { app: 'x', tier: 'front' });
  aPod('a', 'two', { app: 'y' });
  aPod('b', 'three', { tier: 'back' });
});
afterEach(() => sandbox.close());

function aPod(namespace: string, name: string, labels: Record<string, string> = {}) {
  sandbox.store.put({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, labels }, spec: {} });
}

async function list(query: string, path = '/api/v1/pods') {
  const { status, json } = await ask(sandbox, 'GET', `${path}?${query}`);
  const items: { metadata: { name: string } }[] = json.items ?? [];
  return { status, json, names: items.map(({ metadata }) => metadata.name), metadata: json.metadata };
}

describe('a list', () => {
  it('is of one namespace or of all, ordered by namespace and name', async () => {
    expect((await list('')).names).toEqual(['one', 'two', 'three']);
    expect((await list('', '/api/v1/namespaces/b/pods')).names).toEqual(['three']);
    expect((await list('', '/api/v1/namespaces/nowhere/pods')).names).toEqual([]);
  });

  it('carries a version and names its kind once', async () => {
    const { json } = await list('');

    expect(json).toMatchObject({
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: { resourceVersion: expect.any(String) },
    });
    expect(json.items[0]).not.toHaveProperty('kind');
    expect(Object.keys(json.metadata)).toEqual(['resourceVersion']);
  });

  it.each([
    ['app=x', ['one']],
    ['app==x', ['one']],
    ['app!=x', ['two', 'three']],
    ['app in (x, y)', ['one', 'two']],
    ['app notin (x)', ['two', 'three']],
    ['tier', ['one', 'three']],
    ['!tier', ['two']],
    ['app in (x,y),!tier', ['two']],
    ['app=x,tier=back', []],
  ])('with labelSelector %s holds %j', async (selector, expected) => {
    expect((await list(`labelSelector=${encodeURIComponent(selector)}`)).names).toEqual(expected);
  });

  it('refuses a labelSelector that is none', async () => {
    const { status, json } = await list('labelSelector=a%20b%20c');

    expect([status, json.reason]).toEqual([400, 'BadRequest']);
  });
});

describe('a paged list', () => {
  it('goes on where it stopped', async () => {
    const first = await list('limit=2');
    const second = await list(`limit=2&continue=${first.metadata.continue}`);

    expect([first.names, first.metadata.remainingItemCount]).toEqual([['one', 'two'], 1]);
    expect(second.names).toEqual(['three']);
    expect(second.metadata).toEqual({ resourceVersion: first.metadata.resourceVersion });
  });

  it('fills its pages with what the selector picks, and does not count the rest', async () => {
    const { names, metadata } = await list('limit=1&labelSelector=tier');

    expect([names, metadata.remainingItemCount]).toEqual([['one'], undefined]);
  });

  it('stays what it was at its first page while objects come and go', async () => {
    const first = await list('limit=1');
    sandbox.store.remove('Pod', 'a', 'two');
    aPod('a', 'zero');
    const rest = await list(`continue=${first.metadata.continue}`);

    expect(rest.names).toEqual(['two', 'three']);
  });

  it('expires five minutes after a change; its refusal holds a token for the rest of what is there now', async () => {
    const first = await list('limit=1');
    sandbox.store.remove('Pod', 'a', 'two');
    sandbox.clock.advance(301);
    const refused = await list(`continue=${first.metadata.continue}`);
    const rest = await list(`continue=${refused.metadata.continue}`);

    expect([refused.status, refused.json.reason]).toEqual([410, 'Expired']);
    expect(rest.names).toEqual(['three']);
  });

  it('expires at once when a test compacts the store', async () => {
    const { metadata } = await list('limit=1');
    sandbox.store.compact();

    expect((await list(`continue=${metadata.continue}`)).status).toBe(410);
  });

  it('refuses a continue that is none', async () => {
    const { status, json } = await list('continue=abc');

    expect(status).toBe(400);
    expect(json.message).toMatch(/^invalid continue token: continue key is not valid/);
  });
});

it('packs answers from 128 kB on for clients that take gzip', async () => {
  const small = await ask(sandbox, 'GET', '/api/v1/pods');
  for (let index = 0; index < 100; index += 1) aPod('a', `pod-${index}`, { filler: 'f'.repeat(2000) });
  const plain = await ask(sandbox, 'GET', '/api/v1/pods', undefined, { 'accept-encoding': 'identity' });
  const packed = await ask(sandbox, 'GET', '/api/v1/pods');

  expect([small, plain, packed].map(({ headers }) => headers.get('content-encoding'))).toEqual([null, null, 'gzip']);
  expect(packed.json).toEqual(plain.json);
  expect(sandbox.requests.at(-1)?.bytesOut).toBeLessThan(plain.text.length / 10);
});

it('answers PodMetrics a test set by hand, with the labels of the pod and neither pages nor versions', async () => {
  sandbox.setUsage({ namespace: 'a', name: 'one', cpuMilli: 800, time: Date.parse('2026-01-01T00:00:15Z') });
  sandbox.setUsage({ namespace: 'a', name: 'two', cpuMilli: 100 });

  const all = await list('limit=1', '/apis/metrics.k8s.io/v1beta1/namespaces/a/pods');
  const { json } = await list('labelSelector=app%3Dx', '/apis/metrics.k8s.io/v1beta1/pods');

  expect(all.names).toEqual(['one', 'two']);
  expect(json).toEqual({
    kind: 'PodMetricsList',
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: {},
    items: [
      {
        metadata: {
          name: 'one',
          namespace: 'a',
          labels: { app: 'x', tier: 'front' },
          creationTimestamp: '2026-01-01T00:00:15Z',
        },
        timestamp: '2026-01-01T00:00:15Z',
        window: '15s',
        containers: [{ name: 'taskmanager', usage: { cpu: '800m', memory: '734212Ki' } }],
      },
    ],
  });
});
