// A door in front of the sandbox that also serves what a metrics adapter would: custom.metrics.k8s.io and external.metrics.k8s.io.

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface MetricsProxy {
  readonly url: string;
  close(): Promise<void>;
}

/** Answers by path, without its query: a body, or a number for a refusal with that code. */
export type MetricAnswers = Readonly<Record<string, object | number>>;

/** Starts it on the loopback. What it has no answer for goes on to the API server at `url`, or is not found. */
export async function startMetricsProxy(url: string, answers: MetricAnswers): Promise<MetricsProxy> {
  const server = createServer((incoming, response) => {
    const path = incoming.url?.split('?')[0] ?? '';
    const isMetric = /^\/apis\/(custom|external)\.metrics\.k8s\.io/.test(path);
    if (!isMetric) {
      const { method, headers } = incoming;
      const onward = request(new URL(incoming.url ?? '/', url), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      incoming.pipe(onward);
      return;
    }
    const answer = Object.hasOwn(answers, path) ? answers[path] : 404;
    const isRefusal = typeof answer === 'number';
    response.writeHead(isRefusal ? answer : 200, { 'content-type': 'application/json' });
    const status = { kind: 'Status', apiVersion: 'v1', message: `no answer from ${path}`, code: answer };
    response.end(JSON.stringify(isRefusal ? status : answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
