// A store's data key, shared among the recovery keys of the cluster for the day no member runs any more: k of m holders
// give it back. Everything public of one wrapping has a name that each sealed share is bound to, and every share and the
// key are committed to, so that shares of another store, another wrapping or another place are refused by name.
// The form is that of recovery-wrap.ts.

import { x25519PublicKey } from '#crypto';
import { equalBytes } from '../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../core/cbor.ts';
import { isKithError } from '../core/errors.ts';
import { HPKE_KEY_BYTES, hpkeSetupRecipient, hpkeSetupSender } from '../core/hpke.ts';
import type { ClusterId, NodeId } from '../core/ids.ts';
import type { Random } from '../core/ports.ts';
import { bytes, closed, shape, uint } from '../core/schema.ts';
import { Secret } from '../core/secret.ts';
import { storeIdHashOf } from './deal.ts';
import { keyserverError } from './errors.ts';
import { RECOVERY_KEYS_MAX, RECOVERY_SHARE_BYTES_MAX } from './limits.ts';
import {
  commitToDataKey,
  commitToRecoveryShare,
  encodeRecoveryWrap,
  keyTagOf,
  parseRecoveryWrap,
  type RecoveryContext,
  recoveryShareInfo,
  type SealedFor,
  type SealedShare,
  wrapIdOf,
} from './recovery-wrap.ts';
import { splitKey } from './shares.ts';

/** One holder's share, opened. Whoever has it wipes it. */
export interface RecoveryShare {
  /** Of which wrapping, of which store. */
  readonly wrapId: Uint8Array;
  readonly storeIdHash: Uint8Array;
  /** Number of the share, and of the recovery key it was for, from 1. */
  readonly index: number;
  readonly value: Secret;
}

const shareShape = shape(
  closed({ wrapId: bytes(32), storeIdHash: bytes(32), index: uint(RECOVERY_KEYS_MAX, 1), value: bytes(32) }),
);

const EMPTY = new Uint8Array(0);

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
    const sealed = shares.map(({ index, value }, i) => {
      const to = { publicKey: publicKeys[i]!, index };
      return { index, ...open[i]!, ...sealTo({ random }, to, recoveryShareInfo(wrapId, context, to), value) };
    });
    return encodeRecoveryWrap({ threshold, keyCommitment, shares: sealed });
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
