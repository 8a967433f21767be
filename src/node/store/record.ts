// One sealed record. On the disk: key = namespace tag (16) || HMAC(name key, record key) (32);
// value = nonce (24) || XChaCha20-Poly1305(record key's length (2) || record key || value) || tag (16).
// The associated data is the whole disk key, so a ciphertext opens only where it was written; the record key inside
// lets a scan say whose it is.

import { hmacSha256, xchacha20Poly1305Open, xchacha20Poly1305Seal } from '#crypto';
import { concatBytes, utf8 } from '../../core/bytes.ts';
import { LABEL_STORE_RECORD } from '../../core/labels.ts';
import type { Random } from '../../core/ports.ts';
import { AEAD_TAG_BYTES, NAMESPACE_TAG_BYTES, type NamespaceKeys, NONCE_BYTES } from './keys.ts';

export const DISK_KEY_BYTES = NAMESPACE_TAG_BYTES + 32;

const LENGTH_BYTES = 2;

/** What sealing adds to record key and value. */
export const SEALED_OVERHEAD_BYTES = NONCE_BYTES + LENGTH_BYTES + AEAD_TAG_BYTES;

export interface OpenedRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const CONTEXT = utf8(LABEL_STORE_RECORD);
const context = (diskKey: Uint8Array): Uint8Array => concatBytes(CONTEXT, diskKey);

/** Where the record of a key lies. */
export function diskKeyOf(keys: NamespaceKeys, key: Uint8Array): Uint8Array {
  return concatBytes(keys.tag, hmacSha256(keys.name.expose(), key));
}

export function sealRecord(
  { random }: { random: Random },
  keys: NamespaceKeys,
  diskKey: Uint8Array,
  { key, value }: OpenedRecord,
): Uint8Array {
  const frame = concatBytes(Uint8Array.of(key.length >> 8, key.length & 0xff), key, value);
  const nonce = random.bytes(NONCE_BYTES);
  const sealed = concatBytes(nonce, xchacha20Poly1305Seal(keys.record.expose(), nonce, frame, context(diskKey)));
  frame.fill(0);
  return sealed;
}

/** The record, or undefined if it was not sealed for this place. */
export function openRecord(keys: NamespaceKeys, diskKey: Uint8Array, sealed: Uint8Array): OpenedRecord | undefined {
  if (sealed.length < SEALED_OVERHEAD_BYTES) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const frame = xchacha20Poly1305Open(keys.record.expose(), nonce, sealed.subarray(NONCE_BYTES), context(diskKey));
  return frame && parseFrame(frame);
}

function parseFrame(frame: Uint8Array): OpenedRecord | undefined {
  const keyLength = (frame[0]! << 8) | frame[1]!;
  if (LENGTH_BYTES + keyLength > frame.length) return undefined;
  return { key: frame.slice(LENGTH_BYTES, LENGTH_BYTES + keyLength), value: frame.slice(LENGTH_BYTES + keyLength) };
}

/**
 * Whether a ciphertext that does not open where it lies was sealed for another place of this namespace. The keystream
 * does not depend on the associated data: it shows the record key inside, that names the place, and there the
 * ciphertext must be authentic.
 */
export function isSealedElsewhere(keys: NamespaceKeys, sealed: Uint8Array): boolean {
  if (sealed.length < SEALED_OVERHEAD_BYTES) return false;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const body = sealed.subarray(NONCE_BYTES, sealed.length - AEAD_TAG_BYTES);
  const frame = xchacha20Poly1305Seal(keys.record.expose(), nonce, body, new Uint8Array(0)).subarray(0, body.length);
  const claimed = parseFrame(frame);
  const found = claimed && openRecord(keys, diskKeyOf(keys, claimed.key), sealed) !== undefined;
  frame.fill(0);
  return found ?? false;
}
