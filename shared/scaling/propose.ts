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

function withoutStale({ samples, settings, now }: ProposalInput): Reading<readonly Sample[]> {
  const { maxSampleAgeSeconds } = settings;
  if (maxSampleAgeSeconds === undefined || 'unreadable' in samples) return samples;
  const fresh = samples.value.filter(({ time }) => time >= now - maxSampleAgeSeconds * 1000);
  if (fresh.length > 0 || samples.value.length === 0) return { value: fresh };
  return {
    unreadable: `all ${samples.value.length} samples are older than ${maxSampleAgeSeconds} s (maxSampleAgeSeconds)`,
  };
}
