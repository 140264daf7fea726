// How many replicas one metric asks for: which arithmetic answers for which metric.

import { type Proposal, type ProposalInput, unknownOf } from './proposal.ts';
import { proposeFromPods } from './propose-from-pods.ts';
import { proposeFromValue } from './propose-from-value.ts';
import type { PodSample, Reading, Sample } from './types.ts';

/** Asks one metric. A sample older than settings.maxSampleAgeSeconds counts as if it were not there. */
export function propose(input: ProposalInput): Proposal {
  const { metric } = input;
  const samples = withoutStale(input);
  switch (metric.type) {
    case 'Resource':
    case 'ContainerResource':
    case 'Pods':
      return proposeFromPods({ ...input, metric, samples: samples as Reading<readonly PodSample[]> });
    case 'Object':
    case 'External':
      return proposeFromValue({ ...input, metric, samples });
    case 'Unsupported':
      return { reason: metric.reason, message: metric.message, seenAndWanted: unknownOf(metric) };
    default:
      throw metric satisfies never;
  }
}

/**
 * Leaves out pods' samples that are too old: such a pod counts as one without a sample. A number that is a sum has no such
 * way out: without one of its series it would be too small, so a stale one makes all of it unknown.
 */
function withoutStale({ metric, samples, settings, now }: ProposalInput): Reading<readonly Sample[]> {
  const { maxSampleAgeSeconds } = settings;
  if (maxSampleAgeSeconds === undefined || 'unreadable' in samples) return samples;
  const fresh = samples.value.filter(({ time }) => time >= now - maxSampleAgeSeconds * 1000);
  const staleCount = samples.value.length - fresh.length;
  const isSum = metric.type === 'Object' || metric.type === 'External';
  const isUsable = staleCount === 0 || (fresh.length > 0 && !isSum);
  if (isUsable) return { value: fresh };
  return {
    unreadable: `${staleCount} of ${samples.value.length} samples are older than ${maxSampleAgeSeconds} s (maxSampleAgeSeconds)`,
  };
}
