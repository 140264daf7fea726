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

export function createApiClient({ endpoint, certificateAuthority, token }: ApiClientOptions): ApiClient {
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

  return { request, send, close: () => agent.destroy() };
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
