import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import schedule from '../../events/schedule.json' with { type: 'json' };
import scheduleAnySecond from '../../events/schedule-any-second.json' with { type: 'json' };
import scheduleMalformed from '../../events/schedule-malformed.json' with { type: 'json' };
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

/** What is in the queue: when each message becomes visible, and the tick that it names. */
function queued() {
  return shard.sandbox.queue.messages.map(({ visibleTime, body }) => ({
    visibleAt: new Date(visibleTime).toISOString().slice(11, 19),
    ...(JSON.parse(body) as { cluster: string; shard: string; dueTime: string }),
  }));
}

const aTick = (time: string) => ({
  visibleAt: time,
  cluster: 'sandbox',
  shard: 'default',
  dueTime: `2026-11-22T${time}Z`,
});

describe('schedule', () => {
  it('sends the four ticks of the minute, each visible when it is due', async () => {
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(schedule);

    expect(queued()).toEqual(['10:00:00', '10:00:15', '10:00:30', '10:00:45'].map(aTick));
  });

  it('counts from whatever second the rule fires at', async () => {
    shard.sandbox.clock.set(Date.parse(scheduleAnySecond.time));
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(scheduleAnySecond);

    expect(queued()).toEqual(['10:00:49', '10:01:04', '10:01:19', '10:01:34'].map(aTick));
  });

  it('sends at once what is due already, and drops what is a whole period late', async () => {
    shard.sandbox.clock.advance(40);
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(schedule);

    expect(queued()).toEqual([{ ...aTick('10:00:30'), visibleAt: '10:00:40' }, aTick('10:00:45')]);
  });

  it('sends nothing for a minute that is over', async () => {
    shard.sandbox.clock.advance(20 * 60);
    const invoke = await coldStart('schedule', shard.sandbox.env);

    await invoke(schedule);

    expect(shard.sandbox.requests).toEqual([]);
  });

  it('sends ticks for every shard of every cluster', async () => {
    const clusters = [
      { name: 'prod', shards: { 'team-a': ['orders'], 'team-b': ['payments', 'returns'] } },
      { name: 'test' },
    ];
    const invoke = await coldStart('schedule', {
      ...shard.sandbox.env,
      HEADRACE_CLUSTERS: JSON.stringify(clusters),
    });

    await invoke(schedule);

    const counts = Object.entries(Object.groupBy(queued(), ({ cluster, shard: name }) => `${cluster}/${name}`)).map(
      ([name, messages]) => [name, messages?.length],
    );
    expect(counts).toEqual([
      ['prod/team-a', 4],
      ['prod/team-b', 4],
      ['test/default', 4],
    ]);
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
