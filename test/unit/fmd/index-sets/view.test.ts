import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenedIndexSet } from '../../../../src/fmd/index-sets/blob.ts';
import { compareEntries, type Entry } from '../../../../src/fmd/index-sets/entries.ts';
import { contiguousEnd, normaliseRanges, type Range } from '../../../../src/fmd/index-sets/ranges.ts';
import { addAnswer, emptyView, mergeViews, viewSyncedTo, viewUpTo } from '../../../../src/fmd/index-sets/view.ts';
import { fuzzRuns } from '../../../support/fuzz.ts';

const BIRTHDAY = 5;
const height = fc.integer({ min: 1, max: 30 });
/** What is true on the chain: an honest node reports it wherever it has looked. */
const truth: readonly Entry[] = [3, 5, 6, 9, 9, 14, 20, 21, 29].map((at, i): Entry => [at, i]);

const answer: fc.Arbitrary<OpenedIndexSet> = fc
  .tuple(fc.integer({ min: 0, max: 25 }), fc.array(fc.tuple(height, height), { maxLength: 4 }))
  .map(([since, ranges]) => {
    const start = Math.max(BIRTHDAY, since + 1);
    const covered = normaliseRanges(ranges.map(([from, to]): Range => [Math.max(from, start), to]));
    const inside = ([at]: Entry) => covered.some(([from, to]) => from <= at && at <= to);
    return { since, covered, syncedTo: contiguousEnd(covered, start), entries: truth.filter(inside) };
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
        for (const one of list) {
          const before = viewSyncedTo(view);
          view = addAnswer(view, one);
          for (const [from, to] of one.covered) for (let at = from; at <= to; at++) scanned.add(at);
          let end = BIRTHDAY - 1;
          while (scanned.has(end + 1)) end++;
          expect(viewSyncedTo(view)).toBe(end);
          expect(end).toBeGreaterThanOrEqual(before);
          const upTo = (entries: readonly Entry[]) => entries.filter(([at]) => at >= BIRTHDAY && at <= end);
          expect(upTo(view.entries)).toEqual(upTo(truth));
          expect([...view.entries].sort(compareEntries)).toEqual(view.entries);
        }
      }),
      { numRuns: fuzzRuns(1000) },
    );
  });

  it('does not believe the syncedTo of an answer that began after a hole', () => {
    const late: OpenedIndexSet = { since: 10, covered: [[11, 20]], syncedTo: 20, entries: [[14, 5]] };
    const view = addAnswer(viewUpTo(BIRTHDAY, 7, [[6, 2]]), late);
    expect([viewSyncedTo(view), view.entries]).toEqual([
      7,
      [
        [6, 2],
        [14, 5],
      ],
    ]);
    expect(viewSyncedTo(addAnswer(view, { since: 7, covered: [[8, 10]], syncedTo: 10, entries: [] }))).toBe(20);
    expect(viewSyncedTo(emptyView(BIRTHDAY))).toBe(BIRTHDAY - 1);
    expect(() => mergeViews(emptyView(1), emptyView(2))).toThrow(/birthdays/);
  });
});
