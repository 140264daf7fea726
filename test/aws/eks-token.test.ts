import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createEksToken, type EksTokenInput } from '../../shared/aws/eks-token.ts';

const SIGNED_AT = Date.parse('2026-03-01T12:00:00Z');
const PREFIX = 'k8s-aws-v1.';

// The example credentials of the AWS documentation: they open nothing.
const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'IQoJb3JpZ2luX2VjE//+Yw==*~ end',
};

function anInput(overrides: Partial<EksTokenInput> = {}): EksTokenInput {
  return { cluster: 'prod', region: 'eu-west-1', credentials, signedAt: SIGNED_AT, ...overrides };
}

function urlOf(token: string): URL {
  expect(token.startsWith(PREFIX)).toBe(true);
  return new URL(Buffer.from(token.slice(PREFIX.length), 'base64url').toString());
}

describe('createEksToken', () => {
  it('is a GetCallerIdentity URL of the region, in base64url without padding', async () => {
    const token = await createEksToken(anInput());

    expect(token).toMatch(/^k8s-aws-v1\.[A-Za-z0-9_-]+$/);
    expect(urlOf(token)).toMatchObject({
      protocol: 'https:',
      host: 'sts.eu-west-1.amazonaws.com',
      pathname: '/',
    });
  });

  it('has exactly the parameters that the authenticator of EKS lets pass', async () => {
    const { 'X-Amz-Signature': signature, ...others } = Object.fromEntries(
      urlOf(await createEksToken(anInput())).searchParams,
    );

    expect(signature).toMatch(/^[0-9a-f]{64}$/);
    expect(others).toEqual({
      Action: 'GetCallerIdentity',
      Version: '2011-06-15',
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': 'AKIDEXAMPLE/20260301/eu-west-1/sts/aws4_request',
      'X-Amz-Date': '20260301T120000Z',
      'X-Amz-Expires': '60',
      'X-Amz-Security-Token': credentials.sessionToken,
      'X-Amz-SignedHeaders': 'host;x-k8s-aws-id',
    });
  });

  it('has no security token with the keys of a user', async () => {
    const { sessionToken: _, ...keys } = credentials;

    const { searchParams } = urlOf(await createEksToken(anInput({ credentials: keys })));

    expect(searchParams.has('X-Amz-Security-Token')).toBe(false);
  });

  it.each([
    ['eu-west-1', 'sts.eu-west-1.amazonaws.com'],
    ['us-gov-west-1', 'sts.us-gov-west-1.amazonaws.com'],
    ['cn-north-1', 'sts.cn-north-1.amazonaws.com.cn'],
  ])('asks the STS of %s', async (region, host) => {
    expect(urlOf(await createEksToken(anInput({ region }))).host).toBe(host);
  });

  it.each([
    ['a role', anInput()],
    ['a user', anInput({ credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' } })],
    ['another cluster and region', anInput({ cluster: 'team-a_1', region: 'cn-north-1' })],
  ])('is signed as Signature Version 4 says, for %s', async (_, input) => {
    const url = urlOf(await createEksToken(input));

    expect(url.searchParams.get('X-Amz-Signature')).toBe(sign(url, input));
  });

  it('is signed for one cluster: the signature does not fit another', async () => {
    const url = urlOf(await createEksToken(anInput()));

    expect(url.searchParams.get('X-Amz-Signature')).not.toBe(sign(url, anInput({ cluster: 'test' })));
  });

  it('is the same for the same instant, and another a second later', async () => {
    const token = await createEksToken(anInput());

    expect(await createEksToken(anInput())).toBe(token);
    expect(await createEksToken(anInput({ signedAt: SIGNED_AT + 1000 }))).not.toBe(token);
  });
});

/** The signature of a presigned GET, from the AWS documentation alone ("Create a signed AWS API request"). */
function sign(url: URL, { cluster, credentials: { secretAccessKey } }: EksTokenInput): string {
  const parameters = [...url.searchParams].filter(([name]) => name !== 'X-Amz-Signature');
  const query = parameters
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const headers = `host:${url.host}\nx-k8s-aws-id:${cluster}\n`;
  const request = ['GET', '/', query, headers, 'host;x-k8s-aws-id', sha256('')].join('\n');
  const time = url.searchParams.get('X-Amz-Date') ?? '';
  const [, date = '', region = '', service = '', end = ''] = (url.searchParams.get('X-Amz-Credential') ?? '').split(
    '/',
  );
  const text = ['AWS4-HMAC-SHA256', time, `${date}/${region}/${service}/${end}`, sha256(request)].join('\n');
  const key = [date, region, service, end].reduce<Buffer>(hmac, Buffer.from(`AWS4${secretAccessKey}`));
  return hmac(key, text).toString('hex');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
