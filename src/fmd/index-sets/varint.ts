// Unsigned LEB128 numbers up to 2^53 - 1, in their shortest form only.

import { KithError } from '../../core/errors.ts';

/** Bytes of the longest number. */
export const VARINT_BYTES_MAX = 8;

/** Writes `value` at `at`, where VARINT_BYTES_MAX bytes must be free; returns the position after it. */
export function writeVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  let position = at;
  while (rest >= 0x80) {
    out[position++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[position++] = rest;
  return position;
}

/** Reads numbers one after another. @throws KithError `bad-entries` on truncation, a longer form, or 2^53 and above. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** What was not read yet, as a view. */
  get rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  next(): number {
    const bytes = this.#bytes;
    const first = bytes[this.#at++];
    if (first === undefined) throw new KithError('bad-entries', 'ends inside a number');
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let scale = 0x80, count = 2; count <= VARINT_BYTES_MAX; scale *= 0x80, count++) {
      const byte = bytes[this.#at++];
      if (byte === undefined) throw new KithError('bad-entries', 'ends inside a number');
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      if (byte === 0) throw new KithError('bad-entries', 'a number is not in its shortest form');
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    throw new KithError('bad-entries', 'a number is above 2^53 - 1');
  }
}
