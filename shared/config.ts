// The environment, read once and checked as a whole: every fault is reported together, so that one deploy mends them all.

import * as z from 'zod';
import { TerminalError } from './errors.ts';
import { isLoopback } from './kubernetes/client.ts';

const Cluster = z.strictObject({
  name: z.string().min(1),
  region: z.string().min(1).optional(),
  endpoint: z.url().optional(),
  /** PEM in base64, as EKS gives it. */
  certificateAuthority: z
    .base64()
    .transform((data) => Buffer.from(data, 'base64').toString())
    .optional(),
  /** Name → its namespaces; an empty list means all of them. */
  shards: z.record(z.string().min(1), z.array(z.string().min(1))).default({ default: [] }),
});

const Clusters = z.array(Cluster).min(1, 'must name at least one cluster');

const JsonText = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: 'custom', message: 'must be JSON' });
    return z.NEVER;
  }
});

const MUST_BE_SET = 'must be set';

const Environment = z.object({
  AWS_REGION: z.string(MUST_BE_SET),
  AWS_ACCESS_KEY_ID: z.string(MUST_BE_SET),
  AWS_SECRET_ACCESS_KEY: z.string(MUST_BE_SET),
  AWS_SESSION_TOKEN: z.string().optional(),
  HEADRACE_CLUSTERS: z.string(MUST_BE_SET).pipe(JsonText).pipe(Clusters),
  HEADRACE_QUEUE_URL: z.url().optional(),
  HEADRACE_RECONCILE_QUEUE_URL: z.url().optional(),
  HEADRACE_CLOCK_URL: z
    .url({ abort: true })
    .refine((url) => isLoopback(new URL(url).hostname), 'must be on the loopback: it is for the sandbox alone')
    .optional(),
});

export interface ClusterConfig {
  readonly name: string;
  readonly region: string;
  readonly endpoint?: string;
  /** PEM. */
  readonly certificateAuthority?: string;
  readonly shards: Readonly<Record<string, readonly string[]>>;
}

export interface Config {
  readonly region: string;
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  readonly clusters: readonly ClusterConfig[];
  /** Of the ticks. */
  readonly queueUrl?: string;
  /** Of the rounds; absent where nobody reconciles. */
  readonly reconcileQueueUrl?: string;
  readonly clockUrl?: string;
}

/** The environment cannot be used: names each variable, what is wrong with it and what must hold. */
export class ConfigError extends TerminalError {
  override readonly name = 'ConfigError';
}

/** Reads the environment of a function. @throws ConfigError naming every fault */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new ConfigError(`reading the environment: ${faults.join('; ')}`);
  }
  const {
    AWS_REGION,
    HEADRACE_CLUSTERS,
    HEADRACE_QUEUE_URL,
    HEADRACE_RECONCILE_QUEUE_URL,
    HEADRACE_CLOCK_URL,
    ...aws
  } = parsed.data;
  return {
    region: AWS_REGION,
    credentials: {
      accessKeyId: aws.AWS_ACCESS_KEY_ID,
      secretAccessKey: aws.AWS_SECRET_ACCESS_KEY,
      ...(aws.AWS_SESSION_TOKEN && { sessionToken: aws.AWS_SESSION_TOKEN }),
    },
    clusters: HEADRACE_CLUSTERS.map((cluster) =>
      withoutUndefined({ ...cluster, region: cluster.region ?? AWS_REGION }),
    ),
    ...(HEADRACE_QUEUE_URL && { queueUrl: HEADRACE_QUEUE_URL }),
    ...(HEADRACE_RECONCILE_QUEUE_URL && { reconcileQueueUrl: HEADRACE_RECONCILE_QUEUE_URL }),
    ...(HEADRACE_CLOCK_URL && { clockUrl: HEADRACE_CLOCK_URL }),
  };
}

function withoutUndefined({
  endpoint,
  certificateAuthority,
  ...cluster
}: z.output<typeof Cluster> & { region: string }): ClusterConfig {
  return { ...cluster, ...(endpoint && { endpoint }), ...(certificateAuthority && { certificateAuthority }) };
}
