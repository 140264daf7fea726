// The sandbox: one server on the loopback that speaks the protocols of a Kubernetes API server, metrics-server, EKS and SQS, with
// simulated Flink jobs behind it. The code that ships runs against it unmodified; only addresses in its environment differ.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Agenda } from './agenda.ts';
import { Clock } from './clock.ts';
import { type Answer, jsonAnswer, type SandboxRequest, textAnswer } from './exchange.ts';
import { type FaultEffect, Faults, faultAnswer } from './faults.ts';
import { Flink } from './flink.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { Images } from './images.ts';
import {
  type CustomMetricsVersion,
  type ExternalMetricSetting,
  MetricValues,
  type ObjectMetricSetting,
} from './metrics.ts';
import { podMetrics } from './pods.ts';
import { encodeStatus, protobufType } from './protobuf.ts';
import { RequestLog, summarize } from './request-log.ts';
import { isAuthenticated } from './routes/authentication.ts';
import { answerDiscovery, answerPublic } from './routes/discovery.ts';
import { answerEks } from './routes/eks.ts';
import { answerResource } from './routes/kubernetes.ts';
import { answerMetrics, metricsGroups } from './routes/metrics.ts';
import { answerProxied } from './routes/service-proxy.ts';
import { answerSqs, Queue } from './routes/sqs.ts';
import { Simulation } from './simulation.ts';
import { Refusal, unauthorized } from './statuses.ts';
import { Store } from './store.ts';
import { Workloads } from './workloads.ts';

export interface SandboxOptions {
  /** Default: any free one. */
  readonly port?: number;
  /** Where the clock stands at the start, epoch milliseconds; default the system's time. */
  readonly now?: number;
  /** Default "sandbox". */
  readonly clusterName?: string;
  /** Of the kubeconfig's context; default "default". */
  readonly namespace?: string;
}

type RequestHook = (request: SandboxRequest) => void | Promise<void>;

/** An API server packs answers from this size on, when the client takes gzip. */
const packedFromBytes = 128 * 1024;
const region = 'eu-west-1';
const staticToken = 'sandbox-token';
const accessKeyId = 'AKIASANDBOX000000000';
const secretAccessKey = 'sandbox-secret-that-opens-nothing';
const queuePath = '/000000000000/headrace-scale-check';
const reconcileQueuePath = '/000000000000/headrace-reconcile';

/** Starts a sandbox on 127.0.0.1; the clock stands at `now` until it is moved. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = new Sandbox(options);
  await sandbox.listen(options.port ?? 0);
  return sandbox;
}

export class Sandbox {
  readonly clusterName: string;
  readonly namespace: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly simulation: Simulation;
  /** Deployments, their pods and the nodes. */
  readonly workloads: Workloads;
  /** What runs in those pods. */
  readonly flink: Flink;
  /** Of the ticks. */
  readonly queue: Queue;
  /** Of the rounds of deployments. */
  readonly reconcileQueue: Queue;
  readonly requests = new RequestLog();
  readonly faults = new Faults();
  readonly hooks = new Hooks();
  readonly #agenda: Agenda;
  readonly #metrics: MetricValues;
  readonly #server = createServer((request, response) => void this.#exchange(request, response));

  constructor({ now = Date.now(), clusterName = 'sandbox', namespace = 'default' }: SandboxOptions) {
    this.clusterName = clusterName;
    this.namespace = namespace;
    this.clock = new Clock(now, () => this.#catchUp());
    this.#agenda = new Agenda(() => this.clock.now());
    this.store = new Store(() => this.#agenda.now());
    new GarbageCollector(this.store, this.#agenda);
    const images = new Images();
    this.workloads = new Workloads(this.store, this.#agenda, images);
    this.flink = new Flink({ store: this.store, agenda: this.#agenda, workloads: this.workloads, images });
    this.simulation = new Simulation(this.store, () => this.clock.now());
    this.queue = new Queue(queuePath, () => this.clock.now());
    this.reconcileQueue = new Queue(reconcileQueuePath, () => this.clock.now());
    this.#metrics = new MetricValues(() => this.clock.now());
    // An idle connection that the server closes just as the client uses it again would be a fault nobody asked for.
    this.#server.keepAliveTimeout = 0;
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The kubeconfig's bearer token. */
  get token(): string {
    return staticToken;
  }

  /** The environment with which the functions work against this sandbox. */
  get env(): Record<string, string> {
    return {
      HEADRACE_CLUSTERS: JSON.stringify([{ name: this.clusterName, region, endpoint: this.url }]),
      HEADRACE_QUEUE_URL: `${this.url}${queuePath}`,
      HEADRACE_RECONCILE_QUEUE_URL: `${this.url}${reconcileQueuePath}`,
      HEADRACE_CLOCK_URL: `${this.url}/clock`,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL: this.url,
      POWERTOOLS_SERVICE_NAME: 'headrace',
    };
  }

  /** A kubeconfig (YAML) for kubectl and the CLI. */
  get kubeconfig(): string {
    const name = this.clusterName;
    return [
      'apiVersion: v1',
      'kind: Config',
      // Without TLS there is nothing to verify, but @kubernetes/client-node wants to hear that one does not insist on it.
      `clusters: [{ name: ${name}, cluster: { server: "${this.url}", insecure-skip-tls-verify: true } }]`,
      `users: [{ name: ${name}, user: { token: ${staticToken} } }]`,
      `contexts: [{ name: ${name}, context: { cluster: ${name}, user: ${name}, namespace: ${this.namespace} } }]`,
      `current-context: ${name}`,
      '',
    ].join('\n');
  }

  /** Lets metrics-server say of a pod in the store what a test wants: milli-cores, measured at a time (default: now). */
  setUsage({ namespace, name, cpuMilli, time = this.clock.now() }: PodUsageSetting): void {
    const labels = this.store.get('Pod', namespace, name)?.metadata.labels ?? {};
    this.store.put(podMetrics({ namespace, name, labels, time, usageNano: cpuMilli * 1_000_000 }));
  }

  /** Lets custom.metrics.k8s.io say of a pod in the store what a test wants. */
  setPodMetric(setting: Omit<ObjectMetricSetting, 'resource'>): void {
    this.#metrics.setOfObject({ ...setting, resource: 'pods' });
  }

  /** The same of any other object, or of a namespace, which need not be in the store. */
  setObjectMetric(setting: ObjectMetricSetting): void {
    this.#metrics.setOfObject(setting);
  }

  /** Lets external.metrics.k8s.io say what a test wants. */
  setExternalMetric(setting: ExternalMetricSetting): void {
    this.#metrics.setExternal(setting);
  }

  /** Which versions of custom.metrics.k8s.io there are from now on; at first v1beta2 alone, none is a cluster without an adapter. */
  serveCustomMetrics(...versions: readonly CustomMetricsVersion[]): void {
    this.#metrics.customVersions = versions;
  }

  /** Ends the server and every connection to it. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #exchange(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const request = await readRequest(incoming);
      const fault = this.faults.meet(request);
      await this.hooks.callBefore(request);
      const answer = await this.#answerWithFault(request, fault);
      this.#log(request, answer);
      if (fault?.kind === 'hang') return;
      send(response, fault?.kind === 'drop-after' ? undefined : answer, fault?.kind === 'cut-body');
    } catch {
      // The client went away in mid-request, or a hook asked for the connection to be cut.
      response.destroy();
    }
  }

  async #answerWithFault(request: SandboxRequest, fault: FaultEffect | undefined): Promise<Answer | undefined> {
    if (fault?.kind === 'delay-ms') await sleep(fault.milliseconds);
    const isKept = fault?.kind === 'status' || fault?.kind === 'drop-before' || fault?.kind === 'hang';
    const answer = isKept ? undefined : this.#answer(request);
    await this.hooks.callAfter(request);
    return fault?.kind === 'status' ? faultAnswer(fault) : answer && packed(request, answer);
  }

  /** What the world answers once it is brought to the present. */
  #answer(request: SandboxRequest): Answer {
    try {
      this.#catchUp();
      return this.#route(request);
    } catch (error) {
      if (error instanceof Refusal) return refusalAnswer(request, error);
      console.error(error);
      return textAnswer(500, `the sandbox itself failed: ${(error as Error).stack}\n`);
    }
  }

  #catchUp(): void {
    this.#agenda.catchUp();
    this.simulation.catchUp();
  }

  #route(request: SandboxRequest): Answer {
    const { method, path } = request;
    if (path === '/clock' && method === 'GET') return jsonAnswer(200, { now: this.clock.now() });
    if (path.startsWith('/sandbox/')) return this.#steer(request);
    if (Queue.isFor(request)) return answerSqs([this.queue, this.reconcileQueue], request);
    const cluster = { name: this.clusterName, region, endpoint: this.url };
    const open = answerEks(request, cluster) ?? answerPublic(request);
    if (open) return open;

    const identity = { staticToken, clusterName: this.clusterName, accessKeyId, secretAccessKey };
    if (!isAuthenticated(request, identity, this.clock.now())) throw unauthorized();
    return (
      answerDiscovery(request, metricsGroups(this.#metrics)) ??
      answerMetrics(this.store, this.#metrics, request) ??
      answerProxied(this.store, (...call) => this.flink.answer(...call), request) ??
      answerResource(this.store, request)
    );
  }

  /** For who runs the sandbox as a process of its own: the request log's sums, and the clock. */
  #steer({ method, path, body }: SandboxRequest): Answer {
    if (path === '/sandbox/requests' && method === 'GET') return jsonAnswer(200, summarize(this.requests));
    if (path === '/sandbox/requests' && method === 'DELETE') this.requests.clear();
    if (path === '/sandbox/clock' && method === 'POST')
      this.clock.advance(Number(JSON.parse(body.toString()).advanceSeconds));
    return jsonAnswer(200, { now: this.clock.now() });
  }

  #log(request: SandboxRequest, answer: Answer | undefined): void {
    const { method, path, query, body, headers } = request;
    // The sandbox's own doors are no part of the world it logs.
    if (path === '/clock' || path.startsWith('/sandbox/')) return;
    this.requests.push({
      time: this.clock.now(),
      method,
      path,
      query: query.toString(),
      status: answer?.status ?? 0,
      bytesIn: body.length,
      bytesOut: answer ? Buffer.byteLength(answer.body) : 0,
      ...(body.length > 0 && { body: parsed(body) }),
      userAgent: headers['user-agent'] as string | undefined,
    });
  }
}

export interface PodUsageSetting {
  readonly namespace: string;
  readonly name: string;
  readonly cpuMilli: number;
  /** End of the measured window, epoch milliseconds. */
  readonly time?: number;
}

/** Functions that a test wants called with each request; one that throws cuts the connection. */
class Hooks {
  readonly #before = new Set<RequestHook>();
  readonly #after = new Set<RequestHook>();

  /** Calls the hook before a request takes effect. The function returned takes the hook away again. */
  before(hook: RequestHook): () => void {
    this.#before.add(hook);
    return () => void this.#before.delete(hook);
  }

  /** Calls the hook when a request has taken effect, or was kept from it by a fault, and before it is answered. */
  after(hook: RequestHook): () => void {
    this.#after.add(hook);
    return () => void this.#after.delete(hook);
  }

  async callBefore(request: SandboxRequest): Promise<void> {
    for (const hook of this.#before) await hook(request);
  }

  async callAfter(request: SandboxRequest): Promise<void> {
    for (const hook of this.#after) await hook(request);
  }
}

async function readRequest(incoming: IncomingMessage): Promise<SandboxRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const url = new URL(incoming.url ?? '/', 'http://sandbox');
  const { method = 'GET', headers } = incoming;
  return { method, path: url.pathname, query: url.searchParams, headers, body: Buffer.concat(chunks) };
}

/** A Status comes in the encoding that was asked for; what is no Status stays plain text. */
function refusalAnswer({ headers }: SandboxRequest, { code, contentType, body }: Refusal): Answer {
  const isStatus = contentType === 'application/json';
  if (isStatus && String(headers.accept).includes(protobufType))
    return { status: code, headers: { 'content-type': protobufType }, body: encodeStatus(JSON.parse(body)) };
  return { status: code, headers: { 'content-type': contentType }, body };
}

function packed({ method, headers }: SandboxRequest, answer: Answer): Answer {
  const takesGzip = String(headers['accept-encoding'] ?? '').includes('gzip');
  if (method !== 'GET' || !takesGzip || Buffer.byteLength(answer.body) < packedFromBytes) return answer;
  const body = answer.packed?.() ?? gzipSync(answer.body, { level: 1 });
  return { ...answer, headers: { ...answer.headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' }, body };
}

/** Sends an answer, half of it, or none: what is missing ends in a cut connection. */
function send(response: ServerResponse, answer: Answer | undefined, isCut: boolean): void {
  if (!answer) {
    response.destroy();
    return;
  }
  const body = Buffer.from(answer.body as string);
  response.writeHead(answer.status, {
    'cache-control': 'no-cache, private',
    ...answer.headers,
    'content-length': body.length,
  });
  if (!isCut) response.end(body);
  else response.write(body.subarray(0, body.length / 2), () => response.destroy());
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return body.toString();
  }
}
