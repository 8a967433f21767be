// Every limit of the chain side, each with the reason for its number.

/** A flag of Namada's proposal: 4 bytes of length, two points, a scalar, 8 bytes of length, 20 bits in 3 bytes. */
export const FLAG_BYTES = 111;

/** CometBFT's hard limit for a block is 100 MiB, Namada's default 6 MiB; no transaction is larger than its block. */
export const TRANSACTION_BYTES_MAX = 8 * 1024 * 1024;

/** A batch of Namada transactions has a few sections for each; the largest seen has 60. */
export const SECTIONS_MAX = 4_096;

/** A shielded transaction of 8 MiB cannot have more outputs (788 bytes and a proof of 192 each). */
export const MASP_ITEMS_MAX = 8_192;

/** A transaction has as many flags as outputs. */
export const FLAGS_PER_TRANSACTION_MAX = 8_192;

/** One answer: a full Namada block in base64 with its events is below 12 MiB. Four are under way at most. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** CometBFT refuses batches of more than ten calls by default (max_request_batch_size); a block takes two. */
export const RPC_BATCH_CALLS_MAX = 10;
export const COMET_RANGE_BLOCKS = RPC_BATCH_CALLS_MAX / 2;

/** The masp-indexer times out on wide ranges: a height and at most 29 after it. */
export const MASP_RANGE_BLOCKS = 30;

/** Transactions in one block: a 6 MiB block of the smallest ones (150 bytes). */
export const BLOCK_TRANSACTIONS_MAX = 50_000;

/** Events of one block; some of Namada's transactions emit dozens. */
export const BLOCK_EVENTS_MAX = 200_000;
export const EVENT_ATTRIBUTES_MAX = 256;

/** The largest anchor: 512 tags and a certificate of 64 receipts, in base64url. */
export const TEXT_BYTES_MAX = 64 * 1024;

/** Text transactions kept of one block; a cluster sends one in twenty blocks. */
export const TEXTS_PER_BLOCK_MAX = 256;

/** One height in the store: less than the answer it came from, which had the same bytes in base64. */
export const RECORD_BYTES_MAX = 16 * 1024 * 1024;

/** One request; a busy public node answers within two seconds. */
export const REQUEST_TIMEOUT_MS = 10_000;

/** Waits between attempts at a range: from a quarter second, doubling, with full jitter. */
export const BACKOFF_MS_MIN = 250;
export const BACKOFF_MS_MAX = 10_000;

/** Waits between attempts to write to a full disk, doubling: as detection does with its own. */
export const WRITE_RETRY_MS_MIN = 500;
export const WRITE_RETRY_MS_MAX = 30_000;

/** Nodes behind one load balancer differ by a few blocks; more than that is a reset. */
export const REGRESSION_BLOCKS_MAX = 10;

/** Ranges under way at once: enough to hide a round trip of 100 ms, few enough to bound memory. */
export const RANGES_IN_FLIGHT = 4;

/** Blocks written in one batch: one synced write for a range. */
export const BATCH_BLOCKS_MAX = 64;

/** A height may be read back after rehashing at most this many records; 32 bytes of memory for each stretch. */
export const STRETCH_HEIGHTS = 256;

/**
 * Rows kept in memory, the last ones: a registration begins minutes before the tip. Decoded they take some three times
 * their bytes.
 */
export const RECENT_HEIGHTS_MAX = 64;
export const RECENT_BYTES_MAX = 1_048_576;

/** A chain id is below 50 characters in CometBFT (types.MaxChainIDLen). */
export const CHAIN_ID_CHARS_MAX = 64;

/** Upstreams of one kind; more add load, not safety. */
export const UPSTREAMS_MAX = 16;

/** Without a new block for this long the tip counts as stale (Namada: one in 7 s). */
export const STALE_TIP_MS = 120_000;
