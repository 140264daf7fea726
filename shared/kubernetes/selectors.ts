// Label selectors in their string form, as a scale subresource carries them.

/** Whether an object's labels are picked. */
export interface Selector {
  matches(labels: Labels): boolean;
  /** Values that an object must have, as [key, value]; the first narrows a search best. */
  readonly equalities: readonly (readonly [string, string])[];
}

export type Labels = Readonly<Record<string, string>>;

interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent';
  readonly values: readonly string[];
}

const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?';
const KEY = `${NAME}(?:/${NAME})?`;
const VALUE = `(?:${NAME})?`;
const EQUALITY = new RegExp(`^(${KEY})\\s*(=|==|!=)\\s*(${VALUE})$`);
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(\\s*(${VALUE}(?:\\s*,\\s*${VALUE})*)\\s*\\)$`);
const EXISTENCE = new RegExp(`^(!?)\\s*(${KEY})$`);

/**
 * Parses "a=b,c!=d,e in (f,g),h,!i".
 *
 * @returns a sentence instead, when the text is empty or no selector
 */
export function parseSelector(text: string): Selector | { readonly fault: string } {
  if (text.trim() === '') return { fault: "the target's scale is missing a selector" };
  const requirements: Requirement[] = [];
  for (const part of splitRequirements(text)) {
    const requirement = parseRequirement(part.trim());
    if (requirement === undefined)
      return { fault: `the target's selector ${JSON.stringify(text)} cannot be read at ${JSON.stringify(part)}` };
    requirements.push(requirement);
  }
  return {
    matches: (labels) => requirements.every((requirement) => isMet(requirement, labels)),
    equalities: requirements.flatMap(({ key, operator, values: [value, ...others] }) =>
      operator === 'in' && value !== undefined && others.length === 0 ? [[key, value] as const] : [],
    ),
  };
}

/** Splits at the commas that stand outside brackets. */
function splitRequirements(text: string): readonly string[] {
  return text.split(/,(?![^(]*\))/);
}

function parseRequirement(text: string): Requirement | undefined {
  const equality = EQUALITY.exec(text);
  if (equality !== null) {
    const [, key = '', sign, value = ''] = equality;
    return { key, operator: sign === '!=' ? 'notin' : 'in', values: [value] };
  }
  const set = SET.exec(text);
  if (set !== null) {
    const [, key = '', operator, values = ''] = set;
    return { key, operator: operator as 'in' | 'notin', values: values.split(',').map((value) => value.trim()) };
  }
  const existence = EXISTENCE.exec(text);
  if (existence === null) return undefined;
  return { key: existence[2] ?? '', operator: existence[1] === '!' ? 'absent' : 'exists', values: [] };
}

function isMet({ key, operator, values }: Requirement, labels: Labels): boolean {
  // "constructor" is a good name for a label too.
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'in':
      return value !== undefined && values.includes(value);
    case 'notin':
      // An object without the label is not in the set either.
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    default:
      throw operator satisfies never;
  }
}
