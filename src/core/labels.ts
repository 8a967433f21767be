// Every domain-separation label of the project. Two uses never share one; a new format version gets a new label.

/** Seed to data key and polynomial coefficients (SHAKE256, design of seed registrations). */
export const LABEL_FMD_SEED = 'kith/fmd-seed/v1';
/** HKDF info: seed to the user's Ed25519 authorisation key. */
export const LABEL_AUTH_KEY = 'kith/auth-key/v1';
/** First half of a registration id: data key and detection key. */
export const LABEL_INNER = 'kith/inner/v1';
/** Registration id: inner hash and the user's public key. */
export const LABEL_REGISTRATION_ID = 'kith/registration-id/v1';
/** SHA-512 report data of every quote. */
export const LABEL_REPORT = 'kith/report/v1';
/** Hash chain over the indexed rows of the chain. */
export const LABEL_CHAIN_ROWS = 'kith/chain-rows/v1';
