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
  const majority = Math.floor(distinct(holders, 'platform') / 2) + 1;
  return {
    needed: Math.max(majority, confirmations),
    operators: distinct(holders, 'operator') >= OPERATORS_MIN ? 2 : 1,
  };
}

/** Distinct platforms among those of `nodeIds` that are holders. */
export function countConfirmations(holders: readonly RosterEntry[], nodeIds: Iterable<NodeId>): number {
  const named = new Set(nodeIds);
  return distinct(
    holders.filter(({ nodeId }) => named.has(nodeId)),
    'platform',
  );
}

/** Whether these members together make the quorum. */
export function fillsQuorum(holders: readonly RosterEntry[], nodeIds: Iterable<NodeId>, confirmations = 0): boolean {
  const named = new Set(nodeIds);
  const platforms = holders.filter(({ nodeId }) => named.has(nodeId)).map(({ platform }) => platform);
  return platformsFillQuorum(holders, new Set(platforms), confirmations);
}

/** Whether these platforms make the quorum, whoever of the holders on them it was. */
export function platformsFillQuorum(
  holders: readonly RosterEntry[],
  platforms: ReadonlySet<string>,
  confirmations = 0,
): boolean {
  const { needed, operators } = quorumOf(holders, confirmations);
  const counted = holders.filter(({ platform }) => platforms.has(platform));
  return distinct(counted, 'platform') >= needed && distinct(counted, 'operator') >= operators;
}

const distinct = (entries: readonly RosterEntry[], field: 'platform' | 'operator'): number =>
  new Set(entries.map((entry) => entry[field])).size;
