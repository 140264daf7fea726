import { createHash, createHmac, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { ask } from './ask.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ clusterName: 'prod' });
});
afterEach(() => sandbox.close());

async function statusWith(token: string | undefined): Promise<number> {
  const headers = { authorization: token === undefined ? '' : `Bearer ${token}` };
  return (await ask(sandbox, 'GET', '/api/v1/pods', undefined, headers)).status;
}

interface TokenFields {
  readonly cluster?: string;
  readonly secretAccessKey?: string | undefined;
  readonly hostname?: string;
}

/** A token as `aws eks get-token` makes it, by AWS's own signing code. */
async function eksToken({
  cluster = 'prod',
  secretAccessKey = sandbox.env.AWS_SECRET_ACCESS_KEY,
  hostname = 'sts.eu-west-1.amazonaws.com',
}: TokenFields = {}): Promise<string> {
  const signer = new SignatureV4({
    service: 'sts',
    region: 'eu-west-1',
    credentials: { accessKeyId: sandbox.env.AWS_ACCESS_KEY_ID ?? '', secretAccessKey: secretAccessKey ?? '' },
    sha256: Sha256,
  });
  const headers = { host: hostname, 'x-k8s-aws-id': cluster };
  const query = { Action: 'GetCallerIdentity', Version: '2011-06-15' };
  const request = { method: 'GET', protocol: 'https:', hostname, path: '/', query, headers };
  const { query: signed = {} } = await signer.presign(request, {
    expiresIn: 60,
    unhoistableHeaders: new Set(['x-k8s-aws-id']),
    signingDate: new Date(sandbox.clock.now()),
  });
  const url = `https://${hostname}/?${new URLSearchParams(signed as Record<string, string>)}`;
  return `k8s-aws-v1.${Buffer.from(url).toString('base64url')}`;
}

class Sha256 {
  readonly #hash: Hmac | ReturnType<typeof createHash>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret as string);
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

describe('the API server', () => {
  it('takes the token of its kubeconfig', async () => {
    expect(sandbox.kubeconfig).toContain(sandbox.token);
    expect(await statusWith(sandbox.token)).toBe(200);
  });

  it('takes an EKS token signed for its cluster', async () => {
    expect(await statusWith(await eksToken())).toBe(200);
  });

  it.each([
    ['no token', async () => undefined],
    ['an unknown token', async () => 'guess'],
    ['an EKS token for another cluster', () => eksToken({ cluster: 'test' })],
    ['an EKS token signed with another key', () => eksToken({ secretAccessKey: 'stolen' })],
    ['an EKS token that asks somebody else than STS', () => eksToken({ hostname: 'sts.example.com' })],
    ['an EKS token that is no URL', async () => 'k8s-aws-v1.abc'],
  ])('refuses %s', async (_, token) => {
    expect(await statusWith(await token())).toBe(401);
  });

  it('refuses an EKS token after 15 minutes', async () => {
    const token = await eksToken();
    sandbox.clock.advance(15 * 60);

    expect(await statusWith(token)).toBe(401);
  });

  it('refuses with a Status', async () => {
    const { json } = await ask(sandbox, 'GET', '/api', undefined, { authorization: '' });

    expect(json).toMatchObject({ kind: 'Status', reason: 'Unauthorized', message: 'Unauthorized', code: 401 });
  });

  it.each(['/readyz', '/version'])('answers %s to anybody', async (path) => {
    expect((await ask(sandbox, 'GET', path, undefined, { authorization: '' })).status).toBe(200);
  });
});
