// Proves the bench itself: what the other files here take for granted of the control plane and of the helpers around it.
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApiClient } from './bench/api-client.ts';
import { benchAddress, type ControlPlane, clusterName } from './bench/control-plane.ts';
import { eksCredentials, eksIdentity } from './bench/eks-authenticator.ts';
import { eventually } from './bench/eventually.ts';
import { type MetricsApi, type MetricsFailure, startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import {
  applicationPath,
  createApplication,
  createNamespace,
  createTaskManagers,
  deletePods,
  setApplicationStatus,
  taskManagerSelector,
} from './bench/workloads.ts';

/** What anybody who is authenticated may ask: who am I? */
const selfSubjectReviews = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const selfSubjectReview = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };

let controlPlane: ControlPlane;
let metricsApi: MetricsApi;

beforeAll(async () => {
  controlPlane = await sharedControlPlane();
  metricsApi = await startMetricsApi(controlPlane, {
    groups: ['metrics.k8s.io', 'custom.metrics.k8s.io', 'external.metrics.k8s.io'],
  });
});

afterAll(() => metricsApi?.close());

describe('the control plane', () => {
  it('is the version that go.mod names', async () => {
    const version = await controlPlane.admin.send('GET', '/version');

    expect(version).toMatchObject({ gitVersion: 'v1.37.2', major: '1', minor: '37' });
  });

  it('has the kinds of infra/kubernetes', async () => {
    const kinds = await controlPlane.kubectl('api-resources', '--output', 'name');

    expect(kinds.split('\n')).toEqual(
      expect.arrayContaining(['flinkapplications.flink.k8s.io', 'flinkautoscalers.headrace.dev']),
    );
  });

  it('fills an aggregated ClusterRole', async () => {
    const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }];
    const label = { 'bench.headrace.dev/aggregated': 'true' };
    const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole' };

    await controlPlane.admin.send('POST', roles, {
      ...role,
      metadata: { name: 'bench-sum' },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: label }] },
    });
    await controlPlane.admin.send('POST', roles, { ...role, metadata: { name: 'bench-part', labels: label }, rules });

    const sum = await eventually('rules of the sum', async () => {
      const { rules } = await controlPlane.admin.send<{ rules: unknown[] | null }>('GET', `${roles}/bench-sum`);
      return rules !== null && rules.length > 0 ? rules : undefined;
    });
    expect(sum).toEqual(rules);
  });

  it('keeps its objects when the API server is killed and started again', async () => {
    const namespace = await createNamespace(controlPlane.admin, 'restart');

    await controlPlane.stopApiServer();
    const whileStopped = await Promise.allSettled([controlPlane.admin.request('GET', '/readyz')]);
    await controlPlane.startApiServer();

    expect(whileStopped).toMatchObject([{ status: 'rejected', reason: { cause: { code: 'ECONNREFUSED' } } }]);
    expect((await controlPlane.admin.request('GET', `/api/v1/namespaces/${namespace}`)).status).toBe(200);
  });
});

describe('EKS tokens', () => {
  it('make their holder a member of the group headrace', async () => {
    const answer = await whoAmI(await eksToken());

    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      status: { userInfo: { username: eksIdentity.username, groups: ['headrace', 'system:authenticated'] } },
    });
  });

  it.each([
    ['signed with another secret', { secretAccessKey: 'another' }],
    ['of an unknown access key', { accessKeyId: 'AKIAIOSFODNN7EXAMPLE' }],
    ['without its session token', { sessionToken: undefined }],
    ['made for another cluster', { cluster: 'another' }],
    ['signed more than 15 minutes ago', { signTime: Date.now() - 16 * 60_000 }],
    ['signed in the future', { signTime: Date.now() + 6 * 60_000 }],
  ])('are refused when %s', async (_case, fault) => {
    const answer = await whoAmI(await eksToken(fault));

    expect(answer.status).toBe(401);
  });

  it('are refused when they are no tokens at all', async () => {
    expect((await whoAmI('k8s-aws-v1.aGVsbG8')).status).toBe(401);
    expect((await whoAmI('hello')).status).toBe(401);
  });
});

describe('the audit log', () => {
  it('holds the requests of Headrace: reads without, writes with their body', async () => {
    const since = Date.now();
    const headrace = clientWithToken(await eksToken());
    const namespace = await createNamespace(controlPlane.admin, 'audit');

    await headrace.request('GET', `/api/v1/namespaces/${namespace}/configmaps?limit=1`);
    await headrace.request('POST', selfSubjectReviews, selfSubjectReview);
    headrace.close();

    const events = await controlPlane.auditLog({ since });
    const ofHeadrace = events.filter(({ user }) => user.username === eksIdentity.username);
    expect(ofHeadrace).toEqual([
      expect.objectContaining({
        verb: 'list',
        requestURI: `/api/v1/namespaces/${namespace}/configmaps?limit=1`,
        responseStatus: expect.objectContaining({ code: 403 }),
      }),
      expect.objectContaining({
        verb: 'create',
        requestURI: selfSubjectReviews,
        responseStatus: expect.objectContaining({ code: 201 }),
        requestObject: expect.objectContaining(selfSubjectReview),
      }),
    ]);
    expect(ofHeadrace[0]).not.toHaveProperty('requestObject');
  });
});

describe('the metrics API', () => {
  const selector = taskManagerSelector('job');
  let namespace: string;
  let pods: readonly string[];

  beforeEach(async () => {
    namespace = await createNamespace(controlPlane.admin, 'metrics');
    pods = await createTaskManagers(controlPlane.admin, { namespace, application: 'job', count: 2 });
    metricsApi.values.clear();
  });

  it('lists the usage of pods, with their labels, for a namespace and for all', async () => {
    const timestamp = Date.parse('2026-01-31T10:00:00Z');
    metricsApi.values.setPodUsage(
      { namespace, selector },
      { cpu: '800m', memory: '100Mi', timestamp, windowSeconds: 30 },
    );
    metricsApi.values.setPodUsage({ namespace, pod: pods[0] ?? '' }, { cpu: '10m' });

    const ofNamespace = await listPodMetrics(namespace, 'flink-deployment-type=taskmanager');
    const ofAll = await listPodMetrics(undefined, 'flink-deployment-type=taskmanager');

    expect(ofNamespace).toHaveLength(2);
    expect(ofNamespace.find(({ metadata }) => metadata.name === pods[1])).toEqual({
      metadata: expect.objectContaining({ namespace, labels: expect.objectContaining({ 'flink-app': 'job' }) }),
      timestamp: '2026-01-31T10:00:00Z',
      window: '30s',
      containers: [{ name: 'taskmanager', usage: { cpu: '800m', memory: '100Mi' } }],
    });
    expect(ofNamespace.find(({ metadata }) => metadata.name === pods[0])).toMatchObject({
      containers: [{ usage: { cpu: '10m' } }],
    });
    expect(ofAll.map(({ metadata }) => metadata.name).sort()).toEqual([...pods].sort());
  });

  it('leaves out pods that have no value, and pods that are gone', async () => {
    metricsApi.values.setPodUsage({ namespace, pod: pods[0] ?? '' }, { cpu: '10m' });
    expect(await listPodMetrics(namespace, selector)).toHaveLength(1);

    await deletePods(controlPlane.admin, namespace, pods);
    expect(await listPodMetrics(namespace, selector)).toEqual([]);
  });

  it.each<[MetricsFailure, number, unknown]>([
    ['down', 503, expect.stringContaining('connection refused')],
    ['unavailable', 503, expect.objectContaining({ kind: 'Status', reason: 'ServiceUnavailable' })],
    ['unavailable-plain', 503, expect.stringContaining('upstream connect error')],
    ['throttled', 429, expect.stringContaining('Too many requests')],
    ['empty', 200, expect.objectContaining({ kind: 'PodMetricsList', items: [] })],
  ])('fails on demand: %s', async (failure, status, body) => {
    metricsApi.values.setPodUsage({ namespace, selector }, { cpu: '800m' });

    await metricsApi.fail(failure);
    const failed = await controlPlane.admin.request('GET', podMetricsPath(namespace, selector));
    await metricsApi.recover();

    expect({ status: failed.status, body: failed.body }).toEqual({ status, body });
    expect(await listPodMetrics(namespace, selector)).toHaveLength(2);
  });

  it('goes down although somebody has connected and says nothing', async () => {
    const silent = connect(9443, benchAddress).on('error', () => undefined);
    await once(silent, 'connect');

    await metricsApi.fail('down');
    await metricsApi.recover();
  });

  it('can be absent', async () => {
    await metricsApi.unregister('metrics.k8s.io');
    const absent = await controlPlane.admin.request('GET', podMetricsPath(namespace, selector));
    await metricsApi.register('metrics.k8s.io');

    expect(absent.status).toBe(404);
    expect(await listPodMetrics(namespace, selector)).toEqual([]);
  });
});

describe('the HPA controller', () => {
  it('scales an application from 2 to 4 when its TaskManagers use twice the target', async () => {
    const application = await runningApplication(2);
    metricsApi.values.setPodUsage(application, { cpu: '800m' });

    await createHpa(application, [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } } },
    ]);

    await eventually('4 replicas', async () => (await replicasOf(application)) === 4);
  });

  it('follows metrics of pods, of an object and of a queue outside', async () => {
    const { values } = metricsApi;
    const application = await runningApplication(2);
    const { namespace } = application;
    const averageValue = (value: string) => ({ type: 'AverageValue', averageValue: value });
    // 900m / 600m → 3; 10 / 2 → 5; 210 / 30 → 7, the largest.
    values.setPodMetric('busy', application, { value: '900m' });
    values.setObjectMetric(
      'backlog',
      {
        namespace,
        resource: 'flinkapplications.flink.k8s.io',
        name: application.name,
        apiVersion: 'flink.k8s.io/v1beta1',
        kind: 'FlinkApplication',
      },
      { value: '10' },
    );
    values.setExternalMetric('lag', namespace, [
      { value: '210', labels: { topic: 'orders' } },
      { value: '9000', labels: { topic: 'other' } },
    ]);

    await createHpa(application, [
      { type: 'Pods', pods: { metric: { name: 'busy' }, target: averageValue('600m') } },
      {
        type: 'Object',
        object: {
          describedObject: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: application.name },
          metric: { name: 'backlog' },
          target: averageValue('2'),
        },
      },
      {
        type: 'External',
        external: {
          metric: { name: 'lag', selector: { matchLabels: { topic: 'orders' } } },
          target: averageValue('30'),
        },
      },
    ]);

    // From 2, the controller goes no further than 4 at once.
    await eventually('4 replicas', async () => (await replicasOf(application)) === 4);
    const metrics = await eventually('metrics in the status', () => currentMetricsOf(application));
    expect(metrics.map(({ type }) => type)).toEqual(['Pods', 'Object', 'External']);
  });

  it('can be stopped, and started again with other flags', async () => {
    await controlPlane.stopControllers();
    const stopTime = Date.now();
    const application = await runningApplication(2);
    metricsApi.values.setPodUsage(application, { cpu: '800m' });
    await createHpa(application, [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } } },
    ]);
    const whileStopped = await controlPlane.auditLog({ since: stopTime });

    // The target is 40 % and 80 % is seen: within a tolerance of 1.5 nothing would happen.
    await controlPlane.startControllers(['--horizontal-pod-autoscaler-tolerance=1.5']);
    await eventually('a look at the metrics', async () => (await currentMetricsOf(application)) !== undefined);
    const tolerated = await replicasOf(application);
    await controlPlane.stopControllers();
    await controlPlane.startControllers();

    expect(whileStopped.filter(({ user }) => user.username.endsWith(':horizontal-pod-autoscaler'))).toEqual([]);
    expect(tolerated).toBe(2);
    await eventually('4 replicas', async () => (await replicasOf(application)) === 4);
  });
});

interface RunningApplication {
  readonly namespace: string;
  readonly name: string;
  readonly selector: string;
}

async function runningApplication(size: number): Promise<RunningApplication> {
  const { admin } = controlPlane;
  const namespace = await createNamespace(admin, 'hpa');
  const application = { namespace, name: 'job' };
  await createApplication(admin, application, { taskManagerConfig: { taskSlots: 2, replicas: size } });
  await createTaskManagers(admin, { namespace, application: 'job', count: size });
  await setApplicationStatus(admin, application, { numberOfTaskManagers: size });
  return { ...application, selector: taskManagerSelector('job') };
}

async function createHpa({ namespace, name }: RunningApplication, metrics: readonly unknown[]): Promise<void> {
  await controlPlane.admin.send('POST', `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`, {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name },
    spec: {
      scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name },
      minReplicas: 1,
      maxReplicas: 10,
      metrics,
    },
  });
}

async function currentMetricsOf({ namespace, name }: RunningApplication) {
  const hpa = await controlPlane.admin.send<{ status?: { currentMetrics?: readonly { type: string }[] | null } }>(
    'GET',
    `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers/${name}`,
  );
  return hpa.status?.currentMetrics ?? undefined;
}

async function replicasOf(application: RunningApplication): Promise<number> {
  const scale = await controlPlane.admin.send<{ spec: { replicas: number } }>(
    'GET',
    `${applicationPath(application)}/scale`,
  );
  return scale.spec.replicas;
}

interface PodMetrics {
  readonly metadata: { readonly name: string };
}

async function listPodMetrics(namespace: string | undefined, selector: string): Promise<readonly PodMetrics[]> {
  const list = await controlPlane.admin.send<{ items: readonly PodMetrics[] }>(
    'GET',
    podMetricsPath(namespace, selector),
  );
  return list.items;
}

function podMetricsPath(namespace: string | undefined, selector: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `/apis/metrics.k8s.io/v1beta1${scope}/pods?${new URLSearchParams({ labelSelector: selector })}`;
}

function clientWithToken(token: string) {
  const certificateAuthority = Buffer.from(controlPlane.certificateAuthority, 'base64').toString();
  return createApiClient({ endpoint: controlPlane.endpoint, certificateAuthority, token });
}

async function whoAmI(token: string) {
  const client = clientWithToken(token);
  try {
    return await client.request('POST', selfSubjectReviews, selfSubjectReview);
  } finally {
    client.close();
  }
}

interface TokenFault {
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string | undefined;
  readonly cluster?: string;
  readonly signTime?: number;
}

/** A token as `aws eks get-token` makes it, signed by AWS's own library. */
async function eksToken({ cluster = clusterName, signTime = Date.now(), ...credentials }: TokenFault = {}) {
  const { sessionToken, ...keys } = { ...eksCredentials, ...credentials };
  const signer = new SignatureV4({
    service: 'sts',
    region: 'eu-west-1',
    credentials: sessionToken === undefined ? keys : { ...keys, sessionToken },
    sha256: Sha256,
  });
  const hostname = 'sts.eu-west-1.amazonaws.com';
  const { query = {} } = await signer.presign(
    {
      method: 'GET',
      protocol: 'https:',
      hostname,
      path: '/',
      query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
      headers: { host: hostname, 'x-k8s-aws-id': cluster },
    },
    { expiresIn: 60, signingDate: new Date(signTime) },
  );
  const url = `https://${hostname}/?${new URLSearchParams(query as Record<string, string>)}`;
  return `k8s-aws-v1.${Buffer.from(url).toString('base64url')}`;
}

/** Node's SHA-256 behind the interface that the signer asks for. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytes(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytes(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {}
}

function bytes(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
