// Beside Lyft's operator, and after it: what Headrace leaves alone, what it adopts, and where its advice leads.

import { afterEach, describe, expect, it } from 'vitest';
import { hashOf, revisionOf } from '../../shared/deployment/identity.ts';
import type { ApplicationSpec, ApplicationStatus, Phase } from '../../shared/deployment/types.ts';
import {
  aDeployedApplication,
  aDualRunningApplication,
  type Deployments,
  isGone,
  NAMESPACE,
  NEXT_IMAGE,
} from '../support/deployments.ts';
import { leaveAsLyftDoes } from '../support/other-operator.ts';

let orders: Deployments;
afterEach(() => orders.close());

const withoutConditions = ({ conditions, ...status }: ApplicationStatus) => status;
const owned = () => orders.status().conditions?.find(({ type }) => type === 'Owned');

/** Rounds until the other operator has been silent for long enough. */
async function waitForSilence(): Promise<void> {
  await orders.round();
  orders.sandbox.clock.advance(95);
}

/** What was written since: "PATCH …/flinkapplications/orders/status: conditions", Leases left out. */
function writesSince(count: number): string[] {
  return orders.sandbox.requests
    .slice(count)
    .filter(({ method, path }) => method !== 'GET' && !path.includes('/leases'))
    .map(({ method, path, body }) => {
      const { status = {}, ...rest } = body as { status?: object; metadata?: { resourceVersion?: string } };
      const written = [...Object.keys(status), ...Object.keys(rest.metadata ?? {})];
      return `${method} ${path.split('/').slice(-3).join('/')}: ${written.join(', ')}`;
    });
}

const ONLY_CONDITIONS = /^PATCH flinkapplications\/orders\/status: conditions, resourceVersion$/;

function annotate(say: string): void {
  const { annotations } = orders.application().metadata;
  orders.writeMetadata({ annotations: { ...annotations, 'headrace.dev/take-over': say } });
}

interface Left {
  readonly why: string;
  readonly reason: string;
  /** Brings the application about, and leaves it as the operator would. */
  readonly leave: () => Promise<void>;
  /** The other operator is still at work. Default false. */
  readonly isActive?: boolean;
}

const lefts: readonly Left[] = [
  {
    why: 'two versions run and the other operator is at work',
    reason: 'AnotherOperatorActive',
    isActive: true,
    leave: async () => {
      orders = await aDualRunningApplication();
      leaveAsLyftDoes(orders);
    },
  },
  {
    why: 'one version runs and the other operator is at work',
    reason: 'AnotherOperatorActive',
    isActive: true,
    leave: async () => {
      orders = await aDeployedApplication();
      leaveAsLyftDoes(orders);
    },
  },
  {
    why: 'two versions run and the spec is neither',
    reason: 'HashMismatch',
    leave: async () => {
      orders = await aDualRunningApplication();
      leaveAsLyftDoes(orders);
      orders.changeImage('orders:3');
    },
  },
  {
    why: 'the spec is not what runs',
    reason: 'HashMismatch',
    leave: async () => {
      orders = await aDeployedApplication();
      leaveAsLyftDoes(orders);
      orders.changeImage();
    },
  },
  {
    why: 'the deployed cluster is missing',
    reason: 'ClusterMissing',
    leave: async () => {
      orders = await aDeployedApplication();
      leaveAsLyftDoes(orders);
      for (const name of orders.deployments()) orders.sandbox.store.remove('Deployment', 'flink', name);
    },
  },
  {
    why: 'a rollback was left',
    reason: 'DeployInProgress',
    leave: async () => {
      orders = await aDeployedApplication();
      leaveAsLyftDoes(orders, { phase: 'RollingBackJob' });
    },
  },
  {
    why: 'a deploy beside the first version was left',
    reason: 'DeployInProgress',
    leave: async () => {
      orders = await aDualRunningApplication();
      leaveAsLyftDoes(orders, { phase: 'SubmittingJob' });
    },
  },
  {
    why: 'the spec has faults',
    reason: 'InvalidSpec',
    leave: async () => {
      orders = await aDeployedApplication();
      leaveAsLyftDoes(orders);
      orders.edit((spec) => ({ ...spec, parallelism: 0 }));
    },
  },
];

describe('while Headrace does nothing', () => {
  it.each(lefts)('nothing but conditions is written where $why', async ({ reason, leave, isActive = false }) => {
    await leave();
    orders.writeMetadata({ finalizers: [] });
    const before = structuredClone(orders.application());
    const events = orders.events();
    const count = orders.sandbox.requests.length;

    await waitForSilence();
    if (isActive) orders.sandbox.clock.advance(-30);
    await orders.rounds(20);

    expect(owned()).toMatchObject({ status: 'False', reason });
    const after = orders.application();
    expect(withoutConditions(after.status as ApplicationStatus)).toEqual(before.status);
    expect(after.spec).toEqual(before.spec);
    expect(after.metadata.finalizers).toEqual([]);
    expect(orders.events()).toEqual(events);
    expect(writesSince(count).filter((write) => !ONLY_CONDITIONS.test(write))).toEqual([]);
  });

  it('the conditions speak of the job of the deployed version, though the top of the status names the other', async () => {
    orders = await aDualRunningApplication();
    leaveAsLyftDoes(orders);

    await orders.round();

    expect(orders.conditions()).toEqual([
      'SpecValid True Valid',
      'Deployed True DualRunning',
      'JobRunning True JobRunning',
      'Owned False AnotherOperatorActive',
    ]);
  });
});

describe('two versions that another operator left', () => {
  const versions = () =>
    orders.status().versionStatuses?.map(({ versionHash, jobStatus }) => [versionHash, jobStatus?.jobID]);

  const left = async (changes: Partial<ApplicationStatus> = {}) => {
    orders = await aDualRunningApplication();
    const before = {
      versions: versions(),
      jobs: orders.livingJobs().map(({ id }) => id),
      deployments: orders.deployments(),
    };
    leaveAsLyftDoes(orders, changes);
    await waitForSilence();
    return before;
  };

  it('are adopted as they run', async () => {
    const before = await left();

    await orders.rounds(10);

    expect(orders.status()).toMatchObject({ phase: 'DualRunning', rollout: { kind: 'NewCluster', isSubmitted: true } });
    expect(versions()).toEqual(before.versions);
    expect(orders.livingJobs().map(({ id }) => id)).toEqual(before.jobs);
    expect(orders.deployments()).toEqual(before.deployments);
    expect(orders.events()).toContain('Normal Adopted');
    expect(owned()).toMatchObject({ status: 'True' });
    expect(orders.conditions()).toContain('Deployed True DualRunning');
    expect(orders.application().spec).toMatchObject({ taskManagerConfig: { replicas: 2 } });
    expect(orders.status()).toMatchObject({ scaleBasis: { parallelism: 4, taskSlots: 2 } });
  });

  it.each(['first', 'second'])('can be torn down afterwards, the %s one too', async (which) => {
    const { jobs } = await left();
    await orders.rounds(4);
    const { deployHash, updatingHash } = orders.status();

    const [torn, kept] = which === 'first' ? [deployHash, updatingHash] : [updatingHash, deployHash];
    orders.edit((spec) => ({ ...spec, tearDownVersionHash: torn }));
    await orders.roundsUntil(which === 'first' ? 'Running' : 'DeployFailed');
    await orders.rounds(6);

    expect(orders.status()).toMatchObject({ deployHash: kept, jobStatus: { jobID: jobs[which === 'first' ? 1 : 0] } });
    expect(orders.livingJobs()).toHaveLength(1);
    expect(orders.deployments().every((name) => name.includes(`${kept}`))).toBe(true);
  });

  it('are adopted where the spec is another, once the user says that it does not matter', async () => {
    const before = await left();
    orders.changeImage('orders:3');
    await orders.round();
    expect(owned()?.message).toContain('take-over=adopt');

    annotate('adopt');
    await orders.rounds(4);

    expect(orders.status().phase).toBe('DualRunning');
    expect(versions()).toEqual(before.versions);
  });

  it('are not joined by a third: it is said what has to be done first', async () => {
    await left();
    annotate('redeploy');

    await orders.rounds(4);

    expect(owned()).toMatchObject({ status: 'False', reason: 'DeployInProgress' });
    expect(owned()?.message).toContain('spec.tearDownVersionHash');
    expect(orders.livingJobs()).toHaveLength(2);
  });

  it('end with a savepoint each when the application is deleted before it was adopted', async () => {
    await left({});
    orders.changeImage('orders:3');
    const saved = orders.savepoints().length;

    await orders.delete();
    await orders.roundsUntil(isGone);

    expect(orders.savepoints().length - saved).toBe(2);
  });
});

describe('the advice in the condition', () => {
  it('leads to a second version, from a savepoint of the job that runs, where BlueGreen named another job at the top', async () => {
    orders = await aDeployedApplication({ deploymentMode: 'BlueGreen' });
    const [job] = orders.livingJobs();
    leaveAsLyftDoes(orders, { jobStatus: { jobID: 'f'.repeat(32) } });
    orders.changeImage();
    await waitForSilence();
    await orders.round();
    expect(owned()).toMatchObject({ reason: 'HashMismatch' });

    annotate('redeploy');
    await orders.roundsUntil('DualRunning');

    expect(orders.livingJobs().map(({ id }) => id)).toContain(job?.id);
    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE });
    expect(orders.lastRun()?.restoredFrom).toBe(orders.savepoints().at(-1)?.path);
  });

  it.each(['redeploy', 'adopt'])('comes to rest in Running where the spec is another: %s', async (say) => {
    orders = await aDeployedApplication();
    leaveAsLyftDoes(orders);
    orders.changeImage();
    await waitForSilence();
    await orders.round();

    annotate(say);
    await orders.roundsUntil('Running');
    await orders.rounds(10);

    expect(orders.conditions()).toEqual(expect.arrayContaining(['Deployed True Deployed', 'Owned True Owned']));
    expect(orders.livingJobs()).toHaveLength(1);
  });

  const loseCluster = async (lastCheckpoint?: string) => {
    const jobStatus = {
      ...orders.status().jobStatus,
      ...(lastCheckpoint && { lastCheckpoint, lastCheckpointTime: now() }),
    };
    leaveAsLyftDoes(orders, { jobStatus });
    for (const name of orders.deployments()) orders.sandbox.store.remove('Deployment', 'flink', name);
    await waitForSilence();
    await orders.round();
    expect(owned()).toMatchObject({ reason: 'ClusterMissing' });
    annotate('redeploy');
  };
  const now = () => new Date(orders.sandbox.clock.now()).toISOString();

  it('brings an application back whose cluster is missing, from its latest checkpoint', async () => {
    orders = await aDeployedApplication({ flinkConfig: { 'state.checkpoints.num-retained': '20' } });
    await orders.rounds(40);
    const lastCheckpoint = orders.sandbox.flink.snapshots().at(-1)?.path;

    await loseCluster(lastCheckpoint);
    await orders.roundsUntil('Running');

    expect(orders.lastRun()?.restoredFrom).toBe(lastCheckpoint);
    expect(orders.livingJobs()).toHaveLength(1);
  });

  it('brings one back without state where nobody knows a checkpoint, once the user allows that', async () => {
    orders = await aDeployedApplication({
      timeouts: { clusterStartSeconds: 20, submitSeconds: 20, verticesSeconds: 20 },
    });

    await loseCluster();
    await orders.roundsUntil('DeployFailed');
    orders.edit((spec) => ({ ...spec, fallbackWithoutState: true }));
    await orders.roundsUntil('Running');

    expect(orders.livingJobs()).toHaveLength(1);
  });
});

describe('status.deploymentMode', () => {
  /** What the operator refuses every change for: it compares two strings. */
  const isRefusedByOperator = () => {
    const { deploymentMode: written = '' } = orders.application().spec as { deploymentMode?: string };
    const { deploymentMode: noted = '' } = orders.status();
    return written !== (noted || written);
  };

  it.each`
    written        | noted
    ${undefined}   | ${undefined}
    ${'Dual'}      | ${'Dual'}
    ${'BlueGreen'} | ${'BlueGreen'}
  `('is what the spec says: $written', async ({ written, noted }) => {
    orders = await aDeployedApplication(written && { deploymentMode: written });
    await orders.rounds(4);

    expect(orders.status().deploymentMode).toBe(noted);
    expect(isRefusedByOperator()).toBe(false);
  });

  it('that an older Headrace wrote is taken back, without a deploy', async () => {
    orders = await aDeployedApplication();
    const { generation } = orders.application().metadata;
    const events = orders.events();
    orders.writeStatus({ deploymentMode: 'Dual' });
    expect(isRefusedByOperator()).toBe(true);

    await orders.rounds(4);

    expect(isRefusedByOperator()).toBe(false);
    expect(orders.status()).toMatchObject({ phase: 'Running' });
    expect(orders.events()).toEqual(events);
    expect(orders.application().metadata.generation).toBe(generation);
  });

  it('follows a spec that says the same in other words', async () => {
    orders = await aDeployedApplication({ deploymentMode: 'Dual' });

    orders.edit(({ deploymentMode, ...spec }) => spec);
    await orders.rounds(4);

    expect(isRefusedByOperator()).toBe(false);
    expect(orders.status()).toMatchObject({ phase: 'Running' });
  });

  it('is settled all the same: a change to BlueGreen is refused', async () => {
    orders = await aDeployedApplication();

    orders.edit((spec) => ({ ...spec, deploymentMode: 'BlueGreen', image: NEXT_IMAGE }));
    await orders.rounds(6);

    expect(orders.events()).toContain('Warning UnsupportedChange');
    expect(orders.status().phase).toBe('DeployFailed');
    expect(orders.runs()).toHaveLength(1);
    orders.edit(({ deploymentMode, ...spec }) => spec);
    await orders.roundsUntil('Running');
    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE });
  });
});

describe('the operator, should it come back,', () => {
  /** As it looks for a change: by the hash of the application as it is, with the version that is being deployed in it. */
  const seesChange = () => {
    const { metadata, spec } = orders.application();
    const { taskManagerConfig, ...rest } = spec as unknown as ApplicationSpec;
    const { replicas, ...own } = taskManagerConfig ?? {};
    const { labels = {}, annotations = {}, name } = metadata;
    const revision = revisionOf({ labels, annotations, spec: { ...rest, taskManagerConfig: own } });
    const { deploymentMode, updatingVersion = '', teardownHash, failedDeployHash, deployHash = '' } = orders.status();
    const version = deploymentMode === 'BlueGreen' ? { version: updatingVersion } : {};
    const hash = hashOf({ ...revision, namespace: NAMESPACE, name, labels, annotations, ...version });
    const current = [teardownHash, failedDeployHash].includes(hash) ? deployHash : hash;
    return !orders.deployments().some((deployment) => deployment.includes(current));
  };
  const tearDown = async (hash: string | undefined, phase: Phase) => {
    orders.edit((spec) => ({ ...spec, tearDownVersionHash: hash }));
    await orders.roundsUntil(phase);
    await orders.rounds(6);
  };

  it.each(['Dual', 'BlueGreen'])('has nothing to deploy after a first deploy: %s', async (deploymentMode) => {
    orders = await aDeployedApplication({ deploymentMode });

    expect(seesChange()).toBe(false);
    orders.changeImage();
    expect(seesChange()).toBe(true);
  });

  it('has nothing to deploy when the first of two versions was torn down', async () => {
    orders = await aDualRunningApplication();

    await tearDown(orders.status().deployHash, 'Running');

    expect(seesChange()).toBe(false);
  });

  it('has nothing to deploy when the second of two versions was torn down', async () => {
    orders = await aDualRunningApplication();

    await tearDown(orders.status().updatingHash, 'DeployFailed');

    expect(seesChange()).toBe(false);
    orders.edit(({ tearDownVersionHash: _, ...spec }) => ({ ...spec, image: 'orders:3' }));
    await orders.roundsUntil('DualRunning');
    expect(orders.status()).not.toHaveProperty('teardownHash');
  });
});
