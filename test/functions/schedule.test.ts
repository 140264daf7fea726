import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import schedule from '../../events/schedule.json' with { type: 'json' };
import scheduleAnySecond from '../../events/schedule-any-second.json' with { type: 'json' };
import scheduleMalformed from '../../events/schedule-malformed.json' with { type: 'json' };
import type { Queue } from '../../infra/sandbox/routes/sqs.ts';
import { anEmptyShard, coldStart, type Shard } from '../support/sandbox.ts';

const MINUTE = Date.parse(schedule.time);

let shard: Shard;
beforeEach(async () => {
  shard = await anEmptyShard({ now: MINUTE });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await shard.close();
});

/** What is in a queue: when each message becomes visible, and what it names. */
function contentOf({ messages }: Queue) {
  return messages.map(({ visibleTime, body }) => ({
    visibleAt: new Date(visibleTime).toISOString().slice(11, 19),
    ...(JSON.parse(body) as { cluster: string; shard: string; dueTime: string; until: string }),
  }));
}

const ticks = () => contentOf(shard.sandbox.queue);
const rounds = () => contentOf(shard.sandbox.reconcileQueue);

/** One that is due and visible at a time of day, in a minute that ends at another. */
const aMessage = (time: string, end = '10:01:00') => ({
  visibleAt: time,
  cluster: 'sandbox',
  shard: 'default',
  dueTime: `2026-11-22T${time}Z`,
  until: `2026-11-22T${end}Z`,
});

describe('schedule', () => {
  it('sends the four ticks of the minute, each visible when it is due', async () => {
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(schedule);

    expect(ticks()).toEqual(['10:00:00', '10:00:15', '10:00:30', '10:00:45'].map((time) => aMessage(time)));
  });

  it('sends one round of deployments, due at once and to be followed up until the minute ends', async () => {
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(schedule);

    expect(rounds()).toEqual([aMessage('10:00:00')]);
  });

  it('counts from whatever second the rule fires at', async () => {
    shard.sandbox.clock.set(Date.parse(scheduleAnySecond.time));
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(scheduleAnySecond);

    const times = ['10:00:49', '10:01:04', '10:01:19', '10:01:34'];
    expect(ticks()).toEqual(times.map((time) => aMessage(time, '10:01:49')));
    expect(rounds()).toEqual([aMessage('10:00:49', '10:01:49')]);
  });

  it('sends at once what is due already, and drops what is a whole period late', async () => {
    shard.sandbox.clock.advance(40);
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(schedule);

    expect(ticks()).toEqual([{ ...aMessage('10:00:30'), visibleAt: '10:00:40' }, aMessage('10:00:45')]);
    expect(rounds()).toEqual([{ ...aMessage('10:00:00'), visibleAt: '10:00:40' }]);
  });

  it('sends nothing for a minute that is over', async () => {
    shard.sandbox.clock.advance(20 * 60);
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(schedule);

    expect(shard.sandbox.requests).toEqual([]);
  });

  it('sends ticks and a round for every shard of every cluster', async () => {
    const clusters = [
      { name: 'prod', shards: { 'team-a': ['orders'], 'team-b': ['payments', 'returns'] } },
      { name: 'test' },
    ];
    const invoke = await coldStart('schedule', {
      ...shard.sandbox.env,
      HEADRACE_CLUSTERS: JSON.stringify(clusters),
    });

    await invoke(schedule);

    const ofShards = ({ cluster, shard: name }: { cluster: string; shard: string }) => `${cluster}/${name}`;
    expect(ticks().map(ofShards)).toEqual(
      ['prod/team-a', 'prod/team-b', 'test/default'].flatMap((name) => Array<string>(4).fill(name)),
    );
    expect(rounds().map(ofShards)).toEqual(['prod/team-a', 'prod/team-b', 'test/default']);
  });

  it('sends no round where nobody reconciles', async () => {
    const invoke = await coldStart('schedule', { ...shard.sandbox.env, HEADRACE_RECONCILE_QUEUE_URL: undefined });

    await invoke(schedule);

    expect(ticks()).toHaveLength(4);
    expect(rounds()).toEqual([]);
  });

  it('refuses an event that is no scheduled one, and sends nothing', async () => {
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await expect(invoke(scheduleMalformed)).rejects.toThrow(/^reading the event: time: /);
    expect(shard.sandbox.requests).toEqual([]);
  });

  it('fails when the queue refuses, so that Lambda tries again', async () => {
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /^\/$/ });
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await expect(invoke(schedule)).rejects.toThrow(/^sending 4 messages to http/);
  });

  it.each([
    ['ticks', 'headrace-scale-check', { ticks: 0, rounds: 1 }],
    ['rounds', 'headrace-reconcile', { ticks: 4, rounds: 0 }],
  ])('fills the other queue when that of the %s is gone, and fails', async (_what, name, counts) => {
    const gone = (variable: string) => shard.sandbox.env[variable]?.replace(name, 'gone');
    const invoke = await coldStart('schedule', {
      ...shard.sandbox.env,
      HEADRACE_QUEUE_URL: gone('HEADRACE_QUEUE_URL'),
      HEADRACE_RECONCILE_QUEUE_URL: gone('HEADRACE_RECONCILE_QUEUE_URL'),
    });

    await expect(invoke(schedule)).rejects.toThrow(/^sending \d messages to http.*gone$/);
    expect({ ticks: ticks().length, rounds: rounds().length }).toEqual(counts);
  });

  it('says what is missing where no queue is configured', async () => {
    const invoke = await coldStart('schedule', { ...shard.sandbox.env, HEADRACE_QUEUE_URL: undefined });

    await expect(invoke(schedule)).rejects.toThrow('HEADRACE_QUEUE_URL: must be set');
  });

  it('names every fault of its environment at once', async () => {
    const invoke = await coldStart('schedule', {
      ...shard.sandbox.env,
      AWS_REGION: undefined,
      HEADRACE_CLUSTERS: 'prod',
      HEADRACE_CLOCK_URL: 'https://clock.example.com',
    });

    const refused = invoke(schedule);

    await expect(refused).rejects.toThrow('AWS_REGION: must be set');
    await expect(refused).rejects.toThrow('HEADRACE_CLUSTERS: must be JSON');
    await expect(refused).rejects.toThrow('HEADRACE_CLOCK_URL: must be on the loopback');
  });
});
