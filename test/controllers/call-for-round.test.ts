import { describe, expect, it } from 'vitest';
import type { DelayedMessage, Queue } from '../../shared/aws/queue.ts';
import { callForRound, type RoundCall } from '../../shared/controllers/call-for-round.ts';
import { RetryableError } from '../../shared/errors.ts';

const SQS_MAXIMUM_BYTES = 262_144;

const NOW = Date.parse('2026-01-01T10:00:20Z');

function aCall(call: Partial<RoundCall> = {}): RoundCall {
  const until = Date.parse('2026-01-01T10:01:00Z');
  return {
    cluster: 'prod',
    shard: 'default',
    dueTime: NOW,
    until,
    applications: ['flink/orders'],
    delaySeconds: 0,
    ...call,
  };
}

/** A plane whose queue of rounds is this one; it keeps what it warns of. */
function aPlane(rounds: Queue | undefined) {
  const warnings: object[] = [];
  const log = {
    info: () => {},
    warn: (message: string, data: object) => void warnings.push({ message, ...data }),
    error: () => {},
  };
  return { log, rounds: () => rounds, warnings };
}

function aQueue() {
  const sent: DelayedMessage[] = [];
  return { sent, send: async (messages: readonly DelayedMessage[]) => void sent.push(...messages) };
}

describe('callForRound', () => {
  it('sends one message that names the applications', async () => {
    const queue = aQueue();

    await callForRound(aPlane(queue), aCall({ applications: ['flink/orders', 'shop/returns'], delaySeconds: 3 }));

    expect(queue.sent.map(({ body, delaySeconds }) => ({ delaySeconds, ...JSON.parse(body) }))).toEqual([
      {
        delaySeconds: 3,
        cluster: 'prod',
        shard: 'default',
        dueTime: '2026-01-01T10:00:20Z',
        until: '2026-01-01T10:01:00Z',
        applications: ['flink/orders', 'shop/returns'],
      },
    ]);
  });

  it('sends nothing where there is nothing to look at', async () => {
    const queue = aQueue();

    await callForRound(aPlane(queue), aCall({ applications: [] }));

    expect(queue.sent).toEqual([]);
  });

  it('names no more than SQS takes in one message, however long their names are', async () => {
    const queue = aQueue();
    const name = (index: number) => `${'n'.repeat(63)}/${String(index).padStart(253, 'a')}`;
    const applications = Array.from({ length: 2000 }, (_, index) => name(index));

    await callForRound(aPlane(queue), aCall({ applications }));

    const [{ body = '' } = {}] = queue.sent;
    expect(Buffer.byteLength(body)).toBeLessThan(SQS_MAXIMUM_BYTES);
    expect(JSON.parse(body).applications).toEqual(applications.slice(0, 500));
  });

  it('warns of a queue that cannot be reached, and goes on', async () => {
    const plane = aPlane({ send: () => Promise.reject(new RetryableError('sending 1 messages to https://sqs')) });

    await callForRound(plane, aCall());

    expect(plane.warnings).toMatchObject([
      { message: 'round not called for', cluster: 'prod', error: 'sending 1 messages to https://sqs' },
    ]);
  });

  it('hides no fault of its own', async () => {
    const plane = aPlane({ send: () => Promise.reject(new TypeError('client is undefined')) });

    await expect(callForRound(plane, aCall())).rejects.toThrow('client is undefined');
    expect(plane.warnings).toEqual([]);
  });
});
