import { expect, it } from 'vitest';
import { listHighAvailability } from '../../shared/kubernetes/config-maps.ts';
import { anApiServer, NAMESPACE } from '../support/api-server.ts';

const CLUSTER_ID = 'orders-5e7c7283-k3x9q2';
const JOB_ID = 'a'.repeat(32);

/** As Flink labels them: 1.20.3 says what they are for, 2.3.0 does not. */
const labelsOf = {
  '1.20.3': { app: CLUSTER_ID, 'configmap-type': 'high-availability', type: 'flink-native-kubernetes' },
  '2.3.0': { app: CLUSTER_ID, type: 'flink-native-kubernetes' },
};
const flinksLabels = labelsOf['2.3.0'];

it.each(['1.20.3', '2.3.0'] as const)(
  'lists what the high availability of Flink %s keeps of a cluster',
  async (version) => {
    const { sandbox, client } = await anApiServer();
    const add = (name: string, labels: Readonly<Record<string, string>>) =>
      sandbox.store.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: NAMESPACE, name, labels } });
    const names = [`${CLUSTER_ID}-${JOB_ID}-config-map`, `${CLUSTER_ID}-cluster-config-map`];
    for (const name of names) add(name, labelsOf[version]);
    add('orders-5e7c7283-other1-cluster-config-map', { ...labelsOf[version], app: 'orders-5e7c7283-other1' });
    // What Flink's native Kubernetes keeps under the same labels, and what somebody else calls the same.
    add(`flink-config-${CLUSTER_ID}`, flinksLabels);
    add(`${CLUSTER_ID}-settings`, flinksLabels);
    add(`${CLUSTER_ID}-own-config-map`, { app: CLUSTER_ID });

    const kept = await listHighAvailability(client, NAMESPACE, CLUSTER_ID);

    expect(kept.map(({ name }) => name)).toEqual(names);
  },
);
