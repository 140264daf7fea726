import { describe, expect, it } from 'vitest';
import type { ContainerUsage, PodUsage } from '../../shared/kubernetes/pods.ts';
import { samplesOf } from '../../shared/metrics/resource.ts';

function aPod(name: string, containers: readonly ContainerUsage[]): PodUsage {
  return { namespace: 'flink', name, labels: {}, time: 1000, windowSeconds: 15, containers };
}

const busy = { name: 'taskmanager', usageMilli: { cpu: 800n, memory: 5n } };
const sidecar = { name: 'log', usageMilli: { cpu: 50n } };

describe('the samples of a resource', () => {
  it('are the sums over the containers of each pod', () => {
    expect(samplesOf('cpu', [aPod('a', [busy, sidecar])])).toEqual([
      { pod: 'a', valueMilli: 850n, time: 1000, windowSeconds: 15 },
    ]);
  });

  it('leave out a pod with a container that lacks the resource', () => {
    expect(samplesOf('memory', [aPod('a', [busy, sidecar]), aPod('b', [busy])]).map(({ pod }) => pod)).toEqual(['b']);
  });

  it('leave out a pod without containers', () => {
    expect(samplesOf('cpu', [aPod('a', [])])).toEqual([]);
  });
});

describe('the samples of a resource of one container', () => {
  it('are those of that container alone', () => {
    expect(samplesOf('cpu', [aPod('a', [busy, sidecar])], 'log').map(({ valueMilli }) => valueMilli)).toEqual([50n]);
  });

  it('leave out a pod that does not have the container, or its resource', () => {
    expect(samplesOf('memory', [aPod('a', [busy]), aPod('b', [busy, sidecar])], 'log')).toEqual([]);
  });
});
