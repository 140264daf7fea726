// The sandbox as a process of its own, filled with a fleet: `node infra/sandbox/serve.ts --applications 1000 --task-managers 10`.
// Prints one line of JSON when it is ready ({url, env, kubeconfig}) and ends on SIGTERM. Its clock stands still, so that the lists,
// serialised and packed before it says it is ready, stay as they are: POST /sandbox/clock {"advanceSeconds": 15} moves it.
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { type Sandbox, startSandbox } from './server.ts';

const namespace = 'flink';
const pageSize = 500;
const cpuRequestMilli = 1000;

const { values } = parseArgs({
  options: {
    applications: { type: 'string', default: '1000' },
    'task-managers': { type: 'string', default: '10' },
    // What every TaskManager uses of its request, percent; the autoscalers' target is 40.
    usage: { type: 'string', default: '40' },
    port: { type: 'string', default: '0' },
  },
});

const sandbox = await startSandbox({ port: Number(values.port) });
for (let index = 0; index < Number(values.applications); index += 1)
  addAutoscaledApplication(
    `app-${String(index).padStart(4, '0')}`,
    Number(values['task-managers']),
    Number(values.usage),
  );
await readEverything(sandbox);
sandbox.requests.clear();
console.log(JSON.stringify({ url: sandbox.url, env: sandbox.env, kubeconfig: sandbox.kubeconfig }));
await once(process, 'SIGTERM');
await sandbox.close();

function addAutoscaledApplication(name: string, taskManagers: number, usagePercent: number): void {
  const loadMilli = (taskManagers * cpuRequestMilli * usagePercent) / 100;
  const size = { parallelism: taskManagers * 2, taskSlots: 2, replicas: taskManagers };
  sandbox.simulation.addApplication({ namespace, name, loadMilli, cpuRequestMilli, ...size });
  sandbox.store.put({
    apiVersion: 'headrace.dev/v1alpha1',
    kind: 'FlinkAutoscaler',
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name },
      minReplicas: 1,
      maxReplicas: taskManagers * 4,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } } },
      ],
    },
  });
}

/** Asks for every list once as a tick does: afterwards all pages are at hand. */
async function readEverything({ url, token }: Sandbox): Promise<void> {
  const selector = 'labelSelector=flink-deployment-type%3Dtaskmanager';
  const lists = [
    `/apis/headrace.dev/v1alpha1/flinkautoscalers?limit=${pageSize}`,
    `/apis/flink.k8s.io/v1beta1/flinkapplications?limit=${pageSize}`,
    `/apis/metrics.k8s.io/v1beta1/pods?${selector}`,
    `/api/v1/pods?${selector}&limit=${pageSize}`,
  ];
  for (const list of lists) {
    let address: string | undefined = list;
    while (address) {
      await readProtobuf(url + address, token);
      const response: Response = await fetch(url + address, { headers: { authorization: `Bearer ${token}` } });
      const { metadata } = (await response.json()) as { metadata: { continue?: string } };
      address = metadata.continue && `${list}&continue=${metadata.continue}`;
    }
  }
}

/** Pods are asked for in this encoding too; lists that do not have it answer in JSON. */
async function readProtobuf(address: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/vnd.kubernetes.protobuf' };
  await (await fetch(address, { headers })).arrayBuffer();
}
