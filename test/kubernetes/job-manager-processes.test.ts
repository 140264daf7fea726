import { expect, it } from 'vitest';
import { nameProcesses } from '../../shared/kubernetes/job-manager-processes.ts';
import { type ApiServer, anApiServer, NAMESPACE } from '../support/api-server.ts';

const orders = { namespace: NAMESPACE, name: 'orders' };

function addPod({ sandbox }: ApiServer, name: string, restartCount?: number, podSelector = 'jm1b1b1b'): void {
  sandbox.store.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: NAMESPACE,
      name,
      labels: { 'flink-app': 'orders', 'pod-deployment-selector': podSelector },
    },
    spec: { containers: [{ name: 'jobmanager', image: 'orders:7' }] },
    status: restartCount === undefined ? {} : { containerStatuses: [{ name: 'jobmanager', restartCount }] },
  });
}

it('names the pod and how often it was started again, and nothing of other pods', async () => {
  const server = await anApiServer();
  addPod(server, 'orders-jm-1', 3);
  addPod(server, 'orders-tm-1', 9, 'tm1b1b1b');

  expect(await nameProcesses(server.client, orders, 'jm1b1b1b')).toBe('orders-jm-1/3');
});

it('names every pod there is, one that has not begun too, always in the same order', async () => {
  const server = await anApiServer();
  addPod(server, 'orders-jm-2');
  addPod(server, 'orders-jm-1', 0);

  expect(await nameProcesses(server.client, orders, 'jm1b1b1b')).toBe('orders-jm-1/0, orders-jm-2/0');
});
