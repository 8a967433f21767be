// What a client knows of its index set: the union of the answers of any nodes, in any order. Views are a semilattice,
// and syncedTo follows from what is covered: it never falls and never passes over a gap.

import { KithError } from '../../core/errors.ts';
import type { OpenedIndexSet } from './blob.ts';
import { type Entry, unionEntries } from './entries.ts';
import { clipRanges, contiguousEnd, type Ranges, unionRanges } from './ranges.ts';

export interface IndexSetView {
  readonly birthday: number;
  /** Heights from the birthday on that some node has scanned. */
  readonly covered: Ranges;
  /** Sorted, each once, from the birthday on. */
  readonly entries: readonly Entry[];
}

/** Knows nothing. */
export const emptyView = (birthday: number): IndexSetView => ({ birthday, covered: [], entries: [] });

/** What a wallet stored: all entries up to `syncedTo`. */
export const viewUpTo = (birthday: number, syncedTo: number, entries: readonly Entry[]): IndexSetView => ({
  birthday,
  covered: clipRanges([[birthday, syncedTo]], birthday, syncedTo),
  entries: entries.filter(([height]) => height >= birthday),
});

/** The last height up to which nothing is missing; birthday - 1 at the beginning. */
export const viewSyncedTo = ({ covered, birthday }: IndexSetView): number => contiguousEnd(covered, birthday);

/** @throws KithError `bad-parameter` unless both are of one birthday. */
export function mergeViews(a: IndexSetView, b: IndexSetView): IndexSetView {
  if (a.birthday !== b.birthday) throw new KithError('bad-parameter', 'views of different birthdays cannot be merged');
  return {
    birthday: a.birthday,
    covered: unionRanges(a.covered, b.covered),
    entries: unionEntries(a.entries, b.entries),
  };
}

/** The view with one more answer. The answer's own syncedTo is not trusted: it holds from its `since` on only. */
export const addAnswer = (view: IndexSetView, { covered, entries }: OpenedIndexSet): IndexSetView =>
  mergeViews(view, {
    birthday: view.birthday,
    covered: clipRanges(covered, view.birthday, Number.MAX_SAFE_INTEGER),
    entries: entries.filter(([height]) => height >= view.birthday),
  });
