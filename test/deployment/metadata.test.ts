import { describe, expect, it } from 'vitest';
import { areSameButForSize, fingerprintOf, revisionOf } from '../../shared/deployment/identity.ts';
import { countedMetadata, handedToPods, isMetadataPattern } from '../../shared/deployment/metadata.ts';
import type { ApplicationSpec } from '../../shared/deployment/types.ts';

/** Marks and records of the object on which they stand. */
const OF_THE_OBJECT = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'deployment.kubernetes.io/revision',
  'argocd.argoproj.io/tracking-id',
  'argocd.argoproj.io/instance',
  'argocd-image-updater.argoproj.io/image-list',
  'kapp.k14s.io/app',
  'config.kubernetes.io/origin',
  'internal.config.kubernetes.io/path',
  'config.k8s.io/owning-inventory',
  'internal.kpt.dev/upstream-identifier',
  'configmanagement.gke.io/managed',
  'configsync.gke.io/resource-id',
  'objectset.rio.cattle.io/hash',
  'aws.cdk.eks/prune-c8a5',
  'flux.weave.works/sync-gc-mark',
  'headrace.dev/anything',
];

/** What tools write beside them: it says something of the pods as well. */
const OF_A_RELEASE = [
  'app.kubernetes.io/instance',
  'app.kubernetes.io/managed-by',
  'kubernetes.io/change-cause',
  'helm.sh/chart',
  'meta.helm.sh/release-name',
  'kustomize.toolkit.fluxcd.io/name',
  'helm.toolkit.fluxcd.io/namespace',
  'reconcile.fluxcd.io/requestedAt',
  'fluxcd.io/sync-checksum',
  'pulumi.com/patchForce',
  'artifact.spinnaker.io/version',
  'skaffold.dev/run-id',
  'azure-pipelines/run',
  'azure-pipelines/jobName',
  'actions.github.com/k8s-deploy',
  'app.gitlab.com/env',
  'kbld.k14s.io/images',
  'velero.io/restore-name',
  'backup.velero.io/backup-volumes',
  'app.oam.dev/appRevision',
  'deploy.cloud.google.com/release-id',
  'werf.io/version',
  'project.werf.io/env',
];

const OF_THE_USER = [
  'team',
  'helm',
  'app.kubernetes.io/name',
  'app.kubernetes.io/version',
  'prometheus.io/scrape',
  'my-helm.sh/x',
  'helm.sh',
  'azure-pipelines',
  'github.com/x',
];

const anyOf = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, 'x']));

describe('what counts as a change', () => {
  it.each([...OF_THE_OBJECT, ...OF_A_RELEASE])('F16: is not %s', (key) => {
    expect(countedMetadata({ [key]: 'x', team: 'a' }, [])).toEqual({ team: 'a' });
  });

  it.each(OF_THE_USER)('is %s', (key) => {
    expect(countedMetadata({ [key]: 'x' }, [])).toEqual({ [key]: 'x' });
  });

  it.each`
    pattern                | key                       | counts
    ${'team'}              | ${'team'}                 | ${false}
    ${'team'}              | ${'team-a'}               | ${true}
    ${'team'}              | ${'example.com/team'}     | ${true}
    ${'example.com/build'} | ${'example.com/build'}    | ${false}
    ${'example.com/build'} | ${'example.com/build-id'} | ${true}
    ${'example.com/*'}     | ${'example.com/build'}    | ${false}
    ${'example.com/*'}     | ${'ci.example.com/build'} | ${true}
    ${'example.com/*'}     | ${'example.com'}          | ${true}
    ${'example.com/*'}     | ${'example.community/x'}  | ${true}
  `('with $pattern excluded by the user: $key counts: $counts', ({ pattern, key, counts }) => {
    expect(Object.keys(countedMetadata({ [key]: 'x' }, [pattern]))).toEqual(counts ? [key] : []);
  });
});

describe('what pods bear', () => {
  it('is everything but what is true of the application alone', () => {
    const all = anyOf([...OF_THE_OBJECT, ...OF_A_RELEASE, ...OF_THE_USER]);

    expect(handedToPods(all)).toEqual(anyOf([...OF_A_RELEASE, ...OF_THE_USER]));
  });
});

describe('a revision', () => {
  const spec: ApplicationSpec = {
    image: 'orders:1',
    jarName: 'orders.jar',
    entryClass: 'com.example.Orders',
    parallelism: 4,
    taskManagerConfig: { taskSlots: 2 },
  };
  const aRevision = (labels: Record<string, string>, changes: Partial<ApplicationSpec> = {}) =>
    revisionOf({ labels, annotations: {}, spec: { ...spec, ...changes } });

  it('holds what tools write, and has the same fingerprint without', () => {
    const written = aRevision({ team: 'a', 'azure-pipelines/run': '7' });

    expect(written.labels).toEqual({ team: 'a', 'azure-pipelines/run': '7' });
    expect(fingerprintOf(written)).toBe(fingerprintOf(aRevision({ team: 'a' })));
    expect(fingerprintOf(written)).not.toBe(fingerprintOf(aRevision({ team: 'b' })));
  });

  it('has the same fingerprint whatever the user excludes, but for that', () => {
    const [seven, eight] = [aRevision({ team: 'a', build: '7' }), aRevision({ team: 'a', build: '8' })];

    expect(fingerprintOf(seven)).not.toBe(fingerprintOf(eight));
    expect(fingerprintOf(seven, ['build'])).toBe(fingerprintOf(eight, ['build']));
    expect(fingerprintOf(seven, ['build'])).toBe(fingerprintOf(aRevision({ team: 'a' })));
  });

  it('does not hold the exclusions themselves', () => {
    expect(aRevision({}, { excludedMetadata: ['build'] })).toEqual(aRevision({}));
  });

  it('is the same but for its size as one with other labels of tools', () => {
    const scaled = aRevision({ 'werf.io/version': '2' }, { taskManagerConfig: { taskSlots: 2, replicas: 5 } });

    expect(areSameButForSize(scaled, aRevision({ 'werf.io/version': '1', build: '7' }), ['build'])).toBe(true);
    expect(areSameButForSize(scaled, aRevision({ 'werf.io/version': '1', build: '7' }), [])).toBe(false);
  });
});

describe('isMetadataPattern', () => {
  it.each(['team', 'Team_1.x', 'example.com/team', 'example.com/*', 'azure-pipelines/*', 'a/b'])(
    'takes %s',
    (pattern) => {
      expect(isMetadataPattern(pattern)).toBe(true);
    },
  );

  it.each([
    '',
    '*',
    '/',
    '/*',
    '/team',
    'example.com/',
    'example.com/**',
    'example.com/te*',
    'te*',
    '*/team',
    '*.example.com/*',
    'Example.com/team',
    'example..com/team',
    'a/b/c',
    ' team',
    'team ',
    '-team',
    'x'.repeat(64),
    `${'x'.repeat(254)}/y`,
  ])('does not take %j', (pattern) => {
    expect(isMetadataPattern(pattern)).toBe(false);
  });
});
