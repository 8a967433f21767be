// `#crypto` of a bundled simulator: that of Node, with what several nodes ask of it one after the other answered once.
// Each answer depends on nothing but what is asked, so runs are the same with and without it.

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject, sign, verify } from 'node:crypto';
import { toBase64Url } from '../../../src/core/bytes.ts';
import { expectLength, plausibleEd25519Point } from '../../../src/core/crypto/checks.ts';
import type { Ed25519Signer, P256PublicKey, X25519Own } from '../../../src/core/crypto/door.ts';
import * as real from '../../../src/core/crypto/node.ts';

export * from '../../../src/core/crypto/node.ts';

/** Answers and keys of each kind; the oldest go. A statement is verified by all within a second. */
const REMEMBERED_MAX = 4_096;

function createMemory<T>() {
  const known = new Map<string, T>();
  return (name: string, make: () => T): T => {
    const held = known.get(name);
    if (held !== undefined) return held;
    const made = make();
    if (known.size >= REMEMBERED_MAX) known.delete(known.keys().next().value!);
    known.set(name, made);
    return made;
  };
}

const nameOf = (...parts: readonly Uint8Array[]): string =>
  parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.length).toString('latin1')).join('|');

type Curve = 'Ed25519' | 'X25519';

/** From its parts: OpenSSL takes ten times as long for the same in DER. `x` is not looked at where there is `d`. */
function importSecret(curve: Curve, secret: Uint8Array): KeyObject {
  expectLength(`an ${curve} secret`, secret, 32);
  const text = toBase64Url(secret);
  return createPrivateKey({ key: { kty: 'OKP', crv: curve, d: text, x: text }, format: 'jwk' });
}

const importPublic = (curve: Curve, publicKey: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: curve, x: toBase64Url(publicKey) }, format: 'jwk' });

function publicBytes(own: KeyObject): Uint8Array {
  const spki = createPublicKey(own).export({ format: 'der', type: 'spki' });
  return Uint8Array.from(spki.subarray(spki.length - 32));
}

interface OwnKey {
  readonly key: KeyObject;
  readonly publicKey: Uint8Array;
}

const owned = createMemory<OwnKey>();
const ownKey = (curve: Curve, secret: Uint8Array): OwnKey =>
  owned(`${curve} ${nameOf(secret)}`, () => {
    const key = importSecret(curve, secret);
    return { key, publicKey: publicBytes(key) };
  });

export const ed25519PublicKey = (secret: Uint8Array): Uint8Array => ownKey('Ed25519', secret).publicKey.slice();
export const x25519PublicKey = (secret: Uint8Array): Uint8Array => ownKey('X25519', secret).publicKey.slice();

export function ed25519Signer(secret: Uint8Array): Ed25519Signer {
  const { key } = ownKey('Ed25519', secret);
  return (message) => Uint8Array.from(sign(null, message, key));
}

export const ed25519Sign = (secret: Uint8Array, message: Uint8Array): Uint8Array => ed25519Signer(secret)(message);

const signers = createMemory<KeyObject>();
const verified = createMemory<boolean>();

export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64 || !plausibleEd25519Point(publicKey)) return false;
  if (!plausibleEd25519Point(signature.subarray(0, 32))) return false;
  return verified(nameOf(publicKey, signature, message), () =>
    verify(
      null,
      message,
      signers(nameOf(publicKey), () => importPublic('Ed25519', publicKey)),
      signature,
    ),
  );
}

const peers = createMemory<KeyObject>();

function agree(privateKey: KeyObject, publicKey: Uint8Array): Uint8Array | undefined {
  expectLength('an X25519 public key', publicKey, 32);
  try {
    const other = peers(nameOf(publicKey), () => importPublic('X25519', publicKey));
    return Uint8Array.from(diffieHellman({ privateKey, publicKey: other }));
  } catch {
    return undefined;
  }
}

export const x25519 = (secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined =>
  agree(ownKey('X25519', secret).key, publicKey);

export function x25519Own(secret: Uint8Array): X25519Own {
  const { key, publicKey } = ownKey('X25519', secret);
  return { publicKey: publicKey.slice(), agree: (other) => agree(key, other) };
}

const p256Keys = createMemory<{ readonly key: P256PublicKey | undefined }>();
const p256Verified = createMemory<boolean>();

export function p256PublicKey(publicKey: Uint8Array): P256PublicKey | undefined {
  const name = nameOf(publicKey);
  const { key } = p256Keys(name, () => ({ key: real.p256PublicKey(publicKey) }));
  return (
    key && {
      verify: (message, signature) =>
        p256Verified(`${name}|${nameOf(signature, message)}`, () => key.verify(message, signature)),
    }
  );
}

export const p256Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  p256PublicKey(publicKey)?.verify(message, signature) ?? false;
