// A real Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager, with what EKS adds to it (bearer tokens signed with AWS
// credentials) and an audit log. Its whole state lies in one directory, so that a test file, which runs in another process than the one that
// started it, can reach all of it.
import { execFile } from 'node:child_process';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createApiClient, type WatchingApiClient } from './api-client.ts';
import { type AuditEvent, auditPolicy, readAuditLog } from './audit-log.ts';
import { startEksAuthenticator } from './eks-authenticator.ts';
import { eventually } from './eventually.ts';
import { createIdentities } from './pki.ts';
import { type Server, startServer, stopServer, waitUntilReady } from './server-process.ts';

/** The bench has a network namespace of its own, so addresses and ports are fixed. */
export const benchAddress = '10.77.0.1';
export const endpoint = `https://${benchAddress}:6443`;
const etcdEndpoint = 'http://127.0.0.1:2379';
const controllersEndpoint = 'https://127.0.0.1:10257';
const authenticatorPort = 9440;

/** The name that EKS tokens must be made for. */
export const clusterName = 'bench';
const adminToken = 'admin-token';

export interface ControlPlane {
  /** https://10.77.0.1:6443 */
  readonly endpoint: string;
  /** PEM in base64, as EKS gives it and HEADRACE_CLUSTERS takes it. */
  readonly certificateAuthority: string;
  /** Path of a kubeconfig of a member of system:masters. */
  readonly adminKubeconfig: string;
  readonly admin: WatchingApiClient;
  /** Key and certificate (PEM) for a server at `benchAddress`. */
  readonly tls: { readonly key: string; readonly cert: string };

  /** Runs kubectl as the administrator and returns what it printed; throws with its error output. */
  kubectl(...kubectlArguments: readonly string[]): Promise<string>;
  /** All that the audit log holds of requests received at `since` (epoch ms) or later, in the order in which they were answered. */
  auditLog(range?: { readonly since?: number }): Promise<readonly AuditEvent[]>;

  /** Starts the controller manager; `flags` come after the bench's own and win over them. */
  startControllers(flags?: readonly string[]): Promise<void>;
  stopControllers(): Promise<void>;
  /** Starts the API server again over the same etcd; about three seconds. */
  startApiServer(): Promise<void>;
  stopApiServer(): Promise<void>;
  /** Forgets every version but the newest, in etcd and, by starting it again, in the API server's own cache. */
  compact(): Promise<void>;
  /** Stops everything. */
  close(): Promise<void>;
}

interface ControlPlaneOptions {
  /** Path of the built control plane. */
  readonly binary: string;
  /** An empty folder for keys, data and logs. */
  readonly directory: string;
  /** Files, or folders with a kustomization.yaml, that are applied before the controllers start. */
  readonly manifests?: readonly string[];
  /** Whether the controller manager is started; default true. */
  readonly controllers?: boolean;
}

/** Starts a control plane and returns when it serves. Throws with the end of a server's log when that does not come up. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { binary, directory, manifests = [], controllers = true } = options;
  await createIdentities({ folder: keysFolder(directory), address: benchAddress, endpoint });
  await writeConfiguration(binary, directory);

  const controlPlane = await connectControlPlane(directory);
  const authenticator = await startEksAuthenticator({
    address: benchAddress,
    port: authenticatorPort,
    tls: controlPlane.tls,
    clusterName,
  });
  const close = async () => {
    authenticator.close();
    authenticator.closeAllConnections();
    await controlPlane.close();
  };

  try {
    // Side by side: the API server tries until etcd answers.
    await Promise.all([startEtcd(binary, directory), controlPlane.startApiServer()]);
    // Before the controllers, which look up the kinds that there are every 30 s only.
    for (const manifest of manifests) await apply(controlPlane, manifest);
    if (controllers) await controlPlane.startControllers();
  } catch (error) {
    await close();
    throw error;
  }
  return { ...controlPlane, close };
}

/** The control plane that another process has started in `directory`. */
export async function connectControlPlane(directory: string): Promise<ControlPlane> {
  const binary = await readFile(binaryFile(directory), 'utf8');
  const keys = keysFolder(directory);
  const [certificateAuthority, key, cert] = await Promise.all(
    ['ca.crt', 'server.key', 'server.crt'].map((file) => readFile(join(keys, file), 'utf8')),
  );
  if (!certificateAuthority || !key || !cert) throw new Error(`${keys} holds an empty file`);
  const adminKubeconfig = join(keys, 'admin.kubeconfig');
  const admin = createApiClient({ endpoint, certificateAuthority, token: adminToken });
  const prober = createApiClient({ endpoint: controllersEndpoint, certificateAuthority });

  const etcd: Server = { name: 'etcd', directory };
  const apiServer: Server = { name: 'kube-apiserver', directory };
  const controllers: Server = { name: 'kube-controller-manager', directory };

  const controlPlane: ControlPlane = {
    endpoint,
    certificateAuthority: Buffer.from(certificateAuthority).toString('base64'),
    adminKubeconfig,
    admin,
    tls: { key, cert },

    kubectl: async (...kubectlArguments) => {
      const cache = ['--cache-dir', join(directory, 'kubectl-cache')];
      const flags = ['--kubeconfig', adminKubeconfig, ...cache, ...kubectlArguments];
      const { stdout } = await promisify(execFile)(binary, ['kubectl', ...flags], {
        timeout: 60_000,
        maxBuffer: 64 * 1024 * 1024,
      });
      return stdout;
    },
    auditLog: ({ since = 0 } = {}) => readAuditLog({ file: auditFile(directory), admin, since }),

    startControllers: async (flags = []) => {
      await startServer({ ...controllers, binary, flags: [...controllerFlags(directory), ...flags] });
      await waitUntilReady(controllers, async () => (await prober.request('GET', '/healthz')).status === 200);
    },
    stopControllers: () => stopServer(controllers),
    startApiServer: async () => {
      await startServer({ ...apiServer, binary, flags: apiServerFlags(directory) });
      await waitUntilReady(apiServer, async () => (await admin.request('GET', '/readyz')).status === 200);
    },
    stopApiServer: () => stopServer(apiServer),
    compact: async () => {
      await controlPlane.stopApiServer();
      await compactEtcd();
      await controlPlane.startApiServer();
    },
    close: async () => {
      admin.close();
      prober.close();
      await Promise.all([controllers, apiServer, etcd].map(stopServer));
    },
  };
  return controlPlane;
}

async function startEtcd(binary: string, directory: string): Promise<void> {
  const peerEndpoint = 'http://127.0.0.1:2380';
  const flags = {
    'data-dir': join(directory, 'etcd'),
    // Nobody will want these data after a power cut.
    'unsafe-no-fsync': 'true',
    'quota-backend-bytes': String(4 * 1024 ** 3),
    'log-level': 'warn',
    'listen-client-urls': etcdEndpoint,
    'advertise-client-urls': etcdEndpoint,
    'listen-peer-urls': peerEndpoint,
    'initial-advertise-peer-urls': peerEndpoint,
    'initial-cluster': `default=${peerEndpoint}`,
  };
  const etcd: Server = { name: 'etcd', directory };
  await startServer({ ...etcd, binary, flags: asArguments(flags) });
  await waitUntilReady(etcd, async () => (await fetch(`${etcdEndpoint}/health`)).ok);
}

async function compactEtcd(): Promise<void> {
  const { header } = await askEtcd<{ header: { revision: string } }>('range', {
    key: Buffer.from('/').toString('base64'),
  });
  await askEtcd('compaction', { revision: header.revision, physical: true });
}

async function askEtcd<Answer>(question: string, body: unknown): Promise<Answer> {
  const answer = await fetch(`${etcdEndpoint}/v3/kv/${question}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`asking etcd for ${question}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Answer;
}

function apiServerFlags(directory: string): readonly string[] {
  const key = (file: string) => join(keysFolder(directory), file);
  return asArguments({
    'etcd-servers': etcdEndpoint,
    'bind-address': '0.0.0.0',
    'advertise-address': benchAddress,
    'secure-port': '6443',
    'service-cluster-ip-range': '10.96.0.0/16',
    'tls-cert-file': key('server.crt'),
    'tls-private-key-file': key('server.key'),

    'authorization-mode': 'RBAC',
    'client-ca-file': key('ca.crt'),
    'token-auth-file': tokensFile(directory),
    'authentication-token-webhook-config-file': authenticatorFile(directory),
    'authentication-token-webhook-version': 'v1',
    'authentication-token-webhook-cache-ttl': '0s',
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': key('service-account.pub'),
    'service-account-signing-key-file': key('service-account.key'),
    // A pod would need the namespace's default service account first, and gets nothing from it here.
    'disable-admission-plugins': 'ServiceAccount',

    // The aggregation layer (metrics.k8s.io and its sisters). Without kube-proxy it must go to the endpoints' own addresses.
    'enable-aggregator-routing': 'true',
    'requestheader-client-ca-file': key('front-proxy-ca.crt'),
    'requestheader-allowed-names': 'front-proxy-client',
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    'proxy-client-cert-file': key('front-proxy.crt'),
    'proxy-client-key-file': key('front-proxy.key'),

    'audit-policy-file': auditPolicyFile(directory),
    'audit-log-path': auditFile(directory),
    // In MB: one file for the whole run, read from its beginning.
    'audit-log-maxsize': '1000',
  });
}

function controllerFlags(directory: string): readonly string[] {
  const key = (file: string) => join(keysFolder(directory), file);
  const kubeconfig = key('controllers.kubeconfig');
  return asArguments({
    kubeconfig,
    'authentication-kubeconfig': kubeconfig,
    'authorization-kubeconfig': kubeconfig,
    'bind-address': '127.0.0.1',
    'secure-port': '10257',
    'tls-cert-file': key('server.crt'),
    'tls-private-key-file': key('server.key'),
    'root-ca-file': key('ca.crt'),
    'service-account-private-key-file': key('service-account.key'),
    // Each controller has the permissions it has in a real cluster, and its own name in the audit log.
    'use-service-account-credentials': 'true',
    'leader-elect': 'false',
    'kube-api-qps': '200',
    'kube-api-burst': '400',
    controllers: runningControllers.map((name) => `${name}-controller`).join(','),
    // The defaults are 15 s, 5 min, 30 s and 5 min.
    'horizontal-pod-autoscaler-sync-period': '1s',
    'horizontal-pod-autoscaler-downscale-stabilization': '10s',
    'horizontal-pod-autoscaler-initial-readiness-delay': '1s',
    'horizontal-pod-autoscaler-cpu-initialization-period': '2s',
  });
}

// Without pod-garbage-collector, whose task is to remove pods of nodes that do not exist: here none does.
const runningControllers = [
  'clusterrole-aggregation',
  'deployment',
  'disruption',
  'endpoints',
  'endpointslice',
  'endpointslice-mirroring',
  'garbage-collector',
  'horizontal-pod-autoscaler',
  'job',
  'namespace',
  'replicaset',
  'serviceaccount',
  'statefulset',
];

function asArguments(flags: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

async function writeConfiguration(binary: string, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  // JSON is YAML.
  const authenticator = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'authenticator',
        cluster: {
          server: `https://${benchAddress}:${authenticatorPort}`,
          'certificate-authority': join(keysFolder(directory), 'ca.crt'),
        },
      },
    ],
    users: [{ name: 'kube-apiserver' }],
    contexts: [{ name: 'webhook', context: { cluster: 'authenticator', user: 'kube-apiserver' } }],
    'current-context': 'webhook',
  };
  await Promise.all([
    writeFile(binaryFile(directory), binary),
    writeFile(tokensFile(directory), `${adminToken},admin,admin,system:masters\n`),
    writeFile(authenticatorFile(directory), JSON.stringify(authenticator)),
    writeFile(auditPolicyFile(directory), JSON.stringify(auditPolicy)),
  ]);
}

async function apply(controlPlane: ControlPlane, manifest: string): Promise<void> {
  await controlPlane.kubectl('apply', (await isKustomization(manifest)) ? '-k' : '-f', manifest);
  await eventually('every CustomResourceDefinition established', async () => {
    const kinds = await controlPlane.admin.send<{ items: CustomResourceDefinition[] }>(
      'GET',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
    );
    return kinds.items.every((kind) =>
      kind.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True'),
    );
  });
}

interface CustomResourceDefinition {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function isKustomization(path: string): Promise<boolean> {
  return access(join(path, 'kustomization.yaml')).then(
    () => true,
    () => false,
  );
}

function keysFolder(directory: string): string {
  return join(directory, 'keys');
}

function binaryFile(directory: string): string {
  return join(directory, 'binary-path');
}

function tokensFile(directory: string): string {
  return join(directory, 'tokens.csv');
}

function authenticatorFile(directory: string): string {
  return join(directory, 'authenticator.kubeconfig');
}

function auditPolicyFile(directory: string): string {
  return join(directory, 'audit-policy.json');
}

function auditFile(directory: string): string {
  return join(directory, 'audit.log');
}
