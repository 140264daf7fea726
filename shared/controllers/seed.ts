// Every FlinkApplication has a size: GET /scale fails while it has none. It is derived from what the user wrote, and derived anew
// when the user writes something else.

import type { Cluster } from '../control-plane.ts';
import type { Seed, SizeSpec } from '../deployment/parallelism.ts';
import { patchScaleBasis } from '../kubernetes/flink-application.ts';
import { FLINK_APPLICATIONS, type ObjectAddress } from '../kubernetes/paths.ts';
import { patchScale } from '../kubernetes/scale.ts';

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

/** An edit asks for a size as metrics do: never outside an autoscaler's bounds. A first size is what runs already. */
export function withinBounds(seed: Seed, { minReplicas, maxReplicas }: Bounds): Seed {
  if (seed.kind !== 'edited') return seed;
  return { ...seed, replicas: Math.min(Math.max(seed.replicas, minReplicas), maxReplicas) };
}
