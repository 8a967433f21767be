// HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305: everything that is
// sealed to a key named in a quote goes through here. Each side of a context counts its messages.

import { chacha20Poly1305Open, chacha20Poly1305Seal, hkdfExpand, hkdfExtract, x25519, x25519Own } from '#crypto';
import { concatBytes, utf8 } from './bytes.ts';
import { KithError } from './errors.ts';
import type { Random } from './ports.ts';

export type HpkeErrorCode = 'hpke-key' | 'hpke-open' | 'hpke-exhausted';

/** Names the one suite we speak: KEM 0x0020, KDF 0x0001, AEAD 0x0003 (RFC 9180, section 7). */
export const HPKE_SUITE = 'x25519-hkdf-sha256-chacha20poly1305';

export const HPKE_KEY_BYTES = 32;
/** Length of `enc`, the encapsulated key. */
export const HPKE_ENC_BYTES = 32;

const EMPTY = new Uint8Array(0);
const VERSION = utf8('HPKE-v1');
const KEM_SUITE = concatBytes(utf8('KEM'), Uint8Array.of(0x00, 0x20));
const HPKE_SUITE_ID = concatBytes(utf8('HPKE'), Uint8Array.of(0x00, 0x20, 0x00, 0x01, 0x00, 0x03));
const MODE_BASE = 0;

export interface HpkeKeyPair {
  readonly secretKey: Uint8Array;
  readonly publicKey: Uint8Array;
  /** The secret key imported once: spares the import where a key opens many messages. */
  readonly agree?: (publicKey: Uint8Array) => Uint8Array | undefined;
}

export interface HpkeExporter {
  /** A secret known to both sides (RFC 9180, section 5.3); different `context`, unrelated secret. */
  export(context: Uint8Array, length: number): Uint8Array;
  /** Overwrites the context's keys; further use throws. */
  wipe(): void;
}

export interface HpkeSender extends HpkeExporter {
  /** Number of the next message. */
  readonly sequence: number;
  seal(aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
}

export interface HpkeRecipient extends HpkeExporter {
  /** Number of the next message that `open` expects. */
  readonly sequence: number;
  /** Opens the next message in order; only a success advances the count. @throws KithError `hpke-open`. */
  open(aad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  /** Opens message `sequence` for transports that carry the number; the caller accepts each number once. */
  openAt(sequence: number, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hkdfExtract(salt, concatBytes(VERSION, suite, utf8(label), ikm));
}

function labeledExpand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, length: number) {
  const prefix = Uint8Array.of(length >> 8, length & 0xff);
  return hkdfExpand(prk, concatBytes(prefix, VERSION, suite, utf8(label), info), length);
}

/** A fresh key pair. */
export function hpkeGenerateKeyPair(random: Random): HpkeKeyPair {
  const secretKey = random.bytes(HPKE_KEY_BYTES);
  return { secretKey, ...x25519Own(secretKey) };
}

/** DeriveKeyPair of RFC 9180, section 7.1.3. */
export function hpkeDeriveKeyPair(ikm: Uint8Array): HpkeKeyPair {
  const prk = labeledExtract(KEM_SUITE, EMPTY, 'dkp_prk', ikm);
  const secretKey = labeledExpand(KEM_SUITE, prk, 'sk', EMPTY, HPKE_KEY_BYTES);
  return { secretKey, ...x25519Own(secretKey) };
}

const agreed = ({ secretKey, agree }: HpkeKeyPair, publicKey: Uint8Array): Uint8Array | undefined =>
  agree ? agree(publicKey) : x25519(secretKey, publicKey);

/** Public keys and `enc` have one length in this suite. */
function expectKeyLength(what: string, key: Uint8Array): void {
  if (key.length !== HPKE_KEY_BYTES) {
    throw new KithError<HpkeErrorCode>('hpke-key', `${what} must be ${HPKE_KEY_BYTES} bytes, got ${key.length}`);
  }
}

function sharedSecret(dh: Uint8Array | undefined, enc: Uint8Array, recipientPublicKey: Uint8Array): Uint8Array {
  if (!dh) throw new KithError<HpkeErrorCode>('hpke-key', 'the X25519 public key is of small order');
  const prk = labeledExtract(KEM_SUITE, EMPTY, 'eae_prk', dh);
  const secret = labeledExpand(KEM_SUITE, prk, 'shared_secret', concatBytes(enc, recipientPublicKey), 32);
  dh.fill(0);
  prk.fill(0);
  return secret;
}

interface Schedule {
  nonceFor(sequence: number): Uint8Array;
  key(): Uint8Array;
  export(context: Uint8Array, length: number): Uint8Array;
  wipe(): void;
}

/** Base mode has no pre-shared key, so that this is the same for all. */
const PSK_ID_HASH = labeledExtract(HPKE_SUITE_ID, EMPTY, 'psk_id_hash', EMPTY);

/** KeySchedule of RFC 9180, section 5.1, in base mode. */
function keySchedule(secret: Uint8Array, info: Uint8Array): Schedule {
  const infoHash = labeledExtract(HPKE_SUITE_ID, EMPTY, 'info_hash', info);
  const context = concatBytes(Uint8Array.of(MODE_BASE), PSK_ID_HASH, infoHash);
  const prk = labeledExtract(HPKE_SUITE_ID, secret, 'secret', EMPTY);
  const key = labeledExpand(HPKE_SUITE_ID, prk, 'key', context, 32);
  const baseNonce = labeledExpand(HPKE_SUITE_ID, prk, 'base_nonce', context, 12);
  const exporterSecret = labeledExpand(HPKE_SUITE_ID, prk, 'exp', context, 32);
  secret.fill(0);
  prk.fill(0);
  let wiped = false;
  const live = () => {
    if (wiped) throw new KithError<HpkeErrorCode>('hpke-key', 'this context was wiped');
  };
  return {
    key() {
      live();
      return key;
    },
    nonceFor(sequence) {
      // The RFC allows 2^96 messages; a JavaScript counter is exact to 2^53.
      if (!Number.isSafeInteger(sequence) || sequence < 0) {
        throw new KithError<HpkeErrorCode>('hpke-exhausted', `no message can have the number ${sequence}`);
      }
      const nonce = baseNonce.slice();
      let rest = sequence;
      for (let i = 11; rest > 0; i--) {
        nonce[i] = nonce[i]! ^ (rest % 256);
        rest = Math.floor(rest / 256);
      }
      return nonce;
    },
    export(exporterContext, length) {
      live();
      return labeledExpand(HPKE_SUITE_ID, exporterSecret, 'sec', exporterContext, length);
    },
    wipe() {
      wiped = true;
      for (const bytes of [key, baseNonce, exporterSecret]) bytes.fill(0);
    },
  };
}

/**
 * SetupBaseS: a context that seals to `recipientPublicKey`, and the `enc` the recipient needs.
 * @throws KithError `hpke-key` if the public key is of the wrong length or of small order.
 */
export function hpkeSetupSender(
  deps: { random: Random },
  recipientPublicKey: Uint8Array,
  info: Uint8Array,
): { enc: Uint8Array; context: HpkeSender } {
  return setupSenderWith(hpkeGenerateKeyPair(deps.random), recipientPublicKey, info);
}

/** SetupBaseS with a given ephemeral key: for the test vectors of the RFC only. */
export function setupSenderWith(
  ephemeral: HpkeKeyPair,
  recipientPublicKey: Uint8Array,
  info: Uint8Array,
): { enc: Uint8Array; context: HpkeSender } {
  let dh: Uint8Array | undefined;
  try {
    expectKeyLength('the public key', recipientPublicKey);
    dh = agreed(ephemeral, recipientPublicKey);
  } finally {
    ephemeral.secretKey.fill(0);
  }
  const enc = ephemeral.publicKey;
  const schedule = keySchedule(sharedSecret(dh, enc, recipientPublicKey), info);
  let sequence = 0;
  const context: HpkeSender = {
    get sequence() {
      return sequence;
    },
    seal(aad, plaintext) {
      const sealed = chacha20Poly1305Seal(schedule.key(), schedule.nonceFor(sequence), plaintext, aad);
      sequence++;
      return sealed;
    },
    export: schedule.export,
    wipe: schedule.wipe,
  };
  return { enc, context };
}

/**
 * SetupBaseR: the recipient's side.
 * @throws KithError `hpke-key` if `enc` is of the wrong length or of small order.
 */
export function hpkeSetupRecipient(keyPair: HpkeKeyPair, enc: Uint8Array, info: Uint8Array): HpkeRecipient {
  expectKeyLength('enc', enc);
  const dh = agreed(keyPair, enc);
  const schedule = keySchedule(sharedSecret(dh, enc, keyPair.publicKey), info);
  let sequence = 0;
  const openAt = (number: number, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array => {
    const plaintext = chacha20Poly1305Open(schedule.key(), schedule.nonceFor(number), ciphertext, aad);
    if (!plaintext) throw new KithError<HpkeErrorCode>('hpke-open', `message ${number} is not authentic`);
    return plaintext;
  };
  return {
    get sequence() {
      return sequence;
    },
    open(aad, ciphertext) {
      const plaintext = openAt(sequence, aad, ciphertext);
      sequence++;
      return plaintext;
    },
    openAt,
    export: schedule.export,
    wipe: schedule.wipe,
  };
}
