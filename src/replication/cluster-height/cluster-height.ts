// The height of the cluster: members exchange signed statements of theirs, and this node takes the median over
// operators. Statements grow old by this node's monotonic clock; no clock of any host moves a height.

import { compareBytes } from '../../core/bytes.ts';
import { isKithError, messageOf } from '../../core/errors.ts';
import { type ClusterId, type NodeId, nodeIdFromBytes } from '../../core/ids.ts';
import type { Clock, Timer } from '../../core/ports.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { encodeEnvelope } from '../envelope.ts';
import type { SyncPeer, SyncPeers } from '../replica.ts';
import { type Comparison, compareBlocks, medianHeight, operatorsOf, type Voice } from './agreement.ts';
import { RELAY_AGE_MS, REQUEST_MS, ROUND_MS, ROUND_MS_MIN, STATEMENT_AGE_MS, STATEMENTS_MAX } from './limits.ts';
import { createOwnStatement, type OwnChain } from './own-statement.ts';
import { createPeerMemory } from './peer-memory.ts';
import {
  type AgedStatement,
  checkHeightStatement,
  decodeHeightStatement,
  decodeHeights,
  encodeHeights,
  type HeightStatement,
} from './statement.ts';

export interface ClusterHeightDeps {
  readonly clock: Clock;
  readonly clusterId: ClusterId;
  readonly self: { readonly nodeId: NodeId; readonly incarnation: number };
  /** Ed25519 by the node key. */
  readonly sign: (message: Uint8Array) => Uint8Array;
  readonly roster: () => readonly RosterEntry[];
  readonly peers: SyncPeers;
  /** Undefined before the first block. */
  readonly own: () => OwnChain | undefined;
  readonly report?: ((event: HeightEvent) => void) | undefined;
}

export type HeightEvent =
  /** Two statements of one boot under one number, told once: its word does not count until it starts again. */
  | { readonly kind: 'equivocation'; readonly nodeId: NodeId; readonly incarnation: number }
  /** Most operators have another block at this height, or (undefined) have the same again. */
  | { readonly kind: 'chain-disagreement'; readonly height: number | undefined }
  /** A fault of this node, not of the other. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface HeightReport {
  /** Operators whose members spoke within STATEMENT_AGE_MS, this node's included, and operators on the roster. */
  readonly operators: { readonly heard: number; readonly needed: number; readonly all: number };
  readonly members: readonly {
    readonly nodeId: NodeId;
    readonly height: number;
    /** As its host says. */
    readonly timeMs: number;
    readonly ageMs: number;
    /** Whether it counts: heard of lately, and not caught saying two things. */
    readonly counts: boolean;
  }[];
  /** Somebody has another block at this height, and this is no majority against this node. */
  readonly disputed: number | undefined;
}

export interface ClusterHeight {
  start(): void;
  stop(): void;
  /** The median of those heard lately; with nobody else the own height. For admission, and for serving no longer. */
  height(): number;
  /**
   * The highest median while most operators of the roster were heard; never falls, 0 before the first. For what cannot
   * be undone: a node that is cut off destroys nothing.
   */
  settledHeight(): number;
  /** The height at which most of at least three operators have another block: detection must not go on. */
  disagreement(): number | undefined;
  report(): HeightReport;
  /** Answers the body of a `heights` request of a member. @throws KithError if it has not the form. */
  handle(from: NodeId, body: Uint8Array): Uint8Array;
  /** The own height is another: it is told soon. */
  ownChanged(): void;
}

interface Heard {
  readonly statement: HeightStatement;
  readonly encoded: Uint8Array;
  /** When it was made at the latest, on the monotonic clock. */
  readonly sinceMs: number;
  readonly equivocated: boolean;
}

export function createClusterHeight(deps: ClusterHeightDeps): ClusterHeight {
  const { clock, clusterId, peers } = deps;
  const { nodeId: selfId } = deps.self;
  const heard = new Map<NodeId, Heard>();
  const asking = new Set<NodeId>();
  const ended = new AbortController();
  const memory = createPeerMemory();
  const saying = createOwnStatement(deps);
  let timer: Timer | undefined;
  let lastRoundMs = Number.NEGATIVE_INFINITY;
  let median = 0;
  let settled = 0;
  let disagreement: number | undefined;
  let disputed: number | undefined;
  let judgedOwn: number | undefined;
  let judgedRoster: readonly RosterEntry[] | undefined;
  let judgedAtMs = Number.NEGATIVE_INFINITY;

  const counts = ({ sinceMs, equivocated }: Heard): boolean =>
    !equivocated && clock.monotonic() - sinceMs <= STATEMENT_AGE_MS;

  function voicesOf(roster: readonly RosterEntry[], own: OwnChain | undefined): Voice[] {
    const voices: Voice[] = [];
    for (const { nodeId, operator } of roster) {
      const other = nodeId === selfId ? undefined : heard.get(nodeId);
      if (other && counts(other)) voices.push({ ...other.statement, operator });
      if (nodeId === selfId && own) voices.push({ ...own, operator });
    }
    // Not on the roster (yet): its own height is still all it can go by alone.
    return voices.length === 0 && own ? [{ ...own, operator: '' }] : voices;
  }

  const operatorsNeeded = (roster: readonly RosterEntry[]): number => Math.floor(operatorsOf(roster) / 2) + 1;

  function judge(): void {
    const roster = deps.roster();
    const onRoster = new Set(roster.map(({ nodeId }) => nodeId));
    for (const nodeId of heard.keys()) if (!onRoster.has(nodeId)) heard.delete(nodeId);
    const own = deps.own();
    judgedOwn = own?.height;
    judgedRoster = roster;
    judgedAtMs = clock.monotonic();
    const voices = voicesOf(roster, own);
    median = medianHeight(voices) ?? 0;
    if (onRoster.has(selfId) && operatorsOf(voices) >= operatorsNeeded(roster)) settled = Math.max(settled, median);
    noteComparison(compareBlocks(own?.blocks ?? [], voices));
  }

  /** Said and taken back by majorities only: somebody who falls silent changes nothing about what was seen. */
  function noteComparison({ against, agreed, disputed: at }: Comparison): void {
    disputed = at;
    const before = disagreement;
    // A block stands for all before it: what differs below one that most agree on is of the past.
    const isAgainst = against !== undefined && (agreed === undefined || against > agreed);
    if (isAgainst) disagreement = Math.max(disagreement ?? against, against);
    else if (disagreement !== undefined && agreed !== undefined && agreed >= disagreement) disagreement = undefined;
    if ((before === undefined) !== (disagreement === undefined)) {
      deps.report?.({ kind: 'chain-disagreement', height: disagreement });
    }
  }

  /** Judges anew if anything may have changed by itself: own height, roster, or the age of what was heard. */
  function judged(): void {
    const isOf = judgedOwn === deps.own()?.height && judgedRoster === deps.roster();
    if (!isOf || clock.monotonic() - judgedAtMs >= ROUND_MS_MIN) judge();
  }

  function isNewer(statement: HeightStatement, than: Heard | undefined): boolean {
    if (!than) return true;
    const { incarnation, sequence: number } = than.statement;
    if (statement.incarnation !== incarnation) return statement.incarnation > incarnation;
    return statement.sequence > number;
  }

  /**
   * Takes a statement that is newer than what is held. What is wrong with it is the sender's business: it is left.
   * @returns whether anything that counts has changed.
   */
  function take({ ageMs, statement: encoded }: AgedStatement, from: NodeId, roster: ReadonlySet<NodeId>): boolean {
    // Most of what is told on has come before from the member itself.
    for (const [nodeId, one] of heard) {
      if (compareBytes(one.encoded, encoded) !== 0) continue;
      memory.has(from, nodeId, one.encoded);
      return false;
    }
    const statement = readStatement(encoded);
    if (!statement) return false;
    const nodeId = nodeIdFromBytes(statement.nodeId);
    const direct = nodeId === from;
    if (nodeId === selfId || !roster.has(nodeId) || (!direct && ageMs > RELAY_AGE_MS)) return false;
    const held = heard.get(nodeId);
    if (held && isSameNumber(statement, held.statement)) {
      if (held.equivocated || !checkHeightStatement(statement, clusterId)) return false;
      heard.set(nodeId, { ...held, equivocated: true });
      deps.report?.({ kind: 'equivocation', nodeId, incarnation: statement.incarnation });
      return true;
    }
    if (!isNewer(statement, held) || !checkHeightStatement(statement, clusterId)) return false;
    const one: Heard = {
      statement,
      encoded: Uint8Array.from(encoded),
      sinceMs: clock.monotonic() - (direct ? 0 : ageMs),
      equivocated: held?.equivocated === true && held.statement.incarnation === statement.incarnation,
    };
    heard.set(nodeId, one);
    memory.has(from, nodeId, one.encoded);
    return true;
  }

  function takeAll(from: NodeId, body: Uint8Array): void {
    const statements = decodeHeights(body);
    const roster = new Set(deps.roster().map(({ nodeId }) => nodeId));
    const changed = statements.filter((statement) => take(statement, from, roster)).length > 0;
    if (changed) judge();
  }

  /** The own statement, and what others said that is young enough to be told on and that the peer has not got. */
  function toTell(peer: NodeId): Uint8Array {
    const now = clock.monotonic();
    const others: AgedStatement[] = [];
    for (const [nodeId, { encoded, equivocated, sinceMs }] of heard) {
      const isYoung = now - sinceMs <= RELAY_AGE_MS;
      if (equivocated || !isYoung || nodeId === peer || memory.hasGot(peer, nodeId, encoded)) continue;
      memory.has(peer, nodeId, encoded);
      others.push({ ageMs: Math.ceil(now - sinceMs), statement: encoded });
    }
    const own = saying.now();
    memory.exchanged(peer, now, own?.height);
    return encodeHeights([...(own ? [own.aged] : []), ...others].slice(0, STATEMENTS_MAX));
  }

  async function ask(peer: SyncPeer): Promise<void> {
    asking.add(peer.nodeId);
    try {
      const request = encodeEnvelope({ kind: 'heights', body: toTell(peer.nodeId) });
      const answer = await peer.request(request, { signal: ended.signal, timeoutMs: REQUEST_MS });
      if (!ended.signal.aborted) takeAll(peer.nodeId, answer);
    } catch (error) {
      memory.forget(peer.nodeId);
      // Away, busy, or talking nonsense: the next round asks again, and its silence ages what it said.
      if (!isKithError(error)) deps.report?.({ kind: 'failed', reason: messageOf(error) });
    } finally {
      asking.delete(peer.nodeId);
    }
  }

  function round(): void {
    lastRoundMs = clock.monotonic();
    judge();
    const present = peers.list();
    memory.keep(new Set(present.map(({ nodeId }) => nodeId)));
    const height = deps.own()?.height;
    for (const peer of present) {
      // Whoever asked within a round has heard of this height, and was heard.
      const isTold = memory.isUpToDate(peer.nodeId, lastRoundMs - ROUND_MS, height);
      if (!isTold && !asking.has(peer.nodeId)) void ask(peer);
    }
    schedule(ROUND_MS);
  }

  function schedule(delayMs: number): void {
    timer?.cancel();
    timer = ended.signal.aborted ? undefined : clock.schedule(delayMs, round);
  }

  const soon = () => {
    if (timer) schedule(Math.max(0, lastRoundMs + ROUND_MS_MIN - clock.monotonic()));
  };
  let unsubscribe: (() => void) | undefined;

  return {
    start() {
      if (timer || ended.signal.aborted) return;
      unsubscribe = peers.onChange(soon);
      schedule(0);
    },
    stop() {
      unsubscribe?.();
      timer?.cancel();
      timer = undefined;
      ended.abort();
    },
    height() {
      judged();
      return median;
    },
    settledHeight() {
      judged();
      return settled;
    },
    disagreement() {
      judged();
      return disagreement;
    },
    report() {
      judged();
      const roster = deps.roster();
      const now = clock.monotonic();
      return {
        operators: {
          heard: operatorsOf(voicesOf(roster, deps.own())),
          needed: operatorsNeeded(roster),
          all: operatorsOf(roster),
        },
        members: [...heard].map(([nodeId, one]) => ({
          nodeId,
          height: one.statement.height,
          timeMs: one.statement.timeMs,
          ageMs: now - one.sinceMs,
          counts: counts(one),
        })),
        disputed,
      };
    },
    handle(from, body) {
      takeAll(from, body);
      return toTell(from);
    },
    ownChanged: soon,
  };
}

const isSameNumber = (a: HeightStatement, b: HeightStatement): boolean =>
  a.incarnation === b.incarnation && a.sequence === b.sequence;

function readStatement(encoded: Uint8Array): HeightStatement | undefined {
  try {
    return decodeHeightStatement(encoded);
  } catch (error) {
    if (isKithError(error)) return undefined;
    throw error;
  }
}
