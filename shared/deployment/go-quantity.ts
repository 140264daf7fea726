// Quantities as k8s.io/apimachinery reads them and writes them again. units.ts has them for arithmetic; here every
// letter counts, because what Go writes is what was hashed.

/** What Go makes of the text of a quantity. */
export interface GoQuantity {
  /** Whole billionths, rounded away from zero. */
  readonly nano: bigint;
  /** As it is written into JSON again: "0.1" as "100m", "1024Mi" as "1Gi", but "1500Mi" and "1.500" as they are. */
  readonly text: string;
  /** Quantity.AsInt64: undefined for all that Go keeps as a decimal or with a fraction, such as "1.5Gi" and "1.0". */
  readonly int64: bigint | undefined;
}

const QUANTITY = /^([+-]?)(\d*)(?:\.(\d*))?(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d{1,3}))?$/;

const DECIMAL_EXPONENT: Record<string, number> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY_EXPONENT: Record<string, number> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const DECIMAL_SUFFIX = new Map(Object.entries(DECIMAL_EXPONENT).map(([suffix, exponent]) => [exponent, suffix]));
const BINARY_SUFFIX = new Map(Object.entries(BINARY_EXPONENT).map(([suffix, exponent]) => [exponent, suffix]));

const INT64_MAX = 2n ** 63n - 1n;
const NANO_PER_UNIT = 10n ** 9n;
const KIBI = 1024n;

/** How many digits Go lets into an int64 without a closer look. */
const MAX_INT64_DIGITS = 18;

/** No quantity is longer; digits cost more than their number. */
const MAX_LENGTH = 100;

type Format = 'decimal' | 'binary' | 'exponent';

interface Parts {
  readonly written: string;
  readonly isNegative: boolean;
  /** Digits before and after the point; at least "0". */
  readonly whole: string;
  readonly fraction: string;
  readonly format: Format;
  /** Of 2 in binary format, else of 10. */
  readonly exponent: number;
}

/** Reads a quantity. @returns undefined for what is none */
export function readGoQuantity(quantity: unknown): GoQuantity | undefined {
  const parts = takeApart(typeof quantity === 'number' ? String(quantity) : quantity);
  if (parts === undefined) return undefined;
  const nano = nanoOf(parts);
  const isShort = fitsFastPath(parts);
  return {
    nano,
    text: isShort && isKeptAsWritten(parts) ? parts.written : canonical(nano, parts.format),
    int64: isShort ? wholeUnits(parts) : undefined,
  };
}

function takeApart(quantity: unknown): Parts | undefined {
  if (typeof quantity !== 'string' || quantity.length > MAX_LENGTH) return undefined;
  const match = QUANTITY.exec(quantity.trim());
  if (match === null) return undefined;
  const [written, sign, digits = '', fraction = '', suffix = '', tens] = match;
  if (digits === '' && fraction === '') return undefined;
  const whole = digits.replace(/^0+/, '');
  const binary = BINARY_EXPONENT[suffix];
  return {
    written,
    isNegative: sign === '-',
    whole: whole === '' ? '0' : whole,
    fraction,
    format: binary !== undefined ? 'binary' : tens === undefined ? 'decimal' : 'exponent',
    exponent: binary ?? (tens === undefined ? (DECIMAL_EXPONENT[suffix] ?? 0) : Number(tens)),
  };
}

function nanoOf({ isNegative, whole, fraction, format, exponent }: Parts): bigint {
  const digits = BigInt(whole + fraction) << (format === 'binary' ? BigInt(exponent) : 0n);
  const power = (format === 'binary' ? 0 : exponent) - fraction.length + 9;
  const divisor = power < 0 ? 10n ** BigInt(-power) : 1n;
  const magnitude = power < 0 ? (digits + divisor - 1n) / divisor : digits * 10n ** BigInt(power);
  const most = INT64_MAX * NANO_PER_UNIT;
  const bounded = format === 'binary' && magnitude > most ? most : magnitude;
  return isNegative ? -bounded : bounded;
}

/** Whether Go takes the short way through an int64, on which it remembers how the quantity was written. */
function fitsFastPath({ whole, fraction, format, exponent }: Parts): boolean {
  if (format !== 'binary')
    return whole.length + fraction.length <= MAX_INT64_DIGITS && exponent - fraction.length >= -9;
  const precision = 15 - whole.length - Math.trunc((exponent * 3) / 10) - 1;
  return fraction === '' && precision >= 0;
}

/** Go's own guess of what is canonical already. It lets "1.500" pass. */
function isKeptAsWritten({ whole, fraction, format, exponent }: Parts): boolean {
  if (format === 'binary') return BigInt(whole) % 8n !== 0n;
  const digits = whole + fraction;
  return (exponent - fraction.length) % 3 === 0 && !digits.endsWith('000') && !digits.startsWith('0');
}

function wholeUnits({ isNegative, whole, fraction, format, exponent }: Parts): bigint | undefined {
  const digits = BigInt(whole + fraction);
  const scale = exponent - fraction.length;
  if (digits === 0n && fraction === '') return 0n;
  if (format !== 'binary' && scale < 0) return undefined;
  const units = format === 'binary' ? digits << BigInt(exponent) : digits * 10n ** BigInt(scale);
  if (units > INT64_MAX) return undefined;
  return isNegative ? -units : units;
}

function canonical(nano: bigint, format: Format): string {
  if (nano === 0n) return '0';
  const magnitude = nano < 0n ? -nano : nano;
  const isPlain = magnitude % NANO_PER_UNIT !== 0n || magnitude < KIBI * NANO_PER_UNIT;
  if (format === 'binary' && !isPlain) return binaryText(nano / NANO_PER_UNIT);
  return decimalText(nano, format === 'exponent' ? 'exponent' : 'decimal');
}

function binaryText(units: bigint): string {
  let [amount, exponent] = [units, 0];
  for (; amount % KIBI === 0n; amount /= KIBI) exponent += 10;
  return `${amount}${BINARY_SUFFIX.get(exponent) ?? ''}`;
}

/** The power of ten is a multiple of three, and as large as leaves no fraction. */
function decimalText(nano: bigint, format: 'decimal' | 'exponent'): string {
  let [amount, exponent] = [nano, -9];
  for (; amount % 1000n === 0n; amount /= 1000n) exponent += 3;
  if (exponent === 0) return String(amount);
  const suffix = format === 'decimal' ? DECIMAL_SUFFIX.get(exponent) : undefined;
  return `${amount}${suffix ?? `e${exponent}`}`;
}
