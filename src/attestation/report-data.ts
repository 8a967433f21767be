// The 64 bytes a node puts into its quotes: what a quote is evidence for. They are always a hash over a claim of one
// of three purposes, so that no quote can be used for another purpose, cluster or moment; nothing here, and no quote
// provider, takes bytes chosen by a caller.

import { sha512 } from '#crypto';
import { concatBytes, equalBytes, utf8 } from '../core/bytes.ts';
import { encodeCbor } from '../core/cbor.ts';
import { KithError, unreachable } from '../core/errors.ts';
import { type ClusterId, idBytes, type NodeId } from '../core/ids.ts';
import { LABEL_REPORT } from '../core/labels.ts';
import { merklePath, merkleRoot, merkleVerify } from '../core/merkle.ts';

interface Claim {
  readonly clusterId: ClusterId;
  /** Hash of the configuration in force, 32 bytes. */
  readonly configurationHash: Uint8Array;
  readonly nodeId: NodeId;
  /** X25519 key that secrets for this node are sealed to, 32 bytes; fresh at every boot. */
  readonly hpkeKey: Uint8Array;
}

/** One end of a handshake between nodes: fresh nonces (32 bytes) and boot keys of both, as the prover sees them. */
interface Handshake {
  readonly ownNonce: Uint8Array;
  readonly peerNonce: Uint8Array;
  /** Public keys of the libp2p identities, 32 bytes. */
  readonly ownBootKey: Uint8Array;
  readonly peerBootKey: Uint8Array;
}

/** "I am this node, talking to you on this connection." */
export interface PeerClaim extends Claim, Handshake {
  readonly purpose: 'peer';
  readonly role: 'initiator' | 'responder';
  readonly incarnation: number;
  readonly phase: string;
}

/** "Give me my share back, as this incarnation, sealed to this key." */
export interface RecoverClaim extends Claim, Handshake {
  readonly purpose: 'recover';
  /** The one asked for. */
  readonly incarnation: number;
  /** SHA-256 of the store id, 32 bytes. */
  readonly storeIdHash: Uint8Array;
}

/** "Clients may seal to this key"; made once for all clients waiting. */
export interface ClientClaim extends Claim {
  readonly purpose: 'client';
  /** 32 bytes. */
  readonly rosterHash: Uint8Array;
  /** Merkle root over the nonces of the waiting clients, 32 bytes. */
  readonly noncesRoot: Uint8Array;
}

export type ReportClaim = PeerClaim | RecoverClaim | ClientClaim;
export type ReportPurpose = ReportClaim['purpose'];

export const NONCE_BYTES = 32;
const KEY_BYTES = 32;
const HASH_BYTES = 32;
const PHASE_CHARS_MAX = 32;

declare const made: unique symbol;
/** 64 bytes made by `reportDataOf` only. */
export type ReportData = Uint8Array & { readonly [made]: true };

function expectBytes(what: string, value: Uint8Array, length: number): Uint8Array {
  if (value.length === length) return value;
  throw new KithError('bad-claim', `${what} must have ${length} bytes, got ${value.length}`);
}

/** Anything but a counter would have a CBOR form that no reader of ours accepts. */
function expectCount(incarnation: number): number {
  if (Number.isSafeInteger(incarnation) && incarnation >= 0) return incarnation;
  throw new KithError('bad-claim', 'an incarnation is a whole number');
}

/**
 * SHA-512("kith/report/v1" || CBOR of the claim), with the purpose among its fields.
 * @throws KithError `bad-claim` for a field of the wrong length.
 */
export function reportDataOf(claim: ReportClaim): ReportData {
  return sha512(concatBytes(utf8(LABEL_REPORT), encodeCbor(fieldsOf(claim)))) as ReportData;
}

/** Whether these 64 bytes of a verified quote stand for exactly this claim. */
export function claims(reportData: Uint8Array, claim: ReportClaim): boolean {
  return equalBytes(reportData, reportDataOf(claim));
}

/** Field by field: a property that is not named here is not in the hash and cannot slip in. */
function fieldsOf(claim: ReportClaim) {
  const common = {
    purpose: claim.purpose,
    clusterId: idBytes(claim.clusterId),
    configurationHash: expectBytes('the configuration hash', claim.configurationHash, HASH_BYTES),
    nodeId: idBytes(claim.nodeId),
    hpkeKey: expectBytes('the HPKE key', claim.hpkeKey, KEY_BYTES),
  };
  switch (claim.purpose) {
    case 'peer':
      if (claim.phase.length > PHASE_CHARS_MAX) throw new KithError('bad-claim', 'a phase with that name is unknown');
      return {
        ...common,
        ...handshakeFields(claim),
        role: claim.role,
        incarnation: expectCount(claim.incarnation),
        phase: claim.phase,
      };
    case 'recover':
      return {
        ...common,
        ...handshakeFields(claim),
        incarnation: expectCount(claim.incarnation),
        storeIdHash: expectBytes('the hash of the store id', claim.storeIdHash, HASH_BYTES),
      };
    case 'client':
      return {
        ...common,
        rosterHash: expectBytes('the roster hash', claim.rosterHash, HASH_BYTES),
        noncesRoot: expectBytes('the root of the nonces', claim.noncesRoot, HASH_BYTES),
      };
    default:
      return unreachable(claim);
  }
}

function handshakeFields(claim: Handshake) {
  return {
    ownNonce: expectBytes('the own nonce', claim.ownNonce, NONCE_BYTES),
    peerNonce: expectBytes("the peer's nonce", claim.peerNonce, NONCE_BYTES),
    ownBootKey: expectBytes('the own boot key', claim.ownBootKey, KEY_BYTES),
    peerBootKey: expectBytes("the peer's boot key", claim.peerBootKey, KEY_BYTES),
  };
}

/** Where a client's nonce is under the root that one quote covers. */
export interface NoncePath {
  readonly root: Uint8Array;
  readonly index: number;
  readonly count: number;
  readonly path: readonly Uint8Array[];
}

/** Root and paths for the nonces that wait for one quote, in their order. @throws KithError `bad-claim`. */
export function batchNonces(nonces: readonly Uint8Array[]): { root: Uint8Array; paths: NoncePath[] } {
  for (const nonce of nonces) expectBytes('a nonce', nonce, NONCE_BYTES);
  const root = merkleRoot(nonces);
  const count = nonces.length;
  return { root, paths: nonces.map((_, index) => ({ root, index, count, path: merklePath(nonces, index) })) };
}

/**
 * A client's check: the quote is for this claim, and `nonce` is among those it answers.
 * @param claim what the node says; its `noncesRoot` is taken from the path.
 */
export function answersNonce(
  reportData: Uint8Array,
  claim: Omit<ClientClaim, 'noncesRoot'>,
  nonce: Uint8Array,
  where: NoncePath,
): boolean {
  if (nonce.length !== NONCE_BYTES || where.root.length !== HASH_BYTES) return false;
  if (!merkleVerify(where.root, nonce, where.index, where.count, where.path)) return false;
  return claims(reportData, { ...claim, noncesRoot: where.root });
}
