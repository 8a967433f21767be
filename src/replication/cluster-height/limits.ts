// Numbers of the exchange of heights. Times in milliseconds, heights in blocks.

/** Between two rounds: a block takes about as long, and a statement has half a kilobyte. */
export const ROUND_MS = 3_000;
/** A new height is told this long after the last round at the earliest: who catches up has many of them. */
export const ROUND_MS_MIN = 1_000;
/** A member that has not answered by then is asked again in the next round. */
export const REQUEST_MS = 5_000;
/**
 * A height that stays is stated anew so often: what is relayed is at most this older, a third of what may be told on.
 */
export const RESTATE_MS = 10_000;
/** Twenty rounds: whoever is silent for so long is away, and where it was says nothing about now. */
export const STATEMENT_AGE_MS = 60_000;
/** Half of that: what is told on has to reach its end while it still counts. */
export const RELAY_AGE_MS = 30_000;

/** Blocks are stated at the multiples of this, so that members a few blocks apart have heights in common. */
export const BLOCK_STEP = 16;
/** 128 heights back: whoever is further behind is catching up and will have them soon. */
export const BLOCKS_STATED = 8;

/** Eight blocks of 55 bytes and 220 bytes of the rest, rounded up. */
export const STATEMENT_BYTES_MAX = 768;
/** One for each member of the largest roster (roster/limits.ts). */
export const STATEMENTS_MAX = 32;
/** 32 statements with their ages, rounded up. */
export const HEIGHTS_BYTES_MAX = 32_768;

/** From this many operators on, the others may be right against this node. */
export const OPERATORS_MIN = 3;
