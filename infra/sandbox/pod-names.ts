// Names of pods.

/** Five characters as a ReplicaSet appends them, from a number and not from chance: the n-th pod always has the same name. */
export function podSuffix(number: number): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  // 27^5 names, walked through in steps of a number that shares no factor with it, so that neighbours do not look alike.
  let rest = (number * 7_654_321 + 1_234_567) % alphabet.length ** 5;
  return Array.from({ length: 5 }, () => {
    const sign = alphabet.charAt(rest % alphabet.length);
    rest = Math.floor(rest / alphabet.length);
    return sign;
  }).join('');
}
