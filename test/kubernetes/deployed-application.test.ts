import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JOB_FINALIZER } from '../../shared/deployment/begin.ts';
import type { Application, ApplicationSpec } from '../../shared/deployment/types.ts';
import {
  confirmUnchanged,
  getApplication,
  listApplications,
  patchApplicationStatus,
  patchFinalizers,
  readApplication,
} from '../../shared/kubernetes/deployed-application.ts';
import { isConflict } from '../../shared/kubernetes/errors.ts';
import { FLINK_APPLICATIONS, objectPath } from '../../shared/kubernetes/paths.ts';
import { addApplication, anApiServer, stored } from '../support/api-server.ts';

const spec = {
  image: 'registry.example/orders:7',
  jarName: 'orders.jar',
  entryClass: 'com.example.Orders',
  parallelism: 4,
};

function aWireApplication({
  metadata = {},
  ...fields
}: {
  readonly metadata?: object;
  readonly spec?: unknown;
  readonly status?: unknown;
} = {}) {
  return {
    apiVersion: 'flink.k8s.io/v1beta1',
    kind: 'FlinkApplication',
    metadata: { namespace: 'flink', name: 'orders', uid: 'u-1', resourceVersion: '42', generation: 3, ...metadata },
    spec,
    ...fields,
  };
}

function read(fields: Parameters<typeof aWireApplication>[0] = {}): Application {
  const application = readApplication(aWireApplication(fields));
  if (application === undefined) throw new TypeError('not a FlinkApplication');
  return application;
}

function specOf(fields: object): ApplicationSpec {
  const reading = read({ spec: { ...spec, ...fields } }).spec;
  if ('unreadable' in reading) throw new TypeError(reading.unreadable);
  return reading.value;
}

describe('the identity of an application', () => {
  it('is read with what is absent as empty', () => {
    expect(read()).toEqual({
      namespace: 'flink',
      name: 'orders',
      uid: 'u-1',
      resourceVersion: '42',
      generation: 3,
      isDeleting: false,
      finalizers: [],
      labels: {},
      annotations: {},
      otherStatusWriters: [],
      spec: { value: spec },
      unknownFields: [],
      status: {},
    });
  });

  it('says that it is being deleted, and what holds that up', () => {
    const metadata = { deletionTimestamp: '2026-03-01T12:00:00Z', finalizers: ['job.finalizers.flink.k8s.io'] };

    expect(read({ metadata })).toMatchObject({ isDeleting: true, finalizers: ['job.finalizers.flink.k8s.io'] });
  });

  it('names the others who wrote to its status, and when', () => {
    const time = '2026-03-01T11:59:58Z';
    const entry = { operation: 'Update', apiVersion: 'flink.k8s.io/v1beta1', fieldsType: 'FieldsV1' };
    const managedFields = [
      { ...entry, manager: 'kubectl', time, fieldsV1: { 'f:spec': {} } },
      { ...entry, manager: 'headrace', time, fieldsV1: { 'f:status': {} }, subresource: 'status' },
      { ...entry, manager: 'flinkoperator', time, fieldsV1: { 'f:metadata': {}, 'f:status': { 'f:phase': {} } } },
      { ...entry, manager: 'no-time', fieldsV1: { 'f:status': {} } },
      { manager: 'no-fields', time },
    ];

    expect(read({ metadata: { managedFields } }).otherStatusWriters).toEqual([{ manager: 'flinkoperator', time }]);
  });

  it('names what is in its spec and is not read, whether the rest can be read or not', () => {
    const unknownFields = [{ field: 'spec.scaleMod', nearest: 'spec.scaleMode' }];

    expect(read({ spec: { ...spec, scaleMod: 'InPlace', scaleMode: null } })).toMatchObject({
      spec: { value: spec },
      unknownFields,
    });
    expect(read({ spec: { parallelism: 'four', scaleMod: 'InPlace' } })).toMatchObject({ unknownFields });
  });

  it.each([undefined, null, 7, {}, { metadata: {} }, { metadata: { namespace: 'flink', name: 'orders', uid: 'u' } }])(
    'is not there in %j',
    (item) => {
      expect(readApplication(item)).toBeUndefined();
    },
  );
});

describe('the spec of an application', () => {
  it('comes as it was written, without defaults and without fields that nobody deploys', () => {
    const written = {
      flinkConfig: { 'taskmanager.memory.network.fraction': 0.1, 'state.backend.incremental': true, a: 'b' },
      taskManagerConfig: {
        taskSlots: 2,
        replicas: 0,
        resources: { requests: { cpu: 1, memory: '1Gi' }, claims: [{ name: 'gpu' }] },
        envConfig: { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }] },
        affinity: { podAntiAffinity: { preferred: [{ weight: 1 }] } },
        initContainers: [
          { name: 'fetch', image: 'tools:1', command: ['sh'], volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }] },
        ],
        sidecars: [{ name: 'proxy', image: 'proxy:1', restartPolicyRules: [{ action: 'Restart' }] }],
      },
      volumes: [{ name: 'tmp', emptyDir: {} }],
      deleteMode: '',
      timeouts: { savepointSeconds: 600 },
      restartPolicy: 'FromLatestCheckpoint',
      programArgsList: ['--name', ' "a b" ', ''],
    };

    expect(specOf({ ...written, mood: 'good' })).toEqual({ ...spec, ...written });
  });

  it('takes a null for an absent field, as an empty line in YAML is one', () => {
    const { volumes, ...read } = specOf({ savepointPath: null, volumes: [{ name: 'tmp', emptyDir: null }] });

    expect(volumes).toEqual([{ name: 'tmp' }]);
    expect(read).toEqual(spec);
  });

  it.each([
    ['no image', { image: undefined }, 'spec.image: '],
    ['a parallelism that is text', { parallelism: '4' }, 'spec.parallelism: '],
    ['a parallelism of 0', { parallelism: 0 }, 'spec.parallelism: '],
    ['arguments in one string where a list must be', { programArgsList: '--a' }, 'spec.programArgsList: '],
    [
      'a sidecar without a name',
      { jobManagerConfig: { sidecars: [{ image: 'a' }] } },
      'spec.jobManagerConfig.sidecars.0.name: ',
    ],
    [
      'an init container without an image',
      { taskManagerConfig: { initContainers: [{ name: 'a' }] } },
      'spec.taskManagerConfig.initContainers.0.image: ',
    ],
    ['an argument that is a number', { programArgsList: ['--rate', 5] }, 'spec.programArgsList.1: '],
    ['an argument that is missing', { programArgsList: ['--rate', null] }, 'spec.programArgsList.1: '],
    ['half a task slot', { taskManagerConfig: { taskSlots: 1.5 } }, 'spec.taskManagerConfig.taskSlots: '],
    ['a list as an option of Flink', { flinkConfig: { a: [1] } }, 'spec.flinkConfig.a: '],
    ['a port out of range', { uiPort: 65_536 }, 'spec.uiPort: '],
    ['an unknown deleteMode', { deleteMode: 'Sometimes' }, 'spec.deleteMode: '],
    ['a timeout of 0 s', { timeouts: { submitSeconds: 0 } }, 'spec.timeouts.submitSeconds: '],
    ['a volume that is text', { volumes: ['tmp'] }, 'spec.volumes.0: '],
  ])('with %s is unreadable and says where', (_, fields, where) => {
    expect(read({ spec: { ...spec, ...fields } }).spec).toEqual({ unreadable: expect.stringContaining(where) });
  });

  it('says all that is wrong with it at once', () => {
    expect(read({ spec: { ...spec, image: 7, parallelism: -1 } }).spec).toEqual({
      unreadable: expect.stringMatching(/^spec\.image: .+; spec\.parallelism: /),
    });
  });

  it('is never a throw, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.dictionary(fc.constantFrom(...fields), fc.jsonValue()), (whole, parts) => {
        expect(read({ spec: whole }).spec).toBeDefined();
        expect(read({ spec: { ...spec, ...parts } }).spec).toBeDefined();
      }),
    );
  });
});

describe('the status of an application', () => {
  it('comes as it is on the wire, null times included', () => {
    const status = {
      phase: 'Running',
      lastUpdatedAt: '2026-03-01T12:00:00Z',
      deployHash: '5e7c7283',
      retryCount: 0,
      jobStatus: { jobID: 'ab12', lastFailingTime: null, runningTasks: 8 },
      clusterStatus: { numberOfTaskManagers: 2, health: 'Green' },
      versionStatuses: [{ appVersion: 'blue', jobStatus: { state: 'RUNNING' } }, {}],
      conditions: [
        {
          type: 'Deployed',
          status: 'True',
          reason: 'Deployed',
          message: '',
          lastTransitionTime: '2026-03-01T12:00:00Z',
        },
      ],
    };

    expect(read({ status }).status).toEqual(status);
  });

  it('leaves out what is not what it must be, and keeps what stands beside it', () => {
    const status = {
      phase: 7,
      deployHash: '5e7c7283',
      lastUpdatedAt: 12,
      jobStatus: { jobID: ['ab12'], state: 'RUNNING', health: 'Blue' },
      clusterStatus: 'gone',
      versionStatuses: { 0: {} },
      conditions: [{ type: 'Deployed' }, 'no condition'],
      startedAt: null,
    };

    expect(read({ status }).status).toEqual({
      deployHash: '5e7c7283',
      jobStatus: { state: 'RUNNING' },
      conditions: [],
    });
  });

  it('has no half of a rollout', () => {
    const rollout = {
      kind: 'NewCluster',
      revision: 'orders-0123456789',
      hash: '5e7c7283',
      startTime: '2026-03-01T12:00:00Z',
      deadline: '2026-03-01T12:05:00Z',
    };

    expect(read({ status: { rollout } }).status).toEqual({ rollout });
    expect(read({ status: { rollout: { ...rollout, jobId: 7 } } }).status).toEqual({});
    expect(read({ status: { rollout: { ...rollout, hash: undefined } } }).status).toEqual({});
  });

  it('is never a throw, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.dictionary(fc.constantFrom(...statusFields), fc.jsonValue()), (whole, parts) => {
        expect(read({ status: whole }).status).toBeDefined();
        expect(read({ status: parts }).status).toBeDefined();
      }),
    );
  });
});

const fields = ['image', 'flinkConfig', 'taskManagerConfig', 'volumes', 'timeouts', 'parallelism', 'savepointInfo'];
const statusFields = ['phase', 'jobStatus', 'clusterStatus', 'versionStatuses', 'rollout', 'conditions', 'scaleBasis'];

describe('an application of a cluster', () => {
  it('is found by its name, among others, or not', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    addApplication(server, { name: 'payments' });

    expect(await getApplication(server.client, { namespace: 'flink', name: 'orders' })).toEqual(application);
    expect(await getApplication(server.client, { namespace: 'flink', name: 'none' })).toBeUndefined();
    expect((await listApplications(server.client, ['flink'])).map(({ name }) => name)).toEqual(['orders', 'payments']);
  });

  it('is told what differs in its status, and nothing else', async () => {
    const server = await anApiServer();
    const before = addApplication(server);
    const first = { phase: 'Updating', retryCount: 1, jobStatus: { jobID: 'ab12', state: 'RUNNING' } };
    const written = await patchApplicationStatus(server.client, before, first);

    const after = await patchApplicationStatus(server.client, written, {
      phase: 'Running',
      jobStatus: { jobID: 'ab12' },
    });

    expect(server.sandbox.requests.at(-1)?.body).toEqual({
      metadata: { resourceVersion: written.resourceVersion },
      status: { phase: 'Running', retryCount: null, jobStatus: { state: null } },
    });
    expect(after.status).toEqual({ phase: 'Running', jobStatus: { jobID: 'ab12' } });
    expect(after).toEqual(await getApplication(server.client, before));
  });

  it('keeps of its status what is not read', async () => {
    const server = await anApiServer();
    const { namespace, name } = addApplication(server);
    const path = objectPath(FLINK_APPLICATIONS, { namespace, name }, 'status');
    await server.client.patch(path, { status: { phase: 'Updating', color: 'red', jobStatus: { mood: 'good' } } });
    const before = await getApplication(server.client, { namespace, name });

    await patchApplicationStatus(server.client, before as Application, {
      phase: 'Running',
      jobStatus: { jobID: 'ab12' },
    });

    expect(stored(server, 'FlinkApplication', 'orders')?.status).toEqual({
      phase: 'Running',
      color: 'red',
      jobStatus: { mood: 'good', jobID: 'ab12' },
    });
  });

  it('is not written where nothing differs', async () => {
    const server = await anApiServer();
    const application = addApplication(server);

    expect(await patchApplicationStatus(server.client, application, {})).toBe(application);
    expect(server.sandbox.requests).toHaveLength(0);
  });

  it('is not written where somebody else wrote first', async () => {
    const server = await anApiServer();
    const application = addApplication(server);
    await patchApplicationStatus(server.client, application, { phase: 'Updating' });

    await expect(patchApplicationStatus(server.client, application, { phase: 'Running' })).rejects.toSatisfy(
      isConflict,
    );
    await expect(patchFinalizers(server.client, application, [JOB_FINALIZER])).rejects.toSatisfy(isConflict);
    await expect(confirmUnchanged(server.client, application)).rejects.toSatisfy(isConflict);
  });

  it('is confirmed by a write that leaves no trace', async () => {
    const server = await anApiServer();
    const application = addApplication(server);

    await confirmUnchanged(server.client, application);

    expect(await getApplication(server.client, application)).toEqual(application);
  });

  it('says who else wrote its status: those who wrote after us as well', async () => {
    const server = await anApiServer();
    const { namespace, name } = addApplication(server);
    const path = objectPath(FLINK_APPLICATIONS, { namespace, name }, 'status');
    const authorization = `Bearer ${server.sandbox.token}`;
    await server.client.patch(path, { status: { phase: 'Updating' } });
    await fetch(`${server.sandbox.url}${path}?fieldManager=flinkoperator`, {
      method: 'PATCH',
      headers: { authorization, 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ status: { phase: 'Running' } }),
    });

    const application = await getApplication(server.client, { namespace, name });

    expect(application?.otherStatusWriters).toEqual([{ manager: 'flinkoperator', time: expect.stringMatching(/Z$/) }]);
  });

  it('that is being deleted goes with its last finalizer', async () => {
    const server = await anApiServer();
    const application = addApplication(server, { finalizers: [JOB_FINALIZER] });
    await server.client.remove(objectPath(FLINK_APPLICATIONS, application));
    const leaving = await getApplication(server.client, application);

    await patchFinalizers(server.client, leaving as Application, []);

    expect(leaving).toMatchObject({ isDeleting: true, finalizers: [JOB_FINALIZER] });
    expect(await getApplication(server.client, application)).toBeUndefined();
  });
});
