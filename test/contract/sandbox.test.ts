// The contract against the sandbox.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Sandbox, startSandbox } from '../../infra/sandbox/server.ts';
import type { ApiClient } from '../real/bench/api-client.ts';
import { type ContractCluster, describeKubernetesContract } from './kubernetes.contract.ts';

describeKubernetesContract('the sandbox', connectSandbox);

async function connectSandbox(): Promise<ContractCluster> {
  const sandbox = await startSandbox();
  const directory = await mkdtemp(join(tmpdir(), 'headrace-contract-'));
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, sandbox.kubeconfig);
  const { AWS_REGION: region = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = sandbox.env;
  return {
    kubeconfig,
    eksIdentity: {
      cluster: sandbox.clusterName,
      region,
      credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
    },
    admin: adminOf(sandbox),
    setPodUsage: ({ namespace, pod, cpuMilli, time }) => sandbox.setUsage({ namespace, name: pod, cpuMilli, time }),
    setPodMetric: ({ pod, ...metric }) => sandbox.setPodMetric({ ...metric, name: pod, windowSeconds: 15 }),
    setObjectMetric: (metric) => sandbox.setObjectMetric(metric),
    setExternalMetric: (metric) => sandbox.setExternalMetric(metric),
    serveCustomMetrics: async (version) => sandbox.serveCustomMetrics(version),
    compact: async () => sandbox.store.compact(),
    close: async () => {
      await sandbox.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** The bench's client speaks HTTPS; this one says the same over the sandbox's plain HTTP. */
function adminOf({ url, token }: Sandbox): ApiClient {
  const request: ApiClient['request'] = async <Body>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Body;
    return { status: response.status, headers: Object.fromEntries(response.headers), body: answer };
  };
  const send: ApiClient['send'] = async <Body>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => {
    const answer = await request<Body>(method, path, body, headers);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  return { request, send, close: () => {} };
}
