// What a node offers to clients, whatever carries the requests: the HTTP server calls this, the simulator calls it
// directly. Expected refusals are KithErrors with codes of http/problems.ts.

import type { RegId } from '../core/ids.ts';
import type { SealedBox } from '../core/sealed-request.ts';

export type Phase = 'starting' | 'attesting' | 'recovering' | 'catching-up' | 'ready' | 'draining' | 'fenced';

const PHASES: readonly Phase[] = ['starting', 'attesting', 'recovering', 'catching-up', 'ready', 'draining', 'fenced'];

/** The phase a member names; one of a later version counts as starting. */
export const readPhase = (text: string): Phase => PHASES.find((phase) => phase === text) ?? 'starting';

export interface Readiness {
  readonly ready: boolean;
  readonly phase: Phase;
  /** Why it is not ready, or what an operator should know; one line each. */
  readonly reasons: readonly string[];
}

export interface NodeInfo {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly configVersion: number;
  /** Of the software. */
  readonly version: string;
  readonly phase: Phase;
  readonly simulated: boolean;
  readonly heights: {
    /** Newest height known of the chain; 0 before the first. */
    readonly chain: number;
    readonly indexed: number;
    readonly detected: number;
    readonly anchored: number;
    /** The median over operators (docs/REPLICATION.md, Heights); the own one where nobody else is. */
    readonly cluster: number;
    /** The first height of the chain that is indexed here; 0 before it is known. */
    readonly first: number;
  };
  readonly members: number;
  /** Platforms of the roster: a majority, and those of members that are connected and this node if it serves. */
  readonly quorum: { readonly needed: number; readonly reachable: number };
  readonly incarnation: number;
  /** All members, whether or not they are connected. */
  readonly roster: readonly RosterInfo[];
  /** How the sealing key of this node is kept; undefined before its store is open. */
  readonly custody?: CustodyInfo | undefined;
}

export interface RosterInfo {
  readonly nodeId: string;
  readonly operator: string;
  /** `self`: this node. */
  readonly standing: 'self' | 'connected' | 'away';
}

/** What an operator's leave of a member names; binary parts in base64url. */
export interface RosterPlaces {
  readonly genesisId: string;
  /** `joinId`: what the member's place comes from. */
  readonly members: readonly (RosterInfo & { readonly joinId: string })[];
}

/** The member an operator's leave took off; it is on the roster of this node no more. */
export interface TakenOff {
  readonly nodeId: string;
  readonly left: true;
}

export interface CustodyInfo {
  readonly phase: 'waiting' | 'dealing' | 'backed';
  readonly keyEpoch: number;
  /** Shares that open the store, of all that were dealt. */
  readonly threshold: number;
  readonly shares: number;
  /** Members that are known to hold theirs. */
  readonly holders: readonly string[];
}

export interface MemberInfo {
  readonly nodeId: string;
  readonly operator: string;
  readonly tcbStatus: string;
  readonly phase: Phase;
  /** Blocks behind the newest height known: of this node in detection, of others in what they have indexed. */
  readonly lag: number;
  /** Seconds since it was last heard of. */
  readonly lastSeenSeconds: number;
}

/** The evidence a client checks before it sends a secret; binary parts in base64url. */
export interface AttestationDocument {
  readonly quote: string;
  readonly collateral?: string;
  readonly nodeId: string;
  readonly hpke: readonly { readonly suite: string; readonly publicKey: string }[];
  /** Members of the roster; its hash stands in the report data. */
  readonly roster: readonly { readonly nodeId: string; readonly platform: string; readonly operator: string }[];
  readonly configurationHash: string;
  /** Where the client's nonce is under the root in the report data. */
  readonly noncePath: {
    readonly root: string;
    readonly index: number;
    readonly count: number;
    readonly path: readonly string[];
  };
}

export type RegistrationState = 'pending' | 'confirmed' | 'expired' | 'revoked';

/** What a node does with a certificate for a registration. */
export interface CertificateAnswer {
  readonly id: string;
  /** `wanted`: it is being fetched from the members that the certificate names. */
  readonly status: 'known' | 'wanted';
}

/** The answer to a sealed request: what everybody may read, and the same sealed with a key of the request. */
export interface OperationAnswer {
  readonly id: string;
  readonly status: 'confirmed' | 'pending';
  readonly expiryHeight: number;
  /** One for each platform that has synced it, as far as they came in time. */
  readonly receipts: readonly string[];
  /** If confirmed: they and what they are for, to be shown to a node that does not know the registration. */
  readonly certificate?: string;
  /** Canonical CBOR of the answer, sealed to the requester alone: the part it should believe. */
  readonly sealed: { readonly nonce: string; readonly ciphertext: string };
}

export interface RegistrationStatus {
  readonly id: string;
  readonly status: RegistrationState;
  readonly expiryHeight: number;
  /** Platforms that have it, as far as this node knows. */
  readonly confirmations: number;
}

export interface IndexSetAnswer {
  readonly id: string;
  readonly since: number;
  readonly nonce: string;
  readonly ciphertext: string;
  /** Depends on id, since and the synced height only. */
  readonly etag: string;
}

/** A store on the disk of a node that waits for shares of its key; binary parts in base64url. */
export interface WaitingStore {
  /** Owner of the store: not the id the node attests. */
  readonly nodeId: string;
  readonly storeIdHash: string;
  /** The store's data key under the recovery keys. */
  readonly blob: string;
  readonly threshold: number;
  readonly entered: number;
  /** In all. */
  readonly needed: number;
}

/** Whether shares of recovery keys are wanted here (docs/RECOVERY.md): of the store set aside first, and of others. */
export type RecoveryState =
  | { readonly state: 'none' }
  | ({ readonly state: 'total-restart'; readonly others?: readonly WaitingStore[] } & WaitingStore);

export interface RecoveryAnswer {
  readonly entered: number;
  /** In all. */
  readonly needed: number;
  /** `opened`: the key is complete and the store is being read. */
  readonly status: 'waiting' | 'opened';
  /** Canonical CBOR of the same, sealed to the requester alone: the part it should believe. */
  readonly sealed: { readonly nonce: string; readonly ciphertext: string };
}

export interface ServiceCall {
  readonly signal: AbortSignal;
}

export interface NodeService {
  readiness(): Readiness;
  node(): NodeInfo;
  members(): readonly MemberInfo[];
  /** @throws KithError `not-ready` while this node knows no roster. */
  roster(): RosterPlaces;
  /**
   * Takes a member off the roster. Repeating it changes nothing.
   * @param encoded a leave signed by the operator, base64url.
   * @throws KithError `bad-statement`, `leave-refused` with the reason, `not-ready`.
   */
  takeOff(encoded: string): Promise<TakenOff>;
  /** @param nonce 32 bytes. */
  attestation(nonce: Uint8Array, call: ServiceCall): Promise<AttestationDocument>;
  register(box: SealedBox, call: ServiceCall): Promise<OperationAnswer>;
  renew(id: RegId, box: SealedBox, call: ServiceCall): Promise<OperationAnswer>;
  revoke(id: RegId, box: SealedBox, call: ServiceCall): Promise<OperationAnswer>;
  registration(id: RegId, call: ServiceCall): Promise<RegistrationStatus | undefined>;
  /** @param encoded base64url. @throws KithError with a code of http/problems.ts. */
  presentCertificate(id: RegId, encoded: string): CertificateAnswer;
  /** @param options.waitMs how long to wait for a synced height above `since`; never for a match. */
  indexSet(
    id: RegId,
    options: { readonly since: number; readonly waitMs: number },
    call: ServiceCall,
  ): Promise<IndexSetAnswer | undefined>;
  recovery(): RecoveryState;
  /** @throws KithError `not-recovering` unless a store waits for its key; others of http/problems.ts. */
  enterRecoveryShare(box: SealedBox, call: ServiceCall): Promise<RecoveryAnswer>;
}
