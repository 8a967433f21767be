// The form of a data key under recovery keys: its bytes, its name, and what commits to the shares and to the key.
// docs/RECOVERY.md has the table.

import { sha256 } from '#crypto';
import { concatBytes, equalBytes, utf8 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { isKithError } from '../core/errors.ts';
import { HPKE_ENC_BYTES } from '../core/hpke.ts';
import { type ClusterId, idBytes, type NodeId } from '../core/ids.ts';
import {
  LABEL_DATA_KEY_COMMITMENT,
  LABEL_RECOVERY_KEY_TAG,
  LABEL_RECOVERY_SHARE,
  LABEL_RECOVERY_SHARE_COMMITMENT,
  LABEL_RECOVERY_WRAP,
} from '../core/labels.ts';
import { bytes, closed, list, shape, Type, uint } from '../core/schema.ts';
import { Secret } from '../core/secret.ts';
import { keyserverError } from './errors.ts';
import { RECOVERY_KEYS_MAX, RECOVERY_WRAP_BYTES_MAX } from './limits.ts';
import { SEALING_KEY_BYTES, type Share } from './shares.ts';

/** Whose data key it is. The store id itself is told to key servers only; its hash is public. */
export interface RecoveryContext {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  /** SHA-256. */
  readonly storeIdHash: Uint8Array;
}

/** What anybody can read in a wrapped data key. */
export interface RecoveryShares {
  /** Shares that it takes. */
  readonly threshold: number;
  readonly shares: readonly { readonly index: number; readonly keyTag: Uint8Array }[];
}

/** A hint which share is whose; the share itself is bound to the whole key. */
const KEY_TAG_BYTES = 8;
const SEALED_BYTES = SEALING_KEY_BYTES + 16;
const COMMITMENT_BYTES = 32;
const ENTRY_BYTES = KEY_TAG_BYTES + HPKE_ENC_BYTES + SEALED_BYTES + COMMITMENT_BYTES;

const wrapShape = shape(
  closed({
    version: Type.Literal(1),
    threshold: uint(RECOVERY_KEYS_MAX, 1),
    keyCommitment: bytes(COMMITMENT_BYTES),
    shares: list(bytes(ENTRY_BYTES), RECOVERY_KEYS_MAX, 1),
  }),
);

export interface SealedShare {
  readonly index: number;
  readonly keyTag: Uint8Array;
  readonly enc: Uint8Array;
  readonly sealed: Uint8Array;
  readonly commitment: Uint8Array;
}

/** A wrapped data key, read. */
export interface RecoveryWrap {
  readonly threshold: number;
  readonly keyCommitment: Uint8Array;
  readonly shares: readonly SealedShare[];
}

/** By which a holder finds the share for its key. */
export const keyTagOf = (publicKey: Uint8Array): Uint8Array =>
  sha256(concatBytes(utf8(LABEL_RECOVERY_KEY_TAG), publicKey)).slice(0, KEY_TAG_BYTES);

const contextBytes = ({ clusterId, nodeId, storeIdHash }: RecoveryContext): Uint8Array =>
  concatBytes(idBytes(clusterId), idBytes(nodeId), storeIdHash);

/** SHA-256(label || cluster id || node id || hash of the store id || data key). */
export function commitToDataKey(context: RecoveryContext, dataKey: Secret): Uint8Array {
  using preimage = Secret.own(concatBytes(utf8(LABEL_DATA_KEY_COMMITMENT), contextBytes(context), dataKey.expose()));
  return sha256(preimage.expose());
}

/** SHA-256(label || cluster id || node id || hash of the store id || key commitment || k || index || share). */
export function commitToRecoveryShare(
  context: RecoveryContext,
  { threshold, keyCommitment }: Pick<RecoveryWrap, 'threshold' | 'keyCommitment'>,
  { index, value }: Share,
): Uint8Array {
  using preimage = Secret.own(
    concatBytes(
      utf8(LABEL_RECOVERY_SHARE_COMMITMENT),
      contextBytes(context),
      keyCommitment,
      Uint8Array.of(threshold, index),
      value.expose(),
    ),
  );
  return sha256(preimage.expose());
}

/** Names a wrapping by all of it but the sealed shares themselves, which are bound to this name. 32 bytes. */
export function wrapIdOf(
  { clusterId, nodeId, storeIdHash }: RecoveryContext,
  wrap: {
    readonly threshold: number;
    readonly keyCommitment: Uint8Array;
    readonly shares: readonly Pick<SealedShare, 'keyTag' | 'commitment'>[];
  },
): Uint8Array {
  const named = encodeCbor({
    clusterId: idBytes(clusterId),
    nodeId: idBytes(nodeId),
    storeIdHash,
    threshold: wrap.threshold,
    keyCommitment: wrap.keyCommitment,
    shares: wrap.shares.map(({ keyTag, commitment }) => concatBytes(keyTag, commitment)),
  });
  return sha256(concatBytes(utf8(LABEL_RECOVERY_WRAP), named));
}

/** HPKE info: whose share it is, for which key, in which wrapping. */
export const recoveryShareInfo = (
  wrapId: Uint8Array,
  { clusterId, nodeId, storeIdHash }: RecoveryContext,
  to: SealedFor,
): Uint8Array =>
  encodeCbor({
    label: LABEL_RECOVERY_SHARE,
    wrapId,
    clusterId: idBytes(clusterId),
    nodeId: idBytes(nodeId),
    storeIdHash,
    publicKey: to.publicKey,
    index: to.index,
  });

export interface SealedFor {
  readonly publicKey: Uint8Array;
  readonly index: number;
}

export function encodeRecoveryWrap({ threshold, keyCommitment, shares }: RecoveryWrap): Uint8Array {
  const entries = shares.map(({ keyTag, enc, sealed, commitment }) => concatBytes(keyTag, enc, sealed, commitment));
  return encodeCbor({ version: 1, threshold, keyCommitment, shares: entries });
}

/** @throws KithError `bad-recovery-wrap`. */
export function parseRecoveryWrap(wrapped: Uint8Array): RecoveryWrap {
  const bad = (why: string, cause?: unknown) =>
    keyserverError('bad-recovery-wrap', `the data key under the recovery keys is damaged: ${why}`, cause);
  let wrap: ReturnType<typeof wrapShape.parse>;
  try {
    wrap = decodeCbor(wrapped, wrapShape, { bytesMax: RECOVERY_WRAP_BYTES_MAX, where: 'recovery wrap' });
  } catch (cause) {
    if (!isKithError(cause)) throw cause;
    throw bad(cause.message, cause);
  }
  const { threshold, keyCommitment } = wrap;
  if (threshold > wrap.shares.length) throw bad(`${threshold} of ${wrap.shares.length} shares cannot be`);
  const shares = wrap.shares.map((entry, i): SealedShare => {
    let end = 0;
    const next = (length: number) => {
      end += length;
      return entry.subarray(end - length, end);
    };
    return {
      index: i + 1,
      keyTag: next(KEY_TAG_BYTES),
      enc: next(HPKE_ENC_BYTES),
      sealed: next(SEALED_BYTES),
      commitment: next(COMMITMENT_BYTES),
    };
  });
  return { threshold, keyCommitment, shares };
}

/** How many shares there are, whose, and how many it takes. @throws KithError `bad-recovery-wrap`. */
export function listRecoveryShares(wrapped: Uint8Array): RecoveryShares {
  const { threshold, shares } = parseRecoveryWrap(wrapped);
  return { threshold, shares: shares.map(({ index, keyTag }) => ({ index, keyTag })) };
}

/**
 * Whether the data key is wrapped to these keys with this threshold: if not, the configuration has changed since.
 * @throws KithError `bad-recovery-wrap`.
 */
export function wrappedFor(wrapped: Uint8Array, publicKeys: readonly Uint8Array[], threshold: number): boolean {
  const wrap = parseRecoveryWrap(wrapped);
  if (wrap.threshold !== threshold || wrap.shares.length !== publicKeys.length) return false;
  return wrap.shares.every(({ keyTag }, i) => equalBytes(keyTag, keyTagOf(publicKeys[i]!)));
}
