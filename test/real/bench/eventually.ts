// Waiting in the real tests: always for something to be seen, always with a deadline, never for a length of time.
import { setTimeout as delay } from 'node:timers/promises';

interface Patience {
  /** Seconds until the wait is given up; default 30. */
  readonly timeoutSeconds?: number;
  /** Milliseconds between two looks; default 50. */
  readonly intervalMs?: number;
}

/**
 * Looks until `probe` returns something other than undefined and false, and returns that. A probe that throws counts as "not yet".
 * Throws at the deadline, with what was waited for, and the last error as its cause.
 */
export async function eventually<Seen>(
  whatIsAwaited: string,
  probe: () => Promise<Seen | undefined | false> | Seen | undefined | false,
  { timeoutSeconds = 30, intervalMs = 50 }: Patience = {},
): Promise<Seen> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  let lastError: unknown;
  do {
    try {
      const seen = await probe();
      if (seen !== undefined && seen !== false) return seen;
      lastError = undefined;
    } catch (error) {
      if (error instanceof HopelessError) throw error;
      lastError = error;
    }
    await delay(intervalMs);
  } while (performance.now() < deadline);
  throw new Error(`waited ${timeoutSeconds} s in vain: ${whatIsAwaited}`, { cause: lastError });
}

/** Thrown by a probe when waiting longer cannot help, such as for a server that has exited. */
export class HopelessError extends Error {
  override readonly name = 'HopelessError';
}
