import { describe, expect, it } from 'vitest';
import { readGoQuantity } from '../../shared/deployment/go-quantity.ts';

describe('readGoQuantity', () => {
  // Observed of k8s.io/apimachinery v0.24.2.
  it.each`
    quantity    | text                     | int64
    ${'0.1'}    | ${'100m'}                | ${undefined}
    ${'0.5'}    | ${'500m'}                | ${undefined}
    ${'500m'}   | ${'500m'}                | ${undefined}
    ${'1000m'}  | ${'1'}                   | ${undefined}
    ${'1.500'}  | ${'1.500'}               | ${undefined}
    ${'1.5G'}   | ${'1500M'}               | ${1500000000n}
    ${'2'}      | ${'2'}                   | ${2n}
    ${2}        | ${'2'}                   | ${2n}
    ${'2000'}   | ${'2k'}                  | ${2000n}
    ${'1024Mi'} | ${'1Gi'}                 | ${1073741824n}
    ${'3072Mi'} | ${'3Gi'}                 | ${3221225472n}
    ${'1500Mi'} | ${'1500Mi'}              | ${1572864000n}
    ${'0.5Gi'}  | ${'512Mi'}               | ${undefined}
    ${'1.5Gi'}  | ${'1536Mi'}              | ${undefined}
    ${'01Gi'}   | ${'01Gi'}                | ${1073741824n}
    ${'0Ki'}    | ${'0'}                   | ${0n}
    ${'0.5Ki'}  | ${'512'}                 | ${undefined}
    ${'1E3'}    | ${'1E3'}                 | ${1000n}
    ${'12e5'}   | ${'1200e3'}              | ${1200000n}
    ${'1.0'}    | ${'1'}                   | ${undefined}
    ${'-1Gi'}   | ${'-1Gi'}                | ${-1073741824n}
    ${'0.1n'}   | ${'1n'}                  | ${undefined}
    ${'16Ei'}   | ${'9223372036854775807'} | ${undefined}
  `('writes $quantity as $text, and as an int64 it is $int64', ({ quantity, text, int64 }) => {
    const read = readGoQuantity(quantity);

    expect(read).toMatchObject({ text, int64 });
  });

  it.each(['', 'x', '1 Gi', 'Gi', '.', '1e', '1ki', '--1', '9'.repeat(1000), null, undefined, {}])(
    'takes %j for no quantity',
    (quantity) => {
      expect(readGoQuantity(quantity)).toBeUndefined();
    },
  );

  it('has one value for all ways to write it', () => {
    const nanos = ['1536Mi', '1.5Gi', '1610612736', '1610612736000m'].map((quantity) => readGoQuantity(quantity)?.nano);

    expect(new Set(nanos)).toEqual(new Set([1610612736n * 10n ** 9n]));
  });
});
