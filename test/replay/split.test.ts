import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonSplitter, type SplitOptions } from '../../shared/replay/split.ts';

const encode = (text: string) => new TextEncoder().encode(text);

/** Splits bytes that come in pieces of these lengths, over and over; what is left comes last. */
function split(bytes: Uint8Array, lengths: readonly number[] = [], options: SplitOptions = {}): unknown[] {
  const splitter = new JsonSplitter(options);
  const values: unknown[] = [];
  let from = 0;
  for (let turn = 0; from < bytes.length; turn += 1) {
    const length = lengths.length === 0 ? bytes.length : (lengths[turn % lengths.length] as number);
    values.push(...splitter.push(bytes.subarray(from, from + length)));
    from += length;
  }
  return [...values, ...splitter.end()];
}

describe('JsonSplitter', () => {
  it.each([
    ['one value', '{"a":1}', [{ a: 1 }]],
    ['one value on many lines', '{\r\n  "a": [\r\n1\r\n]\r\n}\r\n', [{ a: [1] }]],
    ['a value on each line', '{"a":1}\n{"a":2}\n', [{ a: 1 }, { a: 2 }]],
    ['lines that end as on Windows', '{"a":1}\r\n\r\n{"a":2}\r\n', [{ a: 1 }, { a: 2 }]],
    ['values one after the other', '{}{"a":1}[]"b"null 1', [{}, { a: 1 }, 'b', null, 1]],
    ['an array of values', ' [ {"a":1} , 2, "x", [3], null ] ', [{ a: 1 }, 2, 'x', [3], null]],
    ['several arrays', '[1][2,3]\n[]', [1, 2, 3]],
    ['an empty array', '[]', []],
    ['a byte order mark', '\ufeff{"a":1}', [{ a: 1 }]],
    ['brackets and quotes in strings', '{"a":"}]\\"{[\\\\"}{"b":"\\\\"}', [{ a: '}]"{[\\' }, { b: '\\' }]],
    ['characters of several bytes', '{"é":"日本\u{1f600}"}', [{ é: '日本\u{1f600}' }]],
    ['a number at the very end', '-1.5e3', [-1500]],
  ])('splits %s', (_, text, expected) => {
    expect(split(encode(text))).toEqual(expected);
    expect(split(encode(text), [1])).toEqual(expected);
  });

  it('gives back any JSON values, however they are laid out and wherever the bytes are cut', () => {
    const notAnArray = fc.jsonValue().filter((value) => !Array.isArray(value));
    const layouts = fc.constantFrom('lines', 'windows lines', 'array', 'pretty array', 'pretty', 'one after the other');
    const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(notAnArray, { minLength: 1 }),
        layouts,
        lengths,
        fc.boolean(),
        (values, layout, cuts, hasMark) => {
          const text = `${hasMark ? '\ufeff' : ''}${lay(values, layout)}`;

          const found = split(encode(text), cuts);

          expect(found).toEqual(values.map((value) => JSON.parse(JSON.stringify(value))));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('takes a text exactly when JSON.parse takes it, and points at a place inside it otherwise', () => {
    const texts = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom('', ',', '}', ']', '"', 'x', ':', '\\', '0', '\n', '-', '{', '[', 'é'),
      )
      .map(([text, place, inserted]) => {
        const index = place % (text.length + 1);
        return `{"value":${text.slice(0, index)}${inserted}${text.slice(index + (place % 2))}}`;
      });
    fc.assert(
      fc.property(texts, (text) => {
        const isOne = isJson(text);
        const bytes = encode(text);

        const outcome = attempt(() => split(bytes));

        if (isOne) expect(outcome).toEqual({ values: [JSON.parse(text)] });
        // What is no JSON as a whole may be several values: then each of them is JSON.
        else if ('message' in outcome) expect(placeIn(outcome.message)).toBeLessThanOrEqual(bytes.length);
        else expect(outcome.values.length).toBeGreaterThan(1);
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ['nothing', '', 'there is no JSON value: the input ends at byte 0 (line 1)'],
    ['blanks alone', ' \n\n ', 'there is no JSON value: the input ends at byte 4 (line 3)'],
    ['prose', 'hello', 'this is no JSON: "hello" at byte 0 (line 1)'],
    ['a wrong word', '{"a":1}\n{"a": nul}', 'this is no JSON: "nul}" at byte 14 (line 2)'],
    ['a missing comma', '{"é": 1,\n"b": 2\n"c": 3}', 'this is no JSON: "\\"c\\": 3}" at byte 17 (line 3)'],
    ['a comma too many', '{"a":1,}', 'this is no JSON: "}" at byte 7 (line 1)'],
    ['a bracket of the wrong kind', '{"a":[1}]', 'this is no JSON: "}]" at byte 7 (line 1)'],
    ['a zero too many', '[{"a":01}]', 'this is no JSON: "1}" at byte 7 (line 1)'],
    ['a bad escape', '{"a":"\\x"}', 'this is no JSON: "\\"\\\\x\\"}" at byte 5 (line 1)'],
    [
      'a file cut off in a value',
      '{"a":1}\n{"a":',
      'the input ends in the middle of a value that began at byte 8 (line 2)',
    ],
    ['a file cut off in a string', '["abc', 'the input ends in the middle of a value that began at byte 1 (line 1)'],
    ['a file cut off in an array', '[{"a":1},', 'the input ends in the middle of an array at byte 9 (line 1)'],
    ['a file cut off in a word', '[tru', 'this is no JSON: "tru" at byte 1 (line 1)'],
    ['an array without commas', '[1 2]', '"," or "]" must stand here, but there is "2" at byte 3 (line 1)'],
    ['an array with a comma too many', '[1,]', 'a JSON value must stand here, but there is "]" at byte 3 (line 1)'],
    ['a bracket too many', '{}\n}', 'a JSON value must begin here, but there is "}" at byte 3 (line 2)'],
  ])('says where %s is wrong', (_, text, message) => {
    expect(() => split(encode(text), [3])).toThrow(message);
  });

  it('refuses bytes that are no UTF-8, instead of guessing', () => {
    const latin1 = Uint8Array.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xe9, 0x22, 0x7d]);
    const utf16 = Uint8Array.from([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]);

    expect(() => split(latin1)).toThrow('this is not UTF-8: a value that began at byte 0 (line 1)');
    expect(() => split(utf16)).toThrow('this is not UTF-8: a value that began at byte 0 (line 1)');
  });

  it('refuses a value that is larger than it may be, as soon as it is', () => {
    const text = `[1,${JSON.stringify('x'.repeat(50))}`;

    expect(() => split(encode(text), [7], { maxValueBytes: 40 })).toThrow('a value has more than 40 bytes');
    expect(split(encode('[1,"x"]'), [7], { maxValueBytes: 40 })).toEqual([1, 'x']);
  });

  it('refuses a value that is nested deeper than any snapshot', () => {
    expect(() => split(encode(`[${'['.repeat(5000)}`))).toThrow(
      'a value is nested more than 1000 deep; it began at byte 1',
    );
  });
});

function lay(values: readonly unknown[], layout: string): string {
  const texts = values.map((value) => JSON.stringify(value));
  switch (layout) {
    case 'lines':
      return `${texts.join('\n')}\n`;
    case 'windows lines':
      return `${texts.join('\r\n')}\r\n`;
    case 'array':
      return `[${texts.join(',')}]`;
    case 'pretty array':
      return JSON.stringify(values, null, 2);
    case 'pretty':
      return values.map((value) => JSON.stringify(value, null, '\t')).join('\n\n');
    default:
      // Words and numbers must be kept apart; nothing else must.
      return texts.map((text) => (/^[[{"]/.test(text) ? text : `${text} `)).join('');
  }
}

type Attempt = { readonly values: readonly unknown[] } | { readonly message: string };

function attempt(work: () => readonly unknown[]): Attempt {
  try {
    return { values: work() };
  } catch (error) {
    return { message: (error as Error).message };
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function placeIn(message: string): number {
  return Number(/at byte (\d+) \(line \d+\)$/.exec(message)?.[1]);
}
