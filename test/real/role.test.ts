// The rights of the role headrace-flink: each of them is needed. Take one away, and something is seen to fail.
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { mergePatch } from './bench/api-client.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { taskManagerSelector } from './bench/workloads.ts';
import {
  type Bench,
  expectRescaled,
  openScene,
  type Right,
  rescaledConditions,
  type Scene,
  untilAllowed,
} from './scene.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface Case {
  readonly right: Right;
  /** Whether the application has its first size already; default false. */
  readonly isSeeded?: boolean;
  /** The metrics of the autoscaler; default CPU alone. */
  readonly metrics?: readonly object[];
  /** Runs a tick without the right, and expects the failure to show. */
  readonly expectFailure: () => Promise<void>;
}

const rolePath = '/apis/rbac.authorization.k8s.io/v1/clusterroles/headrace-flink';

let bench: Bench;
let scene: Scene;
let rules: readonly Rule[];

/** A metric of every kind that custom.metrics.k8s.io and external.metrics.k8s.io have. */
const averageValue = { type: 'AverageValue', averageValue: '10' };
const podsMetric = { type: 'Pods', pods: { metric: { name: 'busy' }, target: averageValue } };
const objectMetric = (describedObject: object) => ({
  type: 'Object',
  object: { describedObject, metric: { name: 'requests' }, target: averageValue },
});
const application = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' };
const namespaceMetric = objectMetric({ apiVersion: 'v1', kind: 'Namespace', name: 'any' });
const externalMetric = { type: 'External', external: { metric: { name: 'lag' }, target: averageValue } };

beforeAll(async () => {
  const controlPlane = await sharedControlPlane();
  const groups = ['metrics.k8s.io', 'custom.metrics.k8s.io', 'external.metrics.k8s.io'] as const;
  bench = { controlPlane, metricsApi: await startMetricsApi(controlPlane, { groups }) };
  rules = await readRules();
});

afterAll(() => bench?.metricsApi.close());

beforeEach(async () => {
  scene = await openScene(bench);
});

const cases: readonly Case[] = [
  {
    right: { group: 'headrace.dev', resource: 'flinkautoscalers', verb: 'list' },
    expectFailure: async () => {
      await expect(scene.tick()).rejects.toThrow(/flinkautoscalers\?limit=500: 403 Forbidden: .* cannot list/);
    },
  },
  {
    right: { group: 'headrace.dev', resource: 'flinkautoscalers/status', verb: 'patch' },
    expectFailure: async () => {
      await expectReport('failed', /403 Forbidden: .* cannot patch resource "flinkautoscalers\/status"/);
      // A size that cannot be written down is not made.
      expect(await scene.replicas()).toBe(2);
    },
  },
  {
    right: { group: 'flink.k8s.io', resource: 'flinkapplications', verb: 'list' },
    expectFailure: async () => {
      await expectReport('recorded', /403 Forbidden: .* cannot list resource "flinkapplications"/);
      expect(await scene.conditions()).toEqual(['AbleToScale=False/FailedGetScale']);
      expect(await scene.message('AbleToScale')).toContain('403 Forbidden');
    },
  },
  {
    right: { group: 'flink.k8s.io', resource: 'flinkapplications/scale', verb: 'patch' },
    isSeeded: true,
    expectFailure: async () => {
      await expectReport('failed', /403 Forbidden: .* cannot patch resource "flinkapplications\/scale"/);
      expect(await scene.conditions()).toContain('AbleToScale=False/FailedUpdateScale');
      expect(await scene.message('AbleToScale')).toContain('403 Forbidden');
      expect(await scene.events()).toEqual(['Warning FailedRescale']);
    },
  },
  {
    right: { group: 'flink.k8s.io', resource: 'flinkapplications/status', verb: 'patch' },
    expectFailure: async () => {
      await expectReport('recorded', /403 Forbidden: .* cannot patch resource "flinkapplications\/status"/);
      expect((await scene.application()).status?.scaleBasis).toBeUndefined();
    },
  },
  {
    right: { group: 'autoscaling', resource: 'horizontalpodautoscalers', verb: 'list' },
    expectFailure: async () => {
      await expectReport('recorded', /403 Forbidden: .* cannot list resource "horizontalpodautoscalers"/);
      expect(await scene.conditions()).toContain('ScalingActive=False/FailedGetAutoscalers');
      expect(await scene.message('ScalingActive')).toContain('403 Forbidden');
    },
  },
  {
    right: { group: 'metrics.k8s.io', resource: 'pods', verb: 'list' },
    expectFailure: async () => {
      await expectReport('recorded', /403 Forbidden: .* cannot list resource "pods" in API group "metrics\.k8s\.io"/);
      expect(await scene.conditions()).toContain('ScalingActive=False/FailedGetResourceMetric');
      expect(await scene.message('ScalingActive')).toContain('403 Forbidden');
    },
  },
  {
    right: { group: '', resource: 'pods', verb: 'list' },
    expectFailure: async () => {
      await expectReport('recorded', /403 Forbidden: .* cannot list resource "pods" in API group ""/);
      expect(await scene.conditions()).toContain('ScalingActive=False/FailedGetResourceMetric');
      expect(await scene.message('ScalingActive')).toContain('unable to get pods while calculating replica count');
    },
  },
  {
    right: { group: 'custom.metrics.k8s.io', resource: '*', verb: 'get' },
    metrics: [podsMetric, objectMetric(application), namespaceMetric],
    expectFailure: async () => {
      await expectReport('recorded', /\(3 invalid out of 3\).* 403 Forbidden: .* cannot get resource "pods\/busy"/);
      expect(await scene.conditions()).toContain('ScalingActive=False/FailedGetPodsMetric');
    },
  },
  {
    right: { group: 'external.metrics.k8s.io', resource: '*', verb: 'list' },
    metrics: [externalMetric],
    expectFailure: async () => {
      await expectReport('recorded', /403 Forbidden: .* cannot list resource "lag" in API group "external/);
      expect(await scene.conditions()).toContain('ScalingActive=False/FailedGetExternalMetric');
    },
  },
  {
    right: { group: '', resource: 'events', verb: 'create' },
    expectFailure: async () => {
      const tick = await scene.tick();
      // Nobody is told, and the work is done all the same.
      expectRescaled(tick);
      expect(await scene.events()).toEqual([]);
      expect(tick.log.find(({ message }) => message === 'event not recorded')?.data.error).toContain('403 Forbidden');
    },
  },
];

it.each([
  ['without', false],
  ['with', true],
])('suffice for an application %s a first size', async (_what, isSeeded) => {
  await addOrders(isSeeded);

  expectRescaled(await scene.tick());

  expect(await scene.conditions()).toEqual(rescaledConditions);
  expect(await scene.events()).toEqual(['Normal SuccessfulRescale']);
});

it('suffice for metrics of every kind', async () => {
  await addOrders(false, [podsMetric, objectMetric(application), namespaceMetric, externalMetric]);

  expectRescaled(await scene.tick());

  expect(await scene.conditions()).toEqual(rescaledConditions);
  expect((await scene.autoscaler()).status?.targets).toBe(
    'busy: 20/10, requests: 15/10 (avg), requests: 10/10 (avg), lag: 5/10 (avg)',
  );
});

it('are all in the table below', () => {
  const granted = rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb): Right => ({ group, resource, verb }))),
    ),
  );

  expect(cases.map(({ right }) => describeRight(right)).sort()).toEqual(granted.map(describeRight).sort());
});

it.each(cases.map((row) => [describeRight(row.right), row] as const))(
  'include to %s, and it is missed',
  async (_right, { right, isSeeded = false, metrics, expectFailure }) => {
    const { admin } = bench.controlPlane;
    await addOrders(isSeeded, metrics);

    onTestFinished(async () => {
      await writeRules(rules);
      await untilAllowed(admin, right, true);
    });
    await writeRules(without(rules, right));
    await untilAllowed(admin, right, false);

    await expectFailure();
  },
);

/** At 80 % of its request against 40 %, and at twice the target of the other metrics: every right is used in one tick. */
async function addOrders(isSeeded: boolean, metrics?: readonly object[]): Promise<void> {
  await scene.addApplication({ taskManagers: 2, cpu: '400m' });
  await scene.addAutoscaler('orders', metrics && { metrics });
  setMetrics('10');
  if (isSeeded) await scene.tick();
  scene.setUsage('800m');
  setMetrics('20');
}

function setMetrics(busy: string): void {
  const { namespace } = scene;
  const { values } = bench.metricsApi;
  const { apiVersion, kind } = application;
  const selector = taskManagerSelector('orders');
  values.setPodMetric('busy', { namespace, selector }, { value: busy });
  const resource = 'flinkapplications.flink.k8s.io';
  values.setObjectMetric('requests', { namespace, resource, name: 'orders', apiVersion, kind }, { value: '30' });
  const itself = { namespace, resource: 'namespaces', name: namespace, apiVersion: 'v1', kind: 'Namespace' };
  values.setObjectMetric('requests', itself, { value: '20' });
  values.setExternalMetric('lag', namespace, [{ value: '4' }, { value: '6' }]);
}

async function expectReport(outcome: string, error: RegExp): Promise<void> {
  const { autoscalers } = await scene.tick();
  expect(autoscalers).toEqual([expect.objectContaining({ outcome, error: expect.stringMatching(error) })]);
}

async function readRules(): Promise<readonly Rule[]> {
  return (await bench.controlPlane.admin.send<{ rules: readonly Rule[] }>('GET', rolePath)).rules;
}

async function writeRules(wanted: readonly Rule[]): Promise<void> {
  await bench.controlPlane.admin.send('PATCH', rolePath, { rules: wanted }, mergePatch);
}

function without(all: readonly Rule[], right: Right): readonly Rule[] {
  // A rule of its own for each resource, so that no other right goes with it.
  return all
    .flatMap(({ resources, ...rule }) => resources.map((resource) => ({ ...rule, resources: [resource] })))
    .map((rule) => {
      const isMeant = rule.apiGroups.includes(right.group) && rule.resources.includes(right.resource);
      return isMeant ? { ...rule, verbs: rule.verbs.filter((verb) => verb !== right.verb) } : rule;
    })
    .filter(({ verbs }) => verbs.length > 0);
}

function describeRight({ group, resource, verb }: Right): string {
  return `${verb} ${resource}${group === '' ? '' : ` of ${group}`}`;
}
