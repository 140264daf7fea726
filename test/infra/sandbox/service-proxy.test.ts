import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../../infra/sandbox/server.ts';
import { ask } from './ask.ts';
import { aService, createCluster, services, startCluster } from './cluster.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox({ now: Date.parse('2026-01-01T00:00:00Z') });
});
afterEach(() => sandbox.close());

const through = (name: string, path = '/overview') => ask(sandbox, 'GET', `${services}/${name}/proxy${path}`);

describe('the proxy to a Service', () => {
  it.each(['orders-aaaa1111:ui', 'orders-aaaa1111:8081', 'http:orders-aaaa1111:ui'])(
    'leads from %s to its pod',
    async (name) => {
      await startCluster(sandbox);
      const { status, json, headers } = await through(name);

      expect([status, headers.get('content-type')]).toEqual([200, 'application/json; charset=UTF-8']);
      expect(json).toMatchObject({ taskmanagers: 2, 'flink-version': '1.20.3' });
    },
  );

  it('hands on path, query and body', async () => {
    await startCluster(sandbox);
    const path = `${services}/orders-aaaa1111:ui/proxy/jars/job.jar/run`;
    const { json } = await ask(sandbox, 'POST', path, { jobId: 'a'.repeat(32), parallelism: 1 });
    const cancelled = await ask(
      sandbox,
      'PATCH',
      `${services}/orders-aaaa1111:ui/proxy/jobs/${json.jobid}?mode=cancel`,
    );

    expect(json).toEqual({ jobid: 'a'.repeat(32) });
    expect(cancelled.status).toBe(202);
  });

  it('does not find a Service that is not there', async () => {
    await startCluster(sandbox);
    const { status, json } = await through('nobody:ui');

    expect([status, json.reason, json.message]).toEqual([404, 'NotFound', 'services "nobody" not found']);
  });

  it('does not find what the backend does not find', async () => {
    await startCluster(sandbox);
    const { status, json } = await through('orders-aaaa1111:ui', '/nope');

    expect([status, json]).toEqual([404, { errors: ['Unable to load requested file /nope.'] }]);
  });

  it('has nowhere to lead before a pod is Ready', async () => {
    await createCluster(sandbox);
    sandbox.clock.advance(8);
    const { status, json } = await through('orders-aaaa1111:ui');

    expect(status).toBe(503);
    expect(json).toMatchObject({
      kind: 'Status',
      reason: 'ServiceUnavailable',
      message: 'no endpoints available for service "orders-aaaa1111"',
    });
  });

  it('has nowhere to lead once its pod is to go', async () => {
    await startCluster(sandbox);
    await ask(sandbox, 'DELETE', '/apis/apps/v1/namespaces/flink/deployments/orders-aaaa1111-jm');
    sandbox.clock.advance(1);

    expect((await through('orders-aaaa1111:ui')).status).toBe(503);
  });

  it('knows the ports that are declared and no others', async () => {
    await startCluster(sandbox);
    const byNumber = await through('orders-aaaa1111:9999');
    const byName = await through('orders-aaaa1111:rest');

    expect([byNumber.status, byNumber.json.message]).toEqual([
      503,
      'no service port 9999 found for service "orders-aaaa1111"',
    ]);
    expect([byName.status, byName.json.message]).toEqual([
      503,
      'no endpoints available for service "orders-aaaa1111:rest"',
    ]);
  });

  it.each(['taskmanager', 'jobmanager'])(
    'finds nobody listening at a port of a %s that is not the right one',
    async (role) => {
      await startCluster(sandbox);
      const port = role === 'taskmanager' ? 'ui' : 'rpc';
      await ask(sandbox, 'POST', services, aService('wrong', { 'flink-deployment-type': role }));
      const { status, text } = await through(`wrong:${port}`);

      expect(status).toBe(503);
      expect(text).toMatch(/^error trying to reach service: dial tcp 10\.1\.0\.\d+:\d+: connect: connection refused$/);
    },
  );

  it('is closed to strangers', async () => {
    await startCluster(sandbox);
    const path = `${services}/orders-aaaa1111:ui/proxy/overview`;

    expect((await ask(sandbox, 'GET', path, undefined, { authorization: 'Bearer other' })).status).toBe(401);
  });

  it('is in the log of requests, and meets hooks and faults as every path does', async () => {
    await startCluster(sandbox);
    const path = `${services}/orders-aaaa1111:ui/proxy/jars/job.jar/run`;
    const hooked: string[] = [];
    sandbox.hooks.before((request) => void hooked.push(`before ${request.path}`));
    sandbox.hooks.after((request) => void hooked.push(`after ${request.path}`));
    sandbox.faults.add({ method: 'POST', path: /\/proxy\/jars\/.*\/run$/, kind: 'drop-after', times: 1 });

    const lost = await ask(sandbox, 'POST', path, { parallelism: 1 }).catch(() => 'no answer');

    expect(lost).toBe('no answer');
    expect(hooked).toEqual([`before ${path}`, `after ${path}`]);
    expect(sandbox.requests.at(-1)).toMatchObject({ method: 'POST', path, status: 200, body: { parallelism: 1 } });
    expect(sandbox.flink.jobs('flink', 'orders')).toHaveLength(1);
  });
});
