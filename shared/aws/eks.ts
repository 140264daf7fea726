import type { DescribeClusterCommandOutput } from '@aws-sdk/client-eks';
import * as z from 'zod';
import { TerminalError } from '../errors.ts';
import { SDK_LIMITS } from './limits.ts';

/** Where a cluster's API server is, and which authority vouches for it. */
export interface ClusterAddress {
  readonly endpoint: string;
  /** PEM. Absent: the system's authorities. */
  readonly certificateAuthority?: string;
}

const Answer = z.object({
  cluster: z.object({
    endpoint: z.url(),
    certificateAuthority: z.object({ data: z.base64().optional() }).optional(),
  }),
});

/**
 * Asks EKS where a cluster is. The SDK is loaded on the first call alone: where configuration names the endpoint, the
 * hot path never pays for it.
 *
 * @throws TerminalError when EKS knows no such cluster or it has no endpoint yet
 */
export async function describeCluster(name: string, region: string): Promise<ClusterAddress> {
  const { EKSClient, DescribeClusterCommand } = await import('@aws-sdk/client-eks');
  const client = new EKSClient({ region, ...SDK_LIMITS });
  let answer: DescribeClusterCommandOutput;
  try {
    answer = await client.send(new DescribeClusterCommand({ name }));
  } catch (cause) {
    throw new TerminalError(`describing EKS cluster ${name} in ${region}`, { cause });
  } finally {
    client.destroy();
  }
  const parsed = Answer.safeParse(answer);
  if (!parsed.success)
    throw new TerminalError(`describing EKS cluster ${name} in ${region}: it has no endpoint yet`, {
      cause: parsed.error,
    });
  const { endpoint, certificateAuthority } = parsed.data.cluster;
  return {
    endpoint,
    ...(certificateAuthority?.data && {
      certificateAuthority: Buffer.from(certificateAuthority.data, 'base64').toString(),
    }),
  };
}
