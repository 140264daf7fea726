// The scale subresource: one autoscaling/v1 Scale in front of whatever fields a kind keeps its size in.
import { type Answer, jsonAnswer, type SandboxRequest } from '../exchange.ts';
import { type Fields, type Kind, type KubernetesObject, type ScalePaths, valueAt, withValueAt } from '../kinds.ts';
import { badRequest, internalError, invalid, invalidPatch } from '../statuses.ts';
import type { Store } from '../store.ts';
import { checkIdentity, readReplacement, traced } from './kubernetes-writes.ts';

const largestReplicas = 2 ** 31 - 1;

/** The Scale of an object. As a real API server, answers 500 while the object does not say its replicas. */
export function readScale(kind: Kind, object: KubernetesObject): object {
  const { specReplicas } = kind.scale as ScalePaths;
  if (kind.isCustom && valueAt(object, specReplicas) === undefined)
    throw internalError(`the spec replicas field ${JSON.stringify(`.${specReplicas.join('.')}`)} does not exist`);
  return scaleOf(kind, object);
}

/** PATCH or PUT of a Scale: sets the replicas, also where there were none before. */
export function patchScale(store: Store, kind: Kind, object: KubernetesObject, request: SandboxRequest): Answer {
  const { specReplicas } = kind.scale as ScalePaths;
  const name = object.metadata.name;
  const field = `.${specReplicas.join('.')}`;

  const asked = readReplacement(kind, scaleOf(kind, object), request);
  checkIdentity(kind, object, asked);
  const replicas = asked.spec?.replicas ?? absentReplicas(kind, object, field);
  if (!Number.isInteger(replicas) || replicas > largestReplicas)
    throw invalidPatch(
      asked,
      `cannot unmarshal ${JSON.stringify(replicas)} into Go struct field ScaleSpec.spec.replicas of type int32`,
    );
  if (replicas < 0) throw invalid(kind, name, field, `Invalid value: ${replicas}: should be a non-negative integer`);
  const after = traced(
    { store, kind, request, subresource: 'scale' },
    object,
    withValueAt(object, specReplicas, replicas),
  );
  return jsonAnswer(200, scaleOf(kind, store.replace(object, after)));
}

interface Scale {
  readonly kind: 'Scale';
  readonly apiVersion: 'autoscaling/v1';
  readonly metadata: KubernetesObject['metadata'];
  readonly spec?: { readonly replicas?: number };
  readonly status: { readonly replicas: number; readonly selector?: string };
}

function scaleOf(kind: Kind, object: KubernetesObject): Scale {
  const paths = kind.scale as ScalePaths;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  // Built-in kinds have a default of 1, which their API server writes into each object.
  const replicas = (valueAt(object, paths.specReplicas) ?? (kind.isCustom ? 0 : 1)) as number;
  const selector = selectorOf(paths, object);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp } as KubernetesObject['metadata'],
    // Go leaves out a number that is zero, here and not in the status: so is the type declared.
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: (valueAt(object, paths.statusReplicas) ?? 0) as number, ...(selector && { selector }) },
  };
}

function selectorOf(paths: ScalePaths, object: KubernetesObject): string | undefined {
  if (paths.selector) return valueAt(object, paths.selector) as string | undefined;
  const labels = (valueAt(object, ['spec', 'selector', 'matchLabels']) ?? {}) as Fields;
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}

/** A Scale without replicas means 0, unless the object itself had none: then there is nothing to keep. */
function absentReplicas(kind: Kind, object: KubernetesObject, field: string): number {
  const isSet = valueAt(object, (kind.scale as ScalePaths).specReplicas) !== undefined;
  if (!isSet && kind.isCustom) throw badRequest(`the spec replicas field ${JSON.stringify(field)} cannot be empty`);
  return 0;
}
