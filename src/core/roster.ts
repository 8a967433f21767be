// The members of a cluster as everybody sees them, and the hash that quotes name them by.

import { sha256 } from '#crypto';
import { concatBytes, utf8 } from './bytes.ts';
import { encodeCbor } from './cbor.ts';
import { idBytes, type NodeId } from './ids.ts';
import { LABEL_ROSTER } from './labels.ts';

export interface RosterEntry {
  readonly nodeId: NodeId;
  /** Hex of SHA-256 over the PPID. */
  readonly platform: string;
  readonly operator: string;
}

/** SHA-256("kith/roster/v1" || CBOR of the entries, ascending by node id). 32 bytes; the order given does not matter. */
export function rosterHash(entries: readonly RosterEntry[]): Uint8Array {
  const sorted = [...entries].sort((a, b) => (a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0));
  const listed = sorted.map(({ nodeId, platform, operator }) => ({ nodeId: idBytes(nodeId), platform, operator }));
  return sha256(concatBytes(utf8(LABEL_ROSTER), encodeCbor(listed)));
}
