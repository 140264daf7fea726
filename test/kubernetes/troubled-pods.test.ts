import { describe, expect, it } from 'vitest';
import type { Fields } from '../../infra/sandbox/kinds.ts';
import { listTroubles } from '../../shared/kubernetes/troubled-pods.ts';
import { type ApiServer, anApiServer, NAMESPACE } from '../support/api-server.ts';

const orders = { namespace: NAMESPACE, name: 'orders' };
const SELECTOR = 'k3x9p2qa';

interface PodOptions {
  readonly name?: string;
  readonly podSelector?: string;
  readonly deletionTimestamp?: string;
  readonly status: Fields;
}

function addPod(
  { sandbox }: ApiServer,
  { name = 'orders-tm-1', podSelector = SELECTOR, status, ...metadata }: PodOptions,
) {
  const labels = { 'flink-app': 'orders', 'pod-deployment-selector': podSelector };
  sandbox.store.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: NAMESPACE, name, labels, ...metadata },
    spec: { containers: [{ name: 'taskmanager', image: 'orders:7' }] },
    status: { phase: 'Pending', ...status },
  });
}

async function troublesOf(pod: PodOptions): Promise<readonly string[]> {
  const server = await anApiServer();
  addPod(server, pod);
  return listTroubles(server.client, orders, [SELECTOR]);
}

const waiting = (reason: string, message?: string) => ({
  waiting: { reason, ...(message !== undefined && { message }) },
});
const ended = (exitCode: number, reason: string, message?: string) => ({
  terminated: { exitCode, reason, ...(message !== undefined && { message }), startedAt: null, finishedAt: null },
});
const container = (state: object, lastState: object = {}) => ({ name: 'taskmanager', ready: false, state, lastState });
const unscheduled = {
  type: 'PodScheduled',
  status: 'False',
  reason: 'Unschedulable',
  message: '0/3 nodes are available.',
};

describe('a pod that does not come up', () => {
  it.each<[string, Fields, string]>([
    [
      'because of its image',
      { containerStatuses: [container(waiting('ImagePullBackOff', 'Back-off pulling image "orders:7"'))] },
      'ImagePullBackOff: Back-off pulling image "orders:7"',
    ],
    [
      'because its container ends at once',
      {
        containerStatuses: [
          container(waiting('CrashLoopBackOff', 'back-off 5m0s restarting failed container'), ended(137, 'OOMKilled')),
        ],
      },
      'CrashLoopBackOff: container taskmanager ended with exit code 137 (OOMKilled)',
    ],
    [
      'because its container ends at once, and nobody remembers how',
      { containerStatuses: [container(waiting('CrashLoopBackOff', 'back-off 5m0s'))] },
      'CrashLoopBackOff: back-off 5m0s',
    ],
    [
      'because its container has just ended',
      { containerStatuses: [container(ended(1, 'Error', 'no such class:\n  com.example.Orders'))] },
      'container taskmanager ended with exit code 1 (Error): no such class: com.example.Orders',
    ],
    [
      'because its container runs for the second time and is not ready',
      { phase: 'Running', containerStatuses: [container({ running: {} }, ended(143, 'Error'))] },
      'container taskmanager ended with exit code 143 (Error)',
    ],
    [
      'because of an init container',
      {
        initContainerStatuses: [
          { ...container(ended(0, 'Completed'), ended(1, 'Error')), name: 'first' },
          { ...container(ended(2, 'Error')), name: 'second' },
        ],
        containerStatuses: [container(waiting('PodInitializing'))],
      },
      'container second ended with exit code 2 (Error)',
    ],
    ['because no node has room', { conditions: [unscheduled] }, 'Unschedulable: 0/3 nodes are available.'],
    [
      'because it was evicted',
      { phase: 'Failed', reason: 'Evicted', message: 'The node was low on memory.' },
      'Evicted: The node was low on memory.',
    ],
    ['because it has failed, nobody knows why', { phase: 'Failed' }, 'Failed'],
  ])('says so %s', async (_, status, trouble) => {
    expect(await troublesOf({ status })).toEqual([`orders-tm-1: ${trouble}`]);
  });

  it.each<[string, PodOptions]>([
    ['is on its way up', { status: { containerStatuses: [container(waiting('ContainerCreating'))] } }],
    ['is new', { status: {} }],
    [
      'is ready',
      {
        status: {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'True' }],
          containerStatuses: [container({ running: {} }, ended(1, 'Error'))],
        },
      },
    ],
    ['is on its way down', { deletionTimestamp: '2026-03-01T12:00:00Z', status: { conditions: [unscheduled] } }],
    ['belongs to another cluster', { podSelector: 'another1', status: { conditions: [unscheduled] } }],
  ])('says nothing where it %s', async (_, pod) => {
    expect(await troublesOf(pod)).toEqual([]);
  });
});

describe('pods that do not come up', () => {
  it('are told as far as there is room, and the others counted', async () => {
    const server = await anApiServer();
    const status = { conditions: [{ ...unscheduled, message: 'x'.repeat(1000) }] };
    for (let index = 0; index < 9; index += 1) addPod(server, { name: `orders-tm-${index}`, status });

    const troubles = await listTroubles(server.client, orders, [SELECTOR]);

    expect(troubles).toHaveLength(6);
    expect(troubles[0]).toMatch(/^orders-tm-0: Unschedulable: x+…$/);
    expect(troubles[0]).toHaveLength(300);
    expect(troubles[5]).toBe('4 more pods do not come up');
  });
});
