// What is scaled: a FlinkApplication out of the shard's list, or anything else with a scale subresource.

import type { Cluster } from '../control-plane.ts';
import { planSeed, type Seed, type SizeSpec } from '../deployment/parallelism.ts';
import type { Phase } from '../deployment/types.ts';
import { ControlPlaneError, describeError } from '../errors.ts';
import { isConflict } from '../kubernetes/errors.ts';
import type { FlinkApplication } from '../kubernetes/flink-application.ts';
import { FLINK_APPLICATIONS, keyOf, type ObjectAddress } from '../kubernetes/paths.ts';
import { readScale, type ScaleTarget } from '../kubernetes/scale.ts';
import { isNotOwned } from '../scaling/target-deployment.ts';
import type { AutoscalerSpec, AutoscalerStatus, Reading, ScaleBasis, TargetCondition } from '../scaling/types.ts';
import type { World } from './observe.ts';
import { attempt, mapReading } from './reading.ts';
import { lastReplicasOf, plantSize, withinBounds } from './seed.ts';

/** A target as it was read, with what a conditional write of its size needs. */
export interface Target extends ScaleTarget {
  /** Of a FlinkApplication's deployment. */
  readonly phase?: string;
  /** What a FlinkApplication's size follows from. */
  readonly scaleBasis?: ScaleBasis;
  /** What a FlinkApplication's status says of it. */
  readonly conditions?: readonly TargetCondition[];
}

export interface FindTargetInput {
  readonly cluster: Cluster;
  readonly world: World;
  /** Its status: what it wanted last, where the application does not remember. */
  readonly autoscaler: ObjectAddress & { readonly status?: AutoscalerStatus };
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
  const { size, phase, selector, conditions, numberOfTaskManagers: statusReplicas } = application;
  if (size === undefined)
    return {
      unreadable: `spec.parallelism and spec.taskManagerConfig.taskSlots of ${keyOf(address)} must be whole numbers above 0`,
    };

  // What an autoscaler only advises nobody has set.
  const memory = spec.mode === 'Auto' ? autoscaler.status : undefined;
  const planned = planSeed(size, application.scaleBasis, lastReplicasOf(size, application, memory));
  // Its size was taken away before reconcile has ever recorded it: only the revision that is deployed says what it was.
  if (planned?.kind === 'first' && application.hasRevision)
    return { unreadable: `spec.taskManagerConfig.replicas of ${keyOf(address)} was removed, and is not restored yet` };
  if (planned?.kind === 'first' && isForeign(application))
    return {
      unreadable: `${keyOf(address)} was deployed by another operator, and has no replicas until it is taken over`,
    };
  // A size that stands is left as it is where nothing may be written; one that is missing has to be reckoned with.
  const isLeft = seeding === 'none' && size.replicas !== undefined;
  const seed = isLeft ? undefined : planned && withinBounds(planned, spec, phase !== '');
  // An application that another operator deploys is given replicas when it is adopted.
  const planted =
    seed !== undefined && seeding === 'write' && !isNotOwned(application.conditions)
      ? await attemptToPlant(cluster, application, size, seed)
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
    ...(conditions.length > 0 && { conditions }),
    scaleBasis: { parallelism: basis.parallelism, taskSlots: basis.taskSlots },
  }));
}

/**
 * What Lyft's operator has deployed, and Headrace has not looked at since: that operator takes Headrace's conditions away with each
 * of its writes. It never says which pods are an application's, without which nothing can be scaled.
 */
function isForeign({ phase, selector, hasRevision, observedGeneration, conditions }: FlinkApplication): boolean {
  const isUnknown = !hasRevision && observedGeneration === 0 && conditions.length === 0;
  return isUnknown && DEPLOYED.includes(phase) && selector === '';
}

const DEPLOYED: readonly string[] = ['Running', 'DeployFailed', 'DualRunning'] satisfies Phase[];

/** A size that may not be written is a target that cannot be read; one that somebody else wrote first is a conflict. */
async function attemptToPlant(
  cluster: Cluster,
  application: FlinkApplication,
  size: SizeSpec,
  seed: Seed,
): Promise<Reading<string>> {
  try {
    return { value: await plantSize(cluster, { ...application, size }, seed) };
  } catch (error) {
    if (isConflict(error) || !(error instanceof ControlPlaneError)) throw error;
    return { unreadable: `its size could not be derived anew: ${describeError(error)}` };
  }
}
