// The fixed-base table of a flag's u. The flag is public, so this may address memory by it.
//
// Window i of W bits holds the odd multiples 1, 3, ..., 2^W - 1 of 2^(W stride i) u as ((y + x)/2, (y - x)/2, dxy), byte
// by byte: plane 4 j + b of a coordinate holds byte b of word j of every entry, as the swizzles look it up.

import {
  BATCH_QUADS,
  CALLER_SCRATCH,
  FIELD_BYTES,
  POINTS,
  POINT_BYTES,
  TABLE,
  WINDOW_BASES,
} from '../layout';
import { D, HALF, ONE } from './constants';
import { copy, copyFields, differenceSum, invert, multiply } from './field';
import { addCached, cache, double, SUM, Z } from './point';
import { windowBytes, windowCount } from './scalar-multiplication';

const CURRENT: i32 = CALLER_SCRATCH;
const STEP: i32 = CALLER_SCRATCH + POINT_BYTES;
const RUNNING: i32 = CALLER_SCRATCH + 2 * POINT_BYTES;
const INVERSE: i32 = RUNNING + FIELD_BYTES;
const X: i32 = RUNNING + 2 * FIELD_BYTES;
const Y: i32 = RUNNING + 3 * FIELD_BYTES;
/** In place of t a stored point keeps the product of the z before its own. */
const PREFIX: i32 = 3 * FIELD_BYTES;
/** One word of 16 entries, by windows. */
const TRANSPOSED: i32 = Y + FIELD_BYTES;
/** Points between POINTS and WINDOW_BASES. */
const ROOM: i32 = 3 * BATCH_QUADS;

/** Points 1, 3, 5, ... times each of the four bases of a quad, without t, with prefix products. */
function oddMultiples(points: i32, base: i32, entries: i32): void {
  copyFields(CURRENT, base, 4);
  copyFields(STEP, base, 4);
  double(STEP, true);
  cache(STEP, STEP);
  for (let i = 0; i < entries; i++) {
    if (i > 0) addCached(CURRENT, STEP);
    copyFields(points, CURRENT, 3);
    copy(points + PREFIX, RUNNING);
    multiply(RUNNING, RUNNING, points + Z);
    points += POINT_BYTES;
  }
}

/** (d, s, z) becomes the entry ((y + x)/2, (y - x)/2, dxy); INVERSE holds 1/(2z). */
function toEntry(point: i32): void {
  multiply(X, point + SUM, INVERSE);
  multiply(Y, point, INVERSE);
  copy(point, X);
  copy(point + FIELD_BYTES, Y);
  differenceSum(X, Y, X, Y); // x, y
  multiply(X, X, Y);
  multiply(point + 2 * FIELD_BYTES, X, D);
}

/** A 4 x 4 matrix of 32-bit words from memory, transposed: row `lane` of the result. */
// @ts-ignore: decorator
@inline
function lowPairs(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 0, 4, 1, 5);
}

// @ts-ignore: decorator
@inline
function highPairs(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
}

// @ts-ignore: decorator
@inline
function lowHalves(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 0, 2);
}

// @ts-ignore: decorator
@inline
function highHalves(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 1, 3);
}

/** Sorts the bytes of four words: all their bytes 0, then all their bytes 1, 2 and 3. */
// @ts-ignore: decorator
@inline
function sortBytes(words: v128): v128 {
  return i8x16.swizzle(words, i8x16(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}

/** Four byte planes of 16 entries from four vectors of four words each. */
function storePlanes(plane: i32, planeBytes: i32, w0: v128, w1: v128, w2: v128, w3: v128): void {
  const a = sortBytes(w0);
  const b = sortBytes(w1);
  const c = sortBytes(w2);
  const d = sortBytes(w3);
  const ab = lowPairs(a, b);
  const cd = lowPairs(c, d);
  const abHigh = highPairs(a, b);
  const cdHigh = highPairs(c, d);
  v128.store(plane, lowHalves(ab, cd));
  v128.store(plane + planeBytes, highHalves(ab, cd));
  v128.store(plane + 2 * planeBytes, lowHalves(abHigh, cdHigh));
  v128.store(plane + 3 * planeBytes, highHalves(abHigh, cdHigh));
}

/** Word `word` of 16 entries from `points` on becomes byte planes of the four windows, or of as many as there are. */
function scatterWord(points: i32, word: i32, plane: i32, planeBytes: i32, windowBytes: i32, windows: i32): void {
  for (let group = 0; group < 4; group++) {
    // Four entries: from a vector for each entry, one lane a window, to a vector for each window.
    const entry = points + 4 * group * POINT_BYTES + 16 * word;
    const a = v128.load(entry);
    const b = v128.load(entry + POINT_BYTES);
    const c = v128.load(entry + 2 * POINT_BYTES);
    const d = v128.load(entry + 3 * POINT_BYTES);
    const ab = lowPairs(a, b);
    const cd = lowPairs(c, d);
    const abHigh = highPairs(a, b);
    const cdHigh = highPairs(c, d);
    v128.store(TRANSPOSED + 16 * group, lowHalves(ab, cd));
    v128.store(TRANSPOSED + 64 + 16 * group, highHalves(ab, cd));
    v128.store(TRANSPOSED + 128 + 16 * group, lowHalves(abHigh, cdHigh));
    v128.store(TRANSPOSED + 192 + 16 * group, highHalves(abHigh, cdHigh));
  }
  for (let window = 0; window < windows; window++) {
    const row = TRANSPOSED + 64 * window;
    storePlanes(
      plane + window * windowBytes, planeBytes,
      v128.load(row), v128.load(row, 16), v128.load(row, 32), v128.load(row, 48),
    );
  }
}

/** Writes the byte planes of four windows, or of as many as there are, from their entries at `points`. */
function scatter(points: i32, entries: i32, table: i32, bytes: i32, windows: i32): void {
  const planeBytes = bytes / 120;
  // With 8 entries (W = 4) the upper half of each plane is never chosen, and takes what lies behind them.
  for (let from = 0; from < entries; from += 16) {
    for (let word = 0; word < 30; word++) {
      const plane = table + from + 4 * word * planeBytes;
      scatterWord(points + from * POINT_BYTES, word, plane, planeBytes, bytes, windows);
    }
  }
}

/** Fills the table for `windows` bases at WINDOW_BASES. */
function fillTable(windows: i32, windowBits: i32): void {
  const entries = 1 << (windowBits - 1);
  const bytes = windowBytes(windowBits);
  const quads = (windows + 3) >> 2;
  const together = ROOM / entries;
  for (let first = 0; first < quads; first += together) {
    const count = min(together, quads - first);
    copy(RUNNING, ONE);
    for (let q = 0; q < count; q++) {
      oddMultiples(POINTS + q * entries * POINT_BYTES, WINDOW_BASES + (first + q) * POINT_BYTES, entries);
    }
    invert(RUNNING, RUNNING);
    multiply(RUNNING, RUNNING, HALF); // so each inverse below is that of 2 z
    for (let i = count * entries - 1; i >= 0; i--) {
      const point = POINTS + i * POINT_BYTES;
      multiply(INVERSE, RUNNING, point + PREFIX);
      multiply(RUNNING, RUNNING, point + Z);
      toEntry(point);
    }
    for (let q = 0; q < count; q++) {
      const window = 4 * (first + q);
      scatter(POINTS + q * entries * POINT_BYTES, entries, TABLE + window * bytes, bytes, min(4, windows - window));
    }
  }
}

/** Builds the table from the window bases. */
export function buildTable(windowBits: i32, stride: i32): void {
  fillTable((windowCount(windowBits) + stride - 1) / stride, windowBits);
}
