// spec.programArgs is one string. Flink up to 1.20 splits it, and 2.x ignores it in silence; a list it takes since 1.7. So
// the string is split here, by the rule that Flink used to have (JarHandlerUtils.tokenizeArguments), quirks included: a
// program must not see other arguments because the application was taken over, or Flink was upgraded.

// What Java means by \s, \S and a dot, which is less than JavaScript means by them.
const BLANK = '[ \\t\\n\\v\\f\\r]';
const INK = '[^ \\t\\n\\v\\f\\r]';
const ANY = '[^\\n\\r\\u0085\\u2028\\u2029]';

/** Either whatever goes on to the next blank and does not begin with a quote, or what stands between two quotes. */
const ARGUMENT = new RegExp(`([^"']${INK}*|"${ANY}+?"|'${ANY}+?')${BLANK}*`, 'gu');

/**
 * Splits spec.programArgs. Quotes hold together only what begins with them, nothing is escaped, and every quote is gone in the
 * end: `--name 'load job'` is two arguments, `--name='load job'` is two as well, `''` is none.
 */
export function splitProgramArgs(programArgs: string): string[] {
  return Array.from(programArgs.matchAll(ARGUMENT), ([argument]) => trim(argument).replace(/["']/g, ''));
}

/** As Java does: every control character is blank. */
function trim(text: string): string {
  return text.replace(/^[\0- ]+|[\0- ]+$/g, '');
}
