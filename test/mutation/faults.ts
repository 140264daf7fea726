// Faults as people make them, one at a time: an operator that is nearly right, a bound that is off by one, a condition that is
// forgotten, an element that is left out. Texts for people are left alone.

import { endsValue, type Token, tokenize } from './tokens.ts';

/** One change of one file. */
export interface Fault {
  /** "shared/scaling/limit.ts" */
  readonly file: string;
  /** Where it begins, counted from 1. */
  readonly line: number;
  /** The line before and after, without the space around it. */
  readonly was: string;
  readonly becomes: string;
  /** The whole file with the fault in it. */
  readonly text: string;
}

interface Change {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

/** Every fault that can be seeded into a file. */
export function findFaults(file: string, source: string): readonly Fault[] {
  const tokens = tokenize(source);
  const changes = tokens.flatMap((_, index) => SEEDERS.flatMap((seed) => seed(tokens, index)));
  const faults = changes.map((change) => toFault(file, source, change)).filter(({ text }) => text !== source);
  return [...new Map(faults.map((fault) => [fault.text, fault])).values()];
}

function toFault(file: string, source: string, { start, end, replacement }: Change): Fault {
  const text = source.slice(0, start) + replacement + source.slice(end);
  const lineStart = source.lastIndexOf('\n', start - 1) + 1;
  const shownUntil = (code: string, offset: number) => {
    const lineEnd = code.indexOf('\n', offset);
    return code
      .slice(lineStart, lineEnd === -1 ? code.length : lineEnd)
      .trim()
      .replaceAll(/\s+/g, ' ');
  };
  return {
    file,
    line: source.slice(0, start).split('\n').length,
    was: shownUntil(source, end),
    becomes: shownUntil(text, start + replacement.length),
    text,
  };
}

type Seeder = (tokens: readonly Token[], index: number) => readonly Change[];

const SEEDERS: readonly Seeder[] = [
  swapOperator,
  swapMethod,
  dropSign,
  changeLiteral,
  forceCondition,
  forceChoice,
  forcePredicate,
  dropOperand,
  dropElement,
  dropStatement,
];

const OPERATORS: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '&&': '||',
  '||': '&&',
  '??': '&&',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '**': '*',
  '<<': '>>',
  '+=': '-=',
};

function swapOperator(tokens: readonly Token[], index: number): readonly Change[] {
  const token = tokens[index];
  const other = token?.kind === 'punctuation' ? OPERATORS[token.text] : undefined;
  return token === undefined || other === undefined || !endsValue(tokens[index - 1]) ? [] : [replace(token, other)];
}

const METHODS: Readonly<Record<string, string>> = {
  max: 'min',
  min: 'max',
  ceil: 'floor',
  floor: 'ceil',
  trunc: 'ceil',
  some: 'every',
  every: 'some',
};

function swapMethod(tokens: readonly Token[], index: number): readonly Change[] {
  const token = tokens[index];
  const other = token?.kind === 'word' && tokens[index - 1]?.text === '.' ? METHODS[token.text] : undefined;
  return token === undefined || other === undefined ? [] : [replace(token, other)];
}

/** -x → x, !x → x */
function dropSign(tokens: readonly Token[], index: number): readonly Change[] {
  const token = tokens[index];
  const isSign = token?.text === '!' || (token?.text === '-' && !endsValue(tokens[index - 1]));
  return token !== undefined && isSign ? [replace(token, '')] : [];
}

function changeLiteral(tokens: readonly Token[], index: number): readonly Change[] {
  const token = tokens[index];
  if (token?.kind === 'number') return neighboursOf(token.text).map((number) => replace(token, number));
  if (token?.text === 'true' || token?.text === 'false')
    return [replace(token, token.text === 'true' ? 'false' : 'true')];
  // A word is a name; a sentence is a text for people.
  if (token?.kind !== 'string' || !/^'\w*'$/.test(token.text)) return [];
  return [replace(token, { "'True'": "'False'", "'False'": "'True'" }[token.text] ?? "'Another'")];
}

function neighboursOf(number: string): readonly string[] {
  const digits = number.replaceAll('_', '');
  if (digits.endsWith('n')) return [`${BigInt(digits.slice(0, -1)) + 1n}n`, `${BigInt(digits.slice(0, -1)) - 1n}n`];
  return [String(Number(digits) + 1), String(Number(digits) - 1)];
}

const FORCED = ['true', 'false'];

/** if (…) */
function forceCondition(tokens: readonly Token[], index: number): readonly Change[] {
  if (tokens[index]?.text !== 'if') return [];
  const close = closingOf(tokens, index + 1);
  return FORCED.map((value) => replaceAll(tokens.slice(index + 2, close), value));
}

/** … ? one : other */
function forceChoice(tokens: readonly Token[], index: number): readonly Change[] {
  if (tokens[index]?.text !== '?') return [];
  const condition = tokens.slice(startBefore(tokens, index, VALUE_BOUNDS), index);
  return FORCED.map((value) => replaceAll(condition, value));
}

/** .filter((x) => …) and its kin */
function forcePredicate(tokens: readonly Token[], index: number): readonly Change[] {
  if (!/^(?:filter|find|findIndex|some|every)$/.test(tokens[index]?.text ?? '')) return [];
  if (tokens[index - 1]?.text !== '.' || tokens[index + 1]?.text !== '(') return [];
  const close = closingOf(tokens, index + 1);
  const arrow = tokens.findIndex(({ text }, place) => place > index && place < close && text === '=>');
  if (arrow === -1 || tokens[arrow + 1]?.text === '{') return [];
  return FORCED.map((value) => replaceAll(tokens.slice(arrow + 1, close), value));
}

/** a && b → a, a && b → b */
function dropOperand(tokens: readonly Token[], index: number): readonly Change[] {
  const operator = tokens[index];
  if (operator === undefined || !/^(?:&&|\|\||\?\?)$/.test(operator.text)) return [];
  const left = tokens.slice(startBefore(tokens, index, OPERAND_BOUNDS), index + 1);
  const right = tokens.slice(index, endAfter(tokens, index, OPERAND_BOUNDS));
  return [replaceAll(left, ''), replaceAll(right, '')];
}

/** [a, ...b] → [a], [...b] and { ...a, b } → { b } */
function dropElement(tokens: readonly Token[], index: number): readonly Change[] {
  const opensElement = (tokens[index]?.text === '[' && !endsValue(tokens[index - 1])) || isComma(tokens, index);
  const first = tokens[index + 1];
  if (!opensElement && first?.text !== '...') return [];
  if (first === undefined || /^[\])},]$/.test(first.text)) return [];
  const end = endAfter(tokens, index, /^,$/);
  const comma = tokens[end]?.text === ',' ? 1 : 0;
  return [replaceAll(tokens.slice(index + 1, end + comma), '')];
}

/** Whether a comma stands between the elements of an array. */
function isComma(tokens: readonly Token[], index: number): boolean {
  if (tokens[index]?.text !== ',') return false;
  const open = startBefore(tokens, index, /^$/) - 1;
  return tokens[open]?.text === '[' && !endsValue(tokens[open - 1]);
}

const KEYWORDS =
  /^(?:return|const|let|if|else|for|throw|switch|case|default|break|continue|export|function|class|try|catch|finally|while|do|async)$/;

/** set.add(x); → ; */
function dropStatement(tokens: readonly Token[], index: number): readonly Change[] {
  const token = tokens[index];
  if (token?.kind !== 'word' || KEYWORDS.test(token.text)) return [];
  if (!/^(?:[;{})]|else)$/.test(tokens[index - 1]?.text ?? '')) return [];
  const end = endAfter(tokens, index, /^[;,]$/);
  return tokens[end]?.text === ';' ? [replaceAll(tokens.slice(index, end), '')] : [];
}

/** Where an expression may begin or end. */
const VALUE_BOUNDS = /^(?:=|\+=|,|return|=>|:|\?|;|\.\.\.|throw)$/;
const OPERAND_BOUNDS = /^(?:=|\+=|,|return|=>|:|\?|;|\.\.\.|throw|&&|\|\||\?\?)$/;

/** The index of the first token of what ends before `index`: after a bound, or after the bracket that is open there. */
function startBefore(tokens: readonly Token[], index: number, bounds: RegExp): number {
  let depth = 0;
  for (let place = index - 1; place >= 0; place -= 1) {
    const token = tokens[place];
    if (token === undefined || (depth === 0 && (opens(token) || bounds.test(token.text)))) return place + 1;
    depth += Number(closes(token)) - Number(opens(token));
  }
  return 0;
}

/** The index after the last token of what begins after `index`. */
function endAfter(tokens: readonly Token[], index: number, bounds: RegExp): number {
  let depth = 0;
  for (let place = index + 1; place < tokens.length; place += 1) {
    const token = tokens[place];
    if (token === undefined || (depth === 0 && (closes(token) || bounds.test(token.text)))) return place;
    depth += Number(opens(token)) - Number(closes(token));
  }
  return tokens.length;
}

/** The index of the bracket that closes the one at `index`. */
function closingOf(tokens: readonly Token[], index: number): number {
  return endAfter(tokens, index, /^$/);
}

// The middle of a template closes one substitution and opens another.
function opens({ kind, text }: Token): boolean {
  return kind === 'template' ? text.endsWith('{') : kind === 'punctuation' && /^[([{]$/.test(text);
}

function closes({ kind, text }: Token): boolean {
  return kind === 'template' ? text.startsWith('}') : kind === 'punctuation' && /^[)\]}]$/.test(text);
}

function replace({ start, end }: Token, replacement: string): Change {
  return { start, end, replacement };
}

function replaceAll(tokens: readonly Token[], replacement: string): Change {
  const start = tokens[0]?.start ?? 0;
  return { start, end: tokens.at(-1)?.end ?? start, replacement };
}
