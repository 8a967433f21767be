// Lays key rows out in the kernel's memory: rows become columns of bytes, 16 scalars to a block.

import { SCALAR_BYTES } from '../group.ts';
import { type RowHeader, readHeader } from './key-rows.ts';
import { BLOCK_BYTES, BLOCK_SCALARS, FLAG_BITS_MAX } from './layout.ts';

/** Some rows of one class, in memory that may be shared and may change while it is read. */
export interface KeyRows {
  readonly bytes: Uint8Array;
  readonly rowBytes: number;
  /** Row numbers. */
  readonly rows: ArrayLike<number>;
}

/** Keys of one class as the kernel takes them; addresses in its memory. */
export interface Tile {
  readonly keys: number;
  /** 1 for each key that is there; a row that was free or of another form never matches. */
  readonly live: Uint8Array;
  /** Undefined for arbitrary subkeys. */
  readonly degree: number | undefined;
  readonly indices: Uint8Array;
  /** Scalars with their padding, a multiple of 4. */
  readonly scalars: number;
  readonly counts: number;
  readonly subkeyIndices: number;
  readonly blocks: number;
  readonly matches: number;
  readonly end: number;
}

/** An address where vectors may begin. */
const align = (address: number): number => Math.ceil(address / 16) * 16;

/** Where a class with this header goes from `start` on. */
export function planTile(header: RowHeader, keys: number, start: number): Tile {
  const { degree, indices } = header;
  const count = indices.length;
  const scalars = degree === undefined ? align4(keys * count) : align4(keys) * (degree + 1);
  const counts = align(start);
  const subkeyIndices = counts + (degree === undefined ? keys : 0);
  const matches = subkeyIndices + (degree === undefined ? keys * count : 0);
  const blocks = align(matches + align4(keys));
  const end = blocks + Math.ceil(scalars / BLOCK_SCALARS) * BLOCK_BYTES;
  const live = new Uint8Array(keys);
  return { keys, live, degree, indices, scalars, counts, subkeyIndices, blocks, matches, end };
}

const align4 = (count: number): number => Math.ceil(count / 4) * 4;

/** The header that the rows' class has: that of the first row in use. */
export function headerOf(keys: KeyRows): RowHeader | undefined {
  const row = new Uint8Array(keys.rowBytes);
  let header: RowHeader | undefined;
  for (let k = 0; k < keys.rows.length && !header; k++) {
    copyRow(row, keys, k);
    header = readHeader(row);
  }
  row.fill(0);
  return header;
}

/**
 * Copies the rows into the kernel's memory. Each row is read once and then judged, so that a row that is being wiped
 * or written by another thread is either whole or no key at all to the header, and never read in two states.
 */
export function fillTile(memory: Uint8Array, tile: Tile, header: RowHeader, keys: KeyRows): void {
  const row = new Uint8Array(keys.rowBytes);
  const count = header.indices.length;
  memory.fill(0, tile.counts, tile.end);
  for (let key = 0; key < tile.keys; key++) {
    copyRow(row, keys, key);
    const own = readHeader(row);
    const fits = own !== undefined && sameClass(own, header);
    tile.live[key] = Number(fits);
    if (tile.degree === undefined) {
      memory[tile.counts + key] = count;
      const indices = tile.subkeyIndices + key * count;
      if (fits) memory.set(own.indices, indices);
      else memory.fill(FLAG_BITS_MAX - 1, indices, indices + count);
    }
    if (fits)
      for (let i = 0; i < own.scalars; i++)
        writeScalar(memory, tile, position(tile, key, i), row, own.scalarsAt + i * SCALAR_BYTES);
  }
  row.fill(0);
}

function copyRow(row: Uint8Array, keys: KeyRows, k: number): void {
  const at = keys.rows[k]! * keys.rowBytes;
  row.set(keys.bytes.subarray(at, at + keys.rowBytes));
}

function sameClass(a: RowHeader, b: RowHeader): boolean {
  if (a.degree !== b.degree || a.indices.length !== b.indices.length) return false;
  return a.degree === undefined || a.indices.every((index, i) => index === b.indices[i]);
}

/** Which scalar of the tile is scalar i of a key: one after another, or quad by quad for keys that walk together. */
function position(tile: Tile, key: number, i: number): number {
  if (tile.degree === undefined) return key * tile.indices.length + i;
  return 4 * ((key >> 2) * (tile.degree + 1) + i) + (key & 3);
}

function writeScalar(memory: Uint8Array, tile: Tile, scalar: number, row: Uint8Array, from: number): void {
  const at = tile.blocks + Math.floor(scalar / BLOCK_SCALARS) * BLOCK_BYTES + (scalar % BLOCK_SCALARS);
  for (let byte = 0; byte < SCALAR_BYTES; byte++) memory[at + BLOCK_SCALARS * byte] = row[from + byte]!;
}
