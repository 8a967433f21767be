// Who is a member, as far as custody needs it: the roster, and which of its members are connected under which boot.

import { rosterHash } from '../core/roster.ts';
import type { MembersView } from '../keyserver/index.ts';
import type { Membership } from './membership.ts';
import type { Peering } from './peering.ts';

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
