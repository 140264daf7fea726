// When a shard is looked at: four ticks a minute, each delayed to its time so that nothing has to sleep, and one round of
// deployments. A round calls for the next one itself, as long as something is on its way and its minute lasts.

import type { ControlPlane } from '../control-plane.ts';
import { SYNC_PERIOD_SECONDS } from '../kubernetes/flink-autoscaler.ts';
import { formatTime } from '../units.ts';
import type { ShardName } from './shard.ts';

/** One tick of one shard. Times are RFC 3339. */
export interface TickMessage extends ShardName {
  readonly dueTime: string;
  /** The end of its minute: a round that it calls for follows up until then. */
  readonly until: string;
}

/** One round of deployments over a shard. Times are RFC 3339. */
export interface RoundMessage extends ShardName {
  readonly dueTime: string;
  /** The end of its minute, from when on the next minute's round looks after the shard. */
  readonly until: string;
  /** namespace/name of those to look at; absent: all of the shard. */
  readonly applications?: readonly string[];
}

const MINUTE_SECONDS = 60;

/**
 * Sends the ticks and the round of the minute that begins at `minute` (epoch milliseconds) for every shard of every cluster.
 *
 * @throws RetryableError when a queue did not take all of them; the other queue has been sent its own then
 */
export async function scheduleMinute(
  plane: Pick<ControlPlane, 'now' | 'clusters' | 'ticks' | 'rounds'>,
  minute: number,
): Promise<void> {
  const now = await plane.now();
  const shards = plane.clusters.flatMap(({ name, shards }) =>
    Object.keys(shards).map((shard) => ({ cluster: name, shard })),
  );
  const sent = await Promise.allSettled([
    plane.ticks().send(shards.flatMap((shard) => ticksOf(shard, minute, now))),
    plane.rounds()?.send(isRoundTooLate(minute, now) ? [] : shards.map((shard) => roundOf(shard, minute))),
  ]);
  for (const outcome of sent) if (outcome.status === 'rejected') throw outcome.reason;
}

function ticksOf(shard: ShardName, minute: number, now: number) {
  const messages = [];
  for (let offset = 0; offset < MINUTE_SECONDS; offset += SYNC_PERIOD_SECONDS) {
    const due = minute + offset * 1000;
    if (isTickTooLate(due, now)) continue;
    const body = { ...shard, dueTime: formatTime(due), until: endOf(minute) } satisfies TickMessage;
    messages.push({ body: JSON.stringify(body), delaySeconds: Math.max(0, Math.round((due - now) / 1000)) });
  }
  return messages;
}

function roundOf(shard: ShardName, minute: number) {
  const body = { ...shard, dueTime: formatTime(minute), until: endOf(minute) } satisfies RoundMessage;
  return { body: JSON.stringify(body), delaySeconds: 0 };
}

function endOf(minute: number): string {
  return formatTime(minute + MINUTE_SECONDS * 1000);
}

/** Whether a tick has lost its meaning: the next one is due already. Both in epoch milliseconds. */
export function isTickTooLate(due: number, now: number): boolean {
  return now - due >= SYNC_PERIOD_SECONDS * 1000;
}

/** Whether a tick is the first of its minute, and so due together with the round. All in epoch milliseconds. */
export function isFirstOfMinute(due: number, until: number): boolean {
  return until - due >= MINUTE_SECONDS * 1000;
}

/** Whether a round has lost its meaning: that of the next minute is due already. Both in epoch milliseconds. */
export function isRoundTooLate(due: number, now: number): boolean {
  return now - due >= MINUTE_SECONDS * 1000;
}
