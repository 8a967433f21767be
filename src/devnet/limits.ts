// Limits of the simulated chain, each with its reason.

/** A replay file: the recorded chain has 0.8 MB for 3,000 heights; a string of JavaScript holds twice this. */
export const REPLAY_BYTES_MAX = 256 * 1024 * 1024;

/** Heights from the first to the last of a replay file: three years of Namada. */
export const REPLAY_HEIGHTS_MAX = 15_000_000;

/** Transactions waiting for a block; CometBFT's default. */
export const MEMPOOL_TRANSACTIONS_MAX = 5_000;

/** CometBFT's default max_tx_bytes. */
export const SUBMITTED_BYTES_MAX = 1024 * 1024;

/** Body of a request: the largest transaction in base64, with room for its frame. */
export const REQUEST_BYTES_MAX = 2 * 1024 * 1024;

/** CometBFT's default max_request_batch_size. */
export const BATCH_CALLS_MAX = 10;

/** The masp-indexer times out on ranges much wider than this. */
export const MASP_OFFSET_MAX = 30;

/** A stalled answer is given up by the server after this long, so that no socket is held for ever. */
export const STALL_MS_MAX = 120_000;
