// Sync: how operations come from member to member. Part of the replication module; docs/REPLICATION.md has formats,
// rules and limits.

export type { AuditOutcome, Divergence } from './audit.ts';
export type { Coverage } from './catch-up.ts';
export { NO_REQUESTS } from './messages.ts';
export { createSync, type Sync, type SyncDeps, type SyncOptions, type SyncReport, type SyncStatus } from './sync.ts';
export type { SyncHead } from './wire.ts';
