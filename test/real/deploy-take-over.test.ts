// An application as Lyft's flinkk8soperator leaves it, with its job at work on real Flink; then that operator is switched off, and Headrace goes on.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { main } from '../../shared/cli/main.ts';
import { hashOf, revisionOf } from '../../shared/deployment/identity.ts';
import { renderCluster } from '../../shared/deployment/templates.ts';
import type { ApplicationSpec, ApplicationStatus } from '../../shared/deployment/types.ts';
import { mergePatch } from './bench/api-client.ts';
import { eventually } from './bench/eventually.ts';
import { countingJob, type FlinkVersion, flinkVersions } from './bench/flink-build.ts';
import { useFlinkWorld } from './bench/flink-world.ts';
import { type DeployScene, openDeployScene, whatRuns } from './deploy-scene.ts';

const world = useFlinkWorld();

/** As the operator calls itself: the name of its program. */
const operator = 'fieldManager=flinkk8soperator';

const takeOverCheck = join(import.meta.dirname, '..', '..', 'infra', 'kubernetes', 'examples', 'take-over-check');

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
    expect(await rehearse(scene)).toMatchObject({
      exit: 0,
      outcome: 'Adopted',
      writer: { manager: 'flinkk8soperator' },
    });

    scene.advance(91);
    const { status } = await scene.untilStatus('taken over', ({ currentRevision }) => currentRevision !== undefined);
    await scene.round();

    expect(status).toMatchObject({ phase: 'Running', jobStatus: { jobID: jobId, state: 'RUNNING', parallelism: 2 } });
    // As the spec says it: the operator would refuse every change of an application where the two differ.
    expect(status).not.toHaveProperty('deploymentMode');
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

it('leaves two versions alone beside the operator, adopts both afterwards, and tears down the one that is named', async () => {
  const [version] = flinkVersions;
  const scene = await openDeployScene(world);
  const first = await scene.deploy({ version, spec: { parallelism: 2, deploymentMode: 'BlueGreen' } });
  await scene.edit({ programArgs: scene.arguments('--version', '2') });
  const { status: deployed = {} } = await scene.untilPhase('DualRunning');
  const [blue, green] = (deployed.versionStatuses ?? []).map(({ jobStatus }) => jobStatus?.jobID ?? '');
  await leaveDualRunning(scene);
  const before = await scene.application();
  const [events, objects] = [await scene.events(), await deployments(scene)];

  await scene.round();
  scene.advance(30);
  await scene.round();

  const beside = await scene.application();
  const { conditions, ...untouched } = beside.status as ApplicationStatus;
  expect(untouched).toEqual(before.status);
  expect(beside.spec).toEqual(before.spec);
  expect(conditions?.map(({ type, status, reason }) => `${type}=${status}/${reason}`)).toEqual(
    expect.arrayContaining(['Deployed=True/DualRunning', 'JobRunning=True/JobRunning', NOT_OWNED]),
  );
  expect(await scene.events()).toEqual(events);
  expect(await scene.revisions()).toEqual([]);
  expect(await rehearse(scene)).toMatchObject({ exit: 0, outcome: 'Adopted', phase: 'DualRunning' });

  scene.advance(91);
  const { status } = await scene.untilStatus('both adopted', ({ rollout }) => rollout !== undefined);
  await scene.round();

  expect(status).toMatchObject({ phase: 'DualRunning', deployHash: whatRuns(first).hash, rollout: { jobId: green } });
  expect(status?.versionStatuses?.map(({ jobStatus }) => jobStatus?.jobID)).toEqual([blue, green]);
  expect(await scene.conditions()).toEqual(expect.arrayContaining(['Deployed=True/DualRunning', OWNED]));
  expect(await deployments(scene)).toEqual(objects);
  expect(await scene.events()).toEqual([...events, 'Normal Adopted']);

  await scene.edit({ tearDownVersionHash: whatRuns(first).hash });
  const kept = await scene.untilPhase('Running');

  expect(whatRuns(kept).jobId).toBe(green);
  const seen = (await scene.flink.jobCounts(green ?? '')).at(-1)?.counted ?? 0;
  await scene.flink.waitForCount(green ?? '', ({ counted }) => counted > seen);
  await scene.until('the first cluster gone', async () =>
    (await scene.objects()).every((name) => !name.includes(whatRuns(first).hash)),
  );
}, 240_000);

/** Puts in the place of the status what the operator's has in DualRunning, and takes away what it does not know. */
async function leaveDualRunning(scene: DeployScene): Promise<void> {
  const revisions = `/apis/apps/v1/namespaces/${scene.namespace}/controllerrevisions`;
  for (const name of await scene.revisions()) await scene.admin.send('DELETE', `${revisions}/${name}`);
  await scene.admin.send('PATCH', scene.path(), { spec: { taskManagerConfig: { replicas: null } } }, mergePatch);
  const application = await scene.application();
  const { deployHash, deployVersion, updatingVersion, updatingHash, versionStatuses, rollout } =
    application.status as ApplicationStatus;
  const status = {
    // Nothing at the top is kept up in this mode but the id of the job that was submitted last.
    clusterStatus: { availableTaskSlots: 0 },
    jobStatus: { jobID: rollout?.jobId, jarName: '', parallelism: 0 },
    deployHash,
    deployVersion,
    deploymentMode: 'BlueGreen',
    lastUpdatedAt: now(),
    phase: 'DualRunning',
    updatingHash,
    updatingVersion,
    versionStatuses,
  };
  await scene.admin.send('PUT', `${scene.path()}/status?${operator}`, { ...application, status });
}

interface RehearsedApplication {
  readonly exit: number;
  readonly outcome: string;
  readonly phase: string;
  readonly writer: { readonly manager: string } | null;
}

/** `headrace take-over --check --json` of the application "orders", by somebody whose role lets nothing be written. */
async function rehearse(scene: DeployScene): Promise<RehearsedApplication> {
  const { controlPlane } = world;
  const token = await readerToken(scene);
  const authorization = { authorization: `Bearer ${token}` };
  const write = await scene.admin.request('PATCH', `${scene.path()}/status`, {}, { ...mergePatch, ...authorization });
  const folder = await mkdtemp(join(tmpdir(), 'headrace-cli-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const kubeconfig = join(folder, 'kubeconfig');
  // JSON is YAML.
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'bench',
        cluster: { server: controlPlane.endpoint, 'certificate-authority-data': controlPlane.certificateAuthority },
      },
    ],
    users: [{ name: 'reader', user: { token } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'reader' } }],
    'current-context': 'bench',
  };
  await writeFile(kubeconfig, JSON.stringify(content));
  let out = '';
  let error = '';
  const words = ['take-over', '--check', '--json', '--kubeconfig', kubeconfig, `${scene.namespace}/orders`];
  const exit = await main(words, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    interrupted: new AbortController().signal,
  });
  expect(error).toBe('');
  expect(write.status).toBe(403);
  const { applications } = JSON.parse(out) as { applications: Omit<RehearsedApplication, 'exit'>[] };
  expect(applications).toHaveLength(1);
  return { exit, ...(applications[0] as Omit<RehearsedApplication, 'exit'>) };
}

/** Of a service account that has the role of the example, in this namespace alone. */
async function readerToken({ admin, namespace }: DeployScene): Promise<string> {
  await world.controlPlane.kubectl('apply', '-k', takeOverCheck);
  const binding = ['rolebinding', 'reader', '--clusterrole=headrace-take-over-check'];
  await world.controlPlane.kubectl('create', 'serviceaccount', 'reader', '--namespace', namespace);
  await world.controlPlane.kubectl(
    'create',
    ...binding,
    `--serviceaccount=${namespace}:reader`,
    '--namespace',
    namespace,
  );
  const { status } = await admin.send<{ status: { token: string } }>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/reader/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } },
  );
  return status.token;
}

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
