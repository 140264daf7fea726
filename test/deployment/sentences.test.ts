import { describe, expect, it } from 'vitest';
import { clauses, sentences } from '../../shared/deployment/sentences.ts';

describe('parts of a message', () => {
  it.each([
    [['a', 'b'], 'a. b', 'a; b'],
    [['a.', 'b.'], 'a. b.', 'a; b.'],
    [['a..', 'b', 'c. '], 'a. b. c.', 'a; b; c.'],
    [['and so on...', 'b'], 'and so on.... b', 'and so on...; b'],
    [['a', '', 'b'], 'a. b', 'a; b'],
    [['a.', ''], 'a.', 'a.'],
    [[], '', ''],
  ])('%j are joined with one full stop or one semicolon between them', (parts, asSentences, asClauses) => {
    expect(sentences(...parts)).toBe(asSentences);
    expect(clauses(...parts)).toBe(asClauses);
  });
});
