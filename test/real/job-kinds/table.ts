// Rows as a table of Markdown, and back.
import type { Row } from './walks.ts';

const COLUMNS = ['Job', 'Step', 'Phase', 'Conditions', 'Events', 'The job', 'TaskManagers'];

/** One line of the table, without the bars around it. */
export type Line = string;

export function linesOf(rows: readonly Row[]): readonly Line[] {
  return rows.map(({ kind, step, phase, conditions, events, job, taskManagers }) =>
    [kind, step, phase, list(conditions), list(abbreviate(events)), job, taskManagers].join(' | '),
  );
}

export function tableOf(lines: readonly Line[]): string {
  const rule = COLUMNS.map(() => '---').join(' | ');
  return [COLUMNS.join(' | '), rule, ...lines].map((line) => `| ${line} |\n`).join('');
}

/** The lines of every such table in a text. */
export function linesIn(text: string): readonly Line[] {
  const heads = [COLUMNS.join(' | '), COLUMNS.map(() => '---').join(' | ')];
  const lines = [...text.matchAll(/^\| (.*) \|$/gm)].map(([, line = '']) => line);
  return lines.filter((line) => !heads.includes(line) && line.split(' | ').length === COLUMNS.length);
}

function list(words: readonly string[]): string {
  return words.join(', ') || '–';
}

/** Most are Normal; a Warning is marked. */
function abbreviate(events: readonly string[]): readonly string[] {
  return events.map((event) => event.replace('Normal ', '').replace('Warning ', '⚠ '));
}
