// The sizes and spans of registrations, and why. Part of the protocol: every node and client must agree on them.

/** About four months of blocks: nothing about a registration is remembered, or believed, for longer. */
export const LIFETIME_BLOCKS = 1_600_000;

/** A wallet may follow a node that is ahead of the cluster's median by this much. */
export const VERSION_AHEAD_BLOCKS_MAX = 10;

/** Subkeys of a detection key: gamma of the chain. */
export const SUBKEYS_MAX = 20;

/** One byte n, then one byte index and 32 bytes scalar per subkey. */
export const DETECTION_KEY_BYTES_MAX = 1 + 33 * SUBKEYS_MAX;

/** Exact in JavaScript with much room, and further than any chain will get. */
export const HEIGHT_MAX = 2 ** 48;

/** The largest operation has 320 bytes. */
export const OPERATION_BYTES_MAX = 512;

/** What is sealed to a node has one size, so that neither the kind of payload nor n shows. The largest needs 1,085. */
export const SUBMISSION_BYTES = 1_280;
