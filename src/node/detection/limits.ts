// How much of the chain is scanned at a time, and why.

/** Blocks of one head batch while catching up: one synced write for all of them. */
export const HEAD_BLOCKS_MAX = 64;

/** Blocks of one backfill batch: a write for half an hour of chain, and not long to do again after a crash. */
export const BACKFILL_BLOCKS_MAX = 256;

/** Flags of one batch; it ends with the block that passes them. Some seconds of work for 1,000 keys on one core. */
export const BATCH_FLAGS_MAX = 2_048;

/** Foreign matches expected of one batch; it ends with the block that passes them. Some 1.5 MB of record. */
export const BATCH_MATCHES_MAX = 500_000;

/** After a batch that could not be written (a full disk): from this wait on, doubling. */
export const RETRY_MS_MIN = 500;
export const RETRY_MS_MAX = 30_000;

/** Between two looks at whether detection may go on: members speak every few seconds. */
export const HOLD_MS = 1_000;
