// Everything that depends on the flag alone: decoding u and the basepoint, w = m * basepoint + y * u, enc(w), and the
// bases of u's table. A flag is public, so this may take as long as its values make it take.

import {
  CALLER_SCRATCH,
  CANONICAL,
  FIELD_BYTES,
  FLAG_INPUT,
  FLAG_MULTIPLES,
  FLAG_POINTS,
  POINTS,
  POINT_BYTES,
  RECODED_BITS,
  WINDOW_BASES,
} from '../layout';
import { D, ONE, SQRT_MINUS_ONE } from './constants';
import { beginEncodings, finishEncoding, invertProducts, prepareEncoding } from './encode';
import {
  add,
  copy, copyFields,
  differenceSum,
  multiply,
  negateWhere,
  oddMask,
  powerForRoot,
  select,
  square,
  subtractReduced,
  zeroMask,
} from './field';
import { addCached, cache, copyLane, double, setNeutral, SUM, T, Z } from './point';
import { hashPrefix, hashSuffix } from './sha256';
import { windowCount } from './scalar-multiplication';

const S: i32 = CALLER_SCRATCH;
const U1: i32 = S + FIELD_BYTES;
const U2: i32 = S + 2 * FIELD_BYTES;
const V: i32 = S + 3 * FIELD_BYTES;
const W: i32 = S + 4 * FIELD_BYTES;
const R: i32 = S + 5 * FIELD_BYTES;
const A: i32 = S + 6 * FIELD_BYTES;
const B: i32 = S + 7 * FIELD_BYTES;

/** Sets lane `lane` of r to the 32 little-endian bytes at `bytes`, limbs made signed. */
function setLane(r: i32, lane: i32, bytes: i32): void {
  let carry = 0;
  for (let k: i32 = 0; k < 20; k++) {
    const bit = 13 * <i32>k;
    const byte = bit >> 3;
    let window = <u32>load<u8>(bytes + byte);
    if (byte + 1 < 32) window |= <u32>load<u8>(bytes + byte + 1) << 8;
    if (byte + 2 < 32) window |= <u32>load<u8>(bytes + byte + 2) << 16;
    let limb = <i32>((window >> (bit & 7)) & 0x1fff) + carry;
    carry = k < 19 && limb >= 4096 ? 1 : 0;
    limb -= carry << 13;
    store<i16>(r + ((k >> 1) << 4) + (lane << 2) + ((k & 1) << 1), <i16>limb);
  }
}

/**
 * Ristretto's DECODE (RFC 9496, 4.3.1) of canonical, non-negative s (the wrapper checks that), u in lane 0 and the
 * basepoint in lane 1 of FLAG_POINTS. Returns whether both are encodings of points.
 */
function decode(): bool {
  setLane(S, 0, FLAG_INPUT);
  setLane(S, 1, FLAG_INPUT + 32);
  setLane(S, 2, FLAG_INPUT);
  setLane(S, 3, FLAG_INPUT + 32);
  const all = i32x4.splat(-1);
  square(A, S);
  differenceSum(U1, U2, ONE, A);
  square(A, U1);
  multiply(A, A, D);
  square(B, U2);
  negateWhere(A, A, all);
  subtractReduced(V, A, B); // -d u1^2 - u2^2
  multiply(W, V, B);
  // R = w^3 (w^7)^((p - 5)/8), a square root of 1/w, or of sqrt(-1)/w, up to a power of sqrt(-1).
  square(A, W);
  multiply(R, A, W);
  square(B, R);
  multiply(B, B, W);
  powerForRoot(B, B);
  multiply(R, R, B);
  square(A, R);
  multiply(A, A, W); // 1, -1, sqrt(-1) or -sqrt(-1); 0 for w = 0
  subtractReduced(B, A, ONE);
  const correct = zeroMask(B);
  add(B, A, ONE);
  const flipped = zeroMask(B);
  add(B, A, SQRT_MINUS_ONE);
  const flippedI = zeroMask(B);
  multiply(B, R, SQRT_MINUS_ONE);
  select(R, B, R, v128.or(flipped, flippedI));
  negateWhere(R, R, oddMask(R));
  multiply(A, R, U2); // Dx
  multiply(B, R, A);
  multiply(B, B, V); // Dy
  multiply(A, A, S);
  add(A, A, A);
  negateWhere(A, A, oddMask(A)); // x
  multiply(B, B, U1); // y
  multiply(A, A, ONE); // reduced again
  multiply(FLAG_POINTS + T, A, B);
  differenceSum(FLAG_POINTS, FLAG_POINTS + SUM, B, A);
  copy(FLAG_POINTS + Z, ONE);
  const bad = v128.or(
    v128.not(v128.or(correct, flipped)),
    v128.or(oddMask(FLAG_POINTS + T), zeroMask(B)),
  );
  return !v128.any_true(bad);
}

/** Doubles u and the basepoint: window bases i at 2^(W stride i) u, and lanes 2 and 3 of FLAG_POINTS at 2^128. */
function doublings(windowBits: i32, stride: i32): void {
  const spacing = windowBits * stride;
  const last = max(128, ((windowCount(windowBits) - 1) / stride) * spacing);
  const top = spacing * ((RECODED_BITS - 1) / spacing);
  const p: i32 = POINTS;
  copyFields(p, FLAG_POINTS, 4);
  for (let bit = 0; bit <= last; bit++) {
    if (bit == 128) {
      copyLane(FLAG_POINTS, 2, p, 0);
      copyLane(FLAG_POINTS, 3, p, 1);
    }
    if (bit % spacing == 0 && bit <= top) {
      const window = bit / spacing;
      copyLane(WINDOW_BASES + (window >> 2) * POINT_BYTES, window & 3, p, 0);
    }
    double(p, bit + 1 == 128 || (bit + 1) % spacing == 0);
  }
  // The table's inversion multiplies down each lane: a lane without a window needs a point all the same.
  for (let window = top / spacing + 1; window & 3; window++) {
    copyLane(WINDOW_BASES + (window >> 2) * POINT_BYTES, window & 3, FLAG_POINTS, 0);
  }
}

/** Exchanges lanes: lane i of q is lane (i ^ flip) of p. */
function exchangeLanes(q: i32, p: i32, flip: i32): void {
  for (let lane: i32 = 0; lane < 4; lane++) copyLane(q, lane, p, lane ^ flip);
}

/** The four points at POINTS: w/2 = (m/2) basepoint + (y/2) u, four lanes of 4-bit windows each, then their sum. */
function halfOfW(): void {
  const sum: i32 = POINTS;
  const other: i32 = POINTS + POINT_BYTES;
  setNeutral(sum);
  cache(FLAG_MULTIPLES, sum);
  copyFields(sum, FLAG_POINTS, 4);
  cache(FLAG_MULTIPLES + POINT_BYTES, sum);
  for (let i = 2; i < 16; i++) {
    addCached(sum, FLAG_MULTIPLES + POINT_BYTES);
    cache(FLAG_MULTIPLES + i * POINT_BYTES, sum);
  }
  setNeutral(sum);
  for (let nibble = 31; nibble >= 0; nibble--) {
    for (let i = 0; i < 4; i++) double(sum, i == 3);
    for (let lane: i32 = 0; lane < 4; lane++) {
      // Lanes: y/2, m/2, and the upper 16 bytes of each.
      const scalar: i32 = FLAG_INPUT + 64 + (lane & 1) * 32 + (lane >> 1) * 16;
      const digit = (load<u8>(scalar + (nibble >> 1)) >> <u8>((nibble & 1) << 2)) & 15;
      copyLane(other, lane, FLAG_MULTIPLES + digit * POINT_BYTES, lane);
    }
    addCached(sum, other);
  }
  for (let flip = 1; flip <= 2; flip++) {
    exchangeLanes(other, sum, flip);
    cache(other, other);
    addCached(sum, other);
  }
}

/** Decodes the flag at FLAG_INPUT and prepares hashes and window bases. False: not encodings of points. */
export function prepareFlag(windowBits: i32, stride: i32): bool {
  if (!decode()) return false;
  doublings(windowBits, stride);
  halfOfW();
  beginEncodings();
  prepareEncoding(0, POINTS);
  invertProducts();
  finishEncoding(0);
  hashPrefix(FLAG_INPUT);
  hashSuffix(CANONICAL);
  return true;
}
