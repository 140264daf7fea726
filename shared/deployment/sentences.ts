// Messages are joined from parts that others wrote, with a full stop at their end and without: Flink's causes, the API server's
// words, our own. They are joined here, so that none ends or goes on with "..".

/** "a, b", as sentences: "A. B". A part that is empty is left out. */
export function sentences(...parts: readonly string[]): string {
  return join(parts, '. ');
}

/** "a; b", one sentence. A part that is empty is left out. */
export function clauses(...parts: readonly string[]): string {
  return join(parts, '; ');
}

/** The last part keeps its full stop. */
function join(parts: readonly string[], separator: string): string {
  const present = parts.map((part) => part.trimEnd()).filter((part) => part !== '');
  return present.map((part, index) => (index === present.length - 1 ? part : withoutStop(part))).join(separator);
}

/** Three are no full stop but words that were left out. */
function withoutStop(part: string): string {
  return part.endsWith('...') ? part : part.replace(/\.+$/, '');
}
