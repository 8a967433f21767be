// The kernel's exports. The wrapper (../kernel.ts) writes flag and tile into memory, at the addresses of ../layout.ts.
//
// Secret: the tile's blocks, every point made of them, the hash bits and the matches. No branch and no address depends on
// them: test/unit/fmd/kernel/constant-time.test.ts compares traces of an instrumented build, bench/ct.ts measures.
// Public: the flag, how many keys there are, their indices, numbers of subkeys and degrees.

import {
  BASES,
  BATCH_QUADS,
  BLOCK_BYTES,
  CALLER_SCRATCH,
  CANONICAL,
  FLAG_WANTED,
  HASH_BITS,
  LINEAR_INDICES,
  POINTS,
  POINT_BYTES,
} from '../layout';
import { beginEncodings, finishEncoding, invertProducts, prepareEncoding } from './encode';
import { prepareFlag } from './flag';
import { addCached, cache } from './point';
import { multiplyBlocks } from './scalar-multiplication';
import { hashBits } from './sha256';
import { buildTable } from './table';

/**
 * Loads the flag at FLAG_INPUT: u, basepoint, y/2 and m/2 modulo l, and builds the table of u: windows of `windowBits`,
 * every `stride`-th of them. False if u or the basepoint is not an encoding.
 */
export function loadFlag(windowBits: i32, stride: i32): bool {
  if (!prepareFlag(windowBits, stride)) return false;
  buildTable(windowBits, stride);
  return true;
}

/** Hash bits of the batch's first `quads` quads, whose encodings have been prepared. */
function hashBatch(quads: i32): void {
  invertProducts();
  for (let quad = quads - 1; quad >= 0; quad--) {
    finishEncoding(quad);
    hashBits(HASH_BITS + (quad << 2), CANONICAL);
  }
}

/**
 * Tests keys with arbitrary subkeys, key after key. `counts`: subkeys of each key, a byte each; `indices`: each subkey's
 * bit index, a byte; `blocks`: the recoded subkeys, 16 to a block; `matches`: receives 1 or 0 for each key.
 */
export function detectSubkeys(
  keys: i32, subkeys: i32, counts: i32, indices: i32, blocks: i32, matches: i32, windowBits: i32, stride: i32,
): void {
  let key = -1;
  let left = 0;
  let match = 0;
  for (let first = 0; first < subkeys; first += 4 * BATCH_QUADS) {
    const here = min(subkeys - first, 4 * BATCH_QUADS);
    const quads = (here + 3) >> 2;
    multiplyBlocks(POINTS, blocks + (first >> 4) * BLOCK_BYTES, quads, windowBits, stride);
    beginEncodings();
    for (let quad = 0; quad < quads; quad++) prepareEncoding(quad, POINTS + quad * POINT_BYTES);
    hashBatch(quads);
    for (let i = 0; i < here; i++) {
      if (left == 0) {
        left = load<u8>(counts + ++key);
        match = 1;
      }
      match &= i32(load<u8>(HASH_BITS + i) == load<u8>(FLAG_WANTED + load<u8>(indices + first + i)));
      store<u8>(matches + key, <u8>match);
      left--;
    }
  }
}

/** Adds finite differences once: point i += point i + 1 for the degree + 1 points at `base`. */
function walk(base: i32, degree: i32, difference: i32): void {
  for (let i = 0; i < degree; i++) {
    const p = base + i * POINT_BYTES;
    if (i < degree - 1) cache(difference, p + POINT_BYTES);
    else if (degree > 1) cache(difference, p + POINT_BYTES);
    addCached(p, difference);
  }
}

/** The encodings of one quad of linear keys: prepares `count` quads of the batch from `quad` on. */
function walkKeys(base: i32, degree: i32, count: i32, quad: i32): void {
  const difference: i32 = CALLER_SCRATCH;
  if (degree == 1) cache(difference, base + POINT_BYTES);
  let position = <i32>load<u8>(LINEAR_INDICES);
  for (let i = 0; i < count; i++) {
    for (const index = <i32>load<u8>(LINEAR_INDICES + i); position < index; position++) walk(base, degree, difference);
    prepareEncoding(quad + i, base);
  }
}

/**
 * Tests keys whose subkeys lie on polynomials of one degree, at the same `count` indices (at LINEAR_INDICES, ascending).
 * `blocks`: for each quad of keys degree + 1 quads of recoded scalars, the value at the first index and its forward
 * differences; `matches`: receives 1 or 0 for each key, four for each quad.
 */
export function detectLinear(
  keys: i32, degree: i32, count: i32, blocks: i32, matches: i32, windowBits: i32, stride: i32,
): void {
  const keyQuads = (keys + 3) >> 2;
  const points = degree + 1;
  const chunk = (BATCH_QUADS / points) & ~3;
  const batch = BATCH_QUADS / count;
  for (let first = 0; first < keyQuads; first += chunk) {
    const here = min(chunk, keyQuads - first);
    multiplyBlocks(BASES, blocks + ((first * points) >> 2) * BLOCK_BYTES, here * points, windowBits, stride);
    for (let from = 0; from < here; from += batch) {
      const together = min(batch, here - from);
      beginEncodings();
      for (let k = 0; k < together; k++) walkKeys(BASES + (from + k) * points * POINT_BYTES, degree, count, k * count);
      hashBatch(together * count);
      for (let k = 0; k < 4 * together; k++) {
        let match = 1;
        for (let i = 0; i < count; i++) {
          const bit = load<u8>(HASH_BITS + (((k >> 2) * count + i) << 2) + (k & 3));
          match &= i32(bit == load<u8>(FLAG_WANTED + load<u8>(LINEAR_INDICES + i)));
        }
        store<u8>(matches + 4 * (first + from) + k, <u8>match);
      }
    }
  }
}
