// What the logs of a cluster may cost one node, and why.

/**
 * Entries that share one record once they are all there. An entry of one operation has 450 bytes on the disk, and each
 * record 120 in memory and a look at every start: with a million single entries that would be minutes and 120 MB.
 */
export const SEGMENT_ENTRIES = 64;

/**
 * Logs kept of one member: two boots a day for four months, the time after which everything in them has ended. The
 * newest stay; the operations of the others stay too, and audits compare those.
 */
export const LOGS_PER_MEMBER_MAX = 256;

/** Records of ended entries dropped with one height: the rest goes with the next heights. */
export const ENDED_RECORDS_MAX = 256;

/** One for each writer is proof enough, and nobody has more than a handful of members that lie. */
export const EVIDENCE_MAX = 64;

/** As many members as a mesh can have. */
export const HEADS_MAX = 32;

/** Operations of one work of the batch writer, when bodies come without entries. */
export const BODIES_PER_WORK_MAX = 128;

/** Bodies kept in memory for the peers that are about to be sent them, 1.5 KiB each: some seconds of the highest rate. */
export const RECENT_BODIES_MAX = 4_096;
