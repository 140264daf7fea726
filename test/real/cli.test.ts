// The built command line against a real API server, with the rights of the role and a kubeconfig like that of EKS.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createEksToken } from '../../shared/aws/eks-token.ts';
import { clusterName } from './bench/control-plane.ts';
import { eksCredentials } from './bench/eks-authenticator.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { type Bench, openScene, rescaledConditions, type Scene } from './scene.ts';

const repository = join(import.meta.dirname, '..', '..');
const program = join(repository, 'dist', 'cli', 'headrace.mjs');

let bench: Bench;
let directory: string;
let kubeconfig: string;
let scene: Scene;

beforeAll(async () => {
  const controlPlane = await sharedControlPlane();
  bench = { controlPlane, metricsApi: await startMetricsApi(controlPlane) };
  // What is tested is what was built of these sources.
  await promisify(execFile)(process.execPath, ['build.mjs'], { cwd: repository });
  directory = await mkdtemp(join(tmpdir(), 'headrace-cli-'));
  kubeconfig = await writeKubeconfig('kubeconfig', controlPlane.endpoint);
});

afterAll(async () => {
  await bench?.metricsApi.close();
  if (directory !== undefined) await rm(directory, { recursive: true });
});

beforeEach(async () => {
  scene = await openScene(bench);
});

describe('headrace check', () => {
  it('with --dry-run shows what would be done, and writes nothing at all', async () => {
    await scene.add({ cpu: '800m' });
    const since = Date.now();

    const { code, out } = await check('--dry-run');

    expect(code).toBe(0);
    expect(rowsOf(out)).toEqual([
      {
        NAMESPACE: scene.namespace,
        NAME: 'orders',
        REFERENCE: 'FlinkApplication/orders',
        TARGETS: 'cpu: 80%/40%',
        MIN: '1',
        MAX: '20',
        REPLICAS: '2',
        DESIRED: '4',
        OUTCOME: 'unchanged',
        REASON: 'SuccessfulRescale',
      },
    ]);
    expect(out).toContain('from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4');
    expect(await scene.writes(since)).toEqual([]);
    expect(await scene.replicas()).toBeUndefined();
  });

  it('scales, and says so', async () => {
    await scene.add({ cpu: '800m' });

    const { code, out } = await check();

    expect(code).toBe(0);
    expect(rowsOf(out)).toMatchObject([{ NAME: 'orders', DESIRED: '4', OUTCOME: 'rescaled' }]);
    expect(await scene.replicas()).toBe(4);
    expect(await scene.conditions()).toEqual(rescaledConditions);
    expect(await scene.events()).toEqual(['Normal SuccessfulRescale']);
  });

  it('with -o json says the same to a program', async () => {
    await scene.add({ cpu: '800m' });

    const { code, out } = await check('-o', 'json');

    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      cluster: clusterName,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      autoscalers: [
        {
          ...{ namespace: scene.namespace, name: 'orders', target: 'FlinkApplication/orders' },
          ...{ currentReplicas: 2, desiredReplicas: 4, rescale: true, outcome: 'rescaled' },
          ...{ reason: 'SuccessfulRescale', message: expect.stringContaining('ceil(2 × 80/40) = 4') },
          ...{ blocker: null, error: null },
        },
      ],
    });
  });

  it('ends with 1 when an autoscaler could not be judged, and serves the others', async () => {
    await scene.addAutoscaler('nothing');
    await scene.add({ cpu: '800m' });

    const { code, out } = await check();

    expect(code).toBe(1);
    expect(rowsOf(out)).toMatchObject([
      { NAME: 'nothing', OUTCOME: 'recorded', REASON: 'FailedGetScale' },
      { NAME: 'orders', OUTCOME: 'rescaled', REASON: 'SuccessfulRescale' },
    ]);
    expect(out).toContain('flinkapplications.flink.k8s.io "nothing" not found');
    expect(await scene.replicas()).toBe(4);
  });

  it('ends with 2 when it was typed wrong', async () => {
    const { code, out, error } = await check('--output', 'poem');

    expect(code).toBe(2);
    expect(out).toBe('');
    expect(error).toContain('--output must be table or json, but is poem');
  });

  it('ends with 3 when the API server cannot be reached', async () => {
    const nowhere = await writeKubeconfig('nowhere', 'https://127.0.0.1:1');

    const { code, error } = await headrace('check', '--kubeconfig', nowhere);

    expect(code).toBe(3);
    expect(error).toContain('ECONNREFUSED');
  });

  it('ends with 3 when the API server does not know who asks', async () => {
    const stranger = await writeKubeconfig('stranger', bench.controlPlane.endpoint, 'hello');

    const { code, error } = await headrace('check', '--kubeconfig', stranger);

    expect(code).toBe(3);
    expect(error).toContain('401 Unauthorized');
  });

  it('ends with 3 when the kubeconfig is not there', async () => {
    const { code, error } = await headrace('check', '--kubeconfig', join(directory, 'none'));

    expect(code).toBe(3);
    expect(error).toContain(join(directory, 'none'));
  });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

function check(...words: readonly string[]): Promise<Ended> {
  return headrace('check', '--kubeconfig', kubeconfig, '--namespace', scene.namespace, ...words);
}

function headrace(...words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program, ...words], { timeout: 30_000 }, (_failure, out, error) =>
      resolve({ code: child.exitCode, out, error }),
    );
  });
}

/** Writes a kubeconfig whose user is asked for by running a program, as `aws eks update-kubeconfig` makes it. */
async function writeKubeconfig(name: string, server: string, token?: string): Promise<string> {
  const credential = join(directory, `${name}.credential`);
  const status = { token: token ?? (await eksToken()) };
  const apiVersion = 'client.authentication.k8s.io/v1';
  await writeFile(credential, JSON.stringify({ apiVersion, kind: 'ExecCredential', status }));
  const file = join(directory, name);
  // JSON is YAML.
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: clusterName,
        cluster: { server, 'certificate-authority-data': bench.controlPlane.certificateAuthority },
      },
    ],
    users: [
      {
        name: 'headrace',
        user: { exec: { apiVersion, command: 'cat', args: [credential], interactiveMode: 'Never' } },
      },
    ],
    contexts: [{ name: 'eks', context: { cluster: clusterName, user: 'headrace' } }],
    'current-context': 'eks',
  };
  await writeFile(file, JSON.stringify(content));
  return file;
}

function eksToken(): Promise<string> {
  return createEksToken({
    cluster: clusterName,
    region: 'eu-west-1',
    credentials: eksCredentials,
    signedAt: Date.now(),
  });
}

/** The rows of the table by column; the indented line under each is left out. */
function rowsOf(table: string): readonly Record<string, string>[] {
  const [columns = [], ...rows] = table
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(' '))
    .map((line) => line.split(/ {2,}/));
  return rows.map((cells) => Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ''])));
}
