// Evidence: the own quote for this very connection, and the judgement on the peer's.

import { type AcceptedQuote, type PeerClaim, platformKindOf, verificationTime } from '../../attestation/index.ts';
import { equalBytes } from '../../core/bytes.ts';
import { isKithError, KithError } from '../../core/errors.ts';
import { idBytes, nodeIdFromBytes } from '../../core/ids.ts';
import { type Agreed, type Exchange, expect, fail } from './exchange.ts';
import { type Evidence, sendMessage } from './messages.ts';
import type { AttestedPeer, HandshakeDeps } from './ports.ts';

/** Life of a nonce and of the whole handshake: quoting services of clouds were seen to take seconds, twice. */
export const NONCE_LIFE_MS = 30_000;
/** Evidence is believed for so long; a session renews it before. */
export const ATTESTATION_LIFE_MS = 3_600_000;

/** Sends a quote that names both nonces, both boot keys and everything the peer will rely on. */
export async function prove(exchange: Exchange, { cluster, ownNonce, peerNonce }: Agreed): Promise<void> {
  const { deps, identity, role, ownBootKey, peerBootKey, signal } = exchange;
  const claim: PeerClaim = {
    purpose: 'peer',
    clusterId: cluster.id,
    configurationHash: cluster.hash,
    nodeId: identity.nodeId,
    hpkeKey: identity.hpkeKeyPair.publicKey,
    incarnation: identity.incarnation,
    phase: identity.phase,
    role,
    ownNonce,
    peerNonce,
    ownBootKey,
    peerBootKey,
  };
  const quote = await makeQuote(deps, claim, signal);
  const { hpkeKey, incarnation, phase } = claim;
  await sendMessage(exchange.writer, {
    kind: 'evidence',
    nodeId: idBytes(identity.nodeId),
    incarnation,
    hpkeKey,
    phase,
    quote,
  });
}

async function makeQuote(deps: HandshakeDeps, claim: PeerClaim, signal: AbortSignal): Promise<Uint8Array> {
  try {
    return await deps.quoter.quote(claim, { signal });
  } catch (error) {
    if (isKithError(error)) return fail('no-quote', `no quote could be made: ${error.code}`);
    throw error;
  }
}

/** The peer's evidence, verified against what this connection is and what was asked. */
export async function believe(exchange: Exchange, agreed: Agreed): Promise<AttestedPeer> {
  const { deps, identity } = exchange;
  const evidence = await expect(exchange, 'evidence');
  const nodeId = nodeIdFromBytes(evidence.nodeId);
  if (nodeId === identity.nodeId || equalBytes(evidence.hpkeKey, identity.hpkeKeyPair.publicKey)) {
    fail('reflected', 'the peer claims to be this node');
  }
  const believed = await verify(exchange, agreed, evidence);
  if (deps.clock.monotonic() - agreed.nonceMadeMs >= NONCE_LIFE_MS) {
    fail('nonce-expired', `the evidence came more than ${NONCE_LIFE_MS} ms after its nonce`);
  }
  const peer: AttestedPeer = {
    nodeId,
    bootKey: exchange.peerBootKey,
    hpkeKey: evidence.hpkeKey,
    incarnation: evidence.incarnation,
    platform: believed.quote.platform,
    operator: believed.operator,
    tcbStatus: believed.quote.tcbStatus,
    phase: evidence.phase,
    configurationHash: agreed.cluster.hash,
    validUntilMs: deps.clock.monotonic() + ATTESTATION_LIFE_MS,
  };
  checkUnchanged(exchange.previous, peer);
  const refused = deps.admit(peer);
  if (refused) throw new KithError(refused.code, refused.message);
  return peer;
}

async function verify(
  { deps, role, ownBootKey, peerBootKey, signal }: Exchange,
  { cluster, ownNonce, peerNonce }: Agreed,
  evidence: Evidence,
): Promise<{ quote: AcceptedQuote; operator: string }> {
  const kind = platformKindOf(evidence.quote);
  const collateral = await deps.collateral.get(kind, { signal });
  // As the peer sees it: its own is our peer's.
  const claim: PeerClaim = {
    purpose: 'peer',
    clusterId: cluster.id,
    configurationHash: cluster.hash,
    nodeId: nodeIdFromBytes(evidence.nodeId),
    hpkeKey: evidence.hpkeKey,
    incarnation: evidence.incarnation,
    phase: evidence.phase,
    role: role === 'initiator' ? 'responder' : 'initiator',
    ownNonce: peerNonce,
    peerNonce: ownNonce,
    ownBootKey: peerBootKey,
    peerBootKey: ownBootKey,
  };
  const chain = deps.chain();
  const attestation = deps.attestor.attest({ quote: evidence.quote, collateral }, claim, {
    nowSeconds: verificationTime(deps.clock.now(), chain?.timeMs),
    height: chain?.height,
    newestCollateral: deps.collateral.newest(),
  });
  return attestation.kind === 'believed' ? attestation : fail(attestation.code, attestation.message);
}

/** One connection is one node, one boot, for its whole life. */
function checkUnchanged(previous: AttestedPeer | undefined, peer: AttestedPeer): void {
  if (!previous) return;
  const same =
    previous.nodeId === peer.nodeId &&
    equalBytes(previous.hpkeKey, peer.hpkeKey) &&
    previous.platform === peer.platform &&
    previous.incarnation <= peer.incarnation;
  if (!same) fail('identity-changed', 'a renewal must be of the same node and boot; connect anew');
}
