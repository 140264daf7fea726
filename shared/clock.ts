// The clock is a part like any other: the system's, or the sandbox's.

import * as z from 'zod';
import { RetryableError } from './errors.ts';

/** Epoch milliseconds. */
export type Clock = () => Promise<number>;

export const systemClock: Clock = async () => Date.now();

const Answer = z.object({ now: z.number() });
const TIMEOUT_MILLISECONDS = 2000;

/** A clock that is asked over HTTP: the sandbox steps through twenty minutes in a few seconds. */
export function remoteClock(url: string): Clock {
  return async () => {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) });
      return Answer.parse(await answer.json()).now;
    } catch (cause) {
      throw new RetryableError(`reading the clock at ${url}`, { cause });
    }
  };
}
