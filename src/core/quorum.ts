// When enough members have persisted something: computed from the roster, never from who is reachable. Members count
// once for each platform; with three operators or more none alone makes a quorum (trust.md's rule, docs/ROSTER.md).

import type { NodeId } from './ids.ts';
import type { RosterEntry } from './roster.ts';

/** From this many operators on, one alone fills no quorum. */
const OPERATORS_MIN = 3;

export interface Quorum {
  /** Platforms needed. */
  readonly needed: number;
  /** Operators needed among them. */
  readonly operators: number;
}

/**
 * @param holders the members that hold it.
 * @param confirmations of the cluster configuration: asks for more than a majority, if need be for more than there are.
 */
export function quorumOf(holders: readonly RosterEntry[], confirmations = 0): Quorum {
  const platforms = new Set(holders.map(({ platform }) => platform)).size;
  const operators = new Set(holders.map(({ operator }) => operator)).size;
  const majority = Math.floor(platforms / 2) + 1;
  return {
    needed: Math.max(majority, confirmations),
    operators: operators >= OPERATORS_MIN ? 2 : 1,
  };
}

/** Distinct platforms among those of `nodeIds` that are holders. */
export function countConfirmations(holders: readonly RosterEntry[], nodeIds: Iterable<NodeId>): number {
  return confirming(holders, nodeIds).platforms;
}

/** Whether these members together make the quorum. */
export function fillsQuorum(holders: readonly RosterEntry[], nodeIds: Iterable<NodeId>, confirmations = 0): boolean {
  const { needed, operators } = quorumOf(holders, confirmations);
  const found = confirming(holders, nodeIds);
  return found.platforms >= needed && found.operators >= operators;
}

function confirming(
  holders: readonly RosterEntry[],
  nodeIds: Iterable<NodeId>,
): { platforms: number; operators: number } {
  const named = new Set(nodeIds);
  const counted = holders.filter(({ nodeId }) => named.has(nodeId));
  return {
    platforms: new Set(counted.map(({ platform }) => platform)).size,
    operators: new Set(counted.map(({ operator }) => operator)).size,
  };
}
