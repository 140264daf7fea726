// Containers of the user's own in an application's pods: they go with the pods, change with the revision, and are measured as an
// HPA measures them.

import { afterEach, describe, expect, it } from 'vitest';
import { aDeployedApplication, anApplication, type Deployments, IMAGE } from '../support/deployments.ts';
import { anAutoscaler, NAMESPACE, Shard } from '../support/sandbox.ts';

let orders: Deployments;
afterEach(() => orders.close());

const FETCH = { name: 'fetch', image: 'tools:1' };
const PROXY = { name: 'proxy', image: 'proxy:1' };

function containersOf(process: 'jm' | 'tm') {
  const name = `orders-${orders.status().deployHash}-${process}`;
  const template = orders.sandbox.store.get('Deployment', NAMESPACE, name)?.spec?.template;
  const { initContainers = [], containers = [] } = (template as { readonly spec?: PodSpec } | undefined)?.spec ?? {};
  return [initContainers, containers].map((list) => list.map(({ name }) => name));
}

interface PodSpec {
  readonly initContainers?: readonly { readonly name: string }[];
  readonly containers?: readonly { readonly name: string }[];
}

describe("an application's own containers", () => {
  it('run in the pods of their section', async () => {
    orders = await aDeployedApplication({
      jobManagerConfig: { initContainers: [FETCH] },
      taskManagerConfig: { taskSlots: 2, sidecars: [PROXY] },
    });

    expect(containersOf('jm')).toEqual([['fetch'], ['jobmanager']]);
    expect(containersOf('tm')).toEqual([[], ['taskmanager', 'proxy']]);
  });

  it('are deployed on another cluster when they alone change, with the state', async () => {
    orders = await aDeployedApplication({ jobManagerConfig: { sidecars: [PROXY] } });
    const { deployHash } = orders.status();

    orders.edit((spec) => ({ ...spec, jobManagerConfig: { sidecars: [{ ...PROXY, image: 'proxy:2' }] } }));
    await orders.roundsUntil(() => orders.status().deployHash !== deployHash);

    expect(orders.lastRun()?.restoredFrom).toContain('/savepoints/');
  });

  // A field that is newer than Lyft's operator is in no hash of its.
  it('are deployed on another cluster though its hash would be the same', async () => {
    orders = await aDeployedApplication({ jobManagerConfig: { initContainers: [FETCH] } });
    const { deployHash } = orders.status();

    orders.edit((spec) => ({ ...spec, jobManagerConfig: { initContainers: [{ ...FETCH, restartPolicy: 'Always' }] } }));
    await orders.roundsUntil(() => orders.status().deployHash !== deployHash);

    expect(orders.livingJobs()).toHaveLength(1);
  });

  it.each([
    ['an init container that fails', { crashes: 'no such jar' }, /CrashLoopBackOff: .*container=fetch/],
    ['one whose image cannot be pulled', { pullable: false }, /ImagePullBackOff: .*tools:1/],
  ])('are named when a cluster does not start: %s', async (_, image, message) => {
    orders = await anApplication({
      jobManagerConfig: { initContainers: [FETCH] },
      timeouts: { clusterStartSeconds: 30 },
    });
    orders.sandbox.flink.image(FETCH.image, image);

    await orders.roundsUntil('DeployFailed');

    expect(orders.status().failedDeploy).toMatchObject({
      reason: 'ClusterStartTimedOut',
      message: expect.stringMatching(message),
    });
  });

  it('that have the name of the Flink container are refused, and what runs goes on', async () => {
    orders = await aDeployedApplication();

    orders.edit((spec) => ({ ...spec, jobManagerConfig: { sidecars: [{ name: 'jobmanager', image: IMAGE }] } }));
    await orders.rounds(20);

    expect(orders.conditions()).toContain('SpecValid False InvalidSpec');
    expect(orders.phases().at(-1)).toBe('Running');
  });
});

describe('the CPU of pods with a sidecar', () => {
  const target = { type: 'Utilization', averageUtilization: 50 };
  const RESOURCE = { type: 'Resource', resource: { name: 'cpu', target } };
  const CONTAINER = { type: 'ContainerResource', containerResource: { name: 'cpu', container: 'taskmanager', target } };

  /** Two TaskManagers of 2 CPUs, the default, each of which uses 1.6. */
  async function scaled(sidecar: object, metric: object): Promise<Shard> {
    orders = await aDeployedApplication({ taskManagerConfig: { taskSlots: 2, sidecars: [sidecar as typeof PROXY] } });
    orders.sandbox.flink.setLoad(NAMESPACE, 'orders', 3200);
    orders.sandbox.store.put(anAutoscaler({ name: 'orders', spec: { metrics: [metric] } }));
    orders.sandbox.clock.advance(600);
    const shard = new Shard(orders.sandbox);
    await shard.tick();
    return shard;
  }

  it.each([
    // 1.602 of 4 CPUs are 40 %: ceil(2 × 40 / 50) = 2. 1.6 of 2 are 80 %: ceil(2 × 80 / 50) = 4.
    ['is that of all containers, of all requests, for a Resource metric', RESOURCE, 2],
    ['is that of Flink alone for a ContainerResource metric', CONTAINER, 4],
  ])('%s', async (_, metric, replicas) => {
    const shard = await scaled({ ...PROXY, resources: { requests: { cpu: '2' } } }, metric);

    expect(shard.conditions()).toContain('ScalingActive True ValidMetricFound');
    expect(shard.size()).toBe(replicas);
  });

  it('cannot be told by a Resource metric where the sidecar requests none, as with an HPA', async () => {
    const shard = await scaled(PROXY, RESOURCE);

    expect(shard.conditions()).toContain('ScalingActive False FailedGetResourceMetric');
    expect(shard.size()).toBe(2);
  });

  it('is that of Flink for a ContainerResource metric, whatever the sidecar requests', async () => {
    const shard = await scaled(PROXY, CONTAINER);

    expect(shard.size()).toBe(4);
  });
});
