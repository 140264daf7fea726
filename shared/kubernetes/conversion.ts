// A HorizontalPodAutoscaler made a FlinkAutoscaler. The spec means the same, so it is copied as it is written; what is worth
// telling is what lies around it: who made the object, what is left behind, and that two autoscalers must not drive one target.

import * as z from 'zod';
import { toV2Spec } from './autoscaling-v1.ts';
import { HorizontalSpec, readMetric } from './autoscaling-v2.ts';
import { FLINK_AUTOSCALERS } from './paths.ts';

export interface ConversionOptions {
  /** Whether it only advises at first, beside the HPA that goes on acting. */
  readonly advise: boolean;
}

export interface Conversion {
  readonly manifest: object;
  /** What has no counterpart, means something else, or has to be done; a sentence each. */
  readonly notes: readonly string[];
}

/** True of every conversion. */
export const GENERAL_NOTES: readonly string[] = [
  'Headrace takes samples older than 180 s for missing, the HPA takes any (spec.controller.maxSampleAgeSeconds).',
  "Flags of the cluster's HPA controller are fields here: spec.controller has their defaults, such as a tolerance of 0.1. Set what your cluster has set otherwise.",
];

const METRICS_ANNOTATION = 'autoscaling.alpha.kubernetes.io/metrics';
/** Annotations that an API server and kubectl write for themselves. */
const INTERNAL_ANNOTATIONS = [
  METRICS_ANNOTATION,
  'autoscaling.alpha.kubernetes.io/behavior',
  'autoscaling.alpha.kubernetes.io/conditions',
  'autoscaling.alpha.kubernetes.io/current-metrics',
  'kubectl.kubernetes.io/last-applied-configuration',
];

const KEDA_LABEL = 'scaledobject.keda.sh/name';
/** Labels by which a tool recognises what it made: on another object they would have it change or prune that one. */
const OWNER_LABELS = [
  KEDA_LABEL,
  'app.kubernetes.io/managed-by',
  'app.kubernetes.io/instance',
  'argocd.argoproj.io/instance',
  'helm.sh/chart',
];

const SPEC_FIELDS = ['scaleTargetRef', 'minReplicas', 'maxReplicas', 'metrics', 'behavior'];
/** In v1 metrics and behavior are annotations: as fields the API server does not know them. */
const V1_SPEC_FIELDS = ['scaleTargetRef', 'minReplicas', 'maxReplicas', 'targetCPUUtilizationPercentage'];

const Metadata = z.looseObject({
  namespace: z.string().optional(),
  name: z.string().min(1),
  labels: z.record(z.string(), z.string()).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
  ownerReferences: z.array(z.looseObject({ kind: z.string(), name: z.string() })).nullish(),
});
type Metadata = z.output<typeof Metadata>;

const Autoscaler = z.looseObject({
  apiVersion: z.enum(['autoscaling/v1', 'autoscaling/v2', 'autoscaling/v2beta2', 'autoscaling/v2beta1']),
  kind: z.literal('HorizontalPodAutoscaler'),
  metadata: Metadata,
  spec: z.looseObject({}),
  status: z.unknown().optional(),
});
type Autoscaler = z.output<typeof Autoscaler>;

/**
 * Converts a HorizontalPodAutoscaler, autoscaling/v1, v2, v2beta2 or v2beta1.
 *
 * @returns what is wrong with it instead, as "spec.maxReplicas: must be …", where it is none that an API server would take
 */
export function convertAutoscaler(
  object: unknown,
  { advise }: ConversionOptions,
): Conversion | { readonly faults: readonly string[] } {
  const parsed = Autoscaler.safeParse(object);
  if (!parsed.success) return { faults: describeFaults(parsed.error) };
  const { metadata } = parsed.data;
  try {
    const spec = toCurrentSpec(parsed.data);
    const faults = findInexactNumbers(spec, 'spec');
    const horizontal = HorizontalSpec.safeParse(spec);
    if (!horizontal.success) faults.push(...describeFaults(horizontal.error, ['spec']));
    if (faults.length > 0) return { faults };
    const labels = Object.entries(metadata.labels ?? {}).filter(([key]) => !OWNER_LABELS.includes(key));
    const manifest = {
      apiVersion: FLINK_AUTOSCALERS.apiVersion,
      kind: 'FlinkAutoscaler',
      metadata: {
        ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
        name: metadata.name,
        ...(labels.length > 0 && { labels: Object.fromEntries(labels) }),
      },
      spec: {
        ...pick(spec, SPEC_FIELDS),
        ...(advise && { mode: 'Advise' }),
      },
    };
    return {
      manifest,
      notes: [noteHandover(metadata, advise), ...noteAll(parsed.data, spec)],
    };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    return { faults: describeFaults(error, ['spec']) };
  }
}

function describeFaults({ issues }: z.ZodError, prefix: readonly string[] = []): string[] {
  return issues.map(({ path, message }) => `${[...prefix, ...path].join('.')}: ${message}`);
}

function toCurrentSpec({ apiVersion, metadata, spec }: Autoscaler): Readonly<Record<string, unknown>> {
  const annotations = metadata.annotations ?? {};
  if (apiVersion === 'autoscaling/v1') return toV2Spec({ metadata: { annotations }, spec: pick(spec, V1_SPEC_FIELDS) });
  if (apiVersion !== 'autoscaling/v2beta1' || spec.metrics == null) return spec;
  // v2beta1 writes its metrics as the annotation of a v1 object does.
  const converted = toV2Spec({
    metadata: { annotations: { [METRICS_ANNOTATION]: JSON.stringify(spec.metrics) } },
    spec,
  });
  return { ...spec, metrics: converted.metrics };
}

function pick(spec: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => spec[name] != null).map((name) => [name, spec[name]]));
}

/** A number that JSON or YAML could not carry exactly would become another one. */
function findInexactNumbers(value: unknown, path: string): string[] {
  if (typeof value === 'number' && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER))
    return [`${path}: ${value} is too large to be read exactly: write it in quotes`];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, field]) => findInexactNumbers(field, `${path}.${key}`));
}

function noteHandover({ name }: Metadata, advise: boolean): string {
  if (advise)
    return `It advises (spec.mode) while HorizontalPodAutoscaler ${name} goes on acting. To hand over, delete that one and set mode: Auto.`;
  return `Delete HorizontalPodAutoscaler ${name} when this is applied: while both exist, Headrace stands still (AmbiguousSelector).`;
}

function noteAll(autoscaler: Autoscaler, spec: Readonly<Record<string, unknown>>): readonly string[] {
  return [...noteOwners(autoscaler.metadata), ...noteLeftBehind(autoscaler), ...noteTarget(spec), ...noteMetrics(spec)];
}

function noteOwners({ name, labels, annotations, ownerReferences }: Metadata): readonly string[] {
  const owners = ownerReferences ?? [];
  const scaledObject = owners.find(({ kind }) => kind === 'ScaledObject')?.name ?? labels?.[KEDA_LABEL];
  const notes = owners
    .filter(({ kind }) => kind !== 'ScaledObject')
    .map((owner) => `It is owned by ${owner.kind} ${owner.name}, which may make the HPA again when it is deleted.`);
  if (scaledObject !== undefined)
    notes.push(
      `KEDA made it for ScaledObject ${scaledObject} and makes it again when it is deleted: delete that, or let it go with the annotation autoscaling.keda.sh/paused. KEDA serves the External metrics only while the ScaledObject is there.`,
    );
  const manager = labels?.['app.kubernetes.io/managed-by'];
  const release = annotations?.['meta.helm.sh/release-name'];
  const hasArgo = [...Object.keys(labels ?? {}), ...Object.keys(annotations ?? {})].some((key) =>
    key.startsWith('argocd.argoproj.io/'),
  );
  const tool = release !== undefined ? `Helm release ${release}` : hasArgo ? 'Argo CD' : manager;
  if (tool !== undefined && scaledObject === undefined)
    notes.push(`HorizontalPodAutoscaler ${name} is managed by ${tool}: take it out there, or it comes back.`);
  return notes;
}

function noteLeftBehind({ apiVersion, metadata, spec, status }: Autoscaler): readonly string[] {
  const notes: string[] = [];
  const annotations = Object.keys(metadata.annotations ?? {}).filter((key) => !INTERNAL_ANNOTATIONS.includes(key));
  if (annotations.length > 0) notes.push(`Annotations are left behind: ${annotations.join(', ')}.`);
  const labels = Object.keys(metadata.labels ?? {}).filter((key) => OWNER_LABELS.includes(key));
  if (labels.length > 0) notes.push(`Labels of the tool that made it are left behind: ${labels.join(', ')}.`);
  const known = apiVersion === 'autoscaling/v1' ? V1_SPEC_FIELDS : SPEC_FIELDS;
  const unknown = Object.keys(spec).filter((field) => !known.includes(field));
  if (unknown.length > 0)
    notes.push(`Fields that ${apiVersion} does not have are left out: spec.${unknown.join(', spec.')}.`);
  if (hasUnreadableMetrics(metadata))
    notes.push(
      `Annotation ${METRICS_ANNOTATION} is no list of metrics in JSON: it is passed over, as the API server does.`,
    );
  if (status != null && Object.keys(status).length > 0)
    notes.push('Its status is left behind: the current size counts as the first recommendation.');
  return notes;
}

function hasUnreadableMetrics({ annotations }: Metadata): boolean {
  const text = annotations?.[METRICS_ANNOTATION];
  if (text === undefined) return false;
  try {
    return !Array.isArray(JSON.parse(text));
  } catch {
    return true;
  }
}

function noteTarget({ scaleTargetRef }: Readonly<Record<string, unknown>>): readonly string[] {
  const { apiVersion = '', kind, name } = scaleTargetRef as { apiVersion?: string; kind: string; name: string };
  const notes: string[] = [];
  if (!apiVersion.includes('/'))
    notes.push(
      `scaleTargetRef.apiVersion must name a group and version, such as apps/v1, but is ${JSON.stringify(apiVersion)}: the API server will refuse it.`,
    );
  if (kind !== 'FlinkApplication')
    notes.push(
      `Headrace is installed with rights for FlinkApplications; for ${kind} ${name} see infra/kubernetes/rbac.yaml.`,
    );
  return notes;
}

function noteMetrics({ metrics }: Readonly<Record<string, unknown>>): readonly string[] {
  const written = (metrics ?? []) as ({ type: string } & Record<string, unknown>)[];
  if (written.length === 0) return ['It names no metric: both follow CPU at 80 % of the requests.'];
  return written.flatMap((metric, index) => {
    const place = `Metric ${index + 1} (${metric.type})`;
    const read = readMetric(metric);
    if (read.type === 'Unsupported') return [`${place} fails here, as it does in the HPA: ${read.message}.`];
    const mismatch = describeMismatch(metric, read.target.type);
    return mismatch === undefined ? [] : [`${place}: ${mismatch}`];
  });
}

/** The field of a target that holds the value of its type. */
const VALUE_FIELDS = {
  Utilization: 'averageUtilization',
  AverageValue: 'averageValue',
  Value: 'value',
} as const;

/** The value that is given counts, whatever the type says, here as in the HPA. */
function describeMismatch(
  metric: Readonly<Record<string, unknown>>,
  counted: keyof typeof VALUE_FIELDS,
): string | undefined {
  const source = metric[(metric.type as string).slice(0, 1).toLowerCase() + (metric.type as string).slice(1)];
  const target = (source as { target: Readonly<Record<string, unknown>> }).target;
  const ignored = Object.values(VALUE_FIELDS).filter(
    (field) => field !== VALUE_FIELDS[counted] && target[field] != null,
  );
  const also = ignored.length === 0 ? '' : `; ${ignored.join(' and ')} is not looked at`;
  if (target.type !== counted)
    return `target.type says ${target.type ?? 'nothing'}, but ${VALUE_FIELDS[counted]} is what counts${also}.`;
  return ignored.length === 0 ? undefined : `${VALUE_FIELDS[counted]} is what counts${also}.`;
}
