// Quantities and durations at the edge. Inside, a quantity is a bigint of thousandths, as the HPA computes with int64
// thousandths: sums of memory in milli-bytes pass 2^53 on a mid-sized cluster, and a rounded sum is a wrong decision.

/** A Kubernetes quantity in thousandths: "250m" is 250n, "1.5" is 1500n, "1Gi" is 1073741824000n. */
export type Milli = bigint;

const QUANTITY = /^([+-]?)(\d*)(?:\.(\d*))?(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d{1,3}))?$/;

const DECIMAL_EXPONENT: Record<string, number> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY_POWER: Record<string, bigint> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

const INT64_MAX = 2n ** 63n - 1n;

/**
 * Reads a Kubernetes quantity as thousandths, rounded away from zero as resource.Quantity.MilliValue does
 * ("123456789n" is 124n), saturated at ±(2^63 − 1).
 *
 * @returns undefined when the text is no quantity
 */
export function parseQuantity(quantity: unknown): Milli | undefined {
  const thousandths = parseDecimal(quantity, 3);
  return thousandths === undefined ? undefined : saturate(thousandths);
}

/**
 * Reads a quantity that is a plain number, such as a tolerance, as the double that resource.Quantity.AsApproximateFloat64 makes
 * of it: whole n, u, m or units times a power of ten, rounded away from zero to a billionth.
 *
 * @returns undefined when the text is no quantity
 */
export function parseQuantityNumber(quantity: unknown): number | undefined {
  const billionths = parseDecimal(quantity, 9);
  if (billionths === undefined) return undefined;
  // The largest unit that needs no fraction: 0.0333 is 33300 × 0.000001 = 0.033299999999999996, as in the HPA.
  const [exponent, unit] = ([0, -3, -6] as const)
    .map((power) => [power, 10n ** BigInt(9 + power)] as const)
    .find(([, size]) => billionths % size === 0n) ?? [-9, 1n];
  return Number(billionths / unit) * 10 ** exponent;
}

/** @returns whole 10^-places, rounded away from zero */
function parseDecimal(quantity: unknown, places: number): bigint | undefined {
  // A number that JSON could not carry exactly is no quantity: better none than a wrong one.
  if (typeof quantity === 'number' && Math.abs(quantity) > Number.MAX_SAFE_INTEGER) return undefined;
  const text = typeof quantity === 'number' ? String(quantity) : quantity;
  if (typeof text !== 'string') return undefined;
  const match = QUANTITY.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', suffix = '', exponent] = match;
  if (whole === '' && fraction === '') return undefined;

  const power = exponent === undefined ? (DECIMAL_EXPONENT[suffix] ?? 0) : Number(exponent);
  const digits = BigInt(whole + fraction) << (BINARY_POWER[suffix] ?? 0n);
  const magnitude = scaleByPowerOfTen(digits, power - fraction.length + places);
  return sign === '-' ? -magnitude : magnitude;
}

function saturate(thousandths: bigint): Milli {
  if (thousandths > INT64_MAX) return INT64_MAX;
  return thousandths < -INT64_MAX ? -INT64_MAX : thousandths;
}

function scaleByPowerOfTen(digits: bigint, power: number): bigint {
  if (power >= 0) return digits * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (digits + divisor - 1n) / divisor;
}

/** Writes thousandths as a Kubernetes quantity: 250n is "250m", 1500n is "1500m", 2000n is "2". */
export function formatQuantity(milli: Milli): string {
  return milli % 1000n === 0n ? String(milli / 1000n) : `${milli}m`;
}

/** Integer division rounded up, for counts: ceilDivide(3, 2) is 2. Both must be whole, the divisor above 0. */
export function ceilDivide(dividend: number, divisor: number): number {
  return Math.ceil(dividend / divisor);
}

/**
 * Reads a duration of Go, the form in which metrics.k8s.io writes a sample's window: "15s", "1m0s", "30.5s".
 *
 * @returns seconds, or undefined when the text is no duration
 */
export function parseDurationSeconds(duration: string): number | undefined {
  if (!DURATION.test(duration)) return undefined;
  const parts = duration.matchAll(DURATION_PART);
  return [...parts].reduce((sum, [, amount, unit = '']) => sum + Number(amount) * (SECONDS_PER_UNIT[unit] ?? 0), 0);
}

const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;
const DURATION_PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g;
const SECONDS_PER_UNIT: Record<string, number> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** Writes an instant (epoch milliseconds) as RFC 3339 in UTC, without a fraction when it is a whole second. */
export function formatTime(instant: number): string {
  return new Date(instant).toISOString().replace('.000Z', 'Z');
}
