// The words of a program, without its types, comments and imports. Types are blanked out by Node itself, which leaves every other
// character where it was: an offset here is an offset in the file.

import { stripTypeScriptTypes } from 'node:module';

export interface Token {
  readonly kind: 'word' | 'number' | 'string' | 'template' | 'regex' | 'punctuation';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const SPACE = /(?:\s|\/\/.*|\/\*[\s\S]*?\*\/)*/y;
const WORD = /[\p{ID_Start}$_#][\p{ID_Continue}$]*/uy;
const NUMBER = /(?:0[xob][\da-f_]+|\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)n?/iy;
const STRING = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/y;
/** From a backtick, or the end of a substitution, to the next substitution or backtick. */
const TEMPLATE = /[`}](?:\\.|\$(?!\{)|[^`\\$])*(?:\$\{|`)/y;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
/** The longest first. */
const PUNCTUATION =
  />>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.|\+\+|--|\+=|-=|\*=|\/=|%=|\*\*|<<|>>|[\s\S]/y;

/** Words after which a value begins, so that a slash there begins a regular expression. */
const BEFORE_VALUE = /^(?:return|typeof|case|in|of|throw|else|do|new|delete|void|instanceof)$/;

/** Splits a TypeScript file into its tokens; imports are left out. */
export function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  const code = stripTypeScriptTypes(source);
  // Which braces that are open belong to a template.
  const braces: ('block' | 'template')[] = [];
  let offset = skip(code, 0);
  while (offset < code.length) {
    const kind = kindAt(code[offset] ?? '', tokens.at(-1), braces.at(-1));
    const text = match(PATTERNS[kind], code, offset);
    if (text === undefined) throw new SyntaxError(`reading a ${kind} at ${offset}: ${code.slice(offset, offset + 40)}`);
    if (kind === 'template') followTemplate(text, braces);
    else if (text === '{') braces.push('block');
    else if (text === '}') braces.pop();
    tokens.push({ kind, text, start: offset, end: offset + text.length });
    offset = skip(code, offset + text.length);
  }
  return withoutImports(tokens);
}

const PATTERNS = {
  word: WORD,
  number: NUMBER,
  string: STRING,
  template: TEMPLATE,
  regex: REGEX,
  punctuation: PUNCTUATION,
} as const satisfies Record<Token['kind'], RegExp>;

function kindAt(character: string, previous: Token | undefined, brace: string | undefined): Token['kind'] {
  if (/\d/.test(character)) return 'number';
  if (/[\p{ID_Start}$_#]/u.test(character)) return 'word';
  if (character === "'" || character === '"') return 'string';
  if (character === '`' || (character === '}' && brace === 'template')) return 'template';
  if (character === '/' && !endsValue(previous)) return 'regex';
  return 'punctuation';
}

/** Whether an operator may follow: after a name, a literal or a closing bracket. */
export function endsValue(token: Token | undefined): boolean {
  if (token === undefined) return false;
  if (token.kind === 'punctuation') return /^[)\]}]$/.test(token.text);
  if (token.kind === 'template') return token.text.endsWith('`');
  return token.kind !== 'word' || !BEFORE_VALUE.test(token.text);
}

function followTemplate(text: string, braces: ('block' | 'template')[]): void {
  if (text.startsWith('}')) braces.pop();
  if (text.endsWith('{')) braces.push('template');
}

function skip(code: string, offset: number): number {
  return offset + (match(SPACE, code, offset) ?? '').length;
}

function match(pattern: RegExp, code: string, offset: number): string | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(code)?.[0];
}

function withoutImports(tokens: readonly Token[]): readonly Token[] {
  let isImport = false;
  return tokens.filter((token, index) => {
    const beginsStatement = index === 0 || tokens[index - 1]?.text === ';';
    if (beginsStatement) isImport = token.text === 'import';
    return !isImport;
  });
}
