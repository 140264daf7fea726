// What Flink's high availability keeps of its clusters, outside their JobManagers: which jobs each has that have not ended, and which
// checkpoints those have. Kept by ZooKeeper, or in ConfigMaps that anybody may see and delete.
import type { Flavour } from './flink-answers.ts';
import type { Checkpoint, FlinkJob, JobSettings } from './flink-job.ts';
import { isEnded } from './flink-job.ts';
import { type FlinkProperties, propertyOf } from './flink-properties.ts';
import type { Submission } from './job-manager.ts';
import type { KubernetesObject } from './kinds.ts';
import type { Store } from './store.ts';

/** The job of a JobManager that is gone, as its successor finds it. */
export interface KeptJob {
  readonly settings: JobSettings;
  readonly submission: Submission;
  /** Those that have not been given up, the newest first. */
  readonly checkpoints: readonly Checkpoint[];
  /** What the adaptive scheduler was told last. */
  readonly bounds: FlinkJob['bounds'];
}

/** Whose jobs they are: the JobManagers of one namespace that have the same cluster id. */
export interface Election {
  readonly key: string;
  readonly namespace: string;
  readonly clusterId: string;
  readonly isInConfigMaps: boolean;
  readonly flavour: Flavour;
}

/** The election in which a process takes part; undefined without high availability. */
export function electionOf(namespace: string, properties: FlinkProperties, flavour: Flavour): Election | undefined {
  const type = (propertyOf(properties, 'high-availability.type', 'high-availability') ?? 'none').toLowerCase();
  if (type === 'none') return undefined;
  const isInConfigMaps = type !== 'zookeeper';
  const clusterId = properties[isInConfigMaps ? 'kubernetes.cluster-id' : 'high-availability.cluster-id'] ?? 'default';
  // One ZooKeeper may serve several namespaces.
  const place = isInConfigMaps ? (properties['kubernetes.namespace'] ?? 'default') : 'zookeeper';
  return { key: `${place}/${clusterId}`, namespace, clusterId, isInConfigMaps, flavour };
}

export class HighAvailability {
  readonly #store: Store;
  readonly #jobs = new Map<string, Map<string, KeptJob>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** A JobManager has become the leader. */
  lead(election: Election): void {
    if (election.isInConfigMaps && !this.#find(election, 'cluster')) this.#write(election, 'cluster');
  }

  /** The jobs that a new leader resumes. */
  jobsOf(election: Election): readonly KeptJob[] {
    const jobs = [...(this.#jobs.get(election.key)?.values() ?? [])];
    if (!election.isInConfigMaps) return jobs;
    // Which jobs there are is in one ConfigMap, where a job's checkpoints are in another.
    if (!this.#find(election, 'cluster')) return [];
    return jobs.map((job) => (this.#find(election, job.settings.id) ? job : { ...job, checkpoints: [] }));
  }

  /** Keeps a job as it is now, or forgets one that has ended. */
  keep(election: Election, job: FlinkJob, submission: Submission): void {
    const { settings, checkpoints, bounds } = job;
    const jobs = this.#jobs.get(election.key) ?? new Map<string, KeptJob>();
    this.#jobs.set(election.key, jobs);
    if (isEnded(job)) jobs.delete(settings.id);
    else jobs.set(settings.id, { settings, submission, bounds, checkpoints: checkpoints.kept });
    if (!election.isInConfigMaps) return;
    const isThere = this.#find(election, settings.id) !== undefined;
    if (isEnded(job) && isThere) this.#store.remove('ConfigMap', election.namespace, nameOf(election, settings.id));
    if (!isEnded(job) && !isThere) this.#write(election, settings.id);
  }

  #find(election: Election, what: string): KubernetesObject | undefined {
    return this.#store.get('ConfigMap', election.namespace, nameOf(election, what));
  }

  #write(election: Election, what: string): void {
    const { namespace, clusterId, flavour } = election;
    // Flink 2 does not say any more what they are for.
    const purpose = flavour === '1.20.3' && { 'configmap-type': 'high-availability' };
    const labels = { app: clusterId, ...purpose, type: 'flink-native-kubernetes' };
    const metadata = { namespace, name: nameOf(election, what), labels };
    this.#store.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata });
  }
}

/** Of the cluster, or of one of its jobs. */
function nameOf({ clusterId }: Election, what: string): string {
  return `${clusterId}-${what}-config-map`;
}
