// How far a node's journal went: what peers remember of each node, so that an older disk is noticed.

/** How far a node's journal went, for the next boot to measure its store by. */
export interface JournalHead {
  readonly incarnation: number;
  readonly sequence: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

/** Negative if `a` is the older one. */
export const compareHeads = (a: JournalHead, b: JournalHead): number =>
  a.incarnation - b.incarnation || a.sequence - b.sequence;
