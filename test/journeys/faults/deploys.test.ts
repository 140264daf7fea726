// Faults of Lyft's flinkk8soperator by which deploys hang, are never tried again, or are made without need. Each test bears the
// number of its fault; see docs/differences-from-flinkk8soperator.md.

import { afterEach, describe, expect, it } from 'vitest';
import type { Phase } from '../../../shared/deployment/types.ts';
import { aDeployedApplication, anApplication, type Deployments, IMAGE, NEXT_IMAGE } from '../../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

const runningJob = () => orders.status().jobStatus?.jobID;

/** The longest wait before a call that has failed is made again. */
async function passHalfMinute(): Promise<void> {
  orders.sandbox.clock.advance(30);
  await orders.round();
}

const failSubmissions = (times = Number.POSITIVE_INFINITY) =>
  orders.sandbox.faults.add({ kind: 'status', code: 500, path: /\/jars\/.*\/run$/, times });

describe('F1: errors are never counted, so that nothing is ever given up', () => {
  it('F1: a call that keeps failing is given up after its retries, and the old job comes back', async () => {
    orders = await aDeployedApplication({ timeouts: { submitSeconds: 100_000 } });
    failSubmissions(22);
    orders.changeImage();
    await orders.roundsUntil('SubmittingJob');
    const counts = new Set<number | undefined>();

    for (let tries = 0; orders.status().phase === 'SubmittingJob' && tries < 30; tries += 1) {
      counts.add(orders.status().retryCount);
      await passHalfMinute();
    }

    expect([...counts].slice(-3)).toEqual([19, 20, 21]);
    await orders.roundsUntil('DeployFailed');
    expect(orders.status().failedDeploy).toMatchObject({
      reason: 'SubmitJob',
      message: expect.stringContaining('500'),
    });
    expect(orders.lastRun()).toMatchObject({ image: IMAGE, state: 'RUNNING' });
  });

  it('F1: a call that has just failed is made again after a while that grows, up to 30 s', async () => {
    orders = await aDeployedApplication();
    const fault = failSubmissions();
    orders.changeImage();
    await orders.roundsUntil('SubmittingJob');

    await orders.rounds(120);

    // 0.2 + 0.4 + … + 25.6 s are the first eight waits; then one in 30 s.
    expect(fault.count).toBeGreaterThan(8);
    expect(orders.status().retryCount).toBeLessThan(13);
  });
});

describe('F3: a revision that failed once is never tried again', () => {
  const unpullable = () => orders.sandbox.flink.image(NEXT_IMAGE, { pullable: false });

  it('F3: it is tried again when its back-off is over, and deployed when what failed has passed', async () => {
    orders = await aDeployedApplication({ timeouts: { clusterStartSeconds: 20 } });
    unpullable();
    orders.changeImage();
    await orders.roundsUntil('DeployFailed');
    expect(orders.status().failedDeploy).toMatchObject({
      reason: 'ClusterStartTimedOut',
      message: expect.stringContaining('ImagePullBackOff'),
    });
    orders.sandbox.flink.image(NEXT_IMAGE, { pullable: true });

    await orders.rounds(10);
    expect(orders.status().phase).toBe('DeployFailed');
    orders.sandbox.clock.advance(300);
    await orders.roundsUntil('Running', { seconds: 40 });

    expect(orders.lastRun()?.image).toBe(NEXT_IMAGE);
    expect(orders.status()).not.toHaveProperty('failedDeploy');
    expect(orders.status()).not.toHaveProperty('failedDeployHash');
  });

  it('F3: a spec that is put back to what runs is Running again at once', async () => {
    orders = await aDeployedApplication({ timeouts: { clusterStartSeconds: 20 } });
    const job = runningJob();
    unpullable();
    orders.changeImage();
    await orders.roundsUntil('DeployFailed');

    orders.changeImage(IMAGE);
    await orders.roundsUntil('Running', { seconds: 0 });

    expect(orders.status()).not.toHaveProperty('failedDeploy');
    expect(runningJob()).toBe(job);
    expect(orders.conditions()).toContain('Deployed True Deployed');
  });
});

describe('F8: a first deploy never fails, and cannot be mended', () => {
  it.each([
    [
      'F8: a jar that is not there',
      'JobNotRunnable',
      () => orders.edit((spec) => ({ ...spec, jarName: 'missing.jar' })),
    ],
    [
      'F8: a job that fails at its start',
      'JobMonitoringFailed',
      () => orders.describeJar(IMAGE, { failsAtStart: 'no such topic' }),
    ],
    [
      'F8: an image that cannot be pulled',
      'ClusterStartTimedOut',
      () => orders.sandbox.flink.image(IMAGE, { pullable: false }),
    ],
  ])('%s is said to be the cause, and a spec that is mended is deployed at once', async (_name, reason, spoil) => {
    orders = await anApplication({ timeouts: { clusterStartSeconds: 20, verticesSeconds: 20 } });
    spoil();

    await orders.roundsUntil('DeployFailed');
    expect(orders.conditions()).toContain(`Deployed False ${reason}`);
    await orders.rounds(4);
    expect(orders.deployments()).toEqual([]);
    orders.edit((spec) => ({ ...spec, jarName: 'orders.jar', image: NEXT_IMAGE }));
    await orders.roundsUntil('Running', { seconds: 40 });

    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE, state: 'RUNNING' });
  });

  it('F8: a spec that is mended while the first cluster hangs is deployed in its place', async () => {
    orders = await anApplication();
    orders.sandbox.flink.image(IMAGE, { pullable: false });
    await orders.rounds(30);
    expect(orders.status().phase).toBe('ClusterStarting');

    orders.changeImage();
    await orders.roundsUntil('Running', { seconds: 40 });

    expect(orders.runs()).toMatchObject([{ image: NEXT_IMAGE, state: 'RUNNING' }]);
  });
});

describe('F9: a change in mid-deploy makes the deploy lose its own objects', () => {
  const settled = () => orders.status().phase === 'Running' && orders.status().rollout === undefined;

  /** A deploy, slow enough for each phase to be seen, has come to this one. */
  async function aDeployIn(phase: Phase): Promise<void> {
    orders = await aDeployedApplication();
    orders.sandbox.flink.image(NEXT_IMAGE, { startSeconds: 10 });
    orders.sandbox.faults.add({ kind: 'status', code: 503, path: /savepoints\/[0-9a-f]+$/, times: 6 });
    orders.changeImage();
    await orders.roundsUntil(phase);
  }

  it.each(['ClusterStarting', 'Savepointing', 'SubmittingJob'] as const)(
    'F9: an annotation of a tool that comes in %s changes nothing',
    async (phase) => {
      await aDeployIn(phase);

      orders.writeMetadata({ annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } });
      await orders.roundsUntil(settled);

      expect(orders.runs()).toHaveLength(2);
      expect(orders.status().failedDeploy).toBeUndefined();
    },
  );

  it.each(['Savepointing', 'SubmittingJob'] as const)(
    'F9: another image that comes in %s is deployed when the one before has been',
    async (phase) => {
      await aDeployIn(phase);

      orders.changeImage('registry.example.com/orders:3');
      await orders.roundsUntil(() => orders.lastRun()?.image.endsWith(':3') === true && settled());

      expect(orders.runs().map(({ image }) => image.split(':').at(-1))).toEqual(['1', '2', '3']);
      expect(orders.savepoints()).toHaveLength(2);
      expect(orders.status().failedDeploy).toBeUndefined();
    },
  );

  it('F9: a size that comes while a cluster starts is deployed after it, not in the midst', async () => {
    orders = await aDeployedApplication();
    orders.sandbox.flink.image(NEXT_IMAGE, { startSeconds: 20 });
    orders.changeImage();
    await orders.roundsUntil('ClusterStarting');

    await orders.scale(4);
    await orders.roundsUntil(() => orders.lastRun()?.parallelism === 8 && settled());

    expect(orders.runs().map(({ image, parallelism }) => [image, parallelism])).toEqual([
      [IMAGE, 4],
      [NEXT_IMAGE, 4],
      [NEXT_IMAGE, 8],
    ]);
  });
});

describe('F15: errors of earlier deploys use up the retries of later ones', () => {
  it('F15: each deploy has its own', async () => {
    orders = await aDeployedApplication({ timeouts: { submitSeconds: 1000 } });

    for (const image of [NEXT_IMAGE, 'registry.example.com/orders:3']) {
      failSubmissions(13);
      orders.changeImage(image);
      await orders.roundsUntil('SubmittingJob');
      for (let tries = 0; tries < 13; tries += 1) await passHalfMinute();
      await orders.roundsUntil('Running');

      expect(orders.lastRun()).toMatchObject({ image, state: 'RUNNING' });
      expect(orders.status()).not.toHaveProperty('retryCount');
      expect(orders.status()).not.toHaveProperty('lastSeenError');
    }
  });
});

describe('F16: what a deployment tool writes on a resource deploys it anew', () => {
  it.each([
    ['kubectl apply', { 'kubectl.kubernetes.io/last-applied-configuration': '{"spec":{}}' }],
    ['Argo CD', { 'argocd.argoproj.io/tracking-id': 'shop:flink.k8s.io/FlinkApplication:flink/orders' }],
    ['Flux', { 'kustomize.toolkit.fluxcd.io/checksum': '1234' }],
    ['Helm', { 'meta.helm.sh/release-name': 'shop' }],
  ])('F16: an annotation of %s deploys nothing', async (_tool, annotations) => {
    orders = await aDeployedApplication();
    const { currentRevision } = orders.status();

    orders.writeMetadata({ annotations });
    await orders.rounds(10);

    expect(orders.status()).toMatchObject({ phase: 'Running', currentRevision });
    expect(orders.runs()).toHaveLength(1);
  });

  it('F16: a label of its user does', async () => {
    orders = await aDeployedApplication();

    orders.writeMetadata({ labels: { team: 'shop' } });
    await orders.roundsUntil(() => orders.runs().length === 2 && orders.status().phase === 'Running');

    expect(orders.savepoints()).toHaveLength(1);
  });

  it('F16: the same spec in other words deploys nothing', async () => {
    orders = await aDeployedApplication({
      taskManagerConfig: { resources: { requests: { cpu: '0.5', memory: '1Gi' } } },
    });

    orders.edit((spec) => ({
      ...spec,
      restartNonce: '',
      taskManagerConfig: { ...spec.taskManagerConfig, resources: { requests: { cpu: '500m', memory: '1024Mi' } } },
    }));
    await orders.rounds(10);

    expect(orders.runs()).toHaveLength(1);
  });
});

describe('F22: a status is written over whatever others have written', () => {
  it('F22: fields of other writers outlast a deploy, in the status and beside it', async () => {
    orders = await aDeployedApplication();
    const application = orders.application();
    orders.sandbox.store.put({
      ...application,
      metadata: {
        ...application.metadata,
        finalizers: [...(application.metadata.finalizers ?? []), 'example.com/audit'],
      },
      spec: { ...application.spec, image: NEXT_IMAGE, sidecars: [{ name: 'proxy' }] },
      status: { ...application.status, costPerHour: '1.20' },
    });

    await orders.roundsUntil('Running');

    const { metadata, spec, status } = orders.application();
    expect(metadata.finalizers).toEqual(['job.finalizers.flink.k8s.io', 'example.com/audit']);
    expect(spec?.sidecars).toEqual([{ name: 'proxy' }]);
    expect(status?.costPerHour).toBe('1.20');
  });

  it('F22: a status that somebody wrote in between is read again, not written over', async () => {
    orders = await aDeployedApplication();
    orders.changeImage();
    let hasInterfered = false;
    orders.sandbox.hooks.before(({ method, path }) => {
      if (hasInterfered || method !== 'PATCH' || !path.endsWith('/orders/status')) return;
      hasInterfered = true;
      orders.writeStatus({ costPerHour: '1.20' });
    });

    await orders.round();
    await orders.roundsUntil('Running');

    expect(orders.warnings).toEqual([expect.stringMatching(/^conflict: .*409/)]);
    expect(orders.application().status?.costPerHour).toBe('1.20');
    expect(orders.runs()).toHaveLength(2);
  });
});
