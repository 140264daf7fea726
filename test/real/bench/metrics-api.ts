// metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io as they exist in a cluster: an HTTPS server that the API server's
// aggregation layer stands in front of. Values are set in the test; failures are made on demand.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { applyPatch } from './api-client.ts';
import { benchAddress, type ControlPlane } from './control-plane.ts';
import { eventually } from './eventually.ts';
import { BadMetricsRequestError, type MetricsAnswers, MetricsValues } from './metrics-values.ts';

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
  /** Makes a group exist, in its newest version or in that one, and returns when the API server serves it. */
  register(group: MetricsGroup, version?: string): Promise<void>;
  /** Takes a group away, as in a cluster where nobody installed it: 404. Returns when the API server has noticed. */
  unregister(group: MetricsGroup): Promise<void>;
  /** Takes the registered groups away and stops serving. */
  close(): Promise<void>;
}

interface ServedGroup {
  /** The newest first; one of them is registered at a time. */
  readonly versions: readonly [string, ...string[]];
  readonly resources: readonly unknown[];
  /** The answer to a path below /apis/GROUP/VERSION, undefined for 404. */
  readonly answer: (answers: MetricsAnswers, question: MetricsQuestion) => Promise<unknown>;
}

interface MetricsQuestion {
  readonly version: string;
  readonly path: string;
  readonly labelSelector: string;
  readonly metricLabelSelector: string;
}

const servedGroups: Readonly<Record<MetricsGroup, ServedGroup>> = {
  'metrics.k8s.io': {
    versions: ['v1beta1'],
    resources: [{ name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] }],
    answer: async (answers, { path, labelSelector }) => {
      const match = /^(?:\/namespaces\/([^/]+))?\/pods$/.exec(path);
      return match ? answers.podMetricsList(match[1], labelSelector) : undefined;
    },
  },
  'custom.metrics.k8s.io': {
    versions: ['v1beta2', 'v1beta1'],
    resources: [{ name: 'pods/*', singularName: '', namespaced: true, kind: 'MetricValueList', verbs: ['get'] }],
    answer: async (answers, { version, path, labelSelector, metricLabelSelector }) => {
      const [, namespace, ofObject = '/', metric] =
        /^\/namespaces\/([^/]+)((?:\/[^/]+){1,2})\/([^/]+)$/.exec(path) ?? [];
      if (!namespace || !metric) return undefined;
      const question = { version, namespace, metric, metricLabelSelector };
      if (ofObject === '/pods/*') return answers.podMetricValues({ ...question, labelSelector });
      // A metric of the namespace itself stands where the name of an object would.
      if (ofObject === '/metrics')
        return answers.objectMetricValues({ ...question, resource: 'namespaces', name: namespace });
      const [, resource = '', name = ''] = ofObject.split('/');
      return answers.objectMetricValues({ ...question, resource, name });
    },
  },
  'external.metrics.k8s.io': {
    versions: ['v1beta1'],
    resources: [{ name: '*', singularName: '', namespaced: true, kind: 'ExternalMetricValueList', verbs: ['get'] }],
    answer: async (answers, { path, labelSelector }) => {
      const [, namespace, metric] = /^\/namespaces\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
      if (!namespace || !metric) return undefined;
      return answers.externalMetricValues(namespace, metric, labelSelector);
    },
  },
};

/**
 * Serves the metrics APIs and registers `groups` (default: metrics.k8s.io); returns when the API server serves them. They answer with `values`,
 * unless somebody else is named who answers.
 */
export async function startMetricsApi(
  { admin, tls }: ControlPlane,
  options: { readonly groups?: readonly MetricsGroup[]; readonly answers?: MetricsAnswers } = {},
): Promise<MetricsApi> {
  const values = new MetricsValues(admin);
  const { groups = ['metrics.k8s.io'], answers = values } = options;
  const registered = new Map<MetricsGroup, string>();
  let failure: MetricsFailure | undefined;

  const server = createServer(tls, (request, response) => {
    answer({ request, response, answers, failure }).catch((error) => refuse(response, error));
  });
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, benchAddress, () => {
        server.off('error', reject);
        resolve();
      });
    });
  // closeAllConnections knows none whose TLS handshake is under way, and the server would wait a minute for one of those.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const hangUp = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
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
      for (const [group, version] of registered) await metricsApi.register(group, version);
    },
    register: async (group, version = servedGroups[group].versions[0]) => {
      if (registered.has(group) && registered.get(group) !== version) await metricsApi.unregister(group);
      const { path, object } = apiService(group, version);
      await admin.send('PATCH', `${path}?fieldManager=bench&force=true`, object, applyPatch);
      registered.set(group, version);
      const discovery = `/apis/${group}/${version}`;
      await eventually(`${discovery} served`, async () => (await admin.request('GET', discovery)).status === 200);
    },
    unregister: async (group) => {
      const version = registered.get(group) ?? servedGroups[group].versions[0];
      await admin.request('DELETE', apiService(group, version).path);
      registered.delete(group);
      const discovery = `/apis/${group}/${version}`;
      await eventually(`${discovery} gone`, async () => (await admin.request('GET', discovery)).status === 404);
    },
    close: async () => {
      for (const group of [...registered.keys()]) await metricsApi.unregister(group);
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
  readonly answers: MetricsAnswers;
  readonly failure: MetricsFailure | undefined;
}

async function answer({ request, response, answers, failure }: Question): Promise<void> {
  const url = new URL(request.url ?? '/', `https://${benchAddress}`);
  // The HPA controller escapes the asterisk of pods/*.
  const path = decodeURIComponent(url.pathname);
  const [root = '', groupName = '', version = ''] = /^\/apis\/([^/]+)\/([^/]+)/.exec(path) ?? [];
  const group = (servedGroups as Readonly<Record<string, ServedGroup>>)[groupName];
  if (group?.versions.includes(version)) {
    // Discovery never fails: the API server asks for it to see whether anybody is there.
    if (path === root) return sendJson(response, 200, resourceList(`${groupName}/${version}`, group.resources));
    if (failure !== undefined && failure !== 'empty') return failWith(response, failure);
    const found = await group.answer(answers, {
      version,
      path: path.slice(root.length),
      labelSelector: url.searchParams.get('labelSelector') ?? '',
      metricLabelSelector: url.searchParams.get('metricLabelSelector') ?? '',
    });
    if (found !== undefined) return sendJson(response, 200, failure === 'empty' ? { ...found, items: [] } : found);
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

function apiService(group: MetricsGroup, version: string): { path: string; object: unknown } {
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
