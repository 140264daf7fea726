import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLabelIndex } from '../../shared/kubernetes/label-index.ts';
import { parseSelector, type Selector } from '../../shared/kubernetes/selectors.ts';

function selectorOf(text: string): Selector {
  const selector = parseSelector(text);
  if ('fault' in selector) throw new TypeError(selector.fault);
  return selector;
}

describe('createLabelIndex', () => {
  it('picks from one namespace alone', () => {
    const items = [
      { namespace: 'a', labels: { app: 'orders' } },
      { namespace: 'b', labels: { app: 'orders' } },
    ];

    expect(createLabelIndex(items).pick('a', selectorOf('app=orders'))).toEqual([items[0]]);
  });

  it('takes an object without the label for none whose label says "undefined"', () => {
    const items = [
      { namespace: 'a', labels: {} },
      { namespace: 'a', labels: { app: 'undefined' } },
    ];

    expect(createLabelIndex(items).pick('a', selectorOf('app=undefined'))).toEqual([items[1]]);
  });

  it('picks what going through the whole list would, in its order', () => {
    const label = fc.constantFrom('a', 'b', 'c');
    const item = fc.record({
      namespace: fc.constantFrom('x', 'y'),
      labels: fc.dictionary(label, fc.constantFrom('', '1', '2')),
    });
    const selectors = fc.array(
      fc.constantFrom('a=1', 'b=2,a=1', 'a in (1,2)', '!a', 'c,b=1', 'a=', 'a!=1', 'b notin (2),c=1').map(selectorOf),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.array(item), selectors, fc.constantFrom('x', 'y', 'z'), (items, questions, namespace) => {
        const index = createLabelIndex(items);

        for (const selector of questions)
          expect(index.pick(namespace, selector)).toEqual(
            items.filter((one) => one.namespace === namespace && selector.matches(one.labels)),
          );
      }),
    );
  });
});
