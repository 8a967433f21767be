// How a node stands among the members, for status and metrics.

import type { NodeId } from '../core/ids.ts';
import type { RosterEntry } from '../core/roster.ts';
import type { CustodyState } from '../keyserver/index.ts';
import type { CustodyInfo, NodeInfo, RosterInfo } from './service.ts';

export interface Around {
  /** The roster; empty before there is one. */
  readonly entries: readonly RosterEntry[];
  readonly self: NodeId | undefined;
  /** Whether this node serves. */
  readonly serving: boolean;
  /** Members that are connected and have shown who they are. */
  readonly connected: readonly NodeId[];
}

/** Every member once, in the order of the roster. */
export function rosterInfo(around: Omit<Around, 'serving'>): RosterInfo[] {
  const { entries, connected } = around;
  const own = around.self;
  return entries.map(({ nodeId, operator }) => ({
    nodeId,
    operator,
    standing: nodeId === own ? 'self' : connected.includes(nodeId) ? 'connected' : 'away',
  }));
}

/** Counted by platform, over the roster and never over who is reachable. Before there is a roster: this node alone. */
export function quorumInfo(around: Around): NodeInfo['quorum'] {
  const { entries, serving, connected } = around;
  if (entries.length === 0) return { needed: 1, reachable: serving ? 1 : 0 };
  const platforms = (list: readonly RosterEntry[]) => new Set(list.map(({ platform }) => platform)).size;
  const here = entries.filter(({ nodeId }) => (nodeId === around.self ? serving : connected.includes(nodeId)));
  return { needed: Math.floor(platforms(entries) / 2) + 1, reachable: platforms(here) };
}

export const custodyInfo = (state: CustodyState | undefined): CustodyInfo | undefined =>
  state && {
    phase: state.phase,
    keyEpoch: state.keyEpoch,
    threshold: state.threshold,
    shares: state.shares,
    holders: [...state.confirmed],
  };
