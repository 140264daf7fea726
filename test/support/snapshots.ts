import { readFileSync } from 'node:fs';

export interface SnapshotCase {
  readonly snapshot: WireSnapshot;
  readonly expect: {
    readonly desiredReplicas: number | null;
    readonly rescale: boolean;
    readonly failed?: boolean;
    readonly limited?: string;
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
  };
}

/** A snapshot as it stands in a file, as far as tests look into it. */
export interface WireSnapshot {
  readonly name: string;
  readonly now: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly autoscaler: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: { readonly namespace: string; readonly name: string };
    readonly spec: Readonly<Record<string, unknown>>;
    readonly status?: object;
  };
  readonly [key: string]: unknown;
}

/** The cases of the Kubernetes HPA controller; see test/cases/hpa-snapshots.md. */
export const snapshotCases: readonly SnapshotCase[] = readFileSync(
  new URL('../cases/hpa-snapshots.ndjson', import.meta.url),
  'utf8',
)
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as SnapshotCase);

/** The instant of aSnapshot(). */
const SNAPSHOT_TIME = Date.parse('2026-03-01T12:00:00Z');

export interface SnapshotOptions {
  readonly name?: string;
  /** After SNAPSHOT_TIME. */
  readonly seconds?: number;
  readonly replicas?: number;
  /** Of the CPU that each pod requests; the target is 40. */
  readonly cpuPercent?: number;
  /** Laid over the autoscaler's spec. */
  readonly spec?: object;
  readonly status?: object;
}

/** A FlinkAutoscaler, CPU at 40 %, 1 to 20 replicas; as many ready pods as replicas, all of them equally busy. */
export function aSnapshot(options: SnapshotOptions = {}): WireSnapshot {
  const { name = 'orders', seconds = 0, replicas = 2, cpuPercent = 80, spec = {}, status } = options;
  const now = new Date(SNAPSHOT_TIME + seconds * 1000).toISOString();
  const labels = { app: name };
  const pods = Array.from({ length: replicas }, (_, index) => ({
    namespace: 'flink',
    name: `${name}-${index}`,
    labels,
  }));
  return {
    kind: 'Snapshot',
    name,
    now,
    autoscaler: {
      apiVersion: 'headrace.dev/v1alpha1',
      kind: 'FlinkAutoscaler',
      metadata: { namespace: 'flink', name },
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
        minReplicas: 1,
        maxReplicas: 20,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 40 } } },
        ],
        ...spec,
      },
      ...(status !== undefined && { status }),
    },
    scale: { spec: { replicas }, status: { replicas, selector: `app=${name}` } },
    pods: pods.map((metadata) => ({
      metadata,
      spec: { containers: [{ name: 'main', resources: { requests: { cpu: '1' } } }] },
      status: {
        phase: 'Running',
        startTime: '2026-03-01T10:00:00Z',
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-03-01T10:01:00Z' }],
      },
    })),
    podMetrics: pods.map((metadata) => ({
      metadata,
      timestamp: now,
      window: '15s',
      containers: [{ name: 'main', usage: { cpu: `${cpuPercent * 10}m` } }],
    })),
  };
}
