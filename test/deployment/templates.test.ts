import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAsGo } from '../../shared/deployment/go-json.ts';
import { readGoQuantity } from '../../shared/deployment/go-quantity.ts';
import {
  clusterServiceName,
  deploymentNames,
  derivePodSelectors,
  genericServiceName,
  renderCluster,
  taskManagerSelector,
} from '../../shared/deployment/templates.ts';
import type { ApplicationSpec, ClusterTarget, DeployedSpec } from '../../shared/deployment/types.ts';
import { validate } from '../../shared/deployment/validate.ts';

// What the Go operator makes of two applications: fixtures/README.md.
const LYFT = JSON.parse(readFileSync(new URL('fixtures/lyft-objects.json', import.meta.url), 'utf8'));

function aTarget(changes: Partial<ClusterTarget> = {}, spec: Partial<DeployedSpec> = {}): ClusterTarget {
  return {
    namespace: 'flink',
    application: 'orders',
    uid: '6b1a5d0e',
    hash: '5e7c7283',
    podSelectors: { jobManager: 'aaaaaaaa', taskManager: 'bbbbbbbb' },
    revision: {
      labels: { team: 'a' },
      annotations: { owner: 'b' },
      spec: { image: 'orders:1', jarName: 'orders.jar', entryClass: 'com.example.Orders', parallelism: 4, ...spec },
      parallelism: 4,
      taskManagers: 2,
    },
    ...changes,
  };
}

describe('names', () => {
  it.each`
    colour       | generic           | jobManager                    | taskManager
    ${undefined} | ${'orders'}       | ${'orders-5e7c7283-jm'}       | ${'orders-5e7c7283-tm'}
    ${'green'}   | ${'orders-green'} | ${'orders-5e7c7283-green-jm'} | ${'orders-5e7c7283-green-tm'}
  `(
    'are $generic, $jobManager and $taskManager with colour $colour',
    ({ colour, generic, jobManager, taskManager }) => {
      expect(genericServiceName('orders', colour)).toBe(generic);
      expect(deploymentNames('orders', '5e7c7283', colour)).toEqual({ jobManager, taskManager });
      expect(clusterServiceName('orders', '5e7c7283')).toBe('orders-5e7c7283');
    },
  );

  it('select the TaskManagers of one cluster', () => {
    expect(taskManagerSelector('orders', 'bbbbbbbb')).toBe(
      'flink-app=orders,flink-deployment-type=taskmanager,pod-deployment-selector=bbbbbbbb',
    );
  });
});

describe('derivePodSelectors', () => {
  it('gives eight letters or digits, other ones to JobManager and TaskManager, and the same ones again', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.stringMatching(/^[0-9a-f]{8}$/), (uid, hash) => {
        const { jobManager, taskManager } = derivePodSelectors({ uid, hash });

        expect(jobManager).toMatch(/^[a-z0-9]{8}$/);
        expect(taskManager).toMatch(/^[a-z0-9]{8}$/);
        expect(jobManager).not.toBe(taskManager);
        expect(derivePodSelectors({ uid, hash })).toEqual({ jobManager, taskManager });
      }),
    );
  });

  it('gives other ones to another cluster, and to an application made anew', () => {
    const selectors = [
      { uid: '1', hash: '5e7c7283' },
      { uid: '1', hash: '5e7c7284' },
      { uid: '2', hash: '5e7c7283' },
    ].flatMap((cluster) => Object.values(derivePodSelectors(cluster)));

    expect(new Set(selectors).size).toBe(6);
  });
});

describe('renderCluster', () => {
  describe.each(['dual', 'blueGreen'])("makes what the Go operator makes of its application '%s':", (key) => {
    const { application, settings, hash, jm, tm, service } = LYFT[key];
    const { metadata, spec, status } = application;
    const cluster = renderCluster({
      namespace: metadata.namespace,
      application: metadata.name,
      uid: metadata.uid,
      hash,
      podSelectors: { jobManager: podSelectorOf(jm), taskManager: podSelectorOf(tm) },
      ...(status && { version: status.updatingVersion }),
      revision: {
        labels: metadata.labels,
        annotations: metadata.annotations,
        spec,
        parallelism: spec.parallelism,
        taskManagers: Math.ceil(spec.parallelism / spec.taskManagerConfig.taskSlots),
        settings,
      },
    });

    it.each([
      ['JobManager', cluster.jobManager, jm],
      ['TaskManager', cluster.taskManager, tm],
    ])('the %s', (_, rendered, expected) => {
      expect(withoutOwnLines(asGo(rendered))).toEqual(expected);
    });

    it('the generic service', () => {
      expect(cluster.genericService).toMatchObject({
        metadata: {
          name: service.metadata.name,
          labels: service.metadata.labels,
          ownerReferences: service.metadata.ownerReferences,
        },
        spec: { clusterIP: 'None', type: 'ClusterIP', selector: service.spec.selector },
      });
      expect(cluster.genericService.spec.ports).toEqual(
        service.spec.ports.map(({ name, port }: { name: string; port: number }) => ({ name, port })),
      );
    });

    it("the cluster's service", () => {
      expect(cluster.versionedService).toEqual({
        ...cluster.genericService,
        metadata: {
          ...cluster.genericService.metadata,
          name: `${metadata.name}-${hash}`,
          labels: { ...service.metadata.labels, 'flink-app-hash': hash },
        },
      });
    });
  });

  it('sets as many TaskManagers as the revision says, whatever parallelism would need', () => {
    const { jobManager, taskManager } = renderCluster(aTarget());

    expect(taskManager.spec.replicas).toBe(2);
    expect(jobManager.spec.replicas).toBe(1);
  });

  it('gives memory to Flink where the operator would see none', () => {
    const resources = { requests: { memory: '1.5Gi' } };
    const { taskManager } = renderCluster(aTarget({}, { flinkVersion: '1.20', taskManagerConfig: { resources } }));

    expect(propertiesOf(taskManager)).toContain('taskmanager.memory.process.size: 1258291k\n');
  });

  it('hands on fields that are newer than the operator', () => {
    const securityContext = { seccompProfile: { type: 'RuntimeDefault' }, supplementalGroupsPolicy: 'Strict' };
    const { jobManager } = renderCluster(aTarget({}, { securityContext }));

    expect(jobManager.spec.template.spec.securityContext).toEqual(securityContext);
  });

  it("puts the user's containers into the pods of their section as they are, and Flink's own before its sidecars", () => {
    const fetch = {
      name: 'fetch',
      image: 'tools:1',
      command: ['sh', '-c', 'cp "$SOURCE" /jars'],
      restartPolicy: 'Always',
    };
    const proxy = { name: 'proxy', image: 'proxy:2', env: [{ name: 'FLINK_PROPERTIES', value: '$HOST_IP' }] };
    const jobManagerConfig = { initContainers: [fetch], sidecars: [proxy] };

    const { jobManager, taskManager } = renderCluster(aTarget({}, { jobManagerConfig }));

    const { initContainers, containers } = jobManager.spec.template.spec;
    expect(initContainers).toEqual([fetch]);
    expect(containers.map(({ name }) => name)).toEqual(['jobmanager', 'proxy']);
    expect(containers[1]).toEqual(proxy);
    expect(taskManager.spec.template.spec).not.toHaveProperty('initContainers');
    expect(taskManager.spec.template.spec.containers).toHaveLength(1);
  });

  it('is total for what validate finds no fault in', () => {
    let rendered = 0;
    fc.assert(
      fc.property(anySpec, (spec) => {
        if (validate('orders', spec).length > 0) return;
        const cluster = renderCluster(aTarget({}, spec));
        rendered++;
        expect(propertiesOf(cluster.jobManager)).toMatch(/size: [1-9]\d*k\n/);
        expect(propertiesOf(cluster.taskManager)).toMatch(/size: [1-9]\d*k\n/);
      }),
      { numRuns: 500, seed: 5 },
    );
    expect(rendered).toBeGreaterThan(50);
  });
});

/** Mostly absent, so that many specs are without fault. */
function rarely<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

const memory = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('1Gi', '1.5Gi', '2e9', '1500M') },
  { weight: 1, arbitrary: fc.constantFrom('1500m', '1k', '0', 'x') },
);
const section = fc.record({
  resources: fc.option(fc.record({ requests: fc.record({ memory }) }), { nil: undefined }),
  systemMemoryFraction: rarely(fc.double({ min: -0.1, max: 1.1, noNaN: true })),
  offHeapMemoryFraction: rarely(fc.double({ min: -0.1, max: 1.1, noNaN: true })),
  replicas: rarely(fc.integer({ min: 0, max: 3 })),
  taskSlots: rarely(fc.integer({ min: 0, max: 8 })),
});
const anySpec = fc
  .record({
    image: fc.constant('orders:1'),
    jarName: fc.constant('orders.jar'),
    entryClass: fc.constant('com.example.Orders'),
    parallelism: fc.integer({ min: 1, max: 9 }),
    flinkVersion: fc.constantFrom('', '1.8', '1.20', '2.3.0', 'x'),
    flinkConfig: fc.dictionary(
      fc.constantFrom('a', 'high-availability.type', 'rest.port'),
      fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(2 ** 53)),
    ),
    uiPort: rarely(fc.constantFrom(8081, 6123, 9000)),
    jobManagerConfig: section,
    taskManagerConfig: section,
  })
  // As it would come from the API server: what is undefined is not there.
  .map((spec) => JSON.parse(JSON.stringify(spec)) as ApplicationSpec);

interface LyftDeployment {
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly name: string;
          readonly env?: readonly { readonly name: string; readonly value?: string }[];
        }[];
      };
    };
  };
}

function podSelectorOf({ spec }: LyftDeployment): string {
  return spec.selector.matchLabels['pod-deployment-selector'] ?? '';
}

function asGo(deployment: object): LyftDeployment {
  const quantity = (text: unknown) => readGoQuantity(text)?.text;
  return encodeAsGo('Deployment', deployment, { quantity, keepsUnknown: false }) as LyftDeployment;
}

/** Without the lines in which Headrace differs on purpose. */
function withoutOwnLines(deployment: LyftDeployment): unknown {
  const text = JSON.stringify(deployment);
  return JSON.parse(text.replace(/(high-availability\.cluster-id|kubernetes\.namespace): [^\\]*\\n/g, ''));
}

function propertiesOf(deployment: LyftDeployment): string {
  const env = deployment.spec.template.spec.containers[0]?.env ?? [];
  return env.find(({ name }) => name === 'FLINK_PROPERTIES')?.value ?? '';
}
