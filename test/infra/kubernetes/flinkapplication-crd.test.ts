import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type CustomResourceDefinition, readManifest, type Schema, schemaAt, stepInto, stepsOf } from './manifests.ts';

const crd = readManifest<CustomResourceDefinition>('flinkapplication-crd.yaml');
const [version] = crd.spec.versions;
const schema = version.schema.openAPIV3Schema;

describe("compatibility with Lyft's CRD", () => {
  const fields = readFileSync(new URL('lyft-crd-fields.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' ') as [path: string, type: string]);

  it.each(fields)('accepts %s as %s', (path, type) => {
    expect(accepts(path, type)).toBe(true);
  });

  it('is not compatible with another type or shape', () => {
    expect(accepts('spec.parallelism', 'string')).toBe(false);
    expect(accepts('spec.flinkConfig[]', 'string')).toBe(false);
  });

  it('has the same names', () => {
    expect(crd.metadata).toEqual({
      name: 'flinkapplications.flink.k8s.io',
      annotations: { 'api-approved.kubernetes.io': 'unapproved' },
    });
    expect(crd.spec).toMatchObject({
      group: 'flink.k8s.io',
      scope: 'Namespaced',
      names: {
        kind: 'FlinkApplication',
        listKind: 'FlinkApplicationList',
        plural: 'flinkapplications',
        singular: 'flinkapplication',
        shortNames: ['flinkapp'],
      },
    });
    expect(version.name).toBe('v1beta1');
  });

  it('requires the same fields of the spec', () => {
    expect(schemaAt(schema, 'spec')?.required).toEqual(['image', 'jarName', 'parallelism', 'entryClass']);
  });

  it.each([
    ['spec.imagePullPolicy', ['Always', 'Never', 'IfNotPresent']],
    ['spec.deleteMode', ['Savepoint', 'None', 'ForceCancel']],
    ['spec.scaleMode', ['NewCluster', 'InPlace']],
    ['spec.deploymentMode', ['Dual', 'BlueGreen']],
  ])('allows the same values of %s', (path, values) => {
    expect(schemaAt(schema, path)?.enum).toEqual(values);
  });

  it('prints the same columns, in the same order, and the number of TaskManagers', () => {
    const columns = version.additionalPrinterColumns.map(({ name, type, jsonPath, priority = 0 }) => [
      name,
      type,
      jsonPath,
      priority,
    ]);

    expect(columns).toEqual([
      ['Phase', 'string', '.status.phase', 0],
      ['Cluster Health', 'string', '.status.clusterStatus.health', 0],
      ['Job Health', 'string', '.status.jobStatus.health', 0],
      ['TaskManagers', 'integer', '.spec.taskManagerConfig.replicas', 0],
      ['Healthy TMs', 'string', '.status.clusterStatus.healthyTaskManagers', 1],
      ['Total TMs', 'string', '.status.clusterStatus.numberOfTaskManagers', 1],
      ['Job Restarts', 'integer', '.status.jobStatus.jobRestartCount', 0],
      ['Age', 'date', '.metadata.creationTimestamp', 0],
    ]);
  });
});

describe('what the CRD has beyond it', () => {
  it('has a scale subresource on the number of TaskManagers', () => {
    expect(version.subresources).toEqual({
      status: {},
      scale: {
        specReplicasPath: '.spec.taskManagerConfig.replicas',
        statusReplicasPath: '.status.clusterStatus.numberOfTaskManagers',
        labelSelectorPath: '.status.selector',
      },
    });
  });

  it('gives replicas no default, which would appear on every existing application', () => {
    const replicas = schemaAt(schema, 'spec.taskManagerConfig.replicas');

    expect(replicas).toMatchObject({ type: 'integer', minimum: 0 });
    expect(replicas).not.toHaveProperty('default');
  });

  it.each([
    ['spec.uiPort', 'integer'],
    ['spec.forceRollback', 'boolean'],
    ['spec.programArgsList', 'array'],
    ['spec.jobManagerConfig.initContainers[].image', 'string'],
    ['spec.taskManagerConfig.sidecars[].name', 'string'],
    ['spec.programArgsList[]', 'string'],
    ['status.jobStatus.programArgsList[]', 'string'],
    ['spec.tearDownVersionHash', 'string'],
    ['spec.suspend', 'boolean'],
    ['spec.rollbackWindowSeconds', 'integer'],
    ['status.previousDeploy.revision', 'string'],
    ['spec.savepointHistory.maxCount', 'integer'],
    ['spec.savepointHistory.maxAgeSeconds', 'integer'],
    ['spec.periodicSavepoints.intervalSeconds', 'integer'],
    ['status.savepoints[].path', 'string'],
    ['status.periodicSavepoint.retryTime', 'string'],
    ['status.savepointDisposal.path', 'string'],
    ['status.suspension.savepointPath', 'string'],
    ['status.failedSuspension.retryTime', 'string'],
    ['status.selector', 'string'],
    ['status.scaleBasis.parallelism', 'integer'],
    ['status.scaleBasis.taskSlots', 'integer'],
    ['status.lastSeenError.lastErrorUpdateTime', 'string'],
    ['status.inPlaceUpdatedFromHash', 'string'],
    ['status.versionStatuses[].jobStatus.jobID', 'string'],
    ['status.observedGeneration', 'integer'],
    ['status.currentRevision', 'string'],
    ['status.rollout.jobId', 'string'],
    ['status.rollout.failure.message', 'string'],
    ['status.failedDeploy.attempts', 'integer'],
    ['status.deletion.deadline', 'string'],
    ['status.conditions[].lastTransitionTime', 'string'],
    ['status.versionStatuses[].clusterStatus.numberOfTaskManagers', 'integer'],
  ])('declares %s as %s', (path, type) => {
    expect(schemaAt(schema, path)?.type).toBe(type);
  });

  it.each(['clusterStartSeconds', 'savepointSeconds', 'submitSeconds', 'verticesSeconds'])(
    'takes at least a second for spec.timeouts.%s, and says what its absence means',
    (name) => {
      expect(schemaAt(schema, `spec.timeouts.${name}`)).toMatchObject({
        type: 'integer',
        minimum: 1,
        description: expect.stringMatching(/Absent means (300|180)\.$/),
      });
    },
  );

  it('restarts a job only where the user says so', () => {
    expect(schemaAt(schema, 'spec.restartPolicy')).toMatchObject({ enum: ['Never', 'FromLatestCheckpoint'] });
    expect(schemaAt(schema, 'spec.restartPolicy')).not.toHaveProperty('default');
  });

  it('merges conditions by their type, which every one of them must have', () => {
    expect(schemaAt(schema, 'status.conditions')).toMatchObject({
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: { required: ['type', 'status'] },
    });
  });

  it('prunes nothing', () => {
    // apiVersion, kind and metadata beside them are the API server's.
    expect(pruningObjects(schemaAt(schema, 'spec'), 'spec')).toEqual([]);
    expect(pruningObjects(schemaAt(schema, 'status'), 'status')).toEqual([]);
  });

  it.each(['spec.taskManagerConfig.resources.requests{}', 'spec.jobManagerConfig.resources.limits{}'])(
    'takes strings and integers in %s',
    (path) => {
      expect(schemaAt(schema, path)?.['x-kubernetes-int-or-string']).toBe(true);
    },
  );

  it.each(['string', 'number', 'boolean'])('takes a %s as a value of flinkConfig', (type) => {
    expect(accepts('spec.flinkConfig{}', type)).toBe(true);
  });
});

function accepts(path: string, type: string): boolean {
  const types = typesAt(schema, stepsOf(path));
  return types === 'any' || types.includes(type);
}

/** The types that a value at the end of the steps may have; below a part that is not spelled out every type is kept. */
function typesAt(from: Schema, [step, ...rest]: readonly string[]): readonly string[] | 'any' {
  if (step === undefined) return typesOf(from);
  const next = stepInto(from, step);
  if (next === undefined) return keepsUnknown(from) ? 'any' : [];
  return typesAt(next, rest);
}

function typesOf(field: Schema): readonly string[] | 'any' {
  if (field['x-kubernetes-int-or-string']) return ['integer', 'string'];
  if (field.type === undefined) return keepsUnknown(field) ? 'any' : [];
  return field.type === 'number' ? ['integer', 'number'] : [field.type];
}

/** The paths of the objects from which the API server removes what the schema does not list. */
function pruningObjects(field: Schema | undefined, path: string): string[] {
  if (field === undefined) return [];
  const isPruning = field.type === 'object' && !keepsUnknown(field) && field.additionalProperties === undefined;
  const children = Object.entries(field.properties ?? {}).flatMap(([name, child]) =>
    pruningObjects(child, `${path}.${name}`),
  );
  return [
    ...(isPruning ? [path] : []),
    ...children,
    ...pruningObjects(field.items, `${path}[]`),
    ...pruningObjects(field.additionalProperties, `${path}{}`),
  ];
}

function keepsUnknown(field: Schema): boolean {
  return field['x-kubernetes-preserve-unknown-fields'] === true;
}
