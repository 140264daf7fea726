// A HorizontalPodAutoscaler as people have it, pasted: converted, applied and decided it gives what the HPA controller makes of it.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { taskManagerSelector } from './bench/workloads.ts';
import { type Bench, openScene, rescaledConditions, type Scene } from './scene.ts';

const program = join(import.meta.dirname, '..', '..', 'shared', 'cli', 'bin.ts');

let bench: Bench;

beforeAll(async () => {
  const controlPlane = await sharedControlPlane();
  const groups = ['metrics.k8s.io', 'custom.metrics.k8s.io', 'external.metrics.k8s.io'] as const;
  bench = { controlPlane, metricsApi: await startMetricsApi(controlPlane, { groups }) };
});

afterAll(() => bench?.metricsApi.close());

const v1 = `apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata:
  name: orders
  annotations:
    autoscaling.alpha.kubernetes.io/behavior: >-
      {"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":3,"PeriodSeconds":60}]}}
spec:
  scaleTargetRef:
    apiVersion: flink.k8s.io/v1beta1
    kind: FlinkApplication
    name: orders
  minReplicas: 1
  maxReplicas: 20
  targetCPUUtilizationPercentage: 10
`;

const v2 = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: orders
spec:
  scaleTargetRef:
    apiVersion: flink.k8s.io/v1beta1
    kind: FlinkApplication
    name: orders
  maxReplicas: 20
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: 60 }
    - type: Pods
      pods:
        metric: { name: busy }
        target: { type: AverageValue, averageValue: 0.5 }
    - type: External
      external:
        metric: { name: lag, selector: { matchLabels: { topic: orders } } }
        target: { type: AverageValue, averageValue: 1k }
  behavior:
    scaleUp:
      tolerance: 0.05
      policies:
        - { type: Percent, value: 300, periodSeconds: 60 }
`;

it.each([
  ['v1', v1, 5],
  ['v2', v2, 7],
])('autoscaling/%s', async (_version, manifest, size) => {
  const theirs = await openApplication();
  const ours = await openApplication();

  await apply(theirs, manifest);
  await apply(ours, await convert(manifest));
  await ours.tick();

  await eventually('the HPA controller at rest', async () => (await theirs.replicas()) === size);
  expect(await ours.replicas()).toBe(size);
  expect((await ours.conditions()).slice(0, 2)).toEqual(rescaledConditions.slice(0, 2));
});

/** Two TaskManagers at 80 % of their request, each busy for 0.9 of 0.5, and a lag of 7 thousand. */
async function openApplication(): Promise<Scene> {
  const scene = await openScene(bench);
  const { namespace } = scene;
  const { values } = bench.metricsApi;
  await scene.addApplication({ replicas: 2, taskManagers: 2, cpu: '800m' });
  values.setPodMetric('busy', { namespace, selector: taskManagerSelector('orders') }, { value: '900m' });
  values.setExternalMetric('lag', namespace, [
    { value: '6500', labels: { topic: 'orders' } },
    { value: '400', labels: { topic: 'orders' } },
    { value: '100k', labels: { topic: 'payments' } },
  ]);
  return scene;
}

async function convert(manifest: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, 'convert', await write(manifest)]);
  return stdout;
}

async function apply({ namespace }: Scene, manifest: string): Promise<void> {
  await bench.controlPlane.kubectl('apply', '--namespace', namespace, '--filename', await write(manifest));
}

async function write(manifest: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-convert-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'manifest.yaml');
  await writeFile(file, manifest);
  return file;
}
