// From the sealing key to the key of each use: sealing key (KEK) wraps data key (DEK), HKDF-SHA-256 gives a root key,
// a head key, a set key, a namespace key, and for each namespace a name key and a record key.

import { hkdfExpand, hkdfExtract, hmacSha256, sha256, xchacha20Poly1305Open, xchacha20Poly1305Seal } from '#crypto';
import { concatBytes, u64be, utf8 } from '../../core/bytes.ts';
import {
  LABEL_KEY_COMMITMENT,
  LABEL_STORE_HEAD,
  LABEL_STORE_KEYS,
  LABEL_STORE_NAME,
  LABEL_STORE_NAMESPACE,
  LABEL_STORE_RECORD,
  LABEL_STORE_ROOT,
  LABEL_STORE_SET,
  LABEL_STORE_WRAP,
} from '../../core/labels.ts';
import type { Random } from '../../core/ports.ts';
import { Secret } from '../../core/secret.ts';
import { storeError } from './errors.ts';

export const SEALING_KEY_BYTES = 32;
export const DATA_KEY_BYTES = 32;
const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
export const AEAD_TAG_BYTES = 16;

/** Nonce, data key, tag. */
export const WRAPPED_KEY_BYTES = NONCE_BYTES + DATA_KEY_BYTES + AEAD_TAG_BYTES;

/** Stands for a namespace on the disk. 128 bits: labels of one program do not meet by accident. */
export const NAMESPACE_TAG_BYTES = 16;

export interface NamespaceKeys {
  readonly tag: Uint8Array;
  /** Record keys to their names on the disk. */
  readonly name: Secret;
  /** XChaCha20-Poly1305 key of its records. */
  readonly record: Secret;
}

/** Everything derived from one data key. */
export interface StoreKeys extends Disposable {
  readonly root: Secret;
  readonly head: Secret;
  readonly set: Secret;
  /** 16 bytes that stand for a label on the disk. */
  namespaceTag(label: string): Uint8Array;
  /** By tag, not by label, so that a record found on the disk can be opened without knowing whose it is. */
  namespace(tag: Uint8Array): NamespaceKeys;
}

/** Commits to a sealing key without telling it: it is 32 random bytes, so nobody can search for it. */
export function commitToSealingKey(sealingKey: Secret): Uint8Array {
  return sha256(concatBytes(utf8(LABEL_KEY_COMMITMENT), sealingKey.expose()));
}

/** The data key under the sealing key of `keyEpoch`: nonce, ciphertext, tag. */
export function wrapDataKey(
  { random }: { random: Random },
  dataKey: Secret,
  sealingKey: Secret,
  keyEpoch: number,
): Uint8Array {
  using key = wrappingKey(sealingKey);
  const nonce = random.bytes(NONCE_BYTES);
  return concatBytes(nonce, xchacha20Poly1305Seal(key.expose(), nonce, dataKey.expose(), wrapContext(keyEpoch)));
}

/** The data key, or undefined if it was not wrapped with this sealing key for this epoch. */
export function unwrapDataKey(wrapped: Uint8Array, sealingKey: Secret, keyEpoch: number): Secret | undefined {
  using key = wrappingKey(sealingKey);
  const nonce = wrapped.subarray(0, NONCE_BYTES);
  const body = wrapped.subarray(NONCE_BYTES);
  const dataKey = xchacha20Poly1305Open(key.expose(), nonce, body, wrapContext(keyEpoch));
  return dataKey && Secret.own(dataKey);
}

const wrapContext = (keyEpoch: number): Uint8Array => concatBytes(utf8(LABEL_STORE_WRAP), u64be(keyEpoch));

function wrappingKey(sealingKey: Secret): Secret {
  if (sealingKey.length !== SEALING_KEY_BYTES) {
    throw storeError('store-wrong-key', `a sealing key has ${SEALING_KEY_BYTES} bytes, got ${sealingKey.length}`);
  }
  return Secret.own(hkdfExpand(sealingKey.expose(), utf8(LABEL_STORE_WRAP), KEY_BYTES));
}

export function deriveStoreKeys(dataKey: Secret): StoreKeys {
  const extracted = Secret.own(hkdfExtract(utf8(LABEL_STORE_KEYS), dataKey.expose()));
  const made: Secret[] = [extracted];
  const derive = (label: string, context: Uint8Array = new Uint8Array(0)): Secret => {
    const key = Secret.own(hkdfExpand(extracted.expose(), concatBytes(utf8(label), context), KEY_BYTES));
    made.push(key);
    return key;
  };
  const tags = derive(LABEL_STORE_NAMESPACE);
  return {
    root: derive(LABEL_STORE_ROOT),
    head: derive(LABEL_STORE_HEAD),
    set: derive(LABEL_STORE_SET),
    namespaceTag: (label) => hmacSha256(tags.expose(), utf8(label)).slice(0, NAMESPACE_TAG_BYTES),
    namespace: (tag) => ({
      tag: tag.slice(),
      name: derive(LABEL_STORE_NAME, tag),
      record: derive(LABEL_STORE_RECORD, tag),
    }),
    [Symbol.dispose]() {
      for (const key of made) key.wipe();
    },
  };
}
