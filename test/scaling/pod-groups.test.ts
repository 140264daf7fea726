// The peer's own table of groups runs in peer-cases.test.ts; here are the edges of each rule.

import { describe, expect, it } from 'vitest';
import { groupPods } from '../../shared/scaling/pod-groups.ts';
import type { Pod, PodSample } from '../../shared/scaling/types.ts';
import { aPod, aPodSample, NOW, seconds, someSettings } from '../support/builders.ts';

const settings = someSettings({ cpuInitializationPeriodSeconds: 300, initialReadinessDelaySeconds: 30 });

interface Row {
  readonly name: string;
  readonly pod: Partial<Pod>;
  readonly sample?: Partial<PodSample>;
  readonly cpu: Group;
  readonly memory: Group;
}

type Group = 'ready' | 'unready' | 'missing' | 'ignored';

const startedAgo = (age: number) => ({ startTime: NOW - seconds(age) });
const readySince = (age: number, status = 'True') => ({
  ready: { status, lastTransitionTime: NOW - seconds(age) },
});
const sampledAgo = (age: number) => ({ time: NOW - seconds(age), windowSeconds: 15 });

const rows: Row[] = [
  { name: 'a running, ready pod with a sample', pod: {}, sample: {}, cpu: 'ready', memory: 'ready' },
  { name: 'a running pod without a sample', pod: {}, cpu: 'missing', memory: 'missing' },
  { name: 'a failed pod', pod: { phase: 'Failed' }, sample: {}, cpu: 'ignored', memory: 'ignored' },
  { name: 'a pod on its way out', pod: { isDeleting: true }, sample: {}, cpu: 'ignored', memory: 'ignored' },
  { name: 'a pending pod', pod: { phase: 'Pending' }, sample: {}, cpu: 'unready', memory: 'unready' },
  { name: 'a pending pod without a sample', pod: { phase: 'Pending' }, cpu: 'unready', memory: 'unready' },
  {
    name: 'a pending pod on its way out',
    pod: { phase: 'Pending', isDeleting: true },
    cpu: 'ignored',
    memory: 'ignored',
  },
  { name: 'a succeeded pod with a sample', pod: { phase: 'Succeeded' }, sample: {}, cpu: 'ready', memory: 'ready' },
  {
    name: 'a young pod that was ready before its sample began',
    pod: { ...startedAgo(100), ...readySince(25) },
    sample: sampledAgo(10),
    cpu: 'ready',
    memory: 'ready',
  },
  {
    name: 'a young pod whose sample reaches back before it was ready',
    pod: { ...startedAgo(100), ...readySince(24) },
    sample: sampledAgo(10),
    cpu: 'unready',
    memory: 'ready',
  },
  {
    name: 'a young pod that is not ready',
    pod: { ...startedAgo(100), ...readySince(60, 'False') },
    sample: sampledAgo(10),
    cpu: 'unready',
    memory: 'ready',
  },
  {
    name: 'a young pod whose readiness is unknown',
    pod: { ...startedAgo(100), ...readySince(60, 'Unknown') },
    sample: sampledAgo(10),
    cpu: 'ready',
    memory: 'ready',
  },
  {
    name: 'a pod that has just left its initialization period, with an old sample',
    pod: { ...startedAgo(300), ...readySince(5) },
    sample: sampledAgo(10),
    cpu: 'ready',
    memory: 'ready',
  },
  {
    name: 'an old pod that has never been ready',
    pod: { ...startedAgo(400), ...readySince(371, 'False') },
    sample: sampledAgo(10),
    cpu: 'unready',
    memory: 'ready',
  },
  {
    name: 'an old pod that was ready once and is not now',
    pod: { ...startedAgo(400), ...readySince(370, 'False') },
    sample: sampledAgo(10),
    cpu: 'ready',
    memory: 'ready',
  },
  {
    name: 'a pod in the last millisecond of its initialization period, with an old sample',
    pod: { startTime: NOW - 299_999, ...readySince(5) },
    sample: sampledAgo(10),
    cpu: 'unready',
    memory: 'ready',
  },
  {
    name: 'a young pod whose sample reaches back a millisecond before it was ready',
    pod: { ...startedAgo(100), ...readySince(25) },
    sample: { time: NOW - 10_001, windowSeconds: 15 },
    cpu: 'unready',
    memory: 'ready',
  },
  {
    name: 'an old pod that became unready a millisecond before it could have been ready',
    pod: { ...startedAgo(400), ready: { status: 'False', lastTransitionTime: NOW - seconds(400) + 29_999 } },
    sample: sampledAgo(10),
    cpu: 'unready',
    memory: 'ready',
  },
];

describe('groupPods', () => {
  it.each(rows)('counts $name as $cpu by cpu, as $memory by memory', ({ pod, sample, cpu, memory }) => {
    expect(groupOf(pod, sample, true)).toBe(cpu);
    expect(groupOf(pod, sample, false)).toBe(memory);
  });

  it('counts a pod without a Ready condition as unready by cpu alone', () => {
    const { ready: _, ...unjudged } = aPod();

    expect(groupOfPod(unjudged, aPodSample(), true)).toBe('unready');
    expect(groupOfPod(unjudged, aPodSample(), false)).toBe('ready');
  });

  it('counts a pod without a start time as unready by cpu alone', () => {
    const { startTime: _, ...unstarted } = aPod();

    expect(groupOfPod(unstarted, aPodSample(), true)).toBe('unready');
    expect(groupOfPod(unstarted, aPodSample(), false)).toBe('ready');
  });
});

function groupOf(pod: Partial<Pod>, sample: Partial<PodSample> | undefined, isCpu: boolean): Group {
  return groupOfPod(aPod(pod), sample && aPodSample(sample), isCpu);
}

function groupOfPod(pod: Pod, sample: PodSample | undefined, isCpu: boolean): Group {
  const samples = new Map(sample === undefined ? [] : [[pod.name, sample]]);
  const groups = groupPods({ pods: [pod], samples, isCpu, settings, now: NOW });
  const sets = (['unready', 'missing', 'ignored'] as const).filter((group) => groups[group].has(pod.name));
  expect(sets.length + groups.readyCount).toBe(1);
  return sets[0] ?? 'ready';
}
