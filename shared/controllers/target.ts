// What is scaled: a FlinkApplication out of the shard's list, or anything else with a scale subresource.

import type { Cluster } from '../control-plane.ts';
import { planSeed, type Seed } from '../deployment/parallelism.ts';
import { ControlPlaneError, describeError, TerminalError } from '../errors.ts';
import { isConflict } from '../kubernetes/errors.ts';
import { type FlinkApplication, patchScaleBasis } from '../kubernetes/flink-application.ts';
import { FLINK_APPLICATIONS, keyOf, type ObjectAddress } from '../kubernetes/paths.ts';
import { patchScale, readScale, type ScaleTarget } from '../kubernetes/scale.ts';
import type { AutoscalerSpec, Reading, ScaleBasis } from '../scaling/types.ts';
import type { World } from './observe.ts';
import { attempt, mapReading } from './reading.ts';

/** A target as it was read, with what a conditional write of its size needs. */
export interface Target extends ScaleTarget {
  /** Of a FlinkApplication's deployment. */
  readonly phase?: string;
  /** What a FlinkApplication's size follows from. */
  readonly scaleBasis?: ScaleBasis;
}

export interface FindTargetInput {
  readonly cluster: Cluster;
  readonly world: World;
  readonly autoscaler: ObjectAddress;
  readonly spec: AutoscalerSpec;
  /** Whether a size that follows from the spec is written, only reckoned with (a rehearsal), or left to others. */
  readonly seeding: 'write' | 'reckon' | 'none';
}

/**
 * Finds the target of an autoscaler. A FlinkApplication without a size is given one first.
 *
 * @throws KubernetesError 409 when somebody wrote to the application while it was being seeded
 */
export async function findTarget(input: FindTargetInput): Promise<Reading<Target>> {
  const { cluster, autoscaler, spec } = input;
  const { apiVersion, kind, name } = spec.target;
  if (kind === 'FlinkApplication' && apiVersion === FLINK_APPLICATIONS.apiVersion) return findApplication(input);
  return attempt(
    cluster.kinds
      .find({ apiVersion, kind })
      .then((type) => readScale(cluster.client, type, { namespace: autoscaler.namespace, name })),
  );
}

async function findApplication(input: FindTargetInput): Promise<Reading<Target>> {
  const { cluster, world, autoscaler, spec, seeding } = input;
  if ('unreadable' in world.applications) return world.applications;
  const address = { namespace: autoscaler.namespace, name: spec.target.name };
  const application = world.applications.value.get(keyOf(address));
  if (application === undefined)
    return { unreadable: `flinkapplications.flink.k8s.io ${JSON.stringify(address.name)} not found` };
  const { size, phase, selector, numberOfTaskManagers: statusReplicas } = application;
  if (size === undefined)
    return {
      unreadable: `spec.parallelism and spec.taskManagerConfig.taskSlots of ${keyOf(address)} must be whole numbers above 0`,
    };

  const planned = planSeed(size, application.scaleBasis);
  // A size that stands is left as it is where nothing may be written; one that is missing has to be reckoned with.
  const seed = seeding === 'none' && planned?.kind !== 'first' ? undefined : planned && withinBounds(planned, spec);
  const planted =
    seed !== undefined && seeding === 'write'
      ? await attemptToPlant(cluster, application, seed)
      : { value: application.resourceVersion };
  const basis = seed === undefined ? (application.scaleBasis ?? size) : size;
  return mapReading(planted, (resourceVersion) => ({
    ...address,
    type: FLINK_APPLICATIONS,
    resourceVersion,
    replicas: (seed === undefined || seed.kind === 'adopted' ? size.replicas : seed.replicas) ?? 0,
    statusReplicas,
    selector,
    phase,
    scaleBasis: { parallelism: basis.parallelism, taskSlots: basis.taskSlots },
  }));
}

/** An edit asks for a size as metrics do: never outside the bounds. A first size is what runs already. */
function withinBounds(seed: Seed, { minReplicas, maxReplicas }: AutoscalerSpec): Seed {
  if (seed.kind !== 'edited') return seed;
  return { ...seed, replicas: Math.min(Math.max(seed.replicas, minReplicas), maxReplicas) };
}

/** A size that may not be written is a target that cannot be read; one that somebody else wrote first is a conflict. */
async function attemptToPlant(cluster: Cluster, application: FlinkApplication, seed: Seed): Promise<Reading<string>> {
  try {
    return { value: await plant(cluster, application, seed) };
  } catch (error) {
    if (isConflict(error) || !(error instanceof ControlPlaneError)) throw error;
    return { unreadable: `its size could not be derived anew: ${describeError(error)}` };
  }
}

/**
 * Writes a size and what it was derived from, in the order that survives being killed in between (see Seed).
 *
 * @returns the application's new resourceVersion
 */
async function plant({ client }: Cluster, application: FlinkApplication, seed: Seed): Promise<string> {
  const { size } = application;
  if (size === undefined) throw new TerminalError(`seeding ${keyOf(application)}: it has no size`);
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
