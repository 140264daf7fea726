import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Sandbox, startSandbox } from '../../infra/sandbox/server.ts';
import { createQueue } from '../../shared/aws/queue.ts';
import { describeError } from '../../shared/errors.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startSandbox();
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
});
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  await sandbox.close();
});

/** A small part of an answer's time, so that a request has turns enough to arrive. */
const HURRY_MILLISECONDS = 30;

const aMessage = (body: string) => ({ body, delaySeconds: 0 });

it('sends more messages than SQS takes in one call', async () => {
  const { AWS_REGION: region = '', HEADRACE_QUEUE_URL: url = '' } = sandbox.env;
  const bodies = Array.from({ length: 23 }, (_, index) => `tick ${index}`);

  await createQueue(url, region).send(bodies.map(aMessage));

  expect(sandbox.queue.messages.map(({ body }) => body)).toEqual(bodies);
});

it('gives up a queue that does not answer', async () => {
  const { AWS_REGION: region = '', HEADRACE_RECONCILE_QUEUE_URL: url = '' } = sandbox.env;
  sandbox.faults.add({ kind: 'hang', path: /^\/$/ });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });

  let outcome: string | undefined;
  void createQueue(url, region)
    .send([aMessage('round')])
    .catch((error: unknown) => {
      outcome = describeError(error);
    });
  while (outcome === undefined) {
    // A request travels in real time; only what waits for its answer is hurried.
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(HURRY_MILLISECONDS);
  }

  expect(outcome).toMatch(/^sending 1 messages to http.*headrace-reconcile: .*requestTimeout/);
});
