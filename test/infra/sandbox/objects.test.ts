import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { anApplication, applications, ask, autoscalers } from './ask.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ now: Date.parse('2026-01-02T03:04:05Z') });
  sandbox.store.put(anApplication('orders', { replicas: 2 }));
});
afterEach(() => sandbox.close());

const status = (reply: { json: { reason: string; message: string } }) => [reply.json.reason, reply.json.message];

describe('an object', () => {
  it('is created with what the server alone decides, and without status', async () => {
    const { json } = await ask(sandbox, 'POST', applications, {
      ...anApplication('new'),
      status: { phase: 'Running' },
    });

    expect(json.metadata).toMatchObject({
      namespace: 'flink',
      generation: 1,
      creationTimestamp: '2026-01-02T03:04:05Z',
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      resourceVersion: expect.stringMatching(/^\d+$/),
    });
    expect(json).not.toHaveProperty('status');
  });

  it('is created once', async () => {
    const reply = await ask(sandbox, 'POST', applications, anApplication('orders'));

    expect(reply.status).toBe(409);
    expect(status(reply)).toEqual(['AlreadyExists', 'flinkapplications.flink.k8s.io "orders" already exists']);
  });

  it('is created only in a namespace that is there', async () => {
    const path = applications.replace('/flink/', '/nowhere/');
    const reply = await ask(sandbox, 'POST', path, { metadata: { name: 'a' } });

    expect(reply.status).toBe(404);
    expect(status(reply)).toEqual(['NotFound', 'namespaces "nowhere" not found']);
  });

  it('is missing with a Status that names it', async () => {
    const { status, json } = await ask(sandbox, 'GET', `${applications}/nobody`);

    expect(status).toBe(404);
    expect(json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'flinkapplications.flink.k8s.io "nobody" not found',
      reason: 'NotFound',
      details: { name: 'nobody', group: 'flink.k8s.io', kind: 'flinkapplications' },
      code: 404,
    });
  });

  it('is patched by merging: null removes, lists are replaced', async () => {
    const patch = { spec: { image: null, savepoints: [2], taskManagerConfig: { taskSlots: 4 } } };
    await ask(sandbox, 'PATCH', `${applications}/orders`, { spec: { savepoints: [0, 1] } });
    const { json } = await ask(sandbox, 'PATCH', `${applications}/orders`, patch);

    expect(json.spec).toEqual({ parallelism: 4, savepoints: [2], taskManagerConfig: { replicas: 2, taskSlots: 4 } });
  });

  it('keeps its version when a patch changes nothing', async () => {
    const before = sandbox.store.get('FlinkApplication', 'flink', 'orders');
    const { json } = await ask(sandbox, 'PATCH', `${applications}/orders`, { spec: { parallelism: 4 } });

    expect(json).toEqual(before);
  });

  it('starts a new generation with its spec, not with labels', async () => {
    const labelled = await ask(sandbox, 'PATCH', `${applications}/orders`, { metadata: { labels: { a: 'b' } } });
    const changed = await ask(sandbox, 'PATCH', `${applications}/orders`, { spec: { parallelism: 8 } });

    expect(labelled.json.metadata.generation).toBe(1);
    expect(changed.json.metadata.generation).toBe(2);
    expect(Number(changed.json.metadata.resourceVersion)).toBeGreaterThan(
      Number(labelled.json.metadata.resourceVersion),
    );
  });

  it.each(['', '/status', '/scale'])('refuses a patch of %j from a version that is not the newest', async (part) => {
    const patch = { metadata: { resourceVersion: '1' }, spec: { replicas: 3 }, status: { phase: 'x' } };
    const reply = await ask(sandbox, 'PATCH', `${applications}/orders${part}`, patch);

    expect(reply.status).toBe(409);
    expect(status(reply)).toEqual([
      'Conflict',
      'Operation cannot be fulfilled on flinkapplications.flink.k8s.io "orders": the object has been modified; please apply your changes to the latest version and try again',
    ]);
  });

  it('accepts a patch from the newest version', async () => {
    const { resourceVersion } = sandbox.store.get('FlinkApplication', 'flink', 'orders')?.metadata ?? {};
    const patch = { metadata: { resourceVersion }, spec: { parallelism: 8 } };

    expect((await ask(sandbox, 'PATCH', `${applications}/orders`, patch)).status).toBe(200);
    expect((await ask(sandbox, 'PATCH', `${applications}/orders`, patch)).status).toBe(409);
  });

  it('changes its status through /status only, and nothing else there', async () => {
    const both = { metadata: { labels: { a: 'b' } }, spec: { parallelism: 99 }, status: { phase: 'Running' } };
    const main = await ask(sandbox, 'PATCH', `${applications}/orders`, both);
    const part = await ask(sandbox, 'PATCH', `${applications}/orders/status`, { ...both, spec: { parallelism: 1 } });

    expect(main.json).not.toHaveProperty('status');
    expect(part.json.spec.parallelism).toBe(99);
    expect(part.json.status).toEqual({ phase: 'Running' });
    expect(part.json.metadata.generation).toBe(main.json.metadata.generation);
  });

  it('refuses any patch but a merge patch', async () => {
    const jsonPatch = { 'content-type': 'application/json-patch+json' };
    const reply = await ask(sandbox, 'PATCH', `${applications}/orders`, [], jsonPatch);

    expect(reply.status).toBe(415);
    expect(reply.json.reason).toBe('UnsupportedMediaType');
  });

  it('is replaced whole by a PUT, which a custom resource takes only with its version', async () => {
    const stored = sandbox.store.get('FlinkApplication', 'flink', 'orders');
    const blind = await ask(sandbox, 'PUT', `${applications}/orders`, anApplication('orders'));
    const { resourceVersion } = stored?.metadata ?? {};
    const replacement = { metadata: { name: 'orders', resourceVersion }, spec: { parallelism: 1 } };
    const seen = await ask(sandbox, 'PUT', `${applications}/orders`, replacement);

    expect([blind.status, blind.json.reason]).toEqual([422, 'Invalid']);
    expect(blind.json.message).toContain('metadata.resourceVersion: Invalid value: 0: must be specified for an update');
    expect(seen.json).toMatchObject({
      kind: 'FlinkApplication',
      metadata: { namespace: 'flink', uid: stored?.metadata.uid },
    });
    expect(seen.json.spec).toEqual({ parallelism: 1 });
  });

  it('is deleted at once, or when its last finalizer is taken away', async () => {
    sandbox.store.put(anApplication('held', {}, { finalizers: ['a/b'] }));
    const plain = await ask(sandbox, 'DELETE', `${applications}/orders`);
    const held = await ask(sandbox, 'DELETE', `${applications}/held`);
    await ask(sandbox, 'PATCH', `${applications}/held`, { metadata: { finalizers: null } });

    expect(plain.json).toMatchObject({ kind: 'Status', status: 'Success', details: { name: 'orders' } });
    expect(held.json.metadata.deletionTimestamp).toBe('2026-01-02T03:04:05Z');
    expect(sandbox.store.list('FlinkApplication')).toEqual([]);
  });

  it('is refused with replicas that are no number', async () => {
    const reply = await ask(sandbox, 'POST', applications, anApplication('bad', { replicas: '3' }));

    expect([reply.status, reply.json.details.causes[0].field]).toEqual([422, '.spec.taskManagerConfig.replicas']);
  });

  it('is an Event too', async () => {
    const event = { metadata: { name: 'orders.1' }, type: 'Normal', reason: 'SuccessfulRescale' };
    const reply = await ask(sandbox, 'POST', '/api/v1/namespaces/flink/events?fieldManager=headrace', event);

    expect(reply.status).toBe(201);
    expect(sandbox.store.list('Event', 'flink')).toMatchObject([event]);
  });
});

describe('a scale', () => {
  it('is a view on the fields of the application', async () => {
    const application = anApplication('sized', { replicas: 2 });
    const seen = { selector: 'flink-app=sized', clusterStatus: { numberOfTaskManagers: 1 } };
    const { metadata } = sandbox.store.put({ ...application, status: seen });

    const { json } = await ask(sandbox, 'GET', `${applications}/sized/scale`);

    expect(json).toEqual({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: {
        name: 'sized',
        namespace: 'flink',
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
        creationTimestamp: metadata.creationTimestamp,
      },
      spec: { replicas: 2 },
      status: { replicas: 1, selector: 'flink-app=sized' },
    });
  });

  it('is an internal error while the field is absent, and a patch sets the field', async () => {
    sandbox.store.put(anApplication('fresh'));
    const before = await ask(sandbox, 'GET', `${applications}/fresh/scale`);
    const patched = await ask(sandbox, 'PATCH', `${applications}/fresh/scale`, { spec: { replicas: 3 } });

    expect(before.status).toBe(500);
    expect(status(before)).toEqual([
      'InternalError',
      'Internal error occurred: the spec replicas field ".spec.taskManagerConfig.replicas" does not exist',
    ]);
    expect(patched.json).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 0 } });
    expect(sandbox.store.get('FlinkApplication', 'flink', 'fresh')).toMatchObject({
      metadata: { generation: 2 },
      spec: { taskManagerConfig: { replicas: 3 } },
    });
  });

  it('leaves out replicas that are 0', async () => {
    await ask(sandbox, 'PATCH', `${applications}/orders/scale`, { spec: { replicas: 0 } });

    expect((await ask(sandbox, 'GET', `${applications}/orders/scale`)).json.spec).toEqual({});
  });

  it.each([-1, 2.5, '7', 2 ** 31])('refuses %j replicas', async (replicas) => {
    const reply = await ask(sandbox, 'PATCH', `${applications}/orders/scale`, { spec: { replicas } });

    expect([reply.status, reply.json.reason]).toEqual([422, 'Invalid']);
  });

  it('is a PUT of a whole Scale too, as the HPA controller sends it', async () => {
    const { json } = await ask(sandbox, 'GET', `${applications}/orders/scale`);
    const asked = { ...json, spec: { replicas: 5 } };

    expect((await ask(sandbox, 'PUT', `${applications}/orders/scale`, asked)).json.spec.replicas).toBe(5);
    expect((await ask(sandbox, 'PUT', `${applications}/orders/scale`, asked)).status).toBe(409);
  });

  it('of a Deployment takes its selector from the labels', async () => {
    sandbox.store.put({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'flink' },
      spec: { replicas: 2, selector: { matchLabels: { tier: 'front', app: 'web' } } },
      status: { replicas: 2 },
    });
    const { json } = await ask(sandbox, 'GET', '/apis/apps/v1/namespaces/flink/deployments/web/scale');

    expect([json.spec, json.status]).toEqual([{ replicas: 2 }, { replicas: 2, selector: 'app=web,tier=front' }]);
  });

  it('of a kind that has none is an object that is not there', async () => {
    const kind = 'FlinkAutoscaler';
    sandbox.store.put({ apiVersion: 'headrace.dev/v1alpha1', kind, metadata: { name: 'a', namespace: 'flink' } });
    const reply = await ask(sandbox, 'GET', `${autoscalers}/a/scale`);

    expect(status(reply)).toEqual(['NotFound', 'flinkautoscalers.headrace.dev "a" not found']);
  });
});

describe('a path', () => {
  it.each(['/apis/nowhere.dev/v1/things', '/apis/flink.k8s.io/v1beta1/things', '/apis/flink.k8s.io/v2', '/nothing'])(
    '%s of no known group or custom resource is a 404 in plain text',
    async (path) => {
      const { status, text } = await ask(sandbox, 'GET', path);

      expect([status, text]).toEqual([404, '404 page not found\n']);
    },
  );

  it('of no resource inside a built-in group is a 404 Status', async () => {
    const reply = await ask(sandbox, 'GET', '/apis/apps/v1/things');

    expect(status(reply)).toEqual(['NotFound', 'the server could not find the requested resource']);
  });

  it('lists the resources of a group version with their subresources', async () => {
    const { json } = await ask(sandbox, 'GET', '/apis/flink.k8s.io/v1beta1');

    expect(json).toMatchObject({ kind: 'APIResourceList', groupVersion: 'flink.k8s.io/v1beta1' });
    expect(json.resources).toMatchObject([
      { name: 'flinkapplications', kind: 'FlinkApplication', namespaced: true, shortNames: ['flinkapp'] },
      { name: 'flinkapplications/status', kind: 'FlinkApplication' },
      { name: 'flinkapplications/scale', kind: 'Scale', group: 'autoscaling', version: 'v1' },
    ]);
  });

  it('lists the groups, and the core resources', async () => {
    const groups = await ask(sandbox, 'GET', '/apis');
    const core = await ask(sandbox, 'GET', '/api/v1');

    expect(groups.json.groups.map(({ name }: { name: string }) => name)).toContain('metrics.k8s.io');
    expect(core.json.resources.map(({ name }: { name: string }) => name)).toContain('pods');
  });

  it.each(['watch=true', 'dryRun=All', 'fieldSelector=a'])('refuses %s, which it does not imitate', async (query) => {
    expect((await ask(sandbox, 'GET', `${applications}?${query}`)).status).toBe(400);
  });
});
