// Counts what goes to a disk, for metrics.

import type { KeyValueStore } from './key-value.ts';

export interface WriteCounts {
  /** Batches that were taken. */
  batches: number;
  failures: number;
  /** Keys and values of the batches that were taken. */
  bytesWritten: number;
}

/** The same store; `counts` goes up with each batch. */
export function countWrites(kv: KeyValueStore, counts: WriteCounts): KeyValueStore {
  return {
    get: (key) => kv.get(key),
    range: (from, to) => kv.range(from, to),
    close: () => kv.close(),
    async batch(ops, options) {
      try {
        await kv.batch(ops, options);
      } catch (error) {
        counts.failures++;
        throw error;
      }
      counts.batches++;
      for (const op of ops) counts.bytesWritten += op.key.length + (op.kind === 'put' ? op.value.length : 0);
    },
  };
}
