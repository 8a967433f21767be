// How far a node has come, in one sealed record: what vouches for the public rows of the chain, the last height
// detected, and the floor below which operations are refused for ever.

import { bytesUpTo, closed, shape, uint } from '../../core/schema.ts';
import { type Checkpoint, encodeCheckpoint } from '../../indexer/index.ts';
import type { SealedStore, StoreWrite } from '../store/index.ts';

const progressShape = shape(closed({ checkpoint: bytesUpTo(256, 1), detected: uint(), versionFloor: uint() }));
const KEY = new Uint8Array(0);

export interface ProgressRecord {
  /** As it was when it was read; undefined in a new store. */
  readonly checkpoint: Uint8Array | undefined;
  readonly detected: number | undefined;
  readonly versionFloor: number;
  write(progress: { detected: number; versionFloor: number }): StoreWrite;
}

/** @param deps.checkpoint of the rows that are on the disk by now. */
export async function readProgress(deps: {
  store: SealedStore;
  checkpoint: () => Checkpoint;
}): Promise<ProgressRecord> {
  const record = deps.store.namespace('progress', progressShape);
  const stored = await record.get(KEY);
  return {
    checkpoint: stored?.checkpoint,
    detected: stored?.detected,
    versionFloor: stored?.versionFloor ?? 0,
    write: (progress) => record.put(KEY, { ...progress, checkpoint: encodeCheckpoint(deps.checkpoint()) }),
  };
}
