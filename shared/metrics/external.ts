// Numbers from outside the cluster, as external.metrics.k8s.io serves them.

import * as z from 'zod';
import { parseAnswer, Quantity, Time } from '../kubernetes/answers.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { Sample } from '../scaling/types.ts';

const ExternalMetricValues = z.object({ items: z.array(z.object({ timestamp: Time, value: Quantity })) });

export interface ExternalQuestion {
  readonly namespace: string;
  readonly metric: string;
  /** Empty for none. */
  readonly metricSelector: string;
}

/** Reads every series of a metric; the decision sums them. */
export async function readExternalMetric(
  client: KubernetesClient,
  question: ExternalQuestion,
): Promise<readonly Sample[]> {
  const { namespace, metric, metricSelector } = question;
  const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/${encodeURIComponent(metric)}`;
  const query = metricSelector === '' ? '' : `?${new URLSearchParams({ labelSelector: metricSelector })}`;
  const { items } = parseAnswer(ExternalMetricValues, await client.get(`${path}${query}`), path);
  return items.map(({ value, timestamp }) => ({ valueMilli: value, time: timestamp }));
}
