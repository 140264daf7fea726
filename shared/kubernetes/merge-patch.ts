// JSON merge patches (RFC 7386): what a write has to say so that one object becomes another.

import { isDeepStrictEqual } from 'node:util';

/** An object of JSON; an undefined field counts as absent. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Finds the merge patch that makes `after` of `before`. A list is written whole. A patch cannot set a field to null: where
 * `after` has a null that `before` has not, the field is taken away.
 *
 * @returns undefined when nothing has to be written
 */
export function mergePatch(before: JsonObject, after: JsonObject): JsonObject | undefined {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changes = [...keys].flatMap((key) => {
    const change = differenceOf(fieldOf(before, key), fieldOf(after, key));
    return change === undefined ? [] : [[key, change] as const];
  });
  return changes.length === 0 ? undefined : Object.fromEntries(changes);
}

/** What a patch says of one field; undefined: nothing. */
function differenceOf(before: unknown, after: unknown): unknown {
  if (isDeepStrictEqual(before, after)) return undefined;
  // To take away what is not there would be a write that changes nothing.
  if (after === undefined || after === null) return before === undefined ? undefined : null;
  return isObject(before) && isObject(after) ? mergePatch(before, after) : after;
}

/** "__proto__" may be a field of JSON too. */
function fieldOf(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
