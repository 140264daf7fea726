import { ControlPlaneError, describeError } from '../errors.ts';
import type { Reading } from '../scaling/types.ts';

/** Waits for an answer; what went wrong with the source becomes part of what was seen. A fault of our own stays an error. */
export async function attempt<T>(answer: Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await answer };
  } catch (error) {
    if (error instanceof ControlPlaneError) return { unreadable: describeError(error) };
    throw error;
  }
}

/** Changes what was read; what could not be read stays so. */
export function mapReading<T, R>(reading: Reading<T>, change: (value: T) => R): Reading<R> {
  return 'unreadable' in reading ? reading : { value: change(reading.value) };
}
