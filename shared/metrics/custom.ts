// Metrics of pods and other objects, as custom.metrics.k8s.io serves them (v1beta2, or v1beta1 where only that is served).

import * as z from 'zod';
import { parseAnswer, Quantity, Time } from '../kubernetes/answers.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { PodSample, Sample } from '../scaling/types.ts';

const GROUP = '/apis/custom.metrics.k8s.io';

const Group = z.object({ versions: z.array(z.object({ version: z.string() })) });

const MetricValues = z.object({
  items: z.array(
    z.object({
      describedObject: z.object({ name: z.string() }),
      timestamp: Time,
      windowSeconds: z.number().nullish(),
      window: z.number().nullish(),
      value: Quantity,
    }),
  ),
});

/** A sample whose server does not say over how long it was measured. */
const DEFAULT_WINDOW_SECONDS = 60;

export interface PodsQuestion {
  readonly namespace: string;
  /** The target's selector. */
  readonly selector: string;
  readonly metric: string;
  /** The metric's own selector; empty for none. */
  readonly metricSelector: string;
}

/** Reads a metric of every pod that a selector picks. */
export async function readPodsMetric(client: KubernetesClient, question: PodsQuestion): Promise<readonly PodSample[]> {
  const { namespace, selector, metric, metricSelector } = question;
  const path = `/namespaces/${encodeURIComponent(namespace)}/pods/*/${encodeURIComponent(metric)}`;
  const values = await ask(client, path, { labelSelector: selector, metricLabelSelector: metricSelector });
  return values.map(({ describedObject, value, timestamp, windowSeconds, window }) => ({
    pod: describedObject.name,
    valueMilli: value,
    time: timestamp,
    windowSeconds: windowSeconds ?? window ?? DEFAULT_WINDOW_SECONDS,
  }));
}

export interface ObjectQuestion {
  readonly namespace: string;
  /** "ingresses.networking.k8s.io", or the plural alone in the core group; undefined for the namespace itself. */
  readonly resource: string | undefined;
  readonly name: string;
  readonly metric: string;
  readonly metricSelector: string;
}

/** Reads one number that describes an object. */
export async function readObjectMetric(client: KubernetesClient, question: ObjectQuestion): Promise<readonly Sample[]> {
  const { namespace, resource, name, metric, metricSelector } = question;
  const object = resource === undefined ? 'metrics' : `${resource}/${encodeURIComponent(name)}`;
  const path = `/namespaces/${encodeURIComponent(namespace)}/${object}/${encodeURIComponent(metric)}`;
  const [first] = await ask(client, path, { metricLabelSelector: metricSelector });
  return first === undefined ? [] : [{ valueMilli: first.value, time: first.timestamp }];
}

async function ask(client: KubernetesClient, path: string, selectors: Record<string, string>) {
  const query = new URLSearchParams(Object.entries(selectors).filter(([, selector]) => selector !== ''));
  const question = `${GROUP}/${await findVersion(client)}${path}${query.size === 0 ? '' : `?${query}`}`;
  return parseAnswer(MetricValues, await client.get(question), question).items;
}

const versions = new WeakMap<KubernetesClient, Promise<string>>();

/** Which version the cluster's adapter speaks; asked once per client. */
function findVersion(client: KubernetesClient): Promise<string> {
  const known = versions.get(client);
  if (known !== undefined) return known;
  const asked = client.get(GROUP).then((answer) => {
    const served = parseAnswer(Group, answer, GROUP).versions.map(({ version }) => version);
    return served.includes('v1beta2') ? 'v1beta2' : (served[0] ?? 'v1beta2');
  });
  versions.set(client, asked);
  asked.catch(() => versions.delete(client));
  return asked;
}
