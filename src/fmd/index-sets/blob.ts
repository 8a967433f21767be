// The look-up blob: what a node answers and a client opens. One padded plaintext under a key only the user and the
// attested nodes have. Browser-safe: both sides are here, so that they cannot drift apart.

import { hkdfExpand, hkdfExtract, sha256, xchacha20Poly1305Open, xchacha20Poly1305Seal } from '#crypto';
import { concatBytes, toBase64Url, u64be, utf8 } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { KithError } from '../../core/errors.ts';
import { type ClusterId, idBytes, type RegId } from '../../core/ids.ts';
import { LABEL_INDEX_SET, LABEL_INDEX_SET_TAG } from '../../core/labels.ts';
import { pad, padmeLength, unpad } from '../../core/padding.ts';
import type { Random } from '../../core/ports.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import { bytesUpTo, closed, list, shape, Type, uint } from '../../core/schema.ts';
import { decodeEntries, type Entry } from './entries.ts';
import { COVERED_RANGES_MAX, INDEX_SET_BYTES_MAX, INDEX_SET_BYTES_MIN } from './limits.ts';
import { areNormal, contiguousEnd, type Ranges } from './ranges.ts';

export type IndexSetErrorCode = 'index-set-open' | 'index-set-content';

const NONCE_BYTES = 24;
const TAG_BYTES = 16;

/** What an answer is bound to. */
export interface LookUp {
  readonly clusterId: ClusterId;
  readonly regId: RegId;
  /** Entries of heights above it were asked for. */
  readonly since: number;
}

/** The content of an answer, entries still encoded (base: `since`). */
export interface IndexSetContent {
  /** The registration's birthday, as this node has it. */
  readonly birthday: number;
  /** The first height of the chain this node has indexed at all. Of what lies below it, it knows nothing. */
  readonly first: number;
  /** Heights scanned for this user, from `answerStart` on. */
  readonly covered: Ranges;
  /** End of the unbroken covered range from `answerStart`; one less than that if it has not begun. */
  readonly syncedTo: number;
  readonly entries: Uint8Array;
}

export interface SealedIndexSet {
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface OpenedIndexSet extends Omit<IndexSetContent, 'entries'> {
  readonly since: number;
  /** Sorted, each once. */
  readonly entries: readonly Entry[];
}

const height = uint(HEIGHT_MAX);
const contentShape = shape(
  closed({
    birthday: height,
    first: height,
    covered: list(Type.Tuple([height, height]), COVERED_RANGES_MAX),
    syncedTo: height,
    entries: bytesUpTo(INDEX_SET_BYTES_MAX),
  }),
);

/** The lowest height an answer can say anything about. */
export const answerStart = (of: { birthday: number; first: number; since: number }): number =>
  Math.max(of.birthday, of.since + 1, of.first);

/** HKDF-SHA256(salt empty, data key, "kith/index-set/v1"), 32 bytes: all a node keeps of the data key. */
export const indexSetKey = (dataKey: Uint8Array): Uint8Array =>
  hkdfExpand(hkdfExtract(new Uint8Array(0), dataKey), utf8(LABEL_INDEX_SET), 32);

const associatedData = ({ clusterId, regId, since }: LookUp): Uint8Array =>
  concatBytes(idBytes(clusterId), idBytes(regId), u64be(since));

/** Padded size of a plaintext of `length` bytes: its mark included, Padme, and never below INDEX_SET_BYTES_MIN. */
export const paddedIndexSetBytes = (length: number): number => Math.max(INDEX_SET_BYTES_MIN, padmeLength(length + 1));

/** @param key of `indexSetKey`. */
export function sealIndexSet(
  deps: { random: Random },
  key: Uint8Array,
  lookUp: LookUp,
  { birthday, first, covered, syncedTo, entries }: IndexSetContent,
): SealedIndexSet {
  const plaintext = encodeCbor({ birthday, first, covered, syncedTo, entries });
  const nonce = deps.random.bytes(NONCE_BYTES);
  const padded = pad(plaintext, paddedIndexSetBytes(plaintext.length));
  return { nonce, ciphertext: xchacha20Poly1305Seal(key, nonce, padded, associatedData(lookUp)) };
}

/**
 * Opens an answer and checks all of it.
 * @param key of `indexSetKey`.
 * @throws KithError `index-set-open` if it is not authentic for this look-up, `index-set-content`, `bad-padding`,
 * `bad-entries` or a code of core/cbor if a holder of the key made it wrongly.
 */
export function openIndexSet(key: Uint8Array, lookUp: LookUp, sealed: SealedIndexSet): OpenedIndexSet {
  const { nonce, ciphertext } = sealed;
  if (nonce.length !== NONCE_BYTES || ciphertext.length > INDEX_SET_BYTES_MAX + TAG_BYTES) {
    throw new KithError<IndexSetErrorCode>('index-set-open', 'the nonce or the ciphertext has an impossible length');
  }
  const padded = xchacha20Poly1305Open(key, nonce, ciphertext, associatedData(lookUp));
  if (!padded) throw new KithError<IndexSetErrorCode>('index-set-open', 'not authentic for this key, id and since');
  const plaintext = unpad(padded);
  if (padded.length !== paddedIndexSetBytes(plaintext.length)) {
    throw new KithError<IndexSetErrorCode>('index-set-content', 'padded to another size than its content asks for');
  }
  const limits = { bytesMax: INDEX_SET_BYTES_MAX, where: 'index set' };
  const content = decodeCbor(plaintext, contentShape, limits);
  const opened = { ...content, since: lookUp.since, entries: decodeEntries(content.entries, lookUp.since) };
  checkContent(opened);
  return opened;
}

function checkContent(answer: OpenedIndexSet): void {
  const fail = (why: string): never => {
    throw new KithError<IndexSetErrorCode>('index-set-content', why);
  };
  const { covered, syncedTo, entries } = answer;
  const start = answerStart(answer);
  const lowest = 'max(birthday, since + 1, first)';
  if (!areNormal(covered)) fail('covered must be ascending, disjoint and not adjacent');
  if (covered.length > 0 && covered[0]![0] < start) fail(`covered must begin at ${lowest} or above`);
  if (syncedTo !== contiguousEnd(covered, start)) fail(`syncedTo must be the end of what is covered from ${lowest}`);
  if (entries.length > 0 && entries[0]![0] < start) fail(`entries must begin at ${lowest} or above`);
}

/** The entity tag of an answer, quotes included. Depends on nothing else, above all on no match. */
export function indexSetTag(regId: RegId, since: number, syncedTo: number): string {
  const hash = sha256(concatBytes(utf8(LABEL_INDEX_SET_TAG), idBytes(regId), u64be(since), u64be(syncedTo)));
  return `"${toBase64Url(hash.subarray(0, 16))}"`;
}
