// What goes wrong between a client and a server, on demand: for tests.
import { type Answer, jsonAnswer, type SandboxRequest, textAnswer } from './exchange.ts';

export type Fault = FaultScope & FaultEffect;

interface FaultScope {
  /** Any method when absent. */
  readonly method?: string;
  /** Compared with the path and, if there is one, its query: "/api/v1/pods?limit=500". */
  readonly path: RegExp;
  /** How many matching requests it lets pass first; default 0. */
  readonly skip?: number;
  /** How many requests it meets then; default every one until it is removed. */
  readonly times?: number;
}

export type FaultEffect =
  /** Answers this, and nothing is done. Without a body: what a real API server says with that code. */
  | {
      readonly kind: 'status';
      readonly code: number;
      readonly body?: object | string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The connection is cut; nothing was done. */
  | { readonly kind: 'drop-before' }
  /** What was asked is done; then the connection is cut in place of an answer. */
  | { readonly kind: 'drop-after' }
  /** What was asked is done; half of the answer's body is sent, then the connection is cut. */
  | { readonly kind: 'cut-body' }
  /** Everything happens, so much real time later. */
  | { readonly kind: 'delay-ms'; readonly milliseconds: number }
  /** Nothing is done and no answer comes. */
  | { readonly kind: 'hang' };

export interface FaultHandle {
  /** How many requests the fault has met. */
  readonly count: number;
  remove(): void;
}

export class Faults {
  #active: ActiveFault[] = [];

  /** The first fault added that matches a request is the one it meets. */
  add(fault: Fault): FaultHandle {
    const active = new ActiveFault(fault, () => {
      this.#active = this.#active.filter((other) => other !== active);
    });
    this.#active.push(active);
    return active;
  }

  clear(): void {
    this.#active = [];
  }

  /** The fault the request meets, counted, or undefined. */
  meet(request: SandboxRequest): FaultEffect | undefined {
    return this.#active.find((fault) => fault.meets(request))?.effect;
  }
}

class ActiveFault implements FaultHandle {
  readonly effect: FaultEffect;
  readonly #scope: FaultScope;
  readonly remove: () => void;
  count = 0;
  #matches = 0;

  constructor(fault: Fault, remove: () => void) {
    this.effect = fault;
    this.#scope = fault;
    this.remove = remove;
  }

  meets({ method, path, query }: SandboxRequest): boolean {
    const { method: wanted = method, path: pattern, skip = 0, times = Number.POSITIVE_INFINITY } = this.#scope;
    const asked = query.size > 0 ? `${path}?${query}` : path;
    if (wanted !== method || asked.search(pattern) === -1) return false;
    this.#matches += 1;
    if (this.#matches <= skip || this.count >= times) return false;
    this.count += 1;
    return true;
  }
}

/** The answer a 'status' fault gives. */
export function faultAnswer({ code, body, headers = {} }: Extract<FaultEffect, { kind: 'status' }>): Answer {
  if (typeof body === 'string') return textAnswer(code, body, headers);
  if (body) return jsonAnswer(code, body, headers);
  // Priority and Fairness refuses in plain text, and so does the aggregator whose metrics server is away.
  if (code === 429)
    return textAnswer(429, 'Too many requests, please try again later.\n', { 'retry-after': '1', ...headers });
  if (code === 503) return textAnswer(503, 'service unavailable\n', headers);
  const message = `the sandbox was told to answer ${code}`;
  const reason = reasons[code] ?? (code >= 500 ? 'InternalError' : 'Unknown');
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
  return jsonAnswer(code, status, headers);
}

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  504: 'Timeout',
};
