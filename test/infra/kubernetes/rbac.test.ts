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

const [sum, flink, deploy, binding] = readManifests<RbacManifest>('rbac.yaml');

/** Every request with which Headrace scales FlinkApplications, and the right that it needs. */
const scaling = [
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

/** Every request with which it deploys them besides. */
const deploying = [
  ['GET …/flinkapplications/NAME', 'get flink.k8s.io/flinkapplications'],
  ['PATCH …/flinkapplications/NAME', 'patch flink.k8s.io/flinkapplications'],
  ['POST of anything with blockOwnerDeletion', 'update flink.k8s.io/flinkapplications/finalizers'],
  ['GET /apis/apps/v1/deployments', 'list apps/deployments'],
  ['GET …/deployments/NAME', 'get apps/deployments'],
  ['POST /apis/apps/v1/namespaces/NAMESPACE/deployments', 'create apps/deployments'],
  ['PATCH …/deployments/NAME', 'patch apps/deployments'],
  ['DELETE …/deployments/NAME', 'delete apps/deployments'],
  ['GET /api/v1/services', 'list /services'],
  ['GET …/services/NAME', 'get /services'],
  ['POST /api/v1/namespaces/NAMESPACE/services', 'create /services'],
  ['PATCH …/services/NAME', 'patch /services'],
  ['DELETE …/services/NAME', 'delete /services'],
  ['GET …/services/NAME:ui/proxy/jobs', 'get /services/proxy'],
  ['POST …/services/NAME:ui/proxy/jars/JAR/run', 'create /services/proxy'],
  ['PATCH …/services/NAME:ui/proxy/jobs/ID', 'patch /services/proxy'],
  ['PUT …/services/NAME:ui/proxy/jobs/ID/resource-requirements', 'update /services/proxy'],
  ['GET /apis/apps/v1/namespaces/NAMESPACE/controllerrevisions', 'list apps/controllerrevisions'],
  ['GET …/controllerrevisions/NAME', 'get apps/controllerrevisions'],
  ['POST /apis/apps/v1/namespaces/NAMESPACE/controllerrevisions', 'create apps/controllerrevisions'],
  ['DELETE …/controllerrevisions/NAME', 'delete apps/controllerrevisions'],
  ['GET …/leases/NAME', 'get coordination.k8s.io/leases'],
  ['POST /apis/coordination.k8s.io/v1/namespaces/NAMESPACE/leases', 'create coordination.k8s.io/leases'],
  ['PATCH …/leases/NAME', 'patch coordination.k8s.io/leases'],
  ['PATCH /api/v1/namespaces/NAMESPACE/pods/NAME', 'patch /pods'],
] as const;

describe.each<{ name: string; role: typeof flink; requests: readonly (readonly [string, string])[] }>([
  { name: 'headrace-flink', role: flink, requests: scaling },
  { name: 'headrace-deploy', role: deploy, requests: deploying },
])('the ClusterRole $name', ({ name, role, requests }) => {
  const granted = rightsOf(role?.rules ?? []);

  it.each(requests)('allows %s', (_request, right) => {
    expect(granted).toContain(right);
  });

  it('allows nothing else', () => {
    const needed = requests.map(([, right]) => right);

    expect(granted.toSorted()).toEqual(needed.toSorted());
  });

  it('is added to the sum by its label, and can be left out', () => {
    expect(role?.metadata).toEqual({ name, labels: { 'headrace.dev/aggregate-to-headrace': 'true' } });
  });
});

describe('the ClusterRoles', () => {
  it('are added up by a label, so that an administrator can add others', () => {
    expect(sum?.metadata.name).toBe('headrace');
    expect(sum?.aggregationRule).toEqual({ clusterRoleSelectors: [{ matchLabels: flink?.metadata.labels }] });
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
