// A small JSON client for the tests themselves. It is not the client under test: a fault in one must not hide in the other.

import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';

const timeoutMs = 30_000;

interface Answer<Body> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Parsed, if it is JSON; otherwise the text. */
  readonly body: Body;
}

export interface ApiClient {
  /** Sends one request and returns whatever is answered. A body is sent as JSON, with content type application/json unless `headers` says another. */
  request<Body = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer<Body>>;
  /** As `request`, but returns the body alone and throws UnexpectedAnswerError when the status is 300 or more. */
  send<Body = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Body>;
  close(): void;
}

export interface WatchingApiClient extends ApiClient {
  /** The events of a watch, until the server ends it or `signal` is given; throws when the connection breaks, or the answer is 300 or more. */
  watch<Watched>(path: string, signal: AbortSignal): AsyncIterable<WatchEvent<Watched>>;
}

export interface WatchEvent<Watched> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: Watched;
}

export const mergePatch = { 'content-type': 'application/merge-patch+json' };
export const applyPatch = { 'content-type': 'application/apply-patch+yaml' };

class UnexpectedAnswerError extends Error {
  override readonly name = 'UnexpectedAnswerError';
  readonly status: number;

  constructor(what: string, answer: Answer<unknown>) {
    const said = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    super(`${what}: ${answer.status} ${said}`);
    this.status = answer.status;
  }
}

export interface ApiClientOptions {
  /** Such as https://10.77.0.1:6443. */
  readonly endpoint: string;
  /** PEM. */
  readonly certificateAuthority: string;
  /** Bearer token; without one the requests are anonymous. */
  readonly token?: string;
}

export function createApiClient({ endpoint, certificateAuthority, token }: ApiClientOptions): WatchingApiClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 16, ca: certificateAuthority });
  const credentials = token === undefined ? {} : { authorization: `Bearer ${token}` };

  const request: ApiClient['request'] = async <Body>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const url = new URL(path, endpoint);
    const options: RequestOptions = {
      method,
      agent,
      headers: {
        accept: 'application/json',
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        // Node says it for every method but DELETE, whose body the API server would take for the next request.
        ...(payload === undefined ? {} : { 'content-length': String(Buffer.byteLength(payload)) }),
        ...credentials,
        ...headers,
      },
    };
    return (await exchange(url, options, payload)) as Answer<Body>;
  };

  const send: ApiClient['send'] = async <Body>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => {
    const answer = await request<Body>(method, path, body, headers);
    if (answer.status >= 300) throw new UnexpectedAnswerError(`${method} ${path}`, answer);
    return answer.body;
  };

  // Connections apart from the others, which are kept for so long that those would find none left.
  const watchAgent = new Agent({ ca: certificateAuthority });
  const watch: WatchingApiClient['watch'] = async function* <Watched>(path: string, signal: AbortSignal) {
    const outgoing = httpsRequest(new URL(path, endpoint), { agent: watchAgent, headers: credentials, signal });
    outgoing.end();
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    const status = incoming.statusCode ?? 0;
    if (status >= 300) {
      const body = await text(incoming);
      throw new UnexpectedAnswerError(`watching ${path}`, { status, headers: incoming.headers, body });
    }
    let rest = '';
    for await (const chunk of incoming.setEncoding('utf8')) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as WatchEvent<Watched>;
    }
  };

  return {
    request,
    send,
    watch,
    close: () => {
      agent.destroy();
      watchAgent.destroy();
    },
  };
}

async function exchange(url: URL, options: RequestOptions, payload: string | undefined): Promise<Answer<unknown>> {
  const outgoing = httpsRequest(url, { ...options, signal: AbortSignal.timeout(timeoutMs) });
  outgoing.end(payload);
  try {
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: parsed(await text(incoming)) };
  } catch (cause) {
    // A connection kept from before the API server was started again: nobody has seen this request.
    if (outgoing.reusedSocket && isConnectionReset(cause)) return exchange(url, options, payload);
    throw new Error(`${options.method} ${url.pathname}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function isConnectionReset(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
