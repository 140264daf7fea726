// Real Flink clusters on a real control plane: whoever creates Deployments in a namespace of this world gets processes.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, inject } from 'vitest';
import type { ControlPlane } from './control-plane.ts';
import { eventually, HopelessError } from './eventually.ts';
import { countingJob, type FlinkVersion, flinkVersions } from './flink-build.ts';
import { flinkImage, toolsImage } from './flink-image.ts';
import {
  type HaService,
  type HighAvailability,
  prepareHighAvailability,
  zooKeeperImage,
  zooKeeperImageName,
} from './high-availability.ts';
import { type JobCount, readJobCounts } from './job-counts.ts';
import { type Image, type Kubelet, startKubelet } from './kubelet.ts';
import { sharedControlPlane } from './shared-control-plane.ts';
import { createNamespace } from './workloads.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    flinkFolder: string;
  }
}

/** The 10 s until the first probe of a JobManager, and the 5 s between two, are of no interest here. */
const probeDelayFactor = 0.1;

export interface FlinkWorld {
  readonly controlPlane: ControlPlane;
  /** A new namespace whose pods run: until the end of the test that calls this, or of the file when it is called before the tests. */
  createNamespace(): Promise<FlinkNamespace>;
}

/**
 * Gives a test file real Flink clusters. When a test fails, the logs of all pods are kept, and it is said where.
 * The images are `bench/flink:VERSION`, with anything after a further hyphen, `bench/tools` and the one of ZooKeeper; all others
 * cannot be pulled.
 */
export function useFlinkWorld(): FlinkWorld {
  let controlPlane: ControlPlane;
  let directory: string;
  let kubelet: Kubelet;
  let namespacesOfTest: string[] | undefined;

  beforeAll(async () => {
    controlPlane = await sharedControlPlane();
    directory = await mkdtemp(join(inject('controlPlaneDirectory'), 'flink-'));
    const { admin } = controlPlane;
    const certificateAuthority = Buffer.from(controlPlane.certificateAuthority, 'base64').toString();
    kubelet = await startKubelet({ admin, certificateAuthority, directory, findImage, probeDelayFactor });
  });
  beforeEach(() => {
    namespacesOfTest = [];
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await keepLogs(kubelet.logFolder);
    await Promise.all(namespacesOfTest?.map(kubelet.forsake) ?? []);
    namespacesOfTest = undefined;
  });
  afterAll(() => kubelet?.close());

  return {
    get controlPlane() {
      return controlPlane;
    },
    createNamespace: async () => {
      const name = await createNamespace(controlPlane.admin, 'flink');
      namespacesOfTest?.push(name);
      kubelet.serve(name);
      const folder = join(directory, name, 'outside');
      await Promise.all(['control', 'output'].map((part) => mkdir(join(folder, part), { recursive: true })));
      return new FlinkNamespace({ name, folder, controlPlane, kubelet });
    },
  };
}

function findImage(name: string): Image | undefined {
  if (name === zooKeeperImageName) return zooKeeperImage(join(inject('flinkFolder'), flinkVersions[0]));
  if (name === 'bench/tools') return toolsImage;
  const version = flinkVersions.find((version) => `${name}-`.startsWith(`bench/flink:${version}-`));
  if (version === undefined) return undefined;
  const home = join(inject('flinkFolder'), version);
  return flinkImage({ home, jars: [join(home, countingJob.jar)] });
}

interface Surroundings {
  readonly name: string;
  /** What lies outside the pods, as in a bucket: checkpoints, savepoints, and what the jobs write. */
  readonly folder: string;
  readonly controlPlane: ControlPlane;
  readonly kubelet: Kubelet;
}

export class FlinkNamespace {
  readonly name: string;
  readonly #around: Surroundings;

  constructor(surroundings: Surroundings) {
    this.name = surroundings.name;
    this.#around = surroundings;
  }

  /** What each cluster here should have in its configuration: where checkpoints and savepoints go. */
  get flinkConfig(): Readonly<Record<string, string>> {
    const { folder } = this.#around;
    return {
      'execution.checkpointing.dir': `file://${folder}/checkpoints`,
      'execution.checkpointing.savepoint-dir': `file://${folder}/savepoints`,
      'execution.checkpointing.externalized-checkpoint-retention': 'RETAIN_ON_CANCELLATION',
    };
  }

  /** Sets the namespace up for highly available clusters, and returns what an application adds to its spec. To be called once. */
  async prepareHighAvailability(service: HaService): Promise<HighAvailability> {
    const { folder, controlPlane } = this.#around;
    const storage = join(folder, 'high-availability');
    return prepareHighAvailability(service, { admin: controlPlane.admin, namespace: this.name, storage });
  }

  /** A folder that lies outside the pods, for what an init container leaves to Flink. */
  get sharedFolder(): string {
    return join(this.#around.folder, 'shared');
  }

  /** Where the jar of the counting job lies on this machine. */
  jarOf(version: FlinkVersion): string {
    return join(inject('flinkFolder'), version, countingJob.jar);
  }

  /** What the counting job must be given for the helpers here to work; others may be added (../flink/README.md). */
  get jobArguments(): readonly string[] {
    const { folder } = this.#around;
    return ['--output', join(folder, 'output'), '--control', join(folder, 'control'), '--checkpoint-ms', '500'];
  }

  /** Asks the JobManager behind a service, through the API server; throws unless it answers below 300. */
  async askJobManager<Answer>(service: string, method: string, path: string, body?: unknown): Promise<Answer> {
    const proxy = `/api/v1/namespaces/${this.name}/services/${service}:ui/proxy`;
    return this.#around.controlPlane.admin.send<Answer>(method, `${proxy}${path}`, body);
  }

  /** What a counting job has counted, at every checkpoint and savepoint so far. */
  async jobCounts(jobId: string): Promise<readonly JobCount[]> {
    return readJobCounts(join(this.#around.folder, 'output'), jobId);
  }

  /** The ids of all jobs that have ever counted here, sorted: a job that never started has counted nothing. */
  async countedJobs(): Promise<readonly string[]> {
    return (await readdir(join(this.#around.folder, 'output'))).sort();
  }

  /** Waits for a checkpoint that fits; throws after 60 s, and at once when the job has lost or repeated a record. */
  async waitForCount(jobId: string, fits: (count: JobCount) => boolean): Promise<JobCount> {
    const isFaulty = ({ gaps, repeats }: JobCount) => gaps > 0 || repeats > 0;
    const look = async () => {
      const counts = await this.jobCounts(jobId);
      const faulty = counts.find(isFaulty);
      if (faulty) throw new HopelessError(`job ${jobId} has lost or repeated records: ${JSON.stringify(faulty)}`);
      return counts.find(fits);
    };
    return eventually(`a count of job ${jobId}`, look, { timeoutSeconds: 60 });
  }

  /**
   * Lets every job here fail again and again, or whenever it starts, or each of their snapshots, or those end that are to end when they are
   * told, until the function that is returned is called.
   */
  async cause(fault: 'fail' | 'fail-at-start' | 'fail-snapshots' | 'end'): Promise<() => Promise<void>> {
    const file = join(this.#around.folder, 'control', fault);
    await writeFile(file, '');
    return () => rm(file);
  }

  /** The names of the pods that a selector picks and that are not being deleted. */
  async pods(labelSelector: string): Promise<readonly string[]> {
    const query = new URLSearchParams({ labelSelector });
    const path = `/api/v1/namespaces/${this.name}/pods?${query}`;
    const { items } = await this.#around.controlPlane.admin.send<{ items: readonly PodName[] }>('GET', path);
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.name);
  }

  /** Kills the process in a pod, as if it had run out of memory; the pod stays, and starts another. Throws when nothing runs there. */
  killProcess(pod: string): void {
    this.#around.kubelet.killProcess(this.name, pod);
  }

  /** Ends all that runs here at once, before the test or the file ends. */
  async close(): Promise<void> {
    await this.#around.kubelet.forsake(this.name);
  }
}

interface PodName {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
}

/** Copies the logs to a place that outlives the run, and says what they complain of. */
async function keepLogs(logFolder: string): Promise<void> {
  const kept = await mkdtemp(join(tmpdir(), 'headrace-failed-'));
  await cp(logFolder, kept, { recursive: true });
  const files = await readdir(kept, { recursive: true });
  const complaints = await Promise.all(
    files
      .filter((file) => file.endsWith('.log'))
      .map(async (file) => {
        const lines = (await readFile(join(kept, file), 'utf8')).split('\n');
        const telling = lines.filter((line) => /kubelet:| ERROR |Exception/.test(line));
        return `${file}\n${telling.slice(-8).join('\n')}`;
      }),
  );
  console.error(`the logs of the pods are in ${kept}\n${complaints.join('\n\n')}`);
}
