import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JsonObject, mergePatch } from '../../shared/kubernetes/merge-patch.ts';

describe('mergePatch', () => {
  it.each<[string, JsonObject, JsonObject, JsonObject | undefined]>([
    ['nothing', { a: 1, b: { c: [1] } }, { b: { c: [1] }, a: 1 }, undefined],
    ['a field that is new', { a: 1 }, { a: 1, b: 2 }, { b: 2 }],
    ['a field that is another', { a: 1, b: 2 }, { a: 1, b: 3 }, { b: 3 }],
    ['a field that is gone', { a: 1, b: 2 }, { a: 1 }, { b: null }],
    ['a field that is undefined as gone', { a: 1, b: 2 }, { a: 1, b: undefined }, { b: null }],
    ['what differs inside an object alone', { a: { b: 1, c: 2 } }, { a: { b: 1, d: 3 } }, { a: { c: null, d: 3 } }],
    ['an object where none was', { a: 1 }, { a: { b: 1 } }, { a: { b: 1 } }],
    ['an empty object where none was', { a: 1 }, { a: {} }, { a: {} }],
    ['a list as a whole', { a: [1, 2, { b: 1 }] }, { a: [1, 2, { b: 2 }] }, { a: [1, 2, { b: 2 }] }],
    ['no null that is there', { a: null }, { a: null }, undefined],
    ['no null that cannot be written', { a: { b: 1 } }, { a: { b: 1, c: null }, d: null }, undefined],
  ])('says %s', (_, before, after, patch) => {
    expect(mergePatch(before, after)).toEqual(patch);
  });

  it('makes the later object of the earlier one, whatever they are', () => {
    fc.assert(
      fc.property(objects(), objects(), (before, after) => {
        const patch = mergePatch(before, after);

        expect(applyPatch(before, patch ?? {})).toEqual(after);
      }),
    );
  });

  it('says nothing of objects that are alike, and is no longer than what changes', () => {
    fc.assert(
      fc.property(objects(), fc.string(), fc.integer(), (object, key, value) => {
        const changed = { ...object, [`new ${key}`]: value };

        expect(mergePatch(object, structuredClone(object))).toBeUndefined();
        expect(mergePatch(object, changed)).toEqual({ [`new ${key}`]: value });
      }),
    );
  });
});

/** Objects as JSON carries them, without a null in a field: a merge patch cannot write one. */
function objects(): fc.Arbitrary<JsonObject> {
  const { object } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.array(fc.oneof(fc.integer(), fc.constant(null), tie('object')), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc
      // Few keys, so that two objects share some.
      .dictionary(fc.oneof(fc.constantFrom('a', 'b', 'c', '__proto__'), fc.string()), tie('value'), { maxKeys: 4 })
      .map((fields) => JSON.parse(JSON.stringify(fields)) as unknown),
  }));
  return object as fc.Arbitrary<JsonObject>;
}

/** RFC 7386, section 2, word for word. */
function applyPatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const merged = new Map<string, unknown>(isObject ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, applyPatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}
