// A bounded reader of Namada transactions: protobuf around Borsh. It reads what finding flags needs and steps over
// the rest; byte strings are views into the input, and every count is checked against the bytes left first.
// Layout: crates/tx of anoma/namada (Header, Section), the notes of docs/CHAIN.md.

import { sha256 } from '#crypto';
import { ByteReader, type ByteReaderErrorCode } from '../../core/byte-reader.ts';
import { concatBytes } from '../../core/bytes.ts';
import { KithError } from '../../core/errors.ts';
import { SECTIONS_MAX, TRANSACTION_BYTES_MAX } from '../limits.ts';
import {
  malformed,
  readBool,
  readBytes,
  readCount,
  readOption,
  readString,
  writeBytes,
  writeOption,
  writeString,
} from './borsh.ts';
import { type MaspTransaction, readMaspTransaction } from './masp.ts';
import { unwrapEnvelope } from './protobuf.ts';

export type NamadaErrorCode =
  | ByteReaderErrorCode
  | 'bad-transaction'
  | 'bad-text'
  /** A wallet's private section, never valid on the chain and without a length: nothing after it can be read. */
  | 'masp-builder';

export interface Commitment {
  readonly code: Uint8Array;
  readonly data: Uint8Array;
  readonly memo: Uint8Array;
}

/** The bytes themselves, or their SHA-256. */
export type CodeBody =
  | { readonly kind: 'hash'; readonly hash: Uint8Array }
  | { readonly kind: 'id'; readonly bytes: Uint8Array };

export interface CodeSection {
  readonly kind: 'extra-data' | 'code';
  readonly salt: Uint8Array;
  readonly body: CodeBody;
  readonly tag: string | undefined;
}

export interface DataSection {
  readonly kind: 'data';
  readonly salt: Uint8Array;
  readonly data: Uint8Array;
}

export type Section =
  | CodeSection
  | DataSection
  | { readonly kind: 'authorization' }
  | ({ readonly kind: 'masp' } & MaspTransaction)
  | { readonly kind: 'header' };

export interface NamadaTransaction {
  readonly chainId: string;
  readonly commitments: readonly Commitment[];
  readonly type: 'raw' | 'wrapper' | 'protocol';
  readonly sections: readonly Section[];
}

/** Borsh tags of the sections, which are the first byte of their hashes too. */
export const SECTION_TAG = {
  data: 0,
  'extra-data': 1,
  code: 2,
  authorization: 3,
  masp: 4,
  builder: 5,
  header: 6,
} as const;

const HASH_BYTES = 32;
const SALT_BYTES = 8;
const ADDRESS_BYTES = 21;

/**
 * Decodes the bytes of a transaction as they stand in a block, to the last byte.
 * @throws KithError with a `NamadaErrorCode`.
 */
export function decodeNamadaTransaction(envelope: Uint8Array): NamadaTransaction {
  if (envelope.length > TRANSACTION_BYTES_MAX) {
    throw malformed(`${envelope.length} bytes, at most ${TRANSACTION_BYTES_MAX} are accepted`);
  }
  const bytes = unwrapEnvelope(envelope);
  const reader = new ByteReader(bytes);
  const header = readHeader(reader);
  const count = readCount(reader, 1, SECTIONS_MAX, 'sections');
  const sections: Section[] = [];
  for (let i = 0; i < count; i++) sections.push(readSection(reader, bytes));
  reader.end('transaction');
  return { ...header, sections };
}

type Header = Omit<NamadaTransaction, 'sections'>;

function readHeader(reader: ByteReader): Header {
  const chainId = readString(reader, 'chain id');
  readOption(reader, 'expiration', (inner) => readString(inner, 'expiration'));
  readString(reader, 'timestamp');
  const batch = readCount(reader, 3 * HASH_BYTES, SECTIONS_MAX, 'batch');
  const commitments: Commitment[] = [];
  for (let i = 0; i < batch; i++) {
    commitments.push({
      code: reader.take(HASH_BYTES, 'code hash'),
      data: reader.take(HASH_BYTES, 'data hash'),
      memo: reader.take(HASH_BYTES, 'memo hash'),
    });
  }
  readBool(reader, 'atomic');
  return { chainId, commitments, type: readType(reader) };
}

function readType(reader: ByteReader): Header['type'] {
  const tag = reader.u8('transaction type');
  switch (tag) {
    case 0:
      return 'raw';
    case 1:
      reader.take(HASH_BYTES + 1 + ADDRESS_BYTES, 'fee');
      readPublicKey(reader);
      reader.take(8, 'gas limit');
      return 'wrapper';
    case 2:
      readPublicKey(reader);
      reader.u8('protocol transaction');
      return 'protocol';
    default:
      throw malformed(`unknown transaction type ${tag}`);
  }
}

/** Ed25519 or secp256k1. */
function readPublicKey(reader: ByteReader): void {
  reader.take(readBool(reader, 'public key kind') ? 33 : 32, 'public key');
}

function readSection(reader: ByteReader, all: Uint8Array): Section {
  const tag = reader.u8('section');
  switch (tag) {
    case SECTION_TAG.data:
      return { kind: 'data', salt: reader.take(SALT_BYTES, 'salt'), data: readBytes(reader, 'data') };
    case SECTION_TAG['extra-data']:
      return readCode(reader, 'extra-data');
    case SECTION_TAG.code:
      return readCode(reader, 'code');
    case SECTION_TAG.authorization:
      skipAuthorization(reader);
      return { kind: 'authorization' };
    case SECTION_TAG.masp:
      return { kind: 'masp', ...readMaspTransaction(reader, all) };
    case SECTION_TAG.builder:
      throw new KithError<NamadaErrorCode>('masp-builder', `a MaspBuilder section at offset ${reader.offset - 1}`);
    case SECTION_TAG.header:
      readHeader(reader);
      return { kind: 'header' };
    default:
      throw malformed(`unknown section ${tag} at offset ${reader.offset - 1}`);
  }
}

function readCode(reader: ByteReader, kind: CodeSection['kind']): CodeSection {
  const salt = reader.take(SALT_BYTES, 'salt');
  const body: CodeBody = readBool(reader, 'commitment')
    ? { kind: 'id', bytes: readBytes(reader, 'code') }
    : { kind: 'hash', hash: reader.take(HASH_BYTES, 'code hash') };
  const tag = readOption(reader, 'tag', (inner) => readString(inner, 'tag'));
  return { kind, salt, body, tag };
}

function skipAuthorization(reader: ByteReader): void {
  const targets = readCount(reader, HASH_BYTES, SECTIONS_MAX, 'signed hashes');
  reader.take(targets * HASH_BYTES, 'signed hashes');
  if (readBool(reader, 'signer')) {
    const keys = readCount(reader, 33, SECTIONS_MAX, 'signer keys');
    for (let i = 0; i < keys; i++) readPublicKey(reader);
  } else {
    reader.take(ADDRESS_BYTES, 'signer address');
  }
  const signatures = readCount(reader, 66, SECTIONS_MAX, 'signatures');
  for (let i = 0; i < signatures; i++) {
    reader.u8('signature index');
    reader.take(readBool(reader, 'signature kind') ? 65 : 64, 'signature');
  }
}

/** The hash by which events and commitments name a data or code section. */
export function sectionHash(section: CodeSection | DataSection): Uint8Array {
  const tag = Uint8Array.of(SECTION_TAG[section.kind]);
  if (section.kind === 'data') return sha256(concatBytes(tag, section.salt, writeBytes(section.data)));
  const code = section.body.kind === 'hash' ? section.body.hash : sha256(section.body.bytes);
  const label = section.tag === undefined ? undefined : writeString(section.tag);
  return sha256(concatBytes(tag, section.salt, code, writeOption(label)));
}
