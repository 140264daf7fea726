// A thin client for the Kubernetes API: one keep-alive agent, a time-out per call, bounded retries for what is safe to
// repeat. @kubernetes/client-node opens a TLS connection for every request and has no time-out; a tick cannot afford it.

import http from 'node:http';
import https from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { isExpired, KubernetesError } from './errors.ts';
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
  };
}

export interface KubernetesClientOptions {
  /** "https://…"; plain http only on the loopback. */
  readonly endpoint: string;
  /** PEM. Absent: the system's authorities. */
  readonly certificateAuthority?: string | Buffer;
  readonly credentials: Credentials;
  /** Connections at once, 1 or more. The API server gives one identity few seats; more only queue there. Default 16. */
  readonly maxConnections?: number;
  /** Of one attempt, until its body is read. Default 10 s. */
  readonly timeoutMilliseconds?: number;
  /** Attempts at a request that is safe to repeat, 1 or more. Default 3. */
  readonly maxAttempts?: number;
  /** Waits between attempts; replaced in tests. */
  readonly sleep?: (milliseconds: number) => Promise<void>;
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

export interface KubernetesClient {
  get(path: string): Promise<unknown>;
  /** Every object of a list, page by page; a token that expires between pages starts the list again, once. */
  list<T>(path: string, query: ListQuery, reader: PageReader<T>): Promise<T[]>;
  /** JSON merge patch. Repeated only when it was refused before it was looked at (429, 401): the body names a resourceVersion. */
  patch(path: string, body: object): Promise<unknown>;
  /** Never repeated by itself: a second POST would be a second object. */
  create(path: string, body: object): Promise<unknown>;
  readonly traffic: Traffic;
  close(): void;
}

const FIELD_MANAGER = 'headrace';
const DEFAULT_PAGE_SIZE = 500;
/** A list of 10,000 pods is 20 pages; a server that never ends a list must not hold a tick for ever. */
const MAX_PAGES = 1000;
const MAX_RETRY_WAIT_MILLISECONDS = 3000;
const FIRST_RETRY_WAIT_MILLISECONDS = 200;
/** Of an error's body that reaches a message or a condition. */
const MAX_ERROR_TEXT = 500;

const JSON_TYPE = 'application/json';

interface Request<T> {
  readonly verb: 'GET' | 'PATCH' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly isRepeatable: boolean;
  readonly accept: string;
  read(body: Buffer): T;
}

/** Makes a client of one API server. Nothing is sent before the first call. */
export function createKubernetesClient(options: KubernetesClientOptions): KubernetesClient {
  const endpoint = new URL(options.endpoint);
  // A proxy in front of several clusters has a path for each.
  const basePath = endpoint.pathname.replace(/\/$/, '');
  const { maxConnections = 16, timeoutMilliseconds = 10_000, maxAttempts = 3, sleep = wait, credentials } = options;
  const traffic: Traffic = { requests: 0, questions: 0, writes: 0, bytes: 0, retries: 0 };
  const agent = createAgent(endpoint, options, maxConnections);
  const transport = endpoint.protocol === 'https:' ? https : http;

  async function send<T>(request: Request<T>): Promise<T> {
    let hasRenewed = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await attemptOnce(request);
      } catch (error) {
        if (!(error instanceof KubernetesError)) throw error;
        if (error.code === 401 && !hasRenewed) {
          hasRenewed = true;
          credentials.renew();
        } else if (attempt >= maxAttempts || !isWorthRepeating(request, error)) throw error;
        else await sleep(retryWait(attempt, error));
        traffic.retries += 1;
      }
    }
  }

  async function attemptOnce<T>(request: Request<T>): Promise<T> {
    const { verb, path } = request;
    const headers = await credentials.headers();
    traffic.requests += 1;
    if (verb !== 'GET') traffic.writes += 1;
    const answer = await exchange(request, headers);
    traffic.bytes += answer.body.length;
    const body = unpack(request, answer);
    if (answer.code < 200 || answer.code > 299) throw refusal(request, answer, body);
    try {
      return request.read(body);
    } catch (cause) {
      throw new KubernetesError((cause as Error).message, { verb, path }, { cause });
    }
  }

  function exchange(
    { verb, path, accept, body, contentType }: Request<unknown>,
    headers: Record<string, string>,
  ): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const fail = (cause: Error) =>
      reject(new KubernetesError(`no answer: ${cause.message}`, { verb, path }, { cause }));
    const call = transport.request(new URL(`${basePath}${path}`, endpoint), {
      method: verb,
      agent,
      headers: {
        accept,
        'accept-encoding': 'gzip',
        'user-agent': 'headrace',
        ...headers,
        ...(body !== undefined && { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }),
      },
    });
    const timer = setTimeout(
      () => call.destroy(new Error(`timed out after ${timeoutMilliseconds} ms`)),
      timeoutMilliseconds,
    );
    call.on('error', fail);
    call.on('close', () => clearTimeout(timer));
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () =>
        resolve({ code: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    call.end(body);
    return promise;
  }

  async function listPages<T>(path: string, query: ListQuery, { accept, read }: PageReader<T>): Promise<T[]> {
    const found: T[] = [];
    let continueToken: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const question = withQuery(path, query, continueToken);
      const answer = await send({ verb: 'GET', path: question, isRepeatable: true, accept, read });
      for (const item of answer.items) found.push(item);
      if (answer.continueToken === undefined) return found;
      continueToken = answer.continueToken;
    }
    throw new KubernetesError(`the list has more than ${MAX_PAGES} pages`, { verb: 'GET', path });
  }

  return {
    traffic,
    get(path) {
      traffic.questions += 1;
      return send({ verb: 'GET', path, isRepeatable: true, accept: JSON_TYPE, read: parseJson });
    },
    async list(path, query, reader) {
      traffic.questions += 1;
      try {
        return await listPages(path, query, reader);
      } catch (error) {
        if (!isExpired(error)) throw error;
        return listPages(path, query, reader);
      }
    },
    patch(path, body) {
      return send({
        verb: 'PATCH',
        path: `${path}?fieldManager=${FIELD_MANAGER}`,
        body: JSON.stringify(body),
        contentType: 'application/merge-patch+json',
        isRepeatable: false,
        accept: JSON_TYPE,
        read: parseJson,
      });
    },
    create(path, body) {
      return send({
        verb: 'POST',
        path: `${path}?fieldManager=${FIELD_MANAGER}`,
        body: JSON.stringify(body),
        contentType: 'application/json',
        isRepeatable: false,
        accept: JSON_TYPE,
        read: parseJson,
      });
    },
    close() {
      agent.destroy();
    },
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
  return Math.min(retryAfterSeconds === undefined ? backoff : retryAfterSeconds * 1000, MAX_RETRY_WAIT_MILLISECONDS);
}

function unpack({ verb, path }: Request<unknown>, { headers, body }: Answer): Buffer {
  if (headers['content-encoding'] !== 'gzip') return body;
  try {
    return gunzipSync(body);
  } catch (cause) {
    throw new KubernetesError('the answer is not gzip', { verb, path }, { cause });
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
function refusal({ verb, path }: Request<unknown>, { code, headers }: Answer, body: Buffer): KubernetesError {
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
    if (typeof parsed !== 'object' || parsed === null || !('kind' in parsed) || parsed.kind !== 'Status')
      return undefined;
    const { reason, message } = parsed as { reason?: unknown; message?: unknown };
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
