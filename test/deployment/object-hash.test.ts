import { describe, expect, it } from 'vitest';
import { fnv1a32, objectHash } from '../../shared/deployment/object-hash.ts';

describe('objectHash', () => {
  // From benlaurie/objecthash (Go, d1e3d6079fc1), CommonJSONHash.
  it.each`
    json                                   | expected
    ${'null'}                              | ${'1b16b1df538ba12dc3f97edbb85caa7050d46c148134290feba80f8236c83db9'}
    ${'true'}                              | ${'7dc96f776c8423e57a2785489a3f9c43fb6e756876d6ad9a9cac4aa4e72ec193'}
    ${'false'}                             | ${'c02c0b965e023abee808f2b548d8d5193a8b5229be6f3121a6f16e2d41a449b3'}
    ${'0'}                                 | ${'60101d8c9cb988411468e38909571f357daa67bff5a7b0a3f9ae295cd4aba33d'}
    ${'1'}                                 | ${'f01adc732390ab024d64080e0b173f0ee3a1610efbdd4ce2a13bbf8d9b26c639'}
    ${'3'}                                 | ${'9f41f97955b9635336ca7c25dbd9dc83dd5d4d2e638348f8d91af7de9aacd453'}
    ${'8081'}                              | ${'abc92ded49bc3cca20bda006a571290b238b71dbd5c6ba642b4623ff09d1d619'}
    ${'-3'}                                | ${'bb0904b615732ee507c87d9412a777333f8bd1a2d6535d3ebcb3f4fa67ccebf0'}
    ${'0.1'}                               | ${'9e8d456ebb4841e41f5bfacd03e8ebd32462c7d888d215c51e81c51fa2bef0d9'}
    ${'1e21'}                              | ${'826de8a048fd76863e5ef4cc84296b8ad67627de3b3f7aaeb52dc626dcf5f5c4'}
    ${'""'}                                | ${'0bfe935e70c321c7ca3afc75ce0d0ca2f98b5422e008bb31c00c6d7f1f1c0ad6'}
    ${'"app-name"'}                        | ${'c39890a04170c6576ebf3024641c2daa59aef2fad00a413492e86d913013d943'}
    ${'"é🙂"'}                             | ${'38c8adac85a1c15852c70e94d1360875684103c775b6efde5f74159045556d80'}
    ${'[]'}                                | ${'acac86c0e609ca906f632b0e2dacccb2b77d22b0621f20ebece1a4835b93f6f0'}
    ${'{}'}                                | ${'18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4'}
    ${'{"a":1}'}                           | ${'523ef52bdd3566aefa440b297796d7b1367a2e82d922165571f4326381635c14'}
    ${'[1,2]'}                             | ${'8edec191ee4cbe23fc661b0a6a7a35c483e89e0a484ffc154dc75b7b9d680f30'}
    ${'{"b":[true,null],"a":{"c":-0.25}}'} | ${'8f43da86884de93c75dfff0c00f41d53f56133249aa63474310e76b6a2d4cb94'}
  `('gives $json what the Go library gives it', ({ json, expected }) => {
    expect(objectHash(JSON.parse(json)).toString('hex')).toBe(expected);
  });

  it('does not depend on the order of keys', () => {
    expect(objectHash({ a: 1, b: 2 })).toEqual(objectHash({ b: 2, a: 1 }));
  });
});

describe('fnv1a32', () => {
  // http://www.isthe.com/chongo/tech/comp/fnv/, test vectors of FNV-1a.
  it.each`
    text        | expected
    ${''}       | ${0x811c9dc5}
    ${'a'}      | ${0xe40c292c}
    ${'foobar'} | ${0xbf9cf968}
  `('gives "$text" its published value', ({ text, expected }) => {
    expect(fnv1a32(Buffer.from(text))).toBe(expected);
  });
});
