// Counters by words. The words of a tally are given when it is made or in a table of ours, so that nobody outside can
// make it grow: what is not known counts as `other`.

export type Words = Readonly<Record<string, string>>;

export interface Counted<Labels extends Words = Words> {
  readonly labels: Labels;
  readonly count: number;
}

export interface Tally<Labels extends Words> {
  add(labels: Labels): void;
  /** Combinations that occurred. */
  read(): readonly Counted<Labels>[];
}

/** Counters that begin at zero. */
export function createTally<Labels extends Words>(): Tally<Labels> {
  const counts = new Map<string, { readonly labels: Labels; count: number }>();
  return {
    add(labels) {
      const name = JSON.stringify(Object.entries(labels));
      const known = counts.get(name);
      if (known) known.count++;
      else counts.set(name, { labels, count: 1 });
    },
    read: () => [...counts.values()].map(({ labels, count }) => ({ labels, count })),
  };
}

/** The word itself if it is one of the table's, else `other`. */
export const knownWord = (table: Readonly<Record<string, unknown>>, word: string): string =>
  Object.hasOwn(table, word) ? word : 'other';
