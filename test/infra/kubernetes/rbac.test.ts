import { describe, expect, it } from 'vitest';
import { type Manifest, readManifest, readManifests } from './manifests.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface RbacManifest extends Manifest {
  readonly rules?: readonly Rule[];
  readonly aggregationRule?: { readonly clusterRoleSelectors: readonly { readonly matchLabels: object }[] };
  readonly roleRef?: object;
  readonly subjects?: readonly object[];
}

const [sum, flink, binding] = readManifests<RbacManifest>('rbac.yaml');

/** Every request that Headrace makes to a cluster with FlinkApplications, and the right that it needs. */
const requests = [
  ['GET /apis/headrace.dev/v1alpha1/flinkautoscalers', 'list headrace.dev/flinkautoscalers'],
  ['GET /apis/autoscaling/v2/horizontalpodautoscalers', 'list autoscaling/horizontalpodautoscalers'],
  ['GET /apis/flink.k8s.io/v1beta1/flinkapplications', 'list flink.k8s.io/flinkapplications'],
  ['GET /apis/metrics.k8s.io/v1beta1/pods', 'list metrics.k8s.io/pods'],
  ['GET /api/v1/pods', 'list /pods'],
  ['GET /apis/custom.metrics.k8s.io/v1beta2/namespaces/NAMESPACE/pods/*/METRIC', 'get custom.metrics.k8s.io/*'],
  ['GET /apis/external.metrics.k8s.io/v1beta1/namespaces/NAMESPACE/METRIC', 'list external.metrics.k8s.io/*'],
  ['PATCH …/flinkautoscalers/NAME/status', 'patch headrace.dev/flinkautoscalers/status'],
  ['PATCH …/flinkapplications/NAME/scale', 'patch flink.k8s.io/flinkapplications/scale'],
  ['PATCH …/flinkapplications/NAME/status', 'patch flink.k8s.io/flinkapplications/status'],
  ['POST /api/v1/namespaces/NAMESPACE/events', 'create /events'],
] as const;

describe('the ClusterRoles', () => {
  const granted = rightsOf(flink?.rules ?? []);

  it.each(requests)('allow %s', (_request, right) => {
    expect(granted).toContain(right);
  });

  it('allow nothing else', () => {
    const needed = requests.map(([, right]) => right);

    expect(granted.toSorted()).toEqual(needed.toSorted());
  });

  it('are added up by a label, so that an administrator can add others', () => {
    expect(sum?.metadata.name).toBe('headrace');
    expect(sum?.aggregationRule).toEqual({ clusterRoleSelectors: [{ matchLabels: flink?.metadata.labels }] });
    expect(flink?.metadata).toEqual({
      name: 'headrace-flink',
      labels: { 'headrace.dev/aggregate-to-headrace': 'true' },
    });
  });

  it('leave the rules of the sum to the cluster, so that an apply does not empty them', () => {
    expect(sum).not.toHaveProperty('rules');
  });

  it('are bound to the group headrace', () => {
    const apiGroup = 'rbac.authorization.k8s.io';

    expect(binding?.roleRef).toEqual({ apiGroup, kind: 'ClusterRole', name: 'headrace' });
    expect(binding?.subjects).toEqual([{ apiGroup, kind: 'Group', name: 'headrace' }]);
  });
});

describe('the FlowSchema', () => {
  it('puts the same group into workload-high, before the schemas for everybody else', () => {
    const flowSchema = readManifest<Manifest & { spec: object }>('flowschema.yaml');

    expect(flowSchema.spec).toMatchObject({
      priorityLevelConfiguration: { name: 'workload-high' },
      matchingPrecedence: 1000,
      rules: [{ subjects: [{ kind: 'Group', group: { name: 'headrace' } }] }],
    });
  });
});

function rightsOf(rules: readonly Rule[]): string[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`))),
  );
}
