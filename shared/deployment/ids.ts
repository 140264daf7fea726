import { createHash } from 'node:crypto';

/** 32 hex digits that follow from the words alone: an id that is written down before it is used can be derived again. */
export function deriveId(...words: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, 32);
}
