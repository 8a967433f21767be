// Borsh pieces over the bounded reader, and their writers. https://borsh.io

import type { ByteReader } from '../../core/byte-reader.ts';
import { bigintToLe, concatBytes, fromUtf8, utf8 } from '../../core/bytes.ts';
import { KithError } from '../../core/errors.ts';

export function malformed(message: string): KithError<'bad-transaction'> {
  return new KithError('bad-transaction', message);
}

/** u32 length and as many bytes; a view into the input. */
export function readBytes(reader: ByteReader, what: string): Uint8Array {
  return reader.take(reader.u32(what), what);
}

/** @throws KithError `bad-text` when it is not UTF-8, as Borsh demands. */
export function readString(reader: ByteReader, what: string): string {
  return fromUtf8(readBytes(reader, what));
}

export function readBool(reader: ByteReader, what: string): boolean {
  const byte = reader.u8(what);
  if (byte > 1) throw malformed(`${what}: expected 0 or 1, got ${byte}`);
  return byte === 1;
}

export function readOption<T>(reader: ByteReader, what: string, read: (reader: ByteReader) => T): T | undefined {
  return readBool(reader, what) ? read(reader) : undefined;
}

/** A count whose items need at least `itemBytes` each, so that no hostile count makes us allocate. */
export function readCount(reader: ByteReader, itemBytes: number, max: number, what: string): number {
  const count = reader.u32(what);
  if (count > max || count * itemBytes > reader.remaining) {
    throw malformed(`${what}: ${count} items do not fit the ${reader.remaining} bytes left (at most ${max})`);
  }
  return count;
}

export const u32le = (value: number): Uint8Array => bigintToLe(BigInt(value), 4);
export const u64le = (value: number): Uint8Array => bigintToLe(BigInt(value), 8);

export function writeBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(u32le(bytes.length), bytes);
}

export function writeString(text: string): Uint8Array {
  return writeBytes(utf8(text));
}

export function writeOption(value: Uint8Array | undefined): Uint8Array {
  return value === undefined ? Uint8Array.of(0) : concatBytes(Uint8Array.of(1), value);
}
