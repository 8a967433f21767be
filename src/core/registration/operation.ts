// Operations: immutable words of a user about a registration. Each carries inner and public key, so that it verifies
// alone and in any order, and none carries the payload: inner commits to it, so that operations outlive wiped keys.

import { ed25519PublicKey, ed25519Sign, ed25519Verify, sha256 } from '#crypto';
import { concatBytes, utf8 } from '../bytes.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../cbor.ts';
import {
  type ClusterId,
  clusterIdFromBytes,
  idBytes,
  type OpId,
  opIdFromBytes,
  type RegId,
  regIdFromBytes,
} from '../ids.ts';
import { LABEL_OPERATION, LABEL_OPERATION_ID } from '../labels.ts';
import { bytes, closed, type Static, shape, Type, uint } from '../schema.ts';
import { HEIGHT_MAX, LIFETIME_BLOCKS, OPERATION_BYTES_MAX } from './limits.ts';
import { registrationId } from './payload.ts';
import { type Refusal, refuse } from './refusal.ts';

interface CommonFields {
  readonly clusterId: ClusterId;
  readonly regId: RegId;
  /** 32 bytes: see `innerHash`. */
  readonly inner: Uint8Array;
  /** The user's Ed25519 key, 32 bytes. */
  readonly authPublicKey: Uint8Array;
  /** Height of the chain at signing: of two operations on one registration the higher counts. */
  readonly version: number;
  /** Last height at which it has effect. Of a revoke: last height at which it must be remembered. */
  readonly expiryHeight: number;
}

export interface RegisterFields extends CommonFields {
  readonly type: 'register';
  /** First height the user wants transactions from. */
  readonly birthday: number;
}

/** Sets another expiry for what a register of lower rank opened; opens nothing itself. */
export interface RenewFields extends CommonFields {
  readonly type: 'renew';
}

/** Closes the registration for every register of the same or a lower version. */
export interface RevokeFields extends CommonFields {
  readonly type: 'revoke';
}

export type OperationFields = RegisterFields | RenewFields | RevokeFields;
export type OperationType = OperationFields['type'];
/** An operation with its signature, 64 bytes; not verified by being of this type. */
export type Operation = OperationFields & { readonly signature: Uint8Array };

const height = uint(HEIGHT_MAX);
const common = {
  clusterId: bytes(32),
  regId: bytes(32),
  inner: bytes(32),
  authPublicKey: bytes(32),
  version: height,
  expiryHeight: height,
  signature: bytes(64),
};

const registerWire = closed({ type: Type.Literal('register'), ...common, birthday: height });
const renewWire = closed({ type: Type.Literal('renew'), ...common });
const revokeWire = closed({ type: Type.Literal('revoke'), ...common });
const operationShape = shape(Type.Union([registerWire, renewWire, revokeWire]));
type OperationWire = Static<typeof registerWire> | Static<typeof renewWire> | Static<typeof revokeWire>;

function wireFields(fields: OperationFields): { [key: string]: CborValue } {
  const { type, clusterId, regId, inner, authPublicKey, version, expiryHeight } = fields;
  const wire = {
    type,
    clusterId: idBytes(clusterId),
    regId: idBytes(regId),
    inner,
    authPublicKey,
    version,
    expiryHeight,
  };
  return type === 'register' ? { ...wire, birthday: fields.birthday } : wire;
}

/** What is signed: "kith/operation/v1" || deterministic CBOR of all fields but the signature. */
const signedBytes = (fields: OperationFields): Uint8Array =>
  concatBytes(utf8(LABEL_OPERATION), encodeCbor(wireFields(fields)));

/**
 * Where an operation that was decoded has its bytes: it is encoded again for its id, for the disk and for every member it
 * goes to. Not enumerable, so that a copy with other fields does not have it.
 */
const ENCODED = Symbol('encoded');

/** Deterministic CBOR of the fields and the signature; not to be changed. */
export function encodeOperation(operation: Operation & { readonly [ENCODED]?: Uint8Array }): Uint8Array {
  return operation[ENCODED] ?? encodeCbor({ ...wireFields(operation), signature: operation.signature });
}

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. The signature is not verified. */
export function decodeOperation(encoded: Uint8Array, where = 'operation'): Operation {
  const wire: OperationWire = decodeCbor(encoded, operationShape, { bytesMax: OPERATION_BYTES_MAX, where });
  const operation = { ...wire, clusterId: clusterIdFromBytes(wire.clusterId), regId: regIdFromBytes(wire.regId) };
  // The one encoding there is, or it would have been refused.
  return Object.defineProperty(operation, ENCODED, { value: encoded.slice() });
}

/** SHA-256("kith/operation-id/v1" || encoded operation, signature included). */
export const operationId = (operation: Operation): OpId =>
  opIdFromBytes(sha256(concatBytes(utf8(LABEL_OPERATION_ID), encodeOperation(operation))));

/** What the maker of an operation decides; ids, keys and a revoke's expiry follow. */
export type OperationRequest = {
  readonly clusterId: ClusterId;
  readonly inner: Uint8Array;
  readonly version: number;
} & (
  | { readonly type: 'register'; readonly birthday: number; readonly expiryHeight: number }
  | { readonly type: 'renew'; readonly expiryHeight: number }
  | { readonly type: 'revoke' }
);

/** A signed operation. @param authSecret the user's Ed25519 secret, 32 bytes. */
export function signOperation(authSecret: Uint8Array, request: OperationRequest): Operation {
  const authPublicKey = ed25519PublicKey(authSecret);
  const { clusterId, inner, version } = request;
  const ids = { clusterId, regId: registrationId(inner, authPublicKey), inner, authPublicKey, version };
  const fields: OperationFields =
    request.type === 'revoke'
      ? { ...ids, type: 'revoke', expiryHeight: version + LIFETIME_BLOCKS }
      : request.type === 'renew'
        ? { ...ids, type: 'renew', expiryHeight: request.expiryHeight }
        : { ...ids, type: 'register', birthday: request.birthday, expiryHeight: request.expiryHeight };
  return { ...fields, signature: ed25519Sign(authSecret, signedBytes(fields)) };
}

/**
 * Why an operation is never valid in this cluster, or undefined. Depends on nothing that changes: an operation that
 * passes once passes for ever.
 */
export function checkOperation(operation: Operation, clusterId: ClusterId): Refusal | undefined {
  const { version, expiryHeight, inner, authPublicKey } = operation;
  if (operation.clusterId !== clusterId) return refuse('other-cluster', 'the operation is for another cluster');
  if (expiryHeight > version + LIFETIME_BLOCKS) {
    return refuse('expiry-too-far', `expiryHeight must be at most ${LIFETIME_BLOCKS} above version`);
  }
  if (operation.type === 'revoke' && expiryHeight !== version + LIFETIME_BLOCKS) {
    return refuse('revoke-expiry', `the expiryHeight of a revoke is version + ${LIFETIME_BLOCKS}`);
  }
  if (expiryHeight <= version) return refuse('expiry-in-past', 'expiryHeight must be above version');
  if (operation.type === 'register' && operation.birthday > version) {
    return refuse('birthday-beyond-tip', 'birthday must be at most version, the height at signing');
  }
  if (operation.regId !== registrationId(inner, authPublicKey)) {
    return refuse('wrong-registration-id', 'regId must be the hash of inner and authPublicKey');
  }
  if (!ed25519Verify(authPublicKey, signedBytes(operation), operation.signature)) {
    return refuse('wrong-signature', 'the signature is not by authPublicKey over these fields');
  }
  return undefined;
}
