// Label selectors as the API server reads them in `labelSelector=`.

export type LabelSelector = (labels: Readonly<Record<string, string>>) => boolean;

const setRequirement = /^([^\s!=,()]+)\s+(in|notin)\s+\(([^()]*)\)$/;
const equalityRequirement = /^([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)$/;
const existenceRequirement = /^(!?)\s*([^\s!=,()]+)$/;

/** Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`. Returns undefined when the text is none. */
export function parseLabelSelector(text: string): LabelSelector | undefined {
  // A comma inside parentheses separates values, not requirements.
  const requirements = text.trim() === '' ? [] : text.split(/,(?![^()]*\))/).map((part) => requirementOf(part.trim()));
  if (requirements.includes(undefined)) return undefined;
  return (labels) => requirements.every((isMet) => isMet?.(labels));
}

function requirementOf(text: string): LabelSelector | undefined {
  const set = setRequirement.exec(text);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    return (labels) => values.includes(labels[key] as string) === (operator === 'in');
  }
  const equality = equalityRequirement.exec(text);
  if (equality) {
    const [, key = '', operator, value] = equality;
    return (labels) => (labels[key] === value) === (operator !== '!=');
  }
  const existence = existenceRequirement.exec(text);
  if (existence) {
    const [, negation, key = ''] = existence;
    return (labels) => key in labels === (negation === '');
  }
  return undefined;
}
