// custom.metrics.k8s.io and external.metrics.k8s.io: no objects but values, which a test sets one by one. metrics.k8s.io is in the store.
import { timestamp } from './clock.ts';

export interface MetricValue {
  /** A quantity, such as "500m". */
  readonly value: string;
  /** When it was measured, epoch milliseconds; default now. */
  readonly time?: number;
  /** Of the series that it is: a question with a selector for other labels does not get it. Default none. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A value of one pod or of one other object. */
export interface ObjectMetricSetting extends MetricValue {
  readonly namespace: string;
  /** Plural and group: "pods", "ingresses.networking.k8s.io"; "namespaces" is the namespace itself. */
  readonly resource: string;
  readonly name: string;
  readonly metric: string;
  /** Over how long it was measured; an adapter may leave that out. */
  readonly windowSeconds?: number;
}

export interface ExternalMetricSetting {
  readonly namespace: string;
  readonly metric: string;
  /** None takes the metric away. */
  readonly series: readonly MetricValue[];
}

export type CustomMetricsVersion = 'v1beta1' | 'v1beta2';

type Matches = (labels: Readonly<Record<string, string>>) => boolean;

export class MetricValues {
  /** The versions of custom.metrics.k8s.io that are served. */
  customVersions: readonly CustomMetricsVersion[] = ['v1beta2'];
  readonly #now: () => number;
  readonly #ofObjects = new Map<string, ObjectMetricSetting>();
  readonly #external = new Map<string, readonly MetricValue[]>();

  /** @param now the sandbox's time, epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  setOfObject(setting: ObjectMetricSetting): void {
    this.#ofObjects.set(objectKey(setting), { time: this.#now(), ...setting });
  }

  setExternal({ namespace, metric, series }: ExternalMetricSetting): void {
    const now = this.#now();
    this.#external.set(
      `${namespace}/${metric}`,
      series.map((value) => ({ time: now, ...value })),
    );
  }

  /** The value of one object as an item of a MetricValueList; undefined when it has none that the selector picks. */
  ofObject(
    object: Pick<ObjectMetricSetting, 'namespace' | 'resource' | 'name' | 'metric'>,
    matches: Matches,
    version: string,
  ): object | undefined {
    const found = this.#ofObjects.get(objectKey(object));
    if (found === undefined || !matches(found.labels ?? {})) return undefined;
    const { namespace, resource, name, metric, value, windowSeconds, time = this.#now() } = found;
    return {
      describedObject: { kind: resource, namespace, name },
      // v1beta1 has other names for the same.
      ...(version === 'v1beta1'
        ? { metricName: metric, timestamp: timestamp(time), window: windowSeconds }
        : { metric: { name: metric }, timestamp: timestamp(time), windowSeconds }),
      value,
    };
  }

  /** The series of a metric as items of an ExternalMetricValueList. */
  ofOutside(namespace: string, metric: string, matches: Matches): readonly object[] {
    const series = this.#external.get(`${namespace}/${metric}`) ?? [];
    return series
      .filter(({ labels = {} }) => matches(labels))
      .map(({ labels = {}, value, time = this.#now() }) => ({
        metricName: metric,
        metricLabels: labels,
        timestamp: timestamp(time),
        value,
      }));
  }
}

function objectKey({
  namespace,
  resource,
  name,
  metric,
}: Pick<ObjectMetricSetting, 'namespace' | 'resource' | 'name' | 'metric'>): string {
  return [namespace, resource, name, metric].join('/');
}
