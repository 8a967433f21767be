import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenedIndexSet } from '../../../../src/fmd/index-sets/blob.ts';
import { compareEntries, type Entry } from '../../../../src/fmd/index-sets/entries.ts';
import { contiguousEnd, normaliseRanges, type Range } from '../../../../src/fmd/index-sets/ranges.ts';
import { addAnswer, emptyView, mergeViews, viewSyncedTo, viewUpTo } from '../../../../src/fmd/index-sets/view.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';

const BIRTHDAY = 5;
const begins = { birthday: BIRTHDAY, first: 0 };
const height = fc.integer({ min: 1, max: 30 });
/** What is true on the chain: an honest node reports it wherever it has looked. */
const truth: readonly Entry[] = [3, 5, 6, 9, 9, 14, 20, 21, 29].map((at, i): Entry => [at, i]);

const answer: fc.Arbitrary<OpenedIndexSet> = fc
  .tuple(
    fc.integer({ min: 0, max: 25 }),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 12 }),
    fc.array(fc.tuple(height, height), { maxLength: 4 }),
  )
  .map(([since, birthday, first, ranges]) => {
    const start = Math.max(birthday, since + 1, first);
    const covered = normaliseRanges(ranges.map(([from, to]): Range => [Math.max(from, start), to]));
    const inside = ([at]: Entry) => covered.some(([from, to]) => from <= at && at <= to);
    return { since, birthday, first, covered, syncedTo: contiguousEnd(covered, start), entries: truth.filter(inside) };
  });
const answers = fc.array(answer, { maxLength: 6 });
const viewOf = (list: readonly OpenedIndexSet[]) => list.reduce(addAnswer, emptyView(BIRTHDAY));

describe('what a client knows', () => {
  it('is the same in whatever order and grouping the answers of the nodes come', () => {
    fc.assert(
      fc.property(answers, answers, answers, (a, b, c) => {
        const [x, y, z] = [viewOf(a), viewOf(b), viewOf(c)];
        expect(mergeViews(x, y)).toEqual(mergeViews(y, x));
        expect(mergeViews(mergeViews(x, y), z)).toEqual(mergeViews(x, mergeViews(y, z)));
        expect(mergeViews(x, x)).toEqual(x);
        expect(mergeViews(x, y)).toEqual(viewOf([...b, ...a]));
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  it('never falls back, never passes over a gap, and misses nothing up to syncedTo', () => {
    fc.assert(
      fc.property(answers, (list) => {
        let view = emptyView(BIRTHDAY);
        const scanned = new Set<number>();
        let nothingBelow = BIRTHDAY;
        for (const one of list) {
          const before = viewSyncedTo(view);
          view = addAnswer(view, one);
          for (const [from, to] of one.covered) for (let at = from; at <= to; at++) scanned.add(at);
          nothingBelow = Math.max(nothingBelow, one.birthday, one.first);
          let end = BIRTHDAY - 1;
          while (scanned.has(end + 1) || end + 1 < nothingBelow) end++;
          expect(viewSyncedTo(view)).toBe(end);
          expect(end).toBeGreaterThanOrEqual(before);
          const upTo = (entries: readonly Entry[]) => entries.filter(([at]) => at >= BIRTHDAY && at <= end);
          const looked = (entries: readonly Entry[]) => upTo(entries).filter(([at]) => at >= nothingBelow);
          expect(view.from).toBe(nothingBelow);
          expect(looked(view.entries)).toEqual(looked(truth));
          expect([...view.entries].sort(compareEntries)).toEqual(view.entries);
        }
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });

  it('says below which height nobody has looked, and waits for no node to have what none has', () => {
    const nothing: Entry[] = [];
    const young: OpenedIndexSet = {
      since: 0,
      birthday: 5,
      first: 10,
      covered: [[10, 12]],
      syncedTo: 12,
      entries: nothing,
    };
    const view = addAnswer(emptyView(BIRTHDAY), young);
    expect([viewSyncedTo(view), view.from]).toEqual([12, 10]);
    const old: OpenedIndexSet = { since: 0, birthday: 5, first: 0, covered: [[5, 8]], syncedTo: 8, entries: [[5, 1]] };
    const both = addAnswer(view, old);
    expect([viewSyncedTo(both), both.from, both.entries]).toEqual([12, 10, [[5, 1]]]);
    expect(viewUpTo(BIRTHDAY, 12, [[5, 1]], both.from)).toEqual(both);
  });

  it('starts where the registration does if the client names no height', () => {
    const lateRegistered: OpenedIndexSet = { since: 0, birthday: 8, first: 0, covered: [], syncedTo: 7, entries: [] };
    const view = addAnswer(emptyView(), lateRegistered);
    expect([view.birthday, view.from, viewSyncedTo(view)]).toEqual([1, 8, 7]);
  });

  it('can be synced though height 0 is in no answer', () => {
    const all: OpenedIndexSet = { since: 0, birthday: 0, first: 0, covered: [[1, 9]], syncedTo: 9, entries: [] };
    expect(viewSyncedTo(addAnswer(emptyView(0), all))).toBe(9);
    expect([viewSyncedTo(emptyView(0)), emptyView(0).from]).toEqual([0, 1]);
  });

  it('does not believe the syncedTo of an answer that began after a hole', () => {
    const late: OpenedIndexSet = { since: 10, ...begins, covered: [[11, 20]], syncedTo: 20, entries: [[14, 5]] };
    const view = addAnswer(viewUpTo(BIRTHDAY, 7, [[6, 2]]), late);
    expect([viewSyncedTo(view), view.entries]).toEqual([
      7,
      [
        [6, 2],
        [14, 5],
      ],
    ]);
    const between: OpenedIndexSet = { since: 7, ...begins, covered: [[8, 10]], syncedTo: 10, entries: [] };
    expect(viewSyncedTo(addAnswer(view, between))).toBe(20);
    expect(viewSyncedTo(emptyView(BIRTHDAY))).toBe(BIRTHDAY - 1);
    expect(() => mergeViews(emptyView(1), emptyView(2))).toThrow(/birthdays/);
  });
});
