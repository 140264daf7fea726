// Which pods count: the HPA's four groups, first rule that fits.

import type { Pod, PodSample, Settings } from './types.ts';

export interface PodGroups {
  /** Counted with their sample. */
  readonly readyCount: number;
  /** Running, but their CPU says nothing yet; counted as idle when growing. */
  readonly unready: ReadonlySet<string>;
  /** No sample; counted as idle when growing and as fully used when shrinking. */
  readonly missing: ReadonlySet<string>;
  /** Failed or on their way out: as if they were not there. */
  readonly ignored: ReadonlySet<string>;
}

export interface PodGroupingInput {
  readonly pods: readonly Pod[];
  readonly samples: ReadonlyMap<string, PodSample>;
  /** Readiness matters for CPU alone: start-up burns CPU, while memory is in use from the first moment. */
  readonly isCpu: boolean;
  readonly settings: Settings;
  readonly now: number;
}

/** Splits pods as the HPA does (replica_calculator.go, groupPods). */
export function groupPods({ pods, samples, isCpu, settings, now }: PodGroupingInput): PodGroups {
  const { ignoredPodPhases = ['Failed'] } = settings;
  const unready = new Set<string>();
  const missing = new Set<string>();
  const ignored = new Set<string>();
  let readyCount = 0;
  for (const pod of pods) {
    const sample = samples.get(pod.name);
    if (pod.isDeleting || ignoredPodPhases.includes(pod.phase)) ignored.add(pod.name);
    else if (pod.phase === 'Pending') unready.add(pod.name);
    else if (sample === undefined) missing.add(pod.name);
    else if (isCpu && isCpuMeaningless(pod, sample, settings, now)) unready.add(pod.name);
    else readyCount += 1;
  }
  return { readyCount, unready, missing, ignored };
}

function isCpuMeaningless(pod: Pod, sample: PodSample, settings: Settings, now: number): boolean {
  const { ready, startTime } = pod;
  if (ready === undefined || startTime === undefined) return true;

  const isYoung = startTime + settings.cpuInitializationPeriodSeconds * 1000 > now;
  if (isYoung) {
    // A sample that reaches back before the pod became ready still contains its start.
    const measuredWhileStarting = sample.time < ready.lastTransitionTime + sample.windowSeconds * 1000;
    return ready.status === 'False' || measuredWhileStarting;
  }
  const hasNeverBeenReady = startTime + settings.initialReadinessDelaySeconds * 1000 > ready.lastTransitionTime;
  return ready.status === 'False' && hasNeverBeenReady;
}
