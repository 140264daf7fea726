import { type Milli, parseQuantity } from '../units.ts';

const MAX_REMEMBERED = 10_000;
const remembered = new Map<unknown, Milli | undefined>();

/** Reads a quantity. Pods of one application ask for the same ones: each text is parsed once. @returns undefined for what is none */
export function parseQuantityOnce(quantity: unknown): Milli | undefined {
  const known = remembered.get(quantity);
  if (known !== undefined) return known;
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  const milli = parseQuantity(quantity);
  remembered.set(quantity, milli);
  return milli;
}
