import type { Labels, Selector } from './selectors.ts';

export interface Labelled {
  readonly namespace: string;
  readonly labels: Labels;
}

/** Answers selectors over one list without going through all of it for each: 1,000 selectors over 10,000 pods. */
export interface LabelIndex<T extends Labelled> {
  pick(namespace: string, selector: Selector): readonly T[];
}

/** Indexes a list by the label that a selector fixes first; made for a label when it is first asked for. */
export function createLabelIndex<T extends Labelled>(items: readonly T[]): LabelIndex<T> {
  const byLabel = new Map<string, Map<string, T[]>>();
  const indexOf = (label: string): Map<string, T[]> => {
    const known = byLabel.get(label);
    if (known !== undefined) return known;
    const index = Map.groupBy(items, (item) => `${item.namespace}/${item.labels[label]}`);
    byLabel.set(label, index);
    return index;
  };
  return {
    pick(namespace, selector) {
      const [fixed] = selector.equalities;
      const candidates =
        fixed === undefined
          ? items.filter((item) => item.namespace === namespace)
          : (indexOf(fixed[0]).get(`${namespace}/${fixed[1]}`) ?? []);
      return candidates.filter((item) => selector.matches(item.labels));
    },
  };
}
