// What a Flink process is told: the configuration that is part of a cluster's hash, rendered as Lyft's operator renders
// it, and the lines about one cluster, which are not.
//
// Flink reads the keys it knows and ignores all others, so the old ones stay for the hash's sake. Looked up in the option
// classes of 1.20.3 and 2.3.0: query.server.port is no option of either; jobmanager.heap.size and taskmanager.heap.size
// are none of 2.3.0; jobmanager.web.port is on both a deprecated name of rest.bind-port; high-availability of
// high-availability.type.

import { readGoQuantity } from './go-quantity.ts';
import { DEFAULT_TASK_SLOTS } from './parallelism.ts';
import type { DeployedSpec, JobManagerConfig, TaskManagerConfig } from './types.ts';

/** Ports of a Flink process, in the order of a container's list. */
export interface Ports {
  readonly rpc: number;
  readonly blob: number;
  readonly query: number;
  readonly ui: number;
  readonly metrics: number;
}

/** How many JobManagers a cluster has. */
export function jobManagersOf({ jobManagerConfig }: DeployedSpec): number {
  return jobManagerConfig?.replicas ?? 1;
}

const DEFAULT_UI_PORT = 8081;

/** The ports of spec, with defaults. */
export function portsOf(spec: DeployedSpec): Ports {
  return {
    rpc: spec.rpcPort ?? 6123,
    blob: spec.blobPort ?? 6125,
    query: spec.queryPort ?? 6124,
    ui: spec.uiPort ?? DEFAULT_UI_PORT,
    metrics: spec.metricsQueryPort ?? 50101,
  };
}

/** Resources of a container whose section of spec has none. */
export const DEFAULT_RESOURCES = {
  jobManager: { requests: { cpu: '4', memory: '3072Mi' }, limits: { cpu: '4', memory: '3072Mi' } },
  taskManager: { requests: { cpu: '2', memory: '1024Mi' }, limits: { cpu: '2', memory: '1024Mi' } },
} as const;

/** How much memory a container asks for, in bytes. */
export type MemoryReader = (quantity: unknown) => bigint | undefined;

/** Whole bytes. @returns undefined for a quantity that is none, or has a fraction of a byte */
export function readBytes(quantity: unknown): bigint | undefined {
  const nano = readGoQuantity(quantity)?.nano;
  return nano === undefined || nano % 1_000_000_000n !== 0n ? undefined : nano / 1_000_000_000n;
}

/** Bytes as Lyft's operator sees them: it takes "1.5Gi" for 0, and clusters run with a hash that says so. */
export function readBytesAsLyft(quantity: unknown): bigint {
  return readGoQuantity(quantity)?.int64 ?? 0n;
}

/**
 * Renders spec.flinkConfig with what the operator sets in it: a line "key: value" each, keys in order of their bytes.
 *
 * @returns undefined where it cannot be rendered; validate says why
 */
export function renderFlinkConfig(spec: DeployedSpec, readMemory: MemoryReader): string | undefined {
  const memory = memoryEntries(spec, readMemory);
  if (memory === undefined) return undefined;
  const own = { ...fixedEntries(spec), ...memory };
  const { 'jobmanager.rpc.address': _, ...written } = spec.flinkConfig ?? {};
  const entries = Object.entries({ ...written, ...own }).map(([key, value]) => [key, renderValue(value)] as const);
  if (entries.some(([, text]) => text === undefined)) return undefined;
  return entries
    .sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
    .map(([key, text]) => `${key}: ${text}\n`)
    .join('');
}

/** spec.flinkConfig as far as it reaches Flink, values as text: without the keys that the operator sets itself. */
export function effectiveFlinkConfig(spec: DeployedSpec): Readonly<Record<string, unknown>> {
  const own = new Set(['jobmanager.rpc.address', ...Object.keys(fixedEntries(spec)), ...memoryKeys(spec)]);
  const entries = Object.entries(spec.flinkConfig ?? {}).filter(([key]) => !own.has(key));
  return Object.fromEntries(entries.map(([key, value]) => [key, renderValue(value) ?? value]));
}

function fixedEntries(spec: DeployedSpec): Record<string, number> {
  const { rpc, blob, query, ui, metrics } = portsOf(spec);
  return {
    'taskmanager.numberOfTaskSlots': spec.taskManagerConfig?.taskSlots ?? DEFAULT_TASK_SLOTS,
    'jobmanager.rpc.port': rpc,
    'jobmanager.web.port': ui,
    'query.server.port': query,
    'blob.server.port': blob,
    'metrics.internal.query-service.port': metrics,
  };
}

function memoryEntries(spec: DeployedSpec, readMemory: MemoryReader): Record<string, string> | undefined {
  const { jobManagerConfig = {}, taskManagerConfig = {} } = spec;
  const { unusableFraction } = memoryModelOf(spec);
  if (jobManagerConfig[unusableFraction] != null || taskManagerConfig[unusableFraction] != null) return undefined;
  const [jobManagerKey, taskManagerKey] = memoryKeys(spec);
  return {
    [jobManagerKey]: memorySize(spec, 'jobManager', readMemory),
    [taskManagerKey]: memorySize(spec, 'taskManager', readMemory),
  };
}

function memoryKeys(spec: DeployedSpec): readonly [jobManager: string, taskManager: string] {
  const { setting } = memoryModelOf(spec);
  return [`jobmanager.${setting}`, `taskmanager.${setting}`];
}

/** How Flink divides its memory. */
export interface MemoryModel {
  /** The end of the key that holds the size of a process. */
  readonly setting: 'heap.size' | 'memory.process.size';
  /** The field of spec that says what share of a container's memory is not Flink's. */
  readonly fraction: 'offHeapMemoryFraction' | 'systemMemoryFraction';
  readonly defaultFraction: number;
  /** The field that belongs to the other model. */
  readonly unusableFraction: 'offHeapMemoryFraction' | 'systemMemoryFraction';
}

const HEAP_MODEL: MemoryModel = {
  setting: 'heap.size',
  fraction: 'offHeapMemoryFraction',
  defaultFraction: 0.5,
  unusableFraction: 'systemMemoryFraction',
};

const PROCESS_MODEL: MemoryModel = {
  setting: 'memory.process.size',
  fraction: 'systemMemoryFraction',
  defaultFraction: 0.2,
  unusableFraction: 'offHeapMemoryFraction',
};

/** Flink sizes whole processes from 1.11 on; a version that cannot be read counts as older. */
export function memoryModelOf({ flinkVersion = '' }: DeployedSpec): MemoryModel {
  const match = VERSION.exec(flinkVersion ?? '');
  if (match === null) return HEAP_MODEL;
  const [, numbers = '', preRelease] = match;
  const [major = 0, minor = 0, ...rest] = numbers.split('.').map(Number);
  const isFirst = major === 1 && minor === 11 && rest.every((number) => number === 0);
  if (isFirst && preRelease !== undefined) return HEAP_MODEL;
  return major > 1 || (major === 1 && minor >= 11) ? PROCESS_MODEL : HEAP_MODEL;
}

// As hashicorp/go-version reads it: "1.16.2-scala" is a version, "1.16.2-scala_2.12" is none.
const VERSION =
  /^v?(\d+(?:\.\d+)*)([A-Za-z~-][\dA-Za-z~-]*(?:\.[\dA-Za-z~-]+)*)?(?:\+[\dA-Za-z~-]+(?:\.[\dA-Za-z~-]+)*)?$/;

/**
 * Memory for one kind of process in whole KiB: what its container asks for, less a share.
 * 64Mi less 0.37 = 67108864 − 24830279.68, rounded 42278584 bytes = "41287k".
 */
export function memorySize(
  spec: DeployedSpec,
  process: 'jobManager' | 'taskManager',
  readMemory: MemoryReader,
): string {
  const config: JobManagerConfig & TaskManagerConfig = spec[`${process}Config`] ?? {};
  const { fraction, defaultFraction } = memoryModelOf(spec);
  const bytes = Number(readMemory((config.resources ?? DEFAULT_RESOURCES[process]).requests?.memory) ?? 0n);
  const share = config[fraction] ?? defaultFraction;
  const isValid = share >= 0 && share <= 1;
  return `${Math.trunc(Math.round(bytes - bytes * (isValid ? share : defaultFraction)) / 1024)}k`;
}

/** A value as Go prints it. @returns undefined for what is no text, number or truth value */
function renderValue(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return renderNumber(value);
  return typeof value === 'boolean' ? String(value) : undefined;
}

/** Go reads a JSON number without a fraction as an int64, every other as a float, and prints 0.00001 as "1e-05". */
function renderNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) return String(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** Whether JobManagers elect a leader; Flink 1.17 named the key anew, and prefers the new name. */
export function hasHighAvailability({ flinkConfig = {} }: DeployedSpec): boolean {
  const mode = flinkConfig['high-availability.type'] ?? flinkConfig['high-availability'] ?? 'none';
  return String(mode).trim().toLowerCase() !== 'none';
}

/** One process of one cluster. */
export interface Place {
  readonly namespace: string;
  /** The name under which pods find their JobManager: <application>-<hash>. */
  readonly service: string;
  /** Of the cluster's high availability. */
  readonly clusterId: string;
  readonly isJobManager: boolean;
}

/**
 * Adds to a rendered configuration what tells a process where it is. $HOST_IP is put in by the image's entrypoint. These
 * lines are no part of a hash, so here, unlike above, Headrace may do better than what it replaces.
 *
 * @returns a text in which no key comes twice: Flink's config.yaml does not bear it
 */
export function renderFlinkProperties(config: string, spec: DeployedSpec, place: Place): string {
  const placed = placeEntries(spec, place);
  const isFree = (line: string) => !placed.some(([key]) => line.startsWith(`${key}: `));
  const kept = config.split(/(?<=\n)/).filter(isFree);
  return [...kept, '\n', ...placed.map(([key, value]) => `${key}: ${value}\n`)].join('');
}

type Entry = readonly [key: string, value: string | number];

function placeEntries(spec: DeployedSpec, place: Place): readonly Entry[] {
  const { service, isJobManager } = place;
  const address: readonly Entry[] = hasHighAvailability(spec)
    ? electionEntries(spec, place)
    : [['jobmanager.rpc.address', service]];
  const own: readonly Entry[] = isJobManager
    ? [...restEntries(spec), ...retentionEntries(spec)]
    : [['taskmanager.host', '$HOST_IP']];
  return [...address, ...own];
}

/** Two clusters must not meet in one election, nor find each other's jobs, whichever service keeps them. */
function electionEntries({ flinkConfig = {} }: DeployedSpec, place: Place): readonly Entry[] {
  const { namespace, clusterId, isJobManager } = place;
  const knowsNamespace = 'kubernetes.namespace' in flinkConfig;
  return [
    ['kubernetes.cluster-id', clusterId],
    ...(isJobManager ? [['jobmanager.rpc.address', '$HOST_IP'] as const] : []),
    ['high-availability.cluster-id', clusterId],
    ...(knowsNamespace ? [] : [['kubernetes.namespace', namespace] as const]),
  ];
}

/** rest.port goes before jobmanager.web.port, so one that is set must agree with the port of service and probe. */
function restEntries(spec: DeployedSpec): readonly Entry[] {
  const { ui } = portsOf(spec);
  const isSet = 'rest.port' in (spec.flinkConfig ?? {});
  return ui === DEFAULT_UI_PORT && !isSet ? [] : [['rest.port', ui]];
}

/** The newest and the older name of the same key. */
const RETENTION_KEYS = ['execution.checkpointing.num-retained', 'state.checkpoints.num-retained'] as const;

/** A lost job is noticed within a minute; its latest checkpoint that is on record may be two minutes old by then. */
const RECORD_AGE_SECONDS = 120;
const DEFAULT_RETAINED = 10;
const MOST_RETAINED = 100;

/**
 * A JobManager that was restarted without high availability knows no checkpoints, so that a job begins again from the one on
 * record. Flink keeps one checkpoint unless it is told otherwise, and has deleted that one by then.
 */
function retentionEntries({ restartPolicy, flinkConfig = {} }: DeployedSpec): readonly Entry[] {
  if (restartPolicy !== 'FromLatestCheckpoint' || RETENTION_KEYS.some((key) => key in flinkConfig)) return [];
  const seconds = readSeconds(flinkConfig['execution.checkpointing.interval']);
  // every 10 s: 120 / 10 + 1 = 13
  const retained = seconds === undefined ? DEFAULT_RETAINED : Math.ceil(RECORD_AGE_SECONDS / seconds) + 1;
  return [[RETENTION_KEYS[1], Math.min(Math.max(retained, 2), MOST_RETAINED)]];
}

const SECONDS_PER_UNIT: Record<string, number> = { ms: 0.001, s: 1, min: 60, m: 60, h: 3600, d: 86_400 };

/** Reads one of Flink's durations, as far as it is written with a usual unit: "10 s", "1min", "30000". */
function readSeconds(duration: unknown): number | undefined {
  const [, count, unit = 'ms'] = /^(\d+)\s*([a-z]+)?$/.exec(String(duration).trim().toLowerCase()) ?? [];
  const seconds = Number(count) * (SECONDS_PER_UNIT[unit] ?? Number.NaN);
  return seconds > 0 ? seconds : undefined;
}
