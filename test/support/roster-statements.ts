// Statements by hand, for tests of what is taken.

import { sha256 } from '#crypto';
import { utf8 } from '../../src/core/bytes.ts';
import { type Admission, type AdmissionContext, admitStatement } from '../../src/replication/roster/admission.ts';
import {
  genesisOf,
  hashOf,
  headsOf,
  membersOf,
  type StatementSet,
} from '../../src/replication/roster/statement-set.ts';
import type {
  Eviction,
  Genesis,
  Join,
  Leave,
  Restore,
  RosterStatement,
  StatementId,
} from '../../src/replication/roster/statements.ts';
import { clusterId, entryOf, type RosterIdentity, rosterIdentity } from './roster.ts';

export const context: AdmissionContext = {
  clusterId,
  allowUnbacked: false,
  height: 100,
  heldSince: () => 100,
  heldLately: () => true,
  self: entryOf(rosterIdentity('somebody')),
  connected: () => [],
  operatorKeys: () => [],
};

export const founders = (...of: RosterIdentity[]) => of.map(entryOf).sort((x, y) => (x.nodeId < y.nodeId ? -1 : 1));
export const genesis = (...of: RosterIdentity[]): Genesis => ({
  kind: 'genesis',
  clusterId,
  genesisId: sha256(utf8('genesis')),
  founders: founders(...of),
  height: 10,
});
const base = (set: StatementSet) => ({ clusterId, genesisId: genesisOf(set)!.body.genesisId });
export const onRoster = (set: StatementSet) => ({ after: headsOf(set), rosterHash: hashOf(membersOf(set)) });
export const join = (set: StatementSet, who: RosterIdentity, more: Partial<Join> = {}): Join => ({
  kind: 'join',
  ...base(set),
  ...entryOf(who),
  ...onRoster(set),
  height: 100,
  ...more,
});
export const placeIn = (set: StatementSet, who: RosterIdentity): StatementId =>
  membersOf(set).find(({ nodeId }) => nodeId === who.nodeId)!.joinId;
export const leave = (set: StatementSet, who: RosterIdentity, reason: Leave['reason'] = 'left'): Leave => ({
  kind: 'leave',
  ...base(set),
  nodeId: who.nodeId,
  joinId: placeIn(set, who),
  reason,
});
export const eviction = (set: StatementSet, who: RosterIdentity): Eviction => ({
  kind: 'eviction',
  ...base(set),
  ...onRoster(set),
  nodeId: who.nodeId,
  joinId: placeIn(set, who),
  height: 100,
});

export function grown(set: StatementSet, statement: RosterStatement, by = context): StatementSet {
  const admission = admitStatement(set, statement, by);
  if (admission.kind !== 'admitted') throw new Error(JSON.stringify(admission));
  return new Map(set).set(admission.held.id, admission.held);
}
export const refusal = (admission: Admission) => (admission.kind === 'refused' ? admission.reason : admission.kind);
export const ids = (set: StatementSet) => membersOf(set).map(({ nodeId }) => nodeId);
export const sorted = (...who: RosterIdentity[]) => who.map(({ nodeId }) => nodeId).sort();

/** Each pair: who comes in place of whom. */
export const restore = (
  set: StatementSet,
  ...pairs: readonly (readonly [RosterIdentity, RosterIdentity])[]
): Restore => ({
  kind: 'restore',
  ...base(set),
  ...onRoster(set),
  replacements: pairs
    .map(([fresh, old]) => ({ nodeId: fresh.nodeId, replaces: old.nodeId }))
    .sort((x, y) => (x.nodeId < y.nodeId ? -1 : 1)),
  height: 100,
});
