// The main job on a real API server: the function, with the role's rights and nothing more.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { effectiveParallelism } from '../../shared/deployment/parallelism.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { applicationPath } from './bench/workloads.ts';
import {
  type Bench,
  describeRequest,
  headraceWrites,
  openScene,
  rescaledConditions,
  type Scene,
  startScaleCheck,
  stopScaleCheck,
} from './scene.ts';

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

describe('scale-check', () => {
  beforeAll(async () => {
    // It looks at every namespace, and other tests have left theirs.
    await bench.controlPlane.kubectl('delete', 'flinkautoscalers', '--all', '--all-namespaces');
  });

  afterAll(stopScaleCheck);

  it('makes 4 of 2 TaskManagers at 80 % of their request against 40 %, then leaves the scale alone, then everything', async () => {
    const { controlPlane } = bench;
    await scene.add({ taskManagers: 2, cpu: '800m' });
    const invoke = await startScaleCheck(controlPlane);
    const writesOf = async (invocation: () => Promise<void>) => {
      const since = Date.now();
      await invocation();
      return (await headraceWrites(controlPlane, since)).map(describeRequest);
    };

    const first = await writesOf(invoke);

    expect(first).toEqual([
      // Its first size, derived from parallelism, and from what it was derived.
      'patch flinkapplications/status',
      'patch flinkapplications/scale',
      // The decision before the deed.
      'patch flinkautoscalers/status',
      'patch flinkapplications/scale',
      'create events',
    ]);
    expect(await scene.replicas()).toBe(4);
    expect(await scene.conditions()).toEqual(rescaledConditions);
    expect(await scene.events()).toEqual(['Normal SuccessfulRescale']);
    expect(await printedRow()).toMatchObject({
      NAME: 'orders',
      REFERENCE: 'orders',
      TARGETS: 'cpu: 80%/40%',
      MINPODS: '1',
      MAXPODS: '20',
      REPLICAS: '2',
    });

    await scene.runTaskManagers({ taskManagers: 4, cpu: '400m' });
    const second = await writesOf(invoke);

    expect(second).toEqual(['patch flinkautoscalers/status']);
    expect(await scene.replicas()).toBe(4);

    const before = await versions();
    const third = await writesOf(invoke);

    expect(third).toEqual([]);
    expect(await versions()).toEqual(before);
  });

  async function versions() {
    const [application, autoscaler] = await Promise.all([scene.application(), scene.autoscaler()]);
    return [application.metadata.resourceVersion, autoscaler.metadata.resourceVersion];
  }

  /** What `kubectl get fas` prints of the autoscaler, by column. */
  async function printedRow(): Promise<Record<string, string>> {
    const printed = await bench.controlPlane.kubectl('get', 'fas', '--namespace', scene.namespace);
    const [columns = [], cells = []] = printed.split('\n').map((line) => line.trim().split(/ {2,}/));
    return Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? '']));
  }
});

describe('a FlinkApplication without replicas', () => {
  it('is given the size that its parallelism needs when it is first seen as a target', async () => {
    const { admin } = bench.controlPlane;
    await scene.add({ parallelism: 3, taskSlots: 2, taskManagers: 2, cpu: '400m' });
    const path = `${applicationPath({ namespace: scene.namespace, name: 'orders' })}/scale`;
    const before = await admin.request('GET', path);

    await scene.tick();

    expect(before.status).toBe(500);
    expect(await sizing()).toEqual({ replicas: 2, scaleBasis: { parallelism: 3, taskSlots: 2 } });
    expect(effectiveParallelism({ parallelism: 3, taskSlots: 2, replicas: 2 })).toBe(3);
    expect(await admin.send('GET', path)).toMatchObject({ spec: { replicas: 2 } });
  });

  it('follows a later edit of its parallelism', async () => {
    await scene.add({ parallelism: 3, taskSlots: 2, taskManagers: 2, cpu: '400m' });
    await scene.tick();

    await scene.edit({ parallelism: 8 });
    await scene.runTaskManagers({ taskManagers: 4, cpu: '400m' });
    await scene.tick();

    expect(await sizing()).toEqual({ replicas: 4, scaleBasis: { parallelism: 8, taskSlots: 2 } });
  });

  it('follows a later edit that makes it smaller', async () => {
    await scene.add({ parallelism: 8, taskSlots: 2, taskManagers: 4, cpu: '400m' });
    await scene.tick();

    await scene.edit({ parallelism: 4 });
    await scene.runTaskManagers({ taskManagers: 2, cpu: '400m' });
    await scene.tick();

    expect(await sizing()).toEqual({ replicas: 2, scaleBasis: { parallelism: 4, taskSlots: 2 } });
  });

  it('follows a later edit of its taskSlots', async () => {
    await scene.add({ parallelism: 3, taskSlots: 2, taskManagers: 2, cpu: '400m' });
    await scene.tick();

    await scene.edit({ taskManagerConfig: { taskSlots: 1 } });
    await scene.runTaskManagers({ taskManagers: 3, cpu: '400m' });
    await scene.tick();

    expect(await sizing()).toEqual({ replicas: 3, scaleBasis: { parallelism: 3, taskSlots: 1 } });
  });

  it('keeps the size that a user gives it with kubectl scale', async () => {
    await scene.add({ parallelism: 3, taskSlots: 2, taskManagers: 2, cpu: '400m' });
    await scene.tick();

    await bench.controlPlane.kubectl('scale', 'flinkapp', 'orders', '--replicas=5', '--namespace', scene.namespace);
    await scene.runTaskManagers({ taskManagers: 5, cpu: '400m' });
    await scene.tick();
    await scene.tick();

    expect(await sizing()).toEqual({ replicas: 5, scaleBasis: { parallelism: 3, taskSlots: 2 } });
  });

  async function sizing() {
    const { spec, status } = await scene.application();
    return { replicas: spec.taskManagerConfig?.replicas, scaleBasis: status?.scaleBasis };
  }
});
