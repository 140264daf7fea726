// The three kinds of failure a caller must tell apart. An expected outcome (no metrics yet, within tolerance) is a
// result with a reason and none of these.

/** Base of every error that Headrace throws on purpose. Its message says what was being done, to what, what was seen. */
export class ControlPlaneError extends Error {
  override readonly name: string = 'ControlPlaneError';
}

/** The same call may succeed later without anybody's help: time-outs, 429, 5xx, a lost connection. */
export class RetryableError extends ControlPlaneError {
  override readonly name: string = 'RetryableError';
}

/** Somebody must change something first: configuration, permissions, a resource. */
export class TerminalError extends ControlPlaneError {
  override readonly name: string = 'TerminalError';
}

/** The message of anything that was thrown, with its chain of causes: "reading X: connect ECONNREFUSED". */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `: ${describeError(error.cause)}`;
  return error.message.endsWith(cause) ? error.message : `${error.message}${cause}`;
}
