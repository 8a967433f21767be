// A store's data key, shared among the recovery keys of the cluster for the day no member runs any more: k of m holders
// give it back. Everything public of one wrapping has a name that each sealed share is bound to, and every share and the
// key are committed to, so that shares of another store, another wrapping or another place are refused by name.
// The bytes stand in docs/RECOVERY.md.

import { sha256, x25519PublicKey } from '#crypto';
import { concatBytes, equalBytes, utf8 } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { isKithError } from '../core/errors.ts';
import { HPKE_ENC_BYTES, HPKE_KEY_BYTES, hpkeSetupRecipient, hpkeSetupSender } from '../core/hpke.ts';
import { type ClusterId, idBytes, type NodeId } from '../core/ids.ts';
import {
  LABEL_DATA_KEY_COMMITMENT,
  LABEL_RECOVERY_KEY_TAG,
  LABEL_RECOVERY_SHARE,
  LABEL_RECOVERY_SHARE_COMMITMENT,
  LABEL_RECOVERY_WRAP,
} from '../core/labels.ts';
import type { Random } from '../core/ports.ts';
import { bytes, closed, list, shape, Type, uint } from '../core/schema.ts';
import { Secret } from '../core/secret.ts';
import { storeIdHashOf } from './deal.ts';
import { keyserverError } from './errors.ts';
import { RECOVERY_KEYS_MAX, RECOVERY_SHARE_BYTES_MAX, RECOVERY_WRAP_BYTES_MAX } from './limits.ts';
import { SEALING_KEY_BYTES, type Share, splitKey } from './shares.ts';

/** Whose data key it is. The store id itself is told to key servers only; its hash is public. */
export interface RecoveryContext {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  /** SHA-256. */
  readonly storeIdHash: Uint8Array;
}

/** One holder's share, opened. Whoever has it wipes it. */
export interface RecoveryShare {
  /** Of which wrapping, of which store. */
  readonly wrapId: Uint8Array;
  readonly storeIdHash: Uint8Array;
  /** Number of the share, and of the recovery key it was for, from 1. */
  readonly index: number;
  readonly value: Secret;
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

const shareShape = shape(
  closed({ wrapId: bytes(32), storeIdHash: bytes(32), index: uint(RECOVERY_KEYS_MAX, 1), value: bytes(32) }),
);

interface SealedShare {
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

const EMPTY = new Uint8Array(0);

const keyTagOf = (publicKey: Uint8Array): Uint8Array =>
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

interface SealedFor {
  readonly publicKey: Uint8Array;
  readonly index: number;
}

/**
 * The data key of a store for its header: share i for recovery key i, any `threshold` of them give it back.
 * @param store.publicKeys X25519, 1 to 64.
 * @returns at most 8,192 bytes.
 * @throws KithError `bad-recovery-keys`, and `bad-split` for a data key that is not 32 bytes.
 */
export function wrapToRecoveryKeys(
  { random }: { random: Random },
  store: {
    readonly dataKey: Secret;
    readonly storeId: Uint8Array;
    readonly nodeId: NodeId;
    readonly clusterId: ClusterId;
    readonly publicKeys: readonly Uint8Array[];
    readonly threshold: number;
  },
): Uint8Array {
  const { dataKey, clusterId, nodeId, publicKeys, threshold } = store;
  checkRecoveryKeys(publicKeys, threshold);
  const context = { clusterId, nodeId, storeIdHash: storeIdHashOf(store.storeId) };
  const keyCommitment = commitToDataKey(context, dataKey);
  const shares = splitKey({ random }, dataKey, { threshold, shares: publicKeys.length });
  try {
    const open = shares.map((share, i) => ({
      keyTag: keyTagOf(publicKeys[i]!),
      commitment: commitToRecoveryShare(context, { threshold, keyCommitment }, share),
    }));
    const wrapId = wrapIdOf(context, { threshold, keyCommitment, shares: open });
    const entries = shares.map(({ index, value }, i) => {
      const to = { publicKey: publicKeys[i]!, index };
      const { enc, sealed } = sealTo({ random }, to, recoveryShareInfo(wrapId, context, to), value);
      return concatBytes(open[i]!.keyTag, enc, sealed, open[i]!.commitment);
    });
    return encodeCbor({ version: 1, threshold, keyCommitment, shares: entries });
  } finally {
    for (const { value } of shares) value.wipe();
  }
}

function checkRecoveryKeys(publicKeys: readonly Uint8Array[], threshold: number): void {
  const count = publicKeys.length;
  if (count < 1 || count > RECOVERY_KEYS_MAX) {
    throw keyserverError('bad-recovery-keys', `${count} recovery keys, expected 1 to ${RECOVERY_KEYS_MAX}`);
  }
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > count) {
    throw keyserverError('bad-recovery-keys', `${threshold} of ${count} recovery keys cannot be`);
  }
  const short = publicKeys.findIndex((key) => key.length !== HPKE_KEY_BYTES);
  if (short >= 0) throw keyserverError('bad-recovery-keys', `recovery key ${short + 1} is not ${HPKE_KEY_BYTES} bytes`);
  const twice = publicKeys.findIndex((key, i) => publicKeys.slice(0, i).some((other) => equalBytes(key, other)));
  if (twice >= 0) throw keyserverError('bad-recovery-keys', `recovery key ${twice + 1} stands there twice`);
}

function sealTo(deps: { random: Random }, { publicKey, index }: SealedFor, info: Uint8Array, value: Secret) {
  try {
    const { enc, context } = hpkeSetupSender(deps, publicKey, info);
    const sealed = context.seal(EMPTY, value.expose());
    context.wipe();
    return { enc, sealed };
  } catch (cause) {
    if (!isKithError(cause, 'hpke-key')) throw cause;
    throw keyserverError('bad-recovery-keys', `recovery key ${index} is not usable: ${cause.message}`, cause);
  }
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

/**
 * The holder's side: the share for this recovery key.
 * @param secretKey X25519; stays the caller's.
 * @throws KithError `bad-recovery-wrap`, `not-a-holder`, or `bad-recovery-share`: damaged, or of another cluster, node,
 * store or wrapping.
 */
export function openRecoveryShare(secretKey: Secret, wrapped: Uint8Array, context: RecoveryContext): RecoveryShare {
  const wrap = parseRecoveryWrap(wrapped);
  const publicKey = x25519PublicKey(secretKey.expose());
  const keyTag = keyTagOf(publicKey);
  const mine = wrap.shares.find((share) => equalBytes(share.keyTag, keyTag));
  if (!mine) {
    throw keyserverError('not-a-holder', 'this store has no share for this recovery key');
  }
  const { index } = mine;
  const wrapId = wrapIdOf(context, wrap);
  const value = Secret.own(
    openSealed(secretKey, publicKey, mine, recoveryShareInfo(wrapId, context, { publicKey, index })),
  );
  if (!equalBytes(commitToRecoveryShare(context, wrap, { index, value }), mine.commitment)) {
    value.wipe();
    throw keyserverError('bad-recovery-share', `recovery share ${index} is not the one its node committed to`);
  }
  return { wrapId, storeIdHash: context.storeIdHash, index, value };
}

function openSealed(secretKey: Secret, publicKey: Uint8Array, { index, enc, sealed }: SealedShare, info: Uint8Array) {
  try {
    const recipient = hpkeSetupRecipient({ secretKey: secretKey.expose(), publicKey }, enc, info);
    try {
      return recipient.open(EMPTY, sealed);
    } finally {
      recipient.wipe();
    }
  } catch (cause) {
    if (!isKithError(cause, 'hpke-key', 'hpke-open')) throw cause;
    const why = `recovery share ${index} does not open: it is damaged, or of another cluster, node or store`;
    throw keyserverError('bad-recovery-share', why, cause);
  }
}

/** In the clear: for HPKE at once, then to be wiped. */
export const encodeRecoveryShare = ({ wrapId, storeIdHash, index, value }: RecoveryShare): Uint8Array =>
  encodeCbor({ wrapId, storeIdHash, index, value: value.expose() });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export function decodeRecoveryShare(encoded: Uint8Array): RecoveryShare {
  const limits = { bytesMax: RECOVERY_SHARE_BYTES_MAX, where: 'recovery share' };
  const share = decodeCbor(encoded, shareShape, limits);
  return { ...share, value: Secret.own(share.value) };
}
