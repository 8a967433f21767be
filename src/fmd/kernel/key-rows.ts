// Detection keys in the kernel's form: a row of bytes per key, self-describing, at most 36 bytes per subkey.
//
// Row: kind (0 arbitrary, degree + 1 linear) · number n of subkeys · n indices, ascending · 32-byte scalars, n of them or
// degree + 1 (the value at the first index and its forward differences). Each scalar x is recoded once, here: k = x/2 mod
// l, plus l where that is even, stored as (k - 1)/2. Kind, number and indices are public; the scalars are secret.

import { bigintToLe } from '../../core/bytes.ts';
import { prepareKey } from '../detect.ts';
import { fmdError } from '../errors.ts';
import { GROUP_ORDER, SCALAR_BYTES } from '../group.ts';
import type { KeyPacking } from '../key-table.ts';
import type { DetectionKey } from '../keys.ts';
import { DEGREE_MAX, FLAG_BITS_MAX, LINEAR_SUBKEYS_MAX } from './layout.ts';

/** What a row's public part says. */
export interface RowHeader {
  /** Undefined for arbitrary subkeys. */
  readonly degree: number | undefined;
  readonly indices: Uint8Array;
  /** Where the scalars begin. */
  readonly scalarsAt: number;
  readonly scalars: number;
}

/** Bytes before the indices. */
const HEADER_BYTES = 2;
/** The last bit index is kept for rows that must not match: no flag has that many bits. */
const INDEX_MAX = FLAG_BITS_MAX - 2;

/** (k - 1)/2 for the odd k = half or half + l: see assembly/scalar-multiplication.ts. */
const recode = (half: bigint): bigint => ((half & 1n) === 1n ? half >> 1n : (half + GROUP_ORDER) >> 1n);

interface PackedKey {
  readonly degree: number | undefined;
  readonly indices: readonly number[];
  readonly scalars: readonly bigint[];
}

function toPacked(key: DetectionKey): PackedKey {
  const { indices, halves, linear } = prepareKey(key);
  if (indices.some((index) => index > INDEX_MAX)) {
    throw fmdError('bad-detection-key', `the kernel takes indices up to ${INDEX_MAX}`);
  }
  if (!linear || indices.length > LINEAR_SUBKEYS_MAX || linear.differences.length > DEGREE_MAX + 1) {
    return { degree: undefined, indices, scalars: halves };
  }
  return { degree: linear.differences.length - 1, indices, scalars: linear.differences };
}

/**
 * How the kernel wants keys laid out. A class: all keys with arbitrary subkeys of one number, or all linear keys of one
 * degree with one set of indices, which share every step of their walk.
 */
export const kernelPacking: KeyPacking = {
  classify(key) {
    const packed = toPacked(key);
    const { degree, indices, scalars } = packed;
    const name = degree === undefined ? `subkeys/${indices.length}` : `linear/${degree}/${indices.join('.')}`;
    const rowBytes = HEADER_BYTES + indices.length + scalars.length * SCALAR_BYTES;
    return { name, rowBytes, pack: (row) => writeRow(packed, row) };
  },
  pack: (key, row) => writeRow(toPacked(key), row),
};

function writeRow({ degree, indices, scalars }: PackedKey, row: Uint8Array): void {
  row[0] = degree === undefined ? 0 : degree + 1;
  row[1] = indices.length;
  row.set(indices, HEADER_BYTES);
  scalars.forEach((scalar, i) => {
    row.set(bigintToLe(recode(scalar), SCALAR_BYTES), HEADER_BYTES + indices.length + i * SCALAR_BYTES);
  });
}

/** The public part of a row; undefined for a free row (zeros) or one of another length. */
export function readHeader(row: Uint8Array): RowHeader | undefined {
  const kind = row[0]!;
  const count = row[1]!;
  const scalars = kind === 0 ? count : kind;
  const scalarsAt = HEADER_BYTES + count;
  if (count === 0 || kind > DEGREE_MAX + 1 || scalarsAt + scalars * SCALAR_BYTES !== row.length) return undefined;
  const degree = kind === 0 ? undefined : kind - 1;
  return { degree, indices: row.slice(HEADER_BYTES, scalarsAt), scalarsAt, scalars };
}
