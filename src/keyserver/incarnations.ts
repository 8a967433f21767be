// The highest incarnation seen of each node, and which boot has it: lower ones are fenced off, and two boots with one
// number are both refused until one has a higher. In memory only; one table for a node's custody and its handshakes.

import { equalBytes } from '../core/bytes.ts';
import type { NodeId } from '../core/ids.ts';
import { INCARNATIONS_MAX } from './limits.ts';

export interface Boot {
  readonly nodeId: NodeId;
  readonly incarnation: number;
  readonly bootKey: Uint8Array;
}

export type Standing =
  /** Above all that was seen, or the first of this node. */
  | 'newer'
  | 'current'
  /** A higher incarnation was seen. */
  | 'fenced'
  /** Another boot has or had the same incarnation. */
  | 'contested';

export interface Incarnations {
  /** How a boot stands; changes nothing. */
  standing(boot: Boot): Standing;
  /**
   * Records a boot; how it stood. Only for a boot that showed the node key, or was granted the incarnation: else
   * anybody could fence anybody. `full` if the node is new and there is no room.
   */
  record(boot: Boot): Standing | 'full';
  /** The highest incarnation seen, if any. */
  last(nodeId: NodeId): number | undefined;
  /** For a node that left the roster for good. */
  forget(nodeId: NodeId): void;
}

export function createIncarnations(): Incarnations {
  const seen = new Map<NodeId, { readonly incarnation: number; readonly bootKey: Uint8Array; contested: boolean }>();

  function standing({ nodeId, incarnation, bootKey }: Boot): Standing {
    const known = seen.get(nodeId);
    if (!known || incarnation > known.incarnation) return 'newer';
    if (incarnation < known.incarnation) return 'fenced';
    return !known.contested && equalBytes(bootKey, known.bootKey) ? 'current' : 'contested';
  }

  return {
    standing,
    record(boot) {
      const stands = standing(boot);
      if (stands === 'newer') {
        if (!seen.has(boot.nodeId) && seen.size >= INCARNATIONS_MAX) return 'full';
        seen.set(boot.nodeId, { incarnation: boot.incarnation, bootKey: boot.bootKey.slice(), contested: false });
      } else if (stands === 'contested') {
        seen.get(boot.nodeId)!.contested = true;
      }
      return stands;
    },
    last: (nodeId) => seen.get(nodeId)?.incarnation,
    forget: (nodeId) => void seen.delete(nodeId),
  };
}
