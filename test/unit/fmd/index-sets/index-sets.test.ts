import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clusterIdFromBytes, regIdFromBytes } from '../../../../src/core/ids.ts';
import type { DetectionResult } from '../../../../src/fmd/detection-job.ts';
import { indexSetKey, openIndexSet } from '../../../../src/fmd/index-sets/blob.ts';
import { decodeEntries, type Entry } from '../../../../src/fmd/index-sets/entries.ts';
import { createIndexSets, type IndexSets } from '../../../../src/fmd/index-sets/index-sets.ts';
import { ENTRIES_PER_ANSWER_MAX, MATCH_RECORD_BYTES_MIN } from '../../../../src/fmd/index-sets/limits.ts';
import { decodeMatchRecord, encodeMatchRecord, type MatchRecord } from '../../../../src/fmd/index-sets/match-record.ts';
import type { KeySlot } from '../../../../src/fmd/key-table.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

const random = seededRandom('index set tests');
const dataKey = random.bytes(32);
const clusterId = clusterIdFromBytes(random.bytes(32));
const regId = regIdFromBytes(random.bytes(32));
const user = (birthday = 1, n = 20) => ({ dataKey, birthday, n });
const entriesOf = (sets: IndexSets, serial: number, since = 0) =>
  decodeEntries(sets.content(serial, since)!.entries, since);

/** A result in which slot s matches transaction t if the test says so; slots are serial numbers. */
const resultOf = (slots: number[], matches: (transaction: number, serial: number) => boolean): DetectionResult => ({
  slots: slots as KeySlot[],
  undecodable: [],
  matches: (index, position) => matches(index, slots[position]!),
});

function scan(
  sets: IndexSets,
  from: number,
  to: number,
  slots: number[],
  matched: (entry: Entry, serial: number) => boolean,
) {
  const transactions = Array.from({ length: to - from + 1 }, (_, i) => ({ height: from + i, blockIndex: 2, flags: 1 }));
  const result = resultOf(slots, (index, serial) => matched([from + index, 2], serial));
  return sets.record({ from, to, transactions, result, serialOf: (slot) => slot });
}

describe('writes', () => {
  it('have one size, whether all, some or none of the registrations match', () => {
    const slots = Array.from({ length: 50 }, (_, i) => i);
    const records = [() => false, () => true, (_: Entry, serial: number) => serial === 7].map((matched) => {
      const sets = createIndexSets();
      for (const serial of slots) sets.add(serial, user(1, 2));
      return scan(sets, 100, 103, slots, matched).bytes.length;
    });
    expect(new Set(records).size).toBe(1);
  });

  it('and answers are of equal sizes for a registration with matches and one without, and so are their tags', () => {
    const sets = createIndexSets();
    for (const serial of [0, 1]) sets.add(serial, user());
    const sizes: number[] = [];
    for (let height = 1; height <= 200; height++) {
      const { record, bytes } = scan(sets, height, height, [0, 1], (_, serial) => serial === 0 && height % 2 === 0);
      sets.apply(record);
      sizes.push(bytes.length);
    }
    expect(new Set(sizes)).toEqual(new Set([MATCH_RECORD_BYTES_MIN]));
    expect([entriesOf(sets, 0).length, entriesOf(sets, 1).length]).toEqual([100, 0]);
    const sealed = [0, 1].map((serial) => sets.seal({ random }, serial, { clusterId, regId, since: 0 })!);
    expect(sealed[0]!.ciphertext.length).toBe(sealed[1]!.ciphertext.length);
    expect(sealed.map(({ syncedTo }) => syncedTo)).toEqual([200, 200]);
    expect(openIndexSet(indexSetKey(dataKey), { clusterId, regId, since: 0 }, sealed[0]!).entries.length).toBe(100);
  });

  it('happen for blocks without transactions and for nobody too, and come back as they were', () => {
    const sets = createIndexSets();
    const empty = sets.record({
      from: 5,
      to: 5,
      transactions: [],
      result: resultOf([], () => false),
      serialOf: () => undefined,
    });
    expect(empty.bytes.length).toBe(MATCH_RECORD_BYTES_MIN);
    expect(decodeMatchRecord(empty.bytes)).toEqual({ spans: [], everybody: [], matches: [] });
    sets.add(0, user());
    const { record, bytes } = scan(sets, 7, 9, [0], () => true);
    expect(decodeMatchRecord(bytes)).toEqual(record);
    expect(record.spans).toEqual([{ from: 7, to: 9, serials: [[0, 0]] }]);
  });

  it('take the next size when more matches than can be expected, and lose none', () => {
    const serials = Array.from({ length: 3000 }, (_, i) => i * 300);
    const record: MatchRecord = { spans: [], everybody: [], matches: [{ entry: [9, 0], serials }] };
    const bytes = encodeMatchRecord(record, { transactions: 1, flags: 1, expectedPerFlag: 0.1 });
    expect(bytes.length).toBe(8192);
    expect(decodeMatchRecord(bytes)).toEqual(record);
  });

  it('are refused when read back in any other form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => decodeMatchRecord(bytes)).toThrow(expect.objectContaining({ name: 'KithError' }));
      }),
      { numRuns: fuzzRuns(500) },
    );
    const wrong: MatchRecord[] = [
      { spans: [{ from: 5, to: 4, serials: [[0, 0]] }], everybody: [], matches: [] },
      {
        spans: [
          {
            from: 5,
            to: 6,
            serials: [
              [3, 5],
              [5, 6],
            ],
          },
        ],
        everybody: [],
        matches: [],
      },
    ];
    const size = { transactions: 0, flags: 0, expectedPerFlag: 0 };
    for (const record of wrong)
      expect(() => decodeMatchRecord(encodeMatchRecord(record, size))).toThrow(/not in order/);
    const twice: MatchRecord = { spans: [], everybody: [], matches: [{ entry: [1, 1], serials: [4, 4] }] };
    expect(() => encodeMatchRecord(twice, size)).toThrow(/ascend/);
  });
});

describe('index sets', () => {
  it('hold transactions without or with undecodable flags for everybody, from the birthday on', () => {
    const sets = createIndexSets();
    sets.add(0, user(1));
    sets.add(1, user(6));
    const transactions = [4, 5, 6, 7].map((height) => ({ height, blockIndex: 0, flags: height === 5 ? 0 : 1 }));
    const result = { ...resultOf([0, 1], () => false), undecodable: [2] };
    sets.apply(sets.record({ from: 4, to: 7, transactions, result, serialOf: (slot) => slot }).record);
    expect([entriesOf(sets, 0), entriesOf(sets, 1)]).toEqual([
      [
        [5, 0],
        [6, 0],
      ],
      [[6, 0]],
    ]);
    expect(sets.content(1, 0)).toMatchObject({ covered: [[6, 7]], syncedTo: 7 });
    expect(sets.content(0, 0)).toMatchObject({ covered: [[4, 7]], syncedTo: 0 });
    expect([sets.syncedTo(0, 3), sets.syncedTo(0, 7), sets.syncedTo(0, 2), sets.syncedTo(9, 0)]).toEqual([
      7,
      7,
      2,
      undefined,
    ]);
  });

  it('never jump a hole: syncedTo waits for the backfill while the head goes on', () => {
    const sets = createIndexSets();
    sets.add(0, user(10));
    sets.apply(scan(sets, 50, 60, [0], ([height]) => height === 55).record);
    expect(sets.content(0, 0)).toMatchObject({ covered: [[50, 60]], syncedTo: 9 });
    expect(sets.nextBackfill(60, 25)).toEqual({ from: 10, to: 34, serials: [0] });
    sets.apply(scan(sets, 10, 34, [0], ([height]) => height === 20).record);
    expect(sets.content(0, 0)).toMatchObject({
      covered: [
        [10, 34],
        [50, 60],
      ],
      syncedTo: 34,
    });
    expect(sets.nextBackfill(60, 25)).toEqual({ from: 35, to: 49, serials: [0] });
    sets.apply(scan(sets, 35, 49, [0], () => false).record);
    expect(sets.nextBackfill(60, 25)).toBeUndefined();
    expect(sets.content(0, 0)).toMatchObject({ covered: [[10, 60]], syncedTo: 60 });
    expect(entriesOf(sets, 0)).toEqual([
      [20, 2],
      [55, 2],
    ]);
    expect(entriesOf(sets, 0, 20)).toEqual([[55, 2]]);
  });

  it('backfill many birthdays in few tasks, and end in one group', () => {
    const sets = createIndexSets();
    for (let serial = 0; serial < 300; serial++) sets.add(serial, user(1 + serial));
    let tasks = 0;
    for (let task = sets.nextBackfill(400, 100); task; task = sets.nextBackfill(400, 100)) {
      tasks++;
      sets.apply(scan(sets, task.from, task.to, [...task.serials], () => false).record);
    }
    expect([tasks, sets.groups]).toEqual([4, 1]);
  });

  it("begin where the chain begins here: below is nothing to scan, and the birthday stays the user's", () => {
    const sets = createIndexSets();
    sets.add(0, user(1));
    sets.add(1, user(70));
    sets.begin(50);
    sets.begin(50);
    sets.add(2, user(3));
    expect(sets.content(0, 0)).toMatchObject({ birthday: 1, first: 50, covered: [], syncedTo: 49 });
    expect(sets.content(1, 0)).toMatchObject({ birthday: 70, first: 50, covered: [], syncedTo: 69 });
    expect(sets.content(2, 0)).toMatchObject({ birthday: 3, first: 50, covered: [], syncedTo: 49 });
    expect(sets.content(2, 90)).toMatchObject({ first: 50, covered: [], syncedTo: 90 });
    expect(sets.nextBackfill(49, 100)).toBeUndefined();
    expect(sets.nextBackfill(80, 100)).toEqual({ from: 50, to: 80, serials: [0, 1, 2] });
    sets.apply(scan(sets, 50, 80, [0, 1, 2], ([height]) => height === 55).record);
    expect(sets.nextBackfill(80, 100)).toBeUndefined();
    expect(sets.groups).toBe(1);
    expect(sets.content(0, 0)).toMatchObject({ first: 50, covered: [[50, 80]], syncedTo: 80 });
    expect(sets.content(1, 0)).toMatchObject({ covered: [[70, 80]], syncedTo: 80 });
    expect([sets.syncedTo(0, 0), sets.syncedTo(0, 20), sets.syncedTo(1, 0)]).toEqual([80, 80, 80]);
    const where = { clusterId, regId, since: 0 };
    const opened = openIndexSet(indexSetKey(dataKey), where, sets.seal({ random }, 2, where)!);
    expect(opened).toMatchObject({ birthday: 3, first: 50, syncedTo: 80, entries: [[55, 2]] });
    for (const other of [51, 0, -1, 1.5]) expect(() => sets.begin(other)).toThrow(/does not change/);
  });

  it('drop a removed registration with its entries, and never take its number again', () => {
    const sets = createIndexSets();
    sets.add(0, user());
    sets.add(4, user(1, 1));
    expect([sets.size, sets.nextSerial, sets.expectedPerFlag]).toEqual([2, 5, 0.5 + 2 ** -20]);
    const { record } = scan(sets, 1, 3, [0, 4], () => true);
    expect(record.spans[0]!.serials).toEqual([[0, 4]]);
    expect(sets.remove(4)).toBe(true);
    expect([
      sets.remove(4),
      sets.has(4),
      sets.content(4, 0),
      sets.seal({ random }, 4, { clusterId, regId, since: 0 }),
    ]).toEqual([false, false, undefined, undefined]);
    sets.apply(record);
    expect(entriesOf(sets, 0).length).toBe(3);
    expect(() => sets.add(4, user())).toThrow(/5 or above/);
    const reopened = createIndexSets();
    reopened.apply(record);
    expect(reopened.nextSerial).toBe(5);
  });

  it('end an answer early that would be too large, and go on from there', () => {
    const sets = createIndexSets();
    sets.add(0, user());
    const perBlock = 1000;
    const blocks = Math.ceil(ENTRIES_PER_ANSWER_MAX / perBlock) + 3;
    const everybody = Array.from(
      { length: blocks * perBlock },
      (_, i): Entry => [1 + Math.floor(i / perBlock), i % perBlock],
    );
    sets.apply({ spans: [{ from: 1, to: blocks, serials: [[0, 0]] }], everybody, matches: [] });
    const first = sets.content(0, 0)!;
    expect(first.syncedTo).toBe(Math.floor(ENTRIES_PER_ANSWER_MAX / perBlock));
    const got = [...decodeEntries(first.entries, 0), ...entriesOf(sets, 0, first.syncedTo)];
    expect(got.length).toBe(everybody.length);
    expect(sets.content(0, first.syncedTo)!.syncedTo).toBe(blocks);
  });
});
