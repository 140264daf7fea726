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
    ['spec.behavior', undefined],
    ['spec.behavior.scaleUp', undefined],
    ['spec.behavior.scaleUp.stabilizationWindowSeconds', undefined],
    ['spec.behavior.scaleUp.selectPolicy', undefined],
    ['spec.behavior.scaleDown.policies', undefined],
    ['spec.behavior.scaleDown.tolerance', undefined],
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

  it.each(['resource', 'containerResource', 'pods', 'object', 'external'])(
    'shows the values of %s metrics in the status as it takes them in the spec',
    (source) => {
      const { target, ...described } = schemaAt(schema, `spec.metrics[].${source}`)?.properties ?? {};
      const { current, ...shown } = schemaAt(schema, `status.currentMetrics[].${source}`)?.properties ?? {};

      expect(Object.keys(shown)).toEqual(Object.keys(described));
      const { type: _, ...values } = target?.properties ?? {};
      expect(Object.keys(current?.properties ?? {})).toEqual(Object.keys(values));
    },
  );

  it.each(['value', 'averageValue'])('takes a %s above 0 as text', (field) => {
    const { pattern = '' } = schemaAt(schema, `spec.metrics[].external.target.${field}`) ?? {};
    const isTaken = (text: string) => new RegExp(pattern).test(text);

    expect(['1', '0.5', '.5', '5.', '500m', '1e3', '1E-3', '1E', '100Ki', '+2', '010'].filter(isTaken)).toHaveLength(
      11,
    );
    expect(['', '.', '0', '-1', '0.0', '0e3', '1ki', '1 k', '1e', '5%', 'NaN', '0x1'].filter(isTaken)).toEqual([]);
  });

  it('takes a tolerance of 0 or more as text', () => {
    const { pattern = '' } = schemaAt(schema, 'spec.behavior.scaleUp.tolerance') ?? {};
    const isTaken = (text: string) => new RegExp(pattern).test(text);

    expect(['0', '-0', '0.05', '50m', '1', '1e-3'].filter(isTaken)).toHaveLength(6);
    expect(['-1', '-0.05', '', '5%', 'ten'].filter(isTaken)).toEqual([]);
  });

  it('has no field that does nothing yet', () => {
    expect(Object.keys(schemaAt(schema, 'spec')?.properties ?? {})).toEqual([
      'scaleTargetRef',
      'minReplicas',
      'maxReplicas',
      'metrics',
      'behavior',
      'mode',
      'pause',
      'controller',
    ]);
  });

  it('has the mode Off as a string also for a YAML 1.1 reader', () => {
    expect(schemaAt(schema, 'spec.mode')?.enum).toEqual(['Auto', 'Advise', 'Off']);
  });
});
