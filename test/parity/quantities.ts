// The same number in the many ways in which Kubernetes lets it be written.

/** Milli of the suffixes that make a number larger. */
const LARGER = { k: 10n ** 6n, M: 10n ** 9n, G: 10n ** 12n, T: 10n ** 15n, P: 10n ** 18n } as const;
const BINARY = { Ki: 1000n << 10n, Mi: 1000n << 20n, Gi: 1000n << 30n, Ti: 1000n << 40n } as const;

/** The reference overflows where a fine unit makes the digits too many. */
const MOST_SMALL = 10n ** 12n;

/** How many ways `writeQuantity` knows. */
export const NOTATIONS = 8;

/** Writes thousandths in the notation asked for, or in the plain one where that cannot write this number. */
export function writeQuantity(milli: bigint, notation: number): string {
  const isSmall = -MOST_SMALL < milli && milli < MOST_SMALL;
  switch (notation % NOTATIONS) {
    case 1:
      return `${milli}m`;
    case 2:
      return isSmall ? `${milli * 1000n}u` : `${milli}m`;
    case 3:
      // One billionth less is still this many thousandths: they are rounded up.
      return milli > 0n && isSmall ? `${milli * 10n ** 6n - 1n}n` : plain(milli);
    case 4:
      return withSuffix(milli, LARGER) ?? plain(milli);
    case 5:
      return withSuffix(milli, BINARY) ?? plain(milli);
    case 6:
      return `${milli}e-3`;
    case 7:
      return milli % 10n ** 6n === 0n ? `${milli / 10n ** 6n}e3` : decimal(milli);
    default:
      return plain(milli);
  }
}

function plain(milli: bigint): string {
  return milli % 1000n === 0n ? String(milli / 1000n) : `${milli}m`;
}

function decimal(milli: bigint): string {
  const magnitude = milli < 0n ? -milli : milli;
  return `${milli < 0n ? '-' : ''}${magnitude / 1000n}.${String(magnitude % 1000n).padStart(3, '0')}`;
}

function withSuffix(milli: bigint, suffixes: Readonly<Record<string, bigint>>): string | undefined {
  const fitting = Object.entries(suffixes).findLast(([, size]) => milli !== 0n && milli % size === 0n);
  return fitting && `${milli / fitting[1]}${fitting[0]}`;
}
