// docs/job-kinds.md has the very rows that the last full run saw (docs/measured/, written by `npm run test:peers`), on each version of Flink.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { linesIn } from '../real/job-kinds/table.ts';

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
const [head = '', ...versions] = read('measured/job-kinds.md').split(/^## /m);

it('tells which versions it was measured on', () => {
  expect(head).toMatch(/Kubernetes 1\.\d+\.\d+, Flink 1\.20\.\d+ and 2\.\d+\.\d+, openjdk \d+.*, Node \d+/);
  expect(versions.map((section) => section.split('\n')[0])).toEqual(['Flink 1.20.3', 'Flink 2.3.0']);
});

it.each(versions.map((section) => [section.split('\n')[0], section]))(
  'says of the kinds of job what was measured on %s',
  (_, section = '') => {
    const measured = linesIn(section);

    expect(measured.length).toBeGreaterThan(30);
    expect(linesIn(read('job-kinds.md'))).toEqual(measured);
  },
);
