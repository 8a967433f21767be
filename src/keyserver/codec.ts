// Custody messages as bytes: deterministic CBOR maps with a size and a shape. docs/CUSTODY.md lists them.
// The bytes of a deposit and of a release contain shares: whoever made them wipes them once they are sealed.

import { type CborValue, decodeCbor, encodeCbor } from '../core/cbor.ts';
import { unreachable } from '../core/errors.ts';
import { idBytes, nodeIdFromBytes } from '../core/ids.ts';
import { bytes, bytesUpTo, closed, list, type Static, shape, Type, uint } from '../core/schema.ts';
import { Secret } from '../core/secret.ts';
import { HEADER_BYTES_MAX, INCARNATION_MAX, MESSAGE_BYTES_MAX, SHARES_MAX, TICKET_BYTES_MAX } from './limits.ts';
import {
  type CustodyAnswer,
  type CustodyRequest,
  type DealtShare,
  REFUSAL_REASONS,
  type RefusalReason,
} from './messages.ts';
import { SEALING_KEY_BYTES } from './shares.ts';

const incarnation = uint(INCARNATION_MAX);
const hash = bytes(32);
const head = Type.Optional(closed({ incarnation, sequence: uint(), hash }));

const dealt = {
  header: bytesUpTo(HEADER_BYTES_MAX, 1),
  index: uint(SHARES_MAX, 1),
  share: bytes(SEALING_KEY_BYTES),
  commitments: list(hash, SHARES_MAX, 1),
  signature: bytes(64),
};
const releasedDeal = closed({ ...dealt, incarnation, bootKey: bytes(32) });

const requestShape = shape(
  Type.Union([
    closed({ kind: Type.Literal('deposit'), ...dealt, base: Type.Optional(hash), head }),
    closed({ kind: Type.Literal('commit'), dealId: hash }),
    closed({ kind: Type.Literal('probe'), head }),
    closed({ kind: Type.Literal('drop'), keyEpoch: uint() }),
    closed({ kind: Type.Literal('last'), nodeId: hash, storeIdHash: hash }),
    closed({
      kind: Type.Literal('release'),
      nodeId: hash,
      incarnation,
      storeIdHash: hash,
      ticket: Type.Optional(bytesUpTo(TICKET_BYTES_MAX, 1)),
    }),
  ]),
);

const reasons = Object.keys(REFUSAL_REASONS) as RefusalReason[];

const answerShape = shape(
  Type.Union([
    closed({ kind: Type.Literal('deposited') }),
    closed({ kind: Type.Literal('committed') }),
    closed({ kind: Type.Literal('dropped') }),
    closed({ kind: Type.Literal('holding'), current: Type.Optional(hash), pending: Type.Optional(hash) }),
    closed({ kind: Type.Literal('last'), incarnation }),
    closed({ kind: Type.Literal('released'), attemptId: hash, deals: list(releasedDeal, 2), head }),
    closed({
      kind: Type.Literal('refused'),
      reason: Type.Union(reasons.map((reason) => Type.Literal(reason))),
      last: Type.Optional(incarnation),
      keyEpoch: Type.Optional(uint()),
    }),
  ]),
);

/** Field by field, so that nothing slips in; shares as bytes. */
function plainRequest(request: CustodyRequest): CborValue {
  switch (request.kind) {
    case 'deposit': {
      const { kind, header, index, share, commitments, signature, base, head } = request;
      return { kind, header, index, share: share.expose(), commitments, signature, base, head: plainHead(head) };
    }
    case 'probe':
      return { kind: 'probe', head: plainHead(request.head) };
    case 'last':
      return { kind: 'last', nodeId: idBytes(request.nodeId), storeIdHash: request.storeIdHash };
    case 'release': {
      const { kind, nodeId, incarnation, storeIdHash, ticket } = request;
      return { kind, nodeId: idBytes(nodeId), incarnation, storeIdHash, ticket };
    }
    case 'commit':
      return { kind: 'commit', dealId: request.dealId };
    case 'drop':
      return { kind: 'drop', keyEpoch: request.keyEpoch };
    default:
      return unreachable(request);
  }
}

const plainHead = (
  value: { incarnation: number; sequence: number; hash: Uint8Array } | undefined,
): CborValue | undefined => value && { incarnation: value.incarnation, sequence: value.sequence, hash: value.hash };

const plainDeal = (deal: DealtShare): CborValue => ({
  header: deal.header,
  index: deal.index,
  share: deal.share.expose(),
  commitments: deal.commitments,
  incarnation: deal.incarnation,
  bootKey: deal.bootKey,
  signature: deal.signature,
});

export const encodeRequest = (request: CustodyRequest): Uint8Array => encodeCbor(plainRequest(request));

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export function decodeRequest(encoded: Uint8Array): CustodyRequest {
  const request = decodeCbor(encoded, requestShape, { bytesMax: MESSAGE_BYTES_MAX, where: 'custody request' });
  switch (request.kind) {
    case 'deposit':
      return { ...request, share: Secret.own(request.share) };
    case 'last':
    case 'release':
      return { ...request, nodeId: nodeIdFromBytes(request.nodeId) };
    default:
      return request;
  }
}

export function encodeAnswer(answer: CustodyAnswer): Uint8Array {
  if (answer.kind !== 'released') return encodeCbor({ ...answer });
  const { kind, attemptId, deals, head } = answer;
  return encodeCbor({ kind, attemptId, deals: deals.map(plainDeal), head: plainHead(head) });
}

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export function decodeAnswer(encoded: Uint8Array): CustodyAnswer {
  const answer = decodeCbor(encoded, answerShape, { bytesMax: MESSAGE_BYTES_MAX, where: 'custody answer' });
  if (answer.kind !== 'released') return answer;
  const owned = (deal: Static<typeof releasedDeal>): DealtShare => ({ ...deal, share: Secret.own(deal.share) });
  return { ...answer, deals: answer.deals.map(owned) };
}
