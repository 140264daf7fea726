import { describe, expect, it } from 'vitest';
import { preferDeletion } from '../../shared/kubernetes/deletion-cost.ts';
import { type ApiServer, anApiServer, NAMESPACE, stored } from '../support/api-server.ts';

const COST = 'controller.kubernetes.io/pod-deletion-cost';
const wish = { namespace: NAMESPACE, selector: 'pod-deployment-selector=k3x9p2qa' };

/** Puts a pod there with an address, and with a cost where one is given. */
function addPod({ sandbox }: ApiServer, name: string, podIP: string | undefined, cost?: string): void {
  sandbox.store.put({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: NAMESPACE,
      name,
      labels: { 'pod-deployment-selector': 'k3x9p2qa' },
      annotations: { team: 'shop', ...(cost !== undefined && { [COST]: cost }) },
    },
    spec: { containers: [{ name: 'taskmanager', image: 'orders:7' }] },
    status: { phase: 'Running', ...(podIP !== undefined && { podIP }) },
  });
}

function costOf(server: ApiServer, name: string): string | undefined {
  return stored(server, 'Pod', name)?.metadata.annotations?.[COST];
}

describe('preferDeletion', () => {
  it('marks the pods that are to go, and unmarks those that are to stay again', async () => {
    const server = await anApiServer();
    addPod(server, 'idle', '10.0.0.1');
    addPod(server, 'busy', '10.0.0.2', '-100');
    addPod(server, 'starting', undefined, '-100');

    await preferDeletion(server.client, { ...wish, podIps: ['10.0.0.1'] });

    expect(['idle', 'busy', 'starting'].map((name) => costOf(server, name))).toEqual(['-100', undefined, undefined]);
    expect(stored(server, 'Pod', 'busy')?.metadata.annotations).toEqual({ team: 'shop' });
  });

  it('writes nothing where every pod is marked as it is to be, and leaves the costs of others alone', async () => {
    const server = await anApiServer();
    addPod(server, 'idle', '10.0.0.1', '-100');
    addPod(server, 'dear', '10.0.0.2', '1000');

    await preferDeletion(server.client, { ...wish, podIps: ['10.0.0.1'] });

    expect(server.sandbox.requests.map(({ method }) => method)).toEqual(['GET']);
    expect(costOf(server, 'dear')).toBe('1000');
  });

  it.each([
    ['the right to patch pods is missing', 403],
    ['the pod is gone', 404],
  ])('is content where %s', async (_, code) => {
    const server = await anApiServer();
    addPod(server, 'idle', '10.0.0.1');
    const refusal = server.sandbox.faults.add({ method: 'PATCH', path: /pods\/idle/, kind: 'status', code });

    await preferDeletion(server.client, { ...wish, podIps: ['10.0.0.1'] });

    expect(refusal.count).toBe(1);
  });

  it('passes every other refusal on', async () => {
    const server = await anApiServer();
    addPod(server, 'idle', '10.0.0.1');
    server.sandbox.faults.add({ method: 'PATCH', path: /pods\/idle/, kind: 'status', code: 500 });

    await expect(preferDeletion(server.client, { ...wish, podIps: ['10.0.0.1'] })).rejects.toMatchObject({ code: 500 });
  });
});
