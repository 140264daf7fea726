// From what a client asks a JobManager to run to the settings of a job, or the words in which Flink refuses it. PURE.

import { createHash } from 'node:crypto';
import type { JobSettings, JobVertex, Retention, Snapshot } from './flink-job.ts';
import { durationSeconds, type FlinkProperties, propertyOf } from './flink-properties.ts';
import type { JarSettings, VertexSettings } from './images.ts';

export interface RunRequest {
  readonly jobId?: string;
  readonly entryClass?: string;
  readonly parallelism?: number;
  readonly programArgs?: string;
  readonly programArgsList?: readonly string[];
  readonly savepointPath?: string;
  readonly allowNonRestoredState?: boolean;
}

/** Those of the job with which the recorded answers were made. */
const defaultVertices: readonly VertexSettings[] = [
  { name: 'Source: source', id: 'e5a72f353fc1e6bbf3bd96a41384998c' },
  { name: 'work -> sink: Writer', id: '674df9b0384c0348e0b9d1034a44c46c' },
];

/** What a savepoint of such a job holds: max parallelism by vertex. */
export const defaultState: Readonly<Record<string, number>> = Object.fromEntries(
  defaultVertices.map(({ id = '' }) => [id, 128]),
);

interface Context {
  readonly behaviour: JarSettings;
  readonly properties: FlinkProperties;
  readonly request: RunRequest;
  /** What lies at savepointPath. */
  readonly snapshot: Snapshot | undefined;
}

/** What the program would run. */
export function verticesOf({ behaviour, properties, request, snapshot }: Context): readonly JobVertex[] {
  const asked = request.parallelism ?? Number(properties['parallelism.default'] ?? 1);
  const configured = properties['pipeline.max-parallelism'];
  const ofJob = behaviour.maxParallelism ?? (configured === undefined ? undefined : Number(configured));
  return (behaviour.vertices ?? defaultVertices).map((given) => {
    const vertex: VertexSettings = typeof given === 'string' ? { name: given } : given;
    const id = vertex.id ?? vertexId(vertex.name);
    const parallelism = vertex.parallelism ?? asked;
    const maxParallelism = vertex.maxParallelism ?? ofJob;
    const derived = snapshot?.vertices[id] ?? derivedMaxParallelism(parallelism);
    return {
      id,
      name: vertex.name,
      parallelism,
      maxParallelism: maxParallelism ?? derived,
      isMaxDerived: maxParallelism === undefined,
    };
  });
}

/** Half as many again, rounded up to a power of two; at least 128, at most 32,768. */
function derivedMaxParallelism(parallelism: number): number {
  return Math.min(Math.max(2 ** Math.ceil(Math.log2(parallelism + Math.floor(parallelism / 2))), 128), 32_768);
}

/** 32 hex digits that follow from a name. */
function vertexId(name: string): string {
  return createHash('md5').update(name).digest('hex');
}

/** Why the job cannot be begun with those vertices and that state, as Flink's deepest cause. Undefined: it can. */
export function submissionFault(vertices: readonly JobVertex[], { request, snapshot }: Context): string | undefined {
  const { savepointPath = '', allowNonRestoredState = false } = request;
  if (savepointPath !== '' && !snapshot) return missingState(savepointPath);
  for (const [id, max] of Object.entries(snapshot?.vertices ?? {})) {
    const vertex = vertices.find((candidate) => candidate.id === id);
    if (!vertex && !allowNonRestoredState) return unknownOperator(savepointPath, id);
    if (vertex && vertex.parallelism > max)
      return `java.lang.IllegalStateException: The state for task ${id} can not be restored. The maximum parallelism (${max}) of the restored state is lower than the configured parallelism (${vertex.parallelism}). Please reduce the parallelism of the task to be lower or equal to the maximum parallelism.`;
    if (vertex && vertex.maxParallelism !== max)
      return `java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint Checkpoint Metadata. Max parallelism mismatch between checkpoint/savepoint state and new program. Cannot map operator ${id} with max parallelism ${max} to new program with max parallelism ${vertex.maxParallelism}. This indicates that the program has been changed in a non-compatible way after the checkpoint/savepoint.`;
  }
  const wide = vertices.find(({ parallelism, maxParallelism }) => parallelism > maxParallelism);
  return (
    wide &&
    `org.apache.flink.runtime.JobException: Vertex ${wide.name}'s parallelism (${wide.parallelism}) is higher than the max parallelism (${wide.maxParallelism}). Please lower the parallelism or increase the max parallelism.`
  );
}

function missingState(path: string): string {
  const system = path.includes(':') ? path.slice(0, path.indexOf(':')) : 'file';
  return `java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory '${path}' on file system '${system}'.`;
}

function unknownOperator(path: string, id: string): string {
  return `java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint ${path}. Cannot map checkpoint/savepoint state for operator ${id} to the new program, because the operator is not available in the new program. If you want to allow to skip this, you can set the --allowNonRestoredState option on the CLI.`;
}

export interface NewJob {
  readonly id: string;
  readonly name: string;
  readonly vertices: readonly JobVertex[];
  /** Undefined: nothing speaks against the job. */
  readonly fault: string | undefined;
}

export function settingsOf({ id, name, vertices, fault }: NewJob, context: Context): JobSettings {
  const { behaviour, properties, snapshot } = context;
  const { isBatch = false } = behaviour;
  // A batch job is given a scheduler of its own, and no checkpoints, whatever is configured.
  const isAdaptive = !isBatch && (propertyOf(properties, 'jobmanager.scheduler') ?? '').toLowerCase() === 'adaptive';
  const configured = behaviour.checkpointSeconds ?? durationSeconds(properties['execution.checkpointing.interval']);
  const interval = isBatch ? undefined : configured;
  const isTooWide = fault !== undefined && /parallelism \(\d+\)/.test(fault);
  return {
    id,
    name,
    behaviour,
    vertices,
    isAdaptive,
    checkpointIntervalMs: interval === undefined || interval === 0 ? undefined : interval * 1000,
    checkpointDirectory: withoutSlash(propertyOf(properties, 'execution.checkpointing.dir', 'state.checkpoints.dir')),
    retention: retentionOf(properties),
    retainedCheckpoints: Number(
      propertyOf(properties, 'execution.checkpointing.num-retained', 'state.checkpoints.num-retained') ?? 1,
    ),
    ...restartStrategyOf(properties, interval !== undefined && interval > 0),
    stabilizationMs: stabilizationSeconds(properties) * 1000,
    slotIdleMs: (durationSeconds(properties['slot.idle.timeout']) ?? 50) * 1000,
    restoredFrom: snapshot,
    isImpossible: isAdaptive && isTooWide,
    loadFailure: isAdaptive && fault !== undefined && !isTooWide ? adaptiveTrace(fault) : undefined,
  };
}

/** The directory in which savepoints are put, unless a request names one. */
export function savepointDirectoryOf(properties: FlinkProperties): string | undefined {
  return withoutSlash(propertyOf(properties, 'execution.checkpointing.savepoint-dir', 'state.savepoints.dir'));
}

function withoutSlash(directory: string | undefined): string | undefined {
  return directory?.replace(/\/+$/, '');
}

function retentionOf(properties: FlinkProperties): Retention {
  const key = 'execution.checkpointing.externalized-checkpoint-retention';
  const text = properties[key] ?? 'NO_EXTERNALIZED_CHECKPOINTS';
  return retentions.find((retention) => retention === text.toUpperCase()) ?? 'NO_EXTERNALIZED_CHECKPOINTS';
}

const retentions = ['RETAIN_ON_CANCELLATION', 'DELETE_ON_CANCELLATION', 'NO_EXTERNALIZED_CHECKPOINTS'] as const;

/** Without checkpoints a job is not begun anew, with them for ever, unless the configuration says otherwise. */
function restartStrategyOf(properties: FlinkProperties, hasCheckpoints: boolean) {
  const type = propertyOf(properties, 'restart-strategy.type', 'restart-strategy') ?? 'default';
  const delay = durationSeconds(properties['restart-strategy.fixed-delay.delay']) ?? 1;
  const always = { restartAttempts: Number.POSITIVE_INFINITY, restartDelayMs: delay * 1000 };
  if (/^(none|off|disable)$/.test(type) || (type === 'default' && !hasCheckpoints))
    return { restartAttempts: 0, restartDelayMs: 0 };
  if (!/^fixed-?delay$/.test(type)) return always;
  return { ...always, restartAttempts: Number(properties['restart-strategy.fixed-delay.attempts'] ?? 1) };
}

function stabilizationSeconds(properties: FlinkProperties): number {
  const text = propertyOf(
    properties,
    'jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout',
    'jobmanager.adaptive-scheduler.resource-stabilization-timeout',
  );
  return durationSeconds(text) ?? 10;
}

function adaptiveTrace(fault: string): string {
  const completion = 'java.util.concurrent.CompletionException';
  return `${completion}: ${completion}: ${fault}\n\tat org.apache.flink.util.concurrent.FutureUtils.lambda$switchExecutor$24(FutureUtils.java:1333)\nCaused by: ${completion}: ${fault}\nCaused by: ${fault}\n`;
}

/** The exceptions around a fault that keep the default scheduler from beginning a job, the outermost first. */
export function initializationChain(fault: string): readonly string[] {
  // Java wraps exceptions that have to be declared.
  const isWrapped = /^(java\.io\.|org\.apache\.flink\.runtime\.JobException)/.test(fault);
  const thrown = isWrapped ? `java.lang.RuntimeException: ${fault}` : fault;
  return [
    'org.apache.flink.runtime.client.JobInitializationException: Could not start the JobMaster.',
    `java.util.concurrent.CompletionException: ${thrown}`,
    ...(isWrapped ? [thrown] : []),
    fault,
  ];
}

/** The same as a stack trace. */
export function initializationTrace(fault: string): string {
  const [outermost, ...deeper] = initializationChain(fault);
  const frame =
    '\tat org.apache.flink.runtime.jobmaster.DefaultJobMasterServiceProcess.lambda$new$0(DefaultJobMasterServiceProcess.java:97)';
  return [outermost, frame, ...deeper.map((cause) => `Caused by: ${cause}`), ''].join('\n');
}

/** Flink 1.x's own way to divide a line of arguments; quotes do not survive it. */
export function splitArguments(text: string): readonly string[] {
  const words = text.match(/([^"']\S*|".+?"|'.+?')\s*/g) ?? [];
  return words.map((word) => word.trim().replace(/["']/g, '')).filter((word) => word !== '');
}
