// The sealed store: the door of this part of src/node.

export { countWrites, type WriteCounts } from './count-writes.ts';
export type { StoreErrorCode } from './errors.ts';
export { type HeaderFile, type HeaderKeyServer, readHeader, type StoreHeader, signHeader } from './header.ts';
export type { KeyValueOp, KeyValueStore } from './key-value.ts';
export { commitToSealingKey, SEALING_KEY_BYTES } from './keys.ts';
export { type LevelStoreOptions, openLevelStore } from './level.ts';
export { createHeaderFile } from './level-header-file.ts';
export {
  type BatchFate,
  createMemoryDisk,
  createMemoryHeaderFile,
  type DiskImage,
  type MemoryDisk,
  type MemoryDiskOptions,
} from './memory.ts';
export { readOnly } from './read-only.ts';
export { STORE_ID_BYTES, type StoreHead, type StoreIdentity } from './root.ts';
export {
  createSealedStore,
  type Namespace,
  newStoreId,
  openSealedStore,
  openSealedStoreWithDataKey,
  type SealedStore,
  type SealedStoreDeps,
  type StoreWrite,
} from './sealed-store.ts';
