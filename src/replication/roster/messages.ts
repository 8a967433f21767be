// The messages of `/kith/roster/1`: deterministic CBOR maps with a size and a shape. docs/ROSTER.md lists them.

import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { bytes, bytesUpTo, closed, list, type Static, shape, Type, uint } from '../../core/schema.ts';
import { IDS_PER_PAGE, MESSAGE_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX, STATEMENTS_PER_PAGE } from './limits.ts';
import { ROSTER_REFUSALS, type RosterRefusalReason } from './refusals.ts';

/** Why a member does not sign, found or take, beyond what makes a statement inadmissible to everybody. */
export const SIGNER_REFUSALS = {
  'not-started': 'this node has not read its store yet',
  malformed: 'the request is not understood',
  'not-stored': 'the store did not take it',
  'signer-not-member': 'this node is not on the roster itself',
  'other-frontier': 'this node holds other statements: compare first',
  height: 'the height is too far from the one this node sees',
  'not-attested': 'the node asking did not attest as the one that is named',
  'not-all-attested': 'this node does not see all who must sign, attested as the ones that are named',
  'replaced-is-connected': 'the member to be replaced is connected',
  evicted: 'the node or its platform was evicted, and nobody here said that it may return',
  removed: 'the operator took this node id off the roster',
  'not-approved': 'nobody here said that this member shall be evicted',
  'signed-another': 'this node has just signed another statement on this roster',
  'has-genesis': 'this node has a genesis',
  'founding-elsewhere': 'this node is about to create a genesis with another',
} as const satisfies Record<string, string>;

export type AnswerRefusalReason = RosterRefusalReason | keyof typeof SIGNER_REFUSALS;

const hash = bytes(32);
const statements = list(bytesUpTo(STATEMENT_BYTES_MAX, 1), STATEMENTS_PER_PAGE);
const status = closed({
  kind: Type.Literal('status'),
  /** Id of the genesis held, if any. */
  genesis: Type.Optional(hash),
  /** Of the set of statements held. */
  digest: hash,
  mayFound: Type.Boolean(),
  height: uint(),
});

const requestSchema = Type.Union([
  status,
  closed({ kind: Type.Literal('list'), from: uint(STATEMENTS_MAX) }),
  closed({ kind: Type.Literal('fetch'), ids: list(hash, STATEMENTS_PER_PAGE, 1) }),
  closed({ kind: Type.Literal('offer'), statements }),
  closed({ kind: Type.Literal('sign'), body: bytesUpTo(STATEMENT_BYTES_MAX, 1) }),
  /** The body of a genesis and the proposer's signature. */
  closed({ kind: Type.Literal('found'), body: bytesUpTo(STATEMENT_BYTES_MAX, 1), signature: bytes(64) }),
]);

const reasons = [...Object.keys(ROSTER_REFUSALS), ...Object.keys(SIGNER_REFUSALS)] as AnswerRefusalReason[];
const reason = Type.Unsafe<AnswerRefusalReason>(Type.Union(reasons.map((name) => Type.Literal(name))));

const answerSchema = Type.Union([
  status,
  /** Ids in the order in which they were taken, from the place asked for. */
  closed({ kind: Type.Literal('ids'), ids: list(hash, IDS_PER_PAGE), more: Type.Boolean() }),
  /** As many of those asked for, in the order asked for, as one message carries; those not held are left out. */
  closed({ kind: Type.Literal('statements'), statements }),
  /** `reason` is why the first of those not taken was not. */
  closed({ kind: Type.Literal('taken'), reason: Type.Optional(reason) }),
  closed({ kind: Type.Literal('signed'), signature: bytes(64) }),
  closed({ kind: Type.Literal('refused'), reason: reason }),
]);

export type RosterRequest = Static<typeof requestSchema>;
export type RosterAnswer = Static<typeof answerSchema>;
export type RosterStatus = Static<typeof status>;

const requestShape = shape(requestSchema);
const answerShape = shape(answerSchema);

export const encodeRosterRequest = (request: RosterRequest): Uint8Array => encodeCbor({ ...request } as CborValue);

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export const decodeRosterRequest = (encoded: Uint8Array): RosterRequest =>
  decodeCbor(encoded, requestShape, { bytesMax: MESSAGE_BYTES_MAX, where: 'roster request' });

export const encodeRosterAnswer = (answer: RosterAnswer): Uint8Array => encodeCbor({ ...answer } as CborValue);

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export const decodeRosterAnswer = (encoded: Uint8Array): RosterAnswer =>
  decodeCbor(encoded, answerShape, { bytesMax: MESSAGE_BYTES_MAX, where: 'roster answer' });
