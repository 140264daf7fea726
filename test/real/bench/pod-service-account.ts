// What a pod knows of its service account: the files that a kubelet puts at /var/run/secrets/kubernetes.io/serviceaccount.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiClient } from './api-client.ts';
import type { Pod } from './pod.ts';

export interface ServiceAccountOptions {
  readonly admin: ApiClient;
  /** PEM, of the API server. */
  readonly certificateAuthority: string;
  /** Where the files go; what a pod sees as its /var/run. */
  readonly folder: string;
}

/** Longer than any test: nobody renews it. */
const expirationSeconds = 24 * 3600;

/**
 * Writes token, ca.crt and namespace for a pod that names a service account, and returns what it must see as /var/run; undefined for a
 * pod that names none, which gets nothing here. Throws when the service account does not exist.
 */
export async function prepareServiceAccount(pod: Pod, options: ServiceAccountOptions): Promise<string | undefined> {
  const { serviceAccountName } = pod.spec;
  if (!serviceAccountName) return undefined;
  const { namespace, name, uid } = pod.metadata;
  const { status } = await options.admin.send<{ status: { token: string } }>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccountName}/token`,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
    },
  );
  const secrets = join(options.folder, 'secrets', 'kubernetes.io', 'serviceaccount');
  await mkdir(secrets, { recursive: true });
  const files = { token: status.token, 'ca.crt': options.certificateAuthority, namespace };
  await Promise.all(Object.entries(files).map(([file, content]) => writeFile(join(secrets, file), content)));
  return options.folder;
}
