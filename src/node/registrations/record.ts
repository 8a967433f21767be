// A registration as it stands in the sealed store: the operations that still count, and its keys while they are held.
// Every record with keys has the same length but for the operations in it, so that the disk does not show n.

import { idBytes, type OpId, opIdFromBytes } from '../../core/ids.ts';
import { DETECTION_KEY_BYTES_MAX, HEIGHT_MAX, OPERATION_BYTES_MAX } from '../../core/registration/limits.ts';
import type { RegistrationKeys } from '../../core/registration/payload.ts';
import { bytes, bytesUpTo, closed, type Static, shape, Type, uint } from '../../core/schema.ts';
import type { Change, OperationSummary } from '../../replication/index.ts';

const height = uint(HEIGHT_MAX);

/** What merging needs stands beside the signed bytes, so that a start parses and hashes nothing. */
const storedOperation = closed({
  type: Type.Union([Type.Literal('register'), Type.Literal('renew'), Type.Literal('revoke')]),
  opId: bytes(32),
  version: height,
  expiryHeight: height,
  birthday: Type.Optional(height),
  /** The operation as its user signed it. */
  signed: bytesUpTo(OPERATION_BYTES_MAX, 1),
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

export function storeOperation({ opId, ...summary }: OperationSummary, signed: Uint8Array): StoredOperation {
  const { birthday, ...rest } = summary;
  return { ...rest, opId: idBytes(opId), ...(birthday === undefined ? {} : { birthday }), signed };
}

export function summaryOf({ type, opId, version, expiryHeight, birthday }: StoredOperation): OperationSummary {
  return { type, opId: opIdFromBytes(opId), version, expiryHeight, birthday };
}

function storeKeys(serial: number, { dataKey, detectionKey }: RegistrationKeys): StoredKeys {
  const padded = new Uint8Array(DETECTION_KEY_BYTES_MAX);
  padded.set(detectionKey);
  return { serial, dataKey, detectionKey: padded };
}

/** The keys as they were registered; views into the record. */
export function keysOf({ dataKey, detectionKey }: StoredKeys): RegistrationKeys {
  return { dataKey, detectionKey: detectionKey.subarray(0, 1 + 33 * detectionKey[0]!) };
}

/** The signed bytes of an operation that a record holds. */
function signedOf(record: StoredRegistration | undefined, opId: OpId): StoredOperation | undefined {
  const wanted = [record?.base, record?.renewal].find((one) => one && opIdFromBytes(one.opId) === opId);
  return wanted;
}

/**
 * The record after a change, undefined if nothing is left; operations that stay are taken from the record before it.
 * @param made.held keys under a new serial number, in the place of those in the record.
 */
export function nextRecord(
  before: StoredRegistration | undefined,
  { after, keysAfter }: Pick<Change, 'after' | 'keysAfter'>,
  made: {
    readonly added: readonly StoredOperation[];
    readonly held?: { readonly serial: number; readonly keys: RegistrationKeys } | undefined;
  },
): StoredRegistration | undefined {
  const stored = (summary: OperationSummary | undefined): StoredOperation | undefined =>
    summary && (made.added.find((own) => opIdFromBytes(own.opId) === summary.opId) ?? signedOf(before, summary.opId));
  const [base, renewal] = [stored(after.base), stored(after.renewal)];
  if (!base && !renewal) return undefined;
  const keys = made.held ? storeKeys(made.held.serial, made.held.keys) : before?.keys;
  return {
    ...(base ? { base } : {}),
    ...(renewal ? { renewal } : {}),
    ...(keysAfter && keys ? { keys } : {}),
  };
}
