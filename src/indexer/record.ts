// One height as it stands in the store, and the hash chain over all of them. Rows are public and in the clear; the
// chain makes the host unable to drop or alter one unseen, once the caller has sealed the checkpoint.

import { sha256 } from '#crypto';
import { concatBytes, u64be, utf8 } from '../core/bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.ts';
import { LABEL_CHAIN_ROWS } from '../core/labels.ts';
import { bytes, closed, list, shape, Type, text, uint } from '../core/schema.ts';
import {
  BLOCK_TRANSACTIONS_MAX,
  CHAIN_ID_CHARS_MAX,
  FLAG_BYTES,
  FLAGS_PER_TRANSACTION_MAX,
  RECORD_BYTES_MAX,
  TEXT_BYTES_MAX,
  TEXTS_PER_BLOCK_MAX,
} from './limits.ts';
import type { ChainBlock } from './ports.ts';

const INDEX = uint(BLOCK_TRANSACTIONS_MAX);

const RECORD = shape(
  closed({
    hash: Type.Optional(bytes(32)),
    time: Type.Optional(text(64)),
    rows: list(
      closed({
        index: INDEX,
        flags: Type.Union([list(bytes(FLAG_BYTES), FLAGS_PER_TRANSACTION_MAX, 1), Type.Null()]),
      }),
      BLOCK_TRANSACTIONS_MAX,
    ),
    texts: list(closed({ index: INDEX, text: text(TEXT_BYTES_MAX) }), TEXTS_PER_BLOCK_MAX),
  }),
);

const CHECKPOINT = shape(
  closed({ chainId: text(CHAIN_ID_CHARS_MAX, 1), start: uint(), cursor: uint(), digest: bytes(32) }),
);

/** All there is to know of a note store: seal it, and no row can be dropped or altered unseen. */
export interface Checkpoint {
  readonly chainId: string;
  /** First height indexed. */
  readonly start: number;
  /** Last height indexed; `start - 1` when there is none. Every height between is there. */
  readonly cursor: number;
  /** Head of the hash chain from `start` to `cursor`. */
  readonly digest: Uint8Array;
}

export function encodeRecord(block: ChainBlock): Uint8Array {
  const record: CborValue = {
    hash: block.hash,
    time: block.time,
    rows: block.transactions.map(({ blockIndex, flags }) => ({ index: blockIndex, flags: flags ?? null })),
    texts: block.texts.map(({ blockIndex, text: content }) => ({ index: blockIndex, text: content })),
  };
  return encodeCbor(record);
}

export function decodeRecord(height: number, encoded: Uint8Array): ChainBlock {
  const record = decodeCbor(encoded, RECORD, { bytesMax: RECORD_BYTES_MAX, where: `row ${height} of the chain` });
  return {
    height,
    hash: record.hash,
    time: record.time,
    transactions: record.rows.map(({ index, flags }) => ({ blockIndex: index, flags: flags ?? undefined })),
    texts: record.texts.map(({ index, text: content }) => ({ blockIndex: index, text: content })),
  };
}

/** The head of an empty chain of rows. */
export function firstDigest(chainId: string, start: number): Uint8Array {
  return sha256(concatBytes(utf8(LABEL_CHAIN_ROWS), u64be(start), utf8(chainId)));
}

export function nextDigest(previous: Uint8Array, height: number, record: Uint8Array): Uint8Array {
  return sha256(concatBytes(previous, u64be(height), record));
}

export function encodeCheckpoint({ chainId, start, cursor, digest }: Checkpoint): Uint8Array {
  return encodeCbor({ chainId, start, cursor, digest });
}

/** @throws KithError of `decodeCbor`. */
export function decodeCheckpoint(encoded: Uint8Array): Checkpoint {
  return decodeCbor(encoded, CHECKPOINT, { bytesMax: 256, where: 'checkpoint of the chain' });
}
