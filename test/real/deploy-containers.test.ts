// Init containers and sidecars on a real control plane: the Deployments are accepted as they are made, and a jar that is not in the
// image is fetched before Flink starts.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from './bench/eventually.ts';
import { flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

it.each(flinkVersions)(
  'runs a jar that an init container fetched, beside a sidecar, on Flink %s',
  async (version) => {
    const scene = await openDeployScene(world);
    const folder = scene.flink.sharedFolder;
    const jars = { name: 'jars', mountPath: folder };
    const copy = `mkdir -p ${folder}/flink-web-upload && cp ${scene.flink.jarOf(version)} ${folder}/flink-web-upload/fetched.jar`;
    const tools = { image: 'bench/tools', volumeMounts: [jars] };
    const shell = (script: string) => ({ ...tools, command: ['sh', '-c'], args: [script] });
    const sidecar = { name: 'beat', ...shell(`while :; do echo "$SAYS" > ${folder}/beat; sleep 1; done`) };
    const says = (value: string) => ({ ...sidecar, env: [{ name: 'SAYS', value }] });

    const first = await scene.deploy({
      version,
      flinkConfig: { 'web.upload.dir': folder },
      spec: {
        jarName: 'fetched.jar',
        parallelism: 2,
        volumes: [{ name: 'jars', hostPath: { path: folder } }],
        jobManagerConfig: { initContainers: [{ name: 'fetch', ...shell(copy) }], sidecars: [says('one')] },
      },
    });

    const { jobId, hash } = whatRuns(first);
    await scene.flink.waitForCount(jobId, ({ counted }) => counted > 100);
    expect(await spokenBy(folder, 'one')).toBe(true);
    expect(await containersOf(`orders-${hash}-jm`)).toEqual(['fetch', 'jobmanager', 'beat']);
    expect(await containersOf(`orders-${hash}-tm`)).toEqual(['taskmanager']);

    await scene.edit({
      jobManagerConfig: { initContainers: [{ name: 'fetch', ...shell(copy) }], sidecars: [says('two')] },
    });
    const second = await scene.untilStatus(
      'another cluster',
      ({ phase, deployHash }) => phase === 'Running' && deployHash !== hash,
    );

    await scene.expectGoneOn(jobId, whatRuns(second).jobId, 2);
    expect(await spokenBy(folder, 'two')).toBe(true);

    async function containersOf(name: string): Promise<readonly string[]> {
      const path = `/apis/apps/v1/namespaces/${scene.namespace}/deployments/${name}`;
      const { spec } = await scene.admin.send<{ spec: { template: { spec: PodSpec } } }>('GET', path);
      const { initContainers = [], containers } = spec.template.spec;
      return [...initContainers, ...containers].map((container) => container.name);
    }
  },
  240_000,
);

interface PodSpec {
  readonly initContainers?: readonly { readonly name: string }[];
  readonly containers: readonly { readonly name: string }[];
}

async function spokenBy(folder: string, word: string): Promise<boolean> {
  const look = async () => (await readFile(join(folder, 'beat'), 'utf8')).trim() === word;
  return eventually(`the word ${word}`, look, { timeoutSeconds: 20 });
}
