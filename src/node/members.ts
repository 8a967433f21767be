// Who is a member, as far as custody needs it: the roster, and which of its members are connected under which boot.

import { type RosterEntry, rosterHash } from '../core/roster.ts';
import type { MembersView } from '../keyserver/index.ts';
import type { Peering } from './peering.ts';

export interface Membership {
  /** All members, this node included. */
  entries(): readonly RosterEntry[];
  /** Calls back after each change; returns what ends that. */
  onChange(listener: () => void): () => void;
  stop(): Promise<void>;
}

/** The other members and their connections. */
export function membersView(membership: Membership, peering: Peering): MembersView {
  const entries = membership.entries();
  return {
    rosterHash: rosterHash(entries),
    members: entries
      .filter(({ nodeId }) => nodeId !== peering.self.nodeId)
      .map((entry) => {
        const peer = peering.mesh.peer(entry.nodeId);
        const bootKey = peer?.attested.bootKey;
        return { ...entry, addresses: peer?.addresses ?? [], ...(bootKey ? { bootKey } : {}) };
      }),
  };
}
