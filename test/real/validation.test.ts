// What the API server accepts as an HPA it accepts as a FlinkAutoscaler, and what it refuses there it refuses here.
import { beforeAll, describe, expect, it } from 'vitest';
import { readSpec } from '../../shared/kubernetes/flink-autoscaler.ts';
import type { ApiClient } from './bench/api-client.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { createNamespace } from './bench/workloads.ts';

let admin: ApiClient;
let namespace: string;

beforeAll(async () => {
  ({ admin } = await sharedControlPlane());
  namespace = await createNamespace(admin, 'validation');
});

/** A spec, or its parts that differ from the smallest one. */
type Spec = Readonly<Record<string, unknown>>;
type Row = readonly [what: string, spec: Spec];

const utilization = { type: 'Utilization', averageUtilization: 40 };
const averageValue = { type: 'AverageValue', averageValue: '500m' };
const value = { type: 'Value', value: '10' };
const lag = { name: 'lag' };
const orders = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' };

const cpu = (target: object) => ({ metrics: [{ type: 'Resource', resource: { name: 'cpu', target } }] });
const container = (fields: object, target: object = utilization) => ({
  metrics: [
    { type: 'ContainerResource', containerResource: { name: 'cpu', container: 'taskmanager', target, ...fields } },
  ],
});
const pods = (target: object, metric: object = lag) => ({ metrics: [{ type: 'Pods', pods: { metric, target } }] });
const object = (target: object, describedObject: object = orders, metric: object = lag) => ({
  metrics: [{ type: 'Object', object: { describedObject, metric, target } }],
});
const external = (target: object, metric: object = lag) => ({
  metrics: [{ type: 'External', external: { metric, target } }],
});
const up = (scaleUp: object | null) => ({ behavior: { scaleUp } });
const policy = (fields: object) => up({ policies: [{ type: 'Pods', value: 1, periodSeconds: 15, ...fields }] });

const accepted: readonly Row[] = [
  ['nothing but a target and a maximum', {}],
  ['null wherever a field is optional', { minReplicas: null, metrics: null, behavior: null }],
  ['an empty list of metrics', { metrics: [] }],
  ['more metrics than anybody needs', { metrics: Array.from({ length: 100 }, () => cpu(utilization).metrics[0]) }],
  ['a maximum of an int32', { maxReplicas: 2 ** 31 - 1 }],
  ['a minimum of 0 with an External metric', { minReplicas: 0, ...external(value) }],
  [
    'a minimum of 0 with an Object metric beside another',
    { minReplicas: 0, metrics: [cpu(utilization).metrics[0], object(value).metrics[0]] },
  ],
  ['a group without a version', { scaleTargetRef: { ...orders, apiVersion: 'flink.k8s.io/' } }],
  ['a name with dots', { scaleTargetRef: { ...orders, name: '...orders.v1' } }],

  ['Resource with a utilization', cpu(utilization)],
  ['Resource with a value per pod', cpu(averageValue)],
  ['Resource with a value that its type does not name', cpu({ type: 'Utilization', averageValue: '500m' })],
  ['Resource with a total beside its utilization', cpu({ ...utilization, value: '1' })],
  ['a resource of any name', { metrics: [{ type: 'Resource', resource: { name: 'a b', target: utilization } }] }],
  ['null for the value that is not meant', cpu({ ...utilization, averageValue: null })],
  ['ContainerResource', container({})],
  ['ContainerResource with a value per pod', container({}, averageValue)],
  ['ContainerResource of huge pages', container({ name: 'hugepages-2Mi' })],
  ['ContainerResource of a device', container({ name: 'example.com/gpu' })],
  ['Pods', pods(averageValue)],
  ['Pods with a total beside', pods({ ...averageValue, value: 1, averageUtilization: 1 })],
  ['Pods with a value that its type does not name', pods({ type: 'Utilization', averageValue: 1 })],
  ['Pods with a selector', pods(averageValue, { ...lag, selector: { matchLabels: { topic: 'a' } } })],
  [
    'a selector that says nothing sensible',
    external(value, { ...lag, selector: { matchExpressions: [{ key: '?', operator: 'Like', values: [] }, {}] } }),
  ],
  ['a metric name with spaces', external(value, { name: 'lag of …orders' })],
  ['Object with a total', object(value)],
  ['Object with a value per pod', object(averageValue)],
  ['Object with both', object({ ...value, averageValue: 1 })],
  ['Object of the type Utilization', object({ type: 'Utilization', value: 1 })],
  ['Object of the core group', object(value, { apiVersion: 'v1', kind: 'Namespace', name: 'flink' })],
  ['Object without a version', object(value, { kind: 'Namespace', name: 'flink' })],
  ['External with a total', external(value)],
  ['External with a value per pod', external(averageValue)],
  ['External with a utilization beside', external({ ...value, averageUtilization: 1 })],

  ['behavior that says nothing', { behavior: {} }],
  ['rules that say nothing', { behavior: { scaleUp: {}, scaleDown: {} } }],
  ['rules of null', up(null)],
  ['policies of null', up({ policies: null, selectPolicy: null, tolerance: null })],
  ['every rule at its smallest', policy({ value: 1, periodSeconds: 1 })],
  ['every rule at its largest', policy({ type: 'Percent', value: 2 ** 31 - 1, periodSeconds: 1800 })],
  ['the shortest window', up({ stabilizationWindowSeconds: 0, selectPolicy: 'Min' })],
  ['the longest window', up({ stabilizationWindowSeconds: 3600, selectPolicy: 'Disabled' })],
  ...[0.05, 0, 1, 100, '50m', '0', '-0', '+0.5', '.5', '5.', '1e-3', '1e-300', ' 1 '].map(
    (tolerance): Row => [`a tolerance of ${JSON.stringify(tolerance)}`, up({ tolerance })],
  ),
  ...[
    1,
    0.5,
    1e3,
    1e15,
    '1e3',
    '0.5',
    '+1',
    '.5',
    '5.',
    '100Ki',
    '123456789n',
    '1u',
    '1E',
    '1E2',
    '007',
    '1e-30',
    ' 1 ',
  ].map((quantity): Row => [`a quantity of ${JSON.stringify(quantity)}`, external({ type: 'Value', value: quantity })]),
];

const refused: readonly Row[] = [
  ['no maximum', { maxReplicas: undefined }],
  ['a maximum of 0', { maxReplicas: 0 }],
  ['a negative maximum', { maxReplicas: -1 }],
  ['a maximum beyond an int32', { maxReplicas: 2 ** 31 }],
  ['a maximum that is no whole number', { maxReplicas: 2.5 }],
  ['a maximum in quotes', { maxReplicas: '5' }],
  ['a maximum below the minimum', { minReplicas: 6 }],
  ['a negative minimum', { minReplicas: -1, ...external(value) }],
  ['a minimum of 0 without metrics', { minReplicas: 0 }],
  ['a minimum of 0 with a Pods metric alone', { minReplicas: 0, ...pods(averageValue) }],
  ['no target', { scaleTargetRef: undefined }],
  ...(['apiVersion', 'kind', 'name'] as const).flatMap((field): readonly Row[] => [
    [`a target without its ${field}`, { scaleTargetRef: { ...orders, [field]: undefined } }],
    [`a target whose ${field} is empty`, { scaleTargetRef: { ...orders, [field]: '' } }],
  ]),
  ['a target without a group', { scaleTargetRef: { ...orders, apiVersion: 'v1' } }],
  ['a target whose group is empty', { scaleTargetRef: { ...orders, apiVersion: '/v1' } }],
  ['a target with too many slashes', { scaleTargetRef: { ...orders, apiVersion: 'a/b/c' } }],
  ...['.', '..', 'a/b', 'a%b'].flatMap((name): readonly Row[] => [
    [`a target named ${name}`, { scaleTargetRef: { ...orders, name } }],
    [`a metric named ${name}`, external(value, { name })],
    [`an object of the kind ${name}`, object(value, { ...orders, kind: name })],
  ]),

  ['a metric without a type', { metrics: [{ resource: { name: 'cpu', target: utilization } }] }],
  ['a metric whose type is empty', { metrics: [{ type: '' }] }],
  ...['Resource', 'ContainerResource', 'Pods', 'Object', 'External'].map(
    (type): Row => [`${type} and nothing else`, { metrics: [{ type }] }],
  ),
  ['two sources in one metric', { metrics: [{ ...cpu(utilization).metrics[0], ...pods(averageValue).metrics[0] }] }],
  ['the source of another type', { metrics: [{ ...cpu(utilization).metrics[0], type: 'Pods' }] }],
  ['a target without a type', cpu({ averageUtilization: 40 })],
  ['a target of an unknown type', cpu({ type: 'Average', averageUtilization: 40 })],
  ['Resource without a value', cpu({ type: 'Utilization' })],
  ['Resource with a total alone', cpu(value)],
  ['Resource with both', cpu({ ...utilization, ...averageValue })],
  ['Resource of 0 percent', cpu({ type: 'Utilization', averageUtilization: 0 })],
  ['Resource of a fraction of percents', cpu({ type: 'Utilization', averageUtilization: 40.5 })],
  ['Resource without a name', { metrics: [{ type: 'Resource', resource: { target: utilization } }] }],
  ['Resource without a target', { metrics: [{ type: 'Resource', resource: { name: 'cpu' } }] }],
  ['ContainerResource without a container', container({ container: undefined })],
  ['ContainerResource of a container that none can be', container({ container: 'Task_Manager' })],
  ['ContainerResource of a resource that none is', container({ name: 'gpu' })],
  ['ContainerResource without a resource', container({ name: '' })],
  ['ContainerResource without a value', container({}, { type: 'Utilization' })],
  ['ContainerResource with both', container({}, { ...utilization, ...averageValue })],
  ['Pods with a total alone', pods(value)],
  ['Pods without a metric', { metrics: [{ type: 'Pods', pods: { target: averageValue } }] }],
  ['Pods without the name of the metric', pods(averageValue, {})],
  ['a label that is no text', pods(averageValue, { ...lag, selector: { matchLabels: { topic: 1 } } })],
  ['Object without a value', object({ type: 'Value', averageUtilization: 1 })],
  ['Object without an object', { metrics: [{ type: 'Object', object: { metric: lag, target: value } }] }],
  ['Object without the name of the object', object(value, { ...orders, name: undefined })],
  ['Object with too many slashes', object(value, { ...orders, apiVersion: 'a/b/c' })],
  ['External without a value', external({ type: 'Value' })],
  ['External with both', external({ ...value, ...averageValue })],
  ['External without the name of the metric', external(value, { name: '' })],

  ['a window below 0', up({ stabilizationWindowSeconds: -1 })],
  ['a window beyond an hour', up({ stabilizationWindowSeconds: 3601 })],
  ['an unknown choice of policy', up({ selectPolicy: 'Average' })],
  ['an empty list of policies', up({ policies: [] })],
  ['a policy of an unknown type', policy({ type: 'Replicas' })],
  ...(['type', 'value', 'periodSeconds'] as const).map(
    (field): Row => [`a policy without its ${field}`, policy({ [field]: undefined })],
  ),
  ['a policy of 0 pods', policy({ value: 0 })],
  ['a policy beyond an int32', policy({ value: 2 ** 31 })],
  ['a policy without duration', policy({ periodSeconds: 0 })],
  ['a policy of more than half an hour', policy({ periodSeconds: 1801 })],
  ...[-0.05, '-50m', 'ten', '', '5%', true, {}, [], [1], '0x5', '1 m', ' 1\n'].map(
    (tolerance): Row => [`a tolerance of ${JSON.stringify(tolerance)}`, up({ tolerance })],
  ),
  ...[0, -1, '0', '-1', '0.000', 'NaN', '1ki', '1 k', '1e', '.', '', true, {}, [], ['1'], { a: 1 }, '1Kim'].map(
    (quantity): Row => [`a quantity of ${JSON.stringify(quantity)}`, external({ type: 'Value', value: quantity })],
  ),
];

describe('accepts, as of an HPA,', () => {
  it.each(accepted)('%s', async (_what, spec) => {
    expect(await create(spec)).toEqual({ asHpa: 201, asFlinkAutoscaler: 201 });
  });

  it.each(accepted)('%s, and it can be read', async (_what, spec) => {
    const { body } = await createAs('FlinkAutoscaler', spec);

    expect(readSpec(body.spec)).toEqual({ value: expect.anything() });
  });
});

describe('refuses, as of an HPA,', () => {
  it.each(refused)('%s', async (_what, spec) => {
    const { asHpa, asFlinkAutoscaler } = await create(spec);

    // What cannot even be decoded is a bad request to the one, and breaks the schema of the other.
    expect([400, 422]).toContain(asHpa);
    expect(asFlinkAutoscaler).toBe(422);
  });
});

it('accepts a metric type that it does not know, with whatever is in it', async () => {
  const kafka = { type: 'Kafka', kafka: { topic: 'orders', target: { type: 'AverageValue', averageValue: '10' } } };

  const { status, body } = await createAs('FlinkAutoscaler', { metrics: [kafka] });

  expect(status).toBe(201);
  expect(body).toMatchObject({ spec: { metrics: [kafka] } });
});

it.each([
  [{ minReplicas: 6 }, 'maxReplicas must be greater than or equal to minReplicas'],
  [{ minReplicas: 0 }, 'minReplicas may be 0 only with an Object or External metric'],
  [{ metrics: [{ type: 'Pods' }] }, 'pods must be set when type is Pods, and only then'],
  [cpu({ type: 'Utilization' }), 'spec.metrics[0].resource.target.averageUtilization: Required value'],
])('says of %j what must hold', async (spec, message) => {
  const { body } = await createAs('FlinkAutoscaler', spec);

  expect(body).toMatchObject({ message: expect.stringContaining(message) });
});

async function create(spec: Spec): Promise<{ asHpa: number; asFlinkAutoscaler: number }> {
  const [hpa, flinkAutoscaler] = await Promise.all([
    createAs('HorizontalPodAutoscaler', spec),
    createAs('FlinkAutoscaler', spec),
  ]);
  return { asHpa: hpa.status, asFlinkAutoscaler: flinkAutoscaler.status };
}

const kinds = {
  HorizontalPodAutoscaler: { apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers' },
  FlinkAutoscaler: { apiVersion: 'headrace.dev/v1alpha1', plural: 'flinkautoscalers' },
};

/** Nothing is stored, so that no controller has anything to do. */
async function createAs(kind: keyof typeof kinds, spec: Spec) {
  const { apiVersion, plural } = kinds[kind];
  return admin.request<{ readonly spec?: unknown }>(
    'POST',
    `/apis/${apiVersion}/namespaces/${namespace}/${plural}?dryRun=All`,
    {
      apiVersion,
      kind,
      metadata: { name: 'orders' },
      spec: { scaleTargetRef: orders, maxReplicas: 5, ...spec },
    },
  );
}
