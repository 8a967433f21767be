// What a client knows of its index set: the union of the answers of any nodes, in any order. Views of one start are a
// semilattice, and syncedTo follows from what is covered: it never falls and never passes over a gap.

import { KithError } from '../../core/errors.ts';
import type { OpenedIndexSet } from './blob.ts';
import { type Entry, unionEntries } from './entries.ts';
import { clipRanges, contiguousEnd, type Ranges, unionRanges } from './ranges.ts';

export interface IndexSetView {
  /** The first height this view is about: what the client asks for, whatever was registered; at least 1. */
  readonly birthday: number;
  /**
   * The highest start of any answer in the view: the birthday of the registration at that node, or the first height
   * the node has indexed. Heights below it count as covered, because that node has nothing to scan there, but nobody
   * is known to have looked at them: a client that wants them needs a node that begins lower, or a registration with a
   * lower birthday, and a fresh view. Never falls.
   */
  readonly from: number;
  /** Heights from the birthday on that some node has scanned, or that lie below `from`. */
  readonly covered: Ranges;
  /** Sorted, each once, from the birthday on. */
  readonly entries: readonly Entry[];
}

/** Blocks are counted from 1, and no answer can cover height 0: `since` is exclusive. */
const LOWEST_HEIGHT = 1;

/** Knows nothing. Without a birthday, the answers decide: that of the registration stands in each. */
export function emptyView(birthday = LOWEST_HEIGHT): IndexSetView {
  const start = Math.max(birthday, LOWEST_HEIGHT);
  return { birthday: start, from: start, covered: [], entries: [] };
}

/** What a wallet stored: all entries up to `syncedTo`, and the view's `from`. */
export function viewUpTo(birthday: number, syncedTo: number, entries: readonly Entry[], from = birthday): IndexSetView {
  const empty = emptyView(birthday);
  return {
    birthday: empty.birthday,
    from: Math.max(empty.from, from),
    covered: clipRanges([[empty.birthday, syncedTo]], empty.birthday, syncedTo),
    entries: entries.filter(([height]) => height >= empty.birthday),
  };
}

/** The last height up to which nothing is missing; birthday - 1 at the beginning. */
export const viewSyncedTo = ({ covered, birthday }: IndexSetView): number => contiguousEnd(covered, birthday);

/** @throws KithError `bad-parameter` unless both are of one birthday. */
export function mergeViews(a: IndexSetView, b: IndexSetView): IndexSetView {
  if (a.birthday !== b.birthday) throw new KithError('bad-parameter', 'views of different birthdays cannot be merged');
  return {
    birthday: a.birthday,
    from: Math.max(a.from, b.from),
    covered: unionRanges(a.covered, b.covered),
    entries: unionEntries(a.entries, b.entries),
  };
}

/** The view with one more answer. The answer's own syncedTo is not trusted: it holds from its `since` on only. */
export function addAnswer(view: IndexSetView, answer: OpenedIndexSet): IndexSetView {
  const from = Math.max(view.birthday, answer.birthday, answer.first);
  return mergeViews(view, {
    birthday: view.birthday,
    from,
    covered: clipRanges([[view.birthday, from - 1], ...answer.covered], view.birthday, Number.MAX_SAFE_INTEGER),
    entries: answer.entries.filter(([height]) => height >= view.birthday),
  });
}
