// Our FlinkApplication under the real HorizontalPodAutoscaler controller, without Headrace and beside it.
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { type Bench, openScene, type Scene } from './scene.ts';

const example = join(import.meta.dirname, '..', '..', 'infra', 'kubernetes', 'examples', 'hpa');

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

describe('the example with a HorizontalPodAutoscaler', () => {
  it('is brought to 4 TaskManagers by the HPA controller alone', async () => {
    const since = Date.now();

    await applyExample();
    await scene.runTaskManagers({ taskManagers: 2, cpu: '800m' });

    await eventually('4 replicas', async () => (await scene.replicas()) === 4);
    expect(await scene.writes(since)).toEqual([]);
  });
});

describe('an application with two autoscalers', () => {
  it('is left to the HorizontalPodAutoscaler, which is named', async () => {
    await applyExample();
    await scene.runTaskManagers({ taskManagers: 2, cpu: '800m' });
    await scene.addAutoscaler('orders');
    const since = Date.now();

    await scene.tick();
    await scene.tick();

    await eventually('4 replicas', async () => (await scene.replicas()) === 4);
    expect(await scene.writes(since)).not.toContain('patch flinkapplications/scale');
    expect(await scene.conditions()).toEqual([
      'AbleToScale=True/SucceededGetScale',
      'ScalingActive=False/AmbiguousSelector',
    ]);
    expect(await scene.message('ScalingActive')).toBe(
      'FlinkApplication orders is also the target of HorizontalPodAutoscaler orders: remove one of them',
    );
    expect(await scene.events()).toEqual(['Warning AmbiguousSelector']);
  });

  it('is scaled by Headrace as soon as the HorizontalPodAutoscaler is gone', async () => {
    await applyExample();
    await scene.addAutoscaler('orders');
    await scene.runTaskManagers({ taskManagers: 2, cpu: '400m' });
    await scene.tick();
    const whileBoth = await scene.conditions();

    await bench.controlPlane.kubectl('delete', 'hpa', 'orders', '--namespace', scene.namespace);
    scene.setUsage('800m');
    await scene.tick();

    expect(whileBoth).toContain('ScalingActive=False/AmbiguousSelector');
    expect(await scene.conditions()).toContain('ScalingActive=True/ValidMetricFound');
    expect(await scene.replicas()).toBe(4);
  });

  it('is not given its first size by Headrace either', async () => {
    await applyExample();
    await scene.addAutoscaler('orders');
    await scene.edit({ taskManagerConfig: { replicas: null } });
    const since = Date.now();

    await scene.tick();

    expect(await scene.writes(since)).toEqual(['patch flinkautoscalers/status', 'create events']);
    expect(await scene.conditions()).toContain('ScalingActive=False/AmbiguousSelector');
  });
});

async function applyExample(): Promise<void> {
  await bench.controlPlane.kubectl('apply', '-k', example, '--namespace', scene.namespace);
}
