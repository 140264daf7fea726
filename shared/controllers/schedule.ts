// When a shard is looked at: four messages a minute, each delayed to its time, so that nothing has to sleep.

import type { ControlPlane } from '../control-plane.ts';
import { SYNC_PERIOD_SECONDS } from '../kubernetes/flink-autoscaler.ts';
import { formatTime } from '../units.ts';

/** One tick of one shard. */
export interface TickMessage {
  readonly cluster: string;
  readonly shard: string;
  /** RFC 3339. */
  readonly dueTime: string;
}

const MINUTE_SECONDS = 60;

/** Sends the ticks of the minute that begins at `minute` (epoch milliseconds) for every shard of every cluster. */
export async function scheduleTicks(
  plane: Pick<ControlPlane, 'now' | 'clusters' | 'queue'>,
  minute: number,
): Promise<void> {
  const now = await plane.now();
  const messages = [];
  for (const { name: cluster, shards } of plane.clusters)
    for (const shard of Object.keys(shards))
      for (let offset = 0; offset < MINUTE_SECONDS; offset += SYNC_PERIOD_SECONDS) {
        const due = minute + offset * 1000;
        if (isTooLate(due, now)) continue;
        const body = { cluster, shard, dueTime: formatTime(due) } satisfies TickMessage;
        messages.push({ body: JSON.stringify(body), delaySeconds: Math.max(0, Math.round((due - now) / 1000)) });
      }
  await plane.queue().send(messages);
}

/** Whether a tick has lost its meaning: the next one is due already. Both in epoch milliseconds. */
export function isTooLate(due: number, now: number): boolean {
  return now - due >= SYNC_PERIOD_SECONDS * 1000;
}
