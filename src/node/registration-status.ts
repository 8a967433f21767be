// The state of a registration as anybody may ask for it: how it stands, and how many have confirmed it.

import type { NodeId, RegId } from '../core/ids.ts';
import { countConfirmations, fillsQuorum } from '../core/quorum.ts';
import type { RosterEntry } from '../core/roster.ts';
import { placement, type Standing } from '../replication/index.ts';
import type { RegistrationStatus } from './service.ts';

/**
 * `pending` until the members that have the operation in force fill the quorum; undefined where nothing is known.
 * @param holding members that have it, as far as this node knows; itself among them.
 * @param platformsMin platforms that must confirm, if that is more than a majority.
 */
export function registrationStatus(
  id: RegId,
  standing: Standing,
  holding: Iterable<NodeId>,
  roster: readonly RosterEntry[],
  platformsMin: number,
): RegistrationStatus | undefined {
  if (standing.kind === 'unknown') return undefined;
  const { holders } = placement(id, roster);
  const nodeIds = [...holding];
  const open = fillsQuorum(holders, nodeIds, platformsMin) ? 'confirmed' : 'pending';
  return {
    id,
    status: standing.kind === 'open' ? open : standing.kind,
    expiryHeight: standing.expiryHeight,
    confirmations: countConfirmations(holders, nodeIds),
  };
}
