// What `#crypto` offers, whichever side is behind it: synchronous node:crypto in Node, @noble elsewhere.
// Both sides answer every input alike (one contract suite); failures of verification are values, not exceptions.

/** All of `#crypto`. Lengths in bytes; wrong lengths of keys and nonces throw KithError `bad-key`. */
export interface CryptoDoor {
  sha256(data: Uint8Array): Uint8Array;
  sha384(data: Uint8Array): Uint8Array;
  sha512(data: Uint8Array): Uint8Array;
  /** SHAKE256 (FIPS 202) with `length` bytes of output. */
  shake256(data: Uint8Array, length: number): Uint8Array;
  hmacSha256(key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array;
  /** HKDF-Extract with SHA-256 (RFC 5869, section 2.2). */
  hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Uint8Array;
  /** HKDF-Expand with SHA-256 (RFC 5869, section 2.3); `prk` at least 32, `length` at most 8,160. */
  hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array;

  /** RFC 8439. Key 32, nonce 12; the tag's 16 bytes follow the ciphertext. */
  chacha20Poly1305Seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  /** The plaintext, or undefined if the ciphertext is not authentic. */
  chacha20Poly1305Open(
    key: Uint8Array,
    nonce: Uint8Array,
    ciphertext: Uint8Array,
    aad: Uint8Array,
  ): Uint8Array | undefined;
  /** draft-irtf-cfrg-xchacha-03. Key 32, nonce 24; the tag's 16 bytes follow the ciphertext. */
  xchacha20Poly1305Seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array;
  xchacha20Poly1305Open(
    key: Uint8Array,
    nonce: Uint8Array,
    ciphertext: Uint8Array,
    aad: Uint8Array,
  ): Uint8Array | undefined;

  /** Ed25519 (RFC 8032) public key of a 32-byte secret. */
  ed25519PublicKey(secret: Uint8Array): Uint8Array;
  ed25519Sign(secret: Uint8Array, message: Uint8Array): Uint8Array;
  /**
   * A secret imported once for many signatures: in Node the import takes several times as long as signing. It lasts as
   * long as the function; wiping `secret` does not end it.
   */
  ed25519Signer(secret: Uint8Array): Ed25519Signer;
  /**
   * RFC 8032, section 5.1.7, without cofactor; canonical encodings only; a key or an R of small order is refused.
   * So every verifier gives the same answer to every signature.
   */
  ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;

  /** X25519 (RFC 7748) public key of a 32-byte secret. */
  x25519PublicKey(secret: Uint8Array): Uint8Array;
  /** The shared secret, or undefined when it is all zero (RFC 7748, section 6.1). */
  x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** A secret imported once for its public key and many agreements, as `ed25519Signer`. */
  x25519Own(secret: Uint8Array): X25519Own;

  /**
   * ECDSA over P-256 with SHA-256 of `message`; key x||y (64), signature r||s (64), high s accepted as X.509 does.
   * A key that is no point of the curve answers false.
   */
  p256Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /**
   * A P-256 public key x||y (64), imported once for several signatures; undefined if it is no point of the curve.
   * In Node the import costs as much as a verification.
   */
  p256PublicKey(publicKey: Uint8Array): P256PublicKey | undefined;
}

/** Signs a message: 64 bytes. */
export type Ed25519Signer = (message: Uint8Array) => Uint8Array;

/** An imported X25519 secret. */
export interface X25519Own {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** As `x25519`. */
  agree(publicKey: Uint8Array): Uint8Array | undefined;
}

/** An imported key; see `p256Verify` for what it accepts. */
export interface P256PublicKey {
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}
