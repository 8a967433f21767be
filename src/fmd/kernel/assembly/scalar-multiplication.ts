// Multiples of a flag's u by the secret scalars of a tile, 16 scalars to a block, from the fixed-base table.
//
// A scalar k is odd and below 2l (the wrapper halves it modulo l and adds l where that is even: ristretto's encoding of
// 2P takes no notice of the 4-torsion this adds). Its block holds h = (k - 1)/2. With m windows of W bits,
// k = sum over i of d[i] * 2^(W i), d[i] = 2 v[i] - (2^W - 1), v[i] the i-th W bits of h + 2^(W m - 1): digits are odd,
// never zero, and take no carries to find, so a block serves every W. Digit d takes entry (|d| - 1)/2 with d's sign.
//
// Nothing here branches on a scalar or addresses memory by one: `i8x16.swizzle` looks 16 digits up in a register.

import {
  BLOCK_BYTES,
  CHOSEN,
  ENTRIES,
  ENTRY_BYTES,
  FIELD_BYTES,
  POINT_BYTES,
  RECODED_BITS,
  SWEEP_BLOCKS,
  TABLE,
} from '../layout';
import { addEntry, double, setEntry } from './point';

/** Bytes at CHOSEN for one coordinate, and for all three. */
const CHOSEN_FIELD: i32 = 640;
const CHOSEN_BYTES: i32 = 1920;

/** Windows of a recoded scalar. */
export function windowCount(windowBits: i32): i32 {
  return (RECODED_BITS + windowBits - 1) / windowBits;
}

/** Digit i, v[i], of the 16 scalars of a block. */
function digits(block: i32, windowBits: i32, i: i32): v128 {
  const bit = i * windowBits;
  const plane = block + ((bit >> 3) << 4);
  const shift = bit & 7;
  let v = i8x16.shr_u(v128.load(plane), shift);
  if (shift + windowBits > 8 && bit < 248) v = v128.or(v, i8x16.shl(v128.load(plane, 16), 8 - shift));
  const top = i == windowCount(windowBits) - 1 ? 1 << (windowBits - 1) : 0;
  const mask = (1 << windowBits) - 1;
  return v128.or(v128.and(v, i8x16.splat(<i8>mask)), i8x16.splat(<i8>top));
}

/**
 * The bytes that 16 digits choose from a plane of 16 * chunks entries: a swizzle gives 0 for an index above 15, so chunk
 * c is indexed by digit - 16 c and the chunks are or-ed. `chunks` is a constant wherever this is inlined.
 */
// @ts-ignore: decorator
@inline
function choose(plane: i32, chunks: i32, i0: v128, i1: v128, i2: v128, i3: v128, i4: v128, i5: v128, i6: v128, i7: v128): v128 {
  let v = i8x16.swizzle(v128.load(plane), i0);
  if (chunks > 1) v = v128.or(v, i8x16.swizzle(v128.load(plane, 16), i1));
  if (chunks > 2) {
    v = v128.or(v, i8x16.swizzle(v128.load(plane, 32), i2));
    v = v128.or(v, i8x16.swizzle(v128.load(plane, 48), i3));
  }
  if (chunks > 4) {
    v = v128.or(v, i8x16.swizzle(v128.load(plane, 64), i4));
    v = v128.or(v, i8x16.swizzle(v128.load(plane, 80), i5));
    v = v128.or(v, i8x16.swizzle(v128.load(plane, 96), i6));
    v = v128.or(v, i8x16.swizzle(v128.load(plane, 112), i7));
  }
  return v;
}

/** Stores, for byte planes b0 to b3 of a word in 16 scalars, that word for each of the four quads. */
// @ts-ignore: decorator
@inline
function storeWords(out: i32, b0: v128, b1: v128, b2: v128, b3: v128): void {
  const low0 = v128.shuffle<u8>(b0, b1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const high0 = v128.shuffle<u8>(b2, b3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const low1 = v128.shuffle<u8>(b0, b1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const high1 = v128.shuffle<u8>(b2, b3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const w0 = v128.shuffle<u16>(low0, high0, 0, 8, 1, 9, 2, 10, 3, 11);
  const w1 = v128.shuffle<u16>(low0, high0, 4, 12, 5, 13, 6, 14, 7, 15);
  const w2 = v128.shuffle<u16>(low1, high1, 0, 8, 1, 9, 2, 10, 3, 11);
  const w3 = v128.shuffle<u16>(low1, high1, 4, 12, 5, 13, 6, 14, 7, 15);
  v128.store(out, w0);
  v128.store(out + ENTRY_BYTES, w1);
  v128.store(out + 2 * ENTRY_BYTES, w2);
  v128.store(out + 3 * ENTRY_BYTES, w3);
}

/**
 * Copies to CHOSEN the bytes that 16 digits choose from every plane of a window. The functions around it take the
 * indices of the chunks as parameters: a compiler that could see how they are made would make them again in the loop.
 */
// @ts-ignore: decorator
@inline
function choosePlanes(
  window: i32, chunks: i32, i0: v128, i1: v128, i2: v128, i3: v128, i4: v128, i5: v128, i6: v128, i7: v128,
): void {
  const planeBytes = chunks << 4;
  for (let out: i32 = CHOSEN; out < CHOSEN + CHOSEN_BYTES; out += 32) {
    v128.store(out, choose(window, chunks, i0, i1, i2, i3, i4, i5, i6, i7));
    v128.store(out, choose(window + planeBytes, chunks, i0, i1, i2, i3, i4, i5, i6, i7), 16);
    window += planeBytes << 1;
  }
}

function choose16(window: i32, i0: v128): void {
  choosePlanes(window, 1, i0, i0, i0, i0, i0, i0, i0, i0);
}

function choose32(window: i32, i0: v128, i1: v128): void {
  choosePlanes(window, 2, i0, i1, i0, i0, i0, i0, i0, i0);
}

function choose64(window: i32, i0: v128, i1: v128, i2: v128, i3: v128): void {
  choosePlanes(window, 4, i0, i1, i2, i3, i0, i0, i0, i0);
}

function choose128(
  window: i32, i0: v128, i1: v128, i2: v128, i3: v128, i4: v128, i5: v128, i6: v128, i7: v128,
): void {
  choosePlanes(window, 8, i0, i1, i2, i3, i4, i5, i6, i7);
}

/** The index of chunk c: out of range, which gives 0, for the digits of other chunks. */
// @ts-ignore: decorator
@inline
function chunk(index: v128, c: i8): v128 {
  return i8x16.sub(index, i8x16.splat(<i8>16 * c));
}

/** Copies to CHOSEN what the digits choose from a window of this width. */
function chooseAll(window: i32, windowBits: i32, i0: v128): void {
  if (windowBits < 6) {
    choose16(window, i0);
    return;
  }
  const i1 = chunk(i0, 1);
  if (windowBits == 6) choose32(window, i0, i1);
  else if (windowBits == 7) choose64(window, i0, i1, chunk(i0, 2), chunk(i0, 3));
  else {
    choose128(window, i0, i1, chunk(i0, 2), chunk(i0, 3), chunk(i0, 4), chunk(i0, 5), chunk(i0, 6), chunk(i0, 7));
  }
}

/** Makes entries for four quads of the bytes at CHOSEN, with the digits' signs. */
function arrangeEntries(negative: v128): void {
  const zero = i8x16.splat(0);
  let out: i32 = ENTRIES;
  for (let plane: i32 = CHOSEN; plane < CHOSEN + CHOSEN_FIELD; plane += 64) {
    // A negative entry has y + x and y - x exchanged.
    const a0 = v128.load(plane);
    const a1 = v128.load(plane, 16);
    const a2 = v128.load(plane, 32);
    const a3 = v128.load(plane, 48);
    const b0 = v128.load(plane, CHOSEN_FIELD);
    const b1 = v128.load(plane, CHOSEN_FIELD + 16);
    const b2 = v128.load(plane, CHOSEN_FIELD + 32);
    const b3 = v128.load(plane, CHOSEN_FIELD + 48);
    const x0 = v128.and(v128.xor(a0, b0), negative);
    const x1 = v128.and(v128.xor(a1, b1), negative);
    const x2 = v128.and(v128.xor(a2, b2), negative);
    const x3 = v128.and(v128.xor(a3, b3), negative);
    storeWords(out, v128.xor(a0, x0), v128.xor(a1, x1), v128.xor(a2, x2), v128.xor(a3, x3));
    storeWords(out + FIELD_BYTES, v128.xor(b0, x0), v128.xor(b1, x1), v128.xor(b2, x2), v128.xor(b3, x3));
    out += 16;
  }
}

/** The third coordinate, negated with the digit. */
function arrangeProducts(negative: v128): void {
  const n0 = v128.shuffle<u8>(negative, negative, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  const n1 = v128.shuffle<u8>(negative, negative, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7);
  const n2 = v128.shuffle<u8>(negative, negative, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11);
  const n3 = v128.shuffle<u8>(negative, negative, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15);
  let out: i32 = ENTRIES + 2 * FIELD_BYTES;
  for (let plane: i32 = CHOSEN + 2 * CHOSEN_FIELD; plane < CHOSEN + 3 * CHOSEN_FIELD; plane += 64) {
    storeWords(out, v128.load(plane), v128.load(plane, 16), v128.load(plane, 32), v128.load(plane, 48));
    negateWord(out, n0);
    negateWord(out + ENTRY_BYTES, n1);
    negateWord(out + 2 * ENTRY_BYTES, n2);
    negateWord(out + 3 * ENTRY_BYTES, n3);
    out += 16;
  }
}

// @ts-ignore: decorator
@inline
function negateWord(word: i32, mask: v128): void {
  v128.store(word, i16x8.sub(v128.xor(v128.load(word), mask), mask));
}

/** Bytes of one window of the table: 120 planes of its entries, of 16 entries at least. */
export function windowBytes(windowBits: i32): i32 {
  return 120 * (windowBits == 4 ? 16 : 1 << (windowBits - 1));
}

function step(block: i32, windowBits: i32, i: i32, window: i32, p: i32, quads: i32, first: bool): void {
  const v = digits(block, windowBits, i);
  const half = 1 << (windowBits - 1);
  const negative = i8x16.eq(v128.and(v, i8x16.splat(<i8>half)), i8x16.splat(0));
  const index = v128.and(v128.xor(v, negative), i8x16.splat(<i8>(half - 1)));
  chooseAll(window, windowBits, index);
  arrangeEntries(negative);
  arrangeProducts(negative);
  for (let quad = 0; quad < quads; quad++) {
    if (first) setEntry(p + quad * POINT_BYTES, ENTRIES + quad * ENTRY_BYTES);
    else addEntry(p + quad * POINT_BYTES, ENTRIES + quad * ENTRY_BYTES);
  }
}

/**
 * points[0 .. quads) = k * u for the scalars of the blocks from `block` on. The table holds every `stride`-th window:
 * windows i, i + stride, ... are added up from the same entries, with W doublings between i + 1 and i.
 */
export function multiplyBlocks(points: i32, block: i32, quads: i32, windowBits: i32, stride: i32): void {
  const windows = windowCount(windowBits);
  const bytes = windowBytes(windowBits);
  while (quads > 0) {
    const sweep = min(quads, 4 * SWEEP_BLOCKS);
    for (let offset = stride - 1; offset >= 0; offset--) {
      if (offset < stride - 1) {
        for (let quad = 0; quad < sweep; quad++) {
          for (let i = 1; i <= windowBits; i++) double(points + quad * POINT_BYTES, i == windowBits);
        }
      }
      for (let i = offset; i < windows; i += stride) {
        const window = TABLE + (i / stride) * bytes;
        for (let quad = 0; quad < sweep; quad += 4) {
          const first = offset == stride - 1 && i == offset;
          step(block + (quad >> 2) * BLOCK_BYTES, windowBits, i, window, points + quad * POINT_BYTES, min(4, sweep - quad), first);
        }
      }
    }
    quads -= sweep;
    points += sweep * POINT_BYTES;
    block += SWEEP_BLOCKS * BLOCK_BYTES;
  }
}
