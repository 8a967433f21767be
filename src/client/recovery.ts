// Recovery shares after a total restart (docs/RECOVERY.md), from the side of their holders: what a node waits for, and
// one opened share sealed to a verified node.

import { fromBase64Url } from '../core/bytes.ts';
import { decodeCbor } from '../core/cbor.ts';
import { isKithError } from '../core/errors.ts';
import { type ClusterId, type NodeId, parseNodeId } from '../core/ids.ts';
import type { Random } from '../core/ports.ts';
import { closed, shape, Type, uint } from '../core/schema.ts';
import { sealRequest, toSealedBox } from '../core/sealed-request.ts';
import { type CallOptions, type NodeApi, recoveryShape, shareShape } from './api.ts';
import { clientError } from './errors.ts';
import type { VerifiedNode } from './verify-node.ts';

/** A closed store, as anybody may tell: the share in `wrapped` opens only if it is true. */
export interface WaitingStore {
  /** Its owner: not the id the node attests. */
  readonly nodeId: NodeId;
  /** SHA-256. */
  readonly storeIdHash: Uint8Array;
  /** Its data key under the recovery keys. */
  readonly wrapped: Uint8Array;
}

export interface ShareResult {
  /** Shares entered at this node so far, and needed in all. */
  readonly entered: number;
  readonly needed: number;
  readonly status: 'waiting' | 'opened';
}

const sealedAnswerShape = shape(
  closed({
    entered: uint(),
    needed: uint(),
    status: Type.Union([Type.Literal('waiting'), Type.Literal('opened')]),
  }),
);
const SEALED_ANSWER_BYTES_MAX = 1_024;

/**
 * A store that waits at this node: that of the node id `of`, without one the first.
 * @throws KithError `not-recovering` if none does, `bad-answer`, `node-unreachable`, or the node's refusal.
 */
export async function readRecovery(
  { api }: { api: NodeApi },
  options: CallOptions & { readonly of?: string | undefined },
): Promise<WaitingStore> {
  const answer = await api.get('/v1/recovery', recoveryShape, options);
  if (answer.state === 'none') {
    throw clientError('not-recovering', `no store waits for recovery shares at ${api.url}; nothing was sent to it`);
  }
  const { of } = options;
  const waiting = [answer, ...(answer.others ?? [])];
  const wanted = of === undefined ? answer : waiting.find(({ nodeId }) => nodeId === of);
  if (!wanted) {
    const there = waiting.map(({ nodeId }) => nodeId).join(', ');
    throw clientError(
      'not-recovering',
      `no store of node ${of} waits at ${api.url}; those of these nodes do: ${there}`,
    );
  }
  try {
    return {
      nodeId: parseNodeId(wanted.nodeId),
      storeIdHash: fromBase64Url(wanted.storeIdHash),
      wrapped: fromBase64Url(wanted.blob),
    };
  } catch (cause) {
    if (!isKithError(cause)) throw cause;
    throw clientError('bad-answer', `what ${api.url} waits for cannot be read: ${cause.message}`, cause);
  }
}

/**
 * Seals an opened share to a verified node and sends it. Repeating it changes nothing.
 * @param share its bytes in the clear; the caller wipes them.
 * @throws KithError `forged-answer`, `bad-answer`, `node-unreachable`, or the node's refusal under its code.
 */
export async function sendRecoveryShare(
  deps: { api: NodeApi; random: Random },
  to: { node: VerifiedNode; clusterId: ClusterId },
  share: Uint8Array,
  options: CallOptions,
): Promise<ShareResult> {
  const { api } = deps;
  const context = { clusterId: to.clusterId, nodeId: to.node.nodeId, kind: 'recover' } as const;
  const { request, openAnswer } = sealRequest(deps, to.node.hpkePublicKey, context, share);
  const { sealed } = await api.post('/v1/recovery', toSealedBox(request), shareShape, options);
  const where = `the sealed answer of ${api.url}`;
  try {
    const opened = openAnswer({ nonce: fromBase64Url(sealed.nonce), ciphertext: fromBase64Url(sealed.ciphertext) });
    if (!opened) throw clientError('forged-answer', `${where} was not made by the node the share was sealed to`);
    return decodeCbor(opened, sealedAnswerShape, { bytesMax: SEALED_ANSWER_BYTES_MAX, where });
  } catch (cause) {
    if (isKithError(cause, 'forged-answer') || !isKithError(cause)) throw cause;
    throw clientError('bad-answer', `${where} cannot be read: ${cause.message}`, cause);
  }
}
