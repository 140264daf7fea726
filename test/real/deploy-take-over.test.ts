// An application as Lyft's flinkk8soperator leaves it, with its job at work on real Flink; then that operator is switched off, and Headrace goes on.
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { hashOf, revisionOf } from '../../shared/deployment/identity.ts';
import { renderCluster } from '../../shared/deployment/templates.ts';
import type { ApplicationSpec } from '../../shared/deployment/types.ts';
import { mergePatch } from './bench/api-client.ts';
import { eventually } from './bench/eventually.ts';
import { countingJob, type FlinkVersion, flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type DeployScene, openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

/** As the operator calls itself: the name of its program. */
const operator = 'fieldManager=flinkk8soperator';

const OWNED = 'Owned=True/Owned';
const NOT_OWNED = 'Owned=False/AnotherOperatorActive';

it.each(flinkVersions)(
  'is taken over as it runs on Flink %s once nobody else writes its status, and can be scaled from then on',
  async (version) => {
    const scene = await openDeployScene(world);
    const jobId = await deployAsOperator(scene, version);
    const before = await deployments(scene);

    await scene.round();
    const besideIt = await scene.conditions();
    await writeStatus(scene, { lastUpdatedAt: now() });
    scene.advance(80);
    await scene.round();
    const stillBesideIt = await scene.conditions();

    expect(besideIt).toContain(NOT_OWNED);
    expect(stillBesideIt).toContain(NOT_OWNED);
    expect(await scene.message('Owned')).toContain('flinkk8soperator writes to the status');
    expect((await scene.application()).spec.taskManagerConfig.replicas).toBeUndefined();
    expect(await scene.revisions()).toEqual([]);

    scene.advance(91);
    const { status } = await scene.untilStatus('taken over', ({ currentRevision }) => currentRevision !== undefined);
    await scene.round();

    expect(status).toMatchObject({ phase: 'Running', jobStatus: { jobID: jobId, state: 'RUNNING', parallelism: 2 } });
    expect(await scene.conditions()).toEqual(
      expect.arrayContaining(['Deployed=True/Deployed', 'JobRunning=True/JobRunning', OWNED]),
    );
    expect(await deployments(scene)).toEqual(before);
    expect(await scene.flink.pods(status?.selector ?? '')).toHaveLength(1);
    expect(await scene.events()).toEqual(['Normal Adopted']);

    const scaled = await scene.scaleTo(2);

    await scene.expectGoneOn(jobId, whatRuns(scaled).jobId, 4);
    await scene.until('the first cluster gone', async () => (await scene.objects()).length === 4);
  },
  240_000,
);

/** Applies an application, and does what the operator does until it calls it Running. Returns the job's id. */
async function deployAsOperator(scene: DeployScene, version: FlinkVersion): Promise<string> {
  const application = { version, spec: { parallelism: 2 } };
  // With the annotation that `kubectl apply` leaves: the operator hashes all of them.
  const lastApplied = JSON.stringify(scene.manifest(application));
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': lastApplied };
  await scene.create({ ...application, annotations });
  const { metadata, spec } = await scene.application();
  const labels = { team: 'shop' };
  const written = spec as unknown as ApplicationSpec;
  const revision = { ...revisionOf({ labels, annotations, spec: written }), labels, annotations };
  const hash = hashOf({ ...revision, namespace: scene.namespace, name: 'orders' });

  const finalizers = ['job.finalizers.flink.k8s.io'];
  await scene.admin.send('PATCH', `${scene.path()}?${operator}`, { metadata: { finalizers } }, mergePatch);
  await createCluster(scene, renderOwned(scene, { uid: metadata.uid, hash, revision }));
  const service = `orders-${hash}`;
  await eventually(
    'slots',
    async () => {
      const overview = await scene.flink.askJobManager<{ 'slots-total': number }>(service, 'GET', '/overview');
      return overview['slots-total'] === 2;
    },
    { timeoutSeconds: 60 },
  );
  const { jobid: jobID } = await scene.flink.askJobManager<{ jobid: string }>(
    service,
    'POST',
    `/jars/${countingJob.jar}/run`,
    { entryClass: countingJob.entryClass, ...argumentsFor(version, spec.programArgs), parallelism: 2 },
  );
  await scene.flink.waitForCount(jobID, ({ counted }) => counted > 500);
  await writeStatus(scene, statusOf({ hash, jobID, programArgs: spec.programArgs }));
  return jobID;
}

/** The operator knows the string alone, and Flink since 2.0 the list alone: there, its jobs have their arguments from elsewhere. */
function argumentsFor(version: FlinkVersion, programArgs: string): object {
  return version.startsWith('1.') ? { programArgs } : { programArgsList: programArgs.split(' ') };
}

type Target = Pick<Parameters<typeof renderCluster>[0], 'uid' | 'hash' | 'revision'>;

/** The operator draws its pod selectors. */
function renderOwned({ namespace }: DeployScene, target: Target) {
  const draw = () => randomBytes(4).toString('hex');
  const podSelectors = { jobManager: draw(), taskManager: draw() };
  const cluster = renderCluster({ ...target, namespace, application: 'orders', podSelectors });
  const owner = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'orders', uid: target.uid };
  const ownerReferences = [{ ...owner, controller: true, blockOwnerDeletion: true }];
  return Object.values(cluster).map((object) => ({ ...object, metadata: { ...object.metadata, ownerReferences } }));
}

async function createCluster({ admin, namespace }: DeployScene, objects: ReturnType<typeof renderOwned>) {
  for (const object of objects) {
    const collection = object.kind === 'Deployment' ? '/apis/apps/v1' : '/api/v1';
    const plural = `${object.kind.toLowerCase()}s`;
    await admin.send('POST', `${collection}/namespaces/${namespace}/${plural}?${operator}`, object);
  }
}

/** As in the operator's quick-start guide, with every field that it writes. */
function statusOf({ hash, jobID, programArgs }: { hash: string; jobID: string; programArgs: string }): object {
  return {
    clusterStatus: {
      availableTaskSlots: 0,
      clusterOverviewURL: `/api/v1/namespaces/flink/services/orders-${hash}:8081/proxy/#/overview`,
      health: 'Green',
      healthyTaskManagers: 1,
      numberOfTaskManagers: 1,
      numberOfTaskSlots: 2,
    },
    deployHash: hash,
    deploymentMode: 'Dual',
    jobStatus: {
      completedCheckpointCount: 2,
      entryClass: countingJob.entryClass,
      failedCheckpointCount: 0,
      health: 'Green',
      jarName: countingJob.jar,
      jobID,
      jobOverviewURL: '',
      jobRestartCount: 0,
      lastCheckpointTime: null,
      lastFailingTime: null,
      parallelism: 2,
      programArgs,
      restoreTime: null,
      runningTasks: 4,
      startTime: now(),
      state: 'RUNNING',
      totalTasks: 4,
    },
    lastUpdatedAt: now(),
    phase: 'Running',
    retryCount: 0,
  };
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Writes until it shows: managedFields count in whole seconds. */
async function writeStatus(scene: DeployScene, status: object): Promise<void> {
  const before = await lastWrite(scene);
  await eventually('a write in another second', async () => {
    await scene.admin.send(
      'PATCH',
      `${scene.path()}/status?${operator}`,
      { status: { ...status, lastUpdatedAt: now() } },
      mergePatch,
    );
    return (await lastWrite(scene)) !== before;
  });
}

interface ManagedFields {
  readonly manager: string;
  readonly subresource?: string;
  readonly time: string;
}

async function lastWrite(scene: DeployScene): Promise<string | undefined> {
  const { metadata } = await scene.admin.send<{ metadata: { managedFields: readonly ManagedFields[] } }>(
    'GET',
    scene.path(),
  );
  return metadata.managedFields.find(
    ({ manager, subresource }) => manager === 'flinkk8soperator' && subresource === 'status',
  )?.time;
}

/** Which there are, and how often each was changed. */
async function deployments({ admin, namespace }: DeployScene): Promise<readonly string[]> {
  const { items } = await admin.send<{ items: readonly { metadata: { uid: string; generation: number } }[] }>(
    'GET',
    `/apis/apps/v1/namespaces/${namespace}/deployments`,
  );
  return items.map(({ metadata }) => `${metadata.uid} ${metadata.generation}`).sort();
}
