// The attested connections by node. Of two connections to one node, both sides keep the same one.

import { compareBytes, equalBytes } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import type { NodeId } from '../core/ids.ts';
import type { Clock } from '../core/ports.ts';
import type { MeshErrorCode, Refusal } from './errors.ts';
import type { AttestedPeer } from './handshake/ports.ts';
import { DUPLICATE_LINGER_MS } from './limits.ts';
import type { Session } from './session/session.ts';

/** Connections of one boot of one node at once: both dials of a pair, and one that lingers. */
const CONNECTIONS_PER_NODE_MAX = 3;

export interface Peers {
  /** Takes an attested session. @returns whether its node was not connected before. */
  add(session: Session): boolean;
  /** @returns whether its node is not connected any more. */
  remove(session: Session): boolean;
  /** The connection to use. */
  get(nodeId: NodeId): Session | undefined;
  all(): Session[];
  /** Whether one more connection of this peer is too many. */
  full(peer: AttestedPeer): Refusal | undefined;
}

export function createPeers(
  deps: { clock: Clock; ownBootKey: Uint8Array },
  options: { connectionsMax: number },
): Peers {
  const { clock, ownBootKey } = deps;
  const byNode = new Map<NodeId, Session[]>();
  const sessions = () => [...byNode.values()].flat();

  /** The one dialled by the lower boot key; both sides come to the same answer. */
  function better(a: Session, b: Session): Session {
    if (a.connection.role === b.connection.role) return b;
    const ownIsLower = compareBytes(ownBootKey, a.connection.peerBootKey) < 0;
    const kept = ownIsLower ? 'initiator' : 'responder';
    return a.connection.role === kept ? a : b;
  }

  function settle(list: readonly Session[], added: Session): void {
    for (const session of list) {
      if (session !== added && !equalBytes(session.connection.peerBootKey, added.connection.peerBootKey)) {
        session.end(new KithError<MeshErrorCode>('superseded', 'the node has started anew'));
      }
    }
    const kept = best(
      list.filter((session) => equalBytes(session.connection.peerBootKey, added.connection.peerBootKey)),
    );
    for (const session of list) {
      // Of two that one side dialled, that side knows which it wants; the other cannot tell which came later.
      const ours = session.connection.role === 'initiator' || session.connection.role !== kept?.connection.role;
      if (session === kept || !ours) continue;
      clock.schedule(DUPLICATE_LINGER_MS, () =>
        session.end(new KithError<MeshErrorCode>('duplicate-connection', 'another connection to this node is kept')),
      );
    }
  }

  const best = (list: readonly Session[]): Session | undefined =>
    list.reduce<Session | undefined>((kept, session) => (kept ? better(kept, session) : session), undefined);

  return {
    add(session) {
      const { nodeId } = session.peer!;
      const before = byNode.get(nodeId) ?? [];
      const list = [...before, session];
      byNode.set(nodeId, list);
      settle(list, session);
      return before.length === 0;
    },
    remove(session) {
      const nodeId = session.peer?.nodeId;
      const list = nodeId && byNode.get(nodeId);
      if (!list?.includes(session)) return false;
      const rest = list.filter((other) => other !== session);
      if (rest.length > 0) byNode.set(nodeId!, rest);
      else byNode.delete(nodeId!);
      return rest.length === 0;
    },
    get: (nodeId) => best(byNode.get(nodeId) ?? []),
    all: () => [...byNode.keys()].map((nodeId) => best(byNode.get(nodeId)!)!),
    full(peer) {
      const own = (byNode.get(peer.nodeId) ?? []).filter((session) =>
        equalBytes(session.connection.peerBootKey, peer.bootKey),
      );
      if (own.length >= CONNECTIONS_PER_NODE_MAX) {
        return { code: 'too-many', message: `${own.length} connections of this node are open already` };
      }
      if (own.length === 0 && sessions().length >= options.connectionsMax) {
        return { code: 'too-many', message: `${options.connectionsMax} connections are open already` };
      }
      return undefined;
    },
  };
}
