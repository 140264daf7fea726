// JSON.parse says that a text is wrong, and only sometimes where. A person with a file of a thousand lines needs the place.

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

/** What may stand at a place of a JSON text. */
type Place = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'separator-or-end' | 'nothing';

/** Finds the first token that cannot stand where it stands. @returns its index in the text; the text's length when none does */
export function findFault(text: string): number {
  const open: ('{' | '[')[] = [];
  let place: Place = 'value';
  let index = skip(SPACE, text, 0) ?? 0;
  while (index < text.length && place !== 'nothing') {
    const end = findTokenEnd(text, index, place);
    if (end === undefined) return index;
    const token = text[index] as string;
    if (token === '{' || token === '[') open.push(token);
    else if (token === '}' || token === ']') {
      if (open.pop() !== (token === '}' ? '{' : '[')) return index;
    }
    place = placeAfter(token, place, open.at(-1));
    index = skip(SPACE, text, end) ?? end;
  }
  return index;
}

/** @returns undefined for a token that must not stand at this place */
function findTokenEnd(text: string, index: number, place: Place): number | undefined {
  const isEnd = text[index] === '}' || text[index] === ']';
  switch (place) {
    case 'colon':
      return text[index] === ':' ? index + 1 : undefined;
    case 'separator-or-end':
      return isEnd || text[index] === ',' ? index + 1 : undefined;
    case 'key':
      return findStringEnd(text, index);
    case 'key-or-end':
      return isEnd ? index + 1 : findStringEnd(text, index);
    case 'value-or-end':
      return isEnd ? index + 1 : findValueEnd(text, index);
    case 'value':
      return findValueEnd(text, index);
    case 'nothing':
      return undefined;
    default:
      throw place satisfies never;
  }
}

/** Of an object or array only the bracket that opens it. */
function findValueEnd(text: string, index: number): number | undefined {
  if (text[index] === '{' || text[index] === '[') return index + 1;
  return findStringEnd(text, index) ?? skip(SCALAR, text, index);
}

/** Step by step: a pattern for a string of megabytes would run out of stack. */
function findStringEnd(text: string, from: number): number | undefined {
  if (text[from] !== '"') return undefined;
  for (let index = from + 1; index < text.length; ) {
    if (text[index] === '"') return index + 1;
    const next = text[index] === '\\' ? skip(ESCAPE, text, index) : index + 1;
    if (next === undefined || text.charCodeAt(index) < 0x20) return undefined;
    index = next;
  }
  return undefined;
}

function placeAfter(token: string, place: Place, container: '{' | '[' | undefined): Place {
  if (token === '{') return 'key-or-end';
  if (token === '[') return 'value-or-end';
  if (place === 'colon') return 'value';
  if (place === 'key' || (place === 'key-or-end' && token !== '}')) return 'colon';
  if (container === undefined) return 'nothing';
  if (token === ',') return container === '{' ? 'key' : 'value';
  return 'separator-or-end';
}

function skip(pattern: RegExp, text: string, index: number): number | undefined {
  pattern.lastIndex = index;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}
