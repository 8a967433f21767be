// The first calls into a module run in the engine's baseline compiler, several times slower. A worker therefore works
// on made-up flags and keys before it reports for duty, through every path that real ones take.

import { Point } from '../group.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { kernelPacking } from '../kernel/key-rows.ts';
import { type DetectionKey, deriveDetectionKey, firstIndices, makeDetectionKey } from '../keys.ts';

/** Keys of each kind: enough for whole blocks of the kernel and for its tables. */
const KEYS = 48;
/** Rounds over both kinds. The optimising compiler has taken over after a handful. */
const ROUNDS = 6;

/** Secrets of nobody: small distinct numbers. */
const scalar = (value: number): Uint8Array => {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};

const arbitrary = (i: number): DetectionKey =>
  makeDetectionKey([0, 1, 2].map((index) => ({ index, subkey: scalar(7 + i * i * i + 131 * index * index) })));

const linear = (i: number): DetectionKey =>
  deriveDetectionKey({ coefficients: [BigInt(3 + i), BigInt(17 + i)] }, firstIndices(5));

function rowsOf(keys: readonly DetectionKey[]) {
  const { rowBytes } = kernelPacking.classify(keys[0]!);
  const bytes = new Uint8Array(keys.length * rowBytes);
  keys.forEach((key, i) => {
    kernelPacking.pack(key, bytes.subarray(i * rowBytes, (i + 1) * rowBytes));
  });
  return { bytes, rowBytes, rows: [...keys.keys()] };
}

/** Runs the kernel until it is fast; leaves no keys in it. */
export function warmUp(kernel: Kernel): void {
  const encoded = Point.BASE.toBytes();
  const flag = { gamma: 20, basepoint: encoded, u: encoded, y: scalar(5), bits: Uint8Array.of(0xa5, 0x5a, 0x05) };
  const matches = new Uint8Array(Math.ceil(KEYS / 8));
  for (let round = 0; round < ROUNDS; round++) {
    for (const make of [arbitrary, linear]) {
      for (const count of [1, KEYS]) {
        kernel.load([rowsOf(Array.from({ length: count }, (_, i) => make(i)))]);
        kernel.detect(flag, matches);
      }
    }
  }
  kernel.wipe();
}
