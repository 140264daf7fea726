// headrace take-over --check against the sandbox: what it says of applications that another operator deployed, and that it writes nothing.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../shared/cli/main.ts';
import type { ApplicationStatus } from '../../shared/deployment/types.ts';
import {
  aDeployedApplication,
  aDualRunningApplication,
  anApplication,
  type Deployments,
  NAMESPACE,
  noDeployments,
} from '../support/deployments.ts';
import { leaveAsLyftDoes } from '../support/other-operator.ts';

let folder: string;
let orders: Deployments;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headrace-cli-'));
  vi.stubEnv('HOME', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await orders?.close();
  await rm(folder, { recursive: true });
});

/** Types `headrace take-over …` and waits for its end. */
async function type(...words: string[]) {
  let out = '';
  let error = '';
  const status = await main(['take-over', ...words], {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    interrupted: new AbortController().signal,
  });
  return { status, out, error };
}

/** The same as a user with a kubeconfig of the sandbox. */
async function check(...words: string[]) {
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, orders.sandbox.kubeconfig);
  vi.stubEnv('KUBECONFIG', kubeconfig);
  return type('--check', ...words);
}

async function verdicts(...words: string[]) {
  const { status, out } = await check('--json', ...words);
  const { applications } = JSON.parse(out) as { applications: Record<string, unknown>[] };
  return { status, applications };
}

function addHpa(name: string, scaleTargetRef: object): void {
  orders.sandbox.store.put({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { namespace: NAMESPACE, name },
    spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 4 },
  });
}

async function left(changes: Partial<ApplicationStatus> = {}): Promise<void> {
  orders = await aDeployedApplication();
  leaveAsLyftDoes(orders, changes);
}

interface Case {
  readonly what: string;
  readonly outcome: string;
  readonly ready: boolean;
  readonly message: RegExp;
  readonly prepare: () => Promise<void>;
}

const cases: readonly Case[] = [
  {
    what: 'a cluster that the spec describes',
    outcome: 'Adopted',
    ready: true,
    message: /^cluster [0-9a-f]{8} is adopted as it runs$/,
    prepare: left,
  },
  {
    what: 'two versions, of which the second is what the spec says',
    outcome: 'Adopted',
    ready: true,
    message: /^versions [0-9a-f]{8} and [0-9a-f]{8} are adopted as they run, until spec.tearDownVersionHash/,
    prepare: async () => {
      orders = await aDualRunningApplication();
      leaveAsLyftDoes(orders);
    },
  },
  {
    what: 'an application of Headrace',
    outcome: 'Owned',
    ready: true,
    message: /deploys it already/,
    prepare: async () => {
      orders = await aDeployedApplication();
    },
  },
  {
    what: 'an application that nobody has deployed yet',
    outcome: 'Deployed',
    ready: true,
    message: /nothing has been deployed yet/,
    prepare: async () => {
      orders = await anApplication();
    },
  },
  {
    what: 'a spec that is not what runs',
    outcome: 'HashMismatch',
    ready: false,
    message: /headrace\.dev\/take-over=redeploy .* headrace\.dev\/take-over=adopt/,
    prepare: async () => {
      await left();
      orders.changeImage();
    },
  },
  {
    what: 'another parallelism',
    outcome: 'HashMismatch',
    ready: false,
    message: /was deployed from \(parallelism: 4 there, 8 in the spec\); annotate/,
    prepare: async () => {
      await left();
      orders.edit((spec) => ({ ...spec, parallelism: 8 }));
    },
  },
  {
    what: 'one that the user has annotated',
    outcome: 'Redeployed',
    ready: true,
    message: /its annotation asks for it/,
    prepare: async () => {
      await left();
      orders.changeImage();
      orders.writeMetadata({ annotations: { 'headrace.dev/take-over': 'redeploy' } });
    },
  },
  {
    what: 'a cluster that is missing',
    outcome: 'ClusterMissing',
    ready: false,
    message: /the Deployments of the deployed cluster [0-9a-f]{8} do not exist; annotate/,
    prepare: async () => {
      await left();
      for (const name of orders.deployments()) orders.sandbox.store.remove('Deployment', NAMESPACE, name);
    },
  },
  {
    what: 'a deploy that cannot be continued',
    outcome: 'DeployInProgress',
    ready: false,
    message: /phase RollingBackJob that cannot be continued/,
    prepare: () => left({ phase: 'RollingBackJob' }),
  },
  {
    what: 'a deploy that Headrace would begin again',
    outcome: 'DeployInProgress',
    ready: false,
    message: /phase ClusterStarting: let the other operator end it first\. Were it switched off now/,
    prepare: () => left({ phase: 'ClusterStarting' }),
  },
  {
    what: 'a spec with faults',
    outcome: 'InvalidSpec',
    ready: false,
    message: /spec\.parallelism/,
    prepare: async () => {
      await left();
      orders.edit((spec) => ({ ...spec, parallelism: 0 }));
    },
  },
  {
    what: 'one that is being deleted',
    outcome: 'Deleting',
    ready: false,
    message: /let the other operator end that first/,
    prepare: async () => {
      await left();
      await orders.delete();
    },
  },
];

describe('the outcome', () => {
  it.each(cases)('$outcome for $what, by the exit status too', async ({ outcome, ready, message, prepare }) => {
    await prepare();
    const before = structuredClone(orders.application());
    orders.sandbox.requests.clear();

    const { status, applications } = await verdicts();

    expect(applications).toEqual([
      expect.objectContaining({ namespace: NAMESPACE, name: 'orders', outcome, ready, blockers: [] }),
    ]);
    expect(applications[0]?.message).toMatch(message);
    expect(status).toBe(ready ? 0 : 1);
    // Nothing but lists, and no JobManager is asked.
    expect(orders.sandbox.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET', 'GET']);
    expect(orders.application()).toEqual(before);
  });

  it('is what a round comes to afterwards', async () => {
    await left();
    const { applications } = await verdicts();
    await orders.round();
    orders.sandbox.clock.advance(95);

    await orders.round();

    expect(applications).toMatchObject([{ outcome: 'Adopted', deployHash: orders.status().deployHash }]);
    expect(orders.events()).toContain('Normal Adopted');
  });

  it('names who wrote to the status last, and is the same while that operator is at work', async () => {
    await left();
    await orders.round();

    const { applications } = await verdicts();

    expect(applications).toMatchObject([{ outcome: 'Adopted', writer: { manager: 'flinkoperator' } }]);
  });
});

describe('an HPA', () => {
  const application = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' };

  it('that scales the application is in the way', async () => {
    await left();
    addHpa('orders-cpu', application);

    const { status, applications } = await verdicts();

    expect(status).toBe(1);
    const blocker = { kind: 'HorizontalPodAutoscaler', name: 'orders-cpu' };
    expect(applications).toMatchObject([{ outcome: 'Adopted', ready: false, blockers: [blocker] }]);
    expect(JSON.stringify(applications)).toContain('delete it before the other operator is switched off');
  });

  it('that scales a Deployment of its cluster is in the way', async () => {
    await left();
    const name = orders.deployments().find((deployment) => deployment.endsWith('-tm'));
    addHpa('task-managers', { apiVersion: 'apps/v1', kind: 'Deployment', name });

    const { status, out } = await check();

    expect(status).toBe(1);
    expect(out).toContain(`HPA task-managers scales ${name}`);
  });

  it('of another application is not', async () => {
    await left();
    addHpa('others', { ...application, name: 'payments' });

    expect((await verdicts()).status).toBe(0);
  });

  it('that may not be looked for is unknown, and not absent', async () => {
    await left();
    orders.sandbox.faults.add({ kind: 'status', code: 403, path: /horizontalpodautoscalers/ });

    const { status, applications } = await verdicts();

    expect(status).toBe(1);
    expect(applications).toMatchObject([{ outcome: 'Adopted', ready: false, blockers: [{ name: null }] }]);
    expect(JSON.stringify(applications)).toContain('is not known');
  });
});

describe('the table', () => {
  it('has a row per application, and below it what to do', async () => {
    await left();
    orders.add({}, 'payments');
    addHpa('orders-cpu', { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders' });
    const { deployHash } = orders.status();

    const { out } = await check();

    expect(out.split('\n')).toEqual([
      'NAMESPACE  NAME      PHASE    CLUSTER   OUTCOME   READY',
      `flink      orders    Running  ${deployHash}  Adopted   no`,
      `  cluster ${deployHash} is adopted as it runs`,
      expect.stringMatching(/^ {2}HPA orders-cpu scales it: delete it/),
      'flink      payments  -        -         Deployed  yes',
      '  nothing has been deployed yet: Headrace deploys the spec',
      '',
    ]);
  });

  it('says that there is none', async () => {
    orders = await noDeployments();

    expect(await check()).toMatchObject({ status: 0, out: 'No FlinkApplication found in flink.\n' });
  });
});

describe('what is looked at', () => {
  const names = async (...words: string[]) => (await verdicts(...words)).applications.map(({ name }) => name);

  it.each([
    [[], ['orders', 'payments']],
    [['-A'], ['orders', 'payments']],
    [
      ['-n', NAMESPACE],
      ['orders', 'payments'],
    ],
    [['-n', 'elsewhere'], []],
    [['payments'], ['payments']],
    [[`${NAMESPACE}/payments`], ['payments']],
    [
      ['-n', NAMESPACE, 'payments', 'orders'],
      ['orders', 'payments'],
    ],
  ])('%o', async (words, found) => {
    orders = await anApplication();
    orders.add({}, 'payments');

    expect(await names(...words)).toEqual(found);
  });

  it('says of a name that it does not exist', async () => {
    orders = await anApplication();

    const { status, applications } = await verdicts('order');

    expect(status).toBe(1);
    expect(applications).toMatchObject([{ name: 'order', outcome: 'NotFound', ready: false }]);
  });
});

describe('a usage error has status 2', () => {
  it.each([
    [[], '--check must be given'],
    [['--chekc'], "Unknown option '--chekc'"],
    [['--check', '--dry-run'], "Unknown option '--dry-run'"],
    [['--check', '-o', 'yaml'], '--output must be table or json, but is yaml'],
    [['--check', '--json', '-o', 'table'], '--json and --output table must not be given together'],
    [['--check', '-n', 'flink', '-A'], '--namespace and --all-namespaces must not be given together'],
    [['--check', '-A', 'orders'], '--all-namespaces and the name of an application must not be given together'],
    [['--check', 'a/b/c'], 'an application must be NAME or NAMESPACE/NAME, but is a/b/c'],
    [['--check', '/orders'], 'an application must be NAME or NAMESPACE/NAME, but is /orders'],
    [['--check', '-n', 'flink', 'shop/orders'], 'is not in the namespace that --namespace names, flink'],
  ])('%o: %s', async (words, sentence) => {
    orders = await noDeployments();

    const { status, out, error } = await type(...words);

    expect(status).toBe(2);
    expect(out).toBe('');
    expect(error).toContain(sentence);
    expect(orders.sandbox.requests).toHaveLength(0);
  });
});

it('a cluster that does not let itself be read has status 3', async () => {
  await left();
  orders.sandbox.faults.add({ kind: 'status', code: 403, path: /\/deployments/ });

  const { status, error } = await check();

  expect(status).toBe(3);
  expect(error).toContain('403');
});

it('the outcomes of --help are those of the docs', async () => {
  orders = await noDeployments();
  const { out } = await type('--help');
  const guide = await readFile(new URL('../../docs/take-over.md', import.meta.url), 'utf8');
  const section = guide.slice(guide.indexOf('## A rehearsal'), guide.indexOf('## With an HPA'));

  const explained = [...out.matchAll(/^ {2}([A-Z]\w+) {2,}/gm)].map(([, name]) => name);
  const documented = [...section.matchAll(/^\| ([A-Z][\w, ]+) \| (?:yes|no) \|/gm)].flatMap(([, row]) =>
    row?.split(', '),
  );

  expect(documented.toSorted()).toEqual(explained.toSorted());
  expect(explained).toEqual(expect.arrayContaining(cases.map(({ outcome }) => outcome)));
});

it('--help explains options, outcomes and exit statuses', async () => {
  orders = await noDeployments();
  const { status, out } = await type('--help');

  expect(status).toBe(0);
  for (const text of ['--check', '--json', '--namespace', '--all-namespaces', 'HashMismatch', 'Exit status:'])
    expect(out).toContain(text);
});
