// How long it is before what has failed is tried again: each failure in a row doubles the wait, up to a longest one.

/** Seconds. */
export interface Backoff {
  readonly first: number;
  readonly longest: number;
}

/** 5, 10, 20, 40 minutes, then an hour each: the job ran on undisturbed, so trying costs nothing but pods or a savepoint. */
export const JOB_UNTOUCHED: Backoff = { first: 300, longest: 3600 };

/** Half an hour to six: each try has stopped the job for a while. */
export const JOB_RESTARTED: Backoff = { first: 1800, longest: 21_600 };

/** @param failures in a row before this one @returns seconds */
export function waitAfter(failures: number, { first, longest }: Backoff): number {
  return Math.min(first * 2 ** failures, longest);
}
