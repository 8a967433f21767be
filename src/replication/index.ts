// Replication: what becomes of the users' operations. The door of this module.

export {
  type AdmissionContext,
  type Admitted,
  admitFromMember,
  admitFromUser,
  admitIntoState,
  admitSubmission,
  checkAdmissible,
} from './admission.ts';
export * from './anchors/index.ts';
export * from './cluster-height/index.ts';
export {
  CONFIRM_MS,
  type ConfirmationOutcome,
  type Confirmations,
  createConfirmations,
} from './confirmations.ts';
export { decodeEnvelope, type Envelope, type EnvelopeKind, encodeEnvelope } from './envelope.ts';
export { type Heights, mayServe, mustWipe } from './heights.ts';
export {
  checkLogEntry,
  decodeLogEntry,
  ENTRY_BYTES_MAX,
  ENTRY_OPERATIONS_MAX,
  encodeLogEntry,
  type LogEntry,
  logEntryHash,
  logEntryHashOf,
  NO_ENTRY_HASH,
  type OperationRef,
  signLogEntry,
  type Writer,
  type WriterId,
  writerIdOf,
} from './log-entry.ts';
export { type Meaning, meaningOf, operationsOf, type RegistrationState } from './merge.ts';
export { type OperationSummary, summarise } from './order.ts';
export { type Placement, placement } from './placement.ts';
export { type Change, createRegistry, type Registry, type Standing } from './registry.ts';
export type {
  BodyOutcome,
  EntryOutcome,
  EntryWithBodies,
  LogPosition,
  OperationBody,
  Replica,
  SyncPeer,
  SyncPeers,
} from './replica.ts';
export * from './roster/index.ts';
export * from './sync/index.ts';
