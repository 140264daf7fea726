// The effects of a deployment on a real API server, with the rights that infra/kubernetes gives and no others.

import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { JOB_FINALIZER } from '../../shared/deployment/begin.ts';
import { type EffectTools, performEffect } from '../../shared/deployment/effects.ts';
import type { Application, ClusterTarget, Effect, Revision } from '../../shared/deployment/types.ts';
import { eksCredentials as eksTokenCredentials } from '../../shared/kubernetes/auth.ts';
import { createKubernetesClient, type KubernetesClient } from '../../shared/kubernetes/client.ts';
import { listRevisions } from '../../shared/kubernetes/controller-revisions.ts';
import {
  getApplication,
  listApplications,
  patchApplicationStatus,
} from '../../shared/kubernetes/deployed-application.ts';
import { listDeployments, listDeploymentsOf } from '../../shared/kubernetes/deployments.ts';
import { isConflict } from '../../shared/kubernetes/errors.ts';
import { applicationReference, createEvent } from '../../shared/kubernetes/events.ts';
import { createTakeover, readTakeover, updateTakeover } from '../../shared/kubernetes/leases.ts';
import { listServices, listServicesOf } from '../../shared/kubernetes/services.ts';
import { listTroubles } from '../../shared/kubernetes/troubled-pods.ts';
import { mergePatch } from './bench/api-client.ts';
import { type ControlPlane, clusterName } from './bench/control-plane.ts';
import { eksCredentials } from './bench/eks-authenticator.ts';
import { eventually } from './bench/eventually.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { createApplication, createNamespace } from './bench/workloads.ts';

const HASH = '5e7c7283';

const revision: Revision = {
  labels: { team: 'shop' },
  annotations: { 'example.com/owner': 'shop' },
  spec: {
    image: 'orders:7',
    jarName: 'orders.jar',
    entryClass: 'com.example.Orders',
    parallelism: 4,
    flinkVersion: '1.20.0',
    flinkConfig: { 'taskmanager.memory.network.fraction': 0.1, 'state.backend.incremental': true },
    volumes: [{ name: 'tmp', emptyDir: {} }],
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
    taskManagerConfig: { taskSlots: 2, tolerations: [{ key: 'spot', operator: 'Exists' }] },
  },
  parallelism: 4,
  taskManagers: 2,
};

let controlPlane: ControlPlane;
let client: KubernetesClient;
let namespace: string;

beforeAll(async () => {
  controlPlane = await sharedControlPlane();
  client = createKubernetesClient({
    endpoint: controlPlane.endpoint,
    certificateAuthority: Buffer.from(controlPlane.certificateAuthority, 'base64'),
    credentials: eksTokenCredentials({ cluster: clusterName, region: 'eu-west-1', credentials: eksCredentials }),
  });
  return () => client.close();
});

beforeEach(async () => {
  namespace = await createNamespace(controlPlane.admin, 'effects');
  await createApplication(controlPlane.admin, { namespace, name: 'orders' });
});

async function application(): Promise<Application> {
  const found = await getApplication(client, { namespace, name: 'orders' });
  if (found === undefined) throw new Error('there is no application orders');
  return found;
}

async function perform(effect: Effect): Promise<void> {
  const jobManager: EffectTools['jobManager'] = () => {
    throw new Error('no JobManager is needed here');
  };
  await performEffect({ client, jobManager }, await application(), effect);
}

async function aTarget(): Promise<ClusterTarget> {
  const { uid, name } = await application();
  const podSelectors = { jobManager: 'jm123456', taskManager: 'tm123456' };
  return { namespace, application: name, uid, revision, hash: HASH, podSelectors };
}

const deletion: Effect = {
  kind: 'DeleteCluster',
  hash: HASH,
  deployments: [`orders-${HASH}-jm`, `orders-${HASH}-tm`],
  services: [`orders-${HASH}`],
};

describe('a cluster', () => {
  it('is made once, read back, sized, pointed at, and deleted', async () => {
    const target = await aTarget();
    await perform({ kind: 'CreateCluster', target });
    await perform({ kind: 'CreateCluster', target });

    const address = { namespace, name: 'orders' };
    const deployments = await listDeploymentsOf(client, address);
    const inShard = await Promise.all([listDeployments(client, []), listServices(client, [])]);
    expect(inShard.map((all) => all.filter((found) => found.namespace === namespace).length)).toEqual([2, 2]);
    expect(
      deployments.map(({ type, hash, ownerUid, view }) => [type, hash, ownerUid, view.name, view.podSelector]),
    ).toEqual([
      ['jobmanager', HASH, target.uid, `orders-${HASH}-jm`, 'jm123456'],
      ['taskmanager', HASH, target.uid, `orders-${HASH}-tm`, 'tm123456'],
    ]);
    const services = await listServicesOf(client, address);
    expect(services.map(({ hash, view }) => [view.name, hash])).toEqual([
      ['orders', undefined],
      [`orders-${HASH}`, HASH],
    ]);

    const resourceVersion = services[0]?.view.resourceVersion ?? '';
    await perform({ kind: 'PointService', name: 'orders', resourceVersion, podSelector: 'new' });
    const again = perform({ kind: 'PointService', name: 'orders', resourceVersion, podSelector: 'newer' });
    await expect(again).rejects.toSatisfy(isConflict);
    await eventually('the TaskManagers sized', async () => {
      const taskManager = (await listDeploymentsOf(client, address)).find(({ type }) => type === 'taskmanager')?.view;
      if (taskManager === undefined) throw new Error('there is no TaskManager');
      if (taskManager.replicas === 3) return true;
      const { name, resourceVersion: version } = taskManager;
      await perform({ kind: 'ScaleDeployment', name, resourceVersion: version, replicas: 3 });
      return false;
    });

    await perform(deletion);
    await perform(deletion);
    expect(await listDeploymentsOf(client, address)).toEqual([]);
    expect((await listServicesOf(client, address)).map(({ view }) => [view.name, view.selector])).toEqual([
      ['orders', expect.objectContaining({ 'pod-deployment-selector': 'new' })],
    ]);
  });

  it('prefers some of its pods when it shrinks, and says what hinders them', async () => {
    const { admin } = controlPlane;
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    const labels = { 'flink-app': 'orders', 'pod-deployment-selector': 'tm123456' };
    const status = {
      podIP: '10.1.2.3',
      podIPs: [{ ip: '10.1.2.3' }],
      containerStatuses: [
        {
          name: 'taskmanager',
          image: 'orders:7',
          imageID: '',
          ready: false,
          restartCount: 0,
          state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "orders:7"' } },
        },
      ],
    };
    await admin.send('POST', pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'orders-tm-1', labels },
      spec: { containers: [{ name: 'taskmanager', image: 'orders:7' }] },
    });
    await admin.send('PATCH', `${pods}/orders-tm-1/status`, { status }, mergePatch);

    const selector = 'flink-app=orders,pod-deployment-selector=tm123456';
    const cost = async () => {
      const { metadata } = await admin.send<{ metadata: { annotations?: object } }>('GET', `${pods}/orders-tm-1`);
      return metadata.annotations ?? {};
    };

    await perform({ kind: 'PreferDeletion', podIps: ['10.1.2.3'], selector });
    expect(await cost()).toEqual({ 'controller.kubernetes.io/pod-deletion-cost': '-100' });
    await perform({ kind: 'PreferDeletion', podIps: [], selector });
    expect(await cost()).toEqual({});
    expect(await listTroubles(client, { namespace, name: 'orders' }, ['tm123456'])).toEqual([
      'orders-tm-1: ImagePullBackOff: Back-off pulling image "orders:7"',
    ]);
  });
});

describe('a revision', () => {
  it('is kept word for word, and deleted', async () => {
    const effect: Effect = { kind: 'CreateRevision', name: 'orders-0123456789', revision };
    await perform(effect);
    await perform(effect);

    expect(await listRevisions(client, await application())).toEqual([
      { name: 'orders-0123456789', number: 1, revision: { value: revision } },
    ]);
    await perform({ kind: 'DeleteRevision', name: 'orders-0123456789' });
    expect(await listRevisions(client, await application())).toEqual([]);
  });
});

describe('the memory of a take-over', () => {
  it('is kept to the millisecond', async () => {
    const owner = await application();
    const memory = { manager: 'flinkoperator', lastWriteTime: 1_772_366_400_000, firstSeenTime: 1_772_366_400_123 };
    await createTakeover(client, owner, memory);
    const stored = await readTakeover(client, owner);
    if (stored === undefined) throw new Error('nothing is remembered');
    const later = { ...memory, lastWriteTime: memory.lastWriteTime + 1 };

    await updateTakeover(client, owner, { ...stored, memory: later });

    expect(stored.memory).toEqual(memory);
    expect(await readTakeover(client, owner)).toMatchObject({ memory: later });
    await expect(updateTakeover(client, owner, stored)).rejects.toSatisfy(isConflict);
  });
});

describe('an application', () => {
  it('has its whole status written and read back, and says who else wrote to it', async () => {
    const time = '2026-03-01T12:00:00Z';
    const status = {
      phase: 'Running',
      lastUpdatedAt: time,
      deployHash: HASH,
      observedGeneration: 1,
      currentRevision: 'orders-0123456789',
      jobStatus: { jobID: 'a'.repeat(32), lastFailingTime: null, runningTasks: 8 },
      rollout: { kind: 'NewCluster', revision: 'orders-1', hash: HASH, startTime: time, deadline: time },
      conditions: [{ type: 'Deployed', status: 'True', reason: 'Deployed', message: '', lastTransitionTime: time }],
    } as const;
    const written = await patchApplicationStatus(client, await application(), status);
    const { lastFailingTime: _, ...jobStatus } = status.jobStatus;
    expect(written.status).toEqual({ ...status, jobStatus });
    expect(written.otherStatusWriters).toEqual([]);
    expect(written).toEqual(await application());
    expect(await listApplications(client, [namespace])).toEqual([written]);

    const path = `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications/orders/status`;
    await controlPlane.admin.send(
      'PATCH',
      `${path}?fieldManager=operator`,
      { status: { phase: 'Updating' } },
      mergePatch,
    );
    const { otherStatusWriters } = await application();
    expect(otherStatusWriters).toEqual([{ manager: 'operator', time: expect.stringMatching(/^\d{4}-.*\dZ$/) }]);
    await expect(patchApplicationStatus(client, written, {})).rejects.toSatisfy(isConflict);
  });

  it('stays until its finalizer goes, and can be told about', async () => {
    await perform({ kind: 'AddFinalizer' });
    await perform({ kind: 'AddFinalizer' });
    await createEvent(client, {
      object: applicationReference(await application()),
      type: 'Normal',
      reason: 'Deleting',
      message: 'goes',
      time: Date.now(),
    });
    await controlPlane.admin.send(
      'DELETE',
      `/apis/flink.k8s.io/v1beta1/namespaces/${namespace}/flinkapplications/orders`,
    );
    expect(await application()).toMatchObject({ isDeleting: true, finalizers: [JOB_FINALIZER] });

    await perform({ kind: 'RemoveFinalizer' });

    expect(await getApplication(client, { namespace, name: 'orders' })).toBeUndefined();
  });
});
