// GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. No branch and no index depends on an operand.

/** The reduction polynomial without its highest term. */
const REDUCTION = 0x1b;

/** Product of two bytes. */
export function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = a;
  for (let bit = 0; bit < 8; bit++) {
    product ^= shifted & -((b >> bit) & 1);
    shifted = ((shifted << 1) & 0xff) ^ (REDUCTION & -(shifted >> 7));
  }
  return product;
}

/** The byte whose product with `a` is 1, as a^254; 0 for 0. */
export function invert(a: number): number {
  let power = 1;
  let square = a;
  // 254 = 2 + 4 + ... + 128.
  for (let bit = 1; bit < 8; bit++) {
    square = multiply(square, square);
    power = multiply(power, square);
  }
  return power;
}
