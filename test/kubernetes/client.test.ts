import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createKubernetesClient,
  isLoopback,
  jsonPages,
  type KubernetesClient,
  type KubernetesClientOptions,
} from '../../shared/kubernetes/client.ts';
import { isConflict, isExpired, isNotFound, isTimeout, KubernetesError } from '../../shared/kubernetes/errors.ts';

const cleanUps: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

interface Asked {
  readonly method: string | undefined;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Answer = (response: ServerResponse, asked: Asked) => void;

/** An API server that answers each request with the next of `answers`, and the last of them from then on. */
class FakeServer {
  readonly asked: Asked[] = [];
  readonly sockets: Socket[] = [];
  /** Sockets that were open at once, at most. */
  mostOpen = 0;
  readonly #answers: readonly Answer[];
  readonly #server: Server;
  #open = 0;

  constructor(answers: readonly Answer[]) {
    this.#answers = answers;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on('connection', (socket) => {
      this.sockets.push(socket);
      this.#open += 1;
      this.mostOpen = Math.max(this.mostOpen, this.#open);
      socket.on('close', () => {
        this.#open -= 1;
      });
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    cleanUps.push(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method, url = '', headers } = request;
    const asked = { method, url, headers, body: Buffer.concat(chunks).toString() };
    const answer = this.#answers[Math.min(this.asked.length, this.#answers.length - 1)];
    this.asked.push(asked);
    answer?.(response, asked);
  }
}

interface Bench {
  readonly client: KubernetesClient;
  readonly server: FakeServer;
  /** How long the client wanted to wait before each of its retries, in milliseconds. */
  readonly waits: number[];
}

async function aClient(answers: readonly Answer[], options: Partial<KubernetesClientOptions> = {}): Promise<Bench> {
  const server = new FakeServer(answers);
  const waits: number[] = [];
  const client = createKubernetesClient({
    endpoint: await server.start(),
    credentials: { headers: async () => ({ authorization: 'Bearer one' }), renew: () => {} },
    sleep: async (milliseconds) => void waits.push(milliseconds),
    ...options,
  });
  cleanUps.push(() => client.close());
  return { client, server, waits };
}

/** JSON, unless it is text already. */
function answering(code: number, body: unknown = {}, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(code, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

function refusing(code: number, reason: string, message: string): Answer {
  return answering(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message });
}

const cutting: Answer = (response) => void response.socket?.destroy();
const OK = answering(200, { ok: true });

async function failureOf(call: Promise<unknown>): Promise<KubernetesError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof KubernetesError)) throw new TypeError('the call did not fail as a KubernetesError');
  return error;
}

describe('a request', () => {
  it('says who asks, and brings back what the server says', async () => {
    const { client, server } = await aClient([answering(200, { hello: 'wörld' })]);

    expect(await client.get('/api/v1/namespaces')).toEqual({ hello: 'wörld' });
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]).toMatchObject({
      method: 'GET',
      url: '/api/v1/namespaces',
      headers: { authorization: 'Bearer one', accept: 'application/json', 'user-agent': 'headrace' },
    });
  });

  it('unpacks gzip', async () => {
    const packed: Answer = (response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync(JSON.stringify({ hello: 'wörld' })));
    };
    const { client, server } = await aClient([packed]);

    expect(await client.get('/x')).toEqual({ hello: 'wörld' });
    expect(server.asked[0]?.headers['accept-encoding']).toBe('gzip');
  });

  it('keeps the path of the endpoint in front of its own: proxies of clusters have one', async () => {
    const server = new FakeServer([OK]);
    const client = createKubernetesClient({
      endpoint: `${await server.start()}/k8s/clusters/c-1`,
      credentials: { headers: async () => ({}), renew: () => {} },
    });
    cleanUps.push(() => client.close());

    await client.get('/api/v1/pods?limit=1');

    expect(server.asked[0]?.url).toBe('/k8s/clusters/c-1/api/v1/pods?limit=1');
  });

  it('sends a merge patch under our field manager', async () => {
    const { client, server } = await aClient([OK]);

    await client.patch('/apis/x/things/a/status', { status: { note: 'ü' } });

    expect(server.asked[0]).toMatchObject({
      method: 'PATCH',
      url: '/apis/x/things/a/status?fieldManager=headrace',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: '{"status":{"note":"ü"}}',
    });
  });

  it('sends a new object under our field manager', async () => {
    const { client, server } = await aClient([OK]);

    await client.create('/api/v1/namespaces/a/events', { kind: 'Event' });

    expect(server.asked[0]).toMatchObject({
      method: 'POST',
      url: '/api/v1/namespaces/a/events?fieldManager=headrace',
      headers: { 'content-type': 'application/json' },
      body: '{"kind":"Event"}',
    });
  });

  it('puts an object in the place of another under our field manager', async () => {
    const { client, server } = await aClient([OK]);

    expect(await client.put('/apis/x/things/a', { metadata: { resourceVersion: '7' } })).toEqual({ ok: true });
    expect(server.asked[0]).toMatchObject({
      method: 'PUT',
      url: '/apis/x/things/a?fieldManager=headrace',
      headers: { 'content-type': 'application/json' },
      body: '{"metadata":{"resourceVersion":"7"}}',
    });
  });
});

describe('a removal', () => {
  it.each([
    [undefined, { preconditions: {} }],
    [{ uid: 'u-1', resourceVersion: '7' }, { preconditions: { uid: 'u-1', resourceVersion: '7' } }],
    [
      { uid: 'u-1', propagationPolicy: 'Background' },
      { preconditions: { uid: 'u-1' }, propagationPolicy: 'Background' },
    ],
  ] as const)('says which object it means, and what of its own: %j', async (options, expected) => {
    const { client, server } = await aClient([answering(200, { kind: 'Status', apiVersion: 'v1', status: 'Success' })]);

    expect(await client.remove('/apis/x/things/a', options)).toBe(true);
    expect(server.asked[0]).toMatchObject({
      method: 'DELETE',
      url: '/apis/x/things/a',
      headers: { 'content-type': 'application/json' },
    });
    expect(JSON.parse(server.asked[0]?.body ?? '')).toEqual({ kind: 'DeleteOptions', apiVersion: 'v1', ...expected });
  });

  it('finds that there was nothing to remove', async () => {
    const { client } = await aClient([refusing(404, 'NotFound', 'things.x "a" not found')]);

    expect(await client.remove('/apis/x/things/a')).toBe(false);
  });

  it('takes a path that nobody knows for a fault', async () => {
    const { client } = await aClient([answering(404, '404 page not found\n')]);

    expect((await failureOf(client.remove('/apis/y/things/a'))).code).toBe(404);
  });

  it('fails when the object is another one by now', async () => {
    const { client } = await aClient([refusing(409, 'Conflict', 'Precondition failed: UID in precondition: u-1')]);

    expect(isConflict(await failureOf(client.remove('/apis/x/things/a', { uid: 'u-1' })))).toBe(true);
  });
});

describe('a request to what is behind a service', () => {
  const PATH = '/api/v1/namespaces/flink/services/orders:ui/proxy';

  it.each(['GET', 'POST', 'PATCH', 'PUT'] as const)('brings back what that answers: %s', async (verb) => {
    const { client, server } = await aClient([answering(202, { 'request-id': 'a' })]);

    expect(await client.proxy({ verb, path: `${PATH}/jobs/1?mode=cancel` })).toEqual({
      code: 202,
      body: { 'request-id': 'a' },
    });
    expect(server.asked).toMatchObject([{ method: verb, url: `${PATH}/jobs/1?mode=cancel`, body: '' }]);
    expect(server.asked[0]?.headers['content-type']).toBeUndefined();
  });

  it('carries JSON, and no field manager', async () => {
    const { client, server } = await aClient([OK]);

    await client.proxy({ verb: 'PUT', path: `${PATH}/x`, body: { lowerBound: 1 } });

    expect(server.asked[0]).toMatchObject({
      url: `${PATH}/x`,
      headers: { 'content-type': 'application/json', authorization: 'Bearer one' },
      body: '{"lowerBound":1}',
    });
  });

  it.each([
    [404, { errors: ['Job not found'] }],
    [404, '404 page not found'],
    [500, { errors: ['Internal server error.', 'trace'] }],
    [503, { errors: ['Service temporarily unavailable due to an ongoing leader election.'] }],
    [409, { kind: 'Status', apiVersion: 'example/v1' }],
    [400, null],
    [200, '<html>'],
    [200, { kind: 'Status', apiVersion: 'v1' }],
  ])('brings back a %d with %j as it is, once', async (code, body) => {
    const { client, server, waits } = await aClient([answering(code, body)]);

    expect(await client.proxy({ verb: 'GET', path: PATH })).toEqual({ code, body });
    expect(server.asked).toHaveLength(1);
    expect(waits).toEqual([]);
  });

  it.each([
    [404, 'NotFound', 'services "orders" not found'],
    [403, 'Forbidden', 'cannot get resource "services/proxy"'],
  ])('fails with %d when it is the API server that says so', async (code, reason, message) => {
    const { client, server } = await aClient([refusing(code, reason, message)]);

    const error = await failureOf(client.proxy({ verb: 'GET', path: PATH }));

    expect(error.message).toBe(`GET ${PATH}: ${code} ${reason}: ${message}`);
    expect(server.asked).toHaveLength(1);
  });

  const noEndpoints = refusing(503, 'ServiceUnavailable', 'no endpoints available for service "orders"');
  const tooMany = answering(429, 'Too many requests, please try again later.\n');
  const unauthorized = refusing(401, 'Unauthorized', 'Unauthorized');

  it.each([
    ['nobody is behind the service', noEndpoints],
    ['the connection is lost', cutting],
    ['the API server has too much to do', tooMany],
    ['the token is refused', unauthorized],
  ])('is repeated when %s, where it only asks', async (_, failure) => {
    const { client, server } = await aClient([failure, OK]);

    expect(await client.proxy({ verb: 'GET', path: PATH })).toEqual({ code: 200, body: { ok: true } });
    expect(server.asked).toHaveLength(2);
  });

  it.each([
    ['nobody is behind the service', 'POST', noEndpoints],
    ['the connection is lost', 'POST', cutting],
    ['the connection is lost', 'PATCH', cutting],
    ['the connection is lost', 'PUT', cutting],
  ] as const)('is not repeated when %s and it is a %s', async (_, verb, failure) => {
    const { client, server } = await aClient([failure, OK]);

    await failureOf(client.proxy({ verb, path: PATH }));

    expect(server.asked).toHaveLength(1);
  });

  it.each([
    ['the API server has too much to do', tooMany],
    ['the token is refused', unauthorized],
  ])('is repeated though it orders, when %s: nothing was done', async (_, failure) => {
    const { client, server } = await aClient([failure, OK]);

    expect(await client.proxy({ verb: 'POST', path: PATH, body: { a: 1 } })).toMatchObject({ code: 200 });
    expect(server.asked.map(({ body }) => body)).toEqual(['{"a":1}', '{"a":1}']);
  });

  it('tells that no answer came in time', async () => {
    const { client } = await aClient([() => {}], { limits: { timeoutMilliseconds: 30 } });
    const { client: lost } = await aClient([cutting]);

    expect(isTimeout(await failureOf(client.proxy({ verb: 'POST', path: PATH })))).toBe(true);
    expect(isTimeout(await failureOf(lost.proxy({ verb: 'POST', path: PATH })))).toBe(false);
    expect(isTimeout(new Error('timed out'))).toBe(false);
  });

  it('is a question where it asks, and a write where it orders', async () => {
    const { client } = await aClient([OK]);

    await client.proxy({ verb: 'GET', path: PATH });
    await client.proxy({ verb: 'POST', path: PATH });

    expect(client.traffic).toMatchObject({ requests: 2, questions: 1, writes: 1 });
  });
});

describe('connections', () => {
  it('serve one request after the other', async () => {
    const { client, server } = await aClient([OK]);

    for (let count = 0; count < 20; count += 1) await client.get('/x');

    expect(server.asked).toHaveLength(20);
    expect(server.sockets).toHaveLength(1);
  });

  it('stay open after a refusal', async () => {
    const { client, server } = await aClient([refusing(404, 'NotFound', 'no such thing'), OK]);

    await failureOf(client.get('/x'));
    await client.get('/x');

    expect(server.sockets).toHaveLength(1);
  });

  it('are no more at once than allowed', async () => {
    const { client, server } = await aClient([OK], { maxConnections: 3 });

    await Promise.all(Array.from({ length: 20 }, () => client.get('/x')));

    expect(server.asked).toHaveLength(20);
    expect(server.mostOpen).toBe(3);
  });

  it('are left for the API server, however many backends hang', async () => {
    const { promise: isHanging, resolve: tell } = Promise.withResolvers<void>();
    const hanging: Answer = () => void (server.asked.length === 2 && tell());
    const { client, server } = await aClient([hanging, hanging, OK], { maxConnections: 2, limits: { maxAttempts: 1 } });
    const path = '/api/v1/namespaces/flink/services/orders:ui/proxy/jobs';
    let ended = 0;
    const ends = [1, 2].map(() => failureOf(client.proxy({ verb: 'GET', path })).then(() => (ended += 1)));
    await isHanging;

    await client.get('/x');

    expect(ended).toBe(0);
    client.close();
    await Promise.all(ends);
  });

  it('are closed with the client', async () => {
    const { client, server } = await aClient([OK]);
    await client.get('/x');
    const closed = Promise.all(server.sockets.map((socket) => once(socket, 'close')));

    client.close();

    await closed;
  });
});

describe('a refusal', () => {
  it('names verb, path, code, reason and what the server said', async () => {
    const { client } = await aClient([refusing(404, 'NotFound', 'things.x "a" not found')]);

    const error = await failureOf(client.get('/apis/x/things/a'));

    expect(error.message).toBe('GET /apis/x/things/a: 404 NotFound: things.x "a" not found');
    expect(error.details).toEqual({ verb: 'GET', path: '/apis/x/things/a', code: 404, reason: 'NotFound' });
    expect(isNotFound(error)).toBe(true);
  });

  it('carries plain text as it is', async () => {
    const { client } = await aClient([answering(404, '404 page not found\n')]);

    expect((await failureOf(client.get('/nowhere'))).message).toBe('GET /nowhere: 404: 404 page not found');
  });

  it('is cut to what fits into a condition', async () => {
    const { client } = await aClient([answering(400, 'x'.repeat(10_000))]);

    expect((await failureOf(client.get('/x'))).message.length).toBeLessThan(600);
  });

  it('is known as a conflict', async () => {
    const { client } = await aClient([refusing(409, 'Conflict', 'the object has been modified')]);

    expect(isConflict(await failureOf(client.patch('/x', {})))).toBe(true);
  });

  it.each([400, 403, 404, 409, 422])('with %d is not asked again', async (code) => {
    const { client, server, waits } = await aClient([answering(code, 'no')]);

    await failureOf(client.get('/x'));

    expect(server.asked).toHaveLength(1);
    expect(waits).toEqual([]);
  });
});

describe('a read that failed', () => {
  it.each([
    ['500', answering(500, 'internal error')],
    ['503', answering(503, 'service unavailable')],
    ['a lost connection', cutting],
    ['429', answering(429, 'Too many requests, please try again later.\n')],
    ['an answer that is not JSON', answering(200, '<html>')],
  ])('with %s is asked again', async (_, failure) => {
    const { client, server, waits } = await aClient([failure, failure, OK]);

    expect(await client.get('/x')).toEqual({ ok: true });
    expect(server.asked).toHaveLength(3);
    expect(waits).toHaveLength(2);
    expect(client.traffic.retries).toBe(2);
  });

  it('is asked three times and no more', async () => {
    const { client, server } = await aClient([answering(503, 'service unavailable')]);

    expect((await failureOf(client.get('/x'))).code).toBe(503);
    expect(server.asked).toHaveLength(3);
  });

  it('is asked as often as the options say', async () => {
    const { client, server } = await aClient([answering(503, 'service unavailable')], { limits: { maxAttempts: 1 } });

    await failureOf(client.get('/x'));

    expect(server.asked).toHaveLength(1);
  });

  it('waits a little, and longer the second time', async () => {
    const { client, waits } = await aClient([answering(503, 'service unavailable')]);

    await failureOf(client.get('/x'));

    const [first = 0, second = 0] = waits;
    expect(first).toBeGreaterThanOrEqual(100);
    expect(first).toBeLessThanOrEqual(200);
    expect(second).toBeGreaterThanOrEqual(200);
    expect(second).toBeLessThanOrEqual(400);
  });

  it('waits as long as the server asks', async () => {
    const { client, waits } = await aClient([answering(429, 'slow down', { 'retry-after': '1' }), OK]);

    await client.get('/x');

    expect(waits).toEqual([1000]);
  });

  it('waits as long as the server asks, up to half a minute, and gives up where it asks for more', async () => {
    const { client, waits } = await aClient([answering(503, 'away', { 'retry-after': '30' }), OK]);
    const { client: other } = await aClient([answering(503, 'away', { 'retry-after': '31' }), OK]);

    await client.get('/x');

    expect(waits).toEqual([30_000]);
    expect((await failureOf(other.get('/x'))).code).toBe(503);
  });

  it('gives up at once where the wait would outlast the budget', async () => {
    const { client, waits } = await aClient([answering(503, 'away', { 'retry-after': '5' }), OK]);

    expect((await failureOf(client.within({ budgetMilliseconds: 4000 }).get('/x'))).code).toBe(503);
    expect(waits).toEqual([]);
  });

  it('ends with the budget of its client, whatever hangs', async () => {
    const { client } = await aClient([() => {}]);

    const error = await failureOf(client.within({ budgetMilliseconds: 50, maxAttempts: 1 }).get('/x'));

    expect(error.message).toBe('GET /x: no answer: there was no time left for it');
  });

  it('waits as it would anyway where the server names a date', async () => {
    const date = { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' };
    const { client, waits } = await aClient([answering(503, 'away', date), OK]);

    await client.get('/x');

    expect(waits[0]).toBeLessThanOrEqual(200);
  });

  it('tells what became of it in the end', async () => {
    const { client } = await aClient([answering(429, 'Too many requests, please try again later.\n')]);

    expect((await failureOf(client.get('/x'))).message).toBe('GET /x: 429: Too many requests, please try again later.');
  });
});

describe('a write that failed', () => {
  const writes = [
    ['patch', (client: KubernetesClient) => client.patch('/x', { a: 1 })],
    ['create', (client: KubernetesClient) => client.create('/x', { a: 1 })],
    ['put', (client: KubernetesClient) => client.put('/x', { a: 1 })],
  ] as const;

  it.each(writes)('with 500 is not repeated: %s', async (_, write) => {
    const { client, server } = await aClient([answering(500, 'internal error'), OK]);

    expect((await failureOf(write(client))).code).toBe(500);
    expect(server.asked).toHaveLength(1);
  });

  it.each(writes)('with a lost connection is not repeated: %s', async (_, write) => {
    const { client, server } = await aClient([cutting, OK]);

    expect((await failureOf(write(client))).code).toBeUndefined();
    expect(server.asked).toHaveLength(1);
  });

  it('is not repeated when it was a removal', async () => {
    const { client, server } = await aClient([cutting, OK]);

    expect((await failureOf(client.remove('/x'))).code).toBeUndefined();
    expect(server.asked).toHaveLength(1);
  });

  it.each(writes)('with 429 was not looked at, and is repeated: %s', async (_, write) => {
    const { client, server } = await aClient([answering(429, 'slow down', { 'retry-after': '1' }), OK]);

    expect(await write(client)).toEqual({ ok: true });
    expect(server.asked.map(({ body }) => body)).toEqual(['{"a":1}', '{"a":1}']);
  });
});

describe('an answer that does not come', () => {
  it('ends with the time-out', async () => {
    const { client, server } = await aClient([() => {}], { limits: { timeoutMilliseconds: 30 } });

    const error = await failureOf(client.patch('/x', {}));

    expect(error.message).toBe('PATCH /x?fieldManager=headrace: no answer: timed out after 30 ms');
    expect(server.asked).toHaveLength(1);
  });

  it('is waited for again where it is safe', async () => {
    const { client } = await aClient([() => {}, OK], { limits: { timeoutMilliseconds: 30 } });

    expect(await client.get('/x')).toEqual({ ok: true });
  });

  it('ends with the time-out when it stops in the middle of its body', async () => {
    const stalling: Answer = (response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"items":');
    };
    const { client } = await aClient([stalling], { limits: { timeoutMilliseconds: 30 } });

    expect((await failureOf(client.patch('/x', {}))).message).toContain('timed out after 30 ms');
  });

  it('is an error when the body is cut in the middle', async () => {
    const halving: Answer = (response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"items":', () => response.socket?.destroy());
    };
    const { client, server } = await aClient([halving]);

    expect((await failureOf(client.get('/x'))).message).toMatch(/^GET \/x: no answer: /);
    expect(server.asked).toHaveLength(3);
  });

  it('is an error when nobody listens', async () => {
    const { client } = await aClient([OK], { endpoint: 'http://127.0.0.1:1', limits: { maxAttempts: 1 } });

    expect((await failureOf(client.get('/x'))).message).toContain('GET /x: no answer: connect ECONNREFUSED');
  });

  it('is an error when it is not JSON', async () => {
    const { client } = await aClient([answering(200, '<html>login</html>')], { limits: { maxAttempts: 1 } });

    expect((await failureOf(client.get('/x'))).message).toBe('GET /x: the answer is not JSON');
  });

  it('is an error when it is not the gzip that it says', async () => {
    const { client } = await aClient([answering(200, '{}', { 'content-encoding': 'gzip' })], {
      limits: { maxAttempts: 1 },
    });

    expect((await failureOf(client.get('/x'))).message).toBe('GET /x: the answer cannot be unpacked');
  });
});

describe('a token that is refused', () => {
  function aTurnstile() {
    let token = 1;
    return {
      headers: async () => ({ authorization: `Bearer ${token}` }),
      renew: () => {
        token += 1;
      },
    };
  }
  const unauthorized = refusing(401, 'Unauthorized', 'Unauthorized');

  it('is renewed, and the request sent again without waiting', async () => {
    const { client, server, waits } = await aClient([unauthorized, OK], { credentials: aTurnstile() });

    expect(await client.get('/x')).toEqual({ ok: true });
    expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer 1', 'Bearer 2']);
    expect(waits).toEqual([]);
  });

  it('is renewed for a write too: the server did nothing', async () => {
    const { client, server } = await aClient([unauthorized, OK], { credentials: aTurnstile() });

    expect(await client.patch('/x', {})).toEqual({ ok: true });
    expect(server.asked).toHaveLength(2);
  });

  it('is renewed once for a request, not for ever', async () => {
    const { client, server } = await aClient([unauthorized], { credentials: aTurnstile() });

    expect((await failureOf(client.get('/x'))).code).toBe(401);
    expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer 1', 'Bearer 2']);
  });
});

describe('a list', () => {
  const asText = jsonPages(String);
  const page = (items: readonly string[], token?: string) =>
    answering(200, { items, metadata: token === undefined ? {} : { continue: token } });
  const expired = refusing(410, 'Expired', 'The provided continue parameter is too old');

  it('is read page by page, as one question', async () => {
    const { client, server } = await aClient([page(['a', 'b'], 'next+/='), page(['c'])]);

    expect(await client.list('/x', { labelSelector: 'a=b,c in (d)', limit: 2 }, asText)).toEqual(['a', 'b', 'c']);
    expect(server.asked.map(({ url }) => Object.fromEntries(new URL(url, 'http://x').searchParams))).toEqual([
      { limit: '2', labelSelector: 'a=b,c in (d)' },
      { limit: '2', labelSelector: 'a=b,c in (d)', continue: 'next+/=' },
    ]);
    expect(client.traffic).toMatchObject({ questions: 1, requests: 2 });
  });

  it('asks for 500 objects a page unless told otherwise', async () => {
    const { client, server } = await aClient([page([])]);

    await client.list('/x', {}, asText);

    expect(server.asked[0]?.url).toBe('/x?limit=500');
  });

  it('ends at an empty token', async () => {
    const { client, server } = await aClient([page(['a'], '')]);

    expect(await client.list('/x', {}, asText)).toEqual(['a']);
    expect(server.asked).toHaveLength(1);
  });

  it('begins again when its token expires between pages, and has nothing twice', async () => {
    const { client, server } = await aClient([page(['a'], 'one'), expired, page(['a'], 'two'), page(['b'])]);

    expect(await client.list('/x', {}, asText)).toEqual(['a', 'b']);
    expect(server.asked).toHaveLength(4);
  });

  it('fails when its token expires again', async () => {
    const { client, server } = await aClient([page(['a'], 'one'), expired, page(['a'], 'two'), expired]);

    expect(isExpired(await failureOf(client.list('/x', {}, asText)))).toBe(true);
    expect(server.asked).toHaveLength(4);
  });

  it('repeats a page that failed, not the whole list', async () => {
    const { client, server } = await aClient([page(['a'], 'one'), answering(503, 'away'), page(['b'])]);

    expect(await client.list('/x', {}, asText)).toEqual(['a', 'b']);
    expect(server.asked.map(({ url }) => new URL(url, 'http://x').searchParams.get('continue'))).toEqual([
      null,
      'one',
      'one',
    ]);
  });

  it('ends at last, though the server never ends it', async () => {
    const { client, server } = await aClient([page([], 'more')]);

    const error = await failureOf(client.list('/x', {}, asText));

    expect(error.message).toBe('GET /x: the list has more than 1000 pages');
    expect(server.asked).toHaveLength(1000);
  });

  it.each([[{}], [{ items: 'none' }], [null], [[]]])('is an error when the answer is %j', async (body) => {
    const { client } = await aClient([answering(200, body)]);

    expect((await failureOf(client.list('/x', {}, asText))).message).toBe(
      'GET /x?limit=500: the answer has no items: it is not a list',
    );
  });
});

describe('an endpoint', () => {
  const credentials = { headers: async () => ({}), renew: () => {} };

  it.each([
    'http://kubernetes.example',
    'http://10.0.0.1:8080',
    'http://127.0.0.1.example',
    'http://localhost.example',
  ])('is refused without TLS: %s', (endpoint) => {
    expect(() => createKubernetesClient({ endpoint, credentials })).toThrow(
      `the API server's endpoint must be https, but is ${endpoint}`,
    );
  });

  it.each(['http://127.0.0.1:8080', 'http://localhost:8080', 'http://[::1]:8080', 'https://kubernetes.example'])(
    'is taken: %s',
    (endpoint) => {
      expect(() => createKubernetesClient({ endpoint, credentials }).close()).not.toThrow();
    },
  );

  it.each([
    ['localhost', true],
    ['[::1]', true],
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['128.0.0.1', false],
    ['127.0.0.1.example', false],
    ['xlocalhost', false],
    ['0.0.0.0', false],
  ])('%s is on the loopback: %s', (hostname, expected) => {
    expect(isLoopback(hostname)).toBe(expected);
  });
});

it('counts what has crossed the wire', async () => {
  const { client } = await aClient([OK]);

  await client.get('/x');
  await client.patch('/x', {});

  expect(client.traffic).toEqual({ requests: 2, questions: 1, writes: 1, bytes: 22, retries: 0 });
});
