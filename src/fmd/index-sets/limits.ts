// Sizes of index sets and match records, and why.

/**
 * The smallest padded answer. Some 1,300 entries fit: a wallet that looks every few hours gets one size whether its
 * notes have arrived or not; four network packets.
 */
export const INDEX_SET_BYTES_MIN = 4_096;

/** What a client accepts in one answer: five million entries. */
export const INDEX_SET_BYTES_MAX = 16 * 1024 * 1024;

/** Ranges in one answer: a set has a head, a backfill and a few holes. */
export const COVERED_RANGES_MAX = 10_000;

/** The smallest match record: what a block without flags takes. */
export const MATCH_RECORD_BYTES_MIN = 256;

/** A record read back may have this size at most: far above what a batch of blocks can match. */
export const MATCH_RECORD_BYTES_MAX = 64 * 1024 * 1024;

/** Compaction cuts its output about here, so that no record is long to seal or to read. */
export const COMPACTED_BYTES_WANTED = 1024 * 1024;

/** Heights between two compactions: by height alone, so that writes tell nothing. */
export const COMPACTION_BLOCKS = 1_024;

/** Sorted runs of one list before they are merged: head, backfill, and two for what comes out of order. */
export const RUNS_MAX = 4;

/** Positions in a block; CometBFT's blocks hold fewer transactions by far. */
export const BLOCK_INDEX_MAX = 0xffffffff;

/** Entries in one answer; above it the answer ends early and the client asks again. Under a mebibyte. */
export const ENTRIES_PER_ANSWER_MAX = 262_144;
