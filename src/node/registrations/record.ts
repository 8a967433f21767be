// A registration as it stands in the sealed store: the operations that still count, and its keys while they are held.
// Every record with keys has the same length but for the operations in it, so that the disk does not show n.

import { fromBase64Url, toBase64Url } from '../../core/bytes.ts';
import { idBytes, type OpId, opIdFromBytes } from '../../core/ids.ts';
import { DETECTION_KEY_BYTES_MAX, HEIGHT_MAX, OPERATION_BYTES_MAX } from '../../core/registration/limits.ts';
import type { RegistrationKeys } from '../../core/registration/payload.ts';
import { bytes, bytesUpTo, closed, type Static, shape, Type, uint } from '../../core/schema.ts';
import type { OperationSummary, WriterId } from '../../replication/index.ts';

const height = uint(HEIGHT_MAX);

/** Which entry of which log brought an operation here: whoever holds that log up to there has the operation too. */
export interface Origin {
  readonly writer: WriterId;
  readonly seq: number;
}

/** What merging needs stands beside the signed bytes, so that a start parses and hashes nothing. */
const storedOperation = closed({
  type: Type.Union([Type.Literal('register'), Type.Literal('renew'), Type.Literal('revoke')]),
  opId: bytes(32),
  version: height,
  expiryHeight: height,
  birthday: Type.Optional(height),
  /** The operation as its user signed it. */
  signed: bytesUpTo(OPERATION_BYTES_MAX, 1),
  /** Absent if it came by itself: fetched, from a snapshot or an audit. */
  origin: Type.Optional(closed({ writer: bytes(32), seq: uint(HEIGHT_MAX, 1) })),
});
export type StoredOperation = Static<typeof storedOperation>;

const storedKeys = closed({
  /** Names the registration in match records. */
  serial: uint(),
  dataKey: bytes(32),
  /** Canonical detection key, then zeros. */
  detectionKey: bytes(DETECTION_KEY_BYTES_MAX),
});
export type StoredKeys = Static<typeof storedKeys>;

const registrationSchema = closed({
  base: Type.Optional(storedOperation),
  renewal: Type.Optional(storedOperation),
  keys: Type.Optional(storedKeys),
});
export type StoredRegistration = Static<typeof registrationSchema>;
export const registrationShape = shape(registrationSchema);

export function storeOperation(summary: OperationSummary, signed: Uint8Array, origin?: Origin): StoredOperation {
  const { opId, birthday, ...rest } = summary;
  return {
    ...rest,
    opId: idBytes(opId),
    ...(birthday === undefined ? {} : { birthday }),
    signed,
    ...(origin ? { origin: { writer: fromBase64Url(origin.writer), seq: origin.seq } } : {}),
  };
}

export const originOf = ({ origin }: StoredOperation): Origin | undefined =>
  origin && { writer: toBase64Url(origin.writer) as WriterId, seq: origin.seq };

export function summaryOf({ type, opId, version, expiryHeight, birthday }: StoredOperation): OperationSummary {
  return { type, opId: opIdFromBytes(opId), version, expiryHeight, birthday };
}

export function storeKeys(serial: number, { dataKey, detectionKey }: RegistrationKeys): StoredKeys {
  const padded = new Uint8Array(DETECTION_KEY_BYTES_MAX);
  padded.set(detectionKey);
  return { serial, dataKey, detectionKey: padded };
}

/** The keys as they were registered; views into the record. */
export function keysOf({ dataKey, detectionKey }: StoredKeys): RegistrationKeys {
  return { dataKey, detectionKey: detectionKey.subarray(0, 1 + 33 * detectionKey[0]!) };
}

/** The operation of that id, if the record holds it. */
export function storedOperationOf(record: StoredRegistration | undefined, opId: OpId): StoredOperation | undefined {
  return [record?.base, record?.renewal].find((one) => one && opIdFromBytes(one.opId) === opId);
}
