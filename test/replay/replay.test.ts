import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeSnapshot, type ReplayAnswer } from '../../shared/replay/judge.ts';
import { createReplay, type Unjudged } from '../../shared/replay/replay.ts';
import { aSnapshot, snapshotCases } from '../support/snapshots.ts';

describe('a snapshot', () => {
  it('is judged the same however often', () => {
    for (const { snapshot } of snapshotCases) expect(judgeSnapshot(snapshot)).toEqual(judgeSnapshot(snapshot));
  });

  it('is not changed by being judged', () => {
    for (const { snapshot } of snapshotCases) {
      const before = JSON.stringify(snapshot);
      judgeSnapshot(snapshot);
      expect(JSON.stringify(snapshot)).toBe(before);
    }
  });

  it('answers in the keys and the order that are promised', () => {
    expect(Object.keys(judgeSnapshot(aSnapshot()))).toEqual([
      ...['name', 'currentReplicas', 'desiredReplicas', 'rescale', 'reason', 'message', 'conditions', 'currentMetrics'],
      ...['error', 'status'],
    ]);
  });

  it('tells the arithmetic', () => {
    expect(judgeSnapshot(aSnapshot({ replicas: 2, cpuPercent: 80 }))).toMatchObject({
      name: 'orders',
      currentReplicas: 2,
      desiredReplicas: 4,
      rescale: true,
      reason: 'SuccessfulRescale',
      message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
      error: null,
    });
  });

  it('of a target that is being deployed is held', () => {
    const answer = judgeSnapshot({ ...aSnapshot(), phase: 'Updating' });

    expect(answer).toMatchObject({ desiredReplicas: 2, rescale: false, reason: 'DeploymentInProgress' });
    expect(judgeSnapshot({ ...aSnapshot(), phase: 'Running' })).toEqual(judgeSnapshot(aSnapshot()));
  });

  it('of a target whose job has ended is held, as a tick does', () => {
    const ended = { type: 'JobRunning', status: 'False', reason: 'JobFinished', message: 'Job 7 has finished' };

    expect(judgeSnapshot({ ...aSnapshot(), phase: 'Running', targetConditions: [ended] })).toMatchObject({
      desiredReplicas: 2,
      rescale: false,
      reason: 'JobNotRunning',
      message: expect.stringContaining('Job 7 has finished'),
      error: null,
    });
  });

  it('of a target that has another autoscaler stands still, unless it only advises', () => {
    const rivals = ['HorizontalPodAutoscaler orders'];

    expect(judgeSnapshot({ ...aSnapshot(), rivals })).toMatchObject({
      rescale: false,
      reason: 'AmbiguousSelector',
      error: expect.stringContaining('HorizontalPodAutoscaler orders'),
    });
    expect(judgeSnapshot({ ...aSnapshot(), failures: { rivals: '403 Forbidden' } })).toMatchObject({
      rescale: false,
      reason: 'FailedGetAutoscalers',
      error: expect.stringContaining('403 Forbidden'),
    });
    expect(judgeSnapshot({ ...aSnapshot({ spec: { mode: 'Advise' } }), rivals })).toMatchObject({
      desiredReplicas: 4,
      reason: 'ModeAdvise',
    });
  });

  it('whose pods another autoscaler picks too stands still and names it', () => {
    const other = {
      kind: 'FlinkAutoscaler',
      metadata: { namespace: 'flink', name: 'payments' },
      selector: 'app in (orders)',
    };

    const answer = judgeSnapshot({ ...aSnapshot(), otherAutoscalers: [other] });

    expect(answer).toMatchObject({
      reason: 'AmbiguousSelector',
      error: expect.stringContaining('FlinkAutoscaler payments'),
    });
    expect(
      judgeSnapshot({ ...aSnapshot(), otherAutoscalers: [{ ...other, metadata: { namespace: 'other', name: 'x' } }] }),
    ).toEqual(judgeSnapshot(aSnapshot()));
  });

  it('whose metrics failed one by one tells each its own failure', () => {
    const metrics = ['a', 'b'].map((name) => ({
      type: 'External',
      external: { metric: { name }, target: { type: 'Value', value: '1' } },
    }));
    const externalMetrics = [{ metricName: 'a', value: '3', timestamp: '2026-03-01T12:00:00Z' }];

    const answer = judgeSnapshot({
      ...aSnapshot({ spec: { metrics } }),
      externalMetrics,
      failures: { metrics: { 1: 'b is out of order' } },
    });

    expect(answer).toMatchObject({ desiredReplicas: 4, error: expect.stringContaining('b is out of order') });
    expect(answer.currentMetrics).toMatchObject([{ type: 'External' }, { type: '' }]);
  });

  it('tells values of one name apart by the selector with which they were asked for', () => {
    const metrics = ['left', 'right'].map((side) => ({
      type: 'External',
      external: {
        metric: { name: 'lag', selector: { matchLabels: { side } } },
        target: { type: 'AverageValue', averageValue: '10' },
      },
    }));
    const value = (metricSelector: string, value: string) => ({
      ...{ metricName: 'lag', metricSelector, value, timestamp: '2026-03-01T12:00:00Z' },
    });
    const externalMetrics = [value('side=left', '20'), value('side=right', '25'), value('side=right', '5')];

    const answer = judgeSnapshot({ ...aSnapshot({ spec: { metrics } }), externalMetrics });

    expect(answer.currentMetrics).toMatchObject([
      { external: { current: { averageValue: '10' } } },
      { external: { current: { averageValue: '15' } } },
    ]);
    expect(answer.desiredReplicas).toBe(3);
  });
});

describe('with carry', () => {
  it('an autoscaler goes on from what its previous snapshot left', () => {
    const replay = createReplay({ carry: true });

    replay(aSnapshot({ seconds: 0, replicas: 4, cpuPercent: 40 }));
    const held = replay(aSnapshot({ seconds: 15, replicas: 4, cpuPercent: 20 }));
    const alone = createReplay()(
      aSnapshot({ seconds: 15, replicas: 4, cpuPercent: 20, status: { recommendations: [] } }),
    );

    expect(held).toMatchObject({ desiredReplicas: 4, reason: 'ScaleDownStabilized' });
    expect(alone).toMatchObject({ desiredReplicas: 2, rescale: true });
  });

  it('autoscalers of another name, namespace or kind do not meet', () => {
    const replay = createReplay({ carry: true });
    const shrinking = aSnapshot({ seconds: 15, replicas: 4, cpuPercent: 20, status: { recommendations: [] } });
    const inNamespace = (namespace: string) => ({
      ...shrinking,
      autoscaler: { ...shrinking.autoscaler, metadata: { namespace, name: 'orders' } },
      pods: (shrinking.pods as { metadata: object }[]).map((pod) => ({
        ...pod,
        metadata: { ...pod.metadata, namespace },
      })),
      podMetrics: (shrinking.podMetrics as { metadata: object }[]).map((usage) => ({
        ...usage,
        metadata: { ...usage.metadata, namespace },
      })),
    });
    const ofKind = {
      ...shrinking,
      autoscaler: { ...shrinking.autoscaler, apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
    };

    replay(aSnapshot({ seconds: 0, replicas: 4, cpuPercent: 40 }));

    for (const other of [
      inNamespace('other'),
      ofKind,
      {
        ...aSnapshot({
          ...{ name: 'payments', seconds: 15 },
          replicas: 4,
          cpuPercent: 20,
          status: { recommendations: [] },
        }),
      },
    ])
      expect(replay(other)).toMatchObject({ desiredReplicas: 2, rescale: true });
  });

  it('a snapshot that cannot be read changes nothing for the next', () => {
    const replay = createReplay({ carry: true });

    replay(aSnapshot({ seconds: 0, replicas: 4, cpuPercent: 40 }));
    const broken = replay({ ...aSnapshot({ seconds: 15 }), now: 'noon' });
    const next = replay(aSnapshot({ seconds: 30, replicas: 4, cpuPercent: 20 }));

    expect(broken).toEqual({ name: 'orders', invalid: [{ path: 'now', message: 'must be an RFC 3339 time' }] });
    expect(next).toMatchObject({ desiredReplicas: 4, reason: 'ScaleDownStabilized' });
  });

  it('a restart in mid-window changes nothing: the status alone, through JSON, is the history', () => {
    const loads = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 2, maxLength: 60 });
    const behaviors = fc.constantFrom(
      {},
      {
        behavior: {
          scaleDown: { stabilizationWindowSeconds: 100, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
        },
      },
      { behavior: { scaleUp: { stabilizationWindowSeconds: 45 } } },
    );
    fc.assert(
      fc.property(loads, behaviors, fc.nat(), (percents, spec, restart) => {
        const continuous = follow(percents, spec);
        const restarted = follow(percents, spec, restart % percents.length);

        expect(restarted).toEqual(continuous);
      }),
      { numRuns: 200 },
    );
  });

  it('decides as one list of all recommendations does', () => {
    const loads = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 2, maxLength: 80 });
    fc.assert(
      fc.property(loads, (percents) => {
        const sizes = follow(percents, {}).map(({ desiredReplicas }) => desiredReplicas);

        expect(sizes).toEqual(followWithFullHistory(percents));
      }),
      { numRuns: 200 },
    );
  });
});

/** Ticks every 15 s over a target that does what it is told; before tick `restart` everything but the last answer is forgotten. */
function follow(percents: readonly number[], spec: object, restart?: number): ReplayAnswer[] {
  let replay = createReplay({ carry: true });
  let replicas = 4;
  let left: object | undefined;
  return percents.map((percent, tick) => {
    const options = { seconds: tick * 15, replicas, cpuPercent: percent, spec };
    if (tick === restart) {
      replay = createReplay({ carry: true });
      if (left !== undefined) Object.assign(options, { status: JSON.parse(JSON.stringify(left)) });
    }
    const answer = judged(replay(aSnapshot(options)));
    left = answer.status;
    replicas = answer.rescale ? (answer.desiredReplicas ?? replicas) : replicas;
    return answer;
  });
}

/** The same ticks as the HPA reckons without `behavior`, with every recommendation of every tick in one list. */
function followWithFullHistory(percents: readonly number[]): number[] {
  const recommended = [{ replicas: 4, tick: -1 }];
  let replicas = 4;
  return percents.map((percent, tick) => {
    const ratio = percent / 40;
    const proposed = ratio >= 0.9 && ratio <= 1.1 ? replicas : Math.ceil(ratio * replicas);
    recommended.push({ replicas: proposed, tick });
    const within = recommended.filter((entry) => (tick - entry.tick) * 15 <= 300);
    const stabilized = Math.max(...within.map((entry) => entry.replicas));
    replicas = Math.max(1, Math.min(stabilized, 20, Math.max(2 * replicas, 4)));
    return replicas;
  });
}

function judged(answer: ReplayAnswer | Unjudged): ReplayAnswer {
  if ('invalid' in answer) throw new TypeError(JSON.stringify(answer.invalid));
  return answer;
}
