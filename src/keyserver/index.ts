// Custody: attested members keep one another's sealing keys. The door of this module; docs/CUSTODY.md is the protocol.

export {
  type Caller,
  type Custodian,
  type CustodianDeps,
  createCustodian,
  type MigrationPolicy,
  type RecoverContext,
} from './custodian.ts';
export type { CustodyState, DealFailure, DealReason } from './custody-state.ts';
export { attemptIdOf, commitToKey, type DealComplaint, storeIdHashOf } from './deal.ts';
export {
  createDealer,
  type Dealer,
  type DealerDeps,
  type DealerOptions,
  type MembersView,
} from './dealer.ts';
export type { KeyserverErrorCode } from './errors.ts';
export { createHeadNotes, type HeadNotesDeps } from './head-notes.ts';
export type { MemberView } from './holders.ts';
export { type Boot, createIncarnations, type Incarnations, type Standing } from './incarnations.ts';
export { compareHeads, type JournalHead } from './journal-head.ts';
export {
  type CustodyAnswer,
  type CustodyRequest,
  type DealtShare,
  type OwnerRequest,
  REFUSAL_REASONS,
  type Refusal,
  type RefusalReason,
  type Released,
  type ReleaseRequest,
} from './messages.ts';
export type { KeptOwner } from './owner.ts';
export {
  type Placement,
  type PlacementQuestion,
  type PlacementWarning,
  placeShares,
  type SharingShape,
  sharingShape,
} from './placement.ts';
export type { CustodyPeer, HeaderView, ReadHeader } from './ports.ts';
export type { KeyServerAddress, KnownDeal, OwnStore } from './prepare-deal.ts';
export {
  type NotRecoverable,
  type Recovered,
  type RecoveryDeps,
  type RecoveryOptions,
  type RecoveryReport,
  type RecoveryRequest,
  type RecoveryServer,
  recoverSealingKey,
  type ServerWord,
} from './recovery.ts';
export { createRecoveryCollector, type RecoveryCollector, type ShareEntered } from './recovery-collector.ts';
export {
  decodeRecoveryShare,
  encodeRecoveryShare,
  openRecoveryShare,
  type RecoveryShare,
  wrapToRecoveryKeys,
} from './recovery-keys.ts';
export { listRecoveryShares, type RecoveryContext, type RecoveryShares, wrappedFor } from './recovery-wrap.ts';
export type { ReleaseFault } from './releases.ts';
export { type MigrationTicket, makeTicket, verifyTicket } from './ticket.ts';
