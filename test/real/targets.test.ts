// Targets that are no FlinkApplication: any kind with a scale subresource, once an administrator has allowed it.
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { mergePatch } from './bench/api-client.ts';
import { eventually } from './bench/eventually.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { type Bench, expectRescaled, openScene, rescaledConditions, type Scene, untilAllowed } from './scene.ts';

const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
const rolesPath = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
const mayPatch = { group: 'apps', resource: 'deployments/scale', verb: 'patch' };

/** What infra/kubernetes/rbac.yaml tells an administrator to add. */
const role = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'headrace-deployments', labels: { 'headrace.dev/aggregate-to-headrace': 'true' } },
  rules: [{ apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get', 'patch'] }],
};

let bench: Bench;
let scene: Scene;

beforeAll(async () => {
  const controlPlane = await sharedControlPlane();
  bench = { controlPlane, metricsApi: await startMetricsApi(controlPlane) };
});

afterAll(() => bench?.metricsApi.close());

beforeEach(async () => {
  scene = await openScene(bench);
  await runDeployment(2);
  scene.setUsage('800m', 'app=web');
  await scene.addAutoscaler('web', { scaleTargetRef });
});

describe('a Deployment', () => {
  it('is left alone while nobody allowed its scale to be read', async () => {
    const since = Date.now();

    await scene.tick();

    expect(await scene.conditions('web')).toEqual(['AbleToScale=False/FailedGetScale']);
    expect(await scene.message('AbleToScale', 'web')).toMatch(
      /deployments\/web\/scale: 403 Forbidden: .* cannot get resource "deployments\/scale"/,
    );
    expect(await scene.writes(since)).not.toContain('patch deployments/scale');
  });

  it('is scaled when a role beside ours allows it', async () => {
    const { admin } = bench.controlPlane;
    onTestFinished(async () => {
      await admin.send('DELETE', `${rolesPath}/${role.metadata.name}`);
      await untilAllowed(admin, mayPatch, false);
    });
    await admin.send('POST', rolesPath, role);
    await untilAllowed(admin, mayPatch, true);

    const tick = await scene.tick();

    expectRescaled(tick);
    expect(await scene.conditions('web')).toEqual(rescaledConditions);
    expect((await scene.autoscaler('web')).status).toMatchObject({ targets: 'cpu: 80%/40%', selector: 'app=web' });
    expect(await replicas()).toBe(4);
  });
});

describe('a target that cannot be scaled', () => {
  it.each([
    ['a kind without scale', { apiVersion: 'batch/v1', kind: 'Job' }, 'Job in batch/v1 has no scale subresource'],
    ['an unknown kind', { apiVersion: 'apps/v1', kind: 'Flower' }, 'no matches for kind Flower in apps/v1'],
    [
      'an unknown group',
      { apiVersion: 'garden.dev/v1', kind: 'Flower' },
      'no matches for kind Flower in garden.dev/v1',
    ],
    [
      'a kind without its version',
      { apiVersion: 'flink.k8s.io/', kind: 'FlinkApplication' },
      'no matches for kind FlinkApplication in flink.k8s.io/',
    ],
    [
      'an application that is not there',
      { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication' },
      'flinkapplications.flink.k8s.io "web" not found',
    ],
  ])('is told of: %s', async (_what, target, message) => {
    const other = await openScene(bench);
    await other.addAutoscaler('web', { scaleTargetRef: { ...target, name: 'web' } });

    await other.tick();

    expect(await other.conditions('web')).toEqual(['AbleToScale=False/FailedGetScale']);
    expect(await other.message('AbleToScale', 'web')).toContain(message);
  });
});

/** A Deployment whose pods run, though there is no kubelet: what one would report is written here. */
async function runDeployment(size: number): Promise<void> {
  const { admin } = bench.controlPlane;
  const { namespace } = scene;
  const labels = { app: 'web' };
  const containers = [{ name: 'web', image: 'web:1', resources: { requests: { cpu: '1' } } }];
  await admin.send('POST', `/apis/apps/v1/namespaces/${namespace}/deployments`, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: size,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  });
  const podsPath = `/api/v1/namespaces/${namespace}/pods`;
  const pods = await eventually('the pods of the Deployment', async () => {
    const { items } = await admin.send<{ items: { metadata: { name: string } }[] }>('GET', podsPath);
    return items.length === size && items;
  });
  const since = new Date(Date.now() - 600_000).toISOString();
  const status = {
    phase: 'Running',
    startTime: since,
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: since }],
  };
  for (const { metadata } of pods)
    await admin.send('PATCH', `${podsPath}/${metadata.name}/status`, { status }, mergePatch);
  // Its controller has the last word on the Deployment's status; a write between our read and our write would be a conflict.
  await eventually('the Deployment at rest', async () => (await readyReplicas()) === size);
}

async function readyReplicas(): Promise<number | undefined> {
  return (await readDeployment()).status.readyReplicas;
}

async function replicas(): Promise<number> {
  return (await readDeployment()).spec.replicas;
}

function readDeployment() {
  return bench.controlPlane.admin.send<{ spec: { replicas: number }; status: { readyReplicas?: number } }>(
    'GET',
    `/apis/apps/v1/namespaces/${scene.namespace}/deployments/web`,
  );
}
