// Ristretto encodings of 2P for a batch of points P, with one inversion and no square root: the method of
// curve25519-dalek's `double_and_compress_batch` (Hamburg's "Decaf" isogeny, evaluated for doubled points).
// Twice (x, y, z, t) has the factors e = 2xy, f = z^2 + dt^2, g = y^2 + x^2, h = z^2 - dt^2; here all are doubled.

import { CALLER_SCRATCH, CANONICAL, FACTORS, FIELD_BYTES, NONZERO, POINTS, POINT_BYTES } from '../layout';
import { INVERSE_SQRT_A_MINUS_D, ONE, SQRT_MINUS_ONE, TWO_D } from './constants';
import {
  add,
  canonicalWords,
  copy,
  differenceSum,
  invert,
  keepWhere,
  multiply,
  multiplyDifferenceSum,
  negateWhere,
  oddMask,
  select,
  square,
  subtractReduced,
  zeroMask,
} from './field';
import { SUM, T, Z } from './point';

const RUNNING: i32 = CALLER_SCRATCH + POINT_BYTES;
const INVERSE: i32 = RUNNING + FIELD_BYTES;
const A: i32 = RUNNING + 2 * FIELD_BYTES;
const B: i32 = RUNNING + 3 * FIELD_BYTES;
const C: i32 = RUNNING + 4 * FIELD_BYTES;

/** Factors of a point in POINTS: e, g, h, f. */
const G: i32 = FIELD_BYTES;
const H: i32 = 2 * FIELD_BYTES;
const F: i32 = 3 * FIELD_BYTES;
/** In FACTORS. */
const FH: i32 = FIELD_BYTES;
const PRODUCT: i32 = 2 * FIELD_BYTES;
const PREFIX: i32 = 3 * FIELD_BYTES;

/** Begins a batch of encodings. */
export function beginEncodings(): void {
  copy(RUNNING, ONE);
}

/** Makes the four points at p the batch's quad `quad`; p may be that quad's own place in POINTS. */
export function prepareEncoding(quad: i32, p: i32): void {
  const factors = POINTS + quad * POINT_BYTES;
  const products = FACTORS + quad * POINT_BYTES;
  add(A, p + Z, p + Z);
  multiply(A, A, p + Z); // 2z^2
  square(B, p + T);
  square(C, p + SUM);
  square(factors, p);
  differenceSum(factors, factors + G, C, factors);
  multiplyDifferenceSum(factors + H, B, TWO_D, A);
  multiply(products, factors, factors + G);
  multiply(products + FH, factors + H, factors + F);
  multiply(products + PRODUCT, products, products + FH);
  // A neutral point has the product 0: it stands in the chain of products as 1, and gets the inverse 0.
  const zero = zeroMask(products + PRODUCT);
  v128.store(NONZERO + (quad << 4), v128.not(zero));
  select(products + PRODUCT, ONE, products + PRODUCT, zero);
  copy(products + PREFIX, RUNNING);
  multiply(RUNNING, RUNNING, products + PRODUCT);
}

/** Ends the chain of products; `finishEncoding` then takes the quads in descending order. */
export function invertProducts(): void {
  invert(RUNNING, RUNNING);
}

/** Writes the canonical words of the four encodings of quad `quad` to CANONICAL. */
export function finishEncoding(quad: i32): void {
  const factors = POINTS + quad * POINT_BYTES;
  const products = FACTORS + quad * POINT_BYTES;
  multiply(INVERSE, RUNNING, products + PREFIX);
  multiply(RUNNING, RUNNING, products + PRODUCT);
  keepWhere(INVERSE, INVERSE, v128.load(NONZERO + (quad << 4)));
  multiply(A, INVERSE, products); // 1/(fh)
  multiply(B, INVERSE, products + FH); // 1/(eg)
  multiply(C, A, products);
  const rotated = oddMask(C);
  // Rotated: e, g, h become g, -e, f sqrt(-1).
  multiply(C, factors + F, SQRT_MINUS_ONE);
  select(factors + H, C, factors + H, rotated);
  negateWhere(C, factors, i32x4.splat(-1));
  select(factors, factors + G, factors, rotated);
  select(factors + G, C, factors + G, rotated);
  multiply(C, factors, factors + H);
  multiply(C, C, A);
  negateWhere(factors + G, factors + G, oddMask(C));
  select(A, SQRT_MINUS_ONE, INVERSE_SQRT_A_MINUS_D, rotated);
  multiply(B, B, A);
  multiply(B, B, factors + G);
  subtractReduced(A, factors + H, factors + G);
  multiply(B, B, A);
  negateWhere(B, B, oddMask(B));
  canonicalWords(CANONICAL, B);
}
