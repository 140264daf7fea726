import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { ask } from './ask.ts';
import { aDeployment, createCluster, deployments, startCluster } from './cluster.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const deployment = 'orders-aaaa1111-tm';
const image = 'registry.example.com/orders:1';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ now: start });
});
afterEach(() => sandbox.close());

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
}

const pods = () =>
  sandbox.store
    .list('Pod', 'flink')
    .filter(({ metadata }) => metadata.labels?.['flink-deployment-type'] === 'taskmanager');
const names = () => pods().map(({ metadata }) => metadata.name);
const isReady = ({ status }: ReturnType<typeof pods>[number]) =>
  ((status?.conditions ?? []) as Condition[]).some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  );
/** "Running true": phase and readiness of each pod. */
const states = () => pods().map((pod) => `${pod.status?.phase} ${isReady(pod)}`);
const waiting = () =>
  pods().map(({ status }) => {
    const [container] = (status?.containerStatuses ?? []) as { state: { waiting?: { reason: string } } }[];
    return container?.state.waiting?.reason;
  });
const status = () => sandbox.store.get('Deployment', 'flink', deployment)?.status;
const resize = (replicas: number) => ask(sandbox, 'PATCH', `${deployments}/${deployment}`, { spec: { replicas } });
const deletePod = (name = '', body?: object) => ask(sandbox, 'DELETE', `/api/v1/namespaces/flink/pods/${name}`, body);

describe('a Deployment', () => {
  it('gets its pods a second later, which start and turn Ready', async () => {
    await createCluster(sandbox);
    const seen = [0, 1, 5, 5].map((seconds) => {
      sandbox.clock.advance(seconds);
      return states();
    });

    expect(seen).toEqual([
      [],
      ['Pending false', 'Pending false'],
      ['Running false', 'Running false'],
      ['Running true', 'Running true'],
    ]);
  });

  it('says why a quota lets no more pods be made, until it does', async () => {
    sandbox.workloads.configure({ podQuota: 2 });
    await createCluster(sandbox);
    sandbox.clock.advance(20);

    expect(pods()).toHaveLength(1);
    expect(status()).toMatchObject({
      replicas: 1,
      conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' }],
    });
    expect(JSON.stringify(status())).toContain('is forbidden: exceeded quota: pods, requested: pods=1, used: pods=2');

    sandbox.workloads.configure({ podQuota: 3 });
    sandbox.clock.advance(20);

    expect(states()).toEqual(['Running true', 'Running true']);
    expect(status()).not.toHaveProperty('conditions');
  });

  it('says in its status what there is, and of which generation', async () => {
    await createCluster(sandbox);
    const unseen = status();
    sandbox.clock.advance(1);
    const starting = status();
    sandbox.clock.advance(10);
    await resize(3);
    sandbox.clock.advance(1);

    expect(unseen).toBeUndefined();
    expect(starting).toEqual({ observedGeneration: 1, replicas: 2, updatedReplicas: 2, unavailableReplicas: 2 });
    expect(status()).toEqual({
      observedGeneration: 2,
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 2,
      availableReplicas: 2,
      unavailableReplicas: 1,
    });
  });

  it('gives its pods the labels of the template, an address each, and itself as their owner', async () => {
    await startCluster(sandbox);

    const { uid } = sandbox.store.get('Deployment', 'flink', deployment)?.metadata ?? {};
    for (const { metadata } of pods())
      expect(metadata).toMatchObject({
        name: expect.stringMatching(/^orders-aaaa1111-tm-[0-9a-f]{10}-[a-z0-9]{5}$/),
        labels: { 'flink-app': 'orders', 'flink-deployment-type': 'taskmanager' },
        ownerReferences: [{ kind: 'Deployment', name: deployment, uid, controller: true }],
      });
    expect(new Set(pods().map((pod) => pod.status?.podIP)).size).toBe(2);
  });

  it('starts pods as fast as it is told to, and one image faster than others', async () => {
    sandbox.workloads.configure({ startSeconds: 30 });
    sandbox.flink.image('fast:1', { startSeconds: 4 });
    await createCluster(sandbox);
    await createCluster(sandbox, { hash: 'bbbb2222', image: 'fast:1' });
    sandbox.clock.advance(5);
    const early = states().filter((state) => state === 'Running true').length;
    sandbox.clock.advance(26);

    expect(early).toBe(2);
    expect(states()).toEqual(Array(4).fill('Running true'));
  });

  it('shrinks by the pods of least deletion cost, and then the youngest', async () => {
    await startCluster(sandbox, { taskManagers: 2 });
    await resize(4);
    sandbox.clock.advance(15);
    const [dear, cheap, ...others] = names();
    const cost = (value: string) => ({
      metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': value } },
    });
    const created = new Map(pods().map(({ metadata }) => [metadata.name, metadata.creationTimestamp]));
    await ask(sandbox, 'PATCH', `/api/v1/namespaces/flink/pods/${cheap}`, cost('-10'));
    await ask(sandbox, 'PATCH', `/api/v1/namespaces/flink/pods/${dear}`, cost('10'));
    await resize(2);
    sandbox.clock.advance(5);

    const oldest = others.sort((a, b) => String(created.get(a)).localeCompare(String(created.get(b))))[0];
    expect(names()).toEqual([dear, oldest].sort());
  });

  it('gives up first what is not Ready yet', async () => {
    await startCluster(sandbox);
    const ready = names();
    await resize(4);
    sandbox.clock.advance(3);
    await resize(2);
    sandbox.clock.advance(5);

    expect(names()).toEqual(ready);
  });

  it('lets a pod end before it is gone, and counts it no more', async () => {
    await startCluster(sandbox);
    await resize(1);
    sandbox.clock.advance(1);
    const ending = pods().filter(({ metadata }) => metadata.deletionTimestamp);
    const counted = status();
    sandbox.clock.advance(2);

    expect(ending).toHaveLength(1);
    expect(counted).toMatchObject({ replicas: 1, readyReplicas: 1 });
    expect(names()).toHaveLength(1);
  });

  it('replaces a pod that somebody deleted', async () => {
    await startCluster(sandbox);
    const before = names();
    const reply = await deletePod(before[0]);
    sandbox.clock.advance(15);

    expect(reply.json.metadata.deletionTimestamp).toBe('2026-01-01T00:00:15Z');
    expect(names()).not.toContain(before[0]);
    expect(states()).toEqual(['Running true', 'Running true']);
  });

  it('loses a pod at once that is deleted without grace', async () => {
    await startCluster(sandbox);
    await deletePod(names()[0], { gracePeriodSeconds: 0 });

    expect(names()).toHaveLength(1);
  });

  it('takes every pod with it', async () => {
    await startCluster(sandbox);
    await ask(sandbox, 'DELETE', `${deployments}/${deployment}`);
    sandbox.clock.advance(4);

    const measured = sandbox.store.list('PodMetrics').map(({ metadata }) => metadata.labels?.['flink-deployment-type']);
    expect(names()).toEqual([]);
    expect(measured).toEqual(['jobmanager']);
  });

  it('made anew under the same name does not count the pods of the one before', async () => {
    await startCluster(sandbox);
    const before = names();
    await ask(sandbox, 'DELETE', `${deployments}/${deployment}`);
    await ask(sandbox, 'POST', deployments, aDeployment('taskmanager', 2));
    sandbox.clock.advance(15);

    expect(names()).toHaveLength(2);
    expect(names().filter((name) => before.includes(name))).toEqual([]);
  });

  it('replaces every pod when its template changes, the old ones first', async () => {
    await startCluster(sandbox);
    const before = names();
    const template = { metadata: { annotations: { restarted: 'now' } } };
    await ask(sandbox, 'PATCH', `${deployments}/${deployment}`, { spec: { template } });
    sandbox.clock.advance(1);
    const during = names();
    sandbox.clock.advance(14);

    expect(during).toEqual(before);
    expect(names().filter((name) => before.includes(name))).toEqual([]);
    expect(states()).toEqual(['Running true', 'Running true']);
  });

  it('without a pod template has no pods and no status', () => {
    const before = sandbox.store.put({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'flink' },
      spec: { replicas: 2 },
    });
    sandbox.clock.advance(60);

    expect(sandbox.store.get('Deployment', 'flink', 'web')).toBe(before);
    expect(sandbox.store.list('Pod')).toEqual([]);
  });

  it('comes to the same in one long step and in many short ones', async () => {
    const other = await startSandbox({ now: start });
    for (const each of [sandbox, other]) {
      each.flink.image(image, { startSeconds: 7 });
      await createCluster(each, { taskManagers: 3 });
    }
    sandbox.clock.advance(40);
    for (let second = 0; second < 40; second += 1) other.clock.advance(1);

    const seen = ({ store }: Sandbox) =>
      ['Pod', 'PodMetrics', 'Deployment'].flatMap((kind) =>
        store
          .list(kind)
          .map(({ metadata, status: is, timestamp }) => [metadata.name, metadata.creationTimestamp, is, timestamp]),
      );
    expect(seen(sandbox)).toEqual(seen(other));
    await other.close();
  });
});

describe('a pod', () => {
  it('waits for an image that cannot be pulled until it can be', async () => {
    sandbox.flink.image(image, { pullable: false });
    await startCluster(sandbox);
    const hanging = [states(), waiting()];
    sandbox.flink.image(image, { pullable: true });
    sandbox.clock.advance(11);

    expect(hanging).toEqual([Array(2).fill('Pending false'), Array(2).fill('ImagePullBackOff')]);
    expect(states()).toEqual(Array(2).fill('Running true'));
  });

  it('whose process ends at once is begun again and again', async () => {
    sandbox.flink.image(image, { crashes: 'no memory left' });
    await startCluster(sandbox);

    expect(waiting()).toEqual(['CrashLoopBackOff', 'CrashLoopBackOff']);
    expect(states()).toEqual(['Running false', 'Running false']);
  });

  it('for which no node has room waits until one has', async () => {
    sandbox.workloads.configure({ schedulablePods: 2 });
    await startCluster(sandbox);
    const short = pods().flatMap(({ status: is }) =>
      ((is?.conditions ?? []) as Condition[]).filter(({ reason }) => reason === 'Unschedulable'),
    );
    const before = states();
    sandbox.workloads.configure({ schedulablePods: 3 });
    sandbox.clock.advance(11);

    expect(short).toMatchObject([{ type: 'PodScheduled', status: 'False' }]);
    expect(before.sort()).toEqual(['Pending false', 'Running true']);
    expect(states()).toEqual(['Running true', 'Running true']);
  });

  it('takes the room of one that ended', async () => {
    sandbox.workloads.configure({ schedulablePods: 3 });
    await startCluster(sandbox);
    await createCluster(sandbox, { hash: 'bbbb2222', taskManagers: 1 });
    sandbox.clock.advance(15);
    const before = states();
    await ask(sandbox, 'DELETE', `${deployments}/${deployment}`);
    sandbox.clock.advance(20);

    expect(before).toEqual(['Running true', 'Running true', 'Pending false']);
    expect(states()).toEqual(['Running true']);
  });
});

describe('the processor time of TaskManagers', () => {
  const usages = () =>
    sandbox.store
      .list('PodMetrics')
      .filter(({ metadata }) => metadata.labels?.['flink-deployment-type'] === 'taskmanager')
      .map(({ timestamp, containers }) => [
        String(timestamp).slice(11, 19),
        (containers as { usage: { cpu: string } }[])[0]?.usage.cpu,
      ]);
  const run = (parallelism: number) =>
    ask(sandbox, 'POST', '/api/v1/namespaces/flink/services/orders-aaaa1111:ui/proxy/jars/job.jar/run', {
      parallelism,
    });

  it('is what the job needs, shared by those that run it, every 15 s', async () => {
    await startCluster(sandbox, { taskManagers: 3 });
    sandbox.flink.setLoad('flink', 'orders', 1200);
    const idle = usages();
    await run(4);
    sandbox.clock.advance(15);

    expect(idle).toEqual(Array(3).fill(['00:00:15', '20m']));
    expect(usages().sort()).toEqual([
      ['00:00:30', '20m'],
      ['00:00:30', '600m'],
      ['00:00:30', '600m'],
    ]);
  });

  it('is no more than the container may use', async () => {
    await startCluster(sandbox);
    sandbox.flink.setLoad('flink', 'orders', [{ time: start, loadMilli: 9000 }]);
    await run(4);
    sandbox.clock.advance(15);

    expect(usages()).toEqual(Array(2).fill(['00:00:30', '1']));
  });
});
