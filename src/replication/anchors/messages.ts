// What members ask one another about anchors: deterministic CBOR maps with a size and a shape. docs/REPLICATION.md.

import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { DETECTION_KEY_BYTES_MAX, HEIGHT_MAX, OPERATION_BYTES_MAX } from '../../core/registration/limits.ts';
import { decodeOperation, encodeOperation } from '../../core/registration/operation.ts';
import { bytes, bytesUpTo, closed, list, type Static, shape, Type, uint } from '../../core/schema.ts';
import type { OperationBody } from '../replica.ts';
import { EPOCH_MAX } from './anchor.ts';
import {
  ANCHOR_BYTES_MAX,
  ANCHORS_PER_PAGE,
  BODIES_MAX,
  INDEX_PER_PAGE,
  MESSAGE_BYTES_MAX,
  PAGE_BYTES_MAX,
  SEQ_LIMIT,
  TAG_BYTES,
  TAGS_LARGE,
} from './limits.ts';
import { logKeyFields } from './log-key.ts';
import { ANCHORED_BYTES, REF_BYTES } from './records.ts';

const epoch = uint(Math.floor(EPOCH_MAX));
const position = uint(Math.floor(EPOCH_MAX) * SEQ_LIMIT);
const height = uint(HEIGHT_MAX);
const hash = bytes(32);

/** Why a member does not sign an anchor. */
export const SIGN_REFUSALS = [
  'malformed',
  'not-started',
  'not-a-member',
  'rollback',
  'no-log-key',
  'other-log-key',
  'other-roster',
  'not-now',
  'not-proposer',
  'too-many',
  'other-head',
  'not-needed',
  'not-held',
  'other-anchor',
] as const;
export type SignRefusal = (typeof SIGN_REFUSALS)[number];

const signRequest = closed({
  kind: Type.Literal('sign'),
  lineage: hash,
  epoch,
  seq: uint(SEQ_LIMIT - 1),
  previous: hash,
  rosterHash: hash,
  /** Operation ids (ascending) and registration ids: the signer makes the anchor itself. */
  operations: bytesUpTo(TAGS_LARGE * REF_BYTES),
  /** Of the anchor as the proposer made it. */
  hash,
});
export type SignRequest = Static<typeof signRequest>;

const requestShape = shape(
  Type.Union([
    closed({ kind: Type.Literal('log-key'), genesisId: hash }),
    signRequest,
    /** Anchors after a position, in order; the newest alone if none is given. */
    closed({ kind: Type.Literal('anchors'), after: Type.Optional(position) }),
    closed({ kind: Type.Literal('ancestor'), hash }),
    /** Anchors of the proposer where there is no chain. */
    closed({ kind: Type.Literal('offer'), anchor: bytesUpTo(ANCHOR_BYTES_MAX) }),
    /** What anchors from a position on name. */
    closed({ kind: Type.Literal('index'), from: position }),
    closed({ kind: Type.Literal('tags'), position, tags: bytesUpTo(TAGS_LARGE * TAG_BYTES, TAG_BYTES) }),
    closed({ kind: Type.Literal('operations'), operations: bytesUpTo(BODIES_MAX * REF_BYTES, REF_BYTES) }),
  ]),
);
export type AnchorRequest = ReturnType<typeof requestShape.parse>;

const bodySchema = closed({
  operation: bytesUpTo(OPERATION_BYTES_MAX),
  keys: Type.Optional(closed({ dataKey: bytes(32), detectionKey: bytesUpTo(DETECTION_KEY_BYTES_MAX, 1) })),
});

const answerShape = shape(
  Type.Union([
    closed({ kind: Type.Literal('log-key'), ...logKeyFields }),
    /** It has no log key either. */
    closed({ kind: Type.Literal('none') }),
    closed({ kind: Type.Literal('signed'), signature: bytes(64) }),
    closed({
      kind: Type.Literal('refused'),
      reason: Type.Unsafe<SignRefusal>(Type.Union(SIGN_REFUSALS.map((reason) => Type.Literal(reason)))),
      /** Of the operations asked for: which are not held. */
      missing: Type.Optional(list(uint(TAGS_LARGE - 1), TAGS_LARGE)),
    }),
    closed({
      kind: Type.Literal('anchors'),
      anchors: list(bytesUpTo(ANCHOR_BYTES_MAX), ANCHORS_PER_PAGE),
      more: Type.Boolean(),
      height,
    }),
    closed({ kind: Type.Literal('taken') }),
    closed({
      kind: Type.Literal('index'),
      records: list(closed({ position, entries: bytesUpTo(TAGS_LARGE * ANCHORED_BYTES) }), INDEX_PER_PAGE),
      more: Type.Boolean(),
    }),
    /** The operations behind those of the tags that are known here. */
    closed({
      kind: Type.Literal('refs'),
      operations: bytesUpTo(TAGS_LARGE * REF_BYTES),
      /** What is not named was here and is needed by nobody any more. */
      complete: Type.Boolean(),
    }),
    closed({
      kind: Type.Literal('operations'),
      bodies: list(bodySchema, BODIES_MAX),
      /** Of those asked for: which nobody needs any more. */
      gone: list(uint(BODIES_MAX - 1), BODIES_MAX),
    }),
  ]),
);
export type AnchorAnswer = ReturnType<typeof answerShape.parse>;
export type AnswerOf<Kind extends AnchorAnswer['kind']> = Extract<AnchorAnswer, { kind: Kind }>;

const limits = (where: string) => ({ bytesMax: MESSAGE_BYTES_MAX, where });

export const encodeRequest = (request: AnchorRequest): Uint8Array => encodeCbor(request as CborValue);
/** @throws KithError of `decodeCbor`. */
export const decodeRequest = (encoded: Uint8Array): AnchorRequest =>
  decodeCbor(encoded, requestShape, limits('request about anchors'));
export const encodeAnswer = (answer: AnchorAnswer): Uint8Array => encodeCbor(answer as CborValue);
/** @throws KithError of `decodeCbor`. */
export const decodeAnswer = (encoded: Uint8Array): AnchorAnswer =>
  decodeCbor(encoded, answerShape, limits('answer about anchors'));

export type WireBody = Static<typeof bodySchema>;
export const encodeBody = ({ operation, keys }: OperationBody): WireBody => ({
  operation: encodeOperation(operation),
  ...(keys ? { keys: { dataKey: keys.dataKey, detectionKey: keys.detectionKey } } : {}),
});
/** @throws KithError of `decodeOperation`. Verifies nothing. */
export const decodeBody = ({ operation, keys }: WireBody): OperationBody => ({
  operation: decodeOperation(operation),
  keys,
});

/** As many of the items, from the first on, as one message carries. */
export function pageOf<T>(items: Iterable<T>, bytesOf: (item: T) => number, max: number): T[] {
  const page: T[] = [];
  let size = 0;
  for (const item of items) {
    size += bytesOf(item);
    if (page.length === max || (size > PAGE_BYTES_MAX && page.length > 0)) break;
    page.push(item);
  }
  return page;
}
