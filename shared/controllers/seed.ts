// Every FlinkApplication has a size: GET /scale fails while it has none. It is derived from what the user wrote, and derived anew
// when the user writes something else.

import type { Cluster } from '../control-plane.ts';
import { isSameBasis, type Seed, type SizeSpec } from '../deployment/parallelism.ts';
import { patchScaleBasis } from '../kubernetes/flink-application.ts';
import { FLINK_APPLICATIONS, type ObjectAddress } from '../kubernetes/paths.ts';
import { patchScale } from '../kubernetes/scale.ts';
import type { AutoscalerStatus, ScaleBasis } from '../scaling/types.ts';

/** An application as it was read, and what a conditional write of its size needs. */
export interface Unseeded extends ObjectAddress {
  readonly resourceVersion: string;
  readonly size: SizeSpec;
}

/**
 * Writes a size and what it was derived from, in the order that survives being killed in between (see Seed).
 *
 * @returns the application's new resourceVersion
 * @throws KubernetesError 409 when somebody wrote to the application in between
 */
export async function plantSize({ client }: Cluster, application: Unseeded, seed: Seed): Promise<string> {
  const { size } = application;
  const writeBasis = (resourceVersion: string) => patchScaleBasis(client, { ...application, resourceVersion }, size);
  const writeSize = async (resourceVersion: string, replicas: number) => {
    const target = { ...application, type: FLINK_APPLICATIONS, resourceVersion };
    return replicas === size.replicas ? resourceVersion : (await patchScale(client, target, replicas)).resourceVersion;
  };
  switch (seed.kind) {
    case 'first':
      return writeSize(await writeBasis(application.resourceVersion), seed.replicas);
    case 'edited':
      return writeBasis(await writeSize(application.resourceVersion, seed.replicas));
    case 'restored':
      return writeSize(application.resourceVersion, seed.replicas);
    case 'adopted':
      return writeBasis(application.resourceVersion);
    default:
      throw seed satisfies never;
  }
}

export interface Bounds {
  readonly minReplicas: number;
  readonly maxReplicas: number;
}

/** What is known of an application's size beside its spec. */
export interface SizeMemory {
  readonly scaleBasis?: ScaleBasis;
  /** status.lastReplicas: the size that reconcile saw last. */
  readonly lastReplicas?: number;
}

/**
 * The last size that is known for what the user wrote: as reconcile recorded it, or else as the autoscaler wanted it. (An
 * application that was deleted and made anew has no status.)
 *
 * @returns undefined where none is known, or only that for another parallelism or other slots
 */
export function lastReplicasOf(
  size: SizeSpec,
  { scaleBasis, lastReplicas }: SizeMemory,
  autoscaler: Pick<AutoscalerStatus, 'scaleBasis' | 'desiredReplicas'> = {},
): number | undefined {
  if (lastReplicas !== undefined && isSameBasis(scaleBasis, size)) return lastReplicas;
  const { desiredReplicas = 0 } = autoscaler;
  return desiredReplicas > 0 && isSameBasis(autoscaler.scaleBasis, size) ? desiredReplicas : undefined;
}

/**
 * An edit asks for a size as metrics do: never outside an autoscaler's bounds. Nor is what is restored, or begins. The first size
 * of what runs already is the one that runs.
 */
export function withinBounds(seed: Seed, { minReplicas, maxReplicas }: Bounds, isDeployed: boolean): Seed {
  if (seed.kind === 'adopted' || (seed.kind === 'first' && isDeployed)) return seed;
  return { ...seed, replicas: Math.min(Math.max(seed.replicas, minReplicas), maxReplicas) };
}
