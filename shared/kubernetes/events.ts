// Events on what users made: `kubectl describe fas` and `kubectl describe flinkapp` show them.

import { createHash } from 'node:crypto';
import { formatTime } from '../units.ts';
import type { KubernetesClient } from './client.ts';
import { collectionPath, EVENTS, FLINK_APPLICATIONS, FLINK_AUTOSCALERS, type ObjectAddress } from './paths.ts';

export interface EventInput {
  readonly object: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** Epoch milliseconds. */
  readonly time: number;
}

/** What an Event is about. */
export interface ObjectReference extends ObjectAddress {
  readonly apiVersion: string;
  readonly kind: string;
  readonly uid: string;
}

/** Refers to a FlinkAutoscaler. */
export function autoscalerReference({
  namespace,
  name,
  uid,
}: ObjectAddress & { readonly uid: string }): ObjectReference {
  return { apiVersion: FLINK_AUTOSCALERS.apiVersion, kind: 'FlinkAutoscaler', namespace, name, uid };
}

/** Refers to a FlinkApplication. */
export function applicationReference({
  namespace,
  name,
  uid,
}: ObjectAddress & { readonly uid: string }): ObjectReference {
  return { apiVersion: FLINK_APPLICATIONS.apiVersion, kind: 'FlinkApplication', namespace, name, uid };
}

/** An Event's name ends in reason and time, and has 253 characters in all. */
const MAX_NAME = 180;

/** The API server refuses longer messages. */
const MAX_MESSAGE = 1024;

/** Records one Event. Its name follows from what it says, of what, and when: the same event sent twice is one event. */
export async function createEvent(
  client: KubernetesClient,
  { object, type, reason, message, time }: EventInput,
): Promise<void> {
  const { namespace, name, kind } = object;
  await client.create(collectionPath(EVENTS, namespace), {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      namespace,
      name: `${name.slice(0, MAX_NAME)}.${reason.toLowerCase()}.${time.toString(16)}${digest(`${kind} ${message}`)}`,
    },
    involvedObject: object,
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
