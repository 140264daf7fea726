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
  /** Whether a FlinkApplication's size may be written; otherwise it is only reckoned with. */
  readonly maySeed: boolean;
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

async function findApplication({
  cluster,
  world,
  autoscaler,
  spec,
  maySeed,
}: FindTargetInput): Promise<Reading<Target>> {
  if ('unreadable' in world.applications) return world.applications;
  const address = { namespace: autoscaler.namespace, name: spec.target.name };
  const application = world.applications.value.get(keyOf(address));
  if (application === undefined)
    return { unreadable: `flinkapplications.flink.k8s.io ${JSON.stringify(address.name)} not found` };
  if (application.size === undefined)
    return {
      unreadable: `spec.parallelism and spec.taskManagerConfig.taskSlots of ${keyOf(address)} must be whole numbers above 0`,
    };

  const seed = planSeed(application.size, application.scaleBasis);
  const replicas = seed === undefined || seed.kind === 'adopted' ? application.size.replicas : seed.replicas;
  const planted =
    seed !== undefined && maySeed
      ? await attemptToPlant(cluster, application, seed)
      : { value: application.resourceVersion };
  const { phase, selector, numberOfTaskManagers: statusReplicas, size } = application;
  const scaleBasis = { parallelism: size.parallelism, taskSlots: size.taskSlots };
  return mapReading(planted, (resourceVersion) => ({
    ...address,
    type: FLINK_APPLICATIONS,
    resourceVersion,
    replicas: replicas ?? 0,
    statusReplicas,
    selector,
    phase,
    scaleBasis,
  }));
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
