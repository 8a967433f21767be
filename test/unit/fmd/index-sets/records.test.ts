import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compactionDue, compactRecords } from '../../../../src/fmd/index-sets/compaction.ts';
import { compareEntries, decodeEntries } from '../../../../src/fmd/index-sets/entries.ts';
import { createIndexSets } from '../../../../src/fmd/index-sets/index-sets.ts';
import { decodeMatchRecord, encodeMatchRecord, type MatchRecord } from '../../../../src/fmd/index-sets/match-record.ts';
import { contiguousEnd, normaliseRanges } from '../../../../src/fmd/index-sets/ranges.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';

const user = (birthday: number) => ({ dataKey: new Uint8Array(32).fill(3), birthday, n: 20 });

const aRecord: fc.Arbitrary<MatchRecord> = fc
  .record({
    spans: fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(10), fc.nat(5), fc.nat(2)), { maxLength: 3 }),
    everybody: fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.nat(2)), { maxLength: 5 }),
    matches: fc.array(
      fc.tuple(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 3, max: 5 }),
        fc.array(fc.nat(6), { minLength: 1, maxLength: 4 }),
      ),
      {
        maxLength: 8,
      },
    ),
  })
  .map(({ spans, everybody, matches }) => ({
    spans: spans.map(([from, more, first, count]) => ({
      from,
      to: from + more,
      serials: normaliseRanges([[first, first + count]]),
    })),
    everybody: [...new Map(everybody.map((entry) => [entry.join(), entry])).values()].sort(compareEntries),
    matches: [
      ...new Map(
        matches.map(([height, index, serials]) => [
          `${height},${index}`,
          { entry: [height, index] as const, serials: [...new Set(serials)].sort((a, b) => a - b) },
        ]),
      ).values(),
    ].sort((a, b) => compareEntries(a.entry, b.entry)),
  }));

describe('records', () => {
  const BIRTHDAYS = [1, 1, 8, 20, 33, 50];
  const built = (records: readonly MatchRecord[], gone: readonly number[] = []) => {
    const sets = createIndexSets();
    BIRTHDAYS.forEach((birthday, serial) => {
      sets.add(serial, user(birthday));
    });
    for (const serial of gone) sets.remove(serial);
    for (const record of records) sets.apply(record);
    return BIRTHDAYS.map((_, serial) => sets.content(serial, 0));
  };

  it('give the same answers in any order, repeated, and after compaction without those that are gone', () => {
    const plan = fc
      .array(aRecord, { maxLength: 6 })
      .chain((records) =>
        fc.tuple(
          fc.constant(records),
          fc.shuffledSubarray([...records, ...records], { minLength: 2 * records.length }),
          fc.nat(5),
        ),
      );
    fc.assert(
      fc.property(plan, ([records, again, removed]) => {
        const expected = built(records);
        expect(built(again)).toEqual(expected);
        const compacted = compactRecords(records, (serial) => serial !== removed, { bytesWanted: 30 });
        const size = { transactions: 0, flags: 0, expectedPerFlag: 0 };
        const stored = compacted.map((record) => decodeMatchRecord(encodeMatchRecord(record, size)));
        expect(built(stored, [removed])).toEqual(built(records, [removed]));
        expect(stored.some(({ matches }) => matches.some(({ serials }) => serials.includes(removed)))).toBe(false);
        expect(
          built(
            compactRecords(stored, () => true),
            [removed],
          ),
        ).toEqual(built(records, [removed]));
      }),
      { numRuns: fuzzRuns(400) },
    );
  });

  it('answer as plain sets per user would', () => {
    fc.assert(
      fc.property(fc.array(aRecord, { maxLength: 6 }), (records) => {
        const answers = built(records);
        BIRTHDAYS.forEach((birthday, serial) => {
          const wanted = records.flatMap(({ everybody, matches }) => [
            ...everybody,
            ...matches.filter(({ serials }) => serials.includes(serial)).map(({ entry }) => entry),
          ]);
          const unique = [...new Map(wanted.map((entry) => [entry.join(), entry])).values()].sort(compareEntries);
          expect(decodeEntries(answers[serial]!.entries, 0)).toEqual(unique.filter(([height]) => height >= birthday));
          const covered = normaliseRanges(
            records
              .flatMap(({ spans }) => spans)
              .filter(({ serials }) => serials.some(([first, last]) => first <= serial && serial <= last))
              .map(({ from, to }) => [Math.max(from, birthday), to]),
          );
          expect(answers[serial]).toMatchObject({ covered, syncedTo: contiguousEnd(covered, birthday) });
        });
      }),
      { numRuns: fuzzRuns(400) },
    );
  });

  it('are due for compaction by height alone', () => {
    expect([
      compactionDue(0, 1023),
      compactionDue(1023, 1024),
      compactionDue(1000, 1100),
      compactionDue(1024, 2047),
    ]).toEqual([false, true, true, false]);
  });
});
