// HorizontalPodAutoscalers are read for one thing: to stand still where one of them has the same target.

import type { TargetReference } from '../scaling/types.ts';
import { jsonPages, type KubernetesClient } from './client.ts';
import { listAll, type Namespaces } from './lists.ts';
import { HORIZONTAL_POD_AUTOSCALERS } from './paths.ts';

export interface HorizontalPodAutoscaler {
  readonly namespace: string;
  readonly name: string;
  readonly target: TargetReference;
}

/** Lists the HorizontalPodAutoscalers of a shard. */
export function listHorizontalPodAutoscalers(
  client: KubernetesClient,
  namespaces: Namespaces,
): Promise<HorizontalPodAutoscaler[]> {
  return listAll(client, HORIZONTAL_POD_AUTOSCALERS, namespaces, jsonPages(readHorizontalPodAutoscaler));
}

interface WireAutoscaler {
  metadata?: { namespace?: string; name?: string };
  spec?: { scaleTargetRef?: { apiVersion?: string; kind?: string; name?: string } };
}

function readHorizontalPodAutoscaler(item: unknown): HorizontalPodAutoscaler | undefined {
  const { metadata, spec } = (item ?? {}) as WireAutoscaler;
  const { apiVersion = '', kind, name } = spec?.scaleTargetRef ?? {};
  if (metadata?.namespace === undefined || metadata.name === undefined || kind === undefined || name === undefined)
    return undefined;
  return { namespace: metadata.namespace, name: metadata.name, target: { apiVersion, kind, name } };
}
