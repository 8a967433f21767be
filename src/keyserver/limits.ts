// What custody takes, keeps and waits for, at most. Times in milliseconds.

/** The sealed store's own limit for a header; one with five key servers is a kilobyte or two. */
export const HEADER_BYTES_MAX = 65_536;
/** 3 of 5 is the largest sharing. */
export const SHARES_MAX = 5;
/** Two headers (current and pending) with five commitments each, and a kilobyte of the rest. */
export const MESSAGE_BYTES_MAX = 2 * HEADER_BYTES_MAX + 4_096;
/** Nodes whose shares are kept: some times a large cluster; at most 32 MiB, were every header of the largest size. */
export const OWNERS_MAX = 256;
/** A wiped node comes back under a new id before its old one has left; four of that, so that no host fills the table. */
export const OWNERS_PER_PLATFORM_MAX = 4;
/** Nodes whose incarnation is remembered. Only the roster's forget makes room: forgetting one would unfence it. */
export const INCARNATIONS_MAX = 4_096;
/** No node boots so often; keeps sums of hostile numbers safe integers. */
export const INCARNATION_MAX = 2 ** 48;
/** How far one release may go beyond the last: a liar about it cannot use up the numbers. */
export const INCARNATION_STEP_MAX = 2 ** 20;
/** An operator's name is at most 64 characters, a platform 64 hex digits; as `platform:<hex>` it is 73. */
export const NAME_CHARS_MAX = 128;
/** Four fields and a signature. */
export const TICKET_BYTES_MAX = 512;
/** As many as a cluster configuration may have; 64 of them take 7,887 of the 8,192 bytes that a header has for them. */
export const RECOVERY_KEYS_MAX = 64;
/** The sealed store's own limit for the data key under recovery keys. */
export const RECOVERY_WRAP_BYTES_MAX = 8_192;
/** A recovery share on its way to a node: two hashes, the share, the names of the fields. */
export const RECOVERY_SHARE_BYTES_MAX = 256;

/** A deposit or commit on a slow link, signature checks included; beyond it the member counts as unreachable. */
export const REQUEST_TIMEOUT_MS = 5_000;
/** The backstop behind the events that trigger a re-deal (trust.md, Custody). */
export const PROBE_INTERVAL_MS = 30_000;
/**
 * Key servers hear of the store's head so soon after a commit, and not more often: what a rollback can hide. A note is a
 * hundred bytes to five members at most.
 */
export const HEAD_INTERVAL_MS = 1_000;
/** First wait after something failed; doubled each time. */
export const RETRY_MS_MIN = 1_000;
/** A node that cannot deal is without a backup: half a minute is the most it waits before it tries again. */
export const RETRY_MS_MAX = 30_000;
/** A member silent for two probes is replaced, if another can take its place. */
export const REPLACE_AFTER_MS = 60_000;
/** Former key servers still to be told to drop old shares; they forget by themselves when they restart. */
export const FORMER_SERVERS_MAX = 16;
/** A member that took no share for a reason of its own is passed over for so long; there may be room again then. */
export const AVOID_MS = 600_000;
/** How far one server's word may move the key epoch: deals fail, but not a million times in a row. */
export const KEY_EPOCH_STEP_MAX = 2 ** 20;
