// A bounded cursor over bytes from outside, little-endian as Borsh and TDX quotes are.
// Lengths are checked before anything is read, so a hostile length cannot cause an allocation.

import { KithError } from './errors.ts';

export type ByteReaderErrorCode = 'truncated' | 'trailing-bytes' | 'number-too-large';

/** Reads from the front of `bytes`; each read throws KithError `truncated` if too little is left. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #advance(length: number, what: string): number {
    const at = this.#offset;
    // Written so that NaN fails too; a negative length would move the cursor back.
    if (!(Number.isInteger(length) && length >= 0 && length <= this.remaining)) {
      throw new KithError<ByteReaderErrorCode>(
        'truncated',
        `${what}: ${length} bytes expected at offset ${at}, ${this.remaining} left`,
      );
    }
    this.#offset = at + length;
    return at;
  }

  u8(what = 'u8'): number {
    return this.#view.getUint8(this.#advance(1, what));
  }

  u16(what = 'u16'): number {
    return this.#view.getUint16(this.#advance(2, what), true);
  }

  u32(what = 'u32'): number {
    return this.#view.getUint32(this.#advance(4, what), true);
  }

  /** @throws KithError `number-too-large` above 2^53 - 1. */
  u64(what = 'u64'): number {
    const value = this.#view.getBigUint64(this.#advance(8, what), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new KithError<ByteReaderErrorCode>('number-too-large', `${what}: ${value} is above 2^53 - 1`);
    }
    return Number(value);
  }

  /** The next `length` bytes, as a view into the input (copy what must outlive it). */
  take(length: number, what = 'bytes'): Uint8Array {
    const at = this.#advance(length, what);
    return this.#bytes.subarray(at, at + length);
  }

  /** @throws KithError `trailing-bytes` unless everything was read. */
  end(what = 'input'): void {
    if (this.remaining !== 0) {
      throw new KithError<ByteReaderErrorCode>('trailing-bytes', `${what}: ${this.remaining} bytes after its end`);
    }
  }
}
