import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ApplicationSpec } from '../../shared/kubernetes/application-spec.ts';
import { findUnknownFields } from '../../shared/kubernetes/unknown-fields.ts';

const find = (spec: unknown) => findUnknownFields(ApplicationSpec, spec, 'spec');

describe('a field that nobody reads', () => {
  it.each([
    [{ restartPolcy: 'Never' }, 'spec.restartPolcy', 'spec.restartPolicy'],
    [{ flinkconfig: {} }, 'spec.flinkconfig', 'spec.flinkConfig'],
    [{ scaleMod: 'InPlace' }, 'spec.scaleMod', 'spec.scaleMode'],
    [{ ParallelISM: 4 }, 'spec.ParallelISM', 'spec.parallelism'],
    [{ timeouts: { savepointSecond: 1 } }, 'spec.timeouts.savepointSecond', 'spec.timeouts.savepointSeconds'],
    [{ taskManagerConfig: { taskslot: 2 } }, 'spec.taskManagerConfig.taskslot', 'spec.taskManagerConfig.taskSlots'],
    [
      { jobManagerConfig: { envConfig: { envs: [] } } },
      'spec.jobManagerConfig.envConfig.envs',
      'spec.jobManagerConfig.envConfig.env',
    ],
    [{ taskSlots: 2 }, 'spec.taskSlots', 'spec.taskManagerConfig.taskSlots'],
    [{ jobManagerConfig: { image: 'x' } }, 'spec.jobManagerConfig.image', 'spec.image'],
    [{ ingress: {} }, 'spec.ingress', undefined],
    [{ toString: 1 }, 'spec.toString', undefined],
  ])('is found, with the one that is likely to be meant: %j', (spec, field, nearest) => {
    expect(find(spec)).toEqual([nearest === undefined ? { field } : { field, nearest }]);
  });

  it('is found beside others, and in the order in which they were written', () => {
    expect(find({ zebra: 1, image: 'x', apple: 2 })).toEqual([{ field: 'spec.zebra' }, { field: 'spec.apple' }]);
  });

  it.each([
    ['flinkConfig', { flinkConfig: { 'my.own.key': 1 } }],
    ['labels of nodes', { taskManagerConfig: { nodeSelector: { anything: 'goes' } } }],
    ['a pod', { securityContext: { seLinuxOptions: {} }, volumes: [{ name: 'a', csi: {} }] }],
    ['affinity', { jobManagerConfig: { affinity: { podAffinity: { matchLabelKeys: [] } } } }],
    ['resources', { taskManagerConfig: { resources: { requests: { 'nvidia.com/gpu': 1 }, claims: [] } } }],
    ['what is no object', { timeouts: 'long', taskManagerConfig: [{ taskslot: 1 }] }],
    ['nothing', undefined],
    ['a text', 'spec'],
  ])('is none of %s', (_, spec) => {
    expect(find(spec)).toEqual([]);
  });
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Parts that the API server checks when a pod is made of them. */
const OF_KUBERNETES = ['securityContext', 'affinity', 'resources', 'nodeSelector'];

function fieldsOf({ properties = {} }: Schema): Record<string, unknown> {
  const open = Object.entries(properties).filter(([name]) => !OF_KUBERNETES.includes(name));
  return Object.fromEntries(open.map(([name, schema]) => [name, schema.properties ? fieldsOf(schema) : null]));
}

it('is none of those that the CRD describes', () => {
  const crd = parse(readFileSync('infra/kubernetes/flinkapplication-crd.yaml', 'utf8'), { merge: true });
  const { spec } = crd.spec.versions[0].schema.openAPIV3Schema.properties;

  expect(Object.keys(fieldsOf(spec))).toContain('timeouts');
  expect(find(fieldsOf(spec))).toEqual([]);
});
