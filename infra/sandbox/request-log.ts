// Every request the sandbox got, for tests and the story to compare with what was said and done.

export interface LoggedRequest {
  /** The sandbox's time, epoch milliseconds. */
  readonly time: number;
  readonly method: string;
  readonly path: string;
  /** Without the question mark; empty when there was none. */
  readonly query: string;
  /** Of the answer, also of one that got lost on its way; 0 when nothing was done. */
  readonly status: number;
  /** Body bytes on the wire: packed ones count packed. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The JSON that was written. */
  readonly body?: unknown;
  readonly userAgent: string | undefined;
}

/** An array of requests in the order of their answers. */
export class RequestLog extends Array<LoggedRequest> {
  clear(): void {
    this.length = 0;
  }
}

export interface RequestSummary {
  /** Requests without the further pages of lists. */
  readonly questions: number;
  /** All requests, each page of a list counted. */
  readonly requests: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** By what was asked, names left out: "PATCH /apis/flink.k8s.io/v1beta1/namespaces/{namespace}/flinkapplications/{name}/scale". */
  readonly byQuestion: Readonly<Record<string, { readonly requests: number; readonly bytesOut: number }>>;
}

/** Counts requests and bytes. */
export function summarize(requests: readonly LoggedRequest[]): RequestSummary {
  const byQuestion: Record<string, { requests: number; bytesOut: number }> = {};
  for (const { method, path, bytesOut } of requests) {
    const question = `${method} ${withoutNames(path)}`;
    const sums = byQuestion[question] ?? { requests: 0, bytesOut: 0 };
    byQuestion[question] = { requests: sums.requests + 1, bytesOut: sums.bytesOut + bytesOut };
  }
  return {
    questions: requests.filter(({ query }) => !new URLSearchParams(query).has('continue')).length,
    requests: requests.length,
    bytesIn: requests.reduce((sum, request) => sum + request.bytesIn, 0),
    bytesOut: requests.reduce((sum, request) => sum + request.bytesOut, 0),
    byQuestion,
  };
}

function withoutNames(path: string): string {
  return path
    .replace(/\/namespaces\/[^/]+/, '/namespaces/{namespace}')
    .replace(/(\/\{namespace\}\/[^/]+)\/[^/]+/, '$1/{name}')
    .replace(/\/[0-9a-f]{32}(?=\/|$)/g, '/{id}');
}
