// Asks the metric sources of a tick. Each question is asked once, however many autoscalers have it.

import type { Cluster } from '../control-plane.ts';
import type { PodUsage } from '../kubernetes/pods.ts';
import { readObjectMetric, readPodsMetric } from '../metrics/custom.ts';
import { readExternalMetric } from '../metrics/external.ts';
import { samplesOf } from '../metrics/resource.ts';
import type { MetricSpec, ObjectMetricSpec, Reading, Sample } from '../scaling/types.ts';
import { attempt, mapReading } from './reading.ts';

/** Where the target of a metric is. */
export interface MetricScope {
  readonly namespace: string;
  /** Of the target's pods. */
  readonly selector: string;
  /** What metrics.k8s.io said of those pods. */
  readonly usage: Reading<readonly PodUsage[]>;
}

/** The metric sources of one tick. */
export interface Collector {
  read(metric: MetricSpec, scope: MetricScope): Promise<Reading<readonly Sample[]>>;
}

/** A source that hangs is given up early and asked again by the next tick: others wait for its connection. */
const METRIC_LIMITS = { timeoutMilliseconds: 3000, maxAttempts: 1 };

/** Makes the collector of one tick: what was asked is remembered until the tick ends. */
export function createCollector({ client, kinds }: Cluster): Collector {
  const cluster = { client: client.within(METRIC_LIMITS), kinds };
  const asked = new Map<string, Promise<Reading<readonly Sample[]>>>();
  const once = (question: object, ask: () => Promise<readonly Sample[]>) => {
    const key = JSON.stringify(question);
    const known = asked.get(key) ?? attempt(ask());
    asked.set(key, known);
    return known;
  };
  return {
    async read(metric, { namespace, selector, usage }) {
      switch (metric.type) {
        case 'Resource':
          return mapReading(usage, (found) => samplesOf(metric.resource, found));
        case 'ContainerResource':
          return mapReading(usage, (found) => samplesOf(metric.resource, found, metric.container));
        case 'Pods': {
          const question = { namespace, selector, ...questionOf(metric) };
          return once(question, () => readPodsMetric(cluster.client, question));
        }
        case 'Object':
          return once({ namespace, object: metric.describedObject, ...questionOf(metric) }, () =>
            askObject(cluster, namespace, metric),
          );
        case 'External': {
          const question = { namespace, ...questionOf(metric) };
          return once(question, () => readExternalMetric(cluster.client, question));
        }
        case 'Unsupported':
          return { unreadable: metric.message };
        default:
          throw metric satisfies never;
      }
    },
  };
}

function questionOf({ metric }: { readonly metric: { readonly name: string; readonly labelSelector: string } }) {
  return { metric: metric.name, metricSelector: metric.labelSelector };
}

async function askObject(
  cluster: Pick<Cluster, 'client' | 'kinds'>,
  namespace: string,
  metric: ObjectMetricSpec,
): Promise<readonly Sample[]> {
  const { apiVersion, kind, name } = metric.describedObject;
  const question = { namespace, name, ...questionOf(metric) };
  if (kind === 'Namespace' && !apiVersion.includes('/'))
    return readObjectMetric(cluster.client, { ...question, resource: undefined });
  const plural = await cluster.kinds.findPlural({ apiVersion, kind });
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return readObjectMetric(cluster.client, { ...question, resource: `${plural}${group}` });
}
