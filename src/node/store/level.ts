// Keys and values on disk: LevelDB, every batch synced before it counts.

import { ClassicLevel } from 'classic-level';
import { KithError, messageOf } from '../../core/errors.ts';
import type { Store } from '../../indexer/index.ts';

/**
 * LevelDB maps each table it has open into memory, 2 MB each, and keeps a thousand open unless told otherwise: with a
 * long chain that alone would be gigabytes. Thirty-two, less ten it reserves, hold the working set of a scan.
 */
const OPEN_FILES_MAX = 32;

export interface LevelStore extends Store {
  close(): Promise<void>;
}

/** @throws KithError `store-unavailable`: no such folder, no right to it, or another process has it open. */
export async function openLevelStore(folder: string): Promise<LevelStore> {
  const level = new ClassicLevel<Uint8Array, Uint8Array>(folder, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    maxOpenFiles: OPEN_FILES_MAX,
  });
  try {
    await level.open();
  } catch (error) {
    const cause = error instanceof Error && error.cause ? error.cause : error;
    throw new KithError('store-unavailable', `cannot open the store in ${folder}: ${messageOf(cause)}`, { cause });
  }
  return {
    get: (key) => level.get(key),
    range: (from, to) => level.iterator({ gte: from, lt: to }),
    batch: (ops) =>
      level.batch(
        ops.map((op) =>
          op.kind === 'put' ? { type: 'put', key: op.key, value: op.value } : { type: 'del', key: op.key },
        ),
        { sync: true },
      ),
    close: () => level.close(),
  };
}
