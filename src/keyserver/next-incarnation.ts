// Which incarnation to ask for, when some of those who were asked for the last one may lie.

import type { NodeId } from '../core/ids.ts';
import { INCARNATION_MAX, INCARNATION_STEP_MAX } from './limits.ts';

/**
 * One above the highest that servers saw, if `current` is not above it already. Values that the (lower) median server
 * would refuse as too far are left out: no honest server has them.
 * @returns `current` if it still stands; undefined if nobody knows the node.
 */
export function nextIncarnation(lasts: ReadonlyMap<NodeId, number>, current: number): number | undefined {
  const sorted = [...lasts.values()].sort((a, b) => a - b);
  const median = sorted[(sorted.length - 1) >> 1];
  if (median === undefined) return undefined;
  const limit = Math.min(median + INCARNATION_STEP_MAX, INCARNATION_MAX) - 1;
  const highest = sorted.findLast((last) => last <= limit) ?? median;
  return Math.max(current, highest + 1);
}
