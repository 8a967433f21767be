// The kernel with its inner functions exported, for tests; no build of the product contains it.

export { detectLinear, detectSubkeys, loadFlag } from './index';
export {
  add,
  canonicalWords,
  differenceSum,
  invert,
  multiply,
  multiplyDifferenceSum,
  powerForRoot,
  square,
  subtractReduced,
} from './field';
export { addCached, addEntry, cache, double, setEntry } from './point';
export { multiplyBlocks, windowBytes, windowCount } from './scalar-multiplication';
export { beginEncodings, finishEncoding, invertProducts, prepareEncoding } from './encode';
export { hashBits, hashPrefix, hashSuffix } from './sha256';
export { buildTable } from './table';
import { prepareFlag as prepareFlagUnderTest } from './flag';
import { oddMask, zeroMask } from './field';

export function prepareFlag(windowBits: i32, stride: i32): bool {
  return prepareFlagUnderTest(windowBits, stride);
}

/** Bit s: whether lane s of a is odd. */
export function oddLanes(a: i32): i32 {
  return i32x4.bitmask(oddMask(a));
}

/** Bit s: whether lane s of a is zero. */
export function zeroLanes(a: i32): i32 {
  return i32x4.bitmask(zeroMask(a));
}
