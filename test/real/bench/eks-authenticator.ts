// What EKS does with a bearer token: it is a presigned request to STS (GetCallerIdentity) that the holder of the AWS credentials has signed,
// and EKS sends it to STS to learn who that is. There is no STS here, so the signature is computed again with the one secret key that the
// tests know, by AWS's own description and not by the code under test:
//   https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
//   https://github.com/kubernetes-sigs/aws-iam-authenticator/blob/master/pkg/token/token.go (what a token may contain)
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { text } from 'node:stream/consumers';

/** The only AWS credentials that the control plane knows; AWS's own documentation uses the key as its example. */
export const eksCredentials = {
  accessKeyId: 'ASIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: 'FwoGZXIvYXdzEXAMPLESESSIONTOKEN',
};

/** Who holds them: the role that the EKS access entry maps to the group of infra/kubernetes' ClusterRoleBinding. */
export const eksIdentity = {
  username: 'arn:aws:sts::123456789012:assumed-role/headrace/scale-check',
  groups: ['headrace'],
};

const tokenPrefix = 'k8s-aws-v1.';
const maximumTokenLength = 4096;
// A token is good for 15 minutes after it was signed, whatever its X-Amz-Expires says.
const tokenLifetimeMs = 15 * 60_000;
const maximumClockSkewMs = 5 * 60_000;
const clusterHeader = 'x-k8s-aws-id';

const knownParameters = new Set([
  'action',
  'version',
  'x-amz-algorithm',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-signedheaders',
]);

export interface AuthenticatorOptions {
  readonly address: string;
  readonly port: number;
  readonly tls: { readonly key: string; readonly cert: string };
  /** A token is made for one cluster and refused by every other. */
  readonly clusterName: string;
}

/** Serves `POST /` of authentication.k8s.io/v1 TokenReviews; a refused token's reason is in `status.error`. */
export async function startEksAuthenticator(options: AuthenticatorOptions): Promise<Server> {
  const server = createServer(options.tls, async (request, response) => {
    try {
      const review = JSON.parse(await text(request)) as { spec: { token: string } };
      const status = reviewToken(review.spec.token, options.clusterName, Date.now());
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', status }));
    } catch (error) {
      response.statusCode = 500;
      response.end(String(error));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.address, resolve);
  });
  return server;
}

type TokenReviewStatus =
  | { readonly authenticated: true; readonly user: typeof eksIdentity }
  | { readonly authenticated: false; readonly error: string };

function reviewToken(token: string, clusterName: string, now: number): TokenReviewStatus {
  const fault = faultOfToken(token, clusterName, now);
  return fault === undefined ? { authenticated: true, user: eksIdentity } : { authenticated: false, error: fault };
}

function faultOfToken(token: string, clusterName: string, now: number): string | undefined {
  if (!token.startsWith(tokenPrefix)) return `the token does not begin with ${tokenPrefix}`;
  if (token.length > maximumTokenLength) return `the token is longer than ${maximumTokenLength} characters`;
  const encoded = token.slice(tokenPrefix.length);
  if (!/^[A-Za-z0-9_-]+$/.test(encoded)) return 'the token is not base64url without padding';
  const url = URL.parse(Buffer.from(encoded, 'base64url').toString());
  return url === null ? 'the token holds no URL' : faultOfPresignedUrl(url, clusterName, now);
}

function faultOfPresignedUrl(url: URL, clusterName: string, now: number): string | undefined {
  const parameters = new Map([...url.searchParams].map(([name, value]) => [name.toLowerCase(), value]));
  const signedHeaders = parameters.get('x-amz-signedheaders')?.split(';') ?? [];
  const signTime = parseAmzDate(parameters.get('x-amz-date') ?? '');
  const expiresSeconds = Number(parameters.get('x-amz-expires'));

  if (url.protocol !== 'https:' || !/^sts\.([a-z0-9-]+\.)?amazonaws\.com$/.test(url.host))
    return `${url.host} is not STS`;
  if (url.pathname !== '/') return `path ${url.pathname}`;
  const unknown = [...parameters.keys()].find((name) => !knownParameters.has(name));
  if (unknown !== undefined) return `unknown parameter ${unknown}`;
  if (parameters.get('action') !== 'GetCallerIdentity') return 'the action is not GetCallerIdentity';
  if (!signedHeaders.includes(clusterHeader)) return `header ${clusterHeader} is not signed`;
  if (!(expiresSeconds >= 0 && expiresSeconds <= 900)) return 'X-Amz-Expires is not between 0 and 900';
  if (!(now < signTime + tokenLifetimeMs)) return 'the token has expired';
  if (signTime > now + maximumClockSkewMs) return 'the token is not valid yet';
  if ((parameters.get('x-amz-security-token') ?? '') !== eksCredentials.sessionToken) return 'unknown session token';
  return faultOfSignature(url, parameters, { host: url.host, [clusterHeader]: clusterName });
}

function faultOfSignature(
  url: URL,
  parameters: ReadonlyMap<string, string>,
  headers: Readonly<Record<string, string>>,
): string | undefined {
  const [accessKeyId, date, region, service, terminator] = (parameters.get('x-amz-credential') ?? '').split('/');
  if (accessKeyId !== eksCredentials.accessKeyId) return 'unknown access key';
  if (service !== 'sts' || terminator !== 'aws4_request') return 'the credential is not scoped to STS';

  const signedHeaders = parameters.get('x-amz-signedheaders') ?? '';
  const canonicalRequest = [
    'GET',
    '/',
    canonicalQuery(url),
    ...signedHeaders.split(';').map((name) => `${name}:${headers[name] ?? ''}`),
    '',
    signedHeaders,
    sha256(''),
  ].join('\n');
  const scope = [date, region, service, terminator].join('/');
  const toSign = ['AWS4-HMAC-SHA256', parameters.get('x-amz-date'), scope, sha256(canonicalRequest)].join('\n');

  const signingKey = [date, region, service, terminator].reduce<string | Buffer>(
    (key, part) => hmac(key, part ?? ''),
    `AWS4${eksCredentials.secretAccessKey}`,
  );
  const expected = hmac(signingKey, toSign);
  const actual = Buffer.from(parameters.get('x-amz-signature') ?? '', 'hex');
  const isEqual = actual.length === expected.length && timingSafeEqual(actual, expected);
  return isEqual ? undefined : 'the signature does not match';
}

/** All parameters but the signature, encoded as RFC 3986 says and sorted by name. */
function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encodeRfc3986(name)}=${encodeRfc3986(value)}`)
    .sort()
    .join('&');
}

function encodeRfc3986(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** "20260131T235959Z" → epoch milliseconds; NaN for anything else. */
function parseAmzDate(value: string): number {
  return Date.parse(value.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function sha256(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}

function hmac(key: string | Buffer, value: string): Buffer {
  return createHmac('sha256', key).update(value).digest();
}
