// What a user wrote into a spec that nobody reads. The schema that reads the spec is the list of what is known, so that a field
// which is added there is known here. Parts that are Kubernetes' own (loose objects) are checked by the API server, not here.

import type * as z from 'zod';
import type { UnknownField } from '../deployment/types.ts';

/**
 * Finds the fields of a value that its schema does not name.
 *
 * @param path of the value: "spec"
 * @returns them in the order in which they were written, each with the known field that is likely to be meant
 */
export function findUnknownFields(schema: z.ZodType, value: unknown, path: string): readonly UnknownField[] {
  const known = listFields(schema, path);
  return walk(schema, value, path).map((field) => {
    const nearest = findNearest(field, known);
    return nearest === undefined ? { field } : { field, nearest };
  });
}

interface Definition {
  readonly type: string;
  /** Of what may be left out. */
  readonly innerType?: z.ZodType;
  /** Of an object. */
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  /** Of an object that keeps what it does not name. */
  readonly catchall?: z.ZodType;
}

function definitionOf(schema: z.ZodType): Definition {
  const definition = schema._zod.def as unknown as Definition;
  return definition.innerType === undefined ? definition : definitionOf(definition.innerType);
}

/** The fields of an object that names all of them. @returns undefined for anything else */
function shapeOf(schema: z.ZodType): Definition['shape'] {
  const { shape, catchall } = definitionOf(schema);
  return catchall === undefined ? shape : undefined;
}

function walk(schema: z.ZodType, value: unknown, path: string): readonly string[] {
  const shape = shapeOf(schema);
  if (shape === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const known = Object.hasOwn(shape, key) ? shape[key] : undefined;
    return known === undefined ? [`${path}.${key}`] : walk(known, field, `${path}.${key}`);
  });
}

function listFields(schema: z.ZodType, path: string): readonly string[] {
  const fields = Object.entries(shapeOf(schema) ?? {});
  return fields.flatMap(([key, field]) => [`${path}.${key}`, ...listFields(field, `${path}.${key}`)]);
}

/** A name may be wrong by this many letters, and by a third of them. */
const MAX_DISTANCE = 3;

/** A field of nearly the same name, beside it rather than elsewhere. */
function findNearest(field: string, known: readonly string[]): string | undefined {
  const name = nameOf(field);
  const most = Math.min(MAX_DISTANCE, Math.floor(name.length / 3));
  const candidates = known.map((candidate) => ({
    candidate,
    distance: distanceBetween(name.toLowerCase(), nameOf(candidate).toLowerCase()),
    isElsewhere: parentOf(candidate) !== parentOf(field),
  }));
  const [nearest] = candidates
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance || Number(a.isElsewhere) - Number(b.isElsewhere));
  return nearest?.candidate;
}

function nameOf(field: string): string {
  return field.slice(field.lastIndexOf('.') + 1);
}

function parentOf(field: string): string {
  return field.slice(0, field.lastIndexOf('.'));
}

/** How many letters have to be put in, left out or exchanged to make one name of the other (Levenshtein). */
function distanceBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (const [j, wanted] of [...other].entries()) {
      const exchanged = (row[j] ?? 0) + (letter === wanted ? 0 : 1);
      next.push(Math.min(exchanged, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
