// What the registrations of one node may cost, and why.

/**
 * Foreign matches that one flag may bring, as a share of the most registrations: the mean of 2^-n over a full cluster
 * with n = 7. It bounds match records and the growth of index sets against a crowd of registrations with n = 1.
 */
export const EXPECTED_SHARE_MAX = 1 / 128;
/** So that small clusters, and tests, may hold what they like. */
export const EXPECTED_PER_FLAG_MIN = 64;

/** Operations without keys (revoked, expired) for each registration that fits: 260 bytes of memory each. */
export const TOMBSTONES_PER_REGISTRATION = 4;

/** Records rewritten in one commit when many registrations end at one height; the store takes 65,536. */
export const SWEEP_WRITES_MAX = 20_000;

/**
 * Operations taken in by one call: others wait while they are written, and their signatures are verified in one go,
 * about 0.3 ms each.
 */
export const TAKE_IN_MAX = 128;

/** How long the first operation of a batch waits for others, unless a batch is being synced (replication.md). */
export const GATHER_MS_MAX = 2;

/**
 * From the beginning of a batch to that of the next while callers keep coming: each batch costs a signature, a sync and
 * a message to every member, as much as several operations. It is far below what a user notices.
 */
export const BATCH_INTERVAL_MS = 40;
/** Fewer callers are no crowd: who sends one after the other does not wait for company, nor does a member's page. */
export const CROWD_WORKS = 4;

/** Operations of one batch: with 100 microseconds each the event loop stands still for less than 30 ms. */
export const BATCH_OPERATIONS_MAX = 256;

/** Operations waiting for their batch, 1.5 KiB each: ten seconds of the highest rate. Then `store-busy`. */
export const WAITING_OPERATIONS_MAX = 8_192;

/** Ids of operations that were merged and do not count: 100 bytes each. A peer asks for them within minutes. */
export const OUTRANKED_MAX = 16_384;
