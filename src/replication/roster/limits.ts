// What the roster takes, keeps and waits for, at most. Times in milliseconds, heights in blocks.

/** The mesh keeps 32 connections: a larger cluster could not talk to itself. */
export const MEMBERS_MAX = 32;
/** Joins, leaves and evictions in the life of a cluster: one a day for eleven years. */
export const STATEMENTS_MAX = 4_096;
/** Between two majority statements every member can leave in each of three ways; the rest is for concurrent joins. */
export const AFTER_MAX = 128;
/** The largest roster and a joiner. A restore of it has 31 replacements of 87 bytes, and no joiner. */
export const SIGNATURES_MAX = MEMBERS_MAX + 1;
/** 128 ids of 34 bytes, 33 signatures of 116, and half a kilobyte of the rest, rounded up. */
export const STATEMENT_BYTES_MAX = 12_288;
/** As src/keyserver: an operator's name, or `platform:` and 64 hex digits. */
export const NAME_CHARS_MAX = 128;

/** The transport's limit for a message of this protocol. */
export const MESSAGE_BYTES_MAX = 65_536;
/** Statements in one message: leaves room for the message around them. */
export const PAGE_BYTES_MAX = 61_440;
/** Ids in one message: 34 KiB. */
export const IDS_PER_PAGE = 1_024;
/** The smallest statements, leaves of some 300 bytes, fill a page with two hundred. */
export const STATEMENTS_PER_PAGE = 192;

/** trust.md: a majority of a roster held within this many blocks counts. */
export const HELD_BLOCKS = 1_000;
/** How far the height in a statement may be from a signer's own: nodes that catch up are behind, none is ahead. */
export const HEIGHT_APART_MAX = 1_000;
/** Rosters remembered with the heights they were held at; older ones are recomputed from the statements. */
export const HISTORY_MAX = 256;

/** A request on a slow link, with the store's write. */
export const REQUEST_TIMEOUT_MS = 5_000;
/** One random member is compared with this often: in a cluster of seven a lost message is made good in a minute. */
export const SYNC_INTERVAL_MS = 10_000;
/** A signer stands by one statement on a roster for so long, then signs another: its proposer may have crashed. */
export const SIGNED_FOR_MS = 10_000;
/** Members of which no majority is left propose to restore the roster one after another; longer than a signature binds. */
export const RESTORE_TURN_MS = 15_000;
/** First wait after a join or founding that failed; doubled each time, with jitter of as much again. */
export const RETRY_MS_MIN = 500;
/** A node that cannot join does nothing useful: no longer than one interval of comparing. */
export const RETRY_MS_MAX = 10_000;
/** A proposed genesis whose second founder is gone is given up after so long. */
export const FOUNDING_PATIENCE_MS = 60_000;
/** A node that never joined and sees no member of its genesis for so long takes another one that it is shown. */
export const ALONE_MS = 60_000;
/** By then a node has dialled all it knows of several times; a cluster that lost all its keys waits so much longer. */
export const FOUND_AGAIN_MS = 15_000;
/** Evictions and readmissions an operator asked this node to agree to stand for an hour. */
export const APPROVAL_MS = 3_600_000;
/** One for each member and as many again. */
export const APPROVALS_MAX = 2 * MEMBERS_MAX;
/** Rounds of telling all others of a leave, each as long as a request may take, before its caller is told that nobody heard. */
export const TELL_ATTEMPTS_MAX = 3;
