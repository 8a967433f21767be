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

/** HKDF-Extract salt: a store's data key to the keys below. */
export const LABEL_STORE_KEYS = 'kith/store/keys/v1';
/** Key and associated data of a store's root record. */
export const LABEL_STORE_ROOT = 'kith/store/root/v1';
/** Key of the hash that names a state of a store to others. */
export const LABEL_STORE_HEAD = 'kith/store/head/v1';
/** Key of the multiset hash over a store's records. */
export const LABEL_STORE_SET = 'kith/store/set/v1';
/** Key of the tags that stand for namespaces on the disk. */
export const LABEL_STORE_NAMESPACE = 'kith/store/namespace/v1';
/** Key, by namespace, of the names that stand for record keys on the disk. */
export const LABEL_STORE_NAME = 'kith/store/name/v1';
/** Key, by namespace, and associated data of sealed records. */
export const LABEL_STORE_RECORD = 'kith/store/record/v1';
/** Ed25519: the node's signature under its store's header. */
export const LABEL_STORE_HEADER = 'kith/store/header/v1';
/** Sealing key to the key that wraps the data key, and its associated data. */
export const LABEL_STORE_WRAP = 'kith/store/wrap/v1';
/** Commitment to a sealing key. */
export const LABEL_KEY_COMMITMENT = 'kith/key-commitment/v1';
/** Keys of the development PKI, by name. */
export const LABEL_DEVELOPMENT_KEY = 'kith/dev-pki/key/v1';
/** Hash of a version of a cluster configuration; of the genesis version: the cluster id. */
export const LABEL_CONFIGURATION = 'kith/cluster-configuration/v1';
/** What the governance signs to put a successor of a configuration in force. */
export const LABEL_CONFIGURATION_SUCCESSOR = 'kith/cluster-configuration-successor/v1';
/** HPKE info of requests sealed to a node. */
export const LABEL_SEALED_REQUEST = 'kith/sealed-request/v1';
/** HPKE export: the key of the answer to a sealed request. */
export const LABEL_SEALED_ANSWER = 'kith/sealed-answer/v1';
/** Hash of the members of a cluster. */
export const LABEL_ROSTER = 'kith/roster/v1';
/** What commits a dealer to one share of a sealing key. */
export const LABEL_SHARE_COMMITMENT = 'kith/share-commitment/v1';
/** Deal id: hash of a header and the commitments to its shares. */
export const LABEL_DEAL = 'kith/deal/v1';
/** Ed25519: a node's signature under a deal of its own sealing key. */
export const LABEL_DEAL_SIGNATURE = 'kith/deal-signature/v1';
/** Rank of a member among the key servers of a node. */
export const LABEL_KEY_SERVER_RANK = 'kith/key-server-rank/v1';
/** Names one boot's attempt to recover its sealing key as one incarnation. */
export const LABEL_RECOVERY_ATTEMPT = 'kith/recovery-attempt/v1';
/** Ed25519: an operator's permission to recover a node on another platform. */
export const LABEL_MIGRATION_TICKET = 'kith/migration-ticket/v1';
/** Names one wrapping of a store's data key to the recovery keys of the cluster. */
export const LABEL_RECOVERY_WRAP = 'kith/recovery-wrap/v1';
/** HPKE info: the share of a store's data key for one recovery key. */
export const LABEL_RECOVERY_SHARE = 'kith/recovery-share/v1';
/** What commits a node to one recovery share of its store's data key. */
export const LABEL_RECOVERY_SHARE_COMMITMENT = 'kith/recovery-share-commitment/v1';
/** What commits a node to its store's data key, beside the recovery shares. */
export const LABEL_DATA_KEY_COMMITMENT = 'kith/data-key-commitment/v1';
/** Tag by which the holder of a recovery key finds the share for it. */
export const LABEL_RECOVERY_KEY_TAG = 'kith/recovery-key-tag/v1';
/** HPKE info: one direction of a connection between two nodes. */
export const LABEL_MESH_CONTEXT = 'kith/mesh-context/v1';
/** Associated data of a sealed frame between two nodes. */
export const LABEL_MESH_FRAME = 'kith/mesh-frame/v1';
/** What members sign: a genesis, a join, a leave or an eviction of the roster. */
export const LABEL_ROSTER_STATEMENT = 'kith/roster-statement/v1';
/** Id of a roster statement: hash of what was signed. */
export const LABEL_ROSTER_STATEMENT_ID = 'kith/roster-statement-id/v1';
/** Digest of a set of roster statements, compared between members. */
export const LABEL_ROSTER_DIGEST = 'kith/roster-digest/v1';
/** Ed25519: a member's word that it has persisted a batch of operations. */
export const LABEL_RECEIPT = 'kith/receipt/v1';
/** Ed25519: a member's signature under an entry of its log of operations. */
export const LABEL_LOG_ENTRY = 'kith/log-entry/v1';
/** Hash of a log entry, which the next entry names. */
export const LABEL_LOG_ENTRY_HASH = 'kith/log-entry-hash/v1';
/** Names the log of one boot of one member. */
export const LABEL_LOG_WRITER = 'kith/log-writer/v1';
/** Digest of how far a member holds each log. */
export const LABEL_FRONTIER = 'kith/frontier/v1';
/** Keyed hashes over registrations, compared between members. */
export const LABEL_AUDIT = 'kith/audit/v1';
/** Hash of an anchor, which its certificate signs and the next anchor names. */
export const LABEL_ANCHOR = 'kith/anchor/v1';
/** Ed25519: a member's word that it holds every operation an anchor names. */
export const LABEL_ANCHOR_SIGNATURE = 'kith/anchor-signature/v1';
/** HKDF info: the log key of an epoch to that of the next. */
export const LABEL_ANCHOR_LOG_KEY = 'kith/anchor-log-key/v1';
/** HKDF info: the log key of an epoch to the key of its tags. */
export const LABEL_ANCHOR_TAG_KEY = 'kith/anchor-tag-key/v1';
/** Rank of a member among the proposers of an epoch. */
export const LABEL_ANCHOR_PROPOSER = 'kith/anchor-proposer/v1';
/** Ed25519: a member's statement of its height and of the blocks it has at some heights. */
export const LABEL_HEIGHT_STATEMENT = 'kith/height-statement/v1';
