// What becomes of objects when they, or what they belong to, are deleted; and who is on record as their writer.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../../infra/sandbox/kinds.ts';
import { managerOf, trace } from '../../../infra/sandbox/managed-fields.ts';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { anApplication, applications, ask } from './ask.ts';
import { aService, createCluster, deployments, services } from './cluster.ts';

const revisions = '/apis/apps/v1/namespaces/flink/controllerrevisions';
const leases = '/apis/coordination.k8s.io/v1/namespaces/flink/leases';

let sandbox: Sandbox;
let owner: KubernetesObject;

beforeEach(async () => {
  sandbox = await startSandbox({ now: Date.parse('2026-01-02T03:04:05Z') });
  owner = sandbox.store.put(anApplication('orders'));
});
afterEach(() => sandbox.close());

const ownedBy = ({ apiVersion, kind, metadata }: KubernetesObject) => [
  { apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true, blockOwnerDeletion: true },
];
const namesOf = (kind: string) => sandbox.store.list(kind, 'flink').map(({ metadata }) => metadata.name);
const application = () => sandbox.store.get('FlinkApplication', 'flink', 'orders');

function addRevision(name: string, ownerReferences: object[] = ownedBy(owner)) {
  return ask(sandbox, 'POST', revisions, { metadata: { name, ownerReferences }, data: { a: 1 }, revision: 1 });
}

describe('what is owned', () => {
  it('goes a second after its owner', async () => {
    await addRevision('orders-1');
    await addRevision('other', []);
    await ask(sandbox, 'DELETE', `${applications}/orders`);
    const before = namesOf('ControllerRevision');
    sandbox.clock.advance(1);

    expect(before).toEqual(['orders-1', 'other']);
    expect(namesOf('ControllerRevision')).toEqual(['other']);
  });

  it('goes with everything that it owns itself', async () => {
    await createCluster(sandbox, { ownerReferences: ownedBy(owner) });
    sandbox.clock.advance(15);
    const running = [namesOf('Deployment'), namesOf('Pod')].map(({ length }) => length);
    await ask(sandbox, 'DELETE', `${applications}/orders`);
    sandbox.clock.advance(1);
    const deploymentsLeft = namesOf('Deployment');
    sandbox.clock.advance(4);

    expect(running).toEqual([2, 3]);
    expect(deploymentsLeft).toEqual([]);
    expect([namesOf('Pod'), namesOf('PodMetrics'), namesOf('Service')]).toEqual([[], [], ['orders-aaaa1111']]);
  });

  it('goes when it was made for an owner that is no more', async () => {
    await ask(sandbox, 'DELETE', `${applications}/orders`);
    await addRevision('late');
    sandbox.clock.advance(1);

    expect(namesOf('ControllerRevision')).toEqual([]);
  });

  it('goes when another of the same name has taken the place of its owner', async () => {
    await addRevision('orders-1');
    sandbox.store.remove('FlinkApplication', 'flink', 'orders');
    sandbox.store.put(anApplication('orders'));
    sandbox.clock.advance(1);

    expect(namesOf('ControllerRevision')).toEqual([]);
  });

  it('stays while it has another owner', async () => {
    const second = sandbox.store.put(anApplication('second'));
    await addRevision('shared', [...ownedBy(owner), ...ownedBy(second)]);
    await ask(sandbox, 'DELETE', `${applications}/orders`);
    sandbox.clock.advance(1);

    expect(sandbox.store.get('ControllerRevision', 'flink', 'shared')?.metadata.ownerReferences).toMatchObject([
      { name: 'second' },
    ]);
  });

  it('stays when its owner is of a kind that the sandbox does not have', async () => {
    await addRevision('orders-1', [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'a', uid: 'b' }]);
    sandbox.clock.advance(1);

    expect(namesOf('ControllerRevision')).toEqual(['orders-1']);
  });

  it('goes first when the deletion is a foreground one', async () => {
    await addRevision('orders-1');
    await ask(sandbox, 'DELETE', `${applications}/orders`, { propagationPolicy: 'Foreground' });
    const marked = application()?.metadata;
    sandbox.clock.advance(1);
    const left = [namesOf('ControllerRevision'), namesOf('FlinkApplication')];
    sandbox.clock.advance(1);

    expect(marked).toMatchObject({ finalizers: ['foregroundDeletion'], deletionTimestamp: '2026-01-02T03:04:05Z' });
    expect(left).toEqual([['orders-1'], ['orders']]);
    sandbox.clock.advance(2);
    expect([namesOf('ControllerRevision'), namesOf('FlinkApplication')]).toEqual([[], []]);
  });

  it.each([true, false])(
    'goes in a foreground deletion while a finalizer holds its owner, with blockOwnerDeletion %s',
    async (blockOwnerDeletion) => {
      sandbox.store.put(anApplication('orders', {}, { finalizers: ['a/b'] }));
      await addRevision('orders-1', [{ ...ownedBy(owner)[0], blockOwnerDeletion }]);
      await ask(sandbox, 'DELETE', `${applications}/orders`, { propagationPolicy: 'Foreground' });
      sandbox.clock.advance(5);

      expect(namesOf('ControllerRevision')).toEqual([]);
      expect(application()?.metadata.finalizers).toEqual(['a/b']);
    },
  );

  it('stays in a foreground deletion while it has another owner, and its owner does not wait for it', async () => {
    sandbox.store.put(anApplication('orders', {}, { finalizers: ['a/b'] }));
    const second = sandbox.store.put(anApplication('second'));
    await addRevision('shared', [...ownedBy(owner), ...ownedBy(second)]);
    await ask(sandbox, 'DELETE', `${applications}/orders`, { propagationPolicy: 'Foreground' });
    sandbox.clock.advance(5);

    expect(sandbox.store.get('ControllerRevision', 'flink', 'shared')?.metadata.ownerReferences).toMatchObject([
      { name: 'second' },
    ]);
    expect(application()?.metadata.finalizers).toEqual(['a/b']);
  });

  it('goes in a foreground deletion of all its owners', async () => {
    const second = sandbox.store.put(anApplication('second', {}, { finalizers: ['a/b'] }));
    sandbox.store.put(anApplication('orders', {}, { finalizers: ['a/b'] }));
    await addRevision('shared', [...ownedBy(owner), ...ownedBy(second)]);
    await ask(sandbox, 'DELETE', `${applications}/second`, { propagationPolicy: 'Foreground' });
    await ask(sandbox, 'DELETE', `${applications}/orders`, { propagationPolicy: 'Foreground' });
    sandbox.clock.advance(5);

    expect(namesOf('ControllerRevision')).toEqual([]);
  });

  it('stays, without its owner, when it is to be orphaned', async () => {
    await addRevision('orders-1');
    await ask(sandbox, 'DELETE', `${applications}/orders?propagationPolicy=Orphan`);
    sandbox.clock.advance(1);

    expect(namesOf('FlinkApplication')).toEqual([]);
    expect(sandbox.store.get('ControllerRevision', 'flink', 'orders-1')?.metadata.ownerReferences).toEqual([]);
  });
});

describe('a deletion', () => {
  it('waits for finalizers, and is a new generation', async () => {
    sandbox.store.put(anApplication('orders', {}, { finalizers: ['job.finalizers.flink.k8s.io'] }));
    await addRevision('orders-1');
    const { json } = await ask(sandbox, 'DELETE', `${applications}/orders`);
    await ask(sandbox, 'DELETE', `${applications}/orders`);
    sandbox.clock.advance(5);
    const held = [namesOf('FlinkApplication'), namesOf('ControllerRevision')];
    await ask(sandbox, 'PATCH', `${applications}/orders`, { metadata: { finalizers: null } });
    sandbox.clock.advance(1);

    expect(json.metadata).toMatchObject({ generation: 2, deletionTimestamp: '2026-01-02T03:04:05Z' });
    expect(held).toEqual([['orders'], ['orders-1']]);
    expect([namesOf('FlinkApplication'), namesOf('ControllerRevision')]).toEqual([[], []]);
  });

  it('leaves no room for new finalizers', async () => {
    sandbox.store.put(anApplication('orders', {}, { finalizers: ['a/b'] }));
    await ask(sandbox, 'DELETE', `${applications}/orders`);
    const reply = await ask(sandbox, 'PATCH', `${applications}/orders`, { metadata: { finalizers: ['a/b', 'c/d'] } });

    expect([reply.status, reply.json.details.causes[0].field]).toEqual([422, 'metadata.finalizers']);
  });

  it.each([
    ['uid', 'the UID in the precondition (other) does not match the UID in record'],
    ['resourceVersion', 'the ResourceVersion in the precondition (other) does not match the ResourceVersion in record'],
  ])('on condition of another %s is a conflict', async (field, message) => {
    const reply = await ask(sandbox, 'DELETE', `${applications}/orders`, { preconditions: { [field]: 'other' } });

    expect([reply.status, reply.json.reason]).toEqual([409, 'Conflict']);
    expect(reply.json.message).toContain(message);
    expect(namesOf('FlinkApplication')).toEqual(['orders']);
  });

  it('on conditions that hold is one', async () => {
    const { uid, resourceVersion } = owner.metadata;
    const reply = await ask(sandbox, 'DELETE', `${applications}/orders`, { preconditions: { uid, resourceVersion } });

    expect(reply.status).toBe(200);
    expect(namesOf('FlinkApplication')).toEqual([]);
  });

  it('of an unknown policy is refused', async () => {
    expect((await ask(sandbox, 'DELETE', `${applications}/orders?propagationPolicy=Later`)).status).toBe(400);
  });
});

describe('a ControllerRevision', () => {
  it('keeps its data for ever', async () => {
    await addRevision('orders-1');
    const changed = await ask(sandbox, 'PATCH', `${revisions}/orders-1`, { data: { a: 2 } });
    const counted = await ask(sandbox, 'PATCH', `${revisions}/orders-1`, { revision: 2 });

    expect([changed.status, changed.json.details.causes[0].field]).toEqual([422, 'data']);
    expect(counted.json).toMatchObject({ revision: 2, data: { a: 1 } });
    expect(counted.json.metadata).not.toHaveProperty('generation');
  });

  it('has data', async () => {
    expect((await ask(sandbox, 'POST', revisions, { metadata: { name: 'a' }, revision: 1 })).status).toBe(422);
  });
});

describe('a Lease', () => {
  it('is made by a PUT, and overwritten by none that does not know it', async () => {
    const lease = { metadata: { name: 'shard' }, spec: { holderIdentity: 'one' } };
    const made = await ask(sandbox, 'PUT', `${leases}/shard`, lease);
    const blind = await ask(sandbox, 'PUT', `${leases}/shard`, lease);
    const { resourceVersion } = made.json.metadata;
    const renewal = { metadata: { name: 'shard', resourceVersion }, spec: { holderIdentity: 'two' } };
    const renewed = await ask(sandbox, 'PUT', `${leases}/shard`, renewal);
    const late = await ask(sandbox, 'PUT', `${leases}/shard`, renewal);

    expect([made, blind, renewed, late].map(({ status }) => status)).toEqual([201, 422, 200, 409]);
  });
});

describe('a Service', () => {
  it('is given what its maker left out, and keeps its address', async () => {
    const { json } = await ask(sandbox, 'POST', services, {
      metadata: { name: 'web' },
      spec: { ports: [{ port: 80 }] },
    });
    const moved = await ask(sandbox, 'PATCH', `${services}/web`, { spec: { clusterIP: '172.20.0.9' } });

    expect(json.spec).toMatchObject({
      type: 'ClusterIP',
      clusterIP: expect.stringMatching(/^172\.20\./),
      ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }],
    });
    expect(moved.status).toBe(422);
  });

  it.each(['1orders', 'Orders', 'a'.repeat(64)])('is not named %s', async (name) => {
    expect((await ask(sandbox, 'POST', services, aService(name, {}))).status).toBe(422);
  });

  it('has no label that is none', async () => {
    const long = { metadata: { name: 'web', labels: { a: 'b'.repeat(64) } } };

    expect((await ask(sandbox, 'POST', services, long)).status).toBe(422);
  });
});

describe('a Deployment', () => {
  const web = (labels: object, selector: object) => ({
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: selector },
      template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'x:1' }] } },
    },
  });

  it('is given what its maker left out', async () => {
    const { json } = await ask(sandbox, 'POST', deployments, web({ app: 'web' }, { app: 'web' }));

    expect(json.spec).toMatchObject({ replicas: 1, revisionHistoryLimit: 10, strategy: { type: 'RollingUpdate' } });
    expect(json.spec.template.spec).toMatchObject({
      restartPolicy: 'Always',
      containers: [{ imagePullPolicy: 'IfNotPresent', resources: {} }],
    });
  });

  it('is refused when its selector does not pick its own pods, or changes', async () => {
    const stray = await ask(sandbox, 'POST', deployments, web({ app: 'other' }, { app: 'web' }));
    await ask(sandbox, 'POST', deployments, web({ app: 'web', tier: 'front' }, { app: 'web' }));
    const selector = { spec: { selector: { matchLabels: { tier: 'front' } } } };
    const changed = await ask(sandbox, 'PATCH', `${deployments}/web`, selector);

    expect([stray.status, changed.status]).toEqual([422, 422]);
  });
});

describe('the record of writers', () => {
  const writers = () =>
    (application()?.metadata.managedFields ?? []).map(({ manager, subresource, time, fieldsV1 }) => ({
      manager,
      ...(subresource && { subresource }),
      time: time?.slice(11, 19),
      fieldsV1,
    }));
  const patch = (part: string, body: object, manager: string) =>
    ask(sandbox, 'PATCH', `${applications}/orders${part}?fieldManager=${manager}`, body);

  it('names each writer with the fields it wrote last', async () => {
    await patch('/status', { status: { phase: 'Running', jobStatus: { state: 'RUNNING', health: 'Green' } } }, 'lyft');
    sandbox.clock.advance(5);
    await patch('/status', { status: { jobStatus: { state: 'FAILED' }, observedGeneration: 1 } }, 'headrace');
    await patch('/scale', { spec: { replicas: 3 } }, 'hpa');

    expect(writers()).toEqual([
      {
        manager: 'lyft',
        subresource: 'status',
        time: '03:04:05',
        fieldsV1: { 'f:status': { 'f:phase': {}, 'f:jobStatus': { 'f:health': {} } } },
      },
      {
        manager: 'headrace',
        subresource: 'status',
        time: '03:04:10',
        fieldsV1: { 'f:status': { 'f:jobStatus': { 'f:state': {} }, 'f:observedGeneration': {} } },
      },
      {
        manager: 'hpa',
        subresource: 'scale',
        time: '03:04:10',
        fieldsV1: { 'f:spec': { 'f:taskManagerConfig': { 'f:replicas': {} } } },
      },
    ]);
  });

  it('forgets whom others have overwritten wholly', async () => {
    await patch('/status', { status: { phase: 'Running' } }, 'lyft');
    await patch('/status', { status: { phase: 'Updating' } }, 'headrace');

    expect(writers().map(({ manager }) => manager)).toEqual(['headrace']);
  });

  it('does not change with a write that changes nothing', async () => {
    await patch('/status', { status: { phase: 'Running' } }, 'lyft');
    sandbox.clock.advance(5);
    await patch('/status', { status: { phase: 'Running' } }, 'headrace');

    expect(writers()).toMatchObject([{ manager: 'lyft', time: '03:04:05' }]);
  });

  it('names the maker of an object, and the client where it names nobody', async () => {
    const { json } = await ask(sandbox, 'POST', applications, anApplication('new'), {
      'user-agent': 'kubectl/v1.37.2 (linux)',
    });

    expect(json.metadata.managedFields).toMatchObject([
      { manager: 'kubectl', operation: 'Update', apiVersion: 'flink.k8s.io/v1beta1', fieldsType: 'FieldsV1' },
    ]);
    expect([managerOf(null, undefined), managerOf('a', 'b/1')]).toEqual(['unknown', 'a']);
  });

  it('is no business of the administrator', () => {
    const own = [
      {
        manager: 'lyft',
        operation: 'Update',
        apiVersion: 'flink.k8s.io/v1beta1',
        fieldsType: 'FieldsV1',
        fieldsV1: {},
      },
    ];
    sandbox.store.put(anApplication('orders', {}, { managedFields: own }));

    expect(application()?.metadata.managedFields).toEqual(own);
  });

  it('gives every field of an object to exactly one writer', () => {
    const status = fc.dictionary(
      fc.constantFrom('a', 'b', 'c'),
      fc.oneof(fc.nat(3), fc.dictionary(fc.constantFrom('x', 'y'), fc.nat(3))),
    );
    const write = fc.tuple(fc.constantFrom('one', 'two', 'three'), status);

    fc.assert(
      fc.property(fc.array(write, { minLength: 1 }), (writes) => {
        let object = { apiVersion: 'v1', kind: 'A', metadata: { name: 'a' } } as KubernetesObject;
        writes.forEach(([manager, next], index) => {
          const after = { ...object, status: next };
          const managedFields = trace(object, after, { manager, subresource: 'status', time: String(index) });
          object = { ...after, metadata: { name: 'a', managedFields } };
        });

        const owned = (object.metadata.managedFields ?? []).flatMap(({ fieldsV1 }) => leaves(fieldsV1));
        expect(owned.sort()).toEqual([...new Set(owned)].sort());
        expect(owned).toEqual(
          expect.arrayContaining(leaves(fieldsOf({ status: object.status })).filter((leaf) => leaf !== 'f:status')),
        );
      }),
    );
  });
});

/** "f:status/f:phase" */
function leaves(fields: object, path = ''): string[] {
  return Object.entries(fields).flatMap(([key, below]) => {
    const inner = leaves(below, `${path}${key}/`);
    return inner.length > 0 ? inner : [`${path}${key}`];
  });
}

function fieldsOf(value: unknown): object {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).map(([key, below]) => [`f:${key}`, fieldsOf(below)]));
}
