// A tick that a message asked for: is it still wanted, which namespaces, what came of it, and who should know.

import type { ControlPlane } from '../control-plane.ts';
import { formatTime } from '../units.ts';
import { callForRound } from './call-for-round.ts';
import { scaleShard, type TickReport } from './scale.ts';
import { isFirstOfMinute, isTickTooLate } from './schedule.ts';
import { openShard, type ShardName } from './shard.ts';

export interface TickRequest extends ShardName {
  /** Epoch milliseconds. */
  readonly dueTime: number;
  /** The end of its minute, epoch milliseconds. Default: when it is due, so that a round which it calls for is the only one. */
  readonly until?: number | undefined;
}

/**
 * Runs one tick, unless it comes a whole period late: the next one is due then, and sees newer metrics. Applications that have
 * changed are given to reconcile at once.
 *
 * @throws TerminalError when configuration knows no such shard; ControlPlaneError when the autoscalers cannot be listed
 */
export async function runTick(
  plane: ControlPlane,
  { cluster: name, shard, dueTime, until = dueTime }: TickRequest,
  finish: (report: TickReport, durationMilliseconds: number) => void,
): Promise<void> {
  const startTime = await plane.now();
  if (isTickTooLate(dueTime, startTime)) {
    plane.log.warn('tick dropped', {
      cluster: name,
      shard,
      dueTime: formatTime(dueTime),
      reason: 'a whole period late',
    });
    return;
  }
  const { cluster, namespaces } = await openShard(plane, { cluster: name, shard });
  const report = await scaleShard(plane, cluster, namespaces);
  const now = await plane.now();
  finish(report, now - startTime);
  // What the minute's first tick finds changed, the round that is due with it finds too: one look is enough.
  const changed = isFirstOfMinute(dueTime, until) ? [] : report.changed;
  const applications = [...new Set([...changed, ...report.rescaled])];
  await callForRound(plane, { cluster: name, shard, dueTime: now, until, applications, delaySeconds: 0 });
}
