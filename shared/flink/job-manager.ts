// What a JobManager is asked and told, through the API server's proxy of its service. Every question may be asked again, and
// every order given again: a savepoint goes by its trigger id, a job by its job id, and Flink does nothing twice under one id.

import { STATUS_CODES } from 'node:http';
import type * as z from 'zod';
import type {
  CheckpointConfig as CheckpointConfigView,
  Checkpoints as CheckpointsView,
  ClusterOverview,
  Disposal as DisposalView,
  JobFailures,
  JobRequest,
  JobSubmission,
  JobSummary,
  Job as JobView,
  Plan,
  ResourceRequirements as ResourceRequirementsView,
  Savepoint as SavepointView,
  TaskManager,
} from '../deployment/types.ts';
import type { BackendAnswer, CallLimits, KubernetesClient, ProxyRequest } from '../kubernetes/client.ts';
import { isTimeout, KubernetesError } from '../kubernetes/errors.ts';
import { collectionPath, SERVICES } from '../kubernetes/paths.ts';
import {
  CheckpointConfig,
  Checkpoints,
  Disposal,
  Exceptions,
  JarPlan,
  Job,
  Jobs,
  Overview,
  RefreshInterval,
  Refusal,
  ResourceRequirements,
  Restarts,
  Savepoint,
  Submitted,
  TaskManagers,
  TimeSinceEnd,
  Triggered,
} from './answers.ts';
import { JobManagerError, type JobManagerMethod } from './errors.ts';
import { splitProgramArgs } from './program-args.ts';
import { rootCause } from './stack-trace.ts';

/** Where a JobManager is: behind the port named ui of a service. */
export interface JobManagerAddress {
  readonly namespace: string;
  readonly service: string;
}

export interface SavepointOrder {
  readonly jobId: string;
  /** 32 hex digits; one that failed stays failed, so the next attempt needs another. */
  readonly triggerId: string;
  readonly cancelJob: boolean;
}

export interface StopOrder {
  readonly jobId: string;
  /** 32 hex digits, as of a savepoint. */
  readonly triggerId: string;
  /** Whether the sources emit their last watermark first, so that windows fire. */
  readonly drain: boolean;
}

/**
 * One JobManager. What it says of a job may be as old as its web.refresh-interval (3 s unless configured); the list of jobs is
 * always new. Every method throws JobManagerError when it is refused, not answered or not understood.
 */
export interface JobManager {
  overview(): Promise<ClusterOverview>;
  taskManagers(): Promise<readonly TaskManager[]>;
  jobs(): Promise<readonly JobSummary[]>;
  /** @returns undefined when there is no such job: never submitted, still in its main method, or forgotten in a restart */
  job(jobId: string): Promise<JobView | undefined>;
  /**
   * The latest checkpoint of a job that runs may have given way to a newer one by now; that of a job that has ended is its last,
   * and is there.
   *
   * @param hasEnded what the list of jobs says of it
   * @returns undefined when there is no such job
   * @throws JobManagerError while the job is INITIALIZING, and some seconds after its end, until its last checkpoint is known
   */
  checkpoints(jobId: string, hasEnded: boolean): Promise<CheckpointsView | undefined>;
  /** @returns undefined when there is no such job */
  checkpointConfig(jobId: string): Promise<CheckpointConfigView | undefined>;
  /** @returns none where there is no such job */
  failures(jobId: string): Promise<JobFailures>;
  /**
   * How often Flink has restarted the job since its JobManager began (numRestarts). The JobManager collects its metrics every
   * 10 s at most, and only when asked: a value is that of the question before.
   *
   * @returns undefined where it has collected none yet, or there is no such job
   */
  restarts(jobId: string): Promise<number | undefined>;
  /** What the jar would run. Its main method is run for that, and for as long as it takes, but no job is submitted. */
  plan(request: JobRequest): Promise<Plan>;
  /** A savepoint is known for some minutes after it has ended (rest.async.store-duration), and not to another JobManager. */
  savepoint(jobId: string, triggerId: string): Promise<SavepointView>;
  /**
   * Begins a savepoint in the cluster's own directory for them; the same trigger id again begins no second one, while it is
   * known. Whether the job can have a savepoint at all shows in what becomes of it.
   *
   * @returns the id to ask for it by
   */
  triggerSavepoint(order: SavepointOrder): Promise<string>;
  /**
   * Begins to delete a savepoint. Flink gives each such order an id of its own, so the same one may be given twice; a savepoint that
   * is not there any more cannot be disposed of, which shows in what becomes of it.
   *
   * @returns the id to ask for it by
   */
  disposeSavepoint(path: string): Promise<string>;
  /** A disposal is known for some minutes after it has ended, and not to another JobManager. */
  disposal(triggerId: string): Promise<DisposalView>;
  /**
   * Begins to stop a job with a savepoint, after which its state is FINISHED. A trigger id means one thing to both ways of ending a
   * job: whichever comes first with it is done, and nothing twice. Where Flink knows no such order, the job is cancelled with a savepoint.
   *
   * @returns the id to ask for the savepoint by
   */
  stop(order: StopOrder): Promise<string>;
  /** Cancels a job without its state; one that has ended, or that nobody knows, is left as it is. */
  cancel(jobId: string): Promise<void>;
  /**
   * Begins a job, and waits until its main method is through and its state is found. A job that is there already under that id is
   * left as it is, whatever state it is in: an id serves once.
   *
   * @returns the job's id
   */
  submit(submission: JobSubmission): Promise<string>;
  /** @returns undefined when the scheduler is not the adaptive one */
  resourceRequirements(jobId: string): Promise<ResourceRequirementsView | undefined>;
  /** Of every vertex of the job. */
  setResourceRequirements(jobId: string, requirements: ResourceRequirementsView): Promise<void>;
}

type Limits = Partial<CallLimits>;
// None longer than 30 s: for so long a rollback waits for calls that may be under way (deployment/roll-back.ts).
const QUESTION: Limits = { timeoutMilliseconds: 5000, maxAttempts: 2, budgetMilliseconds: 8000 };
const ORDER: Limits = { timeoutMilliseconds: 10_000, maxAttempts: 2, budgetMilliseconds: 12_000 };
/** As long as a main method may take that is waited for. Flink goes on with it when nobody waits. */
const MAIN: Limits = { timeoutMilliseconds: 25_000, maxAttempts: 2, budgetMilliseconds: 25_000 };

/** So many failures of a job are read: as many as make a loop (deployment/health.ts). */
const MAX_FAILURES = 3;

/** Milliseconds beyond web.refresh-interval, for a page that was on its way. */
const REFRESH_MARGIN = 1000;

interface Call extends ProxyRequest {
  readonly method: JobManagerMethod;
  readonly limits: Limits;
}

/** Nothing is sent before the first question. */
export function createJobManager(client: KubernetesClient, { namespace, service }: JobManagerAddress): JobManager {
  const root = `${collectionPath(SERVICES, namespace)}/${encodeURIComponent(service)}:ui/proxy`;

  async function exchange({ method, limits, verb, path, body }: Call): Promise<BackendAnswer> {
    try {
      const request = { verb, path: `${root}${path}`, ...(body !== undefined && { body }) };
      return await client.within(limits).proxy(request);
    } catch (error) {
      throw error instanceof KubernetesError ? unanswered(method, error) : error;
    }
  }

  async function ask<Schema extends z.ZodType>(method: JobManagerMethod, path: string, schema: Schema) {
    return understood(method, schema, await exchange(question(method, path)));
  }

  /** @returns undefined when Flink says that there is no such thing */
  async function find<Schema extends z.ZodType>(method: JobManagerMethod, path: string, schema: Schema) {
    const answer = await exchange(question(method, path));
    return isNotThere(answer) ? undefined : understood(method, schema, answer);
  }

  /** Whether every page about a job was made after its end. */
  async function hasEndedLongAgo(jobId: string): Promise<boolean> {
    const [sinceEnd, refreshInterval] = await Promise.all([
      find('GetJobOverview', jobPath(jobId), TimeSinceEnd),
      ask('GetDashboardConfiguration', '/config', RefreshInterval),
    ]);
    return sinceEnd === undefined || sinceEnd >= refreshInterval + REFRESH_MARGIN;
  }

  async function triggerSavepoint({ jobId, triggerId, cancelJob }: SavepointOrder): Promise<string> {
    const method = cancelJob ? 'CancelJobWithSavepoint' : 'SavepointJob';
    const body = { 'cancel-job': cancelJob, triggerId };
    const answer = await exchange({ method, limits: ORDER, verb: 'POST', path: jobPath(jobId, '/savepoints'), body });
    return understood(method, Triggered, answer)['request-id'];
  }

  return {
    overview: () => ask('GetClusterOverview', '/overview', Overview),
    taskManagers: () => ask('GetTaskManagers', '/taskmanagers', TaskManagers),
    jobs: () => ask('GetJobs', '/jobs', Jobs),
    job: (jobId) => find('GetJobOverview', jobPath(jobId), Job),
    async checkpoints(jobId, hasEnded) {
      // Before the page itself: what is settled now is settled in every page that is asked for later.
      const isSettled = hasEnded && (await hasEndedLongAgo(jobId));
      const found = await find('GetCheckpointCounts', jobPath(jobId, '/checkpoints'), Checkpoints);
      return found && hasEnded ? settle(found, isSettled) : found?.checkpoints;
    },
    checkpointConfig: (jobId) => find('GetCheckpointConfig', jobPath(jobId, '/checkpoints/config'), CheckpointConfig),
    async failures(jobId) {
      const path = jobPath(jobId, `/exceptions?maxExceptions=${MAX_FAILURES}`);
      return (await find('GetExceptions', path, Exceptions)) ?? { cause: '', times: [] };
    },
    restarts: (jobId) => find('GetJobMetrics', jobPath(jobId, '/metrics?get=numRestarts'), Restarts),
    async plan(request) {
      const method = 'GetJobPlan';
      const body = programOf(request);
      const answer = await exchange({ method, limits: MAIN, verb: 'POST', path: jarPath(request, 'plan'), body });
      if (isFaultOfProgram(answer)) return { fault: explain(answer) };
      return understood(method, JarPlan, answer);
    },
    async savepoint(jobId, triggerId) {
      const path = jobPath(jobId, `/savepoints/${encodeURIComponent(triggerId)}`);
      return (await find('CheckSavepointStatus', path, Savepoint)) ?? { state: 'Unknown' };
    },
    triggerSavepoint,
    async stop({ jobId, triggerId, drain }) {
      const method = 'StopJobWithSavepoint';
      const path = jobPath(jobId, '/stop');
      const answer = await exchange({ method, limits: ORDER, verb: 'POST', path, body: { drain, triggerId } });
      if (isNoRoute(answer)) return triggerSavepoint({ jobId, triggerId, cancelJob: true });
      return understood(method, Triggered, answer)['request-id'];
    },
    async disposeSavepoint(path) {
      const method = 'DisposeSavepoint';
      const body = { 'savepoint-path': path };
      const answer = await exchange({ method, limits: ORDER, verb: 'POST', path: '/savepoint-disposal', body });
      return understood(method, Triggered, answer)['request-id'];
    },
    async disposal(triggerId) {
      const path = `/savepoint-disposal/${encodeURIComponent(triggerId)}`;
      return (await find('CheckSavepointDisposal', path, Disposal)) ?? { state: 'Unknown' };
    },
    async cancel(jobId) {
      const method = 'ForceCancelJob';
      const answer = await exchange({ method, limits: ORDER, verb: 'PATCH', path: jobPath(jobId, '?mode=cancel') });
      const hasEnded = isNotThere(answer) || answer.code === 409;
      if (!hasEnded) requireSuccess(method, answer);
    },
    async submit(submission) {
      const method = 'SubmitJob';
      const body = submissionOf(submission);
      const answer = await exchange({ method, limits: MAIN, verb: 'POST', path: jarPath(submission, 'run'), body });
      if (isSubmittedAlready(answer)) return submission.jobId;
      return understood(method, Submitted, answer).jobid;
    },
    async resourceRequirements(jobId) {
      const method = 'GetResourceRequirements';
      const answer = await exchange(question(method, jobPath(jobId, '/resource-requirements')));
      if (isNotThere(answer) || isUnsupported(answer)) return undefined;
      return understood(method, ResourceRequirements, answer);
    },
    async setResourceRequirements(jobId, requirements) {
      const method = 'SetResourceRequirements';
      const vertices = Object.entries(requirements).map(([id, parallelism]) => [id, { parallelism }]);
      const body = Object.fromEntries(vertices);
      const path = jobPath(jobId, '/resource-requirements');
      requireSuccess(method, await exchange({ method, limits: ORDER, verb: 'PUT', path, body }));
    },
  };
}

// The page of checkpoints is kept for web.refresh-interval, but whether one of them is discarded is told as of now. So right
// after a job's end there may be a newer one than the page says; later on, one that is discarded was deleted with the job.
function settle({ checkpoints, isLatestDiscarded }: z.output<typeof Checkpoints>, isSettled: boolean): CheckpointsView {
  if (!isSettled)
    throw new JobManagerError('the job has just ended, and which checkpoint was its last is not known yet', {
      method: 'GetCheckpointCounts',
      code: 'OutOfDate',
    });
  const { latestCompleted, ...others } = checkpoints;
  return isLatestDiscarded ? others : checkpoints;
}

function question(method: JobManagerMethod, path: string): Call {
  return { method, limits: QUESTION, verb: 'GET', path };
}

function jobPath(jobId: string, rest = ''): string {
  return `/jobs/${encodeURIComponent(jobId)}${rest}`;
}

function jarPath({ jarName }: JobRequest, action: 'plan' | 'run'): string {
  return `/jars/${encodeURIComponent(jarName)}/${action}`;
}

// Never programArgs: Flink 2.x takes no notice of it, and 1.x refuses both.
function programOf({ entryClass, parallelism, programArgs, programArgsList }: JobRequest) {
  return { entryClass, parallelism, programArgsList: programArgsList ?? splitProgramArgs(programArgs) };
}

function submissionOf({ jobId, savepointPath, allowNonRestoredState, ...request }: JobSubmission) {
  return {
    ...programOf(request),
    jobId,
    ...(savepointPath && { savepointPath }),
    ...(allowNonRestoredState && { allowNonRestoredState }),
  };
}

/** @throws JobManagerError when it is a refusal, or not what the schema says */
function understood<Schema extends z.ZodType>(
  method: JobManagerMethod,
  schema: Schema,
  answer: BackendAnswer,
): z.output<Schema> {
  requireSuccess(method, answer);
  const parsed = schema.safeParse(answer.body);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new JobManagerError(faults, { method, code: 'JSONUNMARSHALERROR' }, { cause: parsed.error });
}

function requireSuccess(method: JobManagerMethod, answer: BackendAnswer): void {
  if (answer.code >= 200 && answer.code <= 299) return;
  const isFinal = method === 'SubmitJob' ? isFaultOfProgram(answer) : answer.code === 400 || isUnsupported(answer);
  throw new JobManagerError(explain(answer), { method, code: statusLine(answer.code), isFinal });
}

function unanswered(method: JobManagerMethod, error: KubernetesError): JobManagerError {
  const code = error.code === undefined ? 'FAILED' : statusLine(error.code);
  const isSlowSubmission = method === 'SubmitJob' && isTimeout(error);
  return new JobManagerError(
    error.message,
    { method, code: isSlowSubmission ? 'JobSubmissionTimedOut' : code },
    { cause: error },
  );
}

function statusLine(code: number): string {
  return `${code} ${STATUS_CODES[code] ?? ''}`.trim();
}

/** In Flink's own words; a 404 of something else that stands behind the service says nothing of a job. */
function isNotThere({ code, body }: BackendAnswer): boolean {
  return code === 404 && Refusal.safeParse(body).success;
}

/** Flink has no such page at all. */
function isNoRoute(answer: BackendAnswer): boolean {
  return isNotThere(answer) && wordsOf(answer).startsWith('Not found: /');
}

// A program at fault is answered with 400 or 500, as it happens, and a JobManager in trouble with 500 too: the words decide.
const PROGRAM_FAULTS = [
  /\borg\.apache\.flink\.client\.program\.ProgramInvocationException\b/,
  /\borg\.apache\.flink\.runtime\.client\.JobSubmissionException\b/,
  /\bJar file .* does not exist\b/,
  /\bjava\.lang\.IllegalArgumentException\b/,
];

/** Whether what was to be run can never be run like this. */
function isFaultOfProgram(answer: BackendAnswer): boolean {
  if (answer.code >= 500) return PROGRAM_FAULTS.some((fault) => fault.test(wordsOf(answer)));
  return answer.code >= 400 && answer.code !== 408;
}

/** To Flink 2.x the job that a jar makes is an application, of the same id. */
const DUPLICATE = /\borg\.apache\.flink\.runtime\.client\.Duplicate(Job|Application)SubmissionException\b/;

function isSubmittedAlready(answer: BackendAnswer): boolean {
  return answer.code >= 400 && DUPLICATE.test(wordsOf(answer));
}

function isUnsupported(answer: BackendAnswer): boolean {
  return answer.code === 500 && wordsOf(answer).includes('java.lang.UnsupportedOperationException');
}

function explain(answer: BackendAnswer): string {
  return rootCause(wordsOf(answer));
}

function wordsOf({ body }: BackendAnswer): string {
  const refusal = Refusal.safeParse(body);
  if (refusal.success) return refusal.data.errors.join('\n');
  return typeof body === 'string' ? body : JSON.stringify(body);
}
