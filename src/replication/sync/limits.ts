// What sync sends, keeps and waits for, at most. Times in milliseconds.

/** The mesh carries 256 KiB; the envelope around a message of this module takes less than the KiB left. */
export const MESSAGE_BYTES_MAX = 261_120;
/** Entries or bodies in one message, encoded: 4 KiB are left for what stands around them. */
export const PAGE_BYTES_MAX = 257_024;
/** An entry of 16 KiB and 128 bodies of 1.1 KiB; it always fits into a page. */
export const ENTRY_WITH_BODIES_BYTES_MAX = 180_224;
/** Entries in one message: entries of one operation have some 1.4 KiB with its body, those without body 350 bytes. */
export const ENTRIES_PER_MESSAGE = 512;
/** Operations in one push: what one receipt covers (RECEIPT_OPERATIONS_MAX). */
export const OPERATIONS_PER_PUSH = 1_024;
/** The smallest operations without keys have 300 bytes: more do not fit into a page. */
export const BODIES_PER_MESSAGE = 1_024;
/** Asked for in one fetch: two operations each, 1.1 KiB for the one with keys, fit into one answer. */
export const FETCH_PER_MESSAGE = 128;
/** Asked for in one certify: as many as one receipt covers. */
export const CERTIFY_PER_MESSAGE = 1_024;

/** Pushes to one peer whose answers are not there: one on the way, one being synced, one on the way back. */
export const PUSHES_IN_FLIGHT = 3;
/** Encoded entries of the own log kept until all peers have them: two messages for each push in flight. */
export const OWN_LOG_CACHE_BYTES_MAX = 1_572_864;
/** A peer further behind than so many entries pulls, or takes a snapshot; pushing is for what is new. */
export const PUSH_BEHIND_MAX = 1_024;
/** Pages of one log that are being taken while the next is asked for. */
export const PAGES_TAKEN_MAX = 2;
/** Entries taken by one call of the replica: what all peers have under way is synced together, yet answers in time. */
export const TAKE_ENTRIES_MAX = 2_048;

/** A log for each boot: thirty members that boot once a day for a lifetime of operations. */
export const POSITIONS_MAX = 4_096;
/** A position has 215 bytes at most: 215 KiB. */
export const POSITIONS_PER_PAGE = 1_024;
/** Logs asked for in one pull. */
export const WANTS_PER_PULL = 64;
/** Members whose frontiers are kept, as many as the mesh has connections; those that are gone make room. */
export const FRONTIERS_MAX = 32;
/** Logs known to have two entries at one place: each takes a member that signs twice. */
export const FORKS_MAX = 1_024;

/** One random member is asked this often for its frontier. */
export const FRONTIER_INTERVAL_MS = 2_000;
/** The same member is not asked more often, however often it says that it has news. */
export const FRONTIER_PAUSE_MS = 100;
/** A request on a slow link, with the store's write at the other end; the mesh's own limit. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** First wait after a peer failed; doubled each time, with jitter of as much again. */
export const RETRY_MS_MIN = 250;
/** A peer that comes to its senses is found out in half a minute. */
export const RETRY_MS_MAX = 30_000;
/** A peer that announced entries and did not give them so often in a row is not waited for. */
export const LIES_MAX = 3;
/** At start, how long a silent member keeps this node from being ready: three requests. */
export const ENTRY_PATIENCE_MS = 30_000;

/** Registrations without keys are looked for this often, and when one comes in. */
export const WANTED_INTERVAL_MS = 5_000;
/** Doubled each time nobody has any of them: they may be gone for ever. */
export const WANTED_INTERVAL_MS_MAX = 300_000;
/** Whose log named a wanted registration; for others the order of members does as well. */
export const ORIGINS_MAX = 4_096;

/** Further behind than this many entries, a snapshot is cheaper: it leaves out what was superseded. */
export const SNAPSHOT_BEHIND_ENTRIES = 16_384;
/** A node that has no logs at all pulls up to so many entries, beyond them it takes a snapshot. */
export const SNAPSHOT_COLD_ENTRIES = 1_024;
/** Between two items of a snapshot: the other side reads a few hundred records. */
export const SNAPSHOT_ITEM_TIMEOUT_MS = 15_000;
/** Snapshots made at once: each reads the whole store. */
export const SNAPSHOTS_MAX = 4;
/** Registrations read from the store at once while a snapshot is made. */
export const SNAPSHOT_READS = 64;
/** Bodies in a snapshot that are held already: two for each registration held, what came meanwhile, and so many. */
export const SNAPSHOT_KNOWN_SPARE = 1_024;

/** Ten minutes between audits. */
export const AUDIT_INTERVAL_MS = 600_000;
/** How much of the interval is random, so that members do not audit in step. */
export const AUDIT_JITTER = 0.2;
/** After one that came to nothing, because the other is busy or the frontiers did not agree. */
export const AUDIT_RETRY_MS = 30_000;
/** Hashing a hundred thousand registrations in small pieces, on a machine that detects beside it. */
export const AUDIT_TIMEOUT_MS = 60_000;
/** Registrations hashed without a pause: some two milliseconds. */
export const AUDIT_CHUNK = 128;
/** First and second level of the tree: 4,096 leaves of 24 among 100,000 registrations. */
export const AUDIT_FANOUT = 64;
/** Leaves looked into in one round of an audit: 640 KiB of ids among 100,000; what is left takes another round. */
export const AUDIT_LEAVES_MAX = 512;
/** 66 bytes each: 226 KiB. More in one leaf there cannot be below fourteen million registrations. */
export const AUDIT_IDS_PER_MESSAGE = 3_500;
/** Registrations exchanged after one audit; the next one finds the rest. */
export const AUDIT_DIFFERENCES_MAX = 1_024;
/** A table is kept so long for the later steps of the audit it was made for. */
export const AUDIT_TABLE_MS = 60_000;
/** A member's audits are answered this often: each hashes everything. */
export const AUDIT_SERVE_PAUSE_MS = 5_000;
/** Tables of other members' audits, 64 KiB each, and the ids of the leaves they asked for. */
export const AUDIT_TABLES_MAX = 32;
/** After differences were found: for the frontiers to cover what was on its way. */
export const AUDIT_SETTLE_MS = 10_000;
/** Records of so many random registrations are read in each audit: of 100,000 each about once in eleven days. */
export const AUDIT_SAMPLE = 64;

/** Registrations that users have shown certificates for, and that are looked for; each costs some bytes in a request. */
export const NAMED_MAX = 1_024;
/** Turns in which one of these is looked for: with growing pauses, some minutes. */
export const NAMED_TURNS_MAX = 8;
