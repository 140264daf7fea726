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

/** The object (or its kind) is not there. For the service proxy a 404 is no proof of absence. */
export function isNotFound(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 404;
}

/** A page token that is too old: the list must be begun again. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubernetesError && error.code === 410;
}
