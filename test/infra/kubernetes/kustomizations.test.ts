import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Manifest, readManifest } from './manifests.ts';

interface Kustomization extends Manifest {
  readonly resources: readonly string[];
}

const root = new URL('../../../infra/kubernetes/', import.meta.url);

describe('kustomizations', () => {
  it.each(['', 'examples/application/', 'examples/autoscaler/', 'examples/hpa/', 'examples/take-over-check/'])(
    'infra/kubernetes/%s applies every file of its folder',
    (folder) => {
      const { resources } = readManifest<Kustomization>(`${folder}kustomization.yaml`);
      const files = readdirSync(new URL(folder, root)).filter((name) => /\.yaml$/.test(name));

      expect(resources.filter((name) => !existsSync(new URL(folder + name, root)))).toEqual([]);
      expect(files.filter((name) => name !== 'kustomization.yaml' && !resources.includes(name))).toEqual([]);
    },
  );

  it('leaves the examples out of what a cluster needs', () => {
    const { resources } = readManifest<Kustomization>('kustomization.yaml');

    expect(resources.filter((name) => name.includes('examples'))).toEqual([]);
  });

  it('scales one and the same application in both examples, to the same policy', () => {
    const ours = readManifest<Manifest & { spec: object }>('examples/autoscaler/flinkautoscaler.yaml');
    const theirs = readManifest<Manifest & { spec: object }>('examples/hpa/horizontalpodautoscaler.yaml');

    for (const example of ['autoscaler', 'hpa']) {
      const { resources } = readManifest<Kustomization>(`examples/${example}/kustomization.yaml`);
      expect(resources).toContain('../application');
    }
    expect(theirs.spec).toEqual(ours.spec);
  });
});
