// A kubeconfig as kubectl reads it, exec plugins included. Only the CLI comes here: the library is large.

import type https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { describeError, TerminalError } from '../errors.ts';
import type { Credentials, KubernetesClientOptions } from './client.ts';

export interface KubeconfigSelection {
  /** A file; absent: $KUBECONFIG, then ~/.kube/config, then the in-cluster service account. */
  readonly kubeconfig?: string;
  /** Absent: the file's current context. */
  readonly context?: string;
}

export interface KubeconfigCluster {
  readonly name: string;
  /** The namespace of the context; "default" when it names none. */
  readonly namespace: string;
  readonly connection: Pick<KubernetesClientOptions, 'endpoint' | 'certificateAuthority' | 'credentials'>;
}

/** How long an answer of the kubeconfig's user is used again; an exec plugin keeps its own, longer, cache. */
const HEADERS_LIFETIME_MILLISECONDS = 60_000;

/** The context that the library makes up (localhost:8080) when it finds no file and no service account. */
const LIBRARY_FALLBACK = 'loaded-context';

/**
 * Reads a kubeconfig and says how to reach the cluster of its context.
 *
 * @throws TerminalError naming the file or context that is missing or wrong
 */
export async function readKubeconfig({ kubeconfig, context }: KubeconfigSelection): Promise<KubeconfigCluster> {
  const config = load(kubeconfig);
  if (config.getCurrentContext() === LIBRARY_FALLBACK)
    throw new TerminalError('no kubeconfig was found: name one with --kubeconfig or KUBECONFIG');
  if (context !== undefined) selectContext(config, context);
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new TerminalError(
      `the kubeconfig has no cluster for context ${JSON.stringify(config.getCurrentContext())}: choose one with --context`,
    );

  if (cluster.proxyUrl !== undefined && cluster.proxyUrl !== null)
    throw new TerminalError(
      `the kubeconfig has a proxy-url for cluster ${cluster.name}: headrace connects directly, so choose a context without one`,
    );

  const options = await askUser(config);
  return {
    name: cluster.name,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    connection: {
      endpoint: cluster.server,
      ...(options.ca !== undefined && { certificateAuthority: options.ca as string | Buffer }),
      credentials: kubeconfigCredentials(config, options),
    },
  };
}

function load(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
    // The library refuses plain http without this; our client accepts it on the loopback alone.
    config.clusters = config.clusters.map((cluster) =>
      cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
    );
  } catch (cause) {
    throw new TerminalError(`reading the kubeconfig${file === undefined ? '' : ` ${file}`}: ${describeError(cause)}`, {
      cause,
    });
  }
  return config;
}

function selectContext(config: KubeConfig, context: string): void {
  const known = config.getContexts().map(({ name }) => name);
  if (!known.includes(context))
    throw new TerminalError(`the kubeconfig has no context ${context}; it has ${known.join(', ') || 'none'}`);
  config.setCurrentContext(context);
}

async function askUser(config: KubeConfig): Promise<https.RequestOptions> {
  const options: https.RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (cause) {
    throw new TerminalError(
      `getting the credentials of context ${config.getCurrentContext()}: ${describeError(cause)}`,
      { cause },
    );
  }
  return options;
}

function kubeconfigCredentials(config: KubeConfig, first: https.RequestOptions): Credentials {
  let headers: Promise<Record<string, string>> | undefined = Promise.resolve(readHeaders(first));
  let askedAt = Date.now();
  const { cert, key, rejectUnauthorized, servername } = first;
  return {
    tls: {
      ...(cert !== undefined && { cert: cert as string | Buffer }),
      ...(key !== undefined && { key: key as string | Buffer }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
      ...(servername !== undefined && { servername }),
    },
    async headers() {
      if (headers === undefined || Date.now() - askedAt >= HEADERS_LIFETIME_MILLISECONDS) {
        askedAt = Date.now();
        headers = askUser(config).then(readHeaders);
      }
      return headers;
    },
    renew() {
      headers = undefined;
    },
  };
}

/** Who we are, and who we act as (`as:` becomes Impersonate-User). */
function readHeaders({ headers, auth }: https.RequestOptions): Record<string, string> {
  const basic = typeof auth === 'string' ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  return { ...basic, ...(headers as Record<string, string> | undefined) };
}
