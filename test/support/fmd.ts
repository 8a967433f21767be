// Detection as one would write it down from the paper, step by step and key by key, and material to try it on.

import { concatBytes } from '../../src/core/bytes.ts';
import type { Random } from '../../src/core/ports.ts';
import { type Flag, flagBit } from '../../src/fmd/flag.ts';
import {
  decodePoint,
  decodeScalar,
  encodeScalar,
  multiply,
  pointFromUniform,
  randomScalar,
} from '../../src/fmd/group.ts';
import { keyBit, messageScalar } from '../../src/fmd/hashes.ts';
import { type DetectionKey, makeDetectionKey } from '../../src/fmd/keys.ts';

/** The hash bits k_i, one per subkey: nothing shared, nothing batched. */
export function naiveKeyBits(flag: Flag, key: DetectionKey): number[] {
  const u = decodePoint(flag.u, 'u');
  const m = messageScalar(flag.u, flag.bits);
  const w = multiply(decodePoint(flag.basepoint, 'basepoint_ch'), m).add(multiply(u, decodeScalar(flag.y, 'y')));
  return key.subkeys.map((subkey) =>
    keyBit(flag.u, multiply(u, decodeScalar(subkey, 'subkey')).toBytes(), w.toBytes()),
  );
}

/** Whether every k_i differs from the flag's bit. */
export function naiveDetect(flag: Flag, key: DetectionKey): boolean {
  if (key.indices.some((index) => index >= flag.gamma)) return false;
  return naiveKeyBits(flag, key).every((bit, i) => bit !== flagBit(flag, key.indices[i]!));
}

/** A well-formed flag nobody made: random points, scalar and bits. */
export function randomFlag(random: Random): Flag {
  const bits = random.bytes(3);
  bits[2] = bits[2]! & 0x0f;
  return {
    gamma: 20,
    basepoint: pointFromUniform(random.bytes(64)).toBytes(),
    u: pointFromUniform(random.bytes(64)).toBytes(),
    y: encodeScalar(randomScalar(random)),
    bits,
  };
}

/** A detection key of unrelated subkeys. */
export function randomDetectionKey(random: Random, indices: readonly number[]): DetectionKey {
  return makeDetectionKey(indices.map((index) => ({ index, subkey: encodeScalar(randomScalar(random)) })));
}

/** All parts of a flag of hex text, as the vectors have them. */
export function flagOfParts(gamma: number, ...parts: Uint8Array[]): Flag {
  const [basepoint, u, y, bits] = parts;
  if (!basepoint || !u || !y || !bits)
    throw new Error(`four parts expected, got ${concatBytes(...parts).length} bytes`);
  return { gamma, basepoint, u, y, bits };
}
