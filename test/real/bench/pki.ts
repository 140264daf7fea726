// Keys, certificates and kubeconfigs of a control plane that lives as long as one run of the tests.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const openssl = promisify(execFile);

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const lifetime = ['-days', '30'];

export interface Identities {
  /** The folder for the keys; it is made. */
  readonly folder: string;
  /** The address under which the servers are reached. */
  readonly address: string;
  readonly endpoint: string;
}

/** Writes `<name>.key` and `<name>.crt` for every part of the control plane, and a kubeconfig for the two that are clients. */
export async function createIdentities({ folder, address, endpoint }: Identities): Promise<void> {
  await mkdir(folder, { recursive: true });
  // Two authorities: whoever has a certificate of the second may speak in the name of any user (the aggregation layer's proxy).
  await Promise.all([authority(folder, 'ca'), authority(folder, 'front-proxy-ca'), serviceAccountKey(folder)]);
  await Promise.all([
    leaf({
      folder,
      name: 'server',
      issuer: 'ca',
      subject: '/CN=kube-apiserver',
      extension: `subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:${address},IP:10.96.0.1`,
    }),
    client({ folder, name: 'admin', issuer: 'ca', subject: '/O=system:masters/CN=admin' }),
    client({ folder, name: 'controllers', issuer: 'ca', subject: '/CN=system:kube-controller-manager' }),
    client({ folder, name: 'front-proxy', issuer: 'front-proxy-ca', subject: '/CN=front-proxy-client' }),
    kubeconfig({ folder, name: 'admin', endpoint }),
    kubeconfig({ folder, name: 'controllers', endpoint }),
  ]);
}

async function authority(folder: string, name: string): Promise<void> {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
  await openssl('openssl', ['req', '-x509', ...newKey, ...lifetime, ...files, '-subj', `/CN=${name}`]);
}

async function serviceAccountKey(folder: string): Promise<void> {
  const key = join(folder, 'service-account.key');
  await openssl('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key]);
  await openssl('openssl', ['ec', '-in', key, '-pubout', '-out', join(folder, 'service-account.pub')]);
}

interface Certificate {
  readonly folder: string;
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
}

function client(certificate: Certificate): Promise<void> {
  return leaf({ ...certificate, extension: 'extendedKeyUsage=clientAuth' });
}

async function leaf({ folder, name, issuer, subject, extension }: Certificate & { extension: string }): Promise<void> {
  const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
  const signer = ['-CA', join(folder, `${issuer}.crt`), '-CAkey', join(folder, `${issuer}.key`)];
  const extensions = ['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', extension];
  await openssl('openssl', [
    ...['req', '-x509', ...newKey, ...lifetime, ...files, ...signer, '-subj', subject, ...extensions],
  ]);
}

async function kubeconfig({ folder, name, endpoint }: { folder: string; name: string; endpoint: string }) {
  // JSON is YAML.
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bench', cluster: { server: endpoint, 'certificate-authority': join(folder, 'ca.crt') } }],
    users: [
      {
        name,
        user: { 'client-certificate': join(folder, `${name}.crt`), 'client-key': join(folder, `${name}.key`) },
      },
    ],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: name } }],
    'current-context': 'bench',
  };
  await writeFile(join(folder, `${name}.kubeconfig`), JSON.stringify(content));
}
