// Two hashes that together make the eight digits in a cluster's name, as Lyft's operator makes them.

import { createHash } from 'node:crypto';

/**
 * Hashes a JSON value regardless of how it was written down: Ben Laurie's objecthash in its "Common JSON" variant
 * (SHA-256; every number is a float, as JSON has it).
 *
 * @returns 32 bytes
 */
export function objectHash(value: unknown): Buffer {
  if (value === null) return tagged('n', '');
  if (typeof value === 'boolean') return tagged('b', value ? '1' : '0');
  if (typeof value === 'number') return tagged('f', normalForm(value));
  if (typeof value === 'string') return tagged('u', value);
  if (Array.isArray(value)) return tagged('l', Buffer.concat(value.map(objectHash)));
  return hashOfObject(value as object);
}

function tagged(tag: string, content: string | Buffer): Buffer {
  return createHash('sha256').update(tag).update(content).digest();
}

/** Entries are in order of the hashes of their keys, not of the keys. */
function hashOfObject(value: object): Buffer {
  const entries = Object.entries(value).map(([key, item]) => [objectHash(key), objectHash(item)] as const);
  entries.sort(([left], [right]) => left.compare(right));
  return tagged('d', Buffer.concat(entries.flat()));
}

/**
 * A float as sign, exponent and binary digits of a mantissa in (0.5, 1]: 1 is "+0:1", 8 is "+3:1",
 * 3 is 2^2 × 0.75, "+2:011". (The digit before the point is written first, and is 0 unless the mantissa is 1.)
 */
function normalForm(number: number): string {
  if (number === 0) return '+0:';
  let mantissa = Math.abs(number);
  let exponent = 0;
  for (; mantissa > 1; mantissa /= 2) exponent++;
  for (; mantissa <= 0.5; mantissa *= 2) exponent--;
  return `${number < 0 ? '-' : '+'}${exponent}:${binaryDigits(mantissa)}`;
}

function binaryDigits(mantissa: number): string {
  let digits = '';
  for (let rest = mantissa; rest !== 0; rest *= 2) {
    digits += rest >= 1 ? '1' : '0';
    if (rest >= 1) rest -= 1;
  }
  return digits;
}

const FNV_OFFSET_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a of 32 bits. @returns a whole number from 0 to 2^32 − 1 */
export function fnv1a32(bytes: Uint8Array): number {
  return bytes.reduce((hash, byte) => Math.imul(hash ^ byte, FNV_PRIME), FNV_OFFSET_BASIS) >>> 0;
}
