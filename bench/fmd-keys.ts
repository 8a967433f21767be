// Keys for the kernel's benches, as rows.

import { systemRandom } from '../src/core/system.ts';
import type { KeyRows } from '../src/fmd/kernel/kernel.ts';
import { kernelPacking } from '../src/fmd/kernel/key-rows.ts';
import { type DetectionKey, deriveDetectionKey, firstIndices, generateSecretKey } from '../src/fmd/keys.ts';
import { randomDetectionKey } from '../test/support/fmd.ts';

/** Subkeys drawn one by one, or on a polynomial of degree 1 as Namada's are. */
export type KeyKind = 'arbitrary' | 'linear';

/** Packing is not what is measured, and takes a while with big integers: a few hundred keys are repeated. */
const DISTINCT = 250;

export function makeKey(kind: KeyKind, n: number): DetectionKey {
  if (kind === 'arbitrary') return randomDetectionKey(systemRandom, firstIndices(n));
  return deriveDetectionKey(generateSecretKey({ random: systemRandom }), firstIndices(n));
}

export function rowsOfKeys(kind: KeyKind, n: number, keys: number): KeyRows {
  const distinct = Array.from({ length: Math.min(keys, DISTINCT) }, () => makeKey(kind, n));
  const { rowBytes } = kernelPacking.classify(distinct[0]!);
  const bytes = new Uint8Array(rowBytes * distinct.length);
  distinct.forEach((key, row) => {
    kernelPacking.pack(key, bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
  });
  return { bytes, rowBytes, rows: Array.from({ length: keys }, (_, key) => key % distinct.length) };
}
