// Records of anchors in the sealed store, and the packed lists of operations that messages carry too.

import { concatBytes, u64be, utf8 } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { KithError } from '../../core/errors.ts';
import { idBytes, opIdFromBytes, regIdFromBytes } from '../../core/ids.ts';
import { bytes, bytesUpTo, closed, shape, Type, uint } from '../../core/schema.ts';
import type { OperationRef } from '../log-entry.ts';
import { TAG_BYTES, TAGS_LARGE } from './limits.ts';

/** Kinds of records, each keyed by the position of an anchor but the first two. */
export type RecordKind = 'state' | 'key' | 'anchor' | 'index' | 'wanted' | 'unread';
const LETTERS: Readonly<Record<RecordKind, string>> = {
  state: 's',
  key: 'k',
  anchor: 'a',
  index: 'i',
  wanted: 'w',
  unread: 'u',
};
const KINDS: ReadonlyMap<number, RecordKind> = new Map(
  Object.entries(LETTERS).map(([kind, letter]) => [letter.charCodeAt(0), kind as RecordKind]),
);

export const recordKey = (kind: RecordKind, position = 0): Uint8Array =>
  concatBytes(utf8(LETTERS[kind]), u64be(position));

export function readRecordKey(key: Uint8Array): { readonly kind: RecordKind; readonly position: number } {
  const kind = key.length === 9 ? KINDS.get(key[0]!) : undefined;
  if (!kind) throw new KithError('malformed', 'anchors: a record of another kind');
  return { kind, position: Number(new DataView(key.buffer, key.byteOffset, key.byteLength).getBigUint64(1)) };
}

const stateShape = shape(
  closed({
    /** Last height whose texts were read, or up to which members had nothing new. */
    cursor: uint(),
    /** Position of the anchor that counts as the first here. */
    base: Type.Optional(uint()),
  }),
);
export type AnchorState = { readonly cursor: number; readonly base?: number | undefined };
export const encodeState = (state: AnchorState): Uint8Array => encodeCbor({ ...state });
export const decodeState = (encoded: Uint8Array): AnchorState =>
  decodeCbor(encoded, stateShape, { bytesMax: 64, where: 'state of anchors' });

const wantedShape = shape(
  closed({ root: bytes(32), tagKey: bytes(32), tags: bytesUpTo(TAGS_LARGE * TAG_BYTES), partial: Type.Boolean() }),
);
/** What is looked for of one anchor. */
export interface WantedRecord {
  readonly root: Uint8Array;
  readonly tagKey: Uint8Array;
  /** 16 bytes each. */
  readonly tags: Uint8Array;
  /** Some were given up: the root cannot be checked any more. */
  readonly partial: boolean;
}
export const encodeWanted = (record: WantedRecord): Uint8Array => encodeCbor({ ...record });
export const decodeWanted = (encoded: Uint8Array): WantedRecord =>
  decodeCbor(encoded, wantedShape, { bytesMax: TAGS_LARGE * TAG_BYTES + 256, where: 'wanted tags' });

/** An operation and its tag in one anchor. */
export interface Anchored extends OperationRef {
  readonly tag: Uint8Array;
}

export const REF_BYTES = 64;
export const ANCHORED_BYTES = REF_BYTES + TAG_BYTES;

/** Operation id and registration id one after another, without anything between. */
export const packRefs = (refs: readonly OperationRef[]): Uint8Array =>
  concatBytes(...refs.flatMap(({ opId, regId }) => [idBytes(opId), idBytes(regId)]));

const pieces = (packed: Uint8Array, size: number): Uint8Array[] => {
  if (packed.length % size !== 0) throw new KithError('bad-shape', `expected a multiple of ${size} bytes`);
  return Array.from({ length: packed.length / size }, (_, i) => packed.subarray(i * size, (i + 1) * size));
};

const refOf = (packed: Uint8Array): OperationRef => ({
  opId: opIdFromBytes(packed.subarray(0, 32)),
  regId: regIdFromBytes(packed.subarray(32, REF_BYTES)),
});

/** @throws KithError `bad-shape`. */
export const unpackRefs = (packed: Uint8Array): OperationRef[] => pieces(packed, REF_BYTES).map(refOf);

export const packAnchored = (entries: readonly Anchored[]): Uint8Array =>
  concatBytes(...entries.flatMap(({ opId, regId, tag }) => [idBytes(opId), idBytes(regId), tag]));

/** @throws KithError `bad-shape`. */
export const unpackAnchored = (packed: Uint8Array): Anchored[] =>
  pieces(packed, ANCHORED_BYTES).map((piece) => ({ ...refOf(piece), tag: piece.slice(REF_BYTES) }));
