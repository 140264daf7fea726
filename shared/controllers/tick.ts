// A tick that a message asked for: is it still wanted, which namespaces, and what came of it.

import type { ControlPlane } from '../control-plane.ts';
import { TerminalError } from '../errors.ts';
import { formatTime } from '../units.ts';
import { scaleShard, type TickReport } from './scale.ts';
import { isTooLate } from './schedule.ts';

export interface TickRequest {
  readonly cluster: string;
  readonly shard: string;
  /** Epoch milliseconds. */
  readonly dueTime: number;
}

/**
 * Runs one tick, unless it comes a whole period late: the next one is due then, and sees newer metrics.
 *
 * @throws TerminalError when configuration knows no such shard; ControlPlaneError when the autoscalers cannot be listed
 */
export async function runTick(
  plane: ControlPlane,
  { cluster: name, shard, dueTime }: TickRequest,
  finish: (report: TickReport, durationMilliseconds: number) => void,
): Promise<void> {
  const startTime = await plane.now();
  if (isTooLate(dueTime, startTime)) {
    plane.log.warn('tick dropped', {
      cluster: name,
      shard,
      dueTime: formatTime(dueTime),
      reason: 'a whole period late',
    });
    return;
  }
  const namespaces = plane.clusters.find((cluster) => cluster.name === name)?.shards[shard];
  if (namespaces === undefined)
    throw new TerminalError(`running a tick: HEADRACE_CLUSTERS must have shard ${shard} of cluster ${name}`);
  const cluster = await plane.cluster(name);
  const report = await scaleShard(plane, cluster, namespaces);
  const durationMilliseconds = (await plane.now()) - startTime;
  finish(report, durationMilliseconds);
}
