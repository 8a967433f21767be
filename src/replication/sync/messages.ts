// The messages of sync and of snapshots: closed shapes, canonical CBOR, bounded lists. Formats: docs/REPLICATION.md.

import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { batchReceiptSchema } from '../../core/receipt.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { bytes, bytesUpTo, closed, list, type Static, shape, Type, text, uint } from '../../core/schema.ts';
import {
  AUDIT_FANOUT,
  AUDIT_IDS_PER_MESSAGE,
  AUDIT_LEAVES_MAX,
  BODIES_PER_MESSAGE,
  CERTIFY_PER_MESSAGE,
  ENTRIES_PER_MESSAGE,
  ENTRY_WITH_BODIES_BYTES_MAX,
  FETCH_PER_MESSAGE,
  MESSAGE_BYTES_MAX,
  POSITIONS_PER_PAGE,
  WANTS_PER_PULL,
} from './limits.ts';
import { bodySchema, headSchema, positionSchema, refSchema } from './wire.ts';

/** What became of an offered body. */
export const OFFERED = { taken: 1, known: 2, refused: 3 } as const;

const seq = uint(HEIGHT_MAX);
const kind = <K extends string>(name: K) => Type.Literal(name);
const entries = list(bytesUpTo(ENTRY_WITH_BODIES_BYTES_MAX, 1), ENTRIES_PER_MESSAGE);
const bodies = list(bodySchema, BODIES_PER_MESSAGE);
/** A page of a frontier follows the log `after` in ascending order of writer ids. */
const after = Type.Optional(bytes(32));
const bucket = uint(AUDIT_FANOUT * AUDIT_FANOUT - 1);
/** Sum of keyed hashes. */
const sum = bytes(16);

const requestSchema = Type.Union([
  /** `head`: of the asker's store, so that a member remembers it as soon as it has what the state brought. */
  closed({ kind: kind('push'), entries, head: Type.Optional(headSchema) }),
  /** `digest`: of what the asker remembers of the other's frontier; `own`: of its own. */
  closed({ kind: kind('frontier'), digest: bytes(32), own: bytes(32), after }),
  closed({
    kind: kind('pull'),
    wants: list(closed({ writer: bytes(32), from: uint(HEIGHT_MAX, 1) }), WANTS_PER_PULL, 1),
  }),
  closed({
    kind: kind('fetch'),
    regIds: list(bytes(32), FETCH_PER_MESSAGE),
    operations: list(refSchema, FETCH_PER_MESSAGE),
  }),
  closed({ kind: kind('offer'), bodies }),
  closed({ kind: kind('certify'), operations: list(refSchema, CERTIFY_PER_MESSAGE, 1) }),
  closed({ kind: kind('head') }),
  closed({ kind: kind('audit-root'), key: bytes(32) }),
  closed({ kind: kind('audit-branches'), key: bytes(32) }),
  closed({
    kind: kind('audit-leaves'),
    key: bytes(32),
    branches: list(uint(AUDIT_FANOUT - 1), AUDIT_FANOUT, 1),
  }),
  /** All leaves that differ, in each message of one audit; the answer begins with number `from` of them. */
  closed({
    kind: kind('audit-ids'),
    key: bytes(32),
    leaves: list(bucket, AUDIT_LEAVES_MAX, 1),
    from: uint(AUDIT_LEAVES_MAX - 1),
  }),
]);
export type SyncRequest = Static<typeof requestSchema>;
const requestShape = shape(requestSchema);

/** Counts by kind of request, before the first. */
export const NO_REQUESTS: Readonly<Record<SyncRequest['kind'], number>> = {
  push: 0,
  frontier: 0,
  pull: 0,
  fetch: 0,
  offer: 0,
  certify: 0,
  head: 0,
  'audit-root': 0,
  'audit-branches': 0,
  'audit-leaves': 0,
  'audit-ids': 0,
};

/** What became of one entry. `why` is a reason of refusal, or one line. */
const outcomeSchema = closed({
  kind: Type.Union([kind('taken'), kind('gap'), kind('equivocation'), kind('refused'), kind('invalid')]),
  seq: Type.Optional(seq),
  why: Type.Optional(text(64)),
});
export type WireOutcome = Static<typeof outcomeSchema>;

const position = closed({ seq, hash: bytes(32) });
const sums = list(sum, AUDIT_FANOUT, AUDIT_FANOUT);

const answerSchema = Type.Union([
  closed({
    kind: kind('pushed'),
    outcomes: list(outcomeSchema, ENTRIES_PER_MESSAGE),
    /** Over the operations of all taken entries in their order; absent while the member may give none. */
    receipt: Type.Optional(batchReceiptSchema),
    head: Type.Optional(headSchema),
    /** Of the pusher's log, at the answering member. */
    position: Type.Optional(position),
  }),
  closed({ kind: kind('same') }),
  closed({ kind: kind('frontier'), positions: list(positionSchema, POSITIONS_PER_PAGE), more: Type.Boolean() }),
  /** For each log asked for, in order, until the message is full: `first` if there is nothing as low as asked. */
  closed({ kind: kind('pulled'), logs: list(closed({ entries, first: Type.Optional(seq) }), WANTS_PER_PULL) }),
  /** `answered`: how many of those asked for it looked at, registrations first. */
  closed({ kind: kind('bodies'), bodies, answered: uint(2 * FETCH_PER_MESSAGE) }),
  /** OFFERED, one byte each. */
  closed({ kind: kind('offered'), outcomes: bytesUpTo(BODIES_PER_MESSAGE) }),
  /** `held`: one byte for each operation; the receipt covers those held, in their order. */
  closed({
    kind: kind('certified'),
    held: bytesUpTo(CERTIFY_PER_MESSAGE, 1),
    receipt: Type.Optional(batchReceiptSchema),
  }),
  closed({ kind: kind('head'), head: Type.Optional(headSchema) }),
  closed({ kind: kind('audit-root'), count: uint(HEIGHT_MAX), sum }),
  closed({ kind: kind('audit-branches'), sums }),
  closed({ kind: kind('audit-leaves'), branches: list(sums, AUDIT_FANOUT) }),
  closed({
    kind: kind('audit-ids'),
    ids: list(closed({ regId: bytes(32), state: bytes(16) }), AUDIT_IDS_PER_MESSAGE),
    /** Leaves that were answered; the rest did not fit. */
    answered: uint(AUDIT_LEAVES_MAX),
  }),
  /** Not now: another audit is computed, or this table is not there any more. */
  closed({ kind: kind('busy') }),
]);
export type SyncAnswer = Static<typeof answerSchema>;
const answerShape = shape(answerSchema);

const snapshotItemSchema = Type.Union([
  closed({ kind: kind('positions'), positions: list(positionSchema, POSITIONS_PER_PAGE) }),
  closed({ kind: kind('bodies'), bodies: list(bodySchema, BODIES_PER_MESSAGE, 1) }),
  /** The last one: without it the snapshot is not whole. */
  closed({ kind: kind('end') }),
]);
export type SnapshotItem = Static<typeof snapshotItemSchema>;
const snapshotItemShape = shape(snapshotItemSchema);
const snapshotRequestShape = shape(closed({ kind: kind('snapshot') }));

const limits = (where: string) => ({ bytesMax: MESSAGE_BYTES_MAX, where });
// TypeBox's static types have no index signature; what they describe is CBOR by construction.
const encode = (message: object): Uint8Array => encodeCbor(message as { readonly [key: string]: CborValue });

export const encodeSyncRequest = (request: SyncRequest): Uint8Array => encode(request);
/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export const decodeSyncRequest = (encoded: Uint8Array): SyncRequest =>
  decodeCbor(encoded, requestShape, limits('sync request'));

export const encodeSyncAnswer = (answer: SyncAnswer): Uint8Array => encode(answer);
/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. */
export const decodeSyncAnswer = (encoded: Uint8Array): SyncAnswer =>
  decodeCbor(encoded, answerShape, limits('sync answer'));

export const encodeSnapshotRequest = (): Uint8Array => encode({ kind: 'snapshot' });
/** @throws KithError as above. */
export const checkSnapshotRequest = (encoded: Uint8Array): void =>
  void decodeCbor(encoded, snapshotRequestShape, limits('snapshot request'));

export const encodeSnapshotItem = (item: SnapshotItem): Uint8Array => encode(item);
/** @throws KithError as above. */
export const decodeSnapshotItem = (encoded: Uint8Array): SnapshotItem =>
  decodeCbor(encoded, snapshotItemShape, limits('snapshot item'));
