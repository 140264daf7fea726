import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
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
  metrics.addMetric(
    'Unjudged',
    MetricUnit.Percent,
    autoscalers.length === 0 ? 0 : (100 * unjudged) / autoscalers.length,
  );
  metrics.publishStoredMetrics();
}
