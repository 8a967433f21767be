// FMD2 keys as the Rust crate polyfuzzy 0.5.0 lays them out (compact keys are polynomials), after "Fuzzy Message
// Detection" (Beck, Len, Miers, Green, 2021), section 5. Subkey i is p(i+1); public subkey i is p(i+1) * G.

import { sha512 } from '#crypto';
import { concatBytes } from '../core/bytes.ts';
import type { Random } from '../core/ports.ts';
import { fmdError } from './errors.ts';
import {
  decodePoint,
  decodeScalar,
  encodeScalar,
  type GroupPoint,
  modOrder,
  multiply,
  multiplyPublic,
  Point,
  pointFromUniform,
  randomScalar,
} from './group.ts';
import { GAMMA, GAMMA_MAX, THRESHOLD, THRESHOLD_MAX } from './limits.ts';

/** A polynomial a_0 + a_1 x + ... + a_t x^t over the scalars: the secret all subkeys come from. */
export interface CompactSecretKey {
  readonly coefficients: readonly bigint[];
}

/** The polynomial in the exponent of `basepoint`: a_j * G for each coefficient. */
export interface CompactPublicKey {
  readonly basepoint: GroupPoint;
  readonly coefficients: readonly GroupPoint[];
}

/**
 * n chosen subkeys with their indices, ascending. It matches all flags sent to its owner and a fraction 2^-n of the
 * others. With threshold 1 whoever holds two subkeys can compute them all.
 */
export interface DetectionKey {
  readonly indices: readonly number[];
  /** Canonical scalars of 32 bytes, one per index. */
  readonly subkeys: readonly Uint8Array[];
}

export function checkGamma(gamma: number): void {
  if (!Number.isInteger(gamma) || gamma < 1 || gamma > GAMMA_MAX) {
    throw fmdError('bad-parameter', `gamma must be a whole number from 1 to ${GAMMA_MAX}`);
  }
}

/** A fresh secret key; `threshold` is the degree t of its polynomial. */
export function generateSecretKey(deps: { random: Random }, options: { threshold?: number } = {}): CompactSecretKey {
  const threshold = options.threshold ?? THRESHOLD;
  if (!Number.isInteger(threshold) || threshold < 0 || threshold > THRESHOLD_MAX) {
    throw fmdError('bad-parameter', `the threshold must be a whole number from 0 to ${THRESHOLD_MAX}`);
  }
  return { coefficients: Array.from({ length: threshold + 1 }, () => randomScalar(deps.random)) };
}

/** From canonical encodings of a_0, a_1, ... @throws `bad-encoding`, `bad-parameter`. */
export function decodeSecretKey(coefficients: readonly Uint8Array[]): CompactSecretKey {
  if (coefficients.length < 1 || coefficients.length > THRESHOLD_MAX + 1) {
    throw fmdError('bad-parameter', `a compact secret key has 1 to ${THRESHOLD_MAX + 1} coefficients`);
  }
  return { coefficients: coefficients.map((bytes, i) => decodeScalar(bytes, `coefficient ${i}`)) };
}

export const encodeSecretKey = (key: CompactSecretKey): Uint8Array[] => key.coefficients.map(encodeScalar);

function evaluate(coefficients: readonly bigint[], x: bigint): bigint {
  let value = 0n;
  for (let j = coefficients.length - 1; j >= 0; j--) value = modOrder(value * x + coefficients[j]!);
  return value;
}

/** Subkey i = p(i+1), 0 <= i < gamma. */
export function secretSubkey(key: CompactSecretKey, index: number): bigint {
  return evaluate(key.coefficients, BigInt(index + 1));
}

/** All gamma subkeys (the crate's expanded secret key). */
export function expandSecretKey(key: CompactSecretKey, gamma: number = GAMMA): bigint[] {
  checkGamma(gamma);
  return Array.from({ length: gamma }, (_, i) => secretSubkey(key, i));
}

/** The base point of keys diversified by 64 uniform bytes (the crate's `randomize`); their discrete logs are unknown. */
export const uniformBasepoint = (tag: Uint8Array): GroupPoint => pointFromUniform(tag);

/**
 * The base point of keys diversified by a tag of any length, through SHA-512 (the crate's `var_randomized_public_key`);
 * an empty tag names the ristretto base point.
 */
export function diversifiedBasepoint(tag: Uint8Array): GroupPoint {
  return tag.length === 0 ? Point.BASE : uniformBasepoint(sha512(tag));
}

/** The public key of `secret` over `basepoint` (one of `diversifiedBasepoint`). */
export function publicKeyOf(secret: CompactSecretKey, basepoint: GroupPoint = Point.BASE): CompactPublicKey {
  return { basepoint, coefficients: secret.coefficients.map((a) => multiply(basepoint, a)) };
}

/** From encodings of a_0 * G, a_1 * G, ... @throws `bad-encoding`, `bad-parameter`. */
export function decodePublicKey(
  coefficients: readonly Uint8Array[],
  basepoint: GroupPoint = Point.BASE,
): CompactPublicKey {
  if (coefficients.length < 1 || coefficients.length > THRESHOLD_MAX + 1) {
    throw fmdError('bad-parameter', `a compact public key has 1 to ${THRESHOLD_MAX + 1} coefficients`);
  }
  return { basepoint, coefficients: coefficients.map((bytes, i) => decodePoint(bytes, `coefficient ${i}`)) };
}

export const encodePublicKey = (key: CompactPublicKey): Uint8Array[] => key.coefficients.map((a) => a.toBytes());

/** X_i = p(i+1) * G, by Horner's rule on the points. */
export function publicSubkey(key: CompactPublicKey, index: number): GroupPoint {
  const x = BigInt(index + 1);
  let value: GroupPoint = Point.ZERO;
  for (let j = key.coefficients.length - 1; j >= 0; j--) value = multiplyPublic(value, x).add(key.coefficients[j]!);
  return value;
}

/** The detection key of `secret` for these subkey indices: any order, each once, below gamma. */
export function deriveDetectionKey(
  secret: CompactSecretKey,
  indices: readonly number[],
  gamma: number = GAMMA,
): DetectionKey {
  return makeDetectionKey(
    indices.map((index) => ({ index, subkey: encodeScalar(secretSubkey(secret, index)) })),
    gamma,
  );
}

/** The indices 0 .. n-1 that seed registrations use. */
export const firstIndices = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/**
 * A detection key of (index, subkey) pairs in any order: sorts them and checks all of it.
 * @throws `bad-detection-key` (count, range, repetition) or `bad-encoding` (a subkey that is no canonical scalar).
 */
export function makeDetectionKey(
  pairs: readonly { readonly index: number; readonly subkey: Uint8Array }[],
  gamma: number = GAMMA,
): DetectionKey {
  checkGamma(gamma);
  if (pairs.length < 1 || pairs.length > gamma) {
    throw fmdError('bad-detection-key', `a detection key has 1 to ${gamma} subkeys, got ${pairs.length}`);
  }
  const sorted = [...pairs].sort((a, b) => a.index - b.index);
  sorted.forEach(({ index, subkey }, position) => {
    if (!Number.isInteger(index) || index < 0 || index >= gamma) {
      throw fmdError('bad-detection-key', `an index must be a whole number from 0 to ${gamma - 1}`);
    }
    if (position > 0 && sorted[position - 1]!.index === index) {
      throw fmdError('bad-detection-key', `index ${index} appears twice`);
    }
    decodeScalar(subkey, `subkey of index ${index}`);
  });
  return { indices: sorted.map(({ index }) => index), subkeys: sorted.map(({ subkey }) => subkey.slice()) };
}

/**
 * The canonical bytes of a detection key, from which its registration id is computed: one byte n, then for each
 * subkey in ascending order of index one byte index and 32 bytes scalar.
 */
export function canonicalDetectionKey(key: DetectionKey): Uint8Array {
  const parts = key.indices.map((index, i) => concatBytes(Uint8Array.of(index), key.subkeys[i]!));
  return concatBytes(Uint8Array.of(key.indices.length), ...parts);
}
