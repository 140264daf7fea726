import * as z from 'zod';
import { parseQuantity } from '../units.ts';
import { KubernetesError } from './errors.ts';

/** A schema for every field of T: one that is forgotten does not compile. */
export type SchemasOf<T> = { readonly [Field in keyof T]-?: z.ZodType<T[Field]> };

/** Checks an answer of the API server. @throws KubernetesError naming the path and what is not as it must be */
export function parseAnswer<Schema extends z.ZodType>(schema: Schema, answer: unknown, path: string): z.output<Schema> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path: where, message }) => `${where.join('.')}: ${message}`).join('; ');
  throw new KubernetesError(
    `the answer is not what it must be: ${faults}`,
    { verb: 'GET', path },
    { cause: parsed.error },
  );
}

/** A quantity of an answer, as thousandths. */
export const Quantity = z.union([z.string(), z.number()]).transform((quantity, context) => {
  const milli = parseQuantity(quantity);
  if (milli !== undefined) return milli;
  context.addIssue({ code: 'custom', message: 'must be a quantity' });
  return z.NEVER;
});

/** An RFC 3339 time of an answer, as epoch milliseconds. */
export const Time = z.string().transform((text, context) => {
  const time = Date.parse(text);
  if (!Number.isNaN(time)) return time;
  context.addIssue({ code: 'custom', message: 'must be an RFC 3339 time' });
  return z.NEVER;
});
