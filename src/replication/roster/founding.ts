// How a cluster begins. A node that may found proposes a genesis to a node that has none either; the other stores the
// whole of it before it answers, so there is no moment at which only a crashed node knew it. Nobody who has a genesis,
// or has just proposed one to somebody else, takes part in another.

import { isKithError } from '../../core/errors.ts';
import { type ClusterId, idBytes, type NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { type AskDeps, askPeer } from './compare.ts';
import type { Ledger } from './ledger.ts';
import { FOUNDING_PATIENCE_MS, HEIGHT_APART_MAX } from './limits.ts';
import type { AnswerRefusalReason, RosterAnswer, RosterRequest, RosterStatus } from './messages.ts';
import { genesisOf, sameEntry } from './statement-set.ts';
import {
  decodeBody,
  encodeBody,
  type Genesis,
  type RosterStatement,
  statementId,
  statementMessage,
} from './statements.ts';

export interface FoundingDeps extends AskDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly self: RosterEntry;
  readonly ledger: Ledger;
  sign(message: Uint8Array): Uint8Array;
  connected(): readonly RosterEntry[];
  height(): number;
}

export interface Founding {
  /** A peer that has no genesis either; may found one with it. @throws if `signal` aborts. */
  meet(peer: RosterEntry, status: RosterStatus, options: { signal: AbortSignal }): Promise<void>;
  /** A genesis of one, where that is allowed. */
  alone(): Promise<void>;
  /** Answers a proposal. */
  answer(peer: RosterEntry, request: Extract<RosterRequest, { kind: 'found' }>): Promise<RosterAnswer>;
  /** What a peer said of itself: of two that may found, the one with the lower node id does. */
  heard(nodeId: NodeId, status: RosterStatus): void;
  gone(nodeId: NodeId): void;
}

interface Proposal {
  readonly body: Genesis;
  readonly to: RosterEntry;
  /** When the other founder was last there. */
  readonly seenMs: number;
}

export function createFounding(
  deps: FoundingDeps,
  options: {
    readonly clusterId: ClusterId;
    readonly mayFound: boolean;
    /** Whether it is too early to found, and to answer who does. */
    isEarly(): boolean;
  },
): Founding {
  const { clock, ledger } = deps;
  const me = deps.self;
  /** Connected nodes without a genesis that may found one. */
  const founders = new Set<NodeId>();
  let proposal: Proposal | undefined;

  const genesis = () => genesisOf(ledger.set);

  const draft = (founders: readonly RosterEntry[]): Genesis => ({
    kind: 'genesis',
    clusterId: options.clusterId,
    genesisId: deps.random.bytes(32),
    founders: founders
      .map(({ nodeId, platform, operator }) => ({ nodeId, platform, operator }))
      .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)),
    height: deps.height(),
  });

  /** The proposal that may still have been accepted by its second founder. */
  function pending(): Proposal | undefined {
    if (!proposal || genesis()) {
      proposal = undefined;
      return undefined;
    }
    const { to, seenMs } = proposal;
    const connected = deps.connected();
    if (connected.some(({ nodeId }) => nodeId === to.nodeId)) proposal = { ...proposal, seenMs: clock.monotonic() };
    // On its platform is another node now: it was wiped, and with it whatever it accepted.
    const wiped = connected.some(({ nodeId, platform }) => platform === to.platform && nodeId !== to.nodeId);
    if (wiped || clock.monotonic() - seenMs > FOUNDING_PATIENCE_MS) proposal = undefined;
    return proposal;
  }

  async function propose(body: Genesis, peer: RosterEntry, signal: AbortSignal): Promise<void> {
    const signature = deps.sign(statementMessage(body));
    const request = { kind: 'found', body: encodeBody(body), signature } as const;
    const answer = await askPeer(deps, peer.nodeId, request, { signal });
    if (answer.kind === 'refused') proposal = undefined;
    if (answer.kind !== 'signed' || genesis()) return;
    await ledger.take([
      {
        body,
        signatures: [
          { signer: idBytes(me.nodeId), signature },
          { signer: idBytes(peer.nodeId), signature: answer.signature },
        ],
      },
    ]);
  }

  function whyNot(peer: RosterEntry, body: Genesis): AnswerRefusalReason | undefined {
    const open = pending();
    if (options.isEarly() || (open && open.to.nodeId !== peer.nodeId)) return 'founding-elsewhere';
    const { founders: named } = body;
    const both = named.length === 2 && [peer, me].every((one) => named.some((entry) => sameEntry(entry, one)));
    if (!both) return 'not-attested';
    return Math.abs(body.height - deps.height()) > HEIGHT_APART_MAX ? 'height' : undefined;
  }

  return {
    async meet(peer, status, { signal }) {
      if (!options.mayFound || options.isEarly() || peer.platform === me.platform) return;
      const open = pending();
      if (open) {
        if (open.to.nodeId === peer.nodeId) await propose(open.body, peer, signal);
        return;
      }
      if (status.mayFound && peer.nodeId < me.nodeId) return;
      if ([...founders].some((nodeId) => nodeId < me.nodeId)) return;
      proposal = { body: draft([me, peer]), to: peer, seenMs: clock.monotonic() };
      await propose(proposal.body, peer, signal);
    },
    async alone() {
      if (genesis() || options.isEarly()) return;
      const body = draft([me]);
      const signature = deps.sign(statementMessage(body));
      await ledger.take([{ body, signatures: [{ signer: idBytes(me.nodeId), signature }] }]);
    },
    async answer(peer, request) {
      const refused = (reason: AnswerRefusalReason): RosterAnswer => ({ kind: 'refused', reason });
      const body = bodyOf(request.body);
      if (body?.kind !== 'genesis') return refused('malformed');
      const signature = deps.sign(statementMessage(body));
      const known = genesis();
      // Our answer to the same proposal got lost.
      if (known && known.id === statementId(body)) return { kind: 'signed', signature };
      if (known) return refused('has-genesis');
      const reason = whyNot(peer, body);
      if (reason) return refused(reason);
      const statement: RosterStatement = {
        body,
        signatures: [
          { signer: idBytes(peer.nodeId), signature: request.signature },
          { signer: idBytes(me.nodeId), signature },
        ],
      };
      const taken = await ledger.take([statement]);
      if (taken.kind === 'not-stored') return refused('not-stored');
      if (taken.refused[0]) return refused(taken.refused[0].reason);
      return { kind: 'signed', signature };
    },
    heard(nodeId, status) {
      if (status.mayFound && !status.genesis && deps.connected().some((peer) => peer.nodeId === nodeId)) {
        founders.add(nodeId);
      } else founders.delete(nodeId);
    },
    gone: (nodeId) => void founders.delete(nodeId),
  };
}

function bodyOf(encoded: Uint8Array) {
  try {
    return decodeBody(encoded);
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}
