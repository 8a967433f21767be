// Restoring a roster of which no majority is left, because most lost their ids at once: who may be replaced, who must
// sign, and by what a node believes it. Pure; the signing is signer.ts's and the proposing restorer.ts's.

import type { NodeId } from '../../core/ids.ts';
import { platformsFillQuorum } from '../../core/quorum.ts';
import type { RosterEntry } from '../../core/roster.ts';
import type { RosterRefusalReason } from './refusals.ts';
import { membersOf, restoredEntries, type StatementSet, sameEntry } from './statement-set.ts';
import type { Replacement, Restore } from './statements.ts';

export type Signers = ReadonlySet<NodeId>;

/** Who takes a statement, and whom it sees. */
export interface Witness {
  readonly self: RosterEntry;
  /** Attested peers, as attested. */
  connected(): readonly RosterEntry[];
}

const platformsOf = (entries: readonly RosterEntry[]) => new Set(entries.map(({ platform }) => platform));

const survivorsOf = <E extends RosterEntry>(
  basis: readonly E[],
  { replacements }: Pick<Restore, 'replacements'>,
): E[] => basis.filter(({ nodeId }) => !replacements.some(({ replaces }) => replaces === nodeId));

/** Everybody whose signature a restore needs: one of each platform of the roster. */
export const restorersOf = (basis: readonly RosterEntry[], body: Pick<Restore, 'replacements'>): RosterEntry[] => [
  ...survivorsOf(basis, body),
  ...restoredEntries(basis, body),
];

/** Whether ordinary joins do: a majority is left, or one of a pair. */
const joinSuffices = (basis: readonly RosterEntry[], left: readonly RosterEntry[]): boolean =>
  basis.length <= 2 || platformsFillQuorum(basis, platformsOf(left));

/** What is wrong with who replaces whom. */
export function checkReplacements(
  basis: readonly RosterEntry[],
  body: Pick<Restore, 'replacements'>,
): RosterRefusalReason | undefined {
  const members = new Set(basis.map(({ nodeId }) => nodeId));
  const fresh = new Set(body.replacements.map(({ nodeId }) => nodeId));
  const replaced = new Set(body.replacements.map(({ replaces }) => replaces));
  const { length } = body.replacements;
  if (fresh.size !== length || replaced.size !== length) return 'wrong-replaces';
  if (body.replacements.some((one) => members.has(one.nodeId) || !members.has(one.replaces))) return 'wrong-replaces';
  const survivors = survivorsOf(basis, body);
  if (survivors.length === 0) return 'no-survivor';
  return joinSuffices(basis, survivors) ? 'join-suffices' : undefined;
}

/** Whether exactly those signed who must. */
export function checkRestorers(
  basis: readonly RosterEntry[],
  body: Restore,
  signers: Signers,
): RosterRefusalReason | undefined {
  const needed = new Set(restorersOf(basis, body).map(({ nodeId }) => nodeId));
  for (const signer of signers) if (!needed.has(signer)) return 'wrong-signer';
  return signers.size === needed.size ? undefined : 'not-signed-by-all';
}

/**
 * Keys of fresh nodes prove no platform: one broken member could make all of them. So a member takes a restore if it
 * signed it, having seen the others then, or if it knows of a majority of the basis' platforms that they signed:
 * survivors by their keys, fresh nodes by meeting them, attested. Who is on no roster believes who it meets, as it does
 * about the genesis, but not while it meets one of those that are said to be gone.
 */
export function checkWitnessed(
  set: StatementSet,
  basis: readonly RosterEntry[],
  body: Restore,
  signers: Signers,
  context: Witness,
): RosterRefusalReason | undefined {
  if (signers.has(context.self.nodeId)) return undefined;
  const peers = context.connected();
  const met = restoredEntries(basis, body).filter((entry) => peers.some((peer) => sameEntry(peer, entry)));
  if (platformsFillQuorum(basis, platformsOf([...survivorsOf(basis, body), ...met]))) return undefined;
  const onRoster = membersOf(set).some((member) => sameEntry(member, context.self));
  const gone = new Set(body.replacements.map(({ replaces }) => replaces));
  return onRoster || peers.some(({ nodeId }) => gone.has(nodeId)) ? 'not-witnessed' : undefined;
}

/** What a member that sees no majority can do about it. */
export interface RestorePlan {
  /** Members that are here. */
  readonly survivors: readonly RosterEntry[];
  /** Fresh nodes on the platforms of members that are not; ascending by node id. */
  readonly replacements: readonly Replacement[];
  /** Members whose platform shows nobody: without them the roster is not restored, unless they leave it. */
  readonly absent: readonly RosterEntry[];
}

/** @returns undefined while joins suffice. @param here attested peers and this node. */
export function planRestore(basis: readonly RosterEntry[], here: readonly RosterEntry[]): RestorePlan | undefined {
  const isHere = (member: RosterEntry) => here.some((one) => sameEntry(one, member));
  const survivors = basis.filter(isHere);
  if (survivors.length === 0 || joinSuffices(basis, survivors)) return undefined;
  const members = new Set(basis.map(({ nodeId }) => nodeId));
  const fresh = here.filter(({ nodeId }) => !members.has(nodeId)).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const replacements: Replacement[] = [];
  const absent: RosterEntry[] = [];
  for (const member of basis) {
    if (isHere(member)) continue;
    // Here, but not as the roster has it: it moved, and joins again by itself.
    const moved = here.some(({ nodeId }) => nodeId === member.nodeId);
    const onItsPlatform = fresh.find(
      ({ platform, operator }) => platform === member.platform && operator === member.operator,
    );
    if (moved || !onItsPlatform) absent.push(member);
    else replacements.push({ nodeId: onItsPlatform.nodeId, replaces: member.nodeId });
  }
  replacements.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  return { survivors, replacements, absent };
}
