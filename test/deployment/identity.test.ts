import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  areSameButForSize,
  clusterHashOf,
  fingerprintOf,
  hashOf,
  matchesDeployedHash,
  revisionName,
  revisionOf,
  sizeOf,
} from '../../shared/deployment/identity.ts';
import type { TemplateSource } from '../../shared/deployment/templates.ts';
import type { ApplicationSpec, DeployedSpec, Revision } from '../../shared/deployment/types.ts';

const A_SIDECAR = { name: 'proxy', image: 'proxy:1' };

/** The application that the operator's unit tests hash. */
function anApplication(changes: Partial<TemplateSource> = {}, spec: Partial<DeployedSpec> = {}): TemplateSource {
  const job = { jarName: 'test.jar', entryClass: 'com.test.MainClass', programArgs: '--test' };
  const image = '123.xyz.com/xx:11ae1218924428faabd9b64423fa0c332efba6b2';
  return {
    namespace: 'ns',
    name: 'app-name',
    labels: {},
    annotations: {},
    spec: { image, flinkVersion: '1.7', ...job, parallelism: 8, ...spec },
    parallelism: 8,
    taskManagers: 1,
    ...changes,
  };
}

const NO_JOB = { jarName: '', entryClass: '', programArgs: '' };

const JOB_PROPERTIES = 'jarName: test.jar\nparallelism: 8\nentryClass:com.test.MainClass\nprogramArgs:"--test"';
const ANNOTATIONS = { key: 'annotation', 'flink-job-properties': JOB_PROPERTIES };
const TOLERATION = { key: 'key', operator: 'Equal', value: 'Value', effect: 'NoSchedule' };

describe('hashOf', () => {
  // flink_test.go, job_manager_controller_test.go and task_manager_controller_test.go of lyft/flinkk8soperator at 2099cc0.
  const blueGreen = anApplication(
    { name: 'test-app', namespace: 'flink', parallelism: 5, taskManagers: 1, version: 'blue' },
    { jarName: 'job.jar', entryClass: 'com.my.Class', image: '', flinkVersion: '' },
  );
  it.each([
    ['752c76d3', 'an image and a parallelism', anApplication({}, NO_JOB)],
    [
      '5e7c7283',
      'a toleration of the JobManager',
      anApplication({ annotations: ANNOTATIONS }, { jobManagerConfig: { tolerations: [TOLERATION] } }),
    ],
    [
      '6b5e9b61',
      'a toleration of the TaskManagers',
      anApplication({ annotations: ANNOTATIONS }, { taskManagerConfig: { tolerations: [TOLERATION] } }),
    ],
    [
      '52623ded',
      'high availability',
      anApplication({ annotations: ANNOTATIONS }, { flinkConfig: { 'high-availability': 'zookeeper' } }),
    ],
    [
      'c06b960b',
      'a security context',
      anApplication({}, { securityContext: { fsGroup: 2000, runAsUser: 1000, runAsGroup: 3000, runAsNonRoot: true } }),
    ],
    [
      '5cb5943e',
      'BlueGreen',
      anApplication({ annotations: { ...ANNOTATIONS, 'flink-application-version': 'version' }, version: 'version' }),
    ],
    ['2845d780', 'BlueGreen, blue', blueGreen],
    ['9dc7d91b', 'BlueGreen without a version', { ...blueGreen, version: '' }],
  ])("is the operator's own %s with %s", (expected, _, application) => {
    expect(hashOf(application)).toBe(expected);
  });

  // examples/wordcount, examples/beam-python and integ/test_app.yaml of the operator, as created with kubectl; then with
  // another parallelism.
  it.each([
    ['a84beb4f', 3, 'wordcount'],
    ['9dcb5451', 6, 'wordcount'],
    ['d4eeabb0', 1, 'beam'],
    ['12c4b68d', 2, 'beam'],
    ['8c1325c1', 2, 'integ'],
    ['16d37c48', 4, 'integ'],
  ] as const)('is %s for parallelism %d of the example %s', (expected, parallelism, example) => {
    const application = EXAMPLES[example];
    const { taskManagers } = sizeOf({ ...application.spec, parallelism });

    expect(hashOf({ ...application, parallelism, taskManagers })).toBe(expected);
  });

  // fixtures/README.md: hashes that the Go operator computed.
  it.each(lyftCases())("is the operator's %s for an application made up at random (%i)", (expected, _, application) => {
    expect(hashOf(application)).toBe(expected);
  });

  // TestHashForApplication.
  it.each<[string, (application: TemplateSource) => TemplateSource]>([
    ['name', (application) => ({ ...application, name: 'another-name' })],
    ['image', (application) => ({ ...application, spec: { ...application.spec, image: 'zxy' } })],
    ['labels', (application) => ({ ...application, labels: { 'label-k': 'new-v' } })],
    ['annotations', (application) => ({ ...application, annotations: { 'annotation-k': 'new-v' } })],
    ['parallelism', (application) => ({ ...application, parallelism: 7 })],
    ['TaskManagers', (application) => ({ ...application, taskManagers: 7 })],
    ['jar', (application) => ({ ...application, spec: { ...application.spec, jarName: 'another.jar' } })],
  ])('changes with the %s', (_, change) => {
    expect(hashOf(change(anApplication()))).not.toBe(hashOf(anApplication()));
  });

  // TestHashForDifferentResourceScales.
  it('does not depend on how a quantity is written', () => {
    const [half, milli] = ['0.5', '500m'].map((cpu) =>
      hashOf(anApplication({}, { taskManagerConfig: { resources: { requests: { cpu, memory: '1024Mi' } } } })),
    );

    expect(half).toBe(milli);
  });
});

const EXAMPLES = {
  wordcount: exampleOf('wordcount-operator-example', 'flink-operator', {
    image: 'flink-wordcount',
    flinkConfig: { ...stateDirectories(), 'web.upload.dir': '/opt/flink' },
    jobManagerConfig: { resources: { requests: { memory: '1500Mi', cpu: '0.1' } }, replicas: 1 },
    taskManagerConfig: { taskSlots: 3, resources: { requests: { memory: '1500Mi', cpu: '0.1' } } },
    flinkVersion: '1.16',
    jarName: 'wordcount-operator-example-1.0.0-SNAPSHOT.jar',
    parallelism: 3,
    entryClass: 'org.apache.flink.WordCount',
  }),
  beam: exampleOf('beam-python-flinkk8soperator-example', 'flink-operator', {
    image: 'flinkk8soperator-example-beam',
    flinkConfig: {
      'taskmanager.network.memory.fraction': '0.1',
      'taskmanager.network.memory.min': '10m',
      ...stateDirectories(),
    },
    jobManagerConfig: { resources: { requests: { memory: '200Mi', cpu: '0.1' } }, replicas: 1 },
    taskManagerConfig: { taskSlots: 2, resources: { requests: { memory: '200Mi', cpu: '0.1' } } },
    flinkVersion: '1.16',
    jarName: 'beam-runner.jar',
    parallelism: 1,
    entryClass: 'org.apache.beam.runners.flink.FlinkPortableClientEntryPoint',
    programArgs:
      '--driver-cmd "cd /code/src; exec python -m beam_example.pipeline --job_name=beam-flinkk8soperator-example"',
  }),
  integ: exampleOf('operator-test-app', 'flinkoperatortest', {
    image: 'operator-test-app:local.1',
    imagePullPolicy: 'IfNotPresent',
    imagePullSecrets: [{ name: 'dockerhub' }],
    flinkConfig: { ...stateDirectories(), 'env.java.opts.jobmanager': '-XX:+UseG1GC' },
    jobManagerConfig: {
      systemMemoryFraction: 0.2,
      resources: { requests: { memory: '400Mi', cpu: '0.2' }, limits: { memory: '800Mi', cpu: '0.2' } },
      replicas: 1,
    },
    taskManagerConfig: {
      taskSlots: 2,
      systemMemoryFraction: 0.5,
      resources: { requests: { memory: '800Mi', cpu: '0.2' }, limits: { memory: '800Mi', cpu: '0.2' } },
    },
    volumeMounts: [{ mountPath: '/checkpoints', name: 'checkpoints' }],
    volumes: [{ name: 'checkpoints', hostPath: { path: '/tmp/checkpoints', type: 'Directory' } }],
    flinkVersion: '1.11',
    jarName: 'operator-test-app-1.0.0-SNAPSHOT.jar',
    parallelism: 2,
    entryClass: 'com.lyft.OperatorTestApp',
  }),
};

function stateDirectories() {
  return {
    'state.backend.fs.checkpointdir': 'file:///checkpoints/flink/checkpoints',
    'state.checkpoints.dir': 'file:///checkpoints/flink/externalized-checkpoints',
    'state.savepoints.dir': 'file:///checkpoints/flink/savepoints',
  };
}

function exampleOf(name: string, namespace: string, spec: DeployedSpec): TemplateSource {
  return { name, namespace, labels: { environment: 'development' }, annotations: {}, spec, ...sizeOf(spec) };
}

function lyftCases(): [hash: string, line: number, TemplateSource][] {
  const lines = readFileSync(new URL('fixtures/lyft-hashes.ndjson', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line, index) => {
    const { app, settings, hash } = JSON.parse(line);
    const { metadata, spec, status } = app;
    const version = status?.deploymentMode === 'BlueGreen' ? (status.updatingVersion ?? '') : undefined;
    const whole = { image: '', jarName: '', entryClass: '', ...spec };
    return [
      hash,
      index + 1,
      { ...metadata, spec: whole, ...sizeOf(whole), settings, ...(version !== undefined && { version }) },
    ];
  });
}

describe('hashOf with containers of the user', () => {
  it.each<[string, Partial<DeployedSpec>]>([
    ['an init container', { jobManagerConfig: { initContainers: [A_SIDECAR] } }],
    ['a sidecar', { taskManagerConfig: { sidecars: [A_SIDECAR] } }],
    ['a sidecar of another image', { taskManagerConfig: { sidecars: [{ ...A_SIDECAR, image: 'proxy:2' }] } }],
  ])('is of another cluster with %s', (_, spec) => {
    const plain = hashOf(anApplication());
    const other = hashOf(anApplication({}, { taskManagerConfig: { sidecars: [{ ...A_SIDECAR, image: 'proxy:3' }] } }));

    expect([plain, other]).not.toContain(hashOf(anApplication({}, spec)));
  });

  it("is the operator's own where there are none", () => {
    const sections = { jobManagerConfig: { initContainers: [] }, taskManagerConfig: { sidecars: [] } };
    const { spec } = revisionOf({
      labels: {},
      annotations: {},
      spec: { ...anApplication({}, NO_JOB).spec, ...sections },
    });

    expect(hashOf(anApplication({ spec }))).toBe('752c76d3');
  });
});

describe('clusterHashOf', () => {
  it("is Lyft's while the name is free", () => {
    expect(clusterHashOf(anApplication({}, NO_JOB), 0)).toBe('752c76d3');
  });

  it('F27: is another one for each name that is taken', () => {
    const hashes = Array.from({ length: 100 }, (_, collisionCount) => clusterHashOf(anApplication(), collisionCount));

    expect(new Set(hashes).size).toBe(100);
    for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{8}$/);
  });
});

function aSpec(changes: Partial<ApplicationSpec> = {}): ApplicationSpec {
  const job = { jarName: 'orders.jar', entryClass: 'com.example.Orders', parallelism: 3 };
  return { image: 'orders:1', flinkVersion: '1.20', ...job, taskManagerConfig: { taskSlots: 2 }, ...changes };
}

function aRevision(changes: Partial<ApplicationSpec> = {}): Revision {
  return revisionOf({ labels: { team: 'a' }, annotations: { owner: 'b' }, spec: aSpec(changes) });
}

describe('sizeOf', () => {
  it.each`
    replicas     | parallelism | taskManagers
    ${undefined} | ${3}        | ${2}
    ${2}         | ${3}        | ${2}
    ${4}         | ${8}        | ${4}
    ${1}         | ${2}        | ${1}
  `(
    'is $parallelism on $taskManagers with replicas $replicas, parallelism 3 and 2 slots',
    ({ replicas, ...expected }) => {
      const taskManagerConfig = { taskSlots: 2, ...(replicas !== undefined && { replicas }) };

      expect(sizeOf(aSpec({ taskManagerConfig }))).toEqual(expected);
    },
  );

  it('has 16 slots to a TaskManager where nothing is said', () => {
    expect(sizeOf(aSpec({ parallelism: 17, taskManagerConfig: {} }))).toEqual({ parallelism: 17, taskManagers: 2 });
  });
});

describe('revisionOf', () => {
  it('holds what is deployed and nothing else', () => {
    const spec = aSpec({
      deleteMode: 'None',
      savepointPath: 's3://old',
      timeouts: { submitSeconds: 3 },
      taskManagerConfig: { taskSlots: 2, replicas: 4 },
      ...{ toString: 'a field nobody knows' },
    });

    expect(revisionOf({ labels: { team: 'a' }, annotations: { owner: 'b' }, spec })).toEqual({
      labels: { team: 'a' },
      annotations: { owner: 'b' },
      spec: {
        image: 'orders:1',
        flinkVersion: '1.20',
        jarName: 'orders.jar',
        entryClass: 'com.example.Orders',
        parallelism: 8,
        taskManagerConfig: { taskSlots: 2 },
      },
      parallelism: 8,
      taskManagers: 4,
    });
  });

  it('is the same once the Go operator has written its empty fields into the spec', () => {
    const emptied = {
      ...aSpec(),
      flinkConfig: {},
      restartNonce: '',
      savepointDisabled: false,
      forceRollback: false,
      fallbackWithoutState: false,
      savepointInfo: {},
      allowNonRestoredState: false,
      jobManagerConfig: { envConfig: {} },
      taskManagerConfig: { taskSlots: 2, envConfig: {} },
    };

    expect(aRevision(emptied)).toEqual(aRevision());
  });

  it('keeps what means something though it is empty', () => {
    const { spec } = aRevision({ securityContext: {}, jobManagerConfig: { resources: {}, affinity: {} } });

    expect(spec).toMatchObject({ securityContext: {}, jobManagerConfig: { resources: {}, affinity: {} } });
  });

  it('holds the settings of a cluster that was taken over', () => {
    const settings = { schedulerName: 'volcano' };

    expect(revisionOf({ labels: {}, annotations: {}, spec: aSpec() }, settings).settings).toEqual(settings);
  });

  it('F16: gives one name whatever tools write on the application, and hands on what pods may bear', () => {
    const domain = fc.constantFrom(
      'kubectl.kubernetes.io',
      'argocd.argoproj.io',
      'x.toolkit.fluxcd.io',
      'meta.helm.sh',
    );
    const foreign = fc.dictionary(
      fc.tuple(domain, fc.stringMatching(/^[a-z]{1,8}$/)).map(([prefix, name]) => `${prefix}/${name}`),
      fc.string(),
    );
    fc.assert(
      fc.property(foreign, foreign, (labels, annotations) => {
        const revision = revisionOf({
          labels: { team: 'a', ...labels },
          annotations: { ...annotations, owner: 'b' },
          spec: aSpec(),
        });

        expect(fingerprintOf(revision)).toBe(fingerprintOf(aRevision()));
        expect(revision).toMatchObject({ labels: { team: 'a' }, annotations: { owner: 'b' } });
      }),
      { numRuns: 30 },
    );
  });
});

describe('fingerprintOf', () => {
  /** For each field of a revision's spec a change that is one. */
  const changes = {
    image: { image: 'orders:2' },
    imagePullPolicy: { imagePullPolicy: 'Always' },
    imagePullSecrets: { imagePullSecrets: [{ name: 'registry' }] },
    serviceAccountName: { serviceAccountName: 'flink' },
    securityContext: { securityContext: { runAsUser: 0 } },
    flinkConfig: { flinkConfig: { 'a.key': '' } },
    flinkVersion: { flinkVersion: '1.10' },
    taskManagerConfig: { taskManagerConfig: { taskSlots: 3 } },
    jobManagerConfig: { jobManagerConfig: { replicas: 2 } },
    jarName: { jarName: 'orders-2.jar' },
    parallelism: { parallelism: 4 },
    entryClass: { entryClass: 'com.example.Other' },
    programArgs: { programArgs: '--rate 5' },
    programArgsList: { programArgsList: ['--rate', '5'] },
    rpcPort: { rpcPort: 1 },
    blobPort: { blobPort: 1 },
    queryPort: { queryPort: 1 },
    metricsQueryPort: { metricsQueryPort: 1 },
    uiPort: { uiPort: 1 },
    volumes: { volumes: [{ name: 'data' }] },
    volumeMounts: { volumeMounts: [{ name: 'data', mountPath: '/data' }] },
    restartNonce: { restartNonce: '1' },
  } satisfies Record<Exclude<keyof DeployedSpec, 'restartPolicy'>, Partial<ApplicationSpec>>;

  it.each(Object.entries(changes))('changes with %s', (_, change) => {
    expect(fingerprintOf(aRevision(change))).not.toBe(fingerprintOf(aRevision()));
  });

  it.each<[string, object]>([
    ['resources', { resources: { requests: { memory: '5Gi' } } }],
    ['env', { envConfig: { env: [{ name: 'A', value: '1' }] } }],
    ['envFrom', { envConfig: { envFrom: [{ secretRef: { name: 'a' } }] } }],
    ['systemMemoryFraction', { systemMemoryFraction: 0 }],
    ['nodeSelector', { nodeSelector: { pool: '' } }],
    ['tolerations', { tolerations: [{ operator: 'Exists' }] }],
    ['affinity', { affinity: { podAffinity: {} } }],
    ['an init container', { initContainers: [{ name: 'fetch', image: 'tools:1' }] }],
    ['a sidecar', { sidecars: [{ name: 'proxy', image: 'proxy:1' }] }],
    ['a field of a sidecar that is newer than the operator', { sidecars: [{ ...A_SIDECAR, restartPolicyRules: [] }] }],
  ])("changes with %s of one section, and otherwise with the other's", (_, change) => {
    const fingerprints = [
      aRevision(),
      aRevision({ jobManagerConfig: change }),
      aRevision({ taskManagerConfig: { taskSlots: 2, ...change } }),
    ].map((revision) => fingerprintOf(revision));

    expect(new Set(fingerprints).size).toBe(3);
  });

  it.each<[string, Partial<Revision>]>([
    ['labels', { labels: { team: 'b' } }],
    ['annotations', { annotations: {} }],
    ['parallelism', { parallelism: 4 }],
    ['TaskManagers', { taskManagers: 3 }],
  ])('changes with %s', (_, change) => {
    expect(fingerprintOf({ ...aRevision(), ...change })).not.toBe(fingerprintOf(aRevision()));
  });

  it.each([
    [['a b'], ['a', 'b']],
    [['a'], ['a', '']],
    [['"a"'], ['a']],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [['a","b'], ['a', 'b']],
  ])('tells the arguments %j from %j, as the hash does', (one, other) => {
    const [first, second] = [one, other].map((programArgsList) => aRevision({ programArgsList })) as [
      Revision,
      Revision,
    ];

    expect(fingerprintOf(first)).not.toBe(fingerprintOf(second));
    expect(hashOf({ namespace: 'flink', name: 'orders', ...first })).not.toBe(
      hashOf({ namespace: 'flink', name: 'orders', ...second }),
    );
  });

  it('changes with a field that the Go operator does not know', () => {
    const [first, second] = ['Strict', 'Merge'].map((supplementalGroupsPolicy) =>
      fingerprintOf(aRevision({ securityContext: { supplementalGroupsPolicy } })),
    );

    expect(first).not.toBe(second);
  });

  const sidecar = (fields: object) => ({
    taskManagerConfig: { taskSlots: 2, sidecars: [{ ...A_SIDECAR, ...fields }] },
  });
  const memory = (text: string | number) => ({
    jobManagerConfig: { resources: { requests: { cpu: '1', memory: text } } },
  });
  it.each<[string, Partial<ApplicationSpec>, Partial<ApplicationSpec>]>([
    ['a quantity in another unit', memory('1536Mi'), memory('1.5Gi')],
    ['a quantity that is a number', memory('1000'), memory(1000)],
    [
      'a quantity of a sidecar in another unit',
      sidecar({ resources: { requests: { cpu: '0.5', memory: '1Gi' } } }),
      sidecar({ resources: { requests: { memory: '1024Mi', cpu: '500m' } } }),
    ],
    [
      'empty fields of a sidecar',
      sidecar({}),
      sidecar({ env: [], args: [], tty: false, workingDir: '', lifecycle: null }),
    ],
    ['no containers of the user', {}, { jobManagerConfig: { initContainers: [], sidecars: [] } }],
    ['a default policy', {}, { imagePullPolicy: 'IfNotPresent' }],
    ['default ports', {}, { rpcPort: 6123, uiPort: 8081 }],
    ['a default replica count', {}, { jobManagerConfig: { replicas: 1 } }],
    ['a default fraction', {}, { jobManagerConfig: { systemMemoryFraction: 0.2 } }],
    [
      'default resources',
      {},
      {
        jobManagerConfig: {
          resources: { limits: { memory: '3Gi', cpu: '4000m' }, requests: { cpu: 4, memory: '3072Mi' } },
        },
      },
    ],
    ['empty texts', {}, { restartNonce: '', programArgs: '', serviceAccountName: '', imagePullPolicy: '' }],
    ['empty lists', {}, { volumes: [], volumeMounts: [], imagePullSecrets: [], programArgsList: [] }],
    ['a number that is written as text', { flinkConfig: { a: 0.1 } }, { flinkConfig: { a: '0.1' } }],
    ['a key that is overwritten', {}, { flinkConfig: { 'jobmanager.web.port': 1, 'jobmanager.rpc.address': 'x' } }],
    ['a Flink of the same memory model', {}, { flinkVersion: '1.19' }],
    ['allowNonRestoredState', {}, { allowNonRestoredState: true }],
    ['restartPolicy', {}, { restartPolicy: 'FromLatestCheckpoint' }],
    ['an empty field of a volume', { volumes: [{ name: 'a' }] }, { volumes: [{ name: 'a', nfs: null }] }],
    [
      'a false that is no pointer',
      { volumeMounts: [{ name: 'a', mountPath: '/a' }] },
      { volumeMounts: [{ name: 'a', mountPath: '/a', readOnly: false, subPath: '' }] },
    ],
  ])('does not change with %s', (_, one, other) => {
    expect(fingerprintOf(aRevision(one))).toBe(fingerprintOf(aRevision(other)));
  });

  it('does not change with the settings of the operator', () => {
    expect(fingerprintOf({ ...aRevision(), settings: { schedulerName: 'volcano' } })).toBe(fingerprintOf(aRevision()));
  });

  it('does not change when the size that follows from parallelism is seeded', () => {
    expect(fingerprintOf(aRevision({ taskManagerConfig: { taskSlots: 2, replicas: 2 } }))).toBe(
      fingerprintOf(aRevision()),
    );
  });

  it('does not depend on the order of keys, and neither does the hash', () => {
    fc.assert(
      fc.property(fc.constantFrom(...lyftCases()), ([, , application]) => {
        const reversed = reverseKeys(application);

        expect(fingerprintOf(reversed)).toBe(fingerprintOf(application));
        expect(hashOf(reversed)).toBe(hashOf(application));
      }),
      { numRuns: 20 },
    );
  });

  it('survives the way through the API server', () => {
    const revision = aRevision({ volumes: [{ name: 'a', emptyDir: {} }], flinkConfig: { a: 0.1 } });

    expect(fingerprintOf(JSON.parse(JSON.stringify(revision)))).toBe(fingerprintOf(revision));
  });

  // Pinned: another value would deploy every application anew.
  it('is what it has always been', () => {
    const spec = EXAMPLES.integ.spec;
    const revision = revisionOf({ labels: { environment: 'development' }, annotations: {}, spec });

    expect(fingerprintOf(revision)).toBe('58b530b195810adad597e5f49846c114f255f93980c1c93dd28b52ec13c92cf1');
  });
});

function reverseKeys<T>(value: T): T {
  if (Array.isArray(value)) return value.map(reverseKeys) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reverseKeys(item)]),
  ) as T;
}

describe('areSameButForSize', () => {
  it('holds for two sizes, and for nothing else that differs', () => {
    const scaled = aRevision({ taskManagerConfig: { taskSlots: 2, replicas: 4 } });

    expect(fingerprintOf(scaled)).not.toBe(fingerprintOf(aRevision()));
    expect(areSameButForSize(scaled, aRevision(), [])).toBe(true);
    expect(areSameButForSize(aRevision({ image: 'orders:2' }), aRevision(), [])).toBe(false);
    expect(areSameButForSize(aRevision({ taskManagerConfig: { taskSlots: 4 } }), aRevision(), [])).toBe(false);
  });
});

describe('revisionName', () => {
  it('is made of the application and ten digits of the fingerprint', () => {
    const revision = aRevision();

    expect(revisionName('orders', revision)).toBe(`orders-${fingerprintOf(revision).slice(0, 10)}`);
  });
});

describe('matchesDeployedHash', () => {
  const annotations = { owner: 'b' };
  const live = {
    annotations: { ...annotations, ...addedAnnotations() },
    containerName: 'jobmanager',
    schedulerName: 'default-scheduler',
  };

  it('recognises an application that is as it was deployed', () => {
    const source = anApplication({ annotations });

    expect(matchesDeployedHash({ ...source, live, deployHash: hashOf(source) })).toEqual({ annotations });
  });

  it('recognises one that was annotated since', () => {
    const deployHash = hashOf(anApplication({ annotations }));
    const source = anApplication({ annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } });

    expect(matchesDeployedHash({ ...source, live, deployHash })).toEqual({ annotations });
  });

  it.each<[string, NonNullable<Revision['settings']>]>([
    ['a format of container names', { containerNameFormat: '%s-main' }],
    ['a scheduler', { schedulerName: 'volcano' }],
    ['the default scheduler by name', { schedulerName: 'default-scheduler' }],
    ['both', { containerNameFormat: 'x-%s', schedulerName: 'volcano' }],
  ])('finds out that the operator had set %s', (_, settings) => {
    const deployHash = hashOf(anApplication({ annotations, settings }));
    const seen = {
      annotations: live.annotations,
      containerName: settings.containerNameFormat?.replace('%s', 'jobmanager') ?? 'jobmanager',
      schedulerName: settings.schedulerName ?? 'default-scheduler',
    };

    expect(matchesDeployedHash({ ...anApplication(), live: seen, deployHash })).toEqual({ annotations, settings });
  });

  it('recognises the colour that is deployed', () => {
    const source = anApplication({ annotations, version: 'green' });
    const deployHash = hashOf(source);

    expect(matchesDeployedHash({ ...source, live, deployHash })).toEqual({ annotations });
    expect(matchesDeployedHash({ ...source, version: 'blue', live, deployHash })).toBeUndefined();
  });

  it('does not recognise an application that is another one', () => {
    const deployHash = hashOf(anApplication({ annotations }));

    expect(
      matchesDeployedHash({ ...anApplication({ annotations }, { image: 'x' }), live, deployHash }),
    ).toBeUndefined();
  });
});

/** What a live Deployment has beside the application's annotations. */
function addedAnnotations() {
  return {
    'deployment.kubernetes.io/revision': '1',
    'flink-job-properties': JOB_PROPERTIES,
    'restart-nonce': 'x',
    'flink-application-version': 'green',
  };
}
