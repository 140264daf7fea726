// One source, one namespace, one object that is broken or slow: what must go on, and what must never be taken for zero.

import { afterEach, describe, expect, it } from 'vitest';
import { propose } from '../../shared/scaling/propose.ts';
import { anAutoscalerSpec, aScale, NOW, seconds } from '../support/builders.ts';
import { aShard, type Shard } from '../support/sandbox.ts';

let shard: Shard;
afterEach(() => shard?.close());

describe('a source that hangs', () => {
  it('is unknown before the function would be killed, and what needs no metric is done', async () => {
    shard = await aShard({ usagePercent: 80 });
    shard.add({ name: 'crowded', usagePercent: 40, taskManagers: 4, spec: { maxReplicas: 3 } });
    shard.sandbox.faults.add({ kind: 'hang', path: /metrics\.k8s\.io/ });

    await shard.tick();

    expect(shard.conditions('orders')).toContain('ScalingActive False FailedGetResourceMetric');
    expect(shard.size('crowded')).toBe(3);
  });
});

describe('a namespace that cannot be read', () => {
  it('stops no other', async () => {
    shard = await aShard({ usagePercent: 80 });
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /namespaces\/closed\// });

    await shard.tick({ namespaces: ['flink', 'closed'] });

    expect(shard.size()).toBe(4);
  });

  it('fails the tick where none can be read', async () => {
    shard = await aShard({ usagePercent: 80 });
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /namespaces\// });

    await expect(shard.tick({ namespaces: ['flink', 'closed'] })).rejects.toThrow(
      'reading the FlinkAutoscalers of flink: GET',
    );
  });
});

describe('a broken FlinkAutoscaler with the same target', () => {
  it('is in nobody’s way: it never writes', async () => {
    shard = await aShard({ usagePercent: 80 });
    shard.addAutoscaler({ name: 'broken', spec: { maxReplicas: 0 } });

    await shard.tick();

    expect(shard.size()).toBe(4);
    expect(shard.conditions('broken')).toEqual(['ScalingActive False InvalidSpec']);
  });
});

describe('an edit of parallelism', () => {
  it('never asks for more than maxReplicas, not even for a moment', async () => {
    shard = await aShard({ usagePercent: 40 });
    await shard.ticks(1);
    const sizes = shard.watchSize();
    shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism: 200 } }));

    await shard.ticks(1);

    expect(Math.max(...sizes.map((size) => size ?? 0))).toBeLessThanOrEqual(20);
  });

  it('leaves the size that stands on show while Headrace only advises', async () => {
    shard = await aShard({ usagePercent: 40, taskManagers: 3 });
    await shard.ticks(1);
    shard.change('FlinkAutoscaler', 'orders', ({ spec }) => ({ spec: { ...spec, mode: 'Advise' } }));
    shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism: 16 } }));

    await shard.ticks(1);

    expect(shard.status().currentReplicas).toBe(3);
  });
});

describe('a sum of which a part is too old', () => {
  it('is unknown, not smaller', () => {
    const metric = {
      type: 'External',
      metric: { name: 'lag', labelSelector: '' },
      target: { type: 'AverageValue', averageValueMilli: 1000n },
    } as const;
    const samples = [10, 400, 400].map((age) => ({ valueMilli: 1000n, time: NOW - seconds(age) }));
    const { settings } = anAutoscalerSpec();
    const tolerance = { scaleUp: 0.1, scaleDown: 0.1 };

    const proposal = propose({
      metric,
      scale: aScale({ replicas: 3, statusReplicas: 3 }),
      pods: { value: [] },
      samples: { value: samples },
      settings,
      tolerance,
      now: NOW,
    });

    expect(proposal).toMatchObject({
      reason: 'FailedGetExternalMetric',
      message: expect.stringContaining('2 of 3 samples'),
    });
  });
});
