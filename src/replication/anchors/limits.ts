// The sizes, spans and waits of anchors, and why. Heights in blocks, times in milliseconds.

/** Of a chain with a block in seven seconds: one anchor in 140 s. */
export const EPOCH_BLOCKS = 20;
/** A proposer that says nothing for this long is followed by the next: four turns an epoch. */
export const TURN_BLOCKS = 5;
/** An anchor may be in a block of its own epoch or the next: mempools are slow at times. */
export const INCLUSION_EPOCHS = 2;
/** Log keys are kept for this many epochs behind the cursor: what may still come in, and one more. */
export const KEY_EPOCHS_KEPT = INCLUSION_EPOCHS + 1;
/** Heights of two members differ by this much at most when both follow the chain: a turn. */
export const HEIGHT_APART_MAX = 5;
/** trust.md: a majority of a roster counts for this long after it was left. */
export const ROSTER_HELD_BLOCKS = 1_000;
/** Without an anchor for this many epochs something is wrong with the chain, or with the members. */
export const SILENT_EPOCHS = 3;

export const TAG_BYTES = 16;
/** What an epoch tells when it has little to tell, and nothing to tell. */
export const TAGS_SMALL = 32;
export const TAGS_LARGE = 512;
/** Anchors of one epoch: 32,768 operations in 140 s. */
export const SEQ_LIMIT = 64;

/** The mesh keeps 32 connections, so no roster is larger. */
export const SIGNERS_MAX = 32;
/** 512 tags, 32 signatures of 118 bytes and 200 of the rest, rounded up. */
export const ANCHOR_BYTES_MAX = 12_800;
/** Two numbers and base64url of the largest anchor. */
export const ANCHOR_TEXT_CHARS_MAX = 40 + Math.ceil((ANCHOR_BYTES_MAX * 4) / 3);

/** Log keys are ratcheted this far in one go (10 us each): more than a lifetime of operations. */
export const RATCHET_STEPS_MAX = 100_000;
/** Tag keys at hand: those of a few epochs are in use at a time. */
export const TAG_KEYS_CACHED = 16;

/** Anchors kept for members that were away: 26 days, some 24 MB. */
export const ANCHORS_KEPT = 16_384;
/** Unknown anchors between the newest and the last known one that are asked for by hash. */
export const ANCESTORS_MAX = 64;
/** Tags looked for: 4 MB. A node that misses more gets them by sync, as one that is new does. */
export const WANTED_TAGS_MAX = 262_144;
/** Anchors of a roster that is not known yet, kept until it is: of one block, and altogether (3 MB). */
export const ASIDE_PER_BLOCK = 8;
export const ASIDE_MAX = 256;
/** An operation that does not count any more is matched for so many epochs, then it is not looked for. */
export const SUPERSEDED_EPOCHS = 16;
/** Records of anchored operations looked through for such as nobody needs, at each epoch. */
export const SWEEP_RECORDS = 64;
/** Tags computed in one go, some 10 ms. */
export const TAGGING_SLICE = 2_048;

/** The transport's limit is 256 KiB; the rest is for the message around it. */
export const PAGE_BYTES_MAX = 229_376;
/** The largest message of this protocol. */
export const MESSAGE_BYTES_MAX = 253_952;
/** With their bodies (1.1 KiB each) they fit into one message. */
export const BODIES_MAX = 128;
/** Anchors in one message: 128 of the smallest would fit, 18 of the largest. */
export const ANCHORS_PER_PAGE = 128;
/** Records of what anchors name in one message: read one by one. */
export const INDEX_PER_PAGE = 256;
/** Signatures asked for by one member in one epoch: each of 64 anchors three times, and some. */
export const SIGNED_PER_EPOCH = 256;
/** Tries at one anchor in one turn, and rounds of each: the second leaves out what some do not hold. */
export const TRIES_MAX = 3;
export const ROUNDS_MAX = 3;

/** A member signs within milliseconds, or fetches first what it lacks. */
export const REQUEST_TIMEOUT_MS = 5_000;
/** How often it is looked whether something is to be done, if nothing wakes it. */
export const TICK_MS = 1_000;
/** Between two tries at what others were asked for in vain. */
export const RETRY_MS_MIN = 2_000;
export const RETRY_MS_MAX = 60_000;
/** Anchors whose wanted tags are asked for in one go. */
export const WANTED_PER_TICK = 4;
/** For so long (two hours) it is said that the chain lacked an anchor. */
export const UNSEEN_EPOCHS = 64;
/** A chain that is read this far behind the newest known height lags: three epochs. */
export const LAG_BLOCKS = SILENT_EPOCHS * EPOCH_BLOCKS;
/** Operations that came in, kept until it is looked whether they are wanted; of more, members are asked. */
export const NOTICED_MAX = 4_096;
