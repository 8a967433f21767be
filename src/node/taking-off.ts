// A member that is lost for good, taken off the roster by its operator: what the leave has to name, and the leave itself.
// Anybody may hand it over; the roster judges whose signature it has.

import { fromBase64Url, fromHex, toBase64Url } from '../core/bytes.ts';
import { KithError } from '../core/errors.ts';
import { leavesByOperator, ROSTER_REFUSALS } from '../replication/index.ts';
import type { Company } from './company.ts';
import type { Log } from './log.ts';
import type { Membership } from './membership.ts';
import type { RosterPlaces, TakenOff } from './service.ts';
import { rosterInfo } from './standing.ts';

export interface TakingOffDeps {
  readonly company: Pick<Company, 'membership' | 'peering'> | undefined;
  readonly log: Log;
}

const NO_ROSTER = 'This node knows no roster yet.';

function membershipOf({ company }: TakingOffDeps): Membership {
  const membership = company?.membership();
  if (!membership) throw new KithError('not-ready', NO_ROSTER);
  return membership;
}

/** @throws KithError `not-ready`. */
export function rosterPlaces(deps: TakingOffDeps): RosterPlaces {
  const { genesisId, members } = membershipOf(deps).view();
  if (!genesisId) throw new KithError('not-ready', NO_ROSTER);
  const { peering } = deps.company!;
  const connected = peering.proven().map(({ nodeId }) => nodeId);
  const joins = new Map(members.map(({ nodeId, joinId }) => [nodeId as string, toBase64Url(fromHex(joinId))]));
  return {
    genesisId: toBase64Url(genesisId),
    members: rosterInfo({ entries: members, self: peering.self.nodeId, connected }).map((member) => ({
      ...member,
      joinId: joins.get(member.nodeId)!,
    })),
  };
}

/** @param encoded base64url. @throws KithError as `NodeService.takeOff`. */
export async function takeOff(deps: TakingOffDeps, encoded: string): Promise<TakenOff> {
  const statement = fromBase64Url(encoded);
  const nodeId = leavesByOperator(statement);
  const membership = membershipOf(deps);
  const isMember = () => membership.entries().some((entry) => entry.nodeId === nodeId);
  const was = isMember();
  const refusal = await membership.submit(statement);
  if (refusal === 'not-stored') throw new KithError('store-unavailable', 'The statement could not be stored.');
  if (refusal !== undefined) throw new KithError('leave-refused', `${refusal}: ${whyOf(refusal)}.`);
  // Its signature is of an earlier place, and it has joined again since.
  if (isMember()) throw new KithError('leave-refused', 'not-a-member: the place it ends is not the one it has now.');
  if (was) deps.log.info('taken-off', { nodeId });
  return { nodeId, left: true };
}

const whyOf = (refusal: string): string =>
  Object.hasOwn(ROSTER_REFUSALS, refusal) ? ROSTER_REFUSALS[refusal as keyof typeof ROSTER_REFUSALS] : 'refused';
