// `#crypto` in Node: synchronous node:crypto (OpenSSL), about ten times as fast as JavaScript for most of it.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hash,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { hchacha } from '@noble/ciphers/chacha.js';
import { concatBytes, toBase64Url } from '../bytes.ts';
import { KithError } from '../errors.ts';
import { expectHkdfKey, expectLength, plausibleEd25519Point } from './checks.ts';
import type { Ed25519Signer, P256PublicKey, X25519Own } from './door.ts';

const TAG_BYTES = 16;
const EMPTY = new Uint8Array(0);

/** A plain Uint8Array over what OpenSSL returned: Buffers print, compare and slice differently. */
const plain = (buffer: Uint8Array): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
/** Small results of node:crypto may live in its shared pool; those that callers wipe or keep are copied. */
const copy = (buffer: Uint8Array): Uint8Array => Uint8Array.from(buffer);

/** In one call: a third of what an object that takes its message in pieces costs. */
const digest = (algorithm: string, data: Uint8Array): Uint8Array => copy(hash(algorithm, data, 'buffer'));

export const sha256 = (data: Uint8Array): Uint8Array => digest('sha256', data);
export const sha384 = (data: Uint8Array): Uint8Array => digest('sha384', data);
export const sha512 = (data: Uint8Array): Uint8Array => digest('sha512', data);

export function shake256(data: Uint8Array, length: number): Uint8Array {
  // OpenSSL takes an output length of zero for its default.
  if (length === 0) return EMPTY;
  return copy(createHash('shake256', { outputLength: length }).update(data).digest());
}

const HMAC_BLOCK_BYTES = 64;

/** HMAC (RFC 2104) of one-shot hashes: under OpenSSL 3.5 node:crypto's own takes ten times as long for short messages. */
export function hmacSha256(key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array {
  const short = key.length > HMAC_BLOCK_BYTES ? sha256(key) : key;
  const inner = concatBytes(new Uint8Array(HMAC_BLOCK_BYTES), ...data);
  const outer = new Uint8Array(HMAC_BLOCK_BYTES + 32);
  for (let i = 0; i < HMAC_BLOCK_BYTES; i++) {
    const byte = short[i] ?? 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  outer.set(sha256(inner), HMAC_BLOCK_BYTES);
  const mac = sha256(outer);
  // Both begin with the key.
  inner.fill(0);
  outer.fill(0);
  return mac;
}

export const hkdfExtract = (salt: Uint8Array, ikm: Uint8Array): Uint8Array => hmacSha256(salt, ikm);

export function hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  expectHkdfKey(prk);
  if (length > 255 * 32) throw new KithError('out-of-range', `HKDF gives at most 8160 bytes, ${length} asked`);
  const out = new Uint8Array(length);
  let block: Uint8Array = EMPTY;
  for (let offset = 0, i = 1; offset < length; offset += 32, i++) {
    block = hmacSha256(prk, concatBytes(block, info, Uint8Array.of(i)));
    out.set(block.subarray(0, Math.min(32, length - offset)), offset);
  }
  return out;
}

export function chacha20Poly1305Seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  expectLength('a ChaCha20-Poly1305 key', key, 32);
  expectLength('a ChaCha20-Poly1305 nonce', nonce, 12);
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  const body = cipher.update(plaintext);
  cipher.final();
  return concatBytes(plain(body), plain(cipher.getAuthTag()));
}

export function chacha20Poly1305Open(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Uint8Array | undefined {
  expectLength('a ChaCha20-Poly1305 key', key, 32);
  expectLength('a ChaCha20-Poly1305 nonce', nonce, 12);
  if (ciphertext.length < TAG_BYTES) return undefined;
  const body = ciphertext.subarray(0, ciphertext.length - TAG_BYTES);
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad, { plaintextLength: body.length });
  decipher.setAuthTag(ciphertext.subarray(ciphertext.length - TAG_BYTES));
  const plaintext = copy(decipher.update(body));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}

/** HChaCha20: the subkey for the first 16 bytes of an extended nonce. node:crypto lacks it. */
function xchachaSubkey(key: Uint8Array, nonce: Uint8Array): { key: Uint8Array; nonce: Uint8Array } {
  expectLength('an XChaCha20-Poly1305 key', key, 32);
  expectLength('an XChaCha20-Poly1305 nonce', nonce, 24);
  const words = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
  };
  // "expand 32-byte k", as in RFC 8439, section 2.3.
  const sigma = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574);
  const subkeyWords = new Uint32Array(8);
  hchacha(sigma, words(key), words(nonce.subarray(0, 16)), subkeyWords);
  const subkey = new Uint8Array(32);
  const view = new DataView(subkey.buffer);
  subkeyWords.forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  const shortNonce = new Uint8Array(12);
  shortNonce.set(nonce.subarray(16), 4);
  return { key: subkey, nonce: shortNonce };
}

export function xchacha20Poly1305Seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  const sub = xchachaSubkey(key, nonce);
  return chacha20Poly1305Seal(sub.key, sub.nonce, plaintext, aad);
}

export function xchacha20Poly1305Open(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  aad: Uint8Array,
): Uint8Array | undefined {
  const sub = xchachaSubkey(key, nonce);
  return chacha20Poly1305Open(sub.key, sub.nonce, ciphertext, aad);
}

/** PKCS #8 (RFC 8410) up to the 32 secret bytes, by algorithm. */
const PKCS8_PREFIX = {
  Ed25519: Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20),
  X25519: Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20),
};

type OkpCurve = keyof typeof PKCS8_PREFIX;

function privateKey(curve: OkpCurve, secret: Uint8Array): KeyObject {
  expectLength(`an ${curve} secret`, secret, 32);
  const der = concatBytes(PKCS8_PREFIX[curve], secret);
  try {
    return createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

function publicBytes(own: KeyObject): Uint8Array {
  const spki = createPublicKey(own).export({ format: 'der', type: 'spki' });
  return copy(spki.subarray(spki.length - 32));
}

const publicKeyOf = (curve: OkpCurve, secret: Uint8Array): Uint8Array => publicBytes(privateKey(curve, secret));

function okpPublicKey(curve: OkpCurve, publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: curve, x: toBase64Url(publicKey) }, format: 'jwk' });
}

export const ed25519PublicKey = (secret: Uint8Array): Uint8Array => publicKeyOf('Ed25519', secret);

export function ed25519Signer(secret: Uint8Array): Ed25519Signer {
  const key = privateKey('Ed25519', secret);
  return (message) => copy(sign(null, message, key));
}

export const ed25519Sign = (secret: Uint8Array, message: Uint8Array): Uint8Array => ed25519Signer(secret)(message);

export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64 || !plausibleEd25519Point(publicKey)) return false;
  // Versions of OpenSSL differ about an R of small order, which no honest signer makes.
  if (!plausibleEd25519Point(signature.subarray(0, 32))) return false;
  return verify(null, message, okpPublicKey('Ed25519', publicKey), signature);
}

export const x25519PublicKey = (secret: Uint8Array): Uint8Array => publicKeyOf('X25519', secret);

function agree(own: KeyObject, publicKey: Uint8Array): Uint8Array | undefined {
  expectLength('an X25519 public key', publicKey, 32);
  try {
    return copy(diffieHellman({ privateKey: own, publicKey: okpPublicKey('X25519', publicKey) }));
  } catch {
    // OpenSSL refuses the all-zero result.
    return undefined;
  }
}

export const x25519 = (secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined =>
  agree(privateKey('X25519', secret), publicKey);

export function x25519Own(secret: Uint8Array): X25519Own {
  const own = privateKey('X25519', secret);
  return { publicKey: publicBytes(own), agree: (publicKey) => agree(own, publicKey) };
}

export function p256PublicKey(publicKey: Uint8Array): P256PublicKey | undefined {
  if (publicKey.length !== 64) return undefined;
  let key: KeyObject;
  try {
    const x = toBase64Url(publicKey.subarray(0, 32));
    const y = toBase64Url(publicKey.subarray(32));
    key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  } catch {
    return undefined;
  }
  return {
    verify: (message, signature) =>
      signature.length === 64 && verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature),
  };
}

export const p256Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  p256PublicKey(publicKey)?.verify(message, signature) ?? false;
