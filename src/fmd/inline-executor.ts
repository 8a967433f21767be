// Detection in the calling thread on @noble/curves: the reference behind the engine, for tests, for the simulator and
// for machines without WebAssembly SIMD. It lets the event loop breathe between units.

import { isKithError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { detect, multiplicationsFor, type PreparedKey, prepareFlag, prepareKey } from './detect.ts';
import type { DetectionExecutor, DetectionUnit, UnitResult } from './executor.ts';
import { FLAG_BORSH_BYTES, readFlagBorsh } from './flag.ts';
import { SCALAR_BYTES } from './group.ts';
import { type KeyPacking, type KeySlot, NO_KEY, type TileSelection } from './key-table.ts';
import type { DetectionKey } from './keys.ts';
import { INLINE_CHUNK_PAIRS } from './limits.ts';

/** One byte index and 32 bytes scalar per subkey; keys with the same number of subkeys are one class. */
const SUBKEY_BYTES = 1 + SCALAR_BYTES;

const packing: KeyPacking = {
  classify: (key) => ({ name: `n${key.indices.length}`, rowBytes: key.indices.length * SUBKEY_BYTES }),
  pack(key, row) {
    key.indices.forEach((index, i) => {
      row[i * SUBKEY_BYTES] = index;
      row.set(key.subkeys[i]!, i * SUBKEY_BYTES + 1);
    });
  },
};

function unpack(row: Uint8Array): DetectionKey {
  const positions = Array.from({ length: row.length / SUBKEY_BYTES }, (_, i) => i * SUBKEY_BYTES);
  return {
    indices: positions.map((at) => row[at]!),
    subkeys: positions.map((at) => row.slice(at + 1, at + SUBKEY_BYTES)),
  };
}

/** The inline executor. `clock` only yields between units. */
export function createInlineExecutor(deps: { clock: Clock }): DetectionExecutor {
  const prepared = new Map<KeySlot, PreparedKey>();

  function preparedKeys({ tile, rows, slots }: TileSelection): (PreparedKey | undefined)[] {
    return slots.map((slot, k) => {
      if (slot === NO_KEY) return undefined;
      let key = prepared.get(slot);
      if (!key) {
        const at = rows[k]! * tile.rowBytes;
        // A copy: the decoders must not read memory that another thread may change.
        key = prepareKey(unpack(new Uint8Array(tile.memory, at, tile.rowBytes).slice()));
        prepared.set(slot, key);
      }
      return key;
    });
  }

  function test(unit: DetectionUnit, keys: readonly (PreparedKey | undefined)[]): UnitResult {
    const positions = [...keys.keys()].filter((k) => keys[k] !== undefined);
    const live = positions.map((k) => keys[k]!);
    const multiplications = live.reduce((sum, key) => sum + multiplicationsFor(key), 0);
    const count = unit.flags.length / FLAG_BORSH_BYTES;
    const rowBytes = Math.ceil(keys.length / 8);
    const undecodable = new Uint8Array(count);
    const matches = new Uint8Array(count * rowBytes);
    for (let f = 0; f < count; f++) {
      const bytes = unit.flags.subarray(f * FLAG_BORSH_BYTES, (f + 1) * FLAG_BORSH_BYTES);
      try {
        const flag = prepareFlag(readFlagBorsh(bytes), multiplications);
        detect(flag, live).forEach((match, i) => {
          const k = positions[i]!;
          const at = f * rowBytes + (k >> 3);
          matches[at] = matches[at]! | (Number(match) << (k & 7));
        });
      } catch (error) {
        if (!isKithError(error, 'bad-encoding')) throw error;
        undecodable[f] = 1;
      }
    }
    return { undecodable, matches };
  }

  return {
    kernel: 'noble',
    packing,
    parallelism: 1,
    pairsPerUnit: INLINE_CHUNK_PAIRS,
    pairsPerFlag: 1,
    start: async () => undefined,
    run(unit) {
      // Now, while every slot is known to be live; the key may be removed before its turn comes.
      const keys = unit.selections.flatMap(preparedKeys);
      return new Promise((resolve, reject) => {
        deps.clock.schedule(0, () => {
          try {
            resolve(test(unit, keys));
          } catch (error) {
            reject(error);
          }
        });
      });
    },
    forget(slot) {
      prepared.delete(slot);
    },
    async stop() {
      prepared.clear();
    },
  };
}
