// Detection for the simulator: the reference of src/fmd, whose answer for a flag and a key is computed once for all
// nodes and runs of a process. It depends on nothing but the two.

import { toBase64Url } from '../../../src/core/bytes.ts';
import type { Clock } from '../../../src/core/ports.ts';
import { detect, type PreparedFlag, type PreparedKey, prepareFlag, prepareKey } from '../../../src/fmd/detect.ts';
import type { DetectionExecutor } from '../../../src/fmd/executor.ts';
import { FLAG_BORSH_BYTES, readFlagBorsh } from '../../../src/fmd/flag.ts';
import { createInlineExecutor } from '../../../src/fmd/inline-executor.ts';
import { NO_KEY } from '../../../src/fmd/key-table.ts';

/** One byte index and 32 bytes scalar per subkey, as the inline executor packs them. */
const SUBKEY_BYTES = 33;

const flags = new Map<string, PreparedFlag>();
const keys = new Map<string, PreparedKey>();
const answers = new Map<string, boolean>();

function remembered<T>(known: Map<string, T>, name: string, make: () => T): T {
  const held = known.get(name);
  if (held !== undefined) return held;
  const made = make();
  known.set(name, made);
  return made;
}

const keyOf = (row: Uint8Array) => {
  const positions = Array.from({ length: row.length / SUBKEY_BYTES }, (_, i) => i * SUBKEY_BYTES);
  return prepareKey({
    indices: positions.map((at) => row[at]!),
    subkeys: positions.map((at) => row.slice(at + 1, at + SUBKEY_BYTES)),
  });
};

/** Whether the flag matches the key. @param row of the key, as the inline executor packs it. */
export function matches(flag: Uint8Array, row: Uint8Array): boolean {
  const [flagName, rowName] = [toBase64Url(flag), toBase64Url(row)];
  return remembered(answers, `${flagName} ${rowName}`, () => {
    const prepared = remembered(flags, flagName, () => prepareFlag(readFlagBorsh(flag)));
    return detect(prepared, [remembered(keys, rowName, () => keyOf(row))])[0]!;
  });
}

export function createRememberingExecutor(deps: { clock: Clock }): DetectionExecutor {
  const inline = createInlineExecutor(deps);
  return {
    ...inline,
    run({ flags: all, selections }) {
      // Now, while every slot is known to be live.
      const rows = selections.flatMap(({ tile, rows: numbers, slots }) =>
        slots.map((slot, k) => {
          if (slot === NO_KEY) return undefined;
          return new Uint8Array(tile.memory, numbers[k]! * tile.rowBytes, tile.rowBytes).slice();
        }),
      );
      const count = all.length / FLAG_BORSH_BYTES;
      const rowBytes = Math.ceil(rows.length / 8);
      const found = new Uint8Array(count * rowBytes);
      for (let f = 0; f < count; f++) {
        const flag = all.slice(f * FLAG_BORSH_BYTES, (f + 1) * FLAG_BORSH_BYTES);
        for (const [k, row] of rows.entries()) {
          if (row && matches(flag, row)) found[f * rowBytes + (k >> 3)]! |= 1 << (k & 7);
        }
      }
      return new Promise((resolve) => {
        deps.clock.schedule(0, () => resolve({ undecodable: new Uint8Array(count), matches: found }));
      });
    },
  };
}
