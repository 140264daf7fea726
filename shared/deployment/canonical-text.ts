/** JSON with its keys in order: the same for objects that say the same. */
export function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_, item) => (isPlainObject(item) ? sorted(item) : item));
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(object: object): object {
  return Object.fromEntries(Object.entries(object).sort(([left], [right]) => (left < right ? -1 : 1)));
}
