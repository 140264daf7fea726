// Watches an application while it is deployed: what must hold whatever happens and whatever goes wrong.

import type { SandboxRequest } from '../../infra/sandbox/exchange.ts';
import type { Run } from '../../infra/sandbox/ledger.ts';
import type { ApplicationSpec, ApplicationStatus } from '../../shared/deployment/types.ts';
import type { Deployments } from './deployments.ts';
import type { ImageOptions } from './troubled-courses.ts';

/** The newest state of an application, as far as it can be known. */
export interface Origin {
  /** Undefined: there is none. */
  readonly path: string | undefined;
  /** Records that are counted in it. */
  readonly count: number;
  /** What the application's last job was begun from, kept or not. */
  readonly beginning?: string | undefined;
  /** The JobManager of that job does not know it any more: what it had not told is not known. */
  readonly isLost: boolean;
  /** That job ran, and left nothing of its own. */
  readonly leftNothing: boolean;
}

export class Judge {
  readonly #orders: Deployments;
  readonly #complain: (complaint: string) => void;
  /** Every snapshot that stood in the status once. */
  readonly #told = new Set<string>();
  /** Jobs whose state is the application's: what a version that did not come up leaves counts for nothing. */
  readonly #own = new Set<string>();
  readonly #imagesByRevision = new Map<string, string>();
  readonly #images = new Map<string, ImageOptions & { readonly since: number }>();
  #submitted = 0;
  #isDeleting = false;
  #wasToSuspend = false;
  #wasTogether = false;

  constructor(orders: Deployments, complain: (complaint: string) => void) {
    this.#orders = orders;
    this.#complain = complain;
    const { store, hooks } = orders.sandbox;
    store.subscribe(({ kind, after }) => {
      if (kind === 'FlinkApplication' && (after?.spec as { suspend?: boolean } | undefined)?.suspend)
        this.#wasToSuspend = true;
      if (kind === 'FlinkApplication' && after) this.#note((after.status ?? {}) as ApplicationStatus);
      if (kind === 'ControllerRevision' && after?.metadata.labels?.['flink-app'])
        this.#imagesByRevision.set(after.metadata.name, (after.data as { spec: ApplicationSpec }).spec.image);
    });
    hooks.after((request) => this.#judge(request));
  }

  /** From now on an image is like this. */
  describe(image: string, options: ImageOptions): void {
    this.#images.set(image, { ...options, since: this.#orders.sandbox.clock.now() });
  }

  /** The user has deleted the application: its job may be ended for that. */
  expectDeletion(): void {
    this.#isDeleting = true;
  }

  /** Never two jobs at once, and never a fault of the program's own. */
  look(): void {
    const isTogether = this.#orders.ledger().aliveTogetherSeconds > 0;
    if (isTogether && !this.#wasTogether) this.#complain(`two jobs at once: ${this.describeRuns()}`);
    this.#wasTogether = isTogether;
    for (const warning of this.#orders.warnings)
      if (/TypeError|RangeError|Cannot read/.test(warning)) this.#complain(`a fault of the program: ${warning}`);
  }

  describeRuns(): string {
    return this.#orders.runs().map(describeRun).join(', ');
  }

  #note({ savepointPath, jobStatus, rollout, deployHash, suspension, savepoints = [] }: ApplicationStatus): void {
    for (const { path } of savepoints) this.#told.add(path);
    for (const path of [savepointPath, jobStatus?.lastCheckpoint, jobStatus?.restorePath, suspension?.savepointPath])
      if (path) this.#told.add(path);
    if (deployHash === undefined) return;
    const deployed = rollout === undefined ? jobStatus?.jobID : rollout.oldJobId;
    const restarted = rollout?.kind === 'Restart' ? rollout.jobId : undefined;
    for (const id of [deployed, rollout?.rollbackJobId, restarted]) if (id) this.#own.add(id);
  }

  #judge({ method, path, query, body }: SandboxRequest): void {
    if (method === 'POST' && path.endsWith('/run')) this.#judgeBeginnings();
    const cancels = method === 'PATCH' && query.get('mode') === 'cancel';
    const isCancelled = path.endsWith('/savepoints') && String(body).includes('"cancel-job":true');
    const saves = method === 'POST' && (path.endsWith('/stop') || isCancelled);
    const [, id = ''] = /\/jobs\/([0-9a-f]{32})/.exec(path) ?? [];
    if ((cancels || saves) && this.#own.has(id) && !this.#isDeleting) this.#judgeEnd(id);
  }

  /** A job is ended for a version that may come up, and for nothing else. */
  #judgeEnd(id: string): void {
    const { rollout, currentRevision, phase } = this.#orders.status();
    if (rollout === undefined) {
      this.#complain(`job ${id} is stopped for nothing in phase ${phase}`);
      return;
    }
    // One that does not come up in time is ended and begun again.
    if (rollout.rollbackJobId === id || rollout.kind === 'Restart') return;
    if (rollout.kind === 'Suspend') {
      // Whoever has not seen it yet that the user has taken that back ends it all the same; it is brought back then.
      if (!this.#wasToSuspend) this.#complain(`job ${id} is stopped to be suspended, and nobody asked for that`);
      return;
    }
    if (rollout.revision === currentRevision) this.#complain(`job ${id} is stopped for what runs, in phase ${phase}`);
    if (rollout.kind !== 'NewCluster') return;
    const { pullable, jar, since } = this.#images.get(this.#imagesByRevision.get(rollout.revision) ?? '') ?? {};
    // What becomes of an image while it is being deployed cannot be foreseen.
    if (since === undefined || since >= Date.parse(rollout.startTime)) return;
    const isUnrehearsed = this.#orders.events().includes('Warning NotRehearsed');
    if (pullable === false) this.#complain(`job ${id} is stopped for an image that cannot be pulled`);
    if (jar?.mainThrows && !isUnrehearsed) this.#complain(`job ${id} is stopped for a main method that throws`);
  }

  #judgeBeginnings(): void {
    const runs = this.#orders.runs();
    for (const [index, run] of runs.entries())
      if (index >= this.#submitted && !run.isResumed)
        this.#judgeBeginning(run, this.#newestOf(runs.slice(0, index), run));
    this.#submitted = runs.length;
  }

  /** A job is in the status before it is submitted, and begins from the newest state that is kept. */
  #judgeBeginning(run: Run, newest: Origin): void {
    const { rollout, phase } = this.#orders.status();
    if (run.jobId !== rollout?.jobId && run.jobId !== rollout?.rollbackJobId)
      this.#complain(`job ${run.jobId} was submitted, and is not in the status`);
    if (this.#mayBeginThere(run, newest)) return;
    const seen = `${describeRun(run)} and not from ${newest.path} (${newest.count})`;
    this.#complain(`${rollout?.kind} in ${phase} begins ${seen}: ${this.describeRuns()}`);
  }

  #mayBeginThere({ jobId, restoredFrom, startCount }: Run, newest: Origin): boolean {
    const { rollout, jobStatus } = this.#orders.status();
    const { savepointDisabled, fallbackWithoutState } = this.specNow();
    if (restoredFrom === newest.path) return true;
    // A version that is rolled back takes what it has done with it.
    const isRolledBack = rollout?.rollsBackTo !== undefined && jobId === rollout.jobId;
    if (isRolledBack) return restoredFrom === rollout.rollsBackTo?.savepointPath;
    if (restoredFrom === undefined) {
      if (savepointDisabled && rollout?.kind !== 'Restart') return true;
      // Its checkpoints went with it, and what it was begun from is older than they were.
      return newest.leftNothing && fallbackWithoutState === true;
    }
    // What is on record may be older than what is kept, or gone.
    if (newest.isLost && restoredFrom === jobStatus?.lastCheckpoint) return true;
    // Nothing is kept: a beginning that failed is tried once more.
    if (newest.path === undefined) return restoredFrom === newest.beginning;
    // A checkpoint and a savepoint of the same instant are worth the same.
    return startCount === newest.count;
  }

  specNow(): ApplicationSpec {
    return this.#orders.application().spec as unknown as ApplicationSpec;
  }

  /** There is something from which its job can begin again, as far as can be known. */
  hasState(): boolean {
    const { path, leftNothing } = this.newest();
    return path !== undefined && !leftNothing;
  }

  newest(): Origin {
    return this.#newestOf(this.#orders.runs());
  }

  /** Of the job that was the application's last, before the next. One that left nothing goes on from where it was begun. */
  #newestOf(runs: readonly Run[], next?: Run): Origin {
    const last = runs.findLast(({ jobId }) => this.#own.has(jobId));
    if (last === undefined) return { path: undefined, count: 0, isLost: false, leftNothing: false };
    // A JobManager takes an id once: one that is used again was not known any more.
    const isLost = last.jobId === next?.jobId || !this.#orders.jobs().some(({ id }) => id === last.jobId);
    const snapshots = this.#orders.sandbox.flink.snapshots();
    const [left] = snapshots
      .filter(({ jobId, path }) => jobId === last.jobId && (!isLost || this.#told.has(path)))
      .toSorted((a, b) => b.time - a.time || Number(b.isSavepoint) - Number(a.isSavepoint));
    const beginning = snapshots.find(({ path }) => path === last.restoredFrom);
    const { path, count = 0 } = left ?? beginning ?? {};
    const leftNothing = left === undefined && last.startTime !== undefined;
    return { path, count, beginning: last.restoredFrom, isLost, leftNothing };
  }
}

/** "1f0c2a orders:2 4 RUNNING 500..730 from s3://…" */
function describeRun({ jobId, image, parallelism, state, restoredFrom = 'nothing', startCount, count }: Run): string {
  return `${jobId.slice(0, 6)} ${image} ${parallelism} ${state} ${startCount}..${count} from ${restoredFrom}`;
}
