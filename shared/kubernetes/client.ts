// A thin client for the Kubernetes API: keep-alive agents, a time-out per call, bounded retries for what is safe to
// repeat. @kubernetes/client-node opens a TLS connection for every request and has no time-out; a tick cannot afford it.

import http from 'node:http';
import https from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { isExpired, isGone, KubernetesError } from './errors.ts';
import { PROTOBUF, readStatus } from './protobuf.ts';

/** Who we are to one API server. */
export interface Credentials {
  /** Headers for the next request, such as Authorization; asked before every request, so it must be cheap. */
  headers(): Promise<Record<string, string>>;
  /** Called after a 401, so that the next `headers()` brings a new token. */
  renew(): void;
  /** What TLS needs beside the server's CA. */
  readonly tls?: {
    readonly cert?: string | Buffer;
    readonly key?: string | Buffer;
    readonly rejectUnauthorized?: boolean;
    readonly servername?: string;
  };
}

export interface KubernetesClientOptions {
  /** "https://…"; plain http only on the loopback. */
  readonly endpoint: string;
  /** PEM. Absent: the system's authorities. */
  readonly certificateAuthority?: string | Buffer;
  readonly credentials: Credentials;
  /**
   * Connections at once, 1 or more, and as many again for what is behind services, so that a backend that hangs keeps nobody from
   * the API server. That gives one identity few seats; more only queue there. Default 16.
   */
  readonly maxConnections?: number;
  readonly limits?: Partial<CallLimits>;
  /** Waits between attempts; replaced in tests. */
  readonly sleep?: (milliseconds: number) => Promise<void>;
}

/** How long calls may take. */
export interface CallLimits {
  /** Of one attempt, from the moment it has a connection until its body is read. Default 5 s. */
  readonly timeoutMilliseconds: number;
  /** Attempts at a request that is safe to repeat, 1 or more. Default 3. */
  readonly maxAttempts: number;
  /** Of all calls made through this client from now on together, waits and repetitions included. Default: no end. */
  readonly budgetMilliseconds: number;
}

export interface ListQuery {
  readonly labelSelector?: string;
  /** Objects per page; the server may give more. Default 500. */
  readonly limit?: number;
}

/** How the pages of a list are asked for and read. */
export interface PageReader<T> {
  /** The encoding to ask for. */
  readonly accept: string;
  /** @throws Error when the bytes are no page; its message says what they must be */
  read(body: Buffer): Page<T>;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Absent on the last page. */
  readonly continueToken: string | undefined;
}

/** What has crossed the wire since the client was made. */
export interface Traffic {
  requests: number;
  /** Questions: a list counts once however many pages it has. */
  questions: number;
  /** Requests that were to change something. */
  writes: number;
  /** Of answers, before unpacking. */
  bytes: number;
  retries: number;
}

/** Which object is meant, and what becomes of those that it owns. */
export interface RemoveOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Default: what the server does with that kind. */
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

export interface ProxyRequest {
  readonly verb: 'GET' | 'POST' | 'PATCH' | 'PUT';
  /** "/api/v1/namespaces/flink/services/orders:ui/proxy/jobs?limit=1" */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
}

/** What a backend said; untrusted. */
export interface BackendAnswer {
  /** HTTP status, of success or not. */
  readonly code: number;
  /** Parsed where it is JSON, text where it is not. */
  readonly body: unknown;
}

export interface KubernetesClient {
  get(path: string): Promise<unknown>;
  /** Every object of a list, page by page; a token that expires between pages starts the list again, once. */
  list<T>(path: string, query: ListQuery, reader: PageReader<T>): Promise<T[]>;
  /** JSON merge patch. Repeated only when it was refused before it was looked at (429, 401): the body names a resourceVersion. */
  patch(path: string, body: object): Promise<unknown>;
  /** Never repeated by itself: a second POST would be a second object. */
  create(path: string, body: object): Promise<unknown>;
  /** Puts a whole object in the place of another. Repeated as `patch` is: the body names a resourceVersion. */
  put(path: string, body: object): Promise<unknown>;
  /**
   * Deletes one object. Repeated only when it was refused before it was looked at.
   *
   * @returns whether there was something to delete
   * @throws KubernetesError with 409 when the object is another one than the preconditions say
   */
  remove(path: string, options?: RemoveOptions): Promise<boolean>;
  /**
   * One request to what is behind a service or a pod. Whatever that answers is an answer. A GET that none came to is repeated;
   * nothing else is, except where the API server refused it before it was looked at.
   *
   * @throws KubernetesError when no answer came, or it was the API server that answered: there is no such service, or nobody behind it
   */
  proxy(request: ProxyRequest): Promise<BackendAnswer>;
  /** The same client, with other limits for the calls made through it. */
  within(limits: Partial<CallLimits>): KubernetesClient;
  readonly traffic: Traffic;
  close(): void;
}

/** As which our writes stand in metadata.managedFields. */
export const FIELD_MANAGER = 'headrace';
const DEFAULT_PAGE_SIZE = 500;
/** A list of 10,000 pods is 20 pages; a server that never ends a list must not hold a tick for ever. */
const MAX_PAGES = 1000;
/** What the API server may ask to wait; longer is a refusal. */
const MAX_RETRY_WAIT_MILLISECONDS = 30_000;
/** Of one page, unpacked: 500 objects, custom resources of 100 kB each included. */
const MAX_BODY_BYTES = 64 * 2 ** 20;
const DEFAULT_LIMITS: Limits = { timeoutMilliseconds: 5000, maxAttempts: 3, deadline: Number.POSITIVE_INFINITY };
const FIRST_RETRY_WAIT_MILLISECONDS = 200;
/** Of an error's body that reaches a message or a condition. */
const MAX_ERROR_TEXT = 500;

interface Limits extends Pick<CallLimits, 'timeoutMilliseconds' | 'maxAttempts'> {
  /** No call, wait or attempt lasts past this instant (performance.now()). */
  readonly deadline: number;
}

function tighten(limits: Limits, { budgetMilliseconds, ...others }: Partial<CallLimits>): Limits {
  const deadline = budgetMilliseconds === undefined ? limits.deadline : performance.now() + budgetMilliseconds;
  return { ...limits, ...others, deadline: Math.min(limits.deadline, deadline) };
}

const JSON_TYPE = 'application/json';

interface Request<T> {
  readonly verb: 'GET' | 'PATCH' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly isRepeatable: boolean;
  readonly accept: string;
  /** It is the backend of a service or pod that answers. Default: the API server. */
  readonly isForBackend?: boolean;
  /** Whether an answer is no answer to it. Default: a code that is not of success. */
  isRefusal?(answer: Answer): boolean;
  /** @param code HTTP status */
  read(body: Buffer, code: number): T;
}

/** Makes a client of one API server. Nothing is sent before the first call. */
export function createKubernetesClient(options: KubernetesClientOptions): KubernetesClient {
  const endpoint = new URL(options.endpoint);
  // A proxy in front of several clusters has a path for each.
  const basePath = endpoint.pathname.replace(/\/$/, '');
  const { maxConnections = 16, sleep = wait, credentials } = options;
  const traffic: Traffic = { requests: 0, questions: 0, writes: 0, bytes: 0, retries: 0 };
  const agent = createAgent(endpoint, options, maxConnections);
  const backendAgent = createAgent(endpoint, options, maxConnections);
  const transport = endpoint.protocol === 'https:' ? https : http;

  async function send<T>(request: Request<T>, limits: Limits): Promise<T> {
    let hasRenewed = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await attemptOnce(request, limits);
      } catch (error) {
        if (!(error instanceof KubernetesError)) throw error;
        if (error.code === 401 && !hasRenewed) {
          hasRenewed = true;
          credentials.renew();
        } else {
          const pause = retryWait(attempt, error);
          const isInTime = pause <= MAX_RETRY_WAIT_MILLISECONDS && performance.now() + pause < limits.deadline;
          if (attempt >= limits.maxAttempts || !isWorthRepeating(request, error) || !isInTime) throw error;
          await sleep(pause);
        }
        traffic.retries += 1;
      }
    }
  }

  async function attemptOnce<T>(request: Request<T>, limits: Limits): Promise<T> {
    const { verb, path } = request;
    const headers = await credentials.headers();
    traffic.requests += 1;
    if (verb !== 'GET') traffic.writes += 1;
    const packed = await exchange(request, headers, limits);
    traffic.bytes += packed.body.length;
    const answer = { ...packed, body: unpack(request, packed) };
    const { isRefusal = isFailure } = request;
    if (isRefusal(answer)) throw refusal(request, answer);
    try {
      return request.read(answer.body, answer.code);
    } catch (cause) {
      throw new KubernetesError((cause as Error).message, { verb, path }, { cause });
    }
  }

  function exchange(request: Request<unknown>, headers: Record<string, string>, limits: Limits): Promise<Answer> {
    const { verb, path, accept, body, contentType, isForBackend = false } = request;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const fail = (cause: Error) =>
      reject(new KubernetesError(`no answer: ${cause.message}`, { verb, path }, { cause }));
    const call = transport.request(new URL(`${basePath}${path}`, endpoint), {
      method: verb,
      agent: isForBackend ? backendAgent : agent,
      headers: {
        accept,
        'accept-encoding': 'gzip',
        'user-agent': 'headrace',
        ...headers,
        ...(body !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }),
      },
    });
    const stop = limitTime(call, limits);
    call.on('error', fail);
    call.on('close', stop);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BODY_BYTES) call.destroy(new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`));
      });
      response.on('error', fail);
      response.on('end', () =>
        resolve({ code: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    call.end(body);
    return promise;
  }

  async function listPages<T>(list: ListCall<T>, limits: Limits): Promise<T[]> {
    const { path, query, reader } = list;
    const { accept, read } = reader;
    const found: T[] = [];
    let continueToken: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const question = withQuery(path, query, continueToken);
      const answer = await send({ verb: 'GET', path: question, isRepeatable: true, accept, read }, limits);
      for (const item of answer.items) found.push(item);
      if (answer.continueToken === undefined) return found;
      continueToken = answer.continueToken;
    }
    throw new KubernetesError(`the list has more than ${MAX_PAGES} pages`, { verb: 'GET', path });
  }

  const limitedTo = (limits: Limits): KubernetesClient => ({
    traffic,
    within: (others) => limitedTo(tighten(limits, others)),
    get(path) {
      traffic.questions += 1;
      return send({ verb: 'GET', path, isRepeatable: true, accept: JSON_TYPE, read: parseJson }, limits);
    },
    async list(path, query, reader) {
      traffic.questions += 1;
      const list = { path, query, reader };
      try {
        return await listPages(list, limits);
      } catch (error) {
        if (!isExpired(error)) throw error;
        return listPages(list, limits);
      }
    },
    patch: (path, body) => send(writeOf('PATCH', path, body), limits),
    create: (path, body) => send(writeOf('POST', path, body), limits),
    put: (path, body) => send(writeOf('PUT', path, body), limits),
    async remove(path, options = {}) {
      try {
        await send(removalOf(path, options), limits);
        return true;
      } catch (error) {
        if (isGone(error)) return false;
        throw error;
      }
    },
    proxy(request) {
      if (request.verb === 'GET') traffic.questions += 1;
      return send(callOf(request), limits);
    },
    close() {
      agent.destroy();
      backendAgent.destroy();
    },
  });
  return limitedTo(tighten(DEFAULT_LIMITS, options.limits ?? {}));
}

interface ListCall<T> {
  readonly path: string;
  readonly query: ListQuery;
  readonly reader: PageReader<T>;
}

function writeOf(verb: 'PATCH' | 'POST' | 'PUT', path: string, body: object): Request<unknown> {
  return {
    verb,
    path: `${path}?fieldManager=${FIELD_MANAGER}`,
    body: JSON.stringify(body),
    contentType: verb === 'PATCH' ? 'application/merge-patch+json' : JSON_TYPE,
    isRepeatable: false,
    accept: JSON_TYPE,
    read: parseJson,
  };
}

function removalOf(path: string, { propagationPolicy, ...preconditions }: RemoveOptions): Request<unknown> {
  return {
    verb: 'DELETE',
    path,
    body: JSON.stringify({
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions,
      ...(propagationPolicy !== undefined && { propagationPolicy }),
    }),
    contentType: JSON_TYPE,
    isRepeatable: false,
    accept: JSON_TYPE,
    read: parseJson,
  };
}

function callOf({ verb, path, body }: ProxyRequest): Request<BackendAnswer> {
  return {
    verb,
    path,
    ...(body !== undefined && { body: JSON.stringify(body), contentType: JSON_TYPE }),
    isRepeatable: verb === 'GET',
    accept: JSON_TYPE,
    isForBackend: true,
    isRefusal: isOfApiServer,
    read: (answer, code) => ({ code, body: parseJsonOrText(answer) }),
  };
}

function isFailure({ code }: Answer): boolean {
  return code < 200 || code > 299;
}

// The API server refuses in the words and codes that a backend might use: 404 services "orders" not found, 503 no endpoints
// available for service "orders", 403. Only the body tells whose they are: a Status, which no backend of ours sends. The
// one exception is plain text, a 429 of a server that has too much to do.
function isOfApiServer(answer: Answer): boolean {
  if (!isFailure(answer)) return false;
  return answer.code === 429 || parseStatus(answer.body.toString('utf8')) !== undefined;
}

/** Ends a call that takes too long. Waiting for a free connection counts towards the deadline alone. @returns what stops the timers */
function limitTime(call: http.ClientRequest, { timeoutMilliseconds, deadline }: Limits): () => void {
  const end = (message: string) => () => call.destroy(new DOMException(message, 'TimeoutError'));
  const rest = deadline - performance.now();
  const last = Number.isFinite(rest) ? setTimeout(end('there was no time left for it'), Math.max(0, rest)) : undefined;
  let timer: NodeJS.Timeout | undefined;
  call.on('socket', () => {
    timer = setTimeout(end(`timed out after ${timeoutMilliseconds} ms`), timeoutMilliseconds);
  });
  return () => {
    clearTimeout(last);
    clearTimeout(timer);
  };
}

interface Answer {
  readonly code: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

function createAgent(endpoint: URL, options: KubernetesClientOptions, maxSockets: number): http.Agent {
  const keepAlive = { keepAlive: true, maxSockets, scheduling: 'lifo' } as const;
  if (endpoint.protocol === 'https:') {
    const { certificateAuthority, credentials } = options;
    return new https.Agent({
      ...keepAlive,
      ...(certificateAuthority && { ca: certificateAuthority }),
      ...credentials.tls,
    });
  }
  if (!isLoopback(endpoint.hostname))
    throw new TypeError(`the API server's endpoint must be https, but is ${endpoint.origin}`);
  return new http.Agent(keepAlive);
}

/** Whether a host name can only mean this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

// A 429 was refused before it was looked at, so even a write may be sent again. Everything else that failed may have
// taken effect: only a read is repeated; a conditional write is decided again by the next tick instead.
function isWorthRepeating(request: Request<unknown>, { code }: KubernetesError): boolean {
  if (code === 429) return true;
  return request.isRepeatable && (code === undefined || code >= 500);
}

function retryWait(attempt: number, error: KubernetesError): number {
  const { retryAfterSeconds } = error.details;
  const backoff = FIRST_RETRY_WAIT_MILLISECONDS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
  return Math.max(backoff, (retryAfterSeconds ?? 0) * 1000);
}

function unpack({ verb, path }: Request<unknown>, { headers, body }: Answer): Buffer {
  if (headers['content-encoding'] !== 'gzip') return body;
  try {
    return gunzipSync(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch (cause) {
    throw new KubernetesError('the answer cannot be unpacked', { verb, path }, { cause });
  }
}

function parseJsonOrText(body: Buffer): unknown {
  const text = body.toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new Error('the answer is not JSON', { cause });
  }
}

// Most refusals carry a Status object, in the encoding that was asked for; a 429 and an unknown path carry plain text.
function refusal({ verb, path }: Request<unknown>, { code, headers, body }: Answer): KubernetesError {
  const isProtobuf = headers['content-type']?.startsWith(PROTOBUF) === true;
  const status = isProtobuf ? readStatus(body) : parseStatus(body.toString('utf8'));
  const retryAfter = Number(headers['retry-after'] ?? Number.NaN);
  return new KubernetesError((status?.message ?? body.toString('utf8').trim()).slice(0, MAX_ERROR_TEXT), {
    verb,
    path,
    code,
    ...(status?.reason && { reason: status.reason }),
    ...(Number.isFinite(retryAfter) && { retryAfterSeconds: retryAfter }),
  });
}

function parseStatus(text: string): { reason?: string; message?: string } | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    const { apiVersion, kind, reason, message } = parsed as Partial<Record<string, unknown>>;
    if (apiVersion !== 'v1' || kind !== 'Status') return undefined;
    return { ...(typeof reason === 'string' && { reason }), ...(typeof message === 'string' && { message }) };
  } catch {
    return undefined;
  }
}

function withQuery(
  path: string,
  { labelSelector, limit = DEFAULT_PAGE_SIZE }: ListQuery,
  continueToken: string | undefined,
): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (labelSelector !== undefined) query.set('labelSelector', labelSelector);
  if (continueToken !== undefined) query.set('continue', continueToken);
  return `${path}?${query}`;
}

/** Reads the pages of a list in JSON. The items are untrusted; one that `readItem` cannot use is left out. */
export function jsonPages<T>(readItem: (item: unknown) => T | undefined): PageReader<T> {
  return {
    accept: JSON_TYPE,
    read(body) {
      const { items, metadata } = (parseJson(body) ?? {}) as { items?: unknown; metadata?: { continue?: unknown } };
      if (!Array.isArray(items)) throw new Error('the answer has no items: it is not a list');
      const token = metadata?.continue;
      return {
        items: items.map(readItem).filter((item) => item !== undefined),
        continueToken: typeof token === 'string' && token !== '' ? token : undefined,
      };
    },
  };
}
