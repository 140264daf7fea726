// CPU and memory of pods, as metrics.k8s.io measures them: one resource out of each pod's usage.

import type { PodUsage } from '../kubernetes/pods.ts';
import type { PodSample } from '../scaling/types.ts';

/** Sums a resource over each pod's containers. A pod with a container that lacks it has no sample, as with the HPA. */
export function samplesOf(resource: string, usage: readonly PodUsage[]): readonly PodSample[] {
  const samples: PodSample[] = [];
  for (const { name, time, windowSeconds, containers } of usage) {
    if (containers.length === 0) continue;
    let valueMilli = 0n;
    let isComplete = true;
    for (const container of containers) {
      const value = container[resource];
      if (value === undefined) isComplete = false;
      else valueMilli += value;
    }
    if (isComplete) samples.push({ pod: name, valueMilli, time, windowSeconds });
  }
  return samples;
}
