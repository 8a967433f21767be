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
 * Operations taken in by one commit: others wait while they are written, and their signatures are verified in one go,
 * about 0.3 ms each.
 */
export const TAKE_IN_MAX = 128;
