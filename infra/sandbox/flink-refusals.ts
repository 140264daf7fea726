// The words in which a JobManager refuses a request: exceptions upon exceptions, as Flink's handlers print them. PURE.
import { createHash } from 'node:crypto';
import { type Answer, jsonAnswer } from './exchange.ts';
import type { Flavour } from './flink-answers.ts';

/** Thrown where a request cannot be gone on with. */
export class FlinkRefusal extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super(String(answer.body));
    this.answer = answer;
  }
}

export const contentType = { 'content-type': 'application/json; charset=UTF-8' };
export const restException = 'org.apache.flink.runtime.rest.handler.RestHandlerException';
export const invocation = 'org.apache.flink.client.program.ProgramInvocationException';
const execution = 'org.apache.flink.util.FlinkRuntimeException: Could not execute application.';
export const noSavepointDirectory =
  'Config key [execution.checkpointing.savepoint-dir] is not set. Property [target-directory] must be provided.';
/** With which the disposal of a savepoint ends that is not there. */
export const missingSavepoint = (path: string): string =>
  `org.apache.flink.util.FlinkException: Could not dispose savepoint ${path}.\n\tat org.apache.flink.runtime.dispatcher.Dispatcher.lambda$disposeSavepoint$11(Dispatcher.java:806)\nCaused by: java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory '${path}' on file system '${path.slice(0, path.indexOf(':'))}'.\n`;
export const noCheckpoints = 'Checkpointing has not been enabled.';
export const stillInitializing =
  'org.apache.flink.runtime.dispatcher.UnavailableDispatcherOperationException: Unable to get JobMasterGateway for initializing job. The requested operation is not available while the JobManager is initializing.';
export const noParallelism =
  'java.lang.IllegalArgumentException: Parallelism must be at least one, or ExecutionConfig.PARALLELISM_DEFAULT (use system default).';
export const duplicates: Readonly<Record<Flavour, string>> = {
  '1.20.3': 'org.apache.flink.runtime.client.DuplicateJobSubmissionException: Job has already been submitted.',
  '2.3.0':
    'org.apache.flink.runtime.client.DuplicateApplicationSubmissionException: Application has already been submitted.',
};

export function noSuchJob(id: string): string {
  return `org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job (${id})`;
}

export function notAdaptive(scheduler: 'DefaultScheduler' | 'AdaptiveBatchScheduler'): string {
  return `java.lang.UnsupportedOperationException: The ${scheduler} does not support changing the parallelism without a job restart. This feature is currently only expected to work with the AdaptiveScheduler.`;
}

export function noCheckpointing(id: string): string {
  return `Checkpointing is not enabled for this job (${id}).`;
}

/** In which a TaskManager refuses the tasks of a job that it knows from an earlier JobManager: each keeps the jar under a key of its own. */
export function differentLibraries(jobId: string): string {
  const key = (seed: string) => `p-${createHash('sha1').update(seed).digest('hex')}-${jobId}`;
  return [
    'java.lang.IllegalStateException: The library registration references a different set of library BLOBs than previous registrations for this job:',
    `old:[${key(`old ${jobId}`)}]`,
    `new:[${key(`new ${jobId}`)}]`,
    '\tat org.apache.flink.runtime.execution.librarycache.BlobLibraryCacheManager$ResolvedClassLoader.verifyClassLoader(BlobLibraryCacheManager.java:421)',
    '',
  ].join('\n');
}

export function failedToExecute(name: string): string {
  return `org.apache.flink.util.FlinkException: Failed to execute job '${name}'.`;
}

export function causes(cause: string): string {
  return `java.util.concurrent.CompletionException: ${cause}\nCaused by: ${cause}`;
}

export function errors(status: number, ...messages: readonly string[]): Answer {
  return jsonAnswer(status, { errors: messages }, contentType);
}

export function handlerError(status: number, message: string, cause?: string): Answer {
  return errors(status, `${restException}: ${message}\n${cause === undefined ? '' : `Caused by: ${cause}\n`}`);
}

export function serverError(trace: string): Answer {
  return errors(
    500,
    'Internal server error.',
    `<Exception on server side:\n${trace}\n\nEnd of exception on server side>`,
  );
}

export function jobNotFound(id: string): Answer {
  return errors(
    404,
    `org.apache.flink.runtime.rest.NotFoundException: Job ${id} not found\nCaused by: ${noSuchJob(id)}\n`,
  );
}

export function badId(parameter: string, value: string): Answer {
  const fault = `Cannot resolve path parameter (${parameter}) from value "${value}".`;
  return handlerError(
    400,
    `Bad request, could not parse parameters: ${fault}`,
    `org.apache.flink.runtime.rest.handler.HandlerRequestException: ${fault}`,
  );
}

/** What a program's main method made of a submission. */
export function programError(message: string, deeper: readonly string[]): Answer {
  const chain = [
    `java.util.concurrent.CompletionException: ${execution}`,
    execution,
    `${invocation}: The main method caused an error: ${message}`,
    ...deeper,
  ];
  const text = chain.map((cause) => `Caused by: ${cause}\n`).join('');
  return errors(
    400,
    `${restException}: Could not execute application.\n\tat org.apache.flink.runtime.webmonitor.handlers.JarRunHandler.lambda$handleRequest$1(JarRunHandler.java:114)\n${text}`,
  );
}
