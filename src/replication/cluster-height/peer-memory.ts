// What this node remembers of each peer of the exchange of heights: when they last spoke, and which statements the
// other has. A statement that a peer has is not told to it again.

import type { NodeId } from '../../core/ids.ts';

export interface PeerMemory {
  /** The peer has this statement of the member. */
  has(peer: NodeId, member: NodeId, statement: Uint8Array): void;
  hasGot(peer: NodeId, member: NodeId, statement: Uint8Array): boolean;
  /** The peer is told the own height now; undefined before the first block. */
  exchanged(peer: NodeId, nowMs: number, height: number | undefined): void;
  /** Whether it was told this height last, after that time. */
  isUpToDate(peer: NodeId, sinceMs: number, height: number | undefined): boolean;
  /** What it was told may not have reached it. */
  forget(peer: NodeId): void;
  /** Forgets all others. */
  keep(peers: ReadonlySet<NodeId>): void;
}

interface Remembered {
  /** By member; the arrays themselves are compared, as they are held here once. */
  readonly got: Map<NodeId, Uint8Array>;
  atMs: number;
  height: number | undefined;
}

export function createPeerMemory(): PeerMemory {
  const memory = new Map<NodeId, Remembered>();

  function of(peer: NodeId): Remembered {
    const known = memory.get(peer) ?? { got: new Map(), atMs: Number.NEGATIVE_INFINITY, height: undefined };
    memory.set(peer, known);
    return known;
  }

  return {
    has: (peer, member, statement) => void of(peer).got.set(member, statement),
    hasGot: (peer, member, statement) => memory.get(peer)?.got.get(member) === statement,
    exchanged: (peer, nowMs, height) => void Object.assign(of(peer), { atMs: nowMs, height }),
    isUpToDate(peer, sinceMs, height) {
      const known = memory.get(peer);
      return known !== undefined && known.atMs > sinceMs && known.height === height;
    },
    forget: (peer) => void memory.delete(peer),
    keep(peers) {
      for (const peer of memory.keys()) if (!peers.has(peer)) memory.delete(peer);
    },
  };
}
