// Keys for tests of the kernel, and its answers beside those of the reference.

import type { Random } from '../../src/core/ports.ts';
import { detect, prepareFlag, prepareKey } from '../../src/fmd/detect.ts';
import type { Flag } from '../../src/fmd/flag.ts';
import { encodeScalar, GROUP_ORDER } from '../../src/fmd/group.ts';
import type { Kernel, KeyRows } from '../../src/fmd/kernel/kernel.ts';
import { kernelPacking } from '../../src/fmd/kernel/key-rows.ts';
import { type DetectionKey, deriveDetectionKey, generateSecretKey, makeDetectionKey } from '../../src/fmd/keys.ts';
import { randomDetectionKey } from './fmd.ts';

/** Rows of keys by class, and for each group the positions of its keys among `keys`. */
export function packKeys(keys: readonly DetectionKey[]): { groups: KeyRows[]; positions: number[] } {
  const classes = new Map<string, { rowBytes: number; members: number[] }>();
  keys.forEach((key, position) => {
    const { name, rowBytes } = kernelPacking.classify(key);
    const members = classes.get(name)?.members ?? [];
    members.push(position);
    classes.set(name, { rowBytes, members });
  });
  const groups = [...classes.values()].map(({ rowBytes, members }) => {
    const bytes = new Uint8Array(rowBytes * members.length);
    members.forEach((position, row) => {
      kernelPacking.pack(keys[position]!, bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
    });
    return { bytes, rowBytes, rows: members.map((_, row) => row) };
  });
  return { groups, positions: [...classes.values()].flatMap(({ members }) => members) };
}

/** The kernel's answers in the order of `keys`; undefined for a refused flag. */
export function ask(kernel: Kernel, keys: readonly DetectionKey[], flag: Flag): boolean[] | undefined {
  const { groups, positions } = packKeys(keys);
  kernel.load(groups);
  const matches = new Uint8Array(Math.ceil(keys.length / 8)).fill(0xff);
  if (!kernel.detect(flag, matches)) return undefined;
  const answers = new Array<boolean>(keys.length);
  positions.forEach((position, bit) => {
    answers[position] = ((matches[bit >> 3]! >> (bit & 7)) & 1) === 1;
  });
  return answers;
}

export const reference = (keys: readonly DetectionKey[], flag: Flag): boolean[] =>
  detect(prepareFlag(flag, 100), keys.map(prepareKey));

/** Keys of all structures: arbitrary, linear of every degree the kernel takes, with gaps, constant, with edge scalars. */
export function assortedKeys(random: Random, count: number): DetectionKey[] {
  const linear = (threshold: number, indices: readonly number[]) =>
    deriveDetectionKey(generateSecretKey({ random }, { threshold }), indices);
  const edge = (scalars: readonly bigint[]) =>
    makeDetectionKey(scalars.map((scalar, index) => ({ index, subkey: encodeScalar(scalar) })));
  const kinds: readonly (() => DetectionKey)[] = [
    () => randomDetectionKey(random, [0]),
    () => randomDetectionKey(random, [19]),
    () => randomDetectionKey(random, [3, 8]),
    () => randomDetectionKey(random, [0, 1, 2]),
    () => linear(0, [2, 5]),
    () => linear(1, [0, 1, 2]),
    () => linear(1, [0, 7, 19]),
    () => linear(2, [1, 2, 4, 9]),
    () => linear(3, [0, 1, 2, 3, 4]),
    () => edge([0n, 1n]),
    () => edge([0n, 0n, 0n]),
    () => edge([GROUP_ORDER - 1n, 1n]),
    () => edge([1n, 2n, 3n]),
    () => edge([GROUP_ORDER - 2n, GROUP_ORDER - 1n, 0n, 1n]),
  ];
  return Array.from({ length: count }, (_, i) => kinds[i % kinds.length]!());
}
