import { type AwsCredentials, createEksToken } from '../aws/eks-token.ts';
import type { Credentials } from './client.ts';

/** EKS accepts a token for 15 minutes; a new one is made a minute before that. */
const TOKEN_LIFETIME_MILLISECONDS = 14 * 60 * 1000;

export interface EksIdentity {
  readonly cluster: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
}

/** Credentials of an EKS cluster: a token made locally from the function's own AWS credentials, renewed before it expires. */
export function eksCredentials(identity: EksIdentity): Credentials {
  let token: Promise<string> | undefined;
  let madeAt = 0;
  return {
    async headers() {
      // The age of a token is real time, whatever clock the decisions follow: EKS compares it with its own.
      const now = Date.now();
      if (token === undefined || now - madeAt >= TOKEN_LIFETIME_MILLISECONDS) {
        token = createEksToken({ ...identity, signedAt: now });
        madeAt = now;
      }
      return { authorization: `Bearer ${await token}` };
    },
    renew() {
      token = undefined;
    },
  };
}
