// What the garbage collector of a real control plane does with the parts of an application that is deleted in the foreground while
// a finalizer holds it, as Argo CD deletes and `kubectl delete --cascade=foreground`. And what `kubectl replace` takes away.

import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { JOB_FINALIZER } from '../../shared/deployment/begin.ts';
import { performEffect } from '../../shared/deployment/effects.ts';
import type { Application, Effect, Revision } from '../../shared/deployment/types.ts';
import { eksCredentials as eksTokenCredentials } from '../../shared/kubernetes/auth.ts';
import { createKubernetesClient, type KubernetesClient } from '../../shared/kubernetes/client.ts';
import { getApplication } from '../../shared/kubernetes/deployed-application.ts';
import { listDeploymentsOf } from '../../shared/kubernetes/deployments.ts';
import { listServicesOf } from '../../shared/kubernetes/services.ts';
import { type ApiClient, mergePatch } from './bench/api-client.ts';
import { type ControlPlane, clusterName } from './bench/control-plane.ts';
import { eksCredentials } from './bench/eks-authenticator.ts';
import { eventually } from './bench/eventually.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { createApplication, createNamespace } from './bench/workloads.ts';

const HASH = '5e7c7283';

const revision: Revision = {
  labels: {},
  annotations: {},
  spec: { image: 'orders:7', jarName: 'orders.jar', entryClass: 'com.example.Orders', parallelism: 4 },
  parallelism: 4,
  taskManagers: 2,
};

let controlPlane: ControlPlane;
let admin: ApiClient;
let client: KubernetesClient;
let namespace: string;

beforeAll(async () => {
  controlPlane = await sharedControlPlane();
  admin = controlPlane.admin;
  namespace = await createNamespace(admin, 'foreground');
  client = createKubernetesClient({
    endpoint: controlPlane.endpoint,
    certificateAuthority: Buffer.from(controlPlane.certificateAuthority, 'base64'),
    credentials: eksTokenCredentials({ cluster: clusterName, region: 'eu-west-1', credentials: eksCredentials }),
  });
  return () => client.close();
});

const applicationPath = (name: string) =>
  `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications/${name}`;
const deploymentPath = (name: string) => `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
const servicePath = (name: string) => `/api/v1/namespaces/${namespace}/services/${name}`;

interface Found {
  readonly metadata: {
    readonly uid: string;
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
    readonly ownerReferences?: readonly { readonly kind: string }[];
  };
}

async function application(name: string): Promise<Application> {
  const found = await getApplication(client, { namespace, name });
  if (found === undefined) throw new Error(`there is no FlinkApplication ${name}`);
  return found;
}

/** An application with its finalizer, and a cluster of it as this Headrace makes it. */
async function deployed(name: string): Promise<void> {
  await createApplication(admin, { namespace, name });
  await perform(name, { kind: 'AddFinalizer' });
  const { uid } = await application(name);
  const podSelectors = { jobManager: `jm-${name}`, taskManager: `tm-${name}` };
  await perform(name, {
    kind: 'CreateCluster',
    target: { namespace, application: name, uid, revision, hash: HASH, podSelectors },
  });
  await eventually(`pods of ${name}`, async () => (await podsOf(name)).length === 3);
}

async function perform(name: string, effect: Effect): Promise<void> {
  const tools = {
    client,
    jobManager: () => {
      throw new TypeError('no JobManager is spoken to here');
    },
  };
  await performEffect(tools, await application(name), effect);
}

async function podsOf(name: string): Promise<readonly Found[]> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=flink-app%3D${name}`;
  return (await admin.send<{ items: Found[] }>('GET', path)).items;
}

const partsOf = (name: string) => [
  deploymentPath(`${name}-${HASH}-jm`),
  deploymentPath(`${name}-${HASH}-tm`),
  servicePath(name),
  servicePath(`${name}-${HASH}`),
];

/** "FlinkApplication+ControllerRevision" for each part that is there and not being deleted. */
async function ownersOf(name: string): Promise<readonly string[]> {
  const answers = await Promise.all(partsOf(name).map((path) => admin.request<Found>('GET', path)));
  return answers
    .filter(({ status, body }) => status === 200 && body.metadata.deletionTimestamp === undefined)
    .map(({ body }) => (body.metadata.ownerReferences ?? []).map(({ kind }) => kind).join('+'));
}

async function deleteInForeground(name: string): Promise<void> {
  const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground' };
  await admin.send('DELETE', applicationPath(name), options);
}

describe('a deletion in the foreground', () => {
  it('deletes parts whose only owner is the application, though a finalizer holds it', async () => {
    await deployed('bare');
    const { uid } = await application('bare');
    const keeper = `/apis/apps/v1/namespaces/${namespace}/controllerrevisions/headrace-keeper-${uid}`;
    await admin.send('DELETE', keeper);
    await eventually('parts without a keeper', async () =>
      (await ownersOf('bare')).every((owners) => owners === 'FlinkApplication'),
    );

    await deleteInForeground('bare');

    await eventually('no parts', async () => (await ownersOf('bare')).length === 0);
    expect((await application('bare')).finalizers).toContain(JOB_FINALIZER);
  });

  it('leaves parts that have a keeper, until the finalizer goes', async () => {
    await deployed('kept');
    const before = await ownersOf('kept');

    await deleteInForeground('kept');
    await eventually('parts of the keeper alone', async () =>
      (await ownersOf('kept')).every((owners) => owners === 'ControllerRevision'),
    );
    await eventually('the finalizer of the garbage collector to go', async () => {
      const { finalizers } = await application('kept');
      return finalizers.join() === JOB_FINALIZER;
    });
    const during = {
      owners: await ownersOf('kept'),
      pods: (await podsOf('kept')).map(({ metadata }) => metadata.deletionTimestamp),
      deployments: (await listDeploymentsOf(client, { namespace, name: 'kept' })).map(({ ownerUid }) => ownerUid),
      services: (await listServicesOf(client, { namespace, name: 'kept' })).map(({ ownerUid }) => ownerUid),
    };
    const { uid } = await application('kept');
    await perform('kept', { kind: 'RemoveFinalizer' });

    expect(before).toEqual(Array(4).fill('FlinkApplication+ControllerRevision'));
    expect(during.owners).toEqual(Array(4).fill('ControllerRevision'));
    expect(during.pods).toEqual([undefined, undefined, undefined]);
    expect([...during.deployments, ...during.services]).toEqual(Array(4).fill(uid));
    await eventually('everything gone', async () => (await ownersOf('kept')).length === 0);
    await eventually('the application gone', async () => {
      const { status } = await admin.request('GET', applicationPath('kept'));
      return status === 404;
    });
  });

  it('leaves parts that were made without a keeper and were given one', async () => {
    await deployed('healed');
    const { uid } = await application('healed');
    const keeper = `/apis/apps/v1/namespaces/${namespace}/controllerrevisions/headrace-keeper-${uid}`;
    await admin.send('DELETE', keeper);
    await eventually('parts without a keeper', async () =>
      (await ownersOf('healed')).every((owners) => owners === 'FlinkApplication'),
    );

    await perform('healed', {
      kind: 'KeepObjects',
      deployments: [`healed-${HASH}-jm`, `healed-${HASH}-tm`],
      services: ['healed', `healed-${HASH}`],
    });
    const healed = await ownersOf('healed');
    await deleteInForeground('healed');
    await eventually('parts of the keeper alone', async () =>
      (await ownersOf('healed')).every((owners) => owners === 'ControllerRevision'),
    );

    expect(healed).toEqual(Array(4).fill('FlinkApplication+ControllerRevision'));
    expect(await ownersOf('healed')).toHaveLength(4);
  });
});

describe('kubectl replace', () => {
  it('takes the finalizer and the replicas away and leaves the status; both can be restored', async () => {
    await createApplication(admin, { namespace, name: 'replaced' });
    await perform('replaced', { kind: 'AddFinalizer' });
    const status = { phase: 'Running', lastReplicas: 5 };
    await admin.send('PATCH', `${applicationPath('replaced')}/status`, { status }, mergePatch);
    const scaled = { spec: { taskManagerConfig: { replicas: 5 } } };
    await admin.send('PATCH', applicationPath('replaced'), scaled, mergePatch);
    const manifest = join(await mkdtemp(join(tmpdir(), 'replace-')), 'replaced.json');
    const spec = { image: 'flink:1.20', jarName: 'job.jar', entryClass: 'com.example.Job', parallelism: 4 };
    const metadata = { name: 'replaced', namespace };
    const object = { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', metadata, spec };
    await writeFile(manifest, JSON.stringify(object));

    await controlPlane.kubectl('replace', '--filename', manifest);
    const replaced = await application('replaced');
    await perform('replaced', { kind: 'AddFinalizer' });

    expect(replaced).toMatchObject({ finalizers: [], status });
    expect('value' in replaced.spec && replaced.spec.value.taskManagerConfig?.replicas).toBeUndefined();
    expect((await application('replaced')).finalizers).toEqual([JOB_FINALIZER]);
  });
});
