// Flags as Namada's proposal lays them out (namada-net/namada#4640): 111 opaque bytes each, in a list with a count.
// Here only the frame is checked; whether its points and scalar are canonical is for the detector's decoder to say.

import { ByteReader } from '../../core/byte-reader.ts';
import { concatBytes } from '../../core/bytes.ts';
import { FLAG_BYTES, FLAGS_PER_TRANSACTION_MAX } from '../limits.ts';
import { malformed, readCount, u32le } from './borsh.ts';

/** Offset of the count of bytes that hold the bits: after a length that readers ignore, two points and a scalar. */
const BITS_LENGTH_AT = 4 + 3 * 32;

/** 20 bits in 3 bytes, least significant first: the upper half of the last byte is padding. */
const BITS_BYTES = 3;
const PADDING_MASK = 0xf0;

/** Whether 111 bytes have the frame of a flag: the right count of bits and no bit set in the padding. */
export function isFlagFrame(flag: Uint8Array): boolean {
  if (flag.length !== FLAG_BYTES) return false;
  for (let i = 0; i < 8; i++) {
    if (flag[BITS_LENGTH_AT + i] !== (i === 0 ? BITS_BYTES : 0)) return false;
  }
  return (flag[FLAG_BYTES - 1]! & PADDING_MASK) === 0;
}

/**
 * The flags of a section's bytes: u32 count | count flags. They are copies.
 * @throws KithError `bad-transaction`, `truncated` or `trailing-bytes`. No flag at all is an error as well: it would
 * hide a transaction that has outputs.
 */
export function decodeFlags(bytes: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bytes);
  const flags = readFlags(reader);
  reader.end('list of flags');
  return flags;
}

export function readFlags(reader: ByteReader): Uint8Array[] {
  const count = readCount(reader, FLAG_BYTES, FLAGS_PER_TRANSACTION_MAX, 'flags');
  if (count === 0) throw malformed('a list of no flags');
  const flags: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const flag = reader.take(FLAG_BYTES, 'flag').slice();
    if (!isFlagFrame(flag)) throw malformed(`flag ${i}: expected 3 bytes of bits with the last four bits zero`);
    flags.push(flag);
  }
  return flags;
}

export function encodeFlags(flags: readonly Uint8Array[]): Uint8Array {
  return concatBytes(u32le(flags.length), ...flags);
}
