// Arithmetic modulo p = 2^255 - 19 on four elements at a time.
//
// An element is 20 limbs of 13 bits, value = sum of limb[i] * 2^(13 i), limbs signed. Word j of the ten (v128) holds in
// 32-bit lane s the limbs 2j (low half) and 2j+1 (high half) of element s, as `i32x4.dot_i16x8_s` wants them.
//
// Bounds. "Reduced": what multiply and square return, every limb within 4,160. "Loose": a sum or difference of two
// reduced elements, within 8,320. multiply and square take loose operands: a coefficient is at most
// 20 * 8,320^2 = 1,384,448,000; folding adds at most 608 * 2^15 + 4,864 * (21,125 + 16) = 122,752,448 and a carry at most
// 2^18, together below 2^31 = 2,147,483,648. Karatsuba's sums of loose halves stay below 2^15, and its sums of products
// may wrap, for the coefficients taken from them are exact modulo 2^32 and in range.
// The result: limbs leave the carry chains within [-4,105, 4,086]. The carry out of limb 19 is within 700, for
// coefficient 38 is one product: 8,320^2 / 2^16 * 4,864 / 2^13 + 2^15 / 2^13 + 2^18 / 2^13 < 672; 608 times it moves limb 1
// by at most 52. The carry out of limb 9 is below 2^18 and moves limb 11 by at most 33. So every limb is within 4,160.

import { FIELD_BYTES, FIELD_SCRATCH } from '../layout';
import { multiply, square } from './field.generated';

export { multiply, multiplyDifferenceSum, square } from './field.generated';

const WORDS: i32 = 10;

/** r = a + b: loose for reduced operands. */
export function add(r: i32, a: i32, b: i32): void {
  for (let i = 0; i < FIELD_BYTES; i += 32) {
    v128.store(r + i, i16x8.add(v128.load(a + i), v128.load(b + i)));
    v128.store(r + i, i16x8.add(v128.load(a + i, 16), v128.load(b + i, 16)), 16);
  }
}

/** r = a - b and s = a + b: loose for reduced operands. r or s may be a or b. */
export function differenceSum(r: i32, s: i32, a: i32, b: i32): void {
  for (let i = 0; i < FIELD_BYTES; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(b + i);
    v128.store(r + i, i16x8.sub(x, y));
    v128.store(s + i, i16x8.add(x, y));
  }
}

/** r = reduced(a - b), for limbs of a - b within 28,000: rounds each limb's multiple of 2^13 up into the next limb. */
export function subtractReduced(r: i32, a: i32, b: i32): void {
  let carry = i32x4.splat(0);
  let first = i32x4.splat(0);
  for (let i = 0; i < FIELD_BYTES; i += 16) {
    const word = i16x8.sub(v128.load(a + i), v128.load(b + i));
    const carries = i16x8.shr_s(i16x8.add(word, i16x8.splat(4096)), 13);
    const rest = i16x8.sub(word, i16x8.shl(carries, 13));
    const within = v128.or(i32x4.shl(carries, 16), carry);
    carry = i32x4.shr_u(carries, 16);
    if (i == 0) first = i16x8.add(rest, within);
    else v128.store(r + i, i16x8.add(rest, within));
  }
  // At most 4 * 608 comes back into limb 0, which so stays within 6,530: loose, which is all the callers need of it.
  v128.store(r, i16x8.add(first, i16x8.mul(carry, i16x8.splat(608))));
}

/** Copies one field element. */
export function copy(r: i32, a: i32): void {
  copyFields(r, a, 1);
}

/** Copies `count` field elements. A loop of vectors: `memory.copy` is a call into the engine, slower at this size. */
export function copyFields(r: i32, a: i32, count: i32): void {
  for (let end = r + count * FIELD_BYTES; r < end; r += 32, a += 32) {
    v128.store(r, v128.load(a));
    v128.store(r, v128.load(a, 16), 16);
  }
}

/** r = a in the lanes of `mask`, b in the others. */
export function select(r: i32, a: i32, b: i32, mask: v128): void {
  for (let i = 0; i < FIELD_BYTES; i += 32) {
    v128.store(r + i, v128.bitselect(v128.load(a + i), v128.load(b + i), mask));
    v128.store(r + i, v128.bitselect(v128.load(a + i, 16), v128.load(b + i, 16), mask), 16);
  }
}

/** r = -a in the lanes of `mask`, a in the others. */
export function negateWhere(r: i32, a: i32, mask: v128): void {
  for (let i = 0; i < FIELD_BYTES; i += 32) {
    v128.store(r + i, i16x8.sub(v128.xor(v128.load(a + i), mask), mask));
    v128.store(r + i, i16x8.sub(v128.xor(v128.load(a + i, 16), mask), mask), 16);
  }
}

/** r = a in the lanes of `mask`, 0 in the others. */
export function keepWhere(r: i32, a: i32, mask: v128): void {
  for (let i = 0; i < FIELD_BYTES; i += 32) {
    v128.store(r + i, v128.and(v128.load(a + i), mask));
    v128.store(r + i, v128.and(v128.load(a + i, 16), mask), 16);
  }
}

// @ts-ignore: decorator
@inline
function evenLimb(word: v128): v128 {
  return i32x4.shr_s(i32x4.shl(word, 16), 16);
}

// @ts-ignore: decorator
@inline
function oddLimb(word: v128): v128 {
  return i32x4.shr_s(word, 16);
}

/**
 * floor((a + offset) / p) in each lane, for a loose and offset 0 or -1. As in the reference code of curve25519:
 * the quotient is floor((a + 19 a / 2^255 + 1/2) / 2^255), and 19 a / 2^255 may be taken from the top limb, since the
 * limbs below it change it by less than 19 * 2^248 / 2^255 < 1/4.
 */
function quotient(a: i32, offset: v128): v128 {
  const top = oddLimb(v128.load(a, 144));
  const estimate = i32x4.shr_s(i32x4.add(i32x4.mul(top, i32x4.splat(19)), i32x4.splat(128)), 8);
  let carry = i32x4.add(estimate, offset);
  for (let i = 0; i < FIELD_BYTES - 16; i += 16) {
    const word = v128.load(a + i);
    carry = i32x4.shr_s(i32x4.add(carry, evenLimb(word)), 13);
    carry = i32x4.shr_s(i32x4.add(carry, oddLimb(word)), 13);
  }
  carry = i32x4.shr_s(i32x4.add(carry, evenLimb(v128.load(a, 144))), 13);
  return i32x4.shr_s(i32x4.add(carry, top), 8);
}

/** All ones in the lanes where the canonical value is odd ("negative"). */
export function oddMask(a: i32): v128 {
  // a - q p is odd iff a + q is, and only limb 0 counts for a.
  const parity = i32x4.add(v128.load(a), quotient(a, i32x4.splat(0)));
  return i32x4.shr_s(i32x4.shl(parity, 31), 31);
}

/** All ones in the lanes where a is 0 modulo p: there, and only there, a - 1 has another quotient. */
export function zeroMask(a: i32): v128 {
  return i32x4.ne(quotient(a, i32x4.splat(0)), quotient(a, i32x4.splat(-1)));
}

/** Writes the canonical value as 8 vectors: vector i holds little-endian 32-bit word i of each lane's 32 bytes. */
export function canonicalWords(out: i32, a: i32): void {
  let carry = i32x4.mul(quotient(a, i32x4.splat(0)), i32x4.splat(19));
  let pending = i32x4.splat(0);
  let bits = 0;
  for (let k: i32 = 0; k < 2 * WORDS; k++) {
    const word = v128.load(a + ((k >> 1) << 4));
    carry = i32x4.add(carry, k & 1 ? oddLimb(word) : evenLimb(word));
    // Limb 19 ends at bit 255: what is above is the quotient's 2^255, dropped.
    const limb = v128.and(carry, k == 19 ? i32x4.splat(0xff) : i32x4.splat(0x1fff));
    carry = i32x4.shr_s(carry, 13);
    pending = v128.or(pending, i32x4.shl(limb, bits));
    bits += 13;
    if (bits >= 32) {
      v128.store(out, pending);
      out += 16;
      bits -= 32;
      pending = i32x4.shr_u(limb, 13 - bits);
    }
  }
}

/** r = a^(2^n). r and a must differ. */
function squareTimes(r: i32, a: i32, n: i32): void {
  square(r, a);
  for (let i = 1; i < n; i++) square(r, r);
}

const A1: i32 = FIELD_SCRATCH;
const A2: i32 = FIELD_SCRATCH + FIELD_BYTES;
const A3: i32 = FIELD_SCRATCH + 2 * FIELD_BYTES;
const A4: i32 = FIELD_SCRATCH + 3 * FIELD_BYTES;

/** A1 = a^(2^250 - 1) and A2 = a^11: the addition chain common to inversion and square root. */
function powerChain(a: i32): void {
  squareTimes(A1, a, 1); // 2
  squareTimes(A3, A1, 2); // 8
  multiply(A3, A3, a); // 9
  multiply(A2, A3, A1); // 11
  squareTimes(A1, A2, 1); // 22
  multiply(A1, A1, A3); // 2^5 - 1
  squareTimes(A3, A1, 5);
  multiply(A1, A3, A1); // 2^10 - 1
  squareTimes(A3, A1, 10);
  multiply(A3, A3, A1); // 2^20 - 1
  squareTimes(A4, A3, 20);
  multiply(A3, A4, A3); // 2^40 - 1
  squareTimes(A4, A3, 10);
  multiply(A1, A4, A1); // 2^50 - 1
  squareTimes(A3, A1, 50);
  multiply(A3, A3, A1); // 2^100 - 1
  squareTimes(A4, A3, 100);
  multiply(A3, A4, A3); // 2^200 - 1
  squareTimes(A4, A3, 50);
  multiply(A1, A4, A1); // 2^250 - 1
}

/** r = a^(p - 2): the inverse, and 0 for 0. r may be a. */
export function invert(r: i32, a: i32): void {
  powerChain(a);
  squareTimes(A3, A1, 5);
  multiply(r, A3, A2);
}

/** r = a^((p - 5) / 8). r may be a. */
export function powerForRoot(r: i32, a: i32): void {
  powerChain(a);
  squareTimes(A3, A1, 2);
  multiply(r, A3, a);
}
