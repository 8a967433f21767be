// Requests sealed to the HPKE key of an attested node, and answers sealed to whoever sent the request: what a proxy or
// the host in between cannot read, forge or answer. One HPKE context per request; its exporter gives the answer's key.

import { xchacha20Poly1305Open, xchacha20Poly1305Seal } from '#crypto';
import { fromBase64Url, toBase64Url, utf8 } from './bytes.ts';
import { encodeCbor } from './cbor.ts';
import { KithError, messageOf } from './errors.ts';
import { HPKE_SUITE, type HpkeKeyPair, hpkeSetupRecipient, hpkeSetupSender } from './hpke.ts';
import { type ClusterId, idBytes, type NodeId } from './ids.ts';
import { LABEL_SEALED_ANSWER, LABEL_SEALED_REQUEST } from './labels.ts';
import { pad, unpad } from './padding.ts';
import type { Random } from './ports.ts';

export type RequestKind = 'register' | 'renew' | 'revoke' | 'recover';

/** Whom a request is for: part of the key schedule, so that it opens nowhere else. */
export interface RequestContext {
  readonly clusterId: ClusterId;
  readonly nodeId: NodeId;
  readonly kind: RequestKind;
}

export interface SealedRequest {
  readonly enc: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface SealedAnswer {
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** A sealed request as it travels in JSON: base64url. */
export interface SealedBox {
  readonly suite: string;
  readonly enc: string;
  readonly ciphertext: string;
}

export const toSealedBox = ({ enc, ciphertext }: SealedRequest): SealedBox => ({
  suite: HPKE_SUITE,
  enc: toBase64Url(enc),
  ciphertext: toBase64Url(ciphertext),
});

/** @throws KithError `unknown-suite` or `bad-base64url`, naming the field. */
export function fromSealedBox({ suite, enc, ciphertext }: SealedBox): SealedRequest {
  if (suite !== HPKE_SUITE) throw new KithError('unknown-suite', `seal with the suite ${HPKE_SUITE}`);
  return { enc: decodeField('enc', enc), ciphertext: decodeField('ciphertext', ciphertext) };
}

function decodeField(name: string, text: string): Uint8Array {
  try {
    return fromBase64Url(text);
  } catch (cause) {
    throw new KithError('bad-base64url', `${name}: ${messageOf(cause)}`, { cause });
  }
}

/** Far above the one size of submissions. */
const REQUEST_BYTES_MAX = 32_768;
/** Answers differ by their receipts only; they are padded to a multiple of this. */
const ANSWER_PADDING_BYTES = 1_024;

const NONCE_BYTES = 24;
const EMPTY = new Uint8Array(0);

const infoOf = ({ clusterId, nodeId, kind }: RequestContext): Uint8Array =>
  encodeCbor({ label: LABEL_SEALED_REQUEST, clusterId: idBytes(clusterId), nodeId: idBytes(nodeId), kind });

/**
 * Seals a request to a node's HPKE key (32 bytes, from a verified quote). The plaintext should have a size that tells
 * nothing: submissions have one.
 * @returns the request, and how to open its answer: undefined if that is not the node's.
 */
export function sealRequest(
  deps: { random: Random },
  publicKey: Uint8Array,
  context: RequestContext,
  plaintext: Uint8Array,
): { request: SealedRequest; openAnswer: (answer: SealedAnswer) => Uint8Array | undefined } {
  const { enc, context: sender } = hpkeSetupSender(deps, publicKey, infoOf(context));
  const ciphertext = sender.seal(EMPTY, plaintext);
  const answerKey = sender.export(utf8(LABEL_SEALED_ANSWER), 32);
  sender.wipe();
  return {
    request: { enc, ciphertext },
    openAnswer({ nonce, ciphertext: sealed }) {
      if (nonce.length !== NONCE_BYTES) return undefined;
      const opened = xchacha20Poly1305Open(answerKey, nonce, sealed, EMPTY);
      return opened && unpad(opened);
    },
  };
}

/**
 * Opens a request sealed to `keyPair`.
 * @returns its plaintext (the caller wipes it), and how to seal the one answer.
 * @throws KithError `hpke-key`, `hpke-open` or `too-large`.
 */
export function openRequest(
  deps: { random: Random },
  keyPair: HpkeKeyPair,
  context: RequestContext,
  request: SealedRequest,
): { plaintext: Uint8Array; sealAnswer: (plaintext: Uint8Array) => SealedAnswer } {
  if (request.ciphertext.length > REQUEST_BYTES_MAX) {
    throw new KithError('too-large', `a sealed request has at most ${REQUEST_BYTES_MAX} bytes`);
  }
  const recipient = hpkeSetupRecipient(keyPair, request.enc, infoOf(context));
  try {
    const plaintext = recipient.open(EMPTY, request.ciphertext);
    const answerKey = recipient.export(utf8(LABEL_SEALED_ANSWER), 32);
    return {
      plaintext,
      sealAnswer(answer) {
        const nonce = deps.random.bytes(NONCE_BYTES);
        const size = Math.ceil((answer.length + 1) / ANSWER_PADDING_BYTES) * ANSWER_PADDING_BYTES;
        return { nonce, ciphertext: xchacha20Poly1305Seal(answerKey, nonce, pad(answer, size), EMPTY) };
      },
    };
  } finally {
    recipient.wipe();
  }
}
