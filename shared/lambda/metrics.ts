import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { RoundFigures } from '../controllers/round.ts';
import type { TickReport } from '../controllers/scale.ts';

const metrics = new Metrics({ namespace: 'Headrace' });

/** Writes the figures of a tick as embedded metrics: a log line that CloudWatch reads, no call. */
export function emitTick({ autoscalers }: TickReport, durationMilliseconds: number): void {
  const count = (outcome: string) => autoscalers.filter((report) => report.outcome === outcome).length;
  metrics.addMetric('Ticks', MetricUnit.Count, 1);
  metrics.addMetric('TickDuration', MetricUnit.Milliseconds, durationMilliseconds);
  metrics.addMetric('Autoscalers', MetricUnit.Count, autoscalers.length);
  metrics.addMetric('Rescales', MetricUnit.Count, count('rescaled'));
  metrics.addMetric('Conflicts', MetricUnit.Count, count('conflict'));
  metrics.addMetric('Failures', MetricUnit.Count, count('failed'));
  const unjudged = autoscalers.filter(({ error }) => error !== undefined).length;
  metrics.addMetric('Unjudged', MetricUnit.Percent, percentOf(unjudged, autoscalers.length));
  metrics.publishStoredMetrics();
}

/** Writes the figures of a round of deployments. Those of a fleet come from the minute's round alone: others see a part of it. */
export function emitRound(figures: RoundFigures, durationMilliseconds: number): void {
  metrics.addMetric('Rounds', MetricUnit.Count, 1);
  metrics.addMetric('RoundDuration', MetricUnit.Milliseconds, durationMilliseconds);
  if (figures.isWhole) {
    metrics.addMetric('Applications', MetricUnit.Count, figures.applications);
    metrics.addMetric('InTransition', MetricUnit.Count, figures.inTransition);
    metrics.addMetric('DeploysFailed', MetricUnit.Count, figures.deploysFailed);
    // Not Failures: those are the ticks', under the same dimension.
    metrics.addMetric('ReconcileFailures', MetricUnit.Count, figures.failures);
    metrics.addMetric('Unreconciled', MetricUnit.Percent, percentOf(figures.failures, figures.applications));
  }
  metrics.publishStoredMetrics();
}

function percentOf(part: number, whole: number): number {
  return whole === 0 ? 0 : (100 * part) / whole;
}
