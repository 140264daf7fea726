// A sandbox as nothing but an API server, and a client of it.

import { onTestFinished } from 'vitest';
import type { KubernetesObject } from '../../infra/sandbox/kinds.ts';
import { type Sandbox, startSandbox } from '../../infra/sandbox/server.ts';
import type { Application } from '../../shared/deployment/types.ts';
import { createKubernetesClient, type KubernetesClient } from '../../shared/kubernetes/client.ts';
import { readApplication } from '../../shared/kubernetes/deployed-application.ts';

export const NAMESPACE = 'flink';

export interface ApiServer {
  readonly sandbox: Sandbox;
  readonly client: KubernetesClient;
}

/** Starts one that ends with the test. */
export async function anApiServer(): Promise<ApiServer> {
  const sandbox = await startSandbox({ namespace: NAMESPACE });
  sandbox.store.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: NAMESPACE, name: 'first' } });
  const authorization = `Bearer ${sandbox.token}`;
  const credentials = { headers: async () => ({ authorization }), renew: () => {} };
  const client = createKubernetesClient({ endpoint: sandbox.url, credentials });
  onTestFinished(async () => {
    client.close();
    await sandbox.close();
  });
  return { sandbox, client };
}

interface ApplicationMetadata {
  readonly name?: string;
  readonly finalizers?: readonly string[];
  readonly deletionTimestamp?: string;
}

/** Puts a FlinkApplication there and reads it. */
export function addApplication(
  { sandbox }: ApiServer,
  { name = 'orders', ...metadata }: ApplicationMetadata = {},
): Application {
  const application = readApplication(
    sandbox.store.put({
      apiVersion: 'flink.k8s.io/v1beta1',
      kind: 'FlinkApplication',
      metadata: { namespace: NAMESPACE, name, ...metadata },
      spec: { image: 'orders:7', jarName: 'orders.jar', entryClass: 'com.example.Orders', parallelism: 4 },
    }),
  );
  if (application === undefined) throw new TypeError('the sandbox stored no application');
  return application;
}

/** What is stored of one object now, or undefined. */
export function stored({ sandbox }: ApiServer, kind: string, name: string): KubernetesObject | undefined {
  return sandbox.store.get(kind, NAMESPACE, name);
}

/** The reference of an object to the application that it belongs to. */
export function ownedBy({ name, uid }: Pick<Application, 'name' | 'uid'>) {
  const apiVersion = 'flink.k8s.io/v1beta1';
  return { apiVersion, kind: 'FlinkApplication', name, uid, controller: true, blockOwnerDeletion: true };
}
