import type { Sandbox } from '../../../infra/sandbox/server.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it likes
  readonly json: any;
}

/** Sends one request with the kubeconfig's token; a body goes as JSON, and as a merge patch with PATCH. */
export async function ask(
  sandbox: Sandbox,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await fetch(sandbox.url + path, {
    method,
    headers: {
      authorization: `Bearer ${sandbox.token}`,
      'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

export const applications = '/apis/flink.k8s.io/v1beta1/namespaces/flink/flinkapplications';
export const autoscalers = '/apis/headrace.dev/v1alpha1/namespaces/flink/flinkautoscalers';

export function anApplication(name: string, taskManagerConfig: object = {}, metadata: object = {}) {
  return {
    apiVersion: 'flink.k8s.io/v1beta1',
    kind: 'FlinkApplication',
    metadata: { name, namespace: 'flink', ...metadata },
    spec: { image: 'x', parallelism: 4, taskManagerConfig },
  };
}
