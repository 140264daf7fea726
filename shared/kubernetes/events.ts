// Events on a FlinkAutoscaler: what `kubectl describe fas` shows.

import { createHash } from 'node:crypto';
import { formatTime } from '../units.ts';
import type { KubernetesClient } from './client.ts';
import { collectionPath, EVENTS, FLINK_AUTOSCALERS } from './paths.ts';

export interface EventInput {
  readonly autoscaler: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** Epoch milliseconds. */
  readonly time: number;
}

/** An Event's name ends in reason and time, and has 253 characters in all. */
const MAX_NAME = 180;

/** The API server refuses longer messages. */
const MAX_MESSAGE = 1024;

/** Records one Event. Its name follows from what it says and when: the same event sent twice is one event. */
export async function createEvent(
  client: KubernetesClient,
  { autoscaler, type, reason, message, time }: EventInput,
): Promise<void> {
  const { namespace, name, uid } = autoscaler;
  await client.create(collectionPath(EVENTS, namespace), {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      namespace,
      name: `${name.slice(0, MAX_NAME)}.${reason.toLowerCase()}.${time.toString(16)}${digest(message)}`,
    },
    involvedObject: { apiVersion: FLINK_AUTOSCALERS.apiVersion, kind: 'FlinkAutoscaler', namespace, name, uid },
    type,
    reason,
    message: message.slice(0, MAX_MESSAGE),
    source: { component: 'headrace' },
    reportingComponent: 'headrace',
    reportingInstance: 'headrace',
    firstTimestamp: formatTime(time),
    lastTimestamp: formatTime(time),
    count: 1,
  });
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
