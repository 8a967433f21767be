// An anchor: tags of operations that a quorum of members holds, and their signatures. Formats: docs/REPLICATION.md.

import { ed25519Verify, sha256 } from '#crypto';
import { compareBytes, concatBytes, fromBase64Url, toBase64Url, toHex, utf8 } from '../../core/bytes.ts';
import { decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import { type ClusterId, idBytes, nodeIdFromBytes } from '../../core/ids.ts';
import { LABEL_ANCHOR, LABEL_ANCHOR_PROPOSER, LABEL_ANCHOR_SIGNATURE } from '../../core/labels.ts';
import { fillsQuorum } from '../../core/quorum.ts';
import { HEIGHT_MAX } from '../../core/registration/limits.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { bytes, bytesUpTo, closed, list, type Static, shape, uint } from '../../core/schema.ts';
import {
  ANCHOR_BYTES_MAX,
  ANCHOR_TEXT_CHARS_MAX,
  EPOCH_BLOCKS,
  SEQ_LIMIT,
  SIGNERS_MAX,
  TAG_BYTES,
  TAGS_LARGE,
  TAGS_SMALL,
} from './limits.ts';

export const EPOCH_MAX = HEIGHT_MAX / EPOCH_BLOCKS;
const SMALL_BYTES = TAGS_SMALL * TAG_BYTES;
const LARGE_BYTES = TAGS_LARGE * TAG_BYTES;

const bodyFields = {
  epoch: uint(Math.floor(EPOCH_MAX)),
  seq: uint(SEQ_LIMIT - 1),
  /** Hash of the anchor before, 32 zeros for the first. */
  previous: bytes(32),
  /** Merkle root (RFC 6962) over the ids of the operations, ascending. */
  root: bytes(32),
  /** Of the roster whose members sign. */
  rosterHash: bytes(32),
  /** 32 or 512 tags, ascending: those of operations and of padding look alike. */
  tags: bytesUpTo(LARGE_BYTES, SMALL_BYTES),
};
const anchorSchema = closed({
  ...bodyFields,
  /** Ascending by node id, each once. */
  certificate: list(closed({ nodeId: bytes(32), signature: bytes(64) }), SIGNERS_MAX, 1),
});
const anchorShape = shape(anchorSchema);

/** Its certificate is not verified by being of this type. */
export type Anchor = Static<typeof anchorSchema>;
export type AnchorBody = Omit<Anchor, 'certificate'>;

export const NO_ANCHOR_HASH: Uint8Array = new Uint8Array(32);

/** Where an anchor belongs, as one number: ascending in the order of anchors. */
export const positionOf = ({ epoch, seq }: { readonly epoch: number; readonly seq: number }): number =>
  epoch * SEQ_LIMIT + seq;

export const epochOf = (height: number): number => Math.floor(height / EPOCH_BLOCKS);

/** SHA-256("kith/anchor/v1" || CBOR{clusterId, all fields but the certificate}). */
export function anchorHash(
  clusterId: ClusterId,
  { epoch, seq, previous, root, rosterHash, tags }: AnchorBody,
): Uint8Array {
  const fields = encodeCbor({ clusterId: idBytes(clusterId), epoch, seq, previous, root, rosterHash, tags });
  return sha256(concatBytes(utf8(LABEL_ANCHOR), fields));
}

/** What members sign. */
export const anchorMessage = (hash: Uint8Array): Uint8Array => concatBytes(utf8(LABEL_ANCHOR_SIGNATURE), hash);

/** Deterministic CBOR; at most ANCHOR_BYTES_MAX bytes. */
export const encodeAnchor = (anchor: Anchor): Uint8Array => encodeCbor({ ...anchor });

/** @throws KithError `too-large`, `malformed`, `bad-shape`, `non-canonical`. Verifies nothing. */
export function decodeAnchor(encoded: Uint8Array): Anchor {
  const anchor = decodeCbor(encoded, anchorShape, { bytesMax: ANCHOR_BYTES_MAX, where: 'anchor' });
  const { tags, certificate } = anchor;
  if (tags.length !== SMALL_BYTES && tags.length !== LARGE_BYTES) {
    throw new KithError('bad-shape', `anchor: expected ${TAGS_SMALL} or ${TAGS_LARGE} tags`);
  }
  if (!ascending(tagsOf(anchor)) || !ascending(certificate.map(({ nodeId }) => nodeId))) {
    throw new KithError('non-canonical', 'anchor: tags and signers must ascend, each once');
  }
  return anchor;
}

const ascending = (items: readonly Uint8Array[]): boolean =>
  items.every((item, i) => i === 0 || compareBytes(items[i - 1]!, item) < 0);

/** The tags one by one, 16 bytes each. */
export function tagsOf({ tags }: { readonly tags: Uint8Array }): Uint8Array[] {
  return Array.from({ length: tags.length / TAG_BYTES }, (_, i) => tags.subarray(i * TAG_BYTES, (i + 1) * TAG_BYTES));
}

/** What texts of anchors begin with. */
export const anchorPrefix = (clusterId: ClusterId): string => `kith/${clusterId}/`;

/** The transaction that carries an anchor: a pair to CometBFT's own kvstore application. */
export const anchorText = (clusterId: ClusterId, anchor: Anchor): string =>
  `${anchorPrefix(clusterId)}${anchor.epoch}.${anchor.seq}=${toBase64Url(encodeAnchor(anchor))}`;

/** The anchor in a text, or undefined if it is none of this cluster, written in exactly this way. Verifies nothing. */
export function readAnchorText(clusterId: ClusterId, text: string): Anchor | undefined {
  const prefix = anchorPrefix(clusterId);
  if (text.length > prefix.length + ANCHOR_TEXT_CHARS_MAX || !text.startsWith(prefix)) return undefined;
  const match = /^(\d{1,15})\.(\d{1,2})=([A-Za-z0-9_-]+)$/.exec(text.slice(prefix.length));
  if (!match) return undefined;
  try {
    const anchor = decodeAnchor(fromBase64Url(match[3]!));
    return `${anchor.epoch}.${anchor.seq}` === `${match[1]}.${match[2]}` ? anchor : undefined;
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}

export type CertificateVerdict = 'valid' | 'not-on-roster' | 'no-quorum' | 'bad-signature';

/**
 * Whether a majority of the platforms of a roster signed (core/quorum.ts). Who signs and how many is looked at first,
 * and the first signature that is wrong ends it: garbage costs one verification.
 * @param verified remembers signatures that were right, so that copies of an anchor with one of them altered cost no more.
 */
export function checkCertificate(
  anchor: Anchor,
  hash: Uint8Array,
  members: readonly RosterEntry[],
  verified: Set<string> = new Set(),
): CertificateVerdict {
  const signers = anchor.certificate.map(({ nodeId }) => nodeIdFromBytes(nodeId));
  const listed = new Set(members.map(({ nodeId }) => nodeId));
  if (!signers.every((nodeId) => listed.has(nodeId))) return 'not-on-roster';
  if (!fillsQuorum(members, signers)) return 'no-quorum';
  const message = anchorMessage(hash);
  for (const { nodeId, signature } of anchor.certificate) {
    const name = toHex(sha256(concatBytes(hash, nodeId, signature)));
    if (verified.has(name)) continue;
    if (!ed25519Verify(nodeId, message, signature)) return 'bad-signature';
    verified.add(name);
  }
  return 'valid';
}

/**
 * Who proposes the anchors of an epoch, first to last: rendezvous, SHA-256("kith/anchor-proposer/v1" || roster hash ||
 * CBOR(epoch) || node id), the lowest first.
 */
export function proposersOf(epoch: number, rosterHash: Uint8Array, members: readonly RosterEntry[]): RosterEntry[] {
  return members
    .map((member) => {
      const parts = [utf8(LABEL_ANCHOR_PROPOSER), rosterHash, encodeCbor(epoch), idBytes(member.nodeId)];
      return { member, rank: sha256(concatBytes(...parts)) };
    })
    .sort((a, b) => compareBytes(a.rank, b.rank))
    .map(({ member }) => member);
}
