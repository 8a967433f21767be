// Tags name operations to members and to nobody else: the keys of an epoch, and what is made with them.

import { hkdfExpand, hmacSha256 } from '#crypto';
import { compareBytes, concatBytes, toHex, u32be, utf8 } from '../../core/bytes.ts';
import { idBytes, type OpId } from '../../core/ids.ts';
import { LABEL_ANCHOR_LOG_KEY, LABEL_ANCHOR_TAG_KEY } from '../../core/labels.ts';
import { TAG_BYTES } from './limits.ts';

const PADDING = utf8('pad');

/** logKey[e + 1] = HKDF-Expand(logKey[e], "kith/anchor-log-key/v1"): there is no way back. 32 bytes. */
export const nextLogKey = (logKey: Uint8Array): Uint8Array => hkdfExpand(logKey, utf8(LABEL_ANCHOR_LOG_KEY), 32);

/** HKDF-Expand(logKey[e], "kith/anchor-tag-key/v1"): makes the tags of its epoch and leads to no other. 32 bytes. */
export const tagKeyOf = (logKey: Uint8Array): Uint8Array => hkdfExpand(logKey, utf8(LABEL_ANCHOR_TAG_KEY), 32);

/** HMAC(tag key, operation id)[0..16]. */
export const tagOf = (tagKey: Uint8Array, opId: Uint8Array): Uint8Array => hmacSha256(tagKey, opId).slice(0, TAG_BYTES);

/** HMAC(tag key, "pad" || u32 seq || u32 number)[0..16]: eleven bytes, where an operation id has 32. */
export const paddingTag = (tagKey: Uint8Array, seq: number, number: number): Uint8Array =>
  hmacSha256(tagKey, PADDING, u32be(seq), u32be(number)).slice(0, TAG_BYTES);

/** The tags of these operations, filled up to `count` and sorted. */
export function buildTags(tagKey: Uint8Array, seq: number, opIds: readonly Uint8Array[], count: number): Uint8Array {
  const tags = opIds.map((opId) => tagOf(tagKey, opId));
  for (let number = 0; tags.length < count; number++) tags.push(paddingTag(tagKey, seq, number));
  return concatBytes(...tags.sort(compareBytes));
}

/** Those of the tags that are not padding, by their hex: members recognise padding, and nobody else does. */
export function withoutPadding(tagKey: Uint8Array, seq: number, tags: readonly Uint8Array[]): Map<string, Uint8Array> {
  const left = new Map(tags.map((tag) => [toHex(tag), tag]));
  for (let number = 0; left.delete(toHex(paddingTag(tagKey, seq, number))); number++);
  return left;
}

/** The bytes of the ids, ascending: the leaves under an anchor's root. */
export const sortedIds = (opIds: readonly OpId[]): Uint8Array[] => opIds.map(idBytes).sort(compareBytes);
