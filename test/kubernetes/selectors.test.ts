import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Labels, parseSelector, type Selector } from '../../shared/kubernetes/selectors.ts';

function selectorOf(text: string): Selector {
  const selector = parseSelector(text);
  if ('fault' in selector) throw new TypeError(selector.fault);
  return selector;
}

describe('parseSelector', () => {
  const labels = { app: 'orders', tier: 'stream', 'flink.org/role': 'taskmanager', empty: '' };

  it.each([
    ['app=orders', true],
    ['app==orders', true],
    ['app = orders', true],
    ['app=carts', false],
    ['missing=orders', false],
    ['app!=carts', true],
    ['app!=orders', false],
    ['missing!=orders', true],
    ['app in (orders)', true],
    ['app in (carts, orders)', true],
    ['app in (carts,payments)', false],
    ['missing in (orders)', false],
    ['app notin (carts)', true],
    ['app notin (carts,orders)', false],
    ['missing notin (orders)', true],
    ['app', true],
    ['missing', false],
    ['!missing', true],
    ['! missing', true],
    ['!app', false],
    ['empty=', true],
    ['empty', true],
    ['missing=', false],
    ['flink.org/role=taskmanager', true],
    ['app=orders,tier=stream', true],
    ['app=orders,tier=batch', false],
    ['app in (carts,orders),!missing,tier!=batch , flink.org/role', true],
    ['app in (orders),tier notin (stream,batch)', false],
  ])('answers "%s" with %s', (text, expected) => {
    expect(selectorOf(text).matches(labels)).toBe(expected);
  });

  it.each(['', '  '])('calls "%s" a missing selector', (text) => {
    expect(parseSelector(text)).toEqual({ fault: "the target's scale is missing a selector" });
  });

  it.each([
    'app=orders,',
    ',app=orders',
    'app=orders,,tier=stream',
    'app=a b',
    'app in',
    'app in orders',
    'app in (orders',
    'app in orders)',
    'app > 3',
    '=orders',
    '!',
    '!app=orders',
    '-app=orders',
    'app=orders-',
    'a/b/c=d',
    'app=ord€rs',
    'app===orders',
  ])('names the fault of "%s"', (text) => {
    expect(parseSelector(text)).toEqual({
      fault: expect.stringContaining(`the target's selector ${JSON.stringify(text)} cannot be read at`),
    });
  });

  it('lists the values that an object must have', () => {
    expect(selectorOf('!a,b!=c,d in (e,f),g=h,i in (j),k').equalities).toEqual([
      ['g', 'h'],
      ['i', 'j'],
    ]);
  });
});

describe('any selector', () => {
  // Names that objects have by themselves are names of labels too.
  const key = fc.constantFrom('a', 'b', 'flink.org/c', 'constructor', 'toString');
  const value = fc.constantFrom('', 'x', 'y-1', 'Z_2.3');
  const values = fc.uniqueArray(value, { minLength: 1, maxLength: 3 });
  const requirement = fc.oneof(
    fc.record({ key, operator: fc.constantFrom('=', '==', '!='), values: fc.tuple(value) }),
    fc.record({ key, operator: fc.constantFrom('in', 'notin'), values }),
    fc.record({ key, operator: fc.constantFrom('exists', 'absent'), values: fc.constant([]) }),
  );
  type Requirement = typeof requirement extends fc.Arbitrary<infer R> ? R : never;

  it('matches what its requirements match one by one', () => {
    const requirements = fc.array(requirement, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(requirements, fc.dictionary(key, value), fc.constantFrom('', ' '), (list, labels, space) => {
        const text = list.map((item) => write(item, space)).join(`,${space}`);
        const plain = JSON.parse(JSON.stringify(labels)) as Labels;

        const expected = list.every((item) => isMet(item, new Map(Object.entries(plain))));

        expect(selectorOf(text).matches(plain)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('is met only by objects that have its equalities', () => {
    fc.assert(
      fc.property(fc.array(requirement, { minLength: 1, maxLength: 4 }), fc.dictionary(key, value), (list, labels) => {
        const selector = selectorOf(list.map((item) => write(item, '')).join(','));

        if (selector.matches(labels)) for (const [name, text] of selector.equalities) expect(labels[name]).toBe(text);
      }),
    );
  });

  function write({ key: name, operator, values: list }: Requirement, space: string): string {
    if (operator === 'exists') return name;
    if (operator === 'absent') return `!${name}`;
    if (operator === 'in' || operator === 'notin') return `${name} ${operator} (${list.join(`,${space}`)})`;
    return `${name}${space}${operator}${space}${list[0]}`;
  }

  function isMet({ key: name, operator, values: list }: Requirement, labels: ReadonlyMap<string, string>): boolean {
    const found = labels.get(name);
    if (operator === 'exists') return found !== undefined;
    if (operator === 'absent') return found === undefined;
    const isListed = found !== undefined && (list as readonly string[]).includes(found);
    return operator === '!=' || operator === 'notin' ? !isListed : isListed;
  }
});
