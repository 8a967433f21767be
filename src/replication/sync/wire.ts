// How bodies, entries and positions stand in messages: docs/REPLICATION.md, Sync. Decoding checks shapes; signatures
// and hashes are the replica's to check.

import { fromBase64Url, toBase64Url } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { KithError } from '../../core/errors.ts';
import { idBytes, nodeIdFromBytes, opIdFromBytes, regIdFromBytes } from '../../core/ids.ts';
import { DETECTION_KEY_BYTES_MAX, HEIGHT_MAX, OPERATION_BYTES_MAX } from '../../core/registration/limits.ts';
import { decodeOperation, encodeOperation } from '../../core/registration/operation.ts';
import { bytes, bytesUpTo, closed, list, type Static, shape, Type, uint } from '../../core/schema.ts';
import {
  decodeLogEntry,
  ENTRY_BYTES_MAX,
  ENTRY_OPERATIONS_MAX,
  encodeLogEntry,
  type LogEntry,
  type OperationRef,
  type Writer,
  type WriterId,
} from '../log-entry.ts';
import type { EntryWithBodies, LogPosition, OperationBody } from '../replica.ts';
import { ENTRY_WITH_BODIES_BYTES_MAX } from './limits.ts';

export const bodySchema = closed({
  operation: bytesUpTo(OPERATION_BYTES_MAX, 1),
  keys: Type.Optional(closed({ dataKey: bytes(32), detectionKey: bytesUpTo(DETECTION_KEY_BYTES_MAX, 1) })),
});
type WireBody = Static<typeof bodySchema>;

const entrySchema = closed({
  entry: bytesUpTo(ENTRY_BYTES_MAX, 1),
  /** null: nobody needs it any more. */
  bodies: list(Type.Union([Type.Null(), bodySchema]), ENTRY_OPERATIONS_MAX, 1),
});
const entryShape = shape(entrySchema);

export const positionSchema = closed({
  nodeId: bytes(32),
  incarnation: uint(HEIGHT_MAX, 1),
  bootKey: bytes(32),
  seq: uint(HEIGHT_MAX),
  hash: bytes(32),
  first: uint(HEIGHT_MAX + 1),
  expiryHeight: uint(HEIGHT_MAX),
});
type WirePosition = Static<typeof positionSchema>;

export const refSchema = closed({ opId: bytes(32), regId: bytes(32) });
type WireRef = Static<typeof refSchema>;

/** Number, hash and boot of a batch of a member's store: how far its journal went. */
export const headSchema = closed({ incarnation: uint(HEIGHT_MAX), sequence: uint(HEIGHT_MAX), hash: bytes(32) });
export type SyncHead = Static<typeof headSchema>;

export const bodyToWire = ({ operation, keys }: OperationBody): WireBody => ({
  operation: encodeOperation(operation),
  ...(keys ? { keys: { dataKey: keys.dataKey, detectionKey: keys.detectionKey } } : {}),
});

/** @throws KithError of `decodeOperation`. */
export const bodyFromWire = ({ operation, keys }: WireBody): OperationBody => ({
  operation: decodeOperation(operation),
  keys,
});

/** Upper bound of a body's bytes in a message. */
export const wireBodyBytes = ({ operation, keys }: WireBody): number =>
  24 + operation.length + (keys ? 72 + keys.detectionKey.length : 0);

export const encodeEntry = ({ entry, bodies }: EntryWithBodies): Uint8Array =>
  encodeCbor({ entry: encodeLogEntry(entry), bodies: bodies.map((body) => (body ? bodyToWire(body) : null)) });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. Verifies nothing. */
export function decodeEntry(encoded: Uint8Array, where = 'entry'): EntryWithBodies {
  const wire = decodeCbor(encoded, entryShape, { bytesMax: ENTRY_WITH_BODIES_BYTES_MAX, where });
  const entry = decodeLogEntry(wire.entry);
  if (wire.bodies.length !== entry.operations.length) {
    throw new KithError('bad-shape', `${where}: ${wire.bodies.length} bodies of ${entry.operations.length} operations`);
  }
  return { entry, bodies: wire.bodies.map((body) => (body ? bodyFromWire(body) : undefined)) };
}

export const positionToWire = ({ writer, seq, hash, first, expiryHeight }: LogPosition): WirePosition => ({
  nodeId: idBytes(writer.nodeId),
  incarnation: writer.incarnation,
  bootKey: writer.bootKey,
  seq,
  hash,
  first,
  expiryHeight,
});

export const positionFromWire = ({ nodeId, incarnation, bootKey, ...rest }: WirePosition): LogPosition => ({
  writer: { nodeId: nodeIdFromBytes(nodeId), incarnation, bootKey },
  ...rest,
});

export const refToWire = ({ opId, regId }: OperationRef): WireRef => ({ opId: idBytes(opId), regId: idBytes(regId) });

export const refFromWire = ({ opId, regId }: WireRef): OperationRef => ({
  opId: opIdFromBytes(opId),
  regId: regIdFromBytes(regId),
});

export const writerOf = ({ nodeId, incarnation, bootKey }: LogEntry): Writer => ({
  nodeId: nodeIdFromBytes(nodeId),
  incarnation,
  bootKey,
});

export const writerBytes = (writer: WriterId): Uint8Array => fromBase64Url(writer);
export const writerIdFromBytes = (wire: Uint8Array): WriterId => toBase64Url(wire) as WriterId;

/** The operations an entry names. */
export const refsOf = ({ operations }: LogEntry): OperationRef[] => operations.map(refFromWire);
