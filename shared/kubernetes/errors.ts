import { ControlPlaneError } from '../errors.ts';

export interface KubernetesErrorDetails {
  readonly verb: string;
  readonly path: string;
  /** HTTP status; absent when no answer came. */
  readonly code?: number;
  /** The API server's CamelCase reason (NotFound, Conflict, …); absent when its body was not a Status. */
  readonly reason?: string;
  /** What the API server asks to wait. */
  readonly retryAfterSeconds?: number;
}

/** A request that the API server refused or did not answer. The message names verb, path, code and what it said. */
export class KubernetesError extends ControlPlaneError {
  override readonly name: string = 'KubernetesError';
  readonly details: KubernetesErrorDetails;

  constructor(seen: string, details: KubernetesErrorDetails, options?: ErrorOptions) {
    const answer = [details.code, details.reason].filter((part) => part !== undefined).join(' ');
    super(`${details.verb} ${details.path}: ${answer === '' ? seen : `${answer}: ${seen}`}`, options);
    this.details = details;
  }

  get code(): number | undefined {
    return this.details.code;
  }

  get reason(): string | undefined {
    return this.details.reason;
  }
}

/** Somebody else wrote first: decide again from what is there now. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 409;
}

/** An object of that name is there: what was to be made has been made before, or by somebody else. */
export function isAlreadyThere(error: unknown): boolean {
  return isConflict(error) && (error as KubernetesError).reason === 'AlreadyExists';
}

/** The right to do it is missing. */
export function isForbidden(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 403;
}

/** The object (or its kind) is not there. For the service proxy a 404 is no proof of absence. */
export function isNotFound(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 404;
}

/** The object itself is not there: the API server knows its kind, and says so. */
export function isGone(error: unknown): boolean {
  return isNotFound(error) && (error as KubernetesError).reason === 'NotFound';
}

/** No answer came in time; what was asked for may have been done all the same. */
export function isTimeout(error: unknown): boolean {
  if (!(error instanceof KubernetesError)) return false;
  return error.cause instanceof Error && error.cause.name === 'TimeoutError';
}

/** A page token that is too old: the list must be begun again. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 410;
}
