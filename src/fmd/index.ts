// Fuzzy Message Detection: keys, flags, detection. The door of this module.

export { createFlag } from './create-flag.ts';
export { createDefaultExecutor, type ExecutorEvents } from './default-executor.ts';
export type { DetectionJob, DetectionResult, FlaggedTransaction, Lane } from './detection-job.ts';
export { createDetectionEngine, type DetectionEngine, type EngineStats } from './engine.ts';
export type { FmdErrorCode } from './errors.ts';
export type { DetectionExecutor } from './executor.ts';
export { decodeFlagBorsh, encodeFlagBorsh, FLAG_BORSH_BYTES, type Flag, isDecodableFlag } from './flag.ts';
export { type IndexSetContent, indexSetTag, type LookUp, type SealedIndexSet } from './index-sets/blob.ts';
export { compactionDue, compactRecords } from './index-sets/compaction.ts';
export { type BackfillTask, createIndexSets, type IndexSets } from './index-sets/index-sets.ts';
export { decodeMatchRecord, encodeMatchRecord, type MatchRecord } from './index-sets/match-record.ts';
export { createInlineExecutor } from './inline-executor.ts';
export type { KeySlot } from './key-table.ts';
export {
  type CompactPublicKey,
  type CompactSecretKey,
  canonicalDetectionKey,
  type DetectionKey,
  decodePublicKey,
  decodeSecretKey,
  deriveDetectionKey,
  diversifiedBasepoint,
  encodePublicKey,
  encodeSecretKey,
  firstIndices,
  generateSecretKey,
  makeDetectionKey,
  publicKeyOf,
} from './keys.ts';
export {
  detectionKeyFromJson,
  detectionKeyToJson,
  KEYS_FILE_BYTES_MAX,
  type KeysFile,
  parseKeysFile,
  type Receiver,
} from './keys-file.ts';
export { GAMMA, THRESHOLD } from './limits.ts';
export {
  createRecordedChainReader,
  RECORDED_LINE_BYTES_MAX,
  type RecordedChainReader,
  type RecordedTransaction,
} from './recorded-chain.ts';
export { parseDetectionKey, registrationKeys, restoreDetectionKey } from './registration-keys.ts';
export {
  DATA_KEY_BYTES,
  deriveAuthSecret,
  deriveSeedKeys,
  SEED_BYTES,
  type SeedKeys,
  seedDetectionKey,
} from './seed.ts';
