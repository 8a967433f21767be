// The indexer's door: chain sources, the note store with its cursor, and the loop between them.

export { type ChainClient, createCometClient } from './chain-client.ts';
export { type CometSourceDeps, type CometSourceOptions, createCometSource } from './comet-source.ts';
export type { IndexerErrorCode, StopCode } from './errors.ts';
export { createHttpTransport } from './http/transport.ts';
export {
  createIndexer,
  type Indexer,
  type IndexerCounts,
  type IndexerDeps,
  type IndexerOptions,
  type IndexerStatus,
} from './indexer.ts';
export { createMaspSource, type MaspSourceDeps } from './masp-source.ts';
export { createMemoryStore } from './memory-store.ts';
export { type NoteStore, type NoteStoreOptions, openNoteStore } from './note-store.ts';
export type {
  ChainBlock,
  ChainSource,
  ChainText,
  ChainTransaction,
  HeightRange,
  IndexerEvent,
  SourceBlock,
  SourceStatus,
  Store,
  StoreOp,
} from './ports.ts';
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './record.ts';
export type { UpstreamReport } from './upstreams.ts';
export type { Transport, WireRequest, WireResponse } from './wire/transport.ts';
