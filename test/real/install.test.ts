// Installing: everything at once, in whatever order, and applications as people have them.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { mergePatch } from './bench/api-client.ts';
import { eventually } from './bench/eventually.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { type Bench, openScene, rescaledConditions, type Scene } from './scene.ts';

const repository = join(import.meta.dirname, '..', '..');
const installation = join(repository, 'infra', 'kubernetes');
const example = join(installation, 'examples', 'autoscaler');
const kinds = ['flinkapplications.flink.k8s.io', 'flinkautoscalers.headrace.dev'];

let bench: Bench;
let scene: Scene;

beforeAll(async () => {
  const controlPlane = await sharedControlPlane();
  bench = { controlPlane, metricsApi: await startMetricsApi(controlPlane) };
});

afterAll(() => bench?.metricsApi.close());

beforeEach(async () => {
  scene = await openScene(bench);
});

describe('an application and its autoscaler', () => {
  it('may be created with the autoscaler first', async () => {
    await scene.addAutoscaler();
    await scene.tick();
    const before = await scene.conditions();

    await scene.addApplication();
    await scene.tick();

    expect(before).toEqual(['AbleToScale=False/FailedGetScale']);
    await expectNoErrorLeft();
  });

  it('may be created with the application first', async () => {
    await scene.addApplication();
    await scene.tick();

    await scene.addAutoscaler();
    await scene.tick();

    await expectNoErrorLeft();
  });

  it('may be created before the application was ever deployed', async () => {
    await bench.controlPlane.kubectl('apply', '-k', example, '--namespace', scene.namespace);
    await scene.tick();
    const before = await scene.conditions();

    await scene.runTaskManagers({ taskManagers: 2, cpu: '800m' });
    await scene.tick();

    expect(before).toEqual(['AbleToScale=True/SucceededGetScale', 'ScalingActive=False/DeploymentInProgress']);
    await expectNoErrorLeft();
  });

  it('may be created together with their kinds, the role and everything', async () => {
    const { kubectl } = bench.controlPlane;
    await releaseApplications();
    await kubectl('delete', 'customresourcedefinition', ...kinds);
    const withoutKinds = await Promise.allSettled([scene.tick()]);

    const all = await kustomizationOf([installation, example]);
    await eventually('everything applied', async () => {
      // kubectl asks which kinds there are before it creates any, so those of new kinds take a second run of it.
      const applied = await Promise.allSettled([kubectl('apply', '-k', all, '--namespace', scene.namespace)]);
      // Headrace goes on meanwhile.
      await Promise.allSettled([scene.tick()]);
      return applied[0].status === 'fulfilled';
    });
    await scene.runTaskManagers({ taskManagers: 2, cpu: '800m' });
    await scene.tick();

    expect(withoutKinds).toMatchObject([{ status: 'rejected', reason: { code: 404 } }]);
    await expectNoErrorLeft();
  });

  /** Applications that other tests have deployed wait for their job's end, which nobody looks after any more. */
  async function releaseApplications(): Promise<void> {
    const { admin } = bench.controlPlane;
    const path = '/apis/flink.k8s.io/v1beta1';
    const { items } = await admin.send<{ items: { metadata: { namespace: string; name: string } }[] }>(
      'GET',
      `${path}/flinkapplications`,
    );
    for (const { metadata } of items) {
      const application = `${path}/namespaces/${metadata.namespace}/flinkapplications/${metadata.name}`;
      await admin.send('PATCH', application, { metadata: { finalizers: null } }, mergePatch);
    }
  }

  async function expectNoErrorLeft(): Promise<void> {
    expect(await scene.conditions()).toEqual(rescaledConditions);
    expect(await scene.replicas()).toBe(4);
    await scene.runTaskManagers({ taskManagers: 4, cpu: '400m' });
    const { autoscalers } = await scene.tick();
    expect(autoscalers.map(({ error }) => error)).toEqual([undefined]);
    expect(await scene.conditions()).toEqual(
      expect.arrayContaining([expect.stringMatching(/^AbleToScale=True\//), 'ScalingActive=True/ValidMetricFound']),
    );
  }

  async function kustomizationOf(folders: readonly string[]): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'headrace-install-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const resources = folders.map((path) => relative(folder, path));
    // JSON is YAML.
    const kustomization = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources };
    await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
    return folder;
  }
});

describe('a FlinkApplication as published', () => {
  it('is accepted as it is, and nothing of it is lost', async () => {
    const { kubectl, admin } = bench.controlPlane;
    const file = join(repository, 'test', 'cases', 'wordcount.yaml');
    const written = parse(await readFile(file, 'utf8'));
    const { namespace, name, labels } = written.metadata;
    await kubectl('create', 'namespace', namespace);

    await kubectl('apply', '--validate=strict', '-f', file);

    const stored = await admin.send(
      'GET',
      `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications/${name}`,
    );
    expect(stored).toMatchObject({ metadata: { labels } });
    expect((stored as { spec: unknown }).spec).toEqual(written.spec);
  });
});
