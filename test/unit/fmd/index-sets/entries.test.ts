import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareEntries,
  decodeEntries,
  type Entry,
  EntryList,
  encodeAbove,
  encodeEntries,
  unionEntries,
} from '../../../../src/fmd/index-sets/entries.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';

/** The oracle: sorted by comparison, duplicates dropped by their text. */
const sorted = (entries: readonly Entry[]): Entry[] =>
  [...new Map(entries.map((entry) => [entry.join(), entry])).values()].sort(compareEntries);
const small: fc.Arbitrary<Entry[]> = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(4)), { maxLength: 40 });
const wide: fc.Arbitrary<Entry[]> = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 2 ** 48 }), fc.integer({ min: 0, max: 0xffffffff })),
  { maxLength: 20 },
);

describe('entries', () => {
  it('have the bytes that docs/REGISTRATIONS.md gives as example', () => {
    const entries: Entry[] = [
      [1000, 0],
      [1000, 3],
      [1200, 130],
    ];
    expect([...encodeEntries(entries, 990)]).toEqual([10, 0, 0, 2, 0xc8, 1, 0x82, 1]);
  });

  it('come back from their bytes, whatever the base', () => {
    fc.assert(
      fc.property(fc.oneof(small, wide), fc.integer({ min: -1, max: 0 }), (list, base) => {
        const entries = sorted(list);
        expect(decodeEntries(encodeEntries(entries, base), base)).toEqual(entries);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('have one encoding: any bytes that decode are the encoding of what they decode to', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), fc.nat(5), (bytes, base) => {
        let entries: Entry[];
        try {
          entries = decodeEntries(bytes, base);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-entries' });
          return;
        }
        expect(encodeEntries(entries, base)).toEqual(bytes);
        expect(sorted(entries)).toEqual(entries);
      }),
      { numRuns: fuzzRuns(3000) },
    );
  });

  it('are refused when truncated, too long, out of range, or not above their base', () => {
    for (const bytes of [[5], [0x85], [5, 0x80], [0, 1], [0x81, 0, 1], [5, 0xff, 0xff, 0xff, 0xff, 0x7f]]) {
      expect(() => decodeEntries(Uint8Array.from(bytes), 7)).toThrow(expect.objectContaining({ code: 'bad-entries' }));
    }
    const huge = [...new Array(7).fill(0xff), 0x7f, 0];
    expect(() => decodeEntries(Uint8Array.from(huge), 0)).toThrow(expect.objectContaining({ code: 'bad-entries' }));
    expect(() =>
      encodeEntries(
        [
          [5, 1],
          [5, 1],
        ],
        0,
      ),
    ).toThrow(/sorted/);
    expect(() => encodeEntries([[5, 1]], 5)).toThrow(/sorted/);
  });

  it('unite as sets do', () => {
    fc.assert(
      fc.property(small, small, (a, b) => {
        expect(unionEntries(sorted(a), sorted(b))).toEqual(sorted([...a, ...b]));
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('are taken by a list in any order, and given sorted above a height, up to a number', () => {
    fc.assert(
      fc.property(small, small, fc.nat(40), fc.integer({ min: 1, max: 60 }), (own, shared, above, countMax) => {
        const lists = [own, shared].map((entries) => {
          const list = new EntryList();
          for (const entry of entries) list.add(...entry);
          return list;
        });
        const expected = sorted([...own, ...shared]).filter(([height]) => height > above);
        const range = { above, upTo: Number.MAX_SAFE_INTEGER, base: above };
        const found = encodeAbove(lists, range, countMax);
        if (expected.length > countMax) {
          expect(found).toEqual({ kind: 'too-many', height: expected[countMax]![0] });
          const upTo = expected[countMax]![0] - 1;
          const cut = encodeAbove(lists, { ...range, upTo }, countMax);
          expect(cut.kind === 'entries' && decodeEntries(cut.bytes, above)).toEqual(
            expected.filter(([h]) => h <= upTo),
          );
        } else {
          expect(found.kind === 'entries' && decodeEntries(found.bytes, above)).toEqual(expected);
        }
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });
});
