import * as z from 'zod';

/** A time in RFC 3339, as epoch milliseconds. */
export const Instant = z.iso.datetime({ offset: true }).transform((time) => Date.parse(time));
