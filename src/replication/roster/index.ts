// The roster: who belongs to the cluster. Part of the replication module; docs/ROSTER.md has formats and rules.

export { createRosterKeeper } from './keeper.ts';
export type { HeldRoster, RosterStore, StoredStatement } from './ledger.ts';
export { FOUND_AGAIN_MS } from './limits.ts';
export { type AnswerRefusalReason, SIGNER_REFUSALS } from './messages.ts';
export { leavesByOperator, type MemberPlace, signOperatorLeave } from './operator-leave.ts';
export type { RosterKeeper, RosterKeeperDeps, RosterKeeperOptions, RosterReport, RosterView } from './ports.ts';
export type { Proposed } from './proposer.ts';
export { ROSTER_REFUSALS, type RosterRefusalReason } from './refusals.ts';
export type { RosterMember } from './statement-set.ts';
export {
  decodeStatement,
  encodeStatement,
  type Leave,
  type RosterStatement,
  type StatementId,
  statementMessage,
} from './statements.ts';
