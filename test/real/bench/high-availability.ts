// What clusters of a namespace need for Flink's high availability: rights on ConfigMaps, or a ZooKeeper.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiClient } from './api-client.ts';
import { smallJvm } from './flink-process.ts';
import type { Image } from './kubelet.ts';

export type HaService = 'kubernetes' | 'zookeeper';

/** What an application adds to its spec. */
export interface HighAvailability {
  readonly flinkConfig: Readonly<Record<string, string>>;
  readonly serviceAccountName?: string;
}

interface Place {
  readonly admin: ApiClient;
  readonly namespace: string;
  /** The path of a folder that outlives all pods. */
  readonly storage: string;
}

/** Sets a namespace up for it and waits for nothing. To be called once for a namespace. */
export async function prepareHighAvailability(
  service: HaService,
  { storage, ...place }: Place,
): Promise<HighAvailability> {
  const flinkConfig = { 'high-availability.type': service, 'high-availability.storageDir': `file://${storage}` };
  if (service === 'kubernetes') return { flinkConfig, serviceAccountName: await createServiceAccount(place) };
  await startZooKeeper(place);
  return { flinkConfig: { ...flinkConfig, 'high-availability.zookeeper.quorum': `${zooKeeper}:${zooKeeperPort}` } };
}

type Namespaced = Pick<Place, 'admin' | 'namespace'>;

/** As Flink's own documentation has it: all that a JobManager and its TaskManagers do there is read and write ConfigMaps. */
async function createServiceAccount({ admin, namespace }: Namespaced): Promise<string> {
  const name = 'flink';
  const metadata = { name };
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['*'] }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  await admin.send('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata });
  await admin.send('POST', `${rbac}/roles`, { metadata, rules });
  await admin.send('POST', `${rbac}/rolebindings`, { metadata, roleRef, subjects });
  return name;
}

const zooKeeper = 'zookeeper';
const zooKeeperPort = 2181;

/** The name of the image of `zooKeeperImage`. */
export const zooKeeperImageName = 'bench/zookeeper';

/** One server, under a name that pods can look up. */
async function startZooKeeper({ admin, namespace }: Namespaced): Promise<void> {
  const labels = { app: zooKeeper };
  const core = `/api/v1/namespaces/${namespace}`;
  const ports = [{ name: 'client', port: zooKeeperPort }];
  await admin.send('POST', `${core}/services`, {
    metadata: { name: zooKeeper },
    spec: { clusterIP: 'None', selector: labels, ports },
  });
  await admin.send('POST', `${core}/pods`, {
    metadata: { name: zooKeeper, labels },
    spec: { containers: [{ name: zooKeeper, image: zooKeeperImageName }] },
  });
}

/** The ZooKeeper that comes with a Flink in `home`. */
export function zooKeeperImage(home: string): Image {
  return async ({ folder }) => {
    const dataFolder = join(folder, 'data');
    await mkdir(dataFolder);
    const settings = {
      dataDir: dataFolder,
      clientPort: zooKeeperPort,
      'admin.enableServer': false,
      'server.1': 'localhost:2888:3888',
    };
    const configuration = join(folder, 'zoo.cfg');
    const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
    await Promise.all([writeFile(configuration, lines.join('')), writeFile(join(dataFolder, 'myid'), '1\n')]);
    const main = 'org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer';
    const words = ['-cp', 'lib/*', main, '--zkConfigFile', configuration, '--peerId', '1'];
    return { command: ['java', ...smallJvm, ...words], folder: home };
  };
}
