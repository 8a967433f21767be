// What a handshake asks of its surroundings, and what comes out of one.

import type {
  AttestationCode,
  Attestor,
  Cluster,
  CollateralKeeper,
  Quoter,
  TcbStatus,
} from '../../attestation/index.ts';
import type { HpkeKeyPair, HpkeRecipient, HpkeSender } from '../../core/hpke.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { Refusal } from '../errors.ts';

/** Who this node is at the moment; read at each handshake. */
export interface Identity {
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly phase: string;
  /** Fresh at every boot; the same for all handshakes of one boot. */
  readonly hpkeKeyPair: HpkeKeyPair;
}

/** A node whose quote this cluster believes, as it described itself in the quote. */
export interface AttestedPeer {
  readonly nodeId: NodeId;
  readonly bootKey: Uint8Array;
  readonly hpkeKey: Uint8Array;
  readonly incarnation: number;
  /** Hex of SHA-256 over the PPID. */
  readonly platform: string;
  readonly operator: string;
  readonly tcbStatus: TcbStatus;
  /** At the time of the handshake; a session's status is newer. */
  readonly phase: string;
  readonly configurationHash: Uint8Array;
  /** On the monotonic clock, milliseconds. */
  readonly validUntilMs: number;
}

export interface HandshakeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly attestor: Attestor;
  readonly quoter: Pick<Quoter, 'quote'>;
  /** Collateral is the verifier's own, by the kind of platform: what the prover says of it is not asked. */
  readonly collateral: Pick<CollateralKeeper, 'get' | 'newest'>;
  /** The cluster in force. */
  cluster(): Cluster;
  /** Puts a verified successor in force, and on disk. A failure refuses the peer as `configuration-refused`. */
  adopt(cluster: Cluster): Promise<void>;
  identity(): Identity;
  /** Newest chain height and block time known: bounds of measurement sets and of the host's clock. */
  chain(): { readonly height: number; readonly timeMs: number } | undefined;
  /** The last word on a believed peer: incarnations, roster. Undefined lets it in. */
  admit(peer: AttestedPeer): Refusal | undefined;
}

/** Why a handshake failed. The peer is told code and message too. */
export type HandshakeCode =
  | AttestationCode
  | 'version'
  | 'other-cluster'
  /** The configurations are of one cluster, but neither follows the other. */
  | 'configuration-fork'
  /** Too many versions behind for one handshake: those sent are in force, dial again. */
  | 'configuration-behind'
  /** What was sent as a successor is none. */
  | 'configuration-refused'
  /** The peer is this node, or echoes it. */
  | 'reflected'
  | 'nonce-expired'
  | 'collateral-unavailable'
  /** No quote for ourselves. */
  | 'no-quote'
  /** A renewal names another node, key, or a lower incarnation than the handshake before. */
  | 'identity-changed'
  | 'malformed-message'
  | 'timeout';

/** One direction each. */
export interface Contexts {
  readonly sender: HpkeSender;
  readonly recipient: HpkeRecipient;
}

export type HandshakeOutcome =
  | { readonly kind: 'attested'; readonly peer: AttestedPeer }
  /** `by`: who refused whom. */
  | { readonly kind: 'refused'; readonly by: 'us' | 'peer'; readonly code: string; readonly message: string };
