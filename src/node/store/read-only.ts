// A key-value store that is only to be read: what was set aside stays as it was.

import { storeError } from './errors.ts';
import type { KeyValueStore } from './key-value.ts';

/** The same store; batches are refused `store-read-only`. */
export function readOnly(kv: KeyValueStore): KeyValueStore {
  return {
    get: (key) => kv.get(key),
    range: (from, to) => kv.range(from, to),
    close: () => kv.close(),
    async batch() {
      throw storeError('store-read-only', 'this store was set aside: nothing is written to it');
    },
  };
}
