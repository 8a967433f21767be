// The little protobuf the chain side needs: varints and length-delimited fields, bounded by the input.
// https://protobuf.dev/programming-guides/encoding/

import { ByteReader } from '../../core/byte-reader.ts';
import { concatBytes } from '../../core/bytes.ts';
import { malformed } from './borsh.ts';

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/** Numbers of this use fit 35 bits; five bytes of seven. */
const VARINT_BYTES_MAX = 5;

/** A message of ours has few fields; a hostile one gets no further. */
const FIELDS_MAX = 64;

export interface BytesField {
  readonly number: number;
  readonly bytes: Uint8Array;
}

function readVarint(reader: ByteReader): number {
  let value = 0;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = reader.u8('varint');
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw malformed('a varint of more than five bytes');
}

/** The length-delimited fields of a message in order; other kinds are stepped over. */
export function readFields(message: Uint8Array): BytesField[] {
  const reader = new ByteReader(message);
  const fields: BytesField[] = [];
  for (let seen = 0; reader.remaining > 0; seen++) {
    if (seen === FIELDS_MAX) throw malformed(`a message of more than ${FIELDS_MAX} fields`);
    const key = readVarint(reader);
    const number = Math.floor(key / 8);
    const wire = key % 8;
    if (wire === WIRE_BYTES) fields.push({ number, bytes: reader.take(readVarint(reader), 'field') });
    else if (wire === WIRE_FIXED64) reader.take(8, 'field');
    else if (wire === WIRE_FIXED32) reader.take(4, 'field');
    else if (wire === WIRE_VARINT) skipVarint(reader);
    else throw malformed(`unknown wire type ${wire}`);
  }
  return fields;
}

/** Values nobody here reads may use all 64 bits. */
function skipVarint(reader: ByteReader): void {
  for (let i = 0; i < 10; i++) {
    if (reader.u8('varint') < 0x80) return;
  }
  throw malformed('a varint of more than ten bytes');
}

/** The first field of this number. */
export function fieldOf(fields: readonly BytesField[], number: number): Uint8Array | undefined {
  return fields.find((field) => field.number === number)?.bytes;
}

/** `message Tx { bytes data = 1; }`, nothing else in it. A view into the input. */
export function unwrapEnvelope(envelope: Uint8Array): Uint8Array {
  const reader = new ByteReader(envelope);
  if (reader.u8('envelope') !== 8 + WIRE_BYTES) throw malformed('expected a protobuf message with one field of bytes');
  const bytes = reader.take(readVarint(reader), 'transaction');
  reader.end('envelope');
  return bytes;
}

export function writeField(number: number, bytes: Uint8Array): Uint8Array {
  return concatBytes(writeVarint(number * 8 + WIRE_BYTES), writeVarint(bytes.length), bytes);
}

function writeVarint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    out.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Uint8Array.from([...out, rest]);
}
