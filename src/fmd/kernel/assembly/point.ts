// Points of edwards25519, four side by side: (y - x, y + x, z, t) projective with t = xy/z. The formulas are those of
// Hisil, Wong, Carter and Dawson (2008) for a = -1; they are complete, so no input needs a case of its own.

import { FIELD_BYTES, POINT_BYTES, POINT_SCRATCH } from '../layout';
import { HALF, INVERSE_TWO_D, ONE, TWO_D } from './constants';
import { add, copy, copyFields, differenceSum, multiply, multiplyDifferenceSum, square, subtractReduced } from './field';

const E: i32 = POINT_SCRATCH;
const H: i32 = E + FIELD_BYTES;
const F: i32 = E + 2 * FIELD_BYTES;
const G: i32 = E + 3 * FIELD_BYTES;
const U: i32 = E + 4 * FIELD_BYTES;
const V: i32 = E + 5 * FIELD_BYTES;

/** Offsets in a point. */
export const SUM: i32 = FIELD_BYTES;
export const Z: i32 = 2 * FIELD_BYTES;
export const T: i32 = 3 * FIELD_BYTES;

/** p = (e f, g h, f g, e h): the last four multiplications of every formula. */
function complete(p: i32, withT: bool): void {
  multiply(U, G, H);
  multiplyDifferenceSum(p, E, F, U);
  multiply(p + Z, F, G);
  if (withT) multiply(p + T, E, H);
}

/** p = p + q for an entry q of the table, ((y + x)/2, (y - x)/2, dxy): halved, so that no operand exceeds loose. */
export function addEntry(p: i32, q: i32): void {
  multiply(U, p + SUM, q);
  multiplyDifferenceSum(E, p, q + FIELD_BYTES, U);
  multiplyDifferenceSum(F, p + T, q + 2 * FIELD_BYTES, p + Z);
  complete(p, true);
}

/** p = the entry q. */
export function setEntry(p: i32, q: i32): void {
  copy(p, q + FIELD_BYTES);
  copy(p + SUM, q);
  copy(p + Z, HALF);
  multiply(p + T, q + 2 * FIELD_BYTES, INVERSE_TWO_D);
}

/** q = p in the form that `addCached` takes: (y - x, y + x, 2z, 2dt). */
export function cache(q: i32, p: i32): void {
  copyFields(q, p, 2);
  add(q + Z, p + Z, p + Z);
  multiply(q + T, p + T, TWO_D);
}

/** p = p + q for a cached q. */
export function addCached(p: i32, q: i32): void {
  multiply(U, p + SUM, q + SUM);
  multiplyDifferenceSum(E, p, q, U);
  multiply(V, p + Z, q + Z);
  multiplyDifferenceSum(F, p + T, q + T, V);
  complete(p, true);
}

/** p = 2 p; t is left out where the next step does not read it (another doubling). */
export function double(p: i32, withT: bool): void {
  multiply(U, p, p + SUM);
  square(E, p + SUM);
  square(H, p);
  differenceSum(E, H, E, H); // 4xy, 2(x^2 + y^2)
  add(G, U, U); // 2(y^2 - x^2)
  add(V, p + Z, p + Z);
  square(V, V);
  subtractReduced(F, V, G); // 4z^2 - 2(y^2 - x^2)
  complete(p, withT);
}

/** p = the neutral point. */
export function setNeutral(p: i32): void {
  copy(p, ONE);
  copy(p + SUM, ONE);
  copy(p + Z, ONE);
  memory.fill(p + T, 0, FIELD_BYTES);
}

/** Copies lane `from` of p into lane `to` of q. For public points: the lanes choose the address. */
export function copyLane(q: i32, to: i32, p: i32, from: i32): void {
  for (let i = 0; i < POINT_BYTES; i += 16) {
    store<u32>(q + i + 4 * to, load<u32>(p + i + 4 * from));
  }
}
