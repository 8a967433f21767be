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
/** What a user signs: label, then the fields of an operation in deterministic CBOR. */
export const LABEL_OPERATION = 'kith/operation/v1';
/** Operation id: hash of a signed operation. */
export const LABEL_OPERATION_ID = 'kith/operation-id/v1';
/** HKDF info: data key to the key that seals a user's index set. */
export const LABEL_INDEX_SET = 'kith/index-set/v1';
/** Entity tag of an index set: hash of (id, since, syncedTo). */
export const LABEL_INDEX_SET_TAG = 'kith/index-set-tag/v1';
/** Keys of the development PKI, by name. */
export const LABEL_DEVELOPMENT_KEY = 'kith/dev-pki/key/v1';
/** Hash of a version of a cluster configuration; of the genesis version: the cluster id. */
export const LABEL_CONFIGURATION = 'kith/cluster-configuration/v1';
/** What the governance signs to put a successor of a configuration in force. */
export const LABEL_CONFIGURATION_SUCCESSOR = 'kith/cluster-configuration-successor/v1';
