// One simulated JobManager: its jobs, its TaskManagers, and its REST API in the words of Flink 1.20.3 and 2.3.0. What it knows dies
// with its process; only snapshots outlive it.
import { createHash } from 'node:crypto';
import { type Answer, jsonAnswer, type SandboxRequest, textAnswer } from './exchange.ts';
import {
  checkpointConfig,
  checkpointsOf,
  dashboardConfiguration,
  exceptionsOf,
  type Flavour,
  failureCause,
  jobConfig,
  jobDetails,
  jobList,
  jobsOverview,
  overview,
  planAnswer,
  resourceRequirements,
  savepointStatus,
  type TaskManagerView,
  taskManagerList,
  tasksOn,
} from './flink-answers.ts';
import {
  advance,
  type Bounds,
  cancel,
  type FlinkJob,
  fail,
  failedAtStart,
  failureOf,
  heldSlots,
  isBatch,
  isEnded,
  nextChangeTime,
  resume,
  type SavepointOperation,
  type SlotOffer,
  type Snapshot,
  snapshotsOf,
  statusOf,
  submit,
  triggerSavepoint,
} from './flink-job.ts';
import { durationSeconds, type FlinkProperties } from './flink-properties.ts';
import {
  badId,
  causes,
  contentType,
  differentLibraries,
  duplicates,
  errors,
  FlinkRefusal,
  failedToExecute,
  handlerError,
  invocation,
  jobNotFound,
  missingSavepoint,
  noCheckpointing,
  noCheckpoints,
  noParallelism,
  noSavepointDirectory,
  noSuchJob,
  notAdaptive,
  programError,
  restException,
  serverError,
  stillInitializing,
} from './flink-refusals.ts';
import type { KeptJob } from './high-availability.ts';
import type { Images, JarSettings } from './images.ts';
import {
  initializationChain,
  initializationTrace,
  type RunRequest,
  savepointDirectoryOf,
  settingsOf,
  splitArguments,
  submissionFault,
  verticesOf,
} from './job-submission.ts';

export interface JobManagerOptions {
  readonly image: string;
  readonly flavour: Flavour;
  readonly properties: FlinkProperties;
  readonly images: Images;
  /** What lies in the pretend object store, by path. */
  readonly storage: Map<string, Snapshot>;
  readonly now: () => number;
  /** Ends the process. */
  readonly exit: () => void;
  /** Whether a TaskManager takes tasks of a job: not where it knows the id from an earlier JobManager. */
  readonly takesTasks: (taskManager: string, jobId: string) => boolean;
  /** Called with each new state of a job. */
  readonly onChange: (job: FlinkJob, submission: Submission) => void;
  /** Jobs of the JobManager before it, which it resumes. */
  readonly kept: readonly KeptJob[];
}

/** What a client asked to be run. */
export interface Submission {
  readonly jar: string;
  readonly entryClass: string | undefined;
  /** As the program got them. */
  readonly programArgs: readonly string[];
  readonly savepointPath: string | undefined;
  /** Epoch milliseconds. */
  readonly time: number;
  /** By an earlier JobManager; this one has found the job. */
  readonly isResumed?: boolean;
}

interface RegisteredTaskManager {
  readonly id: string;
  readonly ip: string;
  readonly slots: number;
  readonly time: number;
}

type Handler = (parts: readonly string[], request: SandboxRequest) => Answer;

/** A TaskManager is listed before it has told of its slots. */
const slotReportMs = 1000;
const heartbeatMs = 10_000;
/** metrics.fetcher.update-interval */
const metricsIntervalMs = 10_000;
const disposalMs = 1000;
const id32 = /^[0-9a-f]{32}$/;

export class JobManager {
  readonly #options: JobManagerOptions;
  readonly #jobs = new Map<string, FlinkJob>();
  readonly #submissions = new Map<string, Submission>();
  readonly #taskManagers = new Map<string, RegisteredTaskManager>();
  /** Operations on jobs that were not there, which fail. */
  readonly #strayOperations = new Map<string, number>();
  readonly #disposals = new Map<
    string,
    { readonly path: string; readonly endTime: number; readonly outcome?: object }
  >();
  /** What was last computed of a job for those that ask: Flink does it anew only every few seconds. */
  readonly #seen = new Map<string, { readonly job: FlinkJob; readonly time: number }>();
  readonly #collected = new Map<
    string,
    { readonly time: number; readonly metrics: Readonly<Record<string, string>> }
  >();
  readonly #written = new Set<string>();
  /** How many ids were made up here. */
  #ids = 0;

  constructor(options: JobManagerOptions) {
    this.#options = options;
    for (const job of options.kept) this.#resume(job);
  }

  #resume({ settings, submission, checkpoints, bounds }: KeptJob): void {
    const now = this.#options.now();
    const job = { ...resume(settings, checkpoints, now), bounds };
    // What it holds lies in the object store already.
    for (const { path } of snapshotsOf(job)) this.#written.add(path);
    const savepointPath = job.settings.restoredFrom?.path;
    this.#submissions.set(settings.id, { ...submission, savepointPath, time: now, isResumed: true });
    this.#keep(job);
  }

  /** The newest job first. */
  get jobs(): readonly FlinkJob[] {
    return [...this.#jobs.values()].reverse();
  }

  register({ id, ip, slots }: Omit<RegisteredTaskManager, 'time'>): void {
    this.#taskManagers.set(id, { id, ip, slots, time: this.#options.now() });
  }

  unregister(id: string): void {
    this.#taskManagers.delete(id);
  }

  /** Brings every job to the present. Returns when it is to be done again. */
  look(): number {
    const now = this.#options.now();
    this.#endDisposals();
    for (let isChanging = true; isChanging; ) {
      isChanging = false;
      for (const [id, job] of this.#jobs) {
        const next = this.#deploy(job, advance(job, this.#offersTo(id), now), now);
        if (next !== job) this.#keep(next);
        isChanging ||= next !== job;
      }
    }
    const reports = [...this.#taskManagers.values()]
      .map(({ time }) => time + slotReportMs)
      .filter((time) => time > now);
    const disposals = [...this.#disposals.values()].map(({ endTime }) => endTime).filter((time) => time > now);
    return Math.min(...reports, ...disposals, ...[...this.#jobs.values()].map((job) => nextChangeTime(job, now)));
  }

  /** Hands the tasks of a job that has been given slots to its TaskManagers. */
  #deploy(before: FlinkJob, job: FlinkJob, now: number): FlinkJob {
    const { placement, settings } = job;
    if (placement === before.placement) return job;
    const isRefused = placement.some(({ taskManager }) => !this.#options.takesTasks(taskManager, settings.id));
    return isRefused ? fail(job, { ...failureOf(job, ''), trace: differentLibraries(settings.id) }, now) : job;
  }

  /** Lets a task of a job fail. */
  fail(id: string, cause: string, isFatal: boolean): void {
    const job = this.#jobNamed(id);
    this.#keep(fail(job, failureOf(job, cause), this.#options.now(), isFatal));
  }

  cancel(id: string): void {
    this.#keep(cancel(this.#jobNamed(id), this.#options.now()));
  }

  /** TaskManagers on which tasks of running jobs are. */
  get busyTaskManagers(): ReadonlySet<string> {
    const counting = [...this.#jobs.values()].filter(({ stage }) => stage.kind === 'Running');
    return new Set(counting.flatMap(({ placement }) => placement.map(({ taskManager }) => taskManager)));
  }

  answer(request: SandboxRequest): Answer {
    try {
      return this.#route(request);
    } catch (error) {
      if (error instanceof FlinkRefusal) return error.answer;
      throw error;
    }
  }

  #route(request: SandboxRequest): Answer {
    this.look();
    for (const [method, pattern, handle] of this.#routes) {
      const parts = pattern.exec(request.path);
      if (method === request.method && parts) return handle(parts.slice(1).map(decodeURIComponent), request);
    }
    if (request.method !== 'GET') return errors(404, `Not found: ${request.path}`);
    return errors(404, `Unable to load requested file ${request.path}.`);
  }

  readonly #routes: readonly (readonly [string, RegExp, Handler])[] = [
    ['GET', /^\/overview$/, () => this.#json(overview(this.#flavour, this.jobs, this.#views()))],
    ['GET', /^\/taskmanagers$/, () => this.#json(taskManagerList(this.#flavour, this.#views()))],
    ['GET', /^\/config$/, () => this.#json(dashboardConfiguration(this.#flavour, this.#refreshMs))],
    ['GET', /^\/jobmanager\/config$/, () => this.#json(this.#configuration())],
    ['GET', /^\/jobs$/, () => this.#json(jobList(this.jobs))],
    ['GET', /^\/jobs\/overview$/, () => this.#json(jobsOverview(this.#flavour, this.jobs, this.#options.now()))],
    ['GET', /^\/jobs\/([^/]+)$/, this.#ofJob((job) => jobDetails(this.#flavour, job, this.#options.now()))],
    ['GET', /^\/jobs\/([^/]+)\/config$/, this.#ofJob((job) => jobConfig(this.#flavour, job))],
    ['GET', /^\/jobs\/([^/]+)\/exceptions$/, this.#ofJob((job, query) => this.#exceptions(job, query))],
    ['GET', /^\/jobs\/([^/]+)\/metrics$/, ([id = ''], { query }) => this.#metrics(id, query)],
    ['GET', /^\/jobs\/([^/]+)\/checkpoints$/, ([id = '']) => this.#checkpoints(id)],
    ['GET', /^\/jobs\/([^/]+)\/checkpoints\/config$/, ([id = ''], request) => this.#checkpointConfig(id, request)],
    ['PATCH', /^\/jobs\/([^/]+)$/, ([id = ''], { query }) => this.#terminate(id, query)],
    ['POST', /^\/jobs\/([^/]+)\/savepoints$/, ([id = ''], request) => this.#savepoint(id, request, 'savepoint')],
    ['POST', /^\/jobs\/([^/]+)\/stop$/, ([id = ''], request) => this.#savepoint(id, request, 'stop')],
    ['GET', /^\/jobs\/([^/]+)\/savepoints\/([^/]+)$/, ([id = '', trigger = '']) => this.#savepointStatus(id, trigger)],
    ['POST', /^\/savepoint-disposal$/, (_, request) => this.#dispose(request)],
    ['GET', /^\/savepoint-disposal\/([^/]+)$/, ([trigger = '']) => this.#disposalStatus(trigger)],
    ['GET', /^\/jobs\/([^/]+)\/resource-requirements$/, ([id = '']) => this.#requirements(id)],
    ['PUT', /^\/jobs\/([^/]+)\/resource-requirements$/, ([id = ''], request) => this.#require(id, request)],
    [
      'POST',
      /^\/jars\/([^/]+)\/plan$/,
      ([jar = ''], request) => this.#submitting(jar, request, (run) => this.#plan(run)),
    ],
    [
      'POST',
      /^\/jars\/([^/]+)\/run$/,
      ([jar = ''], request) => this.#submitting(jar, request, (run) => this.#run(run)),
    ],
  ];

  get #flavour(): Flavour {
    return this.#options.flavour;
  }

  #json(value: unknown): Answer {
    return jsonAnswer(200, value, contentType);
  }

  #keep(job: FlinkJob): void {
    const { id } = job.settings;
    const before = this.#jobs.get(id);
    this.#jobs.set(id, job);
    this.#store(before, job);
    this.#options.onChange(job, this.#submissions.get(id) as Submission);
  }

  /** Puts new snapshots into the object store, and takes out those that the job gave up. */
  #store(before: FlinkJob | undefined, job: FlinkJob): void {
    const { storage } = this.#options;
    const held = snapshotsOf(job).filter(({ path }) => path.includes('/'));
    for (const snapshot of held) {
      if (this.#written.has(snapshot.path)) continue;
      this.#written.add(snapshot.path);
      storage.set(snapshot.path, snapshot);
    }
    for (const { path } of before ? snapshotsOf(before) : [])
      if (!held.some((snapshot) => snapshot.path === path)) storage.delete(path);
  }

  #jobNamed(id: string): FlinkJob {
    const job = this.#jobs.get(id);
    if (!job) throw new Error(`the JobManager has no job ${id}`);
    return job;
  }

  /** Every slot that no other job uses. */
  #offersTo(id: string): readonly SlotOffer[] {
    const now = this.#options.now();
    const others = [...this.#jobs.values()].filter(({ settings }) => settings.id !== id);
    return [...this.#taskManagers.values()]
      .filter(({ time }) => now >= time + slotReportMs)
      .map(({ id: taskManager, slots }) => ({ taskManager, slots: slots - usedSlots(others, taskManager, now) }));
  }

  #views(): readonly TaskManagerView[] {
    const now = this.#options.now();
    const jobs = [...this.#jobs.values()];
    return [...this.#taskManagers.values()].map(({ id, ip, slots, time }) => {
      const hasReported = now >= time + slotReportMs;
      return {
        id,
        ip,
        slots: hasReported ? slots : 0,
        freeSlots: hasReported ? slots - usedSlots(jobs, id, now) : 0,
        tasks: jobs.reduce((sum, job) => sum + tasksOn(job, id), 0),
        lastHeartbeatTime: hasReported ? now - ((now - time) % heartbeatMs) : 0,
      };
    });
  }

  #configuration(): object {
    return Object.entries(this.#options.properties).map(([key, value]) => ({ key, value }));
  }

  /** Answers about a job as it was seen last, which may have been some seconds ago. */
  #ofJob(describe: (job: FlinkJob, query: URLSearchParams) => object): Handler {
    return ([id = ''], { query }) => {
      if (!id32.test(id)) return badId('jobid', id);
      const job = this.#see(id);
      return job ? this.#json(describe(job, query)) : jobNotFound(id);
    };
  }

  get #refreshMs(): number {
    return (durationSeconds(this.#options.properties['web.refresh-interval']) ?? 3) * 1000;
  }

  #see(id: string): FlinkJob | undefined {
    const now = this.#options.now();
    const seen = this.#seen.get(id);
    if (seen && now < seen.time + this.#refreshMs && now >= seen.time) return seen.job;
    const job = this.#jobs.get(id);
    if (job) this.#seen.set(id, { job, time: now });
    return job;
  }

  #exceptions(job: FlinkJob, query: URLSearchParams): object {
    return exceptionsOf(this.#flavour, job, Number(query.get('maxExceptions') ?? 20));
  }

  /** Metrics are collected when somebody asks for them, and told to whoever asks next; of a job that nobody knows there are none. */
  #metrics(id: string, query: URLSearchParams): Answer {
    if (!id32.test(id)) return badId('jobid', id);
    const now = this.#options.now();
    const collected = this.#collected.get(id);
    const job = this.#jobs.get(id);
    if (job && (collected === undefined || now >= collected.time + metricsIntervalMs))
      this.#collected.set(id, { time: now, metrics: { numRestarts: String(job.restarts) } });
    const names = query.get('get')?.split(',') ?? [];
    const known = Object.entries(collected?.metrics ?? {}).filter(([name]) => names.includes(name));
    return this.#json(known.map(([name, value]) => ({ id: name, value })));
  }

  #checkpoints(id: string): Answer {
    if (!id32.test(id)) return badId('jobid', id);
    if (this.#jobs.get(id)?.stage.kind === 'Initializing') return serverError(stillInitializing);
    const job = this.#see(id);
    if (!job) return jobNotFound(id);
    return isBatch(job) ? handlerError(404, noCheckpoints) : this.#json(checkpointsOf(job));
  }

  #checkpointConfig(id: string, request: SandboxRequest): Answer {
    const job = this.#see(id);
    if (job && isBatch(job)) return handlerError(404, noCheckpointing(id));
    return this.#ofJob(checkpointConfig)([id], request);
  }

  #terminate(id: string, query: URLSearchParams): Answer {
    if (!id32.test(id)) return badId('jobid', id);
    if (query.get('mode') === 'stop')
      return handlerError(
        308,
        'The termination mode "stop" has been removed. For an ungraceful shutdown, please use "cancel" instead. For a graceful shutdown, please use "jobs/:jobId/stop" instead.',
      );
    const job = this.#jobs.get(id);
    if (!job) return handlerError(404, 'Job could not be found.', noSuchJob(id));
    const status = statusOf(job);
    if (status === 'FAILED' || status === 'FINISHED')
      return handlerError(
        409,
        `Job cancellation failed because the job has already reached another terminal state (${status}).`,
      );
    this.cancel(id);
    return jsonAnswer(202, {}, contentType);
  }

  #savepoint(id: string, request: SandboxRequest, endpoint: 'savepoint' | 'stop'): Answer {
    if (!id32.test(id)) return badId('jobid', id);
    const body = readBody(request);
    const directory = body[endpoint === 'stop' ? 'targetDirectory' : 'target-directory'] ?? this.#savepointDirectory;
    if (typeof directory !== 'string') return handlerError(400, noSavepointDirectory);
    const triggerId = body.triggerId ?? this.#newId();
    if (typeof triggerId !== 'string' || !id32.test(triggerId))
      return handlerError(400, 'Request did not match expected format.');
    const kind = endpoint === 'stop' ? 'stop' : body['cancel-job'] === true ? 'cancel' : 'savepoint';
    this.#trigger(id, { triggerId, kind, directory });
    return jsonAnswer(202, { 'request-id': triggerId }, contentType);
  }

  /** Once per trigger id, for as long as it is remembered. */
  #trigger(id: string, operation: Pick<SavepointOperation, 'triggerId' | 'kind' | 'directory'>): void {
    const job = this.#jobs.get(id);
    if (this.#operation(id, operation.triggerId)) return;
    if (!job || isEnded(job)) this.#strayOperations.set(`${id}/${operation.triggerId}`, this.#options.now());
    else this.#keep(triggerSavepoint(job, operation, this.#options.now()));
  }

  #operation(id: string, triggerId: string): object | undefined {
    const { properties, now } = this.#options;
    const storedMs = (durationSeconds(properties['rest.async.store-duration']) ?? 300) * 1000;
    const isForgotten = (endTime: number | undefined) => endTime !== undefined && now() >= endTime + storedMs;
    const operation = this.#jobs.get(id)?.savepoints.findLast((candidate) => candidate.triggerId === triggerId);
    if (operation && !isForgotten(operation.endTime)) return savepointStatus(operation);
    const strayTime = this.#strayOperations.get(`${id}/${triggerId}`);
    if (strayTime === undefined || isForgotten(strayTime)) return undefined;
    const cause = noSuchJob(id);
    const trace = `java.util.concurrent.CompletionException: ${cause}\n\tat java.base/java.util.concurrent.CompletableFuture.encodeThrowable(CompletableFuture.java:332)\nCaused by: ${cause}\n`;
    return { status: { id: 'COMPLETED' }, operation: failureCause(trace) };
  }

  #savepointStatus(id: string, triggerId: string): Answer {
    if (!id32.test(id)) return badId('jobid', id);
    if (!id32.test(triggerId)) return badId('triggerid', triggerId);
    const status = this.#operation(id, triggerId);
    if (status) return this.#json(status);
    return handlerError(404, `There is no savepoint operation with triggerId=${triggerId} for job ${id}.`);
  }

  /** Under an id of Flink's own; it takes a second. */
  #dispose(request: SandboxRequest): Answer {
    const path = readBody(request)['savepoint-path'];
    if (typeof path !== 'string') return handlerError(400, 'Field savepoint-path must not be omitted or be null.');
    const triggerId = this.#newId();
    this.#disposals.set(triggerId, { path, endTime: this.#options.now() + disposalMs });
    return jsonAnswer(200, { 'request-id': triggerId }, contentType);
  }

  /** What becomes of a disposal is settled when it ends: then the savepoint goes, or is not there. */
  #endDisposals(): void {
    const { now, storage } = this.#options;
    for (const [triggerId, { path, endTime, outcome }] of this.#disposals) {
      if (outcome !== undefined || now() < endTime) continue;
      const isThere = storage.delete(path);
      this.#disposals.set(triggerId, { path, endTime, outcome: isThere ? {} : failureCause(missingSavepoint(path)) });
    }
  }

  #disposalStatus(triggerId: string): Answer {
    if (!id32.test(triggerId)) return badId('triggerid', triggerId);
    const { properties, now } = this.#options;
    const storedMs = (durationSeconds(properties['rest.async.store-duration']) ?? 300) * 1000;
    const disposal = this.#disposals.get(triggerId);
    if (!disposal || now() >= disposal.endTime + storedMs)
      return handlerError(
        404,
        'Operation not found under key: org.apache.flink.runtime.rest.handler.async.OperationKey@1f',
      );
    if (disposal.outcome === undefined) return this.#json({ status: { id: 'IN_PROGRESS' }, operation: null });
    return this.#json({ status: { id: 'COMPLETED' }, operation: disposal.outcome });
  }

  get #savepointDirectory(): string | undefined {
    return savepointDirectoryOf(this.#options.properties);
  }

  #requirements(id: string): Answer {
    const job = this.#jobs.get(id);
    if (!job || isEnded(job)) return serverError(noSuchJob(id));
    return job.settings.isAdaptive ? this.#json(resourceRequirements(job)) : serverError(notAdaptive(schedulerOf(job)));
  }

  #require(id: string, request: SandboxRequest): Answer {
    const job = this.#jobs.get(id);
    if (!job || isEnded(job)) return serverError(noSuchJob(id));
    if (!job.settings.isAdaptive) return serverError(notAdaptive(schedulerOf(job)));
    const asked = readBody(request) as Record<string, { readonly parallelism: Bounds }>;
    const fault = requirementsFault(job, asked);
    if (fault !== undefined) return handlerError(400, fault);
    const bounds = Object.fromEntries(Object.entries(asked).map(([vertex, { parallelism }]) => [vertex, parallelism]));
    this.#keep({ ...job, bounds });
    return this.#json({});
  }

  /** Reads a request to plan or run a jar, and finds the program. */
  #submitting(jar: string, request: SandboxRequest, handle: (run: Run) => Answer): Answer {
    if (this.#options.properties['web.submit.enable'] === 'false') return errors(404, `Not found: ${request.path}`);
    const body = readBody(request);
    const { programArgs, programArgsList, entryClass, jobId } = body as RunRequest;
    const is1 = this.#flavour === '1.20.3';
    if (is1 && programArgs !== undefined && programArgsList !== undefined)
      return handlerError(
        400,
        'Confusing request: programArgs and programArgsList are specified, please, use only programArgsList',
      );
    if (jobId !== undefined && !id32.test(jobId))
      return handlerError(400, 'Request did not match expected format JarRunRequestBody.');
    const behaviour = this.#options.images.jar(this.#options.image, jar);
    if (!behaviour)
      return serverError(causes(`${restException}: Jar file /opt/flink/flink-web-upload/${jar} does not exist`));
    if (behaviour.entryClass !== undefined && entryClass !== undefined && behaviour.entryClass !== entryClass)
      return serverError(
        `${causes(`${invocation}: The program's entry point class '${entryClass}' was not found in the jar file.`)}\nCaused by: java.lang.ClassNotFoundException: ${entryClass}`,
      );
    if (behaviour.mainExits) {
      this.#options.exit();
      return textAnswer(503, 'error trying to reach service: EOF');
    }
    const given = programArgsList ?? (is1 ? splitArguments(programArgs ?? '') : []);
    return handle({ jar, behaviour, request: body as RunRequest, programArgs: given });
  }

  #plan({ behaviour, request }: Run): Answer {
    const { properties } = this.#options;
    if (request.parallelism !== undefined && request.parallelism < 1) return serverError(noParallelism);
    if (behaviour.mainThrows !== undefined)
      return serverError(
        `${invocation}: The main method caused an error: ${behaviour.mainThrows}\nCaused by: java.lang.IllegalStateException: ${behaviour.mainThrows}`,
      );
    const vertices = verticesOf({ behaviour, properties, request, snapshot: undefined });
    const jobId = request.jobId ?? this.#newId();
    return this.#json(planAnswer({ id: jobId, name: nameOf(request), vertices, isBatch: behaviour.isBatch === true }));
  }

  #run({ jar, behaviour, request, programArgs }: Run): Answer {
    const { properties, storage } = this.#options;
    const now = this.#options.now();
    const name = nameOf(request);
    const id = request.jobId ?? this.#newId();
    if (behaviour.mainThrows !== undefined)
      return programError(behaviour.mainThrows, [`java.lang.IllegalStateException: ${behaviour.mainThrows}`]);
    if (this.#jobs.has(id))
      return programError(`Failed to execute job '${name}'.`, [failedToExecute(name), duplicates[this.#flavour]]);

    const context = { behaviour, properties, request, snapshot: storage.get(request.savepointPath ?? '') };
    const vertices = verticesOf(context);
    const fault = submissionFault(vertices, context);
    const job = submit(settingsOf({ id, name, vertices, fault }, context), now);
    const { entryClass, savepointPath } = request;
    this.#submissions.set(id, { jar, entryClass, programArgs, savepointPath: savepointPath || undefined, time: now });
    if (fault === undefined || job.settings.isAdaptive) {
      this.#keep(job);
      return this.#json({ jobid: id, ...(this.#flavour === '2.3.0' && { applicationId: id }) });
    }
    this.#keep(failedAtStart(job, initializationTrace(fault), now));
    const chain = initializationChain(fault);
    const deeper = [failedToExecute(name), `java.lang.RuntimeException: ${chain[0]}`, ...chain];
    return programError(`Failed to execute job '${name}'.`, deeper);
  }

  #newId(): string {
    this.#ids += 1;
    return createHash('md5').update(`${this.#options.now()} ${this.#ids}`).digest('hex');
  }
}

interface Run {
  readonly jar: string;
  readonly behaviour: JarSettings;
  readonly request: RunRequest;
  readonly programArgs: readonly string[];
}

function readBody({ body }: SandboxRequest): Readonly<Record<string, unknown>> {
  try {
    return body.length === 0 ? {} : JSON.parse(body.toString());
  } catch {
    throw new FlinkRefusal(handlerError(400, 'Request did not match expected format JarRunRequestBody.'));
  }
}

function nameOf({ entryClass }: RunRequest): string {
  return entryClass?.split('.').at(-1) ?? 'Flink Streaming Job';
}

function schedulerOf(job: FlinkJob): Parameters<typeof notAdaptive>[0] {
  return isBatch(job) ? 'AdaptiveBatchScheduler' : 'DefaultScheduler';
}

function usedSlots(jobs: readonly FlinkJob[], taskManager: string, now: number): number {
  return jobs.reduce((sum, job) => sum + heldSlots(job, taskManager, now), 0);
}

function requirementsFault(
  { settings: { vertices } }: FlinkJob,
  asked: Readonly<Record<string, { readonly parallelism: Bounds }>>,
): string | undefined {
  const missing = vertices.filter(({ id }) => asked[id] === undefined).map(({ id }) => id);
  if (missing.length > 0)
    return `The request is incomplete, missing job vertex [${missing.join(', ')}] resource requirements.`;
  const faults = Object.entries(asked).flatMap(([id, { parallelism }]) => {
    const vertex = vertices.find((candidate) => candidate.id === id);
    const { lowerBound, upperBound } = parallelism;
    if (!vertex) return [`Job vertex ${id} was not found in the job graph.`];
    if (lowerBound > upperBound)
      return [
        `The requested lower bound [${lowerBound}] for job vertex ${id} is higher than the upper bound [${upperBound}].`,
      ];
    if (upperBound <= vertex.maxParallelism) return [];
    return [
      `The newly requested parallelism ${upperBound} for the job vertex ${id} exceeds its maximum parallelism ${vertex.maxParallelism}.`,
    ];
  });
  return faults.length > 0 ? faults.join('\n') : undefined;
}
