import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitProgramArgs } from '../../shared/flink/program-args.ts';

interface Split {
  readonly programArgs: string;
  readonly programArgsList: readonly string[];
}

const SPLIT_BY_FLINK: readonly Split[] = JSON.parse(
  readFileSync(new URL('fixtures/program-args.json', import.meta.url), 'utf8'),
);

describe('program arguments', () => {
  it.each(SPLIT_BY_FLINK)('are split as Flink 1.20 does: $programArgs', ({ programArgs, programArgsList }) => {
    expect(splitProgramArgs(programArgs)).toEqual(programArgsList);
  });

  it('stay as they are without blanks and quotes, whatever separates them', () => {
    const word = fc.stringMatching(/^[^\s"'\0-\x20\x7f-\x9f]+$/);
    const blank = fc.stringMatching(/^[ \t\n\r]{1,3}$/);

    fc.assert(
      fc.property(fc.array(word), blank, (words, separator) => {
        expect(splitProgramArgs(words.join(separator))).toEqual(words);
      }),
    );
  });

  it('have no quotes left', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ' ', '"', "'", '\n', '=') }), (text) => {
        expect(splitProgramArgs(text).join('')).not.toMatch(/["']/);
      }),
    );
  });
});
