// The key server: keeps the shares of other nodes' sealing keys, in memory only, and gives them back to a boot that may
// have them. Deterministic and without I/O: callers were authenticated and quotes verified outside.
// The state machine and why a crash at any point leaves a usable deal: docs/CUSTODY.md.

import { equalBytes } from '../core/bytes.ts';
import { isKithError, unreachable } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import { attemptIdOf, checkDealtShare, storeIdHashOf } from './deal.ts';
import type { Incarnations } from './incarnations.ts';
import { HEADER_BYTES_MAX, INCARNATION_MAX, INCARNATION_STEP_MAX } from './limits.ts';
import type {
  CommitRequest,
  CustodyAnswer,
  DealtShare,
  DepositRequest,
  DropRequest,
  LastRequest,
  OwnerRequest,
  ProbeRequest,
  Refusal,
  RefusalReason,
  ReleaseRequest,
} from './messages.ts';
import {
  describe,
  dropBelow,
  epochToExceed,
  hasRoom,
  type KeptOwner,
  keep,
  newOwner,
  noteHead,
  type Owner,
  promote,
  replacePending,
  sameId,
  wipeOwner,
} from './owner.ts';
import type { ReadHeader } from './ports.ts';
import { verifyTicket } from './ticket.ts';

/** Who asks, as the handshake established it. */
export interface Caller {
  readonly nodeId: NodeId;
  readonly bootKey: Uint8Array;
  readonly incarnation: number;
  /** Hex of SHA-256 over the PPID. */
  readonly platform: string;
  readonly operator: string;
}

/** What a verified `recover` quote says. */
export interface RecoverContext extends Caller {
  readonly hpkeKey: Uint8Array;
  readonly storeIdHash: Uint8Array;
}

/** The cluster's word on who may move a node to another platform, read at each release. */
export interface MigrationPolicy {
  /** Whether this operator's nodes move among its platforms without a ticket (`migrate: auto`). */
  movesFreely(operator: string): boolean;
  /** Ed25519 key that signs this operator's tickets. */
  operatorKey(operator: string): Uint8Array | undefined;
  /** Cluster height; undefined while it is not known, and then no ticket is taken. */
  height(): number | undefined;
}

export interface CustodianDeps {
  readonly self: NodeId;
  readonly readHeader: ReadHeader;
  readonly incarnations: Incarnations;
  readonly migration: MigrationPolicy;
}

export interface Custodian {
  /** Never throws for what a caller sent. */
  answer(caller: Caller, request: OwnerRequest): CustodyAnswer;
  /** For a request whose quote was verified; the shares in the answer are copies, wiped by whoever sends it. */
  release(context: RecoverContext, request: ReleaseRequest): CustodyAnswer;
  owners(): readonly KeptOwner[];
  /** For a node that left the roster for good. */
  forget(nodeId: NodeId): void;
  /** Overwrites every share; from then on everything is refused `stopped`. Idempotent. */
  wipe(): void;
}

const refused = (reason: RefusalReason, known: { last?: number; keyEpoch?: number } = {}): Refusal => ({
  kind: 'refused',
  reason,
  ...known,
});

export function createCustodian(deps: CustodianDeps): Custodian {
  const { incarnations } = deps;
  const owners = new Map<NodeId, Owner>();
  let stopped = false;

  const lastOf = (nodeId: NodeId): number => incarnations.last(nodeId) ?? 0;

  /** Why this boot is not heard, if so. */
  function unheard(caller: Caller): Refusal | undefined {
    const standing = incarnations.standing(caller);
    if (standing === 'fenced' || standing === 'contested') return refused(standing, { last: lastOf(caller.nodeId) });
    return undefined;
  }

  function deposit(caller: Caller, request: DepositRequest): CustodyAnswer {
    if (request.header.length > HEADER_BYTES_MAX) return refused('too-large');
    const dealt: DealtShare = { ...request, incarnation: caller.incarnation, bootKey: caller.bootKey };
    const checked = checkDealtShare(deps.readHeader, dealt, deps.self);
    if (checked.kind === 'bad') return refused(checked.complaint);
    const { view, dealId } = checked;
    if (view.nodeId !== caller.nodeId) return refused('not-your-header');
    if (request.head && request.head.incarnation > caller.incarnation) return refused('bad-head');
    const storeIdHash = storeIdHashOf(view.storeId);
    const known = owners.get(caller.nodeId);
    if (known && !equalBytes(known.storeIdHash, storeIdHash)) return refused('wrong-store');
    if (!known && !hasRoom(owners, caller)) return refused('too-many-owners');
    // The deal's signature showed the node key.
    const standing = incarnations.record(caller);
    if (standing === 'full') return refused('too-many-owners');
    if (standing === 'fenced' || standing === 'contested') return refused(standing, { last: lastOf(caller.nodeId) });

    const owner = known ?? newOwner(caller, storeIdHash);
    if (sameId(owner.pending, request.base)) promote(owner);
    if (!sameId(owner.current, dealId)) {
      const { keyEpoch, threshold, keyServers } = view;
      const above = epochToExceed(owner, caller.incarnation);
      if (keyEpoch <= above) return refused('epoch-not-newer', { keyEpoch: above });
      replacePending(owner, { ...keep(dealt), dealId, keyEpoch, threshold, keyServers });
    }
    owners.set(caller.nodeId, owner);
    owner.platform = caller.platform;
    owner.operator = caller.operator;
    noteHead(owner, request.head);
    return { kind: 'deposited' };
  }

  function commit(owner: Owner, { dealId }: CommitRequest): CustodyAnswer {
    if (sameId(owner.current, dealId)) return { kind: 'committed' };
    if (!sameId(owner.pending, dealId)) return refused('unknown-deal');
    promote(owner);
    return { kind: 'committed' };
  }

  function probe(owner: Owner, caller: Caller, { head }: ProbeRequest): CustodyAnswer {
    if (head && head.incarnation > caller.incarnation) return refused('bad-head');
    noteHead(owner, head);
    return { kind: 'holding', current: owner.current?.dealId.slice(), pending: owner.pending?.dealId.slice() };
  }

  function drop(owner: Owner, { keyEpoch }: DropRequest): CustodyAnswer {
    dropBelow(owner, keyEpoch);
    if (!owner.current && !owner.pending) owners.delete(owner.nodeId);
    return { kind: 'dropped' };
  }

  function last({ nodeId, storeIdHash }: LastRequest): CustodyAnswer {
    const owner = owners.get(nodeId);
    if (!owner) return refused('unknown-owner');
    if (!equalBytes(owner.storeIdHash, storeIdHash)) return refused('wrong-store');
    return { kind: 'last', incarnation: lastOf(nodeId) };
  }

  /** Why this platform may not have the shares, if so. */
  function misplaced(owner: Owner, context: RecoverContext, ticket: Uint8Array | undefined): Refusal | undefined {
    if (context.platform === owner.platform) return undefined;
    if (context.operator === owner.operator && deps.migration.movesFreely(owner.operator)) return undefined;
    if (!ticket) return refused('platform');
    return permits(deps.migration, owner, context, ticket) ? undefined : refused('ticket');
  }

  return {
    answer(caller, request) {
      if (stopped) return refused('stopped');
      if (request.kind === 'last') return last(request);
      if (request.kind === 'deposit') return deposit(caller, request);
      const fenced = unheard(caller);
      if (fenced) return fenced;
      const owner = owners.get(caller.nodeId);
      switch (request.kind) {
        case 'commit':
          return owner ? commit(owner, request) : refused('unknown-deal');
        case 'probe':
          return owner ? probe(owner, caller, request) : { kind: 'holding' };
        case 'drop':
          return owner ? drop(owner, request) : { kind: 'dropped' };
        default:
          return unreachable(request);
      }
    },
    release(context, request) {
      if (stopped) return refused('stopped');
      const { nodeId, incarnation, storeIdHash } = request;
      const meant =
        nodeId === context.nodeId &&
        incarnation === context.incarnation &&
        equalBytes(storeIdHash, context.storeIdHash);
      if (!meant) return refused('bad-request');
      const owner = owners.get(nodeId);
      if (!owner) return refused('unknown-owner');
      if (!equalBytes(owner.storeIdHash, storeIdHash)) return refused('wrong-store');
      const elsewhere = misplaced(owner, context, request.ticket);
      if (elsewhere) return elsewhere;
      const seen = lastOf(nodeId);
      const attemptId = attemptIdOf(context);
      if (incarnation < seen) return refused('old-incarnation', { last: seen });
      if (incarnation === seen) {
        const same = owner.attemptId && equalBytes(owner.attemptId, attemptId);
        if (!same || incarnations.standing(context) !== 'current') return refused('incarnation-taken', { last: seen });
      } else if (incarnation > Math.min(seen + INCARNATION_STEP_MAX, INCARNATION_MAX)) {
        return refused('incarnation-too-far', { last: seen });
      } else {
        incarnations.record(context);
        owner.attemptId = attemptId;
      }
      const deals = [owner.current, owner.pending].filter((kept) => kept !== undefined).map(keep);
      return { kind: 'released', attemptId, deals, head: owner.head };
    },
    owners: () => [...owners.values()].map(describe),
    forget(nodeId) {
      wipeOwner(owners.get(nodeId));
      owners.delete(nodeId);
      incarnations.forget(nodeId);
    },
    wipe() {
      stopped = true;
      for (const owner of owners.values()) wipeOwner(owner);
      owners.clear();
    },
  };
}

function permits(
  migration: MigrationPolicy,
  owner: Owner,
  { incarnation, platform }: RecoverContext,
  encoded: Uint8Array,
): boolean {
  const operatorKey = migration.operatorKey(owner.operator);
  const height = migration.height();
  if (!operatorKey || height === undefined) return false;
  try {
    const ticket = verifyTicket(encoded, operatorKey);
    return (
      ticket !== undefined &&
      ticket.nodeId === owner.nodeId &&
      ticket.newPlatform === platform &&
      incarnation <= ticket.incarnation &&
      height <= ticket.expiryHeight
    );
  } catch (error) {
    if (isKithError(error, 'bad-ticket')) return false;
    throw error;
  }
}
