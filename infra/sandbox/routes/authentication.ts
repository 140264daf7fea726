// Who may ask: the kubeconfig's static token, or an EKS token, which is a presigned STS URL in disguise. The token's signature is
// computed anew with the sandbox's own secret, as STS would do it: a token for another cluster, or one signed wrongly, is refused.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { SandboxRequest } from '../exchange.ts';

/** What a token is checked against. */
export interface Identity {
  readonly staticToken: string;
  readonly clusterName: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** EKS accepts a token for 15 minutes from the instant in it, whatever X-Amz-Expires says. */
const tokenSeconds = 15 * 60;
const clusterHeader = 'x-k8s-aws-id';

/** True when the request carries a token the sandbox accepts. `now` is the sandbox's time. */
export function isAuthenticated({ headers }: SandboxRequest, identity: Identity, now: number): boolean {
  const token = /^Bearer (\S+)$/.exec(String(headers.authorization ?? ''))?.[1];
  if (token === undefined) return false;
  return token === identity.staticToken || isEksToken(token, identity, now);
}

function isEksToken(token: string, identity: Identity, now: number): boolean {
  const [, prefix, encoded = ''] = /^(k8s-aws-v1\.)([A-Za-z0-9_-]+)$/.exec(token) ?? [];
  const address = Buffer.from(encoded, 'base64url').toString();
  if (!prefix || !URL.canParse(address)) return false;
  const url = new URL(address);
  return isCallerIdentityQuestion(url) && !isExpired(url, now) && isSigned(url, identity);
}

function isCallerIdentityQuestion({ protocol, hostname, pathname, searchParams: query }: URL): boolean {
  return (
    protocol === 'https:' &&
    /^sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?$/.test(hostname) &&
    pathname === '/' &&
    query.get('Action') === 'GetCallerIdentity' &&
    query.get('Version') === '2011-06-15' &&
    query.get('X-Amz-Algorithm') === 'AWS4-HMAC-SHA256' &&
    /^\d+$/.test(query.get('X-Amz-Expires') ?? '') &&
    signedHeaders(query).includes('host') &&
    signedHeaders(query).includes(clusterHeader)
  );
}

function signedHeaders(query: URLSearchParams): string[] {
  return (query.get('X-Amz-SignedHeaders') ?? '').split(';');
}

function isExpired({ searchParams }: URL, now: number): boolean {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(searchParams.get('X-Amz-Date') ?? '') ?? [];
  const signedTime = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return !(now < signedTime + tokenSeconds * 1000);
}

/** AWS Signature Version 4 of a presigned URL: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function isSigned(url: URL, { accessKeyId, secretAccessKey, clusterName }: Identity): boolean {
  const query = url.searchParams;
  const [keyId, ...scope] = (query.get('X-Amz-Credential') ?? '').split('/');
  const [day = '', region = '', service = '', end = ''] = scope;
  if (keyId !== accessKeyId || service !== 'sts' || end !== 'aws4_request') return false;

  const values: Record<string, string> = { host: url.host, [clusterHeader]: clusterName };
  const canonicalRequest = [
    'GET',
    '/',
    canonicalQuery(query),
    ...signedHeaders(query).map((name) => `${name}:${values[name] ?? ''}`),
    '',
    signedHeaders(query).join(';'),
    hash(''),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', query.get('X-Amz-Date'), scope.join('/'), hash(canonicalRequest)].join('\n');
  const key = [day, region, service, end].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
  const expected = hmac(key, toSign);
  const given = Buffer.from(query.get('X-Amz-Signature') ?? '', 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function canonicalQuery(query: URLSearchParams): string {
  return [...query]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${escapeAsAws(name)}=${escapeAsAws(value)}`)
    .sort()
    .join('&');
}

function escapeAsAws(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
