// The scale subresource: how any kind of target is sized.

import * as z from 'zod';
import { TerminalError } from '../errors.ts';
import type { TargetReference } from '../scaling/types.ts';
import { parseAnswer } from './answers.ts';
import type { KubernetesClient } from './client.ts';
import { isNotFound } from './errors.ts';
import { groupPath, type ObjectAddress, objectPath, type ResourceType } from './paths.ts';

/** A scale that was read, and what a conditional write of it needs. */
export interface ScaleTarget extends ObjectAddress {
  readonly type: ResourceType;
  readonly resourceVersion: string;
  readonly replicas: number;
  /** How many there are now, as the target counts them. */
  readonly statusReplicas: number;
  readonly selector: string;
}

const ScaleAnswer = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  // The API server leaves replicas out when it is 0.
  spec: z.object({ replicas: z.int().default(0) }).prefault({}),
  status: z.object({ replicas: z.int().default(0), selector: z.string().default('') }).prefault({}),
});

const ResourceList = z.object({ resources: z.array(z.object({ name: z.string(), kind: z.string() })) });

/** Reads the scale of one object. */
export async function readScale(
  client: KubernetesClient,
  type: ResourceType,
  address: ObjectAddress,
): Promise<ScaleTarget> {
  return toScaleTarget(type, address, await client.get(objectPath(type, address, 'scale')));
}

/**
 * Writes a size, if the target is still as it was read.
 *
 * @returns the target as it is now
 * @throws KubernetesError 409 when somebody wrote in between: decide again, never repeat the number
 */
export async function patchScale(
  client: KubernetesClient,
  target: ObjectAddress & { readonly type: ResourceType; readonly resourceVersion: string },
  replicas: number,
): Promise<ScaleTarget> {
  const answer = await client.patch(objectPath(target.type, target, 'scale'), {
    metadata: { resourceVersion: target.resourceVersion },
    spec: { replicas },
  });
  return toScaleTarget(target.type, target, answer);
}

function toScaleTarget(type: ResourceType, { namespace, name }: ObjectAddress, answer: unknown): ScaleTarget {
  const { metadata, spec, status } = parseAnswer(ScaleAnswer, answer, objectPath(type, { namespace, name }, 'scale'));
  return {
    type,
    namespace,
    name,
    resourceVersion: metadata.resourceVersion,
    replicas: spec.replicas,
    statusReplicas: status.replicas,
    selector: status.selector,
  };
}

type Kind = Pick<TargetReference, 'apiVersion' | 'kind'>;

/** Finds the resource of a kind; asked once per kind and client. */
export interface ScalableKinds {
  /** @throws TerminalError when there is no such kind, or it has no scale subresource */
  find(kind: Kind): Promise<ResourceType>;
  /** Whether it can be scaled or not. @throws TerminalError when there is no such kind */
  findPlural(kind: Kind): Promise<string>;
}

interface DiscoveredKind extends ResourceType {
  readonly isScalable: boolean;
}

/** Looks kinds up in the API server's discovery. What was found is remembered; what was not is asked for again. */
export function createScalableKinds(client: KubernetesClient): ScalableKinds {
  const known = new Map<string, Promise<DiscoveredKind>>();
  const lookUp = (kind: Kind) => {
    const key = `${kind.apiVersion} ${kind.kind}`;
    const remembered = known.get(key);
    if (remembered !== undefined) return remembered;
    const asked = discover(client, kind);
    known.set(key, asked);
    // Rights and CRDs come and go: only what can be used is remembered.
    asked.then(({ isScalable }) => isScalable || known.delete(key)).catch(() => known.delete(key));
    return asked;
  };
  return {
    async find(kind) {
      const { apiVersion, plural, isScalable } = await lookUp(kind);
      if (!isScalable) throw new TerminalError(`${kind.kind} in ${apiVersion} has no scale subresource`);
      return { apiVersion, plural };
    },
    async findPlural(kind) {
      return (await lookUp(kind)).plural;
    },
  };
}

async function discover(client: KubernetesClient, { apiVersion, kind }: Kind): Promise<DiscoveredKind> {
  const noMatch = `no matches for kind ${kind} in ${apiVersion || 'an empty apiVersion'}`;
  let answer: unknown;
  try {
    answer = await client.get(groupPath(apiVersion));
  } catch (cause) {
    if (isNotFound(cause)) throw new TerminalError(noMatch, { cause });
    throw cause;
  }
  // An apiVersion that is empty or has parts too many leads to something else than a list of resources.
  const parsed = ResourceList.safeParse(answer);
  if (!parsed.success) throw new TerminalError(noMatch);
  const { resources } = parsed.data;
  // Subresources are listed as "things/scale", with the kind of their own body.
  const plural = resources.find((resource) => resource.kind === kind && !resource.name.includes('/'))?.name;
  if (plural === undefined) throw new TerminalError(noMatch);
  return { apiVersion, plural, isScalable: resources.some(({ name }) => name === `${plural}/scale`) };
}
