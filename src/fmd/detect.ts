// Detection by the paper's rule, on @noble/curves: the reference every kernel is checked against, and the fallback
// where WebAssembly SIMD is missing. Work that depends on the flag alone is done once per flag, encodings in batches.
// Its big integers are not constant time; the kernel's arithmetic is.

import { EDWARDS_ZERO, type EdwardsPoint, edwardsOf, encodeDoubles, halve, multiplyEdwards } from './batch-encode.ts';
import { checkFlag, type Flag, flagBit } from './flag.ts';
import { decodeScalar, multiplyPublic } from './group.ts';
import { keyBit, messageScalar } from './hashes.ts';
import type { DetectionKey } from './keys.ts';
import { findLinearForm, type LinearForm } from './linear.ts';

/** A flag with everything computed that no key is needed for. */
export interface PreparedFlag {
  readonly flag: Flag;
  /** A representative of u. */
  readonly u: EdwardsPoint;
  /** enc(w), w = mB + yu. */
  readonly w: Uint8Array;
}

/** A detection key with its scalars decoded, halved for `encodeDoubles`, and its structure found. */
export interface PreparedKey {
  readonly indices: readonly number[];
  readonly halves: readonly bigint[];
  /** Of the halved scalars, which lie on a polynomial of the same degree. */
  readonly linear: LinearForm | undefined;
}

/** A table of multiples of u costs about as much as this many multiplications without one. */
const PRECOMPUTE_MULTIPLICATIONS_MIN = 8;

/** Bits per window of that table: 5 suits a few dozen multiplications. */
const PRECOMPUTE_WINDOW = 5;

/**
 * Checks and prepares a flag.
 * @param multiplications how many multiplications of u are ahead; from a handful on a table of its multiples pays.
 * @throws KithError `bad-encoding`.
 */
export function prepareFlag(flag: Flag, multiplications = 0): PreparedFlag {
  const { basepoint, u, y } = checkFlag(flag);
  const m = messageScalar(flag.u, flag.bits);
  const w = multiplyPublic(basepoint, m).add(multiplyPublic(u, y));
  const representative = edwardsOf(u);
  if (multiplications >= PRECOMPUTE_MULTIPLICATIONS_MIN && representative !== EDWARDS_ZERO) {
    representative.precompute(PRECOMPUTE_WINDOW, false);
  }
  return { flag, u: representative, w: w.toBytes() };
}

/** @throws KithError `bad-encoding` if a subkey is no canonical scalar. */
export function prepareKey(key: DetectionKey): PreparedKey {
  const halves = key.subkeys.map((subkey, i) => halve(decodeScalar(subkey, `subkey of index ${key.indices[i]}`)));
  return { indices: key.indices, halves, linear: findLinearForm(key.indices, halves) };
}

/** How many multiplications of u detection needs for this key. */
export function multiplicationsFor(key: PreparedKey): number {
  return key.linear ? key.linear.differences.length : key.halves.length;
}

/**
 * For each key whether the flag matches: k_i XOR c_i = 1 for every subkey. An index beyond the flag's bits: no match.
 * Every subkey is evaluated, so the number of steps does not depend on where a mismatch stands.
 */
export function detect(flag: PreparedFlag, keys: readonly PreparedKey[]): boolean[] {
  const inRange = keys.map((key) => key.indices.at(-1)! < flag.flag.gamma);
  const shared = encodeDoubles(keys.flatMap((key, k) => (inRange[k] ? sharedHalves(flag.u, key) : [])));
  let next = 0;
  return keys.map((key, k) => {
    if (!inRange[k]) return false;
    let success = 1;
    for (const index of key.indices) {
      success &= keyBit(flag.flag.u, shared[next++]!, flag.w) ^ flagBit(flag.flag, index);
    }
    return success === 1;
  });
}

/** x_i / 2 * u for each subkey. */
function sharedHalves(u: EdwardsPoint, key: PreparedKey): EdwardsPoint[] {
  return key.linear ? walk(u, key.indices, key.linear) : key.halves.map((half) => multiplyEdwards(u, half));
}

/** The points of a linear form at the indices, by forward differences. */
function walk(u: EdwardsPoint, indices: readonly number[], form: LinearForm): EdwardsPoint[] {
  const state = form.differences.map((difference) => multiplyEdwards(u, difference));
  const points: EdwardsPoint[] = [];
  for (let index = form.firstIndex; index <= form.lastIndex; index++) {
    if (indices[points.length] === index) points.push(state[0]!);
    for (let j = 0; j + 1 < state.length; j++) state[j] = state[j]!.add(state[j + 1]!);
  }
  return points;
}
