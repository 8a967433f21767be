// What is registered, and the names that follow from it. A payload is a secret: it travels sealed and is never logged.

import { sha256 } from '#crypto';
import { concatBytes, utf8 } from '../bytes.ts';
import { type RegId, regIdFromBytes } from '../ids.ts';
import { LABEL_INNER, LABEL_REGISTRATION_ID } from '../labels.ts';
import { bytes, bytesUpTo, closed, type Static, Type, uint } from '../schema.ts';
import { DETECTION_KEY_BYTES_MAX, SUBKEYS_MAX } from './limits.ts';
import { type Refusal, refuse } from './refusal.ts';

/** Schema of a payload; n has its range checked apart, because that refusal has a name of its own. */
export const payloadSchema = Type.Union([
  closed({ kind: Type.Literal('seed'), seed: bytes(32), n: uint(255) }),
  closed({
    kind: Type.Literal('keys'),
    dataKey: bytes(32),
    /** Canonical bytes (docs/FMD.md, Keys). */
    detectionKey: bytesUpTo(DETECTION_KEY_BYTES_MAX, 1),
  }),
]);

/** By seed: node and wallet derive the keys. By keys: the wallet derives, the seed never leaves it. */
export type Payload = Static<typeof payloadSchema>;

/** What a payload stands for, however it was given: the form that nodes keep. */
export interface RegistrationKeys {
  /** Encrypts the user's index set; 32 bytes. */
  readonly dataKey: Uint8Array;
  /** Canonical bytes of the detection key: 1 + 33 n. */
  readonly detectionKey: Uint8Array;
}

/**
 * The keys a payload stands for, or undefined if they are no canonical detection key. Implemented by src/fmd; core and
 * replication know detection keys as bytes only.
 */
export type DeriveKeys = (payload: Payload) => RegistrationKeys | undefined;

/** The refusal of a payload whose n is out of range, or undefined. */
export function checkPayload(payload: Payload): Refusal | undefined {
  const n = payload.kind === 'seed' ? payload.n : payload.detectionKey[0]!;
  if (n >= 1 && n <= SUBKEYS_MAX) return undefined;
  return refuse('n-out-of-range', `n must be from 1 to ${SUBKEYS_MAX}`);
}

/** SHA-256("kith/inner/v1" || dataKey || detection key): commits to the keys, tells nothing about them. */
export const innerHash = (keys: RegistrationKeys): Uint8Array =>
  sha256(concatBytes(utf8(LABEL_INNER), keys.dataKey, keys.detectionKey));

/** SHA-256("kith/registration-id/v1" || inner || authPublicKey). */
export const registrationId = (inner: Uint8Array, authPublicKey: Uint8Array): RegId =>
  regIdFromBytes(sha256(concatBytes(utf8(LABEL_REGISTRATION_ID), inner, authPublicKey)));
