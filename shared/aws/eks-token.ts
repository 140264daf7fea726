// The bearer token that EKS accepts: a presigned STS GetCallerIdentity URL, made locally, as `aws eks get-token` does.
// EKS calls the URL to learn who we are; nothing is sent to STS from here.

import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface EksTokenInput {
  readonly cluster: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
  /** Of the signature, epoch milliseconds. EKS accepts the token for 15 minutes from then on. */
  readonly signedAt: number;
}

const URL_EXPIRES_SECONDS = 60;

/** Makes the token of one cluster: "k8s-aws-v1." and the URL in base64url without padding. */
export async function createEksToken({ cluster, region, credentials, signedAt }: EksTokenInput): Promise<string> {
  const signer = new SignatureV4({ service: 'sts', region, credentials, sha256: NodeSha256, applyChecksum: false });
  const hostname = `sts.${region}.${region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'}`;
  const signed = await signer.presign(
    {
      method: 'GET',
      protocol: 'https:',
      hostname,
      path: '/',
      query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
      headers: { host: hostname, 'x-k8s-aws-id': cluster },
    },
    // The cluster's name stays a signed header: a token for one cluster is worth nothing at another.
    { expiresIn: URL_EXPIRES_SECONDS, signingDate: new Date(signedAt), unhoistableHeaders: new Set(['x-k8s-aws-id']) },
  );
  const query = new URLSearchParams(signed.query as Record<string, string>);
  return `k8s-aws-v1.${Buffer.from(`https://${hostname}/?${query}`).toString('base64url')}`;
}

/** SHA-256 of node:crypto in the shape that the signer asks for. */
class NodeSha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', toKey(secret));
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

function toKey(secret: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof secret === 'string') return secret;
  return ArrayBuffer.isView(secret)
    ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
    : new Uint8Array(secret);
}
