import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { startSandbox } from '../../infra/sandbox/server.ts';
import { readFlinkAutoscaler } from '../../shared/kubernetes/flink-autoscaler.ts';
import { type, typeInProcess } from '../support/command-line.ts';
import { Shard } from '../support/sandbox.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headrace-convert-'));
});
afterEach(() => rm(folder, { recursive: true }));

interface ConvertRun {
  readonly status: number | null;
  readonly out: string;
  readonly error: string;
  readonly objects: readonly unknown[];
}

/** Converts a text that lies in a file. */
async function convert(content: string, ...words: readonly string[]): Promise<ConvertRun> {
  const file = join(folder, 'input');
  writeFileSync(file, content);
  const run = await type('convert', file, ...words);
  // As kubectl reads it.
  const objects = parseAllDocuments(run.out, { version: '1.1' }).map((document) => document.toJS() as unknown);
  return { ...run, objects };
}

const V2 = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: orders, namespace: flink }
spec:
  scaleTargetRef: { apiVersion: flink.k8s.io/v1beta1, kind: FlinkApplication, name: orders }
  minReplicas: 2
  maxReplicas: 20
  metrics:
    - type: Resource
      resource: { name: cpu, target: { type: Utilization, averageUtilization: 40 } }
  behavior:
    scaleDown: { stabilizationWindowSeconds: 60, policies: [{ type: Pods, value: 1, periodSeconds: 60 }] }
`;

const CONVERTED = {
  apiVersion: 'headrace.dev/v1alpha1',
  kind: 'FlinkAutoscaler',
  metadata: { name: 'orders', namespace: 'flink' },
  spec: {
    scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' },
    minReplicas: 2,
    maxReplicas: 20,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } } }],
    behavior: {
      scaleDown: { stabilizationWindowSeconds: 60, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
    },
  },
};

/** An HPA of v2 with parts laid over it. */
function anHpa({
  metadata = {},
  spec = {},
  ...rest
}: {
  metadata?: object;
  spec?: object;
  [field: string]: unknown;
} = {}) {
  const { apiVersion: _, kind: __, metadata: name, spec: policy } = CONVERTED;
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { ...name, ...metadata },
    spec: { ...policy, ...spec },
    ...rest,
  };
}

describe('headrace convert', () => {
  it('makes of an autoscaling/v2 HPA a FlinkAutoscaler with the same spec', async () => {
    const { status, objects } = await convert(V2);

    expect(status).toBe(0);
    expect(objects).toEqual([CONVERTED]);
  });

  it('makes of an autoscaling/v1 HPA what its API server would make of it', async () => {
    const v1 = {
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      metadata: {
        name: 'orders',
        namespace: 'flink',
        annotations: {
          'autoscaling.alpha.kubernetes.io/behavior': JSON.stringify({
            ScaleDown: { StabilizationWindowSeconds: 60, Policies: [{ Type: 'Pods', Value: 1, PeriodSeconds: 60 }] },
          }),
        },
      },
      spec: { ...CONVERTED.spec, metrics: undefined, behavior: undefined, targetCPUUtilizationPercentage: 40 },
    };

    expect((await convert(JSON.stringify(v1))).objects).toEqual([CONVERTED]);
  });

  it.each([
    ['autoscaling/v2beta2', CONVERTED.spec.metrics],
    ['autoscaling/v2beta1', [{ type: 'Resource', resource: { name: 'cpu', targetAverageUtilization: 40 } }]],
  ])('takes %s', async (apiVersion, metrics) => {
    const { objects } = await convert(JSON.stringify({ ...anHpa({ spec: { metrics } }), apiVersion }));

    expect(objects).toEqual([CONVERTED]);
  });

  it('writes JSON: one object, or a list of them', async () => {
    const one = await convert(V2, '-o', 'json');
    const two = await convert(`${V2}---${V2}`, '-o', 'json');

    expect(JSON.parse(one.out)).toEqual(CONVERTED);
    expect(JSON.parse(two.out)).toEqual({ apiVersion: 'v1', kind: 'List', items: [CONVERTED, CONVERTED] });
  });

  it('reads lists, typed and untyped, with anchors, gaps and other kinds among them', async () => {
    const { apiVersion, kind, ...bare } = anHpa();
    const list = {
      apiVersion: 'v1',
      kind: 'List',
      items: [anHpa(), { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } }],
    };
    const typed = { apiVersion, kind: `${kind}List`, items: [bare] };
    const anchored = V2.replace('metadata: {', 'metadata: &name {');

    const { status, objects, error } = await convert(
      [JSON.stringify(list), JSON.stringify(typed), '', '# nothing', anchored].join('\n---\n'),
    );

    expect(status).toBe(0);
    expect(objects).toEqual([CONVERTED, CONVERTED, CONVERTED]);
    expect(error).toContain('Secret s is passed over');
  });

  it('reads the standard input, also without being told', async () => {
    const named = await typeInProcess(V2, 'convert', '-', '-o', 'json');
    const unnamed = await typeInProcess(V2, 'convert', '-o', 'json');

    expect(JSON.parse(named.out)).toEqual(CONVERTED);
    expect(unnamed).toEqual(named);
  });

  it('with --advise begins beside the HPA', async () => {
    const { objects, error } = await convert(V2, '--advise');

    expect(objects).toEqual([{ ...CONVERTED, spec: { ...CONVERTED.spec, mode: 'Advise' } }]);
    expect(error).toContain('To hand over, delete that one and set mode: Auto.');
  });

  it('writes texts so that kubectl reads texts', async () => {
    const labels = {
      on: 'off',
      version: '1.10',
      octal: '010',
      time: '12:30:00',
      nothing: 'null',
      tilde: '~',
      yes: 'y',
    };

    const { objects } = await convert(JSON.stringify(anHpa({ metadata: { labels } })));

    expect(objects).toMatchObject([{ metadata: { labels } }]);
  });

  it('makes what Headrace reads', async () => {
    const { objects } = await convert(V2);

    const read = readFlinkAutoscaler({
      ...CONVERTED,
      ...(objects[0] as object),
      metadata: { ...CONVERTED.metadata, resourceVersion: '1' },
    });
    expect(read?.spec).toMatchObject({ value: { minReplicas: 2, maxReplicas: 20, mode: 'Auto' } });
  });

  it.each([
    ['that the HPA must go', {}, 'Delete HorizontalPodAutoscaler orders when this is applied'],
    ['that the age of samples counts', {}, 'samples older than 180 s'],
    ['that status stays behind', { status: { currentReplicas: 3 } }, 'Its status is left behind'],
    [
      'that KEDA makes it again',
      {
        metadata: {
          ownerReferences: [{ kind: 'ScaledObject', name: 'lag' }],
          labels: { 'scaledobject.keda.sh/name': 'lag' },
        },
      },
      'KEDA made it for ScaledObject lag and makes it again',
    ],
    [
      'that Helm makes it again',
      {
        metadata: {
          annotations: { 'meta.helm.sh/release-name': 'shop' },
          labels: { 'app.kubernetes.io/managed-by': 'Helm' },
        },
      },
      'is managed by Helm release shop',
    ],
    [
      'that Argo CD makes it again',
      { metadata: { annotations: { 'argocd.argoproj.io/tracking-id': 'x' } } },
      'is managed by Argo CD',
    ],
    [
      'that an owner makes it again',
      { metadata: { ownerReferences: [{ kind: 'Shop', name: 'a' }] } },
      'It is owned by Shop a',
    ],
    [
      'which annotations stay behind',
      { metadata: { annotations: { team: 'a' } } },
      'Annotations are left behind: team.',
    ],
    [
      'which fields no HPA has',
      { spec: { cooldown: 5 } },
      'Fields that autoscaling/v2 does not have are left out: spec.cooldown.',
    ],
    [
      'that other kinds need rights',
      { spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } } },
      'for Deployment web see infra/kubernetes/rbac.yaml',
    ],
    [
      'that a target needs a group',
      { spec: { scaleTargetRef: { kind: 'Deployment', name: 'web' } } },
      'scaleTargetRef.apiVersion must name a group',
    ],
    ['that CPU at 80 % is meant', { spec: { metrics: [] } }, 'both follow CPU at 80 %'],
    [
      'of a metric that cannot work',
      { spec: { metrics: [{ type: 'Cheese' }] } },
      'Metric 1 (Cheese) fails here, as it does in the HPA',
    ],
    [
      'of a target whose type says something else',
      {
        spec: {
          metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Value', averageUtilization: 40 } } }],
        },
      },
      'Metric 1 (Resource): target.type says Value, but averageUtilization is what counts.',
    ],
    [
      'of a value that is not looked at',
      {
        spec: {
          metrics: [
            {
              type: 'External',
              external: { metric: { name: 'lag' }, target: { type: 'Value', value: '1', averageValue: '2' } },
            },
          ],
        },
      },
      'target.type says Value, but averageValue is what counts; value is not looked at.',
    ],
  ])('tells %s, on the standard error and as a comment', async (_, parts, note) => {
    const { status, out, error } = await convert(JSON.stringify(anHpa(parts)));

    expect(status).toBe(0);
    expect(error).toContain(note);
    expect(out.split('\n').filter((line) => line.startsWith('# '))).toContainEqual(expect.stringContaining(note));
  });

  it('leaves the labels of the tool that made it behind, and keeps the others', async () => {
    const labels = { team: 'a', 'app.kubernetes.io/managed-by': 'Helm', 'argocd.argoproj.io/instance': 'shop' };

    const { objects } = await convert(JSON.stringify(anHpa({ metadata: { labels } })));

    expect(objects).toMatchObject([{ metadata: { labels: { team: 'a' } } }]);
    expect(JSON.stringify(objects)).not.toContain('Helm');
  });

  it('lets no text of an object out of its comment', async () => {
    const annotations = { 'a\n---\nkind: Secret': 'x' };

    const { objects, error } = await convert(JSON.stringify(anHpa({ metadata: { annotations } })));

    expect(objects).toEqual([CONVERTED]);
    expect(error.split('\n').every((line) => line === '' || line.startsWith('headrace convert: '))).toBe(true);
  });

  it.each([
    ['an empty file', '', 'there is no object in it'],
    ['YAML that is none', 'a: [1\nb: 2', 'this is no YAML'],
    ['YAML that names no place', 'a: 1\na: 2', 'at line 2, column 1'],
    ['prose', 'hello', 'object 1 has no kind: it is no Kubernetes object'],
    ['a size in words', V2.replace('20', 'ten'), 'HorizontalPodAutoscaler flink/orders: spec.maxReplicas: '],
    [
      'a minimum above the maximum',
      V2.replace('minReplicas: 2', 'minReplicas: 30'),
      'must be greater than or equal to minReplicas',
    ],
    ['0 replicas without a metric beside the pods', V2.replace('minReplicas: 2', 'minReplicas: 0'), 'spec.minReplicas'],
    ['no target', V2.replace('scaleTargetRef', 'target'), 'spec.scaleTargetRef'],
    ['no name', V2.replace('name: orders, ', ''), 'metadata.name'],
    ['a version of tomorrow', V2.replace('autoscaling/v2', 'autoscaling/v3'), 'apiVersion'],
    [
      'a number that YAML cannot carry',
      V2.replace('averageUtilization: 40', 'averageValue: 9007199254740993'),
      'write it in quotes',
    ],
    [
      'a bomb of aliases',
      [
        'a: &a [x]',
        ...'bcdefghij'.split('').map((key, index) => `${key}: &${key} [${Array(9).fill(`*${'abcdefghij'[index]}`)}]`),
      ].join('\n'),
      'this is no YAML',
    ],
  ])('ends with 2 for %s, says where, and prints nothing', async (_, content, message) => {
    const { status, out, error } = await convert(content);

    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(error).toContain(message);
  });

  it('tells all faults of all objects at once', async () => {
    const { error } = await convert(`${V2.replace('20', 'ten')}---${V2.replace('minReplicas: 2', 'minReplicas: -1')}`);

    expect(error).toContain('spec.maxReplicas');
    expect(error).toContain('spec.minReplicas');
  });

  it.each([
    [['a', 'b'], 'one file, or --all'],
    [['--all', 'a'], 'one file, or --all'],
    [['a', '-A'], 'options of a cluster are of use with --all alone'],
    [['--all', '-A', '-n', 'x'], 'must not be given together'],
    [['a', '-o', 'poem'], '--output must be yaml or json, but is poem'],
    [['/no/such/file'], 'reading /no/such/file: ENOENT'],
    [['--dry-run', 'a'], "Unknown option '--dry-run'"],
  ])('typed wrong ends with 2 and says so: %j', async (words, message) => {
    const { status, out, error } = await type('convert', ...words);

    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(error).toContain(message);
  });

  it('explains itself', async () => {
    const { status, out } = await type('convert', '--help');

    expect(status).toBe(0);
    for (const text of ['--all', '--advise', '--output', 'Exit status:', 'Examples:']) expect(out).toContain(text);
  });
});

describe('headrace convert --all', () => {
  let shard: Shard;
  beforeEach(async () => {
    shard = new Shard(await startSandbox({ namespace: 'flink' }));
    const kubeconfig = join(folder, 'kubeconfig');
    writeFileSync(kubeconfig, shard.sandbox.kubeconfig);
    vi.stubEnv('KUBECONFIG', kubeconfig);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await shard.close();
  });

  it('converts the HPAs of a namespace or of all, and writes nothing', async () => {
    shard.sandbox.store.put(anHpa());
    shard.sandbox.store.put(anHpa({ metadata: { namespace: 'other' } }));

    const here = await type('convert', '--all', '-o', 'json');
    const everywhere = await type('convert', '--all', '-A', '-o', 'json');

    expect(JSON.parse(here.out)).toEqual(CONVERTED);
    expect(JSON.parse(everywhere.out)).toMatchObject({
      items: [CONVERTED, { ...CONVERTED, metadata: { name: 'orders', namespace: 'other' } }],
    });
    expect(shard.writes).toEqual([]);
  });

  it('says so where there is none', async () => {
    const { status, out, error } = await type('convert', '--all');

    expect({ status, out }).toEqual({ status: 0, out: '' });
    expect(error).toContain('there is no HorizontalPodAutoscaler to convert');
  });
});
