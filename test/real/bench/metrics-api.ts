// metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io as they exist in a cluster: an HTTPS server that the API server's
// aggregation layer stands in front of. Values are set in the test; failures are made on demand.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { applyPatch } from './api-client.ts';
import { benchAddress, type ControlPlane } from './control-plane.ts';
import { eventually } from './eventually.ts';
import { BadMetricsRequestError, MetricsValues } from './metrics-values.ts';

const port = 9443;
const service = { name: 'bench-metrics', namespace: 'kube-system' };

/**
 * down: nobody listens, so the API server answers 503 with a plain text; unavailable: 503 with a Status body; unavailable-plain: 503 with a plain
 * text; throttled: 429 with a plain text and Retry-After; empty: a list without items.
 */
export type MetricsFailure = 'down' | 'unavailable' | 'unavailable-plain' | 'throttled' | 'empty';

export type MetricsGroup = 'metrics.k8s.io' | 'custom.metrics.k8s.io' | 'external.metrics.k8s.io';

export interface MetricsApi {
  readonly values: MetricsValues;
  /** From now on, every question for metrics fails in this way. */
  fail(failure: MetricsFailure): Promise<void>;
  /** Serves again, and returns when the API server has noticed. */
  recover(): Promise<void>;
  /** Makes a group exist, and returns when the API server serves it. */
  register(group: MetricsGroup): Promise<void>;
  /** Takes a group away, as in a cluster where nobody installed it: 404. Returns when the API server has noticed. */
  unregister(group: MetricsGroup): Promise<void>;
  /** Takes the registered groups away and stops serving. */
  close(): Promise<void>;
}

interface ServedGroup {
  readonly version: string;
  readonly resources: readonly unknown[];
  /** The answer to a path below /apis/GROUP/VERSION, undefined for 404. */
  readonly answer: (values: MetricsValues, path: string, query: URLSearchParams) => Promise<unknown>;
}

const servedGroups: Readonly<Record<MetricsGroup, ServedGroup>> = {
  'metrics.k8s.io': {
    version: 'v1beta1',
    resources: [{ name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] }],
    answer: async (values, path, query) => {
      const match = /^(?:\/namespaces\/([^/]+))?\/pods$/.exec(path);
      return match ? values.podMetricsList(match[1], query.get('labelSelector') ?? '') : undefined;
    },
  },
  'custom.metrics.k8s.io': {
    version: 'v1beta2',
    resources: [{ name: 'pods/*', singularName: '', namespaced: true, kind: 'MetricValueList', verbs: ['get'] }],
    answer: async (values, path, query) => {
      const [, namespace, resource, name, metric] =
        /^\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
      if (!namespace || !resource || !name || !metric) return undefined;
      if (resource === 'pods' && name === '*')
        return values.podMetricValues(namespace, metric, query.get('labelSelector') ?? '');
      return values.objectMetricValues(namespace, resource, name, metric);
    },
  },
  'external.metrics.k8s.io': {
    version: 'v1beta1',
    resources: [{ name: '*', singularName: '', namespaced: true, kind: 'ExternalMetricValueList', verbs: ['get'] }],
    answer: async (values, path, query) => {
      const [, namespace, metric] = /^\/namespaces\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
      if (!namespace || !metric) return undefined;
      return values.externalMetricValues(namespace, metric, query.get('labelSelector') ?? '');
    },
  },
};

/** Serves the metrics APIs and registers `groups` (default: metrics.k8s.io); returns when the API server serves them. */
export async function startMetricsApi(
  { admin, tls }: ControlPlane,
  { groups = ['metrics.k8s.io'] }: { readonly groups?: readonly MetricsGroup[] } = {},
): Promise<MetricsApi> {
  const values = new MetricsValues(admin);
  const registered = new Set<MetricsGroup>();
  let failure: MetricsFailure | undefined;

  const server = createServer(tls, (request, response) => {
    answer({ request, response, values, failure }).catch((error) => refuse(response, error));
  });
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, benchAddress, () => {
        server.off('error', reject);
        resolve();
      });
    });
  const hangUp = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });

  const metricsApi: MetricsApi = {
    values,
    fail: async (next) => {
      if (next === 'down' && server.listening) await hangUp();
      else if (next !== 'down' && !server.listening) await metricsApi.recover();
      failure = next;
    },
    recover: async () => {
      failure = undefined;
      if (server.listening) return;
      await listen();
      for (const group of registered) await metricsApi.register(group);
    },
    register: async (group) => {
      const { path, object } = apiService(group);
      await admin.send('PATCH', `${path}?fieldManager=bench&force=true`, object, applyPatch);
      registered.add(group);
      await eventually(`${group} served`, async () => (await admin.request('GET', discovery(group))).status === 200);
    },
    unregister: async (group) => {
      await admin.request('DELETE', apiService(group).path);
      registered.delete(group);
      await eventually(`${group} gone`, async () => (await admin.request('GET', discovery(group))).status === 404);
    },
    close: async () => {
      for (const group of registered) await metricsApi.unregister(group);
      if (server.listening) await hangUp();
    },
  };

  await listen();
  await applyService(admin);
  for (const group of groups) await metricsApi.register(group);
  return metricsApi;
}

interface Question {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly values: MetricsValues;
  readonly failure: MetricsFailure | undefined;
}

async function answer({ request, response, values, failure }: Question): Promise<void> {
  const url = new URL(request.url ?? '/', `https://${benchAddress}`);
  // The HPA controller escapes the asterisk of pods/*.
  const path = decodeURIComponent(url.pathname);
  for (const [name, group] of Object.entries(servedGroups)) {
    const root = `/apis/${name}/${group.version}`;
    // Discovery never fails: the API server asks for it to see whether anybody is there.
    if (path === root) return sendJson(response, 200, resourceList(`${name}/${group.version}`, group.resources));
    if (!path.startsWith(`${root}/`)) continue;
    if (failure !== undefined && failure !== 'empty') return failWith(response, failure);
    const found = await group.answer(values, path.slice(root.length), url.searchParams);
    if (found === undefined) break;
    return sendJson(response, 200, failure === 'empty' ? { ...found, items: [] } : found);
  }
  sendJson(response, 404, failureStatus(404, 'NotFound', `${path} not found`));
}

function failWith(response: ServerResponse, failure: MetricsFailure): void {
  if (failure === 'unavailable') {
    const message = 'the server is currently unable to handle the request';
    sendJson(response, 503, failureStatus(503, 'ServiceUnavailable', message));
  } else if (failure === 'throttled') {
    response.setHeader('retry-after', '1');
    sendText(response, 429, 'Too many requests, please try again later.\n');
  } else sendText(response, 503, 'upstream connect error or disconnect/reset before headers\n');
}

function refuse(response: ServerResponse, error: unknown): void {
  if (error instanceof BadMetricsRequestError) sendJson(response, 400, failureStatus(400, 'BadRequest', error.message));
  else sendText(response, 500, `${error}\n`);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function sendText(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(body);
}

function resourceList(groupVersion: string, resources: readonly unknown[]): unknown {
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function failureStatus(code: number, reason: string, message: string): unknown {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function discovery(group: MetricsGroup): string {
  return `/apis/${group}/${servedGroups[group].version}`;
}

/** A Service without selector, whose one endpoint is this server. */
async function applyService(admin: ControlPlane['admin']): Promise<void> {
  const { name, namespace } = service;
  const endpointPort = { name: 'https', port, protocol: 'TCP' };
  const query = 'fieldManager=bench&force=true';
  await admin.send(
    'PATCH',
    `/api/v1/namespaces/${namespace}/services/${name}?${query}`,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { ports: [{ ...endpointPort, port: 443, targetPort: port }] },
    },
    applyPatch,
  );
  await admin.send(
    'PATCH',
    `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}?${query}`,
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [endpointPort],
      endpoints: [{ addresses: [benchAddress], conditions: { ready: true } }],
    },
    applyPatch,
  );
}

function apiService(group: MetricsGroup): { path: string; object: unknown } {
  const { version } = servedGroups[group];
  const name = `${version}.${group}`;
  return {
    path: `/apis/apiregistration.k8s.io/v1/apiservices/${name}`,
    object: {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      // Any change makes the API server look at once whether somebody answers; by itself it looks every 30 s.
      metadata: { name, annotations: { 'bench.headrace.dev/registered': new Date().toISOString() } },
      spec: {
        group,
        version,
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { ...service, port: 443 },
      },
    },
  };
}
