// Calling for a round of deployments before the next minute's. It is a courtesy: without it deployments advance once a minute.

import type { ControlPlane } from '../control-plane.ts';
import { ControlPlaneError, describeError } from '../errors.ts';
import { formatTime } from '../units.ts';
import type { RoundMessage } from './schedule.ts';
import type { ShardName } from './shard.ts';

export interface RoundCall extends ShardName {
  /** Epoch milliseconds. */
  readonly dueTime: number;
  /** The end of the minute, epoch milliseconds. */
  readonly until: number;
  /** namespace/name; none: no round is needed. */
  readonly applications: readonly string[];
  readonly delaySeconds: number;
}

/** Names are 63 + 1 + 253 characters at most and three more in JSON: 160 kB, where SQS takes 256. The minute's round takes the others. */
const MAX_APPLICATIONS = 500;

/** Calls for a round over some applications. A queue that cannot be reached is told, and nothing else comes of it. */
export async function callForRound(
  plane: Pick<ControlPlane, 'log' | 'rounds'>,
  { cluster, shard, dueTime, until, applications, delaySeconds }: RoundCall,
): Promise<void> {
  const queue = plane.rounds();
  if (applications.length === 0 || queue === undefined) return;
  const message = {
    cluster,
    shard,
    dueTime: formatTime(dueTime),
    until: formatTime(until),
    applications: applications.slice(0, MAX_APPLICATIONS),
  } satisfies RoundMessage;
  try {
    await queue.send([{ body: JSON.stringify(message), delaySeconds }]);
  } catch (error) {
    if (!(error instanceof ControlPlaneError)) throw error;
    plane.log.warn('round not called for', { cluster, shard, error: describeError(error), advice: ADVICE });
  }
}

const ADVICE =
  'deployments advance once a minute until SQS can be reached; in a VPC that takes an interface endpoint of SQS or a NAT gateway';
