import { describe, expect, it } from 'vitest';
import { findFaults } from './faults.ts';

/** What each fault makes of one line. */
function faultsOf(line: string): readonly string[] {
  return findFaults('a.ts', line).map(({ becomes }) => becomes);
}

describe('faults', () => {
  it.each<[string, string[]]>([
    ['if (a < b) f();', ['if (true) f();', 'if (false) f();', 'if (a <= b) f();', 'if (a < b) ;']],
    ['{ x = a + b * c; }', ['{ ; }', '{ x = a - b * c; }', '{ x = a + b / c; }']],
    ['const x = a && b;', ['const x = a || b;', 'const x = b;', 'const x = a ;']],
    ['const x = a ? b : c;', ['const x = true ? b : c;', 'const x = false ? b : c;']],
    ['const x = -10n;', ['const x = 10n;', 'const x = -11n;', 'const x = -9n;']],
    ['const x = Math.max(a, b);', ['const x = Math.min(a, b);']],
    ["const x = 'True';", ["const x = 'False';"]],
    ["const x = 'TooFew';", ["const x = 'Another';"]],
    ['const x = [a, ...b];', ['const x = [ ...b];', 'const x = [a, ];']],
    ['const x = { ...a, b };', ['const x = { b };']],
    ['const x = a.filter((b) => b.c);', ['const x = a.filter((b) => true);', 'const x = a.filter((b) => false);']],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a program's text.
    ['const x = `of ${a - b} + ${c}`;', ['const x = `of ${a + b} + ${c}`;']],
  ])('of %s are %j', (line, expected) => {
    expect(faultsOf(line)).toEqual(expected);
  });

  it.each([
    '// a < b && c',
    '/** a < b */',
    "import { a } from './b.ts';",
    'type A = B<1> | true;',
    'interface A { readonly b: 1 | 2; c(): true }',
    'let x: Map<string, 1 | 2>;',
    'const x = y as A<true>;',
    "const x = 'a sentence, for people - with 2 < 3';",
    'const x = /a+b*[/]-1/u;',
    'const x = `text + text`;',
  ])('are not seeded into %s', (line) => {
    expect(faultsOf(line)).toEqual([]);
  });

  it('name the line in which they begin', () => {
    expect(findFaults('a.ts', 'const a = b;\n\n  const c = [\n    1,\n  ];\n')).toEqual([
      { file: 'a.ts', line: 4, was: '1,', becomes: '', text: 'const a = b;\n\n  const c = [\n    \n  ];\n' },
      { file: 'a.ts', line: 4, was: '1,', becomes: '2,', text: 'const a = b;\n\n  const c = [\n    2,\n  ];\n' },
      { file: 'a.ts', line: 4, was: '1,', becomes: '0,', text: 'const a = b;\n\n  const c = [\n    0,\n  ];\n' },
    ]);
  });
});
