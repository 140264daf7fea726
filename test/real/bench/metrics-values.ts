// What the metrics APIs answer: values that a test has set, in the shapes of metrics.k8s.io/v1beta1, custom.metrics.k8s.io/v1beta2 and
// external.metrics.k8s.io/v1beta1.
import type { ApiClient } from './api-client.ts';

/** One pod by name, or all pods that an equality selector such as "app=a,tier=b" picks. A name wins over a selector. */
export type PodTarget =
  | { readonly namespace: string; readonly pod: string }
  | { readonly namespace: string; readonly selector: string };

interface Sample {
  /** Epoch ms; default: the moment of the answer. */
  readonly timestamp?: number;
  /** Default 15. */
  readonly windowSeconds?: number;
}

export interface PodUsage extends Sample {
  /** Quantities, for each container of the pod. */
  readonly cpu?: string;
  readonly memory?: string;
}

export interface MetricValue extends Sample {
  /** A quantity. */
  readonly value: string;
  /** Of the series that it is: a question with a selector for other labels does not get it. Default none. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ObjectTarget {
  readonly namespace: string;
  /**
   * Plural and group, as the HPA controller asks: "flinkapplications.flink.k8s.io"; of the core group the plural alone.
   * "namespaces" is the namespace itself, whose name is that of its namespace.
   */
  readonly resource: string;
  readonly name: string;
  readonly apiVersion: string;
  readonly kind: string;
}

/** A question to custom.metrics.k8s.io. */
export interface MetricQuestion {
  /** v1beta1 or v1beta2: they name a metric in different ways. */
  readonly version: string;
  readonly namespace: string;
  readonly metric: string;
  readonly metricLabelSelector: string;
}

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly containers: readonly { readonly name: string }[] };
}

/** Thrown for a request that a metrics API would refuse with 400. */
export class BadMetricsRequestError extends Error {
  override readonly name = 'BadMetricsRequestError';
}

/** Who answers the questions; what is undefined is answered with 404. */
export interface MetricsAnswers {
  /** GET …/metrics.k8s.io/v1beta1[/namespaces/NS]/pods: no namespace means all. */
  podMetricsList(namespace: string | undefined, labelSelector: string): Promise<unknown> | unknown;
  // GET …/custom.metrics.k8s.io/VERSION/namespaces/NS/pods/*/METRIC
  podMetricValues(question: MetricQuestion & { readonly labelSelector: string }): Promise<unknown> | unknown;
  /** GET …/custom.metrics.k8s.io/VERSION/namespaces/NS/RESOURCE/NAME/METRIC */
  objectMetricValues(question: MetricQuestion & { readonly resource: string; readonly name: string }): unknown;
  /** GET …/external.metrics.k8s.io/v1beta1/namespaces/NS/METRIC */
  externalMetricValues(namespace: string, metric: string, labelSelector: string): unknown;
}

/** Answers with values that a test has set, one by one, of pods that are there. */
export class MetricsValues implements MetricsAnswers {
  readonly #admin: ApiClient;
  readonly #usages = new PodValues<PodUsage>();
  readonly #podMetrics = new Map<string, PodValues<MetricValue>>();
  readonly #objectMetrics = new Map<string, { target: ObjectTarget; value: MetricValue }>();
  readonly #externalMetrics = new Map<string, readonly MetricValue[]>();

  constructor(admin: ApiClient) {
    this.#admin = admin;
  }

  /** What metrics.k8s.io says of these pods; undefined: nothing any more, they are missing from its lists. */
  setPodUsage(target: PodTarget, usage: PodUsage | undefined): void {
    this.#usages.set(target, usage);
  }

  /** What custom.metrics.k8s.io says of one metric of these pods. */
  setPodMetric(metric: string, target: PodTarget, value: MetricValue | undefined): void {
    const values = this.#podMetrics.get(metric) ?? new PodValues<MetricValue>();
    values.set(target, value);
    this.#podMetrics.set(metric, values);
  }

  /** What custom.metrics.k8s.io says of one metric of one object. */
  setObjectMetric(metric: string, target: ObjectTarget, value: MetricValue | undefined): void {
    const key = [target.namespace, target.resource, target.name, metric].join('/');
    if (value === undefined) this.#objectMetrics.delete(key);
    else this.#objectMetrics.set(key, { target, value });
  }

  /** What external.metrics.k8s.io says of one metric; a request's selector chooses among the series. */
  setExternalMetric(metric: string, namespace: string, series: readonly MetricValue[]): void {
    this.#externalMetrics.set([namespace, metric].join('/'), series);
  }

  /** Forgets everything. */
  clear(): void {
    this.#usages.clear();
    this.#podMetrics.clear();
    this.#objectMetrics.clear();
    this.#externalMetrics.clear();
  }

  async podMetricsList(namespace: string | undefined, labelSelector: string): Promise<unknown> {
    const pods = await this.#listPods(namespace, labelSelector);
    const items = pods.flatMap((pod) => {
      const usage = this.#usages.of(pod);
      return usage === undefined ? [] : [podMetrics(pod, usage)];
    });
    return { kind: 'PodMetricsList', apiVersion: 'metrics.k8s.io/v1beta1', metadata: {}, items };
  }

  async podMetricValues({
    labelSelector,
    ...question
  }: MetricQuestion & { readonly labelSelector: string }): Promise<unknown> {
    const { namespace, metric } = question;
    const pods = await this.#listPods(namespace, labelSelector);
    const items = pods.flatMap((pod) => {
      const describedObject = { kind: 'Pod', apiVersion: '/v1', namespace, name: pod.metadata.name };
      return metricValues(question, describedObject, this.#podMetrics.get(metric)?.of(pod));
    });
    return metricValueList(question, items);
  }

  objectMetricValues({
    resource,
    name,
    ...question
  }: MetricQuestion & { readonly resource: string; readonly name: string }): unknown {
    const { namespace, metric } = question;
    const known = this.#objectMetrics.get([namespace, resource, name, metric].join('/'));
    if (known === undefined) return undefined;
    const { apiVersion, kind } = known.target;
    return metricValueList(question, metricValues(question, { kind, apiVersion, namespace, name }, known.value));
  }

  externalMetricValues(namespace: string, metric: string, labelSelector: string): unknown {
    const series = this.#externalMetrics.get([namespace, metric].join('/')) ?? [];
    const items = series
      .filter(({ labels = {} }) => matches(labels, labelSelector))
      .map(({ labels = {}, value, ...sample }) => {
        const { timestamp, windowSeconds } = timeOf(sample);
        return { metricName: metric, metricLabels: labels, timestamp, window: windowSeconds, value };
      });
    return { kind: 'ExternalMetricValueList', apiVersion: 'external.metrics.k8s.io/v1beta1', metadata: {}, items };
  }

  async #listPods(namespace: string | undefined, labelSelector: string): Promise<readonly Pod[]> {
    const path = namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${namespace}/pods`;
    const query = new URLSearchParams({ labelSelector });
    return (await this.#admin.send<{ items: readonly Pod[] }>('GET', `${path}?${query}`)).items;
  }
}

/** A value per pod, set by name or by selector. */
class PodValues<Value> {
  readonly #byName = new Map<string, Value>();
  readonly #bySelector = new Map<string, { namespace: string; selector: string; value: Value }>();

  set(target: PodTarget, value: Value | undefined): void {
    if ('pod' in target) setOrDelete(this.#byName, `${target.namespace}/${target.pod}`, value);
    else {
      const { namespace, selector } = target;
      const entry = value === undefined ? undefined : { namespace, selector, value };
      setOrDelete(this.#bySelector, `${namespace}/${selector}`, entry);
    }
  }

  of({ metadata: { namespace, name, labels = {} } }: Pod): Value | undefined {
    const selecting = [...this.#bySelector.values()].find(
      (entry) => entry.namespace === namespace && matches(labels, entry.selector),
    );
    return this.#byName.get(`${namespace}/${name}`) ?? selecting?.value;
  }

  clear(): void {
    this.#byName.clear();
    this.#bySelector.clear();
  }
}

function setOrDelete<Value>(map: Map<string, Value>, key: string, value: Value | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function podMetrics(pod: Pod, { cpu, memory, ...sample }: PodUsage): unknown {
  const { timestamp, windowSeconds } = timeOf(sample);
  const usage = { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) };
  const { name, namespace, labels } = pod.metadata;
  return {
    metadata: { name, namespace, labels, creationTimestamp: timestamp },
    timestamp,
    window: `${windowSeconds}s`,
    containers: pod.spec.containers.map((container) => ({ name: container.name, usage })),
  };
}

export function metricValueList({ version }: MetricQuestion, items: readonly unknown[]): unknown {
  return { kind: 'MetricValueList', apiVersion: `custom.metrics.k8s.io/${version}`, metadata: {}, items };
}

function metricValues(
  { version, metric, metricLabelSelector }: MetricQuestion,
  describedObject: unknown,
  metricValue: MetricValue | undefined,
): readonly unknown[] {
  if (metricValue === undefined || !matches(metricValue.labels ?? {}, metricLabelSelector)) return [];
  const { timestamp, windowSeconds } = timeOf(metricValue);
  const { value } = metricValue;
  if (version === 'v1beta1') return [{ describedObject, metricName: metric, timestamp, window: windowSeconds, value }];
  return [{ describedObject, metric: { name: metric }, timestamp, windowSeconds, value }];
}

function timeOf({ timestamp = Date.now(), windowSeconds = 15 }: Sample) {
  // Kubernetes' metav1.Time has whole seconds.
  return { timestamp: new Date(timestamp).toISOString().replace(/\.\d+Z$/, 'Z'), windowSeconds };
}

/** Equality selectors only ("a=b,c=d"): that is what the scale subresource and the examples use. */
function matches(labels: Readonly<Record<string, string>>, selector: string): boolean {
  return selector
    .split(',')
    .filter((requirement) => requirement !== '')
    .every((requirement) => {
      const [, key, value] = /^([^=!,\s]+)==?([^=!,\s]*)$/.exec(requirement) ?? [];
      if (key === undefined) throw new BadMetricsRequestError(`the bench reads equality selectors only: ${selector}`);
      return labels[key] === value;
    });
}
