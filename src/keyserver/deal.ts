// A deal: one sealing key, its header, its shares, the commitments to them, under one name that the node key signs for
// one boot. Shares are used together only if they are of one deal, and an altered one is noticed at its holder.

import { ed25519Verify, sha256 } from '#crypto';
import { concatBytes, equalBytes, u64be, utf8 } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { idBytes, type NodeId } from '../core/ids.ts';
import {
  LABEL_DEAL,
  LABEL_DEAL_SIGNATURE,
  LABEL_KEY_COMMITMENT,
  LABEL_RECOVERY_ATTEMPT,
  LABEL_SHARE_COMMITMENT,
} from '../core/labels.ts';
import { Secret } from '../core/secret.ts';
import type { DealtShare } from './messages.ts';
import { isSharingShape } from './placement.ts';
import type { HeaderView, ReadHeader } from './ports.ts';
import type { Share } from './shares.ts';

type Committed = Pick<HeaderView, 'nodeId' | 'storeId' | 'keyEpoch' | 'keyCommitment'>;

/** What a header commits to its sealing key with: SHA-256(label || key). */
export function commitToKey(sealingKey: Secret): Uint8Array {
  using preimage = Secret.own(concatBytes(utf8(LABEL_KEY_COMMITMENT), sealingKey.expose()));
  return sha256(preimage.expose());
}

/** SHA-256(label || node id || store id || key epoch || key commitment || index || share). */
export function commitToShare({ nodeId, storeId, keyEpoch, keyCommitment }: Committed, share: Share): Uint8Array {
  using preimage = Secret.own(
    concatBytes(
      utf8(LABEL_SHARE_COMMITMENT),
      idBytes(nodeId),
      storeId,
      u64be(keyEpoch),
      keyCommitment,
      Uint8Array.of(share.index),
      share.value.expose(),
    ),
  );
  return sha256(preimage.expose());
}

/** Names a deal by all of it that is public. 32 bytes. */
export const dealIdOf = (header: Uint8Array, commitments: readonly Uint8Array[]): Uint8Array =>
  sha256(concatBytes(utf8(LABEL_DEAL), encodeCbor({ header, commitments })));

/** What the node key signs: this deal is mine, dealt by this boot. */
export const dealMessage = (dealId: Uint8Array, boot: { incarnation: number; bootKey: Uint8Array }): Uint8Array =>
  concatBytes(utf8(LABEL_DEAL_SIGNATURE), encodeCbor({ dealId, incarnation: boot.incarnation, bootKey: boot.bootKey }));

/** Names one boot's attempt to recover as one incarnation. 32 bytes. */
export const attemptIdOf = (attempt: {
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly bootKey: Uint8Array;
  readonly hpkeKey: Uint8Array;
}): Uint8Array =>
  sha256(
    concatBytes(
      utf8(LABEL_RECOVERY_ATTEMPT),
      encodeCbor({
        nodeId: idBytes(attempt.nodeId),
        incarnation: attempt.incarnation,
        bootKey: attempt.bootKey,
        hpkeKey: attempt.hpkeKey,
      }),
    ),
  );

/** SHA-256 of a store id: what requests name the store by. */
export const storeIdHashOf = (storeId: Uint8Array): Uint8Array => sha256(storeId);

export type DealComplaint = 'bad-header' | 'bad-shape' | 'bad-signature' | 'bad-share';

export type CheckedDeal =
  | { readonly kind: 'good'; readonly view: HeaderView; readonly dealId: Uint8Array }
  | { readonly kind: 'bad'; readonly complaint: DealComplaint };

/** Whether a share is what it says, for this holder: on deposit for the server, on release for the owner. */
export function checkDealtShare(readHeader: ReadHeader, dealt: DealtShare, holder: NodeId): CheckedDeal {
  const bad = (complaint: DealComplaint): CheckedDeal => ({ kind: 'bad', complaint });
  const view = readHeader(dealt.header);
  if (!view?.signatureValid) return bad('bad-header');
  const { commitments, index } = dealt;
  const { keyServers, threshold } = view;
  const fits =
    isSharingShape({ threshold, shares: keyServers.length }) &&
    commitments.length === keyServers.length &&
    new Set(keyServers).size === keyServers.length &&
    !keyServers.includes(view.nodeId) &&
    keyServers[index - 1] === holder;
  if (!fits) return bad('bad-shape');
  const dealId = dealIdOf(dealt.header, commitments);
  if (!ed25519Verify(idBytes(view.nodeId), dealMessage(dealId, dealt), dealt.signature)) return bad('bad-signature');
  const commitment = commitToShare(view, { index, value: dealt.share });
  if (!equalBytes(commitment, commitments[index - 1]!)) return bad('bad-share');
  return { kind: 'good', view, dealId };
}
