import { describe, expect, it } from 'vitest';
import { type CustomResourceDefinition, readManifest, schemaAt } from './manifests.ts';

const crd = readManifest<CustomResourceDefinition>('flinkautoscaler-crd.yaml');
const [version] = crd.spec.versions;
const schema = version.schema.openAPIV3Schema;

describe('the FlinkAutoscaler CRD', () => {
  it('is flinkautoscalers.headrace.dev/v1alpha1, namespaced, with fas for short', () => {
    expect(crd.metadata.name).toBe('flinkautoscalers.headrace.dev');
    expect(crd.spec).toMatchObject({
      group: 'headrace.dev',
      scope: 'Namespaced',
      names: { kind: 'FlinkAutoscaler', plural: 'flinkautoscalers', shortNames: ['fas'] },
    });
    expect(version.name).toBe('v1alpha1');
  });

  it('keeps the status apart', () => {
    expect(version.subresources).toEqual({ status: {} });
  });

  it('prints the columns of an HPA, and on request the mode and the reason', () => {
    const columns = version.additionalPrinterColumns.map(({ name, type, jsonPath, priority = 0 }) => [
      name,
      type,
      jsonPath,
      priority,
    ]);

    expect(columns).toEqual([
      ['Reference', 'string', '.spec.scaleTargetRef.name', 0],
      ['Targets', 'string', '.status.targets', 0],
      ['MinPods', 'integer', '.spec.minReplicas', 0],
      ['MaxPods', 'integer', '.spec.maxReplicas', 0],
      ['Replicas', 'integer', '.status.currentReplicas', 0],
      ['Age', 'date', '.metadata.creationTimestamp', 0],
      ['Mode', 'string', '.spec.mode', 1],
      ['Reason', 'string', '.status.lastDecision.reason', 1],
    ]);
  });

  it.each([
    ['spec.minReplicas', 1],
    ['spec.mode', 'Auto'],
    ['spec.metrics', undefined],
    ['spec.controller', undefined],
    ['spec.controller.cpuInitializationPeriodSeconds', undefined],
    ['spec.controller.initialReadinessDelaySeconds', undefined],
    ['spec.controller.tolerance', undefined],
    ['spec.controller.downscaleStabilizationSeconds', undefined],
    ['spec.controller.maxSampleAgeSeconds', undefined],
  ])('gives %s the default %s', (path, value) => {
    const field = schemaAt(schema, path);

    expect(field).toBeDefined();
    expect(field?.default).toBe(value);
  });

  it('keeps the fields of a metric type that it does not know', () => {
    const metric = schemaAt(schema, 'spec.metrics[]');

    expect(metric?.['x-kubernetes-preserve-unknown-fields']).toBe(true);
    expect(schemaAt(schema, 'spec.metrics[].type')?.enum).toBeUndefined();
  });

  it('has no field that does nothing yet', () => {
    expect(Object.keys(schemaAt(schema, 'spec')?.properties ?? {})).toEqual([
      'scaleTargetRef',
      'minReplicas',
      'maxReplicas',
      'metrics',
      'mode',
      'pause',
      'controller',
    ]);
  });

  it('has the mode Off as a string also for a YAML 1.1 reader', () => {
    expect(schemaAt(schema, 'spec.mode')?.enum).toEqual(['Auto', 'Advise', 'Off']);
  });
});
