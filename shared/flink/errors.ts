import { ControlPlaneError } from '../errors.ts';

/** What was asked of a JobManager, in the words of status.lastSeenError.method: Lyft's where it has one. */
export type JobManagerMethod =
  | 'GetClusterOverview'
  | 'GetTaskManagers'
  | 'GetJobs'
  | 'GetJobOverview'
  | 'GetCheckpointCounts'
  | 'GetDashboardConfiguration'
  | 'GetCheckpointConfig'
  | 'GetExceptions'
  | 'GetJobMetrics'
  | 'GetJobPlan'
  | 'CheckSavepointStatus'
  | 'SavepointJob'
  | 'DisposeSavepoint'
  | 'CheckSavepointDisposal'
  | 'CancelJobWithSavepoint'
  | 'StopJobWithSavepoint'
  | 'ForceCancelJob'
  | 'SubmitJob'
  | 'GetResourceRequirements'
  | 'SetResourceRequirements';

interface JobManagerErrorDetails {
  readonly method: JobManagerMethod;
  /** "404 Not Found"; FAILED without an answer, JSONUNMARSHALERROR, JobSubmissionTimedOut; OutOfDate when it is to be asked again. */
  readonly code: string;
  /** The same call cannot succeed later. Default false. */
  readonly isFinal?: boolean;
}

const DEFAULT_RETRIES = 20;
/** How often a call is made again, where that is not the default. */
const MAX_RETRIES: Partial<Record<JobManagerMethod, number>> = {
  SavepointJob: 5,
  CancelJobWithSavepoint: 5,
  StopJobWithSavepoint: 5,
  CheckSavepointStatus: 3,
};

/** A JobManager that refused, did not answer, or was not understood. Carries what status.lastSeenError says of it. */
export class JobManagerError extends ControlPlaneError {
  override readonly name: string = 'JobManagerError';
  readonly method: JobManagerMethod;
  readonly code: string;
  /** The same call may succeed later. A submission too: its job id tells whether it was taken after all. */
  readonly isRetryable: boolean;
  /** A submission that cannot succeed: the program or its state is at fault. */
  readonly isFailFast: boolean;
  /** How often to call again before giving up. */
  readonly maxRetries: number;

  constructor(seen: string, { method, code, isFinal = false }: JobManagerErrorDetails, options?: ErrorOptions) {
    super(`${method} call failed with status ${code} and message '${seen}'`, options);
    this.method = method;
    this.code = code;
    this.isRetryable = !isFinal;
    this.isFailFast = isFinal && method === 'SubmitJob';
    this.maxRetries = MAX_RETRIES[method] ?? DEFAULT_RETRIES;
  }
}
