// Pushes this boot's own log to every member that takes it: for each peer a cursor and one loop. A peer that is slow
// or silent costs no memory: what it has not got stays in the store. Its answers bring its receipts and its head.

import { sleep } from '../../core/deadline.ts';
import type { ClusterId, NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { type BatchReceipt, checkBatchReceipt } from '../../core/receipt.ts';
import type { OperationRef, Writer, WriterId } from '../log-entry.ts';
import type { LogPosition, Replica, SyncPeer, SyncPeers } from '../replica.ts';
import type { AnnouncedFrontiers } from './frontier.ts';
import { FRONTIER_INTERVAL_MS, PUSH_BEHIND_MAX, PUSHES_IN_FLIGHT } from './limits.ts';
import { ask, type Backoff, type Bell, createBackoff, createBell, createScope, lied, type Scope } from './loop.ts';
import type { SyncAnswer } from './messages.ts';
import { createOwnLog, type EncodedEntry } from './own-log.ts';
import type { SyncHead } from './wire.ts';

export interface PushDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Replica;
  readonly peers: SyncPeers;
  readonly announced: AnnouncedFrontiers;
  readonly clusterId: ClusterId;
  readonly writer: Writer;
  readonly writerId: WriterId;
  /** A verified receipt of a member for these operations, in the order of its batch. */
  readonly onReceipts: (nodeId: NodeId, refs: readonly OperationRef[], receipt: BatchReceipt) => void;
  readonly noteHead: (nodeId: NodeId, head: SyncHead) => void;
  /** Of this node's own store, as it is synced. */
  readonly ownHead: () => SyncHead | undefined;
  readonly failed: (nodeId: NodeId, error: unknown) => void;
}

/** Phases in which a member takes pushes. */
const TAKING: readonly string[] = ['catching-up', 'ready'];

interface PeerLoop {
  readonly bell: Bell;
  readonly stop: AbortController;
  /** Everything up to it was sent or is not for pushing. */
  sent: number;
}

export interface Push {
  run(signal: AbortSignal): Promise<void>;
  /** Bytes of encoded entries held for all peers. */
  readonly bytesHeld: number;
}

export function createPush(deps: PushDeps): Push {
  const { clock, replica, peers, announced } = deps;
  const ownLog = createOwnLog({ replica, writer: deps.writerId });
  const backoff = createBackoff(deps);
  const loops = new Map<NodeId, PeerLoop>();

  function release(): void {
    let lowest = Number.POSITIVE_INFINITY;
    for (const { sent } of loops.values()) lowest = Math.min(lowest, sent);
    ownLog.release(lowest);
  }

  function follow({ nodeId }: SyncPeer, scope: Scope): void {
    void scope.run(async (signal, stop) => {
      const loop: PeerLoop = { bell: createBell(clock), stop, sent: Number.POSITIVE_INFINITY };
      loops.set(nodeId, loop);
      try {
        await pushTo({ ...deps, ownLog, backoff, release }, nodeId, loop, signal);
      } catch (error) {
        if (!signal.aborted) deps.failed(nodeId, error);
      } finally {
        if (loops.get(nodeId) === loop) loops.delete(nodeId);
        release();
      }
    });
  }

  function followAll(scope: Scope): void {
    const takers = peers.list().filter(({ phase }) => TAKING.includes(phase));
    for (const [nodeId, loop] of loops) {
      if (takers.some((peer) => peer.nodeId === nodeId)) continue;
      loop.stop.abort();
      loops.delete(nodeId);
    }
    for (const peer of takers) if (!loops.has(peer.nodeId)) follow(peer, scope);
  }

  return {
    get bytesHeld() {
      return ownLog.bytesHeld;
    },
    async run(signal) {
      using scope = createScope(signal);
      const changed = createBell(clock);
      const ends = [
        peers.onChange(() => changed.ring()),
        replica.onAppended(() => {
          for (const { bell } of loops.values()) bell.ring();
        }),
        announced.onChange((nodeId) => loops.get(nodeId)?.bell.ring()),
      ];
      try {
        for (;;) {
          followAll(scope);
          await changed.wait(FRONTIER_INTERVAL_MS, signal);
        }
      } finally {
        for (const end of ends) end();
        for (const { stop } of loops.values()) stop.abort();
      }
    },
  };
}

type PeerDeps = PushDeps & {
  readonly ownLog: ReturnType<typeof createOwnLog>;
  readonly backoff: Backoff;
  readonly release: () => void;
};

/** Until the signal aborts: keeps one peer up to date. */
async function pushTo(deps: PeerDeps, nodeId: NodeId, loop: PeerLoop, signal: AbortSignal): Promise<void> {
  const { clock, replica, announced, backoff, ownLog, writerId } = deps;
  const own = (): LogPosition | undefined => replica.position(writerId);
  /** As it announced, but not more than there is. */
  const held = () => Math.min(announced.of(nodeId)?.get(writerId)?.seq ?? 0, own()?.seq ?? 0);
  /** What the peer has as far as it said. */
  let cursor = 0;
  let inFlight = 0;
  /** Counts restarts: answers to what was sent before one move the cursor, and do nothing else. */
  let era = 0;

  function restart(at: number): void {
    era += 1;
    cursor = at;
    loop.sent = at;
  }

  async function send(peer: SyncPeer, page: readonly EncodedEntry[]): Promise<void> {
    const mine = era;
    inFlight += 1;
    try {
      const head = deps.ownHead();
      const entries = page.map(({ encoded }) => encoded);
      const answer = await ask(peer, { kind: 'push', entries, ...(head ? { head } : {}) }, ['pushed'], { signal });
      const problem = settle(deps, nodeId, page, answer);
      cursor = Math.max(cursor, problem?.cursor ?? page.at(-1)!.seq);
      if (!problem) backoff.worked(nodeId);
      if (mine !== era || !problem) return;
      if (problem.wait) backoff.failed(nodeId);
      restart(problem.cursor);
    } catch (error) {
      if (signal.aborted || mine !== era) return;
      backoff.failed(nodeId);
      restart(cursor);
      deps.failed(nodeId, error);
    } finally {
      inFlight -= 1;
      loop.bell.ring();
    }
  }

  restart(held());
  for (;;) {
    // What it announces may be ahead: it pulled.
    if (held() > loop.sent) restart(held());
    const left = backoff.left(nodeId);
    if (left > 0) {
      await sleep(clock, left, { signal });
      continue;
    }
    const log = own();
    const peer = deps.peers.list().find((candidate) => candidate.nodeId === nodeId);
    const tooFar = log !== undefined && (log.seq - cursor > PUSH_BEHIND_MAX || log.first > loop.sent + 1);
    // A peer that holds nothing is pushed to before it announced anything; one far behind pulls.
    if (peer && log && !tooFar && log.seq > loop.sent && inFlight < PUSHES_IN_FLIGHT) {
      const page = await ownLog.page(loop.sent + 1);
      if (signal.aborted) return;
      if (page.length > 0 && page[0]!.seq === loop.sent + 1) {
        loop.sent = page.at(-1)!.seq;
        void send(peer, page);
        deps.release();
        continue;
      }
    }
    await loop.bell.wait(FRONTIER_INTERVAL_MS, signal);
  }
}

/**
 * Reports what an answer proves. @returns where to go on if not everything was taken, and whether to wait before.
 * @throws KithError `peer-lied`.
 */
function settle(
  deps: PeerDeps,
  nodeId: NodeId,
  page: readonly EncodedEntry[],
  answer: Extract<SyncAnswer, { kind: 'pushed' }>,
): { readonly cursor: number; readonly wait: boolean } | undefined {
  const { outcomes, receipt, head, position } = answer;
  if (outcomes.length !== page.length) throw lied('another number of outcomes than entries');
  const taken = page.filter((_, i) => outcomes[i]!.kind === 'taken');
  const refs = taken.flatMap((entry) => entry.refs);
  if (receipt && refs.length > 0) {
    const opIds = refs.map(({ opId }) => opId);
    if (!checkBatchReceipt(receipt, { clusterId: deps.clusterId, nodeId, opIds })) throw lied('a wrong receipt');
    deps.onReceipts(nodeId, refs, receipt);
  }
  if (head) deps.noteHead(nodeId, head);
  const highest = deps.replica.position(deps.writerId)?.seq ?? 0;
  if (position && position.seq > highest) throw lied('more of this log than there is');
  const lastTaken = taken.at(-1);
  if (lastTaken && position && position.seq >= lastTaken.seq) {
    const { hash } = position;
    const at = { writer: deps.writer, seq: position.seq, hash, first: 1, expiryHeight: 0 };
    deps.announced.raise(nodeId, deps.writerId, at);
  }
  const first = outcomes.findIndex(({ kind }) => kind !== 'taken');
  if (first < 0) return undefined;
  const { kind, seq, why } = outcomes[first]!;
  const before = page[first]!.seq - 1;
  if (kind === 'gap') {
    if (seq === undefined || seq > highest) throw lied('a gap beyond the end of this log');
    // At a gap where none can be the peer would be sent the same for ever.
    return { cursor: seq, wait: seq >= before };
  }
  if (kind !== 'refused' || why !== 'version-in-future') {
    deps.failed(nodeId, lied(`it does not take this log: ${kind}${why ? `, ${why}` : ''}`));
  }
  return { cursor: before, wait: true };
}
