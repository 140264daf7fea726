import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ceilDivide,
  formatQuantity,
  formatTime,
  parseDurationSeconds,
  parseQuantity,
  parseQuantityNumber,
} from '../shared/units.ts';

const LARGEST = 2n ** 63n - 1n;

describe('parseQuantity', () => {
  it.each<[unknown, bigint]>([
    ['0', 0n],
    ['1', 1000n],
    ['250m', 250n],
    ['1.5', 1500n],
    ['0.5', 500n],
    ['.5', 500n],
    ['1.', 1000n],
    ['+1', 1000n],
    ['-1', -1000n],
    ['-250m', -250n],
    ['1e3', 1_000_000n],
    ['1E3', 1_000_000n],
    ['1e-3', 1n],
    ['1.5e+2', 150_000n],
    ['1k', 1_000_000n],
    ['1M', 1_000_000_000n],
    ['1G', 1_000_000_000_000n],
    ['1T', 10n ** 15n],
    ['1P', 10n ** 18n],
    ['0.001E', 10n ** 18n],
    ['1Ki', 1_024_000n],
    ['100Ki', 102_400_000n],
    ['0.5Ki', 512_000n],
    ['1.5Mi', 1_572_864_000n],
    ['1Gi', 1_073_741_824_000n],
    ['1Ti', 2n ** 40n * 1000n],
    ['1Pi', 2n ** 50n * 1000n],
    ['0.001Ei', 2n ** 60n],
    [1, 1000n],
    [0.25, 250n],
    [Number.MAX_SAFE_INTEGER, 9_007_199_254_740_991_000n],
    [-Number.MAX_SAFE_INTEGER, -9_007_199_254_740_991_000n],
  ])('reads %j as %s thousandths', (quantity, milli) => {
    expect(parseQuantity(quantity)).toBe(milli);
  });

  it.each<[string, bigint]>([
    ['123456789n', 124n],
    ['1n', 1n],
    ['5u', 1n],
    ['1001u', 2n],
    ['0.0001', 1n],
    ['0.2505', 251n],
    ['-1n', -1n],
    ['-1001u', -2n],
    ['1e-9', 1n],
  ])('rounds %s away from zero, to %s thousandths', (quantity, milli) => {
    expect(parseQuantity(quantity)).toBe(milli);
  });

  it.each<[string, bigint]>([
    ['9007199254740993', 9_007_199_254_740_993_000n],
    ['9007199254740.993', 9_007_199_254_740_993n],
    ['9007199254740993m', 9_007_199_254_740_993n],
  ])('reads %s, beyond 2^53, without losing a digit', (quantity, milli) => {
    expect(parseQuantity(quantity)).toBe(milli);
  });

  it.each<[string, bigint]>([
    ['9223372036854775807m', LARGEST],
    ['9223372036854775808m', LARGEST],
    ['10P', LARGEST],
    ['1E', LARGEST],
    ['1Ei', LARGEST],
    ['1e999', LARGEST],
    ['-1Ei', -LARGEST],
  ])('saturates %s at %s', (quantity, milli) => {
    expect(parseQuantity(quantity)).toBe(milli);
  });

  it.each([
    '',
    ' ',
    '1 ',
    ' 1',
    '.',
    '+',
    '-',
    'm',
    'e3',
    '1e',
    '1e+',
    '1K',
    '1ki',
    '1mi',
    '1mm',
    '1,5',
    '1.2.3',
    '--1',
    '0x10',
    '1_000',
    'NaN',
    'Infinity',
    'one',
    '١',
    // JSON could not carry these exactly.
    2 ** 53,
    1e21,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    null,
    undefined,
    true,
    {},
    ['1'],
  ])('reads %j as no quantity', (quantity) => {
    expect(parseQuantity(quantity)).toBeUndefined();
  });

  it('never throws, whatever it is given', () => {
    fc.assert(
      fc.property(fc.anything(), (anything) => {
        expect(['bigint', 'undefined']).toContain(typeof parseQuantity(anything));
      }),
    );
  });
});

describe('parseQuantityNumber', () => {
  it.each<[unknown, number]>([
    ['0', 0],
    ['2', 2],
    ['1k', 1000],
    ['0.1', 0.1],
    ['50m', 0.05],
    ['-50m', -0.05],
    [0.2, 0.2],
    ['5u', 5 * 10 ** -6],
    // 35 × 10^-3, 33300 × 10^-6 and 333333 × 10^-6 in doubles, as the HPA computes them.
    ['0.035', 0.035],
    ['0.0333', 0.033_299_999_999_999_996],
    ['0.3', 0.3],
    ['700n', 700 * 10 ** -9],
    ['9697492733287673', 9_697_492_733_287_672],
    ['333333u', 0.333_333],
    ['1n', 1e-9],
    ['100000007n', 100_000_007 * 10 ** -9],
    ['0.0000000001', 1e-9],
  ])('reads %j as %d', (quantity, number) => {
    expect(parseQuantityNumber(quantity)).toBe(number);
  });

  it.each(['', 'ten', '1,5', null, Number.NaN])('reads %j as no quantity', (quantity) => {
    expect(parseQuantityNumber(quantity)).toBeUndefined();
  });
});

describe('formatQuantity', () => {
  it.each<[bigint, string]>([
    [0n, '0'],
    [250n, '250m'],
    [1500n, '1500m'],
    [2000n, '2'],
    [-250n, '-250m'],
    [-2000n, '-2'],
    [LARGEST, '9223372036854775807m'],
  ])('writes %s thousandths as %s', (milli, quantity) => {
    expect(formatQuantity(milli)).toBe(quantity);
  });

  it('writes what parseQuantity reads back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -LARGEST, max: LARGEST }), (milli) => {
        expect(parseQuantity(formatQuantity(milli))).toBe(milli);
      }),
    );
  });
});

describe('ceilDivide', () => {
  it.each`
    dividend | divisor | expected
    ${0}     | ${2}    | ${0}
    ${3}     | ${2}    | ${2}
    ${4}     | ${2}    | ${2}
    ${1}     | ${16}   | ${1}
    ${17}    | ${16}   | ${2}
  `('gives $expected for $dividend by $divisor', ({ dividend, divisor, expected }) => {
    expect(ceilDivide(dividend, divisor)).toBe(expected);
  });
});

describe('parseDurationSeconds', () => {
  it.each([
    ['15s', 15],
    ['30.5s', 30.5],
    ['1m0s', 60],
    ['1m30.25s', 90.25],
    ['1h0m0s', 3600],
    ['2h', 7200],
    ['0s', 0],
    ['1.5h', 5400],
    ['500ms', 0.5],
    ['1s250ms', 1.25],
    ['250us', 250 * 1e-6],
    ['250µs', 250 * 1e-6],
    ['5ns', 5e-9],
  ])('reads %s as %s seconds', (duration, expected) => {
    expect(parseDurationSeconds(duration)).toBe(expected);
  });

  it.each(['', 's', '15', '15 s', '1d', '-1s', 'soon'])('reads %j as no duration', (duration) => {
    expect(parseDurationSeconds(duration)).toBeUndefined();
  });
});

describe('formatTime', () => {
  it('writes a whole second without a fraction', () => {
    expect(formatTime(Date.UTC(2026, 2, 1, 12, 0, 5))).toBe('2026-03-01T12:00:05Z');
  });

  it('keeps milliseconds where there are some', () => {
    expect(formatTime(Date.UTC(2026, 2, 1, 12, 0, 5, 7))).toBe('2026-03-01T12:00:05.007Z');
  });
});
