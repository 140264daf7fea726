// The metrics APIs that an adapter serves behind the aggregation layer: values by path, and no objects.
import { type Answer, jsonAnswer, type SandboxRequest } from '../exchange.ts';
import { type LabelSelector, parseLabelSelector } from '../label-selector.ts';
import type { MetricValues } from '../metrics.ts';
import { badRequest, methodNotAllowed, noSuchResource, pageNotFound } from '../statuses.ts';
import type { Store } from '../store.ts';

const custom = 'custom.metrics.k8s.io';
const external = 'external.metrics.k8s.io';

/** The groups and versions that discovery lists beside those of the kinds. */
export function metricsGroups({ customVersions }: MetricValues): { name: string; versions: readonly string[] }[] {
  return [
    { name: custom, versions: customVersions },
    { name: external, versions: ['v1beta1'] },
  ].filter(({ versions }) => versions.length > 0);
}

/** Answers what is below a version of these groups. Undefined for every other path. */
export function answerMetrics(store: Store, values: MetricValues, request: SandboxRequest): Answer | undefined {
  const [, group = '', version = '', namespace = '', rest = ''] =
    /^\/apis\/([^/]+)\/([^/]+)\/namespaces\/([^/]+)\/(.+)$/.exec(decodeURIComponent(request.path)) ?? [];
  if (group !== custom && group !== external) return undefined;
  const isServed = metricsGroups(values).some(({ name, versions }) => name === group && versions.includes(version));
  if (!isServed) throw pageNotFound();
  if (request.method !== 'GET') throw methodNotAllowed();
  const question = { store, values, version, namespace, path: rest.split('/'), query: request.query };
  return group === custom ? answerCustom(question) : answerExternal(question);
}

interface Question {
  readonly store: Store;
  readonly values: MetricValues;
  readonly version: string;
  readonly namespace: string;
  /** What follows the namespace. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

// pods/*/METRIC, RESOURCE/NAME/METRIC, or metrics/METRIC for the namespace itself.
function answerCustom({ store, values, version, namespace, path, query }: Question): Answer {
  const matches = selectorOf(query, 'metricLabelSelector');
  const [resource = '', name = '', metric] = path;
  if (resource === 'pods' && name === '*' && metric !== undefined) {
    const picks = selectorOf(query, 'labelSelector');
    const pods = store.list('Pod', namespace).filter(({ metadata }) => picks(metadata.labels ?? {}));
    const items = pods.flatMap(
      ({ metadata }) => values.ofObject({ namespace, resource, name: metadata.name, metric }, matches, version) ?? [],
    );
    return listAnswer('MetricValueList', `${custom}/${version}`, items);
  }
  const object =
    metric === undefined
      ? { namespace, resource: 'namespaces', name: namespace, metric: name }
      : { namespace, resource, name, metric };
  if (path.length > 3 || (metric === undefined && resource !== 'metrics')) throw noSuchResource();
  const item = values.ofObject(object, matches, version);
  if (item === undefined) throw noSuchResource();
  return listAnswer('MetricValueList', `${custom}/${version}`, [item]);
}

function answerExternal({ values, version, namespace, path, query }: Question): Answer {
  const [metric = '', ...others] = path;
  if (others.length > 0) throw noSuchResource();
  const items = values.ofOutside(namespace, metric, selectorOf(query, 'labelSelector'));
  return listAnswer('ExternalMetricValueList', `${external}/${version}`, items);
}

function selectorOf(query: URLSearchParams, parameter: string): LabelSelector {
  const text = query.get(parameter) ?? '';
  const matches = parseLabelSelector(text);
  if (!matches) throw badRequest(`unable to parse requirement: found '${text}', expected: a label selector`);
  return matches;
}

function listAnswer(kind: string, apiVersion: string, items: readonly object[]): Answer {
  return jsonAnswer(200, { kind, apiVersion, metadata: {}, items });
}
