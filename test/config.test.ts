import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../shared/config.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

function anEnvironment(overrides: Readonly<Record<string, string | undefined>> = {}) {
  return {
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    HEADRACE_CLUSTERS: '[{"name":"prod"}]',
    ...overrides,
  };
}

function aClusters(...clusters: object[]) {
  return anEnvironment({ HEADRACE_CLUSTERS: JSON.stringify(clusters) });
}

function faultOf(environment: Readonly<Record<string, string | undefined>>): string {
  try {
    readConfig(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new TypeError('the environment has no fault');
}

describe('readConfig', () => {
  it('needs no more than a region, credentials and the name of a cluster', () => {
    expect(readConfig(anEnvironment())).toEqual({
      region: 'eu-west-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
      clusters: [{ name: 'prod', region: 'eu-west-1', shards: { default: [] } }],
    });
  });

  it('reads all there is', () => {
    const environment = {
      ...aClusters(
        {
          name: 'prod',
          region: 'us-east-1',
          endpoint: 'https://kubernetes.example',
          certificateAuthority: Buffer.from(PEM).toString('base64'),
          shards: { default: [], 'team-a': ['orders', 'payments'] },
        },
        { name: 'test' },
      ),
      AWS_SESSION_TOKEN: 'session',
      HEADRACE_QUEUE_URL: 'https://sqs.eu-west-1.amazonaws.com/1/ticks',
      HEADRACE_RECONCILE_QUEUE_URL: 'https://sqs.eu-west-1.amazonaws.com/1/rounds',
      HEADRACE_CLOCK_URL: 'http://127.0.0.1:4000/clock',
      PATH: '/usr/bin',
    };

    expect(readConfig(environment)).toEqual({
      region: 'eu-west-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'session' },
      clusters: [
        {
          name: 'prod',
          region: 'us-east-1',
          endpoint: 'https://kubernetes.example',
          certificateAuthority: PEM,
          shards: { default: [], 'team-a': ['orders', 'payments'] },
        },
        { name: 'test', region: 'eu-west-1', shards: { default: [] } },
      ],
      queueUrl: 'https://sqs.eu-west-1.amazonaws.com/1/ticks',
      reconcileQueueUrl: 'https://sqs.eu-west-1.amazonaws.com/1/rounds',
      clockUrl: 'http://127.0.0.1:4000/clock',
    });
  });

  it.each(['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'HEADRACE_CLUSTERS'])(
    'says that %s must be set',
    (name) => {
      expect(faultOf(anEnvironment({ [name]: undefined }))).toBe(`reading the environment: ${name}: must be set`);
    },
  );

  it.each([
    ['no JSON', '[{name:prod}]', 'HEADRACE_CLUSTERS: must be JSON'],
    ['no list', '{"name":"prod"}', 'HEADRACE_CLUSTERS: '],
    ['an empty list', '[]', 'HEADRACE_CLUSTERS: must name at least one cluster'],
    ['no name', '[{}]', 'HEADRACE_CLUSTERS.0.name: '],
    ['an empty name', '[{"name":""}]', 'HEADRACE_CLUSTERS.0.name: '],
    ['an endpoint that is no URL', '[{"name":"a","endpoint":"here"}]', 'HEADRACE_CLUSTERS.0.endpoint: '],
    [
      'an authority that is no base64',
      '[{"name":"a","certificateAuthority":"-----BEGIN"}]',
      'HEADRACE_CLUSTERS.0.certificateAuthority: ',
    ],
    ['a field that nobody knows', '[{"name":"a","namespaces":[]}]', '"namespaces"'],
    ['a shard that is no list', '[{"name":"a","shards":{"x":"ns"}}]', 'HEADRACE_CLUSTERS.0.shards.x: '],
    ['a namespace without a name', '[{"name":"a","shards":{"x":[""]}}]', 'HEADRACE_CLUSTERS.0.shards.x.0: '],
    ['a second cluster that is wrong', '[{"name":"a"},{"nom":"b"}]', 'HEADRACE_CLUSTERS.1.name: '],
  ])('names the fault of HEADRACE_CLUSTERS with %s', (_, clusters, fault) => {
    expect(faultOf(anEnvironment({ HEADRACE_CLUSTERS: clusters }))).toContain(fault);
  });

  it.each(['HEADRACE_QUEUE_URL', 'HEADRACE_RECONCILE_QUEUE_URL'])('names a queue that is no URL: %s', (name) => {
    expect(faultOf(anEnvironment({ [name]: 'ticks' }))).toContain(`${name}: `);
  });

  it.each(['http://clock.example/now', 'http://10.0.0.1/now', 'https://127.0.0.1.example/now'])(
    'accepts a clock on the loopback alone: not %s',
    (url) => {
      expect(faultOf(anEnvironment({ HEADRACE_CLOCK_URL: url }))).toContain(
        'HEADRACE_CLOCK_URL: must be on the loopback: it is for the sandbox alone',
      );
    },
  );

  it('names a clock that is no URL', () => {
    expect(faultOf(anEnvironment({ HEADRACE_CLOCK_URL: 'noon' }))).toContain('HEADRACE_CLOCK_URL: ');
  });

  it('names all faults together', () => {
    const fault = faultOf({
      HEADRACE_CLUSTERS: '[{"name":"a","endpoint":"here"}]',
      HEADRACE_QUEUE_URL: 'ticks',
      HEADRACE_RECONCILE_QUEUE_URL: 'rounds',
      HEADRACE_CLOCK_URL: 'http://clock.example/now',
    });

    for (const name of [
      'AWS_REGION',
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'HEADRACE_CLUSTERS.0.endpoint',
      'HEADRACE_QUEUE_URL',
      'HEADRACE_RECONCILE_QUEUE_URL',
      'HEADRACE_CLOCK_URL',
    ])
      expect(fault).toContain(`${name}: `);
  });

  it('repeats no secret in its message', () => {
    const fault = faultOf(anEnvironment({ AWS_SECRET_ACCESS_KEY: 'hush', HEADRACE_CLUSTERS: 'hush' }));

    expect(fault).not.toContain('hush');
  });
});
