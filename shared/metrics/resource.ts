// CPU and memory of pods, as metrics.k8s.io measures them: one resource out of each pod's usage.

import type { PodUsage } from '../kubernetes/pods.ts';
import type { PodSample } from '../scaling/types.ts';

/** Sums a resource over each pod's containers. A pod with a container that lacks it has no sample, as with the HPA. */
export function samplesOf(resource: string, usage: readonly PodUsage[], container?: string): readonly PodSample[] {
  const samples: PodSample[] = [];
  for (const { name: pod, time, windowSeconds, containers } of usage) {
    const counted = container === undefined ? containers : containers.filter(({ name }) => name === container);
    if (counted.length === 0) continue;
    let valueMilli = 0n;
    let isComplete = true;
    for (const { usageMilli } of counted) {
      const value = usageMilli[resource];
      if (value === undefined) isComplete = false;
      else valueMilli += value;
    }
    if (isComplete) samples.push({ pod, valueMilli, time, windowSeconds });
  }
  return samples;
}
