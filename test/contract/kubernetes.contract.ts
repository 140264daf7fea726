// What Headrace takes for granted of a Kubernetes API server, as one suite for the real one and for the sandbox: where the
// two differ, the sandbox is wrong. Everything is seen through the client and the modules of shared/kubernetes.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TerminalError } from '../../shared/errors.ts';
import { type EksIdentity, eksCredentials } from '../../shared/kubernetes/auth.ts';
import {
  type Credentials,
  createKubernetesClient,
  jsonPages,
  type KubernetesClient,
  type KubernetesClientOptions,
} from '../../shared/kubernetes/client.ts';
import { isConflict, isExpired, isNotFound, KubernetesError } from '../../shared/kubernetes/errors.ts';
import { autoscalerReference, createEvent } from '../../shared/kubernetes/events.ts';
import {
  type FlinkApplication,
  listFlinkApplications,
  patchScaleBasis,
} from '../../shared/kubernetes/flink-application.ts';
import {
  diffStatus,
  type FlinkAutoscaler,
  listFlinkAutoscalers,
  patchStatus,
  toWireStatus,
} from '../../shared/kubernetes/flink-autoscaler.ts';
import { listHorizontalPodAutoscalers } from '../../shared/kubernetes/horizontal-pod-autoscaler.ts';
import { type KubeconfigCluster, readKubeconfig } from '../../shared/kubernetes/kubeconfig.ts';
import {
  collectionPath,
  EVENTS,
  FLINK_APPLICATIONS,
  FLINK_AUTOSCALERS,
  objectPath,
  PODS,
  type ResourceType,
} from '../../shared/kubernetes/paths.ts';
import { listPods, listPodUsage } from '../../shared/kubernetes/pods.ts';
import { createScalableKinds, patchScale, readScale } from '../../shared/kubernetes/scale.ts';
import { readObjectMetric, readPodsMetric } from '../../shared/metrics/custom.ts';
import { readExternalMetric } from '../../shared/metrics/external.ts';
import { samplesOf } from '../../shared/metrics/resource.ts';
import type { AutoscalerStatus } from '../../shared/scaling/types.ts';
import { type ApiClient, mergePatch } from '../real/bench/api-client.ts';
import { eventually } from '../real/bench/eventually.ts';
import {
  createApplication,
  createNamespace,
  createTaskManagers,
  setApplicationStatus,
  taskManagerSelector,
} from '../real/bench/workloads.ts';

/** One API server under contract. */
export interface ContractCluster {
  /** Path of a kubeconfig of somebody with every right. */
  readonly kubeconfig: string;
  /** Whose EKS tokens it accepts. */
  readonly eksIdentity: EksIdentity;
  /** Puts things in place; not the client under test. */
  readonly admin: ApiClient;
  /** What metrics.k8s.io says of one pod, measured over 15 s. */
  setPodUsage(usage: PodUsageSetting): void;
  /** What custom.metrics.k8s.io says of one pod, measured over 15 s. */
  setPodMetric(metric: MetricSetting & { readonly pod: string }): void;
  /** The same of another object, by plural and group; "namespaces" is the namespace itself. */
  setObjectMetric(metric: MetricSetting & { readonly resource: string; readonly name: string }): void;
  /** What external.metrics.k8s.io says. */
  setExternalMetric(metric: Omit<MetricSetting, keyof Series> & { readonly series: readonly Series[] }): void;
  /** From now on custom.metrics.k8s.io is served in this version alone. */
  serveCustomMetrics(version: 'v1beta1' | 'v1beta2'): Promise<void>;
  /** Forgets the past, so that a list that was begun before cannot be continued. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

export interface PodUsageSetting {
  readonly namespace: string;
  readonly pod: string;
  readonly cpuMilli: number;
  /** Epoch milliseconds. */
  readonly time: number;
}

export interface Series {
  /** A quantity. */
  readonly value: string;
  /** Epoch milliseconds of a whole second. */
  readonly time: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface MetricSetting extends Series {
  readonly namespace: string;
  readonly metric: string;
}

const DEPLOYMENTS: ResourceType = { apiVersion: 'apps/v1', plural: 'deployments' };

/** A Kubernetes object as an administrator writes it. */
type Manifest = Readonly<Record<string, unknown>>;

/** Describes what an API server must do for Headrace; `connect` starts it or reaches it. */
export function describeKubernetesContract(name: string, connect: () => Promise<ContractCluster>): void {
  describe(`the Kubernetes client against ${name}`, () => {
    let cluster: ContractCluster;
    let admin: ApiClient;
    let connection: KubeconfigCluster['connection'];
    let client: KubernetesClient;
    let namespace: string;

    beforeAll(async () => {
      cluster = await connect();
      admin = cluster.admin;
      ({ connection } = await readKubeconfig({ kubeconfig: cluster.kubeconfig }));
      client = open();
    });

    afterAll(async () => {
      client?.close();
      await cluster?.close();
    });

    beforeEach(async () => {
      namespace = await createNamespace(admin, 'contract');
    });

    function open(options: Partial<KubernetesClientOptions> = {}): KubernetesClient {
      return createKubernetesClient({ ...connection, sleep: async () => {}, ...options });
    }

    describe('lists', () => {
      it('read FlinkApplications as their users and their operator wrote them', async () => {
        await createApplication(admin, { namespace, name: 'new' }, { parallelism: 3 });
        await createApplication(
          admin,
          { namespace, name: 'running' },
          { parallelism: 8, taskManagerConfig: { taskSlots: 2, replicas: 4 } },
        );
        await setApplicationStatus(admin, { namespace, name: 'running' }, { phase: 'Running' });

        const applications = await listFlinkApplications(client, [namespace]);

        const resourceVersion = expect.stringMatching(/^\d+$/);
        expect(applications).toMatchObject([
          { namespace, name: 'new', resourceVersion, size: { parallelism: 3, taskSlots: 16 }, phase: '', selector: '' },
          {
            namespace,
            name: 'running',
            resourceVersion,
            size: { parallelism: 8, taskSlots: 2, replicas: 4 },
            phase: 'Running',
            selector: taskManagerSelector('running'),
          },
        ]);
      });

      it('read FlinkAutoscalers with every default', async () => {
        await createAutoscaler('orders');

        const autoscaler = await readAutoscaler('orders');

        expect(autoscaler).toMatchObject({
          namespace,
          name: 'orders',
          uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
          resourceVersion: expect.stringMatching(/^\d+$/),
          generation: 1,
          target: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' },
          spec: { value: { minReplicas: 1, maxReplicas: 10, mode: 'Auto' } },
          status: { conditions: [], scaleEvents: [] },
          wireStatus: {},
        });
      });

      it('read HorizontalPodAutoscalers with their targets', async () => {
        await admin.send('POST', `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`, {
          apiVersion: 'autoscaling/v2',
          kind: 'HorizontalPodAutoscaler',
          metadata: { name: 'orders' },
          spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 3 },
        });

        const autoscalers = await listHorizontalPodAutoscalers(client, [namespace]);

        expect(autoscalers).toEqual([
          { namespace, name: 'orders', target: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } },
        ]);
      });

      it('are of all namespaces, of one or of some', async () => {
        const other = await createNamespace(admin, 'contract');
        const empty = await createNamespace(admin, 'contract');
        await createApplication(admin, { namespace, name: 'here' });
        await createApplication(admin, { namespace: other, name: 'there' });

        const of = async (namespaces: readonly string[]) =>
          namesOf((await listFlinkApplications(client, namespaces)).filter(isOneOf([namespace, other])));

        expect((await of([])).sort()).toEqual(['here', 'there']);
        expect(await of([namespace])).toEqual(['here']);
        expect((await of([namespace, empty, other])).sort()).toEqual(['here', 'there']);
        expect(await of([empty])).toEqual([]);
      });

      it('of a namespace that is not there are empty', async () => {
        expect(await listFlinkApplications(client, ['nowhere'])).toEqual([]);
        expect(await listPods(client, ['nowhere'], 'a=b')).toEqual([]);
        expect(await listPodUsage(client, ['nowhere'], 'a=b')).toEqual([]);
      });

      it.each([FLINK_APPLICATIONS, PODS])('of $plural come in pages, as one question', async (type) => {
        const names = ['a', 'b', 'c', 'd', 'e'];
        for (const name of names) await createAnyOf(type, name);
        const before = { ...client.traffic };

        const found = await client.list(
          collectionPath(type, namespace),
          { limit: 2 },
          jsonPages((item) => item),
        );

        expect(found.map(nameOf)).toEqual(names);
        expect(client.traffic.questions - before.questions).toBe(1);
        expect(client.traffic.requests - before.requests).toBe(3);
      });

      it('show on every page what was there at the first', async () => {
        for (const name of ['a', 'b', 'd']) await createApplication(admin, { namespace, name });
        const collection = collectionPath(FLINK_APPLICATIONS, namespace);
        const first = (await client.get(`${collection}?limit=2`)) as List;
        await createApplication(admin, { namespace, name: 'c' });
        await admin.send('DELETE', `${collection}/d`);

        const rest = (await client.get(`${collection}?limit=2&continue=${first.metadata.continue}`)) as List;

        expect(first.items.map(nameOf)).toEqual(['a', 'b']);
        expect(rest.items.map(nameOf)).toEqual(['d']);
        expect(rest.metadata.continue ?? '').toBe('');
      });

      it('that expired between two pages are refused with 410', async () => {
        for (const name of ['a', 'b', 'c']) await createApplication(admin, { namespace, name });
        const collection = collectionPath(FLINK_APPLICATIONS, namespace);
        const first = (await client.get(`${collection}?limit=1`)) as List;
        await createApplication(admin, { namespace, name: 'd' });
        await cluster.compact();

        const error = await refusalOf(client.get(`${collection}?limit=1&continue=${first.metadata.continue}`));

        expect(isExpired(error)).toBe(true);
        expect(error.reason).toBe('Expired');
        expect(error.message).toContain(': 410 Expired: The provided continue parameter is too old');
      });

      it('that expired between two pages are begun again', async () => {
        for (const name of ['a', 'b', 'c']) await createApplication(admin, { namespace, name });
        let requests = 0;
        const expiring: Credentials = {
          ...connection.credentials,
          // Asked before each request, so this happens between the first page and the second.
          headers: async () => {
            requests += 1;
            if (requests === 2) {
              await createApplication(admin, { namespace, name: 'd' });
              await cluster.compact();
            }
            return connection.credentials.headers();
          },
        };
        const expired = open({ credentials: expiring });

        const found = await expired.list(
          collectionPath(FLINK_APPLICATIONS, namespace),
          { limit: 2 },
          jsonPages((item) => item),
        );

        expect(found.map(nameOf)).toEqual(['a', 'b', 'c', 'd']);
        expect(requests).toBe(4);
        expired.close();
      });

      it('that are large come packed', async () => {
        const padding = 'so that the list is a large one '.repeat(300);
        for (let index = 0; index < 20; index += 1)
          await admin.send('POST', collectionPath(FLINK_AUTOSCALERS, namespace), {
            ...anAutoscaler(`fas-${index}`),
            metadata: { name: `fas-${index}`, annotations: { padding } },
          });
        const before = client.traffic.bytes;

        const found = await client.list(
          collectionPath(FLINK_AUTOSCALERS, namespace),
          {},
          jsonPages((item) => item),
        );

        expect(found).toHaveLength(20);
        expect(client.traffic.bytes - before).toBeLessThan(JSON.stringify(found).length / 4);
      });
    });

    describe('pods', () => {
      const startTime = Date.parse('2026-01-31T10:00:00Z');
      const readyTime = Date.parse('2026-01-31T10:00:20Z');

      it('are read with state, requests and labels, whatever way the requests were written', async () => {
        await createPod({
          name: 'ready',
          spec: {
            initContainers: [
              { name: 'once', image: 'x', resources: { requests: { cpu: '3' } } },
              { name: 'sidecar', image: 'x', restartPolicy: 'Always', resources: { requests: { cpu: '0.25' } } },
            ],
            containers: [
              { name: 'taskmanager', image: 'x', resources: { requests: { cpu: 1, memory: '1024Mi' } } },
              { name: 'log', image: 'x' },
            ],
          },
          status: {
            phase: 'Running',
            startTime: '2026-01-31T10:00:00Z',
            conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-31T10:00:20Z' }],
          },
        });

        const pods = await listPods(client, [namespace], 'app=job');

        expect(pods).toEqual([
          {
            namespace,
            name: 'ready',
            labels: { app: 'job', tier: 'ready' },
            phase: 'Running',
            isDeleting: false,
            startTime,
            ready: { status: 'True', lastTransitionTime: readyTime },
            containers: [
              { name: 'taskmanager', requestsMilli: { cpu: 1000n, memory: 1_073_741_824_000n } },
              { name: 'log', requestsMilli: {} },
              { name: 'sidecar', requestsMilli: { cpu: 250n } },
            ],
          },
        ]);
      });

      it('are read while they come and go', async () => {
        await createPod({ name: 'failed', status: { phase: 'Failed', startTime: '2026-01-31T10:00:00Z' } });
        await createPod({ name: 'going', finalizers: ['headrace.dev/contract'], status: { phase: 'Running' } });
        await createPod({ name: 'pending' });
        await admin.send('DELETE', objectPath(PODS, { namespace, name: 'going' }));

        const pods = await listPods(client, [namespace], 'app=job');

        await releasePod('going');
        const seen = pods.map(({ name, phase, isDeleting, startTime: since, ready }) => [
          ...[name, phase, isDeleting, since, ready?.status],
        ]);
        expect(seen).toEqual([
          ['failed', 'Failed', false, startTime, undefined],
          ['going', 'Running', true, undefined, undefined],
          ['pending', 'Pending', false, undefined, undefined],
        ]);
      });

      it.each([
        ['app=job', ['a', 'b', 'c']],
        ['app=job,tier=a', ['a']],
        ['app=job,tier!=a', ['b', 'c']],
        ['tier in (a,c)', ['a', 'c']],
        ['app,tier notin (a)', ['b', 'c']],
        ['app,!tier', []],
      ])('are chosen by the selector %j', async (selector, names) => {
        for (const name of ['a', 'b', 'c']) await createPod({ name });

        expect(namesOf(await listPods(client, [namespace], selector))).toEqual(names);
      });

      it('have their usage read from metrics.k8s.io, by selector and namespace', async () => {
        const [first = '', second = ''] = await createTaskManagers(admin, { namespace, application: 'job', count: 2 });
        await createTaskManagers(admin, { namespace, application: 'other', count: 1 });
        cluster.setPodUsage({ namespace, pod: first, cpuMilli: 800, time: startTime });
        cluster.setPodUsage({ namespace, pod: second, cpuMilli: 10, time: readyTime });

        const selector = taskManagerSelector('job');
        const usage = await listPodUsage(client, [namespace], selector);
        const everywhere = await listPodUsage(client, [], 'flink-deployment-type=taskmanager');

        const labels = { 'flink-app': 'job', 'flink-deployment-type': 'taskmanager' };
        expect(usage).toMatchObject([
          { namespace, labels },
          { namespace, labels },
        ]);
        const expected = [
          { pod: first, valueMilli: 800n, time: startTime, windowSeconds: 15 },
          { pod: second, valueMilli: 10n, time: readyTime, windowSeconds: 15 },
        ].sort(byPod);
        expect(samplesOf('cpu', usage).toSorted(byPod)).toEqual(expected);
        expect(samplesOf('cpu', everywhere.filter(isOneOf([namespace]))).toSorted(byPod)).toEqual(expected);
      });
    });

    describe.each(['v1beta2', 'v1beta1'] as const)('custom.metrics.k8s.io/%s', (version) => {
      const time = Date.parse('2026-01-31T10:00:00Z');
      const none = { metricSelector: '' };

      beforeEach(async () => {
        await cluster.serveCustomMetrics(version);
        // What a client has learned of the versions it keeps.
        client.close();
        client = open();
      });

      it('has a metric of each pod that a selector picks', async () => {
        for (const name of ['a', 'b', 'c']) await createPod({ name });
        for (const pod of ['a', 'b'])
          cluster.setPodMetric({ namespace, metric: 'busy', pod, value: pod === 'a' ? '500m' : '2', time });

        const question = { namespace, metric: 'busy', ...none };
        const all = await readPodsMetric(client, { ...question, selector: 'app=job' });
        const one = await readPodsMetric(client, { ...question, selector: 'app=job,tier in (b,c)' });

        const windowSeconds = 15;
        const b = { pod: 'b', valueMilli: 2000n, time, windowSeconds };
        expect(all.toSorted(byPod)).toEqual([{ pod: 'a', valueMilli: 500n, time, windowSeconds }, b]);
        expect(one).toEqual([b]);
      });

      it('has the series of a metric that its selector picks', async () => {
        for (const name of ['a', 'b']) await createPod({ name });
        for (const pod of ['a', 'b'])
          cluster.setPodMetric({ namespace, metric: 'busy', pod, value: '1', time, labels: { topic: pod } });

        const question = { namespace, metric: 'busy', selector: 'app=job' };
        const found = await readPodsMetric(client, { ...question, metricSelector: 'topic=b' });

        expect(found.map(({ pod }) => pod)).toEqual(['b']);
      });

      it('has a metric of another object', async () => {
        const resource = 'flinkapplications.flink.k8s.io';
        cluster.setObjectMetric({ namespace, resource, name: 'front', metric: 'requests', value: '1k', time });

        const question = { namespace, resource, name: 'front', metric: 'requests', ...none };
        expect(await readObjectMetric(client, question)).toEqual([{ valueMilli: 1_000_000n, time }]);
      });

      it('has a metric of the namespace itself', async () => {
        const setting = { resource: 'namespaces', name: namespace, metric: 'requests', value: '3', time };
        cluster.setObjectMetric({ namespace, ...setting });

        const question = { namespace, resource: undefined, name: namespace, metric: 'requests', ...none };
        expect(await readObjectMetric(client, question)).toEqual([{ valueMilli: 3000n, time }]);
      });

      it('does not find what nobody measures', async () => {
        const question = { namespace, resource: 'services', name: 'front', metric: 'unknown', ...none };

        expect(isNotFound(await refusalOf(readObjectMetric(client, question)))).toBe(true);
        expect(await readPodsMetric(client, { ...question, selector: 'app=job' })).toEqual([]);
      });
    });

    it('external.metrics.k8s.io has the series that a selector picks', async () => {
      const time = Date.parse('2026-01-31T10:00:00Z');
      const series = ['orders', 'payments'].map((topic) => ({ value: '1500m', time, labels: { topic } }));
      cluster.setExternalMetric({ namespace, metric: 'lag', series });

      const question = { namespace, metric: 'lag' };
      const read = async (metricSelector: string, metric = 'lag') =>
        (await readExternalMetric(client, { ...question, metric, metricSelector })).length;

      expect(await readExternalMetric(client, { ...question, metricSelector: 'topic=orders' })).toEqual([
        { valueMilli: 1500n, time },
      ]);
      expect([await read(''), await read('topic=returns'), await read('', 'unknown')]).toEqual([2, 0, 0]);
    });

    describe('a scale', () => {
      const address = () => ({ namespace, name: 'orders' });
      const field = '".spec.taskManagerConfig.replicas"';

      it('is read with version and selector, and written', async () => {
        await createApplication(admin, address(), { taskManagerConfig: { taskSlots: 2, replicas: 2 } });
        await setApplicationStatus(admin, address(), { numberOfTaskManagers: 2 });

        const read = await readScale(client, FLINK_APPLICATIONS, address());
        const written = await patchScale(client, read, 4);

        const selector = taskManagerSelector('orders');
        expect(read).toMatchObject({ type: FLINK_APPLICATIONS, ...address(), replicas: 2, selector });
        expect(written).toMatchObject({ ...address(), replicas: 4, selector });
        expect(await readScale(client, FLINK_APPLICATIONS, address())).toEqual(written);
        expect(await readApplication()).toMatchObject({
          size: { replicas: 4 },
          resourceVersion: written.resourceVersion,
        });
      });

      it('cannot be read while the application says no replicas, and a write sets them', async () => {
        await createApplication(admin, address());
        const { resourceVersion } = await readApplication();

        const error = await refusalOf(readScale(client, FLINK_APPLICATIONS, address()));
        const written = await patchScale(client, { ...address(), type: FLINK_APPLICATIONS, resourceVersion }, 3);

        expect(error.details).toMatchObject({ code: 500, reason: 'InternalError' });
        expect(error.message).toContain(`Internal error occurred: the spec replicas field ${field} does not exist`);
        expect(written).toMatchObject({ replicas: 3, selector: '' });
        expect(await readApplication()).toMatchObject({ size: { replicas: 3 } });
      });

      it('of 0 is read and written, though the API server leaves the 0 out', async () => {
        await createApplication(admin, address(), { taskManagerConfig: { replicas: 2 } });

        const written = await patchScale(client, await readScale(client, FLINK_APPLICATIONS, address()), 0);

        expect(written.replicas).toBe(0);
        expect(await readScale(client, FLINK_APPLICATIONS, address())).toEqual(written);
        expect(await client.get(objectPath(FLINK_APPLICATIONS, address(), 'scale'))).toMatchObject({ spec: {} });
        expect((await readApplication()).size?.replicas).toBe(0);
      });

      it('keeps its version when it is written as it is', async () => {
        await createApplication(admin, address(), { taskManagerConfig: { replicas: 2 } });
        const read = await readScale(client, FLINK_APPLICATIONS, address());

        const written = await patchScale(client, read, 4);

        expect(await patchScale(client, written, 4)).toEqual(written);
      });

      it('is written once: a second write from the same version is a conflict', async () => {
        await createApplication(admin, address(), { taskManagerConfig: { replicas: 2 } });
        const read = await readScale(client, FLINK_APPLICATIONS, address());
        await patchScale(client, read, 4);

        const error = await refusalOf(patchScale(client, read, 8));

        expect(isConflict(error)).toBe(true);
        expect(error.message).toBe(
          `PATCH ${objectPath(FLINK_APPLICATIONS, address(), 'scale')}?fieldManager=headrace: 409 Conflict: ` +
            'Operation cannot be fulfilled on flinkapplications.flink.k8s.io "orders": ' +
            'the object has been modified; please apply your changes to the latest version and try again',
        );
        expect((await readApplication()).size?.replicas).toBe(4);
      });

      it('is not written over a status that somebody wrote since', async () => {
        await createApplication(admin, address(), { taskManagerConfig: { replicas: 2 } });
        const read = await readScale(client, FLINK_APPLICATIONS, address());
        await setApplicationStatus(admin, address(), { phase: 'Updating' });

        expect(isConflict(await refusalOf(patchScale(client, read, 8)))).toBe(true);
      });

      it('cannot be negative', async () => {
        await createApplication(admin, address(), { taskManagerConfig: { replicas: 2 } });
        const read = await readScale(client, FLINK_APPLICATIONS, address());

        const error = await refusalOf(patchScale(client, read, -1));

        expect(error.details).toMatchObject({ code: 422, reason: 'Invalid' });
        expect((await readApplication()).size?.replicas).toBe(2);
      });

      it('starts a new generation of its object', async () => {
        await createApplication(admin, address(), { taskManagerConfig: { replicas: 2 } });
        const path = objectPath(FLINK_APPLICATIONS, address());
        const before = await generationOf(path);

        await patchScale(client, await readScale(client, FLINK_APPLICATIONS, address()), 4);

        expect(await generationOf(path)).toBe(before + 1);
      });

      it('of a Deployment is read with the selector of its pods, and written', async () => {
        const web = { namespace, name: 'web' };
        await admin.send('POST', collectionPath(DEPLOYMENTS, namespace), aDeployment('web', 2));

        const read = await readScale(client, DEPLOYMENTS, web);
        // The Deployment's own controller writes to it too, at any moment.
        const written = await eventually('a write that meets no other', async () =>
          patchScale(client, await readScale(client, DEPLOYMENTS, web), 3),
        );

        expect(read).toMatchObject({ ...web, replicas: 2, selector: 'app=web,tier=front' });
        expect(written).toMatchObject({ ...web, replicas: 3, selector: 'app=web,tier=front' });
        expect((await readScale(client, DEPLOYMENTS, web)).replicas).toBe(3);
      });
    });

    describe('discovery', () => {
      it.each([
        [{ apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication' }, FLINK_APPLICATIONS],
        [{ apiVersion: 'apps/v1', kind: 'Deployment' }, DEPLOYMENTS],
      ])('finds $kind', async (target, type) => {
        expect(await createScalableKinds(client).find(target)).toEqual(type);
      });

      it.each([
        [{ apiVersion: 'v1', kind: 'ConfigMap' }, 'ConfigMap in v1 has no scale subresource'],
        [
          { apiVersion: 'headrace.dev/v1alpha1', kind: 'FlinkAutoscaler' },
          'FlinkAutoscaler in headrace.dev/v1alpha1 has no scale subresource',
        ],
        [{ apiVersion: 'apps/v1', kind: 'Flower' }, 'no matches for kind Flower in apps/v1'],
        [{ apiVersion: 'v1', kind: 'Flower' }, 'no matches for kind Flower in v1'],
        [{ apiVersion: 'apps/v7', kind: 'Deployment' }, 'no matches for kind Deployment in apps/v7'],
        [{ apiVersion: 'garden.dev/v1', kind: 'Flower' }, 'no matches for kind Flower in garden.dev/v1'],
        [{ apiVersion: 'v7', kind: 'Pod' }, 'no matches for kind Pod in v7'],
        [{ apiVersion: '', kind: 'Pod' }, 'no matches for kind Pod in an empty apiVersion'],
        [{ apiVersion: 'v1/pods', kind: 'Pod' }, 'no matches for kind Pod in v1/pods'],
        [{ apiVersion: 'apps/v1/deployments', kind: 'Pod' }, 'no matches for kind Pod in apps/v1/deployments'],
      ])('says why %j cannot be scaled', async (target, message) => {
        await expect(createScalableKinds(client).find(target)).rejects.toThrow(new TerminalError(message));
      });
    });

    describe('the status of a FlinkAutoscaler', () => {
      it('is read back as it was written', async () => {
        await createAutoscaler('orders');
        const before = await readAutoscaler('orders');
        const changes = { ...diffStatus(before, fullStatus), currentMetrics };

        const resourceVersion = await patchStatus(client, before, changes);

        const after = await readAutoscaler('orders');
        expect(after.status).toMatchObject(fullStatus);
        expect(after.wireStatus).toEqual({ ...toWireStatus(fullStatus), currentMetrics });
        expect(after.resourceVersion).toBe(resourceVersion);
        expect(diffStatus(after, after.status)).toBeUndefined();
      });

      it('loses what is no longer said', async () => {
        await createAutoscaler('orders');
        const before = await readAutoscaler('orders');
        await patchStatus(client, before, diffStatus(before, fullStatus) ?? {});
        const full = await readAutoscaler('orders');
        const { pendingRescale, scaleEvents, targets, ...rest } = fullStatus;
        const changes = diffStatus(full, { ...rest, scaleEvents: [] }) ?? {};

        await patchStatus(client, full, changes);

        expect(changes).toEqual({ pendingRescale: null, scaleEvents: null, targets: null });
        expect((await readAutoscaler('orders')).wireStatus).toEqual(toWireStatus({ ...rest, scaleEvents: [] }));
      });

      it('is written once: a second write from the same version is a conflict', async () => {
        await createAutoscaler('orders');
        const before = await readAutoscaler('orders');
        await patchStatus(client, before, { currentReplicas: 2 });

        const error = await refusalOf(patchStatus(client, before, { currentReplicas: 7 }));

        expect(isConflict(error)).toBe(true);
        expect((await readAutoscaler('orders')).status.currentReplicas).toBe(2);
      });

      it('is no write when nothing differs, and no new generation', async () => {
        await createAutoscaler('orders');
        const before = await readAutoscaler('orders');
        const first = await patchStatus(client, before, { currentReplicas: 2 });

        const second = await patchStatus(client, { ...before, resourceVersion: first }, { currentReplicas: 2 });

        expect(first).not.toBe(before.resourceVersion);
        expect(second).toBe(first);
        expect((await readAutoscaler('orders')).generation).toBe(before.generation);
      });

      it('is all that a write to it can change', async () => {
        await createAutoscaler('orders');
        const before = await readAutoscaler('orders');

        await client.patch(objectPath(FLINK_AUTOSCALERS, before, 'status'), {
          metadata: { resourceVersion: before.resourceVersion, labels: { by: 'status' } },
          spec: { maxReplicas: 99 },
          status: { currentReplicas: 2 },
        });

        const after = await readAutoscaler('orders');
        expect(after.status.currentReplicas).toBe(2);
        expect(after.spec).toEqual(before.spec);
        expect(after.generation).toBe(before.generation);
      });

      it('stays when the spec is edited, which is a new generation', async () => {
        await createAutoscaler('orders');
        const before = await readAutoscaler('orders');
        await patchStatus(client, before, { currentReplicas: 2 });

        const edit = { spec: { maxReplicas: 20 }, status: { currentReplicas: 99 } };
        await admin.send('PATCH', objectPath(FLINK_AUTOSCALERS, before), edit, mergePatch);

        const after = await readAutoscaler('orders');
        expect(after.generation).toBe(before.generation + 1);
        expect(after.spec).toMatchObject({ value: { maxReplicas: 20 } });
        expect(after.status.currentReplicas).toBe(2);
      });
    });

    describe('the scale basis of a FlinkApplication', () => {
      const basis = { parallelism: 3, taskSlots: 2 };

      it('is read back as it was written, beside what the operator wrote', async () => {
        await createApplication(admin, { namespace, name: 'orders' });
        await setApplicationStatus(admin, { namespace, name: 'orders' }, { phase: 'Running' });

        const resourceVersion = await patchScaleBasis(client, await readApplication(), basis);

        expect(await readApplication()).toMatchObject({ scaleBasis: basis, phase: 'Running', resourceVersion });
      });

      it('is written once: a second write from the same version is a conflict', async () => {
        await createApplication(admin, { namespace, name: 'orders' });
        const before = await readApplication();
        await patchScaleBasis(client, before, basis);

        const error = await refusalOf(patchScaleBasis(client, before, { parallelism: 8, taskSlots: 2 }));

        expect(isConflict(error)).toBe(true);
        expect((await readApplication()).scaleBasis).toEqual(basis);
      });
    });

    describe('an Event', () => {
      const time = Date.parse('2026-01-31T10:00:00.123Z');
      const event = { type: 'Normal', reason: 'SuccessfulRescale', message: 'New size: 4', time } as const;

      it('is recorded on the autoscaler, and once however often it is sent', async () => {
        await createAutoscaler('orders');
        const autoscaler = await readAutoscaler('orders');

        await createEvent(client, { object: autoscalerReference(autoscaler), ...event });
        const error = await refusalOf(createEvent(client, { object: autoscalerReference(autoscaler), ...event }));

        expect(isConflict(error)).toBe(true);
        expect(error.reason).toBe('AlreadyExists');
        const { items } = (await client.get(collectionPath(EVENTS, namespace))) as List;
        expect(items).toEqual([
          expect.objectContaining({
            involvedObject: {
              ...{ apiVersion: 'headrace.dev/v1alpha1', kind: 'FlinkAutoscaler' },
              ...{ namespace, name: 'orders', uid: autoscaler.uid },
            },
            type: 'Normal',
            reason: 'SuccessfulRescale',
            message: 'New size: 4',
            source: { component: 'headrace' },
            count: 1,
          }),
        ]);
      });

      it('of another time or reason is another one', async () => {
        await createAutoscaler('orders');
        const autoscaler = await readAutoscaler('orders');

        await createEvent(client, { object: autoscalerReference(autoscaler), ...event });
        await createEvent(client, { object: autoscalerReference(autoscaler), ...event, time: time + 1 });
        await createEvent(client, {
          object: autoscalerReference(autoscaler),
          ...event,
          reason: 'FailedRescale',
          type: 'Warning',
        });

        expect(((await client.get(collectionPath(EVENTS, namespace))) as List).items).toHaveLength(3);
      });

      it('of a very long message is cut, not refused', async () => {
        await createAutoscaler('orders');
        const autoscaler = await readAutoscaler('orders');

        await createEvent(client, {
          object: autoscalerReference(autoscaler),
          ...event,
          message: 'ceil(2 × 80/40) '.repeat(500),
        });

        const { items } = (await client.get(collectionPath(EVENTS, namespace))) as List;
        expect(items).toEqual([expect.objectContaining({ message: expect.stringMatching(/^(ceil\(2 × 80\/40\) )+/) })]);
      });

      it('in a namespace that is not there is refused', async () => {
        const autoscaler = { namespace: 'nowhere', name: 'orders', uid: '' };

        const error = await refusalOf(createEvent(client, { object: autoscalerReference(autoscaler), ...event }));

        expect(isNotFound(error)).toBe(true);
        expect(error.message).toContain(': 404 NotFound: namespaces "nowhere" not found');
      });
    });

    describe('what is not there', () => {
      it('is a 404 that names the object', async () => {
        const error = await refusalOf(readScale(client, FLINK_APPLICATIONS, { namespace, name: 'none' }));

        expect(isNotFound(error)).toBe(true);
        expect(error.details).toEqual({
          verb: 'GET',
          path: `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications/none/scale`,
          code: 404,
          reason: 'NotFound',
        });
        expect(error.message).toBe(
          `GET ${error.details.path}: 404 NotFound: flinkapplications.flink.k8s.io "none" not found`,
        );
      });

      it('is a 404 for a write as well', async () => {
        const target = { namespace, name: 'none', type: FLINK_APPLICATIONS, resourceVersion: '1' };

        const error = await refusalOf(patchScale(client, target, 2));

        expect(isNotFound(error)).toBe(true);
        expect(error.message).toContain(': 404 NotFound: flinkapplications.flink.k8s.io "none" not found');
      });

      it.each([
        ['a kind of our own group', { apiVersion: 'headrace.dev/v1alpha1', plural: 'flowers' }, undefined],
        ['a version of our own group', { apiVersion: 'headrace.dev/v7', plural: 'flinkautoscalers' }, undefined],
        ['a group', { apiVersion: 'garden.dev/v1', plural: 'flowers' }, undefined],
        ['a kind of a built-in group', { apiVersion: 'apps/v1', plural: 'flowers' }, 'NotFound'],
      ])('is a 404 for %s', async (_what, type, reason) => {
        const error = await refusalOf(
          client.list(
            collectionPath(type, namespace),
            {},
            jsonPages((item) => item),
          ),
        );

        expect(isNotFound(error)).toBe(true);
        expect(error.reason).toBe(reason);
        expect(error.message).toContain(
          reason === undefined
            ? ': 404: 404 page not found'
            : ': 404 NotFound: the server could not find the requested resource',
        );
      });

      it('is a 404 for the scale of an object that has none', async () => {
        await createAutoscaler('orders');

        const error = await refusalOf(readScale(client, FLINK_AUTOSCALERS, { namespace, name: 'orders' }));

        expect(isNotFound(error)).toBe(true);
        expect(error.message).toContain(': 404 NotFound: flinkautoscalers.headrace.dev "orders" not found');
      });
    });

    describe('credentials', () => {
      it('of EKS are accepted', async () => {
        const headrace = open({ credentials: eksCredentials(cluster.eksIdentity) });
        await createAutoscaler('orders');

        expect(namesOf(await listFlinkAutoscalers(headrace, [namespace]))).toEqual(['orders']);
        headrace.close();
      });

      it.each([
        ['signed with another secret', { secretAccessKey: 'another' }, {}],
        ['made for another cluster', {}, { cluster: 'another' }],
      ])('of EKS are refused when %s', async (_what, wrongKeys, wrongIdentity) => {
        const { credentials, ...identity } = cluster.eksIdentity;
        const stranger = open({
          credentials: eksCredentials({
            ...identity,
            ...wrongIdentity,
            credentials: { ...credentials, ...wrongKeys },
          }),
        });

        const error = await refusalOf(listFlinkAutoscalers(stranger, [namespace]));

        expect(error.details).toMatchObject({ code: 401, reason: 'Unauthorized' });
        stranger.close();
      });

      it('that are wrong are renewed once, and then refused with 401', async () => {
        const wrong = tokens('wrong', 'wrong too', 'wrong again');
        const stranger = open({ credentials: wrong });

        const error = await refusalOf(listFlinkAutoscalers(stranger, [namespace]));

        expect(error.message).toBe(
          `GET ${collectionPath(FLINK_AUTOSCALERS, namespace)}?limit=500: 401 Unauthorized: Unauthorized`,
        );
        expect(wrong.used).toEqual(['wrong', 'wrong too']);
        stranger.close();
      });

      it('that have become wrong are renewed, and nobody notices', async () => {
        const right = await eksCredentials(cluster.eksIdentity).headers();
        const renewed = tokens('wrong', String(right.authorization).slice('Bearer '.length));
        const headrace = open({ credentials: renewed });
        await createAutoscaler('orders');

        expect(namesOf(await listFlinkAutoscalers(headrace, [namespace]))).toEqual(['orders']);
        headrace.close();
      });
    });

    async function readApplication(): Promise<FlinkApplication> {
      const [application] = await listFlinkApplications(client, [namespace]);
      if (application === undefined) throw new Error(`there is no FlinkApplication in ${namespace}`);
      return application;
    }

    async function createAutoscaler(autoscaler: string): Promise<void> {
      await admin.send('POST', collectionPath(FLINK_AUTOSCALERS, namespace), anAutoscaler(autoscaler));
    }

    async function readAutoscaler(autoscaler: string): Promise<FlinkAutoscaler> {
      const found = await listFlinkAutoscalers(client, [namespace]);
      const wanted = found.find((candidate) => candidate.name === autoscaler);
      if (wanted === undefined) throw new Error(`there is no FlinkAutoscaler ${namespace}/${autoscaler}`);
      return wanted;
    }

    async function generationOf(path: string): Promise<number> {
      return (await admin.send<{ metadata: { generation: number } }>('GET', path)).metadata.generation;
    }

    function createAnyOf(type: ResourceType, object: string): Promise<void> {
      return type === PODS ? createPod({ name: object }) : createApplication(admin, { namespace, name: object });
    }

    async function createPod({ name: pod, spec, status, finalizers = [] }: PodToCreate): Promise<void> {
      await admin.send('POST', collectionPath(PODS, namespace), {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: pod, labels: { app: 'job', tier: pod }, finalizers },
        spec: spec ?? { containers: [{ name: 'taskmanager', image: 'x' }] },
      });
      const path = objectPath(PODS, { namespace, name: pod }, 'status');
      if (status !== undefined) await admin.send('PATCH', path, { status }, mergePatch);
    }

    async function releasePod(pod: string): Promise<void> {
      const path = objectPath(PODS, { namespace, name: pod });
      await admin.send('PATCH', path, { metadata: { finalizers: null } }, mergePatch);
    }
  });
}

interface PodToCreate {
  /** Also the value of its label "tier". */
  readonly name: string;
  readonly spec?: Manifest;
  readonly status?: Manifest;
  readonly finalizers?: readonly string[];
}

/** A status with everything in it that a tick can leave, but for the readings. */
const fullStatus: AutoscalerStatus = {
  observedGeneration: 1,
  currentReplicas: 2,
  desiredReplicas: 4,
  lastScaleTime: Date.parse('2026-01-31T09:00:00Z'),
  currentMetricsTime: Date.parse('2026-01-31T10:00:00.123Z'),
  conditions: [
    {
      type: 'AbleToScale',
      status: 'True',
      reason: 'SucceededRescale',
      message: 'Headrace was able to update the target scale to 4',
      lastTransitionTime: Date.parse('2026-01-31T09:00:00Z'),
    },
    {
      type: 'ScalingActive',
      status: 'False',
      reason: 'FailedGetResourceMetric',
      message: 'ceil(2 × 80/40) = 4, “quoted”\n',
      lastTransitionTime: Date.parse('2026-01-31T10:00:00.123Z'),
    },
  ],
  recommendations: [
    { replicas: 2, from: Date.parse('2026-01-31T09:59:59.999Z'), until: Date.parse('2026-01-31T09:59:59.999Z') },
    { replicas: 4, from: Date.parse('2026-01-31T10:00:00Z') },
  ],
  scaleEvents: [
    { change: 2, time: Date.parse('2026-01-31T09:00:00Z') },
    { change: -1, time: Date.parse('2026-01-31T09:30:00.5Z') },
  ],
  pendingRescale: { from: 2, to: 4, time: Date.parse('2026-01-31T10:00:00.123Z') },
  selector: taskManagerSelector('orders'),
  targets: 'cpu: 80%/40%',
  lastDecision: {
    time: Date.parse('2026-01-31T10:00:00.123Z'),
    currentReplicas: 2,
    desiredReplicas: 4,
    reason: 'SuccessfulRescale',
    message: 'from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
  },
};

/** Readings as autoscaling/v2 writes them; that of a metric which failed is an empty one. */
const currentMetrics = [
  { type: 'Resource', resource: { name: 'cpu', current: { averageValue: '800m', averageUtilization: 80 } } },
  { type: '' },
  { type: 'Resource', resource: { name: 'memory', current: { averageValue: '1073741824500m' } } },
];

function anAutoscaler(name: string): Manifest {
  return {
    apiVersion: 'headrace.dev/v1alpha1',
    kind: 'FlinkAutoscaler',
    metadata: { name },
    spec: {
      scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name },
      maxReplicas: 10,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } } },
      ],
    },
  };
}

function aDeployment(name: string, replicas: number): Manifest {
  const labels = { tier: 'front', app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'x' }] } },
    },
  };
}

/** Credentials that bring the next of some tokens each time they are renewed, and remember which were used. */
function tokens(...all: readonly [string, ...string[]]): Credentials & { readonly used: readonly string[] } {
  const used: string[] = [all[0]];
  return {
    used,
    headers: async () => ({ authorization: `Bearer ${used.at(-1)}` }),
    renew: () => void used.push(all[used.length] ?? ''),
  };
}

interface List {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly unknown[];
}

async function refusalOf(answer: Promise<unknown>): Promise<KubernetesError> {
  const error = await answer.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KubernetesError) return error;
  throw new Error('the request was expected to be refused', { cause: error });
}

function namesOf(objects: readonly { readonly name: string }[]): string[] {
  return objects.map(({ name }) => name);
}

function nameOf(item: unknown): string {
  return (item as { metadata: { name: string } }).metadata.name;
}

function isOneOf(namespaces: readonly string[]) {
  return ({ namespace }: { readonly namespace: string }) => namespaces.includes(namespace);
}

function byPod(a: { readonly pod: string }, b: { readonly pod: string }): number {
  return a.pod < b.pod ? -1 : 1;
}
