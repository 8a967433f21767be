// `#crypto` in browsers: @noble, the same answers as node.ts for every input.

import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { x25519 as curve25519, ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256, sha384 as nobleSha384, sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import { shake256 as nobleShake256 } from '@noble/hashes/sha3.js';
import { concatBytes, equalBytes, leToBigint } from '../bytes.ts';
import { KithError } from '../errors.ts';
import { expectHkdfKey, expectLength, plausibleEd25519Point } from './checks.ts';
import type { Ed25519Signer, P256PublicKey, X25519Own } from './door.ts';

const TAG_BYTES = 16;

export const sha256 = (data: Uint8Array): Uint8Array => nobleSha256(data);
export const sha384 = (data: Uint8Array): Uint8Array => nobleSha384(data);
export const sha512 = (data: Uint8Array): Uint8Array => nobleSha512(data);

export const shake256 = (data: Uint8Array, length: number): Uint8Array =>
  length === 0 ? new Uint8Array(0) : nobleShake256(data, { dkLen: length });

export const hmacSha256 = (key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array =>
  hmac(nobleSha256, key, concatBytes(...data));

export const hkdfExtract = (salt: Uint8Array, ikm: Uint8Array): Uint8Array => extract(nobleSha256, ikm, salt);

export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  expectHkdfKey(prk);
  if (length > 255 * 32) throw new KithError('out-of-range', `HKDF gives at most 8160 bytes, ${length} asked`);
  return length === 0 ? new Uint8Array(0) : expand(nobleSha256, prk, info, length);
}

export function chacha20Poly1305Seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  expectLength('a ChaCha20-Poly1305 key', key, 32);
  expectLength('a ChaCha20-Poly1305 nonce', nonce, 12);
  return chacha20poly1305(key, nonce, aad).encrypt(plaintext);
}

export function chacha20Poly1305Open(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Uint8Array | undefined {
  expectLength('a ChaCha20-Poly1305 key', key, 32);
  expectLength('a ChaCha20-Poly1305 nonce', nonce, 12);
  return openOrUndefined(() => chacha20poly1305(key, nonce, aad).decrypt(ciphertext), ciphertext);
}

export function xchacha20Poly1305Seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  expectLength('an XChaCha20-Poly1305 key', key, 32);
  expectLength('an XChaCha20-Poly1305 nonce', nonce, 24);
  return xchacha20poly1305(key, nonce, aad).encrypt(plaintext);
}

export function xchacha20Poly1305Open(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Uint8Array | undefined {
  expectLength('an XChaCha20-Poly1305 key', key, 32);
  expectLength('an XChaCha20-Poly1305 nonce', nonce, 24);
  return openOrUndefined(() => xchacha20poly1305(key, nonce, aad).decrypt(ciphertext), ciphertext);
}

function openOrUndefined(open: () => Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
  if (ciphertext.length < TAG_BYTES) return undefined;
  try {
    return open();
  } catch {
    // Lengths were checked, so the only failure left is a wrong tag.
    return undefined;
  }
}

export function ed25519PublicKey(secret: Uint8Array): Uint8Array {
  expectLength('an Ed25519 secret', secret, 32);
  return ed25519.getPublicKey(secret);
}

export function ed25519Signer(secret: Uint8Array): Ed25519Signer {
  expectLength('an Ed25519 secret', secret, 32);
  const own = secret.slice();
  return (message) => ed25519.sign(message, own);
}

export function ed25519Sign(secret: Uint8Array, message: Uint8Array): Uint8Array {
  expectLength('an Ed25519 secret', secret, 32);
  return ed25519.sign(message, secret);
}

/** Noble's own verification multiplies by the cofactor, OpenSSL's does not; this one does as OpenSSL. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64 || !plausibleEd25519Point(publicKey)) return false;
  // Versions of OpenSSL differ about an R of small order, which no honest signer makes.
  if (!plausibleEd25519Point(signature.subarray(0, 32))) return false;
  const { Point } = ed25519;
  const order = Point.Fn.ORDER;
  const r = signature.subarray(0, 32);
  const s = leToBigint(signature.subarray(32));
  if (s >= order) return false;
  let a: InstanceType<typeof Point>;
  try {
    a = Point.fromBytes(publicKey);
  } catch {
    return false;
  }
  const k = leToBigint(sha512(concatBytes(r, publicKey, message))) % order;
  const expected = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
  return equalBytes(expected.toBytes(), r);
}

export function x25519PublicKey(secret: Uint8Array): Uint8Array {
  expectLength('an X25519 secret', secret, 32);
  return curve25519.getPublicKey(secret);
}

export function x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  expectLength('an X25519 secret', secret, 32);
  expectLength('an X25519 public key', publicKey, 32);
  try {
    return curve25519.getSharedSecret(secret, publicKey);
  } catch {
    // Noble refuses the all-zero result.
    return undefined;
  }
}

export function x25519Own(secret: Uint8Array): X25519Own {
  const own = secret.slice();
  return { publicKey: x25519PublicKey(own), agree: (publicKey) => x25519(own, publicKey) };
}

export function p256PublicKey(publicKey: Uint8Array): P256PublicKey | undefined {
  if (publicKey.length !== 64) return undefined;
  const encoded = concatBytes(Uint8Array.of(4), publicKey);
  try {
    p256.Point.fromBytes(encoded);
  } catch {
    return undefined;
  }
  return {
    verify(message, signature) {
      if (signature.length !== 64) return false;
      try {
        return p256.verify(signature, message, encoded, { lowS: false, prehash: true });
      } catch {
        return false;
      }
    },
  };
}

export const p256Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  p256PublicKey(publicKey)?.verify(message, signature) ?? false;
