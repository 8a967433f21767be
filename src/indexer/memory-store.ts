// The Store port in memory, for tests and the simulator.

import { compareBytes, toHex } from '../core/bytes.ts';
import type { Store, StoreOp } from './ports.ts';

export function createMemoryStore(): Store {
  const entries = new Map<string, readonly [Uint8Array, Uint8Array]>();
  let sorted: (readonly [Uint8Array, Uint8Array])[] | undefined;

  function apply(op: StoreOp): void {
    const name = toHex(op.key);
    if (op.kind === 'put') entries.set(name, [op.key.slice(), op.value.slice()]);
    else entries.delete(name);
  }

  return {
    async get(key) {
      return entries.get(toHex(key))?.[1].slice();
    },
    async *range(from, to) {
      sorted ??= [...entries.values()].sort(([a], [b]) => compareBytes(a, b));
      for (const [key, value] of sorted.slice(lowerBound(sorted, from), lowerBound(sorted, to))) {
        yield [key.slice(), value.slice()] as const;
      }
    },
    async batch(ops) {
      for (const op of ops) apply(op);
      sorted = undefined;
    },
  };
}

/** Index of the first entry whose key is not below `key`. */
function lowerBound(sorted: readonly (readonly [Uint8Array, Uint8Array])[], key: Uint8Array): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(sorted[middle]![0], key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
