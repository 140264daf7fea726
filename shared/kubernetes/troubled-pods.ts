// Why pods do not come up, in the words of Kubernetes.

import * as z from 'zod';
import { POD_SELECTOR, partsOf } from './application-labels.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { collectionPath, type ObjectAddress, PODS } from './paths.ts';

/** A status has little room; the first few pods say what hinders them all. */
const MAX_TROUBLES = 5;
const MAX_TROUBLE_LENGTH = 300;

/** What a pod goes through on its way up. */
const ORDINARY = ['', 'ContainerCreating', 'PodInitializing'];

const Text = z.string().default('');
const Terminated = z.object({ exitCode: z.int(), reason: Text, message: Text });
const State = z
  .object({
    waiting: z.object({ reason: Text, message: Text }).exactOptional(),
    terminated: Terminated.exactOptional(),
  })
  .prefault({});
const Container = z.object({ name: z.string(), state: State, lastState: State });

const Pod = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    deletionTimestamp: z.string().exactOptional(),
  }),
  status: z
    .object({
      phase: Text,
      reason: Text,
      message: Text,
      conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: Text, message: Text })).default([]),
      initContainerStatuses: z.array(Container).default([]),
      containerStatuses: z.array(Container).default([]),
    })
    .prefault({}),
});

type Pod = z.output<typeof Pod>;

/**
 * Says what hinders the pods of some Deployments that are not ready: "orders-5e7c7283-tm-x2k9p: ImagePullBackOff: …". Pods
 * on their ordinary way up, and those on their way down, are passed over.
 *
 * @param podSelectors values of the label pod-deployment-selector
 * @returns at most 5 sentences and one more that counts the rest; at most 300 characters each
 */
export async function listTroubles(
  client: KubernetesClient,
  { namespace, name }: ObjectAddress,
  podSelectors: readonly string[],
): Promise<readonly string[]> {
  const query = { labelSelector: partsOf(name) };
  const pods = await client.list(
    collectionPath(PODS, namespace),
    query,
    jsonPages((item) => Pod.safeParse(item).data),
  );
  const troubles = pods
    .filter(({ metadata }) => podSelectors.includes(metadata.labels[POD_SELECTOR] ?? ''))
    .flatMap((pod) => {
      const hindrance = findHindrance(pod);
      return hindrance === undefined ? [] : [shorten(`${pod.metadata.name}: ${hindrance}`)];
    });
  const rest = troubles.length - MAX_TROUBLES;
  return rest > 0 ? [...troubles.slice(0, MAX_TROUBLES), `${rest} more pods do not come up`] : troubles;
}

function findHindrance({ metadata, status }: Pod): string | undefined {
  const isReady = status.conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
  if (isReady || metadata.deletionTimestamp !== undefined) return undefined;
  if (status.phase === 'Failed') return sentence(status.reason || 'Failed', status.message);
  const unfinished = status.initContainerStatuses.filter(({ state }) => state.terminated?.exitCode !== 0);
  const containers = [...unfinished, ...status.containerStatuses];
  for (const container of containers) {
    const hindrance = hindranceOf(container);
    if (hindrance !== undefined) return hindrance;
  }
  const scheduled = status.conditions.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' ? sentence(scheduled.reason, scheduled.message) : undefined;
}

function hindranceOf({ name, state, lastState }: z.output<typeof Container>): string | undefined {
  const { waiting } = state;
  if (waiting?.reason === 'CrashLoopBackOff')
    // Its own message tells only how long the kubelet waits.
    return sentence(waiting.reason, lastState.terminated ? describeEnd(name, lastState.terminated) : waiting.message);
  if (waiting !== undefined && !ORDINARY.includes(waiting.reason)) return sentence(waiting.reason, waiting.message);
  const end = state.terminated ?? lastState.terminated;
  return end && describeEnd(name, end);
}

/** "container taskmanager ended with exit code 137 (OOMKilled)" */
function describeEnd(container: string, { exitCode, reason, message }: z.output<typeof Terminated>): string {
  return sentence(`container ${container} ended with exit code ${exitCode}${reason && ` (${reason})`}`, message);
}

/** "ImagePullBackOff: Back-off pulling image …", on one line of at most 300 characters. */
export function explain(reason: string, message: string): string {
  return shorten(sentence(reason, message));
}

function sentence(reason: string, message: string): string {
  return message.trim() === '' ? reason : `${reason}: ${message.trim().replaceAll(/\s+/g, ' ')}`;
}

function shorten(text: string): string {
  return text.length <= MAX_TROUBLE_LENGTH ? text : `${text.slice(0, MAX_TROUBLE_LENGTH - 1)}…`;
}
