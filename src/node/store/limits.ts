// The sizes this module accepts and why.

/** Ids and derived names are what callers key by; the longest (an id, a writer, a sequence number) is well below. */
export const RECORD_KEY_BYTES_MAX = 128;

/** A match record of one block batch, padded: 4,000 flags with 800 foreign matches each in a full cluster. */
export const RECORD_VALUE_BYTES_MAX = 13 * 1024 * 1024;

/** How long the first of a group waits for others (replication.md: appends of at most 2 ms are one batch). */
export const GROUP_WINDOW_MS_MAX = 2;

/** One LevelDB batch: a few times its 4 MiB write buffer; more would only raise latency and memory. */
export const GROUP_BYTES_MAX = 16 * 1024 * 1024;

/** Plaintext waiting for its turn: four groups, some seconds of a slow disk. Beyond it callers are told `store-busy`. */
export const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

/** Writes of one commit: a page of a snapshot has thousands, and each costs a map entry until it is synced. */
export const COMMIT_WRITES_MAX = 65_536;

/** A header has five key servers with their addresses, a kilobyte or two. */
export const HEADER_BYTES_MAX = 64 * 1024;

/** Custody deals at most five shares (3 of 5). */
export const KEY_SERVERS_MAX = 5;

/** Listening addresses of one member that are worth dialling. */
export const ADDRESSES_MAX = 8;

/** A multiaddr with a long DNS name is below 300 characters. */
export const ADDRESS_CHARS_MAX = 512;

/** The data key wrapped to recovery keys: 64 of them, the most a configuration has, take 7,887 bytes. */
export const RECOVERY_BYTES_MAX = 8 * 1024;
