// Flink's kinds of example job, each led through deploy, rescale (both modes), change and delete on real Flink; what Headrace reports and
// does at each step is a row of docs/job-kinds.md.
import { expect } from 'vitest';
import type { ApplicationStatus } from '../../../shared/deployment/types.ts';
import { countingJob, type FlinkVersion } from '../bench/flink-build.ts';
import type { FlinkWorld } from '../bench/flink-world.ts';
import { type DeployScene, type FlinkApplication, objectsOf, openDeployScene } from '../deploy-scene.ts';

/** The kinds by their names in the table, and the steps that each goes. */
export const jobKinds = {
  'unbounded, with state': walkUnbounded,
  'bounded, STREAMING': walkBounded,
  'bounded, BATCH': walkBatch,
  'fails at its start': (walk) => walkFaulty(walk, '--fail-at-start'),
  '`main` throws': (walk) => walkFaulty(walk, '--main-throws'),
} as const satisfies Readonly<Record<string, (walk: Walk) => Promise<void>>>;

export type JobKind = keyof typeof jobKinds;

export interface Row {
  readonly kind: JobKind;
  /** What was done: "change". */
  readonly step: string;
  /** "gone" for an application that was deleted. */
  readonly phase: string;
  /** "Deployed=True/Deployed", and the like for JobRunning. */
  readonly conditions: readonly string[];
  /** Those that the step added, in their order: "Warning DeployFailed". */
  readonly events: readonly string[];
  /** What became of the job. */
  readonly job: string;
  /** Of the deployed cluster. */
  readonly taskManagers: number;
}

/** Leads one application of a kind through its steps. */
export async function walkKind(world: FlinkWorld, kind: JobKind, version: FlinkVersion): Promise<readonly Row[]> {
  const walk = new Walk(await openDeployScene(world), kind, version);
  try {
    await jobKinds[kind](walk);
  } finally {
    await walk.scene.close();
  }
  return walk.rows;
}

const STAGED_JOB = { entryClass: 'dev.headrace.bench.StagedJob' };

async function walkUnbounded(walk: Walk): Promise<void> {
  await walk.deploy();
  await walk.rescale('InPlace', 2);
  await walk.rescale('NewCluster', 1);
  await walk.change('change', { programArgs: walk.arguments('--name', 'v2') });
  await walk.delete();
}

async function walkBounded(walk: Walk): Promise<void> {
  const words = ['--end-when-told'];
  await walk.deploy({}, ...words);
  await walk.rescale('InPlace', 2);
  await walk.rescale('NewCluster', 1);
  await walk.change('change', { programArgs: walk.arguments(...words, '--name', 'v2') });
  const goOn = await walk.end();
  await walk.rescale('InPlace', 3, ' (it has finished)');
  await walk.rescale('NewCluster', 2, ' (it has finished)');
  await goOn();
  await walk.change('change (it has finished)', { programArgs: walk.arguments(...words, '--name', 'v3') });
  await walk.end();
  await walk.delete(' (it has finished)');
}

async function walkBatch(walk: Walk): Promise<void> {
  const words = ['--end-when-told'];
  await walk.deploy(STAGED_JOB, ...words);
  await walk.rescale('InPlace', 3);
  await walk.rescale('NewCluster', 2);
  await walk.change('change', { programArgs: walk.arguments(...words, '--name', 'v2') });
  await walk.change('change, with `savepointDisabled`', { savepointDisabled: true });
  const goOn = await walk.end();
  await walk.rescale('InPlace', 3, ' (it has finished)');
  await walk.rescale('NewCluster', 1, ' (it has finished)');
  await goOn();
  await walk.change('change (it has finished)', { programArgs: walk.arguments(...words, '--name', 'v3') });
  await walk.delete();
}

/** Its first attempt fails, and so does every size of it, until the fault is mended. */
async function walkFaulty(walk: Walk, fault: string): Promise<void> {
  walk.flinkConfig = NO_RESTART;
  await walk.deploy({}, fault);
  await walk.rescale('InPlace', 2);
  await walk.rescale('NewCluster', 1);
  await walk.change('change that mends it', { programArgs: walk.arguments() });
  await walk.delete();
}

/** Without the half a minute for which Flink does not change a job that it has just changed, and the 100 s for which slots stay taken. */
const QUICK = {
  'jobmanager.scheduler': 'adaptive',
  'jobmanager.adaptive-scheduler.scaling-interval.min': '1 s',
  'jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling': '1 s',
  'jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout': '1 s',
  'jobmanager.adaptive-scheduler.resource-stabilization-timeout': '1 s',
  'slot.idle.timeout': '5 s',
};

/** A job that is to fail fails once, and not for as long as it may take to come up. */
const NO_RESTART = { 'restart-strategy.type': 'disable' };

/** Many walks share the processors. */
const PATIENCE = { timeoutSeconds: 400 };

/** One application, and what was seen of it. */
class Walk {
  readonly rows: Row[] = [];
  readonly scene: DeployScene;
  /** Beside what all have. */
  flinkConfig: Readonly<Record<string, string>> = {};
  readonly #kind: JobKind;
  readonly #version: FlinkVersion;
  #before: ApplicationStatus = {};
  #toldEvents = new Set<string>();

  constructor(scene: DeployScene, kind: JobKind, version: FlinkVersion) {
    this.scene = scene;
    this.#kind = kind;
    this.#version = version;
  }

  arguments(...words: readonly string[]): string {
    return this.scene.arguments('--rate', '200', ...words);
  }

  async deploy(spec: object = {}, ...words: readonly string[]): Promise<void> {
    const programArgs = this.arguments(...words);
    const given = { entryClass: countingJob.entryClass, parallelism: 2, programArgs, ...spec };
    await this.scene.create({ version: this.#version, flinkConfig: { ...QUICK, ...this.flinkConfig }, spec: given });
    await this.#settle('deploy');
  }

  async rescale(scaleMode: 'InPlace' | 'NewCluster', replicas: number, note = ''): Promise<void> {
    const { generation } = (await this.scene.application()).metadata;
    await this.scene.edit({ scaleMode, taskManagerConfig: { replicas } });
    expect((await this.scene.application()).metadata.generation).toBeGreaterThan(generation);
    await this.#settle(`rescale, ${scaleMode}${note}`);
  }

  async change(step: string, spec: object): Promise<void> {
    await this.scene.edit(spec);
    await this.#settle(step);
  }

  /** Lets the job's source end. @returns lets those that are begun later go on */
  async end(): Promise<() => Promise<void>> {
    const goOn = await this.scene.flink.cause('end');
    const isOver = ({ jobStatus }: ApplicationStatus) => jobStatus?.state === 'FINISHED';
    await this.#note('its source ends', await this.#until('FINISHED', isOver));
    return goOn;
  }

  async delete(note = ''): Promise<void> {
    await this.scene.delete();
    const isGone = async () => !(await this.scene.exists()) && (await this.scene.objects()).length === 0;
    await this.scene.until('the application gone', isGone, PATIENCE);
    const events = await this.#newEvents();
    this.#add({ step: `delete${note}`, phase: 'gone', conditions: [], events, job: 'gone', taskManagers: 0 });
  }

  /** Waits until nothing is on its way, and notes what is then reported. */
  async #settle(step: string): Promise<void> {
    const { status } = await this.#until(`${step}, settled`, (status) => this.#isSettled(status));
    const clusters = status?.deployHash ? objectsOf(status.deployHash) : ['orders'];
    const isTidy = async () => (await this.scene.objects()).every((name) => clusters.includes(name));
    await this.scene.until(`${step}: no other cluster`, isTidy, PATIENCE);
    await this.#note(step, await this.#until(`${step}, at rest`, (status) => this.#isSettled(status)));
  }

  #until(what: string, fits: (status: ApplicationStatus) => boolean): Promise<FlinkApplication> {
    return this.scene.untilStatus(what, fits, 'orders', PATIENCE);
  }

  #isSettled({ phase = '', conditions = [], failedDeploy, rollout, jobStatus }: ApplicationStatus): boolean {
    if (rollout !== undefined || !['Running', 'DeployFailed'].includes(phase)) return false;
    const hasFailed = failedDeploy !== undefined && failedDeploy.time !== this.#before.failedDeploy?.time;
    if (phase === 'DeployFailed') return hasFailed;
    // It waits for what is left of the last deploy, and then begins.
    const isAboutToBegin = conditions.some(({ reason }) => reason === 'NotUpToDate');
    return !isAboutToBegin && ['RUNNING', 'FINISHED'].includes(jobStatus?.state ?? '');
  }

  async #note(step: string, { status = {} }: FlinkApplication): Promise<void> {
    const { phase = '', conditions = [], deployHash, selector = '' } = status;
    const [valid, ...others] = conditions.map(({ type, status: word, reason }) => `${type}=${word}/${reason}`);
    expect(valid).toBe('SpecValid=True/Valid');
    this.#add({
      step,
      phase,
      conditions: others,
      events: await this.#newEvents(),
      job: await this.#describeJob(status),
      taskManagers: deployHash ? (await this.scene.flink.pods(selector)).length : 0,
    });
    this.#before = status;
  }

  async #describeJob({
    deployHash,
    jobStatus: { jobID = '', parallelism, state } = {},
  }: ApplicationStatus): Promise<string> {
    if (!deployHash) return 'none';
    const now = `${state}, parallelism ${parallelism}`;
    if (jobID === this.#before.jobStatus?.jobID) return `the same, ${now}`;
    const path = `/jobs/${jobID}/checkpoints`;
    const { latest } = await this.scene.flink
      .askJobManager<{ latest?: { restored?: object | null } }>(`orders-${deployHash}`, 'GET', path)
      // Of a job in BATCH mode there are none.
      .catch(() => ({ latest: undefined }));
    if (!latest?.restored) return `begins from the start, ${now}`;
    await this.scene.expectGoneOn(this.#before.jobStatus?.jobID ?? '', jobID, parallelism ?? 0);
    return `another, which goes on from its state, ${now}`;
  }

  async #newEvents(): Promise<readonly string[]> {
    const all = await this.scene.eventObjects();
    const added = all.filter(({ metadata }) => !this.#toldEvents.has(metadata.resourceVersion));
    this.#toldEvents = new Set(all.map(({ metadata }) => metadata.resourceVersion));
    return added.map(({ type, reason }) => `${type} ${reason}`);
  }

  #add(row: Omit<Row, 'kind'>): void {
    this.rows.push({ kind: this.#kind, ...row });
  }
}
