// Which statements are taken into a set, whoever brings them. What can be judged from the statement and those it comes
// after is judged from these alone, so that all members answer alike; only what is old is judged by what this node held,
// and a restore by whom it sees.

import { equalBytes } from '../../core/bytes.ts';
import { unreachable } from '../../core/errors.ts';
import { type ClusterId, idBytes, nodeIdFromBytes } from '../../core/ids.ts';
import { platformsFillQuorum } from '../../core/quorum.ts';
import type { RosterEntry } from '../../core/roster.ts';
import { HELD_BLOCKS, MEMBERS_MAX, STATEMENTS_MAX } from './limits.ts';
import type { RosterRefusalReason } from './refusals.ts';
import { checkReplacements, checkRestorers, checkWitnessed, type Signers, type Witness } from './restore.ts';
import {
  genesisOf,
  type HeldStatement,
  hashOf,
  held,
  membersOf,
  NO_STATEMENTS,
  type RosterMember,
  type StatementSet,
  sameEntry,
  upTo,
} from './statement-set.ts';
import {
  type Eviction,
  type Genesis,
  type Join,
  type Leave,
  type OnRosterBody,
  type RosterStatement,
  signaturesValid,
  statementId,
} from './statements.ts';

export interface AdmissionContext extends Witness {
  readonly clusterId: ClusterId;
  readonly allowUnbacked: boolean;
  /** Of this node's chain. */
  readonly height: number;
  /** The height at which this node took a statement of its set. */
  heldSince(id: string): number;
  /** Whether this node held the roster of this hash within the last 1,000 blocks. */
  heldLately(rosterHash: Uint8Array): boolean;
  /** Ed25519 keys of the operator in this and in earlier versions of the configuration. */
  operatorKeys(operator: string): readonly Uint8Array[];
}

export type Admission =
  | { readonly kind: 'admitted'; readonly held: HeldStatement }
  | { readonly kind: 'known' }
  | { readonly kind: 'refused'; readonly reason: RosterRefusalReason };

/** Whether `set` may grow by this statement. Nothing here changes anything. */
export function admitStatement(set: StatementSet, statement: RosterStatement, context: AdmissionContext): Admission {
  const { body } = statement;
  const id = statementId(body);
  if (set.has(id)) return { kind: 'known' };
  const reason = checkBody(set, statement, context) ?? checkSignatures(set, statement, context);
  if (reason) return { kind: 'refused', reason };
  const known = held(set, id, statement);
  return known ? { kind: 'admitted', held: known } : { kind: 'refused', reason: 'unknown-parent' };
}

/** Everything but the signatures: what a signer asks before it signs, as well. */
export function checkBody(
  set: StatementSet,
  { body }: Pick<RosterStatement, 'body'>,
  context: AdmissionContext,
): RosterRefusalReason | undefined {
  if (body.clusterId !== context.clusterId) return 'other-cluster';
  const genesis = genesisOf(set);
  if (body.kind === 'genesis') return genesis ? 'other-genesis' : checkFounders(body, context);
  if (!genesis) return 'no-genesis';
  if (!equalBytes(genesis.body.genesisId, body.genesisId)) return 'other-genesis';
  if (set.size >= STATEMENTS_MAX) return 'too-many-statements';
  if (body.kind === 'leave')
    return placeOf(set, body) ? undefined : set.has(body.joinId) ? 'not-a-member' : 'unknown-parent';
  return checkOnRoster(set, body, context);
}

function checkFounders({ founders }: Genesis, { allowUnbacked }: AdmissionContext): RosterRefusalReason | undefined {
  const [first, second] = founders;
  if (!first) return 'bad-founders';
  if (!second) return allowUnbacked ? undefined : 'unbacked';
  return first.nodeId < second.nodeId && first.platform !== second.platform ? undefined : 'bad-founders';
}

function checkOnRoster(
  set: StatementSet,
  body: OnRosterBody,
  context: AdmissionContext,
): RosterRefusalReason | undefined {
  const basis = upTo(set, body.after);
  if (!basis) return 'unknown-parent';
  const members = membersOf(basis);
  if (!equalBytes(hashOf(members), body.rosterHash)) return 'wrong-roster';
  if (isOld(set, basis, members, body, context)) return 'old-roster';
  if (body.kind === 'eviction') {
    return members.some(({ nodeId, joinId }) => nodeId === body.nodeId && joinId === body.joinId)
      ? undefined
      : 'not-a-member';
  }
  if (body.kind === 'restore') return checkReplacements(members, body);
  if (members.some((member) => sameEntry(member, body))) return 'already-member';
  const taken = placesTaken(members, body);
  if (taken.length > 1 || taken[0]?.nodeId !== body.replaces) return 'wrong-replaces';
  return members.length - taken.length >= MEMBERS_MAX ? 'roster-full' : undefined;
}

/** Members whose place a joiner would take: on its platform, or itself elsewhere. */
export const placesTaken = (members: readonly RosterMember[], joiner: RosterEntry): RosterMember[] =>
  members.filter(({ nodeId, platform }) => nodeId === joiner.nodeId || platform === joiner.platform);

/**
 * Its signers must know every join and eviction that this node has held for long. So a majority of an old roster
 * counts for 1,000 blocks after it was left, in whatever order concurrent statements came. Where one platform could
 * speak for the whole roster (it has one or two), exactly this roster must have been held.
 */
function isOld(
  set: StatementSet,
  basis: StatementSet,
  members: readonly RosterMember[],
  body: OnRosterBody,
  context: AdmissionContext,
): boolean {
  if (members.length <= 2 && !context.heldLately(body.rosterHash)) return true;
  for (const { id, statement } of set.values()) {
    if (statement.body.kind === 'leave' || basis.has(id)) continue;
    if (context.heldSince(id) + HELD_BLOCKS < context.height) return true;
  }
  return false;
}

/** The place a leave ends. */
const placeOf = (set: StatementSet, { joinId, nodeId }: Leave): RosterEntry | undefined =>
  set.get(joinId)?.entries.find((entry) => entry.nodeId === nodeId);

function checkSignatures(
  set: StatementSet,
  statement: RosterStatement,
  context: AdmissionContext,
): RosterRefusalReason | undefined {
  const { body, signatures } = statement;
  const signers = new Set(signatures.map(({ signer }) => nodeIdFromBytes(signer)));
  if (signers.size !== signatures.length) return 'signed-twice';
  const reason = checkSigners(set, body, signers, context);
  // The costly part last: strangers' signatures are not even looked at.
  return reason ?? (signaturesValid(statement) ? undefined : 'bad-signature');
}

function checkSigners(
  set: StatementSet,
  body: RosterStatement['body'],
  signers: Signers,
  context: AdmissionContext,
): RosterRefusalReason | undefined {
  switch (body.kind) {
    case 'genesis': {
      if ([...signers].some((signer) => !body.founders.some(({ nodeId }) => nodeId === signer))) return 'wrong-signer';
      return signers.size === body.founders.length ? undefined : 'no-majority';
    }
    case 'leave': {
      const [signer] = signers;
      if (!signer || signers.size !== 1) return 'wrong-signer';
      if (body.reason !== 'operator') return signer === body.nodeId ? undefined : 'wrong-signer';
      const operator = placeOf(set, body)?.operator ?? '';
      const keys = context.operatorKeys(operator);
      return keys.some((key) => equalBytes(key, idBytes(signer))) ? undefined : 'wrong-signer';
    }
    case 'join':
    case 'eviction': {
      if (body.kind === 'join' && !signers.has(body.nodeId)) return 'not-signed-by-itself';
      return majority(membersOf(upTo(set, body.after) ?? NO_STATEMENTS), body, signers);
    }
    case 'restore': {
      const basis = membersOf(upTo(set, body.after) ?? NO_STATEMENTS);
      return checkRestorers(basis, body, signers) ?? checkWitnessed(set, basis, body, signers, context);
    }
    default:
      return unreachable(body);
  }
}

/**
 * Whether the signers are a majority of these members, each platform once. A joiner signs but does not count, unless
 * the roster is a pair and it takes the other one's place on the same platform: else a pair of which one was wiped
 * could never be a pair again.
 */
export function majority(
  members: readonly RosterMember[],
  body: Join | Eviction,
  signers: Signers,
): 'wrong-signer' | 'no-majority' | undefined {
  const platforms = new Set<string>();
  for (const signer of signers) {
    const member = members.find(({ nodeId }) => nodeId === signer);
    if (member) platforms.add(member.platform);
    else if (body.kind !== 'join' || signer !== body.nodeId) return 'wrong-signer';
    else if (members.length === 2 && members.some(({ platform }) => platform === body.platform)) {
      platforms.add(body.platform);
    }
  }
  return platformsFillQuorum(members, platforms) ? undefined : 'no-majority';
}
