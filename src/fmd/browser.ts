// The browser-safe door of this module: what a wallet needs. Imports nothing of Node's and nothing that detects.

export { indexSetKey, type OpenedIndexSet, openIndexSet, type SealedIndexSet } from './index-sets/blob.ts';
export type { Entry } from './index-sets/entries.ts';
export { ENTRIES_PER_ANSWER_MAX } from './index-sets/limits.ts';
export {
  addAnswer,
  emptyView,
  type IndexSetView,
  mergeViews,
  viewSyncedTo,
  viewUpTo,
} from './index-sets/view.ts';
export { canonicalDetectionKey, type DetectionKey, makeDetectionKey } from './keys.ts';
export { parseDetectionKey, registrationKeys } from './registration-keys.ts';
export { DATA_KEY_BYTES, deriveAuthSecret, deriveSeedKeys, SEED_BYTES, seedDetectionKey } from './seed.ts';
