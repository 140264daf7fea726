// What an API server hears of a fleet that has nothing to do, and of one that is told to do nothing.

import { afterEach, describe, expect, it } from 'vitest';
import { anAutoscaler, anEmptyShard, aShard, describeScaleWrite, type Shard, START } from '../support/sandbox.ts';

let shard: Shard;
afterEach(() => shard.close());

const TICKS_IN_300_SECONDS = 20;

describe('at rest', () => {
  it('writes nothing for twenty ticks', async () => {
    shard = await aShard({ usagePercent: 40 });
    await shard.ticks(1);
    shard.sandbox.requests.clear();

    const reports = await shard.ticks(20);

    expect(shard.writes).toEqual([]);
    expect(reports.flatMap(({ autoscalers }) => autoscalers.map(({ outcome }) => outcome))).toEqual(
      Array(20).fill('unchanged'),
    );
  });

  it('writes nothing more once a rescale is remembered', async () => {
    shard = await aShard({ usagePercent: 80 });
    await shard.ticks(2);
    const resourceVersions = () =>
      ['FlinkAutoscaler', 'FlinkApplication'].map((kind) => shard.get(kind, 'orders').metadata.resourceVersion);
    await shard.ticks(3);
    const before = resourceVersions();
    shard.sandbox.requests.clear();

    await shard.ticks(10);

    expect(shard.writes).toEqual([]);
    expect(resourceVersions()).toEqual(before);
  });

  it('writes nothing while an error stays the same', async () => {
    shard = await aShard();
    shard.sandbox.store.remove('FlinkApplication', 'flink', 'orders');
    await shard.ticks(1);
    shard.sandbox.requests.clear();

    await shard.ticks(10);

    expect(shard.writes).toEqual([]);
  });

  it('writes nothing while the window holds a larger size', async () => {
    shard = await aShard({ usagePercent: 80 });
    await shard.ticks(3);
    shard.setLoad(20);
    await shard.ticks(3);
    shard.sandbox.requests.clear();

    await shard.ticks(10);

    expect(shard.size()).toBe(4);
    expect(shard.writes).toEqual([]);
  });

  it('writes readings that alone have moved every 300 s at most', async () => {
    shard = await aShard({ usagePercent: 40 });
    await shard.ticks(1);
    shard.sandbox.requests.clear();

    const writeTimes: number[] = [];
    for (let tick = 1; tick <= 3 * TICKS_IN_300_SECONDS; tick += 1) {
      shard.setLoad(40 + (tick % 3));
      await shard.ticks(1);
      for (const { time } of shard.writes) writeTimes.push((time - START) / 1000);
      shard.sandbox.requests.clear();
    }

    expect(writeTimes).toEqual([300, 600, 900]);
    expect(shard.size()).toBe(2);
  });

  it.each([1, 40])('asks five questions a tick for %i autoscalers', async (count) => {
    shard = await anEmptyShard();
    for (let index = 0; index < count; index += 1) shard.add({ name: `orders-${index}`, usagePercent: 40 });
    await shard.ticks(1);
    shard.sandbox.requests.clear();

    const report = await shard.tick();

    expect(report.autoscalers).toHaveLength(count);
    expect(shard.sandbox.requests.map(({ path }) => path).sort()).toEqual([
      '/api/v1/pods',
      '/apis/autoscaling/v2/horizontalpodautoscalers',
      '/apis/flink.k8s.io/v1beta1/flinkapplications',
      '/apis/headrace.dev/v1alpha1/flinkautoscalers',
      '/apis/metrics.k8s.io/v1beta1/pods',
    ]);
  });
});

describe('Events', () => {
  it('tell each rescale once', async () => {
    shard = await aShard({ usagePercent: 80, spec: { controller: { downscaleStabilizationSeconds: 30 } } });
    await shard.ticks(5);
    shard.setLoad(40);
    await shard.ticks(8);

    expect(shard.scaleWrites).toEqual(['orders → 4', 'orders → 2']);
    expect(shard.events()).toEqual(['Normal SuccessfulRescale', 'Normal SuccessfulRescale']);
    expect(shard.eventObjects().map(({ message }) => message)).toEqual([
      expect.stringMatching(/^New size: 4; .*ceil\(2 × 80\/40\) = 4/),
      expect.stringMatching(/^New size: 2; /),
    ]);
  });

  it('warn of an error once, and again when it comes back', async () => {
    shard = await aShard({ usagePercent: 40 });
    const forbid = () => shard.sandbox.faults.add({ kind: 'status', code: 403, path: /\/flinkapplications\?/ });
    await shard.ticks(1);
    const fault = forbid();
    await shard.ticks(5);
    const first = shard.events();
    fault.remove();
    await shard.ticks(2);
    forbid();
    await shard.ticks(5);

    expect(first).toEqual(['Warning FailedGetScale']);
    expect(shard.events()).toEqual(['Warning FailedGetScale', 'Warning FailedGetScale']);
  });

  it.each([403, 500])('do not stand in the way of scaling: refused with %i', async (code) => {
    shard = await aShard();
    shard.sandbox.faults.add({ kind: 'status', code, method: 'POST', path: /\/events/ });

    const [report] = await shard.ticks(1);

    expect(report?.autoscalers).toMatchObject([{ outcome: 'rescaled' }]);
    expect(shard.size()).toBe(4);
    expect(shard.events()).toEqual([]);
  });
});

describe('told to do nothing', () => {
  it('writes nothing at all in a dry run, and says what it would do', async () => {
    shard = await aShard({ isSeeded: false });

    const report = await shard.tick({ dryRun: true });

    expect(report.autoscalers).toMatchObject([
      { decision: { currentReplicas: 2, desiredReplicas: 4, rescale: true }, outcome: 'unchanged' },
    ]);
    expect(shard.writes).toEqual([]);
  });

  it('writes what it advises to status and nothing to the target, not even a first size', async () => {
    shard = await aShard({ isSeeded: false, spec: { mode: 'Advise' } });

    await shard.ticks(3);

    expect(shard.writes.filter(({ path }) => path.includes('flinkapplications'))).toEqual([]);
    expect(shard.status()).toMatchObject({ currentReplicas: 2, desiredReplicas: 4, targets: 'cpu: 80%/40%' });
    expect(shard.conditions()).toContain('Paused True ModeAdvise');
    expect(shard.status().pendingRescale).toBeUndefined();
    expect(shard.events()).toEqual([]);
  });

  it('looks at nothing of a target whose autoscaler is off', async () => {
    shard = await anEmptyShard();
    addDeployment('web', { replicas: 2, usagePercent: 80 });
    shard.sandbox.store.put(anAutoscaler({ name: 'web', spec: { ...ofDeployment('web'), mode: 'Off' } }));

    const report = await shard.tick();

    expect(report.autoscalers).toMatchObject([{ decision: { reason: 'ScalingDisabled', rescale: false } }]);
    expect(shard.conditions('web')).toEqual(['ScalingActive False ScalingDisabled']);
    expect(shard.sandbox.requests.filter(({ path }) => path.includes('apps/v1'))).toEqual([]);
    expect(shard.sandbox.requests.filter(({ method }) => method === 'GET')).toHaveLength(5);
  });

  it.each([
    ['scaleUp', 80, 'ScaleUpPaused'],
    ['scaleDown', 10, 'ScaleDownPaused'],
  ])('keeps the size while %s is paused, and acts when it is no longer', async (direction, usagePercent, reason) => {
    const controller = { downscaleStabilizationSeconds: 0 };
    shard = await aShard({ usagePercent, spec: { pause: { [direction]: true }, controller } });
    await shard.ticks(3);
    const paused = { size: shard.size(), conditions: shard.conditions() };

    shard.sandbox.store.put({ ...shard.get('FlinkAutoscaler', 'orders'), ...resumed(controller) });
    await shard.ticks(1);

    expect(paused.size).toBe(2);
    expect(paused.conditions).toContain(`Paused True ${reason}`);
    expect(shard.conditions()).toContain('Paused False NotPaused');
    expect(shard.size()).toBe(usagePercent === 80 ? 4 : 1);
  });
});

function resumed(controller: object) {
  const { spec = {} } = anAutoscaler({ name: 'orders', spec: { controller } });
  return { spec };
}

describe('what is scaled', () => {
  it('may be a Deployment', async () => {
    shard = await anEmptyShard();
    addDeployment('web', { replicas: 2, usagePercent: 80 });
    shard.sandbox.store.put(anAutoscaler({ name: 'web', spec: ofDeployment('web') }));

    const [report] = await shard.ticks(1);

    expect(report?.autoscalers).toMatchObject([{ target: 'Deployment/web', outcome: 'rescaled' }]);
    expect(shard.get('Deployment', 'web').spec?.replicas).toBe(4);
    expect(shard.scaleWrites).toEqual(['web → 4']);
  });

  it('is in the namespaces of the shard and in no others', async () => {
    shard = await anEmptyShard();
    for (const namespace of ['team-a', 'team-b', 'team-c']) shard.add({ namespace });

    const report = await shard.tick({ namespaces: ['team-a', 'team-c'] });

    expect(report.autoscalers.map(({ namespace }) => namespace).sort()).toEqual(['team-a', 'team-c']);
    expect(['team-a', 'team-b', 'team-c'].map((namespace) => shard.size('orders', namespace))).toEqual([4, 2, 4]);
    expect(shard.sandbox.requests.every(({ path }) => /\/namespaces\/team-[ac]\//.test(path))).toBe(true);
  });

  it('is every application that needs it, whatever their number', async () => {
    shard = await anEmptyShard();
    for (let index = 0; index < 40; index += 1)
      shard.add({ name: `orders-${index}`, usagePercent: index % 2 === 0 ? 80 : 40 });

    await shard.ticks(1);

    const scaled = shard.writes.filter(({ path }) => path.endsWith('/scale')).map(describeScaleWrite);
    expect(scaled.sort()).toEqual(Array.from({ length: 20 }, (_, index) => `orders-${2 * index} → 4`).sort());
  });
});

function ofDeployment(name: string) {
  return { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name } };
}

/** A Deployment and its pods, each of which requests one CPU. */
function addDeployment(name: string, { replicas, usagePercent }: { replicas: number; usagePercent: number }): void {
  const { store, clock } = shard.sandbox;
  const labels = { app: name };
  store.put({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: 'flink', name },
    spec: { replicas, selector: { matchLabels: labels } },
    status: { replicas },
  });
  const anHourAgo = new Date(clock.now() - 3_600_000).toISOString();
  for (let index = 0; index < replicas; index += 1) {
    store.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'flink', name: `${name}-${index}`, labels },
      spec: { containers: [{ name: 'main', resources: { requests: { cpu: '1' } } }] },
      status: {
        phase: 'Running',
        startTime: anHourAgo,
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: anHourAgo }],
      },
    });
    shard.sandbox.setUsage({ namespace: 'flink', name: `${name}-${index}`, cpuMilli: usagePercent * 10 });
  }
}
