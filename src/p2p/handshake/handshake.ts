// `/kith/attest/1`: two nodes prove to each other, over a connection that has proven their boot keys, that they are
// official code on genuine hardware, in this cluster, now. The initiator proves first, so that nobody unattested
// can have quotes made here. Every failure is a typed refusal that the other side is told.

import { NONCE_BYTES } from '../../attestation/index.ts';
import { concatBytes, equalBytes, utf8 } from '../../core/bytes.ts';
import { encodeCbor } from '../../core/cbor.ts';
import { abortable, deadline } from '../../core/deadline.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import { hpkeSetupRecipient, hpkeSetupSender } from '../../core/hpke.ts';
import { idBytes } from '../../core/ids.ts';
import { LABEL_MESH_CONTEXT } from '../../core/labels.ts';
import { type Refusal, refusalOf } from '../errors.ts';
import { createFrameReader, createFrameWriter, type FrameWriter } from '../frames.ts';
import type { ByteStream } from '../stream.ts';
import { agreeOnConfiguration } from './configuration.ts';
import { believe, NONCE_LIFE_MS, prove } from './evidence.ts';
import { type Agreed, type Exchange, expect, fail, type HandshakeRequest } from './exchange.ts';
import { HANDSHAKE_VERSION, type Hello, type Messages, sendMessage, sendRefusal } from './messages.ts';
import type { AttestedPeer, Contexts, HandshakeDeps, HandshakeOutcome } from './ports.ts';

/** The first message of a stranger: it costs nothing to make, so nobody may sit on a slot for longer. */
export const HELLO_TIMEOUT_MS = 5_000;

/** Runs one handshake on a fresh stream; the stream is used up, whatever comes out. Never rejects for what a peer does. */
export async function runHandshake(
  deps: HandshakeDeps,
  stream: ByteStream,
  request: HandshakeRequest,
  { signal }: { signal: AbortSignal },
): Promise<HandshakeOutcome> {
  using limit = deadline(deps.clock, NONCE_LIFE_MS, signal);
  const wire = { reader: createFrameReader(stream), writer: createFrameWriter(stream) };
  let over = false;
  const established: HandshakeRequest['established'] = (peer, contexts) => {
    // Given up while a step was still under way.
    if (over || limit.signal.aborted) fail('timeout', 'the handshake is over');
    request.established(peer, contexts);
  };
  const identity = deps.identity();
  const exchange: Exchange = { ...request, ...wire, established, deps, identity, signal: limit.signal };
  try {
    const run = request.role === 'initiator' ? initiate(exchange) : respond(exchange);
    return { kind: 'attested', peer: await abortable(run, limit.signal) };
  } catch (error) {
    over = true;
    const outcome = outcomeOf(error);
    request.refused?.(outcome);
    if (outcome.by === 'us') await tell(stream, wire.writer, outcome, deps);
    stream.abort(new KithError('attestation-refused', `${outcome.code}: ${outcome.message}`));
    return outcome;
  }
}

/** A second for the refusal to go out: a peer that does not read it learns no more. */
const TELL_TIMEOUT_MS = 1_000;

async function tell(stream: ByteStream, writer: FrameWriter, refusal: Refusal, { clock }: HandshakeDeps) {
  using limit = deadline(clock, TELL_TIMEOUT_MS);
  const told = (async () => {
    await sendRefusal(writer, refusal);
    await writer.end();
    // Ending the connection would take the refusal with it: the peer ends the stream once it has read it.
    while (!limit.signal.aborted && (await stream.read()));
  })();
  await abortable(told, limit.signal).catch(() => undefined);
}

function outcomeOf(error: unknown): HandshakeOutcome & { kind: 'refused' } {
  const refusal = refusalOf(error);
  if (refusal) return { kind: 'refused', by: 'peer', ...refusal };
  if (!isKithError(error)) throw error;
  const code = MALFORMED.has(error.code) ? 'malformed-message' : error.code;
  return { kind: 'refused', by: 'us', code, message: error.message };
}

/** What frames and CBOR say of bytes that are no message. */
const MALFORMED: ReadonlySet<string> = new Set([
  'too-large',
  'malformed',
  'bad-shape',
  'non-canonical',
  'frame-too-large',
  'after-end',
  'truncated',
]);

async function initiate(exchange: Exchange): Promise<AttestedPeer> {
  const agreed = await greet(exchange);
  await prove(exchange, agreed);
  const peer = await believe(exchange, agreed);
  const { enc, complete } = setUpSender(exchange, agreed, peer);
  await sendMessage(exchange.writer, { kind: 'accept', ...(enc && { enc }) });
  const contexts = complete(await expect(exchange, 'accept'));
  exchange.established(peer, contexts);
  await exchange.writer.end();
  await expectEnd(exchange);
  return peer;
}

async function respond(exchange: Exchange): Promise<AttestedPeer> {
  const agreed = await greet(exchange);
  const peer = await believe(exchange, agreed);
  await prove(exchange, agreed);
  const { enc, complete } = setUpSender(exchange, agreed, peer);
  const contexts = complete(await expect(exchange, 'accept'));
  exchange.established(peer, contexts);
  await sendMessage(exchange.writer, { kind: 'accept', ...(enc && { enc }) });
  await exchange.writer.end();
  // The initiator's end says that it has established the session too: before it, streams of ours would be refused.
  await expectEnd(exchange);
  return peer;
}

async function expectEnd({ reader }: Exchange): Promise<void> {
  if (await reader.next(0)) fail('malformed-message', 'more after the end of the handshake');
}

/** Both hellos, crossing; then one configuration on both sides. */
async function greet(exchange: Exchange): Promise<Agreed> {
  const { deps, reader, writer } = exchange;
  const own = deps.cluster();
  const ownNonce = deps.random.bytes(NONCE_BYTES);
  const nonceMadeMs = deps.clock.monotonic();
  const hello: Hello = {
    kind: 'hello',
    version: HANDSHAKE_VERSION,
    clusterId: idBytes(own.id),
    configurationHash: own.hash,
    configurationVersion: own.configuration.version,
    nonce: ownNonce,
  };
  if (exchange.role === 'initiator') await sendMessage(writer, hello);
  using limit = deadline(deps.clock, HELLO_TIMEOUT_MS, exchange.signal);
  const theirs = await abortable(expect(exchange, 'hello'), limit.signal);
  limit.cancel();
  if (theirs.version !== HANDSHAKE_VERSION) {
    fail('version', `handshake version ${theirs.version}, this node speaks ${HANDSHAKE_VERSION}`);
  }
  if (!equalBytes(theirs.clusterId, idBytes(own.id))) fail('other-cluster', `this node is of the cluster ${own.id}`);
  if (equalBytes(theirs.nonce, ownNonce) || equalBytes(exchange.peerBootKey, exchange.ownBootKey)) {
    fail('reflected', 'the peer echoes this node');
  }
  if (exchange.role === 'responder') await sendMessage(writer, hello);
  const cluster = await agreeOnConfiguration(deps, own, theirs, { reader, writer });
  return { cluster, ownNonce, peerNonce: theirs.nonce, nonceMadeMs };
}

/** HPKE contexts of both directions; in a renewal none, and none may be offered. */
function setUpSender(exchange: Exchange, agreed: Agreed, peer: AttestedPeer) {
  const { deps, identity, ownBootKey, peerBootKey, previous } = exchange;
  if (previous) {
    return {
      complete({ enc }: Messages['accept']): undefined {
        if (enc) fail('malformed-message', 'a renewal keeps the keys of its connection');
      },
    };
  }
  const { ownNonce, peerNonce } = agreed;
  const outgoing = contextInfo({
    senderKey: ownBootKey,
    receiverKey: peerBootKey,
    senderNonce: ownNonce,
    receiverNonce: peerNonce,
  });
  const incoming = contextInfo({
    senderKey: peerBootKey,
    receiverKey: ownBootKey,
    senderNonce: peerNonce,
    receiverNonce: ownNonce,
  });
  const { enc, context } = hpkeSetupSender(deps, peer.hpkeKey, outgoing);
  return {
    enc,
    complete({ enc: theirs }: Messages['accept']): Contexts {
      if (!theirs) return fail('malformed-message', 'the first handshake of a connection needs keys');
      return { sender: context, recipient: hpkeSetupRecipient(identity.hpkeKeyPair, theirs, incoming) };
    },
  };
}

function contextInfo(ends: {
  senderKey: Uint8Array;
  receiverKey: Uint8Array;
  senderNonce: Uint8Array;
  receiverNonce: Uint8Array;
}): Uint8Array {
  return concatBytes(utf8(LABEL_MESH_CONTEXT), encodeCbor(ends));
}
