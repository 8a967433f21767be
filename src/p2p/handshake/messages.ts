// The messages of `/kith/attest/1`: closed shapes in deterministic CBOR, one per frame. Any of them may be a refusal.

import { NONCE_BYTES, QUOTE_BYTES_MAX } from '../../attestation/index.ts';
import { type CborValue, decodeCbor, encodeCbor } from '../../core/cbor.ts';
import { printable } from '../../core/errors.ts';
import { HPKE_ENC_BYTES, HPKE_KEY_BYTES } from '../../core/hpke.ts';
import { ID_BYTES } from '../../core/ids.ts';
import { bytes, bytesUpTo, closed, type Shape, type Static, shape, Type, text, uint } from '../../core/schema.ts';
import { peerRefused, type Refusal } from '../errors.ts';
import type { FrameReader, FrameWriter } from '../frames.ts';

export const ATTEST_PROTOCOL = '/kith/attest/1';
export const HANDSHAKE_VERSION = 1;

/**
 * Everything an unattested peer may say in one message but a configuration: a quote (at most 16 KiB) and the claims
 * beside it. Collateral is not sent: it is 30 kB by itself, and a verifier that took the prover's would believe the
 * oldest documents that still hold.
 */
export const HANDSHAKE_MESSAGE_BYTES_MAX = 20_480;
/** One version of a cluster configuration; 3 KB usually, 30 KB with long lists, here with room for large clusters. */
export const CONFIGURATION_MESSAGE_BYTES_MAX = 262_144;
/** Versions sent in one handshake; a node further behind takes these and comes again. */
export const CONFIGURATIONS_MAX = 16;
const REFUSAL_CHARS_MAX = 240;
const PHASE_CHARS_MAX = 32;

const refusal = closed({ kind: Type.Literal('refusal'), code: text(64, 1), message: text(REFUSAL_CHARS_MAX + 3) });

const helloSchema = closed({
  kind: Type.Literal('hello'),
  version: uint(),
  clusterId: bytes(ID_BYTES),
  configurationHash: bytes(32),
  /** Number of the configuration version in force. */
  configurationVersion: uint(),
  nonce: bytes(NONCE_BYTES),
});

/** The signed successor of the receiver's configuration; `last` if none follows it. */
const configurationSchema = closed({
  kind: Type.Literal('configuration'),
  /** JSON of {configuration, signatures}. */
  proposal: bytesUpTo(CONFIGURATION_MESSAGE_BYTES_MAX),
  last: Type.Boolean(),
});

const evidenceSchema = closed({
  kind: Type.Literal('evidence'),
  nodeId: bytes(ID_BYTES),
  incarnation: uint(),
  hpkeKey: bytes(HPKE_KEY_BYTES),
  phase: text(PHASE_CHARS_MAX),
  quote: bytesUpTo(QUOTE_BYTES_MAX),
});

/** "I believe you." `enc` sets up the sender's HPKE context: in the first handshake of a connection, not in renewals. */
const acceptSchema = closed({ kind: Type.Literal('accept'), enc: Type.Optional(bytes(HPKE_ENC_BYTES)) });

export type Hello = Static<typeof helloSchema>;
export type Evidence = Static<typeof evidenceSchema>;
export interface Messages {
  hello: Hello;
  configuration: Static<typeof configurationSchema>;
  evidence: Evidence;
  accept: Static<typeof acceptSchema>;
}

export function sendMessage(writer: FrameWriter, message: Messages[keyof Messages]): Promise<void> {
  return writer.write(encodeCbor(message as CborValue));
}

export function sendRefusal(writer: FrameWriter, { code, message }: Refusal): Promise<void> {
  const cut = printable(message.toWellFormed(), REFUSAL_CHARS_MAX);
  return writer.write(encodeCbor({ kind: 'refusal', code, message: cut }));
}

type Received<Kind extends keyof Messages> = Messages[Kind] | Static<typeof refusal>;

const shapes: { readonly [Kind in keyof Messages]: Shape<Received<Kind>> } = {
  hello: shape(Type.Union([helloSchema, refusal])),
  configuration: shape(Type.Union([configurationSchema, refusal])),
  evidence: shape(Type.Union([evidenceSchema, refusal])),
  accept: shape(Type.Union([acceptSchema, refusal])),
};

/**
 * The next message, which must be of this kind.
 * @throws KithError `peer-refused` for a refusal, or what frames and CBOR throw.
 */
export async function readMessage<Kind extends keyof Messages>(
  reader: FrameReader,
  kind: Kind,
): Promise<Messages[Kind] | undefined> {
  const bytesMax = kind === 'configuration' ? CONFIGURATION_MESSAGE_BYTES_MAX : HANDSHAKE_MESSAGE_BYTES_MAX;
  const frame = await reader.next(bytesMax);
  if (!frame) return undefined;
  const form: Shape<Received<Kind>> = shapes[kind];
  const message = decodeCbor(frame, form, { bytesMax, where: `${kind} of the handshake` });
  if (message.kind === 'refusal') {
    throw peerRefused(printable(message.code, 64), printable(message.message, REFUSAL_CHARS_MAX));
  }
  return message as Messages[Kind];
}
