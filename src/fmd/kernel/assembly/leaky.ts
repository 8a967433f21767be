// A kernel that leaks on purpose, so that the constant-time checks can be seen to catch it. No build of the product
// contains it.

import { CANONICAL, FLAG_WANTED, HASH_BITS, POINTS, TABLE } from '../layout';
import { beginEncodings, finishEncoding, invertProducts, prepareEncoding } from './encode';
import { multiplyBlocks } from './scalar-multiplication';
import { hashBits } from './sha256';

export { loadFlag } from './index';

/** As the real one for a single key, but it stops at the first four subkeys of which one does not match. */
export function detectSubkeys(
  keys: i32, subkeys: i32, counts: i32, indices: i32, blocks: i32, matches: i32, windowBits: i32, stride: i32,
): void {
  let match = 1;
  for (let first = 0; first < subkeys && match; first += 16) {
    multiplyBlocks(POINTS, blocks + 32 * first, 4, windowBits, stride);
    for (let quad = 0; quad < 4 && match; quad++) {
      beginEncodings();
      prepareEncoding(0, POINTS + 640 * quad);
      invertProducts();
      finishEncoding(0);
      hashBits(HASH_BITS, CANONICAL);
      for (let i = 0; i < 4; i++) {
        const subkey = first + 4 * quad + i;
        if (subkey >= subkeys) break;
        match &= i32(load<u8>(HASH_BITS + i) == load<u8>(FLAG_WANTED + load<u8>(indices + subkey)));
      }
    }
  }
  store<u8>(matches, <u8>match);
}

/** A branch on a secret. */
export function leakByBranch(secret: i32): i32 {
  if (load<u8>(secret) & 1) store<u8>(POINTS, 1);
  return 0;
}

/** A load at a secret address. */
export function leakByLoad(secret: i32): i32 {
  return load<u8>(TABLE + load<u8>(secret));
}

/** A store at a secret address. */
export function leakByStore(secret: i32): i32 {
  v128.store(POINTS + (load<u8>(secret) << 4), i32x4.splat(1));
  return 0;
}

/** A choice that an engine may compile to a branch. */
export function leakBySelect(secret: i32): i32 {
  return select(load<i32>(TABLE), load<i32>(POINTS), load<u8>(secret) & 1);
}

/** A division, whose duration depends on its operands. */
export function leakByDivision(secret: i32): i32 {
  return 1000 / (load<u8>(secret) | 1);
}

/** A loop whose length is secret. */
export function leakByLoop(secret: i32): i32 {
  let sum = 0;
  for (let i = load<u8>(secret); i > 0; i--) sum ^= load<u8>(TABLE);
  return sum;
}
