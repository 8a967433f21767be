// The loop that asks other members how far they are: each one when it comes and when it says that it has news, and a
// random one every two seconds.

import { equalBytes, fromBase64Url } from '../../core/bytes.ts';
import { abortError } from '../../core/deadline.ts';
import type { NodeId } from '../../core/ids.ts';
import type { Clock, Random } from '../../core/ports.ts';
import { type WriterId, writerIdOf } from '../log-entry.ts';
import type { LogPosition, SyncPeer, SyncPeers } from '../replica.ts';
import { type AnnouncedFrontiers, digestOf, type Frontier, NO_FRONTIER } from './frontier.ts';
import { FRONTIER_INTERVAL_MS, FRONTIER_PAUSE_MS, POSITIONS_MAX } from './limits.ts';
import { ask, createBackoff, createBell, createScope, lied, randomBelow, type Scope } from './loop.ts';
import { positionFromWire } from './wire.ts';

export interface Exchange {
  run(signal: AbortSignal): Promise<void>;
  /** Asks a peer now. @throws what asking throws. */
  refresh(peer: SyncPeer, options: { signal: AbortSignal }): Promise<void>;
  /** What a peer said of its own frontier's digest while it asked. */
  heard(nodeId: NodeId, digest: Uint8Array): void;
}

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly peers: SyncPeers;
  readonly announced: AnnouncedFrontiers;
  readonly own: () => Frontier;
  readonly writer: WriterId;
  readonly failed: (nodeId: NodeId, error: unknown) => void;
}

export function createExchange(deps: ExchangeDeps): Exchange {
  const { clock, random, peers, announced, writer } = deps;
  const bell = createBell(clock);
  const backoff = createBackoff(deps);
  const due = new Set<NodeId>();
  const asking = new Set<NodeId>();
  const askedAt = new Map<NodeId, number>();

  async function refresh(peer: SyncPeer, { signal }: { signal: AbortSignal }): Promise<void> {
    const { nodeId } = peer;
    const mark = announced.mark(nodeId);
    const own = digestOf(deps.own());
    const digest = announced.digest(nodeId);
    const found = new Map<WriterId, LogPosition>();
    let after: Uint8Array | undefined;
    for (;;) {
      const request = { kind: 'frontier' as const, digest, own, ...(after ? { after } : {}) };
      const answer = await ask(peer, request, ['same', 'frontier'], { signal });
      if (answer.kind === 'same') {
        announced.replace(nodeId, announced.of(nodeId) ?? NO_FRONTIER, mark, writer);
        return;
      }
      for (const wire of answer.positions) {
        const position = positionFromWire(wire);
        found.set(writerIdOf(position.writer), position);
      }
      if (found.size > POSITIONS_MAX) throw lied(`a frontier of more than ${POSITIONS_MAX} logs`);
      const last = answer.positions.at(-1);
      if (!answer.more) break;
      const next = last && fromBase64Url(writerIdOf(positionFromWire(last).writer));
      if (!next || (after && equalBytes(next, after))) throw lied('a page of a frontier that leads nowhere');
      after = next;
    }
    announced.replace(nodeId, found, mark, writer);
  }

  async function askDue(peer: SyncPeer, signal: AbortSignal): Promise<void> {
    const { nodeId } = peer;
    asking.add(nodeId);
    askedAt.set(nodeId, clock.monotonic());
    due.delete(nodeId);
    try {
      await refresh(peer, { signal });
      backoff.worked(nodeId);
    } catch (error) {
      if (signal.aborted) return;
      backoff.failed(nodeId);
      due.add(nodeId);
      deps.failed(nodeId, error);
    } finally {
      asking.delete(nodeId);
      bell.ring();
    }
  }

  const waitOf = (nodeId: NodeId): number => {
    const since = clock.monotonic() - (askedAt.get(nodeId) ?? Number.NEGATIVE_INFINITY);
    return Math.max(backoff.left(nodeId), FRONTIER_PAUSE_MS - since, 0);
  };

  /** Asks those whose time has come; how long until the next one's has. */
  function askAll(scope: Scope): number {
    let wait = FRONTIER_INTERVAL_MS;
    const connected = peers.list();
    for (const nodeId of [...due, ...askedAt.keys()]) {
      if (connected.some((peer) => peer.nodeId === nodeId)) continue;
      due.delete(nodeId);
      askedAt.delete(nodeId);
      backoff.forget(nodeId);
    }
    for (const peer of connected) {
      const { nodeId } = peer;
      if (!askedAt.has(nodeId)) due.add(nodeId);
      if (!due.has(nodeId) || asking.has(nodeId)) continue;
      const left = waitOf(nodeId);
      if (left > 0) wait = Math.min(wait, left);
      else void scope.run((signal) => askDue(peer, signal));
    }
    return wait;
  }

  return {
    refresh,
    heard(nodeId, digest) {
      if (equalBytes(announced.digest(nodeId), digest) && announced.of(nodeId)) return;
      due.add(nodeId);
      bell.ring();
    },
    async run(signal) {
      using scope = createScope(signal);
      const stop = peers.onChange(() => bell.ring());
      try {
        let nextAt = clock.monotonic();
        for (;;) {
          if (signal.aborted) throw abortError(signal);
          if (clock.monotonic() >= nextAt) {
            const all = peers.list();
            const chosen = all[randomBelow(random, all.length)];
            if (chosen) due.add(chosen.nodeId);
            // Jitter of a quarter to both sides, so that members do not ask in step.
            nextAt = clock.monotonic() + FRONTIER_INTERVAL_MS * (0.75 + randomBelow(random, 512) / 1_024);
          }
          const wait = askAll(scope);
          await bell.wait(Math.min(wait, Math.max(1, nextAt - clock.monotonic())), signal);
        }
      } finally {
        stop();
      }
    },
  };
}
