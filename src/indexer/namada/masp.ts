// The Borsh form of a MASP transaction: masp_primitives' version 5 format, laid out like ZIP 225 without lengths.
// Only its structure is read: where it ends and how many shielded outputs it has.

import { ByteReader } from '../../core/byte-reader.ts';
import { concatBytes } from '../../core/bytes.ts';
import { MASP_ITEMS_MAX } from '../limits.ts';
import { malformed, u32le } from './borsh.ts';

const VERSION = 2;
const VERSION_GROUP = 0x26a7270a;
const BRANCH = 0xe9ff75a6;

const TRANSPARENT_BYTES = 60;
const SPEND_BYTES = 96;
const CONVERT_BYTES = 32;
const OUTPUT_BYTES = 788;
const BALANCE_BYTES = 48;
const ANCHOR_BYTES = 32;
const PROOF_BYTES = 192;
const SIGNATURE_BYTES = 64;

export interface MaspTransaction {
  readonly bytes: Uint8Array;
  readonly outputs: number;
}

/** Reads one MASP transaction off the front of `reader`. */
export function readMaspTransaction(reader: ByteReader, all: Uint8Array): MaspTransaction {
  const start = reader.offset;
  const version = reader.u32('MASP version');
  const group = reader.u32('MASP version group');
  const branch = reader.u32('MASP branch');
  if (version !== VERSION || group !== VERSION_GROUP || branch !== BRANCH) {
    throw malformed(`MASP transaction: unknown version ${version}, group ${group}, branch ${branch}`);
  }
  reader.take(8, 'MASP lock time and expiry');
  takeVector(reader, TRANSPARENT_BYTES, 'transparent inputs');
  takeVector(reader, TRANSPARENT_BYTES, 'transparent outputs');
  const spends = takeVector(reader, SPEND_BYTES, 'spends');
  const converts = takeVector(reader, CONVERT_BYTES, 'converts');
  const outputs = takeVector(reader, OUTPUT_BYTES, 'outputs');
  const shielded = spends > 0 || outputs > 0;
  if (shielded) takeVector(reader, BALANCE_BYTES, 'value balance');
  if (spends > 0) reader.take(ANCHOR_BYTES, 'spend anchor');
  if (converts > 0) reader.take(ANCHOR_BYTES, 'convert anchor');
  reader.take(spends * (PROOF_BYTES + SIGNATURE_BYTES), 'spend proofs and signatures');
  reader.take((converts + outputs) * PROOF_BYTES, 'convert and output proofs');
  if (shielded) reader.take(SIGNATURE_BYTES, 'binding signature');
  return { bytes: all.subarray(start, reader.offset), outputs };
}

/** @throws KithError unless `bytes` are exactly one MASP transaction. */
export function decodeMaspTransaction(bytes: Uint8Array): MaspTransaction {
  const reader = new ByteReader(bytes);
  const transaction = readMaspTransaction(reader, bytes);
  reader.end('MASP transaction');
  return transaction;
}

/**
 * A well-formed MASP transaction with `outputs` shielded outputs and nothing else; its points, ciphertexts and proofs
 * are whatever `fill` gives. For simulated chains.
 */
export function encodeMaspTransaction(outputs: number, fill: (length: number) => Uint8Array): Uint8Array {
  const head = concatBytes(u32le(VERSION), u32le(VERSION_GROUP), u32le(BRANCH), u32le(0), u32le(0));
  const none = Uint8Array.of(0);
  if (outputs === 0) return concatBytes(head, none, none, none, none, none);
  return concatBytes(
    head,
    none,
    none,
    none,
    none,
    compactSize(outputs),
    fill(outputs * OUTPUT_BYTES),
    none,
    fill(outputs * PROOF_BYTES),
    fill(SIGNATURE_BYTES),
  );
}

function takeVector(reader: ByteReader, itemBytes: number, what: string): number {
  const count = readCompactSize(reader, what);
  if (count > MASP_ITEMS_MAX) throw malformed(`MASP ${what}: ${count}, at most ${MASP_ITEMS_MAX} are accepted`);
  reader.take(count * itemBytes, `MASP ${what}`);
  return count;
}

/** Bitcoin's variable-length number; the shortest form is demanded. */
function readCompactSize(reader: ByteReader, what: string): number {
  const first = reader.u8(what);
  if (first < 0xfd) return first;
  const [value, least] = first === 0xfd ? [reader.u16(what), 0xfd] : [reader.u32(what), 0x1_0000];
  if (first === 0xff || value < least) throw malformed(`MASP ${what}: not the shortest form of a count`);
  return value;
}

function compactSize(count: number): Uint8Array {
  return count < 0xfd ? Uint8Array.of(count) : Uint8Array.of(0xfd, count & 0xff, count >> 8);
}
