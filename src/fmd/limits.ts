// The sizes this module accepts and why.

/** Flag bits per ciphertext on Namada (namada-net/namada#4640); so the false-positive rate is at least 2^-20. */
export const GAMMA = 20;

/** Degree of the secret polynomial on Namada: whoever holds two subkeys can compute all of them. */
export const THRESHOLD = 1;

/** Larger than any parameter set in use; keeps every structure of hostile input small. */
export const GAMMA_MAX = 64;

/** As GAMMA_MAX: a polynomial of higher degree than gamma would hide nothing more. */
export const THRESHOLD_MAX = 64;

/** Rows of a key tile. A tile of n = 20 keys packed in 64 bytes a subkey is 1.25 MiB: what a worker copies per job. */
export const TILE_ROWS = 1024;

/** The noble reference takes milliseconds a pair: a unit of work this small keeps the event loop responsive. */
export const INLINE_CHUNK_PAIRS = 32;

/** Jobs that may wait in one lane: a lane has one producer with a handful in flight. */
export const LANE_JOBS_MAX = 256;
