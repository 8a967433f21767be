// The log of one boot of one member (its writer): which operations it took from users, in order. An entry is a batch;
// it names operations by id, their bodies travel beside it. Formats: docs/REPLICATION.md.

import { ed25519Sign, ed25519Verify, sha256 } from '#crypto';
import { concatBytes, toBase64Url, utf8 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import type { Ed25519Signer } from '../core/crypto/door.ts';
import { type ClusterId, idBytes, type NodeId, type OpId, type RegId } from '../core/ids.ts';
import { LABEL_LOG_ENTRY, LABEL_LOG_ENTRY_HASH, LABEL_LOG_WRITER } from '../core/labels.ts';
import { HEIGHT_MAX } from '../core/registration/limits.ts';
import { bytes, closed, list, type Static, shape, uint } from '../core/schema.ts';

/** With their bodies (1.1 KiB each, with keys) they fit into one message of 256 KiB. */
export const ENTRY_OPERATIONS_MAX = 128;
/** 128 operations of 110 bytes, and the rest. */
export const ENTRY_BYTES_MAX = 16_384;

declare const brand: unique symbol;
/** Names the log of one boot of one member: 32 bytes as base64url. */
export type WriterId = string & { readonly [brand]: 'writer' };

/** Who writes a log. */
export interface Writer {
  readonly nodeId: NodeId;
  readonly incarnation: number;
  /** 32 bytes. Two boots that claim one incarnation have different logs. */
  readonly bootKey: Uint8Array;
}

/** SHA-256("kith/log-writer/v1" || CBOR{nodeId, incarnation, bootKey}). */
export const writerIdOf = ({ nodeId, incarnation, bootKey }: Writer): WriterId => {
  const fields = encodeCbor({ nodeId: idBytes(nodeId), incarnation, bootKey });
  return toBase64Url(sha256(concatBytes(utf8(LABEL_LOG_WRITER), fields))) as WriterId;
};

/** How an entry names an operation. */
export interface OperationRef {
  readonly opId: OpId;
  readonly regId: RegId;
}

const entryFields = {
  nodeId: bytes(32),
  incarnation: uint(HEIGHT_MAX, 1),
  bootKey: bytes(32),
  /** From 1, without gaps. */
  seq: uint(HEIGHT_MAX, 1),
  /** Hash of the entry before, 32 zeros for the first. */
  previous: bytes(32),
  /** Highest expiryHeight of its operations: until then somebody may need it. */
  expiryHeight: uint(HEIGHT_MAX),
  operations: list(closed({ opId: bytes(32), regId: bytes(32) }), ENTRY_OPERATIONS_MAX, 1),
};
const entrySchema = closed({ ...entryFields, signature: bytes(64) });
/** Its signature is not verified by being of this type. */
export type LogEntry = Static<typeof entrySchema>;
const entryShape = shape(entrySchema);

export const NO_ENTRY_HASH: Uint8Array = new Uint8Array(32);

/** Deterministic CBOR; at most ENTRY_BYTES_MAX bytes. */
export const encodeLogEntry = (entry: LogEntry): Uint8Array => encodeCbor({ ...entry });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. Verifies nothing. */
export const decodeLogEntry = (encoded: Uint8Array, where = 'log entry'): LogEntry =>
  decodeCbor(encoded, entryShape, { bytesMax: ENTRY_BYTES_MAX, where });

/** SHA-256("kith/log-entry-hash/v1" || encoded entry, signature included). */
export const logEntryHashOf = (encoded: Uint8Array): Uint8Array =>
  sha256(concatBytes(utf8(LABEL_LOG_ENTRY_HASH), encoded));

/** As `logEntryHashOf`, of an entry that is not encoded yet. */
export const logEntryHash = (entry: LogEntry): Uint8Array => logEntryHashOf(encodeLogEntry(entry));

function signedBytes(clusterId: ClusterId, { signature: _, ...fields }: LogEntry): Uint8Array {
  return concatBytes(utf8(LABEL_LOG_ENTRY), encodeCbor({ clusterId: idBytes(clusterId), ...fields }));
}

/** @param nodeSecret Ed25519 secret of the writer's node, 32 bytes, or what signs with it. */
export function signLogEntry(
  nodeSecret: Uint8Array | Ed25519Signer,
  clusterId: ClusterId,
  fields: Omit<LogEntry, 'signature'>,
): LogEntry {
  const message = signedBytes(clusterId, { ...fields, signature: new Uint8Array(64) });
  const signature = typeof nodeSecret === 'function' ? nodeSecret(message) : ed25519Sign(nodeSecret, message);
  return { ...fields, signature };
}

/** Whether the writer's node signed this entry for this cluster. */
export const checkLogEntry = (entry: LogEntry, clusterId: ClusterId): boolean =>
  ed25519Verify(entry.nodeId, signedBytes(clusterId, entry), entry.signature);
