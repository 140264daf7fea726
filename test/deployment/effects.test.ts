import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../infra/sandbox/kinds.ts';
import { JOB_FINALIZER } from '../../shared/deployment/begin.ts';
import { type EffectTools, performEffect } from '../../shared/deployment/effects.ts';
import type { Application, ClusterTarget, Effect, Revision } from '../../shared/deployment/types.ts';
import { RetryableError, TerminalError } from '../../shared/errors.ts';
import { getApplication } from '../../shared/kubernetes/deployed-application.ts';
import { isConflict } from '../../shared/kubernetes/errors.ts';
import { type ApiServer, addApplication, anApiServer, NAMESPACE, ownedBy, stored } from '../support/api-server.ts';

const HASH = '5e7c7283';
const JM = `orders-${HASH}-jm`;
const TM = `orders-${HASH}-tm`;
const SERVICE = `orders-${HASH}`;

/** What a cluster consists of, by kind and name. */
const CLUSTER = [
  ['Deployment', JM],
  ['Deployment', TM],
  ['Service', SERVICE],
  ['Service', 'orders'],
] as const;

const revision: Revision = {
  labels: { team: 'shop' },
  annotations: {},
  spec: { image: 'orders:7', jarName: 'orders.jar', entryClass: 'com.example.Orders', parallelism: 4 },
  parallelism: 4,
  taskManagers: 2,
};

function aTarget({ uid }: Application, hash = HASH): ClusterTarget {
  const podSelectors = { jobManager: `jm${hash.slice(2)}`, taskManager: `tm${hash.slice(2)}` };
  return { namespace: NAMESPACE, application: 'orders', uid, revision, hash, podSelectors };
}

/** JobManagers that know each job and each savepoint by its id, as Flink does. */
class JobManagers {
  readonly known = new Map<string, unknown>();

  of(hash: string): ReturnType<EffectTools['jobManager']> {
    const keep = (id: string, what: unknown) => this.known.set(`${hash} ${id}`, what);
    return {
      triggerSavepoint: async ({ jobId, triggerId, cancelJob }) => {
        keep(triggerId, { savepointOf: jobId, cancelJob });
        return triggerId;
      },
      disposeSavepoint: async (path) => {
        keep(path, 'disposed of');
        return 'disposal-1';
      },
      stop: async ({ jobId, triggerId, drain }) => {
        keep(triggerId, { stopOf: jobId, drain });
        return triggerId;
      },
      cancel: async (jobId) => void keep(jobId, 'cancelled'),
      submit: async (submission) => {
        keep(submission.jobId, submission);
        return submission.jobId;
      },
      setResourceRequirements: async (jobId, requirements) => void keep(`${jobId} requirements`, requirements),
    };
  }
}

interface World extends ApiServer {
  readonly application: Application;
  readonly jobManagers: JobManagers;
  /** Performs an effect on the application as it is now. */
  perform(effect: Effect): Promise<void>;
}

/** An application, and nothing that belongs to it. */
async function aWorld(metadata: Parameters<typeof addApplication>[1] = {}): Promise<World> {
  const server = await anApiServer();
  const application = addApplication(server, metadata);
  const jobManagers = new JobManagers();
  const tools = { client: server.client, jobManager: (hash: string) => jobManagers.of(hash) };
  return {
    ...server,
    application,
    jobManagers,
    perform: async (effect) => {
      const present = (await getApplication(server.client, application)) ?? application;
      await performEffect(tools, present, effect);
    },
  };
}

/** An application and its cluster. */
async function aWorldWithCluster(metadata: Parameters<typeof addApplication>[1] = {}): Promise<World> {
  const world = await aWorld(metadata);
  await world.perform({ kind: 'CreateCluster', target: aTarget(world.application) });
  return world;
}

const KINDS = ['FlinkApplication', 'Deployment', 'Service', 'ControllerRevision', 'Pod'];

/** All that is in the world. */
function contentOf({ sandbox, jobManagers }: World): unknown {
  return structuredClone([...KINDS.map((kind) => sandbox.store.list(kind)), [...jobManagers.known]]);
}

/** The name of the application's keeper. */
function keeperOf({ application }: World): string {
  return `headrace-keeper-${application.uid}`;
}

function versionOf(world: World, kind: string, name: string): string {
  return stored(world, kind, name)?.metadata.resourceVersion ?? '';
}

describe('CreateCluster', () => {
  it('makes two Deployments and two Services that belong to the application', async () => {
    const world = await aWorldWithCluster();

    for (const [kind, name] of CLUSTER)
      expect(stored(world, kind, name)?.metadata.ownerReferences).toMatchObject([
        ownedBy(world.application),
        { kind: 'ControllerRevision', name: keeperOf(world) },
      ]);
  });

  it('makes them with one keeper, which belongs to nobody', async () => {
    const world = await aWorldWithCluster();

    const keeper = stored(world, 'ControllerRevision', keeperOf(world));

    expect(keeper?.metadata.ownerReferences).toBeUndefined();
    for (const [kind, name] of CLUSTER)
      expect(stored(world, kind, name)?.metadata.ownerReferences?.[1]?.uid).toBe(keeper?.metadata.uid);
  });

  it.each(CLUSTER)('makes %s %s where it alone is missing', async (kind, name) => {
    const world = await aWorldWithCluster();
    const others = CLUSTER.filter((part) => part[1] !== name || part[0] !== kind);
    const before = others.map(([otherKind, other]) => stored(world, otherKind, other));
    world.sandbox.store.remove(kind, NAMESPACE, name);

    await world.perform({ kind: 'CreateCluster', target: aTarget(world.application) });

    expect(stored(world, kind, name)).toBeDefined();
    expect(others.map(([otherKind, other]) => stored(world, otherKind, other))).toEqual(before);
  });

  it('goes on where it was killed', async () => {
    for (const skip of [0, 1, 2, 3, 4]) {
      const world = await aWorld();
      const effect: Effect = { kind: 'CreateCluster', target: aTarget(world.application) };
      const kill = world.sandbox.faults.add({ method: 'POST', path: /./, skip, kind: 'drop-after' });
      await expect(world.perform(effect)).rejects.toThrow('no answer');
      kill.remove();

      await world.perform(effect);

      expect(CLUSTER.filter(([kind, name]) => stored(world, kind, name) === undefined)).toEqual([]);
    }
  });

  it('leaves the Service for users where it points: at the cluster that is deployed', async () => {
    const world = await aWorldWithCluster();
    const before = stored(world, 'Service', 'orders');

    await world.perform({ kind: 'CreateCluster', target: aTarget(world.application, 'aaaa0001') });

    expect(stored(world, 'Service', 'orders')).toEqual(before);
    expect(stored(world, 'Service', 'orders-aaaa0001')).toBeDefined();
  });

  it('refuses to take over what belongs to somebody else', async () => {
    const world = await aWorld();
    world.sandbox.store.put({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: NAMESPACE, name: 'orders' },
      spec: { ports: [{ port: 80 }] },
    });

    const effect = world.perform({ kind: 'CreateCluster', target: aTarget(world.application) });

    await expect(effect).rejects.toThrow(TerminalError);
    expect(stored(world, 'Deployment', JM)).toBeUndefined();
  });

  it('waits for what is still being deleted', async () => {
    const world = await aWorldWithCluster();
    const jobManager = stored(world, 'Deployment', JM);
    if (jobManager === undefined) throw new TypeError('there is no JobManager');
    const metadata = { ...jobManager.metadata, finalizers: ['foregroundDeletion'] };
    world.sandbox.store.delete(world.sandbox.store.replace(jobManager, { ...jobManager, metadata }));

    const effect = world.perform({ kind: 'CreateCluster', target: aTarget(world.application) });

    await expect(effect).rejects.toThrow(RetryableError);
    await expect(effect).rejects.toThrow(`creating deployments flink/${JM}: one of that name is still being deleted`);
  });
});

describe('DeleteCluster', () => {
  const effect: Effect = { kind: 'DeleteCluster', hash: HASH, deployments: [JM, TM], services: [SERVICE] };

  it('deletes what it names and nothing else', async () => {
    const world = await aWorldWithCluster();

    await world.perform(effect);

    expect(world.sandbox.store.list('Deployment')).toEqual([]);
    expect(world.sandbox.store.list('Service').map(({ metadata }) => metadata.name)).toEqual(['orders']);
  });

  it('deletes one after the other in the order given, so that what was left undone can still be found', async () => {
    const world = await aWorldWithCluster();

    await world.perform(effect);

    const deletions = world.sandbox.requests.filter(({ method }) => method === 'DELETE');
    expect(deletions.map(({ path }) => path.split('/').at(-1))).toEqual([JM, TM, SERVICE]);
  });

  it('is content with what is gone already', async () => {
    const world = await aWorldWithCluster();
    world.sandbox.store.remove('Deployment', NAMESPACE, JM);

    await world.perform(effect);

    expect(stored(world, 'Deployment', TM)).toBeUndefined();
  });

  it('never deletes what belongs to somebody else, which keeps nothing else from going', async () => {
    const world = await aWorldWithCluster();
    const jobManager = stored(world, 'Deployment', JM);
    if (jobManager === undefined) throw new TypeError('there is no JobManager');
    const { ownerReferences: _, ...metadata } = jobManager.metadata;
    world.sandbox.store.replace(jobManager, { ...jobManager, metadata });

    await expect(world.perform(effect)).rejects.toThrow(TerminalError);

    expect(stored(world, 'Deployment', JM)).toBeDefined();
    expect(stored(world, 'Deployment', TM)).toBeUndefined();
    expect(stored(world, 'Service', SERVICE)).toBeUndefined();
  });
});

describe('a revision', () => {
  it('is kept under the generation for which it was made, and deleted', async () => {
    const world = await aWorld();

    await world.perform({ kind: 'CreateRevision', name: 'orders-0123456789', revision });
    expect(stored(world, 'ControllerRevision', 'orders-0123456789')).toMatchObject({ revision: 1, data: revision });

    await world.perform({ kind: 'DeleteRevision', name: 'orders-0123456789' });
    expect(world.sandbox.store.list('ControllerRevision')).toEqual([]);
  });
});

describe('the finalizer', () => {
  it('is added to those that are there, and taken from them', async () => {
    const world = await aWorld({ finalizers: ['example.com/other'] });
    const finalizers = () => stored(world, 'FlinkApplication', 'orders')?.metadata.finalizers;

    await world.perform({ kind: 'AddFinalizer' });
    expect(finalizers()).toEqual(['example.com/other', JOB_FINALIZER]);

    await world.perform({ kind: 'RemoveFinalizer' });
    expect(finalizers()).toEqual(['example.com/other']);
  });

  it('is not written where it is as it is to be', async () => {
    const world = await aWorld({ finalizers: [JOB_FINALIZER] });

    await world.perform({ kind: 'AddFinalizer' });

    expect(world.client.traffic.writes).toBe(0);
  });
});

describe('KeepObjects', () => {
  const effect: Effect = { kind: 'KeepObjects', deployments: [JM, TM], services: [SERVICE, 'orders'] };

  /** As Lyft's operator makes them, and Headrace did. */
  async function aClusterWithoutKeeper(): Promise<World> {
    const world = await aWorldWithCluster();
    for (const [kind, name] of CLUSTER) {
      const object = stored(world, kind, name) as KubernetesObject;
      const metadata = { ...object.metadata, ownerReferences: [ownedBy(world.application)] };
      world.sandbox.store.replace(object, { ...object, metadata });
    }
    world.sandbox.store.remove('ControllerRevision', NAMESPACE, keeperOf(world));
    return world;
  }

  it('gives what was made without a keeper its second owner, and changes nothing else', async () => {
    const world = await aClusterWithoutKeeper();
    const before = CLUSTER.map(([kind, name]) => stored(world, kind, name));

    await world.perform(effect);

    for (const [index, [kind, name]] of CLUSTER.entries()) {
      const { metadata: former, ...whole } = before[index] as KubernetesObject;
      const { metadata, ...rest } = stored(world, kind, name) as KubernetesObject;
      expect(rest).toEqual(whole);
      expect(metadata.labels).toEqual(former.labels);
      expect(metadata.ownerReferences).toMatchObject([ownedBy(world.application), { name: keeperOf(world) }]);
    }
  });

  it('leaves alone what belongs to somebody else, and what is gone or about to go', async () => {
    const world = await aClusterWithoutKeeper();
    const jobManager = stored(world, 'Deployment', JM) as KubernetesObject;
    const foreign = { ...jobManager, metadata: { ...jobManager.metadata, ownerReferences: [] } };
    world.sandbox.store.replace(jobManager, foreign);
    world.sandbox.store.remove('Deployment', NAMESPACE, TM);
    const service = stored(world, 'Service', SERVICE) as KubernetesObject;
    world.sandbox.store.delete(service, { finalizer: 'example.com/hold' });

    await world.perform(effect);

    expect(stored(world, 'Deployment', JM)?.metadata.ownerReferences).toEqual([]);
    expect(stored(world, 'Service', SERVICE)?.metadata.ownerReferences).toHaveLength(1);
    expect(stored(world, 'Service', 'orders')?.metadata.ownerReferences).toHaveLength(2);
  });

  it('keeps what is kept when the application is deleted in the foreground', async () => {
    const world = await aClusterWithoutKeeper();
    await world.perform({ kind: 'AddFinalizer' });
    await world.perform(effect);
    const application = stored(world, 'FlinkApplication', 'orders') as KubernetesObject;
    world.sandbox.store.delete(application, { finalizer: 'foregroundDeletion' });
    world.sandbox.clock.advance(5);

    for (const [kind, name] of CLUSTER)
      expect(stored(world, kind, name)?.metadata).toMatchObject({ ownerReferences: [{ name: keeperOf(world) }] });
  });

  it('lets everything go with the finalizer', async () => {
    const world = await aWorldWithCluster({ finalizers: [JOB_FINALIZER] });
    world.sandbox.store.delete(stored(world, 'FlinkApplication', 'orders') as KubernetesObject);

    await world.perform({ kind: 'RemoveFinalizer' });
    world.sandbox.clock.advance(5);

    for (const [kind, name] of CLUSTER) expect(stored(world, kind, name)).toBeUndefined();
    expect(world.sandbox.store.list('ControllerRevision')).toEqual([]);
  });
});

describe('an effect that rests on a version', () => {
  it.each<[string, (resourceVersion: string) => Effect, string, string]>([
    [
      'ScaleDeployment',
      (resourceVersion) => ({ kind: 'ScaleDeployment', name: TM, resourceVersion, replicas: 5 }),
      'Deployment',
      TM,
    ],
    [
      'PointService',
      (resourceVersion) => ({ kind: 'PointService', name: 'orders', resourceVersion, podSelector: 'new' }),
      'Service',
      'orders',
    ],
  ])('%s is refused once somebody else has written', async (_, effectAt, kind, name) => {
    const world = await aWorldWithCluster();
    const effect = effectAt(versionOf(world, kind, name));
    const before = stored(world, kind, name);
    if (before === undefined) throw new TypeError(`there is no ${name}`);
    const touched = world.sandbox.store.replace(before, {
      ...before,
      metadata: { ...before.metadata, annotations: { touched: 'yes' } },
    });

    await expect(world.perform(effect)).rejects.toSatisfy(isConflict);
    expect(stored(world, kind, name)).toEqual(touched);

    await world.perform(effectAt(versionOf(world, kind, name)));
    expect(stored(world, kind, name)).not.toEqual(touched);
  });
});

describe('DeleteConfigMaps', () => {
  it('deletes a ConfigMap that is still the one that was seen', async () => {
    const world = await aWorld();
    const uid = addConfigMap(world);

    await world.perform({ kind: 'DeleteConfigMaps', hash: HASH, configMaps: [{ name: CONFIG_MAP, uid }] });

    expect(world.sandbox.store.get('ConfigMap', NAMESPACE, CONFIG_MAP)).toBeUndefined();
  });

  it('leaves one alone that was made anew, and is content where there is none', async () => {
    const world = await aWorld();
    addConfigMap(world);
    const configMaps = [
      { name: CONFIG_MAP, uid: 'another' },
      { name: 'orders-gone', uid: 'gone' },
    ];

    await world.perform({ kind: 'DeleteConfigMaps', hash: HASH, configMaps });

    expect(world.sandbox.store.get('ConfigMap', NAMESPACE, CONFIG_MAP)).toBeDefined();
  });
});

describe('what is told to a JobManager', () => {
  it('goes to that of the cluster, with the ids that were written down', async () => {
    const world = await aWorld();
    const submission = { ...jobOf(revision), jobId: 'b'.repeat(32), allowNonRestoredState: false };

    await world.perform({ kind: 'TriggerSavepoint', hash: 'old', jobId: 'a', triggerId: 't', cancelJob: true });
    await world.perform({ kind: 'StopJob', hash: 'old', jobId: 'c', triggerId: 's', drain: true });
    await world.perform({ kind: 'CancelJob', hash: 'old', jobId: 'a' });
    await world.perform({ kind: 'SubmitJob', hash: 'new', submission });
    await world.perform({
      kind: 'SetResourceRequirements',
      hash: 'new',
      jobId: 'b',
      requirements: { v: { lowerBound: 1, upperBound: 8 } },
    });

    expect(Object.fromEntries(world.jobManagers.known)).toEqual({
      'old t': { savepointOf: 'a', cancelJob: true },
      'old s': { stopOf: 'c', drain: true },
      'old a': 'cancelled',
      [`new ${'b'.repeat(32)}`]: submission,
      'new b requirements': { v: { lowerBound: 1, upperBound: 8 } },
    });
  });
});

/** For every kind, an effect in a world; a kind that is forgotten does not compile. */
const EFFECTS: { readonly [Kind in Effect['kind']]: (world: World) => Extract<Effect, { kind: Kind }> } = {
  CreateRevision: () => ({ kind: 'CreateRevision', name: 'orders-0123456789', revision }),
  DeleteRevision: () => ({ kind: 'DeleteRevision', name: 'orders-0123456789' }),
  AddFinalizer: () => ({ kind: 'AddFinalizer' }),
  RemoveFinalizer: () => ({ kind: 'RemoveFinalizer' }),
  KeepObjects: () => ({ kind: 'KeepObjects', deployments: [JM, TM], services: [SERVICE] }),
  CreateCluster: ({ application }) => ({ kind: 'CreateCluster', target: aTarget(application) }),
  DeleteCluster: () => ({ kind: 'DeleteCluster', hash: HASH, deployments: [JM, TM], services: [SERVICE] }),
  DeleteConfigMaps: (world) => ({
    kind: 'DeleteConfigMaps',
    hash: HASH,
    configMaps: [{ name: CONFIG_MAP, uid: addConfigMap(world) }],
  }),
  ScaleDeployment: (world) => ({
    kind: 'ScaleDeployment',
    name: TM,
    resourceVersion: versionOf(world, 'Deployment', TM),
    replicas: 5,
  }),
  PreferDeletion: () => ({ kind: 'PreferDeletion', podIps: ['10.0.0.1'], selector: 'flink-app=orders' }),
  PointService: (world) => ({
    kind: 'PointService',
    name: 'orders',
    resourceVersion: versionOf(world, 'Service', 'orders'),
    podSelector: 'new',
  }),
  TriggerSavepoint: () => ({ kind: 'TriggerSavepoint', hash: HASH, jobId: 'a', triggerId: 't', cancelJob: false }),
  DisposeSavepoint: () => ({ kind: 'DisposeSavepoint', hash: HASH, path: 's3://savepoints/savepoint-1' }),
  StopJob: () => ({ kind: 'StopJob', hash: HASH, jobId: 'a', triggerId: 's', drain: false }),
  CancelJob: () => ({ kind: 'CancelJob', hash: HASH, jobId: 'a' }),
  SubmitJob: () => ({
    kind: 'SubmitJob',
    hash: HASH,
    submission: { ...jobOf(revision), jobId: 'b', allowNonRestoredState: true },
  }),
  SetResourceRequirements: () => ({ kind: 'SetResourceRequirements', hash: HASH, jobId: 'a', requirements: {} }),
};

describe('every effect', () => {
  it.each(Object.entries(EFFECTS))('%s done twice leaves the world as once', async (_, effectIn) => {
    await fc.assert(
      fc.asyncProperty(arrangements(), async ({ metadata, hasCluster, hasRevision }) => {
        const world = await (hasCluster ? aWorldWithCluster(metadata) : aWorld(metadata));
        if (hasRevision) await world.perform(EFFECTS.CreateRevision(world));
        addPods(world);
        const effect = effectIn(world);
        await world.perform(effect).catch(ignoreAbsence);
        const once = contentOf(world);

        // The second time may be refused as resting on what has changed; it must not change anything.
        await world.perform(effect).catch(ignoreAbsence);

        expect(contentOf(world)).toEqual(once);
      }),
      { numRuns: 10 },
    );
  });
});

const CONFIG_MAP = `${SERVICE}-k3x9q2-cluster-config-map`;

/** @returns its uid */
function addConfigMap({ sandbox }: World): string {
  sandbox.store.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: NAMESPACE, name: CONFIG_MAP } });
  return sandbox.store.get('ConfigMap', NAMESPACE, CONFIG_MAP)?.metadata.uid ?? '';
}

function arrangements() {
  return fc.record({
    metadata: fc.record({ finalizers: fc.subarray(['example.com/other', JOB_FINALIZER]) }),
    hasCluster: fc.boolean(),
    hasRevision: fc.boolean(),
  });
}

/** Two TaskManagers: the first was to stay so far, the second to go. */
function addPods({ sandbox }: World): void {
  const labels = { 'flink-app': 'orders' };
  const cost = { 'controller.kubernetes.io/pod-deletion-cost': '-100' };
  for (const [index, annotations] of [{}, cost].entries())
    sandbox.store.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: NAMESPACE, name: `orders-tm-${index}`, labels, annotations },
      spec: { containers: [{ name: 'taskmanager', image: 'orders:7' }] },
      status: { phase: 'Running', podIP: `10.0.0.${index + 1}` },
    });
}

/** What an effect is about may not be there, or no longer as it was: that it says so is tested elsewhere. */
function ignoreAbsence(error: unknown): void {
  const code = (error as { readonly code?: number }).code;
  if (code !== 404 && code !== 409) throw error;
}

function jobOf({ spec, parallelism }: Revision) {
  return { jarName: spec.jarName, entryClass: spec.entryClass, programArgs: '', parallelism };
}
